//! A file whose entries are divided into parts, each of which is read alone, by this process or by another.
//!
//! All parts share one file: each has a buffer, which is appended to the file when it is full, and a list of its
//! pieces. Any number of parts therefore needs one open file. It is a temporary file, or one with a name that other
//! processes read; the list of pieces is then at its end. Every piece has a checksum, and one that is not as it was
//! written is an error. Not for what the entries are, nor for assigning them to parts.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::disk::{Disk, NewFile};
use super::scratch::Scratch;
use crate::{Error, Result};

/// Bytes of an entry in the list of parts: the number of entries, and that of the first piece.
const PART: usize = 16;
/// Bytes of an entry in the list of pieces: start, length and checksum.
const PIECE: usize = 24;
/// Bytes at the end of a file: where the lists begin, the number of parts, and [`MAGIC`].
const TRAILER: usize = 24;
/// How a file ends that was written whole.
const MAGIC: u64 = u64::from_le_bytes(*b"parted 1");

/// A file of entries in parts.
#[derive(Debug)]
pub struct Parted {
    file: Bytes,
    /// The number of the first part that is known; it is 0 unless the file was opened for other parts.
    first: usize,
    parts: Vec<Part>,
    piece_bytes: usize,
}

/// Where the entries are.
#[derive(Debug)]
enum Bytes {
    Scratch(Scratch),
    /// A file that will have a name, and its length so far.
    New(NewFile, u64),
    /// A file that another process wrote; it is opened when it is read.
    There(PathBuf, Option<File>),
}

#[derive(Debug, Default)]
struct Part {
    buffer: Vec<u8>,
    entries: u64,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    start: u64,
    length: usize,
    checksum: u64,
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

    /// Why bytes that were read are not used.
    fn damaged(&self) -> Error {
        let path = match self {
            Self::There(path, _) => path.as_path(),
            Self::Scratch(_) | Self::New(..) => Path::new("a temporary file"),
        };
        let words = "it does not have the bytes that were written: its disk, or the folder that all machines share, \
                     is unreliable";
        Error::io("read", path, std::io::Error::new(std::io::ErrorKind::InvalidData, words))
    }
}

/// A file is written, then read.
fn not_for_this(what: &'static str, path: &Path) -> Error {
    Error::io(what, path, std::io::ErrorKind::Unsupported.into())
}

