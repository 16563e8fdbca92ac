//! Temporary files and folders: whose they are, by the mark of a workspace in their names.
//!
//! Not for removing what a killed run left: see [`super::sweep`].

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tempfile::{NamedTempFile, TempDir};

/// Temporary names start and end like this.
pub(crate) const TEMPORARY: (&str, &str) = (".mlops-", ".tmp");

/// Letters of a mark.
pub(crate) const MARK: usize = 12;

/// How temporary files are named: with the mark of a workspace, once that is known.
#[derive(Clone, Default)]
pub(crate) struct Names(pub(crate) Arc<OnceLock<String>>);

impl Names {
    pub(crate) fn prefix(&self) -> String {
        let mark = self.0.get().map(|mark| format!("{mark}-"));
        format!("{}{}", TEMPORARY.0, mark.unwrap_or_default())
    }

    /// Whether a run of this workspace made `name`, or a program that has no workspace.
    pub(crate) fn are_of(&self, name: &str) -> bool {
        let inner = name.strip_prefix(TEMPORARY.0).and_then(|n| n.strip_suffix(TEMPORARY.1));
        inner.is_some_and(|inner| match inner.split_once('-') {
            Some((mark, _)) if is_mark(mark) => self.0.get().is_some_and(|own| own == mark),
            _ => true,
        })
    }

    /// A new file in `folder`, held.
    pub(crate) fn file(&self, folder: &Path) -> io::Result<NamedTempFile> {
        loop {
            let mut builder = tempfile::Builder::new();
            let prefix = self.prefix();
            builder.prefix(&prefix).suffix(TEMPORARY.1);
            builder.permissions(fs::Permissions::from_mode(0o666));
            let file = builder.tempfile_in(folder)?;
            if hold(file.as_file())? {
                return Ok(file);
            }
        }
    }

    pub(crate) fn folder(&self, parent: &Path) -> io::Result<TemporaryFolder> {
        loop {
            let mut builder = tempfile::Builder::new();
            let prefix = self.prefix();
            builder.prefix(&prefix).suffix(TEMPORARY.1);
            builder.permissions(fs::Permissions::from_mode(0o777));
            let folder = builder.tempdir_in(parent)?;
            let held = File::open(folder.path())?;
            if hold(&held)? {
                return Ok(TemporaryFolder { folder, held });
            }
        }
    }
}

pub(crate) fn is_mark(text: &str) -> bool {
    text.len() == MARK && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Takes the lock of what was just created; false if somebody tidied it away in that moment.
pub(crate) fn hold(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        // A file system without locks has nobody who heeds them either.
        Err(fs::TryLockError::Error(_)) => Ok(true),
        Ok(()) => Ok(file.metadata()?.nlink() > 0),
    }
}

/// A folder for what is not finished, or not needed any more; dropped, it is gone.
#[derive(Debug)]
pub struct TemporaryFolder {
    pub(crate) folder: TempDir,
    pub(crate) held: File,
}

impl TemporaryFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}
