//! Parses a chunk of records straight into typed columns, for readers that do not need the rows'
//! bytes.
//!
//! Our own data sets are canonical. A row that is verified to be canonical, cell by cell, is read
//! in place; any other row, also one that stops being plain half-way, is undone and takes the
//! general path ([`super::parse`]), whose canonical bytes are then read. Both paths give the same
//! values. Not for writing, and not for counting spellings.

#![expect(clippy::inline_always, reason = "see `simd`")]

use crate::platform::simd::{Work, widest};
use crate::table::schema::Role;
use crate::table::{RawTexts, Table, TextColumn, number};

use super::date_cell::canonical_date;
use super::parse::{Parsed, RowParser, spells_missing};
use super::spelling::{BareLabels, Cell};

/// The number of rows read column by column at a time: this many stay in the first-level cache.
const MOST_ROWS: usize = 256;
const LEAST_ROWS: usize = 8;

/// What a reader needs of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The texts of id columns.
    pub(crate) ids: bool,
    /// The hash of the row.
    pub(crate) hashes: bool,
    /// Of the features only these numeric columns, from the first to before the second; the other
    /// cells are known to be good. `None` for all features.
    pub(crate) numbers: Option<(usize, usize)>,
}

impl Wanted {
    /// Whether the numeric column `j` is read.
    fn number(self, j: usize) -> bool {
        self.numbers.is_none_or(|(first, end)| (first..end).contains(&j))
    }
}

impl RowParser<'_> {
    /// Reads the whole records in `chunk`, whose first byte is at `offset` in the file, into
    /// `table`, which is cleared first. `out` receives the rejected records and the number of
    /// lines.
    pub(crate) fn values(
        &mut self,
        chunk: &[u8],
        offset: u64,
        wanted: Wanted,
        out: &mut Parsed,
        table: &mut Table,
    ) {
        out.clear(self.schema.width());
        table.clear();
        let unknown = self.labels.negative.is_none();
        self.look(chunk);
        // Without a choice of numbers nothing is asked about them in the loop over the rows.
        match wanted.numbers {
            None => widest(Values::<true> { parser: self, chunk, offset, wanted, out, table }),
            Some(_) => widest(Values::<false> { parser: self, chunk, offset, wanted, out, table }),
        }
        self.tell_labels(unknown, out);
    }

    /// Reads a row that is not plain; returns the start of the next one.
    #[inline(never)]
    fn other_row(
        &mut self,
        (chunk, at, offset): (&[u8], usize, u64),
        wanted: Wanted,
        out: &mut Parsed,
        table: &mut Table,
    ) -> usize {
        let next = self.slow_path(chunk, at, offset, out);
        if let Some(row) = out.rows.pop() {
            let bytes = out.bytes(chunk, row.extent);
            let hash = wanted.hashes.then_some(row.hash);
            table.push_canonical(bytes, self.schema, hash, wanted.ids);
        }
        next
    }

    /// Reads at most `most` plain rows from `at` on, column by column; returns their number and the
    /// start of the next row. A row is plain if it is canonical, has no quotes and ends in a bare
    /// newline.
    #[inline(always)]
    fn plain_rows<const ALL: bool>(
        &mut self,
        (chunk, at, most): (&[u8], usize, usize),
        wanted: Wanted,
        table: &mut Table,
    ) -> (usize, usize) {
        let width = self.roles.len();
        let ends = self.index.rows(chunk, at, width, most);
        let before = table.len();
        let mut good = ends.len() / width;
        let (mut id, mut numeric, mut categorical) = (0, 0, 0);
        // Whether ids are missing; they are counted once it is known which rows are good.
        let mut gaps = false;
        for (column, role) in self.roles.iter().enumerate() {
            let cells =
                CellColumn { chunk, at, ends: &ends[..good * width], width, position: column };
            match role {
                Role::Numeric => {
                    if ALL || wanted.number(numeric) {
                        let values = &mut table.numeric[numeric];
                        values.resize(before + good, 0.0);
                        good = cells.numbers(&mut values[before..]);
                    } else {
                        good = cells.each(|_, _| true);
                    }
                    numeric += 1;
                }
                Role::Date => {
                    if ALL || wanted.number(numeric) {
                        let values = &mut table.numeric[numeric];
                        values.resize(before + good, 0.0);
                        good = cells.each(|row, cell| {
                            match canonical_date(self.options, cell.bytes()) {
                                Some(days) => values[before + row] = days,
                                None => return false,
                            }
                            true
                        });
                    } else {
                        good = cells.each(|_, _| true);
                    }
                    numeric += 1;
                }
                Role::Id => {
                    let texts = wanted.ids.then(|| &mut table.ids[id]);
                    good = cells.texts(texts, &mut self.texts, |text| {
                        gaps |= text.is_empty();
                        false
                    });
                    id += 1;
                }
                Role::Categorical if !ALL => good = cells.each(|_, _| true),
                Role::Categorical => {
                    let missing = |text: &[u8]| spells_missing(self.options, text);
                    let texts = Some(&mut table.categorical[categorical]);
                    good = cells.texts(texts, &mut self.texts, missing);
                    categorical += 1;
                }
                Role::Target => {
                    table.labels.resize(before + good, false);
                    let labels = &mut table.labels[before..];
                    good = cells.labels(&self.bare_labels, labels);
                }
            }
        }
        let longest = self.options.max_line_bytes.saturating_sub(2);
        if longest < chunk.len() {
            let fits = |(start, end): &(usize, usize)| end - start <= longest;
            good = rows_of(at, &ends[..good * width], width).take_while(fits).count();
        }
        table.truncate(before + good);
        let ends = &ends[..good * width];
        if wanted.hashes
            && let Some(hasher) = self.hasher
        {
            let rows = rows_of(at, ends, width);
            table.hashes.extend(rows.map(|(start, end)| hasher.hash(&chunk[start..=end])));
        }
        let ids = self.roles.iter().enumerate().filter(|(_, role)| **role == Role::Id);
        for (id, (column, _)) in ids.enumerate() {
            let cells = CellColumn { chunk, at, ends, width, position: column };
            table.count_ids(id, good as u64, if gaps { cells.empty() } else { 0 });
        }
        table.end_rows(good);
        let next = ends.last().map_or(at, |end| *end as usize + 1);
        let taken = ends.len();
        self.index.pass(taken);
        (good, next)
    }
}

