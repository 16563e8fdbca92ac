//! How many cells of a file cleaning changed, by column and kind, with examples.
//!
//! Not for finding the changes: see [`super::read_again`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::csv::change_kind::ChangeKind;
use crate::csv::formats::ChangedCell;
use crate::text;

/// Examples of a kind in a file, at most.
const EXAMPLES: usize = 3;

/// The changed cells of the rows of a file that are in the data set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellCounts {
    /// Their number, by column and kind. A cell that was changed in several ways counts under each.
    pub columns: BTreeMap<String, BTreeMap<ChangeKind, u64>>,
    /// The first ones of each kind, if they are asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// A cell that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The part of the file, if it has parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The line or row.
    pub line: u64,
    /// The column.
    pub column: String,
    /// What it was, cut if it is long.
    pub from: String,
    /// What it is.
    pub to: String,
    /// How it was changed.
    pub kind: ChangeKind,
}

impl CellCounts {
    /// Counts a change; the first ones of a kind become examples if those are `wanted`.
    pub(crate) fn note(&mut self, cell: &ChangedCell, kind: ChangeKind, wanted: bool) {
        let kinds = match self.columns.get_mut(cell.column) {
            Some(kinds) => kinds,
            None => self.columns.entry(cell.column.to_owned()).or_default(),
        };
        *kinds.entry(kind).or_default() += 1;
        if wanted && self.examples.iter().filter(|example| example.kind == kind).count() < EXAMPLES
        {
            self.examples.push(Example {
                part: cell.part.map(str::to_owned),
                line: cell.line,
                column: cell.column.to_owned(),
                from: text::name(cell.from).into_owned(),
                to: text::name(cell.to).into_owned(),
                kind,
            });
        }
    }

    /// Adds those of another file.
    pub fn add(&mut self, other: &Self) {
        for (column, kinds) in &other.columns {
            let sums = self.columns.entry(column.clone()).or_default();
            for (kind, cells) in kinds {
                *sums.entry(*kind).or_default() += cells;
            }
        }
    }
}
