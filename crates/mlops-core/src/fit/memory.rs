//! Training rows held in memory, packed.
//!
//! For training when the encoded rows fit in memory. Not for data larger than that: those
//! implement [`Blocks`] over a file.

use super::block::{BLOCK_ROWS, Block, Blocks};
use crate::error::{Error, Result};

/// One feature of one block. Counts and one-hot columns are whole numbers, and a pass over the
/// data is bound by memory: four bytes instead of eight is nearly twice the speed.
#[derive(Debug, Clone)]
enum Packed {
    /// All values are whole and fit: exact in four bytes.
    Whole(Box<[i32]>),
    Real(Box<[f64]>),
}

/// Rows in memory; every (block, feature) is kept as `i32` if all its values are whole numbers
/// of that range, else as `f64`. Reading gives back exactly what was pushed.
#[derive(Debug, Clone)]
pub struct MemoryBlocks {
    features: usize,
    rows: u64,
    positives: u64,
    /// Full blocks: `packed[block * features + feature]`.
    packed: Vec<Packed>,
    /// Labels of all full blocks.
    labels: Vec<bool>,
    /// The last block while it fills.
    open: Block,
}

impl MemoryBlocks {
    /// No rows of `features` values.
    pub fn new(features: usize) -> Self {
        Self {
            features,
            rows: 0,
            positives: 0,
            packed: Vec::new(),
            labels: Vec::new(),
            open: Block::new(features),
        }
    }

    /// Appends a row.
    ///
    /// # Errors
    /// If `row` has another number of values than the rest. Values are not looked at here; a fit
    /// rejects those that are not finite.
    pub fn push_row(&mut self, row: &[f64], positive: bool) -> Result<()> {
        if row.len() != self.features {
            return Err(Error::data(format!(
                "row {} of the training data has {} values instead of {}; encode every row with \
                 the same schema",
                self.rows,
                row.len(),
                self.features
            )));
        }
        let at = self.open.rows();
        for (j, &value) in row.iter().enumerate() {
            self.open.column_mut(j)[at] = value;
        }
        self.open.labels_mut()[at] = f64::from(positive);
        self.open.set_rows(at + 1);
        self.rows += 1;
        self.positives += u64::from(positive);
        if at + 1 == BLOCK_ROWS {
            self.seal();
        }
        Ok(())
    }

    fn seal(&mut self) {
        for j in 0..self.features {
            self.packed.push(pack(self.open.column(j)));
        }
        self.labels.extend(self.open.labels().iter().map(|&label| label > 0.5));
        self.open.set_rows(0);
    }
}

fn pack(values: &[f64]) -> Packed {
    let whole: Option<Box<[i32]>> = values.iter().map(|&value| as_whole(value)).collect();
    whole.map_or_else(|| Packed::Real(values.into()), Packed::Whole)
}

/// The same number as an `i32`, or nothing. Comparing bits keeps -0.0 and NaN out.
fn as_whole(value: f64) -> Option<i32> {
    #[expect(clippy::cast_possible_truncation, reason = "the way back is compared")]
    let whole = value as i32;
    (f64::from(whole).to_bits() == value.to_bits()).then_some(whole)
}

impl Blocks for MemoryBlocks {
    fn features(&self) -> usize {
        self.features
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn positives(&self) -> u64 {
        self.positives
    }

    fn blocks(&self) -> usize {
        self.labels.len() / BLOCK_ROWS + usize::from(self.open.rows() > 0)
    }

    fn read(&self, index: usize, into: &mut Block) -> Result<()> {
        let full = self.labels.len() / BLOCK_ROWS;
        if index >= self.blocks() {
            return Err(Error::data(format!(
                "there is no block {index} among {} blocks of training data",
                self.blocks()
            )));
        }
        if index == full {
            into.clone_from(&self.open);
            return Ok(());
        }
        let columns = &self.packed[index * self.features..][..self.features];
        for (j, column) in columns.iter().enumerate() {
            let target = into.column_mut(j);
            match column {
                Packed::Whole(values) => {
                    for (to, &from) in target.iter_mut().zip(values) {
                        *to = f64::from(from);
                    }
                }
                Packed::Real(values) => target.copy_from_slice(values),
            }
        }
        let labels = &self.labels[index * BLOCK_ROWS..][..BLOCK_ROWS];
        for (to, &from) in into.labels_mut().iter_mut().zip(labels) {
            *to = f64::from(from);
        }
        into.set_rows(BLOCK_ROWS);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_bit_for_bit_around_block_borders() {
        for rows in [1_u32, 255, 256, 257, 600] {
            let mut source = MemoryBlocks::new(3);
            let row = |i: u32| [f64::from(i) - 300.0, f64::from(i) / 7.0, -0.0];
            for i in 0..rows {
                source.push_row(&row(i), i % 3 == 0).unwrap();
            }
            assert_eq!(source.rows(), u64::from(rows));
            assert_eq!(source.positives(), u64::from(rows.div_ceil(3)));
            assert_eq!(source.blocks(), (rows as usize).div_ceil(BLOCK_ROWS));
            let mut block = Block::new(3);
            for i in 0..rows {
                source.read(i as usize / BLOCK_ROWS, &mut block).unwrap();
                let at = i as usize % BLOCK_ROWS;
                for (j, value) in row(i).iter().enumerate() {
                    assert_eq!(block.column(j)[at].to_bits(), value.to_bits());
                }
                assert_eq!(block.labels()[at] > 0.5, i % 3 == 0);
            }
            assert!(source.read(source.blocks(), &mut block).is_err());
        }
    }

    #[test]
    fn only_whole_numbers_of_the_range_are_packed() {
        assert_eq!(as_whole(-2_147_483_648.0), Some(i32::MIN));
        for value in [-0.0, 0.5, 2_147_483_648.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(as_whole(value), None, "{value}");
        }
    }

    #[test]
    fn a_row_of_another_width_is_refused() {
        let message = MemoryBlocks::new(2).push_row(&[1.0], true).unwrap_err().to_string();
        assert!(message.contains("1 values instead of 2"), "{message}");
    }
}
