//! The evaluation of a model on a test set: the numbers of `score.json`, without provenance.
//!
//! Also the text of the bare score file. Not for the rule that turns a probability into a class: see
//! [`super::threshold`]; not for deciding whether a model may go live.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::bootstrap::too_few;
use super::interval::{auc_interval, f1_interval, wilson};
use super::probability::{brier, log_loss};
use super::threshold::classify;
use super::{ConfusionMatrix, ConstantBaseline, Interval, Ranking, check_probabilities};
use crate::error::{Error, Result};
use crate::platform::threads::both;

/// The number of rows from which on a second thread pays off.
const LARGE: usize = 100_000;

/// All scores of a model on a labelled set. No number in it is ever NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// Number of rows scored.
    pub n: u64,
    /// Number of rows whose label is positive.
    pub positives: u64,
    /// The threshold of [`classify`].
    pub threshold: f64,
    /// F1 of the positive class; 0 for 0/0.
    pub f1: f64,
    /// Confidence interval of F1.
    pub f1_interval: Interval,
    /// Share of correct predictions.
    pub accuracy: f64,
    /// Confidence interval of the accuracy.
    pub accuracy_interval: Interval,
    /// Why the intervals say little, if so: "too few rows to tell".
    pub note: Option<String>,
    /// Precision; 0 if nothing is predicted positive.
    pub precision: f64,
    /// Confidence interval of the precision; `None` in files written before it was computed.
    #[serde(default)]
    pub precision_interval: Option<Interval>,
    /// Recall; 0 without positives.
    pub recall: f64,
    /// Confidence interval of the recall; `None` in files written before it was computed.
    #[serde(default)]
    pub recall_interval: Option<Interval>,
    /// Area under the ROC curve; `None` with one class.
    pub roc_auc: Option<f64>,
    /// Confidence interval of the area; `None` with one class and in files written before it was
    /// computed.
    #[serde(default)]
    pub roc_auc_interval: Option<Interval>,
    /// Average precision; `None` with one class.
    pub pr_auc: Option<f64>,
    /// Mean negative log-likelihood in nats.
    pub log_loss: f64,
    /// Mean squared error of the probabilities.
    pub brier: f64,
    /// The counts behind F1 and accuracy.
    pub confusion_matrix: ConfusionMatrix,
    /// The best constant answers on the same labels.
    pub constant: ConstantBaseline,
    /// The F1 is above that of the best constant answer, by [`ConstantBaseline::met_by`].
    pub beats_constant: bool,
}

impl Evaluation {
    /// Evaluates n probabilities of the positive class against n labels at a threshold in [0, 1].
    ///
    /// ```
    /// use mlops_core::evaluation::metrics::Evaluation;
    ///
    /// # fn main() -> mlops_core::Result<()> {
    /// let labels = [true, true, false, false, true];
    /// let probabilities = [0.9, 0.4, 0.2, 0.6, 0.7];
    /// let found = Evaluation::of(&labels, &probabilities, 0.5)?;
    /// assert_eq!((found.confusion_matrix.tp, found.confusion_matrix.fp), (2, 1));
    /// assert!((found.f1 - 2.0 / 3.0).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Data` if there are no rows, the lengths differ, or a probability or the threshold is NaN or
    /// outside [0, 1].
    pub fn of(labels: &[bool], probabilities: &[f64], threshold: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::data(format!(
                "the threshold is {threshold}: it must lie within 0 and 1"
            )));
        }
        check_probabilities(labels, probabilities)?;
        let predicted = probabilities.iter().map(|&p| classify(p, threshold));
        let matrix = ConfusionMatrix::from_pairs(labels.iter().copied().zip(predicted));
        // Sorting takes as long as everything else together.
        let ranking = || Ranking::new(labels, probabilities);
        let rest = || (log_loss(labels, probabilities), brier(labels, probabilities));
        let (ranking, (log_loss, brier)) =
            if labels.len() < LARGE { (ranking(), rest()) } else { both(ranking, rest) };
        let ranking = ranking?;
        let (positives, negatives) = (matrix.positives(), matrix.negatives());
        let constant = ConstantBaseline::of(positives, negatives);
        let roc_auc = ranking.roc_auc();
        Ok(Self {
            n: matrix.n(),
            positives,
            threshold,
            f1: matrix.f1(),
            f1_interval: f1_interval(&matrix),
            accuracy: matrix.accuracy(),
            accuracy_interval: wilson(matrix.tn + matrix.tp, matrix.n()),
            note: too_few(&matrix).map(str::to_owned),
            precision: matrix.precision(),
            precision_interval: Some(wilson(matrix.tp, matrix.tp + matrix.fp)),
            recall: matrix.recall(),
            recall_interval: Some(wilson(matrix.tp, positives)),
            roc_auc,
            roc_auc_interval: roc_auc.map(|auc| auc_interval(auc, positives, negatives)),
            pr_auc: ranking.average_precision(),
            log_loss: log_loss?,
            brier: brier?,
            confusion_matrix: matrix,
            constant,
            beats_constant: constant.met_by(matrix.f1()) == Ordering::Greater,
        })
    }

    /// Whether F1 beats the constant answer by more than chance explains: its whole interval does,
    /// on enough rows of both classes.
    pub fn beats_constant_beyond_chance(&self) -> bool {
        self.note.is_none() && self.constant.met_by(self.f1_interval.low) == Ordering::Greater
    }
}

