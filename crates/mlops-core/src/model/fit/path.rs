//! The optima for one penalty after the other, each found from the one before.
//!
//! Changing the penalty changes gradient and Hessian by a term that needs no pass over the rows, so
//! that the first step towards the next optimum is free. A pass is made only while the error that is
//! left matters, and with a new Hessian only after a considerable move. Much cheaper than fits of
//! their own, to about nine digits; the final model is fitted by itself (`newton`).

use super::cholesky::{Cholesky, dot};
use super::newton::{Newton, Point};
use crate::error::Result;

/// The largest error of an optimum, as the root mean square of the logit over the rows.
const ERROR: f64 = 1e-10;
/// After such a move the Hessian is computed anew.
const LARGE_MOVE: f64 = 1e-3;
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
/// not matter. The first search begins at `start`, if there is one.
pub(super) fn optima(
    newton: &Newton,
    cs: &[f64],
    start: Option<Vec<f64>>,
) -> Result<Vec<Vec<f64>>> {
    let mut found: Vec<Vec<f64>> = Vec::with_capacity(cs.len());
    let mut here: Option<Here> = None;
    for c in cs {
        let newton = Newton { c: *c, ..*newton };
        // Without a matrix, or without a penalty, there is nothing to predict with.
        let near = match &mut here {
            Some(here) if c.is_finite() => here.follow(&newton)?,
            _ => None,
        };
        let beta = match near {
            Some(beta) => beta,
            None => {
                let start = found.last().cloned().or_else(|| start.clone());
                let beta = newton.minimise(start)?.beta;
                here = match newton.matrix && cs.len() > 1 {
                    true => Some(Here::at(&newton, newton.evaluate(&beta, 1, true)?)),
                    false => None,
                };
                beta
            }
        };
        found.push(beta);
    }
    Ok(found)
}

impl Here {
    fn at(newton: &Newton, point: Point) -> Self {
        let Point { beta, mut gradient, mut hessian, .. } = point;
        penalise(-1.0 / newton.c, &beta, &mut gradient, Some(&mut hessian));
        Self { beta, gradient, hessian, stale: 0.0 }
    }

    /// Moves to the optimum of `newton`; `None` if that does not succeed.
    fn follow(&mut self, newton: &Newton) -> Result<Option<Vec<f64>>> {
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
