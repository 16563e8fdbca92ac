//! A sheet of a workbook as rows: finds the sheet and the row that names the columns.
//!
//! Not for the form of the files: see [`crate::excel`] and [`crate::ods`].

use std::sync::Arc;

use calamine::{DataRef, ExcelDateTime};
use mlops_core::config::{Format, Ingestion};
use mlops_core::csv::chunk::CHUNK_BYTES;
use mlops_core::csv::clean::{self, FormatChanges};
use mlops_core::csv::formats::{Batch, Place, Refused, Why};
use mlops_core::csv::record::{Malformed, line_ends};
use mlops_core::text;

use crate::apart::Sender;
use crate::spell;
use crate::typed::Speller;

/// Columns that a sheet may have.
pub(crate) const MOST_COLUMNS: u32 = 16_384;
/// Rows among which the names of the columns are looked for, so that titles may stand above them.
const LOOK: usize = 100;
/// Sheets that are looked at.
const MOST_SHEETS: usize = 50;
/// Why a workbook cannot be opened that is encrypted.
pub(crate) const PROTECTED: &str = "this workbook is protected by a password: save it without one";

/// What a cell has.
pub(crate) enum Content<'a> {
    Value(DataRef<'a>),
    /// A formula whose value was not saved.
    Uncalculated,
}

/// Takes a cell by its row and column; returns whether more are wanted.
pub(crate) type Take<'a> = &'a mut dyn FnMut(u32, u32, Content) -> Result<bool, String>;

/// A sheet of a workbook.
#[derive(Debug, Clone)]
pub(crate) struct Tab {
    pub(crate) name: String,
    /// Whether people see it.
    pub(crate) shown: bool,
}

/// A workbook.
pub(crate) trait Book {
    /// Its sheets of cells.
    fn tabs(&self) -> Vec<Tab>;

    /// Hands the cells of a sheet over, row by row.
    fn cells(&mut self, name: &str, take: Take) -> Result<(), String>;
}

/// The first and last row and column, counted from 0, that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) top: u32,
    pub(crate) bottom: u32,
    pub(crate) left: u32,
    pub(crate) right: u32,
}

impl Range {
    /// All cells.
    pub(crate) const WHOLE: Self = Self { top: 0, bottom: u32::MAX, left: 0, right: MOST_COLUMNS };
}

/// The rows of the sheet that is configured, or has the columns `wanted`.
pub(crate) fn read(
    book: &mut dyn Book,
    options: &Ingestion,
    wanted: &[String],
    range: Range,
    sender: &Sender,
) -> Result<(), String> {
    let name = choose(book, &options.format, wanted, range)?;
    let mut sheet = Sheet::of(options, wanted, range, sender);
    sheet.part = name.as_str().into();
    book.cells(&name, &mut |row, column, content| sheet.take(row, column, content))?;
    sheet.finish()
}

/// The name of the sheet that is read.
fn choose(
    book: &mut dyn Book,
    format: &Format,
    wanted: &[String],
    range: Range,
) -> Result<String, String> {
    let tabs = book.tabs();
    let named = |tabs: &[Tab]| tabs.iter().map(|tab| tab.name.clone()).collect::<Vec<_>>();
    if let Some(wanted) = &format.sheet {
        return tabs.iter().find(|tab| tab.name == *wanted).map(|tab| tab.name.clone()).ok_or_else(
            || {
                format!(
                    "this workbook has no sheet \"{}\"; it has: {}. Correct \"format.sheet\"",
                    text::name(wanted),
                    text::names(named(&tabs))
                )
            },
        );
    }
    let mut shown: Vec<Tab> = tabs.iter().filter(|tab| tab.shown).cloned().collect();
    if shown.is_empty() {
        shown = tabs;
    }
    shown.truncate(MOST_SHEETS);
    if let [only] = &shown[..] {
        return Ok(only.name.clone());
    }
    let mut looks = Vec::new();
    for tab in &shown {
        let mut look = Look { range, ..Look::default() };
        book.cells(&tab.name, &mut |row, column, content| Ok(look.take(row, column, content)))?;
        look.end_row();
        if !look.rows.is_empty() {
            looks.push((&tab.name, look.rows));
        }
    }
    let [(first, rows), others @ ..] = &looks[..] else {
        let first = shown.first().map(|tab| tab.name.clone());
        return first.ok_or_else(|| "this workbook has no sheets".to_owned());
    };
    let unnamed = !format.names.is_empty() || format.header == Some(false);
    if others.is_empty() || unnamed {
        return Ok((*first).clone());
    }
    if wanted.is_empty() {
        let is_table = |rows: &Vec<Row>| rows.iter().filter(|row| row.cells.len() > 1).count() > 1;
        let table = looks.iter().find(|(_, rows)| is_table(rows)).map(|(name, _)| *name);
        return Ok(table.unwrap_or(first).clone());
    }
    let complete: Vec<&str> = looks
        .iter()
        .filter(|(_, rows)| rows.iter().any(|row| row.found(wanted) == wanted.len()))
        .map(|(name, _)| name.as_str())
        .collect();
    match &complete[..] {
        [only] => Ok((*only).to_owned()),
        [] => {
            let best = |rows: &[Row]| rows.iter().map(|row| row.found(wanted)).max();
            let nearest = looks.iter().rev().max_by_key(|(_, rows)| best(rows));
            let (name, rows) = nearest.map_or((*first, rows), |(name, rows)| (*name, rows));
            let header = &rows[header(rows, wanted)];
            Err(format!(
                "none of its sheets ({}) has all columns; \"{}\" has: {}. Name the sheet in \"format.sheet\", \
                 and correct the section \"schema\" or the \"columns\" of the source",
                text::names(named(&shown)),
                text::name(name),
                text::names(header.names())
            ))
        }
        several => Err(format!(
            "several of its sheets have the columns: {}. Name the one to read in \"format.sheet\", or save \
             each as a file",
            text::names(several)
        )),
    }
}

