//! Finds the rows of many stretches that equal an earlier one, by files that tasks write and others read.
//!
//! 1. The task that reads a stretch writes the hashes of its rows into one file, divided into parts by bits of the
//!    hash: equal rows are in the same part.
//! 2. A task for each part goes through it stretch by stretch, in their order, and notes each row that it has seen
//!    before: one file for each part, divided by stretches. A part that does not fit into memory is gone through
//!    several times, each time for a share of its hashes.
//! 3. A task for each stretch gathers what all parts have noted about it.
//!
//! Each is a function of its inputs, and writes files that appear whole. It may therefore be carried out any number of
//! times, and concurrently. Rows of a part are equal if [`super::dedup`] takes them for equal, as on one machine; the bits
//! that choose the part come on top. Not for the rows themselves: see [`super::elsewhere`].

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::dedup::{BATCH, RowOutcome, SeenRows, bytes_for};
use super::task::{not_as_counted, with_end};
use crate::platform::parted::Parted;
use crate::{Error, Result};

/// Low bits of an entry that are the number of a row in its stretch. The others are those of its hash; its lowest bits
/// have chosen the part, and the set of rows seen does not look at the lowest 40.
const ROW_BITS: u32 = 27;
const ROW: u128 = (1 << ROW_BITS) - 1;
/// Bytes of an entry.
const ENTRY: usize = 16;
/// Bytes for unwritten hashes of a stretch.
const BUFFERS: usize = 1 << 22;
/// A part may be divided into so many shares: bits of the hash between those of the row and those of the set.
const MOST_SHARES: u64 = 1 << 13;
/// The most parts, whose bits must be among those of the row.
const MOST_PARTS: u64 = 1 << 12;
/// Set in the number of a duplicate whose first is in the same file.
const WITHIN: u32 = 1 << 31;

/// How many parts rows of so many `bytes` of CSV have, if each range has `range_bytes`, and a task `memory`. A row seen takes
/// ten bytes of memory, which is about what the shortest rows have.
pub(crate) fn parts_for(bytes: u64, range_bytes: u64, memory: usize) -> usize {
    let part = range_bytes.min(memory as u64).max(1);
    let parts = bytes.div_ceil(part).clamp(1, MOST_PARTS).next_power_of_two();
    usize::try_from(parts).unwrap_or(1)
}

/// The file of the hashes of a stretch whose files begin with `output`.
fn hashes_of(output: &Path) -> PathBuf {
    with_end(output, ".hashes")
}

/// The hashes of a stretch on their way to its file.
pub(crate) struct HashWriter {
    file: Parted,
    parts: u128,
    rows: u32,
}

impl HashWriter {
    /// For a stretch whose files begin with `output`; the number of `parts` is a power of two.
    pub(crate) fn create(output: &Path, parts: usize) -> Result<Self> {
        let piece = (BUFFERS / parts).clamp(1 << 12, 1 << 18) / ENTRY * ENTRY;
        let file = Parted::create_there(&hashes_of(output), parts, piece)?;
        Ok(Self { file, parts: parts as u128, rows: 0 })
    }

    /// Adds the hash of the next row; returns whether there was room for another.
    #[inline]
    pub(crate) fn push(&mut self, hash: u128) -> Result<bool> {
        let part = (hash & (self.parts - 1)) as usize;
        let entry = hash & !ROW | u128::from(self.rows);
        if self.rows >> ROW_BITS != 0 {
            return Ok(false);
        }
        self.rows += 1;
        self.file.push(part, [&entry.to_le_bytes()])?;
        Ok(true)
    }

    pub(crate) fn publish(self) -> Result<()> {
        self.file.publish()
    }
}

/// A stretch whose hashes are compared.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Compared {
    /// The start of the names of its files.
    pub(crate) output: PathBuf,
    /// The number of its file; those of one file are together. Rows of the file 0 are not duplicates of each other.
    pub(crate) file: usize,
}

