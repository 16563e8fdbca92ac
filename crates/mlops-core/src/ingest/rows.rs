//! Files of rows that grow and can be cut back: the new data set and its quarantine.
//!
//! A file that turns out bad is undone by returning to the mark set before it. Not for the order
//! in which files become visible: see the stage.

use std::fs::File;
use std::path::Path;

use crate::Result;
use crate::digest::{Digest, Hasher};
use crate::durable::{Disk, NewFile};

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
