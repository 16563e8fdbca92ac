//! Digests of files that a run needs repeatedly: an unchanged file is not read again.
//!
//! Not for digests that outlive a run: see the ledger.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::Result;
use crate::dataset::discover::Stamp;
use crate::platform::digest::Digest;

/// See the module.
#[derive(Debug, Default)]
pub struct Digests(Mutex<BTreeMap<PathBuf, (Stamp, Digest)>>);

impl Digests {
    /// The digest of the file at `path`, at `now` in nanoseconds since 1970.
    pub fn of(&self, path: &Path, now_ns: i64) -> Result<Digest> {
        let before = stamp(path);
        let known = self.all().get(path).copied();
        if let Some((stamp, digest)) = known
            && before == Some(stamp)
        {
            return Ok(digest);
        }
        let digest = Digest::of_file(path)?;
        // Soon after a change, metadata prove nothing.
        if let Some(stamp) = before.filter(|stamp| stamp.is_settled(now_ns)) {
            self.all().insert(path.to_owned(), (stamp, digest));
        }
        Ok(digest)
    }

    /// Stores the digest of a file that this run has just written.
    pub(crate) fn know(&self, path: &Path, digest: Digest) {
        if let Some(stamp) = stamp(path) {
            self.all().insert(path.to_owned(), (stamp, digest));
        }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, (Stamp, Digest)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_changed_or_may_have() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let digests = Digests::default();
        let later = |seconds: i64| stamp(&path).unwrap().modified_ns + seconds * 1_000_000_000;
        fs::write(&path, "one").unwrap();
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let rewrite = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        };
        // Too soon: a change within the same clock tick would not be noticed.
        assert_eq!(digests.of(&path, later(1)).unwrap(), Digest::of(b"one"));
        rewrite("two");
        assert_eq!(digests.of(&path, later(10)).unwrap(), Digest::of(b"two"));
        rewrite("six");
        assert_eq!(digests.of(&path, later(10)).unwrap(), Digest::of(b"two"), "it was read again");
        fs::write(&path, "three").unwrap();
        assert_eq!(digests.of(&path, later(10)).unwrap(), Digest::of(b"three"));
        digests.know(&path, Digest::of(b"written by us"));
        assert_eq!(digests.of(&path, later(0)).unwrap(), Digest::of(b"written by us"));
        fs::remove_file(&path).unwrap();
        assert!(digests.of(&path, 0).is_err());
    }
}
