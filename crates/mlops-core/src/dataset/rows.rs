//! Files of rows that grow and can be truncated: the new data set and its quarantine.
//!
//! A bad file is undone by returning to the mark set before it. Not for the order in which files
//! become visible: see the stage.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::platform::digest::Digest;
use crate::platform::disk::{Disk, NewFile};
use crate::platform::sha256_state::Sha256State;
use crate::{Error, Result};

use super::discover::Stamp;
use crate::dataset::counts::not_as_recorded;

/// Data sets are copied in blocks of this many bytes.
const COPY_BYTES: usize = 1 << 18;
const BUFFER_BYTES: usize = 1 << 20;
/// Writes of at least this many bytes bypass the buffer.
const DIRECT_BYTES: usize = 1 << 16;

/// A growing, unpublished file with the digest of its bytes.
#[derive(Debug)]
pub(crate) struct RowFile {
    file: NewFile,
    buffer: Vec<u8>,
    sums: FileSums,
    length: u64,
}

/// Checksums of the bytes so far. The digest of a copied data set is resumed from a saved state;
/// the checksum, which is much faster, verifies that the copied bytes are those that had the
/// digest. There is no checksum if the file shares the blocks of another one, whose bytes were
/// never seen.
#[derive(Clone)]
struct FileSums {
    digest: Sha256State,
    checksum: Option<Xxh3>,
}

impl Default for FileSums {
    fn default() -> Self {
        Self { digest: Sha256State::default(), checksum: Some(Xxh3::new()) }
    }
}

impl fmt::Debug for FileSums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sums").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// The text of a data set: the bytes of its file or, if that has another form, what these are decoded to.
pub(crate) enum Content {
    File(File),
    Decoded(Box<dyn Read + Send>),
}

/// A data set to be copied.
#[derive(Debug)]
pub(crate) struct Original {
    /// Its path.
    pub(crate) path: PathBuf,
    /// The digest that its text must have.
    pub(crate) digest: Digest,
    /// The metadata of its file when it was recorded.
    pub(crate) stamp: Option<Stamp>,
    /// Saved hash states, so that it need not be hashed again.
    pub(crate) resume: Option<Resume>,
}

/// Hash states saved at the end of a data set, from which hashing goes on in a copy of it.
#[derive(Debug, Clone)]
pub(crate) struct Resume {
    /// The state of the digest.
    pub(crate) digest: Sha256State,
    /// The checksum, XXH3 of 128 bits, if the bytes were seen.
    pub(crate) checksum: Option<u128>,
}

impl FileSums {
    fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.add_up(bytes);
    }

    /// Adds bytes to the checksum only.
    fn add_up(&mut self, bytes: &[u8]) {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
    }

    fn digest(&self) -> Digest {
        self.digest.clone().finish()
    }
}

/// A state to return to.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    length: u64,
    sums: FileSums,
}

