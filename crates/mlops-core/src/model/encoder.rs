//! From raw columns to features: imputation and one-hot encoding.
//!
//! scikit-learn's `SimpleImputer` and `OneHotEncoder(handle_unknown="ignore")` in one. Numeric
//! features come first, then one feature for each level of each categorical column; rare levels may
//! share one. A category that was not seen in training becomes all zeros. Not for scaling: see
//! `fit::Scaler`; not for learning from rows: see [`super::TrainingRows`].

use crate::config::choices::Pooling;
use bincode::{Decode, Encode};

use crate::config::choices::MissingPolicy;
use crate::text;
use crate::{Error, Result};

/// The level name of the feature that rare levels share.
pub(super) const POOL: &str = "(infrequent)";

/// A numeric column.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct NumericFeature {
    /// The column's name.
    pub name: String,
    /// The value that replaces a missing one, if the policy imputes.
    pub fill: Option<f64>,
}

/// A categorical column.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoricalFeature {
    /// The column's name.
    pub name: String,
    /// The values seen in training, sorted; each has a feature.
    pub levels: Vec<String>,
    /// Rare values seen in training, sorted; they share one feature, after those of `levels`.
    pub pooled: Vec<String>,
    /// Index of the feature set for a missing value, if the policy imputes.
    pub fill: Option<u32>,
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
        let mut feature = Self { name: name.to_owned(), levels, pooled, fill: None };
        let fill =
            fill.filter(|_| missing.is_some()).and_then(|fill| feature.level(&sorted[fill].0));
        feature.fill = fill.and_then(|fill| u32::try_from(fill).ok());
        feature
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.levels.len() + usize::from(!self.pooled.is_empty())
    }

    /// The index, within the column, of the feature for `text`; `None` for a value not seen in
    /// training.
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
#[derive(Debug, Clone, PartialEq)]
pub struct Encoder {
    /// How missing values are treated.
    pub missing: MissingPolicy,
    /// Numeric columns, in schema order.
    pub numeric: Vec<NumericFeature>,
    /// Categorical columns, in schema order.
    pub categorical: Vec<CategoricalFeature>,
}

impl Encoder {
    /// Number of features.
    pub fn width(&self) -> usize {
        self.numeric.len() + self.categorical.iter().map(CategoricalFeature::width).sum::<usize>()
    }

    /// One name per feature: the column, or `column=level`.
    pub fn feature_names(&self) -> Vec<String> {
        let numeric = self.numeric.iter().map(|f| f.name.clone());
        let levels = self.categorical.iter().flat_map(|f| {
            (0..f.width()).map(|level| format!("{}={}", f.name, f.level_name(level)))
        });
        numeric.chain(levels).collect()
    }

    /// For each feature, whether it is numeric and therefore scaled.
    pub fn is_numeric(&self) -> Vec<bool> {
        (0..self.width()).map(|j| j < self.numeric.len()).collect()
    }
}

/// The error for columns without a value in any training row.
pub(super) fn empty_columns(names: &[&String]) -> Error {
    let (column, is) = if names.len() == 1 { ("column", "is") } else { ("columns", "are") };
    let list = text::names(names.iter().map(|name| format!("\"{name}\"")));
    Error::data(format!(
        "the {column} {list} {is} empty in every training row: remove {column} without values from \
         \"schema.numeric\" and \"schema.categorical\", or complete the data"
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
            categorical: vec![feature],
        };
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
        let (missing, numeric) = (MissingPolicy::Drop, Vec::new());
        let encoder = Encoder { missing, numeric, categorical: vec![feature] };
        assert!(check_width(&encoder, usize::MAX).is_ok());
        let error = check_width(&encoder, 1 << 24).unwrap_err().to_string();
        assert!(error.contains("\"who\"") && error.contains("schema.max_levels"), "{error}");
    }
}
