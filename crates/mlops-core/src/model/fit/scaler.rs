//! Standardises numeric features like scikit-learn's `StandardScaler`, with exact moments.
//!
//! Not for one-hot columns: they keep mean 0 and scale 1, so that their coefficients stay
//! differences between categories.
//!
//! Integers (|v| <= 2^31) are summed as integers, so that their moments are exact; other features
//! take a second pass with the corrected two-pass formula (Chan, Golub and LeVeque 1983, eq. 1.7).

use serde::{Deserialize, Serialize};

use super::block::{BLOCK_ROWS, Block, Blocks, read_checked};
use super::question::{Numbers, Reading, Sums, Written, needs_rows};
use super::reduce::{Pass, reduce};
use crate::error::{Error, Result};
use crate::platform::exact_sum::{ExactSum, unit_of};
use crate::platform::simd::{Work, widest};

/// Mean and population standard deviation (ddof 0) by feature, in the feature's own units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    /// Subtracted from the values; 0 for one-hot columns.
    pub mean: Vec<f64>,
    /// Divides the differences; never 0, and 1 for constant features and one-hot columns.
    pub scale: Vec<f64>,
}

/// The largest integer that is summed exactly: its square is still far within 128 bits.
const WHOLE: f64 = 2_147_483_648.0;

/// Up to here, 256 squares of integers are summed exactly in a double.
const SMALL: f64 = 4_194_304.0;

impl Scaler {
    /// Leaves all values as they are.
    pub fn identity(features: usize) -> Self {
        Self { mean: vec![0.0; features], scale: vec![1.0; features] }
    }

    /// Learns mean and scale of the features that are `numeric` (one flag for each feature).
    ///
    /// A feature is constant if its values differ by no more than four units in the last place; it
    /// then gets scale 1, as in scikit-learn (whose bound also grows with the number of rows, to
    /// cover the error of its own sums). The result is the same for any `threads` (0: all).
    ///
    /// # Errors
    /// `Data` for no rows, for values that are not finite (naming feature and row, counted from
    /// 0), and for values too large to be squared.
    ///
    /// # Panics
    /// If there is not one flag for each feature.
    pub fn fit(blocks: &dyn Blocks, numeric: &[bool], threads: usize) -> Result<Self> {
        assert_eq!(numeric.len(), blocks.features(), "one flag for each feature");
        if blocks.rows() == 0 {
            return Err(Error::data(
                "there are no rows to learn the scaling from; ingest data before training",
            ));
        }
        if let Some(weighed) = blocks.weighed() {
            return Self::weighted(blocks, numeric, weighed.by_class.iter().sum(), threads);
        }
        let first = reduce(blocks, 1, threads, &MomentPass(blocks))?;
        let mut scaler = Self::identity(numeric.len());
        let rows = blocks.rows();
        let mut inexact = Vec::new();
        for (j, sums) in first.iter().enumerate() {
            if !numeric[j] {
                continue;
            }
            if constant(sums.lowest, sums.highest) {
                // Its own lowest value, so that a constant feature becomes exactly 0.
                scaler.mean[j] = sums.lowest;
            } else if let Some(moments) = sums.exact(rows) {
                (scaler.mean[j], scaler.scale[j]) = moments;
            } else {
                scaler.mean[j] = (sums.sum + sums.lost) / rows as f64;
                inexact.push(j);
            }
        }
        // A sum of numbers near the largest double may overflow; their exact sum does not.
        let overflowed: Vec<usize> =
            inexact.iter().copied().filter(|j| !scaler.mean[*j].is_finite()).collect();
        if !overflowed.is_empty() && blocks.holders().is_some() {
            return Err(needs_rows());
        }
        if !overflowed.is_empty() {
            exact_means(blocks, &overflowed, &mut scaler.mean)?;
        }
        if !inexact.is_empty() {
            let unit = |j: &usize| unit_of(first[*j].highest.abs().max(first[*j].lowest.abs()));
            let unit = inexact.iter().map(unit).collect();
            let spread = Spread { mean: &scaler.mean, features: &inexact, unit };
            let second = reduce(blocks, 1, threads, &spread)?;
            for ((&j, [square, linear]), unit) in inexact.iter().zip(second).zip(&spread.unit) {
                let variance = (square - linear * linear / rows as f64) / rows as f64;
                scaler.scale[j] = variance.sqrt() / unit;
            }
        }
        scaler.check(blocks, &first.iter().map(|s| [s.lowest, s.highest]).collect::<Vec<_>>())?;
        Ok(scaler)
    }

