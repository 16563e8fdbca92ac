//! The labelled rows that no model is trained on: which files they are, and how they are read.
//!
//! The first version of the test data is every CSV file of the folder whose name does not start
//! with `testdata_new`; each `testdata_new{N}.csv` is a later one, and the newest is current.
//! Not for drawing hold-outs.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::digest::Digest;
use crate::ingest::discover::{self, Candidate};

/// A test file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFile {
    /// Its name in the folder.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its identity.
    pub digest: Digest,
}

/// The test files of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestFiles {
    /// The newest version: what models are scored on.
    pub current: Vec<TestFile>,
    /// The files of all versions: what models are not trained on.
    pub all: Vec<TestFile>,
}

/// The number in `testdata_new{N}.csv`.
fn batch(name: &str) -> Option<u32> {
    let (stem, _) = name.rsplit_once('.')?;
    stem.strip_prefix("testdata_new")?.parse().ok()
}

impl TestFiles {
    /// Finds the test files in `folder`; a folder that does not exist has none.
    pub fn find(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Ok(Self::default());
        }
        let mut all = Vec::new();
        for candidate in discover::list(folder, "test_data_path")?.candidates {
            let digest = Digest::of_file(&candidate.path)?;
            all.push(TestFile { name: candidate.name, path: candidate.path, digest });
        }
        let newest = all.iter().filter_map(|f| batch(&f.name)).max();
        let current = match newest {
            Some(_) => all.iter().filter(|f| batch(&f.name) == newest).cloned().collect(),
            None => all.iter().filter(|f| !f.name.starts_with("testdata_new")).cloned().collect(),
        };
        Ok(Self { current, all })
    }

    /// Names and places of the current files in `folder`, whose digests nobody asked for yet: whoever
    /// reads them computes them on the way.
    pub fn list_current(folder: &Path) -> Result<Vec<Candidate>> {
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut files = discover::list(folder, "test_data_path")?.candidates;
        let newest = files.iter().filter_map(|f| batch(&f.name)).max();
        files.retain(|f| match newest {
            Some(_) => batch(&f.name) == newest,
            None => !f.name.starts_with("testdata_new"),
        });
        Ok(files)
    }

    /// The same files with all batches as the current version; nothing with fewer than two.
    pub fn all_batches(&self) -> Option<Self> {
        let batches: Vec<TestFile> =
            self.all.iter().filter(|f| batch(&f.name).is_some()).cloned().collect();
        (batches.len() > 1).then(|| Self { current: batches, all: self.all.clone() })
    }

    /// Names and digests of the current files, for the ledger.
    pub fn identity(&self) -> Vec<(String, Digest)> {
        self.current.iter().map(|f| (f.name.clone(), f.digest)).collect()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;

    #[test]
    fn the_newest_batch_is_current() {
        let dir = tempfile::tempdir().unwrap();
        let names = |files: &[TestFile]| files.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
        assert_eq!(TestFiles::find(&dir.path().join("none")).unwrap(), TestFiles::default());
        for name in ["testdata.csv", "more.csv", "notes.txt"] {
            fs(dir.path(), name);
        }
        assert_eq!(
            names(&TestFiles::find(dir.path()).unwrap().current),
            ["more.csv", "testdata.csv"]
        );
        fs(dir.path(), "testdata_new4.csv");
        fs(dir.path(), "testdata_new10.csv");
        let found = TestFiles::find(dir.path()).unwrap();
        assert_eq!(names(&found.current), ["testdata_new10.csv"]);
        assert_eq!(found.all.len(), 4);
        let listed = TestFiles::list_current(dir.path()).unwrap();
        assert_eq!(
            listed.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(),
            names(&found.current)
        );
    }

    fn fs(folder: &Path, name: &str) {
        std::fs::write(folder.join(name), name).unwrap();
    }
}
