//! The rows in the quarantine: listing them with their reasons, and discarding some of them.
//!
//! A row is quarantined as long as its content is in the data set and nobody discarded it. Rows are taken
//! after a correction in `ingest::replay`.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::DatasetVersion;
use crate::ledger::{Discarded, FileRecord, Ledger};
use crate::platform::digest::Digest;
use crate::platform::files;
use crate::run::context::{Context, Report, Workspace};
use crate::{Error, Result, text};

/// Which rows of the quarantine are meant: those that fit all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The name of the file, or of a part of it.
    pub file: Option<String>,
    /// The error type, such as `CAST`.
    pub reason: Option<String>,
    /// The name of the column.
    pub column: Option<String>,
    /// The run that quarantined them.
    pub run: Option<String>,
}

/// A row in the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QuarantinedRow {
    pub(super) content: Digest,
    pub(super) file: String,
    pub(super) part: String,
    pub(super) line: u64,
    pub(super) column: String,
    pub(super) reason: String,
    pub(super) record: String,
    pub(super) message: String,
}

/// Rows of one file that are in the quarantine for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The file.
    pub file: String,
    /// The error type.
    pub reason: String,
    /// The column; empty if the reason has none.
    pub column: String,
    /// The number of rows.
    pub rows: u64,
    /// The line of the first.
    pub line: u64,
    /// Its record.
    pub record: String,
    /// Its reason in words.
    pub message: String,
}

/// What is in the quarantine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// Its rows by file, reason and column.
    pub groups: Vec<Group>,
    /// The number of rows.
    pub rows: u64,
    /// Quarantine files that are gone.
    pub gone: Vec<String>,
}

/// The rows that were given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Their number.
    pub rows: u64,
    /// Who gave them up.
    pub who: String,
    /// Why.
    pub why: String,
}

/// Most groups that are printed.
const MOST_GROUPS: usize = 100;

/// Tells what is in the quarantine. Changes nothing.
pub fn inspect(context: &Context, filter: &Filter) -> Result<Inspection> {
    let Some(ledger) = Ledger::open_to_read(&context.config.ledger_path())? else {
        return Ok(Inspection::default());
    };
    let mut groups: BTreeMap<(String, String, String), Group> = BTreeMap::new();
    let mut inspection = Inspection::default();
    inspection.gone = each(context, &ledger, filter, |row| {
        inspection.rows += 1;
        let key = (row.file.clone(), row.reason.clone(), row.column.clone());
        groups.entry(key).and_modify(|group| group.rows += 1).or_insert_with(|| Group {
            file: row.file,
            reason: row.reason,
            column: row.column,
            rows: 1,
            line: row.line,
            record: text::visible(&row.record).into_owned(),
            message: row.message,
        });
    })?;
    inspection.groups = groups.into_values().collect();
    inspection.groups.sort_by_key(|group| std::cmp::Reverse(group.rows));
    Ok(inspection)
}

/// Gives up rows, which `who` decided for the reason `why`.
pub fn discard(
    context: &Context,
    workspace: &mut Workspace,
    filter: &Filter,
    (who, why): (&str, &str),
) -> Result<Given> {
    if why.trim().is_empty() || who.trim().is_empty() {
        return Err(Error::data("say who gives the rows up, and why"));
    }
    let mut rows = Vec::new();
    let now = context.now();
    each(context, &workspace.ledger, filter, |row| {
        rows.push(Discarded {
            sha256: row.content,
            part: row.part,
            line: row.line,
            who: who.trim().to_owned(),
            why: why.trim().to_owned(),
            recorded: now.clone(),
        });
    })?;
    if !rows.is_empty() {
        workspace.ledger.discard(context.run.as_str(), &rows)?;
    }
    Ok(Given { rows: rows.len() as u64, who: who.to_owned(), why: why.to_owned() })
}

