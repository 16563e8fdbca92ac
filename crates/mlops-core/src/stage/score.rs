//! `scoring`: scores the latest model on the current test data.
//!
//! Not for comparing models: scores on different test data are not comparable.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::dataset::discover;
use crate::evaluation::metrics::score::latest_score_text;
use crate::evaluation::metrics::{ConstantBaseline, Evaluation, Interval, Ranking};
use crate::evaluation::slices::SliceScore;
use crate::ids::{DatasetVersion, FindingKind};
use crate::ledger::{Counts, ThresholdCounts, projections};
use crate::model::{Model, artifact};
use crate::platform::digest::Digest;
use crate::platform::files;
use crate::release::{ARTIFACT, LATEST_SCORE, SCORE, parse, pretty};
use crate::run::attention::Finding;
use crate::run::context::{Context, Report, Workspace};
use crate::run::lineage::{Dataset, Lineage};
use crate::run::test_files::TestFiles;
use crate::text;
use crate::{Error, Result};

pub use super::tested::{Scored, compare_tests, predict_current};

/// The most thresholds whose counts are recorded with a score: about one for each pixel of a picture.
const THRESHOLDS: usize = 400;

/// The content of `score.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Score {
    /// Version of this file's format.
    pub format_version: u32,
    /// SHA-256 of the model that was scored.
    pub artifact: Digest,
    /// The data set that it was trained on.
    pub trained_on: DatasetVersion,
    /// The test files, with their digests.
    pub test_files: BTreeMap<String, Digest>,
    /// Number of test rows that could not be read.
    pub rejected: u64,
    /// Which row was the first of these, and why; not recorded.
    #[serde(skip)]
    pub first_rejected: Option<String>,
    /// Number of rows left out because the model was trained on them.
    pub left_out: u64,
    /// Number of rows left out because the model gives no prediction: a missing value.
    pub unanswered: u64,
    /// Notes on the choice of rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// All figures.
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// The figures of parts of the rows, by the columns of `schema.slice`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<SliceScore>,
}

impl Report for Score {
    fn findings(&self) -> Vec<Finding> {
        let e = &self.evaluation;
        let rejected = (self.rejected, self.first_rejected.as_deref());
        let partial = super::scored::partial(e.n, rejected, self.left_out, self.unanswered);
        let mut findings: Vec<_> = partial
            .map(|words| Finding::warning(FindingKind::FewRows, words))
            .into_iter()
            .collect();
        if e.beats_constant {
            return findings;
        }
        let class = match e.constant.f1_always {
            crate::evaluation::metrics::Class::Positive => "positive",
            crate::evaluation::metrics::Class::Negative => "negative",
        };
        findings.push(Finding::warning(
            FindingKind::CandidateBelowConstant,
            format!(
                "always answering \"{class}\" has an F1 of {:.4}: the model does not beat it",
                e.constant.f1
            ),
        ));
        findings
    }

    fn lineage(&self, config: &Config) -> Lineage {
        let tests = self.test_files.iter().map(|(name, digest)| Dataset {
            path: config.test_data.join(name).display().to_string(),
            sha256: Some(*digest),
            table: true,
            ..Dataset::default()
        });
        let score = config.output_model.join("score.json").display().to_string();
        let score = Dataset { path: score, ..Dataset::default() };
        Lineage { inputs: tests.collect(), outputs: vec![score] }
    }
}

/// A score with the model and the predictions that it is based on.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct Scoring {
    /// The score.
    pub score: Score,
    /// The digest of the model file.
    #[serde(skip)]
    pub(super) file: Vec<u8>,
    /// The test files.
    #[serde(skip)]
    pub tests: TestFiles,
    /// The model's predictions for their rows.
    #[serde(skip)]
    pub answers: Scored,
}

impl Report for Scoring {
    fn findings(&self) -> Vec<Finding> {
        self.score.findings()
    }

    fn lineage(&self, config: &Config) -> Lineage {
        self.score.lineage(config)
    }
}

impl fmt::Display for Scoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.score.fmt(f)
    }
}

