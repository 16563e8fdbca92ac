//! Predictions of models for the test data: which files are used, and which rows a model knows.
//!
//! A test needs enough rows and enough of each class ([`Config::holdout`]); if the newest hold-out
//! has too few, earlier ones are added, then the user's own files, which is always reported. Rows
//! that a model was trained on, or whose entity it was trained on, are left out. Not for figures:
//! see `metrics`.
//!
//! [`Config::holdout`]: crate::config::Config::holdout

use std::path::{Path, PathBuf};

use crate::csv::reader::{RowReader, RowSet};
use crate::dataset::discover::SourceFile;
use crate::evaluation::entity::{Entities, Identity};
use crate::evaluation::metrics::Clusters;
use crate::evaluation::slices::Slices;
use crate::ledger::{HoldoutRecord, Segment};
use crate::model::Model;
use crate::platform::digest::Digest;
use crate::run::context::{Context, Workspace};
use crate::run::test_files::{TestFile, TestFileKind, TestFiles};
use crate::table::Table;
use crate::text;
use crate::{Error, Result};

use super::look_alikes;
use super::new_rows::{self, RowRanges};
pub use super::scored::Scored;
use super::scoring_there::{ReadThere, There};
use super::test_answers::{Answers, Look};

/// The fewest rows of either class in a test.
pub const MIN_OF_CLASS: u64 = 10;

/// Predictions of several models for the same rows.
#[derive(Debug, Clone, Default)]
pub struct ModelAnswers {
    /// Whether each row is of the positive class.
    pub labels: Vec<bool>,
    /// For each model, its probability for each row.
    pub probabilities: Vec<Vec<f64>>,
    /// The entity of each row; empty if entities were not looked at.
    entities: Vec<u128>,
    /// See [`Scored::rejected`].
    pub rejected: u64,
    /// See [`Scored::first_rejected`].
    pub first_rejected: Option<String>,
    /// Number of rows that one of the models was trained on.
    pub left_out: u64,
    /// Number of rows for which one of the models gives no prediction.
    pub unanswered: u64,
    /// The files used, in the order in which they were read.
    pub used: Vec<TestFile>,
    /// The number of rows of the newest tier, which come first.
    pub newest: Option<usize>,
    /// See [`Scored::notes`].
    pub notes: Vec<String>,
    /// See [`Scored::slices`].
    pub slices: Slices,
}

/// Predicts the test data except rows that `model` was trained on; returns the files used too.
///
/// If all files were known at training, which their digests show at the end, they are read once.
/// Otherwise more must be read to find out which rows the model knows.
pub fn predict_current(
    context: &Context,
    workspace: &Workspace,
    model: &Model,
) -> Result<(TestFiles, Scored)> {
    let holdouts = workspace.ledger.holdouts()?;
    let options = context.config.ingestion.without_line_limit();
    let reader = RowReader::labelled(&model.schema, &options)
        .on_threads(context.config.limits.threads)
        .of_sources(&context.config)
        .without_hashes();
    let listed = TestFiles::list(&context.config, &holdouts)?;
    let paths = listed.iter().flatten().map(|file| file.path.as_path());
    let models = [model];
    let look = Look::of(context, &models, model, paths);
    let mut compared = ModelAnswers::of(&look);
    let reader = if look.needs_ids() { reader.with_ids() } else { reader };
    let mut known = !listed.is_empty();
    let there = There::of(context, model, &look)?;
    'tiers: for tier in listed {
        for SourceFile { name, path, .. } in tier {
            let read = match &there {
                Some(there) if there.can_read(&path, model) => {
                    Ok(compared.add_there(there, &path)?)
                }
                _ => compared.add(&reader, &path, &look, |_, _| {}),
            };
            // An error here will recur and be reported below.
            let Some(digest) = read.ok().filter(|d| was_held_out(*d, model, &holdouts)) else {
                known = false;
                break 'tiers;
            };
            let kind = TestFileKind::of(&name, digest, &holdouts);
            // By its content the file belongs to another tier.
            if kind != TestFileKind::of_name(&name, &holdouts) {
                known = false;
                break 'tiers;
            }
            compared.used.push(TestFile { name, path, digest, kind });
        }
        if compared.tier_ends(context) {
            break;
        }
    }
    let tests = if known {
        compared.notes.extend(look.note());
        let all = compared.used.clone();
        TestFiles { current: all.clone(), all }
    } else {
        let tests = TestFiles::find(context, &holdouts)?;
        compared = compare_tests(context, workspace, &[model], &[model], &tests)?;
        TestFiles { current: compared.used.clone(), all: tests.all }
    };
    compared.say(context, &holdouts);
    compared.notes.extend(look.columns.note());
    Ok((tests, compared.into()))
}

