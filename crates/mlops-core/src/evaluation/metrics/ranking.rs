//! Metrics that depend only on the order of the rows: ROC AUC, average precision, Kolmogorov and
//! Smirnov's distance, deciles, and the curves.
//!
//! The rows are sorted once, in [`Ranking::new`]; everything else walks the sorted rows. Rows with
//! equal scores form one group, so that the input order does not matter. Not for thresholds or
//! probabilities: see [`super::score`] and [`super::probability`].

use super::deciles::Cutter;
use super::walk::{Furthest, Precisions, Reached, Wins};
use super::{ConfusionMatrix, Decile, GainPoint, PrPoint, RocPoint, same_length};
use crate::error::{Error, Result};
use crate::platform::threads::both;

/// Labels ordered by score, ready for every ranking metric.
///
/// Takes eight bytes per row.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// Order-preserving keys of the scores of each class, ascending.
    positives: Vec<u64>,
    negatives: Vec<u64>,
}

/// All figures of a ranking of both classes, taken from one walk.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// [`Ranking::roc_auc`].
    pub roc_auc: f64,
    /// [`Ranking::average_precision`].
    pub average_precision: f64,
    /// The distance of the two classes.
    pub ks: Distance,
    /// Tenths of the rows by score; none of fewer than ten rows.
    pub deciles: Vec<Decile>,
}

/// The statistic of Kolmogorov and Smirnov for the scores of two classes (`scipy.stats.ks_2samp`):
/// the largest difference between their distributions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// The largest |true positive rate - false positive rate| of any threshold, 0 to 1.
    pub ks: f64,
    /// The highest score that reaches it: rows with at least this score are on one side.
    pub score: f64,
    /// The rows if those with at least this score are predicted positive.
    pub matrix: ConfusionMatrix,
}

/// The number of rows from which on a second thread pays off.
const LARGE: usize = 100_000;

impl Ranking {
    /// Sorts n labels by their n finite scores; a higher score is more positive.
    ///
    /// O(n log n) time. The classes are sorted separately as 64-bit integers, which is faster than
    /// sorting rows, and merged on the fly.
    ///
    /// # Errors
    /// `Data` if the lengths differ or a score is NaN or infinite.
    pub fn new(labels: &[bool], scores: &[f64]) -> Result<Self> {
        same_length(labels.len(), scores.len())?;
        if let Some(row) = scores.iter().position(|s| !s.is_finite()) {
            let score = scores[row];
            return Err(Error::data(format!("row {row} has the score {score}: it must be finite")));
        }
        let positive = labels.iter().filter(|&&label| label).count();
        let mut positives = Vec::with_capacity(positive);
        let mut negatives = Vec::with_capacity(labels.len() - positive);
        for (&label, &score) in labels.iter().zip(scores) {
            if label { positives.push(key(score)) } else { negatives.push(key(score)) }
        }
        if labels.len() < LARGE {
            positives.sort_unstable();
            negatives.sort_unstable();
        } else {
            both(|| negatives.sort_unstable(), || positives.sort_unstable());
        }
        Ok(Self { positives, negatives })
    }

    /// Area under the receiver operating characteristic (`roc_auc_score`); `None` with one class.
    ///
    /// The probability that a positive scores above a negative, ties counting half (Mann-Whitney
    /// U). Counted in integers, divided once.
    pub fn roc_auc(&self) -> Option<f64> {
        let (n, p) = self.both_classes()?;
        let mut wins = Wins::default();
        self.steps().for_each(|(before, at)| wins.add(before, at));
        Some(wins.area(n, p))
    }

    /// Average precision (`average_precision_score`); `None` with one class.
    ///
    /// The sum over groups of precision times the increase in recall, without interpolation.
    pub fn average_precision(&self) -> Option<f64> {
        let (_, p) = self.both_classes()?;
        let mut precisions = Precisions::default();
        self.steps().for_each(|(before, at)| precisions.add(before, at));
        Some(precisions.sum / p as f64)
    }

