//! A JSON array of objects, at the top or at a path in objects; or objects one behind the other.
//!
//! An element that is not an object is a row that cannot be read; if the text itself is not JSON, it is
//! unclear where the next row begins, and the whole file is refused. Not for lines: see
//! [`super::lines`].

use mlops_core::Result;
use mlops_core::config::Ingestion;
use mlops_core::csv::chunk::CHUNK_BYTES;
use mlops_core::csv::formats::{Batch, Place, Refused, Why};
use mlops_core::csv::quarantine::ErrorType;
use mlops_core::csv::record::Malformed;

use super::columns::{Columns, Refusal};
use super::lines::{LOOK_AHEAD, header};
use super::paths::Paths;
use super::scan::{Problem, Scanner};
use crate::decoder::{Decoder, Text};
use crate::spell;

/// The rows of a text.
pub(crate) struct Array {
    text: Text,
    wanted: Vec<String>,
    columns: Columns,
    options: Ingestion,
    /// Elements before the present place.
    elements: u64,
    /// Objects that are open around the array.
    depth: usize,
    /// There is no array: the objects are at the top.
    bare: bool,
    ended: bool,
}

/// A step through the array.
enum Step {
    /// An element up to this place behind the front, without the comma behind it.
    Element(usize),
    /// The end of the array, up to this place.
    End(usize),
}

impl Array {
    /// The rows of `text`, with the columns `wanted`.
    pub(crate) fn of(text: Text, wanted: &[String], options: &Ingestion) -> Self {
        Self {
            text,
            wanted: wanted.to_vec(),
            columns: Columns::of(wanted, options.numbers.decimal),
            options: options.clone(),
            elements: 0,
            depth: 0,
            bare: false,
            ended: false,
        }
    }

    /// Does `step` at the front of the text, with as much of it as that takes, and returns what it found.
    fn with<T>(
        text: &mut Text,
        mut step: impl FnMut(&mut Scanner) -> Result<T, Problem>,
    ) -> Result<T> {
        loop {
            let mut scanner = Scanner::of(text.bytes(), true);
            let problem = match step(&mut scanner) {
                // A value at the very end may go on behind it.
                Ok(_) if scanner.at == text.bytes().len() && !text.is_whole() => Problem::End,
                Ok(found) => {
                    let at = scanner.at;
                    text.consume(at);
                    return Ok(found);
                }
                Err(problem) => problem,
            };
            match problem {
                Problem::End if text.more()? || !text.is_whole() => {}
                Problem::End => return Err(text.schema("the JSON in it is cut off: copy it again")),
                Problem::Syntax(message) => {
                    return Err(text.schema(&format!("this is no JSON: {message}")));
                }
            }
        }
    }

    /// Goes to the first element.
    fn enter(&mut self) -> Result<()> {
        let path = self.options.format.records.clone().unwrap_or_default();
        for name in path.split('.').filter(|name| !name.is_empty()) {
            let found = Self::with(&mut self.text, |s| s.takes(b'{'))?;
            if !found {
                return Err(self.text.schema(&missing(&path)));
            }
            self.depth += 1;
            loop {
                enum Found {
                    Key(bool),
                    End,
                }
                let found = Self::with(&mut self.text, |s| {
                    if s.takes(b'}')? {
                        return Ok(Found::End);
                    }
                    s.takes(b',')?;
                    let key = s.key()?;
                    Ok(Found::Key(&s.bytes()[key.start..key.end] == name.as_bytes()))
                })?;
                match found {
                    Found::End => return Err(self.text.schema(&missing(&path))),
                    Found::Key(true) => break,
                    Found::Key(false) => {
                        let skipped = Self::with(&mut self.text, |s| s.value().map(drop));
                        skipped?;
                    }
                }
            }
        }
        if path.is_empty() && self.begins_rows()? {
            self.bare = true;
            return Ok(());
        }
        if !Self::with(&mut self.text, |s| s.takes(b'['))? {
            // An object that ends with the file may have been the first line of many.
            let cut_off = path.is_empty()
                && self.text.is_whole()
                && matches!(Scanner::of(self.text.bytes(), true).skip(), Err(Problem::End));
            let message = if cut_off {
                "the JSON in it is cut off: copy it again".to_owned()
            } else if path.is_empty() {
                super::not_at_the_top(self.text.bytes())
            } else {
                missing(&path)
            };
            return Err(self.text.schema(&message));
        }
        Ok(())
    }

