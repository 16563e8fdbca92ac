//! Rows in a temporary file, divided into parts that are read one after the other.
//!
//! All parts share one file: each has a buffer, which is appended to the file when it is full, and
//! a list of its pieces. Any number of parts therefore needs one open file. Not for assigning rows
//! to parts: see [`crate::partition`].

use std::ops::Range;
use std::path::Path;

use mlops_core::Result;
use mlops_core::platform::disk::{Disk, Scratch};

/// Bytes of a part that are written at a time.
const PIECE_BYTES: usize = 1 << 14;
/// Bytes before a row: its number, its length, the length of its key.
const HEADER: usize = 16;

/// A file of rows in parts.
#[derive(Debug)]
pub(crate) struct Spool {
    file: Scratch,
    parts: Vec<Part>,
}

#[derive(Debug, Default)]
struct Part {
    buffer: Vec<u8>,
    rows: usize,
    /// Start and length of each piece.
    pieces: Vec<(u64, usize)>,
}

/// The position up to which a part was read, with the current row.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    part: usize,
    piece: usize,
    at: usize,
    bytes: Vec<u8>,
    row: Range<usize>,
}

/// What is known of a row besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spooled {
    pub(crate) ordinal: u64,
    pub(crate) key: u32,
}

impl Cursor {
    /// The start of a part, which must have been ended.
    pub(crate) fn start_of(part: usize) -> Self {
        Self { part, ..Self::default() }
    }

    /// The current row.
    pub(crate) fn row(&self) -> &[u8] {
        &self.bytes[self.row.clone()]
    }
}

impl Spool {
    /// An empty file in `folder`.
    pub(crate) fn create(disk: &Disk, folder: &Path, parts: usize) -> Result<Self> {
        let file = disk.scratch(folder)?;
        let mut spool = Self { file, parts: Vec::new() };
        spool.parts.resize_with(parts, Part::default);
        Ok(spool)
    }

    /// Adds a part; returns its number.
    pub(crate) fn add_part(&mut self) -> usize {
        self.parts.push(Part::default());
        self.parts.len() - 1
    }

    /// Appends a row to a part.
    pub(crate) fn push(&mut self, part: usize, ordinal: u64, row: &[u8], key: u32) -> Result<()> {
        self.parts[part].rows += 1;
        let buffer = &mut self.parts[part].buffer;
        if buffer.capacity() == 0 {
            buffer.reserve(PIECE_BYTES);
        }
        // A row is shorter than a chunk, which is far below 4 GiB.
        let length = u32::try_from(row.len()).unwrap_or(u32::MAX);
        buffer.extend_from_slice(&ordinal.to_le_bytes());
        buffer.extend_from_slice(&length.to_le_bytes());
        buffer.extend_from_slice(&key.to_le_bytes());
        buffer.extend_from_slice(row);
        if buffer.len() + HEADER >= PIECE_BYTES { self.flush(part) } else { Ok(()) }
    }

    fn flush(&mut self, part: usize) -> Result<()> {
        let part = &mut self.parts[part];
        if !part.buffer.is_empty() {
            let at = self.file.append(&part.buffer)?;
            part.pieces.push((at, part.buffer.len()));
            part.buffer.clear();
        }
        Ok(())
    }

    /// Writes the rest of a part and releases its buffer.
    pub(crate) fn end_part(&mut self, part: usize) -> Result<()> {
        self.flush(part)?;
        self.parts[part].buffer = Vec::new();
        Ok(())
    }

    /// Does this for all parts.
    pub(crate) fn end(&mut self) -> Result<()> {
        (0..self.parts.len()).try_for_each(|part| self.end_part(part))
    }

    /// The number of rows in a part.
    pub(crate) fn rows(&self, part: usize) -> usize {
        self.parts[part].rows
    }

    /// Moves the cursor to the next row; `None` after the last one.
    pub(crate) fn next(&mut self, cursor: &mut Cursor) -> Result<Option<Spooled>> {
        if cursor.at == cursor.bytes.len() {
            let piece = self.parts[cursor.part].pieces.get(cursor.piece).copied();
            let (start, length) = piece.unwrap_or_default();
            cursor.row = 0..0;
            cursor.at = 0;
            cursor.bytes.resize(length, 0);
            if piece.is_none() {
                return Ok(None);
            }
            self.file.read_at(start, &mut cursor.bytes)?;
            cursor.piece += 1;
        }
        let (bytes, at) = (&cursor.bytes, cursor.at);
        let short = |at: usize| bytes[at..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        let ordinal = bytes[at..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        let (length, key) = (short(at + 8) as usize, short(at + 12));
        let start = at + HEADER;
        cursor.row = start..start + length;
        cursor.at = cursor.row.end;
        Ok(Some(Spooled { ordinal, key }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(&Disk::default(), folder.path(), 3).unwrap();
        let row = |i: u64| format!("{i},{}\n", "x".repeat(usize::try_from(i % 97).unwrap()));
        for i in 0..5000 {
            spool.push(usize::try_from(i % 3).unwrap(), i, row(i).as_bytes(), 7).unwrap();
        }
        let long = "y".repeat(3 * PIECE_BYTES);
        spool.push(1, 9000, long.as_bytes(), 1).unwrap();
        spool.end().unwrap();
        for part in 0..3 {
            let mut cursor = Cursor::start_of(part);
            for i in (part as u64..5000).step_by(3) {
                let spooled = spool.next(&mut cursor).unwrap();
                assert_eq!(spooled, Some(Spooled { ordinal: i, key: 7 }));
                assert_eq!(cursor.row(), row(i).as_bytes());
            }
            if part == 1 {
                assert_eq!(spool.next(&mut cursor).unwrap().unwrap().ordinal, 9000);
                assert_eq!(cursor.row(), long.as_bytes());
            }
            assert!(spool.next(&mut cursor).unwrap().is_none());
            assert!(spool.next(&mut cursor).unwrap().is_none());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it has no name");
    }
}
