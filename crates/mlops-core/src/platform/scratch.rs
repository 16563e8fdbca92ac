//! Files without a name, for data that do not fit into memory.
//!
//! Not for files that are to stay: see [`super::disk`].

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskStep};
use crate::{Error, Result};

impl Disk {
    /// A file without a name in `folder`, for data that does not fit into memory.
    pub fn scratch(&self, folder: &Path) -> Result<Scratch> {
        self.create_folder(folder)?;
        self.announce(DiskStep::CreateFile, folder)?;
        let file = tempfile::tempfile_in(folder);
        let file = file.map_err(|e| Error::io("create a temporary file in", folder, e))?;
        Ok(Scratch { disk: self.clone(), folder: folder.to_owned(), file, length: 0 })
    }
}

/// A file without a name, for data that does not fit into memory. It vanishes with its process,
/// even on `kill -9`, and no sweep can remove it. Never synced.
#[derive(Debug)]
pub struct Scratch {
    disk: Disk,
    folder: PathBuf,
    file: File,
    length: u64,
}

impl Scratch {
    /// Appends `bytes`; returns their offset.
    pub fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        self.disk.announce(DiskStep::Write, &self.folder)?;
        let at = self.length;
        let written = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.write_all(bytes));
        written.map_err(|e| Error::io("write a temporary file in", &self.folder, e))?;
        self.length += bytes.len() as u64;
        Ok(at)
    }

    /// Fills `bytes` from `offset`; several threads may do so at the same time.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let read = std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, offset);
        read.map_err(|e| Error::io("read a temporary file in", &self.folder, e))
    }
}
