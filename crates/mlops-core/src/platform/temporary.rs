//! Names of temporary files and folders, which carry the mark of their workspace.
//!
//! Not for removing what a killed run left: see [`super::sweep`].

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tempfile::{NamedTempFile, TempDir};

/// How temporary names start and end.
pub(crate) const TEMPORARY: (&str, &str) = (".mlops-", ".tmp");

/// Letters of a mark.
pub(crate) const MARK: usize = 12;

/// How temporary files are named: with the mark of the workspace, once it is known.
#[derive(Clone, Default)]
pub(crate) struct Names(pub(crate) Arc<OnceLock<String>>);

impl Names {
    pub(crate) fn prefix(&self) -> String {
        let mark = self.0.get().map(|mark| format!("{mark}-"));
        format!("{}{}", TEMPORARY.0, mark.unwrap_or_default())
    }

    /// Whether this workspace, or a program without a workspace, made `name`.
    pub(crate) fn are_of(&self, name: &str) -> bool {
        let inner = name.strip_prefix(TEMPORARY.0).and_then(|n| n.strip_suffix(TEMPORARY.1));
        inner.is_some_and(|inner| match inner.split_once('-') {
            Some((mark, _)) if is_mark(mark) => self.0.get().is_some_and(|own| own == mark),
            _ => true,
        })
    }

    /// Creates a locked temporary file in `folder`.
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

/// Locks a file that was just created; false if a sweep removed it before that.
pub(crate) fn hold(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        // On a file system without locks, no other program checks them either.
        Err(fs::TryLockError::Error(_)) => Ok(true),
        Ok(()) => Ok(file.metadata()?.nlink() > 0),
    }
}

/// A folder for unfinished or discarded files; removed when dropped.
#[derive(Debug)]
pub struct TemporaryFolder {
    pub(crate) folder: TempDir,
    pub(crate) held: File,
}

impl TemporaryFolder {
    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}