    /// All figures at once; `None` with one class.
    pub fn figures(&self) -> Option<Ranked> {
        let (n, p) = self.both_classes()?;
        let (mut wins, mut precisions) = (Wins::default(), Precisions::default());
        let (mut furthest, mut deciles) = (Furthest::default(), Cutter::new(n + p, p));
        self.steps().for_each(|(before, at)| {
            wins.add(before, at);
            precisions.add(before, at);
            furthest.add(at, n, p);
            deciles.add(at.fp + at.tp, at.tp, || score(at.key));
        });
        // Without any distance, all rows are on one side: the last group's.
        let at = if furthest.distance == 0 { self.groups().last()? } else { furthest.at };
        let matrix = ConfusionMatrix { tp: at.tp, fp: at.fp, fn_: p - at.tp, tn: n - at.fp };
        Some(Ranked {
            roc_auc: wins.area(n, p),
            average_precision: precisions.sum / p as f64,
            ks: Distance { ks: furthest.share(n, p), score: score(at.key), matrix },
            deciles: deciles.finish(),
        })
    }

    /// The confusion matrix at a threshold: rows with a score strictly above it are predicted
    /// positive, as [`classify`](super::classify) has it. `threshold` must not be NaN.
    pub fn at(&self, threshold: f64) -> ConfusionMatrix {
        let end = key(threshold);
        let up_to = |keys: &[u64]| keys.partition_point(|key| *key <= end) as u64;
        let (tn, fn_) = (up_to(&self.negatives), up_to(&self.positives));
        let (n, p) = (self.negatives.len() as u64, self.positives.len() as u64);
        ConfusionMatrix { tn, fp: n - tn, fn_, tp: p - fn_ }
    }

    /// The receiver operating characteristic from (0, 0) to (1, 1); empty with one class.
    ///
    /// At most `max_points` points (at least two), spread evenly along the curve; each is a point
    /// of the full curve, and the end points are always included.
    pub fn roc_curve(&self, max_points: usize) -> Vec<RocPoint> {
        let Some((n, p)) = self.both_classes() else { return Vec::new() };
        let point =
            |at: Reached| RocPoint { fpr: at.fp as f64 / n as f64, tpr: at.tp as f64 / p as f64 };
        let start = RocPoint { fpr: 0.0, tpr: 0.0 };
        std::iter::once(start)
            .chain(self.thinned(n, p, max_points).into_iter().map(|(at, _)| point(at)))
            .collect()
    }

    /// The precision-recall curve by ascending recall; empty with one class.
    ///
    /// It starts at recall 0 and precision 1, a point without a threshold, as in scikit-learn, and
    /// ends where every row is predicted positive. At most `max_points` points, as in
    /// [`roc_curve`](Self::roc_curve).
    pub fn precision_recall_curve(&self, max_points: usize) -> Vec<PrPoint> {
        let Some((n, p)) = self.both_classes() else { return Vec::new() };
        let point = |at: Reached| PrPoint {
            recall: at.tp as f64 / p as f64,
            precision: at.tp as f64 / (at.tp + at.fp) as f64,
        };
        let start = PrPoint { recall: 0.0, precision: 1.0 };
        std::iter::once(start)
            .chain(self.thinned(n, p, max_points).into_iter().map(|(at, _)| point(at)))
            .collect()
    }

    /// The cumulative gain curve from (0, 0) to (1, 1); empty with one class.
    ///
    /// Between two points the curve is straight: rows with equal scores come in no order. At most
    /// `max_points` points, as in [`roc_curve`](Self::roc_curve).
    pub fn gain_curve(&self, max_points: usize) -> Vec<GainPoint> {
        let Some((n, p)) = self.both_classes() else { return Vec::new() };
        let point = |at: Reached| GainPoint {
            depth: (at.fp + at.tp) as f64 / (n + p) as f64,
            gain: at.tp as f64 / p as f64,
        };
        let start = GainPoint { depth: 0.0, gain: 0.0 };
        std::iter::once(start)
            .chain(self.thinned(n, p, max_points).into_iter().map(|(at, _)| point(at)))
            .collect()
    }

