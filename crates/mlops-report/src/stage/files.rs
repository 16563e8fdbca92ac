//! The ingested files as the ledger records them: one line per content that counts.
//!
//! Not for the columns: see `columns`.

use std::collections::BTreeMap;

use mlops_core::Result;
use mlops_core::ids::DatasetVersion;
use mlops_core::ledger::{FileRecord, FileStatus};
use mlops_core::platform::location::Location;
use mlops_core::run::context::Workspace;
use mlops_core::text;

use crate::format;
use crate::report::warning;
use crate::report::{Finding, IngestedFile, Reason};

/// The share of rejected rows above which a file gets a warning.
const MANY_REJECTED: f64 = 0.01;

/// The files of the current data set, and those that were refused.
pub(super) fn of(workspace: &Workspace, warnings: &mut Vec<Finding>) -> Result<Vec<IngestedFile>> {
    let datasets = workspace.ledger.datasets()?;
    // A version with only new rows was built anew: earlier ones are not part of it.
    let first = datasets.iter().rev().find(|d| d.rows == d.new_rows).map(|d| d.version);
    let records = current(workspace.ledger.files()?, first);
    let of_status = |wanted: FileStatus| {
        let files: Vec<&str> =
            records.iter().filter(|f| f.status == wanted).map(|f| f.name.as_str()).collect();
        (files.len(), text::names(&files))
    };
    // Ingestion reported the reasons, and they are in the table of files.
    match of_status(FileStatus::Failed) {
        (0, _) => {}
        (1, name) => warnings.push(warning(format!(
            "{name} was refused, so that the model does not \
                                                    learn from it."
        ))),
        (_, names) => {
            warnings.push(warning(format!(
                "{names} were refused, so that the model does not learn \
                                           from them."
            )));
        }
    }
    match of_status(FileStatus::Changing) {
        (0, _) => {}
        (_, names) => warnings.push(warning(format!(
            "{names} changed while they were read: the next run reads them again."
        ))),
    }
    let mut others = Vec::new();
    for file in &records {
        let counts = &file.counts;
        let share = counts.quarantined as f64 / counts.rows_read.max(1) as f64;
        if share > MANY_REJECTED && file.status.is_in() {
            others.push(format!(
                "{} of the rows of {} were rejected ({} of {}): see the quarantine file.",
                format::percent(share),
                text::name(&file.name),
                text::count(counts.quarantined),
                text::count(counts.rows_read)
            ));
        }
        // Many of its rows were dropped as duplicates.
        others.extend(file.reason.clone().filter(|_| file.status.is_in()).map(|note| note + "."));
    }
    text::few(&mut others, |more| {
        format!("The table shows {} about files like these.", text::plural(more, "more warning"))
    });
    warnings.extend(others.into_iter().map(warning));
    Ok(records.iter().map(line).collect())
}

/// The records that describe the present state, in order of arrival.
fn current(records: Vec<FileRecord>, first: Option<DatasetVersion>) -> Vec<FileRecord> {
    let mut newest: BTreeMap<Location, usize> = BTreeMap::new();
    for (i, record) in records.iter().enumerate() {
        newest.insert(record.location.clone(), i);
    }
    let is_newest = |i: usize, record: &FileRecord| newest.get(&record.location) == Some(&i);
    let mut kept: Vec<(usize, FileRecord)> = Vec::new();
    for (i, record) in records.into_iter().enumerate() {
        let counts = match record.status {
            // Rows stay in the data set when their file is replaced.
            FileStatus::Ingested | FileStatus::Adopted => record.dataset >= first,
            // A file that was only touched is recorded as a copy of itself.
            FileStatus::Copy => {
                record.same_as.as_ref() != Some(&record.name) && is_newest(i, &record)
            }
            _ => is_newest(i, &record),
        };
        if counts {
            kept.push((i, record));
        }
    }
    kept.into_iter().map(|(_, record)| record).collect()
}

fn line(file: &FileRecord) -> IngestedFile {
    let counts = &file.counts;
    // For a file that was taken this is a warning of its own.
    let mut notes: Vec<String> =
        file.reason.iter().filter(|_| !file.status.is_in()).cloned().collect();
    match (file.status, &file.same_as) {
        (FileStatus::Copy, Some(other)) => {
            notes.push(format!("the same content as {}", text::name(other)));
        }
        (FileStatus::Ingested, _) if file.replaces.is_some() => {
            notes.push("replaces an earlier content of the same file".to_owned());
        }
        _ => {}
    }
    if !counts.extra_columns.is_empty() {
        notes.push(format!("columns passed over: {}", counts.passed_over()));
    }
    if counts.superseded > 0 {
        let rows = text::plural(counts.superseded, "row");
        notes.push(format!("{rows} removed when the content of the file was replaced"));
    }
    IngestedFile {
        name: text::name(&file.name).into_owned(),
        rows_read: counts.rows_read,
        rows_kept: counts.rows_kept,
        duplicates: counts.duplicates(),
        quarantined: counts.quarantined,
        reasons: counts
            .rejections
            .iter()
            .map(|(kind, count)| Reason { reason: words(kind.as_str()).to_owned(), count: *count })
            .collect(),
        status: match file.status {
            FileStatus::Ingested => "ingested",
            FileStatus::Adopted => "adopted",
            FileStatus::NoRows => "empty",
            FileStatus::Copy => "copy",
            FileStatus::Failed => "failed",
            FileStatus::Changing => "waiting",
        }
        .to_owned(),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

/// A kind of rejection in words.
fn words(kind: &str) -> &str {
    match kind {
        "CAST" => "a value that does not fit its column",
        "MISSING LABEL" => "a label that is missing",
        "MISSING COLUMNS" => "too few fields",
        "TOO MANY COLUMNS" => "too many fields",
        "UNQUOTED VALUE" => "quotes that do not match",
        "LINE SIZE OVER MAXIMUM" => "a line that is too long",
        "INVALID UNICODE" => "bytes that are not UTF-8",
        other => other,
    }
}
