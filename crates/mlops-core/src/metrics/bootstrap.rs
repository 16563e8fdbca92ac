//! How far a score of this many rows can be trusted: seeded percentile bootstrap intervals.
//!
//! Resampling n rows with replacement and counting the confusion matrix is the same as one
//! multinomial draw of n over the four counts, so a resample costs three binomials whatever n is.
//! Efron, "Bootstrap methods: another look at the jackknife" (1979); percentiles are linear, as
//! `numpy.percentile`. Not for comparing two models or two samples: see [`super::difference`].
//!
//! The same counts, level, resamples and seed give the same interval.

use rand_distr::{Binomial, Distribution};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::{ConfusionMatrix, Interval};

/// Resamples that [`super::Evaluation`] uses: the ends then move by about 1 % of the interval's
/// width from seed to seed.
pub const RESAMPLES: usize = 5_000;

/// Fewest rows for which an interval says anything.
pub const MIN_ROWS: u64 = 30;

/// What [`too_few`] says.
pub const TOO_FEW: &str = "too few rows to tell";

/// Intervals of one confusion matrix, all from the same resamples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Intervals {
    /// Of the F1.
    pub f1: Interval,
    /// Of the accuracy.
    pub accuracy: Interval,
}

/// The reason not to trust an interval of these counts: under 30 rows, or labels of one class.
pub fn too_few(matrix: &ConfusionMatrix) -> Option<&'static str> {
    (matrix.n() < MIN_ROWS || matrix.one_class()).then_some(TOO_FEW)
}

/// Percentile bootstrap interval of the F1; `level` is clamped to [0, 1], `resamples` to at least 1.
pub fn f1_interval(matrix: &ConfusionMatrix, level: f64, resamples: usize, seed: u64) -> Interval {
    intervals(matrix, level, resamples, seed).f1
}

/// Percentile bootstrap interval of the accuracy, as [`f1_interval`].
pub fn accuracy_interval(
    matrix: &ConfusionMatrix,
    level: f64,
    resamples: usize,
    seed: u64,
) -> Interval {
    intervals(matrix, level, resamples, seed).accuracy
}

/// Both intervals from one set of resamples.
pub fn intervals(matrix: &ConfusionMatrix, level: f64, resamples: usize, seed: u64) -> Intervals {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let draws: Vec<_> = (0..resamples.max(1)).map(|_| resample(matrix, &mut random)).collect();
    let interval = |score: fn(&ConfusionMatrix) -> f64| {
        percentile_interval(draws.iter().map(score).collect(), level)
    };
    Intervals { f1: interval(ConfusionMatrix::f1), accuracy: interval(ConfusionMatrix::accuracy) }
}

/// The matrix of as many rows, drawn from this one with replacement.
pub(super) fn resample(
    matrix: &ConfusionMatrix,
    random: &mut Xoshiro256PlusPlus,
) -> ConfusionMatrix {
    let [tp, fp, fn_, tn] = multinomial([matrix.tp, matrix.fp, matrix.fn_, matrix.tn], random);
    ConfusionMatrix { tn, fp, fn_, tp }
}

/// One multinomial draw of as many rows as `counts` has, with its shares as chances: each cell is a
/// binomial of the rows and of the chance still left, the last takes the rest.
pub(super) fn multinomial<const CELLS: usize>(
    counts: [u64; CELLS],
    random: &mut Xoshiro256PlusPlus,
) -> [u64; CELLS] {
    let rows: u64 = counts.iter().sum();
    let (mut rows, mut weight) = (rows, rows);
    counts.map(|count| {
        let drawn = binomial(rows, count, weight, random);
        rows -= drawn;
        weight -= count;
        drawn
    })
}

/// Successes in `rows` trials of chance `part / whole`; draws nothing when the answer is certain.
fn binomial(rows: u64, part: u64, whole: u64, random: &mut Xoshiro256PlusPlus) -> u64 {
    if rows == 0 || part == 0 {
        return 0;
    }
    if part == whole {
        return rows;
    }
    // The chance lies strictly between 0 and 1, which is all that the constructor asks for.
    Binomial::new(rows, part as f64 / whole as f64).map_or(0, |b| b.sample(random).min(rows))
}

/// The central `level` of the values.
pub(super) fn percentile_interval(mut values: Vec<f64>, level: f64) -> Interval {
    let level = level.clamp(0.0, 1.0);
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Interval { low: percentile(&values, tail), high: percentile(&values, 1.0 - tail), level }
}

