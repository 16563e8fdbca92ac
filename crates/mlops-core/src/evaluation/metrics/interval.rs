//! The uncertainty of a single score: 95 % confidence intervals in closed form.
//!
//! | score | interval |
//! |---|---|
//! | accuracy, precision, recall | Wilson's score interval of a proportion (1927) |
//! | F1 | Wilson's of J = tp / (tp + fp + fn), of which F1 = 2 J / (1 + J) is a rising function |
//! | specificity, prevalence, precision of the top decile | Wilson's |
//! | ROC AUC | Newcombe's score interval of a Mann-Whitney statistic (2006, part 2, method 5) |
//! | Gini coefficient | that of the area, of which it is 2 AUC - 1 |
//! | balanced accuracy, distance of Kolmogorov and Smirnov | two of Wilson's, joined (Newcombe 1998) |
//! | Matthews correlation | normal on the scale of Fisher's z |
//! | lift of the top decile | Koopman's score interval of a ratio (1984) |
//!
//! Each inverts a test, so that none collapses to a point for a perfect score and none leaves [0,
//! 1]; `docs/intervals.md` tabulates how often they contain the true value. Not for the difference
//! of two scores, which is resampled: see [`super::difference`].

use serde::{Deserialize, Serialize};

use super::ConfusionMatrix;
use super::clusters::Sampling;

/// How an interval was computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Percentiles of resamples. Files that do not name the method contain only such intervals.
    #[default]
    Bootstrap,
    /// Wilson's score interval.
    Wilson,
    /// Newcombe's score interval.
    Newcombe,
    /// Newcombe's hybrid score interval: two Wilson intervals joined.
    Hybrid,
    /// Koopman's score interval of a ratio.
    Koopman,
    /// A normal interval on the scale of Fisher's z transformation.
    Fisher,
    /// Wald's interval: the estimate and 1.96 standard errors on either side.
    Wald,
}

impl Method {
    /// The method's name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Wilson => "Wilson",
            Self::Newcombe => "Newcombe",
            Self::Hybrid => "hybrid score",
            Self::Koopman => "Koopman",
            Self::Fisher => "Fisher",
            Self::Wald => "Wald",
        }
    }
}

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Nominal coverage, 0.95 for 95 %.
    pub level: f64,
    /// How the interval was computed.
    #[serde(default)]
    pub method: Method,
}

/// Wilson's interval for the share `part / whole`; all of [0, 1] if `whole` is 0.
///
/// The shares p with |part / whole - p| <= z sqrt(p (1 - p) / whole).
pub fn wilson(part: u64, whole: u64) -> Interval {
    share_interval(part as f64, whole as f64, Sampling::ROWS)
}

/// [`wilson`] for counts that may be fractions, 0 <= `k` <= `n`.
pub(super) fn share_interval(k: f64, n: f64, sampling: Sampling) -> Interval {
    let Sampling { design, quantile } = sampling;
    let (k, n, square) = (k / design, n / design, quantile * quantile);
    let (centre, all) = (k + square / 2.0, n + square);
    let half = quantile * (k * (n - k) / n.max(f64::MIN_POSITIVE) + square / 4.0).sqrt();
    // The ends are exactly 0 or 1 where rounding would miss them.
    Interval {
        low: if k <= 0.0 { 0.0 } else { (centre - half) / all },
        high: if k >= n { 1.0 } else { (centre + half) / all },
        level: LEVEL,
        method: Method::Wilson,
    }
}

/// The interval for F1.
///
/// Among the rows that are positive by label or prediction, the true positives are a proportion, J;
/// the true negatives do not matter.
pub fn f1_interval(matrix: &ConfusionMatrix) -> Interval {
    f1_within(matrix, Sampling::ROWS)
}

/// [`f1_interval`] for rows that may belong together.
pub(super) fn f1_within(matrix: &ConfusionMatrix, sampling: Sampling) -> Interval {
    let (part, whole) = (matrix.tp, matrix.tp + matrix.fp + matrix.fn_);
    let jaccard = share_interval(part as f64, whole as f64, sampling);
    let f1 = |j: f64| 2.0 * j / (1.0 + j);
    Interval { low: f1(jaccard.low), high: f1(jaccard.high), ..jaccard }
}