/// Predicts the test data with several models of one schema. Rows that one of `recorded` (the
/// models whose training data are in the records) was trained on, or for which one of `models`
/// gives no prediction, are left out for all.
pub fn compare_tests(
    context: &Context,
    workspace: &Workspace,
    models: &[&Model],
    recorded: &[&Model],
    tests: &TestFiles,
) -> Result<ModelAnswers> {
    let Some(first) = models.first() else { return Ok(ModelAnswers::default()) };
    let options = context.config.ingestion.without_line_limit();
    let reader = RowReader::labelled(&first.schema, &options)
        .on_threads(context.config.limits.threads)
        .of_sources(&context.config)
        .without_hashes();
    let paths = tests.all.iter().map(|file| file.path.as_path());
    let look = Look::of(context, models, first, paths);
    let mut compared = ModelAnswers::of(&look);
    let reader = if look.needs_ids() { reader.with_ids() } else { reader };
    for tier in tests.tiers() {
        let mut known = KnownRows::default();
        for model in recorded {
            known.find(context, workspace, model, &tier, tests)?;
        }
        for file in tier {
            let leaks = known.of(&file);
            let reader = if leaks.is_some() { reader.with_ids() } else { reader };
            compared.add(&reader, &file.path, &look, |table, out| match &leaks {
                Some(Leak::All) => out.fill(true),
                Some(Leak::Some(entities, set)) => {
                    let mut hashes = Vec::new();
                    entities.of(table, &mut hashes);
                    for (out, hash) in out.iter_mut().zip(&hashes) {
                        *out = set.contains(hash);
                    }
                }
                None => {}
            })?;
            compared.used.push(file);
        }
        if compared.tier_ends(context) {
            break;
        }
    }
    compared.notes.extend(look.note());
    Ok(compared)
}

impl ModelAnswers {
    fn of(look: &Look) -> Self {
        let probabilities = vec![Vec::new(); look.models.len()];
        Self { probabilities, slices: look.columns.empty(), ..Self::default() }
    }

    /// Which rows belong to one entity, if several do.
    pub fn clusters(&self) -> Option<Clusters> {
        Clusters::of(&self.entities)
    }

    /// The number of rows of the positive class and of the other.
    fn classes(labels: &[bool]) -> (u64, u64) {
        let positives = labels.iter().filter(|label| **label).count();
        (positives as u64, (labels.len() - positives) as u64)
    }

    /// Ends a tier; returns whether the rows suffice for a test.
    fn tier_ends(&mut self, context: &Context) -> bool {
        self.newest.get_or_insert(self.labels.len());
        let (positives, negatives) = Self::classes(&self.labels);
        let enough = positives + negatives >= context.config.holdout.min_rows;
        enough && positives.min(negatives) >= MIN_OF_CLASS
    }

