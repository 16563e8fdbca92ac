//! Why a row got its prediction: what each column adds to the log-odds, against a reference.
//!
//! The log-odds are the intercept and one part for each schema column, as [`Predictor`] adds them up;
//! the features of a one-hot column, of a spline or of a date are one part. The contribution of a column is its part less that
//! of its [`Reference`], so that the log-odds of the reference and all contributions are the row's
//! log-odds. For a linear model whose features are taken as independent these are its Shapley values
//! (Lundberg and Lee, "A unified approach to interpreting model predictions", 2017, corollary 1).
//!
//! Whatever a column is made of belongs to [`Predictor`], which adds its part; here a part is one
//! number. Not for the words that go with a column: see `config::Reasons`.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::fit::Scaler;
use crate::model::{CategoricalFeature, Model, NumericFeature, Predictor, Shape};
use crate::platform::exact_sum::ExactSum;
use crate::table::Table;
use crate::text;

/// What a column is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reference<'a> {
    /// A number: its mean over the training rows, of which missing values were filled.
    Mean(f64),
    /// A category: the most frequent one of the training rows, or the name that rare ones share.
    Level(&'a str),
    /// The mean effect: of the categories of a model that fills no missing values and therefore does not
    /// know which one is the most frequent, or of months and weekdays, each counted once; of bins, each
    /// counted as often as there are training rows in it.
    AverageLevel,
}

/// Explains the predictions of a model.
#[derive(Debug, Clone)]
pub struct Explainer<'a> {
    model: &'a Model,
    predictor: Predictor<'a>,
    columns: Vec<Column<'a>>,
    log_odds: f64,
}

/// A column that is made features of.
#[derive(Debug, Clone)]
struct Column<'a> {
    name: &'a str,
    features: Range<usize>,
    reference: Reference<'a>,
    /// The part of the reference.
    part: f64,
}

impl<'a> Explainer<'a> {
    /// An explainer for `model`.
    pub fn new(model: &'a Model) -> Self {
        let Model { encoder, scaler, fitted, .. } = model;
        let predictor = Predictor::new(model);
        let (numeric, dates) = (encoder.numeric.len(), encoder.dates.len());
        let column = |(at, (name, features)): (usize, (&'a str, Range<usize>))| {
            let coefficients = &fitted.coefficients[features.clone()];
            let (reference, part) = if let Some(feature) = encoder.numeric.get(at) {
                of_numbers(&predictor, feature, &features, scaler)
            } else if let Some(feature) = encoder.dates.get(at - numeric) {
                let parts =
                    feature.categories().map(|(first, n)| mean(&coefficients[first..first + n]));
                let part = parts.sum();
                let age = feature.has_age().then(|| Reference::Mean(scaler.mean[features.start]));
                (age.unwrap_or(Reference::AverageLevel), part)
            } else {
                of_levels(&encoder.categorical[at - numeric - dates], coefficients)
            };
            Column { name, features, reference, part }
        };
        let columns: Vec<Column> =
            encoder.features_of_columns().into_iter().enumerate().map(column).collect();
        // Numbers at their mean, and most others, have the part 0.
        let log_odds = fitted.intercept + columns.iter().map(|column| column.part).sum::<f64>();
        Self { model, predictor, columns, log_odds }
    }

    /// Number of columns: all of the schema that are features, in its order.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// The name of `column`.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn name(&self, column: usize) -> &'a str {
        self.columns[column].name
    }

