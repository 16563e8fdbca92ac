//! The distribution of a model's training rows, in a compact form.
//!
//! A numeric column is stored as counts between its quantiles: at most [`MAX_BINS`] equally filled
//! bins, open at both ends. A value that fills a bin by itself (a tie: zeros, a default, a cap) has
//! its own bin, so that a change of its share is noticed; equal quantiles merge. A categorical
//! column is stored as counts of its [`MAX_LEVELS`] most frequent values and of all others
//! together. Missing values are counted separately. About 300 bytes for a numeric column.
//!
//! Bins lose nothing compared with rows: the chi-square test, PSI and the Jensen-Shannon distance
//! need no more; only the Kolmogorov-Smirnov statistic becomes a lower bound (see
//! [`super::kolmogorov`] for the exact one). Not for comparing: see [`super::data`].

use serde::{Deserialize, Serialize};

use super::sample::{CategoricalSample, NumericSample, Sample};
use crate::evaluation::metrics::Decile;

/// The maximum number of equally filled bins; tied values may add a few.
pub const MAX_BINS: usize = 20;

/// The maximum number of categories told apart; training refuses a column with more.
pub const MAX_LEVELS: usize = 1_000;

/// The training rows of a model, as far as drift is concerned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Feature columns: numeric ones first, each kind in schema order.
    pub columns: Vec<ColumnReference>,
}

/// One feature column of the training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnReference {
    /// The column's name.
    pub name: String,
    /// Number of rows without a value.
    pub missing: u64,
    /// The distribution of the values.
    pub present: Present,
}

/// The distribution of a column's values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Present {
    /// Numbers.
    Numeric {
        /// Upper edges of all bins but the last, ascending; a bin includes its upper edge.
        edges: Vec<f64>,
        /// Number of rows in each bin, one more than edges.
        counts: Vec<u64>,
        /// The lowest and the highest number; `None` if there is none, or if it was not kept.
        #[serde(default)]
        range: Option<[f64; 2]>,
    },
    /// Texts.
    Categorical {
        /// The values, ascending.
        levels: Vec<String>,
        /// Number of rows with each of them.
        counts: Vec<u64>,
        /// Number of rows with another value.
        other: u64,
    },
}

/// The name of the column of a [`Reference::of_probabilities`].
pub const PROBABILITY: &str = "probability";

impl Reference {
    /// The reference for the probabilities of test rows, by their deciles; without columns if there are none.
    /// Deciles between which rows have the same probability are one.
    pub fn of_probabilities(deciles: &[Decile]) -> Self {
        let (mut edges, mut counts) = (Vec::new(), Vec::new());
        let mut upwards = deciles.iter().rev().peekable();
        let mut rows = 0;
        while let Some(decile) = upwards.next() {
            rows += decile.rows;
            match upwards.peek() {
                Some(next) if next.lowest <= decile.highest => {}
                Some(_) => {
                    edges.push(decile.highest);
                    counts.push(std::mem::take(&mut rows));
                }
                None => counts.push(rows),
            }
        }
        let ends = deciles.last().zip(deciles.first());
        let column = ends.map(|(low, high)| ColumnReference {
            name: PROBABILITY.to_owned(),
            missing: 0,
            present: Present::Numeric { edges, counts, range: Some([low.lowest, high.highest]) },
        });
        Self { columns: column.into_iter().collect() }
    }

    /// The reference for these rows.
    pub fn of(sample: &Sample) -> Self {
        let numeric = sample.numeric.iter().map(ColumnReference::numeric);
        let categorical = sample.categorical.iter().map(ColumnReference::categorical);
        Self { columns: numeric.chain(categorical).collect() }
    }

    /// Checks what a decoder cannot: that the parts fit together.
    ///
    /// # Errors
    /// The problem in words.
    pub fn consistent(&self) -> Result<(), String> {
        for column in &self.columns {
            let fits = match &column.present {
                Present::Numeric { edges, counts, .. } => {
                    counts.len() == edges.len() + 1
                        && edges.iter().all(|e| e.is_finite())
                        && edges.is_sorted_by(|a, b| a < b)
                }
                Present::Categorical { levels, counts, .. } => {
                    counts.len() == levels.len() && levels.is_sorted_by(|a, b| a < b)
                }
            };
            if !fits {
                return Err(format!(
                    "the reference of the column \"{}\" is malformed",
                    column.name
                ));
            }
        }
        Ok(())
    }
}

impl ColumnReference {
    /// The number of rows, with and without a value.
    pub fn rows(&self) -> u64 {
        self.missing + self.present.rows()
    }

