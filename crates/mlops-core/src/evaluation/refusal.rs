//! Why no scores are estimated for rows without labels, as typed values with their numbers; they become
//! sentences only for display.
//!
//! Not for the estimate: see [`super::estimate`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::metrics::calibration::Unfitted;
use crate::text;

/// A reason not to estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The release was scored by a version that did not keep what an estimate needs.
    NotKept,
    /// The calibration of the release cannot be fitted.
    Unfitted {
        /// Why.
        why: Unfitted,
    },
    /// The release was tested on too few rows of one class to know its calibration.
    FewTested {
        /// The number of test rows of the rarer class.
        rows: u64,
        /// How many it takes.
        least: u64,
    },
    /// The test rows contradict the probabilities: the line of calibration is not the diagonal.
    OffTheLine {
        /// Intercept of the line; 0 if calibrated.
        intercept: f64,
        /// Slope of the line; 1 if calibrated.
        slope: f64,
        /// The probability of a line at least as far from 0 and 1 if the model is calibrated.
        p_value: f64,
        /// A smaller one is not taken for chance.
        level: f64,
    },
    /// The test rows contradict the probabilities by Spiegelhalter's test.
    Spiegelhalter {
        /// The statistic.
        z: f64,
        /// The probability of one at least as far from 0 if the model is calibrated.
        p_value: f64,
        /// A smaller one is not taken for chance.
        level: f64,
    },
    /// There are too few answers for an interval to hold.
    FewAnswered {
        /// The number of rows.
        rows: u64,
        /// The number of these rows in the smallest of the groups: predicted positive, expected
        /// positive, expected negative.
        smallest: f64,
        /// How many it takes.
        least: u64,
    },
    /// Too many rows lie where the reference has none.
    Outside {
        /// What is compared.
        of: Compared,
        /// The share of these rows, 0 to 1.
        share: f64,
        /// A larger one is refused.
        limit: f64,
    },
    /// The rows lie mostly where the reference has few.
    Thin {
        /// What is compared.
        of: Compared,
        /// The share of the reference's rows that tell of them (Kish's effective sample size), 0 to 1.
        share: f64,
        /// A smaller one is refused.
        limit: f64,
    },
    /// On the newest rows with labels, the model was found to have drifted.
    ModelDrifted {
        /// Its F1 on them.
        f1: f64,
        /// Its F1 when it was deployed.
        deployed: f64,
    },
}

/// What left its reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// The probabilities, against those of the test rows.
    Probabilities,
    /// A column, against the training rows.
    Column(String),
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probabilities => f.write_str("the predicted probabilities"),
            Self::Column(name) => write!(f, "the column {}", text::name(name)),
        }
    }
}

impl Compared {
    fn reference(&self) -> &'static str {
        match self {
            Self::Probabilities => "test rows",
            Self::Column(_) => "training rows",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotKept => f.write_str(
                "the live release was scored by an older version, which did not keep the precision \
                 of its calibration: the next release will have it",
            ),
            Self::Unfitted { why } => {
                write!(f, "the calibration of the live release is unknown: {}", why.words())
            }
            Self::FewTested { rows, least } => write!(
                f,
                "the live release was tested on {} of its rarer class, too few to know whether its \
                 probabilities come true: it takes {least} of each class",
                text::plural(*rows, "row")
            ),
            Self::OffTheLine { intercept, slope, p_value, level } => write!(
                f,
                "the probabilities of the live release did not come true on its test rows: \
                 calibration intercept {intercept:.3} rather than 0 and slope {slope:.3} rather than \
                 1 (p {}, level {})",
                text::p_value_at(*p_value, *level),
                text::level(*level)
            ),
            Self::Spiegelhalter { z, p_value, level } => write!(
                f,
                "the probabilities of the live release did not come true on its test rows: \
                 Spiegelhalter's z is {z:.2} (p {}, level {})",
                text::p_value_at(*p_value, *level),
                text::level(*level)
            ),
            Self::FewAnswered { rows, smallest, least } => write!(
                f,
                "{} are too few: {smallest:.0} of them in the smallest of the groups predicted \
                 positive, expected positive and expected negative, where it takes {least}",
                text::plural(*rows, "row")
            ),
            Self::Outside { of, share, limit } => write!(
                f,
                "the rows left the reference: {:.1} % of them lie outside what the {} had in {of}, \
                 more than {:.1} %",
                100.0 * share,
                of.reference(),
                100.0 * limit
            ),
            Self::Thin { of, share, limit } => write!(
                f,
                "the rows drifted too far in {of}: the {} tell of them only as much as {:.0} % of \
                 their number would, less than {:.0} %",
                of.reference(),
                100.0 * share,
                100.0 * limit
            ),
            Self::ModelDrifted { f1, deployed } => write!(
                f,
                "on the newest rows with labels the live release drifted: F1 {f1:.4} rather than \
                 {deployed:.4}, so that its probabilities no longer tell how good it is"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_sentence_with_what_was_exceeded_and_reads_back() {
        let column = || Compared::Column("monthly charges".to_owned());
        for (refusal, part) in [
            (Refusal::NotKept, "an older version"),
            (Refusal::Unfitted { why: Unfitted::OneClass }, "all labels are of one class"),
            (Refusal::FewTested { rows: 1, least: 100 }, "1 row of its rarer class"),
            (
                Refusal::OffTheLine { intercept: 0.51, slope: 0.7, p_value: 1e-5, level: 0.025 },
                "intercept 0.510 rather than 0 and slope 0.700 rather than 1 (p <0.001, level 0.025)",
            ),
            (Refusal::Spiegelhalter { z: 3.0, p_value: 0.0027, level: 0.025 }, "z is 3.00"),
            (
                Refusal::FewAnswered { rows: 40, smallest: 7.3, least: 30 },
                "40 rows are too few: 7 of them",
            ),
            (
                Refusal::Outside { of: column(), share: 0.125, limit: 0.05 },
                "12.5 % of them lie outside what the training rows had in the column",
            ),
            (
                Refusal::Thin { of: Compared::Probabilities, share: 0.11, limit: 0.25 },
                "in the predicted probabilities: the test rows tell of them only as much as 11 %",
            ),
            (Refusal::ModelDrifted { f1: 0.5, deployed: 0.75 }, "F1 0.5000 rather than 0.7500"),
        ] {
            let sentence = refusal.to_string();
            assert!(sentence.contains(part), "{sentence}");
            let json = serde_json::to_string(&refusal).unwrap();
            assert_eq!(serde_json::from_str::<Refusal>(&json).unwrap(), refusal);
        }
    }
}
