//! The summary of a column of numbers from the counts of its values, in ascending order.
//!
//! The counts may be in memory or in files: they are gone through twice, and nothing of their size is kept. Not for
//! counting: see [`super::numeric`] and [`super::spread`].

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use super::percent;
use crate::platform::exact_sum::{ExactSum, unit_of};

/// The maximum number of modes in [`NumericSummary::modes`].
pub const MODES: usize = 100;

/// The maximum number of bars in [`NumericSummary::histogram`].
pub const BARS: usize = 20;

/// The statistics of a column of numbers. No number in it is NaN or infinite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NumericSummary {
    /// Number of cells with a number.
    pub count: u64,
    /// Number of cells without one.
    pub missing: u64,
    /// Share of cells without a number, in percent.
    pub missing_percent: f64,
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// The middle value, or the mean of the two middle values.
    pub median: Option<f64>,
    /// The most frequent values, ascending; at most [`MODES`].
    pub modes: Vec<f64>,
    /// How many values share the highest frequency, listed or not.
    pub mode_count: u64,
    /// How often each mode occurs.
    pub mode_frequency: u64,
    /// Standard deviation with n - 1 in the denominator; `None` for fewer than two numbers.
    pub std_ddof1: Option<f64>,
    /// Smallest number.
    pub min: Option<f64>,
    /// First quartile, linear between order statistics (numpy's default).
    pub q25: Option<f64>,
    /// Third quartile, likewise.
    pub q75: Option<f64>,
    /// Largest number.
    pub max: Option<f64>,
    /// Number of distinct numbers; 0 and -0 are the same.
    pub distinct: u64,
    /// Counts between smallest and largest number in [`BARS`] parts of equal width or, of fewer distinct
    /// numbers, of each. Not stored.
    #[serde(skip)]
    pub histogram: Vec<u64>,
}

/// Different numbers with their counts, in ascending order.
pub(super) trait Runs {
    /// Why they could not be read.
    type Error;

    /// Passes all of them to `take`.
    fn each(&self, take: impl FnMut(f64, u64)) -> Result<(), Self::Error>;
}

impl Runs for Vec<(f64, u64)> {
    type Error = Infallible;

    fn each(&self, mut take: impl FnMut(f64, u64)) -> Result<(), Infallible> {
        for run in self {
            take(run.0, run.1);
        }
        Ok(())
    }
}

/// The summary of `runs` and of `missing` cells without a number.
pub(super) fn summary_of<R: Runs>(runs: &R, missing: u64) -> Result<NumericSummary, R::Error> {
    let mut first = First::default();
    runs.each(|value, times| first.add(value, times))?;
    let mut second = Second::after(&first);
    runs.each(|value, times| second.add(value, times))?;
    let [q25, median, q75] = [1, 2, 3].map(|quarters| second.ranks.quartile(quarters));
    let First { count, ends, mode_frequency, modes, mode_count, distinct, .. } = first;
    Ok(NumericSummary {
        count,
        missing,
        missing_percent: percent(missing, count),
        mean: second.mean.map(|mean| mean.0),
        median,
        modes,
        mode_count,
        mode_frequency,
        std_ddof1: second.std(),
        min: ends.map(|ends| ends.0),
        q25,
        q75,
        max: ends.map(|ends| ends.1),
        distinct,
        histogram: second.bars,
    })
}

/// What is known after the first pass.
#[derive(Default)]
struct First {
    count: u64,
    distinct: u64,
    sum: ExactSum,
    /// The smallest and the largest number.
    ends: Option<(f64, f64)>,
    mode_frequency: u64,
    mode_count: u64,
    modes: Vec<f64>,
}

impl First {
    fn add(&mut self, value: f64, times: u64) {
        self.count += times;
        self.distinct += 1;
        self.sum.add_times(value, times);
        self.ends = Some((self.ends.map_or(value, |ends| ends.0), value));
        if times > self.mode_frequency {
            self.mode_frequency = times;
            self.mode_count = 0;
            self.modes.clear();
        }
        if times == self.mode_frequency {
            self.mode_count += 1;
            if self.modes.len() < MODES {
                self.modes.push(value);
            }
        }
    }
}

