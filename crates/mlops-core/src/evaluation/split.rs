//! Which entities of new data become the hold-out: a stable, stratified choice, made once.
//!
//! Within each class the `ceil(share * n)` entities with the smallest hashes are taken. The hash is
//! the entity's 128-bit identity under the workspace's permanent secret, so that the choice depends
//! on the data alone, not on their order, the division into files, or the platform. Without the
//! secret nobody can steer a row into or out of the test data. Not for the definition of an entity:
//! see [`crate::evaluation::entity`].

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The indices of the hold-out rows, ascending.
///
/// `rows` are the (keyed hash, label) pairs of one ingestion, `share` is between 0 and 1. A class
/// with any rows contributes at least one unless the share is 0.
///
/// # Errors
/// `Data` for a share outside [0, 1].
pub fn hold_out(rows: &[(u128, bool)], share: f64) -> Result<Vec<usize>> {
    if !(0.0..=1.0).contains(&share) {
        return Err(Error::data(format!(
            "the share of hold-out rows is {share}: it must lie within 0 and 1"
        )));
    }
    Ok(smallest_of_each(rows, |_, n| share_of(n, share)))
}

/// The indices of the rows with the smallest hashes, ascending; `take` gives the number for each
/// class from its number of rows.
pub(crate) fn smallest_of_each(
    rows: &[(u128, bool)],
    take: impl Fn(bool, usize) -> usize,
) -> Vec<usize> {
    let mut chosen = Vec::new();
    for class in [false, true] {
        let mut of_class: Vec<usize> = (0..rows.len()).filter(|&i| rows[i].1 == class).collect();
        let take = take(class, of_class.len());
        if take < of_class.len() {
            // The index breaks ties, so that the order is total.
            of_class.select_nth_unstable_by_key(take, |&i| (rows[i].0, i));
            of_class.truncate(take);
        }
        chosen.append(&mut of_class);
    }
    chosen.sort_unstable();
    chosen
}

/// `ceil(share * n)` in decimal arithmetic: 7 % of 100 rows are 7, although 0.07 * 100 is more in
/// doubles.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= share * n <= n")]
pub(crate) fn share_of(n: usize, share: f64) -> usize {
    let exact = share * n as f64;
    ((exact * (1.0 - 1e-12)).ceil() as usize).min(n)
}

/// If the share of a class in one draw is below this, earlier draws are taken into account:
/// rounding up each time would hold out every row that arrives alone.
const FEW: f64 = 5.0;

/// The totals offered to and taken by all draws of a workspace, for the negative and the positive
/// class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Offered rows or entities.
    pub offered: [u64; 2],
    /// Taken rows or entities.
    pub taken: [u64; 2],
}

impl Tally {
    /// How many of `n` new members of `class` to draw: their share, rounded up; if that is few, as
    /// many as are missing from the share of all that were ever offered.
    pub(crate) fn take(&self, class: bool, n: usize, share: f64) -> usize {
        let most = share_of(n, share);
        if share * n as f64 >= FEW {
            return most;
        }
        let [offered, taken] = [self.offered, self.taken]
            .map(|of| usize::try_from(of[usize::from(class)]).unwrap_or(0));
        share_of(offered.saturating_add(n), share).saturating_sub(taken).min(most)
    }

    /// Records a draw of `taken` out of `n` of `class`.
    pub(crate) fn add(&mut self, class: bool, n: usize, taken: usize) {
        let class = usize::from(class);
        self.offered[class] += n as u64;
        self.taken[class] += taken as u64;
    }
}