/// Scores the model in the output folder; writes `latestscore.txt` and `score.json`.
pub fn run(context: &Context, workspace: &mut Workspace) -> Result<Score> {
    let path = context.config.output_model.join(ARTIFACT);
    let bytes = read_artifact(&path)?;
    let model = artifact::decode(&bytes, &path.display().to_string())?;
    super::ingest::check_meaning(context, workspace)?;
    of(context, workspace, &model, Digest::of(&bytes)).map(|scoring| scoring.score)
}

/// Scores `model`, which was just made and whose file has the digest `artifact`, like [`run`].
pub fn of(
    context: &Context,
    workspace: &mut Workspace,
    model: &Model,
    artifact: Digest,
) -> Result<Scoring> {
    let config = &context.config;
    let (tests, scored) = predict_current(context, workspace, model)?;
    if tests.current.is_empty() {
        return Err(Error::missing(format!(
            "there is no test data: put a file of labelled rows into {}, or change \
             \"test_data_path\" in the configuration",
            config.test_data.display()
        )));
    }
    workspace.ledger.register_test_set(&context.run, &tests.identity(), &context.now())?;
    if scored.labels.is_empty() {
        return Err(Error::data(format!(
            "the test data in {} has no row to score: {} rejected{}, {} trained on, {} with missing \
             values",
            config.test_data.display(),
            scored.rejected,
            scored
                .first_rejected
                .as_ref()
                .map_or_else(String::new, |first| { format!(" (the first is {first})") }),
            scored.left_out,
            scored.unanswered
        )));
    }
    let mut notes = scored.notes.clone();
    notes.extend(passed_over(config)?);
    let training = model.training;
    let (evaluation, ranking) = Evaluation::ranked(
        &scored.labels,
        &scored.probabilities,
        training.threshold,
        scored.clusters.as_ref(),
    )?;
    let thresholds = thresholds(&ranking, training.threshold);
    drop(ranking);
    let slices = scored.slices.scores(
        &scored.labels,
        &scored.probabilities,
        training.threshold,
        scored.clusters.as_ref(),
    )?;
    let score = Score {
        format_version: 1,
        artifact,
        trained_on: model.data.version,
        test_files: tests.identity().into_iter().collect(),
        rejected: scored.rejected,
        first_rejected: scored.first_rejected.clone(),
        left_out: scored.left_out,
        unanswered: scored.unanswered,
        notes,
        evaluation,
        slices,
    };
    let file = pretty(&score)?;
    let f1 = score.evaluation.f1;
    let files: [(&str, &[u8]); 2] = [(SCORE, &file), (LATEST_SCORE, &latest_score_file(f1))];
    context.disk.write_changed(&config.output_model, &files)?;
    let json = serde_json::to_string(&score).map_err(|e| Error::backend("JSON", e))?;
    let (ledger, now) = (&mut workspace.ledger, context.now());
    ledger.record_score(&context.run, score.artifact, (f1, &json), &thresholds, &now)?;
    projections::write(&workspace.ledger, &context.disk, &config.output_folder)?;
    Ok(Scoring { score, file, tests, answers: scored })
}

/// The counts at other thresholds, and at the one `in_use`.
fn thresholds(ranking: &Ranking, in_use: f64) -> ThresholdCounts {
    let points = ranking.thresholds(THRESHOLDS).into_iter();
    let mut at: Vec<Counts> = points.map(|(at, tp, fp)| Counts(at, tp, fp)).collect();
    let used = ranking.at(in_use);
    if !at.is_empty() && at.iter().all(|point| point.0.to_bits() != in_use.to_bits()) {
        let place = at.partition_point(|point| point.0 > in_use);
        at.insert(place, Counts(in_use, used.tp, used.fp));
    }
    ThresholdCounts { positives: used.positives(), negatives: used.negatives(), at }
}

/// A note on entries of the test folder that are not used; hidden files are ignored.
fn passed_over(config: &Config) -> Result<Option<String>> {
    let mut ignored = Vec::new();
    if config.test_data.is_dir() {
        ignored = discover::list(config.tests())?.ignored;
        ignored.retain(|file| !file.name.starts_with('.'));
    }
    ignored.extend(TestFiles::links_to_nothing(config)?);
    Ok(TestFiles::passed_over(&ignored))
}

