//! Bootstrap resampling: what other samples of the same kind might have shown.
//!
//! Resampling n rows with replacement and counting the confusion matrix is one multinomial draw of
//! n over the four counts, so that a resample costs three binomial draws whatever n is. Efron,
//! "Bootstrap methods: another look at the jackknife" (1979); percentiles are interpolated
//! linearly, as by `numpy.percentile`. This file has the parts; differences of scores are in
//! [`super::difference`]. Not for the interval of a single score, where percentiles fail on few
//! rows (`docs/intervals.md`): see [`super::interval`].

use rand_distr::{Binomial, Distribution};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{ConfusionMatrix, Interval, Method};

/// The number of resamples of a difference; the ends then vary by about 1 % of the interval's width
/// between seeds.
pub const RESAMPLES: usize = 5_000;

/// The fewest rows for which an interval is meaningful.
pub const MIN_ROWS: u64 = 30;

/// The reason that [`too_few`] gives.
pub const TOO_FEW: &str = "too few rows to tell";

/// The reason not to trust an interval of these counts: fewer than 30 rows, or labels of one class.
pub fn too_few(matrix: &ConfusionMatrix) -> Option<&'static str> {
    (matrix.n() < MIN_ROWS || matrix.one_class()).then_some(TOO_FEW)
}

/// The confusion matrix of as many rows, drawn with replacement.
pub(crate) fn resample(
    matrix: &ConfusionMatrix,
    random: &mut Xoshiro256PlusPlus,
) -> ConfusionMatrix {
    let [tp, fp, fn_, tn] = multinomial([matrix.tp, matrix.fp, matrix.fn_, matrix.tn], random);
    ConfusionMatrix { tn, fp, fn_, tp }
}

/// One multinomial draw with the total and the shares of `counts`: each cell is a binomial draw
/// from the rows and the probability still left, the last one takes the rest.
pub(crate) fn multinomial<const CELLS: usize>(
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

/// Successes in `rows` trials of probability `part / whole`; no random draw if the result is
/// certain.
fn binomial(rows: u64, part: u64, whole: u64, random: &mut Xoshiro256PlusPlus) -> u64 {
    if rows == 0 || part == 0 {
        return 0;
    }
    if part == whole {
        return rows;
    }
    // The probability is strictly between 0 and 1, which is all that the constructor requires.
    Binomial::new(rows, part as f64 / whole as f64).map_or(0, |b| b.sample(random).min(rows))
}

/// The central interval that contains the share `level` of the values.
pub(crate) fn percentile_interval(mut values: Vec<f64>, level: f64) -> Interval {
    let level = level.clamp(0.0, 1.0);
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Interval {
        low: percentile(&values, tail),
        high: percentile(&values, 1.0 - tail),
        level,
        method: Method::Bootstrap,
    }
}

/// The quantile `share`, in [0, 1], by linear interpolation; `sorted` must not be empty.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= at < len")]
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let below = sorted[at as usize];
    let above = sorted[(at.ceil() as usize).min(sorted.len() - 1)];
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::rand_core::SeedableRng;

    use super::*;

    const MATRIX: ConfusionMatrix = ConfusionMatrix { tn: 250, fp: 50, fn_: 40, tp: 160 };

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
}