    /// The same of rows with weights, whose sum is `total`.
    fn weighted(blocks: &dyn Blocks, numeric: &[bool], total: f64, threads: usize) -> Result<Self> {
        let moments = moments(blocks, total, threads)?;
        let mut scaler = Self::identity(numeric.len());
        for (j, moments) in moments.iter().enumerate().filter(|(j, _)| numeric[*j]) {
            (scaler.mean[j], scaler.scale[j]) = (moments.mean, moments.scale);
        }
        scaler.check(blocks, &moments.iter().map(|m| [m.lowest, m.highest]).collect::<Vec<_>>())?;
        Ok(scaler)
    }

    /// Checks that standardised values are finite: neither the distance from the mean nor the
    /// inverse of the scale may overflow.
    fn check(&self, blocks: &dyn Blocks, ranges: &[[f64; 2]]) -> Result<()> {
        let usable = |j: &usize| {
            let (mean, scale) = (self.mean[*j], self.scale[*j]);
            let far = ranges[*j].iter().all(|end| (end - mean).is_finite());
            (far || mean == 0.0) && scale.is_normal() && (1.0 / scale).is_normal()
        };
        match (0..self.mean.len()).find(|j| !usable(j)) {
            None => Ok(()),
            Some(j) => Err(Error::data(format!(
                "the values of {} are too extreme to standardise (mean {:e}, standard deviation {:e}); \
                 use another unit",
                blocks.name(j),
                self.mean[j],
                self.scale[j]
            ))),
        }
    }

    /// Standardises a row in place: (value - mean) / scale.
    ///
    /// # Panics
    /// If the row does not have one value for each feature.
    pub fn transform(&self, row: &mut [f64]) {
        assert_eq!(row.len(), self.mean.len(), "one value for each feature");
        for ((value, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
            *value = (*value - mean) / scale;
        }
    }
}

/// Whether values from `lowest` to `highest` count as one: at most four units in the last place
/// apart.
pub(crate) fn constant(lowest: f64, highest: f64) -> bool {
    highest - lowest <= 4.0 * f64::EPSILON * lowest.abs().max(highest.abs())
}

/// First pass: integer sums as long as possible, and a compensated sum in any case.
pub(super) struct MomentPass<'a>(pub(super) &'a dyn Blocks);

#[derive(Debug, Clone)]
pub(super) struct FeatureSums {
    lowest: f64,
    highest: f64,
    /// Running sum, and the rounding error of it (Neumaier).
    sum: f64,
    lost: f64,
    /// Sum and sum of squares, as long as all values are integers of at most [`WHOLE`].
    whole: Option<(i128, i128)>,
}

impl FeatureSums {
    fn add_compensated(&mut self, value: f64) {
        let total = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() {
            (self.sum - total) + value
        } else {
            (value - total) + self.sum
        };
        self.sum = total;
    }

    /// Mean and standard deviation with a single rounding, if possible.
    fn exact(&self, rows: u64) -> Option<(f64, f64)> {
        let (sum, squares) = self.whole?;
        let n = i128::from(rows);
        let spread = n.checked_mul(squares)?.checked_sub(sum.checked_mul(sum)?)?;
        let rows = rows as f64;
        Some((sum as f64 / rows, (spread as f64).sqrt() / rows))
    }
}

