//! Rows in a file, divided into parts that are read one after the other.
//!
//! Not for the file, which is a [`Parted`], nor for assigning rows to parts: see [`crate::partition`].

use std::ops::Range;
use std::path::Path;

use mlops_core::Result;
use mlops_core::platform::disk::Disk;
use mlops_core::platform::parted::Parted;

/// Bytes of a part that are written at a time.
const PIECE_BYTES: usize = 1 << 14;
/// Bytes before a row: its number, its length, the length of its key.
const HEADER: usize = 16;

/// A file of rows in parts.
#[derive(Debug)]
pub(crate) struct Spool(Parted);

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
        Parted::create(disk, folder, parts, PIECE_BYTES).map(Self)
    }

    /// An empty file that [`Spool::publish`] will name `path`.
    pub(crate) fn create_there(path: &Path, parts: usize) -> Result<Self> {
        Parted::create_there(path, parts, PIECE_BYTES).map(Self)
    }

    /// Writes the rest, and gives the file its name.
    pub(crate) fn publish(self) -> Result<()> {
        self.0.publish()
    }

    /// Opens the file at `path` to read `parts`, by their numbers; others may not be asked for.
    pub(crate) fn open(path: &Path, parts: Range<usize>) -> Result<Self> {
        Parted::open(path, parts).map(Self)
    }

    /// Closes the file until it is read again.
    pub(crate) fn close(&mut self) {
        self.0.close();
    }

    /// Adds a part; returns its number.
    pub(crate) fn add_part(&mut self) -> usize {
        self.0.add_part()
    }

    /// Appends a row to a part.
    pub(crate) fn push(&mut self, part: usize, ordinal: u64, row: &[u8], key: u32) -> Result<()> {
        // A row is shorter than a chunk, which is far below 4 GiB.
        let length = u32::try_from(row.len()).unwrap_or(u32::MAX);
        let (ordinal, length, key) =
            (ordinal.to_le_bytes(), length.to_le_bytes(), key.to_le_bytes());
        self.0.push(part, [&ordinal, &length, &key, row])
    }

    /// Writes the rest of all parts and releases their buffers.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.0.end()
    }

    /// The number of rows in a part.
    pub(crate) fn rows(&self, part: usize) -> usize {
        usize::try_from(self.0.entries(part)).unwrap_or(usize::MAX)
    }

    /// Moves the cursor to the next row; `None` after the last one.
    pub(crate) fn next(&mut self, cursor: &mut Cursor) -> Result<Option<Spooled>> {
        if cursor.at == cursor.bytes.len() {
            (cursor.row, cursor.at) = (0..0, 0);
            if !self.0.piece(cursor.part, cursor.piece, &mut cursor.bytes)? {
                return Ok(None);
            }
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
        let spool = || Spool::create(&Disk::default(), folder.path(), 3).unwrap();
        come_back(spool(), |mut spool| {
            spool.end().unwrap();
            spool
        });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it has no name");
        let path = folder.path().join("spool");
        let create = || Spool::create_there(&path, 3).unwrap();
        come_back(create(), |spool| {
            spool.publish().unwrap();
            Spool::open(&path, 0..3).unwrap()
        });
        for part in 0..3 {
            let mut spool = Spool::open(&path, part..part + 1).unwrap();
            let mut counted = 0;
            let mut cursor = Cursor::start_of(part);
            while let Some(row) = spool.next(&mut cursor).unwrap() {
                counted += 1;
                assert!(row.ordinal % 3 == part as u64 || row.ordinal == 9000);
            }
            assert_eq!(counted, spool.rows(part));
            assert!(counted > 1_600);
        }
        create().publish().unwrap();
        assert_eq!(Spool::open(&path, 1..3).unwrap().rows(2), 0);
    }

    fn come_back(mut spool: Spool, end: impl FnOnce(Spool) -> Spool) {
        let row = |i: u64| format!("{i},{}\n", "x".repeat(usize::try_from(i % 97).unwrap()));
        for i in 0..5000 {
            spool.push(usize::try_from(i % 3).unwrap(), i, row(i).as_bytes(), 7).unwrap();
        }
        let long = "y".repeat(3 * PIECE_BYTES);
        spool.push(1, 9000, long.as_bytes(), 1).unwrap();
        let mut spool = end(spool);
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
    }
}
