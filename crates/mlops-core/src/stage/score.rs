//! `scoring`: the latest model on the current test data.
//!
//! Not for comparing models: scores of different test data say nothing about each other.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::attention::Finding;
use crate::context::{Context, Report, Workspace};
use crate::dataset::{RowReader, RowSet};
use crate::digest::Digest;
use crate::ids::DatasetVersion;
use crate::ingest::discover::Candidate;
use crate::ledger::projections;
use crate::metrics::score::latest_score_text;
use crate::metrics::{ConstantBaseline, Evaluation, Interval};
use crate::model::{Model, Predictor, artifact};
use crate::store::{ARTIFACT, LATEST_SCORE, SCORE, parse, pretty};
use crate::table::Table;
use crate::testdata::{TestFile, TestFiles};
use crate::text;
use crate::{Error, Result};

/// The content of `score.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Version of this file's format.
    pub format_version: u32,
    /// SHA-256 of the model that was scored.
    pub artifact: Digest,
    /// The data set that it was trained on.
    pub trained_on: DatasetVersion,
    /// The test files, with their digests.
    pub test_files: BTreeMap<String, Digest>,
    /// Rows of them that could not be read.
    pub rejected: u64,
    /// Rows left out since the model was trained on them.
    pub left_out: u64,
    /// Rows left out since the model answers none for them: a missing value.
    pub unanswered: u64,
    /// All figures.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

impl Report for Score {
    fn findings(&self) -> Vec<Finding> {
        let e = &self.evaluation;
        if e.beats_constant {
            return Vec::new();
        }
        let class = match e.constant.f1_always {
            crate::metrics::Class::Positive => "positive",
            crate::metrics::Class::Negative => "negative",
        };
        vec![Finding::warning(format!(
            "always answering \"{class}\" has an F1 of {:.4}: the model does not beat it",
            e.constant.f1
        ))]
    }
}

/// Labels with the probabilities that a model gives, from test data.
#[derive(Debug, Clone, Default)]
pub struct Scored {
    /// Whether each row is of the positive class.
    pub labels: Vec<bool>,
    /// What the model says.
    pub probabilities: Vec<f64>,
    /// See [`Score`].
    pub rejected: u64,
    /// See [`Score`].
    pub left_out: u64,
    /// See [`Score`].
    pub unanswered: u64,
}

/// Scores the model in the output folder; writes `latestscore.txt` and `score.json`.
pub fn run(context: &Context, workspace: &mut Workspace) -> Result<Score> {
    let config = &context.config;
    let path = config.output_model.join(ARTIFACT);
    let bytes = read_artifact(&path)?;
    let model = artifact::decode(&bytes, &path.display().to_string())?;
    let (tests, scored) = predict_current(context, workspace, &model)?;
    if tests.current.is_empty() {
        return Err(Error::missing(format!(
            "there is no test data: put a labelled CSV file into {}, or change \
             \"test_data_path\" in the configuration",
            config.test_data.display()
        )));
    }
    workspace.ledger.register_test_set(context.run.as_str(), &tests.identity(), &context.now())?;
    if scored.labels.is_empty() {
        return Err(Error::data(format!(
            "the test data in {} has no row to score: {} rejected, {} trained on, {} with missing \
             values",
            config.test_data.display(),
            scored.rejected,
            scored.left_out,
            scored.unanswered
        )));
    }
    let training = model.training;
    let evaluation = Evaluation::of(&scored.labels, &scored.probabilities, training.threshold)?;
    let score = Score {
        format_version: 1,
        artifact: Digest::of(&bytes),
        trained_on: model.data.version,
        test_files: tests.identity().into_iter().collect(),
        rejected: scored.rejected,
        left_out: scored.left_out,
        unanswered: scored.unanswered,
        evaluation,
    };
    let text = pretty(&score);
    let f1 = score.evaluation.f1;
    let files: [(&str, &[u8]); 2] = [(SCORE, &text), (LATEST_SCORE, &latest_score_file(f1))];
    context.disk.write_changed(&config.output_model, &files)?;
    let json = serde_json::to_string(&score).unwrap_or_default();
    workspace.ledger.record_score(
        context.run.as_str(),
        score.artifact,
        f1,
        &json,
        &context.now(),
    )?;
    projections::write(&workspace.ledger, &context.disk, &config.output_folder)?;
    Ok(score)
}

/// The bytes of a model file, or what to do when there is none.
pub(crate) fn read_artifact(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::missing(format!("there is no model at {}: run `training` first", path.display()))
        }
        _ => Error::io("read", path, e),
    })
}

/// The bytes of `latestscore.txt`.
pub(crate) fn latest_score_file(f1: f64) -> Vec<u8> {
    (latest_score_text(f1) + "\n").into_bytes()
}

/// The F1 in a folder's `score.json`, if there is one.
pub(crate) fn f1_of(folder: &Path) -> Option<f64> {
    parse::<Score>(&folder.join(SCORE)).ok().map(|score| score.evaluation.f1)
}