    /// Notes which files are used, unless it is just the newest tier, and whether the rows are too
    /// few.
    fn say(&mut self, context: &Context, holdouts: &[HoldoutRecord]) {
        let config = &context.config;
        let wanted = format!(
            "a test needs {} and {MIN_OF_CLASS} of each class",
            text::plural(config.holdout.min_rows, "row")
        );
        let rows = |labels: &[bool]| {
            let (positives, negatives) = Self::classes(labels);
            format!(
                "{} ({} positive, {} negative)",
                text::plural(positives + negatives, "row"),
                text::count(positives),
                text::count(negatives)
            )
        };
        let enough = self.tier_ends(context);
        let mut notes = Vec::new();
        if let Some(newest) = self.used.first() {
            let (of_newest, added): (Vec<_>, Vec<_>) =
                self.used.iter().partition(|f| f.kind == newest.kind);
            let names = |files: &[&TestFile]| text::names(files.iter().map(|f| &f.name));
            if !added.is_empty() {
                notes.push(format!(
                    "{} has {}, but {wanted}: the test also uses {}, {} together",
                    names(&of_newest),
                    rows(&self.labels[..self.newest.unwrap_or(self.labels.len())]),
                    names(&added),
                    rows(&self.labels)
                ));
            }
            if !enough {
                notes.push(format!(
                    "the test data have {}, but {wanted}: the scores are uncertain",
                    rows(&self.labels)
                ));
            }
        }
        self.notes.extend(notes);
        let Some(newest) = holdouts.last() else { return };
        if !self.used.iter().any(|f| f.digest == newest.sha256) {
            let path = config.test_data.join(&newest.name);
            let what = if path.is_file() { "was changed" } else { "is gone" };
            self.notes.push(format!(
                "{} {what} since it was drawn: its rows are still left out of training, but the \
                 test uses {}",
                path.display(),
                text::names(self.used.iter().map(|f| &f.name))
            ));
        }
    }

    /// Adds notes on the files used.
    pub(crate) fn said(mut self, context: &Context, workspace: &Workspace) -> Result<Self> {
        let holdouts = workspace.ledger.holdouts()?;
        self.say(context, &holdouts);
        Ok(self)
    }

    /// Adds the rows of a file except those that `leaks` marks; returns the digest of the file.
    fn add(
        &mut self,
        reader: &RowReader,
        path: &Path,
        look: &Look<'_>,
        leaks: impl Fn(&Table, &mut [bool]) + Sync,
    ) -> Result<Digest> {
        let (reading, _) = reader.each(
            path,
            || (),
            |(), table, answers: &mut Answers| answers.fill(look, table, &leaks),
            |answers| {
                self.append(answers);
                Ok(())
            },
        )?;
        self.rejected += reading.rejected;
        if let (None, Some(first)) = (&self.first_rejected, reading.examples.first()) {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            self.first_rejected = Some(format!("{}, {first}", text::visible(&name)));
        }
        Ok(reading.digest)
    }

    /// [`Self::add`] by an engine.
    fn add_there(&mut self, there: &There, path: &Path) -> Result<Digest> {
        let ReadThere { digest, rejected } = there.read(path, |answers| self.append(answers))?;
        self.rejected += rejected;
        Ok(digest)
    }

    /// Adds the answers for the rows that follow.
    fn append(&mut self, answers: &Answers) {
        self.labels.extend_from_slice(&answers.labels);
        self.entities.extend_from_slice(&answers.entities);
        for (all, list) in self.probabilities.iter_mut().zip(&answers.probabilities) {
            all.extend_from_slice(list);
        }
        for (j, values) in answers.slices.iter().enumerate() {
            self.slices.push(j, values.iter());
        }
        self.left_out += answers.left_out;
        self.unanswered += answers.unanswered;
    }
}

/// Whether the test file with this digest was held out from `model`, perhaps before people were erased from it.
fn was_held_out(digest: Digest, model: &Model, holdouts: &[HoldoutRecord]) -> bool {
    let files = &model.data.test_files;
    let holdout = holdouts.iter().find(|holdout| holdout.sha256 == digest);
    holdout.map_or_else(|| files.contains(&digest), |holdout| holdout.is_among(files))
}

/// What models know of test files that were not held out from them.
#[derive(Default)]
struct KnownRows {
    /// Known entities, for the user's files.
    entities: Option<(Entities, RowSet)>,
    /// Known rows, for hold-outs, whose entities may well have known earlier rows.
    rows: Option<(Entities, RowSet)>,
    /// Known whole files.
    contents: Vec<Digest>,
}

/// Which rows of a file a model knows.
enum Leak<'a> {
    All,
    Some(&'a Entities, &'a RowSet),
}

