//! `ingestion --adopt`: the data set left by earlier scripts becomes the start of ours.
//!
//! `finaldata.csv` is read as one source file and left unchanged. Files named in
//! `ingestedfiles.txt` that still exist and whose rows are all in it are recorded too, so that they
//! do not count again. All other files are left to the next ingestion, which recognises duplicates.
//! Not for models: see [`super::deploy::adopt`].

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::config::{self, Duplicates};
use crate::csv::outcome::FileOutcome;
use crate::dataset::builder::Ingest;
use crate::dataset::counts::FileRead;
use crate::dataset::discover::{self, SourceFile, Stamp};
use crate::dataset::resources::Resources;
use crate::ids::{DatasetVersion, FindingKind};
use crate::ledger::projections::{ADOPTED_KEY, INGESTED_FILES, names_in};
use crate::ledger::{FileRecord, FileStatus};
use crate::platform::files;
use crate::run::attention::Remark;
use crate::run::context::{Context, Workspace};
use crate::text;
use crate::{Error, Result};

use super::ingest::publish;
use crate::stage::ingest::identity::schema;
use crate::stage::ingest::part::Part;
use crate::stage::ingest::publish::New;
use crate::stage::ingest::report::Ingested;
use crate::stage::ingest::waiting::now_ns;

/// The scripts' data set.
const THEIRS: &str = "finaldata.csv";

/// Records what scripts ingested into the output folder.
pub fn run(context: &Context, workspace: &mut Workspace) -> Result<Ingested> {
    let mut report = adopt(context, workspace)?;
    report.has_delivered(super::deliver::run(context, workspace)?);
    Ok(report)
}

fn adopt(context: &Context, workspace: &mut Workspace) -> Result<Ingested> {
    let config = &context.config;
    let path = config.output_folder.join(THEIRS);
    let last = workspace.ledger.latest_dataset()?;
    let mut report = Ingested::of(&config.output_folder, &[], last.as_ref());
    if let Some(before) = workspace.ledger.files_at(&[context.location(&path)])?.pop().flatten()
        && before.status == FileStatus::Adopted
    {
        report.unchanged = 1;
        return Ok(report);
    }
    let place = path.display();
    if last.is_some() {
        return Err(Error::conflict(format!(
            "this workspace has a data set of its own already: copy {place} into {} under another \
             name and run `ingestion`; rows that are known do not count twice",
            config.input_folder.display()
        )));
    }
    if !path.is_file() {
        return Err(Error::missing(format!("there is no {place}: there is nothing to adopt")));
    }
    let ingested = list_of_names(&config.output_folder.join(INGESTED_FILES))?;

    let schema = schema(context, workspace)?;
    let data_path = config.output_folder.join(THEIRS);
    let quarantine_path = config.output_folder.join("quarantine.csv");
    let rows = fs::metadata(&path).map_or(0, |m| m.len() / 32);
    let expected_rows = usize::try_from(rows).unwrap_or(usize::MAX);
    let asking =
        config::Ingestion { duplicates: Some(Duplicates::Drop), ..config.ingestion.clone() };
    // All in memory, since `look` must give its answer at once.
    let means = Resources { threads: config.limits.threads, expected_rows, ..Resources::default() };
    let places = (data_path.as_path(), quarantine_path.as_path());
    let start = |options| Ingest::start(&schema, options, &context.disk, places.0, places.1, means);
    let mut ingest = start(&config.ingestion)?;
    ingest.forget(workspace.ledger.forgotten(&schema)?);
    let theirs = SourceFile { name: THEIRS.to_owned(), path };
    let progress = &mut |bytes, rows| (context.progress)(bytes, bytes, rows);
    let read = ingest.file(&theirs, &mut (), progress)?;
    let why = match &read.outcome {
        FileOutcome::Taken => None,
        FileOutcome::NoRows | FileOutcome::Empty => {
            Some("it has no data rows: there is nothing to adopt")
        }
        FileOutcome::Changing => Some("it changed while it was read: stop the scripts first"),
        FileOutcome::Failed(reason) | FileOutcome::Contradicts(reason) => Some(reason.as_str()),
        FileOutcome::Known => Some("its content is known"),
    };
    if let Some(why) = why {
        return Err(Error::data(format!("{}: {why}", theirs.path.display())));
    }
    report.files.push(record(context, &theirs, read, None));
    let parts = Part::of_last(&context.config, &report.files).into_iter().collect();
    let names = names_in(ingested.as_deref().unwrap_or_default());
    if config.ingestion.keeps_equal_rows(&schema) {
        // A set of rows tells which ones are in the data set.
        let mut asked = start(&asking)?;
        asked.file(&theirs, &mut (), &mut |_, _| {})?;
        sources(context, &mut asked, &names, &mut report)?;
    } else {
        sources(context, &mut ingest, &names, &mut report)?;
    }
    let meta = ingested.map(|text| (ADOPTED_KEY, text)).into_iter().collect();
    let version = DatasetVersion(1);
    let new = New { version, base: None, parts, superseded: Vec::new(), erasure: None };
    publish(context, workspace, ingest, new, meta, &mut report)?;
    Ok(report)
}

