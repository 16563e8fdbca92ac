//! Sums of doubles without any rounding, and means rounded once.
//!
//! A sum is kept as a whole multiple of 2^-1074, the smallest double, in 2,200 bits (Kulisch's long
//! accumulator), so that nothing overflows, cancels or depends on the order. An addition takes
//! about ten times as long as a plain one. Not for the passes of a fit.

use std::cmp::Ordering;

/// Bits in a digit of the sum; digits are stored in 64 bits, so that carries can be deferred.
const DIGIT: usize = 32;
/// Digits for 2^64 times the largest double.
const DIGITS: usize = (2_098 + 64) / DIGIT + 2;
/// Carries are propagated after this many numbers: each adds less than 2^33 to a digit.
const PATIENCE: u32 = 1 << 29;

/// The exact sum of finite numbers.
#[derive(Debug, Clone)]
pub(crate) struct ExactSum {
    digits: [i64; DIGITS],
    waiting: u32,
    count: u64,
}

impl Default for ExactSum {
    fn default() -> Self {
        Self { digits: [0; DIGITS], waiting: 0, count: 0 }
    }
}

impl ExactSum {
    /// The number of digits of [`ExactSum::state`].
    pub(crate) const DIGITS: usize = DIGITS;

    /// Its digits, each but the highest between 0 and 2^32 - 1, and the count of numbers.
    pub(crate) fn state(&self) -> (Vec<i64>, u64) {
        let mut sum = self.clone();
        sum.carry();
        (sum.digits.to_vec(), sum.count)
    }

    /// Adds the numbers whose sum had this [`ExactSum::state`].
    pub(crate) fn join(&mut self, digits: &[i64], count: u64) {
        self.carry();
        for (digit, more) in self.digits.iter_mut().zip(digits) {
            *digit += more;
        }
        self.carry();
        self.count += count;
    }

    /// Adds a finite number.
    pub(crate) fn add(&mut self, value: f64) {
        let (mantissa, place) = parts(value);
        self.place(mantissa, place, value.is_sign_negative());
        self.count += 1;
    }

    /// Adds a finite number `times` times.
    pub(crate) fn add_times(&mut self, value: f64, times: u64) {
        let (mantissa, place) = parts(value);
        for (part, more) in [(times & 0xffff_ffff, 0), (times >> DIGIT, DIGIT)] {
            self.place(mantissa * u128::from(part), place + more, value.is_sign_negative());
        }
        self.count += times;
    }

    /// Adds `amount`, below 2^85, times 2^`place`.
    fn place(&mut self, amount: u128, place: usize, negative: bool) {
        let mut rest = amount << (place % DIGIT);
        for digit in &mut self.digits[place / DIGIT..][..4] {
            #[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
            let low = i64::from(rest as u32);
            *digit += if negative { -low } else { low };
            rest >>= DIGIT;
        }
        self.waiting += 1;
        if self.waiting == PATIENCE {
            self.carry();
        }
    }

    /// Propagates carries, so that every digit but the highest is between 0 and 2^32 - 1.
    fn carry(&mut self) {
        let mut carried = 0;
        let (lower, highest) = self.digits.split_at_mut(DIGITS - 1);
        for digit in lower {
            *digit += carried;
            carried = *digit >> DIGIT;
            *digit &= 0xffff_ffff;
        }
        highest[0] += carried;
        self.waiting = 0;
    }

    /// The mean of the numbers added, rounded once; `None` without numbers.
    pub(crate) fn mean(mut self) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        self.carry();
        let negative = self.digits[DIGITS - 1] < 0;
        if negative {
            self.digits.iter_mut().for_each(|digit| *digit = -*digit);
            self.carry();
        }
        let n = u128::from(self.count);
        let mut rest = 0_u128;
        for digit in self.digits.iter_mut().rev() {
            let number = rest << DIGIT | u128::from(digit.unsigned_abs());
            // The remainder is below n, so that this is below 2^32.
            *digit = i64::try_from(number / n).unwrap_or(0);
            rest = number % n;
        }
        let size = rounded(&self.digits, (2 * rest).cmp(&n), rest > 0);
        Some(if negative { -size } else { size })
    }
}

/// Splits a double: its absolute value is the first times 2^(the second - 1074).
fn parts(value: f64) -> (u128, usize) {
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as usize;
    let fraction = bits & ((1 << 52) - 1);
    let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
    (u128::from(mantissa), exponent.saturating_sub(1))
}

/// The double nearest to `digits` times 2^-1074 plus a fraction of the last place: `half` compares
/// that fraction to a half, `more` says that it is not zero. Ties round to even.
fn rounded(digits: &[i64; DIGITS], half: Ordering, more: bool) -> f64 {
    let bit = |at: usize| digits[at / DIGIT] >> (at % DIGIT) & 1 == 1;
    let top = (0..DIGITS * DIGIT).rev().find(|at| bit(*at)).unwrap_or(0);
    // The position of the last of 53 bits.
    let last = top.saturating_sub(52);
    let mantissa = (last..=top).rev().fold(0_u64, |sum, at| sum << 1 | u64::from(bit(at)));
    let half = match last.checked_sub(1) {
        None => half,
        Some(next) if !bit(next) => Ordering::Less,
        Some(next) if more || (0..next).any(bit) => Ordering::Greater,
        Some(_) => Ordering::Equal,
    };
    let up = match half {
        Ordering::Less => false,
        Ordering::Equal => mantissa % 2 == 1,
        Ordering::Greater => true,
    };
    // A carry out of the mantissa increments the exponent, as it should.
    let exponent = if mantissa >> 52 == 1 { last as u64 + 1 } else { 0 };
    f64::from_bits((exponent << 52 | mantissa & ((1 << 52) - 1)) + u64::from(up))
}

