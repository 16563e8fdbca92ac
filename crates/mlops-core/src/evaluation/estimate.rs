//! Scores of rows whose labels are not known yet, estimated from the calibrated probabilities.
//!
//! This is confidence-based performance estimation (NannyML's CBPE; Guillory et al., "Predicting with
//! confidence on unseen distributions", 2021): if of the rows with probability q a share q is
//! positive, the expected confusion matrix follows from the probabilities, and the scores from it.
//! Probabilities are calibrated first by the line of log-odds that was fitted on the test rows
//! ([`Calibration`]).
//!
//! The interval is one for the score that the labels will give. By the delta method, its variance
//! has two parts: with g the derivative of the score by the label of a row and w = q (1 - q), the sum
//! of w g^2 from the labels, which are drawn with the chances q, and J V J' from the line, where V is the
//! covariance of intercept and slope and J the sum of w g (1, log-odds). `docs/estimates.md` has the measured
//! coverage.
//!
//! The estimate assumes that the probabilities still come true. If the relation of label and features changed
//! (concept drift), it is wrong and cannot notice. Not for the test whether rows left the reference: see
//! [`crate::drift::support`].

use serde::{Deserialize, Serialize};

use super::answered::{Answered, Point};
use super::metrics::interval::expected_within;
use super::metrics::{Calibration, Evaluation, Interval};
use super::refusal::Refusal;

/// The least number of test rows of each class. Fewer tell little about calibration (Vergouwe et al.,
/// "Substantial effective sample sizes were required for external validation studies of predictive logistic
/// regression models", Journal of Clinical Epidemiology 58, 2005).
pub const LEAST_TESTED: u64 = 100;
/// The least number of answers that are predicted positive, and expected to be of each class.
pub const LEAST_ANSWERED: u64 = 30;
/// The level of both tests of calibration together; each has half of it.
pub const ALPHA: f64 = 0.05;

/// A score that the labels are expected to give.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The estimate.
    pub value: f64,
    /// The interval that has the score of the labels with a chance of 95 %.
    pub interval: Interval,
}

/// The expected numbers of rows by label and prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ExpectedMatrix {
    /// Negatives predicted negative.
    pub tn: f64,
    /// Negatives predicted positive.
    pub fp: f64,
    /// Positives predicted negative.
    #[serde(rename = "fn")]
    pub fn_: f64,
    /// Positives predicted positive.
    pub tp: f64,
}

/// Estimated scores of rows without labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Estimate {
    /// The number of rows.
    pub rows: u64,
    /// The expected confusion matrix.
    pub matrix: ExpectedMatrix,
    /// F1 of the positive class.
    pub f1: Expected,
    /// Precision.
    pub precision: Expected,
    /// Recall.
    pub recall: Expected,
    /// Area under the ROC curve.
    pub roc_auc: Expected,
}

impl Estimate {
    /// The scores to expect of `answered`, given how the model did on its test rows.
    ///
    /// # Errors
    /// Why no estimate can be trusted: the calibration is unknown or contradicted by the test rows,
    /// or there are too few rows.
    pub fn of(answered: &Answered, tested: &Evaluation) -> Result<Self, Refusal> {
        let line = Line::of(tested)?;
        let points = answered.sorted();
        let chances: Vec<f64> = points.iter().map(|point| line.chance(point.log_odds)).collect();
        let matrix = ExpectedMatrix::of(&points, &chances);
        let ExpectedMatrix { tn, fp, fn_, tp } = matrix;
        let groups = [tp + fp, tp + fn_, tn + fp];
        let smallest = groups.into_iter().fold(f64::INFINITY, f64::min);
        if smallest < LEAST_ANSWERED as f64 {
            let (rows, least) = (answered.rows(), LEAST_ANSWERED);
            return Err(Refusal::FewAnswered { rows, smallest, least });
        }
        let (positives, negatives, predicted) = (tp + fn_, tn + fp, tp + fp);
        let f1 = 2.0 * tp / (positives + predicted);
        let (precision, recall) = (tp / predicted, tp / positives);
        let (area, of_area) = area(&points, &chances, positives, negatives);
        let side = |point: &Point| f64::from(u8::from(point.positive));
        let expected = |value: f64, derivative: &dyn Fn(usize) -> f64| {
            let variance = line.variance(&points, &chances, derivative);
            Expected { value, interval: expected_within(value, variance) }
        };
        Ok(Self {
            rows: answered.rows(),
            matrix,
            f1: expected(f1, &|i| (2.0 * side(&points[i]) - f1) / (positives + predicted)),
            precision: expected(precision, &|i| side(&points[i]) / predicted),
            recall: expected(recall, &|i| (side(&points[i]) - recall) / positives),
            roc_auc: expected(area, &|i| of_area[i]),
        })
    }
}

