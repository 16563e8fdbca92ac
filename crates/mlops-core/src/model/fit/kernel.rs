//! Loss, gradient and Hessian of the logistic likelihood over blocks of rows.
//!
//! The inner loops of a fit, written so that the compiler vectorises them: fixed array lengths, no
//! branches, several running sums. Not for the penalty or for choosing steps (see `newton`), and
//! not for predictions.
//!
//! With z = x·w + b and p = 1 / (1 + exp(-z)): loss = log(1 + exp(z)) - y z, residual = p - y,
//! curvature = p (1 - p). See Hastie, Tibshirani and Friedman, The Elements of Statistical
//! Learning, 4.4.1.

use super::block::{BLOCK_ROWS, Block};
use super::question::{self, Numbers, Place, Reading, Written};
use super::reduce::Pass;
use super::scaler::Scaler;
use crate::error::Result;
use crate::platform::math::exp_of_negative;
use crate::platform::simd::{Work, widest};

/// One feature of one block, padded with zeros.
type PaddedColumn = [f64; BLOCK_ROWS];

/// Running sums in a scalar product: as many as the widest vector has doubles. Narrower vectors
/// take several steps, so that the order of summation is the same on every processor.
const LANES: usize = 8;

/// Columns of a Hessian tile; features are padded to a multiple of it.
const TILE: usize = 4;

/// Running products in the loss; each has 32 factors of at most 2, so that the product of all is at
/// most 2^256 and nothing overflows.
const PRODUCTS: usize = 8;

/// Below this, a product of the loss has lost digits that matter.
const NEAR_ONE: f64 = 1.5;

/// A pass that sums the likelihood at one point.
#[derive(Debug)]
pub(crate) struct Likelihood<'a> {
    pub(crate) scaler: &'a Scaler,
    /// Coefficients of the scaled features, then the intercept.
    pub(crate) beta: &'a [f64],
    /// The weights of a negative and of a positive row.
    pub(crate) weights: [f64; 2],
    /// Whether to compute the Hessian, which is most of the work for many features.
    pub(crate) hessian: bool,
}

/// Sums over rows, without the penalty.
#[derive(Debug, Clone)]
pub(crate) struct Sums {
    pub(crate) loss: f64,
    /// The gradient, in the order of `beta`.
    pub(crate) gradient: Vec<f64>,
    /// Upper triangle of a square matrix, row by row, or empty.
    pub(crate) hessian: Vec<f64>,
    pub(crate) rows: u64,
    pub(crate) positives: f64,
}

/// Buffers of one thread: `size` scaled columns of the current block, the intercept's column of
/// ones, and columns of zeros up to a multiple of [`TILE`].
#[derive(Debug)]
pub(crate) struct Scratch {
    columns: Vec<PaddedColumn>,
    margin: PaddedColumn,
    labels: PaddedColumn,
    weights: PaddedColumn,
    residual: PaddedColumn,
    curvature: PaddedColumn,
    /// exp(-|z|).
    small: PaddedColumn,
    linear: PaddedColumn,
    curved: [PaddedColumn; 2],
}

