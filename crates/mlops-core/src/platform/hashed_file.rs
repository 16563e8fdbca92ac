//! A new file with the digest of what is written to it.
//!
//! Not for giving it its name: see [`super::disk`].

use std::io::Write;
use std::path::Path;

use super::digest::{Digest, Hasher};
use super::disk::{Disk, NewFile};
use crate::Result;

/// See the module.
#[derive(Debug)]
pub(crate) struct HashedFile {
    file: NewFile,
    hasher: Hasher,
}

impl HashedFile {
    /// A new file beside `path`, under a temporary name.
    pub(crate) fn create(disk: &Disk, path: &Path) -> Result<Self> {
        Ok(Self { file: disk.new_file(path)?, hasher: Hasher::default() })
    }

    /// The file and its digest.
    pub(crate) fn finish(self) -> (NewFile, Digest) {
        (self.file, self.hasher.finish())
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write_all(bytes).map_err(std::io::Error::other)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
