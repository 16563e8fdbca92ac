//! The rows of a data set that no model is trained on: those of hold-outs and of test files.
//!
//! Hold-outs are known from the ledger, whether their files exist or not. If rows have an identity,
//! all rows of an entity that is in any of them are left out, later ones too. If they have none, a
//! hold-out removes as many equal rows as were drawn. A test file removes the rows that came from that
//! very file or, if it was cut from others, as many as equal its own ([`super::look_alikes`]): a single
//! row that looks alike proves nothing. Not for drawing hold-outs: see [`super::holdout`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::csv::reader::RowReader;
use crate::dataset::dedup::SeenRows;
use crate::evaluation::entity::{Entities, Identity, Members};
use crate::evaluation::moment::MomentColumn;
use crate::ledger::{DatasetRecord, Drawn, HoldoutRecord};
use crate::platform::digest::Digest;
use crate::run::context::{Context, Workspace};
use crate::run::test_files::{TestFile, TestFileKind, TestFiles};
use crate::table::Table;
use crate::table::schema::Schema;
use crate::{Error, Result};

use super::look_alikes;
use super::new_rows::RowRanges;

/// Rows that are left out wherever they are.
#[derive(Debug, Default)]
pub(crate) struct HeldOut {
    /// Entities, by each identity under which they were recorded.
    entities: Vec<(Entities, SeenRows)>,
    /// Rows from this moment on are left out.
    start: Option<(MomentColumn, f64)>,
    /// Digests of the test files and hold-outs that the model is not trained on, for its record.
    pub(crate) digests: Vec<Digest>,
    /// Notes for the report.
    pub(crate) notes: Vec<String>,
    /// What other machines must know of it, if there are any.
    told: HeldOutText,
}

/// The rows that are left out wherever they are, for another machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct HeldOutText {
    key: u64,
    /// The hashes of entities, 16 bytes each, in the order in which they were found.
    entities: Vec<(Identity, String)>,
    start: Option<(String, f64)>,
}

/// Rows that are left out by number or by position, which requires reading the file in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeftOutRows {
    /// Only these rows are taken; `None` for all.
    window: Option<RowRanges>,
    copies: Option<(Entities, Members)>,
    contents: RowRanges,
    seen: u64,
    hashes: Vec<u128>,
}

