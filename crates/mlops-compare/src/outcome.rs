//! The result of a comparison, for reports.
//!
//! Not for computing it: see [`crate::join`].

use serde::Serialize;

use crate::columns::Columns;
use crate::difference::CellDifference;
use crate::findings::Findings;
use crate::source::Reading;

/// The result of comparing two files.
///
/// For each file, rows = `both` + `..._only` + rows of repeated keys that are not paired. There are
/// up to [`EXAMPLES`](crate::EXAMPLES) examples of each kind, the first ones in file order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Nothing differs: the same columns and the same rows, in any order.
    pub equal: bool,
    /// The columns.
    pub columns: Columns,
    /// The numbers of rows in the left and the right file.
    pub rows: [u64; 2],
    /// Records of either file that cannot be read, with examples.
    pub unreadable: [Unreadable; 2],
    /// The number of pairs of rows, one from each file, with the same key.
    pub both: u64,
    /// The number of rows whose key only the left file has or, on all columns, has more often.
    pub left_only: u64,
    /// The same for the right file.
    pub right_only: u64,
    /// Differing cells in pairs of rows.
    pub differences: Differences,
    /// Keys that occur more than once.
    pub repeated: Repeated,
    /// The cells of rows that only the left file has, keys first.
    pub left_only_examples: Vec<Vec<String>>,
    /// The same for the right file.
    pub right_only_examples: Vec<Vec<String>>,
}

/// Records that cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Their number.
    pub rows: u64,
    /// Their lines, with reasons.
    pub examples: Vec<String>,
}

/// Cells that differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differences {
    /// The number of pairs of rows that differ in some cell.
    pub rows: u64,
    /// The compared columns.
    pub columns: Vec<ColumnDifference>,
}

/// The differences in one column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnDifference {
    /// The column's name.
    pub column: String,
    /// Number of cells that differ.
    pub cells: u64,
    /// Number of cells that differ within the tolerance and count as equal.
    pub tolerated: u64,
    /// The largest difference between two numbers, in units of the column.
    pub largest_distance: Option<f64>,
    /// The first differences.
    pub examples: Vec<CellDifference>,
}

/// Keys that occur more than once in a file. Those that are in both files are not paired, since it
/// is unknown which row belongs to which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repeated {
    /// The numbers of repeated keys in the left and the right file.
    pub keys: [u64; 2],
    /// The numbers of rows with these keys.
    pub rows: [u64; 2],
    /// The number of keys that are in both files and repeated in one of them; none on all columns,
    /// since equal rows are paired.
    pub unpaired_keys: u64,
    /// The numbers of rows with these keys, in either file.
    pub unpaired_rows: [u64; 2],
    /// Those rows are the same in both files, in any order.
    pub unpaired_equal: bool,
    /// The first repeated keys.
    pub examples: Vec<RepeatedKey>,
}

/// A key that occurs more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepeatedKey {
    /// Its cells.
    pub key: Vec<String>,
    /// The numbers of its rows in the left and the right file.
    pub rows: [u64; 2],
}

impl Comparison {
    pub(crate) fn new(columns: Columns, readings: [&Reading; 2], found: &Findings) -> Self {
        let repeated = &found.repeated;
        let repeated = Repeated {
            keys: [repeated.left_keys, repeated.right_keys],
            rows: [repeated.left_rows, repeated.right_rows],
            unpaired_keys: repeated.unpaired_keys,
            unpaired_rows: [repeated.unpaired_left, repeated.unpaired_right],
            unpaired_equal: repeated.unpaired_left == repeated.unpaired_right
                && repeated.left_sum == repeated.right_sum,
            examples: repeated
                .examples
                .iter()
                .map(|r| RepeatedKey {
                    key: r.key.clone(),
                    rows: [u64::from(r.left), u64::from(r.right)],
                })
                .collect(),
        };
        let each = columns.compared.iter().zip(&found.columns);
        let differences = Differences {
            rows: found.different,
            columns: each
                .map(|(column, d)| ColumnDifference {
                    column: column.clone(),
                    cells: d.cells,
                    tolerated: d.tolerated,
                    largest_distance: d.largest,
                    examples: d.examples.iter().cloned().collect(),
                })
                .collect(),
        };
        let unreadable = readings.map(|r| Unreadable {
            rows: r.unreadable,
            examples: r.examples.iter().cloned().collect(),
        });
        let equal = columns.left_only.is_empty()
            && columns.right_only.is_empty()
            && found.left_only + found.right_only + found.different == 0
            && repeated.unpaired_equal
            && unreadable.iter().all(|u| u.rows == 0);
        Self {
            equal,
            columns,
            rows: readings.map(|r| r.rows),
            unreadable,
            both: found.both,
            left_only: found.left_only,
            right_only: found.right_only,
            differences,
            repeated,
            left_only_examples: found.left_examples.iter().cloned().collect(),
            right_only_examples: found.right_examples.iter().cloned().collect(),
        }
    }
}