/// The power of two that scales numbers of the size of `largest` to about 1 without a rounding that
/// matters; 1 for 0.
pub(crate) fn unit_of(largest: f64) -> f64 {
    let (_, place) = parts(largest);
    let exponent = i32::try_from(place).unwrap_or(0) - 1_021;
    // Limited to normal powers of two; the smallest denormals become 2^-51.
    if largest == 0.0 { 1.0 } else { 2.0_f64.powi((-exponent).clamp(-1_022, 1_023)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        for v in values {
            sum.add(*v);
        }
        sum.mean().unwrap()
    }

    /// The right sides: `float(sum(map(Fraction, values)) / len(values))` in Python.
    #[test]
    fn sums_that_are_joined_in_any_order_are_the_sum_of_all() {
        let values = [1e308, -3.5, 1e308, f64::MIN_POSITIVE / 4.0, -1e308, 0.1, -0.1, 7e-300, -2e5];
        let sum_of = |values: &[f64]| {
            let mut sum = ExactSum::default();
            for value in values {
                sum.add(*value);
            }
            sum
        };
        for size in 1..values.len() {
            let parts: Vec<ExactSum> = values.chunks(size).map(sum_of).collect();
            let mut joined = ExactSum::default();
            for part in parts.iter().rev() {
                let (digits, count) = part.state();
                assert_eq!(digits.len(), ExactSum::DIGITS);
                joined.join(&digits, count);
            }
            let bits = |sum: ExactSum| sum.mean().map(f64::to_bits);
            assert_eq!(bits(joined), bits(sum_of(&values)), "in parts of {size}");
        }
    }

    #[test]
    fn means_are_rounded_once_over_the_whole_range() {
        let least = f64::from_bits(1);
        for (values, expected) in [
            (vec![1.7e308; 7], 1.7e308),
            (vec![f64::MAX; 1_000], f64::MAX),
            (vec![f64::MAX, f64::MAX, -f64::MAX], 5.992_310_449_541_053e307),
            (vec![least, 0.0], 0.0),
            (vec![least, 0.0, least * 3.0], least),
            (vec![least, least, least * 2.0], least),
            (vec![least * 3.0, 0.0], least * 2.0),
            (vec![-least * 3.0, 0.0], -least * 2.0),
            (vec![1e-310, 3e-310], 2e-310),
            (vec![1e308, 1e-308, -1e308], 3.333_333_333_333_33e-309),
            (vec![1e300, 1.0, -1e300], 1.0 / 3.0),
            (vec![0.1, 0.2, 0.3], 0.2),
            (vec![f64::MIN_POSITIVE, f64::MIN_POSITIVE - least], f64::MIN_POSITIVE),
        ] {
            let found = mean(&values);
            assert_eq!(found.to_bits(), expected.to_bits(), "{values:?}: {found:e}");
        }
        assert_eq!(mean(&[1.0, -1.0]).abs().to_bits(), 0);
        assert_eq!(ExactSum::default().mean(), None);
    }

    #[test]
    fn numbers_taken_many_times_and_carries_count_the_same() {
        let mut sum = ExactSum::default();
        sum.add_times(f64::MAX, u64::MAX - 10);
        sum.add_times(-f64::MAX, 3);
        sum.add_times(f64::MAX, 3);
        assert_eq!(sum.clone().mean().unwrap().to_bits(), {
            // (2^64 - 11) / (2^64 - 5) of it: six parts in 2^64 below, which rounds to the largest.
            f64::MAX.to_bits()
        });
        let mut one_by_one = ExactSum::default();
        let mut times = ExactSum::default();
        let mut x = 0.1_f64;
        for i in 0..3_000_u64 {
            x = (x * 97.31 + 0.123).fract();
            let value = (x - 0.5) * 2.0_f64.powi(i32::try_from(i % 200).unwrap() - 100);
            for _ in 0..i % 7 {
                one_by_one.add(value);
            }
            times.add_times(value, i % 7);
            times.carry();
        }
        assert_eq!(one_by_one.mean().map(f64::to_bits), times.mean().map(f64::to_bits));
    }

    #[test]
    fn a_single_number_comes_back_and_its_unit_changes_no_digit() {
        let mut x = f64::from_bits(1);
        while x.is_finite() {
            assert_eq!(mean(&[x]).to_bits(), x.to_bits());
            assert_eq!(mean(&[-x, -x, -x]).to_bits(), (-x).to_bits());
            let unit = unit_of(x);
            let scaled = x * unit;
            assert!((2.0_f64.powi(-53)..4.0).contains(&scaled), "{x:e} becomes {scaled:e}");
            assert_eq!((scaled / unit).to_bits(), x.to_bits());
            x *= 1.7;
            x = x.next_up();
        }
    }
}
