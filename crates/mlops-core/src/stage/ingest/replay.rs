//! `ingestion quarantine replay`: ingests rows of the quarantine after a correction of the contract, the
//! dialect or the schema's spellings.
//!
//! Their files are read again, each in the place of its rows; the rows of all other files stay as they are.
//! The result is another version of the data set. Discarded rows stay out. Files that were themselves
//! corrected are handled in [`super::anew`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::part::{From, Part, Recount};
use super::publish::{New, publish};
use super::report::Ingested;
use crate::csv::outcome::FileOutcome;
use crate::dataset::builder::Ingest;
use crate::dataset::discover::SourceFile;
use crate::ids::{DatasetVersion, FindingKind, Severity};
use crate::ledger::{DatasetRecord, Segment};
use crate::platform::digest::Digest;
use crate::run::attention::{self, Finding, Remark};
use crate::run::context::{Context, Report, Workspace};
use crate::stage::quarantine::{self, Filter};
use crate::{Error, Result, text};

/// What a replay did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// The version that it made, if any row was taken or left the quarantine otherwise.
    pub version: Option<DatasetVersion>,
    /// The name of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The files that were read again.
    pub files: Vec<String>,
    /// The rows that were in the quarantine and fit the question.
    pub rows: u64,
    /// Rows of these files that the data set has now and had not before.
    pub taken: u64,
    /// Rows of these files that are in the quarantine still.
    pub left: u64,
    /// What somebody should know.
    pub warnings: Vec<Remark>,
    /// Why the table of "output.table" does not have the version, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
}

/// Takes the rows of the quarantine that fit `filter`, as far as they are good now. All rows of their files are
/// read again.
pub fn replay(context: &Context, workspace: &mut Workspace, filter: &Filter) -> Result<Replayed> {
    let Some(last) = workspace.ledger.latest_dataset()? else { return Ok(Replayed::default()) };
    super::check_meaning(context, workspace)?;
    let mut replayed = Replayed::default();
    let mut contents = BTreeSet::new();
    let gone = quarantine::each(context, &workspace.ledger, filter, |row| {
        replayed.rows += 1;
        contents.insert(row.content);
    })?;
    if !gone.is_empty() {
        let words = format!("gone, with the rows in them: {}", text::names(&gone));
        replayed.warnings.push(Remark::new(FindingKind::Data, words));
    }
    if contents.is_empty() {
        return Ok(replayed);
    }
    let mut left_out: BTreeMap<Digest, BTreeSet<(String, u64)>> = BTreeMap::new();
    for row in workspace.ledger.discarded()? {
        left_out.entry(row.sha256).or_default().insert((row.part, row.line));
    }
    let schema = super::identity::schema(context, workspace)?;
    let held = workspace.ledger.segments(last.version)?;
    let mut ingest = super::start(context, &schema, last.rows + replayed.rows, false)?;
    ingest.forget(workspace.ledger.forgotten(&schema)?);
    let mut parts = Vec::new();
    let mut read_again = 0;
    for segment in &held {
        let wanted = contents.contains(&segment.sha256);
        let again = match file_of(context, workspace, segment).filter(|_| wanted) {
            Some(path) => {
                let left_out = left_out.remove(&segment.sha256).unwrap_or_default();
                again(context, &mut ingest, segment, path, left_out, &mut replayed)?
            }
            None => None,
        };
        if wanted && again.is_none() {
            let name = text::name(segment.location.as_str()).into_owned();
            let words = format!("{name} cannot be read again: its rows stay as they are");
            replayed.warnings.push(Remark::on(FindingKind::StaleRows, name, words));
        }
        read_again += usize::from(again.is_some());
        parts.push(match again {
            Some(part) => part,
            None => as_before(&mut ingest, workspace, &last, segment)?,
        });
        ingest.know(segment.sha256);
    }
    if read_again == 0 {
        return Ok(replayed);
    }
    let version = DatasetVersion::after(Some(last.version), read_again);
    let mut report = Ingested::of(&context.config.input_folder, &[], Some(&last));
    let new = New { version, base: None, parts, superseded: Vec::new(), erasure: None };
    publish(context, workspace, ingest, new, Vec::new(), &mut report)?;
    replayed.version = report.version;
    replayed.data = Some(version.name(context.config.output.form()));
    replayed.warnings.extend(report.warnings);
    for segment in held.iter().filter(|segment| contents.contains(&segment.sha256)) {
        if let Some(record) = workspace.ledger.taken(segment.sha256)? {
            replayed.left += record.counts.quarantined;
        }
    }
    replayed.taken = report.rows.saturating_sub(last.rows);
    let old = crate::stage::retain::datasets(context, workspace);
    replayed.warnings.extend(old.warnings);
    let delivered = crate::stage::deliver::run(context, workspace)?;
    replayed.warnings.extend(delivered.warnings);
    replayed.behind = delivered.behind;
    Ok(replayed)
}

