//! The evaluation of a model on a test set: the numbers of `score.json`, without provenance.
//!
//! Also the text of the bare score file. Not for the rule that turns a probability into a class: see
//! [`super::threshold`]; not for deciding whether a model may go live.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::bootstrap::too_few;
use super::calibration::{LogOdds, Rows};
use super::clusters::Clusters;
use super::interval::{
    auc_within, balanced_interval, f1_within, gini_interval, ks_interval, mcc_interval,
    share_interval,
};
use super::probability::Losses;
use super::samplings::Samplings;
use super::threshold::classify;
use super::{
    Calibration, ConfusionMatrix, ConstantBaseline, Decile, Interval, Ranking, TopDecile,
    check_probabilities, same_length,
};
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
    /// Number of entities that the rows belong to, where some have several rows: the intervals then
    /// take account of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<u64>,
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
    /// [`ConfusionMatrix::specificity`]. This and all fields up to `calibration` are missing in
    /// files written before they were computed.
    #[serde(default)]
    pub specificity: Option<f64>,
    /// Confidence interval of the specificity.
    #[serde(default)]
    pub specificity_interval: Option<Interval>,
    /// [`ConfusionMatrix::balanced_accuracy`].
    #[serde(default)]
    pub balanced_accuracy: Option<f64>,
    /// Confidence interval of the balanced accuracy; `None` with one class.
    #[serde(default)]
    pub balanced_accuracy_interval: Option<Interval>,
    /// [`ConfusionMatrix::mcc`].
    #[serde(default)]
    pub mcc: Option<f64>,
    /// Confidence interval of the correlation; `None` with one class.
    #[serde(default)]
    pub mcc_interval: Option<Interval>,
    /// [`ConfusionMatrix::prevalence`].
    #[serde(default)]
    pub prevalence: Option<f64>,
    /// Confidence interval of the prevalence.
    #[serde(default)]
    pub prevalence_interval: Option<Interval>,
    /// Gini coefficient, 2 AUC - 1; `None` with one class.
    #[serde(default)]
    pub gini: Option<f64>,
    /// Confidence interval of the Gini coefficient; `None` with one class.
    #[serde(default)]
    pub gini_interval: Option<Interval>,
    /// Distance of Kolmogorov and Smirnov between the scores of both classes; `None` with one
    /// class.
    #[serde(default)]
    pub ks: Option<f64>,
    /// Confidence interval of the distance; `None` with one class.
    #[serde(default)]
    pub ks_interval: Option<Interval>,
    /// The tenth of the rows with the highest scores; `None` with one class or fewer than ten rows.
    #[serde(default)]
    pub top_decile: Option<TopDecile>,
    /// All tenths of the rows by score; none with one class or fewer than ten rows.
    #[serde(default)]
    pub deciles: Vec<Decile>,
    /// Whether the probabilities come true.
    #[serde(default)]
    pub calibration: Option<Calibration>,
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
        Self::clustered(labels, probabilities, threshold, None)
    }

    /// Like [`Evaluation::of`], for rows of which several belong to one entity, if `clusters` are
    /// given: the figures are the same, but the intervals are as wide as entities make them.
    ///
    /// # Errors
    /// As [`Evaluation::of`]; `Data` too if `clusters` are of another number of rows.
    pub fn clustered(
        labels: &[bool],
        probabilities: &[f64],
        threshold: f64,
        clusters: Option<&Clusters>,
    ) -> Result<Self> {
        Self::ranked(labels, probabilities, threshold, clusters).map(|(evaluation, _)| evaluation)
    }

    /// Like [`Evaluation::clustered`]; returns the sorted rows as well, for whoever needs more of them:
    /// sorting takes as long as everything else together.
    ///
    /// # Errors
    /// As [`Evaluation::clustered`].
    pub fn ranked(
        labels: &[bool],
        probabilities: &[f64],
        threshold: f64,
        clusters: Option<&Clusters>,
    ) -> Result<(Self, Ranking)> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::data(format!(
                "the threshold is {threshold}: it must lie within 0 and 1"
            )));
        }
        check_probabilities(labels, probabilities)?;
        if let Some(clusters) = clusters {
            same_length(labels.len(), clusters.rows())?;
        }
        let predicted = probabilities.iter().map(|&p| classify(p, threshold));
        let matrix = ConfusionMatrix::from_pairs(labels.iter().copied().zip(predicted));
        let ranked = || -> Result<_> {
            let ranking = Ranking::new(labels, probabilities)?;
            Ok((ranking.figures(), ranking))
        };
        let rest = || (Losses::of(labels, probabilities), LogOdds::of(labels, probabilities));
        let (ranked, (losses, log_odds)) =
            if labels.len() < LARGE { (ranked(), rest()) } else { both(ranked, rest) };
        let (ranked, ranking) = ranked?;
        let (positives, negatives) = (matrix.positives(), matrix.negatives());
        let constant = ConstantBaseline::of(positives, negatives);
        let roc_auc = ranked.as_ref().map(|ranked| ranked.roc_auc);
        let by = clusters.map_or(Samplings::ROWS, |clusters| {
            Samplings::of(clusters, labels, probabilities, threshold, &matrix, ranked.as_ref())
        });
        let rows = clusters.map(|clusters| Rows { labels, probabilities, clusters });
        let share = |part: u64, whole: u64, by| share_interval(part as f64, whole as f64, by);
        let area = roc_auc.map(|auc| auc_within(auc, positives, negatives, by.area));
        let ks = ranked.as_ref().map(|ranked| ranked.ks);
        let pr_auc = ranked.as_ref().map(|ranked| ranked.average_precision);
        let deciles = ranked.map(|ranked| ranked.deciles).unwrap_or_default();
        let losses = losses?;
        let evaluation = Self {
            n: matrix.n(),
            positives,
            entities: clusters.map(|clusters| clusters.len() as u64),
            threshold,
            f1: matrix.f1(),
            f1_interval: f1_within(&matrix, by.f1),
            accuracy: matrix.accuracy(),
            accuracy_interval: share(matrix.tn + matrix.tp, matrix.n(), by.accuracy),
            note: too_few(&matrix).map(str::to_owned),
            precision: matrix.precision(),
            precision_interval: Some(share(matrix.tp, matrix.tp + matrix.fp, by.precision)),
            recall: matrix.recall(),
            recall_interval: Some(share(matrix.tp, positives, by.recall)),
            roc_auc,
            roc_auc_interval: area,
            pr_auc,
            specificity: Some(matrix.specificity()),
            specificity_interval: Some(share(matrix.tn, negatives, by.specificity)),
            balanced_accuracy: Some(matrix.balanced_accuracy()),
            balanced_accuracy_interval: balanced_interval(&matrix, by.balanced),
            mcc: Some(matrix.mcc()),
            mcc_interval: mcc_interval(&matrix, by.mcc),
            prevalence: Some(matrix.prevalence()),
            prevalence_interval: Some(share(positives, matrix.n(), by.prevalence)),
            gini: roc_auc.map(|auc| 2.0 * auc - 1.0),
            gini_interval: area.map(gini_interval),
            ks: ks.map(|ks| ks.ks),
            ks_interval: ks.and_then(|ks| ks_interval(&ks.matrix, by.ks)),
            top_decile: TopDecile::of(&deciles, matrix.n(), positives, by.top_precision, by.lift),
            deciles,
            calibration: Some(log_odds?.calibration(rows)),
            log_loss: losses.log_loss,
            brier: losses.brier,
            confusion_matrix: matrix,
            constant,
            beats_constant: constant.met_by(matrix.f1()) == Ordering::Greater,
        };
        Ok((evaluation, ranking))
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
