//! The profile of a column of numbers.
//!
//! Every distinct value is counted: integers of a small range in a table, all others in a sorted
//! list that is compacted as it grows. Everything in the summary is therefore exact or rounded once
//! (mean and spread are computed from the counts in double-double arithmetic), and memory grows
//! with the number of distinct values, not of rows: at most 16 MiB for the table, and 16 bytes for
//! each value outside it.

use super::summary::{NumericSummary, summary_of};

/// Integers closer to zero than this may be counted in the table.
const SMALL: u32 = 1 << 20;

/// The table has at most this many slots per number added, so that a short column stays small.
const SLOTS_FOR_EACH: usize = 16;

/// The minimum number of other values buffered before they are sorted and counted.
const PENDING: usize = 1 << 14;

/// How many of them there is room for at first.
const SHORTEST: usize = 16;

/// Counts of the numbers of a column.
#[derive(Debug, Clone, Default)]
pub struct NumericProfile {
    missing: u64,
    /// The number of numbers added.
    taken: usize,
    /// Counts of 0, -1, 1, -2, 2… (see [`slot`]), as far as the table has grown.
    small: Vec<u64>,
    /// Counts of values without a slot, ascending, except for buffered ones.
    others: Vec<(f64, u64)>,
    pending: Vec<f64>,
}

impl NumericProfile {
    /// An empty profile.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one cell; `None`, NaN and infinities are missing.
    pub fn push(&mut self, value: Option<f64>) {
        self.push_number(value.unwrap_or(f64::NAN));
    }

    /// Adds a block of cells, in which NaN and infinities are missing.
    pub fn extend(&mut self, values: &[f64]) {
        let mut counted = 0;
        for &value in values {
            #[expect(clippy::cast_possible_truncation, reason = "what does not fit is not equal")]
            let integer = value as i32;
            match self.small.get_mut(slot(integer)) {
                Some(count) if f64::from(integer).to_bits() == value.to_bits() => {
                    *count += 1;
                    counted += 1;
                }
                _ => {
                    self.taken += std::mem::take(&mut counted);
                    self.push_number(value);
                }
            }
        }
        self.taken += counted;
    }

    /// The memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        8 * (self.small.capacity() + self.pending.capacity()) + 16 * self.others.capacity()
    }

    /// Adds `times` cells of a number; 0 and 1 always have a slot in the table.
    pub(super) fn push_times(&mut self, value: f64, times: u64) {
        let Some(more) = times.checked_sub(1) else { return };
        self.push_number(value);
        #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
        let at = slot(value as i32);
        self.small[at] += more;
        self.taken += usize::try_from(more).unwrap_or(usize::MAX);
    }

    /// Adds all cells of another part of the column.
    pub fn merge(&mut self, other: Self) {
        self.missing += other.missing;
        self.taken += other.taken;
        if self.small.len() < other.small.len() {
            self.small.resize(other.small.len(), 0);
        }
        for (mine, theirs) in self.small.iter_mut().zip(&other.small) {
            *mine += theirs;
        }
        self.pending.extend(other.pending);
        self.others.extend(other.others);
        self.compact();
    }

    /// The summary of all cells so far.
    pub fn finish(self) -> NumericSummary {
        let (missing, runs) = self.into_runs();
        let Ok(summary) = summary_of(&runs, missing);
        summary
    }

    /// How many cells have no number, and the others with their counts, ascending.
    pub(super) fn into_runs(mut self) -> (u64, Vec<(f64, u64)>) {
        // A value may be in both list and table if it came before the table reached it.
        let counted = self.small.iter().enumerate().filter(|(_, count)| **count > 0);
        self.others.extend(counted.map(|(slot, count)| (whole(slot), *count)));
        self.compact();
        (self.missing, self.others)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit is not equal to it")]
    fn push_number(&mut self, value: f64) {
        // Adding zero turns -0 into 0 and leaves every other number alone.
        let value = value + 0.0;
        let integer = value as i32;
        if f64::from(integer).to_bits() == value.to_bits() && integer.unsigned_abs() < SMALL {
            self.taken += 1;
            let at = slot(integer);
            if at >= self.small.len() {
                if at >= self.taken.saturating_mul(SLOTS_FOR_EACH) {
                    return self.keep(value);
                }
                self.small.resize((at + 1).next_power_of_two(), 0);
            }
            self.small[at] += 1;
        } else if value.is_finite() {
            self.taken += 1;
            self.keep(value);
        } else {
            self.missing += 1;
        }
    }

    /// Buffers a value without a slot.
    fn keep(&mut self, value: f64) {
        if self.pending.len() == self.pending.capacity() {
            // By a quarter, since many columns may grow at the same time.
            self.pending.reserve_exact((self.pending.len() / 4).max(SHORTEST));
        }
        self.pending.push(value);
        if self.pending.len() >= PENDING.max(self.others.len()) {
            self.compact();
        }
    }

    /// Counts buffered values and sorts the list.
    fn compact(&mut self) {
        self.others.extend(self.pending.drain(..).map(|value| (value, 1)));
        // The stable sort detects the sorted front and merges.
        self.others.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.others.dedup_by(|next, kept| {
            let same = next.0.to_bits() == kept.0.to_bits();
            if same {
                kept.1 += next.1;
            }
            same
        });
    }
}

