//! The bins and levels of a model with what stands behind them, and the points of a scorecard.
//!
//! The points of a row are offset + factor * log-odds (see [`Scale`]). This is a sum: base points from
//! the offset and the intercept, and for each column the points of the bin or level that the row is in.
//! Each summand is rounded to a whole number, so that anyone can add up the points of a row from the
//! printed table; the sum is then off the exact points by at most half a point for the base and for
//! each column. Not for probabilities, which are never rounded: see [`super::Predictor`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bins::{Bin, Bins, Holds};
use super::encoder::{CategoricalFeature, Encoder, NumericFeature, Shape};
use super::{Counts, Model};
use crate::config::Scale;
use crate::table::Table;
use crate::text;

/// What a bin or level holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// Numbers above one edge and up to another.
    Numbers {
        /// The edge below, which belongs to the bin before; `None` for the first bin.
        above: Option<f64>,
        /// The edge that still belongs to the bin; `None` for the last one.
        up_to: Option<f64>,
    },
    /// Values of a categorical column.
    Levels(Vec<String>),
    /// No value.
    Missing,
}

/// Points of a bin or level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Points {
    /// Before rounding.
    pub exact: f64,
    /// What a row gets.
    pub rounded: i64,
}

impl Points {
    #[expect(clippy::cast_possible_truncation, reason = "points beyond 64 bits are the largest")]
    fn of(exact: f64) -> Self {
        Self { exact, rounded: exact.round() as i64 }
    }
}

/// A bin or level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttributeRow {
    /// What it holds.
    pub attribute: Attribute,
    /// Its training rows; `None` for a level without bins.
    pub counts: Option<Counts>,
    /// Its weight of evidence, for a column with bins.
    pub woe: Option<f64>,
    /// Its points, with a scorecard.
    pub points: Option<Points>,
}

/// A column with its bins or levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttributeColumn {
    /// The column's name.
    pub name: String,
    /// Its information value, if it has bins.
    pub information_value: Option<f64>,
    /// Its bins or levels, that of missing values last.
    pub rows: Vec<AttributeRow>,
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers { above: None, up_to: None } => f.write_str("any number"),
            Self::Numbers { above: None, up_to: Some(up_to) } => write!(f, "up to {up_to}"),
            Self::Numbers { above: Some(above), up_to: None } => write!(f, "above {above}"),
            Self::Numbers { above: Some(above), up_to: Some(up_to) } => {
                write!(f, "above {above}, up to {up_to}")
            }
            Self::Levels(levels) => f.write_str(&text::names(levels)),
            Self::Missing => f.write_str("missing"),
        }
    }
}

/// The columns of `model` that have bins, and with a scorecard all others; all are in schema order,
/// numeric ones first.
pub fn attributes(model: &Model) -> Vec<AttributeColumn> {
    let encoder = &model.encoder;
    let mut ranges = encoder.features_of_columns().into_iter();
    let mut columns = Vec::new();
    for feature in &encoder.numeric {
        let first = ranges.next().map_or(0, |(_, range)| range.start);
        if let Shape::Bins(bins) = &feature.shape {
            let names = |bin| match &bins.holds {
                Holds::Up(edges) => Attribute::Numbers {
                    above: usize::checked_sub(bin, 1).and_then(|at| edges.get(at)).copied(),
                    up_to: edges.get(bin).copied(),
                },
                Holds::Levels(_) => Attribute::Missing,
            };
            columns.push(binned(model, &feature.name, bins, first, names));
        }
    }
    for feature in &encoder.categorical {
        let first = ranges.next().map_or(0, |(_, range)| range.start);
        match &feature.bins {
            Some(bins) => {
                let names = |bin| {
                    let own = feature.levels.iter().enumerate();
                    let shared = feature.pooled.iter().map(|text| (feature.levels.len(), text));
                    let all =
                        own.chain(shared).filter(|(level, _)| bins.of_level(*level) == Some(bin));
                    Attribute::Levels(all.map(|(_, text)| text.clone()).collect())
                };
                columns.push(binned(model, &feature.name, bins, first, names));
            }
            None if model.scale.is_some() => columns.push(one_hot(model, feature, first)),
            None => {}
        }
    }
    columns
}

/// The points that the value `value` of feature `j` adds.
fn points(model: &Model, j: usize, value: f64) -> Option<Points> {
    let standardised = (value - model.scaler.mean[j]) / model.scaler.scale[j];
    let factor = model.scale?.factor();
    Some(Points::of(factor * (model.fitted.coefficients[j] * standardised)))
}

