//! Metrics of a binary classifier: counts, scores, curves.
//!
//! Pure functions of labels and probabilities. This file has the shared types and all that follows
//! from the four counts. Not for intervals: see [`interval`]. Not for metrics of the order of
//! scores: see [`ranking`].
//!
//! Definitions and names are scikit-learn's; where it would warn or return NaN, we return 0 (as its
//! `zero_division=0` does) or `None`.

use std::cmp::Ordering;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub mod bootstrap;
pub mod calibration;
pub mod clusters;
pub mod deciles;
pub mod difference;
pub mod interval;
pub mod mean;
pub mod metric;
pub mod paired;
pub mod probability;
pub mod ranking;
mod samplings;
pub mod score;
mod sorted;
pub mod threshold;
mod walk;

pub use calibration::Calibration;
pub use clusters::Clusters;
pub use deciles::{Decile, TopDecile};
pub use difference::PairedCounts;
pub use interval::{Interval, Method};
pub use metric::Metric;
pub use paired::Answers;
pub use ranking::Ranking;
pub use score::Evaluation;
pub use threshold::classify;

/// Two F1 scores are equal within this: two formulas for 2/3 may differ in the last digit.
pub const SAME_F1: f64 = 1e-12;

/// Predictions against labels at one threshold; rows are the truth, columns the prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// Negatives predicted negative.
    pub tn: u64,
    /// Negatives predicted positive.
    pub fp: u64,
    /// Positives predicted negative.
    #[serde(rename = "fn")]
    pub fn_: u64,
    /// Positives predicted positive.
    pub tp: u64,
}

impl ConfusionMatrix {
    /// Counts `(label, predicted)` pairs; true is the positive class.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        // Indexed by 2 * label + predicted to avoid mispredicted branches.
        let mut counts = [0_u64; 4];
        for (label, predicted) in pairs {
            counts[2 * usize::from(label) + usize::from(predicted)] += 1;
        }
        let [tn, fp, fn_, tp] = counts;
        Self { tn, fp, fn_, tp }
    }

    /// Counts n predictions against n labels; true is the positive class.
    ///
    /// # Errors
    /// `Data` if the lengths differ.
    pub fn from_predictions(labels: &[bool], predicted: &[bool]) -> Result<Self> {
        same_length(labels.len(), predicted.len())?;
        Ok(Self::from_pairs(labels.iter().copied().zip(predicted.iter().copied())))
    }

    /// Number of rows.
    pub fn n(&self) -> u64 {
        self.negatives().saturating_add(self.positives())
    }

    /// Number of rows whose label is positive.
    pub fn positives(&self) -> u64 {
        self.fn_.saturating_add(self.tp)
    }

    /// Number of rows whose label is negative.
    pub fn negatives(&self) -> u64 {
        self.tn.saturating_add(self.fp)
    }

    /// Whether all labels are of one class; true without rows.
    pub fn one_class(&self) -> bool {
        self.positives() == 0 || self.negatives() == 0
    }

    /// F1 = 2 tp / (2 tp + fp + fn) of the positive class; 0 for 0/0.
    pub fn f1(&self) -> f64 {
        ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn_)
    }

    /// Share of correct predictions; 0 without rows.
    pub fn accuracy(&self) -> f64 {
        ratio(self.tn + self.tp, self.n())
    }

    /// Share of positives among the rows predicted positive; 0 if there are none.
    pub fn precision(&self) -> f64 {
        ratio(self.tp, self.tp + self.fp)
    }

    /// Share of the positives that are predicted positive; 0 if there are none.
    pub fn recall(&self) -> f64 {
        ratio(self.tp, self.positives())
    }

    /// Share of the negatives that are predicted negative; 0 if there are none.
    pub fn specificity(&self) -> f64 {
        ratio(self.tn, self.negatives())
    }

    /// Share of positives among all rows; 0 without rows.
    pub fn prevalence(&self) -> f64 {
        ratio(self.positives(), self.n())
    }

    /// Mean of recall and specificity (`balanced_accuracy_score`).
    ///
    /// With one class, it is the share of correct predictions, as scikit-learn averages only over
    /// the classes that occur; 0 without rows.
    pub fn balanced_accuracy(&self) -> f64 {
        if self.one_class() {
            return self.accuracy();
        }
        self.recall().midpoint(self.specificity())
    }

    /// The correlation of labels and predictions, -1 to 1 (`matthews_corrcoef`); 0 if all labels
    /// or all predictions are the same.
    ///
    /// (tp tn - fp fn) / sqrt((tp + fp) (tp + fn) (tn + fp) (tn + fn)): Matthews, "Comparison of
    /// the predicted and observed secondary structure of T4 phage lysozyme" (1975). The difference
    /// is taken in integers, so that large counts do not cancel.
    pub fn mcc(&self) -> f64 {
        let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
        let (agree, differ) = (product(self.tp, self.tn), product(self.fp, self.fn_));
        let size = agree.abs_diff(differ) as f64;
        let predicted = self.tp.saturating_add(self.fp);
        let others = self.tn.saturating_add(self.fn_);
        let scale = (product(predicted, others) as f64).sqrt()
            * (product(self.positives(), self.negatives()) as f64).sqrt();
        if scale <= 0.0 {
            return 0.0;
        }
        let correlation = (size / scale).min(1.0);
        if agree < differ { -correlation } else { correlation }
    }
}

