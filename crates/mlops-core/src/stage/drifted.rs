//! What a decision found out about drift, column by column, the columns that matter first.
//!
//! Read from the record of the decision; nothing is computed anew. Not for the tests: see [`crate::drift`].

use serde::Serialize;

use crate::drift::{ColumnDrift, DataDrift};
use crate::ids::{DatasetVersion, DecisionOutcome, ReleaseId, RunId};
use crate::ledger::{DecisionRecord, Ledger, Paged};
use crate::run::decision::Decision;
use crate::{Error, Result};

/// The columns of a decision's comparison, or some of them.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Drifted {
    /// The run that decided.
    pub run_id: RunId,
    /// When, RFC 3339, UTC.
    pub recorded: String,
    /// Its outcome.
    pub outcome: DecisionOutcome,
    /// The data set with the new rows.
    pub dataset: DatasetVersion,
    /// The live release, with whose training rows they were compared.
    pub release: Option<ReleaseId>,
    /// Upper bound on the probability of any alarm without drift.
    pub alpha: f64,
    /// Number of training rows in the comparison.
    pub reference_rows: u64,
    /// Number of new rows in the comparison.
    pub new_rows: u64,
    /// Number of columns that drifted.
    pub drifted: u64,
    /// Number of all columns.
    pub total: u64,
    /// The columns whose name contains what was looked for: those that drifted first, then by the p-value of
    /// their test.
    pub columns: Paged<ColumnDrift>,
}

/// The number of columns on a page; each has a picture.
const COLUMNS: u64 = 10;

/// Page `page` of the newest comparison of new rows with training rows, or of that of `run`: of the columns whose
/// name contains `wanted`. `None` if no new rows were compared yet.
///
/// # Errors
/// `Missing` if `run` decided nothing, compared nothing, or has lost its details.
pub fn of(
    ledger: &Ledger,
    run: Option<&RunId>,
    wanted: &str,
    page: u64,
) -> Result<Option<Drifted>> {
    let record = match run {
        Some(run) => Some(
            ledger
                .decision(Some(run))?
                .ok_or_else(|| Error::missing(format!("there is no decision of run {run}")))?,
        ),
        None => ledger.newest_drift()?,
    };
    let Some(record) = record else { return Ok(None) };
    let drift = match (drift_of(&record)?, run) {
        (Some(drift), _) => drift,
        (None, Some(run)) => {
            return Err(Error::missing(format!(
                "the decision of run {run} has no comparison of new rows with training rows"
            )));
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(report(record, drift, wanted, page.max(1))))
}

fn drift_of(record: &DecisionRecord) -> Result<Option<DataDrift>> {
    if record.decision.is_empty() {
        return Ok(None);
    }
    let decision: Decision =
        serde_json::from_str(&record.decision).map_err(|e| Error::backend("decision record", e))?;
    Ok(decision.data_drift)
}

fn report(record: DecisionRecord, drift: DataDrift, wanted: &str, page: u64) -> Drifted {
    let DataDrift { alpha, reference_rows, new_rows, columns, .. } = drift;
    Drifted {
        run_id: record.run_id,
        recorded: record.recorded,
        outcome: record.outcome,
        dataset: record.dataset,
        release: record.release,
        alpha,
        reference_rows,
        new_rows,
        drifted: columns.iter().filter(|column| column.drifted).count() as u64,
        total: columns.len() as u64,
        columns: ranked(columns, wanted, page),
    }
}

/// Page `page` of the columns whose name contains `wanted`: those that drifted first.
pub(super) fn ranked(mut columns: Vec<ColumnDrift>, wanted: &str, page: u64) -> Paged<ColumnDrift> {
    let wanted = wanted.to_lowercase();
    columns.retain(|column| column.column.to_lowercase().contains(&wanted));
    // Of those that chance explains least, the largest difference.
    let distance = |column: &ColumnDrift| column.comparison.jensen_shannon.map_or(0.0, |d| d.value);
    columns.sort_by(|a, b| {
        let p = |column: &ColumnDrift| column.comparison.p_value;
        b.drifted
            .cmp(&a.drifted)
            .then(p(a).total_cmp(&p(b)))
            .then(distance(b).total_cmp(&distance(a)))
    });
    let found = columns.len() as u64;
    let first = usize::try_from((page - 1).saturating_mul(COLUMNS)).unwrap_or(usize::MAX);
    let items = columns
        .into_iter()
        .skip(first)
        .take(usize::try_from(COLUMNS).unwrap_or(usize::MAX))
        .collect();
    Paged { items, page, size: COLUMNS, total: found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::cells::{CellCounts, compare};

    fn column(k: u64) -> ColumnDrift {
        // Every fiftieth column moved, the later ones further.
        let moved = if k.is_multiple_of(50) { 100 + k / 5 } else { 0 };
        let cell =
            |label: &str, reference, new| CellCounts { label: label.to_owned(), reference, new };
        let cells = vec![cell("a", 500, 500 - moved), cell("b", 500, 500 + moved)];
        let comparison = compare(cells, 0.0001);
        ColumnDrift {
            column: format!("Column <{k}>"),
            drifted: comparison.p_value < 0.0001,
            level: 0.0001,
            missing_reference: 0.0,
            missing_new: 0.0,
            comparison,
            kolmogorov_smirnov: None,
            psi_band: None,
            cells: Vec::new(),
            explanation: String::new(),
        }
    }

    #[test]
    fn five_hundred_columns_have_pages_and_those_that_matter_come_first() {
        let reported = |wanted: &str, page| {
            let columns: Vec<ColumnDrift> = (0..500).map(column).collect();
            let drift = DataDrift {
                data_drift: true,
                alpha: 0.05,
                reference_rows: 1000,
                new_rows: 1000,
                columns,
            };
            let record = DecisionRecord {
                run_id: RunId::named("run"),
                dataset: DatasetVersion(1),
                outcome: DecisionOutcome::NoDrift,
                f1: None,
                matrix: None,
                release: None,
                decision: String::new(),
                recorded: String::new(),
                headline: None,
            };
            report(record, drift, wanted, page)
        };
        let first = reported("", 1);
        assert_eq!((first.drifted, first.total, first.columns.total), (10, 500, 500));
        assert_eq!((first.columns.items.len(), first.columns.pages()), (10, 50));
        assert!(first.columns.items.iter().all(|column| column.drifted));
        assert_eq!(first.columns.items[0].column, "Column <450>", "what moved furthest");
        let mut seen = std::collections::BTreeSet::new();
        for page in 1..=50 {
            seen.extend(reported("", page).columns.items.into_iter().map(|column| column.column));
        }
        assert_eq!(seen.len(), 500);
        assert!(reported("", 51).columns.items.is_empty());
        let found = reported("column <45", 1).columns;
        assert_eq!((found.total, found.items.len()), (11, 10));
    }
}
