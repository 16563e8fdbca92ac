//! Files of ours with records of the people: quarantines, hold-outs, changed cells, and texts that mention them.
//!
//! The records are cut out, or the whole file is removed if it can be recreated or is useless without them.
//! Data sets are in [`super::data`]; what only `--everywhere` removes is in [`super::elsewhere`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::data::each_row;
use super::people::People;
use super::sources::{InSources, each_line};
use crate::csv::quarantine::ErrorType;
use crate::dataset::counts::FileCounts;
use crate::evaluation::entity::Members;
use crate::ids::DatasetVersion;
use crate::ledger::forgotten::silenced;
use crate::ledger::{FileRecord, HoldoutAfter, Ledger, Redaction, projections};
use crate::platform::digest::Digest;
use crate::platform::files;
use crate::run::context::Context;
use crate::run::redact;
use crate::run::test_files::{TestFileKind, TestFiles};
use crate::stage::quarantine::content_of;
use crate::table::Table;
use crate::table::schema::Schema;
use crate::text::mention;
use crate::{Error, Result};

/// Pages and answers of the candidate's folder that are made again.
const MADE_AGAIN: [&str; 5] =
    ["report.html", "comparison.html", "diagnostics.json", "apireturns.txt", "apireturns.json"];
/// The same as a page in a form in which nothing can be found, with the page that tells what is in it.
const ALIKE: [(&str, &str); 2] =
    [("report.pdf", "report.html"), ("comparison.pdf", "comparison.html")];

/// What files of ours have of the people.
#[derive(Default)]
pub(super) struct InOurs {
    /// The changes of files.
    pub(super) redactions: Vec<Redaction>,
    /// Counts of contents from now on.
    pub(super) counts: Vec<(Digest, FileCounts)>,
    /// Rows that the quarantines of versions lose.
    pub(super) quarantined: Vec<(DatasetVersion, u64)>,
    /// Hold-outs from now on.
    pub(super) holdouts: Vec<HoldoutAfter>,
}

impl InOurs {
    /// Finds all of it.
    pub(super) fn of(
        context: &Context,
        ledger: &Ledger,
        schema: &Schema,
        people: &People,
        sources: &InSources,
    ) -> Result<Self> {
        let mut found = Self::default();
        found.quarantines(context, ledger, people, sources)?;
        found.hold_outs(context, ledger, schema, people)?;
        found.changes(context, ledger, people)?;
        found.texts(context, people)?;
        Ok(found)
    }

    fn cut(&mut self, context: &Context, path: &Path, cuts: Vec<(u64, u64)>) -> Result<Digest> {
        let (after, _) = redact::without(path, &cuts)?;
        let (location, before) = (context.location(path), Digest::of_file(path)?);
        self.redactions.push(Redaction { location, before, after: Some(after), cuts });
        Ok(after)
    }

    fn remove(&mut self, context: &Context, path: &Path) -> Result<()> {
        let (location, before) = (context.location(path), Digest::of_file(path)?);
        self.redactions.push(Redaction { location, before, after: None, cuts: Vec::new() });
        Ok(())
    }

