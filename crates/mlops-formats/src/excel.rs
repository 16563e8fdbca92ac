//! Workbooks: the cells of one sheet, row by row.
//!
//! The first row with cells names the columns. Dates are as ISO 8601 has them, whole numbers are integers,
//! and formulas are the values that were saved with them. Not for the form of the files, which calamine
//! knows.

use std::io::BufReader;

use calamine::{Cell, Data, DataRef, ExcelDateTime, Reader, Xls, Xlsb, Xlsx};
use mlops_core::config::{Format, Ingestion};
use mlops_core::csv::chunk::CHUNK_BYTES;
use mlops_core::csv::formats::{Batch, Place, Refused, Why};
use mlops_core::csv::record::{Malformed, line_ends};
use mlops_core::{Error, Result, text};

use crate::apart::{self, Sender};
use crate::decoder::Decoder;
use crate::file::Window;
use crate::recognise::Wish;
use crate::spell;
use crate::typed::Speller;

/// Columns that a sheet may have.
const MOST_COLUMNS: u32 = 16_384;
/// A workbook of the old format is read whole, so that it must not be larger.
const MOST_OLD: u64 = 1 << 26;
/// What the parts of a workbook may unpack to.
const MOST_UNPACKED: u64 = 1 << 32;

type File = BufReader<Window>;

/// The rows of a workbook.
pub(crate) fn rows(wish: Wish, window: Window) -> Result<Box<dyn Decoder>> {
    let range = range(wish)?;
    let place = wish.path.display().to_string();
    let options = wish.options.clone();
    apart::run(wish.path, move |sender| {
        let failed = |message: String| Error::schema(place.as_str(), message);
        let sheet = Sheet::of(&options, range, sender);
        workbook(&options.format, &window, sheet).map_err(failed)
    })
}

fn workbook(format: &Format, window: &Window, sheet: Sheet) -> Result<Vec<String>, String> {
    let damaged = |e: &dyn std::fmt::Display| format!("this workbook cannot be read: {e}");
    let file = BufReader::with_capacity(1 << 16, window.clone());
    let Ok(archive) = zip::ZipArchive::new(window.clone()) else {
        if window.len() > MOST_OLD {
            return Err("this workbook of the old format is too large: save it as .xlsx".to_owned());
        }
        let mut book: Xls<File> = Xls::new(file).map_err(|e| damaged(&e))?;
        let name = sheet_name(format, &book.sheet_names())?;
        let range = book.worksheet_range(&name).map_err(|e| damaged(&e))?;
        let (top, left) = range.start().unwrap_or((0, 0));
        let cells = range.used_cells().map(|(row, column, value)| {
            let at = |offset: usize, start: u32| {
                u32::try_from(offset).unwrap_or(u32::MAX).saturating_add(start)
            };
            (at(row, top), at(column, left), owned(value))
        });
        let mut cells = cells.map(Ok);
        return sheet.read(name, || cells.next().transpose());
    };
    let announced = archive.decompressed_size().unwrap_or(0);
    if announced > u128::from(MOST_UNPACKED) {
        return Err("this workbook unpacks to more than 4 GiB: save the sheet as CSV".to_owned());
    }
    if archive.index_for_name("xl/workbook.bin").is_some() {
        let mut book: Xlsb<File> = Xlsb::new(file).map_err(|e| damaged(&e))?;
        let name = sheet_name(format, &book.sheet_names())?;
        let mut cells = book.worksheet_cells_reader(&name).map_err(|e| damaged(&e))?;
        return sheet.read(name, || cells.next_cell().map(of).map_err(|e| damaged(&e)));
    }
    if archive.index_for_name("xl/workbook.xml").is_none() {
        return Err("this is a workbook of OpenDocument: save it as .xlsx or as CSV".to_owned());
    }
    let mut book: Xlsx<File> = Xlsx::new(file).map_err(|e| damaged(&e))?;
    let name = sheet_name(format, &book.sheet_names())?;
    let mut cells = book.worksheet_cells_reader(&name).map_err(|e| damaged(&e))?;
    sheet.read(name, || cells.next_cell().map(of).map_err(|e| damaged(&e)))
}

type At<T> = (u32, u32, T);

fn of(cell: Option<Cell<DataRef<'_>>>) -> Option<At<DataRef<'_>>> {
    cell.map(|cell| {
        let (row, column) = cell.get_position();
        (row, column, cell.get_value().clone())
    })
}

fn owned(value: &Data) -> DataRef<'_> {
    match value {
        Data::Int(value) => DataRef::Int(*value),
        Data::Float(value) => DataRef::Float(*value),
        Data::String(value) => DataRef::SharedString(value),
        Data::Bool(value) => DataRef::Bool(*value),
        Data::DateTime(value) => DataRef::DateTime(*value),
        Data::DateTimeIso(value) => DataRef::DateTimeIso(value.clone()),
        Data::DurationIso(value) => DataRef::DurationIso(value.clone()),
        Data::Error(value) => DataRef::Error(value.clone()),
        Data::Empty => DataRef::Empty,
    }
}

