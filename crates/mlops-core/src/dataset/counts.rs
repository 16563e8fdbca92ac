//! The result of reading one file: its counts, how it ended, and why it was refused.
//!
//! Not for single rows: see [`crate::csv::quarantine`] for those that were rejected.

use std::path::Path;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::ids::DatasetVersion;
use crate::platform::digest::Digest;
use crate::{Error, ErrorKind, text};

use super::cell_counts::CellCounts;
use super::dedup::RowOutcome;
use super::discover::Stamp;
use super::rule_broken::RuleBroken;
use crate::csv::clean::FormatChanges;
use crate::csv::outcome::FileOutcome;
use crate::csv::quarantine::{ErrorType, Rejections};

/// Counts of one file. `rows_read = rows_kept + duplicates + quarantined + superseded +
/// discarded + forgotten` always holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FileCounts {
    /// Records after the header; blank lines are not records.
    pub rows_read: u64,
    /// New rows.
    pub rows_kept: u64,
    /// Rows equal to an earlier row of the same file.
    pub duplicates_within: u64,
    /// Rows equal to a row of an earlier file.
    pub duplicates_across: u64,
    /// Rows rejected.
    pub quarantined: u64,
    /// Rows that were kept until a newer content of the file replaced them.
    pub superseded: u64,
    /// Rejected rows that somebody gave up.
    #[serde(skip_serializing_if = "is_zero")]
    pub discarded: u64,
    /// Rows of people who were erased.
    #[serde(skip_serializing_if = "is_zero")]
    pub forgotten: u64,
    /// The version whose quarantine has the rejected rows, if not the one that the file's rows went to first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<DatasetVersion>,
    /// Rejected rows by reason.
    pub rejections: Rejections,
    /// Formatting changes by kind.
    pub changes: FormatChanges,
    /// Missing cells by column, in schema order.
    pub missing: Vec<u64>,
    /// Lines without a record.
    pub blank_lines: u64,
    /// Columns that are not in the schema, which are dropped: the first ones.
    pub extra_columns: Vec<String>,
    /// The number of others.
    #[serde(skip_serializing_if = "is_zero")]
    pub extra_left_out: u64,
    /// The columns were in another order than the schema's.
    pub reordered: bool,
    /// The newest business date in good rows, if it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<NaiveDate>,
    /// The cells that cleaning changed, if `ingestion.record_changes` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells: Option<Box<CellCounts>>,
    /// The rules of the contract that the file breaks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contract: Vec<RuleBroken>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl FileCounts {
    /// The counts for content of which only the number of kept rows is known.
    pub(crate) fn of_kept(rows: u64) -> Self {
        Self { rows_read: rows, rows_kept: rows, ..Self::default() }
    }

    /// The names of columns that were dropped.
    pub fn passed_over(&self) -> String {
        text::names_of_more(&self.extra_columns, self.extra_left_out)
    }

    /// Duplicates of both kinds.
    pub fn duplicates(&self) -> u64 {
        self.duplicates_within + self.duplicates_across
    }
}

/// The result of reading one file.
#[derive(Debug, Clone)]
pub struct FileRead {
    /// How reading it ended.
    pub outcome: FileOutcome,
    /// The counts up to where it was read.
    pub counts: FileCounts,
    /// The file's digest; `None` if it was not read to the end.
    pub digest: Option<Digest>,
    /// Its metadata when it was opened; `None` if it could not be opened.
    pub stamp: Option<Stamp>,
}

/// Observes the outcome of every physical line; for tests and audits.
pub trait Audit {
    /// `lines` physical lines from `line` (from 1) had this outcome.
    fn row(&mut self, line: u64, lines: u32, outcome: RowOutcome);

    /// The record of a person who was erased takes `lines` physical lines from `line` (from 1) on; they are
    /// lines of the file itself if it is `plain` text.
    fn forgotten(&mut self, line: u64, lines: u32, plain: bool) {
        let _ = (line, lines, plain);
    }

    /// The file is read again from its start; what was observed of it is void.
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
    let all_too_long = counts
        .rejections
        .iter()
        .any(|(error, n)| *error == ErrorType::TooManyColumns && *n == counts.rows_read);
    let first_name = if all_too_long {
        ". Every row has more cells than the header has names: either the name of the first column is missing, as R's \
         write.table leaves it out for row names, or rows end with a separator and the header does not"
    } else {
        ""
    };
    FileOutcome::Failed(format!(
        "{} of {} {} bad ({}), {:.1} % where {:.1} % are allowed{first}{first_name}. Nothing of the file was \
         taken: correct it, or raise \"ingestion.max_rejected_share\"",
        counts.quarantined,
        text::plural(counts.rows_read, "row"),
        if counts.quarantined == 1 { "is" } else { "are" },
        reasons.join(", "),
        share * 100.0,
        max_rejected_share * 100.0,
    ))
}

/// The reason why a file that cannot be opened failed.
pub(crate) fn unreadable(error: &std::io::Error) -> String {
    format!("cannot read it: {error}")
}

/// The reason in words, with the cause; the caller names the file.
pub(crate) fn own_fault(error: &Error) -> String {
    if let ErrorKind::Schema { message, .. } = error.kind() {
        return message.clone();
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// An error for a previous data set that is not the recorded one.
pub(crate) fn not_as_recorded(path: &Path) -> Error {
    Error::conflict(format!(
        "{} is not what the ledger recorded: it was changed or damaged. Restore it, or run \
         `ingestion --rebuild` to make a new version from the source files",
        path.display()
    ))
}
