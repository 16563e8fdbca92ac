//! Workbooks of OpenDocument: the cells of one sheet, read as a stream.
//!
//! Not for what becomes of them: see [`crate::sheet`].

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};

use calamine::DataRef;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use zip::ZipArchive;

use crate::file::Window;
use crate::sheet::{Book, Content, MOST_COLUMNS, Tab, Take};

/// Rows that a sheet may have.
const MOST_ROWS: u32 = 1 << 24;
/// Cells that a sheet may announce as repetitions of others.
const MOST_REPEATED: u64 = 100_000_000;
/// What the cells may unpack to.
const MOST_UNPACKED: u64 = 1 << 32;
/// The type of these files, which templates continue.
const KIND: &[u8] = b"application/vnd.oasis.opendocument.spreadsheet";

/// Whether the archive is such a workbook.
pub(crate) fn is_one(archive: &mut ZipArchive<Window>) -> bool {
    let Ok(mut kind) = archive.by_name("mimetype") else { return false };
    let mut found = [0; KIND.len()];
    kind.read_exact(&mut found).is_ok() && found == KIND
}

/// A workbook.
pub(crate) struct Ods {
    archive: ZipArchive<Window>,
    tabs: Vec<Tab>,
}

fn damaged(error: &dyn std::fmt::Display) -> String {
    format!("this workbook cannot be read: {error}")
}

/// A cell with its value.
struct Cell {
    column: u32,
    repeated: u32,
    value: Owned,
}

enum Owned {
    Text(String),
    Number(f64),
    Truth(bool),
    Uncalculated,
}

impl Ods {
    /// The workbook in `archive`.
    pub(crate) fn of(mut archive: ZipArchive<Window>) -> Result<Self, String> {
        if is_encrypted(&mut archive) {
            return Err(crate::sheet::PROTECTED.to_owned());
        }
        let mut tabs = Vec::new();
        let mut hidden = HashSet::new();
        let mut style = String::new();
        let mut inside = 0;
        each(&mut archive, |_, event| {
            match event {
                Event::Start(start) => match start.name().0 {
                    "style:style" => style = value(&start, "style:name")?.unwrap_or_default(),
                    "style:table-properties"
                        if value(&start, "table:display")?.as_deref() == Some("false") =>
                    {
                        hidden.insert(std::mem::take(&mut style));
                    }
                    "table:table" => {
                        inside += 1;
                        if inside == 1 {
                            let style = value(&start, "table:style-name")?.unwrap_or_default();
                            let name = value(&start, "table:name")?.unwrap_or_default();
                            tabs.push(Tab { name, shown: !hidden.contains(&style) });
                        }
                    }
                    _ => {}
                },
                Event::End(end) if end.name().0 == "table:table" => inside -= 1,
                _ => {}
            }
            Ok(true)
        })?;
        Ok(Self { archive, tabs })
    }
}

impl Book for Ods {
    fn tabs(&self) -> Vec<Tab> {
        self.tabs.clone()
    }

    fn cells(&mut self, name: &str, take: Take) -> Result<(), String> {
        let (mut inside, mut ours, mut row, mut repeated) = (0, false, 0_u32, 0_u64);
        each(&mut self.archive, |reader, event| {
            match event {
                Event::Start(start) if start.name().0 == "table:table" => {
                    inside += 1;
                    if inside == 1 {
                        ours = value(&start, "table:name")?.as_deref() == Some(name);
                    }
                }
                Event::End(end) if end.name().0 == "table:table" => {
                    inside -= 1;
                    return Ok(inside > 0 || !ours);
                }
                Event::Start(start)
                    if ours && inside == 1 && start.name().0 == "table:table-row" =>
                {
                    let times = number(&start, "table:number-rows-repeated")?;
                    let cells = cells(reader)?;
                    if !cells.is_empty() {
                        let of_one: u64 = cells.iter().map(|cell| u64::from(cell.repeated)).sum();
                        let more = of_one.saturating_mul(times.into()) - cells.len() as u64;
                        repeated = repeated.saturating_add(more);
                        if repeated > MOST_REPEATED {
                            return Err(format!(
                                "the sheet repeats more than {MOST_REPEATED} cells, as only damaged or \
                                 malicious files do"
                            ));
                        }
                        for at in row..row.saturating_add(times) {
                            if !told(&cells, at, take)? {
                                return Ok(false);
                            }
                        }
                    }
                    row = row.saturating_add(times);
                    if row > MOST_ROWS && !cells.is_empty() {
                        return Err(format!("the sheet has more than {MOST_ROWS} rows"));
                    }
                }
                _ => {}
            }
            Ok(true)
        })
    }
}

