//! Exact medians of packed columns, in memory that does not grow with the rows.
//!
//! Numbers become 64-bit keys that sort the same way, and the key of the middle is found sixteen
//! bits at a time: each pass counts which values the next sixteen bits have among the keys that
//! agree so far. The columns that need fewer passes (whole numbers of a narrow range need one) take
//! part in fewer. Counts are whole numbers, so that threads make no difference.
//! Not for statistics to look at: see `profile`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Result;
use crate::fit::{BLOCK_ROWS, Block, Blocks, PackedBlocks};

const DIGIT_BITS: u32 = 16;
const DIGITS: usize = 1 << DIGIT_BITS;
/// Blocks that a thread takes at a time.
const UNIT: usize = 64;

/// What is known of a column beforehand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Values that are there.
    pub(super) count: u64,
    /// The smallest and the largest of them.
    pub(super) lowest: f64,
    pub(super) highest: f64,
    /// Whether all are whole numbers, and not -0.
    pub(super) whole: bool,
}

/// The search for the value of one rank.
#[derive(Debug, Clone, Copy)]
struct Search {
    column: usize,
    /// The rank among the keys that agree with `prefix`, from 0.
    rank: u64,
    /// The bits known so far, and how many are not.
    prefix: u64,
    left: u32,
}

/// The medians of the first columns of `rows`; `None` for one without values.
pub(super) fn medians(
    rows: &PackedBlocks,
    columns: &[Column],
    threads: usize,
) -> Result<Vec<Option<f64>>> {
    let keys: Vec<Keys> = columns.iter().map(Keys::of).collect();
    // Two searches for each column: the lower and the upper of the two in the middle.
    let mut searches = Vec::new();
    for (column, Column { count, .. }) in columns.iter().enumerate() {
        if let Some(last) = count.checked_sub(1) {
            let left = keys[column].bits();
            let search = |rank| Search { column, rank, prefix: 0, left };
            searches.extend([search(last / 2), search(last - last / 2)]);
        }
    }
    while searches.iter().any(|search| search.left > 0) {
        // Both searches of a column go together until they part.
        let mut tables: Vec<Search> = Vec::new();
        let same = |a: &Search, b: &Search| a.column == b.column && a.prefix == b.prefix;
        for search in searches.iter().filter(|s| s.left > 0) {
            if !tables.iter().any(|table| same(table, search)) {
                tables.push(*search);
            }
        }
        let counts = count(rows, &keys, &tables, threads)?;
        for search in searches.iter_mut().filter(|s| s.left > 0) {
            let Some(table) = tables.iter().position(|table| same(table, search)) else { continue };
            let mut digit = 0;
            for n in &counts[table * DIGITS..][..DIGITS] {
                if search.rank < *n {
                    break;
                }
                search.rank -= n;
                digit += 1;
            }
            search.prefix = search.prefix << DIGIT_BITS | digit;
            search.left -= DIGIT_BITS;
        }
    }
    let mut medians = vec![None; columns.len()];
    for [below, above] in searches.as_chunks::<2>().0 {
        let number = |search: &Search| keys[search.column].number(search.prefix);
        let (low, high) = (number(below), number(above));
        // Halves first, so that the distance of two huge numbers does not overflow.
        let middle =
            if below.prefix == above.prefix { low } else { high - (high / 2.0 - low / 2.0) };
        medians[below.column] = Some(middle);
    }
    Ok(medians)
}

/// For each table, how many keys with its prefix have each next digit.
fn count(
    rows: &PackedBlocks,
    keys: &[Keys],
    tables: &[Search],
    threads: usize,
) -> Result<Vec<u64>> {
    let total = Mutex::new(Ok(vec![0_u64; tables.len() * DIGITS]));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut counts = vec![0_u32; tables.len() * DIGITS];
        let mut block = Block::new(rows.features());
        let mut since = 0;
        let flush = |counts: &mut [u32]| {
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(total) = total.as_mut() {
                for (sum, n) in total.iter_mut().zip(counts) {
                    *sum += u64::from(std::mem::take(n));
                }
            }
        };
        loop {
            let first = next.fetch_add(UNIT, Ordering::Relaxed);
            if first >= rows.blocks() {
                break;
            }
            for index in first..rows.blocks().min(first + UNIT) {
                if let Err(error) = rows.read(index, &mut block) {
                    *total.lock().unwrap_or_else(PoisonError::into_inner) = Err(error);
                    return;
                }
                for (table, counts) in tables.iter().zip(counts.chunks_exact_mut(DIGITS)) {
                    keys[table.column].count(block.column(table.column), table, counts);
                }
                since += 1;
            }
            // Far below 2^32 of a kind.
            if since > (1 << 30) / BLOCK_ROWS {
                flush(&mut counts);
                since = 0;
            }
        }
        flush(&mut counts);
    };
    let threads = threads.max(1).min(rows.blocks().div_ceil(UNIT));
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// How numbers of a column become keys that sort the same way.
#[derive(Debug, Clone, Copy)]
enum Keys {
    /// Distance from the lowest, which is whole and below 2^16 or 2^32.
    Whole { lowest: f64, bits: u32 },
    /// The bits of the number.
    Real,
}

