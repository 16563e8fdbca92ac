//! The only code that writes files: atomic, fsynced, and observable step by step.
//!
//! Every change of the disk passes through [`Disk`], which announces it to a [`Probe`] first.
//! A test that records, refuses or kills at a step therefore covers every change.
//! Not for reading: readers open files as usual and see either the old content or the new one.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tempfile::NamedTempFile;

use crate::platform::files;
use crate::platform::temporary::Names;

use crate::{Error, Result};

/// A step that changes the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskStep {
    /// A folder is created.
    CreateFolder,
    /// A temporary file is created.
    CreateFile,
    /// Bytes are written to a temporary file.
    Write,
    /// A file's content is flushed to the disk.
    SyncFile,
    /// A file or folder gets its final name.
    Rename,
    /// The pointer to the live release is swapped.
    SwapLink,
    /// A folder's entries are flushed to the disk.
    SyncFolder,
    /// A file or folder is removed.
    Remove,
    /// A transaction of the ledger is committed.
    Commit,
}

/// Called before every step; an error prevents the step.
pub trait Probe: Send + Sync {
    /// Called before `step` is applied to `path`.
    fn before(&self, step: DiskStep, path: &Path) -> io::Result<()>;
}

/// The disk, with an optional observer.
#[derive(Clone, Default)]
pub struct Disk {
    probe: Option<Arc<dyn Probe>>,
    /// Folders are those of the run that gave the task: this program creates none.
    for_task: bool,
    pub(crate) names: Names,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("observed", &self.probe.is_some()).finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "this module owns writing")]
impl Disk {
    /// A disk whose steps `probe` sees, for fault injection.
    pub fn observed(probe: Arc<dyn Probe>) -> Self {
        Self { probe: Some(probe), ..Self::default() }
    }

    /// The disk of a task that another process gave: it creates no folders. A folder that is missing was removed with
    /// all that was in it, since that process is over, and a task that comes too late must not bring it back.
    pub fn for_task() -> Self {
        Self { for_task: true, ..Self::default() }
    }

    /// Announces a step; the ledger uses it for its commits.
    pub fn announce(&self, step: DiskStep, path: &Path) -> Result<()> {
        let operation = match step {
            DiskStep::CreateFolder => "create the folder",
            DiskStep::CreateFile => "create a file in",
            DiskStep::Write => "write",
            DiskStep::SyncFile | DiskStep::SyncFolder => "sync",
            DiskStep::Rename => "rename to",
            DiskStep::SwapLink => "point",
            DiskStep::Remove => "remove",
            DiskStep::Commit => "commit to",
        };
        match &self.probe {
            Some(probe) => probe.before(step, path).map_err(|e| Error::io(operation, path, e)),
            None => Ok(()),
        }
    }

