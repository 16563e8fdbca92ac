//! The bytes of a file: read once from front to back with their digest, or at any place.
//!
//! Not for what they mean: see [`crate::open`].

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use mlops_core::platform::digest::{Digest, Hasher};
use mlops_core::{Error, Result};

/// A file that is read once from front to back. Copies are handles of the same reading.
#[derive(Clone)]
pub(crate) struct Stream(Arc<Mutex<Reading>>);

struct Reading {
    file: File,
    hasher: Hasher,
    read: u64,
}

impl Stream {
    /// A reading of `file` from its first byte on.
    pub(crate) fn of(file: File) -> Self {
        Self(Arc::new(Mutex::new(Reading { file, hasher: Hasher::default(), read: 0 })))
    }

    /// The number of bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read
    }

    /// The digest of the whole file; reads what a decoder left.
    fn digest(&mut self, path: &Path) -> Result<Digest> {
        io::copy(self, &mut io::sink()).map_err(|e| Error::io("read", path, e))?;
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).hasher.clone().finish())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let n = reading.file.read(buffer)?;
        reading.hasher.update(&buffer[..n]);
        reading.read += n as u64;
        Ok(n)
    }
}

/// How the digest of a file is found once its rows were read.
pub(crate) enum Sum {
    /// It was read from front to back.
    Streamed(PathBuf, Stream),
    /// It was read here and there.
    Whole(PathBuf, Window),
    /// A thread reads it from front to back at the same time.
    Beside(Option<JoinHandle<Result<Digest>>>),
}

impl Sum {
    /// The digest of the file in `window`, on a thread of its own if the system gives one.
    pub(crate) fn beside(path: &Path, window: Window) -> Self {
        let (place, own) = (path.to_owned(), window.clone());
        let work = move || Self::Whole(place, own).finish();
        match thread::Builder::new().name("digest".to_owned()).spawn(work) {
            Ok(thread) => Self::Beside(Some(thread)),
            Err(_) => Self::Whole(path.to_owned(), window),
        }
    }

    /// The digest.
    pub(crate) fn finish(&mut self) -> Result<Digest> {
        match self {
            Self::Streamed(path, stream) => stream.digest(path),
            Self::Beside(thread) => {
                let found = thread.take().map(JoinHandle::join);
                let found = found.map(|found| found.unwrap_or_else(|panic| resume_unwind(panic)));
                found.unwrap_or_else(|| Ok(Digest::of(b"")))
            }
            Self::Whole(path, window) => {
                let failed = |e| Error::io("read", path, e);
                window.seek(SeekFrom::Start(0)).map_err(failed)?;
                let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 1 << 18]);
                loop {
                    match window.read(&mut buffer).map_err(failed)? {
                        0 => return Ok(hasher.finish()),
                        n => hasher.update(&buffer[..n]),
                    }
                }
            }
        }
    }
}

/// A part of a file with a position of its own.
#[derive(Clone)]
pub(crate) struct Window {
    file: Arc<File>,
    start: u64,
    end: u64,
    at: u64,
}

impl Window {
    /// All of `file`.
    pub(crate) fn of(file: File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), start: 0, end, at: 0 })
    }

    /// Its bytes from `start` on, at most `length`.
    pub(crate) fn part(&self, start: u64, length: u64) -> Self {
        let start = self.start.saturating_add(start).min(self.end);
        let end = start.saturating_add(length).min(self.end);
        Self { file: Arc::clone(&self.file), start, end, at: start }
    }

    /// The number of its bytes.
    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let n = read_at(&self.file, &mut buffer[..most], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(by) => (0, i64::try_from(by).ok()),
            SeekFrom::End(by) => (self.len(), Some(by)),
            SeekFrom::Current(by) => (self.at - self.start, Some(by)),
        };
        let to = by.and_then(|by| base.checked_add_signed(by));
        let to = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.at = self.start.saturating_add(to);
        Ok(to)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(not(unix))]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut file = file;
    file.seek(SeekFrom::Start(at))?;
    file.read(buffer)
}
