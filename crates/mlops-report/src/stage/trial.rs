//! Scores the model on the current test data: figures and curves.
//!
//! Without test data the recorded score is used, without curves. Not for interpreting the figures:
//! see `findings`.

use mlops_core::evaluation::metrics::probability::{
    CalibrationTest, calibration_curve, hosmer_lemeshow, score_histogram,
};
use mlops_core::evaluation::metrics::{Evaluation, Ranking};
use mlops_core::evaluation::slices::SliceScore;
use mlops_core::run::context::{Context, Workspace};
use mlops_core::run::test_files::TestFiles;
use mlops_core::stage::score::{Scored, Scoring, predict_current};
use mlops_core::{Result, text};

use super::subject::Subject;
use crate::report::{AtThreshold, Curves, Finding, Score};
use crate::report::{note, warning};

/// Maximum number of points drawn for a curve: more than there are pixels.
const CURVE_POINTS: usize = 500;
/// Steps from one threshold to the next between 0 and 1, about one for each unit of the picture.
const THRESHOLDS: u32 = 400;
/// Bins of the calibration curve.
const CALIBRATION_BINS: usize = 10;
/// Bins of the score distribution.
const HISTOGRAM_BINS: usize = 25;

/// The result of a trial.
#[derive(Default)]
pub(super) struct Trial {
    /// The figures; `None` if there are none at all.
    pub(super) score: Option<Score>,
    /// The figures of parts of the rows.
    pub(super) slices: Vec<SliceScore>,
    /// The curves; empty without test data.
    pub(super) curves: Curves,
    /// The test of calibration; `None` if there are too few rows.
    pub(super) calibration: Option<CalibrationTest>,
    tests: TestFiles,
}

impl Trial {
    /// Scores the model as far as the test data allow.
    pub(super) fn of(
        context: &Context,
        workspace: &Workspace,
        subject: &Subject,
        scoring: Option<&Scoring>,
        warnings: &mut Vec<Finding>,
    ) -> Self {
        match Self::on_test_data(context, workspace, subject, scoring, warnings) {
            Ok(Some(trial)) => trial,
            Ok(None) => Self::recorded(subject, "There is no test data", warnings),
            Err(error) => {
                let why = format!("The test data could not be used ({error})");
                Self::recorded(subject, &why, warnings)
            }
        }
    }

    fn on_test_data(
        context: &Context,
        workspace: &Workspace,
        subject: &Subject,
        scoring: Option<&Scoring>,
        warnings: &mut Vec<Finding>,
    ) -> Result<Option<Self>> {
        let read;
        let known = scoring.filter(|scoring| scoring.score.artifact == subject.artifact);
        let (tests, scored) = if let Some(scoring) = known {
            (&scoring.tests, &scoring.answers)
        } else {
            read = predict_current(context, workspace, &subject.model)?;
            (&read.0, &read.1)
        };
        if tests.current.is_empty() {
            return Ok(None);
        }
        for (n, what) in [
            (scored.rejected, "could not be read and were left out"),
            (scored.left_out, "were left out: the model was trained on them"),
            (scored.unanswered, "were left out: a value is missing"),
        ] {
            if n > 0 {
                warnings.push(note(format!("{} {what}.", text::plural(n, "test row"))));
            }
        }
        if let Some(words) = scored.partial() {
            warnings.push(warning(sentence(&text::capitalised(&words))));
        }
        if scored.labels.is_empty() {
            return Ok(None);
        }
        // Which rows the figures are based on, unless it is just the newest test file.
        let told = scored.notes.iter().map(|n| Finding { told: true, ..note(sentence(n)) });
        warnings.extend(told);
        let Scored { labels, probabilities, .. } = scored;
        let training = subject.model.training;
        let clusters = scored.clusters.as_ref();
        let evaluation =
            Evaluation::clustered(labels, probabilities, training.threshold, clusters)?;
        match &subject.score {
            Some(recorded) if (recorded.evaluation.f1 - evaluation.f1).abs() > 1e-9 => {
                warnings.push(note(format!(
                    "The test data has changed since the model was scored: F1 was {:.4} then, and \
                     is {:.4} on the rows of this report.",
                    recorded.evaluation.f1, evaluation.f1
                )));
            }
            _ => {}
        }
        let ranking = Ranking::new(labels, probabilities)?;
        let curves = Curves {
            roc: ranking.roc_curve(CURVE_POINTS),
            pr: ranking.precision_recall_curve(CURVE_POINTS),
            calibration: calibration_curve(labels, probabilities, CALIBRATION_BINS)?,
            histogram: score_histogram(labels, probabilities, HISTOGRAM_BINS)?,
            gain: ranking.gain_curve(CURVE_POINTS),
            thresholds: (0..=THRESHOLDS)
                .map(|k| f64::from(k) / f64::from(THRESHOLDS))
                .map(|threshold| AtThreshold { threshold, matrix: ranking.at(threshold) })
                .collect(),
        };
        let names: Vec<_> = tests.current.iter().map(|f| f.name.as_str()).collect();
        let held_out =
            format!("The rows come from {}; the model was fitted on none of them.", listed(&names));
        let score = Some(score(&evaluation, held_out));
        let calibration = hosmer_lemeshow(labels, probabilities)?;
        let slices = scored.slices.scores(
            labels,
            probabilities,
            training.threshold,
            scored.clusters.as_ref(),
        )?;
        Ok(Some(Self { score, slices, curves, calibration, tests: tests.clone() }))
    }