impl Add for ConfusionMatrix {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            tn: self.tn + other.tn,
            fp: self.fp + other.fp,
            fn_: self.fn_ + other.fn_,
            tp: self.tp + other.tp,
        }
    }
}

impl AddAssign for ConfusionMatrix {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for ConfusionMatrix {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Add::add)
    }
}

/// One of the two classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Label false.
    Negative,
    /// Label true.
    Positive,
}

/// The best scores of a classifier that ignores its input, on the same labels.
///
/// A model that does not beat them has learned nothing that these rows can show.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConstantBaseline {
    /// The highest F1 of a constant answer.
    pub f1: f64,
    /// The constant answer with this F1; negative on a tie.
    pub f1_always: Class,
    /// The highest accuracy of a constant answer.
    pub accuracy: f64,
    /// The constant answer with this accuracy; negative on a tie (as scikit-learn's
    /// `DummyClassifier`).
    pub accuracy_always: Class,
}

impl ConstantBaseline {
    /// The baseline for labels with these numbers of positives and negatives.
    pub fn of(positives: u64, negatives: u64) -> Self {
        let always_positive =
            ConfusionMatrix { tp: positives, fp: negatives, ..Default::default() };
        let always_negative =
            ConfusionMatrix { fn_: positives, tn: negatives, ..Default::default() };
        let best = |score: fn(&ConfusionMatrix) -> f64| {
            let (positive, negative) = (score(&always_positive), score(&always_negative));
            if positive > negative {
                (positive, Class::Positive)
            } else {
                (negative, Class::Negative)
            }
        };
        let (f1, f1_always) = best(ConfusionMatrix::f1);
        let (accuracy, accuracy_always) = best(ConfusionMatrix::accuracy);
        Self { f1, f1_always, accuracy, accuracy_always }
    }

    /// Compares an F1 on the same labels with that of the best constant answer: greater beats it,
    /// less is worse than answering blindly. All comparisons of the two go through here.
    pub fn met_by(&self, f1: f64) -> Ordering {
        against_constant(f1, self.f1)
    }
}

/// [`ConstantBaseline::met_by`] for records that have only the two numbers.
pub fn against_constant(f1: f64, constant_f1: f64) -> Ordering {
    if (f1 - constant_f1).abs() <= SAME_F1 {
        return Ordering::Equal;
    }
    f1.partial_cmp(&constant_f1).unwrap_or(Ordering::Less)
}

/// A point of a receiver operating characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// False positive rate.
    pub fpr: f64,
    /// True positive rate.
    pub tpr: f64,
}

/// A point of a cumulative gain curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GainPoint {
    /// Share of all rows, those with the highest scores.
    pub depth: f64,
    /// Share of all positives that are among them.
    pub gain: f64,
}

impl GainPoint {
    /// How many times as frequent positives are among these rows as among all; `None` without
    /// rows.
    pub fn lift(&self) -> Option<f64> {
        (self.depth > 0.0).then(|| self.gain / self.depth)
    }
}

/// A point of a precision-recall curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrPoint {
    /// Recall.
    pub recall: f64,
    /// Precision.
    pub precision: f64,
}

/// A bin of a calibration (reliability) curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Mean predicted probability of the rows in the bin.
    pub mean_predicted: f64,
    /// Share of positives among them.
    pub fraction_of_positives: f64,
    /// Number of rows in the bin.
    pub count: u64,
}

/// Histogram of scores by class over equal bins of [0, 1].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreHistogram {
    /// Rows of the negative class in each bin.
    pub negative: Vec<u64>,
    /// Rows of the positive class in each bin.
    pub positive: Vec<u64>,
}

/// `part / whole`, or 0 for 0/0.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn same_length(labels: usize, others: usize) -> Result<()> {
    if labels == others {
        return Ok(());
    }
    Err(Error::data(format!("{labels} labels but {others} predictions: give one for each row")))
}