impl KnownRows {
    /// What is known of `file`.
    fn of(&self, file: &TestFile) -> Option<Leak<'_>> {
        if self.contents.contains(&file.digest) {
            return Some(Leak::All);
        }
        let known = match file.kind {
            TestFileKind::HoldOut(_) => &self.rows,
            TestFileKind::Own | TestFileKind::Named(_) => &self.entities,
        };
        let (entities, set) = known.as_ref().filter(|(_, set)| !set.is_empty())?;
        Some(Leak::Some(entities, set))
    }

    /// Adds what `model` knows of `tier`; nothing if the files were known at training, since they
    /// were held out then.
    fn find(
        &mut self,
        context: &Context,
        workspace: &Workspace,
        model: &Model,
        tier: &[TestFile],
        tests: &TestFiles,
    ) -> Result<()> {
        let holdouts = workspace.ledger.holdouts()?;
        let held_out = |file: &&TestFile| was_held_out(file.digest, model, &holdouts);
        let added: Vec<&TestFile> = tier.iter().filter(|f| !held_out(f)).collect();
        if added.is_empty() {
            return Ok(());
        }
        let source = Source::of(workspace, model, &added)?;
        let identity = Identity::of(&context.config.holdout, &model.schema);
        if !identity.tells() {
            // A row that looks like a training row proves nothing.
            let (whole, others): (Vec<&TestFile>, Vec<&TestFile>) =
                added.iter().partition(|f| source.contents.contains(&f.digest));
            self.contents.extend(whole.iter().map(|f| f.digest));
            return self.look_alikes(context, workspace, model, &source, &others);
        }
        let key = workspace.ledger.known_holdout_key()?.unwrap_or(context.config.training.seed);
        let (holdouts, own): (Vec<&TestFile>, Vec<&TestFile>) =
            added.iter().partition(|f| matches!(f.kind, TestFileKind::HoldOut(_)));
        let spared: Vec<&TestFile> = tests.all.iter().filter(held_out).collect();
        for (files, identity, known) in
            [(own, &identity, &mut self.entities), (holdouts, &Identity::Rows, &mut self.rows)]
        {
            let Some(entities) = identity.hasher(&model.schema, key) else { continue };
            if files.is_empty() {
                continue;
            }
            let (_, set) = known.get_or_insert_with(|| (entities.clone(), RowSet::default()));
            source.find(context, workspace, model, &entities, &files, &spared, set)?;
        }
        Ok(())
    }

    /// Adds what `files` have in common with the rows of `model`, where that is no accident.
    fn look_alikes(
        &mut self,
        context: &Context,
        workspace: &Workspace,
        model: &Model,
        source: &Source,
        files: &[&TestFile],
    ) -> Result<()> {
        let own: Vec<&TestFile> =
            files.iter().copied().filter(|f| !matches!(f.kind, TestFileKind::HoldOut(_))).collect();
        let key = workspace.ledger.known_holdout_key()?.unwrap_or(context.config.training.seed);
        let Some(entities) = Identity::LookAlikes.hasher(&model.schema, key) else { return Ok(()) };
        if own.is_empty() {
            return Ok(());
        }
        let (path, rows) = (&source.path, source.rows.as_ref());
        for overlap in look_alikes::overlaps(context, &model.schema, key, &own, path, rows)? {
            if overlap.is_no_accident() {
                let (_, set) =
                    self.entities.get_or_insert_with(|| (entities.clone(), RowSet::default()));
                set.extend(overlap.members.0.keys());
            }
        }
        Ok(())
    }
}

/// Where the training rows of a model are.
struct Source {
    path: PathBuf,
    /// The rows of the file; `None` for all of them.
    rows: Option<RowRanges>,
    /// The digest of the file, if it is to be checked.
    sha256: Option<Digest>,
    /// The contents that they came from.
    contents: Vec<Digest>,
}