impl ExpectedMatrix {
    fn of(points: &[Point], chances: &[f64]) -> Self {
        let mut matrix = Self { tn: 0.0, fp: 0.0, fn_: 0.0, tp: 0.0 };
        for (point, chance) in points.iter().zip(chances) {
            let (positive, negative) = (point.rows * chance, point.rows * (1.0 - chance));
            if point.positive {
                matrix.tp += positive;
                matrix.fp += negative;
            } else {
                matrix.fn_ += positive;
                matrix.tn += negative;
            }
        }
        matrix
    }
}

/// The calibration of a release that passed its tests.
struct Line {
    intercept: f64,
    slope: f64,
    covariance: [[f64; 2]; 2],
}

impl Line {
    /// That of the test rows, unless they contradict the probabilities.
    fn of(tested: &Evaluation) -> Result<Self, Refusal> {
        let rarer = tested.positives.min(tested.n - tested.positives);
        if rarer < LEAST_TESTED {
            return Err(Refusal::FewTested { rows: rarer, least: LEAST_TESTED });
        }
        let calibration = tested.calibration.as_ref().ok_or(Refusal::NotKept)?;
        if let Some(why) = calibration.unfitted {
            return Err(Refusal::Unfitted { why });
        }
        let Calibration { intercept: Some(intercept), slope: Some(slope), .. } = *calibration
        else {
            return Err(Refusal::NotKept);
        };
        let covariance = calibration.covariance.ok_or(Refusal::NotKept)?;
        let [[aa, ab], [_, bb]] = covariance;
        let (a, b, determinant) = (intercept, slope - 1.0, aa * bb - ab * ab);
        let level = ALPHA / 2.0;
        // Wald's statistic; chi-square with two degrees of freedom exceeds x with chance exp(-x / 2).
        let distance = (bb * a * a - 2.0 * ab * a * b + aa * b * b) / determinant;
        let p_value = (-distance / 2.0).exp();
        // So that a distance that is no number is refused, too.
        if p_value.is_nan() || p_value < level {
            return Err(Refusal::OffTheLine { intercept, slope, p_value, level });
        }
        if let (Some(z), Some(p_value)) = (calibration.spiegelhalter_z, calibration.spiegelhalter_p)
            && p_value < level
        {
            return Err(Refusal::Spiegelhalter { z, p_value, level });
        }
        Ok(Self { intercept, slope, covariance })
    }

    /// The calibrated probability.
    fn chance(&self, log_odds: f64) -> f64 {
        1.0 / (1.0 + (-self.intercept - self.slope * log_odds).exp())
    }

    /// The variance of a score with this derivative by the labels of each point's rows.
    fn variance(&self, points: &[Point], chances: &[f64], of: &dyn Fn(usize) -> f64) -> f64 {
        let (mut labels, mut by_line) = (0.0, [0.0; 2]);
        for (i, (point, chance)) in points.iter().zip(chances).enumerate() {
            let (derivative, weight) = (of(i), point.rows * chance * (1.0 - chance));
            labels += weight * derivative * derivative;
            by_line[0] += weight * derivative;
            by_line[1] += weight * derivative * point.log_odds;
        }
        let ([a, b], [[aa, ab], [_, bb]]) = (by_line, self.covariance);
        labels + a * a * aa + 2.0 * a * b * ab + b * b * bb
    }
}

