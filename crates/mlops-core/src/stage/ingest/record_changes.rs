//! The records for `ingestion.record_changes`: counts of the cells that cleaning changed, kept with the
//! records of their files, and each of these cells in a Parquet file beside the data set.
//!
//! They are made from the finished data set, before it gets its name, by rereading its files. Changes are
//! found in `csv::cell_changes`; names and the order of writes are in [`super::publish`].

use std::io::{BufWriter, Write as _};

use super::earlier_changes::EarlierChanges;
use super::part::{From, Part, Recount};
use super::report::Ingested;
use crate::config::choices::RecordChanges;
use crate::csv::change_kind::{ChangeKind, ChangeKinds};
use crate::csv::formats::{self, ChangedCell, ChangesWriter};
use crate::dataset::builder::Built;
use crate::dataset::cell_counts::CellCounts;
use crate::dataset::read_again::{Content, ReadAgain, Stretch};
use crate::ids::{FindingKind, Form};
use crate::ledger::DatasetRecord;
use crate::platform::digest::Digest;
use crate::platform::disk::NewFile;
use crate::platform::hashed_file::HashedFile;
use crate::run::attention::Remark;
use crate::run::context::{Context, Workspace};
use crate::{Error, Result, text};

/// Notes the changed cells of `parts`, which follow `base` in `built`; returns the file of them if there is
/// to be one.
pub(super) fn record(
    context: &Context,
    workspace: &Workspace,
    built: &Built,
    base: Option<&DatasetRecord>,
    parts: &mut [Part],
    report: &mut Ingested,
) -> Result<Option<(NewFile, Digest)>> {
    let wish = context.config.ingestion.record_changes;
    match wish {
        RecordChanges::Off => Ok(None),
        RecordChanges::Counts | RecordChanges::Sample => {
            read(context, workspace, built, base, parts, &mut None, report)?;
            Ok(None)
        }
        RecordChanges::All => {
            let place = context.config.output_folder.join("changes.parquet");
            let file = HashedFile::create(&context.disk, &place)?;
            let mut out = BufWriter::with_capacity(1 << 18, file);
            let mut writer = Some(formats::write_changes(&mut out)?);
            read(context, workspace, built, base, parts, &mut writer, report)?;
            writer.map_or(Ok(()), ChangesWriter::finish)?;
            out.flush().map_err(|e| Error::io("write", &place, e))?;
            let file = out.into_inner().map_err(|e| Error::io("write", &place, e.into_error()))?;
            Ok(Some(file.finish()))
        }
    }
}

/// Reads the files of `parts` again, for their records and for `writer`.
fn read(
    context: &Context,
    workspace: &Workspace,
    built: &Built,
    base: Option<&DatasetRecord>,
    parts: &mut [Part],
    writer: &mut Option<Box<dyn ChangesWriter + '_>>,
    report: &mut Ingested,
) -> Result<()> {
    let config = &context.config;
    let examples = config.ingestion.record_changes >= RecordChanges::Sample;
    let schema = match &built.negative_label {
        Some(label) => config.schema.clone().with_negative_label(label),
        None => config.schema.clone(),
    };
    let place = config.output_folder.join("finaldata.csv");
    let data = (built.data.0.reopen()?, place.as_path());
    // Only of a CSV file it is known where its rows end.
    let text = base.filter(|base| base.form() == Form::Csv).map(|base| (base.rows, base.bytes));
    let mut again = ReadAgain::start(config, &schema, context.clock.now(), data, text)?;
    if let (Some(base), None) = (base, text) {
        again.pass_over(base.rows)?;
    }
    let from_last = parts.iter().any(|part| matches!(part.from, From::LastDataSet(..)));
    let last = workspace.ledger.latest_dataset()?.filter(|_| from_last && writer.is_some());
    let mut earlier = match &last {
        Some(last) => Some(EarlierChanges::of(context, &workspace.ledger, last)?),
        None => None,
    };
    let mut unknown = 0;
    for part in parts {
        let rows = part.counts.rows_kept;
        let counted = part.record.is_some() || matches!(part.recount, Recount::All);
        match (&part.from, writer.as_mut()) {
            (From::File(file, left_out), writer) if counted || writer.is_some() => {
                let mut counts = CellCounts::default();
                let kept = Content { file, sha256: part.sha256, rows, left_out };
                let mut writer = writer;
                again.file(&kept, |cell| {
                    cell.kinds.iter().for_each(|kind| counts.note(cell, kind, examples));
                    writer.as_mut().map_or(Ok(()), |writer| writer.push(cell))
                })?;
                part.counts.cells = Some(Box::new(counts));
            }
            (From::LastDataSet(first, there), Some(writer)) => {
                let (Some(last), Some(earlier)) = (&last, &mut earlier) else { continue };
                let (path, sha256) = (last.location.as_path(), last.sha256);
                let stretch = Stretch { path, sha256, first: *first, rows: *there, kept: rows };
                again.stretch(&stretch, |old, row| {
                    let Some(changes) = earlier.of_row(old)? else {
                        unknown += 1;
                        return Ok(());
                    };
                    for change in changes {
                        let kind: Option<ChangeKind> = change.kind.parse().ok();
                        writer.push(&ChangedCell {
                            row,
                            file: &change.file,
                            part: Some(change.part.as_str()).filter(|part| !part.is_empty()),
                            line: change.line,
                            column: &change.column,
                            from: &change.from,
                            to: &change.to,
                            kinds: kind.map(ChangeKinds::from).unwrap_or_default(),
                        })?;
                    }
                    Ok(())
                })?;
            }
            _ => again.pass_over(rows)?,
        }
    }
    if unknown > 0 {
        report.warnings.push(Remark::new(FindingKind::Data, format!(
            "the changed cells of {} that came from the last data set are not recorded: their files are \
             gone or were not to be read again, and they were taken before \"ingestion.record_changes\" \
             was \"all\"",
            text::plural(unknown, "row")
        )));
    }
    Ok(())
}