/// Hands the cells of a row over; returns whether more are wanted.
fn told(cells: &[Cell], row: u32, take: Take) -> Result<bool, String> {
    for cell in cells {
        for column in cell.column..cell.column + cell.repeated {
            let content = match &cell.value {
                Owned::Text(text) => Content::Value(DataRef::SharedString(text)),
                Owned::Number(number) => Content::Value(DataRef::Float(*number)),
                Owned::Truth(truth) => Content::Value(DataRef::Bool(*truth)),
                Owned::Uncalculated => Content::Uncalculated,
            };
            if !take(row, column, content)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn is_encrypted(archive: &mut ZipArchive<Window>) -> bool {
    let Ok(manifest) = archive.by_name("META-INF/manifest.xml") else { return false };
    let mut text = Vec::new();
    let read = manifest.take(1 << 24).read_to_end(&mut text);
    read.is_ok() && memchr::memmem::find(&text, b"encryption-data").is_some()
}

type Xml<'a> = Reader<Box<dyn BufRead + 'a>>;

/// Tells `see` each event of the cells' part, until it wants no more.
fn each(
    archive: &mut ZipArchive<Window>,
    mut see: impl FnMut(&mut Xml, Event) -> Result<bool, String>,
) -> Result<(), String> {
    let part = archive.by_name("content.xml").map_err(|e| damaged(&e))?;
    let input: Box<dyn BufRead> =
        Box::new(BufReader::with_capacity(1 << 16, part.take(MOST_UNPACKED)));
    let mut reader = Reader::from_reader(input);
    reader.config_mut().expand_empty_elements = true;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(|e| damaged(&e))? {
            Event::Eof => return Ok(()),
            event => {
                if !see(&mut reader, event.into_owned())? {
                    return Ok(());
                }
            }
        }
    }
}

/// The value of an attribute.
fn value(start: &BytesStart, name: &str) -> Result<Option<String>, String> {
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|e| damaged(&e))?;
        if attribute.key.0 == name {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            return value.map(|value| Some(value.into_owned())).map_err(|e| damaged(&e));
        }
    }
    Ok(None)
}

/// A number of repetitions.
fn number(start: &BytesStart, name: &str) -> Result<u32, String> {
    let Some(found) = value(start, name)? else { return Ok(1) };
    found.parse().map_err(|_| damaged(&"a number of repetitions is not a number"))
}

/// The cells with values up to the end of the row.
fn cells(reader: &mut Xml) -> Result<Vec<Cell>, String> {
    let (mut cells, mut column, mut buffer) = (Vec::new(), 0_u32, Vec::new());
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(|e| damaged(&e))? {
            Event::Start(start)
                if matches!(start.name().0, "table:table-cell" | "table:covered-table-cell") =>
            {
                let start = start.into_owned();
                let repeated = number(&start, "table:number-columns-repeated")?;
                let text = paragraphs(reader, start.name().0)?;
                if let Some(value) = content(&start, text)? {
                    if column.saturating_add(repeated) > MOST_COLUMNS {
                        return Err(damaged(&"a row has too many cells"));
                    }
                    cells.push(Cell { column, repeated, value });
                }
                column = column.saturating_add(repeated);
            }
            Event::End(end) if end.name().0 == "table:table-row" => return Ok(cells),
            Event::Eof => return Err(damaged(&"it is cut off")),
            _ => {}
        }
    }
}

