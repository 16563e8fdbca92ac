//! What a comparison found, for reports. Not for finding it: see [`crate::join`].

use serde::Serialize;

use crate::columns::Columns;
use crate::difference::CellDifference;
use crate::findings::Findings;
use crate::source::Reading;

/// What was found in two files.
///
/// Of each file, rows = `both` + `..._only` + rows of keys that are repeated and not paired. There
/// are up to [`EXAMPLES`](crate::EXAMPLES) examples of each kind, the first in the order of the files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether nothing differs: the same columns, the same rows, however ordered.
    pub equal: bool,
    /// The columns.
    pub columns: Columns,
    /// Rows in the left file, and in the right one.
    pub rows: [u64; 2],
    /// Records in either that cannot be read, with examples.
    pub unreadable: [Unreadable; 2],
    /// Pairs of rows, one of each file, of the same key.
    pub both: u64,
    /// Rows whose key only the left file has, or on all columns, has more often.
    pub left_only: u64,
    /// The same of the right file.
    pub right_only: u64,
    /// Cells in pairs of rows that differ.
    pub differences: Differences,
    /// Keys that come more than once.
    pub repeated: Repeated,
    /// The cells of rows that only the left file has, keys first.
    pub left_only_examples: Vec<Vec<String>>,
    /// The same of the right file.
    pub right_only_examples: Vec<Vec<String>>,
}

/// Records that cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// How many.
    pub rows: u64,
    /// Their lines, and why.
    pub examples: Vec<String>,
}

/// Cells that differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differences {
    /// Pairs of rows of which some cell differs.
    pub rows: u64,
    /// Each column that is compared.
    pub columns: Vec<ColumnDifference>,
}

/// The cells of one column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnDifference {
    /// Its name.
    pub column: String,
    /// Cells that differ.
    pub cells: u64,
    /// Cells that differ within the tolerance and count as equal.
    pub tolerated: u64,
    /// The largest distance of two numbers that differ, in units of the column.
    pub largest_distance: Option<f64>,
    /// The first of them.
    pub examples: Vec<CellDifference>,
}

/// Keys that come more than once in a file. Those that are in both files are not paired: which row
/// belongs to which is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repeated {
    /// Keys that are repeated in the left file, and in the right one.
    pub keys: [u64; 2],
    /// Rows with these keys.
    pub rows: [u64; 2],
    /// Keys that are in both files and repeated in one of them; on all columns none, since equal
    /// rows are.
    pub unpaired_keys: u64,
    /// Rows with these keys, in either file.
    pub unpaired_rows: [u64; 2],
    /// Whether those rows are the same on both sides, in whatever order.
    pub unpaired_equal: bool,
    /// The first of the repeated keys.
    pub examples: Vec<RepeatedKey>,
}

/// A key that comes more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepeatedKey {
    /// Its cells.
    pub key: Vec<String>,
    /// Rows of the left file, and of the right one.
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
