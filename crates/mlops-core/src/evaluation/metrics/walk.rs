//! A walk down the rows by score, group by group of equal scores: the sums that figures are made of.
//!
//! Not for the order of the rows: see [`super::ranking`] and [`super::sorted`].

/// The numbers of rows whose score is at least that of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) fp: u64,
    pub(super) tp: u64,
    /// The key of the group's score.
    pub(super) key: u64,
}

/// Twice the number of pairs that are ranked correctly, ties counting half.
#[derive(Default)]
pub(super) struct Wins(u128);

impl Wins {
    pub(super) fn add(&mut self, before: Reached, at: Reached) {
        let ties = u128::from(at.fp - before.fp);
        self.0 += ties * u128::from(before.tp + at.tp);
    }

    pub(super) fn area(&self, n: u64, p: u64) -> f64 {
        self.0 as f64 / (2 * u128::from(n) * u128::from(p)) as f64
    }
}

/// Precision times the increase in recall, by Kahan summation: ten million terms would otherwise
/// cost three or four digits.
#[derive(Default)]
pub(super) struct Precisions {
    pub(super) sum: f64,
    lost: f64,
}

impl Precisions {
    pub(super) fn add(&mut self, before: Reached, at: Reached) {
        if at.tp > before.tp {
            let Reached { fp, tp, .. } = at;
            let term = (tp - before.tp) as f64 * (tp as f64 / (tp + fp) as f64) - self.lost;
            let next = self.sum + term;
            self.lost = (next - self.sum) - term;
            self.sum = next;
        }
    }
}

/// The group at which the rates differ most; of equals, the one with the highest score.
#[derive(Default)]
pub(super) struct Furthest {
    pub(super) distance: u128,
    pub(super) at: Reached,
}

impl Furthest {
    pub(super) fn add(&mut self, at: Reached, n: u64, p: u64) {
        let (found, missed) =
            (u128::from(at.tp) * u128::from(n), u128::from(at.fp) * u128::from(p));
        let distance = found.abs_diff(missed);
        if distance > self.distance {
            *self = Self { distance, at };
        }
    }

    /// The difference of the rates, 0 to 1.
    pub(super) fn share(&self, n: u64, p: u64) -> f64 {
        self.distance as f64 / (u128::from(n) * u128::from(p)) as f64
    }
}