    /// What `column` is compared with.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn reference(&self, column: usize) -> Reference<'a> {
        self.columns[column].reference
    }

    /// What the reference of `column` adds to the log-odds.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn reference_part(&self, column: usize) -> f64 {
        self.columns[column].part
    }

    /// The row that has the reference in every column.
    pub fn reference_row(&self) -> ReferenceRow {
        let value = |column| match self.reference(column) {
            Reference::Mean(mean) => json!(mean),
            Reference::Level(level) => json!(level),
            Reference::AverageLevel => Value::Null,
        };
        let values =
            (0..self.columns()).map(|column| (self.name(column).to_owned(), value(column)));
        ReferenceRow { log_odds: self.log_odds, values: values.collect() }
    }

    /// Log-odds of a row that has the reference in every column.
    pub fn reference_log_odds(&self) -> f64 {
        self.log_odds
    }

    /// For each feature, what one standard deviation (or unit of evidence) more of it adds to the
    /// log-odds, or the category instead of the reference of its column.
    pub fn effects(&self) -> Vec<f64> {
        let Model { encoder, fitted, .. } = self.model;
        let mut effects = fitted.coefficients.clone();
        let first = encoder.numeric.len() + encoder.dates.len();
        for (feature, column) in encoder.categorical.iter().zip(&self.columns[first..]) {
            if feature.bins.is_none() {
                for value in &mut effects[column.features.clone()] {
                    *value -= column.part;
                }
            }
        }
        for (feature, column) in encoder.dates.iter().zip(&self.columns[encoder.numeric.len()..]) {
            for (first, n) in feature.categories() {
                let effects = &mut effects[column.features.start + first..][..n];
                let average = mean(effects);
                for value in effects {
                    *value -= average;
                }
            }
        }
        effects
    }

    /// Replaces the content of `contributions` by that of `column` for each row of `table`, which must
    /// have the columns of the model's schema; NaN for a missing value that the model does not fill.
    pub fn contributions(&self, column: usize, table: &Table, contributions: &mut Vec<f64>) {
        contributions.clear();
        contributions.resize(table.len(), 0.0);
        let encoder = &self.model.encoder;
        let (numeric, dates) = (encoder.numeric.len(), encoder.dates.len());
        let Column { features, part, .. } = &self.columns[column];
        if let Some(feature) = encoder.numeric.get(column) {
            let values = &table.numeric[column];
            self.predictor.add_numeric(feature, features.start, values, contributions);
        } else if column < numeric + dates {
            self.predictor.add_dates(column - numeric, features.start, table, contributions);
        } else {
            let category = column - numeric - dates;
            let (feature, texts) = (&encoder.categorical[category], &table.categorical[category]);
            self.predictor.add_categorical(feature, features.start, texts, contributions);
        }
        // Numbers are compared with a part of 0, of which nothing is to be taken.
        if *part != 0.0 {
            for value in contributions {
                *value -= part;
            }
        }
    }

    /// Replaces the content of `explanations` by the `most` largest contributions to each row of `table`,
    /// or all if there are fewer columns. Memory: a number for each cell of `table`, besides the result.
    pub fn explain(&self, table: &Table, most: usize, explanations: &mut Explanations) {
        let (rows, columns) = (table.len(), self.columns());
        let most = most.min(columns);
        let Explanations { each, largest, log_odds, others } = explanations;
        *each = most;
        largest.clear();
        others.clear();
        self.predictor.log_odds(table, log_odds);
        let mut all = Vec::with_capacity(rows * columns);
        let mut one = Vec::new();
        for column in 0..columns {
            self.contributions(column, table, &mut one);
            all.extend_from_slice(&one);
        }
        let mut ranked: Vec<Contribution> = Vec::with_capacity(columns);
        for row in 0..rows {
            ranked.clear();
            let value = |column: usize| all[column * rows + row];
            #[expect(clippy::cast_possible_truncation, reason = "a schema has fewer columns")]
            let contribution =
                |column: usize| Contribution { column: column as u32, value: value(column) };
            ranked.extend((0..columns).map(contribution));
            // Of equal ones the first column.
            ranked.sort_unstable_by(|a, b| {
                b.value.abs().total_cmp(&a.value.abs()).then(a.column.cmp(&b.column))
            });
            let (kept, rest) = ranked.split_at(most);
            largest.extend_from_slice(kept);
            // The sum of no numbers at all is -0 to an iterator, which people would see.
            others.push(rest.iter().fold(0.0, |sum, contribution| sum + contribution.value));
        }
    }
}