/// Finds the rows of a part that equal an earlier one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FindEqual {
    /// The file with the list of all stretches, in order.
    pub(crate) stretches: PathBuf,
    pub(crate) part: usize,
    /// Memory for the rows seen, in bytes.
    pub(crate) memory: usize,
    /// The start of the names of the files of all parts.
    pub(crate) output: PathBuf,
}

/// What a part has.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EqualFound {
    pub(crate) rows: u64,
    pub(crate) duplicates: u64,
}

/// The file of what a part has.
fn found_in(output: &Path, part: usize) -> PathBuf {
    with_end(output, &format!("-{part}"))
}

impl FindEqual {
    pub(crate) fn carry_out(&self) -> Result<EqualFound> {
        let list = std::fs::read(&self.stretches);
        let list = list.map_err(|e| Error::io("read", &self.stretches, e))?;
        let wrong = |e| Error::backend("serde_json", e);
        let stretches: Vec<Compared> = serde_json::from_slice(&list).map_err(wrong)?;
        let open = |stretch: &Compared| {
            Parted::open(&hashes_of(&stretch.output), self.part..self.part + 1)
        };
        let mut files = stretches.iter().map(open).collect::<Result<Vec<_>>>()?;
        let rows = files.iter().map(|file| file.entries(self.part)).sum();
        // Equal rows take memory once only: how many shares are needed shows on the way.
        let mut shares = 1;
        loop {
            if let Some(duplicates) = self.find(&stretches, &mut files, rows, shares)? {
                return Ok(EqualFound { rows, duplicates });
            }
            shares *= 2;
            if shares > MOST_SHARES {
                return Err(Error::data(format!(
                    "{rows} hashes of rows do not fit into {} MiB, even in {MOST_SHARES} shares: raise \
                     \"limits.memory_mib\"",
                    self.memory >> 20
                )));
            }
        }
    }

    /// Writes the duplicates and returns their number; `None` if the rows of a share do not fit into memory.
    fn find(
        &self,
        stretches: &[Compared],
        files: &mut [Parted],
        rows: u64,
        shares: u64,
    ) -> Result<Option<u64>> {
        let fits = self.memory / bytes_for(1 << 16).max(1) * (1 << 16);
        let expected = usize::try_from(rows / shares).unwrap_or(usize::MAX);
        let expected = (expected + expected / 16 + BATCH).min(fits);
        let mut found = Parted::create_there(
            &found_in(&self.output, self.part),
            stretches.len(),
            // Stretches come one after the other, so that few have a buffer.
            1 << 14,
        )?;
        let (mut count, mut read) = (0, 0);
        let (mut bytes, mut batch, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
        for share in 0..shares {
            let mut seen = SeenRows::expecting(expected)?;
            let mut before = 0;
            for (number, (stretch, file)) in stretches.iter().zip(&mut *files).enumerate() {
                if stretch.file != before {
                    seen.next_file();
                    before = stretch.file;
                }
                let mut piece = 0;
                while file.piece(self.part, piece, &mut bytes)? {
                    piece += 1;
                    let (entries, rest) = bytes.as_chunks::<ENTRY>();
                    read += entries.len() as u64;
                    if !rest.is_empty() {
                        return Err(not_as_counted(&hashes_of(&stretch.output)));
                    }
                    for entries in entries.chunks(BATCH) {
                        let entries = entries.iter().map(|entry| u128::from_le_bytes(*entry));
                        batch.clear();
                        batch.extend(entries.filter(|entry| share_of(*entry, shares) == share));
                        if !seen.make_room(batch.len(), self.memory)? {
                            return Ok(None);
                        }
                        seen.insert_all(batch.iter().copied(), &mut outcomes);
                        for (entry, outcome) in batch.iter().zip(&outcomes) {
                            if let Some(row) = noted(*entry, *outcome)
                                && stretch.file > 0
                            {
                                found.push(number, [&row.to_le_bytes()])?;
                                count += 1;
                            }
                        }
                    }
                }
                file.close();
                found.end_part(number)?;
            }
        }
        if read != rows * shares {
            return Err(Error::data(format!(
                "part {} has {} rows where {rows} were counted: the folder that all machines share is unreliable; \
                 nothing was changed",
                self.part,
                read / shares
            )));
        }
        found.publish()?;
        Ok(Some(count))
    }
}

/// The share of a part to which an entry belongs; the number of `shares` is a power of two.
fn share_of(entry: u128, shares: u64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "the bits below are asked for")]
    let bits = (entry >> ROW_BITS) as u64;
    bits & (shares - 1)
}

