//! The exponential and the logistic function without branches.
//!
//! Compilers vectorise them, and unlike a system's own `exp` they give the same bits on every
//! machine. Not for extreme exponents: every x below -700 gives exp(-700).

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
