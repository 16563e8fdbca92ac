//! Counts and examples collected by a comparison, or by a part of it.
//!
//! Parts may be added in any order: counts are summed, and examples know their positions. Not for
//! producing them: see [`crate::join`].

use serde::{Deserialize, Serialize};

use crate::cell::{Cells, unquoted};
use crate::difference::ColumnDifferences;
use crate::examples::Examples;
use crate::groups::Counts;

/// Ordinals of examples from here on belong to the right file.
pub(crate) const RIGHT: u64 = 1 << 63;

/// Counts and examples.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Findings {
    pub(crate) both: u64,
    pub(crate) left_only: u64,
    pub(crate) right_only: u64,
    pub(crate) repeated: Repeated,
    /// Pairs of rows that differ in some cell.
    pub(crate) different: u64,
    /// The differences of each compared column.
    pub(crate) columns: Vec<ColumnDifferences>,
    pub(crate) left_examples: Examples<Vec<String>>,
    pub(crate) right_examples: Examples<Vec<String>>,
}

/// Keys that occur more than once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Repeated {
    pub(crate) left_keys: u64,
    pub(crate) left_rows: u64,
    pub(crate) right_keys: u64,
    pub(crate) right_rows: u64,
    /// Those that are in both files, so that their rows cannot be paired.
    pub(crate) unpaired_keys: u64,
    pub(crate) unpaired_left: u64,
    pub(crate) unpaired_right: u64,
    /// Sums of the hashes of those rows: equal if the rows are, in any order.
    pub(crate) left_sum: u128,
    pub(crate) right_sum: u128,
    pub(crate) examples: Examples<RepeatedKey>,
}

/// A key that occurs more than once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RepeatedKey {
    pub(crate) hash: u128,
    pub(crate) key: Vec<String>,
    pub(crate) left: u32,
    pub(crate) right: u32,
}

impl Findings {
    /// Empty findings for this number of compared columns.
    pub(crate) fn new(columns: usize) -> Self {
        Self { columns: vec![ColumnDifferences::default(); columns], ..Self::default() }
    }

    /// Counts the rows of one key.
    pub(crate) fn count(&mut self, counts: Counts, keyed: bool) {
        let (left, right) = (u64::from(counts.left), u64::from(counts.right));
        let repeated = &mut self.repeated;
        if left > 1 {
            repeated.left_keys += 1;
            repeated.left_rows += left;
        }
        if right > 1 {
            repeated.right_keys += 1;
            repeated.right_rows += right;
        }
        if keyed && counts.open() {
            repeated.unpaired_keys += 1;
            repeated.unpaired_left += left;
            repeated.unpaired_right += right;
        } else {
            let both = left.min(right);
            self.both += both;
            self.left_only += left - both;
            self.right_only += right - both;
        }
    }

    /// Records a key that occurred again.
    pub(crate) fn repeats(&mut self, ordinal: u64, key: &[u8], hash: u128) {
        self.repeated.examples.offer_one(
            ordinal,
            |kept| kept.hash == hash,
            || RepeatedKey { hash, key: cells(key), left: 0, right: 0 },
        );
    }

    /// Adds the findings of another part.
    pub(crate) fn add(&mut self, other: Self) {
        self.both += other.both;
        self.left_only += other.left_only;
        self.right_only += other.right_only;
        self.different += other.different;
        for (column, others) in self.columns.iter_mut().zip(other.columns) {
            column.add(others);
        }
        self.left_examples.add(other.left_examples);
        self.right_examples.add(other.right_examples);
        let (own, other) = (&mut self.repeated, other.repeated);
        own.left_keys += other.left_keys;
        own.left_rows += other.left_rows;
        own.right_keys += other.right_keys;
        own.right_rows += other.right_rows;
        own.unpaired_keys += other.unpaired_keys;
        own.unpaired_left += other.unpaired_left;
        own.unpaired_right += other.unpaired_right;
        own.left_sum = own.left_sum.wrapping_add(other.left_sum);
        own.right_sum = own.right_sum.wrapping_add(other.right_sum);
        own.examples.add(other.examples);
    }
}

/// The cells of a row, for people.
pub(crate) fn cells(row: &[u8]) -> Vec<String> {
    Cells::of(row).map(unquoted).collect()
}
