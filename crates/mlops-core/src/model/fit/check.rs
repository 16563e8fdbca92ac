//! Cross-checks a fit: smartcore's L-BFGS on the same rows, and the objective computed naively.
//!
//! The gradient that signals the optimum comes from our own vectorised kernel. If that were wrong
//! (a compiler, a processor), its own test could not notice; another library's solver and a plain
//! loop can. Only for few rows, where it costs a millisecond. Not for finding coefficients: see
//! `newton`.

use serde::{Deserialize, Serialize};

use super::block::{Block, Blocks, read_checked};
use super::scaler::Scaler;
use super::{Fitted, LogisticRegression, lbfgs};
use crate::config::choices::ClassWeight;
use crate::error::{Error, Result};

/// Fits of up to this many cells (rows times features) are checked.
pub const CHECK_CELLS: u64 = 20_000;
/// Outside this range of penalties smartcore's line search gives up.
const PENALTIES: std::ops::RangeInclusive<f64> = 1e-3..=1e3;
/// The share of the loss by which rounding may put the optimum above another point.
const ROUNDING: f64 = 1e-9;

/// The result of a cross-check.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CrossCheck {
    /// The largest difference between smartcore's coefficients and ours.
    pub largest_difference: f64,
    /// How much larger smartcore's objective is than ours; below 0 only by rounding.
    pub excess_loss: f64,
}

impl LogisticRegression {
    /// Compares `fitted` with smartcore's solution. `None` if there is none: for more than
    /// [`CHECK_CELLS`], weights, no or extreme penalties, and if its line search gives up.
    ///
    /// # Errors
    /// `NotConverged` if smartcore's objective is lower than ours; any error of the source.
    pub fn cross_check(
        &self,
        blocks: &dyn Blocks,
        scaler: &Scaler,
        fitted: &Fitted,
    ) -> Result<Option<CrossCheck>> {
        let small = blocks.rows().saturating_mul(blocks.features() as u64) <= CHECK_CELLS;
        let weighted = self.class_weight != ClassWeight::None || blocks.weighed().is_some();
        let known = !weighted && PENALTIES.contains(&self.c);
        if !small || !known {
            return Ok(None);
        }
        let Ok(theirs) = lbfgs::solve(blocks, scaler, self.c)? else { return Ok(None) };
        let mut ours = fitted.coefficients.clone();
        ours.push(fitted.intercept);
        let [our_loss, their_loss] = objectives(blocks, scaler, self.c, [&ours, &theirs])?;
        let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
        let check = CrossCheck {
            largest_difference: apart.fold(0.0, f64::max),
            excess_loss: their_loss - our_loss,
        };
        if check.excess_loss < -ROUNDING * our_loss.abs() || check.excess_loss.is_nan() {
            return Err(Error::not_converged(format!(
                "the fit is not the optimum: an independent solver finds a loss of {their_loss} where \
                 ours ended at {our_loss}. This should never happen; report it with your processor's \
                 name, and train with \"training.solver\" \"lbfgs\" meanwhile"
            )));
        }
        Ok(Some(check))
    }
}

/// The penalised objective at two points, row by row as in a textbook.
fn objectives(
    blocks: &dyn Blocks,
    scaler: &Scaler,
    c: f64,
    betas: [&[f64]; 2],
) -> Result<[f64; 2]> {
    let features = blocks.features();
    let mut losses =
        betas.map(|beta| beta[..features].iter().map(|w| w * w).sum::<f64>() / (2.0 * c));
    let mut block = Block::new(features);
    for index in 0..blocks.blocks() {
        read_checked(blocks, index, &mut block)?;
        for i in 0..block.rows() {
            for (loss, beta) in losses.iter_mut().zip(betas) {
                let mut z = beta[features];
                for (j, weight) in beta.iter().enumerate().take(features) {
                    z += weight * ((block.column(j)[i] - scaler.mean[j]) / scaler.scale[j]);
                }
                let away = if block.labels()[i] > 0.5 { -z } else { z };
                *loss += away.max(0.0) + (-away.abs()).exp().ln_1p();
            }
        }
    }
    Ok(losses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fit::PackedBlocks;

    fn rows(n: u32) -> (PackedBlocks, Scaler) {
        let mut blocks = PackedBlocks::new(2);
        for i in 0..n {
            let row = [f64::from(i % 17), f64::from(i * 7 % 31)];
            blocks.push_row(&row, row[0] + f64::from(i * 13 % 11) > 12.0).unwrap();
        }
        let scaler = Scaler::fit(&blocks, &[true, true], 1).unwrap();
        (blocks, scaler)
    }

    #[test]
    fn an_optimum_is_confirmed_and_another_point_is_not() {
        let (blocks, scaler) = rows(400);
        let model = LogisticRegression::default();
        let mut fitted = model.fit(&blocks, &scaler).unwrap();
        let check = model.cross_check(&blocks, &scaler, &fitted).unwrap().unwrap();
        assert!(check.largest_difference < 1e-4, "{check:?}");
        assert!(check.excess_loss > -1e-9 && check.excess_loss < 1e-6, "{check:?}");
        fitted.coefficients[0] += 0.01;
        let error = model.cross_check(&blocks, &scaler, &fitted).unwrap_err().to_string();
        assert!(error.contains("an independent solver finds a loss of"), "{error}");
    }

    #[test]
    fn only_what_smartcore_can_solve_soon_is_checked() {
        let (blocks, scaler) = rows(400);
        let balanced = ClassWeight::Balanced;
        let default = LogisticRegression::default;
        for model in [
            LogisticRegression { class_weight: balanced, ..default() },
            LogisticRegression { c: 1e8, ..default() },
            LogisticRegression { c: f64::INFINITY, ..default() },
        ] {
            let fitted = model.fit(&blocks, &scaler).unwrap();
            assert_eq!(model.cross_check(&blocks, &scaler, &fitted).unwrap(), None);
        }
        let (blocks, scaler) = rows(20_000);
        let fitted = default().fit(&blocks, &scaler).unwrap();
        assert_eq!(default().cross_check(&blocks, &scaler, &fitted).unwrap(), None);
    }
}
