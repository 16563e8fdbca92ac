//! A piece of a file to rows that can be compared: cells in canonical spelling, keys first.
//!
//! As in ingestion, a row that is spelt canonically already is proved to be so in one look. If its
//! columns stand in order too it is used where it stands; else its cells are copied into order.
//! Not for what a row means: see [`super::join`].

#![expect(clippy::inline_always, reason = "see `simd`")]

use crate::csv::chunk::blank_line;
use crate::csv::record::{self, Field, Malformed, Scan, Shape};
use crate::csv::row_hash::RowHasher;
use crate::csv::spelling::Cell;
use crate::csv::structural_index::StructuralIndex;
use crate::platform::simd::{Work, widest};

use super::cell::Spelling;
use super::columns::Fields;

/// A row of a piece.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    start: u32,
    length: u32,
    /// Bytes of its key cells, with the commas between them.
    pub(crate) key: u32,
    /// Of its key.
    pub(crate) hash: u128,
}

/// Set in `Row::start` when the row is in the side buffer.
const IN_SIDE: u32 = 1 << 31;

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
        let start = (row.start & !IN_SIDE) as usize;
        let from = if row.start & IN_SIDE == 0 { chunk } else { &self.side };
        &from[start..start + row.length as usize]
    }

    fn push(&mut self, (start, side): (usize, bool), row: &[u8], key: usize, hash: u128) {
        // A piece is far below 2 GiB, since a line is.
        let short = |n: usize| u32::try_from(n).unwrap_or(u32::MAX >> 1);
        let start = short(start) | if side { IN_SIDE } else { 0 };
        self.all.push(Row { start, length: short(row.len()), key: short(key), hash });
    }

    fn push_side(&mut self, start: usize, key: usize, hasher: RowHasher) {
        let side = std::mem::take(&mut self.side);
        let hash = hasher.hash(&side[start..start + key]);
        self.push((start, true), &side[start..], key, hash);
        self.side = side;
    }
}

/// Makes rows of the pieces of one file.
#[derive(Debug, Clone)]
pub(crate) struct RowMaker<'a> {
    spelling: &'a Spelling<'a>,
    fields: &'a Fields,
    hasher: RowHasher,
    max_bytes: usize,
    /// Whether the fields are the columns of the comparison, in their order.
    in_order: bool,
    /// Start and end of each field of the row at hand.
    cells: Vec<(usize, usize)>,
    found: Vec<Field>,
    marks: StructuralIndex,
}

impl<'a> RowMaker<'a> {
    /// For a file with `fields` and records of `max_bytes` at most.
    pub(crate) fn new(
        spelling: &'a Spelling<'a>,
        fields: &'a Fields,
        hasher: RowHasher,
        max_bytes: usize,
    ) -> Self {
        let in_order = (0..fields.kinds.len()).eq(fields.positions.iter().copied());
        let cells = vec![(0, 0); fields.kinds.len()];
        let (found, marks) = (Vec::new(), StructuralIndex::default());
        Self { spelling, fields, hasher, max_bytes, in_order, cells, found, marks }
    }

    /// Makes the rows of `chunk`, whole records.
    pub(crate) fn make(&mut self, chunk: &[u8], out: &mut Rows) {
        out.all.clear();
        out.side.clear();
        out.unreadable.clear();
        out.other_decimal = None;
        out.lines = 0;
        self.marks.look_at(chunk);
        widest(Making { maker: self, chunk, out });
    }

    /// Where a row in canonical spelling that starts at `at` ends, and the length of its line end.
    /// Notes where its cells are.
    #[inline(always)]
    fn canonical(&mut self, chunk: &[u8], at: usize) -> Option<(usize, usize)> {
        let width = self.fields.kinds.len();
        let ends = self.marks.row(at, width)?;
        let (mut start, mut end) = (at, at);
        for (field, kind) in self.fields.kinds.iter().enumerate() {
            end = ends[field] as usize;
            let canonical = self.spelling.is_canonical(*kind, Cell { chunk, start, end });
            if !canonical || (chunk[end] == b',') != (field + 1 < width) {
                return None;
            }
            self.cells[field] = (start, end);
            start = end + 1;
        }
        let line_end = match chunk[end] {
            b'\n' => 1,
            _ if chunk.get(end + 1) == Some(&b'\n') => 2,
            _ => 1,
        };
        // Of a single column, no cell may be a blank line or an empty cell; the careful path knows.
        if end == at || end - at + 2 > self.max_bytes {
            return None;
        }
        self.marks.pass(width);
        Some((end, line_end))
    }

    /// Takes the canonical row from `at` to `end` whose cells were noted.
    #[inline(always)]
    fn take(&mut self, chunk: &[u8], at: usize, end: usize, out: &mut Rows) {
        let keys = self.fields.keys;
        if self.in_order && chunk[end] == b'\n' {
            let key = self.cells[keys - 1].1 - at;
            let row = &chunk[at..=end];
            out.push((at, false), row, key, self.hasher.hash(&row[..key]));
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
        if let Some(last) = out.side.last_mut() {
            *last = b'\n';
        }
        out.push_side(start, key, self.hasher);
    }

    /// Takes the record at `at` apart; returns where the next one starts.
    fn careful(&mut self, chunk: &[u8], at: usize, out: &mut Rows) -> usize {
        let width = self.fields.kinds.len();
        if width > 1
            && let Some(length) = blank_line(&chunk[at..], true)
        {
            out.lines += 1;
            return at + length;
        }
        let shape = Shape { width, max_bytes: self.max_bytes };
        let mut found = std::mem::take(&mut self.found);
        let (end, lines, problem) = match record::scan(chunk, at, true, shape, &mut found) {
            Scan::Record { end, lines, problem } => (end, lines, problem),
            // A chunk ends with a record, so that the scan never asks for more.
            Scan::NeedMore => (chunk.len(), 1, Some(Malformed::Quote(0))),
        };
        let spelt = match problem {
            Some(problem) => Err(self.in_words(problem)),
            None => self.spell(chunk, (at, end), &found, out),
        };
        if let Err(message) = spelt {
            out.unreadable.push((out.lines, message));
        }
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
        if let Some(last) = out.side.last_mut() {
            *last = b'\n';
        }
        out.push_side(start, key, self.hasher);
        Ok(())
    }

    fn in_words(&self, problem: Malformed) -> String {
        let width = self.fields.kinds.len();
        match problem {
            Malformed::TooFew(found) | Malformed::TooMany(found) => {
                format!("expected {width} columns, found {found}")
            }
            Malformed::Quote(_) => {
                "a quote is not closed on its line, or text follows it".to_owned()
            }
            Malformed::TooLong => format!("longer than {} bytes", self.max_bytes),
        }
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
                Some((end, line_end)) => {
                    maker.take(chunk, at, end, out);
                    out.lines += 1;
                    end + line_end
                }
                None => maker.careful(chunk, at, out),
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
