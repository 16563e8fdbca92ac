//! Looks for columns that give the label away, in a sample of the training rows as they are packed.
//!
//! The sample is blocks of rows at even distances, so that it is the same for any number of threads,
//! costs the same for any number of rows, and no row pays for it while it is read. Not for judging a
//! column: see [`crate::evaluation::leak`].

use super::TrainingRows;
use crate::Result;
use crate::evaluation::leak::Leak;
use crate::model::fit::{BLOCK_ROWS, Block, Blocks, PackedBlocks};

/// Cells in a sample, as long as it has [`FEWEST`] to [`MOST`] rows.
const CELLS: usize = 1 << 20;
/// The fewest rows of a sample, if there are as many.
const FEWEST: usize = 1 << 13;
/// The most rows of a sample.
const MOST: usize = 1 << 16;
/// Bytes of columns that are unpacked together.
const ROOM: usize = 1 << 26;
/// The columns are unpacked in so many parts, which use the same memory one after the other.
const PARTS: usize = 4;

impl TrainingRows {
    /// The columns that give the label away, in the order of the schema.
    ///
    /// # Errors
    /// If a temporary file of rows cannot be read.
    pub fn leaks(&self) -> Result<Vec<Leak>> {
        let (rows, numeric, names, room) = self.columns();
        let wanted = (CELLS / names.len().max(1)).clamp(FEWEST, MOST);
        let sampled = blocks(rows, wanted);
        let (mut labels, mut buffer) = (Vec::new(), Vec::new());
        for index in &sampled {
            let mut block = [0.0; BLOCK_ROWS];
            rows.labels(*index, &mut buffer, &mut block)?;
            let rows = rows.last(*index).map_or(BLOCK_ROWS, Block::rows);
            labels.extend(block[..rows].iter().map(|label| *label > 0.5));
        }
        let mut leaks = Vec::new();
        let together = room.min(ROOM) / (size_of::<f64>() * labels.len().max(1));
        let together = together.min(names.len().div_ceil(PARTS)).max(1);
        let all: Vec<usize> = (0..names.len()).collect();
        let mut values = vec![Vec::with_capacity(labels.len()); together];
        for columns in all.chunks(together) {
            values.iter_mut().for_each(Vec::clear);
            for index in &sampled {
                rows.columns(*index, columns, &mut buffer, |j, block| {
                    values[j - columns[0]].extend_from_slice(block);
                })?;
            }
            for (j, values) in columns.iter().zip(&values) {
                leaks.extend(if *j < numeric {
                    Leak::of_numbers(names[*j], &labels, values)
                } else {
                    Leak::of_categories(names[*j], &labels, values)
                });
            }
        }
        Ok(leaks)
    }
}

/// The blocks of a sample of about `wanted` rows, at even distances.
fn blocks(rows: &PackedBlocks, wanted: usize) -> Vec<usize> {
    let (all, most) = (rows.blocks(), wanted / BLOCK_ROWS);
    if all <= most { (0..all).collect() } else { (0..most).map(|i| i * all / most).collect() }
}
