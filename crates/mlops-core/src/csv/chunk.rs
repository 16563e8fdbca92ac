//! Reads a file once, in pieces that end at a record end, and hashes it.
//!
//! Memory: one piece, unless a single record is longer. Not for rows: see [`super::parse`]; not for
//! decoding other formats: see [`super::formats`].

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::platform::digest::{Digest, Hasher};
use crate::table::Table;
use crate::{Error, Result};

use super::formats::{Batch, Opened, Place, Refused, Rows, Source, Text};
use super::record::{self, Field, Shape};

/// Bytes read at a time.
pub const CHUNK_BYTES: usize = 1 << 18;
/// A file with a longer line is refused: it is not a file of rows.
const LONGEST_LINE: usize = 1 << 26;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where the bytes come from.
enum Input<R> {
    Bytes(R),
    Text(Box<dyn Text>),
    Rows(Box<dyn Rows>, Batch),
}

/// A reader that hands out whole records.
pub struct ChunkReader<R> {
    input: Input<R>,
    path: PathBuf,
    chunk_bytes: usize,
    /// `None` if the digest was not asked for.
    hasher: Option<Hasher>,
    /// Bytes read that belong to the next chunk.
    carry: Vec<u8>,
    /// Offset in the file of the next chunk's first byte.
    offset: u64,
    ended: bool,
    fields: Vec<Field>,
    /// Where the present part of the file has got to, if it has parts.
    part: Option<Place>,
    /// The bytes of the header, with which the header of each further part must agree.
    names: Vec<u8>,
}

/// Where the records of a piece are in their file.
#[derive(Debug)]
pub struct Position {
    /// Offset of the first byte in the text of the file or of its part; `None` for rows that are no text.
    pub offset: Option<u64>,
    /// The place, unless the lines are simply those of the file.
    pub place: Option<Place>,
    /// What the records are in a file of another format.
    pub source: Source,
    /// Records that the decoder refused.
    pub refused: Vec<Refused>,
    /// The rows as values, if they are no text.
    pub values: Option<Box<Table>>,
}

/// The first record of a file.
pub struct Header {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its fields.
    pub fields: Vec<Field>,
    /// The number of byte-order marks before the header.
    pub byte_order_marks: u64,
    /// The number of physical lines before the first row, blank ones included.
    pub lines: u64,
}

impl Header {
    /// The header that these names would have; it takes no line.
    fn of(names: &[String]) -> Self {
        let (mut bytes, mut fields) = (Vec::new(), Vec::with_capacity(names.len()));
        for name in names {
            let start = bytes.len();
            bytes.extend_from_slice(name.as_bytes());
            fields.push(Field { start, end: bytes.len(), quoted: false, escaped: false });
            bytes.push(b',');
        }
        Self { bytes, fields, byte_order_marks: 0, lines: 0 }
    }
}

impl ChunkReader<File> {
    /// A reader of a file of any format.
    pub fn of(opened: Opened, path: &Path, chunk_bytes: usize) -> Self {
        let input = match opened {
            Opened::File(file) => Input::Bytes(file),
            Opened::Text(text) => Input::Text(text),
            Opened::Rows(rows) => Input::Rows(rows, Batch::default()),
        };
        Self::from(input, path, chunk_bytes)
    }
}

impl<R: Read> ChunkReader<R> {
    /// A reader of `input`; error messages name it `path`.
    pub fn new(input: R, path: &Path, chunk_bytes: usize) -> Self {
        Self::from(Input::Bytes(input), path, chunk_bytes)
    }

    fn from(input: Input<R>, path: &Path, chunk_bytes: usize) -> Self {
        Self {
            input,
            path: path.to_owned(),
            chunk_bytes,
            hasher: Some(Hasher::default()),
            carry: Vec::new(),
            offset: 0,
            ended: false,
            fields: Vec::new(),
            part: None,
            names: Vec::new(),
        }
    }

