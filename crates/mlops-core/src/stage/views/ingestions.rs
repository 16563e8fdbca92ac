//! What was ingested: files with their counts and rejected rows by reason, page by page.
//!
//! Not for the rows in the quarantine: see `stage::quarantine`.

use serde::Serialize;

use crate::Result;
use crate::ledger::{FileRecord, Ledger, Paged};
use crate::platform::clock::rfc3339;
use crate::run::context::Context;

/// A page of files.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Ingestions {
    /// The names of the columns, in the order of the counts of missing cells.
    pub columns: Vec<String>,
    /// The files.
    #[serde(flatten)]
    pub files: Paged<IngestedFile>,
}

/// What is on record about a file at one time.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct IngestedFile {
    /// When it was recorded, RFC 3339, UTC.
    pub recorded: String,
    /// Rejected rows by reason.
    pub rejected: Vec<(String, u64)>,
    /// The share of its cells that are missing, if it has rows.
    pub missing: Option<f64>,
    /// The record.
    #[serde(flatten)]
    pub file: FileRecord,
}

/// Reads page `page` of the files.
pub fn read(context: &Context, page: u64) -> Result<Ingestions> {
    let Some(ledger) = Ledger::open_to_read(&context.config.ledger_path())? else {
        return Ok(Ingestions { columns: Vec::new(), files: Paged::empty() });
    };
    let columns = ledger.latest_dataset()?.map(|data| data.columns).unwrap_or_default();
    let files = ledger.files_paged(page)?.map(|file| {
        let counts = &file.counts;
        let rejected = counts.rejections.iter().filter(|(_, rows)| **rows > 0);
        let cells = counts.rows_kept * counts.missing.len() as u64;
        let missing: u64 = counts.missing.iter().sum();
        IngestedFile {
            recorded: rfc3339(chrono::DateTime::from_timestamp_nanos(file.recorded_ns)),
            rejected: rejected.map(|(reason, rows)| (reason.as_str().to_owned(), *rows)).collect(),
            missing: (cells > 0).then(|| (missing as f64 / cells as f64).min(1.0)),
            file,
        }
    });
    Ok(Ingestions { columns, files })
}
