//! What ingestion may take of the machine.
//!
//! Not for the limits that a user configures: see [`crate::config`].

use crate::csv::chunk::CHUNK_BYTES;

/// What ingestion may take of the machine. None of it changes a byte of the result.
#[derive(Debug, Clone, Copy)]
pub struct Resources {
    /// Threads that parse at the same time.
    pub threads: usize,
    /// Memory of the whole process, in bytes.
    pub memory: usize,
    /// Rows that may come, duplicates included; more are fine.
    pub expected_rows: usize,
    /// Bytes that are read at a time.
    pub chunk_bytes: usize,
}

impl Default for Resources {
    fn default() -> Self {
        Self { threads: 1, memory: usize::MAX, expected_rows: 0, chunk_bytes: CHUNK_BYTES }
    }
}
