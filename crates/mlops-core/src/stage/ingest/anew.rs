//! Rebuilds a data set after some of its files changed: their new content takes the place of the old, so
//! that the result is the same as from clean data.
//!
//! Files that still exist are read again; the rows of the others come from the last data set. New files
//! are appended in [`super`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::config::OnChange;
use crate::csv::outcome::FileOutcome;
use crate::dataset::builder::Ingest;
use crate::dataset::discover::SourceFile;
use crate::ids::FindingKind;
use crate::ledger::{DatasetRecord, FileRecord, FileStatus, Segment};
use crate::platform::digest::Digest;
use crate::platform::location::Location;
use crate::run::attention::Remark;
use crate::run::context::{Context, Workspace};
use crate::text;
use crate::{Error, Result};

use crate::stage::ingest::part::{From, Part, Recount};
use crate::stage::ingest::report::Ingested;
use crate::stage::ingest::waiting::{Waiting, named, record};
use crate::stage::land::Landing;

/// The key under which the ledger stores which files are known to be gone.
const GONE_KEY: &str = "gone_files";

/// A header alone says that there are no rows; nothing at all says nothing.
const EMPTIED: &str = "it is empty now and has not even a header, as if its writing had been cut off. \
                       Write it again; with a header alone its earlier rows leave the data set";

/// Contents of the last data set that files no longer have, by the numbers of their segments.
///
/// A file counts with the content of it that was last taken, wherever that was first found. A
/// content is dropped when the last existing file that counts with it gets another one; a missing
/// file does not keep it, since it was then renamed.
pub(super) struct Changes(BTreeMap<usize, Left>);

/// What happened to a content that a file no longer has.
#[derive(Default)]
struct Left {
    /// The files that had it and are waiting to be read, by their indices.
    waiting: Vec<usize>,
    /// Another existing file has it.
    held: bool,
}

impl Changes {
    pub(super) fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Determines what `waiting` and the copies among `files` change in `held`.
    pub(super) fn of(
        context: &Context,
        workspace: &Workspace,
        held: &[Segment],
        waiting: &[Waiting],
        files: &[FileRecord],
    ) -> Result<Self> {
        let replaces =
            |path: &Path| context.config.reading_at(path).on_change == OnChange::Supersede;
        let copies = || {
            let copies = files.iter().filter(|f| f.status == FileStatus::Copy);
            copies.filter(|f| replaces(&f.location.path(&context.config.base)))
        };
        if waiting.is_empty() && copies().next().is_none() {
            return Ok(Self::none());
        }
        let numbers: HashMap<Digest, usize> =
            held.iter().enumerate().map(|(number, segment)| (segment.sha256, number)).collect();
        let counted = |location: &Location| -> Result<Option<usize>> {
            let found = workspace.ledger.counted_at(location)?;
            Ok(found.and_then(|digest| numbers.get(&digest).copied()))
        };
        let mut all: BTreeMap<usize, Left> = BTreeMap::new();
        let mut away = BTreeSet::new();
        for (at, waiting) in waiting.iter().enumerate() {
            if !replaces(&waiting.candidate.path) {
                continue;
            }
            let location = context.location(&waiting.candidate.path);
            if let Some(number) = counted(&location)? {
                all.entry(number).or_default().waiting.push(at);
                away.insert(location);
            }
        }
        for file in copies() {
            if let Some(number) = counted(&file.location)?
                && Some(held[number].sha256) != file.sha256
            {
                all.entry(number).or_default();
                away.insert(file.location.clone());
            }
        }
        for (number, left) in &mut all {
            let digest = held[*number].sha256;
            left.held = copies().any(|file| file.sha256 == Some(digest))
                || is_held(context, workspace, digest, &away)?;
        }
        all.retain(|_, left| !left.held || !left.waiting.is_empty());
        Ok(Self(all))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether waiting file `at` is read in place of its old content.
    pub(super) fn read_in_place(&self, at: usize) -> bool {
        self.0.values().any(|left| left.waiting.contains(&at))
    }
}

/// Whether an existing file that is not in `away` counts with content `digest`.
fn is_held(
    context: &Context,
    workspace: &Workspace,
    digest: Digest,
    away: &BTreeSet<Location>,
) -> Result<bool> {
    let holders = workspace.ledger.holders(digest)?;
    let there = |location: &Location| location.path(&context.config.base).is_file();
    Ok(holders.iter().any(|location| !away.contains(location) && there(location)))
}

/// A data set being rebuilt.
pub(super) struct Anew<'a> {
    pub(super) context: &'a Context,
    pub(super) workspace: &'a Workspace,
    pub(super) last: &'a DatasetRecord,
    pub(super) total: u64,
    pub(super) waiting: &'a [Waiting],
}