    /// Skips hashing, which is most of the work of reading; the digest is then that of no bytes.
    #[must_use]
    pub fn without_digest(mut self) -> Self {
        self.hasher = None;
        self
    }

    /// Reads the header; `None` for a file without any but blank lines.
    pub fn header(&mut self) -> Result<Option<Header>> {
        let header = match &mut self.input {
            Input::Rows(rows, _) => rows.header()?.map(|names| Header::of(&names)),
            Input::Text(text) if text.names().is_some() => {
                text.names().map(|names| Header::of(&names))
            }
            _ => self.header_of_first_part()?,
        };
        if let (Input::Text(text), Some(header)) = (&self.input, &header) {
            let first = header.lines + 1;
            self.part = text.part().map(|part| Place::rows(Some(part), first));
            self.names.clone_from(&header.bytes);
        }
        Ok(header)
    }

    fn header_of_first_part(&mut self) -> Result<Option<Header>> {
        loop {
            if let Some(header) = self.header_of_part()? {
                return Ok(Some(header));
            }
            let Input::Text(text) = &mut self.input else { return Ok(None) };
            if !text.next_part()? {
                return Ok(None);
            }
            self.ended = false;
        }
    }

    /// Goes on with the next part that has a header; returns false if there is none.
    fn next_part(&mut self) -> Result<bool> {
        loop {
            let Input::Text(text) = &mut self.input else { return Ok(false) };
            if !text.next_part()? {
                return Ok(false);
            }
            let part = text.part();
            self.ended = false;
            if text.names().is_some() {
                self.part = Some(Place::rows(part, 1));
                self.offset = 0;
                return Ok(true);
            }
            if let Some(header) = self.header_of_part()? {
                if header.bytes.trim_ascii_end() != self.names.trim_ascii_end() {
                    let part = part.as_deref().unwrap_or_default();
                    let message = format!(
                        "the header of \"{}\" in it differs from that of the first part: pack files with \
                         the same columns in the same order",
                        crate::text::visible(part)
                    );
                    return Err(Error::schema(self.path.display().to_string(), message));
                }
                self.part = Some(Place::rows(part, header.lines + 1));
                return Ok(true);
            }
        }
    }

    fn header_of_part(&mut self) -> Result<Option<Header>> {
        let mut buffer = std::mem::take(&mut self.carry);
        loop {
            self.fill(&mut buffer)?;
            let (mut start, mut byte_order_marks) = (0, 0);
            while buffer[start..].starts_with(BYTE_ORDER_MARK) {
                start += BYTE_ORDER_MARK.len();
                byte_order_marks += 1;
            }
            // Decided by the bytes before the first line end, so that chunk boundaries do not
            // matter.
            if let Some(message) = other_than_text(&buffer) {
                return Err(Error::schema(self.path.display().to_string(), message));
            }
            let mut lines = 0;
            while let Some(length) = record::blank_line(&buffer[start..], self.ended) {
                start += length;
                lines += 1;
            }
            if start == buffer.len() && self.ended {
                return Ok(None);
            }
            let end = record::scan_header(&buffer[start..], self.ended, &mut self.fields);
            if let Some(end) = end.map(|e| start + e) {
                let bytes = buffer[start..end].to_vec();
                lines += record::line_ends(&bytes);
                self.carry = buffer.split_off(end);
                self.offset = end as u64;
                let fields = std::mem::take(&mut self.fields);
                return Ok(Some(Header { bytes, fields, byte_order_marks, lines }));
            }
            if self.ended {
                let message = "the header has a quote that is never closed";
                return Err(Error::schema(self.path.display().to_string(), message));
            }
        }
    }