/// Predicts the current test data, rows that `model` was trained on left out; with the files.
///
/// The files are read once when all of them were known at training, which their digests tell at the
/// end. Else it takes more to find out which rows the model knows.
pub fn predict_current(
    context: &Context,
    workspace: &Workspace,
    model: &Model,
) -> Result<(TestFiles, Scored)> {
    let folder = &context.config.test_data;
    let options = context.config.ingestion.without_line_limit();
    let reader = RowReader::labelled(&model.schema, &options)
        .on_threads(context.config.limits.threads)
        .without_hashes();
    let mut tests = TestFiles::default();
    let mut compared = Compared { probabilities: vec![Vec::new()], ..Compared::default() };
    for Candidate { name, path } in TestFiles::list_current(folder)? {
        let nothing_known = RowSet::default();
        let Ok(digest) = compared.add(&reader, &path, &[model], &nothing_known) else { break };
        if !model.data.test_files.contains(&digest) {
            break;
        }
        tests.current.push(TestFile { name, path, digest });
    }
    let listed = TestFiles::list_current(folder)?.len();
    if listed == 0 || tests.current.len() < listed || compared.one_class() {
        // What went wrong, if something did, comes up again and is told from there.
        let tests = TestFiles::find(folder)?;
        let compared = compare_tests(context, workspace, &[model], &[model], &tests)?;
        return Ok((tests, compared.into()));
    }
    tests.all.clone_from(&tests.current);
    Ok((tests, compared.into()))
}

impl From<Compared> for Scored {
    fn from(mut compared: Compared) -> Self {
        let probabilities = compared.probabilities.pop().unwrap_or_default();
        let Compared { labels, rejected, left_out, unanswered, .. } = compared;
        Self { labels, probabilities, rejected, left_out, unanswered }
    }
}

/// Answers of several models to the same rows.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    /// Whether each row is of the positive class.
    pub labels: Vec<bool>,
    /// For each model, what it says.
    pub probabilities: Vec<Vec<f64>>,
    /// See [`Score`].
    pub rejected: u64,
    /// Rows that one of the models was trained on.
    pub left_out: u64,
    /// Rows that one of the models has no answer for.
    pub unanswered: u64,
}

/// Predicts the current test data with several models of one schema; rows that one of `recorded`,
/// those whose training data are in the records, was trained on, or that one of `models` cannot
/// answer, are left out for all. Where the newest batch has rows of one class only, all batches
/// together are the test data.
pub fn compare_tests(
    context: &Context,
    workspace: &Workspace,
    models: &[&Model],
    recorded: &[&Model],
    tests: &TestFiles,
) -> Result<Compared> {
    let compared = compare_on(context, workspace, models, recorded, tests)?;
    match tests.all_batches().filter(|_| compared.one_class()) {
        Some(union) => compare_on(context, workspace, models, recorded, &union),
        None => Ok(compared),
    }
}

fn compare_on(
    context: &Context,
    workspace: &Workspace,
    models: &[&Model],
    recorded: &[&Model],
    tests: &TestFiles,
) -> Result<Compared> {
    let mut compared =
        Compared { probabilities: vec![Vec::new(); models.len()], ..Compared::default() };
    let Some(first) = models.first() else { return Ok(compared) };
    let options = context.config.ingestion.without_line_limit();
    let mut reader =
        RowReader::labelled(&first.schema, &options).on_threads(context.config.limits.threads);
    let mut known = RowSet::default();
    for model in recorded {
        known.extend(leaked(workspace, model, tests, &reader)?);
    }
    if known.is_empty() {
        reader = reader.without_hashes();
    }
    for TestFile { path, .. } in &tests.current {
        compared.add(&reader, path, models, &known)?;
    }
    Ok(compared)
}

/// Answers of several models to the rows of a batch.
#[derive(Default)]
struct Answers {
    labels: Vec<bool>,
    probabilities: Vec<Vec<f64>>,
    left_out: u64,
    unanswered: u64,
}

impl Answers {
    fn fill(&mut self, models: &[&Model], known: &RowSet, table: &mut Table) {
        let rows = table.len();
        if !known.is_empty() {
            let hashes = std::mem::take(&mut table.hashes);
            table.retain(|i| !known.contains(&hashes[i]));
        }
        self.left_out = (rows - table.len()) as u64;
        self.probabilities.resize_with(models.len(), Vec::new);
        for (model, probabilities) in models.iter().zip(&mut self.probabilities) {
            Predictor::new(model).probabilities(table, probabilities);
        }
        self.labels.clone_from(&table.labels);
        let lists = &mut self.probabilities;
        self.unanswered = 0;
        if lists.iter().any(|list| list.iter().any(|p| p.is_nan())) {
            let answered = |i: &usize| lists.iter().all(|list| !list[*i].is_nan());
            let answered: Vec<usize> = (0..table.len()).filter(answered).collect();
            self.unanswered = (table.len() - answered.len()) as u64;
            self.labels = answered.iter().map(|i| table.labels[*i]).collect();
            for list in lists {
                *list = answered.iter().map(|i| list[*i]).collect();
            }
        }
    }
}

