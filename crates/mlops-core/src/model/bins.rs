//! Bins with weight of evidence: a column becomes one feature, whose value is what the training rows
//! of the same bin say about the label.
//!
//! For a bin with `n` of the `N` negative and `p` of the `P` positive training rows, the weight of
//! evidence is ln((n / N) / (p / P)), as in Siddiqi, "Credit Risk Scorecards" (2006), and in
//! optbinning: above 0, positives are rarer than on average. Where `n` or `p` is 0, one half is added
//! to both. The information value of a column is the sum over its bins of (n / N - p / P) times the
//! weight. A missing value has a bin of its own. Not for counting rows: see `shapes`.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::config::Binning;

/// Quantiles between which bins of a numeric column begin.
const FINE: u64 = 20;

/// Training rows by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Counts {
    /// Rows with the negative label.
    pub negatives: u64,
    /// Rows with the positive label.
    pub positives: u64,
}

impl Counts {
    /// All rows.
    pub fn rows(self) -> u64 {
        self.negatives + self.positives
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            negatives: self.negatives + other.negatives,
            positives: self.positives + other.positives,
        }
    }

    /// Counts a row.
    pub(super) fn add(&mut self, positive: bool) {
        self.positives += u64::from(positive);
        self.negatives += u64::from(!positive);
    }

    /// Compares the shares of positives, exactly. Without rows, the share is 0.
    fn by_share(self, other: Self) -> std::cmp::Ordering {
        let cross = |a: Self, b: Self| u128::from(a.positives) * u128::from(b.rows().max(1));
        cross(self, other).cmp(&cross(other, self))
    }

    fn share(self) -> f64 {
        self.positives as f64 / self.rows().max(1) as f64
    }

    /// The shares of all negatives and of all positives, and the weight of evidence.
    fn evidence(self, all: Self) -> ([f64; 2], f64) {
        let half = if self.negatives == 0 || self.positives == 0 { 0.5 } else { 0.0 };
        let share = |n: u64, all: u64| (n as f64 + half) / all.max(1) as f64;
        let negative = share(self.negatives, all.negatives);
        let positive = share(self.positives, all.positives);
        ([negative, positive], (negative / positive).ln())
    }
}

/// One bin.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub struct Bin {
    /// Its training rows.
    pub counts: Counts,
    /// Its weight of evidence; 0 without training rows.
    pub woe: f64,
}

impl Bin {
    fn of(counts: Counts, all: Counts) -> Self {
        let woe = if counts.rows() == 0 { 0.0 } else { counts.evidence(all).1 };
        Self { counts, woe }
    }
}

/// The bins of a column.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub struct Bins {
    /// For a numeric column ascending, for a categorical one with an ascending share of positives.
    pub bins: Vec<Bin>,
    /// Rows without a value; `None` if the treatment of missing values forbids them.
    pub missing: Option<Bin>,
    /// Which values each bin has.
    pub holds: Holds,
}

/// Which values the bins of a column have.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub enum Holds {
    /// Numbers: bin `i` those above edge `i - 1` and up to edge `i`.
    Up(Vec<f64>),
    /// For each level of a categorical column, then for the one that rare levels share, its bin.
    Levels(Vec<u32>),
}

impl Bins {
    /// The ranks, from 0, of the values that may become edges, among `count` sorted values.
    pub(super) fn ranks(count: u64) -> Vec<u64> {
        (1..FINE).map(|i| count.saturating_sub(1) * i / FINE).collect()
    }

    /// The bins of a numeric column, from the counts between the ascending `edges`, one more than
    /// there are edges: the share of positives rises from bin to bin, or falls, whichever gives the
    /// larger information value (rising if both give the same). Neighbours that are not in this order
    /// are pooled (the pool-adjacent-violators algorithm), then those that are too small, then those
    /// whose union loses the least information value while there are too many.
    pub(super) fn of_numbers(
        edges: &[f64],
        fine: &[Counts],
        missing: Option<Counts>,
        rule: Binning,
    ) -> Self {
        let all = total(fine, missing);
        let [rising, falling] = [false, true].map(|falling| {
            let mut merged = monotone(fine, falling);
            coarsen(&mut merged, all, rule);
            merged
        });
        let value = |groups: &[Group]| groups.iter().map(|group| value(group.counts, all)).sum();
        let (up, down): (f64, f64) = (value(&rising), value(&falling));
        let groups = if up >= down { rising } else { falling };
        let inner = groups.iter().take(groups.len().saturating_sub(1));
        let edges = inner.map(|group| edges[group.end - 1]).collect();
        Self::of(&groups, missing, all, Holds::Up(edges))
    }