/// What a cell with these paragraphs has; `None` if it is empty.
fn content(start: &BytesStart, text: String) -> Result<Option<Owned>, String> {
    let found = |name: &str| value(start, name);
    let kind = found("office:value-type")?.unwrap_or_default();
    let is_error = found("calcext:value-type")?.as_deref() == Some("error");
    let value = match kind.as_str() {
        "float" | "percentage" | "currency" => {
            let number = found("office:value")?.and_then(|value| value.parse().ok());
            number.map_or(Owned::Text(text), Owned::Number)
        }
        "boolean" => Owned::Truth(found("office:boolean-value")?.as_deref() == Some("true")),
        "date" => {
            let date = found("office:date-value")?.unwrap_or(text);
            Owned::Text(date.strip_suffix("T00:00:00").unwrap_or(&date).to_owned())
        }
        "time" => match found("office:time-value")?.as_deref().and_then(days) {
            Some(days) => Owned::Number(days),
            None => Owned::Text(text),
        },
        "string" if !is_error => Owned::Text(found("office:string-value")?.unwrap_or(text)),
        "" if text.is_empty() && found("table:formula")?.is_some() => Owned::Uncalculated,
        _ => Owned::Text(text),
    };
    Ok(match value {
        Owned::Text(text) if text.is_empty() => None,
        value => Some(value),
    })
}

/// The days of a duration such as `PT12H30M05.5S`.
fn days(text: &str) -> Option<f64> {
    let (sign, rest) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let mut rest = rest.strip_prefix("PT")?;
    let mut seconds = 0.0;
    for (unit, factor) in [('H', 3600.0), ('M', 60.0), ('S', 1.0)] {
        if let Some((number, behind)) = rest.split_once(unit) {
            seconds += number.parse::<f64>().ok()? * factor;
            rest = behind;
        }
    }
    rest.is_empty().then_some(sign * seconds / 86_400.0)
}

/// The paragraphs up to the end of the cell called `name`, without its comments and drawings.
fn paragraphs(reader: &mut Xml, name: &str) -> Result<String, String> {
    let (mut text, mut paragraphs, mut inside) = (String::new(), 0, 0_u32);
    let (mut buffer, mut passed) = (Vec::new(), Vec::new());
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(|e| damaged(&e))? {
            Event::Start(start) => match start.name().0 {
                "text:p" | "text:h" => {
                    if paragraphs > 0 {
                        text.push('\n');
                    }
                    paragraphs += 1;
                    inside += 1;
                }
                "text:s" => {
                    let blanks = number(&start, "text:c")?.min(1 << 16);
                    text.extend(std::iter::repeat_n(' ', blanks as usize));
                    inside += 1;
                }
                "text:tab" => {
                    text.push('\t');
                    inside += 1;
                }
                "text:line-break" => {
                    text.push('\n');
                    inside += 1;
                }
                // Fields within a paragraph show what they say.
                other if inside > 0 && other.starts_with("text:") && other != "text:note" => {
                    inside += 1;
                }
                _ => {
                    let end = start.to_end().into_owned();
                    passed.clear();
                    reader.read_to_end_into(end.name(), &mut passed).map_err(|e| damaged(&e))?;
                }
            },
            Event::Text(found) if inside > 0 => text.push_str(&found.xml10_content()),
            Event::CData(found) if inside > 0 => text.push_str(&found.xml10_content()),
            Event::GeneralRef(found) if inside > 0 => {
                if let Some(known) = quick_xml::escape::resolve_xml_entity(&found) {
                    text.push_str(known);
                } else if let Some(found) = found.resolve_char_ref().map_err(|e| damaged(&e))? {
                    text.push(found);
                }
            }
            Event::End(end) if inside == 0 && end.name().0 == name => return Ok(text),
            Event::End(_) => inside = inside.saturating_sub(1),
            Event::Eof => return Err(damaged(&"it is cut off")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_days() {
        assert_eq!(days("PT12H00M00S"), Some(0.5));
        assert_eq!(days("-PT36H"), Some(-1.5));
        assert_eq!(days("PT00H00M43.2S"), Some(0.0005));
        assert_eq!(days("P1D"), None);
        assert_eq!(days("PTxH"), None);
    }
}