/// The start of each row and of its line end.
#[inline(always)]
fn rows_of(at: usize, ends: &[u32], width: usize) -> impl Iterator<Item = (usize, usize)> {
    let lasts = ends.chunks_exact(width).map(move |row| row[width - 1] as usize);
    lasts.scan(at, |start, last| Some((std::mem::replace(start, last + 1), last)))
}

/// The cells of one column in consecutive rows.
#[derive(Clone, Copy)]
struct CellColumn<'a> {
    chunk: &'a [u8],
    /// The start of the first row.
    at: usize,
    /// The ends of all cells of these rows.
    ends: &'a [u32],
    width: usize,
    /// The column's position in the row.
    position: usize,
}

impl<'a> CellColumn<'a> {
    /// Passes each cell to `take` until that refuses one, or until a cell is not followed by the
    /// delimiter that its column requires; returns how many were taken.
    #[inline(always)]
    fn each(self, mut take: impl FnMut(usize, Cell<'a>) -> bool) -> usize {
        let Self { chunk, at, ends, width, position } = self;
        let separator = if position + 1 == width { b'\n' } else { b',' };
        let mut before = at.wrapping_sub(1);
        for (row, cells) in ends.chunks_exact(width).enumerate() {
            let end = cells[position] as usize;
            let start = if position == 0 { before } else { cells[position - 1] as usize };
            let cell = Cell { chunk, start: start.wrapping_add(1), end };
            before = cells[width - 1] as usize;
            if chunk[end] != separator || !take(row, cell) {
                return row;
            }
        }
        ends.len() / width
    }

    /// Reads numbers; NaN is a missing value.
    #[inline(always)]
    fn numbers(self, values: &mut [f64]) -> usize {
        self.each(|row, cell| {
            values[row] = match cell.short_number() {
                Some(value) => value,
                None if cell.is_number() => number(cell.bytes()),
                None => return false,
            };
            true
        })
    }

    /// Reads texts, or only checks them; an empty one is a missing value. They are collected in
    /// `found`, so that one check covers all of them.
    #[inline(always)]
    fn texts(
        self,
        into: Option<&mut TextColumn>,
        found: &mut RawTexts,
        mut refuse: impl FnMut(&[u8]) -> bool,
    ) -> usize {
        let Some(into) = into else {
            return self.each(|_, cell| cell.is_text() && !refuse(cell.bytes()));
        };
        found.clear();
        let good = self.each(|_, cell| {
            let good = cell.is_text() && !refuse(cell.bytes());
            if good {
                found.push(cell.bytes());
            }
            good
        });
        // Plain bytes are ASCII; if they were not, the slow path would report the fault.
        if into.extend(found) { good } else { 0 }
    }

    /// Reads labels; true is the positive one.
    #[inline(always)]
    fn labels(self, known: &BareLabels, labels: &mut [bool]) -> usize {
        self.each(|row, cell| {
            let (is_label, is_positive) = known.find(cell);
            labels[row] = is_positive;
            is_label
        })
    }

    /// The number of empty cells.
    #[inline(always)]
    fn empty(self) -> u64 {
        let mut empty = 0;
        self.each(|_, cell| {
            empty += u64::from(cell.is_empty());
            true
        });
        empty
    }
}

/// Parses a chunk into values.
struct Values<'a, 'p, const ALL: bool> {
    parser: &'a mut RowParser<'p>,
    chunk: &'a [u8],
    offset: u64,
    wanted: Wanted,
    out: &'a mut Parsed,
    table: &'a mut Table,
}

impl<const ALL: bool> Work for Values<'_, '_, ALL> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { parser, chunk, offset, wanted, out, table } = self;
        let (mut at, mut most) = (0, MOST_ROWS);
        while at < chunk.len() {
            if parser.fast {
                let rows;
                (rows, at) = parser.plain_rows::<ALL>((chunk, at, most), wanted, table);
                out.lines += u32::try_from(rows).unwrap_or(u32::MAX);
                // If the slow path is hit often, the batch shrinks so that less fast-path work is
                // wasted.
                let all = rows == most;
                most = if all { MOST_ROWS } else { (2 * rows).clamp(LEAST_ROWS, MOST_ROWS) };
                if all || at == chunk.len() {
                    continue;
                }
            }
            at = parser.other_row((chunk, at, offset), wanted, out, table);
        }
    }
}
