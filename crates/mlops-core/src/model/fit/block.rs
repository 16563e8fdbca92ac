//! The input of a fit: blocks of rows, feature by feature, from any kind of source.
//!
//! Not for parsing, imputing or encoding: a source has done all that and delivers labels and plain
//! numbers in their own units (unscaled). Not for scoring single rows either.

use super::question::Holders;
use crate::error::{Error, Result};

/// Rows in a full block. Fixed, because it determines the order of summation and therefore the last
/// bit of every result. 256 values of one feature are 2 KiB: a few features fit into the
/// first-level cache.
pub const BLOCK_ROWS: usize = 256;

/// Up to [`BLOCK_ROWS`] rows, feature-major: feature `j` is at `values[j * BLOCK_ROWS..]`.
#[derive(Debug, Clone)]
pub struct Block {
    features: usize,
    rows: usize,
    values: Vec<f64>,
    labels: Vec<f64>,
    /// Empty if every row has weight 1.
    weights: Vec<f64>,
    /// A buffer for a source to read bytes into.
    bytes: Vec<u8>,
}

impl Block {
    /// An empty block with room for [`BLOCK_ROWS`] rows of `features` values.
    pub fn new(features: usize) -> Self {
        Self {
            features,
            rows: 0,
            values: vec![0.0; features * BLOCK_ROWS],
            labels: vec![0.0; BLOCK_ROWS],
            weights: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// The number of features.
    pub fn features(&self) -> usize {
        self.features
    }

    /// A buffer that travels with the block, to be taken and put back.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The number of filled rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Sets the number of filled rows; their contents do not change.
    ///
    /// # Panics
    /// If `rows` is more than [`BLOCK_ROWS`].
    pub fn set_rows(&mut self, rows: usize) {
        assert!(rows <= BLOCK_ROWS, "a block holds {BLOCK_ROWS} rows, not {rows}");
        self.rows = rows;
    }

    /// The filled values of feature `j`.
    ///
    /// # Panics
    /// If there is no feature `j`.
    pub fn column(&self, j: usize) -> &[f64] {
        &self.values[j * BLOCK_ROWS..][..self.rows]
    }

    /// All [`BLOCK_ROWS`] places of feature `j`, to be filled before [`Block::set_rows`].
    ///
    /// # Panics
    /// If there is no feature `j`.
    pub fn column_mut(&mut self, j: usize) -> &mut [f64] {
        &mut self.values[j * BLOCK_ROWS..][..BLOCK_ROWS]
    }

    /// The labels of the filled rows: 1 is positive, 0 is negative.
    pub fn labels(&self) -> &[f64] {
        &self.labels[..self.rows]
    }

    /// All [`BLOCK_ROWS`] places for labels.
    pub fn labels_mut(&mut self) -> &mut [f64] {
        &mut self.labels
    }

    /// The weights of the filled rows; `None` if each has weight 1.
    pub fn weights(&self) -> Option<&[f64]> {
        self.weights.get(..self.rows).filter(|weights| !weights.is_empty())
    }

    /// All [`BLOCK_ROWS`] places for weights; from then on the block has some.
    pub fn weights_mut(&mut self) -> &mut [f64] {
        self.weights.resize(BLOCK_ROWS, 1.0);
        &mut self.weights
    }

    /// Keeps only the rows at the ascending indices `kept`.
    pub(crate) fn keep(&mut self, kept: &[usize]) {
        let columns = self.values.chunks_exact_mut(BLOCK_ROWS).chain([self.labels.as_mut_slice()]);
        for column in columns.chain(self.weights.chunks_exact_mut(BLOCK_ROWS)) {
            for (to, from) in kept.iter().enumerate() {
                column[to] = column[*from];
            }
        }
        self.rows = kept.len();
    }
}

/// Sums of the weights of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighed {
    /// Of negative and of positive rows.
    pub by_class: [f64; 2],
    /// Of the squares.
    pub squares: f64,
    /// The smallest weight above 0.
    pub least: f64,
}

impl Weighed {
    /// The number of rows of weight 1 whose mean would vary as much (Kish): the square of the sum
    /// divided by the sum of the squares.
    pub fn effective_rows(&self) -> f64 {
        let [negative, positive] = self.by_class;
        (negative + positive).powi(2) / self.squares
    }
}

/// The rows of a fit with random access by block: in memory, packed, or on disk.
///
/// Every block but the last is full, unless the source says otherwise. Values are raw (unscaled), imputed and one-hot encoded;
/// labels are 0 or 1. Several threads read at the same time, each into a block of its own.
pub trait Blocks: Sync {
    /// The number of values in a row.
    fn features(&self) -> usize;

    /// The number of rows.
    fn rows(&self) -> u64;

    /// The number of rows with label 1.
    fn positives(&self) -> u64;

    /// The name of feature `j` for people.
    fn name(&self, j: usize) -> String {
        format!("feature {j} (counted from 0)")
    }

    /// `rows()` divided by [`BLOCK_ROWS`], rounded up, if every block but the last is full.
    fn blocks(&self) -> usize;

    /// The number of rows in block `index`.
    fn rows_in(&self, index: usize) -> u64 {
        let before = index as u64 * BLOCK_ROWS as u64;
        self.rows().saturating_sub(before).min(BLOCK_ROWS as u64)
    }

    /// The weights of all rows; `None` if each has weight 1, and no block has weights.
    fn weighed(&self) -> Option<Weighed> {
        None
    }

    /// The sums of the weights of negative and of positive rows.
    fn class_totals(&self) -> [f64; 2] {
        let (rows, positives) = (self.rows() as f64, self.positives() as f64);
        self.weighed().map_or([rows - positives, positives], |weighed| weighed.by_class)
    }

    /// Those who hold the rows and make the passes over them; `None` if they are made here.
    fn holders(&self) -> Option<&dyn Holders> {
        None
    }

    /// Fills `into` with block `index`, counted from 0.
    ///
    /// # Errors
    /// If there is no such block, or the source cannot be read.
    fn read(&self, index: usize, into: &mut Block) -> Result<()>;
}

/// Reads block `index` and checks its size, so that a file that changes during a fit is an error
/// instead of a slightly wrong model.
pub(crate) fn read_checked(source: &dyn Blocks, index: usize, into: &mut Block) -> Result<()> {
    source.read(index, into)?;
    let expected = source.rows_in(index);
    if into.features() != source.features() || into.rows() as u64 != expected {
        return Err(Error::data(format!(
            "block {index} of the training data has {} rows of {} features where {expected} rows \
             of {} were announced; the source changed while it was read: run the training again",
            into.rows(),
            into.features(),
            source.features()
        )));
    }
    Ok(())
}
