//! The values at given ranks of packed columns, such as medians, exactly and within a memory limit.
//!
//! Few rows are gathered column by column and the values are selected. With many rows, numbers
//! become 64-bit keys that sort the same way, and the key at a rank is found a few bits (a
//! digit) at a time: each pass counts the values of the next digit among the keys that match so
//! far. Columns are processed in groups of as many as the memory allows; of gathering and the digit
//! sizes, the method with the fewest passes over the rows is chosen. Integer columns of a narrow
//! range need fewer passes. Counts are integers, so that neither threads nor other machines that hold the rows make a
//! difference. Not for descriptive statistics: see `profile`.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Result;
use crate::model::fit::{
    BLOCK_ROWS, Blocks, Digits, Holders, PackedBlocks, Question, Reading, Sums, Written, not_sums,
};
use crate::platform::threads::together;

/// Bits in a digit; each divides the number of bits of every kind of key.
const DIGIT_BITS: [u32; 3] = [16, 8, 4];
/// Up to this many rows are gathered: they stay in the processor's cache during selection.
const FEW_ROWS: u64 = 1 << 18;
/// Blocks that a thread claims at a time.
const UNIT: usize = 64;
/// Bits in a digit that other machines count: tables are sent, and each pass takes them a moment.
const BITS_THERE: u32 = 8;

/// A column, and ascending ranks (from 0) of some of its values.
pub(super) type Asked = (usize, Vec<u64>);

/// Count and range of a column, known beforehand.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColumnRange {
    /// The number of values present.
    pub(super) count: u64,
    /// The smallest and the largest value.
    pub(super) lowest: f64,
    pub(super) highest: f64,
    /// All values are integers, and none is -0.
    pub(super) whole: bool,
}

/// The search for the value of one rank.
#[derive(Debug, Clone, Copy)]
struct Search {
    column: usize,
    /// The rank among the keys that match `prefix`, from 0.
    rank: u64,
    /// The bits known so far, and the number of unknown ones.
    prefix: u64,
    left: u32,
}

/// The method by which medians are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Gather,
    Count { bits: u32 },
}

impl Way {
    /// The method with the fewest passes over the rows, and the number of columns in a group, for so
    /// many `ranks` of each column.
    fn of(
        rows: u64,
        (columns, ranks): (usize, usize),
        most_bits: u32,
        threads: usize,
        memory: usize,
    ) -> (Self, usize) {
        let gathered = usize::try_from(rows.saturating_mul(8)).unwrap_or(usize::MAX);
        // As many tables per column as ranks: total counts, and those of each thread.
        let counted = |bits: u32| (1 << bits) * ranks * (8 + 4 * threads);
        let gather = (rows <= FEW_ROWS).then_some((Self::Gather, gathered, 1));
        let count = DIGIT_BITS
            .map(|bits| (Self::Count { bits }, counted(bits), most_bits.div_ceil(bits) as usize));
        let ways = gather.into_iter().chain(count).map(|(way, bytes, passes)| {
            let group = (memory / bytes.max(1)).clamp(1, columns.max(1));
            (passes * columns.div_ceil(group), way, group)
        });
        let best = ways.min_by_key(|(passes, ..)| *passes);
        best.map_or((Self::Count { bits: 4 }, 1), |(_, way, group)| (way, group))
    }
}

/// The medians of the first `columns.len()` columns of `rows`, in about `memory` bytes; `None` for
/// a column without values.
pub(super) fn medians(
    rows: &PackedBlocks,
    columns: &[ColumnRange],
    threads: usize,
    memory: usize,
) -> Result<Vec<Option<f64>>> {
    let middle = |(j, column): (usize, &ColumnRange)| {
        let last = column.count.checked_sub(1)?;
        Some((j, vec![last / 2, last - last / 2]))
    };
    let asked: Vec<Asked> = columns.iter().enumerate().filter_map(middle).collect();
    let mut medians = vec![None; columns.len()];
    let found = values_at(rows, columns, &asked, threads, memory)?;
    for ((j, _), middle) in asked.iter().zip(found) {
        medians[*j] = middle.first().zip(middle.last()).map(|(low, high)| low.midpoint(*high));
    }
    Ok(medians)
}

