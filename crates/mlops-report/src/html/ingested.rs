//! The ingested files: how many of their rows were kept, and why some were quarantined.
//!
//! Not for the columns: see `data`.

use maud::{Markup, html};
use mlops_core::text::MOST_NAMES;

use super::name;
use super::table::{Table, cells};
use crate::font::clean;
use crate::format::{count, counted};
use crate::report::{IngestedFile, Report};

/// Renders the section.
pub(super) fn section(report: &Report) -> Markup {
    let files = &report.ingested;
    if files.is_empty() {
        return html! { p { "No file was ingested for this report." } };
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
            clean(&file.status),
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
    html! {
        p {
            (counted(files.len() as u64, "file", "files")) " held " (counted(read, "row", "rows"))
            ": " (count(kept)) " kept, " (count(duplicates)) " dropped as duplicates, "
            (count(quarantined)) " quarantined as unusable."
        }
        (table)
    }
}

fn why(file: &IngestedFile) -> Markup {
    html! {
        @if !file.reasons.is_empty() || file.note.is_some() {
            ul.bare {
                @for reason in &file.reasons {
                    li { (count(reason.count)) " × " (clean(&reason.reason)) }
                }
                @if let Some(note) = &file.note { li { (clean(note)) } }
            }
        }
    }
}
