//! Locks that end with their holder, even on `kill -9`: one for a workspace, and one for each
//! folder that several workspaces may share.
//!
//! Not for temporary files, which are locked themselves: see [`crate::platform::sweep`].

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::platform::disk::{Disk, parent_of};
use crate::{Error, Result, text};

/// Bytes of a lock file that suffice to name its holder.
const HOLDER_BYTES: u64 = 200;

/// A lock, held until it is dropped.
///
/// It is given back in words, and not by closing the file alone: a process that another thread is starting
/// has the file open, too, until its program replaces ours.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Should that fail, the lock ends with the last process that has the file open.
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Takes the lock at `path`, or fails with the name of its holder. `holder` is written for
    /// others to read.
    #[expect(clippy::disallowed_methods, reason = "this module is a part of `durable`")]
    pub fn acquire(disk: &Disk, path: &Path, holder: &str) -> Result<Self> {
        let failed = |e| Error::io("lock", path, e);
        disk.create_folder(parent_of(path))?;
        // A link would lead us to overwrite a file that is not ours.
        if fs::symlink_metadata(path).is_ok_and(|m| !m.is_file()) {
            return Err(Error::conflict(format!(
                "{} must be a file of this program, and is a link, a folder or a device: remove \
                 it and run again",
                path.display()
            )));
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut other = Vec::new();
                // Between taking the lock and writing its name the holder is unknown, which is no
                // error.
                let _ = file.take(HOLDER_BYTES).read_to_end(&mut other);
                let other = String::from_utf8_lossy(&other);
                let other = text::visible(other.trim());
                let who = if other.is_empty() { "another run" } else { &other };
                return Err(Error::locked(format!(
                    "{who} holds {}; this run stops and changes nothing",
                    path.display()
                )));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        // The lock file may have been replaced or removed since it was opened.
        let (ours, there) = (file.metadata().map_err(failed)?, fs::symlink_metadata(path));
        if !there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Err(Error::locked(format!(
                "{} was replaced while this run locked it; this run stops and changes nothing",
                path.display()
            )));
        }
        file.set_len(0).and_then(|()| file.write_all(holder.as_bytes())).map_err(failed)?;
        Ok(Self { file })
    }
}

/// A folder that several workspaces may change, locked until this is dropped. Leaves no file.
#[derive(Debug)]
pub struct FolderLock {
    folder: File,
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        let _ = self.folder.unlock();
    }
}

impl FolderLock {
    /// Takes the lock of the folder at `path`; fails if another process holds it.
    pub fn acquire(path: &Path) -> Result<Self> {
        let failed = |e| Error::io("lock", path, e);
        let folder = File::open(path).map_err(failed)?;
        match folder.try_lock() {
            Ok(()) => Ok(Self { folder }),
            Err(TryLockError::WouldBlock) => Err(Error::locked(format!(
                "another workspace holds {}; this run stops here, and the next one continues",
                path.display()
            ))),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::acquire(&Disk::default(), &path, "training (pid 7)").unwrap();
        let error = Lock::acquire(&Disk::default(), &path, "x").unwrap_err();
        assert!(error.to_string().contains("training (pid 7)"), "{error}");
        drop(held);
        Lock::acquire(&Disk::default(), &path, "x").unwrap();
    }

    #[test]
    fn a_lock_ends_although_a_process_that_is_being_started_has_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::acquire(&Disk::default(), &path, "x").unwrap();
        let folder = FolderLock::acquire(dir.path()).unwrap();
        // What a child has between `fork` and `exec`: the same open files.
        let _copies = [held.file.try_clone().unwrap(), folder.folder.try_clone().unwrap()];
        drop((held, folder));
        Lock::acquire(&Disk::default(), &path, "x").unwrap();
        FolderLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn a_lock_that_is_a_link_is_refused_and_what_it_leads_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (path, theirs) = (dir.path().join("run.lock"), dir.path().join("thesis.txt"));
        fs::write(&theirs, "years of work").unwrap();
        std::os::unix::fs::symlink(&theirs, &path).unwrap();
        let error = Lock::acquire(&Disk::default(), &path, "x").unwrap_err();
        assert!(error.to_string().contains("is a link"), "{error}");
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "years of work");
    }
}