    /// The bins of a categorical column with these counts by level: levels in the order of their
    /// share of positives, those next to each other merged as for numbers.
    pub(super) fn of_levels(levels: &[Counts], missing: Option<Counts>, rule: Binning) -> Self {
        let all = total(levels, missing);
        let mut order: Vec<usize> = (0..levels.len()).collect();
        order.sort_by(|a, b| levels[*a].by_share(levels[*b]));
        let sorted: Vec<Counts> = order.iter().map(|level| levels[*level]).collect();
        let mut groups = monotone(&sorted, false);
        coarsen(&mut groups, all, rule);
        let mut bin_of = vec![0; levels.len()];
        for (at, level) in order.into_iter().enumerate() {
            let bin = groups.partition_point(|group| group.end <= at);
            bin_of[level] = u32::try_from(bin).unwrap_or(u32::MAX);
        }
        Self::of(&groups, missing, all, Holds::Levels(bin_of))
    }

    fn of(groups: &[Group], missing: Option<Counts>, all: Counts, holds: Holds) -> Self {
        let bins = groups.iter().map(|group| Bin::of(group.counts, all)).collect();
        Self { bins, missing: missing.map(|counts| Bin::of(counts, all)), holds }
    }

    /// The index of the bin of a number.
    pub fn of_number(&self, x: f64) -> Option<usize> {
        match &self.holds {
            Holds::Up(edges) if !x.is_nan() => Some(edges.partition_point(|edge| *edge < x)),
            _ => None,
        }
    }

    /// The index of the bin of a level.
    pub fn of_level(&self, level: usize) -> Option<usize> {
        match &self.holds {
            Holds::Levels(bins) => bins.get(level).map(|bin| *bin as usize),
            Holds::Up(_) => None,
        }
    }

    /// The weight of evidence of a missing value; NaN if none may be missing.
    pub fn missing_woe(&self) -> f64 {
        self.missing.map_or(f64::NAN, |bin| bin.woe)
    }

    /// The mean weight of evidence over the training rows.
    pub fn average_woe(&self) -> f64 {
        let rows = |bin: &Bin| bin.counts.rows() as f64;
        let bins = || self.bins.iter().chain(&self.missing);
        let all: f64 = bins().map(rows).sum();
        bins().map(|bin| bin.woe * rows(bin)).sum::<f64>() / all.max(1.0)
    }

    /// The information value of the column, its missing values included.
    pub fn information_value(&self) -> f64 {
        let counts: Vec<Counts> = self.bins.iter().map(|bin| bin.counts).collect();
        let missing = self.missing.map(|bin| bin.counts);
        let all = total(&counts, missing);
        let there = counts.into_iter().chain(missing).filter(|counts| counts.rows() > 0);
        there.map(|counts| value(counts, all)).sum()
    }

    /// Whether the parts fit together, for a column with so many `levels` (none: of numbers).
    pub(super) fn is_sound(&self, levels: Option<usize>) -> bool {
        let count = self.bins.len();
        let holds = match (&self.holds, levels) {
            (Holds::Up(edges), None) => {
                edges.len() + 1 == count
                    && edges.iter().all(|edge| edge.is_finite())
                    && edges.windows(2).all(|two| two[0] < two[1])
            }
            (Holds::Levels(of), Some(levels)) => {
                of.len() == levels && of.iter().all(|bin| (*bin as usize) < count)
            }
            _ => false,
        };
        // So few and so small that no sum of them overflows.
        let sound = |bin: &Bin| {
            let Counts { negatives, positives } = bin.counts;
            bin.woe.is_finite() && (negatives | positives) < 1 << 50
        };
        holds && count <= 64 && self.bins.iter().chain(&self.missing).all(sound)
    }
}

/// Neighbouring bins that were merged.
#[derive(Debug, Clone, Copy)]
struct Group {
    /// The index after that of the last fine bin.
    end: usize,
    counts: Counts,
}

impl Group {
    fn and(self, next: Self) -> Self {
        Self { end: next.end, counts: self.counts.and(next.counts) }
    }
}

fn total(counts: &[Counts], missing: Option<Counts>) -> Counts {
    counts.iter().copied().chain(missing).fold(Counts::default(), Counts::and)
}

/// What a bin adds to the information value.
fn value(counts: Counts, all: Counts) -> f64 {
    let ([negative, positive], woe) = counts.evidence(all);
    (negative - positive) * woe
}

/// Pools neighbours until the share of positives rises, or falls, from each to the next.
fn monotone(fine: &[Counts], falling: bool) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, counts) in fine.iter().enumerate() {
        let mut last = Group { end: at + 1, counts: *counts };
        while let Some(before) = groups.last() {
            let (a, b) = if falling { (last, *before) } else { (*before, last) };
            if a.counts.by_share(b.counts).is_lt() {
                break;
            }
            last = before.and(last);
            groups.pop();
        }
        groups.push(last);
    }
    groups
}

