//! Finds the rows of a data set that are not the newest of their key, which is the only one that stays.
//!
//! The rows arrive in order, each with the hash of its key, its own hash and its time. A row that equals
//! the newest one so far is a duplicate, and the earlier one keeps its place, so that a file that delivers the
//! full state again adds nothing; a row that is not older replaces it. The result is therefore the same
//! however the rows were divided into files and runs. Rows that do not fit into memory go to a temporary file,
//! partitioned by key; two bits of memory are kept for each row in any case. Keys and times come from
//! `stage::ingest::latest`.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::path::Path;

use crate::Result;
use crate::csv::reader::Taken;
use crate::platform::disk::Disk;
use crate::platform::scratch::Scratch;

/// A row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dated {
    /// The hash of its key.
    pub(crate) key: u128,
    /// Its own hash.
    pub(crate) row: u128,
    /// Its moment; without one it is older than all that have one.
    pub(crate) moment: Option<f64>,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is the newest of its key.
    Stays = 0,
    /// A newer one is there.
    Superseded = 1,
    /// It equals the newest one, which is in the same file.
    DuplicateWithin = 2,
    /// It equals the newest one, which is in another file.
    DuplicateAcross = 3,
}

/// Bytes of a row that waits: key, hash, moment, number.
const WAITING: usize = 48;
/// Bytes of a key in memory, with what the table around it takes.
const KNOWN: usize = 128;
/// Bytes of one part that are written at a time.
const PIECE: usize = 1 << 16;
/// Most parts.
const MOST_PARTS: usize = 256;

/// The fates of rows, two bits each.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    bits: Vec<u8>,
    /// The number of rows that do not stay.
    pub(crate) gone: u64,
}

impl Fates {
    fn of_rows(rows: u64) -> Self {
        Self { bits: vec![0; usize::try_from(rows.div_ceil(4)).unwrap_or(usize::MAX)], gone: 0 }
    }

    fn place(row: u64) -> (usize, u32) {
        (usize::try_from(row / 4).unwrap_or(usize::MAX), 2 * u32::try_from(row % 4).unwrap_or(0))
    }

    fn set(&mut self, row: u64, fate: Fate) {
        let (at, shift) = Self::place(row);
        self.bits[at] |= (fate as u8) << shift;
        self.gone += 1;
    }

    /// The fate of row `row`.
    pub(crate) fn of(&self, row: u64) -> Fate {
        let (at, shift) = Self::place(row);
        match self.bits.get(at).map_or(0, |byte| byte >> shift & 3) {
            0 => Fate::Stays,
            1 => Fate::Superseded,
            2 => Fate::DuplicateWithin,
            _ => Fate::DuplicateAcross,
        }
    }
}

/// The newest row of a key so far.
#[derive(Clone, Copy)]
struct Newest {
    number: u64,
    row: u128,
    moment: f64,
}

/// Rows that wait for their fates.
pub(crate) struct Race {
    /// The waiting rows of each part that are not written yet.
    parts: Vec<Vec<u8>>,
    /// Where pieces of each part are in the temporary file.
    pieces: Vec<Vec<(u64, usize)>>,
    scratch: Option<Scratch>,
    rows: u64,
}

impl Race {
    /// Waits for about `rows` rows within `memory` bytes, else in a temporary file of `folder`.
    pub(crate) fn of_rows(rows: u64, memory: usize, disk: &Disk, folder: &Path) -> Result<Self> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let all = rows.saturating_mul(WAITING + KNOWN);
        let parts = all.div_ceil((memory / 2).max(1)).clamp(1, MOST_PARTS);
        let scratch = (parts > 1).then(|| disk.scratch(folder)).transpose()?;
        Ok(Self {
            parts: vec![Vec::new(); parts],
            pieces: vec![Vec::new(); parts],
            scratch,
            rows: 0,
        })
    }

    /// Adds the next row.
    pub(crate) fn push(&mut self, row: &Dated) -> Result<()> {
        // The low bits choose a place in the table of a part.
        let high = usize::try_from(row.key >> 96).unwrap_or(0);
        let part = high % self.parts.len();
        let waiting = &mut self.parts[part];
        waiting.extend_from_slice(&row.key.to_le_bytes());
        waiting.extend_from_slice(&row.row.to_le_bytes());
        waiting.extend_from_slice(&row.moment.unwrap_or(f64::NEG_INFINITY).to_le_bytes());
        waiting.extend_from_slice(&self.rows.to_le_bytes());
        self.rows += 1;
        if let Some(scratch) = self.scratch.as_mut().filter(|_| waiting.len() >= PIECE) {
            self.pieces[part].push((scratch.append(waiting)?, waiting.len()));
            waiting.clear();
        }
        Ok(())
    }

    /// The fates of all rows; `ends` are the numbers of the rows with which files end.
    pub(crate) fn settle(self, ends: &[u64]) -> Result<Fates> {
        let mut fates = Fates::of_rows(self.rows);
        let file = |row: u64| ends.partition_point(|end| *end <= row);
        for (waiting, pieces) in self.parts.into_iter().zip(self.pieces) {
            let mut newest: HashMap<u128, Newest, BuildHasherDefault<Taken>> = HashMap::default();
            let mut settle = |bytes: &[u8]| {
                for entry in bytes.chunks_exact(WAITING) {
                    let (key, row, moment, number) = read(entry);
                    let next = Newest { number, row, moment };
                    let Some(known) = newest.get_mut(&key) else {
                        newest.insert(key, next);
                        continue;
                    };
                    if known.row == row {
                        let within = file(known.number) == file(number);
                        let fate =
                            if within { Fate::DuplicateWithin } else { Fate::DuplicateAcross };
                        fates.set(number, fate);
                    } else if moment >= known.moment {
                        fates.set(known.number, Fate::Superseded);
                        *known = next;
                    } else {
                        fates.set(number, Fate::Superseded);
                    }
                }
            };
            let mut piece = Vec::new();
            for (at, length) in pieces {
                piece.resize(length, 0);
                if let Some(scratch) = &self.scratch {
                    scratch.read_at(at, &mut piece)?;
                }
                settle(&piece);
            }
            settle(&waiting);
        }
        Ok(fates)
    }
}

