//! Counts how often each key occurs in either file and, if rows with the same key are compared,
//! stores the rows of the right file.
//!
//! A key is identified by a 128-bit hash under a random key: one half picks a slot, and 63 bits of
//! the other are stored in it, beside the counts of the key on either side, so that a lookup costs
//! one memory access. Stored rows are consecutive in one large block of memory, in file order; a
//! third number of the slot is the position of the first one. Not for interpreting the counts: see
//! [`crate::join`].

use std::hint::black_box;

use mlops_core::Result;
use mlops_core::platform::huge_vec::HugeVec;

use crate::rows::Row;

/// The numbers in a slot: bits of the hash, the counts of the key, the position of its row.
const TAG: usize = 0;
const COUNTS: usize = 1;
const KEPT: usize = 2;
/// Slots that are searched together; without rows they are a cache line.
const LINE: usize = 4;
/// Bytes before a row: its length, that of its key, the place of its group.
const HEADER: usize = 16;
/// The minimum size of a table in rows.
const LEAST_ROWS: usize = 1 << 4;
/// Slots of a table are numbered in 32 bits; for more rows there are more tables.
const MOST_ROWS: usize = 1 << 31;

/// The number of groups prefetched at a time.
pub(crate) const BATCH: usize = 64;

/// The place of a group: its table and its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    table: u32,
    slot: u32,
}

/// The position of a stored row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept(usize);

/// Either of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    Left,
    Right,
}

/// How often a key occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) left: u32,
    pub(crate) right: u32,
}

impl Counts {
    fn of(number: u64) -> Self {
        let [left, right] = halves(number);
        Self { left, right }
    }

    fn number(self) -> u64 {
        u64::from(self.left) | u64::from(self.right) << 32
    }
}

/// All groups.
#[derive(Debug)]
pub(crate) struct Groups {
    /// Full tables of growing size, and the one that takes new keys; each key is in one of them.
    full: Vec<Table>,
    table: Table,
    arena: Vec<u8>,
    /// Rows of the right file are stored.
    keep: bool,
    /// The memory that the tables leave for rows, in bytes.
    room: usize,
}

#[derive(Debug)]
struct Table {
    slots: HugeVec,
    /// Numbers per slot.
    width: usize,
    /// The number of slots, and how many of them are in use.
    length: usize,
    used: usize,
}

impl Table {
    fn new(rows: usize, width: usize) -> Result<Self> {
        let length = Self::length_for(rows);
        let slots = HugeVec::zeroed(length.saturating_mul(width))?;
        Ok(Self { slots, width, length, used: 0 })
    }

    /// A fifth stays free, so that searches are short.
    fn length_for(rows: usize) -> usize {
        (rows.clamp(LEAST_ROWS, MOST_ROWS) / 4 * 5).next_multiple_of(LINE)
    }

    fn bytes(&self) -> usize {
        8 * self.slots.len()
    }

    /// Beyond seven eighths searches get long.
    fn is_full(&self) -> bool {
        self.used >= self.length / 8 * 7
    }

