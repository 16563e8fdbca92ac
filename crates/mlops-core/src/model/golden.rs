//! Golden predictions: a few rows with their probabilities, stored beside a model to verify it.
//!
//! They are computed at training by the plain formula, row by row and feature by feature, never by
//! the [`Predictor`] that they verify.

use serde::{Deserialize, Serialize};

use super::{Model, Predictor, Shape, dates};
use crate::platform::digest::Digest;
use crate::table::Table;
use crate::table::schema::Schema;
use crate::{Error, Result};

/// Number of rows stored.
pub const ROWS: usize = 16;
/// The largest difference of probabilities that rounding explains.
const TOLERANCE: f64 = 1e-12;

/// The content of `golden.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// Version of this file's format.
    pub format_version: u32,
    /// SHA-256 of the artifact that gives these probabilities.
    pub artifact: Digest,
    /// Rows in canonical spelling: CSV lines in schema order, without labels.
    pub rows: Vec<GoldenRow>,
}

/// One row with its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoldenRow {
    /// Numeric columns, then dates as days since 1970; null is a missing value.
    pub numeric: Vec<Option<f64>>,
    /// Categorical columns; empty is a missing value.
    pub categorical: Vec<String>,
    /// The probability of the positive class; null if the model gives none.
    pub probability: Option<f64>,
}

impl Golden {
    /// The golden rows of `model`, whose file has the digest `artifact`: the first rows of `table`
    /// and a row without values.
    pub fn of(model: &Model, artifact: Digest, table: &Table) -> Self {
        let mut rows: Vec<GoldenRow> = (0..table.len().min(ROWS))
            .map(|i| GoldenRow {
                numeric: table.numeric.iter().map(|c| Some(c[i]).filter(|v| !v.is_nan())).collect(),
                categorical: table.categorical.iter().map(|c| c.get(i).to_owned()).collect(),
                probability: None,
            })
            .collect();
        rows.push(GoldenRow {
            numeric: vec![None; table.numeric.len()],
            categorical: vec![String::new(); table.categorical.len()],
            probability: None,
        });
        for row in &mut rows {
            row.probability = plain_probability(model, row);
        }
        Self { format_version: 1, artifact, rows }
    }

    /// Compares the fast predictions of `model` with the golden ones.
    ///
    /// # Errors
    /// `Artifact` if the rows belong to another model or a probability differs.
    pub fn verify(&self, model: &Model, artifact: Digest, place: &str) -> Result<()> {
        if self.artifact != artifact {
            let message = format!(
                "the golden predictions belong to the artifact {}, not to {}: run `training` again",
                self.artifact.short(),
                artifact.short()
            );
            return Err(Error::artifact(place, message));
        }
        let table = self.table(&model.schema);
        let fits = table.as_ref().is_some_and(|t| {
            t.numeric.len() == model.encoder.numeric.len() + model.encoder.dates.len()
                && t.categorical.len() == model.encoder.categorical.len()
        });
        let Some(table) = table.filter(|_| fits) else {
            return Err(Error::artifact(place, "a golden row has other columns than the model"));
        };
        let found = Predictor::new(model).predict(&table).rows;
        for (i, (row, found)) in self.rows.iter().zip(found).enumerate() {
            let found = found.map(|p| p.probability);
            let same = match (row.probability, found) {
                (None, None) => true,
                (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE,
                _ => false,
            };
            if !same {
                let message = format!(
                    "golden row {i} should give the probability {:?}, the loaded model gives \
                     {found:?}: it is not the model that was trained. Train again",
                    row.probability
                );
                return Err(Error::artifact(place, message));
            }
        }
        Ok(())
    }

    fn table(&self, schema: &Schema) -> Option<Table> {
        let mut table = Table::new(schema);
        for row in &self.rows {
            if row.numeric.len() != table.numeric.len()
                || row.categorical.len() != table.categorical.len()
            {
                return None;
            }
            table.push_values(&row.numeric, &row.categorical);
        }
        Some(table)
    }
}

/// The textbook formula: log-odds = intercept + sum of coefficient times standardised feature;
/// probability = its logistic function.
fn plain_probability(model: &Model, row: &GoldenRow) -> Option<f64> {
    let mut features = Vec::new();
    for (feature, value) in model.encoder.numeric.iter().zip(&row.numeric) {
        if feature.shape == Shape::Line {
            features.push(value.or(feature.fill)?);
            continue;
        }
        if value.is_none() && !feature.takes_missing() {
            return None;
        }
        let value = value.unwrap_or(f64::NAN);
        features.extend((0..feature.width()).map(|j| feature.feature(j, value)));
    }
    let columns = &model.encoder.dates;
    let days = row.numeric.get(model.encoder.numeric.len()..).unwrap_or_default();
    for (at, column) in columns.iter().enumerate() {
        days.get(at)?.or(column.fill)?;
        let of = |at: usize| days.get(at).copied().flatten().unwrap_or(f64::NAN);
        features.extend((0..column.width()).map(|j| dates::feature(columns, at, j, of)));
    }
    if features.iter().any(|feature| feature.is_nan()) {
        return None;
    }
    for (feature, text) in model.encoder.categorical.iter().zip(&row.categorical) {
        if let Some(bins) = &feature.bins {
            let missing = bins.missing.filter(|_| text.is_empty());
            if text.is_empty() && missing.is_none() {
                return None;
            }
            features.push(missing.map_or_else(|| feature.woe(feature.level(text)), |bin| bin.woe));
            continue;
        }
        let filled = match (text.as_str(), feature.fill) {
            ("", None) => return None,
            // Any of the values that share a feature stands for all of them.
            ("", Some(fill)) => match feature.levels.get(fill as usize) {
                Some(level) => level,
                None => feature.pooled.first()?,
            },
            (text, _) => text,
        };
        for level in &feature.levels {
            features.push(if level == filled { 1.0 } else { 0.0 });
        }
        if !feature.pooled.is_empty() {
            let pooled = feature.pooled.iter().any(|level| level == filled);
            features.push(if pooled { 1.0 } else { 0.0 });
        }
    }
    let mut log_odds = model.fitted.intercept;
    for (j, x) in features.iter().enumerate() {
        let standardised = (x - model.scaler.mean[j]) / model.scaler.scale[j];
        log_odds += model.fitted.coefficients[j] * standardised;
    }
    Some(1.0 / (1.0 + (-log_odds).exp()))
}
