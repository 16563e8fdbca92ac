//! Refuses a rebuild that would lose rows of the data set because their files are gone.
//!
//! Not for rows that a correction removes: see [`super::anew`].

use std::collections::BTreeSet;

use crate::config::OnChange;
use crate::ledger::{FileRecord, FileStatus, Segment};
use crate::platform::digest::Digest;
use crate::platform::location::Location;
use crate::run::context::{Context, Workspace};
use crate::stage::ingest::report::Ingested;
use crate::{Error, Result, text};

/// Refuses a rebuild that would lose content of the data set, unless it was requested. A file with
/// new content has not lost its old one, unless both are to count.
pub(super) fn refuse(
    context: &Context,
    workspace: &Workspace,
    held: &[Segment],
    report: &Ingested,
) -> Result<()> {
    let taken = || report.files.iter().filter(|f| f.status == FileStatus::Ingested);
    let there: BTreeSet<Digest> = taken().filter_map(|f| f.sha256).collect();
    let again = |f: &&FileRecord| match f.status {
        FileStatus::Ingested | FileStatus::Copy => true,
        // A header alone, which is not nothing.
        FileStatus::NoRows => f.stamp.size > 0,
        _ => false,
    };
    let again: BTreeSet<&Location> =
        report.files.iter().filter(again).map(|f| &f.location).collect();
    let supersedes = context.config.ingestion.on_change == OnChange::Supersede;
    let mut lost = Vec::new();
    for segment in held.iter().filter(|s| s.rows > 0 && !there.contains(&s.sha256)) {
        let holders = workspace.ledger.holders(segment.sha256)?;
        if !(supersedes && holders.iter().any(|location| again.contains(location))) {
            lost.push(segment);
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    let rows = lost.iter().map(|s| s.rows).sum();
    let names = text::names(lost.iter().map(|s| s.location.as_str()));
    let why = report
        .failures
        .iter()
        .chain(&report.refused)
        .next()
        .map(|w| format!(" ({w})"))
        .unwrap_or_default();
    Err(Error::data(text::bounded(format!(
        "a rebuild would leave out {} of the data set that cannot be read any more, with {}: \
         {names}{why}. Nothing was changed: bring them back, or run `ingestion --rebuild --partial` \
         to go on without them",
        text::plural(lost.len() as u64, "file"),
        text::plural(rows, "row"),
    ))))
}

/// Whether a rebuild that takes no file leaves an empty data set: a file whose rows it has says with a header
/// alone that there are none any more. Where nothing says so, as in a folder that is empty by mistake, the
/// data set stays as it is.
pub(super) fn says_there_are_none(
    context: &Context,
    workspace: &Workspace,
    held: &[Segment],
    report: &Ingested,
) -> Result<bool> {
    for file in &report.files {
        let path = file.location.path(&context.config.base);
        let supersedes = context.config.reading_at(&path).on_change == OnChange::Supersede;
        let header_alone = file.status == FileStatus::NoRows && file.stamp.size > 0;
        if supersedes
            && header_alone
            && let Some(content) = workspace.ledger.counted_at(&file.location)?
            && held.iter().any(|segment| segment.sha256 == content && segment.rows > 0)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
