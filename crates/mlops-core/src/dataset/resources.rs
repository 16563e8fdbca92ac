//! The machine's resources that ingestion may use.
//!
//! Not for the limits that a user configures: see [`crate::config`].

use crate::csv::chunk::CHUNK_BYTES;

/// The machine's resources that ingestion may use. They do not affect the result.
#[derive(Debug, Clone, Copy)]
pub struct Resources {
    /// The number of threads that parse at the same time.
    pub threads: usize,
    /// Memory limit of the whole process, in bytes.
    pub memory: usize,
    /// Expected number of rows, duplicates included; more are fine.
    pub expected_rows: usize,
    /// The number of bytes read at a time.
    pub chunk_bytes: usize,
}

impl Default for Resources {
    fn default() -> Self {
        Self { threads: 1, memory: usize::MAX, expected_rows: 0, chunk_bytes: CHUNK_BYTES }
    }
}