    /// The line at which the search for `hash` starts.
    #[inline]
    fn home(&self, hash: u128) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the product's high half is below len")]
        let line = ((u128::from(hash as u64) * (self.length / LINE) as u128) >> 64) as usize;
        line
    }

    #[inline]
    fn get(&self, slot: usize, number: usize) -> u64 {
        self.slots.get(self.width * slot + number)
    }

    #[inline]
    fn set(&mut self, slot: usize, number: usize, value: u64) {
        self.slots.set(self.width * slot + number, value);
    }

    /// The slot of the group with `tag`, or the free slot for it; there always is one. The slots of
    /// a line are examined together, without a branch for each.
    #[inline]
    fn find(&self, hash: u128, tag: u64) -> std::result::Result<usize, usize> {
        let mut line = self.home(hash);
        loop {
            let first = LINE * line;
            let (equal, free) = match self.width {
                KEPT => self.look::<KEPT>(first, tag),
                _ => self.look::<{ KEPT + 1 }>(first, tag),
            };
            if equal != 0 {
                return Ok(first + equal.trailing_zeros() as usize);
            }
            if free != 0 {
                return Err(first + free.trailing_zeros() as usize);
            }
            line = if first + LINE == self.length { 0 } else { line + 1 };
        }
    }

    /// A bit for each slot of the line from `first` on that has the tag, and for each that is free.
    #[inline]
    fn look<const WIDTH: usize>(&self, first: usize, tag: u64) -> (u32, u32) {
        let (mut equal, mut free) = (0, 0);
        let line = self.slots.some(WIDTH * first, WIDTH * LINE);
        for (i, slot) in line.as_chunks::<WIDTH>().0.iter().enumerate() {
            let stored = u64::from_le_bytes(slot[TAG]);
            equal |= u32::from(stored == tag) << i;
            free |= u32::from(stored == 0) << i;
        }
        (equal, free)
    }

    /// Counts a row of a group.
    #[inline]
    fn count(&mut self, slot: usize, file: File) -> Counts {
        let mut counts = Counts::of(self.get(slot, COUNTS));
        let side = match file {
            File::Left => &mut counts.left,
            File::Right => &mut counts.right,
        };
        *side = side.saturating_add(1);
        self.set(slot, COUNTS, counts.number());
        counts
    }

    /// The counts of all groups.
    fn all(&self) -> impl Iterator<Item = Counts> {
        let used = (0..self.length).filter(|slot| self.get(*slot, TAG) != 0);
        used.map(|slot| Counts::of(self.get(slot, COUNTS)))
    }
}

/// The part of a hash that is stored; never zero, which marks a free slot.
fn tag(hash: u128) -> u64 {
    (hash >> 64) as u64 | 1
}

impl Groups {
    /// An empty set for about `rows` keys, within `memory` bytes. Rows of the right file are stored
    /// if `keep`.
    pub(crate) fn expecting(rows: usize, keep: bool, memory: usize) -> Result<Self> {
        let width = if keep { KEPT + 1 } else { KEPT };
        let table = Table::new(rows.min(memory / 16 / width), width)?;
        let room = memory.saturating_sub(table.bytes());
        Ok(Self { full: Vec::new(), table, arena: Vec::new(), keep, room })
    }

    /// The memory that this number of keys takes without rows, in bytes.
    pub(crate) fn bytes_for(keys: usize) -> usize {
        (keys / 4 * 5).saturating_mul(8 * KEPT)
    }

    /// Counts a row of the right file; `None` if memory is short. A row whose key occurred before
    /// is stored only if `keep_repeated`.
    #[inline]
    pub(crate) fn add_right(
        &mut self,
        row: &[u8],
        key: u32,
        hash: u128,
        keep_repeated: bool,
    ) -> Result<Option<Counts>> {
        if !self.make_room(if self.keep { HEADER + row.len() } else { 0 })? {
            return Ok(None);
        }
        let (place, counts) = self.count_or_insert(hash, File::Right);
        if self.keep && (counts.right == 1 || keep_repeated) {
            if counts.right == 1 {
                let at = self.arena.len() as u64;
                self.table_mut(place).set(place.slot as usize, KEPT, at);
            }
            self.arena.extend_from_slice(&length(row).to_le_bytes());
            self.arena.extend_from_slice(&key.to_le_bytes());
            self.arena.extend_from_slice(&place.table.to_le_bytes());
            self.arena.extend_from_slice(&place.slot.to_le_bytes());
            self.arena.extend_from_slice(row);
        }
        Ok(Some(counts))
    }

    /// Counts a row of the left file. Returns its group and the counts so far, or `None` if memory
    /// is short.
    #[inline]
    pub(crate) fn add_left(&mut self, hash: u128) -> Result<Option<(Place, Counts)>> {
        if !self.make_room(0)? {
            return Ok(None);
        }
        Ok(Some(self.count_or_insert(hash, File::Left)))
    }

    /// Counts one more row of a group.
    #[inline]
    pub(crate) fn count(&mut self, place: Place, file: File) -> Counts {
        self.table_mut(place).count(place.slot as usize, file)
    }

    #[inline]
    fn count_or_insert(&mut self, hash: u128, file: File) -> (Place, Counts) {
        let tag = tag(hash);
        for (number, table) in self.full.iter_mut().enumerate() {
            if let Ok(slot) = table.find(hash, tag) {
                return (Place::of(number, slot), table.count(slot, file));
            }
        }
        let (number, table) = (self.full.len(), &mut self.table);
        let slot = table.find(hash, tag).unwrap_or_else(|free| {
            table.set(free, TAG, tag);
            table.used += 1;
            free
        });
        (Place::of(number, slot), table.count(slot, file))
    }

