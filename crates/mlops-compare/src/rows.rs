//! Turns a piece of a file into rows that can be compared: canonical cells, keys first.
//!
//! As in ingestion, a canonical row is recognised in one pass. If its columns are in order too it
//! is used in place; otherwise its cells are copied into order. Not for classifying rows: see
//! [`crate::join`].

#![expect(clippy::inline_always, reason = "see `simd`")]

use mlops_core::csv::record::{self, Field, Next, Shape};
use mlops_core::csv::row_hash::{Extent, RowHasher};
use mlops_core::csv::spelling::{Canonical, CanonicalRow, Cell, canonical_row};
use mlops_core::csv::structural_index::StructuralIndex;
use mlops_core::platform::simd::{Work, widest};

use crate::cell::{Kind, Spelling};
use crate::columns::Fields;

/// A row of a piece.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    extent: Extent,
    /// Bytes of its key cells, with the commas between them.
    pub(crate) key: u32,
    /// The hash of its key.
    pub(crate) hash: u128,
}

/// The rows of a piece; reused from piece to piece.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) all: Vec<Row>,
    side: Vec<u8>,
    /// Records that cannot be read: the line in the piece, from 0, and the reason.
    pub(crate) unreadable: Vec<(u64, String)>,
    /// The first number with the other decimal separator: its line in the piece, and a description.
    pub(crate) other_decimal: Option<(u64, String)>,
    /// The number of physical lines in the piece.
    pub(crate) lines: u64,
}

impl Rows {
    /// The bytes of `row`, newline included; `chunk` is the piece it came from.
    pub(crate) fn bytes<'a>(&'a self, chunk: &'a [u8], row: &Row) -> &'a [u8] {
        row.extent.of(chunk, &self.side)
    }

    fn push(&mut self, extent: Extent, key: usize, hash: u128) {
        // A key is shorter than a piece, which is far below 2 GiB.
        let key = u32::try_from(key).unwrap_or(u32::MAX >> 1);
        self.all.push(Row { extent, key, hash });
    }

    /// Adds the row that was written to the side buffer from `start` on.
    fn push_side(&mut self, start: usize, key: usize, hasher: RowHasher) {
        if let Some(last) = self.side.last_mut() {
            *last = b'\n';
        }
        let hash = hasher.hash(&self.side[start..start + key]);
        self.push(Extent::new(&(start..self.side.len()), true), key, hash);
    }
}

/// Makes rows from the pieces of one file.
#[derive(Debug)]
pub(crate) struct RowMaker<'a> {
    spelling: &'a Spelling<'a>,
    fields: &'a Fields,
    hasher: RowHasher,
    shape: Shape,
    /// The fields are the compared columns, in order.
    in_order: bool,
    /// Start and end of each field of the current row.
    cells: Vec<(usize, usize)>,
    found: Vec<Field>,
    index: StructuralIndex,
}

impl<'a> RowMaker<'a> {
    /// A maker for a file with `fields` and records of `shape`.
    pub(crate) fn new(
        spelling: &'a Spelling<'a>,
        fields: &'a Fields,
        hasher: RowHasher,
        shape: Shape,
    ) -> Self {
        let in_order = (0..fields.kinds.len()).eq(fields.positions.iter().copied());
        let cells = vec![(0, 0); fields.kinds.len()];
        let (found, index) = (Vec::new(), StructuralIndex::default());
        Self { spelling, fields, hasher, shape, in_order, cells, found, index }
    }

    /// Makes the rows of `chunk`, which has whole records.
    pub(crate) fn make(&mut self, chunk: &[u8], out: &mut Rows) {
        out.all.clear();
        out.side.clear();
        out.unreadable.clear();
        out.other_decimal = None;
        out.lines = 0;
        self.index.look_at(chunk);
        widest(Making { maker: self, chunk, out });
    }

    /// The canonical row that starts at `at`, if there is one. Notes where its cells are.
    #[inline(always)]
    fn canonical(&mut self, chunk: &[u8], at: usize) -> Option<CanonicalRow> {
        let Self { spelling, fields, shape, cells, index, .. } = self;
        let cells = Cells { spelling, kinds: &fields.kinds, places: cells };
        canonical_row(index, chunk, at, *shape, cells)
    }

