//! From raw columns to features: imputation, one-hot encoding, splines and bins.
//!
//! scikit-learn's `SimpleImputer` and `OneHotEncoder(handle_unknown="ignore")` in one. The features
//! of numeric columns come first: the number itself, the terms of a spline, or the weight of evidence
//! of its bin. Then come those of dates (see `dates`) and of categorical columns: one feature for each level, of which rare ones
//! may share one, or one feature for the bin. A category that was not seen in training becomes all
//! zeros, which for bins is the weight of the average. Not for scaling: see `fit::Scaler`; not for
//! learning from rows: see [`super::TrainingRows`].

use std::ops::Range;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::bins::Bins;
use super::dates::DateFeature;
use super::spline::Spline;
use crate::config::choices::MissingPolicy;
use crate::config::choices::Pooling;
use crate::text;
use crate::{Error, Result};

/// The level name of the feature that rare levels share.
pub(super) const POOL: &str = "(infrequent)";

/// A numeric column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumericFeature {
    /// The column's name.
    pub name: String,
    /// The value that replaces a missing one, if the policy imputes and the column has no bins.
    pub fill: Option<f64>,
    /// How a number becomes features.
    pub shape: Shape,
}

/// How the numbers of a column become features.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub enum Shape {
    /// The number is the feature.
    #[default]
    Line,
    /// The terms of a spline.
    Spline(Spline),
    /// The weight of evidence of the number's bin.
    Bins(Bins),
}

impl NumericFeature {
    /// A column whose numbers are features as they are, or `fill` where they are missing.
    pub fn line(name: String, fill: Option<f64>) -> Self {
        Self { name, fill, shape: Shape::Line }
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        match &self.shape {
            Shape::Line | Shape::Bins(_) => 1,
            Shape::Spline(spline) => spline.width(),
        }
    }

    /// Whether a missing value becomes features too.
    pub fn takes_missing(&self) -> bool {
        match &self.shape {
            Shape::Bins(bins) => bins.missing.is_some(),
            Shape::Line | Shape::Spline(_) => self.fill.is_some(),
        }
    }

    /// Feature `j` of the column for the number `x`; NaN is a missing one, and the result if none
    /// may be missing.
    pub fn feature(&self, j: usize, x: f64) -> f64 {
        let filled = if x.is_nan() { self.fill.unwrap_or(x) } else { x };
        match &self.shape {
            Shape::Line => filled,
            Shape::Spline(spline) => spline.term(j, filled),
            Shape::Bins(bins) => {
                let bin = bins.of_number(x).and_then(|bin| bins.bins.get(bin));
                bin.map_or_else(|| bins.missing_woe(), |bin| bin.woe)
            }
        }
    }

    fn feature_name(&self, j: usize) -> String {
        match &self.shape {
            Shape::Line => self.name.clone(),
            Shape::Spline(_) => format!("{} (spline {})", self.name, j + 1),
            Shape::Bins(_) => format!("{} (woe)", self.name),
        }
    }
}

/// A categorical column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CategoricalFeature {
    /// The column's name.
    pub name: String,
    /// The values seen in training, sorted; each has a feature.
    pub levels: Vec<String>,
    /// Rare values seen in training, sorted; they share one feature, after those of `levels`.
    pub pooled: Vec<String>,
    /// Index of the feature set for a missing value, if the policy imputes and the column has no
    /// bins.
    pub fill: Option<u32>,
    /// The bins of the levels, if the column becomes their weight of evidence.
    pub bins: Option<Bins>,
}

impl CategoricalFeature {
    /// Learns the column `name` from the counts `found`; `missing` values are replaced by the most
    /// frequent one, if they are imputed.
    pub(super) fn learn(
        name: &str,
        found: &[(String, u64)],
        missing: Option<u64>,
        pooling: Pooling,
    ) -> Self {
        let mut sorted: Vec<&(String, u64)> = found.iter().collect();
        sorted.sort();
        let mut counts: Vec<u64> = sorted.iter().map(|level| level.1).collect();
        // Of equally frequent levels the first in order.
        let most = counts.iter().max();
        let fill = counts.iter().position(|count| Some(count) == most);
        if let (Some(fill), Some(missing)) = (fill, missing) {
            counts[fill] += missing;
        }
        let rare = pooling.rare(&counts);
        let of = |wanted: bool| {
            let levels = sorted.iter().zip(&rare).filter(|(_, rare)| **rare == wanted);
            levels.map(|(level, _)| level.0.clone()).collect::<Vec<_>>()
        };
        let (levels, pooled) = (of(false), of(true));
        let mut feature = Self { name: name.to_owned(), levels, pooled, fill: None, bins: None };
        let fill =
            fill.filter(|_| missing.is_some()).and_then(|fill| feature.level(&sorted[fill].0));
        feature.fill = fill.and_then(|fill| u32::try_from(fill).ok());
        feature
    }

