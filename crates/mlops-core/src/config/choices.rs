//! Choices in the configuration: the drift rule, the solver, class weights, the threshold, the
//! window of the training rows, and the treatment of missing values and rare levels.
//!
//! Each is one word in the file, or one key. The layers that use a choice act on it.

use std::fmt;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::text;

/// How to decide whether a score has drifted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Lower than the deployed score.
    #[default]
    Raw,
    /// More than two standard deviations below the mean of the history.
    Parametric,
    /// Below Tukey's lower fence of the history.
    #[serde(rename = "nonparametric", alias = "non_parametric")]
    NonParametric,
    /// Lower than the deployed score by more than chance explains.
    Significant,
    /// Lower by more than chance explains than on the test set and all earlier batches pooled.
    Pooled,
    /// Every batch that is large enough counts as drift.
    Every,
}

impl Rule {
    /// All rules, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Raw,
        Self::Parametric,
        Self::NonParametric,
        Self::Significant,
        Self::Pooled,
        Self::Every,
    ];

    /// The rule's name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Parametric => "parametric",
            Self::NonParametric => "nonparametric",
            Self::Significant => "significant",
            Self::Pooled => "pooled",
            Self::Every => "every",
        }
    }
}

/// What is recorded of the changes that cleaning makes to cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordChanges {
    /// Nothing.
    #[default]
    Off,
    /// Their number by file, column and kind.
    Counts,
    /// Also the first ones of each kind.
    Sample,
    /// Also each of them, in a file beside the data set.
    All,
}

/// How rows are weighted in a fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeight {
    /// Every row has weight 1.
    #[default]
    None,
    /// A row has weight rows / (2 * rows of its class): both classes weigh the same, and the
    /// weights sum to the number of rows.
    Balanced,
}

/// Which optimiser fits the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Solver {
    /// The fastest solver that reaches the optimum; Newton at every size measured.
    #[default]
    Auto,
    /// Newton steps alone.
    Newton,
    /// smartcore's L-BFGS, then Newton steps up to the same convergence test. With balanced weights
    /// L-BFGS solves the unweighted problem, from whose solution the Newton steps start.
    Lbfgs,
}

/// How the threshold is determined, above which a row is predicted positive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdRule {
    /// By the number in the configuration.
    #[default]
    Given,
    /// It is the share of positive training rows.
    Prior,
    /// It gives the highest value of a metric.
    Maximize(Aim),
    /// It is the highest one at which at least this share of the positives is found.
    MinRecall(f64),
    /// It finds the most positives while at least this share of the rows predicted positive is
    /// positive.
    MinPrecision(f64),
    /// It gives the lowest total cost of wrong predictions.
    Cost {
        /// The cost of a negative that is predicted positive.
        false_positive: f64,
        /// The cost of a positive that is predicted negative.
        false_negative: f64,
    },
    /// The rows with the highest probabilities are predicted positive, at most this share of all.
    Top(f64),
}

impl ThresholdRule {
    /// Whether it needs cross-validated predictions.
    pub fn is_chosen(self) -> bool {
        !matches!(self, Self::Given | Self::Prior)
    }
}

/// A metric for whose highest value a threshold is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// F1 of the positive class.
    F1,
    /// Share of right predictions.
    Accuracy,
    /// Mean of recall and specificity.
    BalancedAccuracy,
    /// Matthews' correlation coefficient.
    Mcc,
    /// Youden's index: recall plus specificity less 1.
    Youden,
}

impl Aim {
    /// All metrics, in the order of the documentation.
    pub const ALL: [Self; 5] =
        [Self::F1, Self::Accuracy, Self::BalancedAccuracy, Self::Mcc, Self::Youden];

    /// The metric's name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::F1 => "f1",
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced_accuracy",
            Self::Mcc => "mcc",
            Self::Youden => "youden",
        }
    }
}

/// A part of the training rows, in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// All of them.
    All,
    /// The one that cross-validation on the newest rows finds best.
    Auto,
    /// So many of the newest rows of the data set.
    Rows(u64),
    /// Those that came since something.
    Since(Since),
    /// All of them; a row that came this many rows before the newest one weighs half as much.
    HalfLife(u64),
}

/// An event that divides rows into older and newer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Since {
    /// The last drift; the rows in which it was found count as newer ones.
    Drift,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all rows"),
            Self::Auto => f.write_str("the best window"),
            Self::Rows(rows) => write!(f, "the newest {}", text::plural(*rows, "row")),
            Self::Since(Since::Drift) => f.write_str("rows since the last drift"),
            Self::HalfLife(rows) => {
                write!(f, "all rows, weight halved every {}", text::plural(*rows, "row"))
            }
        }
    }
}