/// Merges neighbours until none has too few of `all` rows and there are not too many.
fn coarsen(groups: &mut Vec<Group>, all: Counts, rule: Binning) {
    let least = (rule.min_share * all.rows() as f64).max(1.0);
    let merge = |groups: &mut Vec<Group>, left: usize| {
        groups[left] = groups[left].and(groups[left + 1]);
        groups.remove(left + 1);
    };
    while groups.len() > 1 {
        let rows = |at: &usize| groups[*at].counts.rows();
        let Some(smallest) = (0..groups.len()).min_by_key(rows) else { break };
        if rows(&smallest) as f64 >= least {
            break;
        }
        let share = |at: usize| groups[at].counts.share();
        let far = |at: usize| (share(at) - share(smallest)).abs();
        let left = smallest > 0
            && (smallest + 1 == groups.len() || far(smallest - 1) <= far(smallest + 1));
        merge(groups, if left { smallest - 1 } else { smallest });
    }
    while groups.len() > rule.max_bins.max(1) {
        let loss = |left: usize| {
            let [a, b] = [groups[left].counts, groups[left + 1].counts];
            value(a, all) + value(b, all) - value(a.and(b), all)
        };
        let least = (0..groups.len() - 1).min_by(|a, b| loss(*a).total_cmp(&loss(*b)));
        merge(groups, least.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Binning = Binning { min_share: 0.05, max_bins: 8 };

    fn counts(rows: &[(u64, u64)]) -> Vec<Counts> {
        rows.iter()
            .map(|(negatives, positives)| Counts { negatives: *negatives, positives: *positives })
            .collect()
    }

    #[test]
    fn neighbours_out_of_order_are_pooled_and_either_direction_is_found() {
        let fine = counts(&[(90, 10), (70, 30), (80, 20), (60, 40), (50, 50)]);
        let bins = Bins::of_numbers(&[1.0, 2.0, 3.0, 4.0], &fine, Some(Counts::default()), RULE);
        assert_eq!(bins.holds, Holds::Up(vec![1.0, 3.0, 4.0]));
        assert_eq!(bins.bins[1].counts, Counts { negatives: 150, positives: 50 });
        assert!(bins.bins.windows(2).all(|two| two[0].woe > two[1].woe));
        assert!(bins.missing_woe().abs() < f64::MIN_POSITIVE, "no training row lacks the value");
        let turned: Vec<Counts> = fine.into_iter().rev().collect();
        let bins = Bins::of_numbers(&[1.0, 2.0, 3.0, 4.0], &turned, None, RULE);
        assert_eq!(bins.holds, Holds::Up(vec![1.0, 2.0, 4.0]));
        assert!(bins.bins.windows(2).all(|two| two[0].woe < two[1].woe));
        assert!(bins.missing_woe().is_nan());
        // An edge belongs to the bin below it.
        let of = [0.0, 1.0, 1.5, 4.0, 9.0, f64::NAN].map(|x| bins.of_number(x));
        assert_eq!(of, [Some(0), Some(0), Some(1), Some(2), Some(3), None]);
    }

    /// ln((20 / 100) / (5 / 50)) = ln 2, and (0.2 - 0.1) ln 2 of information; by hand.
    #[test]
    fn weights_and_information_are_those_of_the_book() {
        let bins = Bins::of_numbers(
            &[0.0],
            &counts(&[(20, 5), (70, 45)]),
            Some(Counts { negatives: 10, positives: 0 }),
            RULE,
        );
        assert!((bins.bins[0].woe - 2.0_f64.ln()).abs() < 1e-15);
        let second = (0.7_f64 / 0.9).ln();
        let missing = (10.5_f64 / 100.0 / (0.5 / 50.0)).ln();
        assert!((bins.missing_woe() - missing).abs() < 1e-15, "half a row in the empty class");
        let expected = 0.1 * 2.0_f64.ln() - 0.2 * second + (0.105 - 0.01) * missing;
        assert!((bins.information_value() - expected).abs() < 1e-15);
    }

    #[test]
    fn small_bins_join_the_nearer_neighbour_and_there_are_only_so_many() {
        // 2 rows of 402 are too few; their share of one half is nearer to the left one's.
        let fine = counts(&[(110, 90), (1, 1), (50, 150)]);
        let bins = Bins::of_numbers(&[1.0, 2.0], &fine, None, RULE);
        assert_eq!(bins.holds, Holds::Up(vec![2.0]));
        let fine: Vec<Counts> =
            (0..20).map(|i| Counts { negatives: 200 - i, positives: i }).collect();
        let edges: Vec<f64> = (1..20).map(f64::from).collect();
        for max_bins in [1, 2, 5] {
            let rule = Binning { min_share: 0.0, max_bins };
            let bins = Bins::of_numbers(&edges, &fine, None, rule);
            assert_eq!(bins.bins.len(), max_bins);
            assert!(bins.is_sound(None) && !bins.is_sound(Some(3)));
        }
    }

    #[test]
    fn levels_are_ordered_by_their_share() {
        let levels = counts(&[(50, 50), (90, 10), (45, 45), (3, 0), (20, 80)]);
        let bins = Bins::of_levels(&levels, None, RULE);
        // Equal shares are one bin, and three rows are none.
        assert_eq!(bins.holds, Holds::Levels(vec![1, 0, 1, 0, 2]));
        assert!(bins.is_sound(Some(5)));
        assert_eq!(bins.of_level(9), None);
    }
}