/// Determines what to leave out of `dataset` before a model is trained on it.
pub(crate) fn held_out(
    context: &Context,
    workspace: &mut Workspace,
    schema: &Schema,
    dataset: &DatasetRecord,
    tests: &TestFiles,
) -> Result<(HeldOut, LeftOutRows)> {
    let config = &context.config;
    let key = workspace.ledger.holdout_key()?;
    let identity = Identity::of(&config.holdout, schema);
    let mut held =
        HeldOut { digests: tests.all.iter().map(|f| f.digest).collect(), ..HeldOut::default() };
    let mut in_order = LeftOutRows::default();
    let mut gathered = Gathered { context, schema, key, found: Vec::new() };
    let mut by_content: Vec<&TestFile> = Vec::new();
    let mut copies = Members::default();

    let holdouts = workspace.ledger.holdouts()?;
    for holdout in &holdouts {
        let file = tests.all.iter().find(|f| f.digest == holdout.sha256);
        let Some(drawn) = drawn(&gathered, workspace, holdout, &identity, file)? else {
            held.notes.push(format!(
                "{}, a hold-out that an earlier version of this program drew, is not in {}: put it \
                 back: without it, its rows cannot be left out of the training data",
                holdout.name,
                config.test_data.display()
            ));
            continue;
        };
        if !held.digests.contains(&holdout.sha256) {
            held.digests.push(holdout.sha256);
        }
        if drawn.identity == Identity::LookAlikes {
            for (row, times) in &drawn.members.0 {
                *copies.0.entry(*row).or_default() += times;
            }
        } else if !gathered.take(&drawn) {
            held.notes.push(format!(
                "{} was drawn by columns that the schema no longer has: its rows are left out only \
                 as far as its file has them",
                holdout.name
            ));
        }
        // An entity by today's identity that was drawn under another one.
        if let Some(file) = file.filter(|_| drawn.identity != identity && identity.tells()) {
            gathered.read(file, &identity)?;
        }
        let moments = config.holdout.time.as_ref().and_then(|name| MomentColumn::of(schema, name));
        if let (Some(moments), Some(start)) = (moments, drawn.start) {
            held.start = Some((moments, start));
            held.told.start = config.holdout.time.clone().zip(Some(start));
        }
    }
    for file in tests.all.iter().filter(|f| !holdouts.iter().any(|h| h.sha256 == f.digest)) {
        match (identity.tells(), file.kind) {
            (true, _) => gathered.read(file, &identity)?,
            // Named like a hold-out: drawn by records that are lost, or edited.
            (false, TestFileKind::Named(_)) => gathered.count(file, &mut copies)?,
            (false, _) => by_content.push(file),
        }
    }
    if !by_content.is_empty() {
        let segments = workspace.ledger.segments(dataset.version)?;
        let digests: Vec<Digest> = by_content.iter().map(|f| f.digest).collect();
        in_order.contents = RowRanges::of(&segments, |s| digests.contains(&s.sha256));
        by_content.retain(|f| !segments.iter().any(|s| s.sha256 == f.digest));
        let path = dataset.location.as_path();
        let overlaps = look_alikes::overlaps(context, schema, key, &by_content, path, None)?;
        for (file, overlap) in by_content.iter().zip(overlaps) {
            held.notes.extend(overlap.note(&file.name));
            if overlap.is_no_accident() {
                for (row, times) in overlap.members.0 {
                    *copies.0.entry(row).or_default() += times;
                }
            }
        }
    }
    if !copies.0.is_empty() {
        in_order.copies = Identity::LookAlikes.hasher(schema, key).map(|found| (found, copies));
    }
    held.told.key = key;
    for (identity, entities, hashes) in
        gathered.found.into_iter().filter(|(.., found)| !found.is_empty())
    {
        if context.engine.is_some() {
            let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
            held.told.entities.push((identity, STANDARD.encode(bytes)));
        }
        held.entities.push((entities, SeenRows::from_hashes(&hashes)?));
    }
    Ok((held, in_order))
}

/// The members of `holdout` as recorded or, if an earlier version of this program drew it, from its
/// file; the record is then completed.
fn drawn(
    gathered: &Gathered,
    workspace: &mut Workspace,
    holdout: &HoldoutRecord,
    identity: &Identity,
    file: Option<&TestFile>,
) -> Result<Option<Drawn>> {
    let recorded = workspace.ledger.drawn(holdout.version)?;
    let (None, Some(file)) = (&recorded, file) else { return Ok(recorded) };
    let mut members = Members::default();
    gathered.each(file, identity, |hashes| hashes.iter().for_each(|hash| members.add(*hash)))?;
    let drawn = Drawn { identity: identity.clone(), members, start: None };
    workspace.ledger.complete_holdout(holdout.version, &drawn)?;
    Ok(Some(drawn))
}

/// Collects entities.
struct Gathered<'a> {
    context: &'a Context,
    schema: &'a Schema,
    key: u64,
    found: Vec<(Identity, Entities, Vec<u128>)>,
}

