//! The rows of the right file by key, and how often each key comes on either side.
//!
//! A key is known by a 128-bit hash under a random key: one half picks a slot, 63 bits of the other
//! are stored in it beside the place of its group. Groups lie one behind the other in one large
//! piece of memory, each with its counts and, if the right file has the key, its first row there.
//! Not for what follows from the counts: see [`super::join`].

use std::hint::black_box;

use crate::Result;
use crate::ingest::slots::Slots;

use super::rows::Row;

/// Bytes before a row: its length, that of its key, how often the key comes in the left file, in the
/// right file, and how many rows were given a partner so far; 32 bits each.
const HEADER: usize = 20;
const LENGTH: usize = 0;
const KEY: usize = 1;
const LEFT: usize = 2;
const RIGHT: usize = 3;
const USED: usize = 4;
/// In place of the key's length: the row's key came before, and its group is in the next two fields.
const REPEATED: u32 = u32::MAX;
/// The least memory that a table takes, in rows.
const LEAST_ROWS: usize = 1 << 4;

/// Groups to warm at a time.
pub(crate) const BATCH: usize = 64;

/// Where a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// Where a row is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept(usize);

/// How often a key comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) left: u32,
    pub(crate) right: u32,
    /// Pairs of equal rows so far.
    pub(crate) used: u32,
}

/// All groups.
#[derive(Debug)]
pub(crate) struct Groups {
    /// Tables of growing size; a key is in one of them.
    tables: Vec<Table>,
    arena: Vec<u8>,
    /// Memory that they may take together, in bytes.
    memory: usize,
}

#[derive(Debug)]
struct Table {
    /// Two numbers a group: what is stored of its hash, and its place.
    slots: Slots,
    used: usize,
}

impl Table {
    fn new(rows: usize) -> Result<Self> {
        Ok(Self { slots: Slots::zeroed(2 * Self::length_for(rows))?, used: 0 })
    }

    /// A fifth stays free, so that searches are short.
    fn length_for(rows: usize) -> usize {
        (rows.max(LEAST_ROWS) / 4).saturating_mul(5)
    }

    fn length(&self) -> usize {
        self.slots.len() / 2
    }

    /// The slot where the search for `hash` begins.
    fn home(&self, hash: u128) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the product's high half is below len")]
        let slot = ((u128::from(hash as u64) * self.length() as u128) >> 64) as usize;
        slot
    }

    /// The place of the group with `tag`, or the free slot where it belongs.
    fn find(&self, hash: u128, tag: u64) -> std::result::Result<Place, usize> {
        let mut at = self.home(hash);
        loop {
            match self.slots.get(2 * at) {
                0 => return Err(at),
                #[expect(clippy::cast_possible_truncation, reason = "it was a usize")]
                found if found == tag => return Ok(Place(self.slots.get(2 * at + 1) as usize)),
                _ => at = if at + 1 == self.length() { 0 } else { at + 1 },
            }
        }
    }
}

/// What is stored of a hash; never zero, which is a free slot.
fn tag(hash: u128) -> u64 {
    (hash >> 64) as u64 | 1
}

impl Groups {
    /// No groups; about `rows` are expected, and all may take `memory` bytes.
    pub(crate) fn expecting(rows: usize, memory: usize) -> Result<Self> {
        let rows = rows.min(memory / 64);
        Ok(Self { tables: vec![Table::new(rows)?], arena: Vec::new(), memory })
    }

    /// Adds a row of the right file. Returns how often its key has come there, or nothing when
    /// memory is short. A row whose key came before is kept only if `keep_repeated`.
    pub(crate) fn add_right(
        &mut self,
        row: &[u8],
        key: u32,
        hash: u128,
        keep_repeated: bool,
    ) -> Result<Option<u32>> {
        if !self.make_room(row.len())? {
            return Ok(None);
        }
        let Some(place) = self.find(hash) else {
            self.insert(hash, [length(row), key, 0, 1, 0], row);
            return Ok(Some(1));
        };
        let count = self.increase(place, RIGHT);
        if keep_repeated {
            let [low, high] = halves(place.0 as u64);
            self.push([length(row), REPEATED, low, high, 0], row);
        }
        Ok(Some(count))
    }

