//! The last part of an ingestion: the new data set gets its final name and is recorded.
//!
//! Order of writes: final names, commit, text files. Derived data are written at the same time and
//! named afterwards. Not for reading files: see [`super`].

use crate::config::Config;
use crate::config::choices::RecordChanges;
use crate::csv::formats;
use crate::dataset::builder::{Built, Ingest};
use crate::dataset::counts::FileCounts;
use crate::dataset::discover::Stamp;
use crate::dataset::index;
use crate::ids::{DatasetVersion, FindingKind, Form};
use crate::ledger::{DatasetRecord, Erasure, Intent, Ledger, Segment, projections};
use crate::platform::digest::Digest;
use crate::platform::disk::NewFile;
use crate::platform::threads::both;
use crate::run::attention::Remark;
use crate::run::context::{Context, Workspace};
use crate::{Error, Result};

use crate::stage::ingest::columnar::{Packed, columnar};
use crate::stage::ingest::identity::{MEANING_KEY, NEGATIVE_KEY, SCHEMA_KEY};
use crate::stage::ingest::latest;
use crate::stage::ingest::part::Part;
use crate::stage::ingest::record_changes;
use crate::stage::ingest::report::Ingested;

/// Data sets with fewer rows are read again faster than an index would pay off.
const INDEX_FROM_ROWS: u64 = 100_000;

/// A new version.
pub(in crate::stage) struct New<'a> {
    pub(in crate::stage) version: DatasetVersion,
    /// The version that it starts with.
    pub(in crate::stage) base: Option<&'a DatasetRecord>,
    /// The contents that follow, in order.
    pub(in crate::stage) parts: Vec<Part>,
    /// Contents of the previous version that are not in it.
    pub(in crate::stage) superseded: Vec<Digest>,
    /// The erasure that made it, and counts of contents that it changes.
    pub(in crate::stage) erasure: Option<(&'a Erasure, &'a [(Digest, FileCounts)])>,
}

/// Gives the new data set its final name and commits it, with `meta`.
pub(in crate::stage) fn publish(
    context: &Context,
    workspace: &mut Workspace,
    ingest: Ingest,
    new: New,
    meta: Vec<(&str, String)>,
    report: &mut Ingested,
) -> Result<()> {
    let mut new = new;
    let built = ingest.finish()?;
    let of_new = (&mut new.base, &mut new.parts);
    let built = latest::apply(context, workspace, built, of_new, report)?;
    publish_built(context, workspace, built, new, meta, report)
}

