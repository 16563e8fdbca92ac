//! The exponential, the logistic function and the natural logarithm without branches.
//!
//! Compilers vectorise them, and unlike a system's own `exp` and `log` they give the same bits on every
//! machine. Not for extreme exponents: every x below -700 gives exp(-700). Not for logarithms of 0, of
//! denormal numbers or of negative ones.

#![expect(clippy::inline_always, reason = "see `simd`")]

/// exp(x) for x <= 0 to about one unit in the last place, without branches; NaN stays NaN.
///
/// x = k ln 2 + r with |r| <= ln 2 / 2, Cody and Waite's two-part ln 2, and the Taylor series to
/// r^13, whose remainder is below 5e-18. Below -700 the result stays at exp(-700) = 1e-304, which
/// is negligible.
#[inline(always)]
pub(crate) fn exp_of_negative(x: f64) -> f64 {
    /// Adding 1.5 * 2^52 rounds to a whole number and leaves it in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = if x < -700.0 { -700.0 } else { x };
    let rounded = x * std::f64::consts::LOG2_E + ROUND;
    let k = rounded - ROUND;
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    // Estrin's scheme: Horner's would be a chain of 26 dependent operations.
    let r2 = r * r;
    let r4 = r2 * r2;
    let pair = |low: f64, high: f64| 1.0 / low + r * (1.0 / high);
    let t0 = pair(1.0, 1.0) + r2 * pair(2.0, 6.0);
    let t4 = pair(24.0, 120.0) + r2 * pair(720.0, 5_040.0);
    let t8 = pair(40_320.0, 362_880.0) + r2 * pair(3_628_800.0, 39_916_800.0);
    let t12 = pair(479_001_600.0, 6_227_020_800.0);
    let series = (t0 + r4 * t4) + (r4 * r4) * (t8 + r4 * t12);
    // The exponent field of a double holds k + 1023.
    series * f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52)
}

/// 1 / (1 + exp(-z)), to a few units in the last place in both tails; NaN stays NaN.
#[inline(always)]
pub(crate) fn logistic(z: f64) -> f64 {
    let small = exp_of_negative(-z.abs());
    let near = 1.0 / (1.0 + small);
    if z >= 0.0 { near } else { small * near }
}

/// ln(x) for normal positive x to two units in the last place, without branches.
///
/// x = 2^k m with m between the square roots of 1/2 and of 2, and ln m = 2 artanh s with s = (m - 1) / (m + 1),
/// whose series is taken to s^21: the remainder is below 3e-18 of the sum. Cody and Waite's two-part ln 2.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    /// The bits of the square root of 1/2.
    const ROOT: u64 = 0x3FE6_A09E_667F_3BCD;
    /// 2^52, in whose low bits a whole number is put, and the offset that keeps that positive.
    const WHOLE: u64 = 0x4330_0000_0000_0000;
    const OFFSET: u64 = 2048;
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let bits = x.to_bits();
    // A shift that keeps the sign is not among the instructions of older processors.
    let power = bits.wrapping_sub(ROOT).wrapping_add(OFFSET << 52) >> 52;
    let k = f64::from_bits(WHOLE | power) - (4_503_599_627_370_496.0 + 2048.0);
    let mantissa = f64::from_bits(bits.wrapping_sub(power.wrapping_sub(OFFSET) << 52));
    let over_one = mantissa - 1.0;
    let s = over_one / (mantissa + 1.0);
    let s2 = s * s;
    let s4 = s2 * s2;
    let pair = |low: f64, high: f64| 2.0 / low + s2 * (2.0 / high);
    let t3 = pair(3.0, 5.0) + s4 * pair(7.0, 9.0);
    let t11 = pair(11.0, 13.0) + s4 * pair(15.0, 17.0);
    let tail = s2 * (t3 + s4 * s4 * (t11 + s4 * s4 * pair(19.0, 21.0)));
    // 2 s = f - s f with f = m - 1, which is exact: nothing is lost where x is near 1.
    k * LN2_HIGH + (over_one - (s * (over_one - tail) - k * LN2_LOW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_two_units_in_the_last_place() {
        for i in 0..200_000 {
            let x = -f64::from(i) * 0.003_4;
            let (found, truth) = (exp_of_negative(x), x.exp());
            assert!((found - truth).abs() <= 2.0 * f64::EPSILON * truth, "exp({x}) = {found}");
        }
        assert!(exp_of_negative(-1e9) < 1e-300);
        assert!(exp_of_negative(f64::NAN).is_nan());
    }

    #[test]
    fn the_logarithm_is_right_to_two_units_in_the_last_place() {
        let close = |x: f64| {
            let (found, truth) = (ln(x), x.ln());
            let off = (found - truth).abs();
            assert!(
                off <= 2.0 * f64::EPSILON * truth.abs(),
                "ln({x:e}) = {found:e}, not {truth:e}"
            );
        };
        for i in 1..400_000 {
            close(f64::from(i) * 2.5e-6);
            close(1.0 + f64::from(i) * 1e-6);
            close(f64::from(i).powi(5) * 1e-20);
        }
        for x in [f64::EPSILON, 1.0 - f64::EPSILON, f64::MIN_POSITIVE, f64::MAX, 0.5, 2.0] {
            close(x);
        }
        for (x, sign) in [(1.0 - f64::EPSILON, -1.0), (1.0 + f64::EPSILON, 1.0), (1.0, 0.0)] {
            let expected = sign * f64::EPSILON;
            assert!((ln(x) - expected).abs() < 1e-30, "{x:e}: {:e}", ln(x));
        }
    }

    #[test]
    fn the_logistic_function_keeps_the_digits_of_both_tails() {
        for i in -40_000..40_000 {
            let z = f64::from(i) * 0.01;
            let truth = if z < 0.0 { z.exp() / (1.0 + z.exp()) } else { 1.0 / (1.0 + (-z).exp()) };
            let found = logistic(z);
            assert!((found - truth).abs() <= 4.0 * f64::EPSILON * truth, "logistic({z}) = {found}");
        }
        assert_eq!(
            [f64::INFINITY, 0.0, -0.0].map(logistic).map(f64::to_bits),
            [1.0, 0.5, 0.5].map(f64::to_bits)
        );
        assert!(logistic(f64::NEG_INFINITY) < 1e-300);
        assert!(logistic(f64::NAN).is_nan());
    }
}