impl Anew<'_> {
    /// Takes the segments `held` again, with `changes`; returns the contents that were dropped.
    pub(super) fn build(
        &mut self,
        ingest: &mut Ingest,
        held: &[Segment],
        changes: &Changes,
        parts: &mut Vec<Part>,
        report: &mut Ingested,
    ) -> Result<Vec<Digest>> {
        let mut superseded = Vec::new();
        let mut missing = (Vec::new(), 0);
        for (number, segment) in held.iter().enumerate() {
            let mut stays = true;
            if let Some(left) = changes.0.get(&number) {
                stays = left.held;
                for at in &left.waiting {
                    let waiting = &self.waiting[*at];
                    stays |= !self.corrected(ingest, waiting, segment, parts, report)?;
                }
            }
            if stays {
                self.again(ingest, segment, parts, &report.files, &mut missing)?;
            } else {
                superseded.push(segment.sha256);
            }
        }
        if missing.1 > 0 {
            report.warnings.push(Remark::new(
                FindingKind::StaleRows,
                format!(
                    "{} of files that no longer exist had been dropped as {}; if the row that {} \
                 equalled was removed, {} missing now: {}",
                    text::plural(missing.1, "row"),
                    if missing.1 == 1 { "a duplicate" } else { "duplicates" },
                    if missing.1 == 1 { "it" } else { "they" },
                    if missing.1 == 1 { "it is" } else { "they are" },
                    text::names(&missing.0)
                ),
            ));
        }
        Ok(superseded)
    }

    /// Reads a changed file; returns whether its new content replaces `old`.
    fn corrected(
        &self,
        ingest: &mut Ingest,
        waiting: &Waiting,
        old: &Segment,
        parts: &mut Vec<Part>,
        report: &mut Ingested,
    ) -> Result<bool> {
        let (context, total) = (self.context, self.total);
        let progress = &mut |bytes, rows| (context.progress)(bytes, total, rows);
        let mut read = ingest.file(&waiting.candidate, &mut (), progress)?;
        if let FileOutcome::Empty = read.outcome {
            read.outcome = FileOutcome::Failed(EMPTIED.to_owned());
        }
        let mut record = record(context, self.workspace, waiting, read, report)?;
        let taken = matches!(record.status, FileStatus::Ingested | FileStatus::Copy);
        let replaced = taken || record.status == FileStatus::NoRows;
        if replaced {
            report.warnings.extend(shrunk(&waiting.candidate.name, old.rows, &record));
        }
        if taken {
            record.replaces = Some(old.sha256);
            if let Some(digest) = record.sha256 {
                ingest.know(digest);
            }
        } else if !replaced {
            report.warnings.push(rows_stay(&waiting.candidate.name, old.rows));
        }
        report.files.push(record);
        parts.extend(Part::of_last(&context.config, &report.files));
        Ok(replaced)
    }

    /// Takes an unchanged segment again, from its file or from the last data set.
    fn again(
        &self,
        ingest: &mut Ingest,
        segment: &Segment,
        parts: &mut Vec<Part>,
        seen: &[FileRecord],
        missing: &mut (Vec<String>, u64),
    ) -> Result<()> {
        if parts.iter().any(|part| part.sha256 == segment.sha256) {
            return Ok(());
        }
        let mut part = Part {
            sha256: segment.sha256,
            location: segment.location.clone(),
            replaces: segment.replaces,
            counts: crate::dataset::counts::FileCounts::default(),
            record: None,
            recount: Recount::No,
            from: From::LastDataSet(segment.first_row, segment.rows),
        };
        let mut places = vec![segment.location.clone()];
        places.extend(self.workspace.ledger.holders(segment.sha256)?);
        let same = seen.iter().filter(|file| file.sha256 == Some(segment.sha256));
        places.extend(same.map(|file| file.location.clone()));
        for place in places {
            let path = place.path(&self.context.config.base);
            if Digest::of_file(&path).is_ok_and(|digest| digest == segment.sha256) {
                let (context, total) = (self.context, self.total);
                let progress = &mut |bytes, rows| (context.progress)(bytes, total, rows);
                let file = SourceFile::at(&context.config, path);
                let read = ingest.file(&file, &mut (), progress)?;
                if let FileOutcome::Taken = read.outcome {
                    if read.digest != Some(segment.sha256) {
                        return Err(Error::data(format!(
                            "{place} changed while the data set was built anew: run again"
                        )));
                    }
                    part.counts = read.counts;
                    part.location = place;
                    part.from = From::File(file, BTreeSet::new());
                    ingest.know(segment.sha256);
                    parts.push(part);
                    return Ok(());
                }
            }
        }
        let rows = (segment.first_row, segment.rows);
        part.counts = ingest.stretch(&self.last.location, self.last.sha256, rows)?;
        ingest.know(segment.sha256);
        parts.push(part);
        let record = self.workspace.ledger.content(segment.sha256)?;
        let dropped = record.map_or(0, |r| r.counts.duplicates_across);
        if dropped > 0 {
            missing.0.push(segment.location.to_string());
            missing.1 += dropped;
        }
        Ok(())
    }
}

