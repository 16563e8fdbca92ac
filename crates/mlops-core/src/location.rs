//! Where a file is, as records keep it: relative to the workspace, so that this can be moved.
//!
//! The base is the folder of the configuration. What lies outside it is kept as an absolute path.
//! Not for data sets and releases, which always lie in the folders that the configuration names.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A path as text. A byte that is no text is written as `%` and two digits, as is `%` itself, so
/// that two paths never share a spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Location(String);

impl Location {
    /// That of `path` in a workspace whose base is `base`; links are not read.
    pub fn of(base: &Path, path: &Path) -> Self {
        let path = plain(path);
        let inside = path.strip_prefix(plain(base)).ok().filter(|p| !p.as_os_str().is_empty());
        Self(escaped(inside.unwrap_or(&path).as_os_str()))
    }

    /// One that was kept.
    pub fn kept(text: String) -> Self {
        Self(text)
    }

    /// The path that it stands for in a workspace whose base is `base`.
    pub fn path(&self, base: &Path) -> PathBuf {
        base.join(unescaped(&self.0))
    }

    /// As records keep it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An absolute path without `.` and `a/..`.
pub(crate) fn plain(path: &Path) -> PathBuf {
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

fn escaped(path: &OsStr) -> String {
    let mut text = String::new();
    for chunk in path.as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        text.extend(chunk.invalid().iter().map(|byte| format!("%{byte:02X}")));
    }
    text
}

fn unescaped(text: &str) -> OsString {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let digits = more.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_it_is_relative_and_outside_absolute() {
        let of = |path: &str| Location::of(Path::new("/w/./x/.."), Path::new(path)).0;
        assert_eq!(of("/w/in/a.csv"), "in/a.csv");
        assert_eq!(of("/w/in/../in/a.csv"), "in/a.csv");
        assert_eq!(of("/wide/a.csv"), "/wide/a.csv");
        let moved = Location::kept("in/a.csv".to_owned()).path(Path::new("/elsewhere"));
        assert_eq!(moved, Path::new("/elsewhere/in/a.csv"));
    }

    #[test]
    fn every_name_reads_back_and_no_two_are_one() {
        let names: [&[u8]; 6] =
            [b"a.csv", b"\xff.csv", b"\xfe.csv", b"%FF.csv", b"%", "ä%2".as_bytes()];
        let base = Path::new("/w");
        let kept = names.map(|name| Location::of(base, &base.join(OsStr::from_bytes(name))));
        for (location, name) in kept.iter().zip(names) {
            assert_eq!(location.path(base), base.join(OsStr::from_bytes(name)));
        }
        let distinct: std::collections::BTreeSet<_> = kept.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }
}