/// Linear interpolation between the order statistics of at least one value; `share` in [0, 1].
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= at < len")]
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let below = sorted[at as usize];
    let above = sorted[(at.ceil() as usize).min(sorted.len() - 1)];
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardUniform};

    use super::*;

    const MATRIX: ConfusionMatrix = ConfusionMatrix { tn: 250, fp: 50, fn_: 40, tp: 160 };

    #[test]
    fn a_seed_fixes_the_interval() {
        let first = intervals(&MATRIX, 0.95, 1_000, 7);
        assert_eq!(first, intervals(&MATRIX, 0.95, 1_000, 7));
        assert_ne!(first, intervals(&MATRIX, 0.95, 1_000, 8));
        assert_eq!(first.f1, f1_interval(&MATRIX, 0.95, 1_000, 7));
        assert_eq!(first.accuracy, accuracy_interval(&MATRIX, 0.95, 1_000, 7));
    }

    /// Stored scores must come out the same after an upgrade of the generator.
    #[test]
    fn a_seed_gives_these_very_numbers() {
        let Intervals { f1, accuracy } = intervals(&MATRIX, 0.95, 1_000, 7);
        assert!((f1.low - 0.735_284_468_117_955_9).abs() < 1e-12, "{f1:?}");
        assert!((f1.high - 0.824_947_614_723_755).abs() < 1e-12, "{f1:?}");
        assert!((accuracy.low - 0.786).abs() < 1e-12, "{accuracy:?}");
        assert!((accuracy.high - 0.854).abs() < 1e-12, "{accuracy:?}");
    }

    #[test]
    fn accuracy_agrees_with_the_normal_approximation() {
        let interval = accuracy_interval(&MATRIX, 0.95, 20_000, 1);
        let half = 1.96 * (0.82_f64 * 0.18 / 500.0).sqrt();
        assert!((interval.low - (0.82 - half)).abs() < 0.004, "{interval:?}");
        assert!((interval.high - (0.82 + half)).abs() < 0.004, "{interval:?}");
    }

    #[test]
    fn resamples_keep_the_rows_and_the_empty_cells() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let sparse = ConfusionMatrix { tn: 3, fp: 0, fn_: 0, tp: 2 };
        for _ in 0..200 {
            let draw = resample(&sparse, &mut random);
            assert_eq!((draw.n(), draw.fp, draw.fn_), (5, 0, 0));
        }
        assert_eq!(resample(&ConfusionMatrix::default(), &mut random).n(), 0);
    }

    #[test]
    fn few_rows_or_one_class_cannot_tell() {
        assert_eq!(too_few(&MATRIX), None);
        let small = ConfusionMatrix { tn: 10, fp: 4, fn_: 5, tp: 10 };
        assert_eq!(too_few(&small), Some(TOO_FEW));
        let one_class = ConfusionMatrix { tn: 100, fp: 4, ..Default::default() };
        assert_eq!(too_few(&one_class), Some(TOO_FEW));
    }

    #[test]
    fn percentiles_are_linear() {
        let values = [1.0, 2.0, 4.0, 8.0];
        for (share, expected) in [(0.0, 1.0), (0.25, 1.75), (0.5, 3.0), (1.0, 8.0)] {
            assert!((percentile(&values, share) - expected).abs() < 1e-15);
        }
    }

    /// Share of simulated test sets of 500 rows whose 95 % interval holds the true F1.
    ///
    /// The population is (prevalence, recall, false positive rate).
    fn coverage(population: (f64, f64, f64), sets: usize, resamples: usize) -> f64 {
        let (prevalence, recall, fpr) = population;
        let (tp, fp) = (prevalence * recall, (1.0 - prevalence) * fpr);
        let truth = 2.0 * tp / (tp + fp + prevalence);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(20_240_229);
        let mut chance = || -> f64 { StandardUniform.sample(&mut random) };
        let mut covered = 0;
        for set in 0..sets {
            let matrix = ConfusionMatrix::from_pairs((0..500).map(|_| {
                let label = chance() < prevalence;
                (label, chance() < if label { recall } else { fpr })
            }));
            let interval = f1_interval(&matrix, 0.95, resamples, set as u64);
            covered += usize::from(interval.low <= truth && truth <= interval.high);
        }
        covered as f64 / sets as f64
    }

    fn assert_covers(population: (f64, f64, f64), sets: usize) {
        let share = coverage(population, sets, 1_000);
        assert!((0.93..=0.97).contains(&share), "{population:?}: {share}");
    }

    #[test]
    fn covers_the_f1_of_a_good_model_on_balanced_classes() {
        assert_covers((0.5, 0.8, 0.2), 1_000);
    }

    #[test]
    fn covers_the_f1_of_a_weak_model_on_balanced_classes() {
        assert_covers((0.5, 0.55, 0.45), 1_000);
    }

    #[test]
    fn covers_the_f1_of_a_weak_model_with_few_positives() {
        assert_covers((0.1, 0.5, 0.1), 1_000);
    }

    /// More populations and more sets, with `MLOPS_SOAK=1`.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a switch for long tests, not configuration")]
    fn covers_the_f1_everywhere() {
        if std::env::var("MLOPS_SOAK").is_err() {
            return;
        }
        for prevalence in [0.05, 0.1, 0.2, 0.4, 0.5, 0.8] {
            for (recall, fpr) in [(0.95, 0.03), (0.8, 0.2), (0.5, 0.1), (0.55, 0.45)] {
                let population = (prevalence, recall, fpr);
                let share = coverage(population, 10_000, 1_000);
                eprintln!("prevalence, recall, fpr {population:?}: {share}");
                assert!((0.93..=0.97).contains(&share), "{population:?}: {share}");
            }
        }
    }
}
