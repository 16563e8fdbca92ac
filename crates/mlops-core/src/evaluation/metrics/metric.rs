//! The value of a chosen metric: of a model's answers, and of the best constant answer.
//!
//! Not for intervals: see [`super::interval`] and [`super::paired`].

use super::{ConfusionMatrix, ConstantBaseline, Evaluation, TopDecile};
use crate::Result;
pub use crate::config::choices::Metric;

impl Metric {
    /// The metric of predictions with these counts; `None` if it needs probabilities.
    pub fn of_counts(self, matrix: &ConfusionMatrix) -> Option<f64> {
        match self {
            Self::F1 => Some(matrix.f1()),
            Self::Accuracy => Some(matrix.accuracy()),
            Self::BalancedAccuracy => Some(matrix.balanced_accuracy()),
            Self::Precision => Some(matrix.precision()),
            Self::Recall => Some(matrix.recall()),
            Self::Specificity => Some(matrix.specificity()),
            Self::Mcc => Some(matrix.mcc()),
            Self::RocAuc
            | Self::Gini
            | Self::PrAuc
            | Self::Ks
            | Self::Lift
            | Self::TopPrecision
            | Self::LogLoss
            | Self::Brier => None,
        }
    }

    /// The metric of answers with the counts `matrix`, or of their probabilities if it needs these;
    /// `None` as in [`Self::of`].
    ///
    /// # Errors
    /// As [`Evaluation::of`].
    pub fn of_either(
        self,
        matrix: &ConfusionMatrix,
        labels: &[bool],
        probabilities: impl FnOnce() -> Vec<f64>,
    ) -> Result<Option<f64>> {
        match self.of_counts(matrix) {
            Some(value) => Ok(Some(value)),
            // The threshold does not matter for metrics of another kind.
            None => Ok(self.of(&Evaluation::of(labels, &probabilities(), 0.5)?)),
        }
    }

    /// The metric in `evaluation`; `None` where it does not exist: with one class, or with fewer
    /// than ten rows for the top decile.
    pub fn of(self, evaluation: &Evaluation) -> Option<f64> {
        let top = |of: fn(&TopDecile) -> f64| evaluation.top_decile.as_ref().map(of);
        match self {
            Self::RocAuc => evaluation.roc_auc,
            Self::Gini => evaluation.roc_auc.map(|auc| 2.0 * auc - 1.0),
            Self::PrAuc => evaluation.pr_auc,
            Self::Ks => evaluation.ks,
            Self::Lift => top(|top| top.lift),
            Self::TopPrecision => top(|top| top.precision),
            Self::LogLoss => Some(evaluation.log_loss),
            Self::Brier => Some(evaluation.brier),
            counted => counted.of_counts(&evaluation.confusion_matrix),
        }
    }

    /// The metric of the best answer that ignores the row, with this many positives and negatives:
    /// one class always, or the share of positives as the probability of every row.
    ///
    /// `None` for recall and specificity, of which one constant answer has 1 without knowing
    /// anything, and without rows.
    pub fn of_constant(self, positives: u64, negatives: u64) -> Option<f64> {
        let rows = positives + negatives;
        if rows == 0 {
            return None;
        }
        let share = positives as f64 / rows as f64;
        let best = ConstantBaseline::of(positives, negatives);
        let entropy = |share: f64| if share > 0.0 { -share * share.ln() } else { 0.0 };
        match self {
            Self::F1 => Some(best.f1),
            Self::Accuracy => Some(best.accuracy),
            Self::BalancedAccuracy | Self::RocAuc => Some(0.5),
            Self::Precision | Self::PrAuc | Self::TopPrecision => Some(share),
            Self::Recall | Self::Specificity => None,
            Self::Mcc | Self::Gini | Self::Ks => Some(0.0),
            Self::Lift => Some(1.0),
            Self::LogLoss => Some(entropy(share) + entropy(1.0 - share)),
            Self::Brier => Some(share * (1.0 - share)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_that_of_the_evaluation_and_beats_the_constant_if_the_model_does() {
        let labels: Vec<bool> = (0..200).map(|i| i % 3 == 0).collect();
        let p: Vec<f64> = labels
            .iter()
            .enumerate()
            .map(|(i, l)| if *l { 0.6 } else { 0.3 } + (i * 7 % 40) as f64 / 150.0)
            .collect();
        let e = Evaluation::of(&labels, &p, 0.5).unwrap();
        for metric in Metric::ALL {
            let value = metric.of(&e).unwrap();
            if let Some(constant) = metric.of_constant(67, 133) {
                assert!(metric.gain(value, constant) > 0.0, "{metric:?}: {value} {constant}");
            }
        }
        assert_eq!(Metric::Gini.of(&e), e.gini);
        assert_eq!(Metric::Recall.of_constant(67, 133), None);
        let one = Evaluation::of(&[true; 40], &[0.4; 40], 0.5).unwrap();
        assert_eq!((Metric::Lift.of(&one), Metric::Ks.of(&one)), (None, None));
    }

    /// `f1_score` and others of scikit-learn for constant answers on 30 positives of 100 rows.
    #[test]
    fn constants_have_the_values_of_their_definitions() {
        for (metric, value) in [
            (Metric::F1, 0.6 / 1.3),
            (Metric::Accuracy, 0.7),
            (Metric::Precision, 0.3),
            (Metric::Brier, 0.21),
            (Metric::LogLoss, 0.610_864_302_054_893_5),
        ] {
            assert!((metric.of_constant(30, 70).unwrap() - value).abs() < 1e-15, "{metric:?}");
        }
    }
}
