//! Recognises what a file is, by its content first, and puts the decoders in their order.
//!
//! ```text
//! file ──► unpacked ──► UTF-8 ──► rows of a dialect, of JSON, of fixed width
//!                             └──► comma-separated text, as it is
//! ```
//!
//! Not for decoding: see the modules of the formats.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use mlops_core::Result;
use mlops_core::config::{Compression, Ingestion, Kind};
use mlops_core::csv::formats::{Opened, Text as OpenedText, Wants};
use mlops_core::platform::digest::Digest;
use mlops_core::platform::files;

use crate::decoder::Whole;
use crate::file::{Stream, Sum, Window};
use crate::recognise::{self, Made, Wish};
use crate::{apart, archive, arrow, excel, foreign, packed, parquet, sniff, values};

/// Bytes that are looked at first; they suffice for a comma-separated file.
const GLANCE: usize = 1 << 10;

/// Unpacked bytes from which the size of a row is estimated.
const SAMPLE: u64 = 1 << 21;

/// See [`mlops_core::csv::formats::Formats::row_bytes`].
pub(crate) fn row_bytes(path: &Path) -> Option<u64> {
    let (mut file, _) = files::open(path).ok()?;
    let mut head = Vec::with_capacity(GLANCE);
    recognise::read_on(&mut file, &mut head, GLANCE).ok()?;
    match recognise::binary(&head) {
        Some(Kind::Parquet) => return parquet::row_bytes(Window::of(file).ok()?),
        Some(Kind::Arrow) => return arrow::row_bytes(&Window::of(file).ok()?),
        _ => {}
    }
    let compression = packed::recognise(&head).filter(|found| *found != Compression::Zip)?;
    file.seek(SeekFrom::Start(0)).ok()?;
    let stream = Stream::of(file);
    let mut text = Vec::new();
    // Of a damaged file, what comes before the damage.
    let _ = packed::stream(compression, &stream).ok()?.take(SAMPLE).read_to_end(&mut text);
    let lines = memchr::memchr_iter(b'\n', &text).count() as u64;
    stream.position().checked_div(lines)
}

/// See [`mlops_core::csv::formats::Formats::open`].
pub(crate) fn open(wish: Wish, mut file: File) -> Result<Opened> {
    let Wish { path, options, columns, .. } = wish;
    let format = &options.format;
    let mut head = Vec::with_capacity(GLANCE);
    recognise::read_on(&mut file, &mut head, GLANCE).map_err(|e| wish.failed(e))?;
    let compression = match format.compression {
        Some(configured) => configured,
        None => packed::recognise(&head).unwrap_or(Compression::None),
    };
    let at_start = |mut file: File| file.seek(SeekFrom::Start(0)).map(|_| file);
    if compression == Compression::None {
        if format.is_default()
            && recognise::binary(&head).is_none()
            && sniff::is_plain(&head, head.len() < GLANCE, columns)
        {
            return Ok(Opened::File(at_start(file).map_err(|e| wish.failed(e))?));
        }
        if let (None, Some(message)) = (format.kind, foreign::told(&head)) {
            return Err(wish.schema(&message));
        }
        let kind = format.kind.or(recognise::binary(&head));
        if let Some(kind @ (Kind::Parquet | Kind::Arrow | Kind::Excel)) = kind {
            let window = Window::of(file).map_err(|e| wish.failed(e))?;
            return table(wish, kind, window);
        }
    }
    if compression == Compression::Zip {
        let window = Window::of(file).map_err(|e| wish.failed(e))?;
        if format.kind == Some(Kind::Excel) || archive::is_workbook(&window) {
            return table(wish, Kind::Excel, window);
        }
        let decoder = archive::members(wish, &window)?;
        let sum = Sum::Whole(path.to_owned(), window);
        return Ok(Opened::Rows(Box::new(Whole { decoder, sum })));
    }
    let file = at_start(file).map_err(|e| wish.failed(e))?;
    let again = file.try_clone().map_err(|e| wish.failed(e))?;
    let stream = Stream::of(file);
    let input = packed::stream(compression, &stream).map_err(|e| wish.failed(e))?;
    let exact = compression == Compression::None;
    let sum = Sum::Streamed(path.to_owned(), stream);
    Ok(match recognise::decode(wish, input, None, exact)? {
        Made::Rows(decoder) => Opened::Rows(Box::new(Whole { decoder, sum })),
        // Both handles of a file have the same position.
        Made::Plain(_) if exact => Opened::File(at_start(again).map_err(|e| wish.failed(e))?),
        Made::Plain(text) | Made::Translated(text) => Opened::Text(Box::new(Plain { text, sum })),
    })
}

/// See [`mlops_core::csv::formats::Formats::open_values`].
pub(crate) fn open_values(path: &Path, file: File, wants: Wants) -> Result<Opened> {
    let columns: Vec<String> = wants.schema.columns().iter().map(|c| c.name.clone()).collect();
    let options = Ingestion::default().verbatim();
    let wish = Wish { path, options: &options, columns: &columns, threads: wants.threads };
    let window = Window::of(file).map_err(|e| wish.failed(e))?;
    let sum = if wants.digest {
        Sum::beside(path, window.clone())
    } else {
        Sum::Whole(path.to_owned(), window.clone())
    };
    let decoder = values::open(wish.owned(), wants, window)?;
    Ok(Opened::Rows(Box::new(Whole { decoder, sum })))
}

/// The rows of a table in a binary format.
fn table(wish: Wish, kind: Kind, window: Window) -> Result<Opened> {
    let decoder = match kind {
        Kind::Excel => excel::rows(wish, window.clone())?,
        Kind::Arrow => {
            let (window, own) = (window.clone(), wish.owned());
            apart::decoder(wish.path, move || arrow::Table::of(own.get(), &window))?
        }
        _ => Box::new(parquet::open(wish.owned(), window.clone())?),
    };
    let sum = Sum::beside(wish.path, window);
    Ok(Opened::Rows(Box::new(Whole { decoder, sum })))
}

/// Comma-separated text made of a file.
struct Plain {
    text: Box<dyn Read + Send>,
    sum: Sum,
}

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.text.read(buffer)
    }
}

impl OpenedText for Plain {
    fn digest(&mut self) -> Result<Digest> {
        self.sum.finish()
    }
}