fn sheet_name(format: &Format, names: &[String]) -> Result<String, String> {
    let Some(wanted) = &format.sheet else {
        return names.first().cloned().ok_or_else(|| "this workbook has no sheets".to_owned());
    };
    names.iter().find(|name| *name == wanted).cloned().ok_or_else(|| {
        format!(
            "this workbook has no sheet \"{}\"; it has: {}. Correct \"format.sheet\"",
            text::name(wanted),
            text::names(names)
        )
    })
}

/// The first and last row and column, counted from 0, that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    top: u32,
    bottom: u32,
    left: u32,
    right: u32,
}

fn range(wish: Wish) -> Result<Range> {
    let whole = Range { top: 0, bottom: u32::MAX, left: 0, right: MOST_COLUMNS };
    let Some(text) = &wish.options.format.range else { return Ok(whole) };
    let (first, last) = text.split_once(':').unwrap_or((text, ""));
    let found = cell(first).zip(if last.is_empty() {
        Some((whole.bottom, whole.right))
    } else {
        cell(last)
    });
    match found {
        Some(((top, left), (bottom, right))) if top <= bottom && left <= right => {
            Ok(Range { top, bottom, left, right })
        }
        _ => Err(wish.schema(&format!(
            "\"{}\" of \"format.range\" is not a range of cells: write it as \"B3:F200\", or as \"B3\" for all \
             from there on",
            mlops_core::text::name(text)
        ))),
    }
}

/// Row and column, from 0, of `B3`.
fn cell(name: &str) -> Option<(u32, u32)> {
    let name = name.trim().trim_start_matches('$');
    let letters = name.find(|c: char| !c.is_ascii_alphabetic())?;
    let (column, row) = name.split_at(letters);
    let row = row.trim_start_matches('$').parse::<u32>().ok()?.checked_sub(1)?;
    let mut number = 0_u32;
    for letter in column.bytes() {
        let digit = u32::from(letter.to_ascii_uppercase() - b'A') + 1;
        number = number.checked_mul(26)?.checked_add(digit)?;
    }
    let column = number.checked_sub(1).filter(|column| *column < MOST_COLUMNS)?;
    Some((row, column))
}

/// A sheet while it is read.
struct Sheet<'a> {
    sender: &'a Sender,
    range: Range,
    speller: Speller,
    max_bytes: usize,
    given: Vec<String>,
    header: bool,
    /// The columns that the names have, once these are known.
    columns: Option<(u32, usize)>,
    /// The cells of the present row by column.
    row: u32,
    cells: Vec<(u32, Vec<u8>)>,
    batch: Batch,
    part: std::sync::Arc<str>,
}

impl<'a> Sheet<'a> {
    fn of(options: &Ingestion, range: Range, sender: &'a Sender) -> Self {
        let format = &options.format;
        Self {
            sender,
            range,
            speller: Speller { decimal: options.numbers.decimal },
            max_bytes: options.max_line_bytes,
            given: format.names.clone(),
            header: format.header.unwrap_or(format.names.is_empty()),
            columns: None,
            row: 0,
            cells: Vec::new(),
            batch: Batch::default(),
            part: "".into(),
        }
    }

