//! Removes the temporary files and folders that a killed run of the same workspace left.
//!
//! A program that writes holds a lock on its temporary file or folder, so that nothing is removed
//! that a running program still needs. Not for how they are named: see [`super::temporary`]. Not
//! for the locks of folders: see [`super::lock`].

use crate::platform::temporary::TemporaryFolder;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::platform::disk::{Disk, DiskStep};
use crate::{Error, Result};

impl Disk {
    /// From here on, names of temporary files carry `mark`, the workspace's, of [`MARK`]
    /// hexadecimal digits. Only the first call has an effect.
    pub(crate) fn mark_temporaries(&self, mark: &str) {
        let _ = self.names.0.set(mark.to_owned());
    }

    /// Creates a temporary folder in `parent`.
    pub fn temporary_folder(&self, parent: &Path) -> Result<TemporaryFolder> {
        self.create_folder(parent)?;
        self.announce(DiskStep::CreateFolder, parent)?;
        self.names.folder(parent).map_err(|e| Error::io("create a folder in", parent, e))
    }

    /// Renames a temporary folder to `to`, which must be free, after flushing its files.
    pub fn publish_temporary(&self, from: TemporaryFolder, to: &Path) -> Result<()> {
        self.publish_folder(from.path(), to)?;
        let TemporaryFolder { folder, held } = from;
        let _ = folder.keep();
        drop(held);
        Ok(())
    }

    /// Removes temporary files that killed runs left in `folder`; returns their names. Files held
    /// by a running program or made by another workspace stay.
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

    /// Removes a temporary file, link or folder unless a program holds it; returns whether it did.
    fn remove_abandoned(&self, path: &Path) -> Result<bool> {
        let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(false) };
        if metadata.is_symlink() {
            // Earlier versions created links in place.
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