/// The reference of a numeric column, and its part: the mean, or for bins what they add on average
/// over the training rows.
fn of_numbers<'a>(
    predictor: &Predictor,
    feature: &NumericFeature,
    features: &Range<usize>,
    scaler: &Scaler,
) -> (Reference<'a>, f64) {
    let average = scaler.mean[features.start];
    match &feature.shape {
        Shape::Line => (Reference::Mean(average), 0.0),
        // The first of its features is the number itself.
        Shape::Spline(_) => {
            (Reference::Mean(average), predictor.share(feature, features.start, average))
        }
        Shape::Bins(bins) => {
            let weight = predictor.weight(features.start);
            (Reference::AverageLevel, weight * bins.average_woe())
        }
    }
}

/// The reference of a categorical column with these coefficients, and its part.
fn of_levels<'a>(feature: &'a CategoricalFeature, coefficients: &[f64]) -> (Reference<'a>, f64) {
    match (&feature.bins, feature.fill) {
        (Some(bins), _) => (Reference::AverageLevel, coefficients[0] * bins.average_woe()),
        (None, Some(level)) => {
            let name = feature.level_name(level as usize);
            (Reference::Level(name), coefficients[level as usize])
        }
        (None, None) => (Reference::AverageLevel, mean(coefficients)),
    }
}

fn mean(values: &[f64]) -> f64 {
    let mut sum = ExactSum::default();
    for value in values {
        sum.add(*value);
    }
    sum.mean().unwrap_or(0.0)
}

/// The row with which others are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReferenceRow {
    /// Its log-odds.
    pub log_odds: f64,
    /// Its values by column: means and categories; null for the average category.
    pub values: Map<String, Value>,
}

impl fmt::Display for ReferenceRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.iter().map(|(name, value)| match value {
            Value::Number(mean) => format!("{name} {}", six_digits(mean.as_f64().unwrap_or(0.0))),
            Value::String(level) => format!("{name} {level}"),
            _ => format!("{name} of the average category"),
        });
        write!(f, "a row with {}, whose log-odds are {:.4}", text::names(values), self.log_odds)
    }
}

/// A number with six digits that count, or more before its point.
fn six_digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let places = (5.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 14.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 14")]
    let places = places as usize;
    format!("{value:.places$}")
}

/// What a column adds to the log-odds of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    /// The number of the column, see [`Explainer::name`].
    pub column: u32,
    /// The difference in log-odds from the reference.
    pub value: f64,
}

/// The largest contributions to each row of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explanations {
    /// How many there are for each row.
    each: usize,
    /// Those of one row after the other, the largest absolute value first.
    largest: Vec<Contribution>,
    log_odds: Vec<f64>,
    /// For each row the sum of all other contributions.
    others: Vec<f64>,
}

impl Explanations {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.log_odds.len()
    }

    /// Number of contributions to each row.
    pub fn each(&self) -> usize {
        self.each
    }

    /// The contributions to `row`, the largest absolute value first.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn largest(&self, row: usize) -> &[Contribution] {
        &self.largest[row * self.each..(row + 1) * self.each]
    }

    /// The sum of all other contributions to `row`.
    pub fn others(&self, row: usize) -> f64 {
        self.others[row]
    }

    /// The log-odds of `row`; NaN without a prediction.
    pub fn log_odds(&self, row: usize) -> f64 {
        self.log_odds[row]
    }

    /// Whether all numbers of `row` are finite.
    pub fn is_finite(&self, row: usize) -> bool {
        let parts = self.largest(row).iter().map(|contribution| contribution.value);
        parts.chain([self.others[row], self.log_odds[row]]).all(f64::is_finite)
    }

    /// Appends the rows of `more`, which has as many contributions to each row.
    pub fn append(&mut self, more: &Self) {
        self.each = more.each;
        self.largest.extend_from_slice(&more.largest);
        self.log_odds.extend_from_slice(&more.log_odds);
        self.others.extend_from_slice(&more.others);
    }

    /// The memory that they take, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Contribution>() * self.largest.len() + 2 * size_of::<f64>() * self.rows()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_as_long_as_people_read_them() {
        for (value, text) in [
            (130.305_835, "130.306"),
            (-1_330.202_817, "-1330.20"),
            (0.000_123_45, "0.000123450"),
            (123_456_789.4, "123456789"),
            (0.0, "0"),
        ] {
            assert_eq!(six_digits(value), text);
        }
    }
}
