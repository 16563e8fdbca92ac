//! What is counted of predictions, and the statistics of the same rows: by a thread, or by a machine of a cluster.
//!
//! Not for reading rows: see [`super::diagnose`] and [`super::diagnose_there`].

use serde::{Deserialize, Serialize};

use crate::model::{Model, Predictor};
use crate::profile::ColumnsProfile;
use crate::table::Table;

/// Counts of predictions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PredictionCounts {
    /// Number of rows in the file.
    pub rows: u64,
    /// Number of rows that could not be read.
    pub rejected: u64,
    /// Number of rows predicted positive.
    pub positive: u64,
    /// Number of rows predicted negative.
    pub negative: u64,
    /// Number of rows without a prediction, for a missing value.
    pub unanswered: u64,
    /// Number of missing cells that were imputed.
    pub imputed: u64,
    /// Number of cells with a category not seen in training.
    pub unknown_categories: u64,
}

/// The predictions and statistics of one thread.
pub(super) struct BatchResult {
    pub(super) counts: PredictionCounts,
    pub(super) profile: ColumnsProfile,
    pub(super) probabilities: Vec<f64>,
}

impl BatchResult {
    pub(super) fn new(model: &Model, room: usize) -> Self {
        Self {
            counts: PredictionCounts::default(),
            profile: ColumnsProfile::new(&model.schema, room),
            probabilities: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, predictor: &Predictor, table: &Table) {
        self.profile.add(table);
        let (imputed, unknown) = predictor.probabilities(table, &mut self.probabilities);
        let counts = &mut self.counts;
        counts.imputed += imputed;
        counts.unknown_categories += unknown;
        let answered = self.probabilities.iter().filter(|p| !p.is_nan()).count() as u64;
        let positive = self.probabilities.iter().filter(|p| predictor.positive(**p)).count() as u64;
        counts.positive += positive;
        counts.negative += answered - positive;
        counts.unanswered += table.len() as u64 - answered;
    }
}

impl PredictionCounts {
    /// Adds what was predicted for other rows; how many rows there are is counted apart.
    pub(super) fn add(&mut self, other: &Self) {
        self.positive += other.positive;
        self.negative += other.negative;
        self.unanswered += other.unanswered;
        self.imputed += other.imputed;
        self.unknown_categories += other.unknown_categories;
    }
}