    /// Creates `folder` and its parents durably; does nothing if it exists.
    pub fn create_folder(&self, folder: &Path) -> Result<()> {
        // The empty path is the working directory.
        if folder.as_os_str().is_empty() || folder.is_dir() {
            return Ok(());
        }
        if self.for_task {
            return Err(Error::conflict(format!(
                "{} is no longer there: the run that gave this task is over",
                folder.display()
            )));
        }
        if let Some(parent) = folder.parent() {
            self.create_folder(parent)?;
        }
        self.announce(DiskStep::CreateFolder, folder)?;
        match fs::create_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            Err(e) => Err(Error::io("create the folder", folder, e)),
            Ok(()) => self.sync_folder(parent_of(folder)),
        }
    }

    /// Replaces the content of `path` atomically, creating its folder if needed.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = self.new_file(path)?;
        file.write_all(bytes)?;
        file.publish(true)
    }

    /// Writes the new file `path`, which only its owner may read: at no time can others.
    pub fn write_private(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = self.new_file(path)?;
        let owners = fs::Permissions::from_mode(0o600);
        let closed = file.file.as_file().set_permissions(owners);
        closed.map_err(|e| Error::io("close to others", path, e))?;
        file.write_all(bytes)?;
        file.publish(false)
    }

    /// Like [`Disk::write`], but leaves a file alone that already holds these bytes.
    pub fn write_if_changed(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        match files::read(path) {
            Ok(old) if old == bytes => Ok(()),
            _ => self.write(path, bytes),
        }
    }

    /// Like [`Disk::write_if_changed`] for several files of one folder, given by name. Each is
    /// durable before any gets its name; the names appear in this order and are flushed together.
    pub fn write_changed(&self, folder: &Path, files: &[(&str, &[u8])]) -> Result<()> {
        let mut ready = Vec::new();
        for (name, bytes) in files {
            let path = folder.join(name);
            if !files::read(&path).is_ok_and(|old| old == *bytes) {
                let mut file = self.new_file(&path)?;
                file.write_all(bytes)?;
                file.sync()?;
                ready.push(file);
            }
        }
        let any = !ready.is_empty();
        ready.into_iter().try_for_each(|file| file.rename(true))?;
        if any { self.sync_folder(folder) } else { Ok(()) }
    }

    /// Starts a file that appears at `path` only when it is published.
    pub fn new_file(&self, path: &Path) -> Result<NewFile> {
        let folder = parent_of(path);
        self.create_folder(folder)?;
        self.announce(DiskStep::CreateFile, folder)?;
        let file = self.names.file(folder).map_err(|e| Error::io("create", path, e))?;
        let disk = self.clone();
        Ok(NewFile { disk, path: path.to_owned(), file, unsynced: 0, syncing: None })
    }

    /// Creates an empty file at `path` with the permissions of the user's umask, so that everybody
    /// who may write to the folder's files may write to it; does nothing if it exists.
    pub fn create_shared(&self, path: &Path) -> Result<()> {
        if path.try_exists().map_err(|e| Error::io("read", path, e))? {
            return Ok(());
        }
        self.announce(DiskStep::CreateFile, path)?;
        let made = File::options().append(true).create(true).open(path);
        made.map(drop).map_err(|e| Error::io("create", path, e))
    }

    /// Opens a file that another process began, to write the part of it that begins at `offset`.
    pub fn part_of(&self, path: &Path, offset: u64) -> Result<FilePart> {
        let failed = |e| Error::io("write", path, e);
        let mut file = fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        Ok(FilePart { disk: self.clone(), path: path.to_owned(), file })
    }

    /// Renames the folder `from` to `to`, which must be free, after flushing its files.
    pub fn publish_folder(&self, from: &Path, to: &Path) -> Result<()> {
        self.sync_folder(from)?;
        self.announce(DiskStep::Rename, to)?;
        // On a folder, rename replaces only an empty folder.
        fs::rename(from, to).map_err(|e| Error::io("rename to", to, e))?;
        self.sync_folder(parent_of(to))?;
        if parent_of(from) == parent_of(to) { Ok(()) } else { self.sync_folder(parent_of(from)) }
    }

    /// Makes `link` a symbolic link to `target`, replacing an older link atomically.
    #[cfg(unix)]
    pub fn swap_link(&self, target: &Path, link: &Path) -> Result<()> {
        let folder = parent_of(link);
        self.create_folder(folder)?;
        // In a folder of its own: a link cannot be locked against the sweep of temporary files.
        let temporary = self.temporary_folder(folder)?;
        let made = temporary.path().join("link");
        self.announce(DiskStep::CreateFile, &made)?;
        std::os::unix::fs::symlink(target, &made)
            .map_err(|e| Error::io("create the link", link, e))?;
        self.announce(DiskStep::SwapLink, link)?;
        fs::rename(&made, link).map_err(|e| Error::io("point", link, e))?;
        drop(temporary);
        self.sync_folder(folder)
    }

    /// Creates the symbolic link `link`, whose name must be free, to `target`.
    #[cfg(unix)]
    pub fn link(&self, target: &Path, link: &Path) -> Result<()> {
        self.announce(DiskStep::CreateFile, link)?;
        std::os::unix::fs::symlink(target, link).map_err(|e| Error::io("create", link, e))
    }

    /// Removes a file, a link or a whole folder; does nothing if it does not exist.
    pub fn remove(&self, path: &Path) -> Result<()> {
        let failed = |e| Error::io("remove", path, e);
        let kind = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata.file_type(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed(e)),
        };
        self.announce(DiskStep::Remove, path)?;
        if kind.is_dir() { remove_folder(path) } else { fs::remove_file(path) }.map_err(failed)?;
        self.sync_folder(parent_of(path))
    }

    /// Makes all files durable that were published unsynced in `folder`, with a single wait.
    pub fn sync_filesystem(&self, folder: &Path) -> Result<()> {
        self.announce(DiskStep::SyncFolder, folder)?;
        let path = folder;
        let synced = File::open(path).and_then(|folder| {
            #[cfg(target_os = "linux")]
            return Ok(rustix::fs::syncfs(&folder)?);
            #[cfg(not(target_os = "linux"))]
            {
                for entry in fs::read_dir(path)? {
                    File::open(entry?.path())?.sync_all()?;
                }
                folder.sync_all()
            }
        });
        synced.map_err(|e| Error::io("sync", folder, e))
    }

    fn sync_folder(&self, folder: &Path) -> Result<()> {
        self.announce(DiskStep::SyncFolder, folder)?;
        File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Error::io("sync", folder, e))
    }
}

