//! A canonical row in a batch, and the keyed hash that identifies equal rows.
//!
//! Not for the set of rows seen: see [`crate::dataset::dedup`].

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The hash of a canonical row under a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowHasher(pub(crate) u64);

impl RowHasher {
    /// A random key, so that nobody can craft rows whose hashes collide.
    pub(crate) fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(RandomState::new().hash_one(0))
    }

    /// The hash of `row`, which must include its newline.
    pub(crate) fn hash(self, row: &[u8]) -> u128 {
        xxh3_128_with_seed(row, self.0)
    }
}

/// A canonical row: its bytes (newline included) in the chunk or in the side buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) start: u32,
    pub(crate) length: u32,
    /// Physical line in the chunk, from 0.
    pub(crate) line: u32,
    /// The number of physical lines that it spans.
    pub(crate) lines: u32,
    /// The hash by [`RowHasher`].
    pub(crate) hash: u128,
}