    /// Fills `chunk` with the next whole records and returns where they are, or `None` after the last.
    /// The previous content of `chunk` is lost; its memory is reused.
    pub fn next_chunk(&mut self, chunk: &mut Vec<u8>, shape: Shape) -> Result<Option<Position>> {
        if let Input::Rows(rows, batch) = &mut self.input {
            batch.text.clear();
            if !rows.next(batch)? {
                return Ok(None);
            }
            std::mem::swap(chunk, &mut batch.text);
            let Batch { place, source, refused, values, .. } = std::mem::take(batch);
            return Ok(Some(Position {
                offset: None,
                place: Some(place),
                source,
                refused,
                values,
            }));
        }
        loop {
            self.next_text(chunk, shape)?;
            if !chunk.is_empty() {
                break;
            }
            if !self.next_part()? {
                return Ok(None);
            }
        }
        let offset = Some(self.offset);
        self.offset += chunk.len() as u64;
        let place = self.part.clone();
        if let Some(part) = &mut self.part {
            part.first += record::line_ends(chunk);
        }
        let (source, refused) = (Source::default(), Vec::new());
        Ok(Some(Position { offset, place, source, refused, values: None }))
    }

    fn next_text(&mut self, chunk: &mut Vec<u8>, shape: Shape) -> Result<()> {
        chunk.clear();
        chunk.append(&mut self.carry);
        while !self.ended {
            self.fill(chunk)?;
            if self.ended {
                break;
            }
            let cut = record::last_record_end(chunk, shape, &mut self.fields);
            if cut > 0 {
                self.carry.extend_from_slice(&chunk[cut..]);
                chunk.truncate(cut);
                break;
            }
        }
        Ok(())
    }

    /// Whether all that the file still has is in memory.
    pub(super) fn is_read(&self) -> bool {
        self.ended && matches!(self.input, Input::Bytes(_))
    }

    /// Offset in the file of the next chunk's first byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The digest of the file; complete after the last chunk.
    pub fn digest(&mut self) -> Result<Digest> {
        match (&mut self.input, &self.hasher) {
            (Input::Text(text), Some(_)) => text.digest(),
            (Input::Rows(rows, _), Some(_)) => rows.digest(),
            (_, hasher) => Ok(hasher.clone().unwrap_or_default().finish()),
        }
    }

    /// Columns of the file that its rows lack; complete after the last chunk.
    pub fn extra(&self) -> Vec<String> {
        match &self.input {
            Input::Rows(rows, _) => rows.extra(),
            _ => Vec::new(),
        }
    }

    fn fill(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        let start = buffer.len();
        if start > LONGEST_LINE {
            return Err(Error::schema(
                self.path.display().to_string(),
                format!("no line end within {LONGEST_LINE} bytes: this is not a file of rows"),
            ));
        }
        // Reads into uninitialised memory and retries after interruptions.
        buffer.reserve(self.chunk_bytes);
        let most = self.chunk_bytes as u64;
        let read = match &mut self.input {
            Input::Bytes(bytes) => bytes.by_ref().take(most).read_to_end(buffer),
            Input::Text(text) => text.by_ref().take(most).read_to_end(buffer),
            Input::Rows(..) => Ok(0),
        };
        let read = read.map_err(|e| Error::io("read", &self.path, e))?;
        self.ended = read < self.chunk_bytes;
        if let (Input::Bytes(_), Some(hasher)) = (&self.input, &mut self.hasher) {
            hasher.update(&buffer[start..]);
        }
        Ok(())
    }
}

/// Recognises by its first bytes a file that is not text; names the format and says what to do.
fn other_than_text(head: &[u8]) -> Option<&'static str> {
    let packed: [&[u8]; 6] =
        [b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf"];
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        Some("this looks like UTF-16: save the file as \"CSV UTF-8\"")
    } else if packed.iter().any(|magic| head.starts_with(magic)) {
        Some(
            "this is a compressed file or a workbook, which is damaged or in another one: copy it \
             again, unpack it, or save it as \"CSV UTF-8\"",
        )
    } else if head.starts_with(b"PAR1") || head.starts_with(b"\xd0\xcf\x11\xe0") {
        Some("this is a table in a binary format: save it as \"CSV UTF-8\"")
    } else {
        None
    }
}