/// The content of the scripts' list; `None` if there is none.
fn list_of_names(path: &Path) -> Result<Option<String>> {
    match files::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path, e)),
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| {
            let place = path.display();
            Error::data(format!("{place} is not UTF-8: convert it, or move it to another name"))
        }),
    }
}

/// Records those of the files `names` whose rows are all in the data set.
fn sources(
    context: &Context,
    ingest: &mut Ingest,
    names: &BTreeSet<String>,
    report: &mut Ingested,
) -> Result<()> {
    let config = &context.config;
    let (input, source) = (config.input(), config.source());
    let source = Some(source).filter(|source| source.path != input.path);
    let folders = [input].into_iter().chain(source);
    let mut missing = names.clone();
    for folder in folders.filter(|folder| folder.path.is_dir()) {
        for candidate in discover::list(folder)?.candidates {
            if !names.contains(&candidate.name) {
                continue;
            }
            missing.remove(&candidate.name);
            let read = ingest.look(&candidate, &mut ())?;
            let counts = &read.counts;
            let others = counts.rows_kept + counts.quarantined;
            if matches!(read.outcome, FileOutcome::Taken) && others == 0 {
                report.files.push(record(context, &candidate, read, Some(THEIRS)));
            } else {
                let why = match &read.outcome {
                    FileOutcome::Taken => format!(
                        "{} of its rows are not in {THEIRS}, {} cannot be read",
                        counts.rows_kept, counts.quarantined
                    ),
                    FileOutcome::NoRows | FileOutcome::Empty => "it has no data rows".to_owned(),
                    FileOutcome::Changing => "it changed while it was read".to_owned(),
                    FileOutcome::Failed(reason) | FileOutcome::Contradicts(reason) => {
                        reason.clone()
                    }
                    FileOutcome::Known => "its content is known".to_owned(),
                };
                let words =
                    format!("{} is left to the next ingestion: {why}", candidate.path.display());
                report.warnings.push(Remark::on(FindingKind::Data, &candidate.name, words));
            }
        }
    }
    if !missing.is_empty() {
        report.warnings.push(Remark::new(FindingKind::Data, format!(
            "{INGESTED_FILES} names {} not there any more ({}): whether {THEIRS} has all rows of \
             it cannot be seen",
            text::plural(missing.len() as u64, "file"),
            text::names(&missing)
        )));
    }
    Ok(())
}

fn record(
    context: &Context,
    candidate: &SourceFile,
    read: FileRead,
    same_as: Option<&str>,
) -> FileRecord {
    FileRecord {
        name: candidate.name.clone(),
        location: context.location(&candidate.path),
        stamp: read.stamp.unwrap_or(Stamp { size: 0, modified_ns: 0, inode: 0 }),
        sha256: read.digest,
        status: FileStatus::Adopted,
        reason: same_as.map(|name| format!("its rows are in {name}")),
        same_as: same_as.map(str::to_owned),
        replaces: None,
        dataset: None,
        counts: read.counts,
        recorded_ns: now_ns(context),
    }
}

/// Refuses a first ingestion into a folder of earlier scripts, which would start without their
/// rows; the user must decide that explicitly.
pub(super) fn refuse_silent_takeover(context: &Context) -> Result<()> {
    let folder = &context.config.output_folder;
    let found = [THEIRS, INGESTED_FILES].map(|name| folder.join(name));
    let there: Vec<String> = found
        .iter()
        .filter(|path| fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() > 0))
        .map(|path| path.display().to_string())
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "{}: not written by this workspace, which has no data yet. Run `ingestion --adopt` to take \
         over what earlier scripts ingested, or move it to another folder to start anew",
        there.join(" and ")
    )))
}
