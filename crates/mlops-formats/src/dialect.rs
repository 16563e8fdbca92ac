//! Text in any dialect of CSV as rows: outside quotes the separator becomes a comma, and each physical
//! line stays one.
//!
//! Not for recognising the dialect: see [`crate::sniff`]; not for the grammar: see [`crate::record`].

use std::ops::Range;

use mlops_core::Result;
use mlops_core::csv::formats::{Batch, Place, Refused, Why};
use mlops_core::csv::record::line_ends;

use crate::decoder::{Decoder, Text};
use crate::record::{self, Dialect, Field, Limits, Next};
use crate::spell;
use crate::spell::push_quoted;

/// How a text is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) dialect: Dialect,
    /// The names of the columns, if the header's do not count.
    pub(crate) names: Vec<String>,
    /// The first record is a header.
    pub(crate) header: bool,
    /// The number of lines before the header or the first row that are neither.
    pub(crate) preamble: u64,
}

/// The rows of a text.
pub(crate) struct Delimited {
    text: Text,
    reading: Reading,
    max_bytes: usize,
    width: usize,
    fields: Vec<Field>,
    /// Lines before the present place.
    lines: u64,
}

impl Delimited {
    /// The rows of `text`.
    pub(crate) fn of(text: Text, reading: Reading, max_bytes: usize) -> Self {
        Self { text, reading, max_bytes, width: 0, fields: Vec::new(), lines: 0 }
    }

    /// What begins at the front of the text.
    fn front(&mut self, limits: Limits) -> Result<Option<Next>> {
        loop {
            if self.text.is_empty() && !self.text.more()? {
                return Ok(None);
            }
            let (buffer, last) = (self.text.bytes(), self.text.is_whole());
            match record::next(buffer, 0, last, self.reading.dialect, limits, &mut self.fields) {
                Next::NeedMore => {
                    self.text.more()?;
                }
                next => return Ok(Some(next)),
            }
        }
    }

    /// The text without some of its lines.
    fn skip(&mut self, bytes: usize) {
        self.lines += line_ends(&self.text.bytes()[..bytes]);
        self.text.consume(bytes);
    }

    fn names(&self) -> Vec<String> {
        let buffer = self.text.bytes();
        let name = |field: &Field| {
            let content = record::content(buffer, *field, self.reading.dialect);
            let name = String::from_utf8_lossy(&content);
            name.trim().trim_matches('\u{feff}').to_owned()
        };
        self.fields.iter().map(name).collect()
    }
}

impl Decoder for Delimited {
    fn header(&mut self) -> Result<Option<Vec<String>>> {
        self.text.skip_marks()?;
        // The lines of a preamble are lines, whatever they contain.
        for _ in 0..self.reading.preamble {
            match self.text.line()? {
                Some(length) => self.skip(length),
                None => break,
            }
        }
        let limits = Limits { width: None, max_bytes: usize::MAX };
        let mut names = loop {
            if !self.reading.header {
                break Vec::new();
            }
            match self.front(limits)? {
                None => return Ok(None),
                Some(Next::Skipped(end)) => self.skip(end),
                Some(Next::Record(end)) => {
                    let names = self.names();
                    self.skip(end);
                    break names;
                }
                Some(Next::Malformed(..) | Next::NeedMore) => {
                    return Err(self.text.schema("the header has a quote that is never closed"));
                }
            }
        };
        if !self.reading.names.is_empty() {
            if self.reading.header && names.len() != self.reading.names.len() {
                return Err(self.text.schema(&format!(
                    "its header has {} columns and \"format.names\" has {}: name each column",
                    names.len(),
                    self.reading.names.len()
                )));
            }
            names.clone_from(&self.reading.names);
        }
        self.width = names.len();
        Ok(Some(names))
    }

    fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        let limits = Limits { width: Some(self.width), max_bytes: self.max_bytes };
        // The front decides how far the buffer must reach.
        if self.front(limits)?.is_none() {
            return Ok(false);
        }
        batch.place = Place::rows(self.text.part(), self.lines + 1);
        let whole = self.text.is_whole();
        let buffer = self.text.bytes();
        let Reading { dialect, .. } = self.reading;
        let end = if let Some(end) = translate_simply(buffer, whole, dialect, &mut batch.text) {
            end
        } else {
            let mut at = 0;
            while at < buffer.len() {
                let line = u32::try_from(batch.source.starts.len()).unwrap_or(u32::MAX);
                let start = u32::try_from(at).unwrap_or(u32::MAX);
                match record::next(buffer, at, whole, dialect, limits, &mut self.fields) {
                    Next::NeedMore => break,
                    Next::Skipped(end) => {
                        batch.text.push(b'\n');
                        batch.source.starts.push(start);
                        at = end;
                    }
                    Next::Record(end) => {
                        push_record(buffer, at..end, &self.fields, dialect, &mut batch.text);
                        batch.source.starts.push(start);
                        at = end;
                        let further = line_ends(&buffer[start as usize..end]).saturating_sub(1);
                        let next = u32::try_from(at).unwrap_or(u32::MAX);
                        batch.source.starts.extend((0..further).map(|_| next));
                    }
                    Next::Malformed(end, problem) => {
                        spell::push_refused(self.width, &mut batch.text);
                        let why = Why::Malformed(problem);
                        batch.refused.push(Refused { line, why });
                        batch.source.starts.push(start);
                        at = end;
                    }
                }
            }
            batch.source.starts.push(u32::try_from(at).unwrap_or(u32::MAX));
            at
        };
        batch.source.bytes = buffer[..end].to_vec();
        batch.source.offset = self.text.offset();
        self.skip(end);
        Ok(true)
    }
}

/// Translates whole lines at the front of `buffer` byte by byte, if none of them has anything but plain
/// fields; returns their end.
fn translate_simply(
    buffer: &[u8],
    whole: bool,
    dialect: Dialect,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let end = if whole { buffer.len() } else { memchr::memrchr(b'\n', buffer)? + 1 };
    let lines = &buffer[..end];
    let Dialect { delimiter, quote, comment, .. } = dialect;
    let has = |b: u8| memchr::memchr(b, lines).is_some();
    let quoted = has(b'"') || quote.is_some_and(|quote| quote != b'"' && has(quote));
    if quoted || comment.is_some() || (delimiter != b',' && has(b',')) || has(b'\r') {
        return None;
    }
    // A line of tabs is a row; of commas, too.
    out.extend(lines.iter().map(|b| if *b == delimiter { b',' } else { *b }));
    Some(end)
}

fn push_record(
    buffer: &[u8],
    record: Range<usize>,
    fields: &[Field],
    dialect: Dialect,
    out: &mut Vec<u8>,
) {
    for (i, field) in fields.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if field.quoted {
            // Quotes are kept, since their removal is counted.
            let content = record::content(buffer, *field, dialect);
            push_quoted(&content, out);
            continue;
        }
        let raw = &buffer[field.start..field.end];
        if memchr::memchr2(b',', b'"', raw).is_none() {
            out.extend_from_slice(raw);
            continue;
        }
        // What the parser would take for quotes around the text is such, as in any other file.
        let blanks = raw.len() - raw.trim_ascii_start().len();
        let (start, end) = (field.start + blanks, field.start + blanks + raw.trim_ascii().len());
        let enclosed = end - start >= 2 && buffer[start] == b'"' && buffer[end - 1] == b'"';
        if enclosed && dialect.quote == Some(b'"') {
            let inner = Field { start: start + 1, end: end - 1, quoted: true };
            push_quoted(&record::content(buffer, inner, dialect), out);
        } else {
            spell::push_cell(raw, out);
        }
    }
    let end = &buffer[record];
    let cr_lf: &[u8] = if end.ends_with(b"\r\n") {
        b"\r\n"
    } else if end.ends_with(b"\r") {
        b"\r"
    } else {
        b"\n"
    };
    out.extend_from_slice(cr_lf);
}