/// The `take` smallest of `hashes`.
pub(crate) fn smallest(mut hashes: Vec<u128>, take: usize) -> Vec<u128> {
    if take < hashes.len() {
        hashes.select_nth_unstable(take);
        hashes.truncate(take);
    }
    hashes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::csv::row_hash::RowHasher;

    fn rows(count: u32, key: u64) -> Vec<(u128, bool)> {
        let hasher = RowHasher(key);
        (0..count).map(|i| (hasher.hash(format!("{i},x\n").as_bytes()), i % 3 == 0)).collect()
    }

    #[test]
    fn rows_that_come_one_by_one_are_held_out_at_the_same_share() {
        for (batch, share) in [(1, 0.3), (2, 0.3), (3, 0.1), (16, 0.3), (7, 0.5), (1, 1.0)] {
            let (mut tally, mut waiting) = (Tally::default(), 0);
            for _ in 0..200 {
                // What no draw took stays on offer.
                let n = waiting + batch;
                match tally.take(true, n, share) {
                    0 => waiting = n,
                    taken => {
                        tally.add(true, n, taken);
                        waiting = 0;
                    }
                }
                let [offered, taken] = [tally.offered, tally.taken].map(|of| of[1] as f64);
                assert!((taken - share * offered).abs() <= 1.0, "{batch} {share}: {tally:?}");
            }
            assert!(tally.taken[1] > 0 && tally.offered[0] == 0);
        }
        // Many at once are rounded up by themselves, whatever was before.
        let over = Tally { offered: [0, 10], taken: [0, 9] };
        assert_eq!((over.take(true, 100, 0.3), over.take(true, 10, 0.3)), (30, 0));
        assert_eq!(over.take(false, 1, 0.3), 1, "the other class has its own account");
    }

    #[test]
    fn sizes_are_decimal_ceilings() {
        for (n, share, size) in [
            (100, 0.07, 7),
            (10, 0.3, 3),
            (30, 0.1, 3),
            (11, 0.3, 4),
            (1, 0.3, 1),
            (1, 1e-9, 1),
            (0, 0.3, 0),
            (5, 0.0, 0),
            (5, 1.0, 5),
        ] {
            assert_eq!(share_of(n, share), size, "{share} of {n}");
        }
    }

    /// Hold-outs of a workspace must stay the same after an upgrade.
    #[test]
    fn a_key_gives_these_very_rows() {
        assert_eq!(hold_out(&rows(20, 42), 0.3).unwrap(), [1, 2, 3, 9, 11, 12, 14]);
    }

    #[test]
    fn a_share_outside_is_refused() {
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(hold_out(&rows(3, 1), share).is_err());
        }
    }

    proptest! {
        #[test]
        fn stratified_in_exact_sizes(
            hashes in proptest::collection::btree_map(any::<u128>(), any::<bool>(), 0..200),
            percent in 0..=100_u32,
        ) {
            let rows: Vec<(u128, bool)> = hashes.into_iter().collect();
            let chosen = hold_out(&rows, f64::from(percent) / 100.0).unwrap();
            prop_assert!(chosen.is_sorted_by(|a, b| a < b));
            for class in [false, true] {
                let n = rows.iter().filter(|r| r.1 == class).count();
                let taken = chosen.iter().filter(|&&i| rows[i].1 == class).count();
                prop_assert_eq!(taken, (n * percent as usize).div_ceil(100));
            }
        }

        #[test]
        fn the_order_of_the_rows_does_not_matter(
            shuffled in Just((0..150_usize).collect::<Vec<_>>()).prop_shuffle(),
            key in any::<u64>(),
        ) {
            let rows = rows(150, key);
            let plain: BTreeSet<usize> = hold_out(&rows, 0.3).unwrap().into_iter().collect();
            let permuted: Vec<_> = shuffled.iter().map(|&i| rows[i]).collect();
            let back = hold_out(&permuted, 0.3).unwrap().into_iter().map(|i| shuffled[i]);
            prop_assert_eq!(plain, back.collect::<BTreeSet<usize>>());
        }

        #[test]
        fn a_larger_share_keeps_the_rows_of_a_smaller_one(
            key in any::<u64>(), small in 0.0..0.5_f64, more in 0.0..0.5_f64,
        ) {
            let rows = rows(97, key);
            let smaller = hold_out(&rows, small).unwrap();
            let larger: BTreeSet<usize> = hold_out(&rows, small + more).unwrap().into_iter().collect();
            prop_assert!(smaller.iter().all(|i| larger.contains(i)));
        }
    }
}