/// The interval for the area under the ROC curve `auc`, given the number of positives and
/// negatives.
///
/// The areas A with |auc - A| <= z sqrt(V(A)), where V is Hanley and McNeil's variance (1982) with
/// both group sizes replaced by their mean in its last two terms, as Newcombe advises. It does not
/// need the variance of the scores, which is 0 if the classes are separated perfectly.
pub fn auc_interval(auc: f64, positives: u64, negatives: u64) -> Interval {
    auc_within(auc, positives, negatives, Sampling::ROWS)
}

/// [`auc_interval`] for rows that may belong together.
pub(super) fn auc_within(auc: f64, positives: u64, negatives: u64, sampling: Sampling) -> Interval {
    let Sampling { design, quantile } = sampling;
    let (p, n) = (positives as f64 / design, negatives as f64 / design);
    let more = p.midpoint(n) - 1.0;
    let variance =
        |a: f64| a * (1.0 - a) * (1.0 + more * ((1.0 - a) / (2.0 - a) + a / (1.0 + a))) / (p * n);
    let within = |a: f64| (auc - a).powi(2) <= quantile * quantile * variance(a);
    Interval {
        low: edge(auc, 0.0, within),
        high: edge(auc, 1.0, within),
        level: LEVEL,
        method: Method::Newcombe,
    }
}

/// The interval for an estimate of this variance, by the normal distribution.
pub(super) fn wald(estimate: f64, variance: f64, sampling: Sampling) -> Interval {
    let half = sampling.quantile * (variance.max(0.0) * sampling.design).sqrt();
    Interval { low: estimate - half, high: estimate + half, level: LEVEL, method: Method::Wald }
}

/// The interval for a score within [0, 1] that is yet to be known and is expected at `value` with this
/// variance, by the normal distribution.
pub fn expected_within(value: f64, variance: f64) -> Interval {
    let Interval { low, high, .. } = wald(value, variance, Sampling::ROWS);
    Interval { low: low.max(0.0), high: high.min(1.0), level: LEVEL, method: Method::Wald }
}

/// The interval for the Gini coefficient 2 AUC - 1, given that of the area.
pub fn gini_interval(area: Interval) -> Interval {
    Interval { low: 2.0 * area.low - 1.0, high: 2.0 * area.high - 1.0, ..area }
}

/// The interval for the mean of recall and specificity; `None` with one class.
///
/// Both rates have a Wilson interval; their distances to its ends are added as the sides of a right
/// triangle (Newcombe, "Interval estimation for the difference between independent proportions",
/// Statistics in Medicine 17, 1998, method 10, here of a sum).
pub fn balanced_interval(matrix: &ConfusionMatrix, sampling: Sampling) -> Option<Interval> {
    if matrix.one_class() {
        return None;
    }
    let (r, s) = (matrix.recall(), matrix.specificity());
    let rate = |part: u64, whole: u64| share_interval(part as f64, whole as f64, sampling);
    let recall = rate(matrix.tp, matrix.positives());
    let specificity = rate(matrix.tn, matrix.negatives());
    let half = |a: f64, b: f64| a.hypot(b) / 2.0;
    let mean = r.midpoint(s);
    Some(Interval {
        low: (mean - half(r - recall.low, s - specificity.low)).max(0.0),
        high: (mean + half(recall.high - r, specificity.high - s)).min(1.0),
        level: LEVEL,
        method: Method::Hybrid,
    })
}

/// The interval for Kolmogorov and Smirnov's distance |true - false positive rate|, given the
/// matrix at the threshold where it is largest; `None` with one class.
///
/// Newcombe's of a difference, as in [`balanced_interval`]. The threshold is taken as given: to
/// have been chosen on the same rows does not matter for many rows (Raghavachari, "Limiting
/// distributions of Kolmogorov-Smirnov type statistics under the alternative", 1973).
pub fn ks_interval(matrix: &ConfusionMatrix, sampling: Sampling) -> Option<Interval> {
    let shifted = balanced_interval(matrix, sampling)?;
    // |true - false positive rate| = |2 balanced accuracy - 1|.
    let ends = [2.0 * shifted.low - 1.0, 2.0 * shifted.high - 1.0];
    let [low, high] = if matrix.balanced_accuracy() < 0.5 { [-ends[1], -ends[0]] } else { ends };
    Some(Interval { low: low.max(0.0), high: high.max(0.0), ..shifted })
}