    /// Takes all columns of the first elements for those that are wanted.
    fn discover(&mut self) -> Result<()> {
        let mut paths = Paths::default();
        let (mut at, mut first) = (0, true);
        while at < LOOK_AHEAD {
            match self.step(at, first) {
                Ok((start, Step::Element(end))) => {
                    paths.note(&self.text.bytes()[start..end]);
                    (at, first) = (end, false);
                }
                Err(Problem::End) if self.text.more()? => {}
                Ok((_, Step::End(_))) | Err(_) => break,
            }
        }
        self.wanted = paths.columns();
        Ok(())
    }

    fn step(&self, at: usize, first: bool) -> Result<(usize, Step), Problem> {
        let bytes = self.text.bytes();
        if self.bare {
            return bare_step(bytes, at, first, self.text.is_whole());
        }
        step(bytes, at, first)
    }

    /// Whether the text begins with an object that is a row: another one follows, or it has columns.
    fn begins_rows(&mut self) -> Result<bool> {
        loop {
            let mut scanner = Scanner::of(self.text.bytes(), true);
            if !matches!(scanner.peek(), Ok(b'{') | Err(Problem::End)) {
                return Ok(false);
            }
            let read = scanner.skip();
            let next = read.and_then(|()| scanner.takes(b',')).and_then(|_| scanner.peek());
            let whole = self.text.is_whole();
            match (read, next) {
                (Ok(()), Ok(next)) => return Ok(next == b'{'),
                (Ok(()), Err(_)) if whole => break,
                (Err(Problem::Syntax(_)), _) => return Ok(false),
                _ if whole || self.text.bytes().len() > LOOK_AHEAD => return Ok(false),
                _ => _ = self.text.more()?,
            }
        }
        let mut only = Columns::of(&self.wanted, self.options.numbers.decimal);
        let read = only.read(&mut Scanner::of(self.text.bytes(), true));
        Ok(read.is_ok() && !only.present().is_empty())
    }

    /// Checks that nothing but the ends of the objects around the array follows.
    fn leave(&mut self) -> Result<()> {
        self.ended = true;
        while self.depth > 0 {
            let ended = Self::with(&mut self.text, |s| {
                let ended = s.takes(b'}')?;
                if !ended {
                    s.expect(b',', "a comma or a closing brace is missing")?;
                    s.key()?;
                    s.skip()?;
                }
                Ok(ended)
            })?;
            self.depth -= usize::from(ended);
        }
        while self.text.more()? {}
        let rest = self.text.bytes();
        if rest.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        Err(self.text.schema("this is no JSON: something follows the array"))
    }
}

fn missing(path: &str) -> String {
    let path = mlops_core::text::name(path);
    format!("it has no array at \"{path}\": correct \"format.records\"")
}

/// The next object of `bytes` from `at` on, which a comma may precede; the end of the text, of which they
/// are all there is if it is `whole`.
fn bare_step(bytes: &[u8], at: usize, first: bool, whole: bool) -> Result<(usize, Step), Problem> {
    let mut scanner = Scanner::of(bytes, true);
    scanner.at = at;
    let comma = scanner.peek().and_then(|_| if first { Ok(false) } else { scanner.takes(b',') });
    let next = comma.and_then(|_| scanner.peek());
    if next == Err(Problem::End) && whole {
        return Ok((scanner.at, Step::End(scanner.at)));
    }
    if next? != b'{' {
        return Err(Problem::Syntax("a brace is missing"));
    }
    let start = scanner.at;
    scanner.skip()?;
    Ok((start, Step::Element(scanner.at)))
}

/// The next element of `bytes` from `at` on, or the end of the array. `first` says that no element came
/// before.
fn step(bytes: &[u8], at: usize, first: bool) -> Result<(usize, Step), Problem> {
    let mut scanner = Scanner::of(bytes, true);
    scanner.at = at;
    if scanner.takes(b']')? {
        return Ok((scanner.at, Step::End(scanner.at)));
    }
    if !first {
        scanner.expect(b',', "a comma or the end of the array is missing")?;
    }
    scanner.peek()?;
    let start = scanner.at;
    scanner.skip()?;
    // A number may go on behind the end of the bytes.
    let end = scanner.at;
    scanner.peek()?;
    Ok((start, Step::Element(end)))
}