/// The same for a data set that is finished.
pub(in crate::stage) fn publish_built(
    context: &Context,
    workspace: &mut Workspace,
    built: Built,
    new: New,
    meta: Vec<(&str, String)>,
    report: &mut Ingested,
) -> Result<()> {
    let mut meta = meta;
    let New { version, base, mut parts, superseded, erasure } = new;
    let config = &context.config;
    let folder = &config.output_folder;
    refuse_in_the_way(config, version)?;
    if config.output.parquet {
        formats::check_that_tables_are_known()?;
    }
    let mut keys = Vec::new();
    built.settle(parts.iter_mut().map(|part| &mut part.counts));
    let changes = record_changes::record(context, workspace, &built, base, &mut parts, report)?;
    for part in &parts {
        if let Some(file) = part.record.and_then(|at| report.files.get_mut(at)) {
            file.counts = part.counts.clone();
        }
    }
    for file in report.files.iter_mut().filter(|f| f.status.is_in()) {
        file.dataset = Some(version);
    }
    let (kept, quarantined) =
        parts.iter().fold((0, 0), |(k, q), p| (k + p.counts.rows_kept, q + p.counts.quarantined));
    let quarantine = built.quarantine.map(|(file, _, digest)| (file, digest));
    let path = folder.join(version.name(config.output.form()));
    if let Some((_, digest)) = &changes {
        keys.push((version.changes_key(), digest.to_string()));
    }
    let Made { files, content, sha256, bytes, stamp } =
        made(context, version, (built.data, built.stamp), (quarantine, changes))?;
    let dataset = DatasetRecord {
        version,
        run_id: context.run.clone(),
        location: path.clone(),
        sha256,
        content,
        bytes,
        rows: base.map_or(0, |base| base.rows) + kept,
        new_rows: kept,
        quarantined,
        columns: config.schema.columns().iter().map(|c| c.name.clone()).collect(),
        recorded: context.now(),
        base: base.map(|base| base.version),
        stamp: Some(stamp),
    };
    let recounted = parts.iter().filter_map(|part| Some((part.sha256, part.recounted(version)?)));
    let mut recounted: Vec<(Digest, FileCounts)> = recounted.collect();
    recounted.extend(erasure.iter().flat_map(|(_, counts)| counts.iter().cloned()));
    let segments = segments(&workspace.ledger, &dataset, &parts)?;
    if let (Some(_), Some(table)) = (&files.data, &files.table) {
        keys.push((version.table_key(), table.digest.to_string()));
    }
    meta.push((SCHEMA_KEY, config.schema.digest().to_string()));
    let meant = workspace.ledger.meta(MEANING_KEY)?;
    if let (Some(base), None) = (base, &meant) {
        report.warnings.push(Remark::new(FindingKind::Data, format!(
            "the rows of {} were read by an earlier version of this program, by its rules for what a \
             cell means, and the new ones by the rules of this one and of \"ingestion\" as it is now: \
             `ingestion --rebuild` reads all of them again by the same rules",
            base.name()
        )));
    }
    if base.is_none() || meant.is_none() {
        meta.push((MEANING_KEY, config.ingestion.meaning(&config.schema)?));
    }
    meta.extend(built.negative_label.map(|label| (NEGATIVE_KEY, label)));
    let index = built.index.filter(|_| dataset.rows >= INDEX_FROM_ROWS);
    let erasure = erasure.map(|(erasure, _)| erasure);
    let record = (&dataset, &segments[..], &superseded[..], &recounted[..], erasure);
    meta.extend(keys.iter().map(|(key, value)| (key.as_str(), value.clone())));
    let commit = || commit(context, workspace, files, record, &meta, report);
    let index = if let Some(index) = index {
        // Not part of the critical path, so that it is written in parallel.
        let write = || index.write(&context.disk, &path, content);
        let (committed, written) = both(commit, write);
        committed?;
        Some(written)
    } else {
        commit()?;
        None
    };
    if let Some(Err(e)) = index.map(|written| written.and_then(NewFile::publish_unsynced)) {
        let cost = "the next ingestion reads the whole data set instead";
        let words = format!("{e}: without this index {cost}");
        report.warnings.push(Remark::new(FindingKind::Upkeep, words));
    }
    if let Err(e) = index::tidy(&context.disk, &path) {
        report.warnings.push(Remark::new(FindingKind::Upkeep, e.to_string()));
    }
    report.version = Some(version);
    report.data = Some(dataset.location.display().to_string());
    report.rows = dataset.rows;
    let new = report.files.iter().filter(|f| f.status.is_in());
    report.new_rows = new.map(|f| f.counts.rows_kept).sum();
    report.new_version = true;
    Ok(())
}

/// Refuses to go on where a file of another origin has the name of one that this run makes.
fn refuse_in_the_way(config: &Config, version: DatasetVersion) -> Result<()> {
    let output = &config.output;
    let names = [
        (output.csv, version.name(Form::Csv)),
        (output.parquet, version.name(Form::Parquet)),
        (true, version.quarantine_name()),
        (config.ingestion.record_changes == RecordChanges::All, version.changes_name()),
    ];
    for (_, name) in names.into_iter().filter(|(made, _)| *made) {
        let path = config.output_folder.join(&name);
        if path.try_exists().map_err(|e| Error::io("read", &path, e))? {
            return Err(Error::conflict(format!(
                "{} is in the way: this run makes a file of that name, and the ledger does not \
                 know the one that is there. Move it to another name and run again; nothing was \
                 changed",
                path.display()
            )));
        }
    }
    Ok(())
}