    /// The group with this hash.
    #[inline]
    pub(crate) fn find(&self, hash: u128) -> Option<Place> {
        let tag = tag(hash);
        for (number, table) in self.full.iter().enumerate() {
            if let Ok(slot) = table.find(hash, tag) {
                return Some(Place::of(number, slot));
            }
        }
        self.table.find(hash, tag).ok().map(|slot| Place::of(self.full.len(), slot))
    }

    /// Prefetches the slots of some rows. The loads are independent, so that the processor waits
    /// once for all of them.
    pub(crate) fn warm(&self, rows: &[Row]) {
        let warm = |table: &Table| {
            let slots = rows.iter().map(|row| table.get(LINE * table.home(row.hash), TAG));
            black_box(slots.fold(0, |sum, slot| sum ^ slot));
        };
        self.full.iter().for_each(warm);
        warm(&self.table);
    }

    /// Prefetches the stored rows of the groups at `places`.
    pub(crate) fn warm_rows(&self, places: &[Option<Place>]) {
        let rows = places.iter().flatten().map(|place| self.row_of(*place));
        black_box(rows.fold(0, |sum, at| sum ^ self.arena.get(at).copied().unwrap_or_default()));
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        self.full.iter().chain([&self.table])
    }

    #[inline]
    fn table(&self, place: Place) -> &Table {
        self.full.get(place.table as usize).unwrap_or(&self.table)
    }

    #[inline]
    fn table_mut(&mut self, place: Place) -> &mut Table {
        self.full.get_mut(place.table as usize).unwrap_or(&mut self.table)
    }

    /// The counts of a group.
    #[inline]
    pub(crate) fn counts(&self, place: Place) -> Counts {
        Counts::of(self.table(place).get(place.slot as usize, COUNTS))
    }

    /// Sets the counts of a group.
    pub(crate) fn set_counts(&mut self, place: Place, counts: Counts) {
        self.table_mut(place).set(place.slot as usize, COUNTS, counts.number());
    }

    /// Resets the counts of the left file, whose rows will be counted again.
    pub(crate) fn forget_left(&mut self) {
        for table in self.full.iter_mut().chain([&mut self.table]) {
            for slot in 0..table.length {
                // Does not touch unused memory.
                if table.get(slot, TAG) != 0 {
                    let counts = Counts { left: 0, ..Counts::of(table.get(slot, COUNTS)) };
                    table.set(slot, COUNTS, counts.number());
                }
            }
        }
    }

    /// The counts of all groups.
    pub(crate) fn all(&self) -> impl Iterator<Item = Counts> {
        self.tables().flat_map(Table::all)
    }

    /// The first row of the right file in a group, and the length of its key; it must have been
    /// stored.
    pub(crate) fn row(&self, place: Place) -> (&[u8], u32) {
        self.row_at(self.row_of(place))
    }

    #[expect(clippy::cast_possible_truncation, reason = "it was a usize")]
    fn row_of(&self, place: Place) -> usize {
        self.table(place).get(place.slot as usize, KEPT) as usize
    }

    /// The stored row at `cursor`, with its group; advances the cursor. `None` after the last one.
    /// Rows come in file order.
    pub(crate) fn next_right(&self, cursor: &mut usize) -> Option<(Place, Kept)> {
        let at = *cursor;
        if at >= self.arena.len() {
            return None;
        }
        *cursor = at + HEADER + self.header(at, 0) as usize;
        Some((Place { table: self.header(at, 2), slot: self.header(at, 3) }, Kept(at)))
    }

    /// A stored row, and the length of its key.
    pub(crate) fn kept(&self, kept: Kept) -> (&[u8], u32) {
        self.row_at(kept.0)
    }

    fn row_at(&self, at: usize) -> (&[u8], u32) {
        let start = at + HEADER;
        (&self.arena[start..start + self.header(at, 0) as usize], self.header(at, 1))
    }