    /// Counts between the quantiles of a numeric column.
    fn numeric(column: &NumericSample) -> Self {
        let mut sorted: Vec<f64> =
            column.values.iter().copied().filter(|x| x.is_finite()).map(|x| x + 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let edges = edges(&sorted);
        let range = sorted.first().zip(sorted.last()).map(|(low, high)| [*low, *high]);
        let mut counts = vec![0; edges.len() + 1];
        for value in &sorted {
            counts[bin(&edges, *value)] += 1;
        }
        Self {
            name: column.name.clone(),
            missing: (column.values.len() - sorted.len()) as u64,
            present: Present::Numeric { edges, counts, range },
        }
    }

    /// Counts of the most frequent texts.
    fn categorical(column: &CategoricalSample) -> Self {
        let counts = column.counts();
        let missing = counts.first().copied().unwrap_or(0);
        // A level without a row in the sample does not count.
        let levels = column.levels.iter().zip(counts).skip(1).filter(|level| level.1 > 0);
        let mut levels: Vec<(&String, u64)> = levels.collect();
        levels.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let other = levels.iter().skip(MAX_LEVELS).map(|level| level.1).sum();
        levels.truncate(MAX_LEVELS);
        levels.sort_unstable();
        let (levels, counts) = levels.into_iter().map(|(text, n)| (text.clone(), n)).unzip();
        let present = Present::Categorical { levels, counts, other };
        Self { name: column.name.clone(), missing, present }
    }
}

impl Present {
    fn rows(&self) -> u64 {
        match self {
            Self::Numeric { counts, .. } => counts.iter().sum(),
            Self::Categorical { counts, other, .. } => counts.iter().sum::<u64>() + other,
        }
    }
}

/// The upper edges of at most [`MAX_BINS`] equally filled bins, and both sides of frequent values.
fn edges(sorted: &[f64]) -> Vec<f64> {
    let n = sorted.len();
    let mut edges = Vec::new();
    for i in 1..MAX_BINS {
        let Some(&value) = (i * n).div_ceil(MAX_BINS).checked_sub(1).and_then(|r| sorted.get(r))
        else {
            continue;
        };
        let same = sorted.partition_point(|x| *x <= value) - sorted.partition_point(|x| *x < value);
        if same > 1 && same * MAX_BINS >= n {
            edges.extend([value.next_down(), value].into_iter().filter(|edge| edge.is_finite()));
        } else if sorted.last().is_some_and(|last| value < *last) {
            edges.push(value);
        }
    }
    edges.sort_unstable_by(f64::total_cmp);
    edges.dedup_by_key(|edge| edge.to_bits());
    edges
}

/// The index of the bin of a finite number.
pub(super) fn bin(edges: &[f64], value: f64) -> usize {
    edges.partition_point(|edge| *edge < value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::sample::tests::sample;

    fn numeric(numbers: &[f64]) -> ColumnReference {
        Reference::of(&sample(numbers, &[])).columns[0].clone()
    }

    fn counts(column: &ColumnReference) -> (&[f64], &[u64]) {
        match &column.present {
            Present::Numeric { edges, counts, .. } => (edges, counts),
            Present::Categorical { .. } => panic!("{column:?}"),
        }
    }

    #[test]
    fn a_number_without_ties_fills_twenty_bins_equally() {
        let values: Vec<f64> = (0..1_000).map(|i| f64::from(i * 7 % 1_000)).collect();
        let column = numeric(&values);
        assert_eq!(counts(&column).1, [50; 20]);
        assert_eq!(counts(&column).0[..2], [49.0, 99.0]);
        assert_eq!((column.missing, column.rows()), (0, 1_000));
    }

    #[test]
    fn frequent_values_have_bins_of_their_own() {
        let mut values = vec![0.0; 60];
        values.extend((0..40).map(|i| 1.0 + f64::from(i)));
        values.extend([f64::NAN; 5]);
        let column = numeric(&values);
        let (edges, counts) = counts(&column);
        assert_eq!(counts[..2], [0, 60]);
        assert!(edges[0] < 0.0 && edges[1].abs() < 1e-300);
        assert_eq!((column.missing, counts.iter().sum::<u64>()), (5, 100));
    }

    #[test]
    fn any_numbers_give_a_consistent_reference() {
        for values in [
            &[][..],
            &[f64::NAN],
            &[1.0],
            &[1.0, 2.0, 3.0],
            &[f64::MAX, f64::MIN, f64::MAX, f64::MIN, -0.0, 0.0],
            &[f64::INFINITY, 1.0, 1.0],
        ] {
            let sample = sample(values, &["a", "b", "a"]);
            let reference = Reference::of(&sample);
            reference.consistent().unwrap();
            let cells = reference.columns[0].beside(&sample).unwrap().cells;
            assert_eq!(cells.iter().map(|c| c.new).sum::<u64>(), sample.rows() as u64);
        }
        let mut broken = Reference::of(&sample(&[1.0, 2.0], &[]));
        if let Present::Numeric { counts, .. } = &mut broken.columns[0].present {
            counts.pop();
        }
        assert!(broken.consistent().unwrap_err().contains("\"x\""));
    }

    #[test]
    fn more_than_a_thousand_texts_are_cut_to_the_most_frequent() {
        let texts: Vec<String> = (0..3_000).map(|i| format!("v{}", i % 1_500)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).chain(["v7", "w"]).collect();
        let reference = Reference::of(&sample(&[], &texts));
        let Present::Categorical { levels, other, .. } = &reference.columns[1].present else {
            panic!("{reference:?}")
        };
        assert_eq!((levels.len(), *other), (MAX_LEVELS, 1_001));
        let cells = reference.columns[1].beside(&sample(&[], &["x"])).unwrap().cells;
        assert_eq!(cells[MAX_LEVELS].new, 1);
    }

    #[test]
    fn it_survives_json() {
        let reference = Reference::of(&sample(&[1.5, 2.5, f64::NAN], &["a", "b"]));
        let json = serde_json::to_string(&reference).unwrap();
        assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), reference);
    }
}
