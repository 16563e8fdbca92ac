//! The report of `ingestion`: for programs, for the record, and as text for people.
//!
//! Not for the work itself: see [`super`].

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::dataset::cell_counts::{CellCounts, Example};
use crate::dataset::discover::Ignored;
use crate::ids::{DatasetVersion, FindingKind, Severity};
use crate::ledger::{DatasetRecord, FileRecord, FileStatus};
use crate::run::attention::{self, Fact, Finding, Remark};
use crate::run::context::Report;
use crate::run::lineage::{Dataset, Lineage};
use crate::stage::deliver::Delivered;
use crate::text;

/// The report of `ingestion`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ingested {
    /// The input folder, with the names of the sources if there are any.
    pub folder: String,
    /// The current version, if there is any data.
    pub version: Option<DatasetVersion>,
    /// The path of its file.
    pub data: Option<String>,
    /// The number of its rows.
    pub rows: u64,
    /// The number of rows added by this run.
    pub new_rows: u64,
    /// The number of rows of earlier contents that were replaced because their files changed.
    #[serde(default)]
    pub superseded: u64,
    /// The number of rows that left, or did not come in, since a newer one with the same key is there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replaced: u64,
    /// The quarantine file of this run.
    pub quarantine: Option<String>,
    /// The file of cells that cleaning changed, if each is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<String>,
    /// Files that were read.
    pub files: Vec<FileRecord>,
    /// The number of files that are unchanged since they were recorded.
    pub unchanged: u64,
    /// Entries of the folder that are not taken; only some of them if there are many.
    pub ignored: Vec<Ignored>,
    /// The number of such entries.
    #[serde(default)]
    pub ignored_files: u64,
    /// Warnings.
    pub warnings: Vec<Remark>,
    /// Files that this run refused, with reasons.
    #[serde(default)]
    pub failures: Vec<Remark>,
    /// Files that were refused before and still exist.
    #[serde(default)]
    pub refused: Vec<Remark>,
    /// A file failed that had not failed before.
    pub new_failures: bool,
    /// There is a new version.
    pub new_version: bool,
    /// Old data sets that were removed by the rules of "retention".
    #[serde(default)]
    pub removed: Vec<DatasetVersion>,
    /// Versions that were brought into the table of "output.table".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delivered: Vec<DatasetVersion>,
    /// Why that table does not have the newest version, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Ingested {
    /// An empty report for `folder` and `sources`, with the data set `last`.
    pub(in crate::stage) fn of(
        folder: &Path,
        sources: &[&str],
        last: Option<&DatasetRecord>,
    ) -> Self {
        let folder = folder.display();
        let folder = match sources {
            [] => folder.to_string(),
            [one] => format!("{folder} and the source {one}"),
            _ => format!("{folder} and the sources {}", text::names(sources)),
        };
        Self {
            folder,
            version: last.map(|d| d.version),
            data: last.map(|d| d.location.display().to_string()),
            rows: last.map_or(0, |d| d.rows),
            new_rows: 0,
            superseded: 0,
            replaced: 0,
            quarantine: None,
            changes: None,
            files: Vec::new(),
            unchanged: 0,
            ignored: Vec::new(),
            ignored_files: 0,
            warnings: Vec::new(),
            failures: Vec::new(),
            refused: Vec::new(),
            new_failures: false,
            new_version: false,
            removed: Vec::new(),
            delivered: Vec::new(),
            behind: None,
        }
    }

    /// Takes in what was brought into the table of "output.table".
    pub(in crate::stage) fn has_delivered(&mut self, delivered: Delivered) {
        self.delivered = delivered.versions;
        self.behind = delivered.behind;
        self.warnings.extend(delivered.warnings);
    }

    /// Cuts long lists and counts the rest; the records of the files are complete.
    pub(super) fn bound(&mut self) {
        let why = "the ledger has the reasons";
        text::few(&mut self.failures, |more| {
            let words = text::plural(more, "more file");
            let words = format!("{words}, refused now, not shown: {why}");
            Remark::new(FindingKind::RefusedFile, words)
        });
        text::few(&mut self.refused, |more| {
            let words = text::plural(more, "more file");
            let words = format!("{words}, refused before, not shown: {why}");
            Remark::new(FindingKind::RefusedFile, words)
        });
        text::few(&mut self.warnings, |more| {
            let words = text::plural(more, "more warning");
            Remark::new(FindingKind::Data, format!("{words} of this ingestion, not shown"))
        });
        self.ignored_files = self.ignored.len() as u64;
        self.ignored.truncate(text::MOST_NAMES);
    }
}