/// The cells of a row.
#[derive(Default)]
struct Row {
    number: u32,
    /// Those that have something, as fields of a record.
    cells: Vec<(u32, Vec<u8>)>,
    /// The columns of formulas without a value.
    uncalculated: Vec<u32>,
}

impl Row {
    /// Its cells as names.
    fn names(&self) -> Vec<String> {
        self.cells.iter().map(|(_, text)| name(text)).collect()
    }

    /// How many of the columns it names.
    fn found(&self, wanted: &[String]) -> usize {
        let bare = |name: &String| {
            clean::bare(name, false, false, &mut FormatChanges::default()).into_owned()
        };
        let names: Vec<String> = self.names().iter().map(bare).collect();
        wanted.iter().filter(|name| names.contains(name)).count()
    }
}

/// What a field says.
fn name(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field);
    let quoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    quoted.map_or_else(|| text.to_string(), |inner| inner.replace("\"\"", "\""))
}

/// Which row names the columns: the first one with the most of those that are wanted; if nobody says which
/// these are, the first one that is about as wide as the widest.
fn header(rows: &[Row], wanted: &[String]) -> usize {
    let widest = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let worth = |row: &Row| {
        if wanted.is_empty() {
            usize::from(2 * row.cells.len() >= widest)
        } else {
            row.found(wanted)
        }
    };
    let most = rows.iter().map(worth).max();
    rows.iter().position(|row| Some(worth(row)) == most).unwrap_or(0)
}

/// The first rows of a sheet.
#[derive(Default)]
struct Look {
    range: Range,
    rows: Vec<Row>,
    row: Row,
}

impl Default for Range {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl Look {
    fn take(&mut self, row: u32, column: u32, content: Content) -> bool {
        let Range { top, bottom, left, right } = self.range;
        if row > bottom {
            return false;
        }
        if row < top || !(left..=right).contains(&column) {
            return true;
        }
        if row != self.row.number {
            self.end_row();
            self.row.number = row;
        }
        if let Content::Value(value) = content {
            let mut text = Vec::new();
            push(&value, Speller { decimal: '.' }, &mut text);
            if !text.is_empty() {
                self.row.cells.push((column, text));
            }
        }
        self.rows.len() < LOOK
    }

    fn end_row(&mut self) {
        let row = std::mem::take(&mut self.row);
        if !row.cells.is_empty() {
            self.rows.push(row);
        }
    }
}

/// Where the cells of a row are.
struct Columns {
    left: u32,
    width: usize,
    /// Those that somebody wants.
    wanted: Vec<bool>,
}

/// A sheet while it is read.
struct Sheet<'a> {
    sender: &'a Sender,
    range: Range,
    speller: Speller,
    max_bytes: usize,
    given: Vec<String>,
    header: bool,
    wanted: Vec<String>,
    /// Rows among which the header is looked for.
    look: usize,
    /// Those that came before the columns were known, and the first of them that has all names.
    before: Vec<Row>,
    complete: Option<usize>,
    columns: Option<Columns>,
    row: Row,
    batch: Batch,
    part: Arc<str>,
}

impl<'a> Sheet<'a> {
    fn of(options: &Ingestion, wanted: &[String], range: Range, sender: &'a Sender) -> Self {
        let format = &options.format;
        let settled = format.range.is_some() || !format.names.is_empty();
        Self {
            sender,
            range,
            speller: Speller { decimal: options.numbers.decimal },
            max_bytes: options.max_line_bytes,
            given: format.names.clone(),
            header: format.header.unwrap_or(format.names.is_empty()),
            wanted: wanted.to_vec(),
            look: if settled { 1 } else { LOOK },
            before: Vec::new(),
            complete: None,
            columns: None,
            row: Row::default(),
            batch: Batch::default(),
            part: "".into(),
        }
    }

