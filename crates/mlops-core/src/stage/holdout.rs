//! Draws hold-outs: rows of new data that are set aside for testing permanently.
//!
//! Whole entities are drawn, stratified by class (positive if any row is), preferring those that
//! the live model was not trained on. Entities of earlier hold-outs stay in them, so that their new
//! rows are test rows too and count towards the share. With `holdout.time` the newest rows are
//! drawn instead. Only `fullprocess` draws, and `first_run` if there are no test data. Not for the
//! choice itself: see [`crate::evaluation::split`].

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::csv::reader::{RowReader, RowSet, Taken};
use crate::dataset::rows::RowFile;
use crate::evaluation::entity::{Entities, Identity, Members};
use crate::evaluation::moment::{MomentColumn, Untimed};
use crate::evaluation::split;
use crate::evaluation::split::Tally;
use crate::ids::DatasetVersion;
use crate::ledger::{DatasetRecord, Drawn, HoldoutRecord, Intent};
use crate::platform::digest::Digest;
use crate::platform::disk::NewFile;
use crate::run::context::{Context, Workspace};
use crate::run::test_files::{TestFileKind, TestFiles};
use crate::table::schema::Schema;
use crate::{Error, Result};

use super::new_rows::RowRanges;

/// The number of file names tried.
const MOST_NAMES: u32 = 1_000;

/// A row that is offered to the draw.
#[derive(Debug, Clone, Copy)]
struct Offered {
    entity: u128,
    positive: bool,
    moment: Option<f64>,
}

/// An entity that is offered to the draw, with all its new rows.
#[derive(Debug, Clone, Copy, Default)]
struct Entity {
    positive: bool,
    /// The live model was trained on rows of it.
    known: bool,
    /// It is in an earlier hold-out.
    held: bool,
}

type ByEntity<T> = HashMap<u128, T, BuildHasherDefault<Taken>>;

/// Draws from the rows `new` of `dataset` into `testdata_new{N}.csv`; `None` if there are none or
/// the share is 0. `known` are the rows that the live model was trained on, if that can be
/// determined.
pub(crate) fn draw(
    context: &Context,
    workspace: &mut Workspace,
    schema: &Schema,
    dataset: &DatasetRecord,
    new: &RowRanges,
    known: Option<&RowRanges>,
) -> Result<Option<HoldoutRecord>> {
    let config = &context.config;
    if new.len() == 0 || config.holdout.share <= 0.0 {
        return Ok(None);
    }
    let key = workspace.ledger.holdout_key()?;
    let identity = Identity::of(&config.holdout, schema);
    let moments = config.holdout.time.as_ref().and_then(|name| MomentColumn::of(schema, name));
    let Some(entities) = identity.hasher(schema, key) else { return Ok(None) };
    let options = config.ingestion.without_line_limit();
    let reader = RowReader::entities(schema, &options, config.limits.threads);
    let path = dataset.location.as_path();
    let (mut offered, mut untimed) = (Vec::new(), Untimed::default());
    each_row(&reader, path, &entities, new, |entity, table, i| {
        let moment = moments.and_then(|moments| untimed.at(moments, table, i));
        offered.push(Offered { entity, positive: table.labels[i], moment });
    })?;
    let column = config.holdout.time.as_deref().unwrap_or_default();
    if let Some(words) = untimed.not_held_out(offered.len(), column) {
        tracing::warn!("{words}");
    }

    let tally = workspace.ledger.holdout_tally()?;
    let mut draw =
        Draw { share: config.holdout.share, key, offered, tally, start: None, known_rows: 0 };
    let chosen = match (moments, &identity) {
        (Some(_), _) => {
            let last = workspace.ledger.holdouts()?;
            let last =
                last.last().map(|h| workspace.ledger.drawn(h.version)).transpose()?.flatten();
            let chosen = draw.newest(last.and_then(|drawn| drawn.start));
            if let Some(known) = known.filter(|_| matches!(identity, Identity::Columns(_))) {
                // Members of an earlier hold-out were not trained on.
                let (held, _) = others(context, workspace, schema, &identity, &entities)?;
                let mut trained = RowSet::default();
                each_row(&reader, path, &entities, known, |hash, _, _| {
                    trained.insert(hash);
                })?;
                draw.count_known(&chosen, |e| trained.contains(&e) && !held.contains(&e));
            }
            chosen
        }
        (None, Identity::LookAlikes) => draw.look_alikes(),
        (None, _) => {
            let (held, own) = others(context, workspace, schema, &identity, &entities)?;
            let mut of: ByEntity<Entity> = ByEntity::default();
            for row in draw.offered.iter().filter(|row| !own.contains(&row.entity)) {
                let entity = of.entry(row.entity).or_default();
                entity.positive |= row.positive;
                entity.held = held.contains(&row.entity);
            }
            if let Some(known) = known.filter(|_| matches!(identity, Identity::Columns(_))) {
                each_row(&reader, path, &entities, known, |hash, _, _| {
                    if let Some(entity) = of.get_mut(&hash) {
                        entity.known = !entity.held;
                    }
                })?;
            }
            draw.entities(&of)
        }
    };
    if chosen.is_empty() {
        return Ok(None);
    }
    let mut members = Members::default();
    for i in &chosen {
        members.add(draw.offered[*i].entity);
    }
    let drawn = Drawn { identity, members, start: draw.start };
    let holdout =
        Publication { context, dataset, reader: &reader, new, draw: &draw, chosen: &chosen };
    holdout.publish(workspace, schema, &drawn).map(Some)
}

