//! A JSON object on each line.
//!
//! A line that is no object is a row that cannot be read, and nothing more. Not for arrays: see
//! [`super::array`].

use mlops_core::Result;
use mlops_core::config::Ingestion;
use mlops_core::csv::formats::{Batch, Place, Refused, Why};
use mlops_core::csv::quarantine::ErrorType;
use mlops_core::csv::record::Malformed;

use super::columns::{Columns, Refusal};
use super::scan::Scanner;
use crate::decoder::{Decoder, Text};
use crate::spell;

/// A column that occurs in no object of the first bytes does not exist.
pub(super) const LOOK_AHEAD: usize = 1 << 24;

/// The rows of a text.
pub(crate) struct Lines {
    text: Text,
    wanted: Vec<String>,
    columns: Columns,
    decimal: char,
    max_bytes: usize,
    /// Lines before the present place.
    before: u64,
}

impl Lines {
    /// The rows of `text`, with the columns `wanted`.
    pub(crate) fn of(text: Text, wanted: &[String], options: &Ingestion) -> Self {
        let decimal = options.numbers.decimal;
        Self {
            text,
            wanted: wanted.to_vec(),
            columns: Columns::of(wanted, decimal),
            decimal,
            max_bytes: options.max_line_bytes,
            before: 0,
        }
    }
}

/// The columns that a text with `wanted` and perhaps others has, of which `seen` looked at the beginning.
pub(super) fn header(seen: &Columns, wanted: &[String]) -> Vec<String> {
    if seen.are_complete() {
        return wanted.to_vec();
    }
    // Whoever misses a column is told of all.
    seen.present().into_iter().chain(seen.extra()).collect()
}

impl Decoder for Lines {
    fn header(&mut self) -> Result<Option<Vec<String>>> {
        self.text.skip_marks()?;
        let mut seen = Columns::of(&self.wanted, self.decimal);
        let mut from = 0;
        while !seen.are_complete() && from < LOOK_AHEAD {
            let rest = &self.text.bytes()[from..];
            let end = memchr::memchr(b'\n', rest).map(|n| n + 1);
            let Some(end) = end.or(self.text.is_whole().then_some(rest.len())) else {
                self.text.more()?;
                continue;
            };
            if end == 0 {
                break;
            }
            let _ = seen.read(&mut Scanner::of(&rest[..end], false));
            from += end;
        }
        if from == 0 && self.text.is_empty() {
            return Ok(None);
        }
        let names = header(&seen, &self.wanted);
        self.columns = Columns::of(&names, self.decimal);
        Ok(Some(names))
    }

    fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        let Self { text, columns, max_bytes, .. } = self;
        let end = loop {
            match memchr::memrchr(b'\n', text.bytes()) {
                Some(end) => break end + 1,
                None if text.more()? => {}
                None => break text.bytes().len(),
            }
        };
        let bytes = &text.bytes()[..end];
        if bytes.is_empty() {
            return Ok(false);
        }
        let is_utf8 = std::str::from_utf8(bytes).is_ok();
        batch.place = Place { part: text.part(), first: self.before + 1, offsets: Vec::new() };
        let (mut at, mut number) = (0, 0);
        while at < end {
            let length = memchr::memchr(b'\n', &bytes[at..]).map_or(end - at, |n| n + 1);
            let line = &bytes[at..at + length];
            let next = at + length;
            if !line.trim_ascii().is_empty() {
                let start = batch.text.len();
                let read = if is_utf8 || std::str::from_utf8(line).is_ok() {
                    record(columns, line, &mut batch.text)
                } else {
                    Err(Why::Other(
                        ErrorType::InvalidUnicode,
                        "the bytes are not UTF-8: save the file as UTF-8".to_owned(),
                    ))
                };
                let read = match read {
                    Ok(_) if batch.text.len() - start > *max_bytes => {
                        Err(Why::Malformed(Malformed::TooLong))
                    }
                    read => read,
                };
                let lines = read.unwrap_or_else(|why| {
                    batch.text.truncate(start);
                    spell::push_refused(columns.width(), &mut batch.text);
                    let line = u32::try_from(batch.source.starts.len()).unwrap_or(u32::MAX);
                    batch.refused.push(Refused { line, why });
                    1
                });
                batch.source.starts.push(u32::try_from(at).unwrap_or(u32::MAX));
                batch.place.offsets.push(number);
                for _ in 1..lines {
                    batch.source.starts.push(u32::try_from(next).unwrap_or(u32::MAX));
                    batch.place.offsets.push(number);
                }
            }
            at = next;
            number += 1;
        }
        batch.source.starts.push(u32::try_from(end).unwrap_or(u32::MAX));
        batch.source.bytes = bytes.to_vec();
        batch.source.offset = text.offset();
        self.before += u64::from(number);
        text.consume(end);
        if batch.text.is_empty() {
            // Blank lines only.
            *batch = Batch::default();
            return self.next(batch);
        }
        Ok(true)
    }

    fn extra(&self) -> Vec<String> {
        self.columns.extra()
    }
}

/// Appends the object on `line` as a record; returns the number of its lines.
fn record(columns: &mut Columns, line: &[u8], out: &mut Vec<u8>) -> Result<u32, Why> {
    let mut scanner = Scanner::of(line, false);
    let read = columns.read(&mut scanner).and_then(|()| {
        if scanner.bytes()[scanner.at..].trim_ascii().is_empty() {
            columns.write(line, out)
        } else {
            Err(Refusal::Told("this is no JSON object: something follows it".to_owned()))
        }
    });
    read.map_err(|refusal| {
        let message = match refusal {
            Refusal::End => "this is no JSON object: the line ends within it".to_owned(),
            Refusal::Told(message) => message,
        };
        Why::Other(ErrorType::InvalidJson, message)
    })
}
