//! Lines whose fields are at fixed places, counted in characters.
//!
//! A line that ends before the last field has empty fields there. Not for where fields are: the user
//! configures that.

use mlops_core::Result;
use mlops_core::config::{FixedField, Ingestion};
use mlops_core::csv::formats::{Batch, Place, Refused, Why};
use mlops_core::csv::quarantine::ErrorType;
use mlops_core::csv::record::Malformed;

use crate::decoder::{Decoder, Text};
use crate::spell;

/// The rows of a text.
pub(crate) struct Fixed {
    text: Text,
    fields: Vec<FixedField>,
    header: bool,
    comment: Option<u8>,
    max_bytes: usize,
    lines: u64,
}

impl Fixed {
    /// The rows of `text`.
    pub(crate) fn of(text: Text, options: &Ingestion) -> Self {
        let format = &options.format;
        Self {
            text,
            fields: format.fields.clone(),
            header: format.header.unwrap_or(false),
            comment: format.comment.and_then(|c| u8::try_from(c).ok()),
            max_bytes: options.max_line_bytes,
            lines: 0,
        }
    }

    fn record(&self, line: &[u8], out: &mut Vec<u8>) -> Result<(), Why> {
        if line.len() > self.max_bytes {
            return Err(Why::Malformed(Malformed::TooLong));
        }
        let Ok(text) = std::str::from_utf8(line) else {
            let message =
                "the bytes are not UTF-8: name the file's encoding in \"format.encoding\"";
            return Err(Why::Other(ErrorType::InvalidUnicode, message.to_owned()));
        };
        // In ASCII a character is a byte.
        let ascii = text.is_ascii();
        let place = |character: u32| {
            let character = character as usize;
            if ascii {
                return character.min(text.len());
            }
            text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
        };
        let last = self.fields.iter().map(|field| field.last).max().unwrap_or(0);
        if !text[place(last)..].trim().is_empty() {
            let message = format!("text follows the last field, which ends at character {last}");
            return Err(Why::Other(ErrorType::TooManyColumns, message));
        }
        for (i, field) in self.fields.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            let (start, end) = (place(field.first - 1), place(field.last));
            spell::push_cell(text[start..end].trim().as_bytes(), out);
        }
        Ok(())
    }
}

impl Decoder for Fixed {
    fn header(&mut self) -> Result<Option<Vec<String>>> {
        self.text.skip_marks()?;
        if self.text.is_empty() && !self.text.more()? {
            return Ok(None);
        }
        if self.header
            && let Some(length) = self.text.line()?
        {
            self.text.consume(length);
            self.lines = 1;
        }
        Ok(Some(self.fields.iter().map(|field| field.name.clone()).collect()))
    }

    fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        let Some(first) = self.text.line()? else { return Ok(false) };
        batch.place = Place { part: self.text.part(), first: self.lines + 1, offsets: Vec::new() };
        let bytes = self.text.bytes();
        let (mut at, mut number, mut next) = (0, 0_u32, Some(first));
        while let Some(end) = next {
            let line = bytes[at..end].trim_ascii_end();
            let skipped = line.trim_ascii().is_empty()
                || self.comment.is_some_and(|c| line.first() == Some(&c));
            if !skipped {
                let start = batch.text.len();
                let position = u32::try_from(at).unwrap_or(u32::MAX);
                if let Err(why) = self.record(line, &mut batch.text) {
                    batch.text.truncate(start);
                    spell::push_refused(self.fields.len(), &mut batch.text);
                    let line = u32::try_from(batch.source.starts.len()).unwrap_or(u32::MAX);
                    batch.refused.push(Refused { line, why });
                } else {
                    batch.text.push(b'\n');
                }
                batch.source.starts.push(position);
                batch.place.offsets.push(number);
            }
            at = end;
            number += 1;
            let rest = &bytes[at..];
            next = memchr::memchr2(b'\n', b'\r', rest).and_then(|n| {
                match (rest[n], rest.get(n + 1)) {
                    (b'\r', Some(b'\n')) => Some(at + n + 2),
                    (b'\r', None) if !self.text.is_whole() => None,
                    _ => Some(at + n + 1),
                }
            });
            if next.is_none() && self.text.is_whole() && !rest.is_empty() {
                next = Some(bytes.len());
            }
        }
        batch.source.starts.push(u32::try_from(at).unwrap_or(u32::MAX));
        batch.source.bytes = bytes[..at].to_vec();
        batch.source.offset = self.text.offset();
        self.lines += u64::from(number);
        self.text.consume(at);
        if batch.text.is_empty() {
            // Blank lines only.
            *batch = Batch::default();
            return self.next(batch);
        }
        Ok(true)
    }
}
