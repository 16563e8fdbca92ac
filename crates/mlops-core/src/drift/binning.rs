//! Compares a column of the reference with the new rows, in the cells of the test.
//!
//! Bins of numbers are joined to about ten (fewer for few rows) by the counts of the reference
//! alone; categories are matched by text. Not for the test itself: see [`super::cells`].

use std::collections::HashMap;

use super::cells::CellCounts;
use super::reference::{ColumnReference, Present, bin};
use super::sample::{CategoricalSample, Sample};

/// The number of bins compared, to which neighbours are joined. More bins would detect a change in
/// a single tenth sooner and a shift of the whole later.
const COMPARED_BINS: u64 = 10;

/// Rows of the smaller sample per bin.
const ROWS_A_BIN: u64 = 10;

/// Label of the cell of missing values.
const MISSING: &str = "missing";

/// A column of both samples, cell by cell.
pub(super) struct SampleCells {
    /// The cells of the deciding test, including missing values.
    pub(super) cells: Vec<CellCounts>,
    /// Reference and new rows in all bins of a numeric column, ascending.
    pub(super) bins: Option<Vec<(u64, u64)>>,
    /// The number of missing values in the new rows.
    pub(super) missing: u64,
}

impl ColumnReference {
    /// Compares with the same column of the new rows; `None` if they have none of the same kind.
    pub(super) fn beside(&self, new: &Sample) -> Option<SampleCells> {
        let mut compared = match &self.present {
            Present::Numeric { edges, counts, .. } => {
                let column = new.numeric.iter().find(|c| c.name == self.name)?;
                compare_numbers(edges, counts, &column.values)
            }
            Present::Categorical { levels, counts, other } => {
                let column = new.categorical.iter().find(|c| c.name == self.name)?;
                compare_texts(levels, counts, *other, column)
            }
        };
        let (reference, new) = (self.missing, compared.missing);
        compared.cells.push(CellCounts { label: MISSING.to_owned(), reference, new });
        Some(compared)
    }
}

fn compare_numbers(edges: &[f64], counts: &[u64], values: &[f64]) -> SampleCells {
    let mut bins: Vec<(u64, u64)> = counts.iter().map(|count| (*count, 0)).collect();
    let mut present = 0;
    for value in values.iter().filter(|x| x.is_finite()) {
        bins[bin(edges, *value)].1 += 1;
        present += 1;
    }
    let n: u64 = counts.iter().sum();
    let groups = (n.min(present) / ROWS_A_BIN).clamp(1, COMPARED_BINS);
    let frequent = |bin: usize| counts[bin] * groups >= n;
    let (mut cells, mut first, mut below) = (Vec::<CellCounts>::new(), 0, 0);
    let mut last_group = None;
    for (i, (reference, new)) in bins.iter().enumerate() {
        // The tenth (with ten groups) that contains the middle of the bin, by the reference alone.
        let group = ((2 * below + reference) * groups / (2 * n).max(1)).min(groups - 1);
        below += reference;
        let joins = last_group == Some(group) && !frequent(i) && !frequent(i - 1);
        last_group = Some(group);
        if !joins {
            first = i;
            cells.push(CellCounts { label: String::new(), reference: 0, new: 0 });
        }
        if let Some(cell) = cells.last_mut() {
            cell.reference += reference;
            cell.new += new;
            cell.label = range(edges, first, i);
        }
    }
    SampleCells { cells, bins: Some(bins), missing: values.len() as u64 - present }
}

/// The range of the bins from `first` to `last`, in words.
fn range(edges: &[f64], first: usize, last: usize) -> String {
    let above = first.checked_sub(1).map(|i| edges[i]);
    match (above, edges.get(last)) {
        (None, None) => "any number".to_owned(),
        (Some(low), None) => format!("above {low}"),
        (Some(low), Some(high)) if low.next_up() >= *high => format!("{high}"),
        (low, Some(high)) => {
            let low = low.map_or(String::new(), |low| format!("above {low} and "));
            // The bin below a frequent value.
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
) -> SampleCells {
    let found = new.counts();
    let mut fresh: HashMap<&str, u64> =
        new.levels.iter().map(String::as_str).zip(found.iter().copied()).skip(1).collect();
    let mut cells: Vec<CellCounts> = levels
        .iter()
        .zip(counts)
        .map(|(level, reference)| {
            let new = fresh.remove(level.as_str()).unwrap_or(0);
            CellCounts { label: level.clone(), reference: *reference, new }
        })
        .collect();
    if other > 0 {
        // Levels that were not stored cannot be told from levels that never occurred.
        let label = "any other value".to_owned();
        cells.push(CellCounts { label, reference: other, new: fresh.into_values().sum() });
    } else {
        let mut fresh: Vec<(&str, u64)> = fresh.into_iter().collect();
        fresh.sort_unstable();
        cells.extend(fresh.into_iter().map(|(level, new)| CellCounts {
            label: level.to_owned(),
            reference: 0,
            new,
        }));
    }
    SampleCells { cells, bins: None, missing: found.first().copied().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::Reference;
    use crate::drift::sample::tests::sample;

    fn numeric(numbers: &[f64]) -> ColumnReference {
        Reference::of(&sample(numbers, &[])).columns[0].clone()
    }

    #[test]
    fn cells_are_named_by_their_numbers() {
        let mut values = vec![0.0; 60];
        values.extend((0..40).map(|i| 1.0 + f64::from(i)));
        values.extend([f64::NAN; 5]);
        let column = numeric(&values);
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
    fn texts_are_counted_by_value_and_new_ones_beside() {
        let reference = Reference::of(&sample(&[], &["b", "a", "b", "", "b"]));
        let column = &reference.columns[1];
        assert_eq!((column.missing, column.rows()), (1, 5));
        let cells = column.beside(&sample(&[], &["z", "b", "", ""])).unwrap().cells;
        let found: Vec<_> = cells.iter().map(|c| (c.label.as_str(), c.reference, c.new)).collect();
        assert_eq!(found, [("a", 1, 0), ("b", 3, 1), ("z", 0, 1), ("missing", 1, 2)]);
    }
}