impl Ingested {
    /// Files worth reporting, without those that have the same path and content as before and were
    /// read only because their time or inode changed: copied, restored or touched.
    fn news(&self) -> impl Iterator<Item = &FileRecord> {
        let as_before =
            |f: &FileRecord| f.status == FileStatus::Copy && f.same_as.as_ref() == Some(&f.name);
        self.files.iter().filter(move |f| !as_before(f))
    }
}

impl Ingested {
    /// Writes how many cells cleaning changed, with examples, if it was recorded.
    fn changed_cells(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sums = CellCounts::default();
        let counted =
            self.files.iter().filter_map(|file| Some((file, file.counts.cells.as_ref()?)));
        counted.clone().for_each(|(_, cells)| sums.add(cells));
        let kinds = sums.columns.iter().flat_map(|(column, kinds)| {
            kinds.iter().map(move |(kind, cells)| (column, *kind, *cells))
        });
        let mut kinds: Vec<_> = kinds.collect();
        kinds.sort_by_key(|(.., cells)| std::cmp::Reverse(*cells));
        if !kinds.is_empty() {
            let mut rows =
                vec![["column", "changed", "cells", "for example"].map(str::to_owned).to_vec()];
            for (column, kind, cells) in kinds.iter().take(text::MOST_NAMES) {
                let mut examples = counted.clone().flat_map(|(file, cells)| {
                    cells.examples.iter().map(move |example| (file, example))
                });
                let fits =
                    |(_, e): &(&FileRecord, &Example)| e.column == **column && e.kind == *kind;
                let example = examples.find(fits).map(|(file, example)| {
                    let (name, line) = (text::name(&file.name), example.line);
                    format!("\"{}\" to \"{}\" in {name}, line {line}", example.from, example.to)
                });
                let (column, cells) = (text::name(column).into_owned(), text::count(*cells));
                rows.push(vec![column, kind.to_string(), cells, example.unwrap_or_default()]);
            }
            f.write_str(&text::list(&rows))?;
            if let more @ 1.. = kinds.len().saturating_sub(text::MOST_NAMES) {
                writeln!(f, "and {} of changed cells", text::plural(more as u64, "more kind"))?;
            }
        }
        match &self.changes {
            Some(changes) => writeln!(f, "Cells that were changed: {changes}"),
            None => Ok(()),
        }
    }
}

impl Report for Ingested {
    fn changed(&self) -> bool {
        self.news().next().is_some() || !self.delivered.is_empty()
    }

    fn findings(&self) -> Vec<Finding> {
        let warnings = self.refused.iter().chain(&self.warnings);
        let behind = self.behind.iter().map(|why| Finding::person(FindingKind::TableBehind, why));
        attention::findings(&self.failures, Severity::Failed)
            .chain(attention::findings(warnings, Severity::Warning))
            .chain(behind)
            .collect()
    }

    fn lineage(&self, config: &Config) -> Lineage {
        let read = self.files.iter().filter(|file| file.sha256.is_some());
        let inputs = read.map(|file| Dataset {
            path: file.location.path(&config.base).display().to_string(),
            namespace: None,
            sha256: file.sha256,
            table: true,
            rows: Some(file.counts.rows_read),
            bytes: Some(file.stamp.size),
            fates: vec![
                ("read", file.counts.rows_read),
                ("kept", file.counts.rows_kept),
                ("duplicates", file.counts.duplicates()),
                ("quarantined", file.counts.quarantined),
            ],
            broken: file.counts.contract.clone(),
        });
        let written = self.data.iter().filter(|_| self.new_version);
        let outputs = written.map(|path| Dataset {
            path: path.clone(),
            table: true,
            rows: Some(self.rows),
            ..Dataset::default()
        });
        let table = config.output.table.as_ref().filter(|_| !self.delivered.is_empty());
        let delivered = table.map(|table| {
            let (namespace, path) = table.named(&config.base);
            let (namespace, rows) = (Some(namespace), Some(self.rows));
            Dataset { path, namespace, table: true, rows, ..Dataset::default() }
        });
        Lineage { inputs: inputs.collect(), outputs: outputs.chain(delivered).collect() }
    }