impl Gathered<'_> {
    /// The entities by `identity`; `None` if the schema lacks the identifying columns.
    fn by(&mut self, identity: &Identity) -> Option<&mut Vec<u128>> {
        let known = self.found.iter().position(|(known, ..)| known == identity);
        let at = if let Some(at) = known {
            at
        } else {
            let entities = identity.hasher(self.schema, self.key)?;
            self.found.push((identity.clone(), entities, Vec::new()));
            self.found.len() - 1
        };
        self.found.get_mut(at).map(|(.., found)| found)
    }

    /// Adds the members of a hold-out; returns false if the schema lacks the identifying columns.
    fn take(&mut self, drawn: &Drawn) -> bool {
        let found = self.by(&drawn.identity);
        found.map(|found| found.extend(drawn.members.0.keys())).is_some()
    }

    /// Adds the entities of a file.
    fn read(&mut self, file: &TestFile, identity: &Identity) -> Result<()> {
        let mut hashes = Vec::new();
        self.each(file, identity, |batch| hashes.extend_from_slice(batch))?;
        if let Some(found) = self.by(identity) {
            found.append(&mut hashes);
        }
        Ok(())
    }

    /// Adds the rows of a hold-out of rows without identity.
    fn count(&self, file: &TestFile, copies: &mut Members) -> Result<()> {
        self.each(file, &Identity::LookAlikes, |hashes| {
            for hash in hashes {
                copies.add(*hash);
            }
        })
    }

    /// Passes the entities of the rows of `file` to `take`, a batch at a time, in order.
    fn each(
        &self,
        file: &TestFile,
        identity: &Identity,
        mut take: impl FnMut(&[u128]),
    ) -> Result<()> {
        let Some(entities) = identity.hasher(self.schema, self.key) else { return Ok(()) };
        let config = &self.context.config;
        let options = config.ingestion.without_line_limit();
        let reader =
            RowReader::entities(self.schema, &options, config.limits.threads).of_sources(config);
        reader.each(
            &file.path,
            || (),
            |(), table, hashes: &mut Vec<u128>| entities.of(table, hashes),
            |hashes| {
                take(hashes);
                Ok(())
            },
        )?;
        Ok(())
    }
}

impl HeldOutText {
    /// What it stands for among rows of `schema`.
    pub(crate) fn read(&self, schema: &Schema) -> Result<HeldOut> {
        let wrong = || Error::backend("ballista", "the rows to leave out were sent wrongly");
        let mut held = HeldOut::default();
        for (identity, text) in &self.entities {
            let entities = identity.hasher(schema, self.key).ok_or_else(wrong)?;
            let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
            let hashes = bytes.as_chunks::<16>().0.iter().map(|hash| u128::from_le_bytes(*hash));
            let hashes: Vec<u128> = hashes.collect();
            held.entities.push((entities, SeenRows::from_hashes(&hashes)?));
        }
        if let Some((name, start)) = &self.start {
            held.start = Some((MomentColumn::of(schema, name).ok_or_else(wrong)?, *start));
        }
        Ok(held)
    }
}

impl HeldOut {
    /// What another machine must know of it; complete only where there is an engine.
    pub(crate) fn told(&self) -> &HeldOutText {
        &self.told
    }

    /// Whether no row is left out by its content.
    pub(crate) fn is_empty(&self) -> bool {
        self.entities.is_empty() && self.start.is_none()
    }

    /// Removes the rows to leave out from `table`, which must have been read with ids, and the ids
    /// too: they are not used for training. Returns which rows it removed; nothing if there is none to
    /// look for.
    pub(crate) fn leave_out(&self, table: &mut Table) -> Vec<bool> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut out = vec![false; table.len()];
        let mut hashes = Vec::with_capacity(table.len());
        for (entities, set) in &self.entities {
            entities.of(table, &mut hashes);
            set.mark(&hashes, &mut out);
        }
        if let Some((moments, start)) = &self.start {
            for (i, out) in out.iter_mut().enumerate() {
                *out |= moments.at(table, i).is_some_and(|at| at >= *start);
            }
        }
        table.forget_ids();
        table.retain(|i| !out[i]);
        out
    }
}

impl LeftOutRows {
    /// Also leaves out all rows that are not in `window`. They do not count as copies of test rows, so that
    /// no row in the window that may be one stays.
    pub(crate) fn within(self, window: Option<&RowRanges>) -> Self {
        Self { window: window.cloned(), ..self }
    }