    fn header(&self, at: usize, field: usize) -> u32 {
        let at = at + 4 * field;
        self.arena[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// Whether one more key and this many bytes of rows fit; makes room for them.
    #[inline]
    fn make_room(&mut self, bytes: usize) -> Result<bool> {
        let taken = self.arena.len() + bytes;
        // One row always fits, or halving the rows would never end.
        let is_empty = self.full.is_empty() && self.table.used == 0;
        let fits = taken <= self.room || is_empty;
        if fits && self.table.is_full() { self.grow(taken) } else { Ok(fits) }
    }

    /// Adds a table as large as all others together, if it fits beside `taken` bytes of rows.
    #[cold]
    fn grow(&mut self, taken: usize) -> Result<bool> {
        let rows = self.tables().map(|table| table.length).sum();
        let bytes = 8 * self.table.width * Table::length_for(rows);
        if taken + bytes > self.room {
            return Ok(false);
        }
        let table = Table::new(rows, self.table.width)?;
        self.full.push(std::mem::replace(&mut self.table, table));
        self.room -= bytes;
        Ok(true)
    }
}

impl Place {
    #[expect(clippy::cast_possible_truncation, reason = "a table has fewer slots, see MOST_ROWS")]
    fn of(table: usize, slot: usize) -> Self {
        Self { table: table as u32, slot: slot as u32 }
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
    use mlops_core::csv::row_hash::RowHasher;

    #[test]
    fn groups_are_counted_and_found_also_after_growing() {
        for keep in [true, false] {
            let mut groups = Groups::expecting(10, keep, usize::MAX).unwrap();
            let mut naive: BTreeMap<String, (u32, u32)> = BTreeMap::new();
            let hash = |row: &str| RowHasher(5).hash(row.as_bytes());
            for i in 0..20_000_u32 {
                let row = format!("{}\n", i * 7919 % 6007);
                let counts = groups.add_right(row.as_bytes(), 1, hash(&row), true).unwrap();
                let entry = naive.entry(row).or_default();
                entry.1 += 1;
                assert_eq!(counts.unwrap(), Counts { left: 0, right: entry.1 });
            }
            for i in 0..20_000_u32 {
                let row = format!("{}\n", i * 31 % 9001);
                let (place, counts) = groups.add_left(hash(&row)).unwrap().unwrap();
                let entry = naive.entry(row.clone()).or_default();
                entry.0 += 1;
                assert_eq!((counts.left, counts.right), *entry);
                assert_eq!(groups.find(hash(&row)), Some(place));
                assert_eq!(groups.counts(place), counts);
            }
            assert!(groups.full.len() > 1, "the test must grow the table");
            let sorted = |mut counts: Vec<(u32, u32)>| {
                counts.sort_unstable();
                counts
            };
            let found = sorted(groups.all().map(|c| (c.left, c.right)).collect());
            assert_eq!(found, sorted(naive.values().copied().collect()));
            let mut cursor = 0;
            for i in 0..if keep { 20_000_u32 } else { 0 } {
                let (place, kept) = groups.next_right(&mut cursor).unwrap();
                let expected = format!("{}\n", i * 7919 % 6007);
                assert_eq!(groups.kept(kept), (expected.as_bytes(), 1));
                assert_eq!(groups.row(place).0, expected.as_bytes());
                assert_eq!(groups.counts(place).right, naive[&expected].1);
            }
            assert!(groups.next_right(&mut cursor).is_none());
            groups.forget_left();
            let found = sorted(groups.all().map(|c| (c.left, c.right)).collect());
            assert_eq!(found, sorted(naive.values().map(|(_, right)| (0, *right)).collect()));
        }
    }

    #[test]
    fn the_limit_is_kept() {
        for (keep, least) in [(true, 1000), (false, 3000)] {
            let memory = 100_000;
            let mut groups = Groups::expecting(1_000_000, keep, memory).unwrap();
            let mut n = 0_u32;
            let one = Some(Counts { left: 0, right: 1 });
            let hash = |n: u32| RowHasher(1).hash(&n.to_le_bytes());
            while groups.add_right(b"0123456789\n", 10, hash(n), false).unwrap() == one {
                n += 1;
            }
            assert!(n > least, "{n}");
            let tables: usize = groups.tables().map(Table::bytes).sum();
            assert!(tables + groups.arena.len() <= memory);
        }
    }
}