fn binned(
    model: &Model,
    name: &str,
    bins: &Bins,
    feature: usize,
    attribute: impl Fn(usize) -> Attribute,
) -> AttributeColumn {
    let row = |attribute, bin: &Bin| AttributeRow {
        attribute,
        counts: Some(bin.counts),
        woe: Some(bin.woe),
        points: points(model, feature, bin.woe),
    };
    let mut rows: Vec<AttributeRow> =
        bins.bins.iter().enumerate().map(|(at, bin)| row(attribute(at), bin)).collect();
    rows.extend(bins.missing.iter().map(|bin| row(Attribute::Missing, bin)));
    let information_value = Some(bins.information_value());
    AttributeColumn { name: name.to_owned(), information_value, rows }
}

fn one_hot(model: &Model, feature: &CategoricalFeature, first: usize) -> AttributeColumn {
    let levels = |level: usize| match feature.levels.get(level) {
        Some(text) => vec![text.clone()],
        None => feature.pooled.clone(),
    };
    let row = |attribute, level| AttributeRow {
        attribute,
        counts: None,
        woe: None,
        points: points(model, first + level, 1.0),
    };
    let mut rows: Vec<AttributeRow> =
        (0..feature.count()).map(|level| row(Attribute::Levels(levels(level)), level)).collect();
    rows.extend(feature.fill.map(|level| row(Attribute::Missing, level as usize)));
    AttributeColumn { name: feature.name.clone(), information_value: None, rows }
}

/// The points of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Scorecard {
    /// The points that every row starts with.
    pub base: Points,
    numeric: Vec<ColumnPoints>,
    categorical: Vec<ColumnPoints>,
}

/// The points of a column by bin or level.
#[derive(Debug, Clone, PartialEq)]
struct ColumnPoints {
    there: Vec<i64>,
    /// `None` if the model has no answer without a value.
    missing: Option<i64>,
}

impl ColumnPoints {
    fn of(column: &AttributeColumn) -> Self {
        let (mut there, mut missing) = (Vec::new(), None);
        for row in &column.rows {
            let Some(points) = row.points else { continue };
            match row.attribute {
                Attribute::Missing => missing = Some(points.rounded),
                _ => there.push(points.rounded),
            }
        }
        Self { there, missing }
    }
}

impl Scorecard {
    /// The scorecard of `model`; `None` if it has none.
    pub fn of(model: &Model) -> Option<Self> {
        let scale: Scale = model.scale?;
        let mut numeric: Vec<ColumnPoints> =
            attributes(model).iter().map(ColumnPoints::of).collect();
        let categorical = numeric.split_off(model.encoder.numeric.len().min(numeric.len()));
        let base = Points::of(scale.offset() + scale.factor() * model.fitted.intercept);
        Some(Self { base, numeric, categorical })
    }

    /// The points of each row of `table`, which must have the columns of the model's schema; `None`
    /// where a missing value forbids a prediction. `encoder` is that of the model. A category that was
    /// not seen in training adds nothing.
    pub fn points(&self, encoder: &Encoder, table: &Table) -> Vec<Option<i64>> {
        let mut sums = vec![Some(self.base.rounded); table.len()];
        let add = |sum: &mut Option<i64>, points: Option<i64>| {
            *sum = sum.and_then(|sum| Some(sum.saturating_add(points?)));
        };
        let columns = encoder.numeric.iter().zip(&self.numeric).zip(&table.numeric);
        for ((feature, points), values) in columns {
            for (sum, value) in sums.iter_mut().zip(values) {
                add(sum, of_number(feature, points, *value));
            }
        }
        let columns = encoder.categorical.iter().zip(&self.categorical).zip(&table.categorical);
        for ((feature, points), texts) in columns {
            for (sum, text) in sums.iter_mut().zip(texts.iter()) {
                add(sum, of_text(feature, points, text));
            }
        }
        sums
    }
}

fn of_number(feature: &NumericFeature, points: &ColumnPoints, value: f64) -> Option<i64> {
    let Shape::Bins(bins) = &feature.shape else { return None };
    bins.of_number(value).map_or(points.missing, |bin| points.there.get(bin).copied())
}

fn of_text(feature: &CategoricalFeature, points: &ColumnPoints, text: &str) -> Option<i64> {
    if text.is_empty() {
        return points.missing;
    }
    let level = feature.level(text);
    let place = match &feature.bins {
        None => level,
        Some(bins) => level.and_then(|level| bins.of_level(level)),
    };
    place.map_or(Some(0), |place| points.there.get(place).copied())
}
