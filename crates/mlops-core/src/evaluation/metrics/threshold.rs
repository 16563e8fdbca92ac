//! The one rule that turns a probability into a class.
//!
//! Not for choosing the threshold: it is part of the configuration, or see [`crate::evaluation::cutoff`].

/// Returns true if a row whose probability of the positive class is `p` is predicted positive.
///
/// `p` must be strictly above the threshold: scikit-learn's `predict` tests `decision_function > 0`,
/// that is a probability over 0.5, so that a row exactly at the threshold is negative. Every
/// prediction of the toolset uses this function.
pub fn classify(p: f64, threshold: f64) -> bool {
    p > threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_at_the_threshold_is_negative() {
        assert!(!classify(0.5, 0.5));
        assert!(classify(0.500_000_000_000_000_1, 0.5));
        assert!(!classify(1.0, 1.0));
    }
}
