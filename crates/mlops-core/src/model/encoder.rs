//! From raw columns to features: imputation and one-hot encoding.
//!
//! scikit-learn's `SimpleImputer` and `OneHotEncoder(handle_unknown="ignore")` in one. Numeric
//! features come first, then one feature for each level of each categorical column. A category
//! that was not seen in training becomes all zeros. Not for scaling: see `fit::Scaler`.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};

use super::MissingPolicy;
use crate::profile::NumericProfile;
use crate::schema::{Role, Schema};
use crate::table::Table;
use crate::{Error, Result};

/// More levels than this and a column is taken for an id.
const MAX_LEVELS: usize = 1_000;

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

    /// Writes the features of row `i` to `features`; false when the row has a missing value that
    /// the policy does not fill.
    pub fn encode_row(&self, table: &Table, i: usize, features: &mut Vec<f64>) -> bool {
        features.clear();
        for (feature, column) in self.numeric.iter().zip(&table.numeric) {
            let value = column[i];
            match (value.is_nan(), feature.fill) {
                (false, _) => features.push(value),
                (true, Some(fill)) => features.push(fill),
                (true, None) => return false,
            }
        }
        for (feature, column) in self.categorical.iter().zip(&table.categorical) {
            let text = column.get(i);
            let level = if text.is_empty() {
                let Some(fill) = feature.fill else { return false };
                Some(fill as usize)
            } else {
                feature.level(text)
            };
            features.extend((0..feature.levels.len()).map(|l| f64::from(Some(l) == level)));
        }
        true
    }
}

/// Learns an [`Encoder`] from batches.
#[derive(Debug)]
pub struct EncoderBuilder {
    names: (Vec<String>, Vec<String>),
    missing: MissingPolicy,
    numeric: Vec<NumericProfile>,
    categorical: Vec<BTreeMap<String, u64>>,
    missing_rows: u64,
    missing_cells: Vec<u64>,
}

impl EncoderBuilder {
    /// Nothing seen yet.
    pub fn new(schema: &Schema, missing: MissingPolicy) -> Self {
        let numeric = super::owned(schema, Role::Numeric);
        let categorical = super::owned(schema, Role::Categorical);
        Self {
            missing,
            numeric: numeric.iter().map(|_| NumericProfile::default()).collect(),
            categorical: categorical.iter().map(|_| BTreeMap::new()).collect(),
            missing_rows: 0,
            missing_cells: vec![0; numeric.len() + categorical.len()],
            names: (numeric, categorical),
        }
    }

    /// Adds the rows of `table` that `keep` wants.
    pub fn add(&mut self, table: &Table, keep: impl Fn(usize) -> bool) -> Result<()> {
        for i in (0..table.len()).filter(|i| keep(*i)) {
            let mut missing = false;
            for (j, column) in table.numeric.iter().enumerate() {
                if column[i].is_nan() {
                    self.missing_cells[j] += 1;
                    missing = true;
                } else if matches!(self.missing, MissingPolicy::Median | MissingPolicy::Mean) {
                    self.numeric[j].push(Some(column[i]));
                }
            }
            for (j, column) in table.categorical.iter().enumerate() {
                let text = column.get(i);
                if text.is_empty() {
                    self.missing_cells[self.numeric.len() + j] += 1;
                    missing = true;
                    continue;
                }
                let levels = &mut self.categorical[j];
                if let Some(count) = levels.get_mut(text) {
                    *count += 1;
                } else {
                    levels.insert(text.to_owned(), 1);
                    if levels.len() > MAX_LEVELS {
                        return Err(Error::data(format!(
                            "the categorical column \"{}\" has over {MAX_LEVELS} different \
                             values: it names rows rather than groups of them. Move it to \
                             \"schema.id\", or group its values",
                            self.names.1[j]
                        )));
                    }
                }
            }
            self.missing_rows += u64::from(missing);
        }
        Ok(())
    }

    /// The encoding of everything added.
    pub fn finish(self) -> Result<Encoder> {
        if self.missing == MissingPolicy::Reject && self.missing_rows > 0 {
            let names = self.names.0.iter().chain(&self.names.1);
            let columns: Vec<String> = names
                .zip(&self.missing_cells)
                .filter(|(_, n)| **n > 0)
                .map(|(name, n)| format!("\"{name}\" {n}"))
                .collect();
            return Err(Error::data(format!(
                "{} rows have missing values ({}) and \"training.missing\" is \"reject\": \
                 complete the data, or choose \"median\", \"mean\" or \"drop\"",
                self.missing_rows,
                columns.join(", ")
            )));
        }
        let mut numeric = Vec::new();
        for (name, profile) in self.names.0.into_iter().zip(self.numeric) {
            let fill = match self.missing {
                MissingPolicy::Drop | MissingPolicy::Reject => None,
                policy => {
                    let summary = profile.finish();
                    let fill = match policy {
                        MissingPolicy::Mean => summary.mean,
                        _ => summary.median,
                    };
                    Some(fill.ok_or_else(|| {
                        Error::data(format!(
                            "the numeric column \"{name}\" is empty in every training row: \
                             remove it from \"schema.numeric\", or complete the data"
                        ))
                    })?)
                }
            };
            numeric.push(NumericFeature { name, fill });
        }
        let imputes = matches!(self.missing, MissingPolicy::Median | MissingPolicy::Mean);
        let mut categorical = Vec::new();
        for (name, levels) in self.names.1.into_iter().zip(self.categorical) {
            // Of equally frequent levels the first in order.
            let most = levels.values().copied().max().unwrap_or(0);
            let fill = levels.values().position(|n| *n == most);
            let fill = fill.filter(|_| imputes).and_then(|l| u32::try_from(l).ok());
            categorical.push(CategoricalFeature {
                name,
                levels: levels.into_keys().collect(),
                fill,
            });
        }
        Ok(Encoder { missing: self.missing, numeric, categorical })
    }
}
