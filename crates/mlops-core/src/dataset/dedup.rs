//! Remembers every row seen, in eight bytes per row, and recognises rows that come again.
//!
//! A row is identified by 88 bits of a hash under a random key: the first 32 pick a slot, the other
//! 56 are stored in it beside the number of the file that brought the row. Two different rows are
//! taken for one with a probability of about rows² / 2^80: for ten million rows, one run in ten
//! billion. Slots are in the order of the hashes, so that sorted hashes visit them sequentially.
//! Not for the rows themselves: the caller keeps or drops them.

use std::hint::black_box;

use crate::Result;

use crate::platform::huge_vec::HugeVec;

/// The outcome of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOutcome {
    /// The first of equal rows.
    Kept,
    /// Seen before in the same file.
    DuplicateWithin,
    /// Seen before in another file.
    DuplicateAcross,
    /// Rejected.
    Quarantined,
}

/// The low byte of an entry is the number of the file that brought the row; this one means an
/// earlier file.
const EARLIER: u64 = 0;
/// Files are numbered from 1 to this; then all become "earlier" and counting restarts.
const LAST_FILE: u64 = 254;
const FILE: u64 = 0xff;
/// An entry that was taken back. Its tag is zero, which no row has.
const REMOVED: u64 = 0xff;

/// Slots in a cache line.
pub(crate) const LINE: usize = 8;
/// Bytes of an entry without its file number.
pub(crate) const KEPT_BYTES: usize = 7;

/// The bits of a hash that are ignored. The others form the key of a row.
pub(crate) const UNUSED: u128 = (1 << 40) - 1;
/// What an index stores for a row that was taken back. Later ingestions do not recognise a row with
/// these bits, which one row in 2^56 has.
const GONE: u64 = u64::MAX >> 8;

/// The 56 bits of an entry that an index stores, without the number of the file; zero for a free
/// slot.
pub(crate) fn kept_of(entry: u64) -> u64 {
    if entry == 0 || entry & !FILE != 0 { entry >> 8 } else { GONE }
}

/// The entry of which an index stored `kept`; an earlier file brought its row.
pub(crate) fn entry_of(kept: u64) -> u64 {
    if kept == GONE { REMOVED } else { kept << 8 | EARLIER }
}

/// The 56 bits that an index stores of a row.
pub(crate) fn kept_of_row(hash: u128) -> u64 {
    tag(hash) >> 8
}

/// The slot, out of `slots`, at which the search for a row starts.
pub(crate) fn home(hash: u128, slots: usize) -> usize {
    (((hash >> 96) as u64).wrapping_mul(slots as u64) >> 32) as usize
}

/// Rows whose slots are prefetched together.
pub(crate) const BATCH: usize = 64;

/// The memory that the set takes for `rows` rows, in bytes.
pub(crate) fn bytes_for(rows: usize) -> usize {
    SlotTable::slots_for(rows).saturating_mul(8)
}

/// The set of rows seen.
#[derive(Debug)]
pub(crate) struct SeenRows {
    /// Tables of growing size; each row is in one of them. With a good first estimate there is only
    /// one.
    tables: Vec<SlotTable>,
    file: u64,
}

#[derive(Debug)]
struct SlotTable {
    slots: HugeVec,
    used: usize,
}

impl SlotTable {
    fn new(rows: usize) -> Result<Self> {
        Ok(Self { slots: HugeVec::zeroed(Self::slots_for(rows))?, used: 0 })
    }

    /// A fifth stays free, so that searches are short.
    fn slots_for(rows: usize) -> usize {
        (rows.max(1 << 12) / 4).saturating_mul(5) / LINE * LINE
    }

    /// Whether `more` rows fit; beyond seven eighths searches get long.
    fn has_room(&self, more: usize) -> bool {
        self.used + more <= self.slots.len() / 8 * 7
    }

    /// The file of the entry with `tag`, or the free slot for it; a table is never full, so that
    /// there is one. A cache line is searched to its end before the next one is fetched.
    #[inline]
    fn find(&self, hash: u128, tag: u64) -> std::result::Result<u64, usize> {
        let home = home(hash, self.slots.len());
        let (mut line, first) = (home / LINE * LINE, home % LINE);
        loop {
            for i in first..first + LINE {
                let at = line + i % LINE;
                match self.slots.get(at) {
                    0 => return Err(at),
                    entry if entry & !FILE == tag => return Ok(entry & FILE),
                    _ => {}
                }
            }
            line = if line + LINE < self.slots.len() { line + LINE } else { 0 };
        }
    }