impl Pass for Likelihood<'_> {
    type Sums = Sums;
    type Scratch = Scratch;

    fn zero(&self) -> Sums {
        let size = self.beta.len();
        let hessian = if self.hessian { vec![0.0; size * size] } else { Vec::new() };
        Sums { loss: 0.0, gradient: vec![0.0; size], hessian, rows: 0, positives: 0.0 }
    }

    fn scratch(&self) -> Scratch {
        let zero = [0.0; BLOCK_ROWS];
        let mut columns = vec![zero; self.beta.len().next_multiple_of(TILE)];
        columns[self.beta.len() - 1] = [1.0; BLOCK_ROWS];
        Scratch {
            columns,
            margin: zero,
            labels: zero,
            weights: zero,
            residual: zero,
            curvature: zero,
            small: zero,
            linear: zero,
            curved: [zero; 2],
        }
    }

    fn add(&self, _: usize, block: &Block, s: &mut Scratch, sums: &mut Sums) -> Result<()> {
        widest(AddLikelihood { pass: self, block, scratch: s, sums });
        Ok(())
    }

    fn merge(&self, into: &mut Sums, following: Sums) {
        into.loss += following.loss;
        into.rows += following.rows;
        into.positives += following.positives;
        for (a, b) in into.gradient.iter_mut().zip(following.gradient) {
            *a += b;
        }
        for (a, b) in into.hessian.iter_mut().zip(following.hessian) {
            *a += b;
        }
    }

    fn asks(&self) -> Option<question::Sums> {
        let Scaler { mean, scale } = self.scaler;
        Some(question::Sums::Likelihood {
            at: Place {
                mean: Numbers::of(mean),
                scale: Numbers::of(scale),
                beta: Numbers::of(self.beta),
            },
            weights: self.weights.map(f64::to_bits),
            hessian: self.hessian,
        })
    }

    fn write(&self, sums: &Sums, to: &mut Written) {
        to.number(sums.loss);
        to.whole(sums.rows);
        to.number(sums.positives);
        to.numbers(&sums.gradient);
        // Nobody reads what is below the diagonal.
        for (j, row) in sums.hessian.chunks(self.beta.len()).enumerate() {
            to.numbers(&row[j..]);
        }
    }

    fn read(&self, from: &mut Reading<'_>) -> Result<Sums> {
        let mut sums = self.zero();
        sums.loss = from.number()?;
        sums.rows = from.whole()?;
        sums.positives = from.number()?;
        from.numbers(&mut sums.gradient)?;
        for (j, row) in sums.hessian.chunks_mut(self.beta.len()).enumerate() {
            from.numbers(&mut row[j..])?;
        }
        Ok(sums)
    }
}

/// Adds one block to the sums.
struct AddLikelihood<'a> {
    pass: &'a Likelihood<'a>,
    block: &'a Block,
    scratch: &'a mut Scratch,
    sums: &'a mut Sums,
}

#[expect(clippy::inline_always, reason = "see `simd`")]
impl Work for AddLikelihood<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { pass, block, scratch: s, sums } = self;
        pass.margins(block, s);
        pass.rows(block, s);
        sums.loss += match block.weights() {
            None => loss(s, pass.weights),
            Some(_) => weighted_loss(s),
        };
        sums.rows += block.rows() as u64;
        sums.positives += sum(&s.labels);
        add_gradient(s, &mut sums.gradient);
        if pass.hessian {
            add_hessian(s, pass.beta.len(), &mut sums.hessian);
        }
    }
}

#[expect(clippy::inline_always, reason = "see `simd`")]
impl Likelihood<'_> {
    /// Scales the features and computes z = x·w + b.
    #[inline(always)]
    fn margins(&self, block: &Block, s: &mut Scratch) {
        let features = block.features();
        s.margin = [self.beta[features]; BLOCK_ROWS];
        for j in 0..features {
            let (mean, inverse) = (self.scaler.mean[j], 1.0 / self.scaler.scale[j]);
            let weight = self.beta[j];
            let (column, margin) = (&mut s.columns[j], &mut s.margin);
            let values = block.column(j);
            for ((scaled, margin), value) in column.iter_mut().zip(margin).zip(values) {
                *scaled = (value - mean) * inverse;
                *margin += weight * *scaled;
            }
            column[values.len()..].fill(0.0);
        }
    }

    /// Computes everything that does not depend on single features.
    #[inline(always)]
    fn rows(&self, block: &Block, s: &mut Scratch) {
        let rows = block.rows();
        let [negative, positive] = self.weights;
        s.labels[..rows].copy_from_slice(block.labels());
        s.labels[rows..].fill(0.0);
        for (weight, label) in s.weights.iter_mut().zip(&s.labels) {
            *weight = if *label > 0.5 { positive } else { negative };
        }
        if let Some(of_rows) = block.weights() {
            s.weights.iter_mut().zip(of_rows).for_each(|(weight, of_row)| *weight *= of_row);
        }
        // Padding has weight 0, so that it contributes nothing.
        s.weights[rows..].fill(0.0);
        for i in 0..BLOCK_ROWS {
            let (z, label, weight) = (s.margin[i], s.labels[i], s.weights[i]);
            let small = exp_of_negative(-z.abs());
            let factor = 1.0 + small;
            let near = 1.0 / factor;
            let far = small * near;
            // Both probabilities without a subtraction: 1 - p would lose the digits of a tail.
            let (p, q) = if z >= 0.0 { (near, far) } else { (far, near) };
            s.residual[i] = weight * if label > 0.5 { -q } else { p };
            s.curvature[i] = weight * (near * far);
            s.small[i] = small;
            s.linear[i] = weight * ((if z >= 0.0 { z } else { 0.0 }) - label * z);
        }
        s.small[rows..].fill(0.0);
    }
}

