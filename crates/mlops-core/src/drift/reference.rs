//! What a model remembers of its training rows: compact enough to live in its artifact.
//!
//! A numeric column is kept as counts between its quantiles, at most [`MAX_BINS`] equally filled
//! bins, open at both ends. A value that fills a bin by itself (a tie: zeros, a default, a cap) has
//! its own bin, so that a change of its share is seen; equal quantiles merge. A categorical column
//! is kept as counts of its [`MAX_LEVELS`] most frequent values and of all others together. Missing
//! values are counted beside. About 300 bytes for a number.
//!
//! Why bins and not the rows: the chi-square test, PSI and the Jensen-Shannon distance need no
//! more, and lose nothing; only the Kolmogorov-Smirnov statistic is then a lower bound (see
//! [`super::kolmogorov`] for the exact one). Not for comparing: see [`super::data`].

use std::collections::HashMap;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::cells::Cell;
use super::sample::{CategoricalSample, NumericSample, Sample};

/// Most equally filled bins of a number; values that tie may add a few.
pub const MAX_BINS: usize = 20;

/// Most categories that are told apart; training refuses a column of more.
pub const MAX_LEVELS: usize = 1_000;

/// Most bins that are compared: neighbours are joined up to these. More would find a change of a
/// single tenth sooner and a shift of the whole later.
const COMPARED_BINS: u64 = 10;

/// Rows of the smaller sample for each bin compared.
const ROWS_A_BIN: u64 = 10;

/// Label of the cell of missing values.
const MISSING: &str = "missing";

/// The training rows of a model, as far as drift is concerned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Reference {
    /// Feature columns: numeric ones first, each kind in schema order.
    pub columns: Vec<ColumnReference>,
}

/// One feature column of the training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct ColumnReference {
    /// The column.
    pub name: String,
    /// Rows without a value.
    pub missing: u64,
    /// Rows with one.
    pub present: Present,
}

/// How the values of a column are distributed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Present {
    /// Numbers.
    Numeric {
        /// Upper edges of all bins but the last, ascending; a bin takes its upper edge.
        edges: Vec<f64>,
        /// Rows in each bin, one more than edges.
        counts: Vec<u64>,
    },
    /// Texts.
    Categorical {
        /// Values, ascending.
        levels: Vec<String>,
        /// Rows with each of them.
        counts: Vec<u64>,
        /// Rows with another value.
        other: u64,
    },
}

/// A column of both samples, cell by cell.
pub(super) struct Compared {
    /// The cells of the deciding test, missing values among them.
    pub(super) cells: Vec<Cell>,
    /// Reference and new rows in all bins of a number, ascending.
    pub(super) bins: Option<Vec<(u64, u64)>>,
    /// Missing values of the new rows.
    pub(super) missing: u64,
}

impl Reference {
    /// What to remember of these rows.
    pub fn of(sample: &Sample) -> Self {
        let numeric = sample.numeric.iter().map(ColumnReference::numeric);
        let categorical = sample.categorical.iter().map(ColumnReference::categorical);
        Self { columns: numeric.chain(categorical).collect() }
    }

