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
    Ok(Some(ranked(record, drift, wanted, page.max(1))))
}

fn drift_of(record: &DecisionRecord) -> Result<Option<DataDrift>> {
    if record.decision.is_empty() {
        return Ok(None);
    }
    let decision: Decision =
        serde_json::from_str(&record.decision).map_err(|e| Error::backend("decision record", e))?;
    Ok(decision.data_drift)
}

fn ranked(record: DecisionRecord, drift: DataDrift, wanted: &str, page: u64) -> Drifted {
    let DataDrift { alpha, reference_rows, new_rows, mut columns, .. } = drift;
    let total = columns.len() as u64;
    let drifted = columns.iter().filter(|column| column.drifted).count() as u64;
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
    let items = columns.into_iter().skip(first).take(COLUMNS as usize).collect();
    Drifted {
        run_id: record.run_id,
        recorded: record.recorded,
        outcome: record.outcome,
        dataset: record.dataset,
        release: record.release,
        alpha,
        reference_rows,
        new_rows,
        drifted,
        total,
        columns: Paged { items, page, size: COLUMNS, total: found },
    }
}