    fn quarantines(
        &mut self,
        context: &Context,
        ledger: &Ledger,
        people: &People,
        sources: &InSources,
    ) -> Result<()> {
        let mut of: BTreeMap<DatasetVersion, Vec<FileRecord>> = BTreeMap::new();
        for file in ledger.files()?.into_iter().filter(|file| file.status.is_in()) {
            let versions = [file.dataset, file.counts.quarantine];
            for version in versions.into_iter().flatten() {
                of.entry(version).or_default().push(file.clone());
            }
        }
        let discarded = ledger.discarded()?;
        for dataset in ledger.datasets()? {
            let version = dataset.version;
            let path = context.config.output_folder.join(version.quarantine_name());
            let Ok((file, metadata)) = files::open(&path) else { continue };
            let records = of.remove(&version).unwrap_or_default();
            let by_name: BTreeMap<&str, Digest> =
                records.iter().filter_map(|r| Some((r.name.as_str(), r.sha256?))).collect();
            let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(file);
            let (mut cuts, mut record) = (Vec::new(), ::csv::ByteRecord::new());
            // The header ends where the first record begins.
            let failed = |e| Error::backend("csv", e);
            reader.byte_headers().map_err(failed)?;
            let mut start = reader.position().byte();
            while reader.read_byte_record(&mut record).map_err(failed)? {
                let end = reader.position().byte();
                let cell = |at: usize| record.get(at).unwrap_or_default();
                let text = |at: usize| String::from_utf8_lossy(cell(at)).into_owned();
                let (named, line) = (text(0), text(1).parse::<u64>().unwrap_or(0));
                let whose = content_of(&by_name, &named);
                // The file itself says best whose record it is.
                let read = whose.and_then(|(digest, part)| {
                    let lines = sources.lines.get(&digest).filter(|_| part.is_empty())?;
                    lines.as_ref().map(|lines| lines.contains(&line))
                });
                if read.unwrap_or_else(|| people.forgotten.may_have(cell(6))) {
                    cuts.push((start, end));
                    if let Some((digest, part)) = whose {
                        let is_discarded = discarded.iter().any(|row| {
                            row.sha256 == digest && row.part == part && row.line == line
                        });
                        self.recount(ledger, (digest, version), &text(5), is_discarded)?;
                    }
                }
                start = end;
            }
            if let Some(last) = cuts.last_mut() {
                last.1 = last.1.min(metadata.len());
                self.quarantined.push((version, cuts.len() as u64));
                self.cut(context, &path, cuts)?;
            }
        }
        Ok(())
    }

    /// Counts a record of the quarantine as forgotten, if that is where the content's records are.
    fn recount(
        &mut self,
        ledger: &Ledger,
        (content, version): (Digest, DatasetVersion),
        reason: &str,
        is_discarded: bool,
    ) -> Result<()> {
        let known = self.counts.iter().position(|(digest, _)| *digest == content);
        let at = if let Some(at) = known {
            at
        } else {
            let Some(record) = ledger.taken(content)? else { return Ok(()) };
            if record.counts.quarantine.or(record.dataset) != Some(version) {
                return Ok(());
            }
            self.counts.push((content, record.counts));
            self.counts.len() - 1
        };
        let counts = &mut self.counts[at].1;
        let from = if is_discarded { &mut counts.discarded } else { &mut counts.quarantined };
        if *from > 0 {
            *from -= 1;
            counts.forgotten += 1;
        }
        let error = serde_json::from_value::<ErrorType>(reason.into()).ok();
        if let Some(rows) = error.and_then(|error| counts.rejections.get_mut(&error)) {
            *rows = rows.saturating_sub(1);
        }
        counts.rejections.retain(|_, rows| *rows > 0);
        Ok(())
    }

    fn hold_outs(
        &mut self,
        context: &Context,
        ledger: &Ledger,
        schema: &Schema,
        people: &People,
    ) -> Result<()> {
        let key = ledger.known_holdout_key()?;
        for file in TestFiles::find(context, &ledger.holdouts()?)?.all {
            let TestFileKind::HoldOut(version) = file.kind else { continue };
            if !files::read(&file.path).is_ok_and(|bytes| bytes.starts_with(&schema.header())) {
                self.hold_out_of_other_columns(context, ledger, (version, &file.path), people)?;
                continue;
            }
            let mut start = schema.header().len() as u64;
            let (mut cuts, mut theirs) = (Vec::new(), Table::new(schema));
            each_row(context, schema, &file.path, people, |row, is| {
                let end = start + row.len() as u64;
                if is {
                    cuts.push((start, end));
                    theirs.push_canonical(row, schema, None, true);
                }
                start = end;
                Ok(())
            })?;
            if cuts.is_empty() {
                continue;
            }
            let mut members = Members::default();
            if let Some(drawn) = ledger.drawn(version)? {
                members = drawn.members;
                let mut entities = Vec::new();
                if let Some(hasher) = key.and_then(|key| drawn.identity.hasher(schema, key)) {
                    hasher.of(&theirs, &mut entities);
                }
                for entity in entities {
                    members.take(entity);
                }
            }
            let sha256 = self.cut(context, &file.path, cuts)?;
            self.holdouts.push(HoldoutAfter {
                version,
                sha256,
                rows: theirs.len() as u64,
                positives: theirs.labels.iter().filter(|label| **label).count() as u64,
                members,
            });
        }
        Ok(())
    }