/// The bytes of a model file, or an error that says what to do if there is none.
pub(crate) fn read_artifact(path: &Path) -> Result<Vec<u8>> {
    files::read(path).map_err(|e| match e.kind() {
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

/// A short block with the figures that have no line of their own: values with their 95 % intervals.
fn further(e: &Evaluation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let figure = |name: &str, value: Option<f64>, range: Option<Interval>| {
        let value = value?;
        let range = range.map_or_else(String::new, |i| format!(" ({:.3} to {:.3})", i.low, i.high));
        Some(format!("{name} {value:.4}{range}"))
    };
    let top = e.top_decile.as_ref();
    let calibration = e.calibration.as_ref();
    let unknown =
        calibration.and_then(|c| c.unfitted).map(|why| format!("unknown: {}", why.words()));
    let lines: [(&str, Vec<Option<String>>); 3] = [
        (
            "",
            vec![
                figure("specificity", e.specificity, e.specificity_interval),
                figure("balanced accuracy", e.balanced_accuracy, e.balanced_accuracy_interval),
                figure("MCC", e.mcc, e.mcc_interval),
            ],
        ),
        (
            "",
            vec![
                figure("Gini", e.gini, e.gini_interval),
                figure("KS", e.ks, e.ks_interval),
                figure("top decile: lift", top.map(|t| t.lift), top.map(|t| t.lift_interval)),
                figure("precision", top.map(|t| t.precision), top.map(|t| t.precision_interval)),
            ],
        ),
        (
            "calibration: ",
            calibration.map_or_else(Vec::new, |c| {
                vec![
                    unknown,
                    figure("slope", c.slope, c.slope_interval),
                    figure("intercept", c.intercept, c.intercept_interval),
                    figure("Spiegelhalter's z", c.spiegelhalter_z, None),
                    c.spiegelhalter_p.map(|p| format!("p {}", text::p_value(p))),
                ]
            }),
        ),
    ];
    for (before, figures) in lines {
        let known: Vec<String> = figures.into_iter().flatten().collect();
        if !known.is_empty() {
            writeln!(f, "{before}{}", known.join("  "))?;
        }
    }
    Ok(())
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
            "average precision {}  log loss {:.4}  Brier {:.4}",
            optional(e.pr_auc),
            e.log_loss,
            e.brier
        )?;
        further(e, f)?;
        let of_entities = e.entities.map_or_else(String::new, |entities| {
            let noun = if entities == 1 { "entity" } else { "entities" };
            format!(" of {} {noun}, which the intervals take into account", text::count(entities))
        });
        let m = e.confusion_matrix;
        writeln!(
            f,
            "{}{}: {}, {}, {}, {}",
            text::plural(e.n, "test row"),
            of_entities,
            text::plural(m.tp, "true positive"),
            text::plural(m.fp, "false positive"),
            text::plural(m.fn_, "false negative"),
            text::plural(m.tn, "true negative")
        )?;
        for (n, what) in [
            (self.rejected, "could not be read"),
            (self.left_out, "left out: the model was trained on them or on their entity"),
            (self.unanswered, "left out: a value is missing"),
        ] {
            if n > 0 {
                writeln!(f, "{} {what}", text::plural(n, "test row"))?;
            }
        }
        f.write_str(&slice_table(&self.slices))?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

/// The scores of slices as a table; nothing without any.
fn slice_table(slices: &[SliceScore]) -> String {
    if slices.is_empty() {
        return String::new();
    }
    let heading = ["slice", "rows", "positive", "F1", "95 % interval", "ROC AUC"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for SliceScore { slice, evaluation: e } in slices {
        let few = e.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
        rows.push(vec![
            slice.to_string(),
            text::count(e.n),
            text::count(e.positives),
            format!("{:.4}", e.f1),
            format!("{:.3} to {:.3}{few}", e.f1_interval.low, e.f1_interval.high),
            e.roc_auc.map_or("-".to_owned(), |auc| format!("{auc:.4}")),
        ]);
    }
    text::table(&rows)
}
