//! A canonical row in a batch, where its bytes are, and the keyed hash that identifies equal rows.
//!
//! Not for the set of rows seen: see [`crate::dataset::dedup`].

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The hash of a canonical row under a key.
#[derive(Debug, Clone, Copy)]
pub struct RowHasher(pub u64);

impl RowHasher {
    /// A random key, so that nobody can craft rows whose hashes collide.
    pub fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(RandomState::new().hash_one(0))
    }

    /// The hash of `row`, which must include its newline.
    #[inline]
    pub fn hash(self, row: &[u8]) -> u128 {
        xxh3_128_with_seed(row, self.0)
    }
}

/// Where the bytes of a row, or of rows that stand one behind the other, are: in the chunk, or in
/// the buffer beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extent {
    start: u32,
    length: u32,
}

/// Set in `Extent::start` when the bytes are in the side buffer.
const IN_SIDE: u32 = 1 << 31;

impl Extent {
    /// The bytes in `range`, of the side buffer if `in_side`.
    #[inline]
    pub fn new(range: &Range<usize>, in_side: bool) -> Self {
        // Chunks stay far below 2 GiB: the reader gives up on lines of 64 MiB.
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX >> 1);
        let start = narrow(range.start) | if in_side { IN_SIDE } else { 0 };
        Self { start, length: narrow(range.len()) }
    }

    /// The bytes themselves.
    #[inline]
    pub fn of<'a>(self, chunk: &'a [u8], side: &'a [u8]) -> &'a [u8] {
        let start = (self.start & !IN_SIDE) as usize;
        let from = if self.start & IN_SIDE == 0 { chunk } else { side };
        &from[start..start + self.length as usize]
    }

    /// The bytes in the chunk, if that is where they are.
    pub(crate) fn in_chunk(self) -> Option<Range<usize>> {
        let start = self.start as usize;
        (self.start & IN_SIDE == 0).then_some(start..start + self.length as usize)
    }

    /// Adds the bytes at `next` if they follow.
    #[inline]
    pub(crate) fn extend(&mut self, next: Self) -> bool {
        let follows = self.start + self.length == next.start;
        self.length += if follows { next.length } else { 0 };
        follows
    }
}

/// A canonical row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Its bytes, newline included.
    pub(crate) extent: Extent,
    /// Physical line in the chunk, from 0.
    pub(crate) line: u32,
    /// The number of physical lines that it spans.
    pub(crate) lines: u32,
    /// The hash by [`RowHasher`].
    pub(crate) hash: u128,
}