/// Checks that there is at least one row, the lengths agree and all probabilities are within [0,
/// 1].
fn check_probabilities(labels: &[bool], probabilities: &[f64]) -> Result<()> {
    same_length(labels.len(), probabilities.len())?;
    if labels.is_empty() {
        return Err(Error::data("no rows to score"));
    }
    match probabilities.iter().position(|p| !(0.0..=1.0).contains(p)) {
        None => Ok(()),
        Some(row) => Err(Error::data(format!(
            "row {row} has the probability {}: it must lie within 0 and 1",
            probabilities[row]
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_where_their_names_say() {
        let labels = [false, false, false, true, true, true, true];
        let predicted = [false, true, true, false, true, true, true];
        let matrix = ConfusionMatrix::from_predictions(&labels, &predicted).unwrap();
        assert_eq!(matrix, ConfusionMatrix { tn: 1, fp: 2, fn_: 1, tp: 3 });
        assert_eq!((matrix.n(), matrix.positives(), matrix.negatives()), (7, 4, 3));
        assert!((matrix.f1() - 6.0 / 9.0).abs() < 1e-15);
        assert!((matrix.precision() - 0.6).abs() < 1e-15);
        assert!((matrix.recall() - 0.75).abs() < 1e-15);
        assert_eq!((matrix + matrix).n(), 14);
    }

    #[test]
    fn nothing_divides_by_zero() {
        let none = ConfusionMatrix::default();
        for score in [
            none.f1(),
            none.accuracy(),
            none.precision(),
            none.recall(),
            none.specificity(),
            none.prevalence(),
            none.balanced_accuracy(),
            none.mcc(),
        ] {
            assert!(score.abs() < f64::MIN_POSITIVE);
        }
    }

    #[test]
    fn the_correlation_is_exact_for_counts_beyond_the_digits_of_a_double() {
        // tp tn and fp fn are both about 1.6e19 and differ by 8e9 + 1.
        let k = 4_000_000_000;
        let matrix = ConfusionMatrix { tp: k + 1, tn: k + 1, fp: k, fn_: k };
        let half = 1.0 / (2.0 * k as f64 + 1.0);
        assert!((matrix.mcc() / half - 1.0).abs() < 1e-15, "{}", matrix.mcc());
        let wrong = ConfusionMatrix { fp: u64::MAX / 2, fn_: u64::MAX / 2, tp: 0, tn: 0 };
        assert!((wrong.mcc() + 1.0).abs() < 1e-15);
    }

    #[test]
    fn one_class_has_the_accuracy_of_its_class() {
        let positives = ConfusionMatrix { tp: 3, fn_: 1, ..Default::default() };
        assert!((positives.balanced_accuracy() - 0.75).abs() < 1e-15);
        let negatives = ConfusionMatrix { tn: 1, fp: 3, ..Default::default() };
        assert!((negatives.balanced_accuracy() - 0.25).abs() < 1e-15);
    }

    #[test]
    fn lengths_must_agree() {
        let error = ConfusionMatrix::from_predictions(&[true], &[]).unwrap_err();
        assert_eq!(error.to_string(), "1 labels but 0 predictions: give one for each row");
    }

    #[test]
    fn an_f1_beats_the_constant_or_equals_it_within_the_last_digits() {
        let baseline = ConstantBaseline::of(3, 2);
        for (f1, expected) in [
            (0.75, Ordering::Equal),
            (0.75 + 1e-15, Ordering::Equal),
            (0.76, Ordering::Greater),
            (0.0, Ordering::Less),
            (f64::NAN, Ordering::Less),
        ] {
            assert_eq!(baseline.met_by(f1), expected, "{f1}");
        }
    }

    #[test]
    fn the_best_constant_answer() {
        // Three positives of five: "always positive" scores F1 0.75, as on the smallest test set.
        let baseline = ConstantBaseline::of(3, 2);
        assert!((baseline.f1 - 0.75).abs() < 1e-15);
        assert_eq!(baseline.f1_always, Class::Positive);
        assert_eq!(baseline.accuracy_always, Class::Positive);
        // With few positives the same answer is still the best for F1, but not for accuracy.
        let skewed = ConstantBaseline::of(1, 9);
        assert_eq!(skewed.f1_always, Class::Positive);
        assert_eq!(skewed.accuracy_always, Class::Negative);
        assert!((skewed.accuracy - 0.9).abs() < 1e-15);
        assert_eq!(ConstantBaseline::of(0, 4).f1_always, Class::Negative);
    }
}
