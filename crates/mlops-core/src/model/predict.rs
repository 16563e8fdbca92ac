//! The fast path of predictions: columns in, probabilities out.
//!
//! All callers use one formula with one order of summation, so that a batch, a request and a score
//! give the same bits. Not for verifying itself: see [`super::golden`].

#![expect(clippy::inline_always, reason = "see `simd`")]

use super::Model;
use super::dates;
use super::encoder::{CategoricalFeature, NumericFeature, Shape};
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
        let mut first = 0;
        self.model.encoder.numeric.iter().zip(&table.numeric).position(|(feature, column)| {
            let share = self.share(feature, first, column[row]);
            first += feature.width();
            !share.is_finite()
        })
    }

    /// The coefficient of feature `j`, which is not scaled.
    pub(super) fn weight(&self, j: usize) -> f64 {
        self.model.fitted.coefficients[j]
    }

    /// What the number `x` of a column, whose first feature is feature `first`, adds to the log-odds.
    pub(super) fn share(&self, feature: &NumericFeature, first: usize, x: f64) -> f64 {
        let Model { scaler, fitted, .. } = self.model;
        let of = |j: usize| {
            let standardised =
                (feature.feature(j, x) - scaler.mean[first + j]) / scaler.scale[first + j];
            fitted.coefficients[first + j] * standardised
        };
        (0..feature.width()).map(of).sum()
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
        let mut first = 0;
        for (feature, column) in encoder.numeric.iter().zip(&table.numeric) {
            imputed += self.add_numeric(feature, first, column, log_odds);
            first += feature.width();
        }
        for (at, feature) in encoder.dates.iter().enumerate() {
            imputed += self.add_dates(at, first, table, log_odds);
            first += feature.width();
        }
        for (feature, column) in encoder.categorical.iter().zip(&table.categorical) {
            let (filled, unknown) = self.add_categorical(feature, first, column, log_odds);
            imputed += filled;
            unknown_categories += unknown;
            first += feature.width();
        }
        (imputed, unknown_categories)
    }

    /// Adds the part of a numeric column, whose features begin at `first`, to the log-odds
    /// `decision`; returns the number of missing values.
    pub(super) fn add_numeric(
        &self,
        feature: &NumericFeature,
        first: usize,
        column: &[f64],
        decision: &mut [f64],
    ) -> u64 {
        if feature.shape != Shape::Line {
            let mut missing = 0;
            for (z, x) in decision.iter_mut().zip(column) {
                missing += u64::from(x.is_nan());
                *z += self.share(feature, first, *x);
            }
            return missing;
        }
        let Model { scaler, fitted, .. } = self.model;
        // Without a fill value the sum stays NaN.
        let fill = feature.fill.unwrap_or(f64::NAN);
        let (mean, scale) = (scaler.mean[first], scaler.scale[first]);
        let weight = fitted.coefficients[first];
        widest(AddFeature { column, decision, fill, mean, scale, weight })
    }

    /// Adds the part of the column `at` of dates, whose features begin at `first`, to the log-odds
    /// `decision`; returns the number of missing values.
    pub(super) fn add_dates(
        &self,
        at: usize,
        first: usize,
        table: &Table,
        decision: &mut [f64],
    ) -> u64 {
        let Model { encoder, scaler, fitted, .. } = self.model;
        let columns = table.numeric.get(encoder.numeric.len()..).unwrap_or_default();
        let feature = &encoder.dates[at];
        let mut missing = 0;
        for (row, (z, days)) in decision.iter_mut().zip(&columns[at]).enumerate() {
            missing += u64::from(days.is_nan());
            if let Some(age) = dates::age(&encoder.dates, at, |column| columns[column][row]) {
                let standardised = (age - scaler.mean[first]) / scaler.scale[first];
                *z += fitted.coefficients[first] * standardised;
            }
            let filled = feature.filled(*days);
            if filled.is_nan() {
                *z = f64::NAN;
            }
            for one in feature.ones(filled) {
                *z += fitted.coefficients[first + one];
            }
        }
        missing
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
        if let Some(bins) = &feature.bins {
            let (mean, scale) = (self.model.scaler.mean[first], self.model.scaler.scale[first]);
            for (z, text) in decision.iter_mut().zip(column.iter()) {
                let level = feature.level(text);
                imputed += u64::from(text.is_empty());
                unknown_categories += u64::from(level.is_none() && !text.is_empty());
                let woe = if text.is_empty() { bins.missing_woe() } else { feature.woe(level) };
                *z += coefficients[0] * ((woe - mean) / scale);
            }
            return (imputed, unknown_categories);
        }
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
