//! The strength of the penalty, chosen from a grid: the strongest one whose cross-validated log loss
//! is within one standard error of the lowest.
//!
//! Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984), 3.4.3; Hastie,
//! Tibshirani and Friedman, The Elements of Statistical Learning, 7.10.1. The mean over the folds is
//! that of scikit-learn's `cross_val_score`. Not for the fits: see `cross_validation`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The values of C that are tried, ascending.
pub const GRID: [f64; 9] = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4];

/// A searched grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PenaltyGrid {
    /// The tried values, ascending.
    pub points: Vec<GridPoint>,
    /// The C with the lowest mean; the smallest of several.
    pub best: f64,
    /// The smallest C whose mean is at most the lowest one plus its standard error.
    pub chosen: f64,
    /// The number of folds.
    pub folds: u64,
}

/// A tried value of C.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GridPoint {
    /// Inverse strength of the penalty.
    #[serde(rename = "C")]
    pub c: f64,
    /// The mean of the folds' mean log losses, in nats.
    pub log_loss: f64,
    /// The standard error of this mean: the standard deviation of the folds (ddof 1) divided by the
    /// root of their number.
    pub standard_error: f64,
}

impl PenaltyGrid {
    /// Chooses from the ascending `cs` by the mean log loss of each fold, for each C; `None` without
    /// values.
    pub fn of(cs: &[f64], losses: &[Vec<f64>]) -> Option<Self> {
        let point = |(c, losses): (&f64, &Vec<f64>)| {
            let n = losses.len() as f64;
            let mean = losses.iter().sum::<f64>() / n;
            let squares: f64 = losses.iter().map(|loss| (loss - mean).powi(2)).sum();
            let standard_error = (squares / (n - 1.0).max(1.0) / n).sqrt();
            GridPoint { c: *c, log_loss: mean, standard_error }
        };
        let points: Vec<GridPoint> = cs.iter().zip(losses).map(point).collect();
        let best = points.iter().min_by(|a, b| a.log_loss.total_cmp(&b.log_loss))?;
        let bound = best.log_loss + best.standard_error;
        let chosen = points.iter().find(|point| point.log_loss <= bound)?;
        let (best, chosen) = (best.c, chosen.c);
        Some(Self { points, best, chosen, folds: losses.first()?.len() as u64 })
    }

    /// The point with this C.
    fn at(&self, c: f64) -> Option<&GridPoint> {
        self.points.iter().find(|point| point.c.to_bits() == c.to_bits())
    }

    /// The place of the chosen value.
    pub fn place(&self) -> Option<usize> {
        self.points.iter().position(|point| point.c.to_bits() == self.chosen.to_bits())
    }
}

impl fmt::Display for PenaltyGrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.chosen)?;
        if let (Some(best), Some(chosen)) = (self.at(self.best), self.at(self.chosen)) {
            write!(
                f,
                ", the strongest penalty within one standard error of the best of {}: log loss {:.4}, \
                 where C {} has {:.4} with a standard error of {:.4} ({} folds)",
                self.points.len(),
                chosen.log_loss,
                self.best,
                best.log_loss,
                best.standard_error,
                self.folds
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_penalty_within_one_standard_error_is_chosen() {
        let losses = [[0.70, 0.60], [0.51, 0.47], [0.50, 0.46], [0.49, 0.49]].map(|l| l.to_vec());
        let grid = PenaltyGrid::of(&[0.1, 1.0, 10.0, 100.0], &losses).unwrap();
        // The lowest mean is 0.48 with a standard error of 0.02.
        assert!((grid.points[2].log_loss - 0.48).abs() < 1e-15);
        assert!((grid.points[2].standard_error - 0.02).abs() < 1e-15);
        assert_eq!((grid.best, grid.chosen, grid.folds, grid.place()), (10.0, 1.0, 2, Some(1)));
        assert!(PenaltyGrid::of(&[], &[]).is_none());
    }
}
