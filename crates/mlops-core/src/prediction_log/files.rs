//! The files of the log of predictions: their names, and which files in a folder belong to it.
//!
//! A file is ours if its name and its first line have our format. Instances of the service that
//! share a folder have separate files: those of the second are called `predictions-2-…`. Not for
//! lines: see [`super::line`].

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};

use super::line::BEGINNING;
use crate::{Error, Result};

const PREFIX: &str = "predictions-";
const SUFFIX: &str = ".jsonl";

/// The maximum number of instances of the service that share a folder.
pub const INSTANCES: u32 = 99;
/// The instance to which files of `diagnostics --record` belong: one that no service takes over.
pub const RECORDER: u32 = 100;

/// A file of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its path.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// The instance that writes it.
    pub instance: u32,
}

/// The name of a file that `instance` begins at time `at`.
pub fn name(instance: u32, at: DateTime<Utc>) -> String {
    let number = if instance == 1 { String::new() } else { format!("{instance}-") };
    format!("{PREFIX}{number}{}{SUFFIX}", at.format("%Y%m%dT%H%M%S%6fZ"))
}

/// The instance to which a file called `name` would belong, and the time in the name.
fn parts(name: &str) -> Option<(u32, &str)> {
    let middle = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (instance, stamp) = match middle.split_once('-') {
        Some((number, stamp)) => {
            let instance = number.parse::<u32>().ok()?;
            (Some(instance).filter(|n| *n > 1 && n.to_string() == number)?, stamp)
        }
        None => (1, middle),
    };
    let shape = |(i, b): (usize, u8)| match i {
        8 => b == b'T',
        21 => b == b'Z',
        _ => b.is_ascii_digit(),
    };
    (stamp.len() == 22 && stamp.bytes().enumerate().all(shape)).then_some((instance, stamp))
}

/// The instance to which a file called `name` would belong.
pub fn instance_of(name: &str) -> Option<u32> {
    parts(name).map(|(instance, _)| instance)
}

/// The day on which the file called `name` was begun, in UTC.
pub fn began(name: &str) -> Option<NaiveDate> {
    let (_, stamp) = parts(name)?;
    NaiveDate::parse_from_str(stamp.get(..8)?, "%Y%m%d").ok()
}

/// All files of the log in `folder`, the oldest first; none if there is no such folder.
///
/// # Errors
/// `Io` if the folder cannot be listed.
pub fn list(folder: &Path) -> Result<Vec<LogFile>> {
    let failed = |e| Error::io("list", folder, e);
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some((name, (instance, stamp))) = name.to_str().and_then(|n| Some((n, parts(n)?)))
        else {
            continue;
        };
        // Neither a link nor a pipe; one that vanishes meanwhile was rotated away.
        if entry.file_type().is_ok_and(|t| t.is_file()) && begins(&entry.path()) {
            let file = LogFile { path: entry.path(), name: name.to_owned(), instance };
            found.push(((stamp.to_owned(), instance), file));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found.into_iter().map(|(_, file)| file).collect())
}

/// Whether the file at `path` begins with one of our lines.
pub fn begins(path: &Path) -> bool {
    let mut start = [0; BEGINNING.len()];
    let read = open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *BEGINNING
}

/// Opens the file at `path` to read, following no link and never waiting.
#[expect(clippy::disallowed_methods, reason = "opened to read only")]
pub(super) fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_made_here_are_ours() {
        for (name, expected) in [
            ("predictions-20261129T054225000001Z.jsonl", Some(1)),
            ("predictions-2-20261129T054225000001Z.jsonl", Some(2)),
            ("predictions-100-20261129T054225000001Z.jsonl", Some(RECORDER)),
            ("predictions-1-20261129T054225000001Z.jsonl", None),
            ("predictions-02-20261129T054225000001Z.jsonl", None),
            ("predictions-2023-archive.jsonl", None),
            ("predictions-export.jsonl", None),
            ("predictions-20261129T054225000001Z.jsonl.bak", None),
            ("predictions-20261129T05422500000Z.jsonl", None),
            ("predictions-.jsonl", None),
        ] {
            assert_eq!(instance_of(name), expected, "{name}");
        }
        let at = DateTime::from_timestamp_micros(1_795_930_945_000_001).unwrap_or_default();
        for instance in [1, 2, RECORDER] {
            assert_eq!(instance_of(&name(instance, at)), Some(instance));
            assert_eq!(began(&name(instance, at)), Some(at.date_naive()));
        }
    }

    #[test]
    fn files_are_listed_by_time_and_foreign_ones_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let content = "{\"recorded\":\"x\"}\n";
        for name in [
            "predictions-20260103T000000000000Z.jsonl",
            "predictions-2-20260102T000000000000Z.jsonl",
            "predictions-20260101T000000000000Z.jsonl",
            "predictions-100-20260101T000000000000Z.jsonl",
            "predictions-archive.jsonl",
        ] {
            fs::write(at(name), content).unwrap();
        }
        fs::write(at("predictions-20200101T000000000000Z.jsonl"), "{\"mine\":1}\n").unwrap();
        let link = at("predictions-20200102T000000000000Z.jsonl");
        std::os::unix::fs::symlink(at("predictions-archive.jsonl"), link).unwrap();
        fs::create_dir(at("predictions-20200103T000000000000Z.jsonl")).unwrap();
        let found = list(folder.path()).unwrap();
        let names: Vec<(u32, &str)> =
            found.iter().map(|f| (f.instance, f.name.split_at(f.name.len() - 28).1)).collect();
        let expected = [
            (1, "20260101T000000000000Z.jsonl"),
            (100, "20260101T000000000000Z.jsonl"),
            (2, "20260102T000000000000Z.jsonl"),
            (1, "20260103T000000000000Z.jsonl"),
        ];
        assert_eq!(names, expected);
        assert_eq!(list(&at("none")).unwrap(), []);
    }
}