impl Source {
    /// The data set of `model` or, if that is gone, its rows in the newest one.
    fn of(workspace: &Workspace, model: &Model, added: &[&TestFile]) -> Result<Self> {
        let ledger = &workspace.ledger;
        let version = model.data.version;
        let dataset = ledger.dataset(version)?.filter(|d| d.content == model.data.sha256);
        let Some(dataset) = dataset else {
            return Err(unknown(&version.file_name(), added, "is not in the ledger"));
        };
        let window = model.window.as_ref().filter(|window| !window.places.is_empty());
        let window = window.map(|window| RowRanges::at(&window.places));
        let taken = |s: &&Segment| {
            window.as_ref().is_none_or(|rows| rows.meets(&(s.first_row..s.first_row + s.rows)))
        };
        let contents = ledger.segments(version)?.iter().filter(taken).map(|s| s.sha256).collect();
        let path = dataset.location.as_path().to_owned();
        if path.is_file() {
            return Ok(Self { path, rows: window, sha256: Some(dataset.sha256), contents });
        }
        let newest = ledger.latest_dataset()?.filter(|d| d.location.is_file());
        let Some(newest) = newest.filter(|d| d.version > version) else {
            return Err(unknown(&dataset.name(), added, "is gone"));
        };
        let rows = Some(new_rows::trained_on(workspace, model, &newest, version)?);
        Ok(Self { path: newest.location.as_path().to_owned(), rows, sha256: None, contents })
    }

    /// Adds to `set` the members of `files` that were trained on; `spared` files were held out.
    #[expect(clippy::too_many_arguments, reason = "one call, all of it needed")]
    fn find(
        &self,
        context: &Context,
        workspace: &Workspace,
        model: &Model,
        entities: &Entities,
        files: &[&TestFile],
        spared: &[&TestFile],
        set: &mut RowSet,
    ) -> Result<()> {
        let options = context.config.ingestion.without_line_limit();
        let reader = RowReader::labelled(&model.schema, &options)
            .on_threads(context.config.limits.threads)
            .of_sources(&context.config)
            .without_hashes()
            .with_ids();
        let mut candidates = RowSet::default();
        let mut hashes = Vec::new();
        for file in files {
            reader.read(&file.path, |table| {
                entities.of(table, &mut hashes);
                candidates.extend(&hashes);
                Ok(())
            })?;
        }
        for file in spared {
            reader.read(&file.path, |table| {
                entities.of(table, &mut hashes);
                for hash in &hashes {
                    candidates.remove(hash);
                }
                Ok(())
            })?;
        }
        // Hold-outs whose files are gone were held out as well.
        for holdout in workspace.ledger.holdouts()? {
            if holdout.is_among(&model.data.test_files)
                && let Some(drawn) = workspace.ledger.drawn(holdout.version)?
            {
                for hash in drawn.members.0.keys() {
                    candidates.remove(hash);
                }
            }
        }
        let mut seen = 0;
        let reading = reader.read(&self.path, |table| {
            let range = seen..seen + table.len() as u64;
            seen = range.end;
            if self.rows.as_ref().is_none_or(|rows| rows.meets(&range)) {
                entities.of(table, &mut hashes);
                let trained = |i: u64| self.rows.as_ref().is_none_or(|rows| rows.has(i));
                let known =
                    hashes.iter().zip(range).filter(|(h, i)| candidates.contains(h) && trained(*i));
                set.extend(known.map(|(hash, _)| *hash));
            }
            Ok(())
        })?;
        if self.sha256.is_some_and(|sha256| sha256 != reading.digest) {
            return Err(Error::conflict(format!(
                "{} is not what the ledger recorded: it cannot tell which test rows the model \
                 knows. Restore it, or run `ingestion --rebuild` and train again",
                self.path.display()
            )));
        }
        Ok(())
    }
}

fn unknown(data: &str, added: &[&TestFile], why: &str) -> Error {
    Error::missing(format!(
        "{} {} added after the model was trained, and {}, which would tell whether the model \
         knows {} rows, {why}: train again",
        text::names(added.iter().map(|f| &f.name)),
        if added.len() == 1 { "was" } else { "were" },
        text::name(data),
        if added.len() == 1 { "its" } else { "their" }
    ))
}