    /// A hold-out that was drawn before the columns changed: nobody knows which cell is which any more.
    fn hold_out_of_other_columns(
        &mut self,
        context: &Context,
        ledger: &Ledger,
        (version, path): (DatasetVersion, &Path),
        people: &People,
    ) -> Result<()> {
        let mut cuts = Vec::new();
        each_line(path, |start, line| {
            if people.forgotten.may_have(line) {
                cuts.push((start, start + line.len() as u64 + 1));
            }
        })?;
        if cuts.is_empty() {
            return Ok(());
        }
        let rows = cuts.len() as u64;
        let members = ledger.drawn(version)?.map(|drawn| drawn.members).unwrap_or_default();
        let sha256 = self.cut(context, path, cuts)?;
        self.holdouts.push(HoldoutAfter { version, sha256, rows, positives: 0, members });
        Ok(())
    }

    /// Files of changed cells name rows by their numbers in a version. Those of a version with rows of the
    /// people are removed as a whole: the new version has the cells of all others, if they are recorded.
    fn changes(&mut self, context: &Context, ledger: &Ledger, people: &People) -> Result<()> {
        for dataset in ledger.datasets()? {
            let path = context.config.output_folder.join(dataset.version.changes_name());
            let Some(recorded) = ledger.meta(&dataset.version.changes_key())? else { continue };
            if !path.is_file() || Digest::of_file(&path)?.to_string() != recorded {
                continue;
            }
            let schema = &context.config.schema;
            let data = &dataset.location;
            let mut any = !data.is_file();
            if !any {
                let read = each_row(context, schema, data, people, |_, is| {
                    any |= is;
                    Ok(())
                });
                // One with other columns may have them.
                any |= read.is_err();
            }
            if any {
                self.remove(context, &path)?;
            }
        }
        Ok(())
    }

    /// Texts that mention the people: lines of logs are cut out, what is made again is removed.
    fn texts(&mut self, context: &Context, people: &People) -> Result<()> {
        let config = &context.config;
        for path in inside(&config.output_folder.join("logs"), "log") {
            let mut cuts = Vec::new();
            each_line(&path, |start, line| {
                if mention::mentions(&String::from_utf8_lossy(line), &people.values) {
                    cuts.push((start, start + line.len() as u64));
                }
            })?;
            if !cuts.is_empty() {
                self.cut(context, &path, cuts)?;
            }
        }
        let pages = MADE_AGAIN.iter().map(|name| config.output_model.join(name));
        let decisions = inside(&config.output_folder.join(projections::DECISIONS), "json");
        for path in decisions.into_iter().chain(pages) {
            let Ok(text) = files::read(&path) else { continue };
            let text = String::from_utf8_lossy(&text);
            if silenced(&text, &people.values).is_some() {
                self.remove(context, &path)?;
            }
        }
        for (name, page) in ALIKE {
            let (path, page) = (config.output_model.join(name), config.output_model.join(page));
            let mentions = files::read(&page).map_or(true, |text| {
                silenced(&String::from_utf8_lossy(&text), &people.values).is_some()
            });
            if mentions && path.is_file() {
                self.remove(context, &path)?;
            }
        }
        Ok(())
    }
}

/// The files of a folder with an ending, in the order of their names.
pub(super) fn inside(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.is_file() && path.extension().is_some_and(|end| end == ending))
        .collect();
    files.sort();
    files
}
