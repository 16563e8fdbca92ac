//! Lists an input folder: which files are taken, which are ignored and why.
//!
//! Not for reading them: see [`crate::csv::chunk`].

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::config::InputFolder;
use crate::csv::formats;
use crate::platform::files;
use crate::{Error, Result, text};

/// Metadata of a file; if it is unchanged, the file need not be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Size in bytes.
    pub size: u64,
    /// Time of the last modification, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Inode number; 0 if there is none.
    pub inode: u64,
}

impl Stamp {
    /// The stamp in `metadata`.
    pub fn of(metadata: &Metadata) -> Self {
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(0);
        let modified_ns = metadata.modified().map_or(0, |m| match m.duration_since(UNIX_EPOCH) {
            Ok(since) => nanos(since),
            Err(before) => -nanos(before.duration()),
        });
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { size: metadata.len(), modified_ns, inode }
    }

    /// Whether any change to a file after it was recorded would show in its metadata: file systems
    /// keep times to a few milliseconds, some to two seconds.
    pub(crate) fn is_settled(self, recorded_ns: i64) -> bool {
        recorded_ns.saturating_sub(self.modified_ns) > 2_000_000_000
    }

    /// The time of the last modification.
    pub fn modified(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.modified_ns)
    }
}

/// A CSV file of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The file name.
    pub name: String,
    /// The path.
    pub path: PathBuf,
}

/// A folder entry that is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// The name of the entry.
    pub name: String,
    /// Why it is ignored.
    pub reason: String,
}

/// The content of a folder.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// CSV files, sorted by name.
    pub candidates: Vec<SourceFile>,
    /// All other entries, sorted by name.
    pub ignored: Vec<Ignored>,
}

/// Lists `folder`, which the configuration key `key` names. Links are followed.
pub fn list(folder: InputFolder<'_>) -> Result<Listing> {
    let InputFolder { path: folder, key } = folder;
    let entries = fs::read_dir(folder).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::missing(format!(
            "there is no folder {}: create it and put CSV files there, or change \"{key}\" in \
             the configuration",
            folder.display()
        )),
        _ => Error::io("list", folder, e),
    })?;
    let mut listing = Listing::default();
    for entry in entries {
        let path = entry.map_err(|e| Error::io("list", folder, e))?.path();
        let name = text::of_path(Path::new(path.file_name().unwrap_or_default()));
        match reason_to_ignore(&name, &path) {
            None => listing.candidates.push(SourceFile { name, path }),
            Some(reason) => listing.ignored.push(Ignored { name, reason: reason.to_owned() }),
        }
    }
    listing.candidates.sort_by(|a, b| a.name.cmp(&b.name));
    listing.ignored.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

fn reason_to_ignore(name: &str, path: &Path) -> Option<&'static str> {
    if name.starts_with('.') {
        Some("hidden")
    } else if name.starts_with('~') || name.starts_with('#') {
        Some("temporary file of an editor")
    } else if !formats::takes(name) {
        Some("its name has no ending of a format that is read, such as .csv")
    } else {
        // An entry that cannot be examined is taken, so that it is recorded as unreadable.
        fs::metadata(path).ok().and_then(|found| files::other_than_data(found.file_type()))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_are_told_apart() {
        let file = tempfile::tempfile().unwrap();
        let at = |seconds| {
            file.set_modified(UNIX_EPOCH - Duration::from_secs(seconds)).unwrap();
            Stamp::of(&file.metadata().unwrap()).modified_ns
        };
        assert_eq!([at(1), at(86_400)], [-1_000_000_000, -86_400_000_000_000]);
    }

    fn input(path: &Path) -> InputFolder<'_> {
        InputFolder { path, key: "input_folder_path" }
    }

    #[test]
    fn takes_csv_files_of_any_case_in_order_and_says_why_not_others() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.CSV", ".c.csv", "~d.csv", "e.csv.tmp", "f.txt", "g.csv~"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("h.csv")).unwrap();
        let listing = list(input(dir.path())).unwrap();
        let names: Vec<_> = listing.candidates.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["a.CSV", "b.csv"]);
        assert_eq!(listing.ignored.len(), 6);
        let error = list(input(&dir.path().join("none"))).unwrap_err().to_string();
        assert!(error.contains("input_folder_path"), "{error}");
    }
}