/// The note for a file whose new content has less than half of the rows that the earlier one gave, if these were
/// ten or more: it may have been cut off, and nothing else would tell.
fn shrunk(name: &str, before: u64, record: &FileRecord) -> Option<Remark> {
    let counts = &record.counts;
    let now = counts.rows_kept + counts.duplicates();
    if before < 10 || now.saturating_mul(2) >= before {
        return None;
    }
    let words = format!(
        "changed: its earlier content gave {}, the new one {}. The earlier rows left the data set. If the file \
         was cut off or emptied by mistake, write it again whole",
        text::plural(before, "row"),
        if now == 0 { "none".to_owned() } else { format!("only {}", text::count(now)) }
    );
    Some(Remark::on(FindingKind::Data, name, named(name, &words)))
}

/// The note for a file whose new content was not taken.
fn rows_stay(name: &str, rows: u64) -> Remark {
    let words = format!(
        "changed, but its new content was not taken: the {} of its earlier content {} in the data set",
        text::plural(rows, "row"),
        if rows == 1 { "stays" } else { "stay" }
    );
    Remark::on(FindingKind::StaleRows, name, named(name, &words))
}

/// Adds that note for files whose new content need not be read: it is known to be refused.
pub(super) fn say_what_stays(
    workspace: &Workspace,
    held: &[Segment],
    report: &mut Ingested,
) -> Result<()> {
    for file in &report.files {
        if file.status == FileStatus::Failed
            && let Some(digest) = workspace.ledger.counted_at(&file.location)?
            && let Some(segment) = held.iter().find(|segment| segment.sha256 == digest)
        {
            report.warnings.push(rows_stay(&file.name, segment.rows));
        }
    }
    Ok(())
}

/// Whether the path does not exist. One that cannot be examined may exist.
fn is_gone(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

/// Reports once which files of `folder` and of sources are gone; `there` are the files that are not, and
/// `landing` knows which objects were removed at their places. Returns what to remember of that, if it changed.
pub(super) fn gone(
    context: &Context,
    workspace: &Workspace,
    folder: &Path,
    (held, there): (&[Segment], &HashSet<PathBuf>),
    landing: &Landing,
    report: &mut Ingested,
) -> Result<Option<(&'static str, String)>> {
    let known: BTreeSet<String> = workspace.ledger.kept(GONE_KEY)?.unwrap_or_default();
    let mut now = BTreeSet::new();
    let (mut rows, mut news) = (0, Vec::new());
    for segment in held {
        let path = segment.location.path(&context.config.base);
        let name = segment.location.as_str();
        let source = context.config.source_at(&path);
        let gone = match &source {
            // What was fetched stays here, whatever becomes of its original.
            Some((source, _)) if source.is_fetched() => {
                let is_asked = landing.asked.contains(&source.name);
                if is_asked { landing.removed.contains(&path) } else { known.contains(name) }
            }
            None if path.parent() != Some(folder) => known.contains(name),
            _ => !there.contains(&path) && is_gone(&path),
        };
        if gone {
            let is_fetched = source.as_ref().is_some_and(|(source, _)| source.is_fetched());
            // What was fetched is held here in any case.
            let renamed = report.files.iter().any(|f| f.sha256 == Some(segment.sha256))
                || (!is_fetched && is_held(context, workspace, segment.sha256, &BTreeSet::new())?);
            if renamed {
                continue;
            }
            if !known.contains(name) {
                rows += segment.rows;
                let shown = if is_fetched {
                    SourceFile::at(&context.config, path).name
                } else {
                    name.to_owned()
                };
                // Several contents of one file may be in the data set.
                if !news.contains(&shown) {
                    news.push(shown);
                }
            }
            now.insert(name.to_owned());
        }
    }
    if now == known {
        return Ok(None);
    }
    if rows > 0 {
        let words = format!(
            "{} not there any more: {}. The {} of the data set that came from there stay",
            if news.len() == 1 { "a file is" } else { "some files are" },
            text::names(&news),
            text::plural(rows, "row"),
        );
        let gone = news.iter().map(|name| Remark::on(FindingKind::StaleRows, name, &words));
        report.warnings.extend(gone.take(1));
    }
    let now = serde_json::to_string(&now).map_err(|e| Error::backend("JSON", e))?;
    Ok(Some((GONE_KEY, now)))
}
