//! The ingested files: how many of their rows were kept, and why some were quarantined.
//!
//! Not for the columns: see `data`.

use mlops_core::text::MOST_NAMES;

use crate::document::{Block, Cell, Table, cells, name, paragraph};
use crate::format::{count, counted};
use crate::report::{IngestedFile, Report};

/// The section.
pub(super) fn section(report: &Report) -> Vec<Block> {
    let files = &report.ingested;
    if files.is_empty() {
        return vec![paragraph("No file was ingested for this report.")];
    }
    let sum = |of: fn(&IngestedFile) -> u64| {
        files.iter().fold(0_u64, |total, file| total.saturating_add(of(file)))
    };
    let (read, kept) = (sum(|f| f.rows_read), sum(|f| f.rows_kept));
    let (duplicates, quarantined) = (sum(|f| f.duplicates), sum(|f| f.quarantined));
    let mut table = Table::new(
        "Files and rows",
        &[
            ("File", false),
            ("Status", false),
            ("Read", true),
            ("Kept", true),
            ("Duplicates", true),
            ("Quarantined", true),
            ("Why, and notes", false),
        ],
    );
    // If not all fit, the newest come first.
    let many = files.len() > MOST_NAMES;
    let newest: Vec<&IngestedFile> =
        if many { files.iter().rev().collect() } else { files.iter().collect() };
    for file in newest {
        table.row(cells![
            name(&file.name),
            file.status.clone(),
            count(file.rows_read),
            count(file.rows_kept),
            count(file.duplicates),
            count(file.quarantined),
            why(file),
        ]);
    }
    if files.len() > 1 {
        table.total(cells![
            "All files",
            "",
            count(read),
            count(kept),
            count(duplicates),
            count(quarantined),
            "",
        ]);
    }
    let told = format!(
        "{} held {}: {} kept, {} dropped as duplicates, {} quarantined as unusable.",
        counted(files.len() as u64, "file", "files"),
        counted(read, "row", "rows"),
        count(kept),
        count(duplicates),
        count(quarantined)
    );
    vec![paragraph(told), Block::Table(table)]
}

fn why(file: &IngestedFile) -> Cell {
    let reasons = file.reasons.iter();
    let told = reasons.map(|reason| format!("{} × {}", count(reason.count), reason.reason));
    Cell::List(told.chain(file.note.clone()).collect())
}
