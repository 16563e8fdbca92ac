//! Recreates the newest hold-out from the data set if no test file is left, or if the releases are
//! lost too, as after restoring a backup that has only the ledger and the source files.
//!
//! The ledger has the members and the digest of the file; the result must have that digest. A
//! hold-out that was moved away under other circumstances stays away, since that may be deliberate.
//! Not for drawing: see [`super::holdout`].

use std::collections::BTreeSet;

use crate::Result;
use crate::csv::reader::RowReader;
use crate::dataset::rows::RowFile;
use crate::evaluation::entity::{Identity, Members};
use crate::ids::DatasetVersion;
use crate::ledger::{DatasetRecord, Drawn, HoldoutRecord, Intent};
use crate::platform::disk::NewFile;
use crate::run::context::{Context, Workspace};
use crate::run::test_files::TestFiles;
use crate::table::schema::Schema;

use super::new_rows::RowRanges;

/// Recreates the newest hold-out if there is no test file, or if the releases are `lost` and its
/// file is missing; returns a note if it did.
pub fn run(context: &Context, workspace: &mut Workspace, lost: bool) -> Result<Option<String>> {
    let config = &context.config;
    let holdouts = workspace.ledger.holdouts()?;
    let (Some(newest), Some(dataset)) = (holdouts.last(), workspace.ledger.latest_dataset()?)
    else {
        return Ok(None);
    };
    let path = config.test_data.join(&newest.name);
    let tests = TestFiles::find(context, &holdouts)?;
    let needed = tests.all.is_empty() || lost && tests.missing(&holdouts).contains(&newest);
    if !needed || path.symlink_metadata().is_ok() {
        return Ok(None);
    }
    let schema = crate::stage::ingest::identity::schema(context, workspace)?;
    let Some(drawn) = workspace.ledger.drawn(newest.version)? else { return Ok(None) };
    let key = workspace.ledger.holdout_key()?;
    // The rows offered were those after the previous draw, or after those that the live model knew.
    let before = holdouts.iter().rev().nth(1).map(|h| h.version);
    let mut starts: BTreeSet<DatasetVersion> =
        workspace.ledger.models()?.iter().map(|m| m.dataset).collect();
    starts.insert(DatasetVersion(0));
    let starts = before.map_or_else(|| Vec::from_iter(starts), |version| vec![version]);
    let segments = workspace.ledger.segments(dataset.version)?;
    for start in starts.into_iter().filter(|start| *start < newest.version) {
        let offered = RowRanges::of(&segments, |s| s.batch > start && s.batch <= newest.version);
        let again =
            HoldoutRewrite { context, schema: &schema, dataset: &dataset, drawn: &drawn, key };
        let Some(file) = again.file(newest, &offered)? else { continue };
        let intent = Intent::PublishHoldout { name: newest.name.clone(), sha256: newest.sha256 };
        let intent = workspace.ledger.intend(&context.run, &intent)?;
        file.publish(false)?;
        workspace.ledger.withdraw(intent)?;
        let name = &newest.name;
        return Ok(Some(format!("{name} was gone and has been made again, byte for byte")));
    }
    Ok(None)
}

/// Recreates the file of a hold-out.
struct HoldoutRewrite<'a> {
    context: &'a Context,
    schema: &'a Schema,
    dataset: &'a DatasetRecord,
    drawn: &'a Drawn,
    key: u64,
}

impl HoldoutRewrite<'_> {
    /// The rows of `offered` that were drawn; `None` if they do not match `holdout`.
    fn file(&self, holdout: &HoldoutRecord, offered: &RowRanges) -> Result<Option<NewFile>> {
        let Self { context, schema, dataset, drawn, key } = self;
        let config = &context.config;
        let Some(entities) = drawn.identity.hasher(schema, *key) else { return Ok(None) };
        let options = config.ingestion.without_line_limit();
        let reader = RowReader::entities(schema, &options, config.limits.threads);
        let path = dataset.location.as_path();
        let (mut chosen, mut of_offered) = (Vec::new(), Vec::new());
        super::holdout::each_row(&reader, path, &entities, offered, |entity, table, i| {
            of_offered.push((entity, table.labels[i]));
        })?;
        if drawn.identity == Identity::LookAlikes && drawn.start.is_none() {
            // Which of several equal rows was taken is known only from repeating the draw.
            let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            let negatives = holdout.rows.saturating_sub(holdout.positives);
            let [negatives, positives] = [negatives, holdout.positives].map(count);
            chosen = super::holdout::look_alikes(&of_offered, *key, |class, n| {
                n.min(if class { positives } else { negatives })
            });
        } else {
            let mut left = Members(drawn.members.0.clone());
            for (at, (entity, _)) in of_offered.iter().enumerate() {
                if let Some(times) = left.0.get_mut(entity).filter(|times| **times > 0) {
                    *times -= 1;
                    chosen.push(at);
                }
            }
        }
        let name = config.test_data.join(&holdout.name);
        let file = RowFile::create(&context.disk, &name, &schema.header())?;
        let (file, sha256) = super::holdout::write(file, &reader, path, offered, &chosen)?;
        Ok(Some(file).filter(|_| sha256 == holdout.sha256))
    }
}
