//! Newton's method (iteratively reweighted least squares) for penalised logistic regression.
//!
//! Objective: sum of weight * log-loss over rows + |w|² / (2 C), intercept not penalised, as in
//! scikit-learn's `newton-cholesky`. Not for many thousands of features: a step solves a dense
//! system of their number.
//!
//! One pass over the rows gives loss, gradient and Hessian. Large data start with steps on a sample
//! of blocks, which finds the optimum to sampling error for a few per cent of the cost.

use super::block::{Block, Blocks};
use super::cholesky::{Cholesky, dot};
use super::conjugate::Curved;
use super::kernel::Likelihood;
use super::question::{Numbers, Place, Reading, Sums, Written};
use super::reduce::{Pass, reduce};
use super::repeats::Repeats;
use super::scaler::{Scaler, check_finite};
use crate::error::{Error, Result};

/// The early steps read at least one in this many blocks.
const LARGEST_STRIDE: usize = 32;
/// The minimum number of rows in the sample of the early steps.
const SAMPLE_ROWS: u64 = 16_384;
/// A step below this share of the largest coefficient is more precise than required (1e-9).
const STEP_TOLERANCE: f64 = 1e-10;
/// The share of the loss that rounding may hide; no line search can see less.
const LOSS_NOISE: f64 = 1e-12;
/// Below this root mean square change of the logit the previous Hessian is reused: a step with it
/// leaves about this share of the gradient.
const SMALL_MOVE: f64 = 1e-5;
/// The same for more than [`SOME`] features, for which a Hessian costs more than a gradient, and for more
/// than [`MANY`], for which it costs more than several.
const SMALL_MOVE_OF_SOME: f64 = 0.002;
const SOME: usize = 8;
const SMALL_MOVE_OF_MANY: f64 = 0.02;
const MANY: usize = 32;
/// If the Hessian at the optimum is wanted, it is computed where such a move ends: with a Hessian of a
/// point that is at most a small move away, that is within [`SAME_POINT`] of the optimum.
const LAST_MOVE: f64 = 1e-5;
const LAST_MOVE_OF_MANY: f64 = 1e-6;
/// The Hessian of a point at this root mean square distance in the logit is, to about the same share, that
/// of the optimum.
const SAME_POINT: f64 = 1e-7;
/// A root mean square change of the logit that is small beside the sampling error.
const SAMPLED_MOVE: f64 = 0.02;

/// The problem, and when to stop.
pub(crate) struct Newton<'a> {
    pub(crate) blocks: &'a dyn Blocks,
    pub(crate) scaler: &'a Scaler,
    /// The weights of a negative and of a positive row.
    pub(crate) weights: [f64; 2],
    /// Infinite without a penalty.
    pub(crate) c: f64,
    pub(crate) tol: f64,
    pub(crate) max_iter: usize,
    pub(crate) threads: usize,
    /// Steps use the Hessian as a matrix.
    pub(crate) matrix: bool,
    /// The Hessian at the optimum is wanted too.
    pub(crate) keep_hessian: bool,
}

/// The optimum.
pub(crate) struct Optimum {
    /// Coefficients of the scaled features, then the intercept.
    pub(crate) beta: Vec<f64>,
    pub(crate) iterations: usize,
    pub(crate) gradient_norm: f64,
    pub(crate) loss: f64,
    /// The Hessian with the penalty, its upper triangle row by row, if it was wanted and there was one.
    pub(crate) hessian: Option<Vec<f64>>,
}

/// The Hessian of a point near the optimum, and the distance that was moved since.
#[derive(Default)]
struct Kept {
    hessian: Option<Vec<f64>>,
    distance: f64,
}

/// The objective at one point.
pub(super) struct Point {
    pub(super) beta: Vec<f64>,
    loss: f64,
    /// With the penalty, as the next two.
    pub(super) gradient: Vec<f64>,
    /// Its upper triangle, row by row; empty if it was not asked for.
    pub(super) hessian: Vec<f64>,
    norm: f64,
}

/// A factorised Hessian, possibly of an earlier point.
struct Curvature {
    factor: Cholesky,
    /// Its entry for the intercept: the sum of w p (1 - p).
    total: f64,
    fresh: bool,
}