    /// The figures of the last scoring, if there are any.
    fn recorded(subject: &Subject, why: &str, warnings: &mut Vec<Finding>) -> Self {
        let Some(recorded) = &subject.score else {
            warnings.push(warning(format!(
                "{why}, and the model has no recorded score: its quality is unknown."
            )));
            return Self::default();
        };
        warnings.push(warning(format!(
            "{why}: the figures are from the last scoring, and there are no curves."
        )));
        let names: Vec<_> = recorded.test_files.keys().map(String::as_str).collect();
        let held_out = format!("They came from {}, when the model was scored.", listed(&names));
        let score = Some(score(&recorded.evaluation, held_out));
        Self { score, slices: recorded.slices.clone(), ..Self::default() }
    }

    /// The digests that identify the model and the data of the report.
    pub(super) fn digests(&self, subject: &Subject, data_version: &str) -> Vec<(String, String)> {
        let data = &subject.model.data;
        let mut digests = vec![
            ("Model file".to_owned(), subject.artifact.to_string()),
            (data_version.to_owned(), data.sha256.to_string()),
        ];
        digests.extend(self.tests.current.iter().map(|f| (f.name.clone(), f.digest.to_string())));
        digests
    }
}

/// A note as a sentence of the page; the case of names is kept.
fn sentence(note: &str) -> String {
    format!("{}.", note.trim_end_matches('.'))
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => "unknown files".to_owned(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn score(e: &Evaluation, held_out: String) -> Score {
    let matrix = e.confusion_matrix;
    // A share of nothing is undefined; files have 0 there, but people should see a dash.
    let share = |value: f64, whole: u64| if whole == 0 { f64::NAN } else { value };
    let mut interval_note = format!("{} intervals of 95 %", e.f1_interval.method.name());
    if let Some(area) = e.roc_auc_interval {
        interval_note = format!("{interval_note}; {} of the ROC AUC", area.method.name());
    }
    if let Some(more) = &e.note {
        interval_note = format!("{interval_note}; {more}");
    }
    Score {
        n: e.n,
        positives: e.positives,
        held_out,
        threshold: e.threshold,
        f1: e.f1,
        f1_interval: Some(e.f1_interval),
        interval_note: Some(interval_note),
        accuracy: e.accuracy,
        accuracy_interval: Some(e.accuracy_interval),
        precision: share(e.precision, matrix.tp + matrix.fp),
        precision_interval: e.precision_interval.filter(|_| matrix.tp + matrix.fp > 0),
        recall: share(e.recall, matrix.positives()),
        recall_interval: e.recall_interval.filter(|_| matrix.positives() > 0),
        roc_auc: e.roc_auc,
        roc_auc_interval: e.roc_auc_interval,
        pr_auc: e.pr_auc,
        log_loss: Some(e.log_loss),
        brier: Some(e.brier),
        confusion: matrix,
        evaluation: Some(e.clone()),
        constant_f1: e.constant.f1,
        constant_accuracy: e.constant.accuracy,
        beats_constant: e.beats_constant,
        beyond_chance: e.beats_constant_beyond_chance(),
    }
}
