//! The location of a file as records store it: relative to the workspace, so that the workspace can
//! be moved.
//!
//! The base is the folder of the configuration. A path outside it is stored as an absolute one.
//! Not for data sets and releases, which always lie in the folders that the configuration names.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::text;

/// A path as one line of text, as [`text::of_path`] spells it: no two paths share a spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Location(String);

impl Location {
    /// The location of `path` in a workspace whose base is `base`; links are not followed.
    pub fn of(base: &Path, path: &Path) -> Self {
        let path = plain(path);
        let inside = path.strip_prefix(plain(base)).ok().filter(|p| !p.as_os_str().is_empty());
        Self(text::of_path(inside.unwrap_or(&path)))
    }

    /// A location as a record has it.
    pub fn kept(text: String) -> Self {
        Self(text)
    }

    /// The absolute path of this location in a workspace whose base is `base`.
    pub fn path(&self, base: &Path) -> PathBuf {
        base.join(text::to_path(&self.0))
    }

    /// The text that records store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `path` made absolute, with `.` removed and `a/..` folded.
pub(crate) fn plain(path: &Path) -> PathBuf {
    // The empty path means the working directory, but `absolute` rejects it.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn inside_it_is_relative_and_outside_absolute() {
        let of = |path: &str| Location::of(Path::new("/w/./x/.."), Path::new(path)).0;
        assert_eq!(of("/w/in/a.csv"), "in/a.csv");
        assert_eq!(of("/w/in/../in/a.csv"), "in/a.csv");
        assert_eq!(of("/wide/a.csv"), "/wide/a.csv");
        // As of a configuration that is named without its folder.
        assert_eq!(Location::of(Path::new(""), Path::new("in/a.csv")).0, "in/a.csv");
        let moved = Location::kept("in/a.csv".to_owned()).path(Path::new("/elsewhere"));
        assert_eq!(moved, Path::new("/elsewhere/in/a.csv"));
    }

    #[test]
    fn every_name_reads_back_and_no_two_are_one() {
        let names: [&[u8]; 6] =
            [b"a.csv", b"\xff.csv", b"\xfe.csv", b"\\xff.csv", b"\\", "ä\\x2".as_bytes()];
        let base = Path::new("/w");
        let kept = names.map(|name| Location::of(base, &base.join(OsStr::from_bytes(name))));
        for (location, name) in kept.iter().zip(names) {
            assert_eq!(location.path(base), base.join(OsStr::from_bytes(name)));
        }
        let distinct: std::collections::BTreeSet<_> = kept.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }
}
