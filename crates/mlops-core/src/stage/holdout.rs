//! The draw of hold-outs: rows of new data that are set aside for testing, once and for ever.
//!
//! Only `fullprocess` draws. Not for the rule of the draw: see [`crate::split`].

use crate::context::{Context, Workspace};
use crate::dataset::RowReader;
use crate::ids::DatasetVersion;
use crate::ingest::rows::RowFile;
use crate::ledger::{DatasetRecord, HoldoutRecord, Intent};
use crate::schema::Schema;
use crate::{Error, Result, split};

/// Draws from the rows of `dataset` after the first `known` ones into `testdata_new{N}.csv`;
/// nothing when there are none, or when the share is 0.
pub(crate) fn draw(
    context: &Context,
    workspace: &mut Workspace,
    schema: &Schema,
    dataset: &DatasetRecord,
    known: u64,
) -> Result<Option<HoldoutRecord>> {
    let config = &context.config;
    let share = config.holdout.share;
    if known >= dataset.rows || share <= 0.0 {
        return Ok(None);
    }
    let key = workspace.ledger.holdout_key(config.training.seed)?;
    let options = config.ingestion.without_line_limit();
    let reader = RowReader::labelled(schema, &options).keyed(key).on_threads(config.limits.threads);
    let path = dataset.location.as_path();
    let (mut rows, mut seen) = (Vec::new(), 0_u64);
    reader.read(path, |table| {
        for (hash, label) in table.hashes.iter().zip(&table.labels) {
            if seen >= known {
                rows.push((*hash, *label));
            }
            seen += 1;
        }
        Ok(())
    })?;
    let drawn = split::hold_out(&rows, share)?;

    let name = file_name(dataset.version);
    let target = config.test_data.join(&name);
    if target.try_exists().map_err(|e| Error::io("read", &target, e))? {
        return Err(Error::conflict(format!(
            "{} is in the way: a hold-out of that name is to be drawn, and the ledger does not \
             know the file that is there. Move it to another name and run again",
            target.display()
        )));
    }
    let mut file = RowFile::create(&context.disk, &target, &schema.header())?;
    let (mut next, mut seen) = (0, 0_u64);
    reader.rows(path, |row| {
        if seen >= known && drawn.get(next).is_some_and(|i| (seen - known) == *i as u64) {
            file.append(row)?;
            next += 1;
        }
        seen += 1;
        Ok(())
    })?;
    let (file, _, sha256) = file.finish()?;
    let intent = Intent::PublishHoldout { name: name.clone(), sha256 };
    let intent = workspace.ledger.intend(context.run.as_str(), &intent)?;
    file.publish(false)?;
    let holdout = HoldoutRecord {
        version: dataset.version,
        name,
        sha256,
        rows: drawn.len() as u64,
        positives: drawn.iter().filter(|i| rows[**i].1).count() as u64,
        drawn_from: rows.len() as u64,
        recorded: context.now(),
    };
    workspace.ledger.record_holdout(context.run.as_str(), &holdout, key, intent)?;
    Ok(Some(holdout))
}

/// `testdata_new{N}.csv`.
fn file_name(version: DatasetVersion) -> String {
    format!("testdata_new{version}.csv")
}
