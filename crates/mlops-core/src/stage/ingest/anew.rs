//! A data set built anew because files of it changed: their new content stands where the old one
//! stood, so that the result is what clean data give from the start.
//!
//! Files that are still there are read again; the others give the rows that the last data set has
//! of them. Not for new files at its end: see [`super`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::context::{Context, Workspace};
use crate::digest::Digest;
use crate::ingest::discover::Candidate;
use crate::ingest::{Ingest, Outcome};
use crate::ledger::{DatasetRecord, FileRecord, FileStatus, Segment};
use crate::location::Location;
use crate::text;
use crate::{Error, Result};

use super::{Ingestion, Part, Waiting, named, record};

/// The key under which the ledger keeps which files are known to be gone.
const GONE_KEY: &str = "gone_files";

/// Which segments of the last data set change, by their numbers.
pub(super) struct Changes {
    /// Segments whose file waits to be read: the number of the file among those that wait.
    read: BTreeMap<usize, usize>,
    /// Segments whose file now has a content that is known.
    known: BTreeSet<usize>,
    /// Files that change in this run: what they held before they hold no more.
    changed: BTreeSet<Location>,
}

impl Changes {
    pub(super) fn none() -> Self {
        Self { read: BTreeMap::new(), known: BTreeSet::new(), changed: BTreeSet::new() }
    }

    /// What `waiting` and the copies among `files` change in `held`.
    pub(super) fn of(
        context: &Context,
        workspace: &Workspace,
        held: &[Segment],
        waiting: &[Waiting],
        files: &[FileRecord],
    ) -> Result<Self> {
        let mut changes = Self::none();
        changes.changed = waiting
            .iter()
            .map(|waiting| context.location(&waiting.candidate.path))
            .chain(files.iter().map(|file| file.location.clone()))
            .collect();
        for (at, waiting) in waiting.iter().enumerate() {
            let location = context.location(&waiting.candidate.path);
            let before = waiting.before.as_ref().and_then(|before| before.sha256);
            for (number, segment) in held.iter().enumerate() {
                // A file that was renamed and then changed is the same file.
                let renamed = before == Some(segment.sha256)
                    && is_gone(&segment.location.path(&context.config.base));
                if segment.location == location || renamed {
                    changes.read.insert(number, at);
                }
            }
        }
        for file in files.iter().filter(|f| f.status == FileStatus::Copy) {
            for (number, segment) in held.iter().enumerate() {
                if segment.location == file.location
                    && Some(segment.sha256) != file.sha256
                    && !held_elsewhere(context, workspace, segment, &changes.changed)?
                {
                    changes.known.insert(number);
                }
            }
        }
        Ok(changes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.read.is_empty() && self.known.is_empty()
    }

    /// Whether the file number `at` of those that wait is read in the place of its old content.
    pub(super) fn read_in_place(&self, at: usize) -> bool {
        self.read.values().any(|waiting| *waiting == at)
    }
}

/// Whether another file that is still there, and is none of `changed`, has the content of `segment`.
fn held_elsewhere(
    context: &Context,
    workspace: &Workspace,
    segment: &Segment,
    changed: &BTreeSet<Location>,
) -> Result<bool> {
    let holders = workspace.ledger.holders(segment.sha256, &segment.location)?;
    let there = |location: &Location| location.path(&context.config.base).is_file();
    Ok(holders.iter().any(|location| !changed.contains(location) && there(location)))
}

/// A data set on the way.
pub(super) struct Anew<'a> {
    pub(super) context: &'a Context,
    pub(super) workspace: &'a Workspace,
    pub(super) last: &'a DatasetRecord,
    pub(super) total: u64,
    pub(super) waiting: &'a [Waiting],
}