impl Pass for MomentPass<'_> {
    type Sums = Vec<FeatureSums>;
    type Scratch = ();

    /// Features are created as they come; an empty sum stands for no features.
    fn zero(&self) -> Self::Sums {
        Vec::new()
    }

    fn scratch(&self) {}

    fn add(&self, index: usize, block: &Block, (): &mut (), sums: &mut Self::Sums) -> Result<()> {
        if sums.is_empty() {
            let none = FeatureSums {
                lowest: f64::INFINITY,
                highest: f64::NEG_INFINITY,
                sum: 0.0,
                lost: 0.0,
                whole: Some((0, 0)),
            };
            sums.resize(block.features(), none);
        }
        for (j, sums) in sums.iter_mut().enumerate() {
            let values = block.column(j);
            check_finite(index, &|| self.0.name(j), values)?;
            widest(AddColumn { sums, values });
        }
        Ok(())
    }

    fn merge(&self, into: &mut Self::Sums, following: Self::Sums) {
        for (a, b) in into.iter_mut().zip(following) {
            a.lowest = a.lowest.min(b.lowest);
            a.highest = a.highest.max(b.highest);
            a.add_compensated(b.sum);
            a.lost += b.lost;
            a.whole = match (a.whole, b.whole) {
                (Some((sum, squares)), Some((s, q))) => Some((sum + s, squares + q)),
                _ => None,
            };
        }
    }

    fn asks(&self) -> Option<Sums> {
        Some(Sums::Moments)
    }

    fn write(&self, sums: &Self::Sums, to: &mut Written) {
        for FeatureSums { lowest, highest, sum, lost, whole } in sums {
            to.numbers(&[*lowest, *highest, *sum, *lost]);
            to.whole(u64::from(whole.is_some()));
            let (sum, squares) = whole.unwrap_or_default();
            to.wide(sum);
            to.wide(squares);
        }
    }

    fn read(&self, from: &mut Reading<'_>) -> Result<Self::Sums> {
        let feature = |_| {
            let [mut lowest, mut highest, mut sum, mut lost] = [0.0; 4];
            for to in [&mut lowest, &mut highest, &mut sum, &mut lost] {
                *to = from.number()?;
            }
            let known = from.whole()? == 1;
            let whole = (from.wide()?, from.wide()?);
            Ok(FeatureSums { lowest, highest, sum, lost, whole: known.then_some(whole) })
        };
        (0..self.0.features()).map(feature).collect()
    }
}

/// The moments of one column of one block.
struct AddColumn<'a> {
    sums: &'a mut FeatureSums,
    values: &'a [f64],
}

#[expect(clippy::inline_always, reason = "see `simd`")]
impl Work for AddColumn<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { sums, values } = self;
        let less = |a: f64, b: f64| if b < a { b } else { a };
        let more = |a: f64, b: f64| if b > a { b } else { a };
        sums.lowest = fold(values, sums.lowest, less, less);
        sums.highest = fold(values, sums.highest, more, more);
        sums.add_compensated(fold(values, 0.0, |a, v| a + v, |a, b| a + b));
        sums.whole = match (sums.whole, whole_sums(values)) {
            (Some((sum, squares)), Some((s, q))) => Some((sum + s, squares + q)),
            _ => None,
        };
    }
}

/// Exact sum and sum of squares of a block, if all its values are integers and not too large.
#[inline(always)]
fn whole_sums(values: &[f64]) -> Option<(i128, i128)> {
    /// Adding and subtracting 1.5 * 2^52 rounds to an integer.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let larger = |a: f64, b: f64| if b > a { b } else { a };
    let add = |a, b| a + b;
    let largest = fold(values, 0.0, |a, v| larger(a, v.abs()), larger);
    let fraction = fold(values, 0.0, |a, v| a + (((v + ROUND) - ROUND) - v).abs(), add);
    if fraction > 0.0 || largest > WHOLE {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers, checked above")]
    let whole = |value: f64| value as i128;
    // Partial sums are integers below 2^53 in both branches that use doubles.
    let sum = fold(values, 0.0, add, add);
    let squares = if largest <= SMALL {
        whole(fold(values, 0.0, |a, v| a + v * v, add))
    } else {
        values.iter().map(|&value| whole(value) * whole(value)).sum()
    };
    Some((whole(sum), squares))
}

/// The means of some features, summed exactly.
fn exact_means(blocks: &dyn Blocks, features: &[usize], means: &mut [f64]) -> Result<()> {
    let mut sums = vec![ExactSum::default(); features.len()];
    let mut block = Block::new(blocks.features());
    for index in 0..blocks.blocks() {
        read_checked(blocks, index, &mut block)?;
        for (sum, j) in sums.iter_mut().zip(features) {
            block.column(*j).iter().for_each(|v| sum.add(*v));
        }
    }
    for (sum, j) in sums.into_iter().zip(features) {
        means[*j] = sum.mean().unwrap_or(0.0);
    }
    Ok(())
}

/// Second pass: sums of squared and of plain differences from the mean. The plain ones would be 0
/// if the mean were exact, and correct for its error.
pub(super) struct Spread<'a> {
    pub(super) mean: &'a [f64],
    pub(super) features: &'a [usize],
    /// A power of two per feature, with which no square overflows or vanishes; it changes no digit.
    pub(super) unit: Vec<f64>,
}

