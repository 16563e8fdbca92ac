//! Values that violate the schema: the first ones in detail, the others counted.

use std::fmt;

use serde::Serialize;

/// The number of faults described.
const FIRST: usize = 100;
/// The maximum length of an excerpt.
const EXCERPT: usize = 60;

/// A value that violates the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    /// Its row, counted from 0.
    pub(crate) row: u64,
    /// The line on which the row begins, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    /// The column; `None` if the row as a whole is wrong.
    pub(crate) column: Option<String>,
    /// The reason, and what would be correct.
    pub(crate) reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.row)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column:?}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// All faults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// The first ones, in the order in which they were found.
    pub(crate) first: Vec<Fault>,
    /// The total number.
    pub(crate) count: u64,
}

impl Faults {
    /// Adds a fault; `describe` is called only while there is room.
    pub(crate) fn add(&mut self, describe: impl FnOnce() -> Fault) {
        self.count += 1;
        if self.first.len() < FIRST {
            self.first.push(describe());
        }
    }
}

/// The beginning of `text`, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
