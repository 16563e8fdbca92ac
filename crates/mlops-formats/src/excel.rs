//! Workbooks: recognises the form of the file and opens it, which calamine knows for those of Excel.
//!
//! Dates are as ISO 8601 has them, whole numbers are integers, and formulas are the values that were saved
//! with them. Not for the rows: see [`crate::sheet`].

use std::io::{BufReader, Read};

use calamine::{Data, DataRef, Reader, Sheet, SheetType, SheetVisible, Xls, Xlsb, Xlsx};
use mlops_core::{Error, Result};

use crate::apart;
use crate::decoder::Decoder;
use crate::file::Window;
use crate::ods::{self, Ods};
use crate::recognise::Wish;
use crate::sheet::{self, Book, Content, MOST_COLUMNS, PROTECTED, Range, Tab, Take};

/// A workbook of the old format is read whole, so that it must not be larger.
const MOST_OLD: u64 = 1 << 26;
/// What the parts of a workbook may unpack to.
const MOST_UNPACKED: u64 = 1 << 32;

type File = BufReader<Window>;

/// The rows of a workbook.
pub(crate) fn rows(wish: Wish, window: Window) -> Result<Box<dyn Decoder>> {
    let range = range(wish)?;
    let place = wish.path.display().to_string();
    let (options, wanted) = (wish.options.clone(), wish.columns.to_vec());
    apart::run(wish.path, move |sender| {
        let failed = |message: String| Error::schema(place.as_str(), message);
        let mut book = open(&window).map_err(failed)?;
        sheet::read(&mut *book, &options, &wanted, range, sender).map_err(failed)?;
        Ok(Vec::new())
    })
}

fn damaged(error: &dyn std::fmt::Display) -> String {
    format!("this workbook cannot be read: {error}")
}

fn open(window: &Window) -> Result<Box<dyn Book>, String> {
    let file = BufReader::with_capacity(1 << 16, window.clone());
    let Ok(mut archive) = zip::ZipArchive::new(window.clone()) else {
        if window.len() > MOST_OLD {
            return Err("this workbook of the old format is too large: save it as .xlsx".to_owned());
        }
        if is_encrypted(window) {
            return Err(PROTECTED.to_owned());
        }
        let book: Xls<File> = Xls::new(file).map_err(|e| damaged(&e))?;
        return Ok(Box::new(book));
    };
    let announced = archive.decompressed_size().unwrap_or(0);
    if announced > u128::from(MOST_UNPACKED) {
        return Err("this workbook unpacks to more than 4 GiB: save the sheet as CSV".to_owned());
    }
    if ods::is_one(&mut archive) {
        return Ok(Box::new(Ods::of(archive)?));
    }
    if archive.index_for_name("xl/workbook.bin").is_some() {
        let book: Xlsb<File> = Xlsb::new(file).map_err(|e| damaged(&e))?;
        return Ok(Box::new(book));
    }
    let book: Xlsx<File> = Xlsx::new(file).map_err(|e| damaged(&e))?;
    Ok(Box::new(book))
}

/// Whether this is a container of the old format around an encrypted workbook of the present one.
fn is_encrypted(window: &Window) -> bool {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut bytes = Vec::new();
    let read = window.clone().read_to_end(&mut bytes);
    read.is_ok() && memchr::memmem::find(&bytes, &name).is_some()
}

/// Those of the sheets that have cells.
fn tabs(sheets: &[Sheet]) -> Vec<Tab> {
    let of_cells = sheets.iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let tab = |sheet: &Sheet| Tab {
        name: sheet.name.clone(),
        shown: sheet.visible == SheetVisible::Visible,
    };
    of_cells.map(tab).collect()
}

impl Book for Xlsx<File> {
    fn tabs(&self) -> Vec<Tab> {
        tabs(self.sheets_metadata())
    }

    fn cells(&mut self, name: &str, take: Take) -> Result<(), String> {
        let mut cells = self.worksheet_cells_reader(name).map_err(|e| damaged(&e))?;
        while let Some(cell) = cells.next_cell_with_formula_metadata().map_err(|e| damaged(&e))? {
            let (row, column) = cell.pos;
            let content = match cell.value {
                DataRef::Empty if cell.formula.is_some() => Content::Uncalculated,
                value => Content::Value(value),
            };
            if !take(row, column, content)? {
                break;
            }
        }
        Ok(())
    }
}

impl Book for Xlsb<File> {
    fn tabs(&self) -> Vec<Tab> {
        tabs(self.sheets_metadata())
    }

    fn cells(&mut self, name: &str, take: Take) -> Result<(), String> {
        let mut cells = self.worksheet_cells_reader(name).map_err(|e| damaged(&e))?;
        while let Some(cell) = cells.next_cell().map_err(|e| damaged(&e))? {
            let (row, column) = cell.get_position();
            if !take(row, column, Content::Value(cell.get_value().clone()))? {
                break;
            }
        }
        Ok(())
    }
}

impl Book for Xls<File> {
    fn tabs(&self) -> Vec<Tab> {
        tabs(self.sheets_metadata())
    }

    fn cells(&mut self, name: &str, take: Take) -> Result<(), String> {
        let range = self.worksheet_range(name).map_err(|e| damaged(&e))?;
        let (top, left) = range.start().unwrap_or((0, 0));
        let at = |offset: usize, start: u32| {
            u32::try_from(offset).unwrap_or(u32::MAX).saturating_add(start)
        };
        for (row, column, value) in range.used_cells() {
            if !take(at(row, top), at(column, left), Content::Value(borrowed(value)))? {
                break;
            }
        }
        Ok(())
    }
}

fn borrowed(value: &Data) -> DataRef<'_> {
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

fn range(wish: Wish) -> Result<Range> {
    let whole = Range::WHOLE;
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