impl Newton<'_> {
    /// Minimises from `start`, or from the constant model if that is better.
    pub(crate) fn minimise(&self, start: Option<Vec<f64>>) -> Result<Optimum> {
        let start = start.or_else(|| self.warm_start());
        let mut here = match start {
            Some(beta) => self.evaluate(&beta, 1, self.matrix)?,
            None => self.evaluate(&self.constant_model(), 1, self.matrix)?,
        };
        if !here.is_finite() {
            // The cause is either the data or the start.
            reduce(self.blocks, 1, self.threads, &AllFinite(self.blocks))?;
        }
        if !here.is_finite() || here.loss > self.constant_loss() * (1.0 + LOSS_NOISE) {
            here = self.evaluate(&self.constant_model(), 1, self.matrix)?;
        }
        if !here.is_finite() {
            return Err(Error::data(
                "the training data hold numbers too large to compute with; use other units for the \
                 features",
            ));
        }
        if !self.matrix {
            return self.descend_without_matrix(here);
        }
        if self.c.is_finite() {
            return self.descend(here, None);
        }
        let start = self.evaluate(&self.constant_model(), 1, true)?;
        let repeats = Repeats::of(&start.hessian, start.beta.len());
        here = if repeats.is_some() { start } else { here };
        let mut optimum = self.descend(here, repeats.as_ref())?;
        if let Some(repeats) = repeats {
            repeats.shortest(&mut optimum.beta);
        }
        Ok(optimum)
    }

    fn descend(&self, mut here: Point, repeats: Option<&Repeats>) -> Result<Optimum> {
        let without = |mut here: Point| {
            if let Some(repeats) = repeats {
                repeats.leave_out(&mut here.gradient, &mut here.hessian);
            }
            here
        };
        here = without(here);
        let mut curvature = self.curvature(&here)?;
        let mut iterations = 0;
        let mut kept = Kept::default();
        let (small, last) = match here.beta.len() {
            size if size > MANY => (SMALL_MOVE_OF_MANY, LAST_MOVE_OF_MANY),
            size if size > SOME => (SMALL_MOVE_OF_SOME, LAST_MOVE),
            _ => (SMALL_MOVE, LAST_MOVE),
        };
        loop {
            let step = curvature.factor.solve(&here.gradient);
            let decrement = dot(&here.gradient, &step);
            let longest = max_norm(&step);
            if here.norm <= self.tol && longest <= STEP_TOLERANCE * (1.0 + max_norm(&here.beta)) {
                return Ok(here.optimum(iterations, kept));
            }
            if self.c.is_infinite() {
                self.refuse_separable(&here, &step)?;
            }
            if iterations == self.max_iter {
                if here.norm <= self.tol {
                    return Ok(here.optimum(iterations, kept));
                }
                return Err(self.not_converged(&here, iterations));
            }
            let distance = (decrement / curvature.total).sqrt();
            let keeps = self.keep_hessian && kept.hessian.is_none() && distance <= last;
            // Without a penalty the direction of the step must be exact, for `refuse_separable`.
            let with_hessian = self.c.is_infinite() || distance > small || keeps;
            let Some(there) = self.search(&here, &step, decrement, 1, with_hessian)? else {
                if self.at_rounding(&here, decrement) {
                    return Ok(here.optimum(iterations, kept));
                }
                if curvature.fresh {
                    return Err(self.not_converged(&here, iterations));
                }
                here = without(self.evaluate(&here.beta, 1, true)?);
                curvature = self.curvature(&here)?;
                continue;
            };
            iterations += 1;
            iterated(iterations, &there);
            kept.distance += distance;
            if keeps {
                kept = Kept { hessian: Some(there.hessian.clone()), distance: 0.0 };
            }
            let gain = there.norm / here.norm;
            // At a point that passes the test, more steps without progress only change the last
            // bits.
            if gain > 0.5 && decrement <= 64.0 * f64::EPSILON * here.loss.abs() {
                let best = if gain < 1.0 { there } else { here };
                return Ok(best.optimum(iterations, kept));
            }
            here = without(there);
            if here.hessian.is_empty() && gain > 0.1 && here.norm > self.tol {
                here = without(self.evaluate(&here.beta, 1, true)?);
            }
            if here.hessian.is_empty() {
                curvature.fresh = false;
            } else {
                curvature = self.curvature(&here)?;
            }
        }
    }

    /// Minimises with steps by conjugate gradients.
    fn descend_without_matrix(&self, mut here: Point) -> Result<Optimum> {
        for iterations in 0..=self.max_iter {
            let curved = Curved {
                blocks: self.blocks,
                scaler: self.scaler,
                beta: &here.beta,
                weights: self.weights,
                penalty: 1.0 / self.c,
                threads: self.threads,
            };
            let step = curved.step(&here.gradient)?;
            let decrement = dot(&here.gradient, &step);
            let settled = max_norm(&step) <= STEP_TOLERANCE * (1.0 + max_norm(&here.beta));
            if here.norm <= self.tol && (settled || iterations == self.max_iter) {
                return Ok(here.optimum(iterations, Kept::default()));
            }
            let found = self.search(&here, &step, decrement, 1, false)?;
            let Some(there) = found.filter(|_| iterations < self.max_iter) else {
                if self.at_rounding(&here, decrement) {
                    return Ok(here.optimum(iterations, Kept::default()));
                }
                return Err(self.not_converged(&here, iterations));
            };
            iterated(iterations + 1, &there);
            if there.norm > 0.5 * here.norm && decrement <= 64.0 * f64::EPSILON * here.loss.abs() {
                let best = if there.norm < here.norm { there } else { here };
                return Ok(best.optimum(iterations + 1, Kept::default()));
            }
            here = there;
        }
        Err(self.not_converged(&here, self.max_iter))
    }

    /// Whether no progress is possible: the gradient passes the test, or the decrease that a step
    /// promises (half the decrement) is below the rounding error of the loss.
    fn at_rounding(&self, here: &Point, decrement: f64) -> bool {
        here.norm <= self.tol || decrement <= 64.0 * f64::EPSILON * here.loss.abs()
    }

    /// Takes steps on a sample of blocks until they are small beside the sampling error. If the
    /// sample is unsuitable (one class, no progress), there is no warm start, but never an error.
    pub(super) fn warm_start(&self) -> Option<Vec<f64>> {
        if !self.matrix {
            return None;
        }
        let wanted = SAMPLE_ROWS.max(200 * self.blocks.features() as u64);
        let stride = usize::try_from(self.blocks.rows() / wanted).ok()?.min(LARGEST_STRIDE);
        if stride < 2 {
            return None;
        }
        let mut here = self.evaluate(&self.constant_model(), stride, true).ok()?;
        for _ in 0..25 {
            let curvature = self.curvature(&here).ok()?;
            let step = curvature.factor.solve(&here.gradient);
            let decrement = dot(&here.gradient, &step);
            if (decrement / curvature.total).sqrt() <= SAMPLED_MOVE {
                return Some(moved(&here.beta, &step, 1.0));
            }
            here = self.search(&here, &step, decrement, stride, true).ok()??;
        }
        None
    }

    /// Moves along `-step`, halving it until the loss falls as much as Armijo's rule requires.
    /// `None` if it does not fall at any length.
    fn search(
        &self,
        here: &Point,
        step: &[f64],
        decrement: f64,
        stride: usize,
        hessian: bool,
    ) -> Result<Option<Point>> {
        let mut length = 1.0;
        for _ in 0..40 {
            let there = self.evaluate(&moved(&here.beta, step, length), stride, hessian)?;
            let bound = here.loss - 1e-4 * length * decrement + LOSS_NOISE * here.loss.abs();
            if there.is_finite() && there.loss <= bound {
                return Ok(Some(there));
            }
            length *= 0.5;
        }
        Ok(None)
    }

    /// One pass. On a sample of blocks the penalty is scaled to the sample's share, so that the
    /// optimum is that of all rows up to sampling error.
    pub(super) fn evaluate(&self, beta: &[f64], stride: usize, hessian: bool) -> Result<Point> {
        let pass = Likelihood { scaler: self.scaler, beta, weights: self.weights, hessian };
        let mut sums = reduce(self.blocks, stride, self.threads, &pass)?;
        #[expect(clippy::float_cmp, reason = "both are whole numbers")]
        if stride == 1 && sums.positives != self.blocks.positives() as f64 {
            return Err(Error::data(format!(
                "the training data have {} positive rows where {} were announced; the source \
                 changed while it was read: run the training again",
                sums.positives,
                self.blocks.positives()
            )));
        }
        let features = beta.len() - 1;
        let penalty = sums.rows as f64 / self.blocks.rows() as f64 / self.c;
        sums.loss += 0.5 * penalty * dot(&beta[..features], &beta[..features]);
        for (slope, value) in sums.gradient.iter_mut().zip(&beta[..features]) {
            *slope += penalty * value;
        }
        if hessian {
            for j in 0..features {
                sums.hessian[j * beta.len() + j] += penalty;
            }
        }
        let share = sums.rows as f64 / self.blocks.rows() as f64;
        let norm = max_norm(&sums.gradient) / (share * self.total_weight());
        let (loss, gradient, hessian) = (sums.loss, sums.gradient, sums.hessian);
        Ok(Point { beta: beta.to_vec(), loss, gradient, hessian, norm })
    }

    fn curvature(&self, here: &Point) -> Result<Curvature> {
        let size = here.beta.len();
        match Cholesky::with_ridge(&here.hessian, size) {
            Some(factor) => {
                Ok(Curvature { factor, total: here.hessian[size * size - 1], fresh: true })
            }
            None => Err(Error::not_converged(format!(
                "the curvature of the logistic regression vanishes at a gradient of {:.1e}; {}, or \
                 leave out features that repeat others",
                here.norm,
                self.more_penalty()
            ))),
        }
    }

    fn not_converged(&self, here: &Point, iterations: usize) -> Error {
        Error::not_converged(format!(
            "the logistic regression did not converge: after {iterations} Newton steps the \
             gradient is {:.1e} where {:.1e} is required; {}, or look for features with extreme \
             values",
            here.norm,
            self.tol,
            self.more_penalty()
        ))
    }

    fn more_penalty(&self) -> String {
        if self.c.is_finite() {
            format!("lower \"training.C\", which is {:e}", self.c)
        } else {
            "set \"training.C\", which is null".to_owned()
        }
    }

    /// Without a penalty an optimum exists only if no direction moves every row towards its own
    /// side or not at all. Along such a direction Newton's steps never shrink, however flat the
    /// loss becomes, while all else converges, so that the step itself reveals it.
    fn refuse_separable(&self, here: &Point, step: &[f64]) -> Result<()> {
        /// How far rounding may move a row to the wrong side, as a share of the largest move.
        const NOTHING: f64 = 1e-6;
        // A loss below that of a single wrong answer: there is none.
        let least = self.blocks.weighed().map_or(1.0, |weighed| weighed.least);
        let least = least * self.weights[0].min(self.weights[1]);
        let all_right = here.loss < std::f64::consts::LN_2 * least;
        let direction: Vec<f64> = if all_right {
            here.beta.clone()
        } else if here.norm <= self.tol && max_norm(step) > STEP_TOLERANCE * 1e4 {
            step.iter().map(|value| -value).collect()
        } else {
            return Ok(());
        };
        if !all_right {
            let moves = Moves { scaler: self.scaler, direction: &direction };
            let (lowest, highest) = reduce(self.blocks, 1, self.threads, &moves)?;
            if lowest < -NOTHING * highest || highest <= 0.0 {
                return Ok(());
            }
        }
        let mut order: Vec<usize> = (0..direction.len() - 1).collect();
        order.sort_by(|a, b| direction[*b].abs().total_cmp(&direction[*a].abs()));
        let largest = order.first().map_or(0.0, |j| direction[*j].abs());
        order.retain(|j| direction[*j].abs() > 0.01 * largest);
        let names: Vec<String> = order.iter().map(|j| self.blocks.name(*j)).collect();
        Err(Error::data(format!(
            "cannot fit without a penalty (\"training.C\" is null): {} separated perfectly by {}, so \
             the coefficients would grow without bound. Set \"training.C\", for instance to 1.0, \
             or remove the column that gives the label away",
            if all_right { "all rows are" } else { "some rows are" },
            crate::text::names(names.iter().map(String::as_str))
        )))
    }

    /// Weights of all negative and all positive rows.
    fn class_totals(&self) -> [f64; 2] {
        let [negatives, positives] = self.blocks.class_totals();
        [self.weights[0] * negatives, self.weights[1] * positives]
    }

    pub(crate) fn total_weight(&self) -> f64 {
        self.class_totals().iter().sum()
    }

    /// The optimum without features: the intercept is the log-odds of the classes.
    pub(super) fn constant_model(&self) -> Vec<f64> {
        let [negative, positive] = self.class_totals();
        let mut beta = vec![0.0; self.blocks.features() + 1];
        beta[self.blocks.features()] = (positive / negative).ln();
        beta
    }

    fn constant_loss(&self) -> f64 {
        let total = self.total_weight();
        self.class_totals().iter().map(|weight| weight * (total / weight).ln()).sum()
    }
}

