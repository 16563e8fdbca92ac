//! Moves rows that break a contract from the good rows of a piece to the rejected ones.
//!
//! Which rows these are is decided in [`super::contract`].

use super::canonical_cells::CanonicalCells;
use super::contract::Rules;
use super::quarantine::Rejected;
use super::record::{self, Field, Next, Shape};
use super::row_hash::{Extent, Row};

/// The rows of a piece, and where they come from.
pub(crate) struct Rows<'a> {
    /// The records of the piece.
    pub(crate) chunk: &'a [u8],
    /// Where the first of them is in the file.
    pub(crate) offset: u64,
    /// Bytes of rows that are not in the chunk.
    pub(crate) side: &'a [u8],
    /// The shape of a record.
    pub(crate) shape: Shape,
    /// The good rows.
    pub(crate) good: &'a mut Vec<Row>,
    /// The others, in order of their lines.
    pub(crate) rejected: &'a mut Vec<Rejected>,
    /// Missing cells of good rows by column.
    pub(crate) missing: &'a mut Vec<u64>,
}

/// A row that goes to the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Aside {
    /// Its number among the good rows.
    pub(crate) row: usize,
    /// The number of the rule that it breaks.
    pub(crate) rule: usize,
    /// How it does.
    pub(crate) how: String,
}

impl Rows<'_> {
    /// The bytes of a row.
    pub(crate) fn bytes(&self, extent: Extent) -> &[u8] {
        extent.of(self.chunk, self.side)
    }

    /// Leaves out rows, good ones by themselves and their bytes, and rejected ones; returns their number.
    pub(crate) fn leave_out(
        &mut self,
        mut good: impl FnMut(&Row, &[u8]) -> bool,
        mut rejected: impl FnMut(&Rejected) -> bool,
    ) -> u64 {
        let before = self.good.len() + self.rejected.len();
        let Self { chunk, side, missing, .. } = self;
        let mut cells = CanonicalCells::default();
        self.good.retain(|row| {
            let bytes = row.extent.of(chunk, side);
            let goes = good(row, bytes);
            if goes {
                cells.look_at(bytes);
                for (column, missing) in missing.iter_mut().enumerate() {
                    *missing -= u64::from(cells.value(bytes, column).is_empty());
                }
            }
            !goes
        });
        self.rejected.retain(|one| !rejected(one));
        (before - self.good.len() - self.rejected.len()) as u64
    }

    /// Moves `aside`, in the order of the rows, to the rejected ones.
    pub(crate) fn set_aside(&mut self, rules: &Rules, aside: &[Aside]) {
        if aside.is_empty() {
            return;
        }
        let lines = aside.iter().map(|aside| self.good[aside.row].line);
        let records = records(self.chunk, self.shape, lines);
        let mut cells = CanonicalCells::default();
        for (aside, (at, record)) in aside.iter().zip(records) {
            let row = self.good[aside.row];
            let bytes = row.extent.of(self.chunk, self.side);
            cells.look_at(bytes);
            for (column, missing) in self.missing.iter_mut().enumerate() {
                *missing -= u64::from(cells.value(bytes, column).is_empty());
            }
            let place = (self.offset + at, record);
            self.rejected.push(rules.rejection(aside.rule, &aside.how, &row, place));
        }
        let mut gone = aside.iter().map(|aside| aside.row).peekable();
        let mut number = 0;
        self.good.retain(|_| {
            let goes = gone.next_if_eq(&number).is_some();
            number += 1;
            !goes
        });
        self.rejected.sort_by_key(|rejected| rejected.line);
    }
}

/// The records of `chunk` that begin on `lines`, which ascend: where each begins, and its bytes.
///
/// Looked for only when a row is set aside, since rows do not keep their records.
fn records(chunk: &[u8], shape: Shape, lines: impl Iterator<Item = u32>) -> Vec<(u64, &[u8])> {
    let mut lines = lines.peekable();
    let mut found = Vec::new();
    let mut fields: Vec<Field> = Vec::new();
    let (mut at, mut line) = (0, 0);
    while at < chunk.len()
        && let Some(wanted) = lines.peek()
    {
        let (end, spans) = match record::next(chunk, at, shape, &mut fields) {
            Next::Record { end, lines, .. } => (end, lines),
            Next::Blank(end) => (end, 1),
        };
        if line == *wanted {
            found.push((at as u64, record::without_line_end(&chunk[at..end])));
            lines.next();
        }
        line += spans;
        at = end;
    }
    found
}