/// A file that has the content of a segment.
fn file_of(context: &Context, workspace: &Workspace, segment: &Segment) -> Option<PathBuf> {
    let mut places = vec![segment.location.clone()];
    places.extend(workspace.ledger.holders(segment.sha256).unwrap_or_default());
    let paths = places.iter().map(|place| place.path(&context.config.base));
    let right = |path: &PathBuf| Digest::of_file(path).is_ok_and(|d| d == segment.sha256);
    paths.into_iter().find(right)
}

/// Reads the file of a segment again; `None` if it is refused now.
fn again(
    context: &Context,
    ingest: &mut Ingest,
    segment: &Segment,
    path: PathBuf,
    left_out: BTreeSet<(String, u64)>,
    replayed: &mut Replayed,
) -> Result<Option<Part>> {
    let file = SourceFile::at(&context.config, path);
    let progress = &mut |bytes, rows| (context.progress)(bytes, 0, rows);
    let read = ingest.file_without(&file, left_out.clone(), progress)?;
    match read.outcome {
        FileOutcome::Taken if read.digest == Some(segment.sha256) => {}
        FileOutcome::Taken => {
            return Err(Error::data(format!(
                "{} changed while it was read again: run again",
                text::name(&file.name)
            )));
        }
        FileOutcome::Failed(why) | FileOutcome::Contradicts(why) => {
            let words = text::bounded(format!("{}: {why}", text::name(&file.name)));
            replayed.warnings.push(Remark::on(FindingKind::RefusedFile, &file.name, words));
            return Ok(None);
        }
        _ => return Ok(None),
    }
    replayed.files.push(file.name.clone());
    Ok(Some(Part {
        sha256: segment.sha256,
        location: segment.location.clone(),
        replaces: segment.replaces,
        counts: read.counts,
        record: None,
        recount: Recount::All,
        from: From::File(file, left_out),
    }))
}

/// Takes the rows of a segment from the last data set. Some may equal rows that are taken now.
fn as_before(
    ingest: &mut Ingest,
    workspace: &Workspace,
    last: &DatasetRecord,
    segment: &Segment,
) -> Result<Part> {
    let rows = (segment.first_row, segment.rows);
    let counts = ingest.stretch(&last.location, last.sha256, rows)?;
    let before = workspace.ledger.taken(segment.sha256)?.map(|record| record.counts);
    Ok(Part {
        sha256: segment.sha256,
        location: segment.location.clone(),
        replaces: segment.replaces,
        counts,
        record: None,
        recount: before.map_or(Recount::No, |counts| Recount::Kept(Box::new(counts))),
        from: From::LastDataSet(segment.first_row, segment.rows),
    })
}

impl Report for Replayed {
    fn changed(&self) -> bool {
        self.version.is_some()
    }

    fn findings(&self) -> Vec<Finding> {
        let behind = self.behind.iter().map(|why| Finding::person(FindingKind::TableBehind, why));
        attention::findings(&self.warnings, Severity::Warning).chain(behind).collect()
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(version) = self.version else {
            return match self.rows {
                0 => writeln!(f, "No such row is in the quarantine."),
                _ => writeln!(f, "No file could be read again: nothing was changed."),
            };
        };
        writeln!(
            f,
            "{} read again: {} taken, {} in the quarantine still. The data set is {} now.",
            text::plural(self.files.len() as u64, "file"),
            text::plural(self.taken, "row"),
            text::count(self.left),
            self.data.as_deref().unwrap_or(&version.file_name())
        )
    }
}
