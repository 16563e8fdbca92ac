//! Fitting: standardisation and logistic regression over blocks of encoded rows.
//!
//! Not for reading, imputing or encoding rows (a source of [`Blocks`] does that), and not for
//! predictions. Names, objective and optimum are scikit-learn's:
//!
//! sum over rows of weight * log(1 + exp(-s z)) + |w|² / (2 C), with z = x·w + b on standardised
//! features, s = ±1 the label, the intercept b not penalised. The weight of a row is that of its class
//! times its own, as with scikit-learn's `sample_weight`; mean and scale are then weighted too, so that
//! a row of weight 2 is the same as the row twice.
//!
//! All solvers stop at the same test, results do not depend on the number of threads, and a fit
//! that does not converge is an error, never a warning. Without a penalty (C infinite), separable
//! rows are an error too, since there is no optimum; linearly dependent features share their weight
//! as with a pseudo-inverse.

mod answer;
mod block;
mod check;
mod cholesky;
mod column;
mod conjugate;
mod covariance;
mod cross_validation;
mod grid;
mod kernel;
mod lbfgs;
mod newton;
mod packed;
mod part;
mod path;
mod question;
mod reduce;
mod repeats;
mod scaler;
mod weighted;

use crate::config::choices::{ClassWeight, Solver};
use serde::{Deserialize, Serialize};

pub(crate) use answer::answer;
pub use block::{BLOCK_ROWS, Block, Blocks, Weighed};
pub use check::{CHECK_CELLS, CrossCheck};
pub use covariance::{Covariance, MOST_FEATURES};
pub use cross_validation::{CrossValidation, FoldFits};
pub use grid::{GRID, GridPoint, PenaltyGrid};
pub use packed::PackedBlocks;
pub use part::Part;
pub use question::{Digits, Holders, Numbers, Place, Question, Sums};
pub(crate) use question::{Reading, Written, not_sums};
pub use scaler::Scaler;
pub(crate) use scaler::constant;
pub use weighted::{HalfLife, Weighted};

use crate::error::{Error, Result};
use newton::Newton;

/// Hyper-parameters of a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogisticRegression {
    /// Inverse strength of the penalty, above 0; smaller is stronger, infinity switches it off.
    pub c: f64,
    /// How rows are weighted.
    pub class_weight: ClassWeight,
    /// The optimiser.
    pub solver: Solver,
    /// Maximum number of Newton steps on all rows.
    pub max_iter: usize,
    /// Largest [`Fitted::gradient_norm`] at an optimum. The default is far below scikit-learn's, so
    /// that coefficients agree to 1e-9 for all solvers.
    pub tol: f64,
    /// Number of threads; 0 for all. The result is the same, bit for bit.
    pub threads: usize,
    /// Approximate memory for a fit besides the rows, in bytes. To stay within it, the fit uses
    /// fewer threads and, with a penalty, no Hessian.
    pub memory: usize,
}

impl Default for LogisticRegression {
    fn default() -> Self {
        Self {
            c: 1.0,
            class_weight: ClassWeight::None,
            solver: Solver::Auto,
            max_iter: 100,
            tol: 1e-12,
            threads: 0,
            memory: usize::MAX,
        }
    }
}

/// An optimum, and how it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// One coefficient per feature, for its standardised value.
    pub coefficients: Vec<f64>,
    /// Log-odds if all standardised values are 0.
    pub intercept: f64,
    /// The solver that was used, never `Auto`. `Lbfgs` includes the final Newton steps.
    pub solver: Solver,
    /// Why L-BFGS was tried and its result discarded.
    pub fallback: Option<String>,
    /// Newton steps on all rows, for `Lbfgs` the final ones. Steps on a sample and smartcore's own
    /// iterations, which it does not report, are not counted.
    pub iterations: usize,
    /// Largest absolute component of the gradient of the penalised objective, divided by the sum of
    /// the row weights. At most `tol`, unless rounding of the sums prevents that.
    pub gradient_norm: f64,
    /// The penalised objective, a sum over rows.
    pub loss: f64,
    /// Number of training rows.
    pub rows: u64,
}

impl LogisticRegression {
    /// Finds the optimum for `blocks`, standardised by `scaler`.
    ///
    /// ```
    /// use mlops_core::model::fit::{LogisticRegression, PackedBlocks, Scaler};
    ///
    /// # fn main() -> mlops_core::Result<()> {
    /// let mut blocks = PackedBlocks::new(1);
    /// for (value, positive) in [(1.0, false), (2.0, false), (3.0, true), (2.5, false), (4.0, true)] {
    ///     blocks.push_row(&[value], positive)?;
    /// }
    /// let scaler = Scaler::fit(&blocks, &[true], 1)?;
    /// let fitted = LogisticRegression::default().fit(&blocks, &scaler)?;
    /// assert!(fitted.coefficients[0] > 0.0 && fitted.gradient_norm < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Config` for impossible hyper-parameters; `Data` for no rows, rows of one class only and
    /// values that are not finite; `NotConverged` if the gradient test was not met.
    ///
    /// # Panics
    /// If the scaler has another number of features than the blocks.
    pub fn fit(&self, blocks: &dyn Blocks, scaler: &Scaler) -> Result<Fitted> {
        self.fit_keeping(blocks, scaler, false).map(|(fitted, _)| fitted)
    }

