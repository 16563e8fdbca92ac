//! smartcore's L-BFGS on a dense matrix: the solver `lbfgs`, and a check of ours on few rows.
//!
//! Not for large data (it is about forty times slower than a Newton fit at 1e5 rows and copies the
//! matrix), and its result is never final: it has no convergence flag, so that `newton` refines it
//! to the same gradient test. Its alpha is 1 / C; the intercept is not penalised.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::{Array1, Array2};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linear::logistic_regression::{
    LogisticRegression as Smartcore, LogisticRegressionParameters,
};

use super::block::{BLOCK_ROWS, Block, Blocks, read_checked};
use super::scaler::{Scaler, check_finite};
use crate::error::{Error, Result};

/// The unweighted solution (coefficients of the scaled features, then the intercept), or the reason
/// why there is none. smartcore has no row weights.
///
/// # Errors
/// `Data` if a value is not finite (smartcore would return zeros); any error of the source.
pub(crate) fn solve(
    blocks: &dyn Blocks,
    scaler: &Scaler,
    c: f64,
) -> Result<std::result::Result<Vec<f64>, String>> {
    let (x, y) = dense(blocks, scaler)?;
    let features = blocks.features();
    let parameters = LogisticRegressionParameters::default().with_alpha(1.0 / c);
    // Its line search panics when it makes no progress, at extremes that Newton still solves.
    let fitted = catch_unwind(AssertUnwindSafe(|| Smartcore::fit(&x, &y, parameters)));
    let model = match fitted {
        Ok(Ok(model)) => model,
        Ok(Err(error)) => return Ok(Err(format!("smartcore failed: {error}"))),
        Err(_) => return Ok(Err("smartcore's line search gave up".to_owned())),
    };
    // It numbers classes in the order of its own list, on which the sign of everything depends.
    if model.classes().as_slice() != [0, 1] {
        return Ok(Err(format!("smartcore numbered the classes {:?}", model.classes())));
    }
    let mut beta: Vec<f64> = model.coefficients().iterator(0).copied().collect();
    beta.extend(model.intercept().iterator(0).copied());
    if beta.len() != features + 1 || beta.iter().any(|value| !value.is_finite()) {
        return Ok(Err("smartcore's coefficients are not finite".to_owned()));
    }
    Ok(Ok(beta))
}

/// All rows in one matrix of scaled features (rows by features), and their labels.
fn dense(blocks: &dyn Blocks, scaler: &Scaler) -> Result<(Array2<f64>, Array1<u32>)> {
    let features = blocks.features();
    let rows = usize::try_from(blocks.rows())
        .map_err(|_| Error::data("too many rows for the solver lbfgs; use newton"))?;
    let mut x = Array2::zeros((rows, features));
    let mut y = Array1::zeros(rows);
    let mut block = Block::new(features);
    for index in 0..blocks.blocks() {
        read_checked(blocks, index, &mut block)?;
        let first = index * BLOCK_ROWS;
        for j in 0..features {
            check_finite(index, &|| blocks.name(j), block.column(j))?;
            for (i, value) in block.column(j).iter().enumerate() {
                x[[first + i, j]] = (value - scaler.mean[j]) / scaler.scale[j];
            }
        }
        for (i, label) in block.labels().iter().enumerate() {
            y[first + i] = u32::from(*label > 0.5);
        }
    }
    Ok((x, y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::choices::Solver;
    use crate::model::fit::{LogisticRegression, PackedBlocks};

    #[test]
    fn smartcore_alone_finds_the_optimum_of_the_same_penalty_and_sign() {
        let mut blocks = PackedBlocks::new(2);
        for i in 0..400_u32 {
            let row = [f64::from(i % 17), f64::from(i * 7 % 31)];
            blocks.push_row(&row, row[0] + f64::from(i * 13 % 11) > 12.0).unwrap();
        }
        let scaler = Scaler::fit(&blocks, &[true, true], 1).unwrap();
        for c in [0.01, 1.0, 50.0] {
            let alone = solve(&blocks, &scaler, c).unwrap().unwrap();
            let model = LogisticRegression { c, solver: Solver::Newton, ..Default::default() };
            let newton = model.fit(&blocks, &scaler).unwrap();
            let truth = newton.coefficients.iter().chain([&newton.intercept]);
            for (found, truth) in alone.iter().zip(truth) {
                assert!((found - truth).abs() < 1e-5, "C = {c}: {found} instead of {truth}");
            }
        }
    }
}
