//! What a distributed engine does for the core: it runs tasks elsewhere and finds the first of equal hashes.
//!
//! A task is a text that [`crate::stage::elsewhere`] both writes and executes; to an engine it is opaque. A task
//! may be executed several times, on any machine, and concurrently, always with the same result. All machines
//! see the folders of the workspace under the same paths. An actual engine is in `mlops-cluster`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Result;

/// A distributed engine.
pub trait Engine: Send + Sync {
    /// Has all `tasks` carried out, and returns their answers in the order of the tasks.
    ///
    /// # Errors
    /// If the engine cannot be reached, gave up, or took too long. The error of a task that fails for a reason
    /// of its own, such as data that are no good, is part of its answer.
    fn run(&self, tasks: Vec<String>) -> Result<Vec<String>>;

    /// Finds, among the rows in the files `hashes`, those with the same hash as a row with a lower position, and
    /// has `tasks` carried out, each with the rows of its own that are such duplicates.
    ///
    /// # Errors
    /// As [`Engine::run`].
    fn sift(&self, hashes: &[PathBuf], tasks: Vec<(u64, String)>) -> Result<Vec<String>>;

    /// About how many bytes of a file are one task.
    fn range_bytes(&self) -> u64;

    /// How many tasks are worth while at the same time.
    fn partitions(&self) -> usize;
}

/// A file of hashes that a task writes.
pub trait HashFile {
    /// Adds the hash of the row at `position`.
    ///
    /// # Errors
    /// If it cannot be written.
    fn add(&mut self, hash: u128, position: Position) -> Result<()>;

    /// Gives the file its name.
    ///
    /// # Errors
    /// If it cannot be written.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Opens a file of hashes at a path.
pub type OpenHashes<'a> = &'a dyn Fn(&Path) -> Result<Box<dyn HashFile>>;

/// The place of a row among all rows that are compared: the number of its file, of the range of the file, and of
/// the row in the range. Positions are in canonical order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(u64);

/// Bits of the number of a row in its range.
const ROW_BITS: u32 = 27;
/// Bits of the number of a range in its file.
const RANGE_BITS: u32 = 16;
/// Bits of the number of a file.
const FILE_BITS: u32 = 20;

impl Position {
    /// The place of the first row of a range; `None` if there are too many files or ranges.
    pub fn of_range(file: usize, range: usize) -> Option<Self> {
        let fits = |n: usize, bits: u32| u64::try_from(n).ok().filter(|n| *n < 1 << bits);
        let (file, range) = (fits(file, FILE_BITS)?, fits(range, RANGE_BITS)?);
        Some(Self((file << RANGE_BITS | range) << ROW_BITS))
    }

    /// The place of row `row` of the range that begins here; `None` if a range cannot have so many rows.
    pub fn row(self, row: u64) -> Option<Self> {
        (row < 1 << ROW_BITS).then_some(Self(self.0 | row))
    }

    /// The position with this number.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The position as a number below 2^63, in the same order.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The range, as a number that no other range has.
    pub fn range(self) -> u64 {
        self.0 >> ROW_BITS
    }

    /// The number of the row in its range.
    pub fn within(self) -> u64 {
        self.0 & ((1 << ROW_BITS) - 1)
    }

    /// By how many bits a position is shifted to get its range, and its file.
    pub const SHIFTS: (u32, u32) = (ROW_BITS, ROW_BITS + RANGE_BITS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_in_the_order_of_files_ranges_and_rows() {
        let at = |file, range, row| Position::of_range(file, range).unwrap().row(row).unwrap();
        let all =
            [at(0, 0, 0), at(0, 0, (1 << 27) - 1), at(0, 1, 0), at(1, 0, 7), at(9, 65_535, 1)];
        assert!(all.is_sorted() && all.iter().all(|p| p.number() < 1 << 63));
        assert_eq!((at(1, 0, 7).within(), at(1, 2, 3).range()), (7, (1 << 16) + 2));
        assert_eq!(Position::of_range(1 << 20, 0), None);
        assert_eq!(Position::of_range(0, 1 << 16), None);
        assert_eq!(Position::of_range(0, 0).unwrap().row(1 << 27), None);
    }
}