    /// Thresholds between neighbouring scores, from the one above which there is no row to the one below
    /// which there is none, with the true and the false positives at each; empty with one class.
    ///
    /// At most `max_points`, as in [`roc_curve`](Self::roc_curve).
    pub fn thresholds(&self, max_points: usize) -> Vec<(f64, u64, u64)> {
        let Some((n, p)) = self.both_classes() else { return Vec::new() };
        let Some(highest) = self.groups().next() else { return Vec::new() };
        let start = (score(highest.key), 0, 0);
        let point = |(at, next): (Reached, Option<u64>)| {
            let threshold = match next {
                Some(next) => score(at.key).midpoint(score(next)),
                None => score(at.key).next_down(),
            };
            (threshold, at.tp, at.fp)
        };
        std::iter::once(start)
            .chain(self.thinned(n, p, max_points).into_iter().map(point))
            .collect()
    }

    /// The numbers of negatives and positives; `None` if one is zero.
    fn both_classes(&self) -> Option<(u64, u64)> {
        let (n, p) = (self.negatives.len() as u64, self.positives.len() as u64);
        (n > 0 && p > 0).then_some((n, p))
    }

    /// Cumulative counts after each distinct score, from the highest down: a merge of both classes.
    fn groups(&self) -> impl Iterator<Item = Reached> {
        let (mut p, mut n) = (self.positives.as_slice(), self.negatives.as_slice());
        std::iter::from_fn(move || {
            let score = p.last().into_iter().chain(n.last()).copied().max()?;
            p = without_last(p, score);
            n = without_last(n, score);
            Some(Reached {
                fp: (self.negatives.len() - n.len()) as u64,
                tp: (self.positives.len() - p.len()) as u64,
                key: score,
            })
        })
    }

    /// Each group with the one before it.
    fn steps(&self) -> impl Iterator<Item = (Reached, Reached)> {
        self.groups()
            .scan(Reached::default(), |before, at| Some((std::mem::replace(before, at), at)))
    }

    /// The groups, or `max_points - 1` of them if there are more, always including the last; each with the
    /// [`key`] of the next group.
    ///
    /// O(log² n) time for each point: they are searched for, not walked to.
    fn thinned(&self, n: u64, p: u64, max_points: usize) -> Vec<(Reached, Option<u64>)> {
        let room = max_points.max(2) - 1;
        if self.groups().nth(room).is_none() {
            let groups: Vec<Reached> = self.groups().collect();
            let next = groups.iter().skip(1).map(|group| Some(group.key)).chain([None]);
            return groups.iter().copied().zip(next).collect();
        }
        let (n, p) = (u128::from(n), u128::from(p));
        // Progress along the curve, (fpr + tpr) / 2, in `room` equal steps; 1 only at the end.
        let whole = 2 * n * p;
        let progress = |at: Reached| (u128::from(at.fp) * p + u128::from(at.tp) * n) * room as u128;
        let mut points = Vec::new();
        let mut wanted = whole;
        while let Some(at) = self.first(|at| progress(at) >= wanted) {
            points.push((at, self.below(at.key)));
            wanted = (progress(at) / whole + 1) * whole;
        }
        points
    }

    /// The group with the highest score of which `is_far_enough` holds, as it does of all groups behind it.
    fn first(&self, is_far_enough: impl Fn(Reached) -> bool) -> Option<Reached> {
        let of_class = |keys: &[u64]| {
            let count = keys.partition_point(|key| is_far_enough(self.group(*key)));
            keys[..count].last().copied()
        };
        of_class(&self.positives).max(of_class(&self.negatives)).map(|key| self.group(key))
    }