/// The score as Python's `repr` writes it: the shortest text that reads back as the same number.
///
/// For the bare score file, which other programs parse. `f1` must be finite.
pub fn latest_score_text(f1: f64) -> String {
    let size = f1.abs();
    if size > 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{f1:e}");
        if let Some((digits, exponent)) = text.split_once('e') {
            let (sign, places) = match exponent.strip_prefix('-') {
                Some(places) => ('-', places),
                None => ('+', exponent),
            };
            return format!("{digits}e{sign}{places:0>2}");
        }
    }
    format!("{f1:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_written_as_python_writes_them() {
        for (number, text) in [
            (1.0 / 3.0, "0.3333333333333333"),
            (1.0, "1.0"),
            (0.0, "0.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.0001, "0.0001"),
            (0.000_05, "5e-05"),
            (1.25e-7, "1.25e-07"),
            (1e16, "1e+16"),
            (1e-300, "1e-300"),
        ] {
            assert_eq!(latest_score_text(number), text);
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), number.to_bits());
        }
    }

    #[test]
    fn a_small_test_set_says_so() {
        let labels = [true, false, false, true, true];
        let p = [0.44, 0.85, 0.99, 0.49, 0.71];
        let evaluation = Evaluation::of(&labels, &p, 0.5).unwrap();
        assert_eq!(evaluation.confusion_matrix, ConfusionMatrix { tn: 0, fp: 2, fn_: 2, tp: 1 });
        assert_eq!(latest_score_text(evaluation.f1), "0.3333333333333333");
        assert_eq!(evaluation.note.as_deref(), Some("too few rows to tell"));
        assert!(evaluation.f1_interval.low < evaluation.f1_interval.high);
        let auc = evaluation.roc_auc_interval.unwrap();
        assert!(auc.low.abs() < 1e-15 && auc.high > 0.4, "{auc:?}");
        assert!(!evaluation.beats_constant && !evaluation.beats_constant_beyond_chance());
        assert!(evaluation.roc_auc.unwrap().abs() < 1e-15);
    }

    #[test]
    fn to_beat_the_constant_and_to_do_so_beyond_chance_are_two_things() {
        let of = |right: usize| {
            let labels: Vec<bool> = (0..100).map(|i| i % 2 == 0).collect();
            let p: Vec<f64> = labels
                .iter()
                .enumerate()
                .map(|(i, l)| f64::from(u8::from(*l == (i < right))))
                .collect();
            Evaluation::of(&labels, &p, 0.5).unwrap()
        };
        // The constant has 2/3 in all three.
        for (right, beats, surely) in [(66, false, false), (70, true, false), (90, true, true)] {
            let e = of(right);
            assert_eq!(
                (e.beats_constant, e.beats_constant_beyond_chance()),
                (beats, surely),
                "{e:?}"
            );
        }
    }

    #[test]
    fn one_class_is_null_in_json_and_reads_back() {
        let evaluation = Evaluation::of(&[false; 40], &[0.2; 40], 0.5).unwrap();
        let json = serde_json::to_string(&evaluation).unwrap();
        assert!(json.contains(r#""roc_auc":null,"roc_auc_interval":null,"pr_auc":null"#), "{json}");
        assert!(json.contains(r#""f1_always":"negative""#), "{json}");
        assert_eq!(serde_json::from_str::<Evaluation>(&json).unwrap(), evaluation);
    }

    #[test]
    fn impossible_input_is_refused() {
        assert!(Evaluation::of(&[], &[], 0.5).is_err());
        assert!(Evaluation::of(&[true], &[f64::NAN], 0.5).is_err());
        assert!(Evaluation::of(&[true], &[0.5], f64::NAN).is_err());
    }
}