impl Pass for Spread<'_> {
    type Sums = Vec<[f64; 2]>;
    type Scratch = ();

    fn zero(&self) -> Self::Sums {
        vec![[0.0; 2]; self.features.len()]
    }

    fn scratch(&self) {}

    fn add(&self, _: usize, block: &Block, (): &mut (), sums: &mut Self::Sums) -> Result<()> {
        for ((&j, sums), unit) in self.features.iter().zip(sums).zip(&self.unit) {
            let (values, mean, add) = (block.column(j), self.mean[j] * unit, |a, b| a + b);
            let away = |v: f64| v * unit - mean;
            sums[0] += fold(values, 0.0, |a, v| a + away(v) * away(v), add);
            sums[1] += fold(values, 0.0, |a, v| a + away(v), add);
        }
        Ok(())
    }

    fn merge(&self, into: &mut Self::Sums, following: Self::Sums) {
        for (a, b) in into.iter_mut().zip(following) {
            a[0] += b[0];
            a[1] += b[1];
        }
    }

    fn asks(&self) -> Option<Sums> {
        let features = self.features.to_vec();
        Some(Sums::Spread { mean: Numbers::of(self.mean), features, unit: Numbers::of(&self.unit) })
    }

    fn write(&self, sums: &Self::Sums, to: &mut Written) {
        to.numbers(sums.as_flattened());
    }

    fn read(&self, from: &mut Reading<'_>) -> Result<Self::Sums> {
        let mut sums = self.zero();
        sums.iter_mut().try_for_each(|two| from.numbers(two))?;
        Ok(sums)
    }
}

/// The moments of a feature with weights.
#[derive(Debug, Clone, Copy)]
struct Moments {
    lowest: f64,
    highest: f64,
    mean: f64,
    /// The standard deviation; 1 for a constant feature, whose mean is its value.
    scale: f64,
}

/// Weighted mean and standard deviation of all features, as scikit-learn's `StandardScaler` with
/// `sample_weight` has them: divided by the sum of the weights.
fn moments(blocks: &dyn Blocks, total: f64, threads: usize) -> Result<Vec<Moments>> {
    let first = reduce(blocks, 1, threads, &WeightedSums(blocks))?;
    let mut found: Vec<Moments> = first
        .iter()
        .map(|sums| Moments {
            lowest: sums.lowest,
            highest: sums.highest,
            mean: sums.sum / total,
            scale: 1.0,
        })
        .collect();
    let spread = WeightedSpread {
        mean: found.iter().map(|moments| moments.mean).collect(),
        unit: found.iter().map(|m| unit_of(m.highest.abs().max(m.lowest.abs()))).collect(),
    };
    let second = reduce(blocks, 1, threads, &spread)?;
    for ((moments, [square, linear]), unit) in found.iter_mut().zip(second).zip(&spread.unit) {
        if constant(moments.lowest, moments.highest) {
            moments.mean = moments.lowest;
        } else {
            let variance = (square - linear * linear / total) / total;
            moments.scale = variance.sqrt() / unit;
        }
    }
    Ok(found)
}

#[derive(Clone)]
struct WeightedSum {
    lowest: f64,
    highest: f64,
    sum: f64,
}

/// First pass: ranges and weighted sums.
struct WeightedSums<'a>(&'a dyn Blocks);