    /// The group of rows with this key.
    fn group(&self, key: u64) -> Reached {
        let from = |keys: &[u64]| (keys.len() - keys.partition_point(|k| *k < key)) as u64;
        Reached { fp: from(&self.negatives), tp: from(&self.positives), key }
    }

    /// The highest key below `key`.
    fn below(&self, key: u64) -> Option<u64> {
        let of_class = |keys: &[u64]| keys[..keys.partition_point(|k| *k < key)].last().copied();
        of_class(&self.positives).max(of_class(&self.negatives))
    }
}

/// `keys` without the trailing run of `score`.
fn without_last(mut keys: &[u64], score: u64) -> &[u64] {
    while let [rest @ .., last] = keys
        && *last == score
    {
        keys = rest;
    }
    keys
}

/// A finite number as an integer that sorts the same way; both zeros get the same key.
fn key(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The number that has this [`key`].
fn score(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key ^ 1 << 63 } else { !key })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [bool; 8] = [false, true, false, true, true, false, true, false];
    const SCORES: [f64; 8] = [0.1, 0.4, 0.4, 0.8, 0.8, 0.8, 0.9, 0.2];

    fn ranking() -> Ranking {
        Ranking::new(&LABELS, &SCORES).unwrap()
    }

    #[test]
    fn keys_sort_as_numbers() {
        let ascending = [-1e300, -2.5, -1e-300, 0.0, 1e-300, 0.3, 0.5, 7.0, 1e300];
        assert!(ascending.windows(2).all(|w| key(w[0]) < key(w[1])));
        assert_eq!(key(-0.0), key(0.0));
        assert!(ascending.iter().all(|x| score(key(*x)).to_bits() == x.to_bits()));
    }

    #[test]
    fn tied_rows_form_one_group() {
        let groups: Vec<_> = ranking().groups().map(|at| (at.fp, at.tp)).collect();
        assert_eq!(groups, [(0, 1), (1, 3), (2, 4), (3, 4), (4, 4)]);
    }

    #[test]
    fn a_walk_finds_what_single_ones_find() {
        let found = ranking().figures().unwrap();
        assert_eq!(Some(found.roc_auc), ranking().roc_auc());
        assert_eq!(Some(found.average_precision), ranking().average_precision());
        // At 0.8, three of four positives and one of four negatives.
        assert!((found.ks.ks - 0.5).abs() < 1e-15 && (found.ks.score - 0.8).abs() < 1e-15);
        assert_eq!(found.ks.matrix, ConfusionMatrix { tp: 3, fp: 1, fn_: 1, tn: 3 });
        assert!(found.deciles.is_empty());
        let same = Ranking::new(&LABELS, &[0.5; 8]).unwrap().figures().unwrap();
        assert!(same.ks.ks.abs() < 1e-15 && same.ks.matrix.tp == 4, "{same:?}");
    }

    #[test]
    fn thresholds_divide_rows_as_they_count_them() {
        let ranking = ranking();
        let points = ranking.thresholds(100);
        assert_eq!(points.len(), 6, "five different scores, and one above all: {points:?}");
        assert!(points.is_sorted_by(|a, b| a.0 > b.0), "{points:?}");
        for (threshold, tp, fp) in points {
            let at = ranking.at(threshold);
            assert_eq!((at.tp, at.fp), (tp, fp), "{threshold}");
        }
        let many: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
        let labels: Vec<bool> = (0..1000).map(|i| i % 3 == 0 || i > 800).collect();
        let ranking = Ranking::new(&labels, &many).unwrap();
        let points = ranking.thresholds(50);
        assert!((40..=51).contains(&points.len()), "{}", points.len());
        assert_eq!((points[0].1, points[0].2), (0, 0));
        let last = points[points.len() - 1];
        assert_eq!(last.1 + last.2, 1000);
        for (threshold, tp, fp) in points {
            let at = ranking.at(threshold);
            assert_eq!((at.tp, at.fp), (tp, fp), "{threshold}");
        }
        assert!(Ranking::new(&[true], &[0.5]).unwrap().thresholds(9).is_empty());
    }

    #[test]
    fn a_threshold_is_exclusive() {
        let at = |threshold| {
            let ConfusionMatrix { tn, fp, fn_, tp } = ranking().at(threshold);
            (tn, fp, fn_, tp)
        };
        assert_eq!(at(0.8), (4, 0, 3, 1));
        assert_eq!(at(0.799), (3, 1, 1, 3));
        assert_eq!((at(0.0), at(1.0)), ((0, 4, 0, 4), (4, 0, 4, 0)));
    }

    #[test]
    fn one_class_has_no_ranking() {
        let one = Ranking::new(&[true, true], &[0.1, 0.2]).unwrap();
        assert_eq!((one.roc_auc(), one.average_precision()), (None, None));
        assert!(one.figures().is_none() && one.gain_curve(10).is_empty());
        assert!(one.roc_curve(10).is_empty() && one.precision_recall_curve(10).is_empty());
    }

    #[test]
    fn equal_scores_tell_nothing() {
        let same = Ranking::new(&LABELS, &[0.5; 8]).unwrap();
        assert!((same.roc_auc().unwrap() - 0.5).abs() < 1e-15);
        assert!((same.average_precision().unwrap() - 0.5).abs() < 1e-15);
        assert_eq!(same.roc_curve(100).len(), 2);
    }

    #[test]
    fn nan_is_refused() {
        let error = Ranking::new(&[true, false], &[0.1, f64::NAN]).unwrap_err();
        assert_eq!(error.to_string(), "row 1 has the score NaN: it must be finite");
    }

    #[test]
    fn points_that_are_searched_for_are_those_of_a_walk() {
        let mut state = 9_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..400 {
            let (rows, levels) = (2 + random(300), 1 + random(200));
            let rows = (0..rows).map(|_| (random(4) == 0, random(levels) as f64 / 7.0 - 9.0));
            let (labels, scores): (Vec<bool>, Vec<f64>) = rows.unzip();
            let ranking = Ranking::new(&labels, &scores).unwrap();
            let Some((n, p)) = ranking.both_classes() else { continue };
            let groups: Vec<Reached> = ranking.groups().collect();
            let room = 1 + random(60);
            let (mut next, mut walked) = (2 * n * p, Vec::new());
            for (i, at) in groups.iter().enumerate() {
                let progress = (at.fp * p + at.tp * n) * room;
                if progress >= next || groups.len() as u64 <= room {
                    next = (progress / (2 * n * p) + 1) * 2 * n * p;
                    walked.push((*at, groups.get(i + 1).map(|group| group.key)));
                }
            }
            let found = ranking.thinned(n, p, usize::try_from(room + 1).unwrap());
            assert_eq!(found, walked);
        }
    }

    #[test]
    fn thinning_keeps_the_ends() {
        let labels: Vec<bool> = (0..1000).map(|i| i % 3 == 0 || i > 800).collect();
        let scores: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
        let ranking = Ranking::new(&labels, &scores).unwrap();
        let full = ranking.roc_curve(usize::MAX);
        assert_eq!(full.len(), 1001);
        for max in [0, 2, 3, 10, 100, 1000, 1001] {
            let thin = ranking.roc_curve(max);
            assert!(thin.len() <= max.max(2), "{} points for {max}", thin.len());
            assert_eq!((thin[0], thin[thin.len() - 1]), (full[0], full[1000]));
            assert!(thin.iter().all(|point| full.contains(point)));
            let recall = ranking.precision_recall_curve(max);
            assert!(recall.len() <= max.max(2));
            assert!((recall[recall.len() - 1].recall - 1.0).abs() < 1e-15);
        }
    }
}
