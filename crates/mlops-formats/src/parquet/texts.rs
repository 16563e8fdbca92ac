//! The cells of a text column of a row group, as ranges of its pages.
//!
//! The parquet crate's reader makes a reference-counted object of each cell, which takes longer than everything
//! else. Page headers, compression and metadata are left to the crate; only the content of a page of texts is
//! read here, in the encodings that practically all writers use. Columns in other encodings go to the crate's
//! reader.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ColumnChunkMetaData;

use super::runs::Runs;
use crate::spell;

/// The cells of a batch, and what is left of the column.
pub(crate) struct Texts {
    pages: Box<dyn PageReader>,
    /// The level at which a cell has a value.
    defined: u16,
    dictionary: Vec<Cell>,
    has_dictionary: bool,
    levels: Levels,
    values: Values,
    /// Cells of the present page that were not read.
    left: usize,
    /// Texts of the present batch: the dictionary, then pages.
    stores: Vec<Bytes>,
    cells: Vec<Cell>,
    numbers: Vec<u32>,
}

/// Where a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    start: u32,
    length: u32,
    /// The number of its store, [`MISSING`] if there is no cell.
    store: u16,
    /// Whether it needs no quotes in a CSV record.
    plain: bool,
}

const MISSING: u16 = u16::MAX;

/// Stores of a batch; a batch with more of them is damaged, since pages have more than one cell.
const MOST_STORES: usize = 1 << 15;

/// Whether the cells of a page are there.
enum Levels {
    /// All are.
    All,
    Runs(Runs),
    /// One bit for each, the highest one of a byte first: how old files have it.
    Bits(Bytes, usize),
}

/// The values of a page.
enum Values {
    None,
    Plain(Bytes, usize),
    Places(Runs),
}

fn damaged(message: &str) -> ParquetError {
    ParquetError::General(message.to_owned())
}

fn too_few() -> ParquetError {
    ParquetError::EOF("a column has fewer values than rows".to_owned())
}

/// Whether the texts of a column are in encodings that are read here.
pub(crate) fn are_known(column: &ColumnChunkMetaData) -> bool {
    column.encodings().all(|encoding| {
        #[expect(deprecated, reason = "old files have it")]
        let old = encoding == Encoding::BIT_PACKED;
        old || matches!(
            encoding,
            Encoding::PLAIN | Encoding::RLE | Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY
        )
    })
}