    /// Reads all cells, which `next` gives row by row.
    fn read<'b>(
        mut self,
        name: String,
        mut next: impl FnMut() -> Result<Option<At<DataRef<'b>>>, String>,
    ) -> Result<Vec<String>, String> {
        self.part = name.into();
        while let Some((row, column, value)) = next()? {
            let Range { top, bottom, left, right } = self.range;
            if row > bottom {
                break;
            }
            if row < top || !(left..=right).contains(&column) {
                continue;
            }
            if row != self.row && !self.end_row() {
                return Ok(Vec::new());
            }
            if row < self.row {
                return Err("this workbook cannot be read: its rows are out of order".to_owned());
            }
            self.row = row;
            let mut text = Vec::new();
            push(&value, self.speller, &mut text);
            if !text.is_empty() {
                self.cells.push((column, text));
            }
        }
        if self.end_row() && !self.batch.text.is_empty() {
            self.sender.batch(std::mem::take(&mut self.batch));
        }
        Ok(Vec::new())
    }

    /// Takes the cells of a row; returns whether anybody still listens.
    fn end_row(&mut self) -> bool {
        if self.cells.is_empty() {
            return true;
        }
        let cells = std::mem::take(&mut self.cells);
        let (left, width) = if let Some(columns) = self.columns {
            columns
        } else {
            let columns = self.name(&cells);
            self.columns = Some(columns);
            if self.header {
                return true;
            }
            columns
        };
        let line = u32::try_from(self.batch.place.offsets.len()).unwrap_or(u32::MAX);
        let start = self.batch.text.len();
        let beyond = cells
            .iter()
            .map(|cell| cell.0)
            .find(|column| *column < left || (*column - left) as usize >= width);
        let mut cells = cells.into_iter().peekable();
        let mut lines = 1;
        if let Some(beyond) = beyond {
            let found = (beyond.saturating_sub(left) as usize + 1).max(width + 1);
            spell::push_refused(width, &mut self.batch.text);
            let why = Why::Malformed(Malformed::TooMany(found));
            self.batch.refused.push(Refused { line, why });
        } else {
            for i in 0..width {
                if i > 0 {
                    self.batch.text.push(b',');
                }
                let column = left.saturating_add(u32::try_from(i).unwrap_or(u32::MAX));
                if let Some((_, text)) = cells.next_if(|cell| cell.0 == column) {
                    self.batch.text.extend_from_slice(&text);
                }
            }
            self.batch.text.push(b'\n');
            if self.batch.text.len() - start > self.max_bytes {
                self.batch.text.truncate(start);
                spell::push_refused(width, &mut self.batch.text);
                self.batch.refused.push(Refused { line, why: Why::Malformed(Malformed::TooLong) });
            } else {
                lines = line_ends(&self.batch.text[start..]);
            }
        }
        if self.batch.place.part.is_none() {
            self.batch.place = Place {
                part: Some(self.part.clone()),
                first: u64::from(self.row) + 1,
                offsets: Vec::new(),
            };
        }
        let first = u32::try_from(self.batch.place.first).unwrap_or(u32::MAX);
        let offset = (self.row + 1).saturating_sub(first);
        self.batch.place.offsets.extend((0..lines).map(|_| offset));
        if self.batch.text.len() < CHUNK_BYTES {
            return true;
        }
        self.sender.batch(std::mem::take(&mut self.batch))
    }

    /// Tells the names of the columns; returns the first column and their number.
    fn name(&mut self, cells: &[(u32, Vec<u8>)]) -> (u32, usize) {
        let first = cells.first().map_or(0, |cell| cell.0);
        let last = cells.iter().map(|cell| cell.0).max().unwrap_or(first);
        let width = (last.saturating_sub(first) as usize) + 1;
        let mut names = vec![String::new(); width];
        for (column, text) in cells {
            let text = String::from_utf8_lossy(text);
            let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(&text);
            if let Some(name) = names.get_mut(column.saturating_sub(first) as usize) {
                *name = text.replace("\"\"", "\"");
            }
        }
        if !self.given.is_empty() {
            names = std::mem::take(&mut self.given);
        }
        let width = names.len();
        let first = if self.header { first } else { self.range.left };
        self.sender.header(names);
        (first, width)
    }
}

fn push(value: &DataRef, speller: Speller, out: &mut Vec<u8>) {
    match value {
        DataRef::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        DataRef::Float(value) => speller.double(*value, out),
        DataRef::String(value) | DataRef::DateTimeIso(value) | DataRef::DurationIso(value) => {
            spell::push_cell(value.as_bytes(), out);
        }
        DataRef::SharedString(value) => spell::push_cell(value.as_bytes(), out),
        DataRef::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        DataRef::DateTime(value) => date(*value, speller, out),
        DataRef::Error(value) => spell::push_cell(value.to_string().as_bytes(), out),
        DataRef::Empty => {}
    }
}

fn date(value: ExcelDateTime, speller: Speller, out: &mut Vec<u8>) {
    let number = value.as_f64();
    if value.is_duration() || !(0.0..2_958_466.0).contains(&number) {
        return speller.double(number, out);
    }
    let (year, month, day, hour, minute, second, milli) = value.to_ymd_hms_milli();
    let time = match (hour, minute, second, milli) {
        (0, 0, 0, 0) => String::new(),
        (.., 0) => format!("T{hour:02}:{minute:02}:{second:02}"),
        _ => format!("T{hour:02}:{minute:02}:{second:02}.{milli:03}"),
    };
    out.extend_from_slice(format!("{year:04}-{month:02}-{day:02}{time}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_names() {
        assert_eq!(cell("A1"), Some((0, 0)));
        assert_eq!(cell("$AB$12"), Some((11, 27)));
        assert_eq!(cell("XFD1"), Some((0, MOST_COLUMNS - 1)));
        for wrong in ["", "A", "1", "A0", "XFE1", "A-1", "ÄB1", "AAAAAAAAAAAAAAAAA1"] {
            assert_eq!(cell(wrong), None, "{wrong}");
        }
    }
}
