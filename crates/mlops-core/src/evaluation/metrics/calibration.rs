//! Whether probabilities come true: the calibration slope and intercept, and Spiegelhalter's test.
//!
//! The label is regressed on the log-odds of the predicted probability: log-odds of a positive =
//! intercept + slope x log-odds. A calibrated model has intercept 0 and slope 1; a slope below 1
//! means predictions that are too extreme, as after overfitting (Cox, "Two further applications of a
//! model for binary regression", Biometrika 45, 1958; Steyerberg, "Clinical Prediction Models", 2nd
//! ed. 2019, 15.3). Not for the curve and the test by groups: see [`super::probability`].

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use serde::{Deserialize, Serialize};

use super::clusters::{Clusters, Sampling};
use super::interval::wald;
use super::{Interval, check_probabilities};
use crate::error::Result;
use crate::platform::math::ln;
use crate::platform::simd::{Work, widest};

/// Calibration of n probabilities. No number in it is ever NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Calibration {
    /// Intercept of the regression of the label on the log-odds; 0 if calibrated.
    pub intercept: Option<f64>,
    /// Its confidence interval.
    pub intercept_interval: Option<Interval>,
    /// Slope of the same regression; 1 if calibrated.
    pub slope: Option<f64>,
    /// Its confidence interval.
    pub slope_interval: Option<Interval>,
    /// Variances of intercept and slope on the diagonal, their covariance beside it; `None` in
    /// files written before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariance: Option<[[f64; 2]; 2]>,
    /// Why intercept and slope are unknown, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfitted: Option<Unfitted>,
    /// Spiegelhalter's z of the Brier score; `None` if every probability is 0, 0.5 or 1, where the
    /// score of a calibrated model does not vary.
    pub spiegelhalter_z: Option<f64>,
    /// The probability of a z at least as far from 0 if the model is calibrated.
    pub spiegelhalter_p: Option<f64>,
}

/// Why the label cannot be regressed on the log-odds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unfitted {
    /// All labels are of one class.
    OneClass,
    /// All rows have the same probability.
    Constant,
    /// A threshold separates the classes without error, so that the slope would be infinite.
    Separable,
    /// The iteration did not reach the optimum, as where the classes can almost be separated.
    Unsettled,
}

impl Unfitted {
    /// The reason in words, to follow "unknown:".
    pub fn words(self) -> &'static str {
        match self {
            Self::OneClass => "all labels are of one class",
            Self::Constant => "all rows have the same probability",
            Self::Separable => "the probabilities separate the classes without error",
            Self::Unsettled => "the regression of the label on the log-odds did not converge",
        }
    }
}

/// The log-odds of many rows, condensed, with the sums over the labels that the regression needs.
#[derive(Debug, Clone)]
pub(super) struct LogOdds {
    /// Log-odds with the number of rows that they stand for.
    points: Vec<(f64, f64)>,
    /// Number of rows, and of positives.
    rows: f64,
    positives: f64,
    /// Sum of the log-odds over all rows, and over the positives.
    sum: f64,
    positive_sum: f64,
    /// Lowest and highest log-odds of each class, negatives first.
    ends: [(f64, f64); 2],
    /// Numerator and variance of Spiegelhalter's statistic.
    spiegelhalter: (f64, f64),
}

/// Rows that are summed together.
const BLOCK: usize = 1024;
/// Up to this many rows, every row is a point of its own.
const MANY: usize = 100_000;
/// Bins for each unit of log-odds. The two points of a bin have its rows' mean and variance, so
/// that a smooth function summed over them is off by its third derivative times the cube of at most
/// half the width, 1e-11 for each row at most, and of either sign.
const FINENESS: f64 = 1024.0;
/// The log-odds of the largest probability below 1 - epsilon, rounded up.
const FURTHEST: f64 = 37.0;