/// The values at the ranks `asked` for, in about `memory` bytes. Columns are in ascending order, and
/// ranks below the number of their values.
pub(super) fn values_at(
    rows: &PackedBlocks,
    columns: &[ColumnRange],
    asked: &[Asked],
    threads: usize,
    memory: usize,
) -> Result<Vec<Vec<f64>>> {
    let keys: Vec<KeyEncoding> = columns.iter().map(KeyEncoding::of).collect();
    let threads = threads.clamp(1, rows.blocks().div_ceil(UNIT).max(1));
    // Columns that need the same number of passes are grouped.
    let mut order: Vec<usize> = (0..asked.len()).collect();
    order.sort_by_key(|i| keys[asked[*i].0].bits());
    let most_bits = order.last().map_or(0, |i| keys[asked[*i].0].bits());
    let ranks = asked.iter().map(|(_, ranks)| ranks.len()).max().unwrap_or(1);
    let (way, group) = match rows.holders() {
        Some(_) => (Way::Count { bits: BITS_THERE }, order.len().max(1)),
        None => Way::of(rows.rows(), (order.len(), ranks), most_bits, threads, memory),
    };
    let mut values = vec![Vec::new(); asked.len()];
    for group in order.chunks_mut(group) {
        group.sort_unstable();
        let these: Vec<&Asked> = group.iter().map(|i| &asked[*i]).collect();
        let found = match way {
            Way::Gather => gather(rows, &these)?,
            Way::Count { bits } => search(rows, &keys, &these, bits, threads)?,
        };
        for (i, found) in group.iter().zip(found) {
            values[*i] = found;
        }
    }
    Ok(values)
}

/// The values asked for, from a copy of the columns.
fn gather(rows: &PackedBlocks, asked: &[&Asked]) -> Result<Vec<Vec<f64>>> {
    let room = usize::try_from(rows.rows()).unwrap_or(0);
    let wanted: Vec<usize> = asked.iter().map(|(j, _)| *j).collect();
    let mut columns = vec![Vec::with_capacity(room); wanted.len()];
    let mut buffer = Vec::new();
    for index in 0..rows.blocks() {
        let mut to = columns.iter_mut();
        rows.columns(index, &wanted, &mut buffer, |_, values| {
            if let Some(to) = to.next() {
                // Both zeros are one number.
                to.extend(values.iter().filter(|v| !v.is_nan()).map(|v| v + 0.0));
            }
        })?;
    }
    let select = |(values, (_, ranks)): (&mut Vec<f64>, &&Asked)| {
        // The values above those found so far, and how many these are.
        let (mut rest, mut below) = (values.as_mut_slice(), 0);
        let mut found: Vec<f64> = Vec::with_capacity(ranks.len());
        for rank in ranks {
            let at = usize::try_from(*rank).ok().and_then(|rank| rank.checked_sub(below));
            if let Some(at) = at.filter(|at| *at < rest.len()) {
                let (_, value, above) =
                    std::mem::take(&mut rest).select_nth_unstable_by(at, f64::total_cmp);
                found.push(*value);
                (rest, below) = (above, below + at + 1);
            } else {
                found.extend(found.last().copied());
            }
        }
        found
    };
    Ok(columns.iter_mut().zip(asked).map(select).collect())
}

/// Like [`gather`], by counting digits of `bits` bits.
fn search(
    rows: &PackedBlocks,
    keys: &[KeyEncoding],
    asked: &[&Asked],
    bits: u32,
    threads: usize,
) -> Result<Vec<Vec<f64>>> {
    let mut searches = Vec::new();
    for (column, ranks) in asked {
        let (column, left) = (*column, keys[*column].bits());
        searches.extend(ranks.iter().map(|rank| Search { column, rank: *rank, prefix: 0, left }));
    }
    while searches.iter().any(|search| search.left > 0) {
        // The searches of a column share a table until they diverge.
        let mut tables: Vec<Search> = Vec::new();
        let same = |a: &Search, b: &Search| a.column == b.column && a.prefix == b.prefix;
        for search in searches.iter().filter(|s| s.left > 0) {
            if !tables.last().is_some_and(|table| same(table, search)) {
                tables.push(*search);
            }
        }
        let counts = count(rows, keys, &tables, bits, threads)?;
        let mut table = 0;
        for search in searches.iter_mut().filter(|s| s.left > 0) {
            if !same(&tables[table], search) {
                table += 1;
            }
            let mut digit = 0;
            for n in &counts[table << bits..][..1 << bits] {
                if search.rank < *n {
                    break;
                }
                search.rank -= n;
                digit += 1;
            }
            search.prefix = search.prefix << bits | digit;
            search.left -= bits;
        }
    }
    let number = |search: &Search| keys[search.column].number(search.prefix);
    let mut found = searches.iter().map(number);
    Ok(asked.iter().map(|(_, ranks)| found.by_ref().take(ranks.len()).collect()).collect())
}