/// Removes a folder, although a task that comes too late may add a file while it is emptied.
fn remove_folder(path: &Path) -> io::Result<()> {
    for _ in 0..100 {
        match fs::remove_dir_all(path) {
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            done => return done,
        }
    }
    fs::remove_dir_all(path)
}

/// A part of a file that another process began and will publish, such as one of several that are written at the same
/// time.
#[derive(Debug)]
pub struct FilePart {
    disk: Disk,
    path: PathBuf,
    file: File,
}

impl FilePart {
    /// Writes the next bytes.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.disk.announce(DiskStep::Write, &self.path)?;
        self.file.write_all(bytes).map_err(|e| Error::io("write", &self.path, e))
    }

    /// Makes what was written durable, since nobody else knows of it.
    pub fn finish(self) -> Result<()> {
        self.disk.announce(DiskStep::SyncFile, &self.path)?;
        self.file.sync_data().map_err(|e| Error::io("sync", &self.path, e))
    }
}

/// A file being written under a temporary name; removed if it is dropped unpublished.
#[derive(Debug)]
pub struct NewFile {
    disk: Disk,
    path: PathBuf,
    file: NamedTempFile,
    /// Bytes written since writeback was last started.
    unsynced: usize,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

/// Writeback of a large file starts each time this many bytes have been written.
const SYNC_BYTES: usize = 1 << 23;

impl NewFile {
    /// Appends `bytes`.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.disk.announce(DiskStep::Write, &self.path)?;
        self.file.write_all(bytes).map_err(|e| Error::io("write", &self.path, e))?;
        self.unsynced += bytes.len();
        Ok(())
    }

    /// Starts writing a large file back to the disk before it is complete, so that the final sync
    /// is short. Not a step: nothing is durable before [`NewFile::publish`].
    pub fn start_writeback(&mut self) -> Result<()> {
        let busy = self.syncing.as_ref().is_some_and(|thread| !thread.is_finished());
        if busy || self.unsynced < SYNC_BYTES {
            return Ok(());
        }
        self.await_writeback()?;
        self.unsynced = 0;
        let file = self.file.as_file().try_clone();
        let file = file.map_err(|e| Error::io("sync", &self.path, e))?;
        let sync = move || file.sync_data();
        // If no thread can be had, all of it is synced at the end.
        self.syncing = thread::Builder::new().name("mlops-sync".to_owned()).spawn(sync).ok();
        Ok(())
    }

    /// Waits for writeback that was started. An error is reported once, here or by the last sync.
    fn await_writeback(&mut self) -> Result<()> {
        let Some(thread) = self.syncing.take() else { return Ok(()) };
        let done = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        done.map_err(|e| Error::io("sync", &self.path, e))
    }

