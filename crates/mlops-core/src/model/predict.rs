//! The fast path of predictions: columns in, probabilities out.
//!
//! One formula for every caller, summed in one order, so that a batch, a service and a score give
//! the same bits. Not for checking itself: see [`super::golden`].

#![expect(clippy::inline_always, reason = "see `simd`")]

use super::Model;
use crate::evaluation::metrics::score::classify;
use crate::platform::math::logistic;
use crate::platform::simd::{Work, widest};
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
    /// One for each row; `None` where a missing value forbids it (policies drop and reject), and
    /// where values near the end of the doubles leave no number as the score.
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
        let mut probabilities = Vec::new();
        let (imputed, unknown_categories) = self.probabilities(table, &mut probabilities);
        let rows = probabilities.into_iter().map(|probability| {
            let positive = self.positive(probability);
            (!probability.is_nan()).then_some(Prediction { probability, positive })
        });
        Predictions { rows: rows.collect(), imputed, unknown_categories }
    }

    /// Whether a row of this probability is predicted positive.
    pub fn positive(&self, probability: f64) -> bool {
        classify(probability, self.model.training.threshold)
    }

    /// The first numeric column, by its place among them, that takes the score of `row` beyond all
    /// numbers; none where it is the sum alone.
    pub fn beyond_numbers(&self, table: &Table, row: usize) -> Option<usize> {
        let Model { scaler, fitted, .. } = self.model;
        let share = |(j, column): (usize, &Vec<f64>)| {
            fitted.coefficients[j] * ((column[row] - scaler.mean[j]) / scaler.scale[j])
        };
        table.numeric.iter().enumerate().position(|column| !share(column).is_finite())
    }

    /// Replaces `probabilities` by one for each row of `table`, NaN where there is no answer (see
    /// [`Predictions::rows`]); returns the numbers of cells that were imputed and of categories that are unknown.
    pub fn probabilities(&self, table: &Table, probabilities: &mut Vec<f64>) -> (u64, u64) {
        let Model { encoder, scaler, fitted, .. } = self.model;
        let (mut imputed, mut unknown_categories) = (0, 0);
        probabilities.clear();
        probabilities.resize(table.len(), fitted.intercept);
        let decision = probabilities;
        for (j, (feature, column)) in encoder.numeric.iter().zip(&table.numeric).enumerate() {
            // Without a fill the sum stays NaN, whatever is added.
            let fill = feature.fill.unwrap_or(f64::NAN);
            let (mean, scale, weight) = (scaler.mean[j], scaler.scale[j], fitted.coefficients[j]);
            imputed += widest(AddFeature { column, decision, fill, mean, scale, weight });
        }
        let mut first = encoder.numeric.len();
        for (feature, column) in encoder.categorical.iter().zip(&table.categorical) {
            for (z, text) in decision.iter_mut().zip(column.iter()) {
                let level = if text.is_empty() {
                    imputed += 1;
                    if feature.fill.is_none() {
                        *z = f64::NAN;
                    }
                    feature.fill.map(|l| l as usize)
                } else {
                    let level = feature.level(text);
                    unknown_categories += u64::from(level.is_none());
                    level
                };
                if let Some(level) = level {
                    *z += fitted.coefficients[first + level];
                }
            }
            first += feature.width();
        }
        widest(ToProbabilities { decision });
        (imputed, unknown_categories)
    }
}

/// Adds what a numeric feature contributes to each row; counts the missing values.
struct AddFeature<'a> {
    column: &'a [f64],
    decision: &'a mut [f64],
    fill: f64,
    mean: f64,
    scale: f64,
    weight: f64,
}

impl Work for AddFeature<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { column, decision, fill, mean, scale, weight } = self;
        let mut imputed = 0;
        for (z, x) in decision.iter_mut().zip(column) {
            let missing = x.is_nan();
            imputed += u64::from(missing);
            *z += weight * ((if missing { fill } else { *x } - mean) / scale);
        }
        imputed
    }
}

/// Turns log-odds into probabilities.
struct ToProbabilities<'a> {
    decision: &'a mut [f64],
}

impl Work for ToProbabilities<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for z in self.decision {
            *z = logistic(*z);
        }
    }
}
