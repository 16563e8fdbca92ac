//! Labels of test data with a model's probabilities, and what is missing from them.
//!
//! Not for which rows are tested: see [`super::tested`].

use crate::evaluation::metrics::Clusters;
use crate::evaluation::slices::Slices;
use crate::text;

use super::tested::ModelAnswers;

/// A larger share of test rows than this is not left out without a warning.
const MANY: f64 = 0.05;

/// Labels of test data with a model's probabilities.
#[derive(Debug, Clone, Default)]
pub struct Scored {
    /// Whether each row is of the positive class.
    pub labels: Vec<bool>,
    /// The model's probability for each row.
    pub probabilities: Vec<f64>,
    /// Which rows belong to one entity, if several do.
    pub clusters: Option<Clusters>,
    /// Number of rows that could not be read.
    pub rejected: u64,
    /// Which row was the first of these, and why; unknown if a cluster read them.
    pub first_rejected: Option<String>,
    /// Number of rows left out because the model was trained on them or on their entity.
    pub left_out: u64,
    /// Number of rows left out because the model gives no prediction: a missing value.
    pub unanswered: u64,
    /// Notes on the choice of rows.
    pub notes: Vec<String>,
    /// The values of the rows by which scores are given too.
    pub slices: Slices,
}

impl Scored {
    /// What is missing from the test, if so many of its rows are that the score may not hold for the others: rows
    /// that cannot be read are often all of one class.
    pub fn partial(&self) -> Option<String> {
        let scored = self.labels.len() as u64;
        let first = self.first_rejected.as_deref();
        partial(scored, (self.rejected, first), self.left_out, self.unanswered)
    }
}

/// See [`Scored::partial`].
pub(super) fn partial(
    scored: u64,
    (rejected, first): (u64, Option<&str>),
    left_out: u64,
    unanswered: u64,
) -> Option<String> {
    let all = scored + rejected + left_out + unanswered;
    let many = |n: u64| n as f64 > all as f64 * MANY;
    let mut missing = Vec::new();
    if many(rejected) {
        let first = first.map_or_else(String::new, |first| format!(" (the first is {first})"));
        missing.push(format!("{} cannot be read{first}", text::count(rejected)));
    }
    if many(unanswered) {
        let n = text::count(unanswered);
        missing.push(format!("{n} lack a value without which there is no prediction"));
    }
    if missing.is_empty() {
        return None;
    }
    Some(format!(
        "of {}, {}: the figures are those of the others only and may not hold for all rows. Correct the \
         test data",
        text::plural(all, "test row"),
        missing.join(", and ")
    ))
}

impl From<ModelAnswers> for Scored {
    fn from(mut compared: ModelAnswers) -> Self {
        let probabilities = compared.probabilities.pop().unwrap_or_default();
        let clusters = compared.clusters();
        Self {
            labels: compared.labels,
            probabilities,
            clusters,
            rejected: compared.rejected,
            first_rejected: compared.first_rejected,
            left_out: compared.left_out,
            unanswered: compared.unanswered,
            notes: compared.notes,
            slices: compared.slices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_missed_when_they_are_more_than_a_few() {
        let first = Some("t.csv, line 3: unknown label \"maybe\"");
        assert_eq!(partial(95, (5, first), 0, 0), None);
        assert_eq!(partial(100, (0, None), 100, 5), None, "left out on purpose");
        let words = partial(60, (30, first), 0, 10).unwrap();
        for part in
            ["of 100 test rows", "30 cannot be read (the first is t.csv, line 3", "10 lack a"]
        {
            assert!(words.contains(part), "{part}: {words}");
        }
    }
}