impl Point {
    pub(super) fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.gradient.iter().all(|value| value.is_finite())
    }

    fn optimum(self, iterations: usize, kept: Kept) -> Optimum {
        let hessian = kept.hessian.filter(|_| kept.distance <= SAME_POINT);
        let Self { beta, norm: gradient_norm, loss, .. } = self;
        Optimum { beta, iterations, gradient_norm, loss, hessian }
    }
}

fn moved(beta: &[f64], step: &[f64], length: f64) -> Vec<f64> {
    beta.iter().zip(step).map(|(value, step)| value - length * step).collect()
}

/// Reports an iteration to people who wait: the largest component of the gradient has to fall to `tol`.
fn iterated(iteration: usize, there: &Point) {
    tracing::debug!(iteration = iteration as u64, gradient = there.norm, loss = there.loss, "fits");
}

fn max_norm(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// The smallest and the largest move of a row towards its own side along a direction.
pub(super) struct Moves<'a> {
    pub(super) scaler: &'a Scaler,
    pub(super) direction: &'a [f64],
}

impl Pass for Moves<'_> {
    type Sums = (f64, f64);
    type Scratch = Vec<f64>;

    fn zero(&self) -> (f64, f64) {
        (f64::INFINITY, f64::NEG_INFINITY)
    }

    fn scratch(&self) -> Vec<f64> {
        Vec::new()
    }

    fn add(
        &self,
        _: usize,
        block: &Block,
        moves: &mut Vec<f64>,
        sums: &mut (f64, f64),
    ) -> Result<()> {
        let features = block.features();
        moves.clear();
        moves.resize(block.rows(), self.direction[features]);
        for j in 0..features {
            let (mean, scale) = (self.scaler.mean[j], self.scaler.scale[j]);
            for (to, value) in moves.iter_mut().zip(block.column(j)) {
                *to += self.direction[j] * ((value - mean) / scale);
            }
        }
        for (step, label) in moves.iter().zip(block.labels()) {
            let step = if *label > 0.5 { *step } else { -*step };
            *sums = (sums.0.min(step), sums.1.max(step));
        }
        Ok(())
    }

    fn merge(&self, into: &mut (f64, f64), following: (f64, f64)) {
        *into = (into.0.min(following.0), into.1.max(following.1));
    }

    fn asks(&self) -> Option<Sums> {
        let Scaler { mean, scale } = self.scaler;
        let [mean, scale, beta] = [mean, scale, self.direction].map(Numbers::of);
        Some(Sums::Moves(Place { mean, scale, beta }))
    }

    fn write(&self, sums: &(f64, f64), to: &mut Written) {
        to.numbers(&[sums.0, sums.1]);
    }

    fn read(&self, from: &mut Reading<'_>) -> Result<(f64, f64)> {
        Ok((from.number()?, from.number()?))
    }
}

/// Looks for the value that made a sum infinite or NaN.
pub(super) struct AllFinite<'a>(pub(super) &'a dyn Blocks);

impl Pass for AllFinite<'_> {
    type Sums = ();
    type Scratch = ();

    fn zero(&self) {}

    fn scratch(&self) {}

    fn add(&self, index: usize, block: &Block, (): &mut (), (): &mut ()) -> Result<()> {
        (0..block.features())
            .try_for_each(|j| check_finite(index, &|| self.0.name(j), block.column(j)))
    }

    fn merge(&self, (): &mut (), (): ()) {}

    fn asks(&self) -> Option<Sums> {
        Some(Sums::Finite)
    }

    fn read(&self, _: &mut Reading<'_>) -> Result<()> {
        Ok(())
    }
}
