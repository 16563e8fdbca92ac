//! The uncertainty of a single score: 95 % confidence intervals in closed form.
//!
//! | score | interval |
//! |---|---|
//! | accuracy, precision, recall | Wilson's score interval of a proportion (1927) |
//! | F1 | Wilson's of J = tp / (tp + fp + fn), of which F1 = 2 J / (1 + J) is a rising function |
//! | ROC AUC | Newcombe's score interval of a Mann-Whitney statistic (2006, part 2, method 5) |
//!
//! Each inverts a test, so that none collapses to a point for a perfect score and none leaves [0,
//! 1]; `docs/intervals.md` tabulates how often they contain the true value. Not for the difference
//! of two scores, which is resampled: see [`super::difference`].

use serde::{Deserialize, Serialize};

use super::ConfusionMatrix;

/// The standard normal quantile of (1 + [`LEVEL`]) / 2.
const Z: f64 = 1.959_963_984_540_054;

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
}

impl Method {
    /// The method's name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Wilson => "Wilson",
            Self::Newcombe => "Newcombe",
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
    let (k, n, square) = (part as f64, whole as f64, Z * Z);
    let (centre, all) = (k + square / 2.0, n + square);
    let half = Z * (k * (n - k) / n.max(1.0) + square / 4.0).sqrt();
    // The ends are exactly 0 or 1 where rounding would miss them.
    Interval {
        low: if part == 0 { 0.0 } else { (centre - half) / all },
        high: if part >= whole { 1.0 } else { (centre + half) / all },
        level: LEVEL,
        method: Method::Wilson,
    }
}

/// The interval for F1.
///
/// Among the rows that are positive by label or prediction, the true positives are a proportion, J;
/// the true negatives do not matter.
pub fn f1_interval(matrix: &ConfusionMatrix) -> Interval {
    let jaccard = wilson(matrix.tp, matrix.tp + matrix.fp + matrix.fn_);
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
    let (p, n) = (positives as f64, negatives as f64);
    let more = p.midpoint(n) - 1.0;
    let variance =
        |a: f64| a * (1.0 - a) * (1.0 + more * ((1.0 - a) / (2.0 - a) + a / (1.0 + a))) / (p * n);
    let within = |a: f64| (auc - a).powi(2) <= Z * Z * variance(a);
    Interval {
        low: edge(auc, 0.0, within),
        high: edge(auc, 1.0, within),
        level: LEVEL,
        method: Method::Newcombe,
    }
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
        let low = 15.0 / (15.0 + Z * Z);
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
