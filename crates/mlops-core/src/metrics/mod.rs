//! What a binary classifier's predictions are worth: counts, scores, curves.
//!
//! Pure functions of labels and probabilities. Not for intervals: see [`bootstrap`].

use serde::{Deserialize, Serialize};

/// Predictions against labels at one threshold; rows are the truth, columns the prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// Negatives predicted negative.
    pub tn: u64,
    /// Negatives predicted positive.
    pub fp: u64,
    /// Positives predicted negative.
    #[serde(rename = "fn")]
    pub fn_: u64,
    /// Positives predicted positive.
    pub tp: u64,
}

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Nominal coverage, 0.95 for 95 %.
    pub level: f64,
}

/// A point of a receiver operating characteristic: (false positive rate, true positive rate).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// False positive rate.
    pub fpr: f64,
    /// True positive rate.
    pub tpr: f64,
}

/// A point of a precision-recall curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrPoint {
    /// Recall.
    pub recall: f64,
    /// Precision.
    pub precision: f64,
}

/// One bin of a calibration (reliability) curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Mean predicted probability of the bin's rows.
    pub mean_predicted: f64,
    /// Share of positives among them.
    pub fraction_of_positives: f64,
    /// Rows in the bin.
    pub count: u64,
}

/// Counts of scores by class over equal bins of [0, 1].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreHistogram {
    /// Rows of the negative class in each bin.
    pub negative: Vec<u64>,
    /// Rows of the positive class in each bin.
    pub positive: Vec<u64>,
}
