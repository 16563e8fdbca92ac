//! What a configuration chooses between: the rule on model drift, the solver, the weights, what becomes of missing values and rare levels.
//!
//! Each is one word of the file. Not for what follows from a choice: see the room that acts on it.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// A way to tell whether a score has drifted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Lower than the deployed score.
    #[default]
    Raw,
    /// Two standard deviations below the mean of the history.
    Parametric,
    /// Below Tukey's lower fence of the history.
    #[serde(rename = "nonparametric", alias = "non_parametric")]
    NonParametric,
    /// Lower than the deployed score by more than chance explains.
    Significant,
    /// Lower by more than chance explains than on the test set and all earlier batches together.
    Pooled,
    /// Every batch that is large enough.
    Every,
}

impl Rule {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Raw,
        Self::Parametric,
        Self::NonParametric,
        Self::Significant,
        Self::Pooled,
        Self::Every,
    ];

    /// As in the configuration.
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

/// How much a row counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeight {
    /// Every row counts 1.
    #[default]
    None,
    /// Rows of a class count rows / (2 * rows of the class): both classes weigh the same, and
    /// the weights sum up to the number of rows.
    Balanced,
}

/// Who looks for the optimum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Solver {
    /// The fastest that reaches the optimum, which Newton is at every size that was measured.
    #[default]
    Auto,
    /// Newton steps alone.
    Newton,
    /// smartcore's L-BFGS, then Newton steps up to the common test. With balanced weights L-BFGS
    /// solves the unweighted problem, which is only where the Newton steps begin.
    Lbfgs,
}

/// What a missing value becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
pub enum MissingPolicy {
    /// The training data's median; the most frequent category.
    #[default]
    Median,
    /// The training data's mean; the most frequent category.
    Mean,
    /// The row is left out, in training and in prediction.
    Drop,
    /// The row is an error, in training and in prediction.
    Reject,
}

/// Which levels of a categorical column share one feature, as scikit-learn's `OneHotEncoder` has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Pooling {
    /// Most features of a column, the shared one included.
    pub max_levels: Option<u64>,
    /// Levels in fewer rows share a feature.
    pub min_frequency: Option<Frequency>,
}

/// A number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Frequency {
    /// So many.
    Rows(u64),
    /// This share of all.
    Share(f64),
}

impl Pooling {
    /// For levels of these counts, whether each is rare.
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
