//! A limit on the memory for the bodies of all requests together.
//!
//! A body pays for its bytes as they come, so that one that was only announced takes nothing from
//! others. Not for the largest single body: see `limits`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Larger bodies are processed on other threads than those that serve connections, and leave memory
/// for small ones.
pub(crate) const LARGE: usize = 256 << 10;

/// The bytes of all bodies held.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    held: AtomicUsize,
}

/// The part held by one request; returned on drop.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// An empty share.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), bytes: 0 }
    }
}

impl Share {
    /// Takes `more` bytes if the total then is at most `total`. A share that is already large
    /// leaves an eighth to small ones.
    pub(crate) fn grow(&mut self, more: usize, total: usize) -> bool {
        let large = self.bytes.saturating_add(more) > LARGE;
        let total = if large { total - total / 8 } else { total };
        let alone = self.bytes;
        let add = |held: usize| {
            let sum = held.saturating_add(more);
            // A single request is always allowed: the limit on one body is checked elsewhere.
            (sum <= total || held == alone).then_some(sum)
        };
        let held = &self.budget.held;
        let taken = held.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok();
        if taken {
            self.bytes += more;
        }
        taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn all_together_stay_below_the_limit_and_give_back_what_they_took() {
        let budget = Arc::new(Budget::default());
        let (mut first, mut second) = (budget.share(), budget.share());
        assert!(first.grow(10 * MIB, 16 * MIB));
        assert!(!second.grow(5 * MIB, 16 * MIB), "large ones leave an eighth");
        assert!(second.grow(100, 16 * MIB), "to the small ones");
        assert!(second.grow(3 * MIB, 16 * MIB));
        drop(first);
        assert!(second.grow(8 * MIB, 16 * MIB));
        drop(second);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_that_is_alone_may_be_as_large_as_a_body_may_be() {
        let budget = Arc::new(Budget::default());
        let mut alone = budget.share();
        assert!(alone.grow(10 * MIB, 8 * MIB) && alone.grow(MIB, 8 * MIB));
        assert!(!budget.share().grow(MIB, 8 * MIB));
    }
}
