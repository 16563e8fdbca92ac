//! The distributions behind the tests: chi-square, Kolmogorov, hypergeometric.
//!
//! Names and conventions are scipy's: `sf` is the probability of more than `x`, `isf` its inverse.
//! Accurate to about 12 digits, including the tails. Not for choosing a test: see the siblings.

/// The probability of more than `x` under the chi-square distribution (`scipy.stats.chi2.sf`).
pub(super) fn chi_square_sf(x: f64, df: u32) -> f64 {
    upper_gamma(f64::from(df) / 2.0, x / 2.0)
}

/// The value that a chi-square variable exceeds with probability `p`, 0 < p < 1.
pub(super) fn chi_square_isf(p: f64, df: u32) -> f64 {
    // The mean plus a multiple of the deviation that no p above 1e-300 exceeds.
    let df_ = f64::from(df);
    bisect(0.0, df_ + 60.0 * (2.0 * df_).sqrt() + 2_000.0, |x| chi_square_sf(x, df) > p)
}

/// The probability of more than `x` under the Kolmogorov distribution (`scipy.stats.kstwobign.sf`).
pub(super) fn kolmogorov_sf(x: f64) -> f64 {
    if x < 0.2 {
        // 1 within 1e-12; the series below would need many terms.
        return 1.0;
    }
    let mut sum = 0.0;
    for k in 1..=50_u32 {
        let term = (-2.0 * f64::from(k * k) * x * x).exp();
        sum += if k % 2 == 1 { term } else { -term };
        if term < 1e-18 {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

/// The value that a Kolmogorov variable exceeds with probability `p`, 0 < p < 1.
pub(super) fn kolmogorov_isf(p: f64) -> f64 {
    bisect(0.2, 30.0, |x| kolmogorov_sf(x) > p)
}

/// The two-sided p-value of Fisher's exact test (`scipy.stats.fisher_exact`) on the table `[[a.0,
/// a.1], [b.0, b.1]]`: the probability of all tables with the same margins that are no more likely
/// than this one.
pub(super) fn fisher_exact(a: (u64, u64), b: (u64, u64)) -> f64 {
    // Hypergeometric: how many of `marked` are among `drawn` of `all`.
    let (drawn, all) = (a.0 + a.1, a.0 + a.1 + b.0 + b.1);
    let marked = a.0 + b.0;
    let (low, high) = ((drawn + marked).saturating_sub(all), drawn.min(marked));
    let chance = |x: u64| {
        (ln_choose(marked, x) + ln_choose(all - marked, drawn - x) - ln_choose(all, drawn)).exp()
    };
    // scipy's tolerance for rounding.
    let limit = chance(a.0) * (1.0 + 1e-7);
    (low..=high).map(chance).filter(|p| *p <= limit).sum::<f64>().min(1.0)
}

/// Logarithm of the number of ways to choose k of n, k <= n.
fn ln_choose(n: u64, k: u64) -> f64 {
    let ln_factorial = |n: u64| ln_gamma(n as f64 + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// Logarithm of the gamma function for x > 0: Lanczos' approximation with g = 7 and nine terms.
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let at = x + 7.5;
    let sum = (1..)
        .zip(TERMS)
        .fold(0.999_999_999_999_809_9, |sum, (i, term): (u8, f64)| sum + term / (x + f64::from(i)));
    0.5 * std::f64::consts::TAU.ln() + (x + 0.5) * at.ln() - at + sum.ln()
}

/// The regularised upper incomplete gamma function Q(a, x): a series for its complement below
/// a + 1, Lentz' continued fraction above (Press et al., "Numerical Recipes", section 6.2).
fn upper_gamma(a: f64, x: f64) -> f64 {
    const ENOUGH: u32 = 100_000;
    const TINY: f64 = 1e-300;
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..ENOUGH {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        return (1.0 - sum * front).clamp(0.0, 1.0);
    }
    let mut denominator = x + 1.0 - a;
    let mut above = 1.0 / TINY;
    let mut below = 1.0 / denominator;
    let mut fraction = below;
    for i in 1..ENOUGH {
        let i = f64::from(i);
        let numerator = -i * (i - a);
        denominator += 2.0;
        below = numerator * below + denominator;
        below = 1.0 / if below.abs() < TINY { TINY } else { below };
        above = denominator + numerator / above;
        above = if above.abs() < TINY { TINY } else { above };
        fraction *= above * below;
        if (above * below - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// The point between `low` and `high` where a decreasing condition becomes false.
fn bisect(mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..80 {
        let middle = low.midpoint(high);
        if below(middle) { low = middle } else { high = middle }
    }
    low.midpoint(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-10, "{found:e}, not {expected:e}");
    }

    /// The regularised incomplete gamma function to 40 digits, rounded.
    #[test]
    fn chi_square() {
        for (x, df, p) in [
            (3.84, 1, 0.050_043_521_248_705_1),
            (0.5, 1, 0.479_500_122_186_953_5),
            (9.0, 9, 0.437_274_188_913_867_06),
            (21.7, 9, 0.009_879_970_254_015_52),
            (80.0, 9, 1.616_131_415_653_460_3e-13),
            (700.0, 9, 6.916_357_838_795_498e-145),
            (80.0, 100, 0.929_664_933_340_605),
            (120.5, 100, 0.079_668_603_325_415_82),
            (1200.0, 999, 1.112_935_044_825_886_6e-5),
        ] {
            close(chi_square_sf(x, df), p);
        }
        close(chi_square_sf(0.0, 3), 1.0);
    }

    /// The alternating series to 40 digits, rounded.
    #[test]
    fn kolmogorov() {
        for (x, p) in [
            (0.5, 0.963_945_243_664_875_1),
            (1.0, 0.269_999_671_677_354_5),
            (1.358, 0.050_026_797_334_447),
            (1.63, 0.009_846_364_888_486_53),
            (3.0, 3.045_995_948_942_526e-8),
        ] {
            close(kolmogorov_sf(x), p);
        }
        close(kolmogorov_sf(0.0), 1.0);
        close(kolmogorov_sf(0.200_000_001), 1.0);
    }

    /// Sums of exact fractions.
    #[test]
    fn fisher() {
        for (a, b, p) in [
            ((3, 97), (0, 1000), 0.000_730_917_823_953_221_3),
            ((8, 2), (1, 5), 0.034_965_034_965_034_97),
            ((0, 10_000), (30, 970), 3.842_425_975_983_083e-32),
            ((5, 95), (5, 95), 1.0),
            ((1, 9), (11, 3), 0.002_759_456_185_220_083_6),
        ] {
            close(fisher_exact(a, b), p);
            close(fisher_exact(b, a), p);
        }
    }

    #[test]
    fn inverses() {
        for p in [0.9, 0.5, 0.05, 1e-4, 1e-9, 1e-30] {
            for df in [1, 2, 9, 100, 999] {
                let x = chi_square_isf(p, df);
                assert!((chi_square_sf(x, df) / p - 1.0).abs() < 1e-8, "{p} {df}");
            }
            let x = kolmogorov_isf(p);
            assert!((kolmogorov_sf(x) / p - 1.0).abs() < 1e-8, "{p}");
        }
    }
}
