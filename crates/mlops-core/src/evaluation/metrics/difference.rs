//! The uncertainty of a difference of two F1 scores: seeded percentile bootstrap intervals.
//!
//! Two models on the same rows are *paired*: rows are resampled with both predictions, as one
//! multinomial draw over the eight cells (label, champion's prediction, challenger's prediction).
//! One model on two sets of rows is *two samples*: each confusion matrix is resampled on its own.
//! Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 8 and 13. Not for a
//! single score: see [`super::interval`].
//!
//! The same counts, level, resamples and seed give the same interval.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::bootstrap::{multinomial, percentile_interval, resample};
use super::{ConfusionMatrix, Interval, Metric, same_length};
use crate::error::Result;

/// Interval of F1(`after`) - F1(`before`), for two independent sets of rows.
///
/// `level` is clamped to [0, 1], `resamples` to at least 1.
pub fn two_sample_interval(
    before: &ConfusionMatrix,
    after: &ConfusionMatrix,
    level: f64,
    resamples: usize,
    seed: u64,
) -> Interval {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let draws = (0..resamples.max(1)).map(|_| {
        let before = resample(before, &mut random).f1();
        resample(after, &mut random).f1() - before
    });
    percentile_interval(draws.collect(), level)
}

/// Counts of the predictions of two models for the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PairedCounts {
    /// Number of rows, indexed by 4 * label + 2 * champion's prediction + challenger's prediction,
    /// where positive is 1 and negative 0.
    cells: [u64; 8],
}

impl PairedCounts {
    /// Counts the rows by their labels and the predictions of both models.
    ///
    /// # Errors
    /// `Data` if the lengths differ.
    pub fn from_predictions(
        labels: &[bool],
        champion: &[bool],
        challenger: &[bool],
    ) -> Result<Self> {
        same_length(labels.len(), champion.len())?;
        same_length(labels.len(), challenger.len())?;
        let mut counts = Self::default();
        for ((label, champion), challenger) in labels.iter().zip(champion).zip(challenger) {
            counts.add(*label, *champion, *challenger);
        }
        Ok(counts)
    }

    fn add(&mut self, label: bool, champion: bool, challenger: bool) {
        self.add_times(label, champion, challenger, 1);
    }

    /// Adds as many equal rows.
    pub(super) fn add_times(&mut self, label: bool, champion: bool, challenger: bool, times: u64) {
        let cell = 4 * usize::from(label) + 2 * usize::from(champion) + usize::from(challenger);
        self.cells[cell] += times;
    }

