//! Tenths of the rows by score: where the positives are when rows are taken from the top.
//!
//! Rows with equal scores cannot be told apart. Where the end of a decile falls among them, it gets
//! the share of their positives that it gets of their rows, which is the mean over all orders of
//! these rows; counts of positives may therefore be fractions, but do not depend on the order of the
//! input, and lie on the gain curve. Not for the order itself: see [`super::ranking`].

use serde::{Deserialize, Serialize};

use super::Interval;
use super::clusters::Sampling;
use super::interval::{lift_interval, share_interval};

/// The number of groups.
const TENTHS: u64 = 10;

/// A tenth of the rows; the first has the highest scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decile {
    /// Number of rows; the deciles of n rows end at k n / 10, rounded down.
    pub rows: u64,
    /// Number of positives, a fraction if the decile begins or ends among equal scores.
    pub positives: f64,
    /// The highest score.
    pub highest: f64,
    /// The lowest score.
    pub lowest: f64,
    /// How many times as frequent positives are as among all rows.
    pub lift: f64,
    /// Share of all positives in this decile and those before it.
    pub gain: f64,
}

/// The rows with the highest scores: a tenth of all, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TopDecile {
    /// Number of rows.
    pub rows: u64,
    /// Number of positives among them, as in [`Decile`].
    pub positives: f64,
    /// Share of positives among them.
    pub precision: f64,
    /// Confidence interval of the precision.
    pub precision_interval: Interval,
    /// How many times as frequent positives are among them as among all rows.
    pub lift: f64,
    /// Confidence interval of the lift.
    pub lift_interval: Interval,
}

impl TopDecile {
    /// The first of `deciles` with intervals, given the numbers of all rows and positives.
    pub(super) fn of(
        deciles: &[Decile],
        n: u64,
        positives: u64,
        of_precision: Sampling,
        of_lift: Sampling,
    ) -> Option<Self> {
        let top = deciles.first()?;
        let (found, rows) = (top.positives, top.rows as f64);
        Some(Self {
            rows: top.rows,
            positives: found,
            precision: found / rows,
            precision_interval: share_interval(found, rows, of_precision),
            lift: top.lift,
            lift_interval: lift_interval(found, rows, positives as f64, n as f64, of_lift),
        })
    }
}

/// Cuts rows into deciles that come in groups of equal scores, the highest first.
pub(super) struct Cutter {
    rows: u64,
    positives: u64,
    /// The number of rows and positives in the groups so far.
    seen: (u64, u64),
    /// The number of rows at which the decile begins and ends, and of positives at its beginning.
    from: u64,
    until: u64,
    found: f64,
    /// The score of the decile's first row, once it is known.
    highest: Option<f64>,
    cut: Vec<Decile>,
}

impl Cutter {
    /// For this many rows and positives. Fewer than ten rows have no deciles, nor have rows without
    /// a positive.
    pub(super) fn new(rows: u64, positives: u64) -> Self {
        let cut = Vec::new();
        let mut new = Self {
            rows,
            positives,
            seen: (0, 0),
            from: 0,
            until: 0,
            found: 0.0,
            highest: None,
            cut,
        };
        new.until = if rows < TENTHS || positives == 0 { u64::MAX } else { new.end() };
        new
    }

    /// Where the next decile ends.
    fn end(&self) -> u64 {
        let k = self.cut.len() as u64 + 1;
        if k > TENTHS {
            return u64::MAX;
        }
        u64::try_from(u128::from(k) * u128::from(self.rows) / u128::from(TENTHS))
            .unwrap_or(u64::MAX)
    }

    /// Adds a group: the numbers of rows and positives up to its end, and its score.
    #[inline]
    pub(super) fn add(&mut self, rows: u64, positives: u64, score: impl Fn() -> f64) {
        if self.highest.is_none() || rows >= self.until {
            self.split(rows, positives, score());
        }
        self.seen = (rows, positives);
    }

    fn split(&mut self, rows: u64, positives: u64, score: f64) {
        let (rows_before, positives_before) = self.seen;
        self.highest.get_or_insert(score);
        while rows >= self.until {
            let share = (self.until - rows_before) as f64 / (rows - rows_before) as f64;
            let found = positives_before as f64 + share * (positives - positives_before) as f64;
            let size = self.until - self.from;
            let base = self.positives as f64 / self.rows as f64;
            self.cut.push(Decile {
                rows: size,
                positives: found - self.found,
                highest: self.highest.unwrap_or(score),
                lowest: score,
                lift: (found - self.found) / size as f64 / base,
                gain: found / self.positives as f64,
            });
            (self.from, self.found) = (self.until, found);
            // What is left of the group begins the next decile.
            self.highest = (rows > self.until).then_some(score);
            self.until = self.end();
        }
    }

    /// The ten deciles; none of fewer than ten rows.
    pub(super) fn finish(self) -> Vec<Decile> {
        self.cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups of rows, positives and score.
    fn cut(groups: &[(u64, u64, f64)]) -> Vec<Decile> {
        let total = |of: fn(&(u64, u64, f64)) -> u64| groups.iter().map(of).sum::<u64>();
        let mut cutter = Cutter::new(total(|g| g.0), total(|g| g.1));
        let (mut rows, mut positives) = (0, 0);
        for (more, found, score) in groups {
            rows += more;
            positives += found;
            cutter.add(rows, positives, || *score);
        }
        cutter.finish()
    }

    #[test]
    fn without_ties_a_decile_counts_its_rows() {
        let groups: Vec<_> =
            (0..23_u64).map(|i| (1, u64::from(i < 5 || i == 20), 1.0 - i as f64 / 100.0)).collect();
        let deciles = cut(&groups);
        let sizes: Vec<u64> = deciles.iter().map(|d| d.rows).collect();
        assert_eq!(sizes, [2, 2, 2, 3, 2, 2, 3, 2, 2, 3]);
        let positives: Vec<f64> = deciles.iter().map(|d| d.positives).collect();
        assert_eq!(positives, [2.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert!((deciles[0].lift - 23.0 / 6.0).abs() < 1e-12);
        assert!((deciles[2].gain - 5.0 / 6.0).abs() < 1e-12);
        assert_eq!((deciles[9].gain, deciles[1].highest, deciles[1].lowest), (1.0, 0.98, 0.97));
    }

    #[test]
    fn tied_rows_are_shared_out() {
        // Twelve rows of one score, eight of another, in deciles of two rows.
        let deciles = cut(&[(12, 6, 0.7), (8, 1, 0.2)]);
        assert_eq!(deciles.len(), 10);
        assert!(deciles[..6].iter().all(|d| (d.positives - 1.0).abs() < 1e-12));
        assert!(deciles[6..].iter().all(|d| (d.positives - 0.25).abs() < 1e-12));
        assert_eq!((deciles[5].lowest, deciles[6].highest), (0.7, 0.2));
        // A decile that begins among one score and ends among another.
        let mixed = cut(&[(5, 5, 0.9), (25, 0, 0.1)]);
        assert_eq!((mixed[1].rows, mixed[1].highest, mixed[1].lowest), (3, 0.9, 0.1));
        assert!((mixed[1].positives - 2.0).abs() < 1e-12);
    }

    #[test]
    fn few_rows_have_none() {
        assert!(cut(&[(9, 4, 0.5)]).is_empty());
        assert!(cut(&[(30, 0, 0.5)]).is_empty());
    }
}
