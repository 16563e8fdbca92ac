//! The model: how raw columns become features, and features become a probability.
//!
//! | noun | file |
//! |---|---|
//! | [`Encoder`] | `encoder`: imputation and one-hot encoding |
//! | [`Spline`], [`Bins`], [`DateFeature`] | `spline`, `bins`, `dates`: other ways in which a column
//! becomes features |
//! | [`TrainingRows`] | `design_matrix`: training rows, and the encoding learned from them |
//! | [`EncodedRows`] | `encoded_rows`: the blocks of a fit |
//! | `StretchRows`, `SharedRows` | `shared_rows`: training rows that several machines read |
//! | [`Model`] | here: everything that a prediction needs, and its provenance |
//! | [`Predictor`] | `predict`: the fast path of predictions |
//! | [`Explainer`] | `contribution`: what each column added to a prediction |
//! | [`Golden`] | `golden`: predictions by the plain formula, which verify the fast ones |
//! | [`Tuned`] | `tuned`: what training chose besides the coefficients |
//! | [`TrainedWindow`] | `window`: the part of the data set that a model was trained on |
//! | `Card` | `card`: the readable `model.json` |
//! | the file | `artifact`: serialisation |
//!
//! Not for finding coefficients: see [`crate::model::fit`].

pub mod artifact;
mod bins;
pub mod card;
mod contribution;
pub mod dates;
mod design_matrix;
mod encoded_rows;
mod encoder;
pub mod fit;
pub mod golden;
mod leaks;
mod predict;
mod ranks;
pub mod scorecard;
mod shapes;
pub(crate) mod shared_rows;
mod spline;
pub(crate) mod standard_errors;
mod totals;
mod tuned;
mod window;

use serde::{Deserialize, Serialize};

pub use crate::model::design_matrix::{TrainingBatch, TrainingRows};
pub use bins::{Bin, Bins, Counts, Holds};
pub use contribution::{Contribution, Explainer, Explanations, Reference, ReferenceRow};
pub use dates::{AgeAt, DateFeature};
pub use encoded_rows::EncodedRows;
pub use encoder::{CategoricalFeature, Encoder, NumericFeature, Shape, check_width};
pub use golden::Golden;
pub use predict::{Prediction, Predictions, Predictor};
pub use scorecard::Scorecard;
pub use spline::Spline;
pub use tuned::Tuned;
pub use window::TrainedWindow;

use crate::config::choices::{ClassWeight, Solver};
use crate::config::{NumberFormat, Scale, Training};
use crate::ids::DatasetVersion;
use crate::model::fit::{Fitted, Scaler};
use crate::platform::digest::Digest;
use crate::table::schema::{Role, Schema};

/// The data that a model was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingData {
    /// The N of `finaldata{N}.csv`.
    pub version: DatasetVersion,
    /// The SHA-256 of the data set.
    pub sha256: Digest,
    /// Number of training rows.
    pub rows: u64,
    /// Number of training rows of the positive class.
    pub positives: u64,
    /// Number of rows left out for a missing value.
    pub dropped: u64,
    /// Number of rows left out because they belong to test data.
    pub held_out: u64,
    /// SHA-256 of the test files whose rows were left out.
    pub test_files: Vec<Digest>,
}

/// A trained classifier: one object, so that its parts cannot be mixed up.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The columns, with both labels settled.
    pub schema: Schema,
    /// Spellings of a missing value in raw cells.
    pub missing_values: Vec<String>,
    /// The number format of raw cells.
    pub numbers: NumberFormat,
    /// How dates are spelt in raw cells, besides ISO 8601.
    pub date_pattern: Option<String>,
    /// Turns raw columns into features.
    pub encoder: Encoder,
    /// Standardises the features.
    pub scaler: Scaler,
    /// The coefficients found by the fit.
    pub fitted: Fitted,
    /// Hyper-parameters, with the threshold and the penalty that were chosen.
    pub training: Training,
    /// How log-odds become points; `None` without a scorecard.
    pub scale: Option<Scale>,
    /// What training chose from the data; `fitted`, `training` and this agree.
    pub tuned: Tuned,
    /// The part of the data set that it was trained on; `None` for all rows with the same weight.
    pub window: Option<TrainedWindow>,
    /// The data that it was trained on.
    pub data: TrainingData,
}

impl Model {
    /// The label for the positive or the negative class.
    pub fn label(&self, positive: bool) -> &str {
        if positive {
            self.schema.positive_label()
        } else {
            self.schema.negative_label().unwrap_or_default()
        }
    }

    /// The names of the features, in the order of the coefficients.
    pub fn features(&self) -> Vec<String> {
        self.encoder.feature_names()
    }
}

/// The solver's name in files.
pub(crate) fn solver_name(solver: Solver) -> &'static str {
    match solver {
        Solver::Auto => "auto",
        Solver::Newton => "newton",
        Solver::Lbfgs => "lbfgs",
    }
}

/// The names of the schema's columns with `role`, owned.
fn owned(schema: &Schema, role: Role) -> Vec<String> {
    schema.names(role).map(str::to_owned).collect()
}

/// The class weight's name in files.
pub(crate) fn class_weight_name(weight: ClassWeight) -> Option<&'static str> {
    match weight {
        ClassWeight::None => None,
        ClassWeight::Balanced => Some("balanced"),
    }
}
