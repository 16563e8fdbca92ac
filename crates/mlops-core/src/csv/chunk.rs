//! Reads a file once, in pieces that end at a record end, and hashes it.
//!
//! Memory: one piece, unless a single record is longer. Not for rows: see [`super::parse`].

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::platform::digest::{Digest, Hasher};
use crate::{Error, Result};

use super::record::{self, Field, Shape};

/// Bytes read at a time.
pub const CHUNK_BYTES: usize = 1 << 18;
/// A file with a longer line is refused: it is not a CSV file.
const LONGEST_LINE: usize = 1 << 26;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A reader that hands out whole records.
pub struct ChunkReader<R> {
    input: R,
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

impl<R: Read> ChunkReader<R> {
    /// A reader of `input`; error messages name it `path`.
    pub fn new(input: R, path: &Path, chunk_bytes: usize) -> Self {
        Self {
            input,
            path: path.to_owned(),
            chunk_bytes,
            hasher: Some(Hasher::default()),
            carry: Vec::new(),
            offset: 0,
            ended: false,
            fields: Vec::new(),
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

    /// Fills `chunk` with the next whole records and returns the offset of its first byte, or
    /// `None` after the last. The previous content of `chunk` is lost; its memory is reused.
    pub fn next_chunk(&mut self, chunk: &mut Vec<u8>, shape: Shape) -> Result<Option<u64>> {
        chunk.clear();
        chunk.append(&mut self.carry);
        loop {
            if self.ended {
                break;
            }
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
        let at = self.offset;
        self.offset += chunk.len() as u64;
        Ok((!chunk.is_empty()).then_some(at))
    }

    /// The digest of everything read so far; complete after the last chunk.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().unwrap_or_default().finish()
    }

    fn fill(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        let start = buffer.len();
        if start > LONGEST_LINE {
            return Err(Error::schema(
                self.path.display().to_string(),
                format!("no line end within {LONGEST_LINE} bytes: this is not a CSV file"),
            ));
        }
        // Reads into uninitialised memory and retries after interruptions.
        buffer.reserve(self.chunk_bytes);
        let read = self.input.by_ref().take(self.chunk_bytes as u64).read_to_end(buffer);
        let read = read.map_err(|e| Error::io("read", &self.path, e))?;
        self.ended = read < self.chunk_bytes;
        if let Some(hasher) = &mut self.hasher {
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
        Some("this is a compressed file or a workbook: unpack it, or save it as \"CSV UTF-8\"")
    } else if head.starts_with(b"PAR1") || head.starts_with(b"\xd0\xcf\x11\xe0") {
        Some("this is a table in a binary format: save it as \"CSV UTF-8\"")
    } else {
        None
    }
}