impl Keys {
    fn of(column: &Column) -> Self {
        let range = column.highest - column.lowest;
        let exact = column.whole && column.lowest.abs() < 9e15 && range < 4_294_967_296.0;
        match exact {
            true if range < 65_536.0 => Self::Whole { lowest: column.lowest, bits: 16 },
            true => Self::Whole { lowest: column.lowest, bits: 32 },
            false => Self::Real,
        }
    }

    fn bits(self) -> u32 {
        match self {
            Self::Whole { bits, .. } => bits,
            Self::Real => 64,
        }
    }

    /// Adds the values of a block.
    fn count(self, values: &[f64], table: &Search, counts: &mut [u32]) {
        let shift = table.left - DIGIT_BITS;
        let known = self.bits() - table.left;
        let mut add = |key: u64| {
            if known == 0 || key >> table.left == table.prefix {
                #[expect(clippy::cast_possible_truncation, reason = "sixteen bits are wanted")]
                let digit = (key >> shift) as u16;
                counts[usize::from(digit)] += 1;
            }
        };
        match self {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole and at least 0"
            )]
            Self::Whole { lowest, .. } => {
                values.iter().filter(|v| !v.is_nan()).for_each(|v| add((v - lowest) as u64));
            }
            Self::Real => values.iter().filter(|v| !v.is_nan()).for_each(|v| add(real_key(*v))),
        }
    }

    fn number(self, key: u64) -> f64 {
        match self {
            Self::Whole { lowest, .. } => lowest + key as f64,
            Self::Real if key >> 63 == 1 => f64::from_bits(key & !(1 << 63)),
            Self::Real => f64::from_bits(!key),
        }
    }
}

/// Both zeros have the same key.
fn real_key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::NumericProfile;

    fn check(columns: &[Vec<f64>]) {
        let mut rows = PackedBlocks::new(columns.len());
        let labels = vec![true; columns[0].len()];
        let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        rows.push_columns(&slices, &labels).unwrap();
        let known: Vec<Column> = columns
            .iter()
            .map(|values| {
                let there = || values.iter().copied().filter(|v| !v.is_nan());
                Column {
                    count: there().count() as u64,
                    lowest: there().fold(f64::INFINITY, f64::min),
                    highest: there().fold(f64::NEG_INFINITY, f64::max),
                    whole: there().all(|v| v.fract() == 0.0 && v.to_bits() != (-0.0_f64).to_bits()),
                }
            })
            .collect();
        let expected: Vec<Option<u64>> = columns
            .iter()
            .map(|values| {
                let mut profile = NumericProfile::new();
                profile.extend(values);
                profile.finish().median.map(f64::to_bits)
            })
            .collect();
        for threads in [1, 2, 3] {
            let found = medians(&rows, &known, threads).unwrap();
            let found: Vec<_> = found.into_iter().map(|m| m.map(f64::to_bits)).collect();
            assert_eq!(found, expected, "{threads} threads");
        }
    }

    #[test]
    fn are_those_of_a_sorted_column() {
        let at = |i: u64, n: u64| i * 2_654_435_761 % n;
        for rows in [1, 2, 3, 4, 255, 256, 257, 1_000, 40_001] {
            let column = |f: &dyn Fn(u64) -> f64| (0..rows).map(f).collect::<Vec<_>>();
            check(&[
                column(&|i| at(i, 100) as f64 - 50.0),
                column(&|i| at(i, 1_000_003) as f64 - 5e5),
                column(&|i| at(i, 1_000_003) as f64 * 1e6),
                column(&|i| at(i, 777) as f64 / 7.0 - 30.0),
                column(&|i| if at(i, 3) == 0 { f64::NAN } else { at(i, 50) as f64 }),
                column(&|_| f64::NAN),
                column(&|i| if at(i, 2) == 0 { -0.0 } else { 1e300 }),
                column(&|i| if at(i, 2) == 0 { -f64::MAX } else { f64::MAX }),
            ]);
        }
    }
}