impl Compared {
    /// Whether there are not rows of both classes.
    fn one_class(&self) -> bool {
        self.labels.iter().all(|l| *l) || self.labels.iter().all(|l| !*l)
    }

    /// Adds the rows of a file but those that are `known`; returns the digest of the file.
    fn add(
        &mut self,
        reader: &RowReader,
        path: &Path,
        models: &[&Model],
        known: &RowSet,
    ) -> Result<Digest> {
        let (reading, _) = reader.each(
            path,
            || (),
            |(), table, answers: &mut Answers| answers.fill(models, known, table),
            |answers| {
                self.labels.extend_from_slice(&answers.labels);
                for (all, list) in self.probabilities.iter_mut().zip(&answers.probabilities) {
                    all.extend_from_slice(list);
                }
                self.left_out += answers.left_out;
                self.unanswered += answers.unanswered;
                Ok(())
            },
        )?;
        self.rejected += reading.rejected;
        Ok(reading.digest)
    }
}

/// Rows of the current test data that `model` was trained on: none when their files were known
/// at training, for then they were held out.
fn leaked(
    workspace: &Workspace,
    model: &Model,
    tests: &TestFiles,
    reader: &RowReader,
) -> Result<RowSet> {
    let held_out = |file: &&TestFile| model.data.test_files.contains(&file.digest);
    let added: Vec<&TestFile> = tests.current.iter().filter(|f| !held_out(f)).collect();
    let mut leaked = RowSet::default();
    if added.is_empty() {
        return Ok(leaked);
    }
    let dataset = workspace.ledger.dataset(model.data.version)?;
    let Some(dataset) = dataset.filter(|d| d.sha256 == model.data.sha256) else {
        return Err(Error::missing(format!(
            "{} was added after the model was trained, and {}, which would tell whether the model \
             knows its rows, is not in the ledger: train again",
            added.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", "),
            model.data.version.file_name()
        )));
    };
    let mut candidates = RowSet::default();
    for file in added {
        reader.read(&file.path, |table| {
            candidates.extend(&table.hashes);
            Ok(())
        })?;
    }
    for file in tests.all.iter().filter(held_out) {
        reader.read(&file.path, |table| {
            for hash in &table.hashes {
                candidates.remove(hash);
            }
            Ok(())
        })?;
    }
    let reading = reader.read(dataset.location.as_path(), |table| {
        leaked.extend(table.hashes.iter().filter(|hash| candidates.contains(hash)));
        Ok(())
    })?;
    if reading.digest != dataset.sha256 {
        return Err(Error::conflict(format!(
            "{} is not what the ledger recorded: it cannot tell which test rows the model knows. \
             Restore it, or run `ingestion --rebuild` and train again",
            dataset.location.display()
        )));
    }
    Ok(leaked)
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &self.evaluation;
        let ConstantBaseline { f1, accuracy, .. } = e.constant;
        let few = e.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
        let interval = |i: &Interval| {
            let (percent, name) = (i.level * 100.0, i.method.name());
            format!("{percent:.0} % {name} interval {:.3} to {:.3}{few}", i.low, i.high)
        };
        let beside = |i: &Option<Interval>| {
            i.as_ref().map_or_else(String::new, |i| format!("  ({})", interval(i)))
        };
        let optional = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.4}"));
        for (name, value, range, constant) in [
            ("F1", e.f1, e.f1_interval, f1),
            ("accuracy", e.accuracy, e.accuracy_interval, accuracy),
        ] {
            writeln!(
                f,
                "{name} {value:.4}  ({}; best constant answer {constant:.4})",
                interval(&range)
            )?;
        }
        writeln!(f, "precision {:.4}{}", e.precision, beside(&e.precision_interval))?;
        writeln!(f, "recall {:.4}{}", e.recall, beside(&e.recall_interval))?;
        writeln!(f, "ROC AUC {}{}", optional(e.roc_auc), beside(&e.roc_auc_interval))?;
        writeln!(
            f,
            "PR AUC {}  log loss {:.4}  Brier {:.4}",
            optional(e.pr_auc),
            e.log_loss,
            e.brier
        )?;
        let m = e.confusion_matrix;
        writeln!(
            f,
            "{} test rows: {} true positives, {} false positives, {} false negatives, {} true \
             negatives",
            text::count(e.n),
            text::count(m.tp),
            text::count(m.fp),
            text::count(m.fn_),
            text::count(m.tn)
        )?;
        for (n, what) in [
            (self.rejected, "could not be read"),
            (self.left_out, "left out: the model was trained on them"),
            (self.unanswered, "left out: a value is missing"),
        ] {
            if n > 0 {
                writeln!(f, "{} {what}", text::plural(n, "test row"))?;
            }
        }
        Ok(())
    }
}