    /// Number of levels, the one that rare values share included.
    pub fn count(&self) -> usize {
        self.levels.len() + usize::from(!self.pooled.is_empty())
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        if self.bins.is_some() { 1 } else { self.count() }
    }

    /// Whether a missing value becomes features too.
    pub fn takes_missing(&self) -> bool {
        self.bins.as_ref().map_or(self.fill.is_some(), |bins| bins.missing.is_some())
    }

    /// The weight of evidence of a level as [`Self::level`] finds it: 0 if it was not seen in
    /// training; 0 for a column without bins.
    pub fn woe(&self, level: Option<usize>) -> f64 {
        let bins = self.bins.as_ref();
        let bin = level.zip(bins).and_then(|(level, bins)| bins.bins.get(bins.of_level(level)?));
        bin.map_or(0.0, |bin| bin.woe)
    }

    /// The index, within the column, of the level `text`, and of its feature if the column has no
    /// bins; `None` for a value not seen in training.
    pub fn level(&self, text: &str) -> Option<usize> {
        let find =
            |levels: &[String]| levels.binary_search_by(|level| level.as_str().cmp(text)).ok();
        find(&self.levels).or_else(|| find(&self.pooled).map(|_| self.levels.len()))
    }

    /// The level, or shared name, of feature `level` of the column.
    pub fn level_name(&self, level: usize) -> &str {
        self.levels.get(level).map_or(POOL, String::as_str)
    }
}

/// A learned encoding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    /// How missing values are treated.
    pub missing: MissingPolicy,
    /// Numeric columns, in schema order.
    pub numeric: Vec<NumericFeature>,
    /// Columns of dates, in schema order.
    pub dates: Vec<DateFeature>,
    /// Categorical columns, in schema order.
    pub categorical: Vec<CategoricalFeature>,
}

impl Encoder {
    /// Number of features.
    pub fn width(&self) -> usize {
        self.numeric.iter().map(NumericFeature::width).sum::<usize>()
            + self.dates.iter().map(DateFeature::width).sum::<usize>()
            + self.categorical.iter().map(CategoricalFeature::width).sum::<usize>()
    }

    /// The features of each column, in schema order: numeric columns, dates, categorical columns.
    pub fn features_of_columns(&self) -> Vec<(&str, Range<usize>)> {
        let numeric = self.numeric.iter().map(|f| (f.name.as_str(), f.width()));
        let dates = self.dates.iter().map(|f| (f.name.as_str(), f.width()));
        let categorical = self.categorical.iter().map(|f| (f.name.as_str(), f.width()));
        let mut next = 0;
        let range = |(name, width)| {
            let first = next;
            next += width;
            (name, first..next)
        };
        numeric.chain(dates).chain(categorical).map(range).collect()
    }

    /// One name per feature: the column, `column (spline 1)`, `column (woe)` or `column=level`.
    pub fn feature_names(&self) -> Vec<String> {
        let numeric = self.numeric.iter().flat_map(|f| (0..f.width()).map(|j| f.feature_name(j)));
        let levels = self.categorical.iter().flat_map(|f| {
            (0..f.width()).map(|level| match &f.bins {
                None => format!("{}={}", f.name, f.level_name(level)),
                Some(_) => format!("{} (woe)", f.name),
            })
        });
        let dates = self.dates.iter().flat_map(DateFeature::feature_names);
        numeric.chain(dates).chain(levels).collect()
    }

    /// For each feature, whether it is a number that is scaled. Zeros and ones are not, nor are weights
    /// of evidence, which have the unit of log-odds already.
    pub fn is_numeric(&self) -> Vec<bool> {
        let scaled = |f: &NumericFeature| vec![!matches!(f.shape, Shape::Bins(_)); f.width()];
        let mut numeric: Vec<bool> = self.numeric.iter().flat_map(scaled).collect();
        for date in &self.dates {
            numeric.extend((0..date.width()).map(|j| j < date.ages()));
        }
        numeric.resize(self.width(), false);
        numeric
    }
}

/// The error for columns without a value in any training row.
pub(super) fn empty_columns(names: &[&String]) -> Error {
    let (column, is, it) =
        if names.len() == 1 { ("column", "is", "it") } else { ("columns", "are", "them") };
    let list = text::names(names.iter().map(|name| format!("\"{name}\"")));
    Error::data(format!(
        "the {column} {list} {is} empty in every training row: remove {it} from the section \
         \"schema\", or complete the data"
    ))
}