/// The area under the expected ROC curve, by trapezoids, and its derivative by the label of a row of each of the
/// ascending points. Rows with equal log-odds are one step of the curve.
fn area(points: &[Point], chances: &[f64], positives: f64, negatives: f64) -> (f64, Vec<f64>) {
    let pairs = positives * negatives;
    let (mut of, mut won) = (vec![0.0; points.len()], 0.0);
    let (mut below, mut above, mut first) = (0.0, positives, 0);
    for tied in points.chunk_by(|a, b| a.log_odds.total_cmp(&b.log_odds).is_eq()) {
        let steps = tied.iter().zip(&chances[first..]);
        let (mut positive, mut negative) = (0.0, 0.0);
        for (point, chance) in steps {
            positive += point.rows * chance;
            negative += point.rows * (1.0 - chance);
        }
        above -= positive;
        let (lower, upper) = (below + negative / 2.0, above + positive / 2.0);
        won += positive * lower;
        for derivative in &mut of[first..first + tied.len()] {
            *derivative = lower - upper;
        }
        below += negative;
        first += tied.len();
    }
    let area = won / pairs;
    for derivative in &mut of {
        *derivative = (*derivative - area * (negatives - positives)) / pairs;
    }
    (area, of)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test with these numbers, where of every hundred rows at p as many are positive as p says.
    fn tested(rows: u32, bend: f64) -> Evaluation {
        let (mut labels, mut p) = (Vec::new(), Vec::new());
        for i in 0..rows {
            let chance = [0.05, 0.2, 0.5, 0.8, 0.95][(i % 5) as usize];
            let came = (chance + bend).clamp(0.0, 1.0);
            labels.push(f64::from(i / 5 % 100) < (100.0 * came).round());
            p.push(chance);
        }
        Evaluation::of(&labels, &p, 0.5).unwrap()
    }

    fn answered() -> Answered {
        let mut answered = Answered::new(0.5);
        for i in 0..400 {
            answered.add([0.2, 0.3, 0.6, 0.9][i % 4]);
        }
        answered
    }

    #[test]
    fn the_expected_matrix_is_the_sum_of_the_chances() {
        let found = Estimate::of(&answered(), &tested(5_000, 0.0)).unwrap();
        let ExpectedMatrix { tn, fp, fn_, tp } = found.matrix;
        for (found, expected) in [(tp, 150.0), (fp, 50.0), (fn_, 50.0), (tn, 150.0)] {
            assert!((found - expected).abs() < 1e-6, "{found} rather than {expected}");
        }
        assert!((found.f1.value - 0.75).abs() < 1e-8);
        assert!((found.precision.value - 0.75).abs() < 1e-8);
        // By hand: pairs won at each step, half of those within it.
        let area = (20.0 * 40.0 + 30.0 * 115.0 + 60.0 * 170.0 + 90.0 * 195.0) / 40_000.0;
        assert!((found.roc_auc.value - area).abs() < 1e-8, "{}", found.roc_auc.value);
        for score in [found.f1, found.precision, found.recall, found.roc_auc] {
            let Interval { low, high, .. } = score.interval;
            assert!(0.0 < low && low < score.value && score.value < high && high < 1.0);
        }
    }

    #[test]
    fn fewer_test_rows_make_the_interval_wider() {
        let width = |rows| {
            let Interval { low, high, .. } =
                Estimate::of(&answered(), &tested(rows, 0.0)).unwrap().f1.interval;
            high - low
        };
        assert!(width(500) > 1.2 * width(50_000), "{} {}", width(500), width(50_000));
    }

    #[test]
    fn what_cannot_be_trusted_is_refused() {
        let refused = |answered: &Answered, tested: &Evaluation| {
            Estimate::of(answered, tested).expect_err("a refusal")
        };
        let good = tested(5_000, 0.0);
        let few = Refusal::FewAnswered { rows: 0, smallest: 0.0, least: 30 };
        assert_eq!(refused(&Answered::new(0.5), &good), few);
        let mut negative = Answered::new(0.5);
        (0..1_000).for_each(|_| negative.add(0.4));
        assert!(matches!(refused(&negative, &good), Refusal::FewAnswered { rows: 1_000, .. }));
        let few = refused(&answered(), &tested(150, 0.0));
        assert!(matches!(few, Refusal::FewTested { least: 100, .. }), "{few:?}");
        let bent = refused(&answered(), &tested(5_000, 0.15));
        assert!(matches!(bent, Refusal::OffTheLine { .. }), "{bent:?}");
        let mut older = good.clone();
        older.calibration.as_mut().unwrap().covariance = None;
        assert_eq!(refused(&answered(), &older), Refusal::NotKept);
        older.calibration = None;
        assert_eq!(refused(&answered(), &older), Refusal::NotKept);
        let mut noisy = good;
        noisy.calibration.as_mut().unwrap().spiegelhalter_p = Some(0.01);
        assert!(matches!(refused(&answered(), &noisy), Refusal::Spiegelhalter { .. }));
    }
}