/// The pseudo-count of each cell in [`mcc_interval`].
const PSEUDO: f64 = 0.2;

/// The interval for the Matthews correlation; `None` with one class.
///
/// Normal on the scale of Fisher's z = artanh, with the variance of the correlation of a two by two
/// table by the delta method (Bishop, Fienberg and Holland, "Discrete Multivariate Analysis", 1975,
/// formula 11.3-5). A fifth of a row is added to each cell, since the variance would be 0 if all
/// predictions were right.
pub fn mcc_interval(matrix: &ConfusionMatrix, sampling: Sampling) -> Option<Interval> {
    if matrix.one_class() {
        return None;
    }
    let Sampling { design, quantile } = sampling;
    let [tp, fp, fn_, tn] =
        [matrix.tp, matrix.fp, matrix.fn_, matrix.tn].map(|count| count as f64 / design + PSEUDO);
    let n = tp + fp + fn_ + tn;
    let (label, guess) = ((tp + fn_) / n, (tp + fp) / n);
    let (by_label, by_guess) = (label * (1.0 - label), guess * (1.0 - guess));
    let r = (tp * tn - fp * fn_) / (n * n) / (by_label * by_guess).sqrt();
    let (a, b) = (2.0 * label - 1.0, 2.0 * guess - 1.0);
    let skew = r * (1.0 + r * r / 2.0) * a * b / (by_label * by_guess).sqrt();
    let spread = 0.75 * r * r * (a * a / by_label + b * b / by_guess);
    let variance = (1.0 - r * r + skew - spread).max(0.0) / n;
    let half = quantile * variance.sqrt() / (1.0 - r * r);
    let exact = matrix.mcc();
    Some(Interval {
        low: (r.atanh() - half).tanh().min(exact),
        high: (r.atanh() + half).tanh().max(exact),
        level: LEVEL,
        method: Method::Fisher,
    })
}

/// The interval for the lift of the first `rows` rows of `n`, of which `found` of all `positives`
/// are positive; counts of positives may be fractions. All of [0, n / rows] if nothing is known.
///
/// With w = rows / n, the lift of a share p of positives among the first rows and q among the
/// others is p / (w p + (1 - w) q). It rises with p / q, for which Koopman's score interval ("Confidence
/// intervals for the ratio of two binomial proportions", Biometrics 40, 1984) keeps the ratios that
/// a chi-square test with the maximum likelihood estimates under the ratio does not reject.
pub(super) fn lift_interval(
    found: f64,
    rows: f64,
    positives: f64,
    n: f64,
    sampling: Sampling,
) -> Interval {
    let Sampling { design, quantile } = sampling;
    let [found, rows, positives, n] = [found, rows, positives, n].map(|count| count / design);
    let (others, rest) = (n - rows, (positives - found).max(0.0));
    let (w, highest) = (rows / n, n / rows);
    let whole = Interval { low: 0.0, high: highest, level: LEVEL, method: Method::Koopman };
    if positives <= 0.0 || others <= 0.0 {
        return whole;
    }
    let (p, q) = (found / rows, rest / others);
    let within = |lift: f64| {
        // p / q = up / down; both are finite at either end.
        let (up, down) = (lift * (1.0 - w), 1.0 - w * lift);
        let (p0, q0) = constrained([found, rows, rest, others], up, down);
        let distance = p * down - q * up;
        let variance = down * down * p0 * (1.0 - p0) / rows + up * up * q0 * (1.0 - q0) / others;
        distance * distance <= quantile * quantile * variance
    };
    let lift = found / rows / (positives / n);
    Interval { low: edge(lift, 0.0, within), high: edge(lift, highest, within), ..whole }
}

/// The maximum likelihood estimates of two proportions with p / q = `up` / `down`.
fn constrained([found, rows, rest, others]: [f64; 4], up: f64, down: f64) -> (f64, f64) {
    // With p = up s and q = down s, the likelihood equation is quadratic in s.
    let square = (rows + others) * up * down;
    let linear = (rows + rest) * up + (others + found) * down;
    let constant = found + rest;
    // The smaller root, in the form that does not cancel.
    let root = (linear * linear - 4.0 * square * constant).max(0.0).sqrt();
    let s = 2.0 * constant / (linear + root);
    ((up * s).min(1.0), (down * s).min(1.0))
}

