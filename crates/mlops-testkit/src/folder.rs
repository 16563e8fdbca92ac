//! A temporary folder with files in it, on which every scene is built. Not for stages and programs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

/// A folder that vanishes with the test.
#[derive(Debug)]
pub struct Folder(TempDir);

/// What stands at a path: a file's bytes, a link's target, or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file with these bytes.
    File(Vec<u8>),
    /// A link to this path.
    Link(PathBuf),
    /// A folder.
    Folder,
}

/// Everything below a folder, by relative path.
pub type Snapshot = BTreeMap<PathBuf, Entry>;

impl Folder {
    /// An empty folder where temporary files usually are.
    pub fn on_disk() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// An empty folder in memory, where a sync costs nothing.
    pub fn in_memory() -> Self {
        Self(folder())
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file as a user would.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The content of a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The bytes of a file.
    pub fn read_bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The content of a JSON file.
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// Everything in it, but for the ledger and the lock of a workspace.
    pub fn snapshot(&self) -> Snapshot {
        let mut all = Snapshot::new();
        collect(self.root(), self.root(), &mut all);
        all.retain(|path, _| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !name.starts_with("ledger.sqlite") && name != "run.lock"
        });
        all
    }

    /// The same, without folders: the bytes of files, the targets of links.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        without_folders(self.snapshot())
    }
}

/// Every file and link below `folder`, by relative path, with its bytes or target.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = Snapshot::new();
    collect(folder, folder, &mut all);
    without_folders(all)
}

fn without_folders(all: Snapshot) -> BTreeMap<PathBuf, Vec<u8>> {
    let bytes = |entry| match entry {
        Entry::File(bytes) => Some(bytes),
        Entry::Link(target) => Some(target.into_os_string().into_encoded_bytes()),
        Entry::Folder => None,
    };
    all.into_iter().filter_map(|(path, entry)| Some((path, bytes(entry)?))).collect()
}

/// A folder in memory, where a sync costs nothing.
pub fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn collect(root: &Path, folder: &Path, all: &mut Snapshot) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        let entry = if kind.is_symlink() {
            Entry::Link(fs::read_link(&path).unwrap())
        } else if kind.is_dir() {
            collect(root, &path, all);
            Entry::Folder
        } else {
            Entry::File(fs::read(&path).unwrap())
        };
        all.insert(path.strip_prefix(root).unwrap().to_owned(), entry);
    }
}

/// Copies all that is in a folder, links as links, times as they are.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().unwrap() {
            kind if kind.is_symlink() => symlink(fs::read_link(&path).unwrap(), &to).unwrap(),
            kind if kind.is_dir() => copy(&path, &to),
            _ => {
                fs::copy(&path, &to).unwrap();
                let modified = entry.metadata().unwrap().modified().unwrap();
                fs::File::options().append(true).open(&to).unwrap().set_modified(modified).unwrap();
            }
        }
    }
}
