//! Why a row got its prediction: what each column adds to the log-odds, against a reference.
//!
//! The log-odds are the intercept and one part for each schema column, as [`Predictor`] adds them up;
//! the features of a one-hot column are one part. The contribution of a column is its part less that
//! of its [`Reference`], so that the log-odds of the reference and all contributions are the row's
//! log-odds. For a linear model whose features are taken as independent these are its Shapley values
//! (Lundberg and Lee, "A unified approach to interpreting model predictions", 2017, corollary 1).
//!
//! Whatever a column is made of belongs to [`Predictor`], which adds its part; here a part is one
//! number. Not for the words that go with a column: see `config::Reasons`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::{CategoricalFeature, Model, Predictor};
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
    /// A category of a model that fills no missing values and therefore does not know which one is the
    /// most frequent: the mean effect of its categories, each counted once.
    AverageLevel,
}

/// Explains the predictions of a model.
#[derive(Debug, Clone)]
pub struct Explainer<'a> {
    model: &'a Model,
    predictor: Predictor<'a>,
    /// The first feature of each categorical column, and the part of its reference.
    categorical: Vec<(usize, f64)>,
    log_odds: f64,
}

impl<'a> Explainer<'a> {
    /// An explainer for `model`.
    pub fn new(model: &'a Model) -> Self {
        let Model { encoder, fitted, .. } = model;
        let mut first = encoder.numeric.len();
        let mut categorical = Vec::with_capacity(encoder.categorical.len());
        for feature in &encoder.categorical {
            let next = first + feature.width();
            categorical.push((first, reference_part(feature, &fitted.coefficients[first..next])));
            first = next;
        }
        // The part of a number at its mean is 0.
        let parts = categorical.iter().map(|(_, part)| part);
        let log_odds = fitted.intercept + parts.sum::<f64>();
        Self { model, predictor: Predictor::new(model), categorical, log_odds }
    }

    /// Number of columns: all of the schema that are features, in its order.
    pub fn columns(&self) -> usize {
        self.model.encoder.numeric.len() + self.categorical.len()
    }

    /// The name of `column`.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn name(&self, column: usize) -> &'a str {
        let encoder = &self.model.encoder;
        match encoder.numeric.get(column) {
            Some(feature) => &feature.name,
            None => &encoder.categorical[column - encoder.numeric.len()].name,
        }
    }

    /// What `column` is compared with.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn reference(&self, column: usize) -> Reference<'a> {
        let Model { encoder, scaler, .. } = self.model;
        let Some(category) = column.checked_sub(encoder.numeric.len()) else {
            return Reference::Mean(scaler.mean[column]);
        };
        let feature = &encoder.categorical[category];
        match feature.fill {
            Some(level) => Reference::Level(feature.level_name(level as usize)),
            None => Reference::AverageLevel,
        }
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

    /// For each feature, what one standard deviation more of it adds to the log-odds, or the category
    /// instead of the reference of its column.
    pub fn effects(&self) -> Vec<f64> {
        let mut effects = self.model.fitted.coefficients.clone();
        for (feature, (first, reference)) in
            self.model.encoder.categorical.iter().zip(&self.categorical)
        {
            effects[*first..first + feature.width()]
                .iter_mut()
                .for_each(|value| *value -= reference);
        }
        effects
    }

    /// Replaces the content of `contributions` by that of `column` for each row of `table`, which must
    /// have the columns of the model's schema; NaN for a missing value that the model does not fill.
    pub fn contributions(&self, column: usize, table: &Table, contributions: &mut Vec<f64>) {
        contributions.clear();
        contributions.resize(table.len(), 0.0);
        let numeric = self.model.encoder.numeric.len();
        let Some(category) = column.checked_sub(numeric) else {
            self.predictor.add_numeric(column, &table.numeric[column], contributions);
            return;
        };
        let feature = &self.model.encoder.categorical[category];
        let (first, reference) = self.categorical[category];
        let texts = &table.categorical[category];
        self.predictor.add_categorical(feature, first, texts, contributions);
        contributions.iter_mut().for_each(|part| *part -= reference);
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
            others.push(rest.iter().map(|contribution| contribution.value).sum());
        }
    }
}

/// The part of the reference of a categorical column with these coefficients.
fn reference_part(feature: &CategoricalFeature, coefficients: &[f64]) -> f64 {
    match feature.fill {
        Some(level) => coefficients[level as usize],
        None => {
            let mut sum = ExactSum::default();
            coefficients.iter().for_each(|value| sum.add(*value));
            sum.mean().unwrap_or(0.0)
        }
    }
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
            Value::Number(mean) => format!("{name} {:.6}", mean.as_f64().unwrap_or(f64::NAN)),
            Value::String(level) => format!("{name} {level}"),
            _ => format!("{name} of the average category"),
        });
        write!(f, "a row with {}, whose log-odds are {:.4}", text::names(values), self.log_odds)
    }
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
