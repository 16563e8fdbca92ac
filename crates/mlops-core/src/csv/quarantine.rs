//! Rejected rows: their reasons, and the file that keeps them.
//!
//! The columns follow DuckDB's reject table. Not for deciding what is bad: see [`super::parse`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The kinds of rejection, under DuckDB's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ErrorType {
    /// A cell that does not have its column's type, or an unknown label.
    #[serde(rename = "CAST")]
    Cast,
    /// A row without a label.
    #[serde(rename = "MISSING LABEL")]
    MissingLabel,
    /// Fewer fields than the header.
    #[serde(rename = "MISSING COLUMNS")]
    MissingColumns,
    /// More fields than the header.
    #[serde(rename = "TOO MANY COLUMNS")]
    TooManyColumns,
    /// An unclosed quote, or text after a closing quote.
    #[serde(rename = "UNQUOTED VALUE")]
    UnquotedValue,
    /// A record longer than `max_line_bytes`.
    #[serde(rename = "LINE SIZE OVER MAXIMUM")]
    LineSizeOverMaximum,
    /// Bytes that are not UTF-8.
    #[serde(rename = "INVALID UNICODE")]
    InvalidUnicode,
    /// A line or an element that is no JSON object.
    #[serde(rename = "INVALID JSON")]
    InvalidJson,
    /// A good row that breaks the contract of its source.
    #[serde(rename = "CONTRACT")]
    Contract,
}

impl ErrorType {
    /// The name in the quarantine file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cast => "CAST",
            Self::MissingLabel => "MISSING LABEL",
            Self::MissingColumns => "MISSING COLUMNS",
            Self::TooManyColumns => "TOO MANY COLUMNS",
            Self::UnquotedValue => "UNQUOTED VALUE",
            Self::LineSizeOverMaximum => "LINE SIZE OVER MAXIMUM",
            Self::InvalidUnicode => "INVALID UNICODE",
            Self::InvalidJson => "INVALID JSON",
            Self::Contract => "CONTRACT",
        }
    }
}

/// What a rejected cell says about its whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sign {
    /// Nothing.
    Nothing,
    /// Numbers have the other decimal separator, so that those that look valid mean something else.
    OtherDecimal,
    /// There is a third label.
    OtherLabel,
}

/// The number of rejected rows by kind of reason.
pub type Rejections = BTreeMap<ErrorType, u64>;

/// A rejected record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Physical line on which it starts; counted from 0 in a chunk, from 1 in the file.
    pub line: u64,
    /// The number of physical lines that it spans.
    pub lines: u32,
    /// Offset in the file of its first byte, from 0.
    pub position: u64,
    /// Number of the field at fault (from 1) and the name of its column, empty if the schema has
    /// none.
    pub column: Option<(usize, String)>,
    /// The kind of reason.
    pub error: ErrorType,
    /// The record's bytes without the line end.
    pub record: Vec<u8>,
    /// The reason in words.
    pub message: String,
    /// What it says about the whole file.
    pub sign: Sign,
}

impl Rejected {
    /// The reason with its column, for a message.
    pub(crate) fn in_words(&self) -> String {
        match &self.column {
            Some((_, name)) if !name.is_empty() => {
                format!("{} (column {})", self.message, crate::text::name(name))
            }
            _ => self.message.clone(),
        }
    }
}

/// The header of a quarantine file.
pub(crate) const HEADER: &[u8] =
    b"file,line,byte_position,column_idx,column_name,error_type,csv_line,error_message\n";

/// One line of a quarantine file. `csv_line` is the record byte for byte; `byte_position` counts
/// from 1, as `tail -c +N` does, and is empty without a `position`.
pub(crate) fn line(
    file: &str,
    position: Option<u64>,
    rejected: &Rejected,
) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let (index, name) = match &rejected.column {
        Some((index, name)) => (index.to_string(), name.as_str()),
        None => (String::new(), ""),
    };
    writer.write_record([
        file.as_bytes(),
        rejected.line.to_string().as_bytes(),
        position.map_or_else(String::new, |at| (at + 1).to_string()).as_bytes(),
        index.as_bytes(),
        name.as_bytes(),
        rejected.error.as_str().as_bytes(),
        &rejected.record,
        rejected.message.as_bytes(),
    ])?;
    writer.into_inner().map_err(|e| csv::Error::from(e.into_error()))
}
