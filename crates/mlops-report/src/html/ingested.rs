//! The ingested files: how many of their rows were kept, and why some were set aside.
//!
//! Not for the columns: see `data`.

use mlops_core::text::MOST_NAMES;

use crate::format::{count, counted};
use crate::report::{IngestedFile, Report};

use super::name;
use super::table::Table;
use crate::escape::escape;

/// Renders the section.
pub(super) fn section(report: &Report) -> String {
    let files = &report.ingested;
    if files.is_empty() {
        return "<p>No file was ingested for this report.</p>\n".to_owned();
    }
    let sum = |of: fn(&IngestedFile) -> u64| {
        files.iter().fold(0_u64, |total, file| total.saturating_add(of(file)))
    };
    let (read, kept) = (sum(|f| f.rows_read), sum(|f| f.rows_kept));
    let (duplicates, quarantined) = (sum(|f| f.duplicates), sum(|f| f.quarantined));
    let mut html = format!(
        "<p>{} held {}: {} kept, {} dropped as duplicates, {} set aside as unusable.</p>\n",
        counted(files.len() as u64, "file", "files"),
        counted(read, "row", "rows"),
        count(kept),
        count(duplicates),
        count(quarantined)
    );
    let mut table = Table::new(
        "Files and rows",
        &[
            ("File", false),
            ("Status", false),
            ("Read", true),
            ("Kept", true),
            ("Duplicates", true),
            ("Set aside", true),
            ("Why, and notes", false),
        ],
    );
    // If not all fit, the newest come first.
    let many = files.len() > MOST_NAMES;
    let newest: Vec<&IngestedFile> =
        if many { files.iter().rev().collect() } else { files.iter().collect() };
    for file in newest {
        table.row(vec![
            name(&file.name),
            escape(&file.status),
            count(file.rows_read),
            count(file.rows_kept),
            count(file.duplicates),
            count(file.quarantined),
            why(file),
        ]);
    }
    if files.len() > 1 {
        let numbers = [read, kept, duplicates, quarantined].map(count);
        let mut cells = vec!["All files".to_owned(), String::new()];
        cells.extend(numbers);
        cells.push(String::new());
        table.total(cells);
    }
    html.push_str(&table.html());
    html
}

fn why(file: &IngestedFile) -> String {
    let mut lines: Vec<String> = file
        .reasons
        .iter()
        .map(|r| format!("{} × {}", count(r.count), escape(&r.reason)))
        .collect();
    lines.extend(file.note.as_deref().map(escape));
    match lines.len() {
        0 => String::new(),
        _ => format!("<ul class=\"bare\"><li>{}</li></ul>", lines.join("</li><li>")),
    }
}