    /// Like [`fit`](Self::fit), with the [`covariance`](Self::covariance) of the coefficients, for which the
    /// last pass over the rows gives what is needed in most cases.
    ///
    /// # Errors
    /// As `fit`.
    ///
    /// # Panics
    /// As `fit`.
    pub fn fit_with_covariance(
        &self,
        blocks: &dyn Blocks,
        scaler: &Scaler,
    ) -> Result<(Fitted, Option<Covariance>)> {
        let wanted = self.c.is_finite() && self.has_covariance(blocks);
        let (fitted, hessian) = self.fit_keeping(blocks, scaler, wanted)?;
        let covariance = match hessian {
            Some(hessian) => Covariance::of(&hessian, blocks.features()),
            None => self.covariance(blocks, scaler, &fitted)?,
        };
        Ok((fitted, covariance))
    }

    fn fit_keeping(
        &self,
        blocks: &dyn Blocks,
        scaler: &Scaler,
        keep_hessian: bool,
    ) -> Result<(Fitted, Option<Vec<f64>>)> {
        assert_eq!(scaler.mean.len(), blocks.features(), "a scaler of the same features");
        assert_eq!(scaler.scale.len(), blocks.features(), "a scaler of the same features");
        self.check()?;
        check_classes(blocks)?;
        let newton = Newton {
            blocks,
            scaler,
            weights: self.row_weights(blocks),
            c: self.c,
            tol: self.tol,
            max_iter: self.max_iter,
            threads: threads_within(self.threads, blocks.features(), self.memory),
            matrix: self.c.is_infinite() || with_matrix(blocks.features(), self.memory),
            keep_hessian,
        };
        let mut solver = match self.solver {
            // smartcore has no fit without a penalty.
            Solver::Lbfgs if self.c.is_finite() => Solver::Lbfgs,
            _ => Solver::Newton,
        };
        let mut fallback = None;
        let mut start = None;
        if solver == Solver::Lbfgs {
            match lbfgs::solve(blocks, scaler, self.c)? {
                Ok(beta) => start = Some(beta),
                Err(reason) => {
                    solver = Solver::Newton;
                    fallback = Some(reason);
                }
            }
        }
        let optimum = newton.minimise(start)?;
        let mut coefficients = optimum.beta;
        let intercept = coefficients.pop().unwrap_or_default();
        let fitted = Fitted {
            coefficients,
            intercept,
            solver,
            fallback,
            iterations: optimum.iterations,
            gradient_norm: optimum.gradient_norm,
            loss: optimum.loss,
            rows: blocks.rows(),
        };
        Ok((fitted, optimum.hessian))
    }

    /// The weights of a negative and of a positive row.
    fn row_weights(&self, blocks: &dyn Blocks) -> [f64; 2] {
        let [negatives, positives] = blocks.class_totals();
        let all = negatives + positives;
        match self.class_weight {
            ClassWeight::None => [1.0, 1.0],
            ClassWeight::Balanced => [all / (2.0 * negatives), all / (2.0 * positives)],
        }
    }

    /// What must be added to the intercept of a fit to `blocks` so that its probabilities are those
    /// of the rows as they are: balanced weights act as if both classes were equally frequent, which
    /// multiplies the odds of every row by the ratio of the weights (King and Zeng, "Logistic
    /// Regression in Rare Events Data", 2001, 4.1). 0 without weights.
    pub fn prior_shift(&self, blocks: &dyn Blocks) -> f64 {
        let [negatives, positives] = blocks.class_totals();
        match self.class_weight {
            ClassWeight::None => 0.0,
            ClassWeight::Balanced => (positives / negatives).ln(),
        }
    }

    fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        let usable = self.c.is_normal() && (1.0 / self.c).is_normal() || self.c.is_infinite();
        if !(usable && self.c > 0.0) {
            problems.push(format!("c is {}; it must be a number above 0", self.c));
        }
        if !(self.tol.is_finite() && self.tol > 0.0) {
            problems.push(format!("tol is {}; it must be a finite number above 0", self.tol));
        }
        if self.max_iter == 0 {
            problems.push("max_iter is 0; it must be at least 1".to_owned());
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::config("logistic regression", problems))
        }
    }
}

/// Up to this many features a fit uses the Hessian; beyond, passes without it are faster.
const MOST_WITH_MATRIX: usize = 1_000;

/// Whether a Hessian for this many features is worth its time and memory: sums, their total, the
/// current one, its factor and a copy.
fn with_matrix(features: usize, memory: usize) -> bool {
    features <= MOST_WITH_MATRIX && 6 * 8 * (features + 1).pow(2) <= memory
}

/// The number of `threads` (0: all) that stays within `memory` if each has a block of rows, twice,
/// and sums.
pub fn threads_within(threads: usize, features: usize, memory: usize) -> usize {
    let columns = 2 * 8 * BLOCK_ROWS * (features + 1);
    let sums = if with_matrix(features, memory) { 2 * 8 * (features + 1).pow(2) } else { 0 };
    reduce::threads_of(threads).min(memory / (columns + sums)).max(1)
}

fn check_classes(blocks: &dyn Blocks) -> Result<()> {
    let (rows, positives) = (blocks.rows(), blocks.positives());
    if rows == 0 || blocks.features() == 0 {
        let lacking = if rows == 0 { "rows" } else { "features" };
        return Err(Error::data(format!(
            "the training data have no {lacking}; check the schema and the ingested data"
        )));
    }
    if positives == 0 || positives >= rows {
        return Err(Error::data(format!(
            "all {rows} training rows are {}; a classifier needs rows of both classes: ingest \
             more data, or check the positive label in the configuration",
            if positives == 0 { "negative" } else { "positive" }
        )));
    }
    Ok(())
}