    /// Adds the row unless it is there; there must be room.
    #[inline]
    fn insert(&mut self, hash: u128, tag: u64, file: u64) -> RowOutcome {
        match self.find(hash, tag) {
            Ok(known) => duplicate(known, file),
            Err(free) => {
                self.slots.set(free, tag | file);
                self.used += 1;
                RowOutcome::Kept
            }
        }
    }
}

/// The part of a hash that is stored; never zero.
fn tag(hash: u128) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "the bits in the middle are asked for")]
    let bits = (hash >> 32) as u64;
    (bits & !FILE).max(FILE + 1)
}

impl SeenRows {
    /// An empty set that expects about `rows` rows; more are fine, only slightly slower.
    pub(crate) fn expecting(rows: usize) -> Result<Self> {
        Ok(Self { tables: vec![SlotTable::new(rows)?], file: EARLIER })
    }

    /// A set for data sets whose rows are not compared.
    pub(crate) fn none() -> Self {
        Self { tables: Vec::new(), file: EARLIER }
    }

    /// A set of the tables of an earlier one, each with its number of rows, which now belong to an
    /// earlier file.
    pub(crate) fn of(tables: impl IntoIterator<Item = (HugeVec, usize)>) -> Self {
        let tables = tables.into_iter().map(|(slots, used)| SlotTable { slots, used }).collect();
        Self { tables, file: EARLIER }
    }

    /// Whether it has no table.
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Adds a table for `rows` rows.
    pub(crate) fn grow(&mut self, rows: usize) -> Result<()> {
        self.tables.push(SlotTable::new(rows)?);
        Ok(())
    }

    /// Each table's slots, and how many of them are in use.
    pub(crate) fn tables(&self) -> impl ExactSizeIterator<Item = (&HugeVec, usize)> {
        self.tables.iter().map(|table| (&table.slots, table.used))
    }

    /// From now on, rows belong to another file.
    pub(crate) fn next_file(&mut self) {
        if self.file == LAST_FILE {
            for table in &mut self.tables {
                table.slots.change(|slot| if slot & !FILE == 0 { slot } else { slot & !FILE });
            }
            self.file = EARLIER;
        }
        self.file += 1;
    }

    /// Takes back every row of the current file.
    pub(crate) fn forget_file(&mut self) {
        let file = self.file;
        for table in &mut self.tables {
            table.slots.change(|slot| if slot & FILE == file { REMOVED } else { slot });
        }
    }

    /// Makes room for `more` rows; returns false if that would take more than `memory` bytes.
    pub(crate) fn make_room(&mut self, more: usize, memory: usize) -> Result<bool> {
        if self.tables.last().is_some_and(|table| table.has_room(more)) {
            return Ok(true);
        }
        let now: usize = self.tables.iter().map(|table| table.slots.len()).sum();
        let rows = now / 2;
        let fits = (now * 8).saturating_add(bytes_for(rows)) <= memory;
        if fits {
            self.tables.push(SlotTable::new(rows)?);
        }
        Ok(fits)
    }

    /// Adds the rows with these hashes that are not in the set, in order, and reports the outcome of each. There
    /// must be room.
    pub(crate) fn insert_all(
        &mut self,
        hashes: impl Iterator<Item = u128> + Clone,
        outcomes: &mut Vec<RowOutcome>,
    ) {
        outcomes.clear();
        let Some((table, older)) = self.tables.split_last_mut() else { return };
        // Brings all slots into the cache first. The loads are independent, so that the processor
        // waits once for all of them and not for every row.
        for table in older.iter().chain([&*table]) {
            let slots = hashes.clone().map(|hash| table.slots.get(home(hash, table.slots.len())));
            black_box(slots.fold(0, |sum, slot| sum ^ slot));
        }
        for hash in hashes {
            let tag = tag(hash);
            let known = older.iter().find_map(|table| table.find(hash, tag).ok());
            outcomes.push(match known {
                Some(file) => duplicate(file, self.file),
                None => table.insert(hash, tag, self.file),
            });
        }
    }

    /// A read-only set of the rows with these hashes.
    pub(crate) fn from_hashes(hashes: &[u128]) -> Result<Self> {
        // At a load of one half, most searches for an absent row end at the first slot.
        let mut seen = Self::expecting(hashes.len() * 2)?;
        for batch in hashes.chunks(BATCH) {
            seen.make_room(batch.len(), usize::MAX)?;
            seen.warm(batch);
            for hash in batch {
                seen.insert(*hash)?;
            }
        }
        Ok(seen)
    }

