//! Metrics of the probabilities themselves: log loss, Brier score, calibration, histogram.
//!
//! Every function takes n labels and n probabilities of the positive class. Not for scores at a
//! threshold (the parent module) or of the order alone ([`super::ranking`]).
//!
//! # Errors
//! All return `Data` if the lengths differ, there are no rows, or a probability is NaN or outside
//! [0, 1].

use super::{CalibrationBin, ScoreHistogram, check_probabilities};
use crate::error::{Error, Result};
use crate::platform::math::ln;
use crate::platform::simd::{Work, widest};

/// Rows that are summed together.
const BLOCK: usize = 1024;
/// Running sums: as many as the widest vector has doubles, so that every processor adds in the same order.
const LANES: usize = 8;

/// The mean losses of n probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Losses {
    /// Mean negative log-likelihood in nats (`log_loss`).
    ///
    /// Probabilities are clipped to [eps, 1 - eps] with the machine epsilon, as in scikit-learn, so
    /// that a certain but wrong prediction costs 36 nats, not infinity.
    pub log_loss: f64,
    /// Mean squared difference between probability and label, 0 to 1 (`brier_score_loss`).
    pub brier: f64,
}

impl Losses {
    /// Of n labels and n probabilities.
    pub fn of(labels: &[bool], probabilities: &[f64]) -> Result<Self> {
        check_probabilities(labels, probabilities)?;
        let (mut log_loss, mut brier) = (0.0, 0.0);
        // In blocks, so that rounding errors do not grow with n.
        for (labels, probabilities) in labels.chunks(BLOCK).zip(probabilities.chunks(BLOCK)) {
            let [of_log, of_square] = widest(BlockLosses { labels, probabilities });
            log_loss += of_log;
            brier += of_square;
        }
        let n = labels.len() as f64;
        Ok(Self { log_loss: log_loss / n, brier: brier / n })
    }
}

/// The sums of both losses over a block.
struct BlockLosses<'a> {
    labels: &'a [bool],
    probabilities: &'a [f64],
}

impl Work for BlockLosses<'_> {
    type Output = [f64; 2];

    #[expect(clippy::inline_always, reason = "see `simd`")]
    #[inline(always)]
    fn run(self) -> [f64; 2] {
        let (mut log, mut square) = ([0.0; LANES], [0.0; LANES]);
        let (labels, few_labels) = self.labels.as_chunks::<LANES>();
        let (probabilities, few) = self.probabilities.as_chunks::<LANES>();
        for (labels, probabilities) in labels.iter().zip(probabilities) {
            for lane in 0..LANES {
                log[lane] += log_loss_of(labels[lane], probabilities[lane]);
                square[lane] += squared_error(labels[lane], probabilities[lane]);
            }
        }
        for (lane, (label, p)) in few_labels.iter().zip(few).enumerate() {
            log[lane] += log_loss_of(*label, *p);
            square[lane] += squared_error(*label, *p);
        }
        [log.iter().sum(), square.iter().sum()]
    }
}

/// The log loss of one row.
#[expect(clippy::inline_always, reason = "see `simd`")]
#[inline(always)]
pub(super) fn log_loss_of(label: bool, p: f64) -> f64 {
    let of_the_truth = if label { p } else { 1.0 - p };
    -ln(of_the_truth.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
}

/// The Brier score of one row.
#[expect(clippy::inline_always, reason = "see `simd`")]
#[inline(always)]
pub(super) fn squared_error(label: bool, p: f64) -> f64 {
    let miss = p - f64::from(u8::from(label));
    miss * miss
}

/// The calibration curve over `bins` equal bins of [0, 1], without empty bins (`calibration_curve`
/// with `strategy="uniform"`).
///
/// A probability on an edge belongs to the lower bin, as in scikit-learn.
pub fn calibration_curve(
    labels: &[bool],
    probabilities: &[f64],
    bins: usize,
) -> Result<Vec<CalibrationBin>> {
    check_probabilities(labels, probabilities)?;
    let inner = inner_edges(bins)?;
    let mut sums = vec![(0.0_f64, 0_u64, 0_u64); bins];
    for (&label, &p) in labels.iter().zip(probabilities) {
        let (sum, positives, count) = &mut sums[inner.partition_point(|edge| *edge < p)];
        *sum += p;
        *positives += u64::from(label);
        *count += 1;
    }
    let bin = |(sum, positives, count): (f64, u64, u64)| CalibrationBin {
        mean_predicted: sum / count as f64,
        fraction_of_positives: positives as f64 / count as f64,
        count,
    };
    Ok(sums.into_iter().filter(|(_, _, count)| *count > 0).map(bin).collect())
}

/// Groups of the Hosmer-Lemeshow test.
const GROUPS: usize = 10;

/// The result of a test of calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationTest {
    /// The number of groups of rows compared.
    pub groups: usize,
    /// The test's statistic.
    pub statistic: f64,
    /// The probability of a statistic at least as large if the model is calibrated.
    pub p_value: f64,
    /// Mean absolute difference between mean probability and share of positives, over the groups.
    pub gap: f64,
}