    fn facts(&self) -> Vec<Fact> {
        let files = |wanted: fn(&FileRecord) -> bool| self.files.iter().filter(move |f| wanted(f));
        let sum = |count: fn(&FileRecord) -> u64| self.files.iter().map(count).sum::<u64>();
        let taken = files(|f| f.status.is_in()).map(|f| &f.name);
        let failed = files(|f| f.status == FileStatus::Failed).map(|f| &f.name);
        let mut facts = vec![
            Fact::new("files", text::names(taken)),
            Fact::new("refused", text::names(failed)),
            Fact::new("unchanged", self.unchanged),
            Fact::new("rows", self.rows),
            Fact::new("new_rows", self.new_rows),
            Fact::new("duplicates", sum(|f| f.counts.duplicates())),
            Fact::new("quarantined", sum(|f| f.counts.quarantined)),
            Fact::new("superseded", self.superseded),
        ];
        let data = self.data.as_deref().map(Path::new).and_then(Path::file_name);
        facts.extend(data.map(|name| Fact::new("version", name.to_string_lossy())));
        facts
    }
}

impl fmt::Display for Ingested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.news().next().is_none() {
            let unchanged = self.unchanged + self.files.len() as u64;
            let recorded = text::plural(unchanged, "file");
            match unchanged {
                0 => writeln!(f, "No data file in {}.", self.folder)?,
                _ => writeln!(f, "Nothing new in {}: {recorded} as recorded.", self.folder)?,
            }
        } else {
            let head = ["file", "read", "kept", "duplicates", "quarantined", ""];
            let mut rows = vec![head.map(str::to_owned).to_vec()];
            for file in self.news().take(text::MOST_NAMES) {
                let counts = &file.counts;
                let note = match file.status {
                    FileStatus::Adopted => "adopted".to_owned(),
                    FileStatus::Ingested if counts.extra_columns.is_empty() => String::new(),
                    FileStatus::Ingested => {
                        format!("columns passed over: {}", counts.passed_over())
                    }
                    FileStatus::NoRows => "no data rows".to_owned(),
                    FileStatus::Copy => {
                        let other = file.same_as.as_deref().unwrap_or("another");
                        format!("same content as {}", text::name(other))
                    }
                    FileStatus::Failed => "FAILED, see below".to_owned(),
                    FileStatus::Changing => "still changing".to_owned(),
                };
                let numbers =
                    [counts.rows_read, counts.rows_kept, counts.duplicates(), counts.quarantined];
                let mut row = vec![text::name(&file.name).into_owned()];
                row.extend(numbers.map(text::count));
                row.push(note);
                rows.push(row);
            }
            let rest: Vec<&FileRecord> = self.news().skip(text::MOST_NAMES).collect();
            if !rest.is_empty() {
                let sum = |count: fn(&FileRecord) -> u64| {
                    text::count(rest.iter().copied().map(count).sum())
                };
                let refused = rest.iter().filter(|f| f.status == FileStatus::Failed).count() as u64;
                let note = match refused {
                    0 => String::new(),
                    n => format!("{} of them FAILED", text::count(n)),
                };
                rows.push(vec![
                    format!("and {} more", text::count(rest.len() as u64)),
                    sum(|f| f.counts.rows_read),
                    sum(|f| f.counts.rows_kept),
                    sum(|f| f.counts.duplicates()),
                    sum(|f| f.counts.quarantined),
                    note,
                ]);
            }
            f.write_str(&text::table(&rows))?;
        }
        if let (Some(data), true) = (&self.data, self.new_version) {
            let (rows, new) = (text::plural(self.rows, "row"), text::count(self.new_rows));
            writeln!(f, "Data set: {data} ({rows}, {new} of them new)")?;
        }
        if self.superseded > 0 {
            let rows = text::plural(self.superseded, "row");
            writeln!(f, "Corrected: {rows} of earlier contents left, as their files changed.")?;
        }
        if self.replaced > 0 {
            let rows = text::plural(self.replaced, "row");
            writeln!(f, "Replaced: {rows} by newer ones with the same key.")?;
        }
        if !self.removed.is_empty() {
            let old = text::plural(self.removed.len() as u64, "old data set");
            writeln!(f, "Removed, as \"retention\" says: {old}")?;
        }
        if !self.delivered.is_empty() {
            let versions = self.delivered.iter().map(ToString::to_string);
            writeln!(
                f,
                "Written into the table of the database: version {}",
                text::names(versions)
            )?;
        }
        if let Some(quarantine) = &self.quarantine {
            writeln!(f, "Rejected rows, with their reasons: {quarantine}")?;
        }
        self.changed_cells(f)?;
        for ignored in &self.ignored {
            writeln!(f, "Passed over {}: {}", text::name(&ignored.name), ignored.reason)?;
        }
        match self.ignored_files.saturating_sub(self.ignored.len() as u64) {
            0 => Ok(()),
            more => writeln!(f, "Passed over {} more", text::count(more)),
        }
    }
}