impl Texts {
    /// The cells of the column whose pages these are and whose values are there at the level `defined`.
    pub(crate) fn of(pages: Box<dyn PageReader>, defined: i16) -> Self {
        Self {
            pages,
            defined: defined.unsigned_abs(),
            dictionary: Vec::new(),
            has_dictionary: false,
            levels: Levels::All,
            values: Values::None,
            left: 0,
            stores: vec![Bytes::new()],
            cells: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// Replaces the batch by the next `rows` cells.
    pub(crate) fn decode(&mut self, rows: usize) -> ParquetResult<()> {
        self.cells.clear();
        self.stores.truncate(1);
        if let Values::Plain(page, _) = &self.values {
            self.stores.push(page.clone());
        }
        while self.cells.len() < rows {
            if self.left == 0 {
                self.open()?;
                continue;
            }
            let count = self.left.min(rows - self.cells.len());
            self.read(count)?;
            self.left -= count;
        }
        Ok(())
    }

    /// Passes over the next `rows` cells.
    pub(crate) fn pass_over(&mut self, mut rows: usize) -> ParquetResult<()> {
        while rows > 0 {
            let some = rows.min(crate::rows::ROWS);
            self.decode(some)?;
            rows -= some;
        }
        Ok(())
    }

    /// The text of cell `row` of the batch, if it is there.
    #[inline]
    pub(crate) fn cell(&self, row: usize) -> Option<&[u8]> {
        self.text(*self.cells.get(row)?)
    }

    /// All cells of the batch.
    pub(crate) fn each(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.cells.iter().map(|cell| self.text(*cell))
    }

    /// For each cell of the batch what `of` makes of its text; of equal neighbours in a dictionary it is asked
    /// once.
    pub(crate) fn map<T: Copy>(
        &self,
        of: impl Fn(&[u8]) -> Option<T>,
    ) -> impl Iterator<Item = Option<T>> {
        let mut known: [Option<(Cell, Option<T>)>; 2] = [None; 2];
        self.cells.iter().map(move |cell| {
            for (before, answer) in known.iter().flatten() {
                if before == cell {
                    return *answer;
                }
            }
            let answer = self.text(*cell).and_then(&of);
            known = [Some((*cell, answer)), known[0]];
            answer
        })
    }

    /// Appends cell `row` of the batch as a field; nothing if it is missing.
    #[inline]
    pub(crate) fn push(&self, row: usize, out: &mut Vec<u8>) {
        let Some(cell) = self.cells.get(row) else { return };
        let Some(text) = self.text(*cell) else { return };
        if cell.plain {
            out.extend_from_slice(text);
        } else {
            spell::push_quoted(text, out);
        }
    }

    #[inline]
    fn text(&self, cell: Cell) -> Option<&[u8]> {
        let store = self.stores.get(usize::from(cell.store))?;
        store.get(cell.start as usize..(cell.start + cell.length) as usize)
    }

    /// Opens the next page.
    fn open(&mut self) -> ParquetResult<()> {
        let page = self.pages.get_next_page()?.ok_or_else(too_few)?;
        match page {
            Page::DictionaryPage { buf, num_values, .. } => {
                if self.has_dictionary {
                    return Err(damaged("a column has two dictionaries"));
                }
                self.has_dictionary = true;
                self.dictionary = Vec::with_capacity((num_values as usize).min(buf.len() / 4));
                let mut at = 0;
                for _ in 0..num_values {
                    self.dictionary.push(plain(&buf, &mut at, 0)?);
                }
                self.stores[0] = buf;
            }
            Page::DataPage { buf, num_values, encoding, def_level_encoding, .. } => {
                let (levels, values) =
                    self.of_first_version(buf, num_values, def_level_encoding)?;
                self.begin(num_values, levels, values, encoding)?;
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let start = rep_levels_byte_len as usize;
                let end = start.checked_add(def_levels_byte_len as usize);
                let end = end.filter(|end| *end <= buf.len()).ok_or_else(too_few)?;
                let levels = match self.defined {
                    0 => Levels::All,
                    _ => Levels::Runs(self.runs(buf.slice(start..end))?),
                };
                self.begin(num_values, levels, buf.slice(end..), encoding)?;
            }
        }
        Ok(())
    }

    /// The levels and the values of a page in which the length of the levels comes first.
    fn of_first_version(
        &self,
        buf: Bytes,
        cells: u32,
        encoding: Encoding,
    ) -> ParquetResult<(Levels, Bytes)> {
        if self.defined == 0 {
            return Ok((Levels::All, buf));
        }
        if encoding == Encoding::RLE {
            let length = buf.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
            let end = length.and_then(|length| length.checked_add(4));
            let end = end.filter(|end| *end <= buf.len()).ok_or_else(too_few)?;
            return Ok((Levels::Runs(self.runs(buf.slice(4..end))?), buf.slice(end..)));
        }
        let bytes = (cells as usize).div_ceil(8);
        if self.defined > 1 || bytes > buf.len() {
            return Err(ParquetError::NYI(format!("levels in the encoding {encoding}")));
        }
        Ok((Levels::Bits(buf.slice(..bytes), 0), buf.slice(bytes..)))
    }

    fn runs(&self, data: Bytes) -> ParquetResult<Runs> {
        let width = u16::BITS - self.defined.leading_zeros();
        let runs = u8::try_from(width).ok().and_then(|width| Runs::of(data, width));
        runs.ok_or_else(|| damaged("its levels are too high"))
    }

    fn begin(
        &mut self,
        cells: u32,
        levels: Levels,
        values: Bytes,
        encoding: Encoding,
    ) -> ParquetResult<()> {
        self.left = cells as usize;
        self.levels = levels;
        self.values = match encoding {
            Encoding::PLAIN => {
                if self.stores.len() > MOST_STORES {
                    return Err(damaged("its pages are too small"));
                }
                self.stores.push(values.clone());
                Values::Plain(values, 0)
            }
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY if self.has_dictionary => {
                match values.split_first() {
                    Some((width, _)) => {
                        let runs = Runs::of(values.slice(1..), *width);
                        Values::Places(runs.ok_or_else(|| damaged("its places are too wide"))?)
                    }
                    // All cells are missing.
                    None => Values::None,
                }
            }
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY => {
                return Err(damaged("a column lacks its dictionary"));
            }
            encoding => return Err(ParquetError::NYI(format!("texts in the encoding {encoding}"))),
        };
        Ok(())
    }

    /// Appends `count` cells of the present page to the batch.
    fn read(&mut self, count: usize) -> ParquetResult<()> {
        let mut levels = [0; 1024];
        let mut left = count;
        while left > 0 {
            let levels = &mut levels[..left.min(1024)];
            let defined = u32::from(self.defined);
            match &mut self.levels {
                Levels::All => levels.fill(defined),
                Levels::Runs(runs) => runs.fill(levels).ok_or_else(too_few)?,
                Levels::Bits(bits, at) => {
                    for level in &mut *levels {
                        *level = u32::from(bits[*at / 8] >> (7 - *at % 8) & 1);
                        *at += 1;
                    }
                }
            }
            self.values(levels)?;
            left -= levels.len();
        }
        Ok(())
    }

    /// Appends a cell for each of the levels.
    fn values(&mut self, levels: &[u32]) -> ParquetResult<()> {
        const NOTHING: Cell = Cell { start: 0, length: 0, store: MISSING, plain: true };
        let defined = u32::from(self.defined);
        let is_there = |level: &u32| *level == defined;
        match &mut self.values {
            Values::None if levels.iter().any(is_there) => return Err(too_few()),
            Values::None => self.cells.resize(self.cells.len() + levels.len(), NOTHING),
            Values::Plain(page, at) => {
                let store = u16::try_from(self.stores.len() - 1).unwrap_or(MISSING);
                for level in levels {
                    let cell = if is_there(level) { plain(page, at, store)? } else { NOTHING };
                    self.cells.push(cell);
                }
            }
            Values::Places(runs) => {
                let there = levels.iter().filter(|level| is_there(level)).count();
                self.numbers.resize(there, 0);
                runs.fill(&mut self.numbers).ok_or_else(too_few)?;
                let mut places = self.numbers.iter();
                for level in levels {
                    let place = if is_there(level) { places.next() } else { None };
                    self.cells.push(match place {
                        Some(place) => *self
                            .dictionary
                            .get(*place as usize)
                            .ok_or_else(|| damaged("a value is not in the dictionary"))?,
                        None => NOTHING,
                    });
                }
            }
        }
        Ok(())
    }
}

/// The text with its length before it at the place `at`, which is moved on.
#[inline]
fn plain(page: &[u8], at: &mut usize, store: u16) -> ParquetResult<Cell> {
    let rest = page.get(*at..).unwrap_or_default();
    let length = rest.first_chunk().map(|length| u32::from_le_bytes(*length));
    let length = length.ok_or_else(too_few)?;
    let text = rest[4..].get(..length as usize).ok_or_else(too_few)?;
    let start = u32::try_from(*at + 4).map_err(|_| damaged("a page is too large"))?;
    *at += 4 + text.len();
    Ok(Cell { start, length, store, plain: spell::is_plain(text) })
}