    /// Makes this file a copy of the whole of `source` that shares its blocks. Returns false, and
    /// does nothing, if the file system cannot do that.
    #[cfg(target_os = "linux")]
    pub fn share(&mut self, source: &File) -> Result<bool> {
        self.disk.announce(DiskStep::Write, &self.path)?;
        if rustix::fs::ioctl_ficlone(self.file.as_file(), source).is_err() {
            return Ok(false);
        }
        let end = self.file.as_file_mut().seek(SeekFrom::End(0));
        end.map(|_| true).map_err(|e| Error::io("write", &self.path, e))
    }

    /// On this platform no file system is known to share blocks.
    #[cfg(not(target_os = "linux"))]
    pub fn share(&mut self, _: &File) -> Result<bool> {
        Ok(false)
    }

    /// The file's metadata.
    pub fn metadata(&self) -> Result<fs::Metadata> {
        self.file.as_file().metadata().map_err(|e| Error::io("read", &self.path, e))
    }

    /// Cuts the file back to `length` bytes.
    pub fn truncate(&mut self, length: u64) -> Result<()> {
        self.disk.announce(DiskStep::Write, &self.path)?;
        let file = self.file.as_file_mut();
        file.set_len(length)
            .and_then(|()| file.seek(SeekFrom::Start(length)))
            .map(drop)
            .map_err(|e| Error::io("truncate", &self.path, e))
    }

    /// Where the file is until it is published.
    pub fn temporary_path(&self) -> &Path {
        self.file.path()
    }

    /// Opens the bytes written so far for reading, from the start.
    pub fn reopen(&self) -> Result<File> {
        self.file.reopen().map_err(|e| Error::io("open again", &self.path, e))
    }

    /// Changes the final name; the folder stays.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.path.set_file_name(name);
        self
    }

    /// Gives the file its final name, replacing any other, without waiting for the disk: after a
    /// power cut it may be incomplete. Only for files that are checked when read and can be made
    /// again.
    pub fn publish_unsynced(self) -> Result<()> {
        let Self { disk, path, file, .. } = self;
        disk.announce(DiskStep::Rename, &path)?;
        file.persist(&path).map(drop).map_err(|e| Error::io("rename to", &path, e.error))
    }

    /// Makes the file durable under its final name. Without `replace`, an existing file of that
    /// name is an error, since it is not ours.
    pub fn publish(mut self, replace: bool) -> Result<()> {
        let (disk, folder) = (self.disk.clone(), parent_of(&self.path).to_owned());
        self.sync()?;
        self.rename(replace)?;
        disk.sync_folder(&folder)
    }

    fn sync(&mut self) -> Result<()> {
        self.await_writeback()?;
        self.disk.announce(DiskStep::SyncFile, &self.path)?;
        self.file.as_file().sync_all().map_err(|e| Error::io("sync", &self.path, e))
    }

    fn rename(self, replace: bool) -> Result<()> {
        let Self { disk, path, file, .. } = self;
        disk.announce(DiskStep::Rename, &path)?;
        let persisted = if replace { file.persist(&path) } else { file.persist_noclobber(&path) };
        match persisted {
            Ok(_) => Ok(()),
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::conflict(format!(
                    "{} is already there and was not written by this workspace; \
                     move it to another name and run again",
                    path.display()
                )))
            }
            Err(e) => Err(Error::io("rename to", &path, e.error)),
        }
    }
}

