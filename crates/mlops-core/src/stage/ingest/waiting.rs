//! A file waiting to be read, and the record of its outcome.
//!
//! Not for reading it: see [`crate::dataset::builder`].

use std::collections::BTreeSet;

use crate::config::contract::Severity;
use crate::config::{Config, INPUT};
use crate::csv::outcome::FileOutcome;
use crate::dataset::counts::{FileCounts, FileRead};
use crate::dataset::discover::{SourceFile, Stamp};
use crate::ids::FindingKind;
use crate::ledger::{FileRecord, FileStatus};
use crate::platform::digest::Digest;
use crate::run::attention::Remark;
use crate::run::context::{Context, Workspace};
use crate::stage::ingest::report::Ingested;
use crate::{Error, Result, text};

/// A file to be read.
pub(crate) struct Waiting {
    pub(crate) candidate: SourceFile,
    pub(crate) size: u64,
    /// The earlier record of the same path.
    pub(crate) before: Option<FileRecord>,
    /// The digest that a preceding file of this run has too, with the metadata under which it was
    /// computed.
    pub(crate) twin: Option<(Digest, Stamp)>,
    /// The batch with which it was refused; it has not changed since.
    pub(crate) refused_with: Option<Digest>,
}

impl Waiting {
    /// A file that was refused with its `batch` and has not changed since; `digests` has those of files
    /// before it.
    pub(super) fn refused(
        candidate: SourceFile,
        before: FileRecord,
        batch: Digest,
        digests: &mut BTreeSet<Digest>,
    ) -> Self {
        let twin = before.sha256.filter(|digest| !digests.insert(*digest));
        let (size, twin) = (before.stamp.size, twin.map(|digest| (digest, before.stamp)));
        Self { candidate, size, before: Some(before), twin, refused_with: Some(batch) }
    }
}

/// The record of a file with the same content as `known`.
pub(crate) fn copy_record(
    context: &Context,
    candidate: &SourceFile,
    stamp: Stamp,
    digest: Digest,
    known: &FileRecord,
) -> FileRecord {
    let status = match known.status {
        // A content without rows takes none away either.
        FileStatus::Failed | FileStatus::NoRows => known.status,
        _ => FileStatus::Copy,
    };
    FileRecord {
        name: candidate.name.clone(),
        location: context.location(&candidate.path),
        stamp,
        sha256: Some(digest),
        status,
        reason: known.reason.clone().filter(|_| status != FileStatus::Copy),
        same_as: Some(known.name.clone()),
        replaces: None,
        dataset: None,
        counts: crate::dataset::counts::FileCounts::default(),
        recorded_ns: now_ns(context),
    }
}

/// The batch with which a file was refused, if it was.
pub(crate) fn refused_with(file: &FileRecord) -> Option<Digest> {
    let failed = file.status == FileStatus::Failed;
    file.counts.contract.iter().filter(|_| failed).find_map(|rule| rule.batch)
}

pub(crate) fn still_failing(config: &Config, file: &FileRecord) -> Remark {
    let reason = file.reason.as_deref().unwrap_or("no reason recorded");
    let words = match file.sha256 {
        None => named(&file.name, &format!("failed before and still does: {reason}")),
        Some(_) => named(
            &file.name,
            &format!(
                "failed before and has not changed: {reason} (`ingestion --retry` looks again)"
            ),
        ),
    };
    let path = file.location.path(&config.base);
    let subject = match refused_with(file) {
        // It was told of its batch, by the name of the source.
        Some(_) => config.source_at(&path).map_or(INPUT, |(source, _)| source.name.as_str()),
        None => &file.name,
    };
    Remark::on(refusal(config, &file.counts), subject, words)
}

/// What a refused file with `counts` is called.
fn refusal(config: &Config, counts: &FileCounts) -> FindingKind {
    let most = config.ingestion.max_rejected_share * counts.rows_read as f64;
    if counts.quarantined as f64 > most {
        FindingKind::QuarantineShare
    } else {
        FindingKind::RefusedFile
    }
}

/// A message about a file, cut to a moderate length.
pub(crate) fn named(name: &str, words: &str) -> String {
    text::bounded(format!("{} {words}", text::name(name)))
}