/// For each table, how many keys with its prefix have each value of the next digit.
fn count(
    rows: &PackedBlocks,
    keys: &[KeyEncoding],
    tables: &[Search],
    bits: u32,
    threads: usize,
) -> Result<Vec<u64>> {
    if let Some(holders) = rows.holders() {
        return count_there(holders, keys, tables, bits);
    }
    let tally = Tally::of(rows, keys, tables, bits);
    let total = Mutex::new(Ok(vec![0_u64; tables.len() << bits]));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut counts = vec![0_u32; tables.len() << bits];
        let mut buffer = Vec::new();
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
                if let Err(error) = tally.add(index, &mut buffer, &mut counts) {
                    *total.lock().unwrap_or_else(PoisonError::into_inner) = Err(error);
                    return;
                }
                since += 1;
            }
            // Each count stays far below 2^32.
            if since > (1 << 30) / BLOCK_ROWS {
                flush(&mut counts);
                since = 0;
            }
        }
        flush(&mut counts);
    };
    together(threads.saturating_sub(1), &work);
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Counts digits block by block.
struct Tally<'a> {
    rows: &'a PackedBlocks,
    keys: &'a [KeyEncoding],
    tables: &'a [Search],
    bits: u32,
    /// The columns of the tables.
    wanted: Vec<usize>,
}

impl<'a> Tally<'a> {
    fn of(
        rows: &'a PackedBlocks,
        keys: &'a [KeyEncoding],
        tables: &'a [Search],
        bits: u32,
    ) -> Self {
        let mut wanted: Vec<usize> = tables.iter().map(|table| table.column).collect();
        wanted.dedup();
        Self { rows, keys, tables, bits, wanted }
    }

    /// Adds block `index` to the counts of all tables.
    fn add(&self, index: usize, buffer: &mut Vec<u8>, counts: &mut [u32]) -> Result<()> {
        let Self { rows, keys, tables, bits, wanted } = self;
        let mut at = 0;
        rows.columns(index, wanted, buffer, |column, values| {
            while let Some(table) = tables.get(at).filter(|table| table.column == column) {
                let counts = &mut counts[at << bits..][..1 << bits];
                keys[column].count(values, table, *bits, counts);
                at += 1;
            }
        })
    }
}

/// [`count`] by others, who hold the rows.
fn count_there(
    holders: &dyn Holders,
    keys: &[KeyEncoding],
    tables: &[Search],
    bits: u32,
) -> Result<Vec<u64>> {
    let pieces = holders.pieces().max(1);
    let mut known: Vec<(usize, u32, u64)> = Vec::new();
    for Search { column, .. } in tables {
        if known.last().is_none_or(|(last, ..)| last != column) {
            let lowest = match keys[*column] {
                KeyEncoding::Whole { lowest, .. } => lowest,
                KeyEncoding::Real => 0.0,
            };
            known.push((*column, keys[*column].bits(), lowest.to_bits()));
        }
    }
    let tables: Vec<(usize, u64, u32)> =
        tables.iter().map(|table| (table.column, table.prefix, table.left)).collect();
    let mut total = vec![0_u64; tables.len() << bits];
    let digits = Digits { bits, tables, keys: known, pieces };
    let question = Question { stride: 1, sums: Sums::Digits(digits) };
    let mut add = |bytes: &[u8]| {
        let mut reading = Reading(bytes);
        total.iter_mut().try_for_each(|sum| reading.whole().map(|n| *sum += n))?;
        reading.finish()
    };
    if let Some(before) = holders.recall(&question)? {
        return add(&before).map(|()| total);
    }
    holders.ask(&question, pieces, &mut add)?;
    holders.keep(&question, &written(&total))?;
    Ok(total)
}

fn written(counts: &[u64]) -> Vec<u8> {
    let mut written = Written::default();
    for n in counts {
        written.whole(*n);
    }
    written.0
}