    /// Counts a row of the left file, whose group is at `place` unless that is not known. Returns
    /// its group and how often its key has come there, or nothing when memory is short.
    pub(crate) fn add_left(
        &mut self,
        place: Option<Place>,
        hash: u128,
    ) -> Result<Option<(Place, u32)>> {
        if let Some(place) = place.or_else(|| self.find(hash)) {
            return Ok(Some((place, self.increase(place, LEFT))));
        }
        if !self.make_room(0)? {
            return Ok(None);
        }
        Ok(Some((self.insert(hash, [0, 0, 1, 0, 0], &[]), 1)))
    }

    /// The group with this hash.
    pub(crate) fn find(&self, hash: u128) -> Option<Place> {
        let tag = tag(hash);
        self.tables.iter().find_map(|table| table.find(hash, tag).ok())
    }

    /// The groups of `rows`. The loads do not depend on each other, so that the processor waits once
    /// for all of them.
    pub(crate) fn find_all(&self, rows: &[Row], places: &mut Vec<Option<Place>>) {
        self.warm(rows);
        places.clear();
        places.extend(rows.iter().map(|row| self.find(row.hash)));
        let counts = places.iter().flatten().map(|place| self.arena[place.0]);
        black_box(counts.fold(0, |sum, byte| sum ^ byte));
    }

    /// Brings the slots of `rows` into the cache.
    pub(crate) fn warm(&self, rows: &[Row]) {
        for table in &self.tables {
            let slots = rows.iter().map(|row| table.slots.get(2 * table.home(row.hash)));
            black_box(slots.fold(0, |sum, slot| sum ^ slot));
        }
    }

    /// The counts of a group.
    pub(crate) fn counts(&self, place: Place) -> Counts {
        let get = |field| self.get(place.0, field);
        Counts { left: get(LEFT), right: get(RIGHT), used: get(USED) }
    }

    /// Notes how many rows of a group have a partner.
    pub(crate) fn set_used(&mut self, place: Place, used: u32) {
        self.set(place.0, USED, used);
    }

    /// The group's first row in the right file, and the length of its key.
    pub(crate) fn row(&self, place: Place) -> (&[u8], u32) {
        (self.row_at(place.0), self.get(place.0, KEY))
    }

    /// All groups, by their counts.
    pub(crate) fn all(&self) -> impl Iterator<Item = Counts> {
        self.records().filter(|at| self.get(*at, KEY) != REPEATED).map(|at| self.counts(Place(at)))
    }

