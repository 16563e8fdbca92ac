//! Keeps the first few of many items in file order, in whatever order they are found.
//!
//! Not for counting them.

use serde::{Deserialize, Serialize};

/// The number of examples kept of each kind.
pub const EXAMPLES: usize = 10;

/// The examples with the lowest ordinals.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Examples<T>(Vec<(u64, T)>);

impl<T> Default for Examples<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Examples<T> {
    /// Offers the example with number `ordinal`; it is created only if it is kept.
    #[inline]
    pub(crate) fn offer(&mut self, ordinal: u64, make: impl FnOnce() -> T) {
        if self.0.len() < EXAMPLES || self.0.last().is_some_and(|(last, _)| ordinal < *last) {
            let at = self.0.partition_point(|(n, _)| *n < ordinal);
            self.0.insert(at, (ordinal, make()));
            self.0.truncate(EXAMPLES);
        }
    }

    /// Like [`Examples::offer`], but keeps only the first of those that are equal by `same`.
    pub(crate) fn offer_one(
        &mut self,
        ordinal: u64,
        same: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
    ) {
        match self.0.iter().position(|(_, kept)| same(kept)) {
            Some(at) if self.0[at].0 <= ordinal => {}
            Some(at) => {
                let (_, kept) = self.0.remove(at);
                self.offer(ordinal, || kept);
            }
            None => self.offer(ordinal, make),
        }
    }

    /// Adds the examples of another part.
    pub(crate) fn add(&mut self, other: Self) {
        for (ordinal, example) in other.0 {
            self.offer(ordinal, || example);
        }
    }

    /// The examples in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, example)| example)
    }

    /// The examples in order, for completion.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, example)| example)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stay_whatever_the_order() {
        let mut examples = Examples::default();
        for n in (0..50).rev() {
            examples.offer(n, || n);
        }
        assert!(examples.iter().copied().eq(0..10));
        let mut once = Examples::default();
        for n in [40_u64, 12, 7, 22, 2, 9, 5] {
            once.offer_one(n, |kept| kept % 5 == n % 5, || n);
        }
        assert!(once.iter().copied().eq([12, 40, 9]), "the first that came, at its lowest number");
    }
}
