//! Temporary files and folders: whose they are, and whether somebody is at work on them.
//!
//! A name carries the mark of the workspace that made it, and whoever writes holds a lock on the
//! file or folder itself. So a run removes what a killed run of the same workspace left, and
//! nothing that a program at work still needs. Not for the locks of places: see [`super::lock`].

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tempfile::{NamedTempFile, TempDir};

use super::{Disk, Step};
use crate::{Error, Result};

/// Temporary names start and end like this.
const TEMPORARY: (&str, &str) = (".mlops-", ".tmp");
/// Letters of a mark.
pub(crate) const MARK: usize = 12;

/// How temporary files are named: with the mark of a workspace, once that is known.
#[derive(Clone, Default)]
pub(super) struct Names(Arc<OnceLock<String>>);

impl Names {
    fn prefix(&self) -> String {
        let mark = self.0.get().map(|mark| format!("{mark}-"));
        format!("{}{}", TEMPORARY.0, mark.unwrap_or_default())
    }

    /// Whether a run of this workspace made `name`, or a program that has no workspace.
    fn are_of(&self, name: &str) -> bool {
        let inner = name.strip_prefix(TEMPORARY.0).and_then(|n| n.strip_suffix(TEMPORARY.1));
        inner.is_some_and(|inner| match inner.split_once('-') {
            Some((mark, _)) if is_mark(mark) => self.0.get().is_some_and(|own| own == mark),
            _ => true,
        })
    }

    /// A new file in `folder`, held.
    pub(super) fn file(&self, folder: &Path) -> io::Result<NamedTempFile> {
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

    fn folder(&self, parent: &Path) -> io::Result<TemporaryFolder> {
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

fn is_mark(text: &str) -> bool {
    text.len() == MARK && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Takes the lock of what was just created; false if somebody tidied it away in that moment.
fn hold(file: &File) -> io::Result<bool> {
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
    folder: TempDir,
    held: File,
}

impl TemporaryFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Disk {
    /// From here on, names of temporary files carry `mark`: that of the workspace, of [`MARK`]
    /// hexadecimal digits. The first one counts.
    pub(crate) fn mark_temporaries(&self, mark: &str) {
        let _ = self.names.0.set(mark.to_owned());
    }

    /// A new empty folder in `parent`.
    pub fn temporary_folder(&self, parent: &Path) -> Result<TemporaryFolder> {
        self.create_folder(parent)?;
        self.announce(Step::CreateFolder, parent)?;
        self.names.folder(parent).map_err(|e| Error::io("create a folder in", parent, e))
    }

    /// Gives a temporary folder the free name `to`, after forcing its files to the disk.
    pub fn publish_temporary(&self, from: TemporaryFolder, to: &Path) -> Result<()> {
        self.publish_folder(from.path(), to)?;
        let TemporaryFolder { folder, held } = from;
        let _ = folder.keep();
        drop(held);
        Ok(())
    }

    /// Removes what killed runs left half-written in `folder`; returns the names. What a program
    /// at work holds stays, as does what another workspace made.
    pub fn remove_temporaries(&self, folder: &Path) -> Result<Vec<String>> {
        let mut removed = Vec::new();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(removed),
            Err(e) => return Err(Error::io("list", folder, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("list", folder, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if self.names.are_of(&name) && self.remove_abandoned(&entry.path())? {
                removed.push(name);
            }
        }
        removed.sort();
        Ok(removed)
    }

    /// Removes a temporary file, link or folder unless somebody holds it; says whether it did.
    fn remove_abandoned(&self, path: &Path) -> Result<bool> {
        let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(false) };
        if metadata.is_symlink() {
            // Earlier versions made links in place.
            return self.remove(path).map(|()| true);
        }
        if !metadata.is_file() && !metadata.is_dir() {
            return Ok(false);
        }
        let Ok(held) = File::open(path) else { return Ok(false) };
        let identity = |m: &fs::Metadata| (m.dev(), m.ino());
        let free = held.try_lock().is_ok()
            && held.metadata().is_ok_and(|m| identity(&m) == identity(&metadata))
            // It may have got its final name meanwhile.
            && fs::symlink_metadata(path).is_ok_and(|m| identity(&m) == identity(&metadata));
        if free {
            self.remove(path)?;
        }
        Ok(free)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_or_of_another_workspace_stays() {
        let dir = tempfile::tempdir().unwrap();
        let [ours, theirs] = ["0123456789ab", "ba9876543210"].map(|mark| {
            let disk = Disk::default();
            disk.mark_temporaries(mark);
            disk
        });
        let looking = Disk::default();
        let held = [ours.clone(), theirs.clone(), looking.clone()]
            .map(|disk| disk.new_file(&dir.path().join("x.csv")).unwrap());
        let folder = ours.temporary_folder(dir.path()).unwrap();
        fs::write(folder.path().join("a"), "a").unwrap();
        for name in [".mlops-0123456789ab-q.tmp", ".mlops-ba9876543210-q.tmp", ".mlops-Ab3dE9.tmp"]
        {
            fs::write(dir.path().join(name), "left behind").unwrap();
        }
        let swept = theirs.remove_temporaries(dir.path()).unwrap();
        assert_eq!(swept, [".mlops-Ab3dE9.tmp", ".mlops-ba9876543210-q.tmp"]);
        assert_eq!(ours.remove_temporaries(dir.path()).unwrap(), [".mlops-0123456789ab-q.tmp"]);
        assert!(looking.remove_temporaries(dir.path()).unwrap().is_empty());
        assert!(folder.path().join("a").is_file());
        for file in held {
            file.publish(true).unwrap();
        }
        ours.publish_temporary(folder, &dir.path().join("kept")).unwrap();
        assert!(dir.path().join("kept/a").is_file());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }
}
