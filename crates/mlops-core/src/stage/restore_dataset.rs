//! Recreates the newest data set, byte for byte, from the sources if its file is gone.
//!
//! The ledger has its contents, their order and its digest. The result must have that digest, or
//! nothing is published. Not for older data sets: nothing is built on them any more.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::csv::outcome::FileOutcome;
use crate::dataset::builder::Ingest;
use crate::dataset::discover::{self, SourceFile};
use crate::dataset::resources::Resources;
use crate::ids::Form;
use crate::ledger::{DatasetRecord, Segment};
use crate::platform::digest::Digest;
use crate::run::context::{Context, Workspace};
use crate::stage::ingest::columnar::columnar;
use crate::stage::ingest::latest;
use crate::{Error, Result, text};

/// Recreates data set `last` if its file is gone; returns a note if it did.
pub(super) fn run(
    context: &Context,
    workspace: &Workspace,
    last: &DatasetRecord,
) -> Result<Option<String>> {
    let path = &last.location;
    if path.try_exists().map_err(|e| Error::io("read", path, e))? {
        return Ok(None);
    }
    let name = last.name();
    let segments = workspace.ledger.segments(last.version)?;
    let sources = sources(context, &segments)?;
    let missing: Vec<&Segment> =
        segments.iter().filter(|s| !sources.contains_key(&s.sha256)).collect();
    if segments.is_empty() || !missing.is_empty() {
        let names = missing.iter().map(|segment| segment.location.as_str());
        return Err(gone(
            last,
            &format!("these sources are gone or changed: {}", text::names(names)),
        ));
    }

    let schema = crate::stage::ingest::identity::schema(context, workspace)?;
    let config = &context.config;
    let means = Resources {
        threads: config.limits.threads,
        memory: config.limits.memory,
        expected_rows: usize::try_from(last.rows).unwrap_or(usize::MAX),
        ..Resources::default()
    };
    let rejected = config.output_folder.join("quarantine.csv");
    let mut ingest =
        Ingest::start(&schema, &config.ingestion, &context.disk, path, &rejected, means)?;
    ingest.of_sources(config, context.clock.now());
    ingest.forget(workspace.ledger.forgotten(&schema)?);
    let mut sizes = Vec::new();
    for segment in &segments {
        let path = sources[&segment.sha256].clone();
        let candidate = SourceFile::at(config, path);
        let progress = &mut |bytes, rows| (context.progress)(bytes, last.bytes, rows);
        let read = ingest.file(&candidate, &mut (), progress)?;
        sizes.push(read.counts.rows_kept);
        match read.outcome {
            FileOutcome::Taken | FileOutcome::NoRows | FileOutcome::Empty | FileOutcome::Known => {}
            FileOutcome::Changing => return Err(gone(last, "a source changed while it was read")),
            FileOutcome::Failed(why) | FileOutcome::Contradicts(why) => {
                return Err(gone(last, &format!("{}: {why}", candidate.name)));
            }
        }
    }
    let (mut data, bytes, digest) = latest::again(context, ingest.finish()?, &sizes)?.data;
    if digest != last.content {
        let sizes = match last.form() {
            Form::Csv => {
                format!(": {} bytes instead of {}", text::count(bytes), text::count(last.bytes))
            }
            Form::Parquet => String::new(),
        };
        return Err(gone(
            last,
            &format!(
                "what the sources give now differs{sizes}. The schema or \"ingestion\" may have \
                 changed since"
            ),
        ));
    }
    if last.form() == Form::Parquet {
        let packed = columnar(context, &data, path)?;
        if packed.digest != last.sha256 {
            return Err(gone(
                last,
                "its sources give the same rows, but this version of the program packs them in other bytes",
            ));
        }
        data = packed.file;
    }
    data.named(&name).publish(false)?;
    Ok(Some(format!("{name} was gone and has been made again from its sources, byte for byte")))
}

/// Finds the content of each segment: at its recorded location, or anywhere in the input folders.
fn sources(context: &Context, segments: &[Segment]) -> Result<BTreeMap<Digest, PathBuf>> {
    let config = &context.config;
    let mut candidates: Vec<PathBuf> =
        segments.iter().map(|segment| segment.location.path(&config.base)).collect();
    for folder in [config.input(), config.source()] {
        if folder.path.is_dir() {
            candidates.extend(discover::list(folder)?.candidates.into_iter().map(|c| c.path));
        }
    }
    let mut found = BTreeMap::new();
    for path in candidates {
        if path.is_file()
            && let Ok(digest) = Digest::of_file(&path)
        {
            found.entry(digest).or_insert(path);
        }
    }
    Ok(found)
}

fn gone(last: &DatasetRecord, why: &str) -> Error {
    Error::missing(format!(
        "{} is gone and cannot be made again: {why}. Restore it from a backup, or run `ingestion \
         --rebuild` to make a new version from the sources that are there",
        last.location.display()
    ))
}
