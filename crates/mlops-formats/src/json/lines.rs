//! A JSON object on each line.
//!
//! A line that is not an object costs only that row. Not for arrays: see
//! [`super::array`].

use std::path::PathBuf;
use std::sync::Arc;

use mlops_core::Result;
use mlops_core::csv::formats::{Batch, Place, Refused, Why};
use mlops_core::csv::quarantine::ErrorType;
use mlops_core::csv::record::Malformed;

use super::columns::{Columns, Refusal};
use super::paths::Paths;
use super::scan::Scanner;
use crate::decoder::{Decoder, Text};
use crate::lanes::{Lanes, Parts};
use crate::recognise::Wish;
use crate::spell;

/// A column that occurs in no object of the first bytes does not exist.
pub(super) const LOOK_AHEAD: usize = 1 << 24;

/// The rows of a text.
pub(crate) struct Lines {
    path: PathBuf,
    text: Text,
    wanted: Vec<String>,
    decimal: char,
    max_bytes: usize,
    threads: usize,
    /// Lines before the present place.
    before: u64,
    reading: Reading,
}

/// Who decodes the lines.
enum Reading {
    /// Nobody else.
    Here(Objects),
    /// Others, of whom no more than one would be no gain.
    Apart(Lanes<Piece>),
}

/// Some whole lines of a text.
pub(crate) struct Piece {
    bytes: Vec<u8>,
    part: Option<Arc<str>>,
    /// The number of the first one, from 1.
    first: u64,
    /// Where it begins in the file, if the text is the file's bytes.
    offset: Option<u64>,
}

/// What makes records of lines.
pub(crate) struct Objects {
    columns: Columns,
    max_bytes: usize,
}

impl Lines {
    /// The rows of `text`, with the columns that are wanted.
    pub(crate) fn of(text: Text, wish: Wish) -> Self {
        let (wanted, options) = (wish.columns.to_vec(), wish.options);
        let (decimal, max_bytes) = (options.numbers.decimal, options.max_line_bytes);
        let reading = Reading::Here(Objects { columns: Columns::of(&wanted, decimal), max_bytes });
        Self {
            path: wish.path.to_owned(),
            text,
            wanted,
            decimal,
            max_bytes,
            threads: wish.threads,
            before: 0,
            reading,
        }
    }

    /// The next lines; `None` at the end.
    fn cut(&mut self) -> Result<Option<Piece>> {
        let text = &mut self.text;
        let end = loop {
            match memchr::memrchr(b'\n', text.bytes()) {
                Some(end) => break end + 1,
                None if text.more()? => {}
                None => break text.bytes().len(),
            }
        };
        if end == 0 {
            return Ok(None);
        }
        let (part, offset, first) = (text.part(), text.offset(), self.before + 1);
        let bytes = text.take(end);
        let lines = memchr::memchr_iter(b'\n', &bytes).count() as u64;
        self.before += lines + u64::from(bytes.last() != Some(&b'\n'));
        Ok(Some(Piece { bytes, part, first, offset }))
    }
}

/// The columns that a text with `wanted` and perhaps others has, of which `seen` looked at the beginning.
pub(super) fn header(seen: &Columns, wanted: &[String]) -> Vec<String> {
    if seen.are_complete() {
        return wanted.to_vec();
    }
    // The error for a missing column lists all columns.
    seen.present().into_iter().chain(seen.extra()).collect()
}

impl Decoder for Lines {
    fn header(&mut self) -> Result<Option<Vec<String>>> {
        self.text.skip_marks()?;
        if self.wanted.is_empty() {
            while self.text.bytes().len() < LOOK_AHEAD && self.text.more()? {}
            let mut paths = Paths::default();
            self.text.bytes().split(|b| *b == b'\n').for_each(|line| paths.note(line));
            self.wanted = paths.columns();
        }
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
        let first = self.text.bytes().split(|b| *b == b'\n').next().unwrap_or_default();
        if seen.present().is_empty() && !self.wanted.is_empty() && !super::arrays(first).is_empty()
        {
            return Err(self.text.schema(&super::not_at_the_top(first)));
        }
        let names = header(&seen, &self.wanted);
        let (decimal, max_bytes) = (self.decimal, self.max_bytes);
        let objects = || Objects { columns: Columns::of(&names, decimal), max_bytes };
        self.reading = match self.threads {
            0 | 1 => Reading::Here(objects()),
            // No thread can be had.
            threads => Lanes::start(&self.path, threads, objects)
                .map_or_else(|_| Reading::Here(objects()), Reading::Apart),
        };
        Ok(Some(names))
    }

    fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        loop {
            let is_hungry = match &self.reading {
                Reading::Here(_) => true,
                Reading::Apart(lanes) => lanes.is_hungry(),
            };
            let piece = if is_hungry { self.cut()? } else { None };
            let ended = is_hungry && piece.is_none();
            match (&mut self.reading, piece) {
                (Reading::Here(objects), Some(piece)) => {
                    *batch = objects.records(piece);
                    if !batch.text.is_empty() {
                        return Ok(true);
                    }
                }
                (Reading::Apart(lanes), Some(piece)) => lanes.give(piece),
                (Reading::Here(_), None) => return Ok(false),
                (Reading::Apart(lanes), None) => {
                    let found = lanes.take(batch)?;
                    if found || ended {
                        return Ok(found);
                    }
                }
            }
        }
    }

    fn extra(&self) -> Vec<String> {
        match &self.reading {
            Reading::Here(objects) => objects.columns.extra(),
            Reading::Apart(lanes) => lanes.extra(),
        }
    }
}

impl Parts for Objects {
    type Part = Piece;

    fn decode(&mut self, piece: Piece, tell: &mut dyn FnMut(Batch) -> bool) -> Result<()> {
        let batch = self.records(piece);
        if !batch.text.is_empty() {
            tell(batch);
        }
        Ok(())
    }

    fn more_extra(&mut self) -> Vec<String> {
        self.columns.more_extra()
    }
}

impl Objects {
    /// The records of some lines; none if all are blank.
    fn records(&mut self, piece: Piece) -> Batch {
        let Piece { bytes, part, first, offset } = piece;
        let mut batch =
            Batch { place: Place { part, first, offsets: Vec::new() }, ..Batch::default() };
        let is_utf8 = std::str::from_utf8(&bytes).is_ok();
        let (mut at, mut number, end) = (0, 0, bytes.len());
        batch.text.reserve(end);
        while at < end {
            let length = memchr::memchr(b'\n', &bytes[at..]).map_or(end - at, |n| n + 1);
            let line = &bytes[at..at + length];
            let next = at + length;
            if !line.trim_ascii().is_empty() {
                let start = batch.text.len();
                let read = if is_utf8 || std::str::from_utf8(line).is_ok() {
                    record(&mut self.columns, line, &mut batch.text)
                } else {
                    Err(Why::Other(
                        ErrorType::InvalidUnicode,
                        "the bytes are not UTF-8: save the file as UTF-8".to_owned(),
                    ))
                };
                let read = match read {
                    Ok(_) if batch.text.len() - start > self.max_bytes => {
                        Err(Why::Malformed(Malformed::TooLong))
                    }
                    read => read,
                };
                let lines = read.unwrap_or_else(|why| {
                    batch.text.truncate(start);
                    spell::push_refused(self.columns.width(), &mut batch.text);
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
        batch.source.offset = offset;
        batch.source.bytes = bytes;
        batch
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