/// The loss of a block. Logarithms are taken of products, one per class.
#[inline(always)]
#[expect(clippy::inline_always, reason = "see `simd`")]
fn loss(s: &Scratch, weights: [f64; 2]) -> f64 {
    let mut linear = [0.0; PRODUCTS];
    let mut negative = [1.0; PRODUCTS];
    let mut positive = [1.0; PRODUCTS];
    let chunks = s.linear.as_chunks::<PRODUCTS>().0.iter();
    let smalls = s.small.as_chunks::<PRODUCTS>().0;
    let labels = s.labels.as_chunks::<PRODUCTS>().0;
    for ((line, small), label) in chunks.zip(smalls).zip(labels) {
        for l in 0..PRODUCTS {
            let factor = 1.0 + small[l];
            linear[l] += line[l];
            negative[l] *= if label[l] > 0.5 { 1.0 } else { factor };
            positive[l] *= if label[l] > 0.5 { factor } else { 1.0 };
        }
    }
    let product = |lanes: [f64; PRODUCTS]| lanes.iter().product::<f64>();
    let logs = [product(negative), product(positive)];
    // Well separated rows leave a product near 1, where only the distance from 1 counts.
    let logs = if logs[0] < NEAR_ONE || logs[1] < NEAR_ONE {
        above_one(s).map(f64::ln_1p)
    } else {
        logs.map(f64::ln)
    };
    linear.iter().sum::<f64>() + weights[0] * logs[0] + weights[1] * logs[1]
}

/// The loss of a block whose rows have weights, so that each needs a logarithm of its own.
#[inline(never)]
fn weighted_loss(s: &Scratch) -> f64 {
    let mut lanes = [0.0; PRODUCTS];
    let chunks = s.linear.as_chunks::<PRODUCTS>().0.iter();
    let weights = s.weights.as_chunks::<PRODUCTS>().0;
    for ((line, small), weight) in chunks.zip(s.small.as_chunks::<PRODUCTS>().0).zip(weights) {
        for l in 0..PRODUCTS {
            lanes[l] += line[l] + weight[l] * small[l].ln_1p();
        }
    }
    lanes.iter().sum()
}

/// By how much the two products of the loss exceed 1, to full precision. Not inlined: it is rarely
/// needed.
#[inline(never)]
fn above_one(s: &Scratch) -> [f64; 2] {
    let mut lanes = [[0.0; PRODUCTS]; 2];
    let smalls = s.small.as_chunks::<PRODUCTS>().0;
    for (small, label) in smalls.iter().zip(s.labels.as_chunks::<PRODUCTS>().0) {
        for l in 0..PRODUCTS {
            let of = [if label[l] > 0.5 { 0.0 } else { small[l] }, small[l] * label[l]];
            for (lanes, small) in lanes.iter_mut().zip(of) {
                // (1 + a) (1 + b) - 1
                lanes[l] += small + lanes[l] * small;
            }
        }
    }
    lanes.map(|lanes| lanes.iter().fold(0.0, |all, lane| all + lane + all * lane))
}

/// A sum in several lanes: with one running sum each addition would wait for the last.
#[inline(always)]
#[expect(clippy::inline_always, reason = "see `simd`")]
fn sum(column: &PaddedColumn) -> f64 {
    let mut lanes = [0.0; PRODUCTS];
    for chunk in column.as_chunks::<PRODUCTS>().0 {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum()
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "see `simd`")]
fn add_gradient(s: &Scratch, gradient: &mut [f64]) {
    let columns = s.columns.as_chunks::<TILE>().0;
    for (sums, columns) in gradient.chunks_mut(TILE).zip(columns) {
        let [tile] = products(std::array::from_ref(&s.residual), columns);
        for (sum, value) in sums.iter_mut().zip(tile) {
            *sum += value;
        }
    }
}

