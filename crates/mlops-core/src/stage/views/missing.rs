//! Missing data over time: the share of missing cells of each column in the rows that each of the newest runs kept.
//!
//! Not for single files: see `ingestions`.

use serde::Serialize;

use crate::Result;
use crate::ids::{DatasetVersion, RunId};
use crate::ledger::Ledger;
use crate::platform::clock::rfc3339;

/// Runs that are told.
const RUNS: usize = 12;
/// Files that are looked at; of runs with more the newest count.
const FILES: u32 = 1_000;

/// The newest runs that took rows, and their missing cells.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Missing {
    /// The runs, newest first.
    pub runs: Vec<RunOfRows>,
    /// The columns, those with the largest share in the newest run first.
    pub columns: Vec<MissingColumn>,
}

/// A run that took rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunOfRows {
    /// Its id.
    pub run_id: RunId,
    /// When its last file was recorded, RFC 3339, UTC.
    pub recorded: String,
    /// The data set that it made.
    pub dataset: DatasetVersion,
    /// The number of rows that it kept.
    pub rows: u64,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MissingColumn {
    /// Its name.
    pub column: String,
    /// The share of its cells that are missing, for each of the runs; `None` where a run has no such column.
    pub shares: Vec<Option<f64>>,
}

/// Reads it.
pub fn read(ledger: &Ledger) -> Result<Missing> {
    let mut runs: Vec<(RunOfRows, Vec<u64>)> = Vec::new();
    for file in ledger.missing_cells(FILES)? {
        let of_run = |(run, _): &(RunOfRows, Vec<u64>)| run.run_id == file.run_id;
        let at = match runs.iter().position(of_run) {
            Some(at) => at,
            None if runs.len() == RUNS => break,
            None => {
                let recorded = rfc3339(chrono::DateTime::from_timestamp_nanos(file.recorded_ns));
                let (run_id, dataset) = (file.run_id, file.dataset);
                runs.push((RunOfRows { run_id, recorded, dataset, rows: 0 }, Vec::new()));
                runs.len() - 1
            }
        };
        let (run, missing) = &mut runs[at];
        run.rows += file.rows;
        missing.resize(missing.len().max(file.missing.len()), 0);
        for (sum, more) in missing.iter_mut().zip(file.missing) {
            *sum += more;
        }
    }
    runs.retain(|(run, _)| run.rows > 0);
    let mut columns: Vec<MissingColumn> = Vec::new();
    for (at, (run, missing)) in runs.iter().enumerate() {
        let names = ledger.dataset(run.dataset)?.map(|data| data.columns).unwrap_or_default();
        for (name, cells) in names.into_iter().zip(missing) {
            let known = columns.iter().position(|column| column.column == name);
            let known = known.unwrap_or_else(|| {
                columns.push(MissingColumn { column: name, shares: vec![None; runs.len()] });
                columns.len() - 1
            });
            columns[known].shares[at] = Some((*cells as f64 / run.rows as f64).min(1.0));
        }
    }
    let rank = |column: &MissingColumn| {
        let most = column.shares.iter().flatten().copied().fold(0.0, f64::max);
        (column.shares.first().copied().flatten().unwrap_or(0.0), most)
    };
    columns.sort_by(|a, b| {
        let ((new_a, most_a), (new_b, most_b)) = (rank(a), rank(b));
        new_b.total_cmp(&new_a).then(most_b.total_cmp(&most_a))
    });
    Ok(Missing { runs: runs.into_iter().map(|(run, _)| run).collect(), columns })
}
