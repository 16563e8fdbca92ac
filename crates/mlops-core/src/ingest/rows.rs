//! Files of rows that grow and can be cut back: the new data set and its quarantine.
//!
//! A file that turns out bad is undone by returning to the mark set before it. Not for the order
//! in which files become visible: see the stage.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::digest::{Digest, Hasher};
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
    hasher: Hasher,
    length: u64,
}

/// A state to return to.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    length: u64,
    hasher: Hasher,
}

impl RowFile {
    /// A file that will be `path`, starting with `header`.
    pub(crate) fn create(disk: &Disk, path: &Path, header: &[u8]) -> Result<Self> {
        let file = disk.new_file(path)?;
        let mut rows = Self { file, buffer: Vec::new(), hasher: Hasher::default(), length: 0 };
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
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Appends the rows of the data set `source` to the header, which both must share, and checks
    /// that it has `digest`: the bytes so far are its bytes.
    pub(crate) fn copy(&mut self, mut source: File, path: &Path, digest: Digest) -> Result<()> {
        self.flush()?;
        let failed = |e| Error::io("read", path, e);
        let header = usize::try_from(self.length).unwrap_or(usize::MAX);
        let mut block = vec![0; COPY_BYTES.max(header)];
        let mut skip = header;
        loop {
            let read = read_full(&mut source, &mut block).map_err(failed)?;
            if skip > 0 && Digest::of(&block[..read.min(skip)]) != self.hasher.clone().finish() {
                return Err(not_as_recorded(path));
            }
            self.put(block[..read].get(skip..).unwrap_or_default())?;
            skip = 0;
            if read < block.len() {
                break;
            }
        }
        if self.hasher.clone().finish() == digest { Ok(()) } else { Err(not_as_recorded(path)) }
    }

    /// The present state.
    pub(crate) fn mark(&mut self) -> Result<Mark> {
        self.flush()?;
        Ok(Mark { length: self.length, hasher: self.hasher.clone() })
    }

    /// Returns to `mark`.
    pub(crate) fn cut_back(&mut self, mark: Mark) -> Result<()> {
        self.buffer.clear();
        if self.length > mark.length {
            self.file.truncate(mark.length)?;
        }
        (self.length, self.hasher) = (mark.length, mark.hasher);
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
        Ok((self.file, self.length, self.hasher.finish()))
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