impl Decoder for Array {
    fn header(&mut self) -> Result<Option<Vec<String>>> {
        self.text.skip_marks()?;
        if self.text.is_empty() && !self.text.more()? {
            return Ok(None);
        }
        self.enter()?;
        if self.wanted.is_empty() {
            self.discover()?;
        }
        let mut seen = Columns::of(&self.wanted, self.options.numbers.decimal);
        let (mut at, mut first) = (0, true);
        while !seen.are_complete() && at < LOOK_AHEAD {
            match self.step(at, first) {
                Ok((start, Step::Element(end))) => {
                    let element = &self.text.bytes()[start..end];
                    if first && matches!(element.first(), Some(b'[' | b'"')) {
                        return Err(self.text.schema(
                            "the elements of its array are not objects: a row is an object with the names of \
                             the columns, such as {\"id\": 7}",
                        ));
                    }
                    let _ = seen.read(&mut Scanner::of(&self.text.bytes()[start..end], true));
                    (at, first) = (end, false);
                }
                Err(Problem::End) if self.text.more()? => {}
                // An array without rows needs no columns.
                Ok((_, Step::End(_))) if first => return Ok(None),
                Ok((_, Step::End(_))) | Err(_) => break,
            }
        }
        let names = header(&seen, &self.wanted);
        self.columns = Columns::of(&names, self.options.numbers.decimal);
        Ok(Some(names))
    }

    fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let part = self.text.part();
        batch.place = Place { part, first: self.elements + 1, offsets: Vec::new() };
        let (mut at, mut number) = (0, 0_u32);
        let ended = loop {
            let first = self.elements == 0 && number == 0;
            match self.step(at, first) {
                Ok((_, Step::End(end))) => {
                    at = end;
                    break true;
                }
                Ok((start, Step::Element(end))) => {
                    let element = &self.text.bytes()[start..end];
                    let max = self.options.max_line_bytes;
                    push(&mut self.columns, element, number, max, batch);
                    at = end;
                    number += 1;
                    if at >= CHUNK_BYTES || batch.text.len() >= CHUNK_BYTES {
                        break false;
                    }
                }
                Err(Problem::End) if number > 0 && !self.text.is_whole() => break false,
                Err(Problem::End) if self.text.more()? => {}
                Err(Problem::End) => {
                    return Err(self.text.schema("the JSON in it is cut off: copy it again"));
                }
                Err(Problem::Syntax(message)) => {
                    let row = self.elements + u64::from(number) + 1;
                    let message = format!("this is no JSON after row {}: {message}", row - 1);
                    return Err(self.text.schema(&message));
                }
            }
        };
        let end = u32::try_from(batch.source.bytes.len()).unwrap_or(u32::MAX);
        batch.source.starts.push(end);
        self.text.consume(at);
        self.elements += u64::from(number);
        if ended {
            self.leave()?;
        }
        Ok(number > 0)
    }

    fn extra(&self) -> Vec<String> {
        self.columns.extra()
    }
}

/// Appends an element as a record.
fn push(columns: &mut Columns, element: &[u8], number: u32, max_bytes: usize, batch: &mut Batch) {
    let start = batch.text.len();
    let told = |message: &str| Err(Why::Other(ErrorType::InvalidJson, message.to_owned()));
    let read = if element.first() != Some(&b'{') {
        told("this element of the array is not an object")
    } else if std::str::from_utf8(element).is_err() {
        let message = "the bytes are not UTF-8: save the file as UTF-8".to_owned();
        Err(Why::Other(ErrorType::InvalidUnicode, message))
    } else {
        let read = columns.read(&mut Scanner::of(element, true));
        match read.and_then(|()| columns.write(element, &mut batch.text)) {
            Ok(_) if batch.text.len() - start > max_bytes => {
                Err(Why::Malformed(Malformed::TooLong))
            }
            Ok(lines) => Ok(lines),
            Err(Refusal::Told(message)) => told(&message),
            Err(Refusal::End) => told("this is no JSON object"),
        }
    };
    let lines = read.unwrap_or_else(|why| {
        batch.text.truncate(start);
        spell::push_refused(columns.width(), &mut batch.text);
        let line = u32::try_from(batch.source.starts.len()).unwrap_or(u32::MAX);
        batch.refused.push(Refused { line, why });
        1
    });
    let source = &mut batch.source;
    source.starts.push(u32::try_from(source.bytes.len()).unwrap_or(u32::MAX));
    source.bytes.extend_from_slice(element);
    let end = u32::try_from(source.bytes.len()).unwrap_or(u32::MAX);
    batch.place.offsets.push(number);
    for _ in 1..lines {
        source.starts.push(end);
        batch.place.offsets.push(number);
    }
}