impl Anew<'_> {
    /// Takes the segments `held` again, with `changes`; returns the contents that are not in any more.
    pub(super) fn build(
        &mut self,
        ingest: &mut Ingest,
        held: &[Segment],
        changes: &Changes,
        parts: &mut Vec<Part>,
        report: &mut Ingestion,
    ) -> Result<Vec<Digest>> {
        let mut superseded = Vec::new();
        // Whether the new content of a file that waits was taken.
        let mut taken: BTreeMap<usize, bool> = BTreeMap::new();
        let mut missing = (Vec::new(), 0);
        for (number, segment) in held.iter().enumerate() {
            let mut stays = !changes.known.contains(&number);
            if let Some(at) = changes.read.get(&number) {
                let replaced = match taken.get(at) {
                    Some(taken) => *taken,
                    None => self.corrected(ingest, &self.waiting[*at], segment, parts, report)?,
                };
                taken.insert(*at, replaced);
                stays = !replaced
                    || held_elsewhere(self.context, self.workspace, segment, &changes.changed)?;
            }
            if stays {
                self.again(ingest, segment, parts, &mut missing)?;
            } else {
                superseded.push(segment.sha256);
            }
        }
        if missing.1 > 0 {
            report.warnings.push(format!(
                "{} of files that are not there any more had been dropped as {}; where the row that {} \
                 equalled has left, {} missing now: {}",
                text::plural(missing.1, "row"),
                if missing.1 == 1 { "a duplicate" } else { "duplicates" },
                if missing.1 == 1 { "it" } else { "they" },
                if missing.1 == 1 { "it is" } else { "they are" },
                text::names(&missing.0)
            ));
        }
        Ok(superseded)
    }

    /// Reads a file that changed; whether its new content takes the place of `old`.
    fn corrected(
        &self,
        ingest: &mut Ingest,
        waiting: &Waiting,
        old: &Segment,
        parts: &mut Vec<Part>,
        report: &mut Ingestion,
    ) -> Result<bool> {
        let (context, total) = (self.context, self.total);
        let progress = &mut |bytes, rows| (context.progress)(bytes, total, rows);
        let read = ingest.file(&waiting.candidate, &mut (), progress)?;
        let mut record = record(context, self.workspace, waiting, read, report)?;
        let replaced = matches!(record.status, FileStatus::Ingested | FileStatus::Copy);
        if replaced {
            record.replaces = Some(old.sha256);
            if let Some(digest) = record.sha256 {
                ingest.know(digest);
            }
        } else {
            report.warnings.push(named(
                &waiting.candidate.name,
                &format!(
                    "changed, but its new content was not taken: the {} of its earlier content {} in \
                     the data set",
                    text::plural(old.rows, "row"),
                    if old.rows == 1 { "stays" } else { "stay" }
                ),
            ));
        }
        report.files.push(record);
        parts.extend(Part::of_last(&report.files));
        Ok(replaced)
    }

    /// Takes an unchanged segment again: from its file, or from the last data set.
    fn again(
        &self,
        ingest: &mut Ingest,
        segment: &Segment,
        parts: &mut Vec<Part>,
        missing: &mut (Vec<String>, u64),
    ) -> Result<()> {
        if parts.iter().any(|part| part.sha256 == segment.sha256) {
            return Ok(());
        }
        let mut part = Part {
            sha256: segment.sha256,
            location: segment.location.clone(),
            replaces: segment.replaces,
            counts: crate::ingest::FileCounts::default(),
            record: None,
        };
        let mut places = vec![segment.location.clone()];
        places.extend(self.workspace.ledger.holders(segment.sha256, &segment.location)?);
        for place in places {
            let path = place.path(&self.context.config.base);
            if Digest::of_file(&path).is_ok_and(|digest| digest == segment.sha256) {
                let name = text::of_path(Path::new(path.file_name().unwrap_or_default()));
                let (context, total) = (self.context, self.total);
                let progress = &mut |bytes, rows| (context.progress)(bytes, total, rows);
                let read = ingest.file(&Candidate { name, path }, &mut (), progress)?;
                if let Outcome::Taken = read.outcome {
                    if read.digest != Some(segment.sha256) {
                        return Err(Error::data(format!(
                            "{place} changed while the data set was built anew: run again"
                        )));
                    }
                    part.counts = read.counts;
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

/// Whether nothing is there. What cannot be looked at may be there.
fn is_gone(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

/// Says once which files of `folder` are gone; what to keep of that, when it changed.
pub(super) fn gone(
    context: &Context,
    workspace: &Workspace,
    folder: &Path,
    held: &[Segment],
    report: &mut Ingestion,
) -> Result<Option<(&'static str, String)>> {
    let known: BTreeSet<String> = workspace
        .ledger
        .meta(GONE_KEY)?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let mut now = BTreeSet::new();
    let mut rows = 0;
    for segment in held {
        let path = segment.location.path(&context.config.base);
        let name = segment.location.as_str();
        let elsewhere = path.parent() != Some(folder);
        let gone = if elsewhere { known.contains(name) } else { is_gone(&path) };
        if gone {
            let renamed = report.files.iter().any(|f| f.sha256 == Some(segment.sha256))
                || held_elsewhere(context, workspace, segment, &BTreeSet::new())?;
            if renamed {
                continue;
            }
            if !known.contains(name) {
                rows += segment.rows;
            }
            now.insert(name.to_owned());
        }
    }
    if now == known {
        return Ok(None);
    }
    let news: Vec<&String> = now.difference(&known).collect();
    if rows > 0 {
        report.warnings.push(format!(
            "{} not there any more: {}. The {} of the data set that came from there stay",
            if news.len() == 1 { "a file is" } else { "some files are" },
            text::names(&news),
            text::plural(rows, "row"),
        ));
    }
    Ok(Some((GONE_KEY, serde_json::to_string(&now).unwrap_or_default())))
}