/// The record of a file that was read.
pub(crate) fn record(
    context: &Context,
    workspace: &Workspace,
    waiting: &Waiting,
    read: FileRead,
    report: &mut Ingested,
) -> Result<FileRecord> {
    let Waiting { candidate, size, before, .. } = waiting;
    let stamp = read.stamp.unwrap_or(Stamp { size: *size, modified_ns: 0, inode: 0 });
    let (status, reason) = match read.outcome {
        FileOutcome::Taken => (FileStatus::Ingested, None),
        FileOutcome::NoRows | FileOutcome::Empty => {
            (FileStatus::NoRows, Some("it has no data rows".to_owned()))
        }
        FileOutcome::Changing => {
            let reason = "it changed while it was read; the next run takes it".to_owned();
            let words = named(&candidate.name, &format!("is left out: {reason}"));
            let kind = FindingKind::UnfinishedFile;
            report.warnings.push(Remark::on(kind, &candidate.name, words));
            (FileStatus::Changing, Some(reason))
        }
        FileOutcome::Known => {
            let known = read.digest.map(|digest| workspace.ledger.content(digest)).transpose()?;
            if let (Some(digest), Some(known)) = (read.digest, known.flatten()) {
                return Ok(copy_record(context, candidate, stamp, digest, &known));
            }
            (FileStatus::Copy, None)
        }
        FileOutcome::Contradicts(reason) => {
            let message = format!("{}: {reason}. Nothing was ingested", candidate.name);
            return Err(Error::data(text::bounded(message)));
        }
        FileOutcome::Failed(reason) => (FileStatus::Failed, Some(text::bounded(reason))),
    };
    if status == FileStatus::Ingested {
        let broken = read.counts.contract.iter().filter(|rule| rule.severity == Severity::Warn);
        let broken: Vec<String> = broken.map(ToString::to_string).collect();
        if !broken.is_empty() {
            let words = format!("breaks its contract: {}", broken.join("; "));
            let words = named(&candidate.name, &words);
            let kind = FindingKind::BrokenContract;
            report.warnings.push(Remark::on(kind, &candidate.name, words));
        }
    }
    if status == FileStatus::Ingested && read.counts.forgotten > 0 {
        let words = format!(
            "has {} of people who were erased: {} left out. Erase them there, too",
            text::plural(read.counts.forgotten, "row"),
            if read.counts.forgotten == 1 { "it is" } else { "they are" }
        );
        let words = named(&candidate.name, &words);
        report.warnings.push(Remark::on(FindingKind::ErasedRows, &candidate.name, words));
    }
    let mut sha256 = read.digest;
    if status == FileStatus::Failed {
        // Identity, so that it fails quietly until its content changes; unreadable ones have none.
        sha256 = sha256.or_else(|| Digest::of_file(&candidate.path).ok());
        let known = match sha256 {
            Some(digest) => {
                let failed = |known: &FileRecord| {
                    known.status == FileStatus::Failed && known.sha256 == sha256
                };
                before.as_ref().is_some_and(failed)
                    || workspace.ledger.content(digest)?.as_ref().is_some_and(failed)
            }
            None => before.as_ref().is_some_and(FileRecord::is_unreadable),
        };
        let reason = reason.as_deref().unwrap_or_default();
        let words = named(&candidate.name, &format!("was refused: {reason}"));
        report.new_failures |= !known;
        let told = if known { &mut report.refused } else { &mut report.failures };
        let kind = refusal(&context.config, &read.counts);
        told.push(Remark::on(kind, &candidate.name, words));
    }
    let replaces = before.as_ref().and_then(|b| b.sha256).filter(|old| Some(*old) != sha256);
    Ok(FileRecord {
        name: candidate.name.clone(),
        location: context.location(&candidate.path),
        stamp,
        sha256,
        status,
        reason,
        same_as: None,
        replaces: replaces.filter(|_| status == FileStatus::Ingested),
        dataset: None,
        counts: read.counts,
        recorded_ns: now_ns(context),
    })
}

pub(crate) fn now_ns(context: &Context) -> i64 {
    context.clock.now().timestamp_nanos_opt().unwrap_or(i64::MAX)
}