/// Adds the upper triangle in tiles of two rows by [`TILE`] columns; the few entries of a tile
/// below the diagonal are computed but not used.
#[inline(always)]
#[expect(clippy::inline_always, reason = "see `simd`")]
fn add_hessian(s: &mut Scratch, size: usize, hessian: &mut [f64]) {
    let columns = s.columns.as_chunks::<TILE>().0;
    for (pair, two) in s.columns.as_chunks::<2>().0.iter().enumerate() {
        let top = 2 * pair;
        if top >= size {
            break;
        }
        for (curved, column) in s.curved.iter_mut().zip(two) {
            for ((to, x), curvature) in curved.iter_mut().zip(column).zip(&s.curvature) {
                *to = x * curvature;
            }
        }
        for (group, columns) in columns.iter().enumerate().skip(top / TILE) {
            let left = group * TILE;
            let width = TILE.min(size - left);
            let tile = products(&s.curved, columns);
            for (row, tile) in hessian.chunks_mut(size).skip(top).zip(tile) {
                for (sum, value) in row[left..left + width].iter_mut().zip(tile) {
                    *sum += value;
                }
            }
        }
    }
}

/// All scalar products of `J` columns with `K` columns: every value loaded is used several times.
#[inline(always)]
#[expect(clippy::inline_always, reason = "see `simd`")]
fn products<const J: usize, const K: usize>(
    left: &[PaddedColumn; J],
    right: &[PaddedColumn; K],
) -> [[f64; K]; J] {
    let mut sums = [[[0.0; LANES]; K]; J];
    for i in 0..BLOCK_ROWS / LANES {
        for j in 0..J {
            for k in 0..K {
                for l in 0..LANES {
                    sums[j][k][l] += left[j][i * LANES + l] * right[k][i * LANES + l];
                }
            }
        }
    }
    let mut products = [[0.0; K]; J];
    for (products, sums) in products.iter_mut().zip(&sums) {
        for (product, lanes) in products.iter_mut().zip(sums) {
            *product = together(lanes);
        }
    }
    products
}

/// The sum of the lanes. Not inlined: otherwise the compiler vectorises across the products instead
/// of along the rows and gathers values one by one.
#[inline(never)]
fn together(lanes: &[f64; LANES]) -> f64 {
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_gets_the_same_sums() {
        for (features, rows) in [(1, BLOCK_ROWS), (3, 200), (7, BLOCK_ROWS), (30, 1)] {
            let mut block = Block::new(features);
            let mut x = 0.123_f64;
            let mut next = || {
                x = (x * 991.7 + 0.31).fract();
                x
            };
            for j in 0..features {
                block.column_mut(j)[..rows].fill_with(|| 40.0 * next() - 20.0);
            }
            block.labels_mut()[..rows].fill_with(|| f64::from(u8::from(next() > 0.6)));
            block.set_rows(rows);
            let beta: Vec<f64> = (0..=features).map(|_| next() - 0.5).collect();
            let scaler = Scaler { mean: vec![0.3; features], scale: vec![1.7; features] };
            let pass =
                Likelihood { scaler: &scaler, beta: &beta, weights: [1.0, 2.5], hessian: true };
            let bits = |widest_there_is: bool| {
                let (mut sums, mut scratch) = (pass.zero(), pass.scratch());
                let scratch = &mut scratch;
                let work = AddLikelihood { pass: &pass, block: &block, scratch, sums: &mut sums };
                if widest_there_is {
                    widest(work);
                } else {
                    work.run();
                }
                let all = sums.gradient.iter().chain(&sums.hessian).chain([&sums.loss]);
                all.map(|value| value.to_bits()).collect::<Vec<_>>()
            };
            assert_eq!(bits(true), bits(false), "{rows} rows of {features}");
        }
    }
}