/// The slot of a small integer: 0, -1, 1, -2, 2… are at 0, 1, 2, 3, 4…
#[expect(clippy::cast_sign_loss, reason = "the zigzag code is never negative below 2^30")]
fn slot(integer: i32) -> usize {
    ((integer << 1) ^ (integer >> 31)) as usize
}

/// The integer counted at a slot.
fn whole(slot: usize) -> f64 {
    let size = slot.div_ceil(2) as f64;
    if slot.is_multiple_of(2) { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::super::summary::{BARS, MODES};
    use super::*;

    fn summary(values: &[f64]) -> NumericSummary {
        let mut profile = NumericProfile::new();
        profile.extend(values);
        profile.finish()
    }

    fn close(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() <= 1e-15 * b.abs())
    }

    #[test]
    fn a_large_mean_leaves_a_small_spread_alone() {
        let summary = summary(&[1e9, 1e9 + 1.0].repeat(500));
        assert!(close(summary.mean, 1e9 + 0.5));
        assert!(close(summary.std_ddof1, (250.0_f64 / 999.0).sqrt()), "{summary:?}");
    }

    #[test]
    fn bars_count_every_number_once() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(summary(&values).histogram, [50; BARS]);
        assert_eq!(summary(&[1.0, 7.0, 7.0]).histogram, [1, 2]);
        assert!(summary(&[]).histogram.is_empty());
        let wide: Vec<f64> = (0..=40).map(|k| (f64::from(k) - 20.0) / 20.0 * f64::MAX).collect();
        let bars = summary(&wide).histogram;
        assert_eq!((bars.len(), bars.iter().sum::<u64>()), (BARS, 41), "{bars:?}");
        let close: Vec<f64> = (0..30).map(f64::from_bits).collect();
        assert_eq!(summary(&close).histogram.iter().sum::<u64>(), 30);
    }

    #[test]
    fn one_value_has_no_spread_and_none_has_nothing() {
        let one = summary(&[7.5]);
        assert_eq!((one.count, one.distinct, one.std_ddof1), (1, 1, None));
        assert!(close(one.median, 7.5) && close(one.q25, 7.5));
        let none = summary(&[f64::NAN, f64::INFINITY]);
        assert_eq!((none.count, none.missing, none.mean, none.min), (0, 2, None, None));
        assert!(close(Some(none.missing_percent), 100.0));
        assert!(serde_json::to_string(&none).unwrap().contains(r#""std_ddof1":null"#));
    }

    #[test]
    fn equal_values_have_no_spread_at_all() {
        for value in [0.1, 1e-300, 123_456.789, -1e300, 3e15 + 0.5] {
            for n in [2, 3, 7, 1000] {
                let same = summary(&vec![value; n]);
                assert!(same.std_ddof1.unwrap().abs() < f64::MIN_POSITIVE, "{value} {same:?}");
                assert!(close(same.mean, value));
            }
        }
    }

    #[test]
    fn modes_are_all_the_most_frequent_values() {
        let two = summary(&[3.0, -1.0, 3.0, -1.0, 0.5]);
        assert_eq!((two.mode_count, two.mode_frequency, two.modes.len()), (2, 2, 2));
        assert!(close(two.modes.first().copied(), -1.0));
        let all_different: Vec<f64> = (0..150).map(f64::from).collect();
        let many = summary(&all_different);
        assert_eq!((many.mode_count, many.mode_frequency, many.modes.len()), (150, 1, MODES));
    }

    #[test]
    fn zeros_are_one_value() {
        assert_eq!(summary(&[0.0, -0.0]).distinct, 1);
    }

    #[test]
    fn edges_of_the_table() {
        let edge = f64::from(SMALL);
        let values = [-edge - 1.0, -edge, 1.0 - edge, edge - 1.0, edge, edge + 1.0, 1e18, -1e18];
        let summary = summary(&values.repeat(3));
        assert_eq!((summary.count, summary.distinct, summary.mode_count), (24, 8, 8));
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        assert!(summary.modes.iter().zip(sorted).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn huge_numbers_stay_finite_or_absent() {
        let summary = summary(&[-f64::MAX, f64::MAX, f64::MAX]);
        assert!(close(summary.median, f64::MAX));
        assert_eq!(summary.mean.map(f64::to_bits), Some(5.992_310_449_541_053e307_f64.to_bits()));
        assert_eq!(summary.std_ddof1, None);
        assert!(summary.q25.unwrap().abs() < f64::MIN_POSITIVE);
    }

    /// Around the ends of the doubles the figures of 1, 2, 3 and 6 keep their digits.
    #[test]
    fn the_size_of_the_numbers_makes_no_difference() {
        let plain = summary(&[1.0, 2.0, 3.0, 6.0]);
        for power in [-1_060, -1_000, -700, -665, 500, 665, 1_000, 1_021] {
            let unit = 2.0_f64.powi(power / 2) * 2.0_f64.powi(power - power / 2);
            let scaled = summary(&[unit, 2.0 * unit, 3.0 * unit, 6.0 * unit]);
            for (found, truth) in [
                (scaled.mean, plain.mean),
                (scaled.median, plain.median),
                (scaled.std_ddof1, plain.std_ddof1),
                (scaled.q25, plain.q25),
                (scaled.q75, plain.q75),
            ] {
                assert_eq!(found.map(f64::to_bits), truth.map(|t| (t * unit).to_bits()), "{power}");
            }
        }
        let least = f64::from_bits(1);
        for (values, median) in [
            (vec![least, least], least),
            (vec![least, 2.0 * least], 2.0 * least),
            (vec![-f64::MAX, f64::MAX], 0.0),
            (vec![1.5e308, 1.7e308], 1.6e308),
        ] {
            assert_eq!(summary(&values).median.map(f64::to_bits), Some(median.to_bits()));
        }
    }

    #[test]
    fn many_distinct_values_are_compacted() {
        let mut profile = NumericProfile::new();
        for round in 0..3 {
            for i in 0..40_000 {
                profile.push(Some(f64::from((i * 7 + round) % 20_000) / 3.0));
            }
        }
        assert!(profile.others.len() <= 20_000);
        let summary = profile.finish();
        assert_eq!((summary.count, summary.distinct, summary.mode_frequency), (120_000, 20_000, 6));
    }
}
