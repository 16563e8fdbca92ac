//! Checks whether a file named with `--output` may be written: files that are not ours are never
//! replaced, and no output goes where it would be read as data.
//!
//! Not for writing it: see `platform::disk`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::config::Config;
use crate::platform::disk::parent_of;
use crate::platform::files::same_file;
use crate::{Error, Result};

/// A file that a command is to write.
pub struct Output<'a> {
    /// Its path.
    pub path: &'a Path,
    /// The kind of file in an error message: another file is `no comparison`.
    pub kind: &'a str,
    /// How its header ends, in this version and in earlier ones.
    pub endings: &'a [&'a str],
}

/// Whether ingestion might want this name for a version of the data set.
fn is_numbered(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ["finaldata", "quarantine", "changes"].iter().any(|stem| {
        let rest = name.strip_prefix(stem);
        let number = rest
            .and_then(|rest| rest.strip_suffix(".csv").or_else(|| rest.strip_suffix(".parquet")));
        number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
    })
}

impl Output<'_> {
    /// Refuses a path that would do damage; returns whether an earlier output of ours is replaced.
    pub fn check(&self, config: &Config, inputs: &[&Path]) -> Result<bool> {
        let Self { path, kind, endings } = self;
        let refuse = |why: &str| {
            let problem = format!("--output {} {why}", path.display());
            Err(Error::config("the arguments", vec![problem]))
        };
        if inputs.iter().any(|input| same_file(path, input)) {
            return refuse("is one of the files that are read: name another");
        }
        let folders = [
            ("input_folder_path", &config.input_folder),
            ("source_folder_path", &config.source_folder),
            ("test_data_path", &config.test_data),
        ];
        for (key, folder) in folders {
            if same_file(parent_of(path), folder) {
                return refuse(&format!(
                    "is in \"{key}\" and would be read as data: name another folder"
                ));
            }
        }
        if same_file(parent_of(path), &config.output_folder) && is_numbered(path) {
            return refuse("has the name of a data set of this workspace: choose another");
        }
        if let (Ok(folder), Ok(models)) =
            (parent_of(path).canonicalize(), config.models.canonicalize())
            && folder.starts_with(models)
        {
            return refuse(
                "is in \"models_path\", whose releases never change: name another folder",
            );
        }
        if path.is_dir() {
            return refuse("is a folder: name a file");
        }
        let there = match fs::symlink_metadata(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(Error::io("read", path, e)),
            Ok(metadata) => metadata,
        };
        if there.is_file() && self.is_ours().map_err(|e| Error::io("read", path, e))? {
            return Ok(true);
        }
        Err(Error::conflict(format!(
            "{} is already there and is not a {kind}: its header does not end with \"{}\". Move it, or \
             name another file with --output",
            path.display(),
            endings.first().copied().unwrap_or_default()
        )))
    }

    /// Whether the first line ends as ours do.
    fn is_ours(&self) -> std::io::Result<bool> {
        let mut line = Vec::new();
        let file = File::open(self.path)?;
        BufReader::new(file.take(1 << 20)).read_until(b'\n', &mut line)?;
        let header = line.strip_suffix(b"\n").unwrap_or_default();
        Ok(self.endings.iter().any(|ending| {
            let rest = header.strip_suffix(ending.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(b","))
        }))
    }
}
