//! Recognises the text that a file or its part unpacks to, and finds the decoder for it.
//!
//! Not for unpacking: see [`crate::open`] and [`crate::archive`].

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlops_core::config::{Ingestion, Kind};
use mlops_core::{Error, Result, text};

use crate::decoder::{Decoder, Text};
use crate::dialect::Delimited;
use crate::encoding::{self, Decoded};
use crate::fixed::Fixed;
use crate::json::{self, Array, Lines, Shape};
use crate::{foreign, names, packed, sniff};

/// Bytes that are looked at.
const LOOK: usize = 1 << 16;

/// What the caller wants from a file.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) path: &'a Path,
    pub(crate) options: &'a Ingestion,
    pub(crate) columns: &'a [String],
    /// Threads that decode it.
    pub(crate) threads: usize,
}

/// The same, kept.
pub(crate) struct OwnedWish {
    path: PathBuf,
    pub(crate) options: Ingestion,
    columns: Vec<String>,
    threads: usize,
}

impl OwnedWish {
    /// What is kept.
    pub(crate) fn get(&self) -> Wish<'_> {
        let Self { path, options, columns, threads } = self;
        Wish { path, options, columns, threads: *threads }
    }
}

impl Wish<'_> {
    /// A copy to keep.
    pub(crate) fn owned(self) -> OwnedWish {
        OwnedWish {
            path: self.path.to_owned(),
            options: self.options.clone(),
            columns: self.columns.to_vec(),
            threads: self.threads,
        }
    }

    /// An error about the form of the file.
    pub(crate) fn schema(self, message: &str) -> Error {
        Error::schema(self.path.display().to_string(), message)
    }

    /// Refuses a typed file of which a wanted column is there twice, or has no cells: `cells` are the names of
    /// columns that have, `others` those of the other ones.
    pub(crate) fn check(self, cells: &[String], others: &[String]) -> Result<()> {
        for wanted in self.columns {
            let name = text::name(wanted);
            let times = cells.iter().filter(|cell| *cell == wanted).count();
            if times > 1 {
                let message =
                    format!("two of its columns are called \"{name}\": rename or remove one");
                return Err(self.schema(&message));
            }
            if times == 1 {
                continue;
            }
            let inner = format!("{wanted}.");
            if let Some(member) = cells.iter().find(|cell| cell.starts_with(&inner)) {
                return Err(self.schema(&format!(
                    "its column \"{name}\" is a structure: name a member of it, such as \"{}\"",
                    text::name(member)
                )));
            }
            if others.iter().any(|other| other == wanted || other.starts_with(&inner)) {
                return Err(self.schema(&format!(
                    "its column \"{name}\" has lists, maps or other values that are not one cell: write it \
                     with one value in each row"
                )));
            }
        }
        Ok(())
    }

    /// An error of reading it.
    pub(crate) fn failed(self, error: std::io::Error) -> Error {
        Error::io("read", self.path, error)
    }
}

/// What became of a text.
pub(crate) enum Made {
    /// It is comma-separated UTF-8.
    Plain(Box<dyn Read + Send>),
    /// It is now.
    Translated(Box<dyn Read + Send>),
    /// It has rows of another kind.
    Rows(Box<dyn Decoder>),
}

/// Recognises the text that `input` gives, the part `part` of a file; `exact` if these are the bytes of
/// the file.
pub(crate) fn decode(
    wish: Wish,
    mut input: Box<dyn Read + Send>,
    part: Option<Arc<str>>,
    exact: bool,
) -> Result<Made> {
    let Wish { path, options, columns, .. } = wish;
    let format = &options.format;
    let mut head = Vec::new();
    read_on(&mut input, &mut head, LOOK).map_err(|e| wish.failed(e))?;
    let whole = head.len() < LOOK;
    if let Some(kind @ (Kind::Parquet | Kind::Arrow | Kind::Excel)) = format.kind.or(binary(&head))
    {
        let message = format!(
            "it has a file of the kind \"{}\" in it, which has a packing of its own and must be read at \
             any place: unpack it",
            name(kind)
        );
        return Err(wish.schema(&message));
    }
    if !exact && packed::recognise(&head).is_some() {
        return Err(wish.schema("what is packed in it is packed, too: unpack it once"));
    }
    if let (false, None, Some(message)) = (exact, format.kind, foreign::told(&head)) {
        return Err(wish.schema(&message));
    }
    let encoding = encoding::of(format.encoding.as_deref(), &head, path)?;
    let (text, input): (_, Box<dyn Read + Send>) = match encoding {
        None => (head.clone(), Box::new(Cursor::new(head).chain(input))),
        Some(encoding) => {
            let text = encoding::head(&head, encoding);
            let input = Box::new(Cursor::new(head).chain(input));
            (text, Box::new(Decoded::of(input, encoding)))
        }
    };
    let exact = exact && encoding.is_none();
    let kind = match format.kind {
        Some(kind) => kind,
        None if !format.fields.is_empty() => Kind::Fixed,
        None if format.records.is_some() => Kind::Json,
        None => match json::recognise(&text, whole) {
            Some(Shape::Lines) => Kind::Jsonl,
            Some(Shape::Value) => Kind::Json,
            None => Kind::Csv,
        },
    };
    if kind == Kind::Csv {
        let promised = names::separator(path);
        let Some(reading) = sniff::reading(&text, whole, format, columns, promised, path)? else {
            return Ok(if encoding.is_none() {
                Made::Plain(input)
            } else {
                Made::Translated(input)
            });
        };
        let text = Text::of(input, path, part, exact);
        let rows = Delimited::of(text, reading, options.max_line_bytes);
        return Ok(Made::Rows(Box::new(rows)));
    }
    let text = Text::of(input, path, part, exact);
    Ok(Made::Rows(match kind {
        Kind::Jsonl => Box::new(Lines::of(text, wish)),
        Kind::Json => Box::new(Array::of(text, columns, options)),
        _ => Box::new(Fixed::of(text, options)),
    }))
}

/// The binary format of a file that begins with `head`.
pub(crate) fn binary(head: &[u8]) -> Option<Kind> {
    let known: [(&[u8], Kind); 6] = [
        (b"PAR1", Kind::Parquet),
        (b"PARE", Kind::Parquet),
        (b"ARROW1", Kind::Arrow),
        (b"FEA1", Kind::Arrow),
        (b"\xff\xff\xff\xff", Kind::Arrow),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind::Excel),
    ];
    known.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| *kind)
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Csv => "csv",
        Kind::Fixed => "fixed",
        Kind::Jsonl => "jsonl",
        Kind::Json => "json",
        Kind::Parquet => "parquet",
        Kind::Arrow => "arrow",
        Kind::Excel => "excel",
    }
}

/// Reads until `head` has `most` bytes or the input ends.
pub(crate) fn read_on(
    input: &mut impl Read,
    head: &mut Vec<u8>,
    most: usize,
) -> std::io::Result<()> {
    let missing = most.saturating_sub(head.len()) as u64;
    input.take(missing).read_to_end(head).map(|_| ())
}