/// The test of Hosmer and Lemeshow (1980) with ten groups of equal size, ordered by probability;
/// `None` with fewer than ten rows per group.
///
/// On rows that the model was not fitted on, the statistic has as many degrees of freedom as there
/// are groups (Hosmer, Lemeshow, Sturdivant: Applied Logistic Regression, 3rd ed., 5.2.2).
pub fn hosmer_lemeshow(labels: &[bool], probabilities: &[f64]) -> Result<Option<CalibrationTest>> {
    check_probabilities(labels, probabilities)?;
    let n = labels.len();
    if n < GROUPS * 10 {
        return Ok(None);
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let (mut statistic, mut gap) = (0.0, 0.0);
    for group in 0..GROUPS {
        let rows = &order[group * n / GROUPS..(group + 1) * n / GROUPS];
        let (mut observed, mut expected, mut variance) = (0.0, 0.0, 0.0);
        for row in rows {
            let p = probabilities[*row];
            observed += f64::from(u8::from(labels[*row]));
            expected += p;
            variance += p * (1.0 - p);
        }
        let distance: f64 = observed - expected;
        gap += distance.abs() / n as f64;
        // A group of certain predictions has no variance: any miss is beyond chance.
        statistic += distance * distance / variance.max(f64::EPSILON);
    }
    // The chi-square distribution with an even number of degrees of freedom, in closed form.
    let half = statistic / 2.0;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..GROUPS / 2 {
        term *= half / k as f64;
        sum += term;
    }
    let p_value = if half > 700.0 { 0.0 } else { (-half).exp() * sum };
    Ok(Some(CalibrationTest { groups: GROUPS, statistic, p_value, gap }))
}

/// Counts of each class over `bins` equal bins of [0, 1] (`numpy.histogram`).
///
/// A probability on an edge belongs to the upper bin, 1 to the last.
pub fn score_histogram(
    labels: &[bool],
    probabilities: &[f64],
    bins: usize,
) -> Result<ScoreHistogram> {
    check_probabilities(labels, probabilities)?;
    let inner = inner_edges(bins)?;
    let mut histogram = ScoreHistogram { negative: vec![0; bins], positive: vec![0; bins] };
    for (&label, &p) in labels.iter().zip(probabilities) {
        let bin = inner.partition_point(|edge| *edge <= p);
        if label { histogram.positive[bin] += 1 } else { histogram.negative[bin] += 1 }
    }
    Ok(histogram)
}

/// The `bins - 1` edges between equal bins of [0, 1], rounded as `numpy.linspace` rounds them.
fn inner_edges(bins: usize) -> Result<Vec<f64>> {
    if bins == 0 {
        return Err(Error::data("a histogram needs at least one bin"));
    }
    let width = 1.0 / bins as f64;
    Ok((1..bins).map(|i| i as f64 * width).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certain_and_wrong_is_finite() {
        let Losses { log_loss, brier } = Losses::of(&[true, false], &[0.0, 1.0]).unwrap();
        assert!((log_loss + f64::EPSILON.ln()).abs() < 1e-12, "{log_loss}");
        assert!((brier - 1.0).abs() < 1e-15);
    }

    #[test]
    fn probabilities_that_do_not_come_true_are_found() {
        // Three in ten of each ten rows are positive; golden figures by hand: each group of ten has
        // 3 positives where 10 p are expected, over 10 p (1 - p).
        let labels: Vec<bool> = (0..100).map(|i| i % 10 < 3).collect();
        let right = hosmer_lemeshow(&labels, &[0.3; 100]).unwrap().unwrap();
        assert!(right.statistic.abs() < 1e-20 && (right.p_value - 1.0).abs() < 1e-12, "{right:?}");
        let off = hosmer_lemeshow(&labels, &[0.5; 100]).unwrap().unwrap();
        // 10 (3 - 5)^2 / 2.5 = 16; chi-square with 10 degrees: exp(-8) (1 + 8 + 32 + 256/3 + 512/3).
        assert!((off.statistic - 16.0).abs() < 1e-9 && (off.gap - 0.2).abs() < 1e-12, "{off:?}");
        assert!((off.p_value - 0.099_632_400_487).abs() < 1e-9, "{off:?}");
        assert_eq!(hosmer_lemeshow(&labels[..99], &[0.3; 99]).unwrap(), None);
    }

    #[test]
    fn impossible_input_is_refused() {
        for bad in [f64::NAN, -0.1, 1.5, f64::INFINITY] {
            assert!(Losses::of(&[true], &[bad]).is_err());
        }
        assert!(Losses::of(&[], &[]).is_err());
        assert!(Losses::of(&[true], &[0.1, 0.2]).is_err());
        assert!(score_histogram(&[true], &[0.1], 0).is_err());
    }

    #[test]
    fn edges_fall_to_the_side_that_is_documented() {
        let (labels, p) = ([false, true, true, true], [0.0, 0.5, 0.75, 1.0]);
        let bins = calibration_curve(&labels, &p, 2).unwrap();
        assert_eq!(bins.iter().map(|b| b.count).collect::<Vec<_>>(), [2, 2]);
        let histogram = score_histogram(&labels, &p, 2).unwrap();
        assert_eq!(histogram.negative, [1, 0]);
        assert_eq!(histogram.positive, [0, 3]);
    }

    #[test]
    fn empty_bins_are_left_out() {
        let bins = calibration_curve(&[true, false], &[0.95, 0.05], 10).unwrap();
        assert_eq!(bins.len(), 2);
        assert!((bins[1].mean_predicted - 0.95).abs() < 1e-15);
        assert!((bins[1].fraction_of_positives - 1.0).abs() < 1e-15);
    }
}
