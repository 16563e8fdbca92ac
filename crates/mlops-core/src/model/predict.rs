//! The fast path of predictions: columns in, probabilities out.
//!
//! All callers use one formula with one order of summation, so that a batch, a request and a score
//! give the same bits. Not for verifying itself: see [`super::golden`].

#![expect(clippy::inline_always, reason = "see `simd`")]

use super::{CategoricalFeature, Model};
use crate::evaluation::metrics::classify;
use crate::platform::math::logistic;
use crate::platform::simd::{Work, widest};
use crate::table::{Table, TextColumn};

/// A model prepared for predictions.
#[derive(Debug, Clone)]
pub struct Predictor<'a> {
    model: &'a Model,
}

/// The prediction for one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Probability of the positive class.
    pub probability: f64,
    /// The model predicts the positive class.
    pub positive: bool,
}

/// The predictions for a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predictions {
    /// One per row; `None` if a missing value forbids it (policies drop and reject), or if values
    /// near the limits of doubles give no finite score.
    pub rows: Vec<Option<Prediction>>,
    /// Number of imputed cells.
    pub imputed: u64,
    /// Number of cells with a category not seen in training.
    pub unknown_categories: u64,
}

impl<'a> Predictor<'a> {
    /// A predictor for `model`.
    pub fn new(model: &'a Model) -> Self {
        Self { model }
    }

    /// Predicts every row of `table`, which must have the columns of the model's schema.
    ///
    /// ```
    /// use mlops_core::model::{Model, Predictor};
    /// use mlops_core::{Result, Table};
    ///
    /// /// The probability of the positive class for one row of numbers, if there is a prediction.
    /// fn probability(model: &Model, values: &[Option<f64>]) -> Option<f64> {
    ///     let mut table = Table::new(&model.schema);
    ///     table.push_values(values, &[]);
    ///     table.end_row();
    ///     Predictor::new(model).predict(&table).rows[0].map(|found| found.probability)
    /// }
    /// # fn main() -> Result<()> {
    /// # let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/artifact_v2.bin"));
    /// # let model = mlops_core::model::artifact::decode(bytes, "the fixture")?;
    /// # let row = vec![Some(1.0); model.encoder.numeric.len()];
    /// assert!(probability(&model, &row).is_some_and(|p| 0.0 < p && p < 1.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn predict(&self, table: &Table) -> Predictions {
        let mut probabilities = Vec::new();
        let (imputed, unknown_categories) = self.probabilities(table, &mut probabilities);
        let rows = probabilities.into_iter().map(|probability| {
            let positive = self.positive(probability);
            (!probability.is_nan()).then_some(Prediction { probability, positive })
        });
        Predictions { rows: rows.collect(), imputed, unknown_categories }
    }

    /// Whether a row with this probability is predicted positive.
    pub fn positive(&self, probability: f64) -> bool {
        classify(probability, self.model.training.threshold)
    }

    /// The index of the first numeric column that makes the score of `row` overflow; `None` if only
    /// the sum does.
    pub fn beyond_numbers(&self, table: &Table, row: usize) -> Option<usize> {
        let Model { scaler, fitted, .. } = self.model;
        let share = |(j, column): (usize, &Vec<f64>)| {
            fitted.coefficients[j] * ((column[row] - scaler.mean[j]) / scaler.scale[j])
        };
        table.numeric.iter().enumerate().position(|column| !share(column).is_finite())
    }

    /// Replaces the content of `probabilities` by one value per row of `table`, NaN where there is
    /// no prediction (see [`Predictions::rows`]); returns the numbers of imputed cells and of
    /// unknown categories.
    pub fn probabilities(&self, table: &Table, probabilities: &mut Vec<f64>) -> (u64, u64) {
        let counts = self.log_odds(table, probabilities);
        widest(ToProbabilities { decision: probabilities });
        counts
    }

    /// Like [`Self::probabilities`], for the log-odds from which they follow.
    pub(super) fn log_odds(&self, table: &Table, log_odds: &mut Vec<f64>) -> (u64, u64) {
        let Model { encoder, fitted, .. } = self.model;
        let (mut imputed, mut unknown_categories) = (0, 0);
        log_odds.clear();
        log_odds.resize(table.len(), fitted.intercept);
        for (j, column) in table.numeric.iter().enumerate().take(encoder.numeric.len()) {
            imputed += self.add_numeric(j, column, log_odds);
        }
        let mut first = encoder.numeric.len();
        for (feature, column) in encoder.categorical.iter().zip(&table.categorical) {
            let (filled, unknown) = self.add_categorical(feature, first, column, log_odds);
            imputed += filled;
            unknown_categories += unknown;
            first += feature.width();
        }
        (imputed, unknown_categories)
    }

    /// Adds the part of numeric column `j` to the log-odds `decision`; returns the number of missing
    /// values.
    pub(super) fn add_numeric(&self, j: usize, column: &[f64], decision: &mut [f64]) -> u64 {
        let Model { encoder, scaler, fitted, .. } = self.model;
        // Without a fill value the sum stays NaN.
        let fill = encoder.numeric[j].fill.unwrap_or(f64::NAN);
        let (mean, scale, weight) = (scaler.mean[j], scaler.scale[j], fitted.coefficients[j]);
        widest(AddFeature { column, decision, fill, mean, scale, weight })
    }

    /// Adds the part of a categorical column, whose features begin at `first`, to the log-odds
    /// `decision`; returns the numbers of missing values and of unknown categories.
    pub(super) fn add_categorical(
        &self,
        feature: &CategoricalFeature,
        first: usize,
        column: &TextColumn,
        decision: &mut [f64],
    ) -> (u64, u64) {
        let coefficients = &self.model.fitted.coefficients[first..];
        let (mut imputed, mut unknown_categories) = (0, 0);
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
                *z += coefficients[level];
            }
        }
        (imputed, unknown_categories)
    }
}

/// Adds a numeric feature's contribution to each row; counts the missing values.
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
