//! Lists an input folder: which files are taken, which are ignored and why.
//!
//! Not for reading them: see [`crate::csv::chunk`].

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Ingestion, InputFolder, Source};
use crate::csv::formats;
use crate::platform::files;
use crate::{Error, ErrorKind, Result, text};

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

impl SourceFile {
    /// The file at `path`, under the name by which its source calls it.
    pub fn at(config: &Config, path: PathBuf) -> Self {
        let own = || text::of_path(Path::new(path.file_name().unwrap_or_default()));
        let name = match config.source_at(&path) {
            Some((source, _)) if source.is_fetched() => {
                format!("{}/{}", source.name, own().replace("%2F", "/").replace("%25", "%"))
            }
            Some((source, within)) => format!("{}/{}", source.name, text::of_path(&within)),
            None => own(),
        };
        Self { name, path }
    }
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
    /// The number of files whose names do not match the pattern.
    pub unmatched: usize,
}

/// Lists `folder`, which the configuration key `key` names. Links are followed.
pub fn list(folder: InputFolder<'_>) -> Result<Listing> {
    list_as(folder, &Ingestion::default())
}

/// Lists an input folder, which a workspace with other sources need not have.
pub fn input(config: &Config, folder: InputFolder<'_>) -> Result<Listing> {
    list(folder).or_else(|error| match error.kind() {
        ErrorKind::Missing(_) if !config.sources.is_empty() => Ok(Listing::default()),
        _ => Err(error),
    })
}

fn list_as(folder: InputFolder<'_>, reading: &Ingestion) -> Result<Listing> {
    let InputFolder { path: folder, key } = folder;
    let entries = fs::read_dir(folder).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::missing(format!(
            "there is no folder {}: create it and put files of rows there, or change \"{key}\" in \
             the configuration",
            folder.display()
        )),
        _ => Error::io("list", folder, e),
    })?;
    let mut listing = Listing::default();
    for entry in entries {
        let path = entry.map_err(|e| Error::io("list", folder, e))?.path();
        let name = text::of_path(Path::new(path.file_name().unwrap_or_default()));
        match reason_to_ignore(&name, &path, reading) {
            None => listing.candidates.push(SourceFile { name, path }),
            Some(reason) => listing.ignored.push(Ignored { name, reason: reason.to_owned() }),
        }
    }
    listing.candidates.sort_by(|a, b| a.name.cmp(&b.name));
    listing.ignored.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

fn reason_to_ignore(name: &str, path: &Path, reading: &Ingestion) -> Option<&'static str> {
    if let Some(reason) = is_passed_over(name) {
        return Some(reason);
    }
    // An entry that cannot be examined is taken, so that it is recorded as unreadable.
    let kind = fs::metadata(path).ok().map(|found| found.file_type());
    if kind.is_some_and(|kind| kind.is_dir()) {
        return Some(
            "a folder: to read the files in it, add an entry to \"sources\" with a \"pattern\" such as \"**/*.csv\"",
        );
    }
    lacks_ending(name, reading).or_else(|| kind.and_then(files::other_than_data))
}

/// Why a file of this name is not taken, wherever it is.
pub(crate) fn reason_by_name(name: &str, reading: &Ingestion) -> Option<&'static str> {
    let last = name.rsplit('/').next().unwrap_or(name);
    is_passed_over(last).or_else(|| lacks_ending(last, reading))
}

/// Why nothing of this name is meant to be read.
fn is_passed_over(name: &str) -> Option<&'static str> {
    if name.starts_with('.') {
        Some("hidden")
    } else if name.starts_with('~') || name.starts_with('#') {
        Some("temporary file of an editor")
    } else {
        None
    }
}

/// Why a file of this name is not one of rows.
fn lacks_ending(name: &str, reading: &Ingestion) -> Option<&'static str> {
    (reading.format.kind.is_none() && !formats::takes(name))
        .then_some("its name has no ending of a format that is read, such as .csv")
}

/// Whether an object's name matches a pattern: `*` and `?` stop at slashes, `**` does not. A pattern
/// that is none matches nothing; the configuration refuses it.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_with(name, options))
}

/// Lists the files of a source that is a folder, by its pattern: also those of folders within it, if the
/// pattern has a slash.
pub fn matching(config: &Config, source: &Source) -> Result<Listing> {
    let folder = config.folder_of(source);
    let Some(pattern) = &source.pattern else {
        let key = "sources[].uri";
        let mut listing = list_as(InputFolder { path: &folder, key }, &source.reading)?;
        for file in &mut listing.candidates {
            *file = SourceFile::at(config, std::mem::take(&mut file.path));
        }
        return Ok(listing);
    };
    let mut listing = Listing::default();
    let mut folders = vec![folder.clone()];
    while let Some(here) = folders.pop() {
        let entries = fs::read_dir(&here).map_err(|e| Error::io("list", &here, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("list", &here, e))?;
            let (path, kind) = (entry.path(), entry.file_type());
            // Links to folders are not followed: they may lead in circles.
            if kind.is_ok_and(|kind| kind.is_dir()) {
                if pattern.contains('/') {
                    folders.push(path);
                }
                continue;
            }
            let within = path.strip_prefix(&folder).unwrap_or(&path).to_string_lossy().into_owned();
            if !matches(pattern, &within) {
                listing.unmatched += 1;
                continue;
            }
            let file = SourceFile::at(config, path);
            match reason_to_ignore(&within, &file.path, &source.reading) {
                None => listing.candidates.push(file),
                Some(reason) => {
                    listing.ignored.push(Ignored { name: file.name, reason: reason.to_owned() });
                }
            }
        }
    }
    listing.candidates.sort_by(|a, b| a.name.cmp(&b.name));
    listing.ignored.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
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
        fs::create_dir(dir.path().join("2026")).unwrap();
        let listing = list(input(dir.path())).unwrap();
        let names: Vec<_> = listing.candidates.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["a.CSV", "b.csv"]);
        assert_eq!(listing.ignored.len(), 7);
        for folder in ["h.csv", "2026"] {
            let ignored = listing.ignored.iter().find(|entry| entry.name == folder).unwrap();
            assert!(ignored.reason.contains("a folder") && ignored.reason.contains("\"sources\""));
        }
        let error = list(input(&dir.path().join("none"))).unwrap_err().to_string();
        assert!(error.contains("input_folder_path"), "{error}");
    }
}
