//! The format of a source's files, as far as the user names it: `format` of an entry of `sources`
//! and of the section `ingestion`.
//!
//! Whatever is not named is recognised in the file. Not for decoding: see `csv::formats`.

use serde::{Deserialize, Serialize};

use super::section::Section;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// The kind of file.
    pub kind: Option<Kind>,
}

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text with a separator, of any dialect.
    Csv,
}

impl Format {
    /// Whether nothing is named.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads the section.
pub(super) fn format(mut section: Section) -> Format {
    let kinds = [("csv", Kind::Csv)];
    let kind = section.has("kind").then(|| section.choice("kind", &kinds, Kind::Csv));
    section.finish();
    Format { kind }
}