impl LogOdds {
    /// Of n labels and n probabilities, which are clipped to [eps, 1 - eps] as for the log loss.
    ///
    /// # Errors
    /// As all functions of [`super::probability`].
    pub(super) fn of(labels: &[bool], probabilities: &[f64]) -> Result<Self> {
        check_probabilities(labels, probabilities)?;
        let mut new = Self {
            points: Vec::new(),
            rows: labels.len() as f64,
            positives: 0.0,
            sum: 0.0,
            positive_sum: 0.0,
            ends: [(f64::INFINITY, f64::NEG_INFINITY); 2],
            spiegelhalter: (0.0, 0.0),
        };
        let mut bins = Bins::default();
        if labels.len() > MANY {
            bins.open();
        }
        // In blocks, so that rounding errors do not grow with n.
        let mut of_block = [0.0; BLOCK];
        for (labels, probabilities) in labels.chunks(BLOCK).zip(probabilities.chunks(BLOCK)) {
            widest(ToLogOdds { probabilities, log_odds: &mut of_block });
            let mut sums = [0.0; 5];
            for ((&label, &p), &log_odds) in labels.iter().zip(probabilities).zip(&of_block) {
                let y = f64::from(u8::from(label));
                let lean = 1.0 - 2.0 * p;
                sums[0] += y;
                sums[1] += log_odds;
                sums[2] += y * log_odds;
                sums[3] += (y - p) * lean;
                sums[4] += lean * lean * p * (1.0 - p);
                let (low, high) = &mut new.ends[usize::from(label)];
                *low = low.min(log_odds);
                *high = high.max(log_odds);
                if bins.are_open() {
                    bins.add(log_odds);
                } else {
                    new.points.push((log_odds, 1.0));
                }
            }
            new.positives += sums[0];
            new.sum += sums[1];
            new.positive_sum += sums[2];
            new.spiegelhalter.0 += sums[3];
            new.spiegelhalter.1 += sums[4];
        }
        if bins.are_open() {
            new.points = bins.points();
        }
        Ok(new)
    }

    /// Fits the regression and tests the probabilities, of which `rows` belong together in
    /// clusters, if any do.
    pub(super) fn calibration(&self, rows: Option<Rows<'_>>) -> Calibration {
        let (z, p) = match self.spiegelhalter {
            (excess, variance) if variance > 0.0 => {
                let design = rows.map_or(1.0, |rows| rows.of_test().design);
                let z = excess / (variance * design).sqrt();
                (Some(z), Some(two_sided(z)))
            }
            _ => (None, None),
        };
        let none = Calibration {
            intercept: None,
            intercept_interval: None,
            slope: None,
            slope_interval: None,
            covariance: None,
            unfitted: None,
            spiegelhalter_z: z,
            spiegelhalter_p: p,
        };
        match self.fit() {
            Err(why) => Calibration { unfitted: Some(why), ..none },
            Ok(line) => {
                let [of_intercept, of_slope] = match rows {
                    Some(rows) => [0, 1].map(|of| rows.of_line(&line, of)),
                    None => [Sampling::ROWS; 2],
                };
                let [[var, both], [_, var_slope]] = line.covariance;
                let both = both * (of_intercept.design * of_slope.design).sqrt();
                Calibration {
                    intercept: Some(line.intercept),
                    intercept_interval: Some(wald(line.intercept, var, of_intercept)),
                    slope: Some(line.slope),
                    slope_interval: Some(wald(line.slope, var_slope, of_slope)),
                    covariance: Some([
                        [var * of_intercept.design, both],
                        [both, var_slope * of_slope.design],
                    ]),
                    ..none
                }
            }
        }
    }

