//! Values that break the schema: the first ones by place, all of them by number.

use std::fmt;

use serde::Serialize;

/// How many are described.
const FIRST: usize = 100;
/// Longest excerpt of a value.
const EXCERPT: usize = 60;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    /// Its row, counted from 0.
    pub(crate) row: u64,
    /// The line of the text where that row begins, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    /// Its column; none where the row as a whole is wrong.
    pub(crate) column: Option<String>,
    /// What is wrong, and what would be right.
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

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// The first ones, in the order in which they were found.
    pub(crate) first: Vec<Fault>,
    /// How many there are.
    pub(crate) count: u64,
}

impl Faults {
    /// Counts a fault; `describe` is asked only while there is room.
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