/// Draws the first hold-out of a workspace without test data from all rows of `dataset`; `None` if
/// there are test files or records of a hold-out.
pub fn first(context: &Context, workspace: &mut Workspace) -> Result<Option<HoldoutRecord>> {
    let holdouts = workspace.ledger.holdouts()?;
    let tests = TestFiles::find(context, &holdouts)?;
    let Some(dataset) = workspace.ledger.latest_dataset()? else { return Ok(None) };
    if !holdouts.is_empty() || !tests.all.is_empty() {
        return Ok(None);
    }
    let schema = crate::stage::ingest::identity::schema(context, workspace)?;
    let segments = workspace.ledger.segments(dataset.version)?;
    draw(context, workspace, &schema, &dataset, &RowRanges::of(&segments, |_| true), None)
}

/// Passes those rows of `path` that are in `rows` to `visit`, with their entities.
pub(super) fn each_row(
    reader: &RowReader,
    path: &Path,
    entities: &Entities,
    rows: &RowRanges,
    mut visit: impl FnMut(u128, &crate::table::Table, usize),
) -> Result<()> {
    let mut seen = 0;
    let mut hashes = Vec::new();
    reader.read(path, |table| {
        let first = seen;
        seen += table.len() as u64;
        if rows.meets(&(first..seen)) {
            entities.of(table, &mut hashes);
            for (i, (hash, at)) in hashes.iter().zip(first..).enumerate() {
                if rows.has(at) {
                    visit(*hash, table, i);
                }
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Entities of earlier hold-outs, and of the user's own test files.
fn others(
    context: &Context,
    workspace: &Workspace,
    schema: &Schema,
    identity: &Identity,
    entities: &Entities,
) -> Result<(RowSet, RowSet)> {
    let config = &context.config;
    let (mut held, mut own) = (RowSet::default(), RowSet::default());
    let holdouts = workspace.ledger.holdouts()?;
    for holdout in &holdouts {
        if let Some(drawn) = workspace.ledger.drawn(holdout.version)?
            && drawn.identity == *identity
        {
            held.extend(drawn.members.0.keys());
        }
    }
    let options = config.ingestion.without_line_limit();
    let reader = RowReader::entities(schema, &options, config.limits.threads).of_sources(config);
    let mut hashes = Vec::new();
    for file in TestFiles::find(context, &holdouts)?.all {
        let set = if file.kind == TestFileKind::Own { &mut own } else { &mut held };
        reader.read(&file.path, |table| {
            entities.of(table, &mut hashes);
            set.extend(&hashes);
            Ok(())
        })?;
    }
    Ok((held, own))
}

/// A draw in progress.
struct Draw {
    share: f64,
    key: u64,
    offered: Vec<Offered>,
    tally: Tally,
    start: Option<f64>,
    known_rows: u64,
}

impl Draw {
    /// The newest rows: at least the share, including all rows of the earliest moment among them,
    /// but none from before `last`, where an earlier hold-out starts. Rows without a time are not
    /// drawn.
    fn newest(&mut self, last: Option<f64>) -> Vec<usize> {
        let mut moments: Vec<f64> = self.offered.iter().filter_map(|row| row.moment).collect();
        let take = self.tally.take(false, moments.len(), self.share);
        if take == 0 {
            return Vec::new();
        }
        let at = moments.len() - take;
        let (_, start, _) = moments.select_nth_unstable_by(at, f64::total_cmp);
        let start = last.map_or(*start, |last| start.max(last));
        let drawn = |row: &Offered| row.moment.is_some_and(|moment| moment >= start);
        let chosen: Vec<usize> = self.positions(drawn);
        self.tally.add(false, moments.len(), chosen.len());
        self.start = Some(start).filter(|_| !chosen.is_empty());
        chosen
    }

    /// Rows without identity; each of several equal ones has its own chance.
    fn look_alikes(&mut self) -> Vec<usize> {
        let rows: Vec<_> = self.offered.iter().map(|row| (row.entity, row.positive)).collect();
        let Self { tally, share, key, .. } = self;
        let chosen = look_alikes(&rows, *key, |class, n| tally.take(class, n, *share));
        for class in [false, true] {
            let taken = chosen.iter().filter(|i| rows[**i].1 == class).count();
            tally.add(class, rows.iter().filter(|row| row.1 == class).count(), taken);
        }
        chosen
    }

    /// All rows of the entities that are drawn, and of those in earlier hold-outs.
    fn entities(&mut self, of: &ByEntity<Entity>) -> Vec<usize> {
        let mut drawn = RowSet::default();
        for class in [false, true] {
            let of_class = || of.iter().filter(|(_, entity)| entity.positive == class);
            let held = of_class().filter(|(_, entity)| entity.held).count();
            let n = of_class().count();
            let take = self.tally.take(class, n, self.share).saturating_sub(held);
            let free = |known: bool| {
                let free = of_class().filter(move |(_, e)| !e.held && (known || !e.known));
                free.map(|(hash, _)| *hash).collect::<Vec<u128>>()
            };
            let mut from = free(false);
            if from.len() < take {
                from = free(true);
            }
            let taken = split::smallest(from, take);
            self.tally.add(class, n, held + taken.len());
            drawn.extend(taken);
        }
        let chosen = self.positions(|row| {
            drawn.contains(&row.entity) || of.get(&row.entity).is_some_and(|entity| entity.held)
        });
        self.count_known(&chosen, |entity| of.get(&entity).is_some_and(|e| e.known));
        chosen
    }

    /// Counts rows of entities that the live model was trained on.
    fn count_known(&mut self, chosen: &[usize], known: impl Fn(u128) -> bool) {
        let known = chosen.iter().filter(|i| known(self.offered[**i].entity));
        self.known_rows = known.count() as u64;
    }

    fn positions(&self, wanted: impl Fn(&Offered) -> bool) -> Vec<usize> {
        (0..self.offered.len()).filter(|i| wanted(&self.offered[*i])).collect()
    }
}

/// Draws single rows, given by hash and class; `take` gives the number for each class from its
/// number of rows.
pub(super) fn look_alikes(
    rows: &[(u128, bool)],
    key: u64,
    take: impl Fn(bool, usize) -> usize,
) -> Vec<usize> {
    let mut copies = Members::default();
    let of_copy = |(row, positive): &(u128, bool)| {
        copies.add(*row);
        let mut bytes = [0; 20];
        bytes[..16].copy_from_slice(&row.to_le_bytes());
        bytes[16..].copy_from_slice(&copies.0[row].to_le_bytes());
        (xxh3_128_with_seed(&bytes, key), *positive)
    };
    let rows: Vec<(u128, bool)> = rows.iter().map(of_copy).collect();
    split::smallest_of_each(&rows, take)
}

/// Publishes a hold-out.
struct Publication<'a> {
    context: &'a Context,
    dataset: &'a DatasetRecord,
    reader: &'a RowReader<'a>,
    new: &'a RowRanges,
    draw: &'a Draw,
    chosen: &'a [usize],
}

impl Publication<'_> {
    /// Writes the file and records it.
    fn publish(
        &self,
        workspace: &mut Workspace,
        schema: &Schema,
        drawn: &Drawn,
    ) -> Result<HoldoutRecord> {
        let Self { context, dataset, reader, new, draw, chosen } = self;
        let folder = &context.config.test_data;
        let name = free_name(folder, dataset.version)?;
        let file = RowFile::create(&context.disk, &folder.join(&name), &schema.header())?;
        let (file, sha256) = write(file, reader, dataset.location.as_path(), new, chosen)?;
        let intent = Intent::PublishHoldout { name: name.clone(), sha256 };
        let intent = workspace.ledger.intend(&context.run, &intent)?;
        file.publish(false)?;
        context.digests.know(&folder.join(&name), sha256);
        let holdout = HoldoutRecord {
            version: dataset.version,
            name,
            sha256,
            rows: chosen.len() as u64,
            positives: chosen.iter().filter(|i| draw.offered[**i].positive).count() as u64,
            drawn_from: draw.offered.len() as u64,
            known_rows: draw.known_rows,
            recorded: context.now(),
            former: Vec::new(),
        };
        workspace.ledger.record_holdout(&context.run, &holdout, drawn, draw.tally, intent)?;
        Ok(holdout)
    }
}

/// Writes those rows of the data set at `path` to `file` that are `chosen`, by their rising numbers
/// among those in `offered`; returns the file, to be published, and its digest.
pub(super) fn write(
    mut file: RowFile,
    reader: &RowReader,
    path: &Path,
    offered: &RowRanges,
    chosen: &[usize],
) -> Result<(NewFile, Digest)> {
    let (mut next, mut seen, mut at) = (0, 0_u64, 0_usize);
    reader.rows(path, |row| {
        if offered.has(seen) {
            if chosen.get(next) == Some(&at) {
                file.append(row)?;
                next += 1;
            }
            at += 1;
        }
        seen += 1;
        Ok(())
    })?;
    let (file, _, sha256) = file.finish()?;
    Ok((file, sha256))
}

/// `testdata_new{N}.csv` or, if that exists, `testdata_new{N}-2.csv` and so on: an existing file
/// must not stop an unattended run.
fn free_name(folder: &Path, version: DatasetVersion) -> Result<String> {
    let first = format!("testdata_new{version}.csv");
    let more = (2..MOST_NAMES).map(|n| format!("testdata_new{version}-{n}.csv"));
    for name in std::iter::once(first.clone()).chain(more) {
        let path = folder.join(&name);
        if path.symlink_metadata().is_err() {
            return Ok(name);
        }
    }
    Err(Error::conflict(format!(
        "{} exists already, and so do {MOST_NAMES} files with that number: move them away and run \
         again",
        folder.join(first).display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(rows: &[(u128, bool, Option<f64>)]) -> Draw {
        let offered = rows.iter().map(|(entity, positive, moment)| Offered {
            entity: *entity,
            positive: *positive,
            moment: *moment,
        });
        let (offered, tally) = (offered.collect(), Tally::default());
        Draw { share: 0.3, key: 42, offered, tally, start: None, known_rows: 0 }
    }

    fn by_entity(draw: &Draw, known: &[u128], held: &[u128]) -> ByEntity<Entity> {
        let mut of: ByEntity<Entity> = ByEntity::default();
        for row in &draw.offered {
            let entity = of.entry(row.entity).or_default();
            entity.positive |= row.positive;
            entity.known = known.contains(&row.entity);
            entity.held = held.contains(&row.entity);
        }
        of
    }

    #[test]
    fn all_rows_of_an_entity_are_drawn_or_none_and_the_class_is_positive_if_any_row_is() {
        // Twenty entities of three rows; of every other one the last row is positive.
        let rows: Vec<_> = (0..60).map(|i| (i / 3, i % 6 == 5, None)).collect();
        let mut all = draw(&rows);
        let of = by_entity(&all, &[], &[]);
        let chosen = all.entities(&of);
        assert_eq!(chosen.len(), 3 * (3 + 3), "ceil(0.3 x 10) of either class");
        let drawn: Vec<u128> = chosen.iter().map(|i| rows[*i].0).collect();
        assert!(drawn.chunks(3).all(|c| c.iter().all(|e| *e == c[0])), "{drawn:?}");
        let positive = drawn.iter().filter(|e| *e % 2 == 1).count();
        assert_eq!(positive, 9);
    }

    #[test]
    fn entities_that_the_live_model_does_not_know_come_first_if_there_are_enough() {
        let rows: Vec<_> = (0..20).map(|i| (i, false, None)).collect();
        let mut few = draw(&rows);
        // Ten are unknown, six are wanted.
        let of = by_entity(&few, &(0..10).collect::<Vec<_>>(), &[]);
        let chosen = few.entities(&of);
        assert!(chosen.len() == 6 && chosen.iter().all(|i| *i >= 10), "{chosen:?}");
        assert_eq!(few.known_rows, 0);
        // Five are unknown: not enough, so all are drawn from, and the known ones are counted.
        let of = by_entity(&few, &(0..15).collect::<Vec<_>>(), &[]);
        let chosen = few.entities(&of);
        assert_eq!(chosen, [0, 1, 2, 3, 4, 5], "the smallest hashes of all");
        assert_eq!(few.known_rows, 6);
    }

    #[test]
    fn entities_of_earlier_hold_outs_count_towards_the_share() {
        let rows: Vec<_> = (0..20).map(|i| (i, false, None)).collect();
        let mut again = draw(&rows);
        let of = by_entity(&again, &[], &[15, 16, 17, 18]);
        assert_eq!(again.entities(&of), [0, 1, 15, 16, 17, 18]);
        let of = by_entity(&again, &[], &(8..20).collect::<Vec<_>>());
        let chosen = again.entities(&of);
        assert_eq!(chosen, (8..20).collect::<Vec<_>>(), "nobody leaves a hold-out");
    }

    #[test]
    fn the_newest_share_is_drawn_with_ties_and_nothing_from_before_the_last_hold_out() {
        let rows: Vec<_> = (0..10).map(|i| (i, false, Some((i / 2) as f64))).collect();
        let mut newest = draw(&rows);
        assert_eq!((newest.newest(None), newest.start), (vec![6, 7, 8, 9], Some(3.0)));
        assert_eq!((newest.newest(Some(4.0)), newest.start), (vec![8, 9], Some(4.0)));
        assert_eq!((newest.newest(Some(7.0)), newest.start), (vec![], None));
        let untold: Vec<_> = (0..10).map(|i| (i, false, (i < 4).then_some(i as f64))).collect();
        assert_eq!(draw(&untold).newest(None), [2, 3], "a row that tells no time stays");
    }

    #[test]
    fn look_alikes_are_drawn_one_by_one() {
        // Two kinds of rows, a hundred of each: a draw by kinds would take one kind alone.
        let rows: Vec<_> = (0..200).map(|i| (i % 2, false, None)).collect();
        let chosen = draw(&rows).look_alikes();
        let odd = chosen.iter().filter(|i| *i % 2 == 1).count();
        assert!(chosen.len() == 60 && (15..=45).contains(&odd), "{odd} of {}", chosen.len());
    }

    #[test]
    fn a_file_in_the_way_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let name = || free_name(dir.path(), DatasetVersion(3)).unwrap();
        assert_eq!(name(), "testdata_new3.csv");
        #[expect(clippy::disallowed_methods, reason = "the scene is set with a plain file")]
        std::fs::write(dir.path().join("testdata_new3.csv"), "mine").unwrap();
        assert_eq!(name(), "testdata_new3-2.csv");
    }
}