    /// Adds the canonical row from `at` to `end` whose cells were noted.
    #[inline(always)]
    fn take(&mut self, chunk: &[u8], at: usize, end: usize, out: &mut Rows) {
        let keys = self.fields.keys;
        if self.in_order && chunk[end] == b'\n' {
            let key = self.cells[keys - 1].1 - at;
            let hash = self.hasher.hash(&chunk[at..at + key]);
            out.push(Extent::new(&(at..end + 1), false), key, hash);
            return;
        }
        let start = out.side.len();
        let mut key = 0;
        for (column, position) in self.fields.positions.iter().enumerate() {
            let (from, to) = self.cells[*position];
            out.side.extend_from_slice(&chunk[from..to]);
            if column + 1 == keys {
                key = out.side.len() - start;
            }
            out.side.push(b',');
        }
        out.push_side(start, key, self.hasher);
    }

    /// Splits the record at `at`; returns the start of the next one.
    fn slow_path(&mut self, chunk: &[u8], at: usize, out: &mut Rows) -> usize {
        let mut found = std::mem::take(&mut self.found);
        let (end, lines) = match record::next(chunk, at, self.shape, &mut found) {
            Next::Blank(end) => (end, 1),
            Next::Record { end, lines, problem } => {
                let spelt = match problem {
                    Some(problem) => Err(problem.in_words(self.shape)),
                    None => self.spell(chunk, (at, end), &found, out),
                };
                if let Err(message) = spelt {
                    out.unreadable.push((out.lines, message));
                }
                (end, lines)
            }
        };
        out.lines += u64::from(lines);
        self.found = found;
        end
    }

    /// Writes the row to the side buffer.
    fn spell(
        &self,
        chunk: &[u8],
        (at, end): (usize, usize),
        found: &[Field],
        out: &mut Rows,
    ) -> Result<(), String> {
        let text = std::str::from_utf8(&chunk[at..end])
            .map_err(|_| "the bytes are not UTF-8: save the file as UTF-8".to_owned())?;
        let start = out.side.len();
        let mut key = 0;
        for (column, position) in self.fields.positions.iter().enumerate() {
            let field = found[*position];
            let raw = &text[field.start - at..field.end - at];
            let kind = self.fields.kinds[*position];
            let quotes = (field.quoted, field.escaped);
            if let Err(words) = self.spelling.push(kind, raw, quotes, &mut out.side) {
                out.other_decimal.get_or_insert((out.lines, words));
            }
            if column + 1 == self.fields.keys {
                key = out.side.len() - start;
            }
            out.side.push(b',');
        }
        out.push_side(start, key, self.hasher);
        Ok(())
    }
}

/// The cells of a row, by their noted positions.
struct Cells<'a> {
    spelling: &'a Spelling<'a>,
    kinds: &'a [Kind],
    places: &'a mut [(usize, usize)],
}

impl Canonical for Cells<'_> {
    #[inline(always)]
    fn is_canonical(&mut self, field: usize, cell: Cell) -> bool {
        self.places[field] = (cell.start, cell.end);
        self.spelling.is_canonical(self.kinds[field], cell)
    }
}

/// The rows of a piece.
struct Making<'a, 'm> {
    maker: &'a mut RowMaker<'m>,
    chunk: &'a [u8],
    out: &'a mut Rows,
}

impl Work for Making<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { maker, chunk, out } = self;
        let mut at = 0;
        while at < chunk.len() {
            at = match maker.canonical(chunk, at) {
                Some(CanonicalRow { end, next }) => {
                    maker.take(chunk, at, end, out);
                    out.lines += 1;
                    next
                }
                None => maker.slow_path(chunk, at, out),
            };
        }
    }
}

/// A row with its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbered<'a> {
    /// Its number in its file, from 0.
    pub(crate) ordinal: u64,
    /// Its cells, keys first, newline included.
    pub(crate) row: &'a [u8],
    /// The length of its key in bytes.
    pub(crate) key: u32,
    /// The hash of its key.
    pub(crate) hash: u128,
}

impl<'a> Numbered<'a> {
    /// The bytes of its key cells.
    pub(crate) fn key_bytes(&self) -> &'a [u8] {
        &self.row[..self.key as usize]
    }
}