/// The segments that `parts` add to the base of `dataset`, in order.
fn segments(ledger: &Ledger, dataset: &DatasetRecord, parts: &[Part]) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut first_row = dataset.rows - dataset.new_rows;
    for part in parts {
        segments.push(Segment {
            sha256: part.sha256,
            location: part.location.clone(),
            batch: ledger.first_batch(part.sha256)?.unwrap_or(dataset.version),
            replaces: part.replaces,
            first_row,
            rows: part.counts.rows_kept,
        });
        first_row += part.counts.rows_kept;
    }
    Ok(segments)
}

/// A data set with its segments, the contents that it left out, counts that change, and the erasure behind it.
type Recorded<'a> = (
    &'a DatasetRecord,
    &'a [Segment],
    &'a [Digest],
    &'a [(Digest, FileCounts)],
    Option<&'a Erasure>,
);

/// The files of a version before they have their names.
struct Files {
    /// The data set as CSV, if that is kept.
    data: Option<NewFile>,
    quarantine: Option<(NewFile, Digest)>,
    /// The data set as Parquet, if that is wanted.
    table: Option<Packed>,
    /// The changed cells, if they are wanted.
    changes: Option<(NewFile, Digest)>,
}

/// The files of a version and what is recorded of its data set.
struct Made {
    files: Files,
    content: Digest,
    sha256: Digest,
    bytes: u64,
    stamp: Stamp,
}

/// A file that not every version has.
type Extra = Option<(NewFile, Digest)>;

/// Gives the rows `text` the form that is configured. As long as they have no name, they are CSV.
fn made(
    context: &Context,
    version: DatasetVersion,
    ((text, length, digest), stamp): ((NewFile, u64, Digest), Stamp),
    (quarantine, changes): (Extra, Extra),
) -> Result<Made> {
    let config = &context.config;
    let path = config.output_folder.join(version.name(Form::Parquet));
    let table = config.output.parquet.then(|| columnar(context, &text, &path)).transpose()?;
    Ok(match table {
        Some(table) if config.output.form() == Form::Parquet => {
            let stamp = Stamp::of(&table.file.metadata()?);
            let (sha256, bytes) = (table.digest, table.bytes);
            let files = Files { data: None, quarantine, table: Some(table), changes };
            Made { files, content: digest, sha256, bytes, stamp }
        }
        table => {
            let files = Files { data: Some(text), quarantine, table, changes };
            Made { files, content: digest, sha256: digest, bytes: length, stamp }
        }
    })
}

/// Final names, commit, text files.
fn commit(
    context: &Context,
    workspace: &mut Workspace,
    Files { data, quarantine, table, changes }: Files,
    (dataset, segments, superseded, recounted, erasure): Recorded,
    meta: &[(&str, String)],
    report: &mut Ingested,
) -> Result<()> {
    let (run, folder) = (&context.run, &context.config.output_folder);
    let intent = Intent::PublishDataset {
        version: dataset.version,
        data: dataset.sha256,
        quarantine: quarantine.as_ref().map(|(_, digest)| *digest),
        table: table.as_ref().map(|table| table.digest),
        changes: changes.as_ref().map(|(_, digest)| *digest),
    };
    let intent = workspace.ledger.intend(run, &intent)?;
    if let Some(table) = table {
        table.file.named(&dataset.version.name(Form::Parquet)).publish(false)?;
    }
    if let Some(data) = data {
        data.named(&dataset.version.name(Form::Csv)).publish(false)?;
    }
    if let Some((quarantine, _)) = quarantine {
        let name = dataset.version.quarantine_name();
        quarantine.named(&name).publish(false)?;
        report.quarantine = Some(folder.join(name).display().to_string());
    }
    if let Some((changes, _)) = changes {
        let name = dataset.version.changes_name();
        changes.named(&name).publish(false)?;
        report.changes = Some(folder.join(name).display().to_string());
    }
    let dataset = Some((dataset, segments));
    workspace.ledger.commit_ingestion(
        run,
        &report.files,
        dataset,
        superseded,
        recounted,
        meta,
        Some(intent),
        erasure,
    )?;
    projections::write(&workspace.ledger, &context.disk, folder)
}