impl RowFile {
    /// Starts a file that will be published as `path`, with `header` as its first bytes.
    pub(crate) fn create(disk: &Disk, path: &Path, header: &[u8]) -> Result<Self> {
        let file = disk.new_file(path)?;
        let mut rows = Self { file, buffer: Vec::new(), sums: FileSums::default(), length: 0 };
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

    /// Writes bytes that the sums include already.
    fn put_known(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        self.file.start_writeback()
    }

    /// Appends the rows of the data set `source` after the header, which both must share, and
    /// verifies that it has the recorded digest.
    ///
    /// If the file system supports it, the copy shares the blocks of the original and no byte is
    /// read. The guard is then the file's metadata: size, time and inode must be those recorded
    /// when it was written. Blocks corrupted under an unchanged file are noticed by the next reader
    /// of the data set, such as training, since the recorded digest is that of the sound bytes.
    /// Otherwise the bytes are copied and verified by the checksum, or hashed again if there is
    /// none.
    pub(crate) fn copy(&mut self, source: Content, from: &Original) -> Result<()> {
        self.flush()?;
        if let (Some(resume), Content::File(file)) = (&from.resume, &source)
            && self.share(file, from, resume)?
        {
            return Ok(());
        }
        let mut source: Box<dyn Read + Send> = match source {
            Content::File(file) => Box::new(file),
            Content::Decoded(text) => text,
        };
        let Original { path, digest, resume, .. } = from;
        // What a decoder says is that the bytes are not those that were recorded.
        let decoding = |e: &std::io::Error| match e.get_ref() {
            Some(inner) => inner.is::<Error>(),
            None => false,
        };
        let failed = |e| {
            if decoding(&e) { not_as_recorded(path) } else { Error::io("read", path, e) }
        };
        let known = resume.as_ref().and_then(|r| r.checksum.map(|sum| (sum, &r.digest)));
        let header = usize::try_from(self.length).unwrap_or(usize::MAX);
        let mut block = vec![0; COPY_BYTES.max(header)];
        let mut skip = header;
        loop {
            let read = read_full(&mut source, &mut block).map_err(failed)?;
            if skip > 0 && Digest::of(&block[..read.min(skip)]) != self.sums.digest() {
                return Err(not_as_recorded(path));
            }
            let rows = block[..read].get(skip..).unwrap_or_default();
            match known {
                Some(_) => self.sums.add_up(rows),
                None => self.sums.update(rows),
            }
            self.put_known(rows)?;
            skip = 0;
            if read < block.len() {
                break;
            }
        }
        let mut same = true;
        if let Some((sum, state)) = known {
            self.sums.digest = state.clone();
            same = self.sums.checksum.as_ref().is_some_and(|c| c.digest128() == sum)
                && self.length == state.length();
        }
        if same && self.sums.digest() == *digest { Ok(()) } else { Err(not_as_recorded(path)) }
    }

    /// Makes this file share the blocks of `source`; returns false if it may not or cannot.
    fn share(&mut self, source: &File, from: &Original, resume: &Resume) -> Result<bool> {
        let unchanged = |m: &std::fs::Metadata| {
            m.len() == resume.digest.length() && from.stamp == Some(Stamp::of(m))
        };
        let mut header = vec![0; usize::try_from(self.length).unwrap_or(usize::MAX)];
        let same = source.metadata().is_ok_and(|m| unchanged(&m))
            && source.read_exact_at(&mut header, 0).is_ok()
            && Digest::of(&header) == self.sums.digest();
        if !same || !self.file.share(source)? {
            return Ok(false);
        }
        self.length = resume.digest.length();
        self.sums = FileSums { digest: resume.digest.clone(), checksum: None };
        Ok(true)
    }

    /// The sums from which a copy of this file can be continued.
    pub(crate) fn resume(&mut self) -> Result<Resume> {
        self.flush()?;
        let FileSums { digest, checksum } = &self.sums;
        Ok(Resume { digest: digest.clone(), checksum: checksum.as_ref().map(Xxh3::digest128) })
    }

    /// The current state.
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

    /// Opens the bytes written so far for reading, from the start.
    pub(crate) fn reopen(&mut self) -> Result<File> {
        self.flush()?;
        self.file.reopen()
    }

    /// The file's metadata, after writing the buffer.
    pub(crate) fn stamp(&mut self) -> Result<Stamp> {
        self.flush()?;
        Ok(Stamp::of(&self.file.metadata()?))
    }

    /// Writes the rest; returns the file, to be published, with its length and digest.
    pub(crate) fn finish(mut self) -> Result<(NewFile, u64, Digest)> {
        self.flush()?;
        let digest = self.sums.digest();
        Ok((self.file, self.length, digest))
    }
}

/// Fills `block` unless the source ends first; returns the number of bytes read.
fn read_full(source: &mut impl Read, block: &mut [u8]) -> std::io::Result<usize> {
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
