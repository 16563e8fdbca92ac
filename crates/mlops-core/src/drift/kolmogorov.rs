//! The two-sample Kolmogorov-Smirnov statistic, from raw numbers or from bins. For information
//! only.
//!
//! The p-value is the asymptotic one, Q(D sqrt(nm / (n + m))) (`scipy.stats.kstwobign`): slightly
//! too large for small samples, and far too large with ties, since D is taken only at distinct
//! values. That is why it does not decide; the test that does is in [`super::cells`]. On bins, D is
//! the largest difference at an edge and therefore at most the exact one.

use super::cells::Statistic;
use super::distribution::{kolmogorov_isf, kolmogorov_sf};

/// D of two sets of numbers, at a level in (0, 1); NaN and infinities are missing. `None` if either
/// set is empty.
pub fn exact(reference: &[f64], new: &[f64], level: f64) -> Option<Statistic> {
    let [a, b] = [reference, new].map(|values| {
        // Zeros of both signs are equal, but the total order separates them.
        let mut present: Vec<f64> =
            values.iter().filter(|x| x.is_finite()).map(|x| x + 0.0).collect();
        present.sort_unstable_by(f64::total_cmp);
        present
    });
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let value = x.min(*y);
        i += a[i..].iter().take_while(|x| **x <= value).count();
        j += b[j..].iter().take_while(|y| **y <= value).count();
        largest = largest.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    statistic(largest, a.len() as u64, b.len() as u64, level)
}

/// D at the edges of bins, from the counts of reference and new rows in them.
pub(super) fn binned(bins: &[(u64, u64)], level: f64) -> Option<Statistic> {
    let n: u64 = bins.iter().map(|bin| bin.0).sum();
    let m: u64 = bins.iter().map(|bin| bin.1).sum();
    let (mut below, mut largest) = ((0, 0), 0.0_f64);
    for (reference, new) in bins {
        below = (below.0 + reference, below.1 + new);
        let [p, q] = [(below.0, n), (below.1, m)].map(|(part, all)| part as f64 / all as f64);
        largest = largest.max((p - q).abs());
    }
    statistic(largest, n, m, level)
}

fn statistic(d: f64, n: u64, m: u64, level: f64) -> Option<Statistic> {
    if n == 0 || m == 0 {
        return None;
    }
    let root = (n as f64 * m as f64 / (n as f64 + m as f64)).sqrt();
    let threshold = (kolmogorov_isf(level) / root).min(1.0);
    Some(Statistic { value: d, threshold, p_value: kolmogorov_sf(d * root) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_of_known_samples_with_ties() {
        let found = exact(&[1.0, 2.0, 2.0, 3.0], &[2.0, f64::NAN, 3.0, 3.0, 4.0], 0.05).unwrap();
        // At 2: three of four against one of four.
        assert!((found.value - 0.5).abs() < 1e-15);
        let apart = exact(&[1.0, 2.0], &[3.0], 0.05).unwrap();
        assert!((apart.value - 1.0).abs() < 1e-15);
        assert!(exact(&[0.0, 1.0], &[-0.0, 1.0], 0.05).unwrap().value < 1e-15);
        assert!(exact(&[f64::NAN], &[1.0], 0.05).is_none());
    }

    #[test]
    fn bins_of_single_values_are_exact_and_wider_ones_below() {
        let values: Vec<f64> = (0..200).map(|i| f64::from(i * i % 97 % 20)).collect();
        let shifted: Vec<f64> = (0..300).map(|i| f64::from(i * i % 89 % 23)).collect();
        let d = exact(&values, &shifted, 0.05).unwrap();
        let bins = |width: f64| -> Vec<(u64, u64)> {
            (0..30)
                .map(|b| {
                    let count = |v: &[f64]| {
                        v.iter()
                            .filter(|x| (**x / width).floor().total_cmp(&f64::from(b)).is_eq())
                            .count() as u64
                    };
                    (count(&values), count(&shifted))
                })
                .collect()
        };
        let same = binned(&bins(1.0), 0.05).unwrap();
        assert!((same.value - d.value).abs() < 1e-12);
        assert!(binned(&bins(5.0), 0.05).unwrap().value <= d.value);
    }

    #[test]
    fn the_threshold_has_the_level() {
        let found = binned(&[(50, 20), (50, 80)], 0.05).unwrap();
        let root = 50.0_f64.sqrt();
        assert!((kolmogorov_sf(found.threshold * root) - 0.05).abs() < 1e-9);
        assert!((found.threshold * root - 1.358).abs() < 1e-3);
    }
}
