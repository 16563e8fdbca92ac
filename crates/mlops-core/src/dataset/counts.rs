//! What came of one file: its counts, how its reading ended, and why it was refused.
//!
//! Not for single rows: see [`crate::csv::quarantine`] for those that were rejected.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::platform::digest::Digest;
use crate::{Error, ErrorKind};

use super::dedup::RowOutcome;
use super::discover::Stamp;
use crate::csv::clean::FormatChanges;
use crate::csv::outcome::FileOutcome;
use crate::csv::quarantine::Rejections;

/// What was found in one file. `rows_read = rows_kept + duplicates + quarantined +
/// superseded`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileCounts {
    /// Records after the header; blank lines are not records.
    pub rows_read: u64,
    /// Rows that are new.
    pub rows_kept: u64,
    /// Rows equal to an earlier one of the same file.
    pub duplicates_within: u64,
    /// Rows equal to one of an earlier file.
    pub duplicates_across: u64,
    /// Rows rejected.
    pub quarantined: u64,
    /// Rows that were kept until a later content of the file took their place.
    pub superseded: u64,
    /// The same by reason.
    pub rejections: Rejections,
    /// Formatting changes by kind.
    pub changes: FormatChanges,
    /// Missing cells by column of the schema, in its order.
    pub missing: Vec<u64>,
    /// Lines without a record.
    pub blank_lines: u64,
    /// Columns that the schema does not name, dropped.
    pub extra_columns: Vec<String>,
    /// Whether columns were put into the schema's order.
    pub reordered: bool,
}

impl FileCounts {
    /// Duplicates of both kinds.
    pub fn duplicates(&self) -> u64 {
        self.duplicates_within + self.duplicates_across
    }
}

/// One file, read to its end.
#[derive(Debug, Clone)]
pub struct FileRead {
    /// How it ended.
    pub outcome: FileOutcome,
    /// What was found, as far as it was read.
    pub counts: FileCounts,
    /// Its identity; absent when it could not be read to the end.
    pub digest: Option<Digest>,
    /// Size, time and number when it was opened; absent when it could not be.
    pub stamp: Option<Stamp>,
}

/// Sees the fate of every physical line of the rows; for tests and audits.
pub trait Audit {
    /// `lines` physical lines from `line` (from 1) met `fate`.
    fn row(&mut self, line: u64, lines: u32, fate: RowOutcome);

    /// The file is read again from its start: what was told of it is void.
    fn again(&mut self) {}
}

impl Audit for () {
    fn row(&mut self, _: u64, _: u32, _: RowOutcome) {}
}

/// Refuses a file with too many bad rows.
pub(crate) fn judge(
    counts: &FileCounts,
    first_rejected: Option<&(u64, String)>,
    max_rejected_share: f64,
) -> FileOutcome {
    let share = counts.quarantined as f64 / counts.rows_read.max(1) as f64;
    if share <= max_rejected_share {
        return FileOutcome::Taken;
    }
    let reasons: Vec<String> =
        counts.rejections.iter().map(|(error, n)| format!("{n} {}", error.as_str())).collect();
    let first = first_rejected
        .map_or_else(String::new, |(line, words)| format!("; the first is line {line}: {words}"));
    FileOutcome::Failed(format!(
        "{} of {} rows are bad ({}), {:.1} % where {:.1} % are allowed{first}. Nothing of the file \
         was taken: correct it, or raise \"ingestion.max_rejected_share\"",
        counts.quarantined,
        counts.rows_read,
        reasons.join(", "),
        share * 100.0,
        max_rejected_share * 100.0,
    ))
}

/// Why a file failed that cannot be opened.
pub(crate) fn unreadable(error: &std::io::Error) -> String {
    format!("cannot read it: {error}")
}

/// The reason in words, with the cause; the file is named by whoever reports it.
pub(crate) fn own_fault(error: &Error) -> String {
    if let ErrorKind::Schema { message, .. } = error.kind() {
        return message.clone();
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The previous data set is another one.
pub(crate) fn not_as_recorded(path: &Path) -> Error {
    Error::conflict(format!(
        "{} is not what the ledger recorded: it was changed or damaged. Restore it, or run \
         `ingestion --rebuild` to make a new version from the source files",
        path.display()
    ))
}
