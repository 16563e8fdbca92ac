//! The format of a source's files, as far as the user names it: `format` of an entry of `sources`
//! and of the section `ingestion`.
//!
//! Whatever is not named is recognised in the file. Not for decoding: see `csv::formats`.

use serde::{Deserialize, Serialize};

use super::section::Section;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Format {
    /// The kind of file.
    pub kind: Option<Kind>,
    /// How the file is packed.
    pub compression: Option<Compression>,
    /// The label of an encoding as in the WHATWG's standard.
    pub encoding: Option<String>,
    /// What separates the fields of a line.
    pub delimiter: Option<char>,
    /// What encloses a field.
    pub quote: Option<Quote>,
    /// What makes the next character of a quoted field literal, besides a doubled quote.
    pub escape: Option<char>,
    /// What lines that are no rows begin with.
    pub comment: Option<char>,
    /// Whether the first line or row names the columns.
    pub header: Option<bool>,
    /// The names of the columns, in place of those in the file.
    pub names: Vec<String>,
    /// The path of the array of rows in a JSON file.
    pub records: Option<String>,
    /// The name of the sheet of a workbook.
    pub sheet: Option<String>,
    /// The cells of the sheet, such as `B3:F200`.
    pub range: Option<String>,
    /// The fields of a line of fixed width.
    pub fields: Vec<FixedField>,
}

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text with a separator, of any dialect.
    Csv,
    /// Text with fields at fixed places.
    Fixed,
    /// A JSON object on each line.
    Jsonl,
    /// A JSON array of objects.
    Json,
    /// Apache Parquet.
    Parquet,
    /// Arrow's format for files and streams.
    Arrow,
    /// A workbook of Excel or OpenDocument.
    Excel,
}

/// The ways in which a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// It is not.
    None,
    /// gzip, of any number of members.
    Gzip,
    /// Zstandard.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// A zip archive, whose members are read one after the other.
    Zip,
}

/// What encloses fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quote {
    /// `"`
    Double,
    /// `'`
    Single,
    /// Nothing: each character stands for itself.
    None,
}

/// A field of a line of fixed width.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedField {
    /// The name of the column.
    pub name: String,
    /// The place of its first character in a line, from 1.
    pub first: u32,
    /// The place of its last one.
    pub last: u32,
}

impl FixedField {
    /// Reads `name 5-12`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, places) = text.trim().rsplit_once(char::is_whitespace)?;
        let (first, last) = places.split_once('-').unwrap_or((places, places));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        let name = name.trim().to_owned();
        (first >= 1 && first <= last && last <= 1 << 20 && !name.is_empty()).then_some(Self {
            name,
            first,
            last,
        })
    }
}

impl Format {
    /// Whether nothing is named.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether `c` may separate fields.
fn may_separate(c: char) -> bool {
    c == '\t' || (c.is_ascii() && !c.is_ascii_alphanumeric() && !"\"'\\\r\n.+-_".contains(c))
}

fn character(section: &mut Section, key: &'static str, takes: fn(char) -> bool) -> Option<char> {
    let text = section.characters(key)?;
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(c), None) if takes(c) => Some(c),
        _ => {
            section.problem(
                key,
                "must be a single ASCII character that is neither a letter nor a digit",
            );
            None
        }
    }
}

/// Reads the section.
pub(super) fn format(mut section: Section) -> Format {
    let kinds = [
        ("csv", Some(Kind::Csv)),
        ("fixed", Some(Kind::Fixed)),
        ("jsonl", Some(Kind::Jsonl)),
        ("json", Some(Kind::Json)),
        ("parquet", Some(Kind::Parquet)),
        ("excel", Some(Kind::Excel)),
    ];
    let packed = [
        ("none", Some(Compression::None)),
        ("gzip", Some(Compression::Gzip)),
        ("zstd", Some(Compression::Zstd)),
        ("bzip2", Some(Compression::Bzip2)),
        ("xz", Some(Compression::Xz)),
        ("zip", Some(Compression::Zip)),
    ];
    let quotes =
        [("\"", Some(Quote::Double)), ("'", Some(Quote::Single)), ("none", Some(Quote::None))];
    let mut format = Format {
        kind: section.choice("kind", &kinds, None),
        compression: section.choice("compression", &packed, None),
        encoding: section.text("encoding"),
        delimiter: character(&mut section, "delimiter", may_separate),
        quote: section.choice("quote", &quotes, None),
        escape: character(&mut section, "escape", |c| matches!(c, '\\' | '^' | '~' | '|')),
        comment: character(&mut section, "comment", |c| c.is_ascii_punctuation() && c != '"'),
        header: section.flag_or_none("header"),
        names: section.texts("names").unwrap_or_default(),
        records: section.text("records"),
        sheet: section.text("sheet"),
        range: section.text("range"),
        fields: Vec::new(),
    };
    for text in section.texts("fields").unwrap_or_default() {
        match FixedField::parse(&text) {
            Some(field) => format.fields.push(field),
            None => section.problem(
                "fields",
                "must list a name and the places of the first and last character of each column, \
                 such as \"age 10-12\"",
            ),
        }
    }
    if format.kind == Some(Kind::Fixed) && format.fields.is_empty() {
        section
            .problem("fields", "is missing: a file of fixed width does not say where fields are");
    }
    if format.header == Some(false) && format.names.is_empty() && format.fields.is_empty() {
        section
            .problem("names", "is missing: without a header only this list can name the columns");
    }
    section.finish();
    format
}