/// The folder that holds `path`; `.` for a bare name.
pub fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::DiskStep::{CreateFile, Rename, SyncFile, SyncFolder, Write};
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<DiskStep>>);
    impl Probe for Recorder {
        fn before(&self, step: DiskStep, _: &Path) -> io::Result<()> {
            self.0.lock().unwrap().push(step);
            Ok(())
        }
    }

    struct Full;
    impl Probe for Full {
        fn before(&self, step: DiskStep, _: &Path) -> io::Result<()> {
            match step {
                DiskStep::Write => Err(io::ErrorKind::StorageFull.into()),
                _ => Ok(()),
            }
        }
    }

    #[test]
    fn a_write_goes_through_every_durable_step_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let recorder = Arc::new(Recorder::default());
        Disk::observed(recorder.clone()).write(&dir.path().join("a.txt"), b"x").unwrap();
        assert_eq!(*recorder.0.lock().unwrap(), [CreateFile, Write, SyncFile, Rename, SyncFolder]);
    }

    #[test]
    fn several_files_are_durable_before_any_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("b"), "same").unwrap();
        let recorder = Arc::new(Recorder::default());
        let disk = Disk::observed(recorder.clone());
        let files: [(&str, &[u8]); 3] = [("a", b"1"), ("b", b"same"), ("c", b"3")];
        disk.write_changed(dir.path(), &files).unwrap();
        let one = [CreateFile, Write, SyncFile];
        let expected = [&one[..], &one, &[Rename, Rename, SyncFolder]].concat();
        assert_eq!(*recorder.0.lock().unwrap(), expected);
        for (name, bytes) in files {
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), bytes);
        }
        disk.write_changed(dir.path(), &files).unwrap();
        assert_eq!(recorder.0.lock().unwrap().len(), expected.len(), "nothing left to do");
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_replaced_without_waiting_for_its_writer() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["a", "b"] {
            assert!(std::process::Command::new("mkfifo").arg(at(name)).status().unwrap().success());
        }
        Disk::default().write_if_changed(&at("a"), b"1").unwrap();
        Disk::default().write_changed(dir.path(), &[("b", b"2".as_slice())]).unwrap();
        assert!(fs::read(at("a")).unwrap() == b"1" && fs::read(at("b")).unwrap() == b"2");
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_no_litter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        Disk::default().write(&path, b"old").unwrap();
        let error = Disk::observed(Arc::new(Full)).write(&path, b"new").unwrap_err();
        assert!(error.to_string().contains("a.txt"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_task_that_comes_too_late_brings_no_folder_back() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, folder) = (Disk::for_task(), dir.path().join("under way"));
        fs::create_dir(&folder).unwrap();
        disk.write(&folder.join("1.rows"), b"in time").unwrap();
        let mut late = disk.new_file(&folder.join("2.rows")).unwrap();
        late.write_all(b"begun in time").unwrap();
        Disk::default().remove(&folder).unwrap();
        assert!(late.publish_unsynced().is_err());
        let error = disk.new_file(&folder.join("3.rows")).unwrap_err().to_string();
        assert!(error.contains("under way") && error.contains("is over"), "{error}");
        assert!(disk.write_if_changed(&folder.join("4.rows"), b"").is_err());
        assert!(disk.scratch(&folder).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_is_removed_while_others_still_write_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("under way");
        for _ in 0..20 {
            fs::create_dir(&folder).unwrap();
            thread::scope(|scope| {
                for name in ["a", "b"] {
                    let folder = &folder;
                    scope.spawn(move || {
                        let disk = Disk::for_task();
                        let write =
                            |n| disk.write_if_changed(&folder.join(format!("{name}{n}")), b"x");
                        (0..1_000).take_while(|n| write(*n).is_ok()).count()
                    });
                }
                while fs::read_dir(&folder).unwrap().count() < 10 {}
                Disk::default().remove(&folder).unwrap();
                assert!(!folder.exists());
            });
            assert!(!folder.exists());
        }
    }

    #[test]
    fn publishing_without_replacing_spares_a_foreign_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("finaldata2.csv");
        fs::write(&path, "theirs").unwrap();
        let mut file = Disk::default().new_file(&path).unwrap();
        file.write_all(b"ours").unwrap();
        let error = file.publish(false).unwrap_err();
        assert!(error.to_string().contains("move it"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    }

    #[cfg(unix)]
    #[test]
    fn the_link_is_swapped_and_temporaries_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let link = dir.path().join("live");
        disk.swap_link(Path::new("r-1"), &link).unwrap();
        disk.swap_link(Path::new("r-2"), &link).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("r-2"));
        fs::create_dir(dir.path().join(".mlops-stage.tmp")).unwrap();
        fs::write(dir.path().join("keep.tmp"), "").unwrap();
        assert_eq!(disk.remove_temporaries(dir.path()).unwrap(), [".mlops-stage.tmp"]);
        assert!(dir.path().join("keep.tmp").is_file());
    }
}