    fn take(&mut self, row: u32, column: u32, content: Content) -> Result<bool, String> {
        let Range { top, bottom, left, right } = self.range;
        if row > bottom {
            return Ok(false);
        }
        if row < top || !(left..=right).contains(&column) {
            return Ok(true);
        }
        if row != self.row.number && !self.end_row()? {
            return Ok(false);
        }
        if row < self.row.number {
            return Err("this workbook cannot be read: its rows are out of order".to_owned());
        }
        self.row.number = row;
        match content {
            Content::Value(value) => {
                let mut text = Vec::new();
                push(&value, self.speller, &mut text);
                if !text.is_empty() {
                    self.row.cells.push((column, text));
                }
            }
            Content::Uncalculated => self.row.uncalculated.push(column),
        }
        Ok(true)
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.end_row()? && self.settle()? && !self.batch.text.is_empty() {
            self.sender.batch(std::mem::take(&mut self.batch));
        }
        Ok(())
    }

    /// Takes the cells of a row; returns whether anybody still listens.
    fn end_row(&mut self) -> Result<bool, String> {
        let number = self.row.number;
        let row = std::mem::replace(&mut self.row, Row { number, ..Row::default() });
        if row.cells.is_empty() && row.uncalculated.is_empty() {
            return Ok(true);
        }
        if self.columns.is_some() || !self.header {
            return self.push_row(row);
        }
        let known = self.complete.is_some();
        if !known && !self.wanted.is_empty() && row.found(&self.wanted) == self.wanted.len() {
            self.complete = Some(self.before.len());
        }
        self.before.push(row);
        // The row behind the names shows where the first column is.
        if known || self.before.len() > self.look { self.settle() } else { Ok(true) }
    }

    /// Decides which of the rows so far names the columns, and takes those behind it.
    fn settle(&mut self) -> Result<bool, String> {
        let mut before = std::mem::take(&mut self.before);
        before.retain(|row| !row.cells.is_empty());
        if before.is_empty() || self.columns.is_some() {
            return Ok(true);
        }
        let at = if self.look == 1 { 0 } else { header(&before, &self.wanted) };
        let rows = before.split_off(at + 1);
        let Some(names) = before.pop() else { return Ok(true) };
        let first = |row: &Row| row.cells.first().map(|cell| cell.0);
        let last = names.cells.iter().map(|cell| cell.0).max().unwrap_or(0);
        let mut left = first(&names).unwrap_or(0);
        // A first column without a name, such as an index, is one all the same.
        if self.look > 1 {
            left = rows.first().and_then(first).map_or(left, |first| first.min(left));
        }
        let width = (last.saturating_sub(left) as usize) + 1;
        let mut found = vec![String::new(); width];
        for (column, text) in &names.cells {
            if let Some(place) = found.get_mut(column.saturating_sub(left) as usize) {
                *place = name(text);
            }
        }
        if !self.given.is_empty() {
            found = std::mem::take(&mut self.given);
        }
        if !self.tell(left, found) {
            return Ok(false);
        }
        for row in rows {
            if !self.push_row(row)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells the names of the columns; returns whether anybody listens.
    fn tell(&mut self, left: u32, names: Vec<String>) -> bool {
        let all = self.wanted.is_empty();
        let bare = |name: &String| {
            clean::bare(name, false, false, &mut FormatChanges::default()).into_owned()
        };
        let wanted = names.iter().map(|name| all || self.wanted.contains(&bare(name))).collect();
        self.columns = Some(Columns { left, width: names.len(), wanted });
        self.sender.header(names)
    }

    /// Appends a row; returns whether anybody still listens.
    fn push_row(&mut self, row: Row) -> Result<bool, String> {
        if self.columns.is_none() {
            let given = std::mem::take(&mut self.given);
            if !self.tell(self.range.left, given) {
                return Ok(false);
            }
        }
        let Some(columns) = &self.columns else { return Ok(true) };
        let Columns { left, width, wanted } = columns;
        let (left, width) = (*left, *width);
        for column in &row.uncalculated {
            let place = column.checked_sub(left).and_then(|place| wanted.get(place as usize));
            if place == Some(&true) {
                return Err(format!(
                    "row {} has a formula whose value was not saved, as happens if a program wrote the file: \
                     open it in a spreadsheet program and save it there",
                    row.number + 1
                ));
            }
        }
        if row.cells.is_empty() {
            return Ok(true);
        }
        let line = u32::try_from(self.batch.place.offsets.len()).unwrap_or(u32::MAX);
        let start = self.batch.text.len();
        let beyond = row
            .cells
            .iter()
            .map(|cell| cell.0)
            .find(|column| *column < left || (*column - left) as usize >= width);
        let mut cells = row.cells.into_iter().peekable();
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
                first: u64::from(row.number) + 1,
                offsets: Vec::new(),
            };
        }
        let first = u32::try_from(self.batch.place.first).unwrap_or(u32::MAX);
        let offset = (row.number + 1).saturating_sub(first);
        self.batch.place.offsets.extend((0..lines).map(|_| offset));
        if self.batch.text.len() < CHUNK_BYTES {
            return Ok(true);
        }
        Ok(self.sender.batch(std::mem::take(&mut self.batch)))
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
