//! The realised scores, by release and window of time, as they are recorded, shown and served.
//!
//! Not for computing them: see `windows`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{JoinBy, Period};
use crate::evaluation::metrics::interval::{f1_interval, wilson};
use crate::evaluation::metrics::{ConfusionMatrix, ConstantBaseline, Interval};
use crate::ids::ReleaseId;
use crate::text;

/// Predictions and what became of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcomes {
    /// When labels were last joined, RFC 3339.
    pub recorded: String,
    /// What labels are joined by.
    pub by: JoinBy,
    /// The span of the windows; never [`Period::Auto`].
    pub window: Period,
    /// Scores by release, the release that predicted last first.
    pub releases: Vec<OfRelease>,
    /// What was read of the log.
    pub log: LogCounts,
    /// What was read of labels.
    pub labels: LabelCounts,
}

/// The scores of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfRelease {
    /// The release.
    pub release: ReleaseId,
    /// All its predictions. Where there are several windows, this has no figures of the order of
    /// scores and no delay.
    pub total: Realised,
    /// Its windows with predictions, oldest first.
    pub windows: Vec<OfWindow>,
}

/// The scores of a release in a window of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfWindow {
    /// The first day, in UTC, such as `2026-11-30`.
    pub start: String,
    /// The first day after it.
    pub end: String,
    /// Predictions that were made then.
    pub realised: Realised,
}

/// Predictions, how many of them have a label, and how good these were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Realised {
    /// The number of predictions.
    pub predicted: u64,
    /// How many of them have a label.
    pub labelled: u64,
    /// Their share; 0 without predictions.
    pub coverage: f64,
    /// Scores of those with a label; `None` without any.
    pub scores: Option<Scores>,
    /// How long labels took, where that is known.
    pub delay: Option<Delay>,
}

/// Scores of predictions against labels. Rows count as independent in the intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// F1 of the positive class; 0 for 0/0.
    pub f1: f64,
    /// Its interval.
    pub f1_interval: Interval,
    /// Precision.
    pub precision: f64,
    /// Its interval.
    pub precision_interval: Interval,
    /// Recall.
    pub recall: f64,
    /// Its interval.
    pub recall_interval: Interval,
    /// Share of correct predictions.
    pub accuracy: f64,
    /// Its interval.
    pub accuracy_interval: Interval,
    /// Area under the ROC curve; `None` with one class.
    pub roc_auc: Option<f64>,
    /// Its interval.
    pub roc_auc_interval: Option<Interval>,
    /// The best constant answers on the same labels.
    pub constant: ConstantBaseline,
    /// The counts behind it.
    pub confusion_matrix: ConfusionMatrix,
}

/// The time from predictions to their labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    /// The number of predictions for which it is known.
    pub n: u64,
    /// The median time until a label arrived, in seconds.
    pub median_seconds: f64,
    /// The time within which nine in ten labels arrived, in seconds.
    pub p90_seconds: f64,
}

/// What was read of the log of predictions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCounts {
    /// Predictions in the store.
    pub predictions: u64,
    /// Lines that were not understood.
    pub strange: u64,
    /// Predictions without the ids by which labels are joined: they can never get a label.
    pub without_key: u64,
}

/// What was read of files of labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCounts {
    /// Labels that are kept, with those that a later one replaced.
    pub kept: u64,
    /// Those to which no prediction belongs, so far.
    pub unknown: u64,
    /// Labels that said again what was known.
    pub doubled: u64,
    /// Labels that said something else than was known: the latest wins.
    pub changed: u64,
    /// Rows that could not be read.
    pub unreadable: u64,
    /// Rows without the ids by which labels are joined.
    pub without_key: u64,
}

impl Scores {
    /// The scores that follow from the four counts; `None` without rows.
    pub fn of(matrix: ConfusionMatrix) -> Option<Self> {
        let ConfusionMatrix { tn, fp, fn_, tp } = matrix;
        (matrix.n() > 0).then(|| Self {
            f1: matrix.f1(),
            f1_interval: f1_interval(&matrix),
            precision: matrix.precision(),
            precision_interval: wilson(tp, tp + fp),
            recall: matrix.recall(),
            recall_interval: wilson(tp, tp + fn_),
            accuracy: matrix.accuracy(),
            accuracy_interval: wilson(tp + tn, matrix.n()),
            roc_auc: None,
            roc_auc_interval: None,
            constant: ConstantBaseline::of(matrix.positives(), matrix.negatives()),
            confusion_matrix: matrix,
        })
    }
}

impl Realised {
    /// The figures of `predicted` predictions, those with a label having these scores.
    pub fn of(predicted: u64, scores: Option<Scores>, delay: Option<Delay>) -> Self {
        let labelled = scores.map_or(0, |scores| scores.confusion_matrix.n());
        let coverage = if predicted == 0 { 0.0 } else { labelled as f64 / predicted as f64 };
        Self { predicted, labelled, coverage, scores, delay }
    }