/// Passes each row that is in the quarantine to `tell`, file by file; returns quarantine files that are gone.
pub(super) fn each(
    context: &Context,
    ledger: &Ledger,
    filter: &Filter,
    mut tell: impl FnMut(QuarantinedRow),
) -> Result<Vec<String>> {
    let Some(last) = ledger.latest_dataset()? else { return Ok(Vec::new()) };
    let mut by_version: BTreeMap<DatasetVersion, Vec<FileRecord>> = BTreeMap::new();
    for segment in ledger.segments(last.version)? {
        let Some(record) = ledger.taken(segment.sha256)? else { continue };
        let version = record.counts.quarantine.or(record.dataset);
        if let Some(version) = version.filter(|_| record.counts.quarantined > 0) {
            by_version.entry(version).or_default().push(record);
        }
    }
    let discarded: HashSet<(Digest, String, u64)> =
        ledger.discarded()?.into_iter().map(|row| (row.sha256, row.part, row.line)).collect();
    let mut gone = Vec::new();
    for (version, records) in by_version {
        if let Some(run) = &filter.run
            && ledger.dataset(version)?.is_none_or(|dataset| dataset.run_id.as_str() != run)
        {
            continue;
        }
        let path = context.config.output_folder.join(version.quarantine_name());
        let Ok((file, _)) = files::open(&path) else {
            gone.push(version.quarantine_name());
            continue;
        };
        let by_name: BTreeMap<&str, Digest> =
            records.iter().filter_map(|r| Some((r.name.as_str(), r.sha256?))).collect();
        let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(file);
        for record in reader.byte_records() {
            let record = record.map_err(|e| Error::backend("csv", e))?;
            let cell = |at: usize| String::from_utf8_lossy(record.get(at).unwrap_or_default());
            let named = cell(0);
            let Some((sha256, part)) = content_of(&by_name, &named) else { continue };
            let row = QuarantinedRow {
                content: sha256,
                part: part.to_owned(),
                file: named.clone().into_owned(),
                line: cell(1).parse().unwrap_or(0),
                column: cell(4).into_owned(),
                reason: cell(5).into_owned(),
                record: cell(6).into_owned(),
                message: cell(7).into_owned(),
            };
            if filter.fits(&row) && !discarded.contains(&(row.content, row.part.clone(), row.line))
            {
                tell(row);
            }
        }
    }
    Ok(gone)
}

/// The content of a file that the quarantine names, and the part of it.
pub(super) fn content_of<'n>(
    by_name: &BTreeMap<&str, Digest>,
    named: &'n str,
) -> Option<(Digest, &'n str)> {
    if let Some(content) = by_name.get(named) {
        return Some((*content, ""));
    }
    let mut hashes = named.match_indices('#');
    hashes.find_map(|(at, _)| Some((*by_name.get(&named[..at])?, &named[at + 1..])))
}

impl Filter {
    fn fits(&self, row: &QuarantinedRow) -> bool {
        let same = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        let file = self.file.as_ref().is_none_or(|wanted| {
            let rest = row.file.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
        });
        file && same(&self.reason, &row.reason) && same(&self.column, &row.column)
    }
}

impl Report for Inspection {
    fn changed(&self) -> bool {
        false
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows == 0 && self.gone.is_empty() {
            return writeln!(f, "Nothing is in the quarantine.");
        }
        writeln!(f, "{} in the quarantine:", text::plural(self.rows, "row"))?;
        for group in self.groups.iter().take(MOST_GROUPS) {
            let column = match group.column.as_str() {
                "" => String::new(),
                column => format!(", column {}", text::name(column)),
            };
            writeln!(
                f,
                "  {}: {} {}{column}; the first is line {}: {}",
                text::name(&group.file),
                text::count(group.rows),
                group.reason,
                group.line,
                text::visible(&group.message)
            )?;
            writeln!(f, "    {}", group.record)?;
        }
        if let Some(more) = self.groups.len().checked_sub(MOST_GROUPS).filter(|more| *more > 0) {
            writeln!(f, "  and {}, which --json lists", text::plural(more as u64, "more group"))?;
        }
        if !self.gone.is_empty() {
            writeln!(f, "Gone, with the rows in them: {}", text::names(&self.gone))?;
        }
        Ok(())
    }
}

impl Report for Given {
    fn changed(&self) -> bool {
        self.rows > 0
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rows {
            0 => writeln!(f, "No such row is in the quarantine."),
            rows => writeln!(f, "{} given up.", text::plural(rows, "row")),
        }
    }
}
