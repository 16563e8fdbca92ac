//! The optima for one penalty after the other, each found from the one before.
//!
//! Changing the penalty changes gradient and Hessian by a term that needs no pass over the rows, so
//! that the first step towards the next optimum is free. Where that step is long, the path of another
//! fold is a better guide. A pass is made only while the error that is left matters. Much cheaper than
//! fits of their own, to about nine digits; the final model is fitted by itself (`newton`).

use super::cholesky::{Cholesky, dot};
use super::newton::{Newton, Point};
use crate::error::Result;

/// The largest error of an optimum, as the root mean square of the logit over the rows; it is bounded
/// by the last step times the distance from the point of the Hessian, and about a tenth of that.
const ERROR: f64 = 1e-9;
/// After such a move the Hessian is computed anew.
const LARGE_MOVE: f64 = 1e-4;
/// From such a step on, the path of another fold is followed.
const LONG_STEP: f64 = 0.05;
/// Steps towards an optimum, after which the general method is used.
const STEPS: usize = 20;
/// The gradient at which the general method stops.
pub(super) const TOLERANCE: f64 = 1e-10;

/// Where the path has come to.
struct Here {
    beta: Vec<f64>,
    /// Without the penalty.
    gradient: Vec<f64>,
    /// Without the penalty; of a point `stale` away.
    hessian: Vec<f64>,
    stale: f64,
}

/// The optimum (coefficients, then the intercept) for each of `cs`, which ascend; `newton.c` does
/// not matter. `other` are those of rows that are nearly the same.
pub(super) fn optima(
    newton: &Newton,
    cs: &[f64],
    other: Option<&[Vec<f64>]>,
) -> Result<Vec<Vec<f64>>> {
    let mut found: Vec<Vec<f64>> = Vec::with_capacity(cs.len());
    let mut here: Option<Here> = None;
    for (at, c) in cs.iter().enumerate() {
        let newton = Newton { c: *c, ..*newton };
        let guess = other.and_then(|other| guess(other, &found, at));
        // Without a matrix, or without a penalty, the general method knows better.
        let near = match &mut here {
            _ if !newton.matrix || c.is_infinite() => None,
            Some(here) => here.follow(&newton, guess.as_deref())?,
            None => {
                let start = guess.clone().or_else(|| newton.warm_start());
                let start = start.unwrap_or_else(|| newton.constant_model());
                here.insert(Here::at(&newton, newton.evaluate(&start, 1, true)?))
                    .follow(&newton, None)?
            }
        };
        let beta = if let Some(beta) = near {
            beta
        } else {
            let beta = newton.minimise(guess.or_else(|| found.last().cloned()))?.beta;
            if newton.matrix && cs.len() > 1 {
                here = Some(Here::at(&newton, newton.evaluate(&beta, 1, true)?));
            }
            beta
        };
        found.push(beta);
    }
    Ok(found)
}

/// The optimum of the other rows, moved by what theirs was away from ours for the penalty before.
fn guess(other: &[Vec<f64>], found: &[Vec<f64>], at: usize) -> Option<Vec<f64>> {
    let there = other.get(at)?;
    let Some((before, ours)) = at.checked_sub(1).and_then(|at| other.get(at).zip(found.get(at)))
    else {
        return Some(there.clone());
    };
    let moved = there.iter().zip(before).zip(ours);
    Some(moved.map(|((there, before), ours)| there + (ours - before)).collect())
}

impl Here {
    fn at(newton: &Newton, point: Point) -> Self {
        let Point { beta, mut gradient, mut hessian, .. } = point;
        penalise(-1.0 / newton.c, &beta, &mut gradient, Some(&mut hessian));
        Self { beta, gradient, hessian, stale: 0.0 }
    }

    /// Moves to the optimum of `newton`, which may be near `guess`; `None` if that does not succeed.
    fn follow(&mut self, newton: &Newton, mut guess: Option<&[f64]>) -> Result<Option<Vec<f64>>> {
        let size = self.beta.len();
        let penalty = 1.0 / newton.c;
        let mut before = f64::INFINITY;
        for _ in 0..STEPS {
            let (mut gradient, mut hessian) = (self.gradient.clone(), self.hessian.clone());
            penalise(penalty, &self.beta, &mut gradient, Some(&mut hessian));
            let total = self.hessian[size * size - 1];
            let Some(factor) = Cholesky::new(&hessian, size) else { return Ok(None) };
            let step = factor.solve(&gradient);
            let length = (dot(&gradient, &step) / total).sqrt();
            if let Some(guess) = guess.take().filter(|_| length > LONG_STEP) {
                *self = Self::at(newton, newton.evaluate(guess, 1, true)?);
                continue;
            }
            // Steps that do not shrink lead nowhere.
            if !length.is_finite() || length > 0.5 * before {
                return Ok(None);
            }
            before = length;
            self.beta.iter_mut().zip(&step).for_each(|(value, step)| *value -= step);
            self.stale += length;
            if length * self.stale <= ERROR {
                // There the gradient is that of the penalty alone, with the opposite sign.
                self.gradient.fill(0.0);
                penalise(-penalty, &self.beta, &mut self.gradient, None);
                return Ok(Some(self.beta.clone()));
            }
            let point = newton.evaluate(&self.beta, 1, self.stale > LARGE_MOVE)?;
            if !point.is_finite() {
                return Ok(None);
            }
            if point.hessian.is_empty() {
                self.gradient = point.gradient;
                penalise(-penalty, &self.beta, &mut self.gradient, None);
            } else {
                *self = Self::at(newton, point);
            }
        }
        Ok(None)
    }
}

/// Adds a penalty to a gradient at `beta`, and to a Hessian; the intercept, the last, has none.
fn penalise(penalty: f64, beta: &[f64], gradient: &mut [f64], hessian: Option<&mut Vec<f64>>) {
    let size = beta.len();
    for (slope, value) in gradient.iter_mut().zip(&beta[..size - 1]) {
        *slope += penalty * value;
    }
    if let Some(hessian) = hessian {
        (0..size - 1).for_each(|j| hessian[j * size + j] += penalty);
    }
}
