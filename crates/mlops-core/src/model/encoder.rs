//! From raw columns to features: imputation and one-hot encoding.
//!
//! scikit-learn's `SimpleImputer` and `OneHotEncoder(handle_unknown="ignore")` in one. Numeric
//! features come first, then one feature for each level of each categorical column. A category
//! that was not seen in training becomes all zeros. Not for scaling: see `fit::Scaler`; not for
//! learning from rows: see [`super::TrainingRows`].

use bincode::{Decode, Encode};

use super::MissingPolicy;
use crate::Error;

/// More levels than this and a column is taken for an id.
pub(super) const MAX_LEVELS: usize = 1_000;

/// A numeric column.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct NumericFeature {
    /// The column.
    pub name: String,
    /// What a missing value becomes, if the policy imputes.
    pub fill: Option<f64>,
}

/// A categorical column.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct CategoricalFeature {
    /// The column.
    pub name: String,
    /// The values seen in training, sorted; one feature each.
    pub levels: Vec<String>,
    /// Index of the level that a missing value becomes, if the policy imputes.
    pub fill: Option<u32>,
}

impl CategoricalFeature {
    /// The level of `text`; `None` for a value not seen in training.
    pub fn level(&self, text: &str) -> Option<usize> {
        self.levels.binary_search_by(|level| level.as_str().cmp(text)).ok()
    }
}

/// The learned encoding.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Encoder {
    /// What happens to missing values.
    pub missing: MissingPolicy,
    /// Numeric columns, in schema order.
    pub numeric: Vec<NumericFeature>,
    /// Categorical columns, in schema order.
    pub categorical: Vec<CategoricalFeature>,
}

impl Encoder {
    /// Number of features.
    pub fn width(&self) -> usize {
        self.numeric.len() + self.categorical.iter().map(|c| c.levels.len()).sum::<usize>()
    }

    /// One name for each feature: the column, or `column=level`.
    pub fn feature_names(&self) -> Vec<String> {
        let numeric = self.numeric.iter().map(|f| f.name.clone());
        let levels = self
            .categorical
            .iter()
            .flat_map(|f| f.levels.iter().map(move |level| format!("{}={level}", f.name)));
        numeric.chain(levels).collect()
    }

    /// For each feature whether it is a number, to be scaled.
    pub fn is_numeric(&self) -> Vec<bool> {
        (0..self.width()).map(|j| j < self.numeric.len()).collect()
    }
}

/// What is wrong with the categorical column `name`.
pub(super) fn too_many_levels(name: &str) -> Error {
    Error::data(format!(
        "the categorical column \"{name}\" has over {MAX_LEVELS} different values: it names rows \
         rather than groups of them. Move it to \"schema.id\", or group its values"
    ))
}
