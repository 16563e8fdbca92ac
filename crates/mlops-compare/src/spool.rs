//! Rows in a file, divided into parts that are read one after the other.
//!
//! All parts share one file: each has a buffer, which is appended to the file when it is full, and
//! a list of its pieces. Any number of parts therefore needs one open file. It is a temporary file, or
//! one with a name that other processes read; the list of pieces is then at its end. Not for assigning
//! rows to parts: see [`crate::partition`].

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use mlops_core::platform::disk::{Disk, NewFile};
use mlops_core::platform::scratch::Scratch;
use mlops_core::{Error, Result};

/// Bytes of a part that are written at a time.
const PIECE_BYTES: usize = 1 << 14;
/// Bytes before a row: its number, its length, the length of its key.
const HEADER: usize = 16;

/// Bytes of an entry in the list of pieces: two numbers.
const ENTRY: usize = 16;

/// A file of rows in parts.
#[derive(Debug)]
pub(crate) struct Spool {
    file: Bytes,
    parts: Vec<Part>,
}

/// Where the rows are.
#[derive(Debug)]
enum Bytes {
    Scratch(Scratch),
    /// A file that will have a name, and its length so far.
    New(NewFile, u64),
    /// A file that another process wrote; it is opened when it is read.
    There(PathBuf, Option<File>),
}

impl Bytes {
    fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        match self {
            Self::Scratch(file) => file.append(bytes),
            Self::New(file, length) => {
                file.write_all(bytes)?;
                let at = *length;
                *length += bytes.len() as u64;
                Ok(at)
            }
            Self::There(path, _) => Err(not_for_this("written again", path)),
        }
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        match self {
            Self::Scratch(file) => file.read_at(offset, bytes),
            Self::New(..) => Err(not_for_this("read", Path::new("a file without a name"))),
            Self::There(path, file) => {
                let failed = |e| Error::io("read", path, e);
                let file = match file {
                    Some(file) => file,
                    none => none.insert(File::open(&*path).map_err(failed)?),
                };
                file.read_exact_at(bytes, offset).map_err(failed)
            }
        }
    }
}

/// A file is written, then read.
fn not_for_this(what: &'static str, path: &Path) -> Error {
    Error::io(what, path, std::io::ErrorKind::Unsupported.into())
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
        Ok(Self::of(Bytes::Scratch(disk.scratch(folder)?), parts))
    }

    /// An empty file that [`Spool::publish`] will name `path`.
    pub(crate) fn create_there(path: &Path, parts: usize) -> Result<Self> {
        Ok(Self::of(Bytes::New(Disk::for_task().new_file(path)?, 0), parts))
    }

    fn of(file: Bytes, parts: usize) -> Self {
        let mut spool = Self { file, parts: Vec::new() };
        spool.parts.resize_with(parts, Part::default);
        spool
    }

    /// Writes the rest and the list of pieces, and gives the file its name.
    pub(crate) fn publish(mut self) -> Result<()> {
        self.end()?;
        let mut list = Vec::new();
        let mut push = |n: usize| list.extend_from_slice(&(n as u64).to_le_bytes());
        let mut before = 0;
        for part in &self.parts {
            push(part.rows);
            push(before);
            before += part.pieces.len();
        }
        push(0);
        push(before);
        for (start, length) in self.parts.iter().flat_map(|part| &part.pieces) {
            list.extend_from_slice(&start.to_le_bytes());
            list.extend_from_slice(&(*length as u64).to_le_bytes());
        }
        let at = self.file.append(&list)?;
        let parts = self.parts.len() as u64;
        self.file.append(&[at.to_le_bytes(), parts.to_le_bytes()].concat())?;
        match self.file {
            Bytes::New(file, _) => file.publish_unsynced(),
            Bytes::Scratch(_) | Bytes::There(..) => Ok(()),
        }
    }

    /// Opens the file at `path` to read `parts`, by their numbers; it has no rows in others.
    pub(crate) fn open(path: &Path, parts: Range<usize>) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(|e| Error::io("read", path, e))?.len();
        let mut file = Bytes::There(path.to_owned(), None);
        let mut list = |at: u64, entries: usize| {
            let mut bytes = vec![0; ENTRY * entries];
            file.read_at(at, &mut bytes).map(|()| pairs(&bytes))
        };
        let (at, count) = list(length.saturating_sub(ENTRY as u64), 1)?[0];
        let after = |entries: u64| at + ENTRY as u64 * entries;
        let entries = list(after(parts.start as u64), parts.len() + 1)?;
        let (first, end) = (entries[0].1, entries[parts.len()].1);
        // The pieces follow an entry for each part and one more.
        let pieces = list(after(count + 1 + first), number(end - first))?;
        let mut pieces = pieces.into_iter().map(|(start, length)| (start, number(length)));
        let mut spool = Self::of(file, parts.end);
        for (part, both) in parts.zip(entries.windows(2)) {
            let [(rows, first), (_, end)] = *both else { continue };
            spool.parts[part].rows = number(rows);
            spool.parts[part].pieces = pieces.by_ref().take(number(end - first)).collect();
        }
        spool.close();
        Ok(spool)
    }

    /// Closes the file until it is read again.
    pub(crate) fn close(&mut self) {
        if let Bytes::There(_, file) = &mut self.file {
            *file = None;
        }
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

/// The entries of a list.
fn pairs(bytes: &[u8]) -> Vec<(u64, u64)> {
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
    bytes.as_chunks::<ENTRY>().0.iter().map(|entry| (number(entry), number(&entry[8..]))).collect()
}

fn number(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
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