/// What is found in the second pass.
struct Second {
    count: u64,
    /// The mean, and twice what was lost in rounding it, so that a large mean does not cost small deviations
    /// their digits.
    mean: Option<(f64, f64)>,
    /// By which deviations are multiplied, so that no square overflows or vanishes beside the others.
    unit: f64,
    squares: Sum,
    ranks: Ranks,
    bars: Vec<u64>,
    /// Where bars begin, and their width, if there is not one for each number.
    scale: Option<(f64, f64)>,
}

impl Second {
    fn after(first: &First) -> Self {
        let count = first.count;
        let mean = first.sum.clone().mean().map(|mean| {
            let mut rest = first.sum.clone();
            rest.add_times(-mean, count);
            (mean, 2.0 * rest.mean().unwrap_or(0.0))
        });
        let (low, high) = first.ends.unwrap_or_default();
        let few = first.distinct <= BARS as u64;
        // Halved, so that no width overflows.
        let width = (high / 2.0 - low / 2.0) / BARS as f64;
        Self {
            count,
            mean,
            unit: unit_of(low.abs().max(high.abs())),
            squares: Sum::default(),
            ranks: Ranks::of(count),
            bars: if few { Vec::new() } else { vec![0; BARS] },
            scale: (!few).then_some((low, width)),
        }
    }

    fn add(&mut self, value: f64, times: u64) {
        if let Some((mean, rest)) = self.mean {
            let unit = self.unit;
            let deviation = (value * unit - mean * unit) - rest * unit;
            self.squares = self.squares.plus_product(deviation * deviation, times as f64);
        }
        self.ranks.add(value, times);
        match self.scale {
            None => self.bars.push(times),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of BARS"
            )]
            Some((low, width)) => {
                let at = (value / 2.0 - low / 2.0) / width;
                self.bars[(at as usize).min(BARS - 1)] += times;
            }
        }
    }

    fn std(&self) -> Option<f64> {
        self.mean.filter(|_| self.count > 1)?;
        let std = (self.squares.value() / (self.count - 1) as f64).sqrt() / self.unit;
        Some(std).filter(|std| std.is_finite())
    }
}

/// The order statistics around the quartiles.
struct Ranks {
    count: u64,
    seen: u64,
    /// Ranks from 0, ascending.
    wanted: Vec<u64>,
    /// The numbers of the first of these ranks.
    found: Vec<f64>,
}

impl Ranks {
    fn of(count: u64) -> Self {
        let around = |quarters| Self::place(count, quarters).map(|(rank, _)| rank);
        let last = count.saturating_sub(1);
        let ranks = [1, 2, 3].into_iter().filter_map(around);
        let mut wanted: Vec<u64> = ranks.flat_map(|rank| [rank, (rank + 1).min(last)]).collect();
        wanted.sort_unstable();
        Self { count, seen: 0, wanted, found: Vec::new() }
    }

    /// Integer part and quarters of (n - 1) `quarters` / 4, without rounding or overflow.
    fn place(count: u64, quarters: u64) -> Option<(u64, u64)> {
        let at = u128::from(count.checked_sub(1)?) * u128::from(quarters);
        Some((u64::try_from(at / 4).ok()?, u64::try_from(at % 4).ok()?))
    }

    fn add(&mut self, value: f64, times: u64) {
        self.seen += times;
        while self.wanted.get(self.found.len()).is_some_and(|rank| self.seen > *rank) {
            self.found.push(value);
        }
    }

    /// The quantile `quarters / 4`, interpolated linearly between the order statistics around (n - 1) q.
    fn quartile(&self, quarters: u64) -> Option<f64> {
        let (rank, share) = Self::place(self.count, quarters)?;
        let at = |rank| {
            let place = self.wanted.iter().position(|wanted| *wanted == rank)?;
            self.found.get(place).copied()
        };
        let (below, above) = (at(rank)?, at((rank + 1).min(self.count - 1))?);
        // Rounded once, whatever the sizes.
        let mut sum = ExactSum::default();
        sum.add_times(below, 4 - share);
        sum.add_times(above, share);
        sum.mean()
    }
}

/// An unevaluated sum of two doubles with 106 bits together (Dekker 1971): exact for integers.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    fn plus_product(self, a: f64, b: f64) -> Self {
        let product = a * b;
        let product_error = a.mul_add(b, -product);
        let total = self.high + product;
        let part = total - self.high;
        let total_error = (self.high - (total - part)) + (product - part);
        let low = self.low + (total_error + product_error);
        let high = total + low;
        Self { high, low: low - (high - total) }
    }

    fn value(self) -> f64 {
        self.high + self.low
    }
}
