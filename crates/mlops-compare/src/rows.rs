//! A piece of a file to rows that can be compared: cells in canonical spelling, keys first.
//!
//! As in ingestion, a row that is spelt canonically already is proved to be so in one look. If its
//! columns stand in order too it is used where it stands; else its cells are copied into order.
//! Not for what a row means: see [`crate::join`].

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
    /// Of its key.
    pub(crate) hash: u128,
}

/// The rows of a piece; reused from piece to piece.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) all: Vec<Row>,
    side: Vec<u8>,
    /// Records that cannot be read: the line in the piece, from 0, and why.
    pub(crate) unreadable: Vec<(u64, String)>,
    /// The first number with the other decimal separator: its line in the piece, and its words.
    pub(crate) other_decimal: Option<(u64, String)>,
    /// Physical lines in the piece.
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

    /// Takes the row that was written to the side buffer from `start` on.
    fn push_side(&mut self, start: usize, key: usize, hasher: RowHasher) {
        if let Some(last) = self.side.last_mut() {
            *last = b'\n';
        }
        let hash = hasher.hash(&self.side[start..start + key]);
        self.push(Extent::new(&(start..self.side.len()), true), key, hash);
    }
}

/// Makes rows of the pieces of one file.
#[derive(Debug)]
pub(crate) struct RowMaker<'a> {
    spelling: &'a Spelling<'a>,
    fields: &'a Fields,
    hasher: RowHasher,
    shape: Shape,
    /// Whether the fields are the columns of the comparison, in their order.
    in_order: bool,
    /// Start and end of each field of the row at hand.
    cells: Vec<(usize, usize)>,
    found: Vec<Field>,
    index: StructuralIndex,
}

impl<'a> RowMaker<'a> {
    /// For a file with `fields` and records of `shape`.
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

    /// Makes the rows of `chunk`, whole records.
    pub(crate) fn make(&mut self, chunk: &[u8], out: &mut Rows) {
        out.all.clear();
        out.side.clear();
        out.unreadable.clear();
        out.other_decimal = None;
        out.lines = 0;
        self.index.look_at(chunk);
        widest(Making { maker: self, chunk, out });
    }

    /// The row in canonical spelling that starts at `at`, if there is one. Notes where its cells are.
    #[inline(always)]
    fn canonical(&mut self, chunk: &[u8], at: usize) -> Option<CanonicalRow> {
        let Self { spelling, fields, shape, cells, index, .. } = self;
        let cells = Cells { spelling, kinds: &fields.kinds, places: cells };
        canonical_row(index, chunk, at, *shape, cells)
    }

    /// Takes the canonical row from `at` to `end` whose cells were noted.
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

    /// Takes the record at `at` apart; returns where the next one starts.
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

/// The cells of a row, whose places are noted.
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

/// A row on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbered<'a> {
    /// Its number in its file, from 0.
    pub(crate) ordinal: u64,
    /// Its cells, keys first, newline included.
    pub(crate) row: &'a [u8],
    /// Bytes of its key.
    pub(crate) key: u32,
    /// Of its key.
    pub(crate) hash: u128,
}

impl<'a> Numbered<'a> {
    /// Its key cells.
    pub(crate) fn key_bytes(&self) -> &'a [u8] {
        &self.row[..self.key as usize]
    }
}