    /// The maximum likelihood estimate, by Newton's method.
    fn fit(&self) -> std::result::Result<Line, Unfitted> {
        let [negative, positive] = self.ends;
        if self.positives <= 0.0 || self.positives >= self.rows {
            return Err(Unfitted::OneClass);
        }
        if negative.0.min(positive.0) >= negative.1.max(positive.1) {
            return Err(Unfitted::Constant);
        }
        if negative.1 <= positive.0 || positive.1 <= negative.0 {
            return Err(Unfitted::Separable);
        }
        // Centred, so that intercept and slope hardly depend on each other.
        let mean = self.sum / self.rows;
        let centred: Vec<(f64, f64)> = self.points.iter().map(|(x, w)| (x - mean, *w)).collect();
        let sums = [self.positives, self.positive_sum - mean * self.positives];
        let mut at = [(self.positives / (self.rows - self.positives)).ln(), 0.0];
        let mut here = Curvature::at(&centred, sums, at);
        for _ in 0..100 {
            let step = here.newton().filter(|step| step.iter().all(|s| s.is_finite()));
            let Some(step) = step else { break };
            let decrement = step[0] * here.gradient[0] + step[1] * here.gradient[1];
            // The next decrement would be about the square of this one.
            if decrement <= 1e-12 {
                at = [at[0] + step[0], at[1] + step[1]];
                here = Curvature::at(&centred, sums, at);
                let [[aa, ab], [_, bb]] = here.inverse().ok_or(Unfitted::Unsettled)?;
                // Back to log-odds that are not centred.
                let intercept = at[0] - mean * at[1];
                let variance = aa - 2.0 * mean * ab + mean * mean * bb;
                let both = ab - mean * bb;
                let covariance = [[variance, both], [both, bb]];
                return Ok(Line { intercept, slope: at[1], covariance });
            }
            let mut scale = 1.0;
            let next = loop {
                let to = [at[0] + scale * step[0], at[1] + scale * step[1]];
                let there = Curvature::at(&centred, sums, to);
                // A full step near the optimum may lose a few digits.
                if there.likelihood >= here.likelihood - 1e-12 * here.likelihood.abs() {
                    break Some((to, there));
                }
                scale /= 2.0;
                if scale < 1e-6 {
                    break None;
                }
            };
            let Some(next) = next else { break };
            (at, here) = next;
        }
        Err(Unfitted::Unsettled)
    }
}

/// A fitted line with the covariance of intercept and slope.
struct Line {
    intercept: f64,
    slope: f64,
    covariance: [[f64; 2]; 2],
}

/// Rows that belong together: labels, probabilities, and which rows are of one entity.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) labels: &'a [bool],
    pub(super) probabilities: &'a [f64],
    pub(super) clusters: &'a Clusters,
}

impl Rows<'_> {
    /// For Spiegelhalter's statistic.
    fn of_test(&self) -> Sampling {
        self.clusters.sampling(|i| {
            let p = self.probabilities[i];
            Some((f64::from(u8::from(self.labels[i])) - p) * (1.0 - 2.0 * p))
        })
    }

    /// For the intercept (0) or the slope (1): the influence of a row is its score times the
    /// covariance, so that the design effect is that of the sandwich estimator.
    fn of_line(&self, line: &Line, of: usize) -> Sampling {
        self.clusters.sampling(|i| {
            let x = log_odds(self.probabilities[i]);
            let expected = 1.0 / (1.0 + (-line.intercept - line.slope * x).exp());
            let miss = f64::from(u8::from(self.labels[i])) - expected;
            let [of_one, of_x] = line.covariance[of];
            Some(miss * (of_one + of_x * x))
        })
    }
}

/// The log-odds of a probability, clipped to [eps, 1 - eps].
#[expect(clippy::inline_always, reason = "see `simd`")]
#[inline(always)]
pub(in crate::evaluation) fn log_odds(p: f64) -> f64 {
    let clipped = p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    ln(clipped / (1.0 - clipped))
}

/// The log-odds of a block of probabilities.
struct ToLogOdds<'a> {
    probabilities: &'a [f64],
    log_odds: &'a mut [f64; BLOCK],
}

impl Work for ToLogOdds<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "see `simd`")]
    #[inline(always)]
    fn run(self) {
        for (to, p) in self.log_odds.iter_mut().zip(self.probabilities) {
            *to = log_odds(*p);
        }
    }
}

/// Log-likelihood, gradient and negative second derivatives at one intercept and slope.
struct Curvature {
    likelihood: f64,
    gradient: [f64; 2],
    /// In the order intercept twice, both, slope twice.
    information: [f64; 3],
}