/// What is noted of the row of an entry: its number and, if its first is in the same file, [`WITHIN`].
fn noted(entry: u128, outcome: RowOutcome) -> Option<u32> {
    let within = match outcome {
        RowOutcome::DuplicateWithin => WITHIN,
        RowOutcome::DuplicateAcross => 0,
        RowOutcome::Kept | RowOutcome::Quarantined => return None,
    };
    Some((entry & ROW) as u32 | within)
}

/// A row that equals an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Duplicate {
    /// The number of the row in its stretch.
    pub(crate) row: u32,
    /// The first of its kind is in the same file.
    pub(crate) within: bool,
}

/// The duplicates of a stretch of `rows` rows, by its number in the list, in the order of its rows. `output` is the
/// start of the names of the files of all `parts`.
pub(crate) fn of_stretch(
    output: &Path,
    parts: usize,
    stretch: usize,
    rows: u64,
) -> Result<Vec<Duplicate>> {
    let (mut all, mut bytes) = (Vec::new(), Vec::new());
    for part in 0..parts {
        let path = found_in(output, part);
        let mut file = Parted::open(&path, stretch..stretch + 1)?;
        let before = all.len() as u64;
        let mut piece = 0;
        while file.piece(stretch, piece, &mut bytes)? {
            piece += 1;
            let numbers = bytes.as_chunks().0.iter().map(|number| u32::from_le_bytes(*number));
            all.extend(numbers.map(|n| Duplicate { row: n & !WITHIN, within: n & WITHIN != 0 }));
        }
        if all.len() as u64 - before != file.entries(stretch) {
            return Err(not_as_counted(&path));
        }
    }
    all.sort_unstable();
    let apart = all.windows(2).all(|two| two[0].row < two[1].row);
    if !apart || all.last().is_some_and(|last| u64::from(last.row) >= rows) {
        return Err(not_as_counted(output));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::row_hash::RowHasher;
    use std::collections::HashMap;

    /// Stretches of rows, each with the number of its file.
    fn rows(stretches: usize, rows: u64, variety: u64) -> Vec<(usize, Vec<u64>)> {
        let mut state = 7_u64;
        let mut below = |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut next = |i: usize| (i / 3, (0..below(rows * 2)).map(|_| below(variety)).collect());
        (0..stretches).map(&mut next).collect()
    }

    /// Where the duplicates are, and whether their firsts are in the same file.
    fn expected(all: &[(usize, Vec<u64>)]) -> Vec<Vec<Duplicate>> {
        let mut first: HashMap<u64, usize> = HashMap::new();
        let mut found = Vec::new();
        for (file, rows) in all {
            let mut duplicates = Vec::new();
            for (row, n) in (0..).zip(rows) {
                match first.get(n) {
                    Some(_) if *file == 0 => {}
                    Some(f) => duplicates.push(Duplicate { row, within: f == file }),
                    None => drop(first.insert(*n, *file)),
                }
            }
            found.push(duplicates);
        }
        found
    }

    /// The duplicates that tasks find; those for parts have `memory` bytes, and are carried out twice.
    fn found(all: &[(usize, Vec<u64>)], parts: usize, memory: usize) -> Vec<Vec<Duplicate>> {
        let folder = tempfile::tempdir().unwrap();
        let mut list = Vec::new();
        for (number, (file, rows)) in all.iter().enumerate() {
            let output = folder.path().join(number.to_string());
            let mut writer = HashWriter::create(&output, parts).unwrap();
            for n in rows {
                assert!(writer.push(RowHasher(3).hash(&n.to_le_bytes())).unwrap());
            }
            writer.publish().unwrap();
            list.push(Compared { output, file: *file });
        }
        let (stretches, output) = (folder.path().join("list"), folder.path().join("equal"));
        let disk = crate::platform::disk::Disk::default();
        disk.write(&stretches, &serde_json::to_vec(&list).unwrap()).unwrap();
        let (mut counted, mut duplicates) = (0, 0);
        for part in 0..parts {
            let (stretches, output) = (stretches.clone(), output.clone());
            let task = FindEqual { stretches, part, memory, output };
            let found = task.carry_out().unwrap();
            assert_eq!(task.carry_out().unwrap(), found);
            counted += found.rows;
            duplicates += found.duplicates;
        }
        let of = |(number, (_, rows)): (usize, &(usize, Vec<u64>))| {
            of_stretch(&output, parts, number, rows.len() as u64).unwrap()
        };
        let found: Vec<Vec<Duplicate>> = all.iter().enumerate().map(of).collect();
        assert_eq!(counted, all.iter().map(|(_, rows)| rows.len() as u64).sum::<u64>());
        assert_eq!(duplicates, found.iter().map(|found| found.len() as u64).sum::<u64>());
        found
    }

    #[test]
    fn the_first_of_equal_rows_is_none_whatever_the_number_of_parts_and_the_memory() {
        for (count, variety) in [(300, 1), (300, 200), (4_000, 20_000)] {
            let all = rows(11, count, variety);
            let expected = expected(&all);
            // 40 KiB are room for 4,480 rows, so that a part of 20,000 different ones has eight shares.
            for (parts, memory) in [(1, 1 << 30), (1, 40 << 10), (4, 1 << 20), (64, 40 << 10)] {
                assert_eq!(found(&all, parts, memory), expected, "{variety}, {parts}, {memory}");
            }
        }
    }

    #[test]
    fn what_never_fits_is_an_error_that_says_so_and_a_lost_file_is_one_too() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("0");
        let mut writer = HashWriter::create(&output, 1).unwrap();
        for n in 0..5_000_u128 {
            // The bits that choose a share are the same for all.
            writer.push(n << 96 | (n + 1) << 48).unwrap();
        }
        writer.publish().unwrap();
        let stretches = folder.path().join("list");
        let list = [Compared { output: output.clone(), file: 1 }];
        let disk = crate::platform::disk::Disk::default();
        disk.write(&stretches, &serde_json::to_vec(&list).unwrap()).unwrap();
        let memory = 40 << 10;
        let mut task =
            FindEqual { stretches, part: 0, memory, output: folder.path().join("equal") };
        let words = task.carry_out().unwrap_err().to_string();
        assert!(words.contains("5000 hashes of rows do not fit"), "{words}");
        assert!(words.contains("limits.memory_mib"), "{words}");
        task.memory = 1 << 20;
        assert_eq!(task.carry_out().unwrap(), EqualFound { rows: 5_000, duplicates: 0 });
        disk.remove(&hashes_of(&output)).unwrap();
        assert!(task.carry_out().is_err());
    }

    #[test]
    fn parts_follow_from_the_bytes_and_from_the_memory() {
        assert_eq!(parts_for(0, 1 << 20, 1 << 30), 1);
        assert_eq!(parts_for(9 << 20, 1 << 20, 1 << 30), 16);
        assert_eq!(parts_for(9 << 20, 1 << 30, 1 << 20), 16);
        assert_eq!(parts_for(u64::MAX, 1, 1), 4096);
    }
}
