//! A large array of numbers that are zero at first, on huge pages where the machine has them.
//!
//! A hash table is visited all over; with ordinary pages, finding out where a page is costs as much
//! as fetching the number. Memory comes straight from the system: it is not there before it is
//! used, it is given back at once, and when there is not enough of it that is an error and not the
//! end of the process. Not for what the numbers mean: see [`crate::dataset::dedup`].

use memmap2::MmapMut;

use crate::{Error, Result};

const BYTES: usize = 8;

/// An array of 64-bit numbers.
#[derive(Debug)]
pub struct HugeVec {
    memory: MmapMut,
}

impl HugeVec {
    /// `length` zeros, one at least.
    pub fn zeroed(length: usize) -> Result<Self> {
        let bytes = length.max(1).saturating_mul(BYTES);
        let memory = MmapMut::map_anon(bytes).map_err(|e| {
            Error::data(format!(
                "the system has no {} MiB of memory to remember rows in ({e}): set a lower \
                 \"limits.memory_mib\", with which more goes through temporary files",
                (bytes >> 20) + 1
            ))
        })?;
        // A wish: without it everything is as before, only slower.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Ok(Self { memory })
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.memory.len() / BYTES
    }

    /// The number at `at`, which is below the length.
    #[inline]
    pub fn get(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.memory.as_chunks().0[at])
    }

    /// The bytes of `count` numbers from `at` on, all of which are there.
    #[inline]
    pub fn some(&self, at: usize, count: usize) -> &[[u8; BYTES]] {
        &self.memory.as_chunks().0[at..at + count]
    }

    /// Sets the number at `at`, which is below the length.
    #[inline]
    pub fn set(&mut self, at: usize, value: u64) {
        self.memory.as_chunks_mut().0[at] = value.to_le_bytes();
    }

    /// Replaces each number that is not zero by what `change` makes of it.
    pub fn change(&mut self, change: impl Fn(u64) -> u64) {
        for slot in self.memory.as_chunks_mut().0 {
            let value = u64::from_le_bytes(*slot);
            // Untouched pages stay untouched.
            if value != 0 {
                *slot = change(value).to_le_bytes();
            }
        }
    }
}