impl Curvature {
    /// `sums`: number of positives, and sum of their log-odds.
    fn at(points: &[(f64, f64)], sums: [f64; 2], [a, b]: [f64; 2]) -> Self {
        let mut total = [0.0; 6];
        for points in points.chunks(1024) {
            let mut sums = [0.0; 6];
            for &(x, w) in points {
                let eta = a + b * x;
                let small = (-eta.abs()).exp();
                let of_larger = 1.0 / (1.0 + small);
                let p = if eta >= 0.0 { of_larger } else { small * of_larger };
                let weight = w * small * of_larger * of_larger;
                sums[0] += w * (eta.max(0.0) + small.ln_1p());
                sums[1] += w * p;
                sums[2] += w * p * x;
                sums[3] += weight;
                sums[4] += weight * x;
                sums[5] += weight * x * x;
            }
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += sum;
            }
        }
        Self {
            likelihood: a * sums[0] + b * sums[1] - total[0],
            gradient: [sums[0] - total[1], sums[1] - total[2]],
            information: [total[3], total[4], total[5]],
        }
    }

    fn inverse(&self) -> Option<[[f64; 2]; 2]> {
        let [aa, ab, bb] = self.information;
        let determinant = aa * bb - ab * ab;
        (determinant > 0.0)
            .then(|| [[bb / determinant, -ab / determinant], [-ab / determinant, aa / determinant]])
    }

    fn newton(&self) -> Option<[f64; 2]> {
        let [g, h] = self.gradient;
        self.inverse().map(|[[aa, ab], [ba, bb]]| [aa * g + ab * h, ba * g + bb * h])
    }
}

/// Numbers of rows with sums of their log-odds and of the squares, by narrow bins; the sums are of
/// the distance from the middle of the bin.
#[derive(Default)]
struct Bins(Vec<[f64; 3]>);

impl Bins {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small constant")]
    fn open(&mut self) {
        self.0 = vec![[0.0; 3]; (2.0 * FURTHEST * FINENESS) as usize];
    }