    /// Where the rows of the right file that are kept begin, in file order, groups of the left file
    /// among them.
    fn records(&self) -> impl Iterator<Item = usize> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let at = next;
            let there = at < self.arena.len();
            next += if there { HEADER + self.get(at, LENGTH) as usize } else { 0 };
            there.then_some(at)
        })
    }

    /// The row of the right file that is kept at or after `cursor`, with its group; moves the cursor
    /// behind it. Nothing after the last one. Rows come in file order.
    pub(crate) fn next_right(&self, cursor: &mut usize) -> Option<(Place, Kept)> {
        while *cursor < self.arena.len() {
            let at = *cursor;
            *cursor += HEADER + self.get(at, LENGTH) as usize;
            if self.get(at, KEY) == REPEATED {
                let place = u64::from(self.get(at, LEFT)) | u64::from(self.get(at, RIGHT)) << 32;
                #[expect(clippy::cast_possible_truncation, reason = "it was a usize")]
                return Some((Place(place as usize), Kept(at)));
            }
            if self.get(at, RIGHT) > 0 {
                return Some((Place(at), Kept(at)));
            }
        }
        None
    }

    /// A row that is kept.
    pub(crate) fn kept(&self, kept: Kept) -> &[u8] {
        self.row_at(kept.0)
    }

    fn row_at(&self, at: usize) -> &[u8] {
        let start = at + HEADER;
        &self.arena[start..start + self.get(at, LENGTH) as usize]
    }

    fn make_room(&mut self, row: usize) -> Result<bool> {
        let slots: usize = self.tables.iter().map(Table::length).sum();
        let taken = 16 * slots + self.arena.len() + HEADER + row;
        // One row always fits: else halving the rows would never end.
        if self.arena.is_empty() {
            return Ok(true);
        }
        if taken > self.memory {
            return Ok(false);
        }
        // At seven eighths searches get long.
        if self.tables.last().is_some_and(|t| t.used < t.length() / 8 * 7) {
            return Ok(true);
        }
        let rows = slots;
        let fits = taken + 16 * Table::length_for(rows) <= self.memory;
        if fits {
            self.tables.push(Table::new(rows)?);
        }
        Ok(fits)
    }

    /// Adds a group that is not there; there is room.
    fn insert(&mut self, hash: u128, header: [u32; 5], row: &[u8]) -> Place {
        let place = Place(self.arena.len());
        let tag = tag(hash);
        if let Some(table) = self.tables.last_mut()
            && let Err(at) = table.find(hash, tag)
        {
            table.slots.set(2 * at, tag);
            table.slots.set(2 * at + 1, place.0 as u64);
            table.used += 1;
        }
        self.push(header, row);
        place
    }

    fn push(&mut self, header: [u32; 5], row: &[u8]) {
        let mut bytes = [0; HEADER];
        for (field, number) in bytes.as_chunks_mut().0.iter_mut().zip(header) {
            *field = number.to_le_bytes();
        }
        self.arena.extend_from_slice(&bytes);
        self.arena.extend_from_slice(row);
    }

    fn get(&self, at: usize, field: usize) -> u32 {
        let at = at + 4 * field;
        self.arena[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    fn set(&mut self, at: usize, field: usize, number: u32) {
        let at = at + 4 * field;
        self.arena[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }

    fn increase(&mut self, place: Place, field: usize) -> u32 {
        let count = self.get(place.0, field).saturating_add(1);
        self.set(place.0, field, count);
        count
    }
}

fn length(row: &[u8]) -> u32 {
    // A row is shorter than a chunk, which is far below 4 GiB.
    u32::try_from(row.len()).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are asked for")]
fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ingest::dedup::RowHasher;

    #[test]
    fn groups_are_counted_and_found_also_after_growing() {
        let mut groups = Groups::expecting(10, usize::MAX).unwrap();
        let mut naive: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        let hash = |row: &str| RowHasher(5).hash(row.as_bytes());
        for i in 0..20_000_u32 {
            let row = format!("{}\n", i * 7919 % 6007);
            let count = groups.add_right(row.as_bytes(), 1, hash(&row), true).unwrap();
            let entry = naive.entry(row).or_default();
            entry.1 += 1;
            assert_eq!(count, Some(entry.1));
        }
        for i in 0..20_000_u32 {
            let row = format!("{}\n", i * 31 % 9001);
            let (place, count) = groups.add_left(None, hash(&row)).unwrap().unwrap();
            let entry = naive.entry(row.clone()).or_default();
            entry.0 += 1;
            assert_eq!(count, entry.0);
            assert_eq!(groups.find(hash(&row)), Some(place));
        }
        assert!(groups.tables.len() > 1, "the test must grow the table");
        let mut found: Vec<_> = groups.all().map(|c| (c.left, c.right)).collect();
        let mut expected: Vec<_> = naive.values().copied().collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        let mut cursor = 0;
        for i in 0..20_000_u32 {
            let (place, kept) = groups.next_right(&mut cursor).unwrap();
            let expected = format!("{}\n", i * 7919 % 6007);
            assert_eq!(groups.kept(kept), expected.as_bytes());
            assert_eq!(groups.counts(place).right, naive[&expected].1);
        }
        assert!(groups.next_right(&mut cursor).is_none());
    }

    #[test]
    fn the_limit_is_kept() {
        let memory = 100_000;
        let mut groups = Groups::expecting(1_000_000, memory).unwrap();
        let mut n = 0_u32;
        while groups
            .add_right(b"0123456789\n", 10, RowHasher(1).hash(&n.to_le_bytes()), false)
            .unwrap()
            == Some(1)
        {
            n += 1;
        }
        assert!(n > 1000, "{n}");
        let slots: usize = groups.tables.iter().map(Table::length).sum();
        assert!(16 * slots + groups.arena.len() <= memory);
    }
}