    /// Sets `found[i]` if the row with `hashes[i]` is in the set; other elements keep their values.
    pub(crate) fn mark(&self, hashes: &[u128], found: &mut [bool]) {
        for (batch, found) in hashes.chunks(BATCH).zip(found.chunks_mut(BATCH)) {
            self.warm(batch);
            for (hash, found) in batch.iter().zip(found) {
                *found |= self.tables.iter().any(|table| table.find(*hash, tag(*hash)).is_ok());
            }
        }
    }

    /// Loads the slots of a batch into the cache, as [`Self::insert_all`] does.
    fn warm(&self, hashes: &[u128]) {
        for table in &self.tables {
            let slots = hashes.iter().map(|hash| table.slots.get(home(*hash, table.slots.len())));
            black_box(slots.fold(0, |sum, slot| sum ^ slot));
        }
    }

    /// Adds a row unless it is in the set.
    pub(crate) fn insert(&mut self, hash: u128) -> Result<RowOutcome> {
        self.make_room(1, usize::MAX)?;
        let Some((table, older)) = self.tables.split_last_mut() else {
            return Ok(RowOutcome::Kept);
        };
        let tag = tag(hash);
        let known = older.iter().find_map(|table| table.find(hash, tag).ok());
        Ok(match known {
            Some(file) => duplicate(file, self.file),
            None => table.insert(hash, tag, self.file),
        })
    }
}

/// The outcome of a row that file `file` brought, seen again in file `present`.
fn duplicate(file: u64, present: u64) -> RowOutcome {
    if file == present { RowOutcome::DuplicateWithin } else { RowOutcome::DuplicateAcross }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::row_hash::RowHasher;
    use std::collections::HashMap;

    fn hash(n: u64) -> u128 {
        RowHasher(7).hash(&n.to_le_bytes())
    }

    #[test]
    fn says_where_a_duplicate_comes_from_also_after_growing_and_renumbering() {
        let mut seen = SeenRows::expecting(10).unwrap();
        let mut first: HashMap<u64, u64> = HashMap::new();
        for file in 0..600 {
            seen.next_file();
            for i in 0..100 {
                let n = (file * 61 + i * 7) % 20_000;
                let expected = match first.get(&n) {
                    None => RowOutcome::Kept,
                    Some(f) if *f == file => RowOutcome::DuplicateWithin,
                    Some(_) => RowOutcome::DuplicateAcross,
                };
                first.entry(n).or_insert(file);
                assert_eq!(seen.insert(hash(n)).unwrap(), expected, "file {file} row {n}");
                if expected == RowOutcome::DuplicateAcross {
                    continue;
                }
                assert_eq!(seen.insert(hash(n)).unwrap(), RowOutcome::DuplicateWithin);
            }
        }
        assert!(seen.tables.len() > 1, "the test must grow the set");
    }

    #[test]
    fn a_set_that_is_asked_only_knows_its_rows_and_no_others() {
        for rows in [0, 1, 63, 64, 65, 10_000] {
            let hashes: Vec<u128> = (0..rows).map(|n| hash(n * 3)).collect();
            // Rows may come more than once.
            let seen = SeenRows::from_hashes(&[&hashes[..], &hashes[..]].concat()).unwrap();
            let asked: Vec<u128> = (0..rows * 3 + 5).map(hash).collect();
            let mut found = vec![false; asked.len()];
            if let Some(last) = found.last_mut() {
                *last = true;
            }
            seen.mark(&asked, &mut found);
            let last = asked.len() - 1;
            let expected: Vec<bool> =
                (0..asked.len()).map(|n| n % 3 == 0 && n < 3 * hashes.len() || n == last).collect();
            assert_eq!(found, expected, "{rows} rows");
        }
    }

    #[test]
    fn a_forgotten_file_leaves_the_others() {
        let mut seen = SeenRows::expecting(10).unwrap();
        seen.next_file();
        assert!((0..1000).all(|n| seen.insert(hash(n)).unwrap() == RowOutcome::Kept));
        seen.next_file();
        let kept =
            (500..2000).filter(|n| seen.insert(hash(*n)).unwrap() == RowOutcome::Kept).count();
        assert_eq!(kept, 1000);
        seen.forget_file();
        seen.next_file();
        assert!((0..1000).all(|n| seen.insert(hash(n)).unwrap() == RowOutcome::DuplicateAcross));
        assert!((1000..2000).all(|n| seen.insert(hash(n)).unwrap() == RowOutcome::Kept));
    }
}