    /// Whether no row is left out by number or position.
    pub(crate) fn is_empty(&self) -> bool {
        self.window.is_none() && self.copies.is_none() && self.contents.len() == 0
    }

    /// Removes the rows to leave out from `table`, the next batch of the file. Returns the places of the
    /// others in the file, and how many rows are not in the window.
    pub(crate) fn leave_out(&mut self, table: &mut Table) -> (Vec<u64>, u64) {
        let Self { window, copies, contents, seen, hashes } = self;
        let first = *seen;
        *seen += table.len() as u64;
        let mut out = vec![false; table.len()];
        if let Some(window) = window {
            for (out, i) in out.iter_mut().zip(first..) {
                *out = !window.has(i);
            }
        }
        let outside = out.iter().filter(|out| **out).count() as u64;
        for (out, i) in out.iter_mut().zip(first..) {
            *out |= contents.has(i);
        }
        if let Some((entities, members)) = copies {
            entities.of(table, hashes);
            for (out, hash) in out.iter_mut().zip(hashes).filter(|(out, _)| !**out) {
                if let Some(left) = members.0.get_mut(hash).filter(|left| **left > 0) {
                    *left -= 1;
                    *out = true;
                }
            }
        }
        table.retain(|i| !out[i]);
        let kept = (first..).zip(&out).filter(|(_, out)| !**out).map(|(i, _)| i).collect();
        (kept, outside)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::platform::clock::SteppingClock;
    use crate::platform::disk::Disk;
    use crate::stage::{holdout, ingest, train};

    #[test]
    fn a_hold_out_of_an_earlier_format_is_completed_from_its_file_once_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let config = r#"{
            "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
            "output_model_path": "model", "prod_deployment_path": "live",
            "schema": {"id": ["id"], "numeric": ["x"], "target": "y"}
        }"#;
        fs::write(path("config.json"), config).unwrap();
        fs::create_dir(path("in")).unwrap();
        fs::create_dir(path("test")).unwrap();
        let row = |i| format!("c{i},{},{}\n", i * 37 % 101, u8::from(i * 37 % 101 > 50));
        let rows = (0..200).map(row).collect::<String>();
        fs::write(path("in/a.csv"), "id,x,y\n".to_owned() + &rows).unwrap();

        let config = Config::load(&path("config.json")).unwrap();
        let clock = Arc::new(SteppingClock::starting_at(2_000_000_000));
        let context = Context::new(config, clock, Disk::default(), "test");
        let mut workspace = context.open("test").unwrap();
        let options = ingest::Options::default();
        ingest::run(&context, &mut workspace, context.config.input(), options).unwrap();
        let held = holdout::first(&context, &mut workspace).unwrap().unwrap();
        assert!(held.rows >= 60, "{held:?}");
        workspace.ledger.forget_drawn().unwrap();

        let file = path("test").join(&held.name);
        fs::rename(&file, path("away.csv")).unwrap();
        let trained = train::run(&context, &mut workspace).unwrap();
        let said = |n: &String| n.contains(&held.name) && n.contains("put it back");
        assert!(trained.notes.iter().any(said), "{:?}", trained.notes);
        assert_eq!(trained.data.held_out, 0, "nobody knows who was drawn");
        // Back under another name; from then on the records know.
        fs::rename(path("away.csv"), path("test/back.csv")).unwrap();
        assert_eq!(train::run(&context, &mut workspace).unwrap().data.held_out, held.rows);
        let drawn = workspace.ledger.drawn(held.version).unwrap().unwrap();
        assert_eq!(drawn.members.0.len() as u64, held.rows);
        fs::remove_file(path("test/back.csv")).unwrap();
        let trained = train::run(&context, &mut workspace).unwrap();
        assert_eq!(trained.data.held_out, held.rows);
        assert!(!trained.notes.iter().any(said), "{:?}", trained.notes);
    }
}