/// The point between `inside` and `end` that is furthest from `inside` and still `within`, to the
/// last bit.
fn edge(inside: f64, end: f64, within: impl Fn(f64) -> bool) -> f64 {
    let (mut inside, mut outside) = (inside, end);
    loop {
        let middle = inside.midpoint(outside);
        if middle <= inside.min(outside) || middle >= inside.max(outside) {
            return outside;
        }
        if within(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
}

/// Nominal coverage of the intervals in an [`Evaluation`](super::Evaluation).
pub const LEVEL: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;

    fn close(interval: Interval, low: f64, high: f64) {
        let Interval { low: l, high: h, .. } = interval;
        assert!((l - low).abs() < 1e-12 && (h - high).abs() < 1e-12, "{interval:?}");
    }

    /// `statsmodels.stats.proportion.proportion_confint(k, n, method="wilson")`.
    #[test]
    fn wilson_is_that_of_statsmodels() {
        close(wilson(30, 30), 0.886_486_606_826_031_1, 1.0);
        close(wilson(0, 10), 0.0, 0.277_532_799_862_889_26);
        close(wilson(7, 10), 0.396_778_147_461_145_37, 0.892_208_732_593_698_9);
        close(wilson(410, 500), 0.783_925_330_017_365_5, 0.851_195_092_087_241);
    }

    #[test]
    fn no_interval_is_a_point_or_leaves_0_to_1() {
        for (tp, fp, fn_, tn) in [(15, 0, 0, 15), (0, 5, 10, 15), (0, 0, 0, 30), (1, 0, 0, 1)] {
            let matrix = ConfusionMatrix { tn, fp, fn_, tp };
            let f1 = f1_interval(&matrix);
            assert!(0.0 <= f1.low && f1.low < f1.high && f1.high <= 1.0, "{f1:?}");
            assert!(f1.low <= matrix.f1() && matrix.f1() <= f1.high, "{f1:?}");
        }
        close(wilson(0, 0), 0.0, 1.0);
        for auc in [0.0, 1e-9, 0.3, 0.5, 0.999, 1.0] {
            for (p, n) in [(1, 1), (1, 1_000), (15, 15), (1_000_000, 3)] {
                let Interval { low, high, .. } = auc_interval(auc, p, n);
                assert!(0.0 <= low && low < high && high <= 1.0, "{auc} {p} {n}: {low} {high}");
                assert!(low <= auc && auc <= high, "{auc} {p} {n}: {low} {high}");
            }
        }
    }

    #[test]
    fn thirty_right_answers_are_no_certainty() {
        let matrix = ConfusionMatrix { tn: 15, fp: 0, fn_: 0, tp: 15 };
        // J of 15 in 15 is at least 0.7961.
        let low = 15.0 / (15.0 + Sampling::ROWS.quantile.powi(2));
        close(f1_interval(&matrix), 2.0 * low / (1.0 + low), 1.0);
    }

    /// The ends by another method: roots of the fourth-degree equation, in `golden/make_intervals.py`.
    #[test]
    fn the_area_has_the_ends_of_newcombes_equation() {
        for (auc, p, n, low, high) in [
            (0.5, 30, 30, 0.359_799_566_349_163_3, 0.640_200_433_650_836_7),
            (0.8, 15, 40, 0.634_839_944_896_717_8, 0.897_205_916_571_747_2),
            (0.933, 100, 20, 0.835_164_969_178_315_6, 0.972_977_873_103_941),
            (1.0, 15, 15, 0.864_758_205_620_116_8, 1.0),
            (1.0, 1, 1, 0.206_549_314_377_237_4, 1.0),
            (0.0, 8, 3, 0.0, 0.388_338_679_652_208_03),
        ] {
            close(auc_interval(auc, p, n), low, high);
        }
    }

    #[test]
    fn an_interval_of_an_older_file_is_a_bootstrap() {
        let old: Interval = serde_json::from_str(r#"{"low":0.1,"high":0.4,"level":0.95}"#).unwrap();
        assert_eq!(old.method, Method::Bootstrap);
        let new = serde_json::to_string(&wilson(3, 3)).unwrap();
        assert!(new.ends_with(r#""high":1.0,"level":0.95,"method":"wilson"}"#), "{new}");
    }
}