impl Parted {
    /// An empty file in `folder`, whose parts are written in pieces of up to `piece_bytes`.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(disk: &Disk, folder: &Path, parts: usize, piece_bytes: usize) -> Result<Self> {
        Ok(Self::of(Bytes::Scratch(disk.scratch(folder)?), parts, piece_bytes))
    }

    /// An empty file that [`Parted::publish`] will name `path`; for tasks, which create no folders.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create_there(path: &Path, parts: usize, piece_bytes: usize) -> Result<Self> {
        let file = Bytes::New(Disk::for_task().new_file(path)?, 0);
        Ok(Self::of(file, parts, piece_bytes))
    }

    fn of(file: Bytes, parts: usize, piece_bytes: usize) -> Self {
        let mut all = Self { file, first: 0, parts: Vec::new(), piece_bytes };
        all.parts.resize_with(parts, Part::default);
        all
    }

    /// Writes the rest and the list of pieces, and gives the file its name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn publish(mut self) -> Result<()> {
        self.end()?;
        let mut list = Vec::new();
        let mut before = 0;
        let none = Part::default();
        for part in self.parts.iter().chain([&none]) {
            list.extend_from_slice(&part.entries.to_le_bytes());
            list.extend_from_slice(&(before as u64).to_le_bytes());
            before += part.pieces.len();
        }
        for piece in self.parts.iter().flat_map(|part| &part.pieces) {
            list.extend_from_slice(&piece.start.to_le_bytes());
            list.extend_from_slice(&(piece.length as u64).to_le_bytes());
            list.extend_from_slice(&piece.checksum.to_le_bytes());
        }
        let at = self.file.append(&list)?;
        let trailer = [at, self.parts.len() as u64, MAGIC];
        self.file.append(trailer.map(u64::to_le_bytes).as_flattened())?;
        match self.file {
            Bytes::New(file, _) => file.publish_unsynced(),
            Bytes::Scratch(_) | Bytes::There(..) => Ok(()),
        }
    }

    /// Opens the file at `path`, which another process may have written, to read `parts`, by their numbers.
    ///
    /// # Errors
    /// If it cannot be read, or does not have these parts.
    pub fn open(path: &Path, parts: Range<usize>) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(|e| Error::io("read", path, e))?.len();
        let mut file = Bytes::There(path.to_owned(), None);
        if length < TRAILER as u64 {
            return Err(file.damaged());
        }
        let trailer = numbers(&mut file, length - TRAILER as u64, TRAILER)?;
        let (at, count) = (trailer[0], trailer[1]);
        // What a damaged list asks for is not more than the file has.
        let fits = |count: u64, bytes: usize| count <= length / bytes as u64;
        let known = trailer[2] == MAGIC && parts.end as u64 <= count;
        if !known || !fits(at, 1) || !fits(count, PART) {
            return Err(file.damaged());
        }
        let list = numbers(&mut file, at + (PART * parts.start) as u64, PART * (parts.len() + 1))?;
        let (first, end) = (list[1], list[list.len() - 1]);
        if first > end || !fits(end, PIECE) {
            return Err(file.damaged());
        }
        let pieces = at + PART as u64 * (count + 1) + PIECE as u64 * first;
        let pieces = numbers(&mut file, pieces, PIECE * number(end - first))?;
        let mut pieces = pieces.as_chunks::<3>().0.iter().map(|[start, length, checksum]| Piece {
            start: *start,
            length: number(*length),
            checksum: *checksum,
        });
        let mut all = Self::of(file, parts.len(), 0);
        all.first = parts.start;
        for (part, both) in all.parts.iter_mut().zip(list.windows(4).step_by(2)) {
            part.entries = both[0];
            part.pieces = pieces.by_ref().take(number(both[3].saturating_sub(both[1]))).collect();
            if part.pieces.iter().any(|piece| piece.length as u64 > length) {
                return Err(all.file.damaged());
            }
        }
        all.close();
        Ok(all)
    }

    /// Closes a file with a name until it is read again.
    pub fn close(&mut self) {
        if let Bytes::There(_, file) = &mut self.file {
            *file = None;
        }
    }

    /// Adds a part; returns its number.
    pub fn add_part(&mut self) -> usize {
        self.parts.push(Part::default());
        self.parts.len() - 1
    }

    /// Appends an entry, given in slices, to a part. It will be in one piece.
    ///
    /// # Errors
    /// If a piece cannot be written.
    #[inline]
    pub fn push<const N: usize>(&mut self, part: usize, entry: [&[u8]; N]) -> Result<()> {
        let length: usize = entry.iter().map(|slice| slice.len()).sum();
        let to = &mut self.parts[part];
        if to.buffer.len() + length > self.piece_bytes || to.buffer.capacity() == 0 {
            self.make_room(part)?;
        }
        let to = &mut self.parts[part];
        to.entries += 1;
        for slice in entry {
            to.buffer.extend_from_slice(slice);
        }
        Ok(())
    }

    #[cold]
    fn make_room(&mut self, part: usize) -> Result<()> {
        self.flush(part)?;
        self.parts[part].buffer.reserve_exact(self.piece_bytes);
        Ok(())
    }

    fn flush(&mut self, number: usize) -> Result<()> {
        let part = &mut self.parts[number];
        if !part.buffer.is_empty() {
            let start = self.file.append(&part.buffer)?;
            let checksum = xxh3_64_with_seed(&part.buffer, number as u64);
            part.pieces.push(Piece { start, length: part.buffer.len(), checksum });
            part.buffer.clear();
        }
        Ok(())
    }

    /// Writes the rest of a part and releases its buffer.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end_part(&mut self, part: usize) -> Result<()> {
        self.flush(part)?;
        self.parts[part].buffer = Vec::new();
        Ok(())
    }

    /// Does this for all parts.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn end(&mut self) -> Result<()> {
        (0..self.parts.len()).try_for_each(|part| self.end_part(part))
    }

    /// The number of entries in a part.
    pub fn entries(&self, part: usize) -> u64 {
        self.parts[part - self.first].entries
    }

    /// Fills `bytes` with a piece of a part, by its number from 0 on; returns false, and leaves none, after the last.
    ///
    /// # Errors
    /// If it cannot be read, or is not as it was written.
    pub fn piece(&mut self, part: usize, number: usize, bytes: &mut Vec<u8>) -> Result<bool> {
        let Some(piece) = self.parts[part - self.first].pieces.get(number) else {
            bytes.clear();
            return Ok(false);
        };
        bytes.resize(piece.length, 0);
        self.file.read_at(piece.start, bytes)?;
        if xxh3_64_with_seed(bytes, part as u64) != piece.checksum {
            return Err(self.file.damaged());
        }
        Ok(true)
    }
}

