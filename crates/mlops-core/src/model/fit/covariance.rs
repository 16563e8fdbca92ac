//! The covariance of the coefficients of a fit, for standard errors.
//!
//! It is the inverse of the Hessian at the optimum: without a penalty the inverse of the observed information, as in
//! statsmodels; with a penalty that of the penalised objective, (X'WX + I/C)⁻¹, the covariance of the posterior under
//! the normal prior that the penalty is (Wood, "Generalized Additive Models", 2017, 6.10). Not for weighted rows, where
//! neither holds.

use super::block::Blocks;
use super::cholesky::{Cholesky, dot};
use super::newton::Newton;
use super::repeats::Repeats;
use super::scaler::Scaler;
use super::{Fitted, LogisticRegression, threads_within, with_matrix};
use crate::config::choices::ClassWeight;
use crate::error::Result;

/// Fits of more features have none: it would take as long as the fit.
pub const MOST_FEATURES: usize = 256;
/// What rounding leaves of a product that is 0.
const NOTHING: f64 = 1e-7;

/// The covariance of coefficients and intercept.
#[derive(Debug)]
pub struct Covariance {
    factor: Cholesky,
    size: usize,
    repeats: Option<Repeats>,
}

impl LogisticRegression {
    /// The covariance of `fitted`, the optimum for `blocks`, by one more pass over the rows; see
    /// [`fit_with_covariance`](Self::fit_with_covariance), which mostly does without. `None` with weights of
    /// classes or rows, with more than [`MOST_FEATURES`] features, and where memory does not allow a Hessian.
    ///
    /// # Errors
    /// Any error of the source.
    pub fn covariance(
        &self,
        blocks: &dyn Blocks,
        scaler: &Scaler,
        fitted: &Fitted,
    ) -> Result<Option<Covariance>> {
        let features = blocks.features();
        if !self.has_covariance(blocks) {
            return Ok(None);
        }
        let newton = Newton {
            blocks,
            scaler,
            weights: [1.0; 2],
            c: self.c,
            tol: self.tol,
            max_iter: self.max_iter,
            threads: threads_within(self.threads, features, self.memory),
            matrix: true,
            keep_hessian: false,
        };
        let size = features + 1;
        let repeats = if self.c.is_infinite() {
            let start = newton.evaluate(&newton.constant_model(), 1, true)?;
            Repeats::of(&start.hessian, size)
        } else {
            None
        };
        let mut beta = fitted.coefficients.clone();
        beta.push(fitted.intercept);
        let mut here = newton.evaluate(&beta, 1, true)?;
        if let Some(repeats) = &repeats {
            repeats.leave_out(&mut here.gradient, &mut here.hessian);
        }
        let factor = Cholesky::new(&here.hessian, size);
        Ok(factor.map(|factor| Covariance { factor, size, repeats }))
    }

    /// Whether a fit to `blocks` has a covariance.
    pub(super) fn has_covariance(&self, blocks: &dyn Blocks) -> bool {
        let features = blocks.features();
        let weighted = self.class_weight != ClassWeight::None || blocks.weighed().is_some();
        !weighted && features <= MOST_FEATURES && with_matrix(features, self.memory)
    }
}

impl Covariance {
    /// From the upper triangle of the Hessian at the optimum, row by row.
    pub(super) fn of(hessian: &[f64], features: usize) -> Option<Self> {
        let size = features + 1;
        let factor = Cholesky::new(hessian, size)?;
        Some(Self { factor, size, repeats: None })
    }

    /// The standard error of a sum of coefficients, each by its place (the intercept is the last) with its weight;
    /// `None` if the data do not determine the sum.
    pub fn standard_error(&self, sum: &[(usize, f64)]) -> Option<f64> {
        let mut weights = vec![0.0; self.size];
        for (place, weight) in sum {
            *weights.get_mut(*place)? += weight;
        }
        if let Some(repeats) = &self.repeats {
            if !repeats.determines(&weights) {
                return None;
            }
            repeats.zero(&mut weights);
        }
        let variance = dot(&weights, &self.factor.solve(&weights));
        (variance.is_finite() && variance >= 0.0).then(|| variance.sqrt())
    }
}

impl Repeats {
    /// Whether a sum of coefficients with these weights is the same for all coefficients that predict the same.
    fn determines(&self, weights: &[f64]) -> bool {
        self.free().iter().all(|change| dot(change, weights).abs() <= NOTHING)
    }
}