/// A waiting row: key, hash, moment, number.
fn read(entry: &[u8]) -> (u128, u128, f64, u64) {
    let (key, rest) = entry.split_at(16);
    let (row, rest) = rest.split_at(16);
    let (moment, number) = rest.split_at(8);
    let wide = |bytes: &[u8]| u128::from_le_bytes(bytes.try_into().unwrap_or_default());
    let narrow = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    (wide(key), wide(row), f64::from_bits(narrow(moment)), narrow(number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fates(rows: &[Dated], ends: &[u64], memory: usize) -> Vec<Fate> {
        let folder = tempfile::tempdir().unwrap();
        let mut latest =
            Race::of_rows(rows.len() as u64, memory, &Disk::default(), folder.path()).unwrap();
        for row in rows {
            latest.push(row).unwrap();
        }
        let fates = latest.settle(ends).unwrap();
        let all: Vec<Fate> = (0..rows.len() as u64).map(|i| fates.of(i)).collect();
        assert_eq!(fates.gone, all.iter().filter(|f| **f != Fate::Stays).count() as u64);
        all
    }

    fn row(key: u128, row: u128, moment: Option<f64>) -> Dated {
        // Keys are hashes, whose high bits differ too.
        Dated { key: key << 96 | key, row, moment }
    }

    #[test]
    fn the_newest_stays_and_what_equals_it_is_a_duplicate() {
        use Fate::{DuplicateAcross, DuplicateWithin, Stays, Superseded};
        let rows = [
            row(1, 10, Some(5.0)),
            row(1, 11, Some(4.0)),
            row(1, 10, Some(5.0)),
            row(2, 20, None),
            row(2, 21, None),
            row(2, 20, None),
            row(1, 10, Some(5.0)),
            row(3, 30, Some(0.0)),
            row(3, 31, None),
            row(2, 22, Some(-1e300)),
        ];
        assert_eq!(
            fates(&rows, &[5, 10], 1 << 20),
            [
                Stays,
                Superseded,
                DuplicateWithin,
                Superseded,
                Superseded,
                Superseded,
                DuplicateAcross,
                Stays,
                Superseded,
                Stays
            ]
        );
    }

    proptest! {
        /// The rule in other words: of the rows that are left of a key after dropping those that repeat the
        /// one before them in the race, the greatest moment wins, the last of equal ones.
        #[test]
        fn memory_changes_nothing_and_one_row_of_each_key_stays(
            rows in prop::collection::vec((0_u128..6, 0_u128..4, prop::option::of(0_u8..4)), 0..60),
            cut in 0_u64..60,
        ) {
            let rows: Vec<Dated> = rows
                .into_iter()
                .map(|(key, value, moment)| {
                    let time = moment.map(f64::from);
                    row(key, key * 1000 + value * 10 + moment.map_or(9, u128::from), time)
                })
                .collect();
            let cut = cut.min(rows.len() as u64);
            let ends = [cut, rows.len() as u64];
            let all = fates(&rows, &ends, 1 << 20);
            prop_assert_eq!(&fates(&rows, &ends, 1), &all);
            for key in 0..6 {
                let of = |i: &usize| rows[*i].key == row(key, 0, None).key;
                let mine: Vec<usize> = (0..rows.len()).filter(of).collect();
                let stay: Vec<usize> =
                    mine.iter().copied().filter(|i| all[*i] == Fate::Stays).collect();
                prop_assert_eq!(stay.len(), usize::from(!mine.is_empty()));
                let newest = mine.iter().map(|i| rows[*i].moment.unwrap_or(f64::NEG_INFINITY));
                let newest = newest.fold(f64::NEG_INFINITY, f64::max);
                for i in stay {
                    let moment = rows[i].moment.unwrap_or(f64::NEG_INFINITY);
                    prop_assert_eq!(moment.total_cmp(&newest), std::cmp::Ordering::Equal);
                }
            }
            // What stays of a first part, with the rest, is what stays of all.
            let at = usize::try_from(cut).unwrap();
            let first = fates(&rows[..at], &[cut], 1 << 20);
            let kept: Vec<usize> = (0..at).filter(|i| first[*i] == Fate::Stays).collect();
            let second: Vec<usize> = kept.iter().copied().chain(at..rows.len()).collect();
            let then: Vec<Dated> = second.iter().map(|i| rows[*i]).collect();
            let then = fates(&then, &[kept.len() as u64, then.len() as u64], 1 << 20);
            let stays = |all: &[Fate], at: &dyn Fn(usize) -> usize| -> Vec<usize> {
                (0..all.len()).filter(|i| all[*i] == Fate::Stays).map(at).collect()
            };
            prop_assert_eq!(stays(&then, &|i| second[i]), stays(&all, &|i| i));
        }
    }
}