/// Numbers of eight bytes, in so many `bytes` from `at` on.
fn numbers(file: &mut Bytes, at: u64, bytes: usize) -> Result<Vec<u64>> {
    let mut all = vec![0; bytes];
    file.read_at(at, &mut all)?;
    Ok(all.as_chunks().0.iter().map(|number| u64::from_le_bytes(*number)).collect())
}

fn number(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests damage files")]
mod tests {
    use super::*;

    /// The entries of a part, of four bytes each.
    fn entries(file: &mut Parted, part: usize) -> Result<Vec<u32>> {
        let (mut bytes, mut all) = (Vec::new(), Vec::new());
        for piece in 0.. {
            if !file.piece(part, piece, &mut bytes)? {
                break;
            }
            all.extend(bytes.as_chunks().0.iter().map(|entry| u32::from_le_bytes(*entry)));
        }
        Ok(all)
    }

    fn write(path: &Path) {
        let mut file = Parted::create_there(path, 4, 64).unwrap();
        for n in 0..200_u32 {
            let bytes = n.to_le_bytes();
            file.push([0, 1, 3][n as usize % 3], [&bytes[..1], &bytes[1..]]).unwrap();
        }
        file.publish().unwrap();
    }

    #[test]
    fn parts_are_read_alone_and_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path);
        let expected = |part: usize| -> Vec<u32> {
            let of = [Some(0), Some(1), None, Some(2)][part];
            (0..200).filter(|n| Some(n % 3) == of).collect()
        };
        let mut all = Parted::open(&path, 0..4).unwrap();
        for part in 0..4 {
            let mut alone = Parted::open(&path, part..part + 1).unwrap();
            for file in [&mut all, &mut alone] {
                assert_eq!(entries(file, part).unwrap(), expected(part));
                assert_eq!(file.entries(part), expected(part).len() as u64);
                file.close();
            }
        }
        assert!(Parted::open(&path, 4..5).is_err(), "there is no such part");
    }

    #[test]
    fn a_byte_that_changed_anywhere_is_an_error_or_changes_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path);
        let whole = std::fs::read(&path).unwrap();
        let read = || -> Result<Vec<(Vec<u32>, u64)>> {
            let mut file = Parted::open(&path, 0..4)?;
            (0..4).map(|part| Ok((entries(&mut file, part)?, file.entries(part)))).collect()
        };
        let expected = read().unwrap();
        let mut counted = 0;
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, bytes).unwrap();
            if let Ok(found) = read() {
                let short = found.iter().any(|(entries, count)| entries.len() as u64 != *count);
                assert!(short || found == expected, "byte {at} of {}", whole.len());
                counted += usize::from(short);
            }
        }
        assert!(counted > 0);
        for length in [0, 1, TRAILER, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let words = read().unwrap_err();
            let mut said = words.to_string();
            said += &std::error::Error::source(&words).map(ToString::to_string).unwrap_or_default();
            assert!(said.contains("is unreliable"), "{length}: {said}");
        }
    }
}
