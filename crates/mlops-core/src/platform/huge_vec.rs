//! A large array of zero-initialised numbers, on huge pages where available.
//!
//! A hash table is accessed at random; with ordinary pages the address translation costs as much as
//! the access. The memory comes straight from the system: pages are allocated on first use and
//! returned at once, and running out of memory is an error instead of an abort. Not for what the
//! numbers mean: see [`crate::dataset::dedup`].

use memmap2::MmapMut;

use crate::{Error, Result};

const BYTES: usize = 8;

/// An array of 64-bit numbers.
#[derive(Debug)]
pub struct HugeVec {
    memory: MmapMut,
}

impl HugeVec {
    /// An array of `length` zeros, at least one.
    pub fn zeroed(length: usize) -> Result<Self> {
        let bytes = length.max(1).saturating_mul(BYTES);
        let memory = MmapMut::map_anon(bytes).map_err(|e| {
            Error::data(format!(
                "the system has no {} MiB of memory to remember rows in ({e}): set a lower \
                 \"limits.memory_mib\", with which more goes through temporary files",
                (bytes >> 20) + 1
            ))
        })?;
        // A hint: without huge pages everything works, only slower.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Ok(Self { memory })
    }

    /// The number of elements.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.memory.len() / BYTES
    }

    /// The number at `at`, which must be below the length.
    #[inline]
    pub fn get(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.memory.as_chunks().0[at])
    }

    /// The bytes of `count` numbers from `at` on; the range must lie within the array.
    #[inline]
    pub fn some(&self, at: usize, count: usize) -> &[[u8; BYTES]] {
        &self.memory.as_chunks().0[at..at + count]
    }

    /// Sets the number at `at`, which must be below the length.
    #[inline]
    pub fn set(&mut self, at: usize, value: u64) {
        self.memory.as_chunks_mut().0[at] = value.to_le_bytes();
    }

    /// Applies `change` to each number that is not zero.
    pub fn change(&mut self, change: impl Fn(u64) -> u64) {
        for slot in self.memory.as_chunks_mut().0 {
            let value = u64::from_le_bytes(*slot);
            // Does not write to untouched pages, which would allocate them.
            if value != 0 {
                *slot = change(value).to_le_bytes();
            }
        }
    }
}