    fn are_open(&self) -> bool {
        !self.0.is_empty()
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the bins")]
    fn add(&mut self, log_odds: f64) {
        let at = (log_odds + FURTHEST) * FINENESS;
        let bin = at as usize;
        if let Some([count, sum, squares]) = self.0.get_mut(bin) {
            let off = log_odds - middle(bin);
            *count += 1.0;
            *sum += off;
            *squares += off * off;
        }
    }

    /// Two points for each bin with rows, as far from its mean as the standard deviation.
    fn points(&self) -> Vec<(f64, f64)> {
        let filled = self.0.iter().enumerate().filter(|(_, [count, ..])| *count > 0.0);
        filled
            .flat_map(|(bin, [count, sum, squares])| {
                let mean = sum / count;
                let deviation = (squares / count - mean * mean).max(0.0).sqrt();
                let centre = middle(bin) + mean;
                [(centre - deviation, count / 2.0), (centre + deviation, count / 2.0)]
            })
            .collect()
    }
}

/// The middle of a bin.
fn middle(bin: usize) -> f64 {
    (bin as f64 + 0.5) / FINENESS - FURTHEST
}

/// The probability that a standard normal variable is at least as far from 0 as `z`.
///
/// erfc(|z| / sqrt 2) by the series of Kummer's function where it is not small, else by its
/// continued fraction (Abramowitz and Stegun, 7.1.6 and 7.1.14).
fn two_sided(z: f64) -> f64 {
    let x = z.abs() * FRAC_1_SQRT_2;
    let density = (-x * x).exp() / PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum, mut k) = (x, x, 0.0);
        while term > sum * 1e-17 {
            k += 1.0;
            term *= 2.0 * x * x / (2.0 * k + 1.0);
            sum += term;
        }
        return 1.0 - 2.0 * density * sum;
    }
    let fraction = (1..=200).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
    density / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[bool], p: &[f64]) -> Calibration {
        LogOdds::of(labels, p).unwrap().calibration(None)
    }

    fn near(a: f64, b: f64, off: f64) {
        assert!((a - b).abs() <= off, "{a}, not {b}");
    }

    /// `2 * scipy.stats.norm.sf(z)`.
    #[test]
    fn tails_are_those_of_scipy() {
        for (z, p) in [
            (0.0, 1.0),
            (0.3, 0.764_177_155_622_094_8),
            (-1.96, 0.049_995_790_296_440_87),
            (2.828, 0.004_683_980_653_644_94),
            (2.83, 0.004_654_800_413_463_103),
            (6.0, 1.973_175_290_075_389e-9),
        ] {
            near(two_sided(z) / p, 1.0, 1e-11);
        }
        near(two_sided(50.0), 0.0, 1e-300);
    }

    #[test]
    fn frequencies_that_equal_the_probabilities_are_calibrated() {
        // 2 of 10 where 0.2 is predicted, 7 of 10 where 0.7 is.
        let p: Vec<f64> = (0..20).map(|i| if i < 10 { 0.2 } else { 0.7 }).collect();
        let labels: Vec<bool> = (0..20).map(|i| i < 2 || (10..17).contains(&i)).collect();
        let found = of(&labels, &p);
        near(found.intercept.unwrap(), 0.0, 1e-12);
        near(found.slope.unwrap(), 1.0, 1e-12);
        near(found.spiegelhalter_z.unwrap(), 0.0, 1e-12);
        near(found.spiegelhalter_p.unwrap(), 1.0, 1e-12);
        assert_eq!(found.unfitted, None);
    }

    #[test]
    fn what_cannot_be_fitted_says_why() {
        let p = [0.1, 0.4, 0.6, 0.9];
        for (labels, p, why) in [
            ([true; 4], p, Unfitted::OneClass),
            ([true, false, true, false], [0.3; 4], Unfitted::Constant),
            ([false, false, true, true], p, Unfitted::Separable),
            ([true, true, false, false], p, Unfitted::Separable),
            // A tie where the classes meet is no overlap.
            ([false, true, false, true], [0.1, 0.4, 0.4, 0.9], Unfitted::Separable),
            ([false, true, true, true], [0.0, 1.0, 1.0, 1.0], Unfitted::Separable),
        ] {
            let found = of(&labels, &p);
            assert_eq!((found.slope, found.unfitted), (None, Some(why)), "{labels:?} {p:?}");
            let json = serde_json::to_string(&found).unwrap();
            assert!(json.contains(r#""slope":null"#) && !json.contains("NaN"), "{json}");
            assert_eq!(serde_json::from_str::<Calibration>(&json).unwrap(), found);
        }
        let sure = of(&[true, false, false, true], &[0.0, 1.0, 0.5, 1.0]);
        assert_eq!((sure.spiegelhalter_z, sure.spiegelhalter_p), (None, None));
        assert!(sure.slope.is_some_and(f64::is_finite), "{sure:?}");
    }

    #[test]
    fn one_row_among_the_others_is_an_overlap() {
        let labels: Vec<bool> = (0..1_000).map(|i| i >= 500 || i == 499 - 400).collect();
        let p: Vec<f64> = (0..1_000).map(|i| f64::from(i) / 1_000.0).collect();
        let found = of(&labels, &p);
        assert!(found.slope.unwrap() > 1.0 && found.unfitted.is_none(), "{found:?}");
    }

    #[test]
    fn bins_lose_nothing_that_can_be_seen() {
        let n = MANY + 50_000;
        let p: Vec<f64> = (0..n)
            .map(|i| {
                let x = ((i as f64 * 0.618_033_988_749_894_8).fract() - 0.4) * 9.0;
                1.0 / (1.0 + (-x).exp())
            })
            .collect();
        let labels: Vec<bool> = p
            .iter()
            .enumerate()
            .map(|(i, p)| (i as f64 * 0.414_213_562_373_095).fract() < 0.1 + 0.7 * p)
            .collect();
        let many = LogOdds::of(&labels, &p).unwrap();
        assert!(many.points.len() < n / 2, "{}", many.points.len());
        let points = p.iter().map(|p| (log_odds(*p), 1.0)).collect();
        let each = LogOdds { points, ..many.clone() };
        let (binned, exact) = (many.calibration(None), each.calibration(None));
        near(binned.slope.unwrap(), exact.slope.unwrap(), 1e-11);
        near(binned.intercept.unwrap(), exact.intercept.unwrap(), 1e-11);
        let ends = |c: &Calibration| c.slope_interval.unwrap().low;
        near(ends(&binned), ends(&exact), 1e-11);
    }
}
