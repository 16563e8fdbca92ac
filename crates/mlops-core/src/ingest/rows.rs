//! Files of rows that grow and can be cut back: the new data set and its quarantine.
//!
//! A file that turns out bad is undone by returning to the mark set before it. Not for the order
//! in which files become visible: see the stage.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::digest::{Digest, Resumable};
use crate::durable::{Disk, NewFile};
use crate::{Error, Result};

use super::outcome::not_as_recorded;

/// A data set is copied so many bytes at a time.
const COPY_BYTES: usize = 1 << 18;
const BUFFER_BYTES: usize = 1 << 20;
/// So many bytes at once are not worth a copy to the buffer.
const DIRECT_BYTES: usize = 1 << 16;

/// A growing, unpublished file with the digest of its bytes.
#[derive(Debug)]
pub(crate) struct RowFile {
    file: NewFile,
    buffer: Vec<u8>,
    sums: Sums,
    length: u64,
}

/// What identifies the bytes so far. The digest of a data set that is copied is taken up where it
/// ended; the checksum, which is much faster, tells whether the bytes are those that had it.
#[derive(Clone, Default)]
struct Sums {
    digest: Resumable,
    checksum: Xxh3,
}

impl fmt::Debug for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sums").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// A data set to be copied.
#[derive(Debug)]
pub(crate) struct Original {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it must have.
    pub(crate) digest: Digest,
    /// What spares hashing it.
    pub(crate) resume: Resume,
}

/// What is known of a whole data set, to append to a copy of it.
#[derive(Debug, Clone)]
pub(crate) struct Resume {
    /// Its digest, to be taken up.
    pub(crate) digest: Resumable,
    /// Its checksum: XXH3 of 128 bits.
    pub(crate) checksum: u128,
}

impl Sums {
    fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.checksum.update(bytes);
    }

    fn digest(&self) -> Digest {
        self.digest.clone().finish()
    }
}

/// A state to return to.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    length: u64,
    sums: Sums,
}

impl RowFile {
    /// A file that will be `path`, starting with `header`.
    pub(crate) fn create(disk: &Disk, path: &Path, header: &[u8]) -> Result<Self> {
        let file = disk.new_file(path)?;
        let mut rows = Self { file, buffer: Vec::new(), sums: Sums::default(), length: 0 };
        rows.append(header)?;
        Ok(rows)
    }

    /// Appends bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.is_empty() && bytes.len() >= DIRECT_BYTES {
            return self.put(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let put = if buffer.is_empty() { Ok(()) } else { self.put(&buffer) };
        buffer.clear();
        self.buffer = buffer;
        put
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.sums.update(bytes);
        self.put_known(bytes)
    }

    /// Writes bytes that the sums know.
    fn put_known(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        self.file.hasten()
    }

    /// Appends the rows of the data set `source` to the header, which both must share, and checks
    /// that it is the one with the digest: its checksum says so.
    pub(crate) fn copy(&mut self, source: File, from: &Original) -> Result<()> {
        self.flush()?;
        let mut source = source;
        let Original { path, digest, resume } = from;
        let failed = |e| Error::io("read", path, e);
        let header = usize::try_from(self.length).unwrap_or(usize::MAX);
        let mut block = vec![0; COPY_BYTES.max(header)];
        let mut skip = header;
        loop {
            let read = read_full(&mut source, &mut block).map_err(failed)?;
            if skip > 0 && Digest::of(&block[..read.min(skip)]) != self.sums.digest() {
                return Err(not_as_recorded(path));
            }
            let rows = block[..read].get(skip..).unwrap_or_default();
            self.sums.checksum.update(rows);
            self.put_known(rows)?;
            skip = 0;
            if read < block.len() {
                break;
            }
        }
        self.sums.digest = resume.digest.clone();
        let same = self.sums.checksum.digest128() == resume.checksum
            && self.length == resume.digest.length()
            && self.sums.digest() == *digest;
        if same { Ok(()) } else { Err(not_as_recorded(path)) }
    }

    /// What a copy of this file can be appended to with.
    pub(crate) fn resume(&mut self) -> Result<Resume> {
        self.flush()?;
        let Sums { digest, checksum } = &self.sums;
        Ok(Resume { digest: digest.clone(), checksum: checksum.digest128() })
    }

    /// The present state.
    pub(crate) fn mark(&mut self) -> Result<Mark> {
        self.flush()?;
        Ok(Mark { length: self.length, sums: self.sums.clone() })
    }

    /// Returns to `mark`.
    pub(crate) fn cut_back(&mut self, mark: Mark) -> Result<()> {
        self.buffer.clear();
        if self.length > mark.length {
            self.file.truncate(mark.length)?;
        }
        (self.length, self.sums) = (mark.length, mark.sums);
        Ok(())
    }

    /// What there is, to be read from its start.
    pub(crate) fn reopen(&mut self) -> Result<File> {
        self.flush()?;
        self.file.reopen()
    }

    /// Everything written; gives the file, to be published, with its length and digest.
    pub(crate) fn finish(mut self) -> Result<(NewFile, u64, Digest)> {
        self.flush()?;
        let digest = self.sums.digest();
        Ok((self.file, self.length, digest))
    }
}

/// Fills `block` unless the source ends before; returns how much it is.
fn read_full(source: &mut File, block: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match source.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
