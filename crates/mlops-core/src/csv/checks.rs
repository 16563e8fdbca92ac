//! What is looked at in the rows of a piece once they are canonical.
//!
//! A file without such wishes pays nothing for them: the parser asks once per piece. Not for cleaning and
//! rejecting cells: see [`super::parse`].

use chrono::NaiveDate;

use super::canonical_cells::CanonicalCells;
use super::newest::BusinessDate;
use super::row_hash::{Extent, Row};

/// What is looked at in the rows of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checks {
    /// The newest business date.
    pub date: Option<BusinessDate>,
}

impl Checks {
    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.date.is_none()
    }

    /// The newest business date of `rows`, whose bytes `bytes` has.
    pub(crate) fn look_at<'a>(
        &self,
        rows: &[Row],
        bytes: impl Fn(Extent) -> &'a [u8],
    ) -> Option<NaiveDate> {
        let date = self.date?;
        let mut cells = CanonicalCells::default();
        let mut newest = None;
        for row in rows {
            let row = bytes(row.extent);
            cells.look_at(row);
            newest = date.newer(&cells.value(row, date.column), newest).or(newest);
        }
        newest
    }
}