    /// Checks what a decoder cannot: that the parts fit each other.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn consistent(&self) -> Result<(), String> {
        for column in &self.columns {
            let fits = match &column.present {
                Present::Numeric { edges, counts } => {
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
    /// Rows, with and without a value.
    pub fn rows(&self) -> u64 {
        self.missing + self.present.rows()
    }

    /// Counts between the quantiles of a number.
    fn numeric(column: &NumericSample) -> Self {
        let mut sorted: Vec<f64> =
            column.values.iter().copied().filter(|x| x.is_finite()).map(|x| x + 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let edges = edges(&sorted);
        let mut counts = vec![0; edges.len() + 1];
        for value in &sorted {
            counts[bin(&edges, *value)] += 1;
        }
        Self {
            name: column.name.clone(),
            missing: (column.values.len() - sorted.len()) as u64,
            present: Present::Numeric { edges, counts },
        }
    }

    /// Counts of the most frequent texts.
    fn categorical(column: &CategoricalSample) -> Self {
        let counts = column.counts();
        let missing = counts.first().copied().unwrap_or(0);
        // A level of which the reservoir kept no row is none.
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

    /// The same column of the new rows beside this one; nothing if they have none of its kind.
    pub(super) fn beside(&self, new: &Sample) -> Option<Compared> {
        let mut compared = match &self.present {
            Present::Numeric { edges, counts } => {
                let column = new.numeric.iter().find(|c| c.name == self.name)?;
                compare_numbers(edges, counts, &column.values)
            }
            Present::Categorical { levels, counts, other } => {
                let column = new.categorical.iter().find(|c| c.name == self.name)?;
                compare_texts(levels, counts, *other, column)
            }
        };
        let (reference, new) = (self.missing, compared.missing);
        compared.cells.push(Cell { label: MISSING.to_owned(), reference, new });
        Some(compared)
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

/// The bin of a finite number.
fn bin(edges: &[f64], value: f64) -> usize {
    edges.partition_point(|edge| *edge < value)
}

fn compare_numbers(edges: &[f64], counts: &[u64], values: &[f64]) -> Compared {
    let mut bins: Vec<(u64, u64)> = counts.iter().map(|count| (*count, 0)).collect();
    let mut present = 0;
    for value in values.iter().filter(|x| x.is_finite()) {
        bins[bin(edges, *value)].1 += 1;
        present += 1;
    }
    let n: u64 = counts.iter().sum();
    let groups = (n.min(present) / ROWS_A_BIN).clamp(1, COMPARED_BINS);
    let frequent = |bin: usize| counts[bin] * groups >= n;
    let (mut cells, mut first, mut below) = (Vec::<Cell>::new(), 0, 0);
    let mut last_group = None;
    for (i, (reference, new)) in bins.iter().enumerate() {
        // The tenth (for ten groups) in which the middle of the bin lies; chosen by the reference
        // alone.
        let group = ((2 * below + reference) * groups / (2 * n).max(1)).min(groups - 1);
        below += reference;
        let joins = last_group == Some(group) && !frequent(i) && !frequent(i - 1);
        last_group = Some(group);
        if !joins {
            first = i;
            cells.push(Cell { label: String::new(), reference: 0, new: 0 });
        }
        if let Some(cell) = cells.last_mut() {
            cell.reference += reference;
            cell.new += new;
            cell.label = range(edges, first, i);
        }
    }
    Compared { cells, bins: Some(bins), missing: values.len() as u64 - present }
}

/// The numbers of the bins from `first` to `last`, in words.
fn range(edges: &[f64], first: usize, last: usize) -> String {
    let above = first.checked_sub(1).map(|i| edges[i]);
    match (above, edges.get(last)) {
        (None, None) => "any number".to_owned(),
        (Some(low), None) => format!("above {low}"),
        (Some(low), Some(high)) if low.next_up() >= *high => format!("{high}"),
        (low, Some(high)) => {
            let low = low.map_or(String::new(), |low| format!("above {low} and "));
            // The lower side of a frequent value.
            match edges.get(last + 1) {
                Some(next) if high.next_up() >= *next => {
                    format!("{low}below {next}")
                }
                _ => format!("{low}up to {high}"),
            }
        }
    }
}

fn compare_texts(
    levels: &[String],
    counts: &[u64],
    other: u64,
    new: &CategoricalSample,
) -> Compared {
    let found = new.counts();
    let mut fresh: HashMap<&str, u64> =
        new.levels.iter().map(String::as_str).zip(found.iter().copied()).skip(1).collect();
    let mut cells: Vec<Cell> = levels
        .iter()
        .zip(counts)
        .map(|(level, reference)| {
            let new = fresh.remove(level.as_str()).unwrap_or(0);
            Cell { label: level.clone(), reference: *reference, new }
        })
        .collect();
    if other > 0 {
        // Levels that were not kept and levels that never occurred cannot be told apart.
        let label = "any other value".to_owned();
        cells.push(Cell { label, reference: other, new: fresh.into_values().sum() });
    } else {
        let mut fresh: Vec<(&str, u64)> = fresh.into_iter().collect();
        fresh.sort_unstable();
        cells.extend(fresh.into_iter().map(|(level, new)| Cell {
            label: level.to_owned(),
            reference: 0,
            new,
        }));
    }
    Compared { cells, bins: None, missing: found.first().copied().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::SampleBuilder;
    use crate::schema::Schema;
    use crate::table::Table;

    fn sample(numbers: &[f64], texts: &[&str]) -> Sample {
        let schema = Schema::new(&[], &["x".to_owned()], &["c".to_owned()], "t", "1", None);
        let mut table = Table::new(&schema);
        for i in 0..numbers.len().max(texts.len()) {
            let number = numbers.get(i).copied().filter(|x| !x.is_nan());
            let text = (*texts.get(i).unwrap_or(&"")).to_owned();
            table.push_values(&[number], &[text]);
        }
        let mut builder = SampleBuilder::new(&schema, 1);
        builder.add(&table, |_| true);
        builder.finish()
    }

    fn numeric(numbers: &[f64]) -> ColumnReference {
        Reference::of(&sample(numbers, &[])).columns[0].clone()
    }

    fn counts(column: &ColumnReference) -> (&[f64], &[u64]) {
        match &column.present {
            Present::Numeric { edges, counts } => (edges, counts),
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
        let cells = column.beside(&sample(&values, &[])).unwrap().cells;
        let labels: Vec<&str> = cells.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(labels[..3], ["below 0", "0", "above 0 and up to 10"], "{labels:?}");
        assert_eq!(labels[labels.len() - 1], "missing");
        assert!(cells.iter().all(|c| c.reference == c.new), "{cells:?}");
    }

    #[test]
    fn a_constant_is_seen_to_change_also_by_few_rows() {
        let column = numeric(&[5.0; 1_000]);
        for value in [4.0, 6.0] {
            for rows in [20, 1_000] {
                let cells = column.beside(&sample(&vec![value; rows], &[])).unwrap().cells;
                let p = crate::drift::cells::compare(cells, 0.05).p_value;
                assert!(p < 1e-9, "{value} {rows} {p}");
            }
        }
    }

    #[test]
    fn at_most_ten_cells_and_fewer_for_few_rows() {
        let values: Vec<f64> = (0..1_000).map(|i| f64::from(i).sqrt()).collect();
        let column = numeric(&values);
        for (rows, cells) in [(1_000, 10), (100, 10), (57, 5), (20, 2), (5, 1), (0, 1)] {
            let found = column.beside(&sample(&values[..rows], &[])).unwrap();
            assert_eq!(found.cells.len(), cells + 1, "{rows} rows, and a cell of missing values");
            assert_eq!(found.bins.unwrap().len(), 20);
        }
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
    fn texts_are_counted_by_value_and_new_ones_beside() {
        let reference = Reference::of(&sample(&[], &["b", "a", "b", "", "b"]));
        let column = &reference.columns[1];
        assert_eq!((column.missing, column.rows()), (1, 5));
        let cells = column.beside(&sample(&[], &["z", "b", "", ""])).unwrap().cells;
        let found: Vec<_> = cells.iter().map(|c| (c.label.as_str(), c.reference, c.new)).collect();
        assert_eq!(found, [("a", 1, 0), ("b", 3, 1), ("z", 0, 1), ("missing", 1, 2)]);
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
    fn it_survives_bincode_and_json() {
        let reference = Reference::of(&sample(&[1.5, 2.5, f64::NAN], &["a", "b"]));
        let encoding = bincode::config::standard();
        let bytes = bincode::encode_to_vec(&reference, encoding).unwrap();
        let (back, used): (Reference, usize) =
            bincode::decode_from_slice(&bytes, encoding).unwrap();
        assert_eq!((back, used), (reference.clone(), bytes.len()));
        let json = serde_json::to_string(&reference).unwrap();
        assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), reference);
    }
}
