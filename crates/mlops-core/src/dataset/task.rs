//! What every task of a distributed engine is told, how it answers, and the files in which it leaves what is long.
//!
//! Not for what tasks do: see [`super::elsewhere`] and `stage::elsewhere`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::counts::own_fault;
use crate::config::Config;
use crate::platform::disk::{Disk, NewFile};
use crate::{Error, ErrorKind, Result};

/// A configuration as it is sent to an executor of tasks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfigText {
    text: String,
    path: PathBuf,
}

impl ConfigText {
    /// That of `config`.
    ///
    /// # Errors
    /// If the path of its file cannot be resolved.
    pub fn of(config: &Config) -> Result<Self> {
        Ok(Self { text: config.text.clone(), path: absolute(&config.file)? })
    }

    /// The configuration.
    ///
    /// # Errors
    /// If this program does not understand it.
    pub fn parse(&self) -> Result<Config> {
        Config::parse(&self.text, &self.path)
    }
}

/// The same path from the root, since a task may be carried out in another folder.
///
/// # Errors
/// If this process has no folder.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io("resolve", path, e))
}

/// What becomes of a task: an answer, or what is wrong with the file.
#[derive(Debug, Serialize, Deserialize)]
enum Answer<T> {
    Done(T),
    Refused(String),
}

/// An answer as text. What the data are to blame for is an answer; anything else may be another time or elsewhere
/// otherwise.
///
/// # Errors
/// What may succeed another time or elsewhere.
pub fn answer<T: Serialize>(outcome: Result<T>) -> Result<String> {
    let answer = match outcome {
        Ok(done) => Answer::Done(done),
        Err(e) if matches!(e.kind(), ErrorKind::Schema { .. } | ErrorKind::Data(_)) => {
            Answer::Refused(own_fault(&e))
        }
        Err(e) => return Err(e),
    };
    serde_json::to_string(&answer).map_err(|e| Error::backend("serde_json", e))
}

/// The next answer: what was asked for, or what is wrong with the file.
///
/// # Errors
/// If there is none, or it answers something else.
pub fn next<'a, T: Deserialize<'a>>(
    answers: &mut impl Iterator<Item = &'a str>,
) -> Result<Result<T, String>> {
    let none = || Error::backend("ballista", "fewer answers came than tasks were given");
    let text = answers.next().ok_or_else(none)?;
    Ok(match serde_json::from_str(text).map_err(|e| Error::backend("serde_json", e))? {
        Answer::Done(done) => Ok(done),
        Answer::Refused(reason) => Err(reason),
    })
}

/// `path` with `end` after its name.
pub(crate) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A file that a task writes. If the task is carried out twice, both write the same.
pub(crate) struct Output {
    file: NewFile,
    buffer: Vec<u8>,
    checksum: Xxh3,
}

impl Output {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = Disk::for_task().new_file(path)?;
        Ok(Self { file, buffer: Vec::new(), checksum: Xxh3::new() })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() > 1 << 18 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.checksum.update(&self.buffer);
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Gives the file its name; returns the checksum of its content.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.flush()?;
        self.file.publish_unsynced()?;
        Ok(self.checksum.digest())
    }
}

/// Passes what a task wrote to the file at `path` to `append`; refuses it unless it has so many `bytes`.
pub(crate) fn append_file(
    path: &Path,
    bytes: u64,
    append: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let failed = |e| Error::io("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let (mut block, mut seen) = (vec![0; 1 << 18], 0);
    loop {
        let read = file.read(&mut block).map_err(failed)?;
        if read == 0 {
            break;
        }
        seen += read as u64;
        append(&block[..read])?;
    }
    if seen == bytes { Ok(()) } else { Err(not_as_counted(path)) }
}

/// Why a file is not used.
pub(crate) fn not_as_counted(path: &Path) -> Error {
    Error::data(format!(
        "{} does not have the rows that the cluster counted: its disk, or the folder that all machines share, is \
         unreliable; nothing was changed",
        path.display()
    ))
}