/// The counts of each of `pieces`, for whoever asked by [`count_there`].
pub(super) fn answer(
    rows: &PackedBlocks,
    digits: &Digits,
    pieces: Range<usize>,
) -> Result<Vec<Vec<u8>>> {
    let Digits { bits, tables, keys: known, pieces: all } = digits;
    let mut keys = vec![KeyEncoding::Real; rows.features()];
    for (column, key_bits, lowest) in known {
        *keys.get_mut(*column).ok_or_else(not_sums)? = match key_bits {
            64 => KeyEncoding::Real,
            16 | 32 => KeyEncoding::Whole { lowest: f64::from_bits(*lowest), bits: *key_bits },
            _ => return Err(not_sums()),
        };
    }
    let search = |(column, prefix, left): &(usize, u64, u32)| {
        let bits = keys.get(*column).ok_or_else(not_sums)?.bits();
        let known = DIGIT_BITS.contains(&digits.bits) && (digits.bits..=bits).contains(left);
        let search = Search { column: *column, rank: 0, prefix: *prefix, left: *left };
        if known { Ok(search) } else { Err(not_sums()) }
    };
    let tables: Vec<Search> = tables.iter().map(search).collect::<Result<_>>()?;
    if pieces.end > *all || !tables.is_sorted_by_key(|table| table.column) {
        return Err(not_sums());
    }
    let tally = Tally::of(rows, &keys, &tables, *bits);
    let piece = |piece: usize| {
        let mut total = vec![0_u64; tables.len() << bits];
        let (mut counts, mut buffer) = (vec![0_u32; total.len()], Vec::new());
        let (first, end) = (rows.blocks() * piece / all, rows.blocks() * (piece + 1) / all);
        for index in first..end {
            tally.add(index, &mut buffer, &mut counts)?;
            // A block has few rows, so that sums of counts this often stay far below 2^32.
            if index % UNIT == 0 || index + 1 == end {
                let counts = counts.iter_mut().map(std::mem::take);
                total.iter_mut().zip(counts).for_each(|(sum, n)| *sum += u64::from(n));
            }
        }
        Ok(written(&total))
    };
    pieces.map(piece).collect()
}

/// How numbers of a column become keys that sort the same way.
#[derive(Debug, Clone, Copy)]
enum KeyEncoding {
    /// The distance from the lowest value; an integer below 2^16 or 2^32.
    Whole { lowest: f64, bits: u32 },
    /// The bits of the number.
    Real,
}

impl KeyEncoding {
    fn of(column: &ColumnRange) -> Self {
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

    /// Counts the values of a block.
    fn count(self, values: &[f64], table: &Search, bits: u32, counts: &mut [u32]) {
        let shift = table.left - bits;
        let known = self.bits() - table.left;
        let mask = counts.len() - 1;
        let mut add = |key: u64| {
            if known == 0 || key >> table.left == table.prefix {
                #[expect(clippy::cast_possible_truncation, reason = "few bits are wanted")]
                let digit = (key >> shift) as usize & mask;
                counts[digit] += 1;
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

/// Both zeros get the same key.
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
        let known: Vec<ColumnRange> = columns
            .iter()
            .map(|values| {
                let there = || values.iter().copied().filter(|v| !v.is_nan());
                ColumnRange {
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
            for memory in [0, 20_000, 1 << 20, usize::MAX] {
                let found = medians(&rows, &known, threads, memory).unwrap();
                let found: Vec<_> = found.into_iter().map(|m| m.map(f64::to_bits)).collect();
                assert_eq!(found, expected, "{threads} threads, {memory} bytes");
            }
        }
        let filled = (0..columns.len()).filter(|j| known[*j].count > 0);
        let ranks = |j: usize| (0..=20).map(|i| (known[j].count - 1) * i / 20).collect();
        let asked: Vec<Asked> = filled.map(|j| (j, ranks(j))).collect();
        let these: Vec<&Asked> = asked.iter().collect();
        let keys: Vec<KeyEncoding> = known.iter().map(KeyEncoding::of).collect();
        let gathered = gather(&rows, &these).unwrap();
        for ((j, ranks), found) in asked.iter().zip(&gathered) {
            let mut sorted: Vec<f64> =
                columns[*j].iter().filter(|v| !v.is_nan()).map(|v| v + 0.0).collect();
            sorted.sort_by(f64::total_cmp);
            let expected: Vec<f64> =
                ranks.iter().map(|rank| sorted[usize::try_from(*rank).unwrap()]).collect();
            assert_eq!(*found, expected);
        }
        for bits in DIGIT_BITS {
            let found = search(&rows, &keys, &these, bits, 2).unwrap();
            assert_eq!(found, gathered, "{bits} bits");
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
                column(&|i| f64::from_bits(at(i, 9))),
            ]);
        }
    }

    #[test]
    fn the_fewest_passes_within_the_memory_are_taken() {
        let mib = 1 << 20;
        for (rows, columns, bits, memory, expected) in [
            (100, 500, 64, 4 * mib, (Way::Gather, 500)),
            (100, 2_500, 64, 4 * mib, (Way::Gather, 2_500)),
            (10_000_000, 3, 16, 128 * mib, (Way::Count { bits: 16 }, 3)),
            (10_000_000, 30, 64, 128 * mib, (Way::Count { bits: 16 }, 30)),
            (1_000_000, 2_500, 64, 4 * mib, (Way::Count { bits: 4 }, 2_500)),
            (1_000_000, 5, 64, 0, (Way::Count { bits: 16 }, 1)),
        ] {
            assert_eq!(
                Way::of(rows, (columns, 2), bits, 2, memory),
                expected,
                "{rows} x {columns}"
            );
        }
    }
}