impl Pass for WeightedSums<'_> {
    type Sums = Vec<WeightedSum>;
    type Scratch = ();

    fn zero(&self) -> Vec<WeightedSum> {
        let none = WeightedSum { lowest: f64::INFINITY, highest: f64::NEG_INFINITY, sum: 0.0 };
        vec![none; self.0.features()]
    }

    fn scratch(&self) {}

    fn add(
        &self,
        index: usize,
        block: &Block,
        (): &mut (),
        sums: &mut Vec<WeightedSum>,
    ) -> Result<()> {
        let weights = weights(block)?;
        for (j, sums) in sums.iter_mut().enumerate() {
            let values = block.column(j);
            check_finite(index, &|| self.0.name(j), values)?;
            let mut of_block = 0.0;
            for (value, weight) in values.iter().zip(weights) {
                sums.lowest = sums.lowest.min(*value);
                sums.highest = sums.highest.max(*value);
                of_block += value * weight;
            }
            sums.sum += of_block;
        }
        Ok(())
    }

    fn merge(&self, into: &mut Vec<WeightedSum>, following: Vec<WeightedSum>) {
        for (a, b) in into.iter_mut().zip(following) {
            a.lowest = a.lowest.min(b.lowest);
            a.highest = a.highest.max(b.highest);
            a.sum += b.sum;
        }
    }
}

/// Second pass, as without weights: squared and plain differences from the mean, in units in which no
/// square overflows or vanishes.
struct WeightedSpread {
    mean: Vec<f64>,
    unit: Vec<f64>,
}

impl Pass for WeightedSpread {
    type Sums = Vec<[f64; 2]>;
    type Scratch = ();

    fn zero(&self) -> Self::Sums {
        vec![[0.0; 2]; self.mean.len()]
    }

    fn scratch(&self) {}

    fn add(&self, _: usize, block: &Block, (): &mut (), sums: &mut Self::Sums) -> Result<()> {
        let weights = weights(block)?;
        for (j, sums) in sums.iter_mut().enumerate() {
            let (unit, mean) = (self.unit[j], self.mean[j] * self.unit[j]);
            let mut of_block = [0.0; 2];
            for (value, weight) in block.column(j).iter().zip(weights) {
                let away = value * unit - mean;
                of_block[0] += weight * (away * away);
                of_block[1] += weight * away;
            }
            sums.iter_mut().zip(of_block).for_each(|(sum, more)| *sum += more);
        }
        Ok(())
    }

    fn merge(&self, into: &mut Self::Sums, following: Self::Sums) {
        for (a, b) in into.iter_mut().zip(following) {
            a.iter_mut().zip(b).for_each(|(sum, more)| *sum += more);
        }
    }
}

fn weights(block: &Block) -> Result<&[f64]> {
    block.weights().ok_or_else(|| Error::data("the training rows have no weights: train again"))
}

/// Folds in eight lanes: with one, every step would wait for the last. `start` must be neutral or
/// harmless if applied eight times.
#[inline(always)]
#[expect(clippy::inline_always, reason = "see `simd`")]
fn fold(
    values: &[f64],
    start: f64,
    step: impl Fn(f64, f64) -> f64,
    join: impl Fn(f64, f64) -> f64,
) -> f64 {
    let mut lanes = [start; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = step(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = step(*lane, value);
    }
    lanes.into_iter().fold(start, join)
}

/// Refuses NaN and infinity in the feature `name` of block `index`, with their position.
pub(crate) fn check_finite(index: usize, name: &dyn Fn() -> String, values: &[f64]) -> Result<()> {
    // Only finite numbers times 0 are 0, so that one sum checks the whole column.
    if fold(values, 0.0, |a, v| a + v.abs() * 0.0, |a, b| a + b) <= 0.0 {
        return Ok(());
    }
    let at = values.iter().position(|value| !value.is_finite()).unwrap_or(0);
    Err(Error::data(format!(
        "{} is {} in training row {} (counted from 0); choose a \"training.missing\" that fills or \
         drops missing values",
        name(),
        values[at],
        index * BLOCK_ROWS + at
    )))
}
