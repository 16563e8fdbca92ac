//! The fast path of predictions: columns in, probabilities out.
//!
//! One formula for every caller, summed in one order, so that a batch, a service and a score give
//! the same bits. Not for checking itself: see [`super::golden`].

use super::Model;
use crate::metrics::score::classify;
use crate::table::Table;

/// A model made ready to predict.
#[derive(Debug, Clone)]
pub struct Predictor<'a> {
    model: &'a Model,
}

/// The answer for one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Probability of the positive class.
    pub probability: f64,
    /// Whether the model predicts the positive class.
    pub positive: bool,
}

/// The answers for a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predictions {
    /// One for each row; `None` where a missing value forbids it (policies drop and reject).
    pub rows: Vec<Option<Prediction>>,
    /// Cells that were imputed.
    pub imputed: u64,
    /// Cells with a category that training never saw.
    pub unknown_categories: u64,
}

impl<'a> Predictor<'a> {
    /// Predicts with `model`.
    pub fn new(model: &'a Model) -> Self {
        Self { model }
    }

    /// Predicts every row of `table`, which has the columns of the model's schema.
    pub fn predict(&self, table: &Table) -> Predictions {
        let Model { encoder, scaler, fitted, training, .. } = self.model;
        let mut decision = vec![fitted.intercept; table.len()];
        let mut usable = vec![true; table.len()];
        let mut out = Predictions::default();
        for (j, (feature, column)) in encoder.numeric.iter().zip(&table.numeric).enumerate() {
            let (mean, scale, weight) = (scaler.mean[j], scaler.scale[j], fitted.coefficients[j]);
            let fill = feature.fill.unwrap_or(f64::NAN);
            for ((z, usable), x) in decision.iter_mut().zip(&mut usable).zip(column) {
                let missing = x.is_nan();
                out.imputed += u64::from(missing);
                *usable &= !missing || feature.fill.is_some();
                *z += weight * ((if missing { fill } else { *x } - mean) / scale);
            }
        }
        let mut first = encoder.numeric.len();
        for (feature, column) in encoder.categorical.iter().zip(&table.categorical) {
            for (i, text) in column.iter().enumerate() {
                let level = if text.is_empty() {
                    out.imputed += 1;
                    usable[i] &= feature.fill.is_some();
                    feature.fill.map(|l| l as usize)
                } else {
                    let level = feature.level(text);
                    out.unknown_categories += u64::from(level.is_none());
                    level
                };
                if let Some(level) = level {
                    decision[i] += fitted.coefficients[first + level];
                }
            }
            first += feature.levels.len();
        }
        out.rows = decision
            .iter()
            .zip(usable)
            .map(|(z, usable)| {
                let probability = sigmoid(*z);
                let positive = classify(probability, training.threshold);
                usable.then_some(Prediction { probability, positive })
            })
            .collect();
        out
    }
}

/// 1 / (1 + exp(-z)), without overflow.
fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}
