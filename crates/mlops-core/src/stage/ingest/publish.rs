//! The last part of an ingestion: the new data set gets its name and is recorded.
//!
//! Order of writes: names, commit, text files, and then what is derived. Not for reading files:
//! see [`super`].

use std::path::Path;

use crate::context::{Context, Workspace};
use crate::ids::DatasetVersion;
use crate::ingest::{Ingest, index};
use crate::ledger::{DatasetRecord, FileStatus, Intent, projections};
use crate::{Error, Result};

use super::{Ingestion, NEGATIVE_KEY, SCHEMA_KEY, SETTINGS_KEY, location, settings};

/// Smaller data sets are read again sooner than an index of them is worth a file.
const INDEX_FROM_ROWS: u64 = 100_000;

/// Gives the new data set its name and commits it, with `meta`.
pub(in crate::stage) fn publish(
    context: &Context,
    workspace: &mut Workspace,
    ingest: Ingest,
    version: DatasetVersion,
    rows_before: u64,
    mut meta: Vec<(&str, String)>,
    report: &mut Ingestion,
) -> Result<()> {
    let config = &context.config;
    let folder = &config.output_folder;
    for name in [version.file_name(), version.quarantine_name()] {
        let path = folder.join(&name);
        if path.try_exists().map_err(|e| Error::io("read", &path, e))? {
            return Err(Error::conflict(format!(
                "{} is in the way: this run makes a file of that name, and the ledger does not \
                 know the one that is there. Move it to another name and run again; nothing was \
                 changed",
                path.display()
            )));
        }
    }
    let built = ingest.finish()?;
    let taken = report.files.iter_mut().filter(|f| f.status == FileStatus::Ingested);
    built.settle(taken.map(|f| &mut f.counts));
    let (data, bytes, digest) = built.data;
    let quarantine_digest = built.quarantine.as_ref().map(|(_, _, digest)| *digest);
    let intent = Intent::PublishDataset { version, data: digest, quarantine: quarantine_digest };
    let run = context.run.as_str();
    let intent = workspace.ledger.intend(run, &intent)?;
    data.named(&version.file_name()).publish(false)?;
    if let Some((quarantine, _, _)) = built.quarantine {
        quarantine.named(&version.quarantine_name()).publish(false)?;
        report.quarantine = Some(folder.join(version.quarantine_name()).display().to_string());
    }
    for file in report.files.iter_mut().filter(|f| f.status.is_in()) {
        file.dataset = Some(version);
    }
    let taken = report.files.iter().filter(|f| f.status.is_in());
    let (kept, quarantined) =
        taken.fold((0, 0), |(k, q), f| (k + f.counts.rows_kept, q + f.counts.quarantined));
    let location = location(&folder.join(version.file_name()));
    let dataset = DatasetRecord {
        version,
        run_id: run.to_owned(),
        location: location.clone(),
        sha256: digest,
        bytes,
        rows: rows_before + kept,
        new_rows: kept,
        quarantined,
        columns: config.schema.columns().iter().map(|c| c.name.clone()).collect(),
        recorded: context.now(),
    };
    meta.push((SCHEMA_KEY, config.schema.digest().to_string()));
    meta.push((SETTINGS_KEY, settings(context)));
    meta.extend(built.negative_label.map(|label| (NEGATIVE_KEY, label)));
    workspace.ledger.commit_ingestion(run, &report.files, Some(&dataset), &meta, Some(intent))?;
    projections::write(&workspace.ledger, &context.disk, folder)?;
    if let Some(index) = built.index.filter(|_| dataset.rows >= INDEX_FROM_ROWS)
        && let Err(e) = index.save(&context.disk, Path::new(&location), digest)
    {
        let cost = "the next ingestion reads the whole data set instead";
        report.warnings.push(format!("{e}: without this index {cost}"));
    }
    // That of the version before is of no use any more.
    if let Some(before) = &report.data
        && let Err(e) = context.disk.remove(&index::path_of(Path::new(before)))
    {
        report.warnings.push(e.to_string());
    }
    report.version = Some(version);
    report.data = Some(location);
    report.rows = dataset.rows;
    report.new_rows = kept;
    report.new_version = true;
    Ok(())
}