    /// Those of several windows together.
    pub fn sum(windows: &[OfWindow]) -> Self {
        if let [one] = windows {
            return one.realised.clone();
        }
        let parts = windows.iter().map(|window| &window.realised);
        let matrix = parts.clone().filter_map(|part| part.scores).map(|s| s.confusion_matrix).sum();
        Self::of(parts.map(|part| part.predicted).sum(), Scores::of(matrix), None)
    }
}

impl Outcomes {
    /// The scores of `release`.
    pub fn of(&self, release: &ReleaseId) -> Option<&OfRelease> {
        self.releases.iter().find(|one| one.release == *release)
    }

    /// What somebody should know.
    pub fn remarks(&self) -> Vec<String> {
        let (log, labels) = (&self.log, &self.labels);
        let mut remarks = Vec::new();
        if log.predictions > 0 && labels.kept > 0 && labels.unknown == labels.kept {
            remarks.push(format!(
                "no label belongs to a prediction: labels are joined by {}; check that the ids are \
                 spelt alike, and that \"labels.time\" is not before the predictions",
                match self.by {
                    JoinBy::Ids => "the columns of \"schema.id\"",
                    JoinBy::Request => "\"request_id\" and \"row\"",
                    JoinBy::Inference => "\"inference_id\" and \"row\"",
                }
            ));
        }
        if log.without_key > 0 && log.without_key == log.predictions {
            remarks.push(
                "no logged prediction has what labels are joined by: send the ids with the rows, or \
                 set \"labels.by\""
                    .to_owned(),
            );
        }
        if log.strange > 0 {
            let lines = text::plural(log.strange, "line");
            remarks.push(format!("{lines} of the prediction log could not be understood"));
        }
        if labels.unreadable > 0 {
            let rows = text::plural(labels.unreadable, "row");
            remarks.push(format!("{rows} of labels could not be read"));
        }
        if labels.without_key > 0 {
            let one = labels.without_key == 1;
            remarks.push(format!(
                "{} of labels {} not say whose label {}: fill the column by which labels are joined",
                text::plural(labels.without_key, "row"),
                if one { "does" } else { "do" },
                if one { "it is" } else { "they are" }
            ));
        }
        remarks
    }
}

impl fmt::Display for Realised {
    /// A line for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} logged, {} with a label ({:.0} %)",
            text::plural(self.predicted, "prediction"),
            text::count(self.labelled),
            self.coverage * 100.0
        )?;
        let Some(scores) = &self.scores else { return Ok(()) };
        let Interval { low, high, .. } = scores.f1_interval;
        write!(
            f,
            ": F1 {:.3} [{low:.3} to {high:.3}], a constant answer {:.3}",
            scores.f1, scores.constant.f1
        )
    }
}

/// Windows of a release that are shown to people.
const SHOWN: usize = 12;

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (log, labels) = (&self.log, &self.labels);
        let labelled: u64 = self.releases.iter().map(|r| r.total.labelled).sum();
        writeln!(
            f,
            "{} logged, {} of them with a label, joined by {}",
            text::plural(log.predictions, "prediction"),
            text::count(labelled),
            self.by.name()
        )?;
        writeln!(
            f,
            "{}: {} without a prediction, {} doubled, {} changed, {} unreadable",
            text::plural(labels.kept, "label"),
            text::count(labels.unknown),
            text::count(labels.doubled),
            text::count(labels.changed),
            text::count(labels.unreadable)
        )?;
        for release in self.releases.iter().take(text::MOST_NAMES) {
            writeln!(f, "\nRelease {}", release.release)?;
            let head = [self.window.name(), "predicted", "labelled", "F1", "95 % interval"];
            let more = ["precision", "recall", "ROC AUC", "constant F1", "delay"];
            let mut rows = vec![head.iter().chain(&more).map(|s| (*s).to_owned()).collect()];
            let left_out = release.windows.len().saturating_sub(SHOWN);
            for window in &release.windows[left_out..] {
                rows.push(row(&window.start, &window.realised));
            }
            if release.windows.len() > 1 {
                rows.push(row("all", &release.total));
            }
            f.write_str(&text::table(&rows))?;
            if left_out > 0 {
                writeln!(f, "  and {} earlier", text::count(left_out as u64))?;
            }
        }
        Ok(())
    }
}

fn row(name: &str, realised: &Realised) -> Vec<String> {
    let number = |value: f64| format!("{value:.3}");
    let none = || "-".to_owned();
    let labelled = match realised.labelled {
        0 => "0".to_owned(),
        n => format!("{} ({:.0} %)", text::count(n), realised.coverage * 100.0),
    };
    let mut row = vec![name.to_owned(), text::count(realised.predicted), labelled];
    match &realised.scores {
        None => row.extend((0..6).map(|_| none())),
        Some(scores) => {
            let Interval { low, high, .. } = scores.f1_interval;
            row.extend([number(scores.f1), format!("{low:.3} to {high:.3}")]);
            row.extend([number(scores.precision), number(scores.recall)]);
            row.push(scores.roc_auc.map_or_else(none, number));
            row.push(number(scores.constant.f1));
        }
    }
    row.push(realised.delay.map_or_else(none, |delay| {
        format!("{} (90 % {})", length(delay.median_seconds), length(delay.p90_seconds))
    }));
    row
}

/// A length of time for people.
fn length(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}
