//! Compares two rows with the same key, column by column.
//!
//! Not for matching rows: see [`crate::join`].

use serde::{Deserialize, Serialize};

use mlops_core::csv::clean::Number;

use crate::cell::{Cells, Kind, unquoted};
use crate::examples::Examples;

/// How much two numbers may differ and still count as equal: by `abs`, or by `rel` times the larger
/// of their absolute values, whichever is more. The same rule as Python's `math.isclose`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// In units of the column.
    pub abs: f64,
    /// As a share of the larger number.
    pub rel: f64,
}

impl Tolerance {
    fn allows(self, left: f64, right: f64, distance: f64) -> bool {
        distance <= self.abs.max(self.rel * left.abs().max(right.abs()))
    }
}

/// The differences in one column.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ColumnDifferences {
    /// Number of cells that differ.
    pub(crate) cells: u64,
    /// Number of cells that differ within the tolerance, which counts as equal.
    pub(crate) tolerated: u64,
    /// The largest difference between two numbers, which may be infinite.
    #[serde(with = "bits")]
    pub(crate) largest: Option<f64>,
    pub(crate) examples: Examples<CellDifference>,
}

/// A number that is sent bit for bit.
mod bits {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "serde gives a reference")]
    pub(super) fn serialize<S: Serializer>(
        number: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        number.map(f64::to_bits).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(f64::from_bits))
    }
}

/// A cell that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellDifference {
    /// The key cells of its row.
    pub key: Vec<String>,
    /// The left cell; empty if it is missing.
    pub left: String,
    /// The right cell; empty if it is missing.
    pub right: String,
}

impl ColumnDifferences {
    /// Adds the differences of other rows in the same column.
    pub(crate) fn add(&mut self, other: Self) {
        self.cells += other.cells;
        self.tolerated += other.tolerated;
        self.largest = match (self.largest, other.largest) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        self.examples.add(other.examples);
    }
}

/// Compares two rows cell by cell after their common key of `key` bytes; `kinds` are those of the
/// other columns. Returns whether all cells are equal.
pub(crate) fn compare_rows(
    ordinal: u64,
    (left, right): (&[u8], &[u8]),
    key: usize,
    (kinds, tolerance): (&[Kind], Tolerance),
    columns: &mut [ColumnDifferences],
) -> bool {
    if left[key..] == right[key..] {
        return true;
    }
    let (key_cells, left) = left.split_at(key);
    // A comma follows the key.
    let cells = Cells::of(&left[1..]).zip(Cells::of(&right[key + 1..]));
    let mut equal = true;
    for (((left, right), kind), column) in cells.zip(kinds).zip(columns) {
        if left == right {
            continue;
        }
        let (left, right) = (unquoted(left), unquoted(right));
        let numbers = kind.number(&left).zip(kind.number(&right));
        let distance = numbers.map(|(l, r)| (value(l), value(r), distance(l, r)));
        if let Some((l, r, distance)) = distance {
            if tolerance.allows(l, r, distance) {
                column.tolerated += 1;
                continue;
            }
            column.largest = Some(column.largest.map_or(distance, |d| d.max(distance)));
        }
        equal = false;
        column.cells += 1;
        column.examples.offer(ordinal, || CellDifference {
            key: Cells::of(key_cells).map(unquoted).collect(),
            left,
            right,
        });
    }
    equal
}

fn value(number: Number) -> f64 {
    match number {
        Number::Integer(v) => v as f64,
        Number::Float(v) => v,
    }
}

/// The distance between two numbers. Integers are subtracted as integers, since two different ones
/// may be the same double.
fn distance(left: Number, right: Number) -> f64 {
    match (left, right) {
        (Number::Integer(l), Number::Integer(r)) => l.abs_diff(r) as f64,
        (l, r) => (value(l) - value(r)).abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(left: &str, right: &str, tolerance: Tolerance) -> (bool, Vec<ColumnDifferences>) {
        let mut columns = vec![ColumnDifferences::default(); 2];
        let kinds = [Kind::Number, Kind::Text];
        let (left, right) = (format!("k,{left}\n"), format!("k,{right}\n"));
        let rows = (left.as_bytes(), right.as_bytes());
        (compare_rows(0, rows, 1, (&kinds, tolerance), &mut columns), columns)
    }

    #[test]
    fn numbers_may_lie_apart_and_texts_may_not() {
        let of = |abs, rel| Tolerance { abs, rel };
        for (left, right, tolerance, equal) in [
            ("1,a", "1,a", of(0.0, 0.0), true),
            ("1,a", "2,a", of(0.0, 0.0), false),
            ("1,a", "2,a", of(1.0, 0.0), true),
            ("100,a", "101,a", of(0.0, 0.01), true),
            ("100,a", "102,a", of(0.0, 0.01), false),
            ("-1,a", "1,a", of(0.5, 1.0), false),
            ("9007199254740993,a", "9007199254740992,a", of(0.5, 0.0), false),
            (",a", ",a", of(0.0, 0.0), true),
            (",a", "0,a", of(1.0, 1.0), false),
            ("1,1", "1,2", of(9.0, 9.0), false),
            ("1,\"a,b\"", "1,\"a,c\"", of(0.0, 0.0), false),
        ] {
            assert_eq!(compare(left, right, tolerance).0, equal, "{left} {right}");
        }
        let (_, columns) = compare("1.5,\"a,\"\"b\"", "4,c", of(0.0, 0.0));
        assert_eq!((columns[0].cells, columns[1].cells, columns[0].largest), (1, 1, Some(2.5)));
        let example = columns[1].examples.iter().next().unwrap();
        assert_eq!((example.left.as_str(), example.right.as_str()), ("a,\"b", "c"));
    }

    #[test]
    fn a_distance_beyond_all_numbers_is_sent_as_it_is() {
        for largest in [None, Some(f64::INFINITY), Some(f64::MAX), Some(5e-324)] {
            let sent = ColumnDifferences { largest, ..ColumnDifferences::default() };
            let text = serde_json::to_string(&sent).unwrap();
            let got: ColumnDifferences = serde_json::from_str(&text).unwrap();
            assert_eq!(got.largest, largest);
        }
    }
}