    /// Number of rows.
    pub fn n(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// Number of rows for which the two models predict different classes.
    pub fn disagreements(&self) -> u64 {
        let cells = &self.cells;
        cells[1] + cells[2] + cells[5] + cells[6]
    }

    /// The champion's confusion matrix.
    pub fn champion(&self) -> ConfusionMatrix {
        let [tn, fp, fn_, tp] = [0, 2, 4, 6].map(|i| self.cells[i] + self.cells[i + 1]);
        ConfusionMatrix { tn, fp, fn_, tp }
    }

    /// The challenger's confusion matrix.
    pub fn challenger(&self) -> ConfusionMatrix {
        let [tn, fp, fn_, tp] = [0, 1, 4, 5].map(|i| self.cells[i] + self.cells[i + 2]);
        ConfusionMatrix { tn, fp, fn_, tp }
    }

    /// The challenger's F1 minus the champion's.
    pub fn difference(&self) -> f64 {
        self.challenger().f1() - self.champion().f1()
    }

    /// The challenger's `metric` minus the champion's; 0 for a metric that needs probabilities.
    pub fn difference_of(&self, metric: Metric) -> f64 {
        let of = |matrix: ConfusionMatrix| metric.of_counts(&matrix).unwrap_or_default();
        of(self.challenger()) - of(self.champion())
    }

    /// Interval of [`PairedCounts::difference`]; `level` is clamped to [0, 1], `resamples` to at
    /// least 1.
    pub fn interval(&self, level: f64, resamples: usize, seed: u64) -> Interval {
        self.interval_of(Metric::F1, level, resamples, seed)
    }

    /// Interval of [`PairedCounts::difference_of`], as [`PairedCounts::interval`].
    pub fn interval_of(&self, metric: Metric, level: f64, resamples: usize, seed: u64) -> Interval {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let draws = (0..resamples.max(1))
            .map(|_| Self { cells: multinomial(self.cells, &mut random) }.difference_of(metric));
        percentile_interval(draws.collect(), level)
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardUniform};

    use super::*;

    #[test]
    fn both_matrices_come_out_of_the_cells() {
        let labels = [false, false, false, false, true, true, true, true];
        let champion = [false, false, true, true, false, false, true, true];
        let challenger = [false, true, false, true, false, true, false, true];
        let all = PairedCounts::from_predictions(&labels, &champion, &challenger).unwrap();
        assert_eq!((all.n(), all.disagreements()), (8, 4));
        for keep in 0..8_usize {
            let [l, a, b] = [labels, champion, challenger].map(|v| v[keep..].to_vec());
            let pairs = PairedCounts::from_predictions(&l, &a, &b).unwrap();
            assert_eq!(pairs.champion(), ConfusionMatrix::from_predictions(&l, &a).unwrap());
            assert_eq!(pairs.challenger(), ConfusionMatrix::from_predictions(&l, &b).unwrap());
        }
        assert!(PairedCounts::from_predictions(&labels, &champion, &[]).is_err());
    }

    #[test]
    fn a_model_does_not_differ_from_itself() {
        let answers = [true, false, true, true, false];
        let labels = [true, true, false, true, false];
        let pairs = PairedCounts::from_predictions(&labels, &answers, &answers).unwrap();
        let interval = pairs.interval(0.95, 500, 1);
        assert!(interval.low.abs() < 1e-15 && interval.high.abs() < 1e-15, "{interval:?}");
    }

    #[test]
    fn a_seed_fixes_the_intervals() {
        let before = ConfusionMatrix { tn: 250, fp: 50, fn_: 40, tp: 160 };
        let after = ConfusionMatrix { tn: 90, fp: 30, fn_: 30, tp: 50 };
        let interval = two_sample_interval(&before, &after, 0.95, 1_000, 7);
        assert_eq!(interval, two_sample_interval(&before, &after, 0.95, 1_000, 7));
        assert!(
            interval.low < after.f1() - before.f1() && after.f1() - before.f1() < interval.high
        );
    }

    /// The intervals of two samples, and of two models on one, hold a true difference of 0.
    #[test]
    fn equals_are_told_apart_one_time_in_twenty() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(11);
        let mut chance = || -> f64 { StandardUniform.sample(&mut random) };
        let mut row = || {
            let label = chance() < 0.4;
            let share = if label { 0.75 } else { 0.2 };
            (label, chance() < share, chance() < share)
        };
        let holds_zero = |interval: Interval| interval.low <= 0.0 && 0.0 <= interval.high;
        let (mut two_samples, mut paired) = (0, 0);
        for seed in 0..1_000 {
            let before = ConfusionMatrix::from_pairs((0..300).map(|_| row()).map(|r| (r.0, r.1)));
            let after = ConfusionMatrix::from_pairs((0..150).map(|_| row()).map(|r| (r.0, r.1)));
            let interval = two_sample_interval(&before, &after, 0.95, 400, seed);
            two_samples += u32::from(holds_zero(interval));
            let mut pairs = PairedCounts::default();
            for (label, champion, challenger) in (0..300).map(|_| row()) {
                pairs.add(label, champion, challenger);
            }
            paired += u32::from(holds_zero(pairs.interval(0.95, 400, seed)));
        }
        for held in [two_samples, paired] {
            assert!((930..=970).contains(&held), "{two_samples} {paired} of 1000");
        }
    }
}
