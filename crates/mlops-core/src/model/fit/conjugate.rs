//! Newton steps without a matrix: the method of conjugate gradients, for very many features.
//!
//! A Hessian of p features takes p² numbers per thread; here a step takes several passes over the
//! rows and a few vectors (Hestenes and Stiefel 1952; Lin, Weng and Keerthi 2008 for logistic
//! regression). Not for few features, where one pass with the matrix is faster, and not without a
//! penalty, which is what bounds the number of passes.

use super::block::{BLOCK_ROWS, Block, Blocks};
use super::cholesky::dot;
use super::question::{Numbers, Place, Reading, Sums, Written};
use super::reduce::{Pass, reduce};
use super::scaler::Scaler;
use crate::error::Result;
use crate::platform::math::logistic;
use crate::platform::simd::{Work, widest};

/// The share of the gradient that may remain after a step.
const LEFT: f64 = 1e-4;

/// The likelihood at one point.
pub(crate) struct Curved<'a> {
    pub(crate) blocks: &'a dyn Blocks,
    pub(crate) scaler: &'a Scaler,
    pub(crate) beta: &'a [f64],
    /// The weights of a negative and of a positive row.
    pub(crate) weights: [f64; 2],
    /// 1 / C.
    pub(crate) penalty: f64,
    pub(crate) threads: usize,
}

impl Curved<'_> {
    /// An `x` for which Hessian times `x` is approximately `gradient`.
    pub(crate) fn step(&self, gradient: &[f64]) -> Result<Vec<f64>> {
        let size = gradient.len();
        let diagonal = self.times(None)?;
        let balanced = |rest: &[f64]| -> Vec<f64> {
            rest.iter().zip(&diagonal).map(|(r, d)| r / d.max(f64::MIN_POSITIVE)).collect()
        };
        let mut x = vec![0.0; size];
        let mut rest = gradient.to_vec();
        let mut scaled = balanced(&rest);
        let mut direction = scaled.clone();
        let mut size_of_rest = dot(&rest, &scaled);
        let enough = LEFT * LEFT * size_of_rest;
        for _ in 0..size {
            let curved = self.times(Some(&direction))?;
            let bend = dot(&direction, &curved);
            if bend.is_nan() || bend <= 0.0 {
                break;
            }
            let length = size_of_rest / bend;
            for i in 0..size {
                x[i] += length * direction[i];
                rest[i] -= length * curved[i];
            }
            scaled = balanced(&rest);
            let next = dot(&rest, &scaled);
            if next <= enough {
                break;
            }
            let share = next / size_of_rest;
            size_of_rest = next;
            for (d, s) in direction.iter_mut().zip(&scaled) {
                *d = s + share * *d;
            }
        }
        Ok(x)
    }

    /// The Hessian times a vector, or its diagonal.
    fn times(&self, vector: Option<&[f64]>) -> Result<Vec<f64>> {
        let pass = Times { at: self, vector };
        let mut product = reduce(self.blocks, 1, self.threads, &pass)?;
        for (j, sum) in product.iter_mut().enumerate().take(self.beta.len() - 1) {
            *sum += self.penalty * vector.map_or(1.0, |vector| vector[j]);
        }
        Ok(product)
    }
}

pub(super) struct Times<'a> {
    pub(super) at: &'a Curved<'a>,
    pub(super) vector: Option<&'a [f64]>,
}

impl Pass for Times<'_> {
    type Sums = Vec<f64>;
    type Scratch = ();

    fn zero(&self) -> Vec<f64> {
        vec![0.0; self.at.beta.len()]
    }

    fn scratch(&self) {}

    fn add(&self, _: usize, block: &Block, (): &mut (), sums: &mut Vec<f64>) -> Result<()> {
        widest(AddProduct { pass: self, block, sums });
        Ok(())
    }

    fn merge(&self, into: &mut Vec<f64>, following: Vec<f64>) {
        for (a, b) in into.iter_mut().zip(following) {
            *a += b;
        }
    }

    fn asks(&self) -> Option<Sums> {
        let Curved { scaler: Scaler { mean, scale }, beta, weights, .. } = self.at;
        let [mean, scale, beta] = [mean, scale, *beta].map(Numbers::of);
        let (at, weights) = (Place { mean, scale, beta }, weights.map(f64::to_bits));
        Some(Sums::Product { at, weights, vector: self.vector.map(Numbers::of) })
    }

    fn write(&self, sums: &Vec<f64>, to: &mut Written) {
        to.numbers(sums);
    }

    fn read(&self, from: &mut Reading<'_>) -> Result<Vec<f64>> {
        let mut sums = self.zero();
        from.numbers(&mut sums).map(|()| sums)
    }
}

struct AddProduct<'a> {
    pass: &'a Times<'a>,
    block: &'a Block,
    sums: &'a mut [f64],
}

#[expect(clippy::inline_always, reason = "see `simd`")]
impl Work for AddProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { pass: Times { at, vector }, block, sums } = self;
        let features = block.features();
        let mut margin = [at.beta[features]; BLOCK_ROWS];
        let mut along = [vector.map_or(0.0, |vector| vector[features]); BLOCK_ROWS];
        for j in 0..features {
            let (mean, inverse) = (at.scaler.mean[j], 1.0 / at.scaler.scale[j]);
            let (weight, part) = (at.beta[j], vector.map_or(0.0, |vector| vector[j]));
            for ((margin, along), value) in margin.iter_mut().zip(&mut along).zip(block.column(j)) {
                let x = (value - mean) * inverse;
                *margin += weight * x;
                *along += part * x;
            }
        }
        for ((along, z), label) in along.iter_mut().zip(margin).zip(block.labels()) {
            let weight = at.weights[usize::from(*label > 0.5)];
            let curvature = weight * (logistic(z) * logistic(-z));
            *along = if vector.is_some() { *along * curvature } else { curvature };
        }
        if let Some(weights) = block.weights() {
            along.iter_mut().zip(weights).for_each(|(along, weight)| *along *= weight);
        }
        let along = &along[..block.rows()];
        for (j, sum) in sums[..features].iter_mut().enumerate() {
            let (mean, inverse) = (at.scaler.mean[j], 1.0 / at.scaler.scale[j]);
            let mut lanes = [0.0; 8];
            for (along, values) in along.chunks(8).zip(block.column(j).chunks(8)) {
                for ((lane, a), value) in lanes.iter_mut().zip(along).zip(values) {
                    let x = (value - mean) * inverse;
                    *lane += a * if vector.is_some() { x } else { x * x };
                }
            }
            *sum += lanes.iter().sum::<f64>();
        }
        sums[features] += along.iter().sum::<f64>();
    }
}