/// How a missing value is treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
pub enum MissingPolicy {
    /// Replaced by the training data's median, or its most frequent category.
    #[default]
    Median,
    /// Replaced by the training data's mean, or its most frequent category.
    Mean,
    /// The row is left out, in training and in prediction.
    Drop,
    /// The row is an error, in training and in prediction.
    Reject,
}

/// Which levels of a categorical column share one feature, as scikit-learn's `OneHotEncoder` has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Pooling {
    /// The largest number of features of a column, the shared one included.
    pub max_levels: Option<u64>,
    /// Levels in fewer rows than this share a feature.
    pub min_frequency: Option<Frequency>,
}

/// A threshold on the rows of a level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Frequency {
    /// An absolute number of rows.
    Rows(u64),
    /// A share of all rows.
    Share(f64),
}

impl Pooling {
    /// Which levels, given their row counts, are rare.
    pub(crate) fn rare(self, counts: &[u64]) -> Vec<bool> {
        let rows: u64 = counts.iter().sum();
        let is_rare = |count: &u64| match self.min_frequency {
            None => false,
            Some(Frequency::Rows(least)) => *count < least,
            Some(Frequency::Share(share)) => (*count as f64) < share * rows as f64,
        };
        let mut rare: Vec<bool> = counts.iter().map(is_rare).collect();
        let frequent = rare.iter().filter(|rare| !**rare).count();
        let features = frequent + usize::from(frequent < rare.len());
        if let Some(most) = self.max_levels.and_then(|most| usize::try_from(most).ok())
            && features > most
        {
            let mut by_count: Vec<usize> = (0..counts.len()).collect();
            by_count.sort_by_key(|i| counts[*i]);
            // Of equally frequent levels the last ones in order keep their features.
            for i in &by_count[..counts.len() - (most - 1)] {
                rare[*i] = true;
            }
        }
        rare
    }
}

/// A figure by which two models are compared, under its name in `score.json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// F1 of the positive class.
    #[default]
    F1,
    /// Share of correct predictions.
    Accuracy,
    /// Mean of recall and specificity.
    BalancedAccuracy,
    /// Share of positives among the rows predicted positive.
    Precision,
    /// Share of the positives that are predicted positive.
    Recall,
    /// Share of the negatives that are predicted negative.
    Specificity,
    /// Matthews correlation of labels and predictions.
    Mcc,
    /// Area under the ROC curve.
    RocAuc,
    /// Gini coefficient, 2 AUC - 1.
    Gini,
    /// Average precision.
    PrAuc,
    /// Distance of Kolmogorov and Smirnov between the scores of both classes.
    Ks,
    /// Lift of the tenth of the rows with the highest scores.
    Lift,
    /// Share of positives in that tenth.
    TopPrecision,
    /// Mean negative log-likelihood; lower is better.
    LogLoss,
    /// Mean squared error of the probabilities; lower is better.
    Brier,
}

impl Metric {
    /// All metrics, in the order of the documentation.
    pub const ALL: [Self; 15] = [
        Self::F1,
        Self::Accuracy,
        Self::BalancedAccuracy,
        Self::Precision,
        Self::Recall,
        Self::Specificity,
        Self::Mcc,
        Self::RocAuc,
        Self::Gini,
        Self::PrAuc,
        Self::Ks,
        Self::Lift,
        Self::TopPrecision,
        Self::LogLoss,
        Self::Brier,
    ];

    /// The metric's name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::F1 => "f1",
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced_accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Specificity => "specificity",
            Self::Mcc => "mcc",
            Self::RocAuc => "roc_auc",
            Self::Gini => "gini",
            Self::PrAuc => "pr_auc",
            Self::Ks => "ks",
            Self::Lift => "lift",
            Self::TopPrecision => "top_precision",
            Self::LogLoss => "log_loss",
            Self::Brier => "brier",
        }
    }

    /// The metric's name for people, to follow "has" and "the champion's".
    pub fn words(self) -> &'static str {
        match self {
            Self::F1 => "F1",
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Specificity => "specificity",
            Self::Mcc => "MCC",
            Self::RocAuc => "ROC AUC",
            Self::Gini => "Gini coefficient",
            Self::PrAuc => "average precision",
            Self::Ks => "KS",
            Self::Lift => "lift of the top decile",
            Self::TopPrecision => "precision of the top decile",
            Self::LogLoss => "log loss",
            Self::Brier => "Brier score",
        }
    }

    /// Whether lower values are better.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::LogLoss | Self::Brier)
    }

    /// How much better a value is than another one: positive if it is better.
    pub fn gain(self, value: f64, than: f64) -> f64 {
        if self.is_loss() { than - value } else { value - than }
    }
}