/// Refuses an encoding with more features than a fit can hold in `memory` bytes.
///
/// # Errors
/// `Data`, naming the column with the most levels.
pub fn check_width(encoder: &Encoder, memory: usize) -> Result<()> {
    let width = encoder.width();
    let most = encoder.categorical.iter().max_by_key(|feature| feature.width());
    let fits = width.saturating_mul(width).saturating_mul(size_of::<f64>()) <= memory;
    let Some(most) = most.filter(|feature| !fits && feature.width() > width / 2) else {
        return Ok(());
    };
    Err(Error::data(format!(
        "the categorical column \"{}\" has {} different values, a feature each: a fit of {} features does \
         not fit into \"limits.memory_mib\". Let rare values share a feature (\"schema.max_levels\", \
         \"schema.min_frequency\"), move the column to \"schema.id\" if it names rows, or raise the limit",
        text::visible(&most.name),
        text::count(most.width() as u64),
        text::count(width as u64),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::choices::Frequency;

    fn pooled(counts: &[u64], max_levels: Option<u64>, least: Option<Frequency>) -> String {
        let rare = Pooling { max_levels, min_frequency: least }.rare(counts);
        rare.iter().map(|rare| if *rare { 'x' } else { '-' }).collect()
    }

    /// Worked out by hand from the rule of scikit-learn's `OneHotEncoder` (a stable sort by count, the last
    /// ones stay), which alone makes a pool of one level where there are just as many as allowed.
    #[test]
    fn rare_levels_are_those_of_scikit_learn() {
        let counts = [5, 20, 10, 3, 10];
        assert_eq!(pooled(&counts, None, None), "-----");
        assert_eq!(pooled(&counts, None, Some(Frequency::Rows(6))), "x--x-");
        assert_eq!(pooled(&counts, None, Some(Frequency::Rows(10))), "x--x-");
        assert_eq!(pooled(&counts, None, Some(Frequency::Share(0.21))), "x-xxx");
        assert_eq!(pooled(&counts, Some(3), None), "x-xx-");
        assert_eq!(pooled(&counts, Some(2), None), "x-xxx");
        assert_eq!(pooled(&counts, Some(1), None), "xxxxx");
        assert_eq!(pooled(&counts, Some(5), None), "-----");
        assert_eq!(pooled(&counts, Some(3), Some(Frequency::Rows(6))), "x-xx-");
        assert_eq!(pooled(&[], Some(1), Some(Frequency::Rows(1))), "");
    }

    #[test]
    fn rare_levels_share_a_feature_and_unknown_ones_have_none() {
        let found = [("b", 9), ("a", 1), ("c", 2), ("d", 7)].map(|(l, n)| (l.to_owned(), n));
        let pooling = Pooling { min_frequency: Some(Frequency::Rows(3)), ..Pooling::default() };
        let feature = CategoricalFeature::learn("g", &found, Some(4), pooling);
        assert_eq!((feature.width(), feature.fill), (3, Some(0)));
        let levels = ["a", "b", "c", "d", "e", ""].map(|text| feature.level(text));
        assert_eq!(levels, [Some(2), Some(0), Some(2), Some(1), None, None]);
        let encoder = Encoder {
            missing: MissingPolicy::Median,
            numeric: Vec::new(),
            dates: Vec::new(),
            categorical: vec![feature],
        };
        assert_eq!(encoder.features_of_columns(), [("g", 0..3)]);
        assert_eq!(encoder.feature_names(), ["g=b", "g=d", "g=(infrequent)"]);
        let all = Pooling { max_levels: Some(1), ..Pooling::default() };
        let feature = CategoricalFeature::learn("g", &found, Some(0), all);
        assert_eq!((feature.width(), feature.fill, feature.levels.len()), (1, Some(0), 0));
        assert_eq!(CategoricalFeature::learn("g", &found, None, all).fill, None);
    }

    #[test]
    fn more_features_than_memory_are_refused_by_name() {
        let found: Vec<_> = (0..2_000).map(|i| (format!("v{i}"), 1)).collect();
        let feature = CategoricalFeature::learn("who", &found, None, Pooling::default());
        let (missing, numeric, dates) = (MissingPolicy::Drop, Vec::new(), Vec::new());
        let encoder = Encoder { missing, numeric, dates, categorical: vec![feature] };
        assert!(check_width(&encoder, usize::MAX).is_ok());
        let error = check_width(&encoder, 1 << 24).unwrap_err().to_string();
        assert!(error.contains("\"who\"") && error.contains("schema.max_levels"), "{error}");
    }
}
