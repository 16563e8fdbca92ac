//! One column of a block in as few bytes as represent it exactly.
//!
//! Counts, categories and amounts are integers within a narrow range: one or two bytes each, as
//! offsets from the lowest. A pass over the data is bound by memory bandwidth, and the number of
//! rows that a machine can train on by memory size. Not for whole blocks: see [`super::packed`].

use crate::platform::simd::{Work, widest};

/// Adding and subtracting this rounds to an integer: 1.5 * 2^52.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// 2^52: adding it to a smaller integer puts that into the low bits of the sum.
const BITS: f64 = 4_503_599_627_370_496.0;
/// The lowest value must be an integer within this.
const LARGEST: f64 = 2_147_483_648.0;

/// The encodings of a column. The highest code of one or two bytes stands for a missing value.
const BYTES: u8 = 1;
const PAIRS: u8 = 2;
const REALS: u8 = 8;

/// Appends `values`, NaN being missing; every value can be restored bit for bit.
pub(crate) fn pack(values: &[f64], out: &mut Vec<u8>) {
    let (mut lowest, mut highest) = ([f64::INFINITY; 4], [f64::NEG_INFINITY; 4]);
    let mut odd = [0_u64; 4];
    let (fours, rest) = values.as_chunks::<4>();
    let mut look = |lane: usize, v: f64| {
        // Comparing bits excludes -0, and NaNs other than the usual one.
        let whole = ((v + ROUND) - ROUND).to_bits() ^ v.to_bits();
        let missing = v.to_bits() == f64::NAN.to_bits();
        odd[lane] |= if missing { 0 } else { whole | u64::from(v.is_nan()) };
        // Comparisons with NaN are false.
        lowest[lane] = if v < lowest[lane] { v } else { lowest[lane] };
        highest[lane] = if v > highest[lane] { v } else { highest[lane] };
    };
    for four in fours {
        for (lane, &v) in four.iter().enumerate() {
            look(lane, v);
        }
    }
    for &v in rest {
        look(0, v);
    }
    let lowest = lowest.into_iter().fold(f64::INFINITY, f64::min);
    let highest = highest.into_iter().fold(f64::NEG_INFINITY, f64::max);
    // Without any value the lowest is above the highest.
    let (base, range) = if lowest > highest { (0.0, 0.0) } else { (lowest, highest - lowest) };
    let whole = odd == [0; 4] && base.abs() <= LARGEST;
    if whole && range < f64::from(u8::MAX) {
        out.push(BYTES);
        out.extend_from_slice(&base.to_le_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "below 255")]
        out.extend(values.iter().map(|v| if v.is_nan() { u8::MAX } else { code(v - base) as u8 }));
    } else if whole && range < f64::from(u16::MAX) {
        out.push(PAIRS);
        out.extend_from_slice(&base.to_le_bytes());
        let start = out.len();
        out.resize(start + 2 * values.len(), 0);
        for (pair, v) in out[start..].as_chunks_mut::<2>().0.iter_mut().zip(values) {
            #[expect(clippy::cast_possible_truncation, reason = "below 65,535")]
            let code = if v.is_nan() { u16::MAX } else { code(v - base) as u16 };
            *pair = code.to_le_bytes();
        }
    } else {
        out.push(REALS);
        let start = out.len();
        out.resize(start + 8 * values.len(), 0);
        for (eight, v) in out[start..].as_chunks_mut::<8>().0.iter_mut().zip(values) {
            *eight = v.to_le_bytes();
        }
    }
}

/// The low bits of an integer from 0 to 2^51.
fn code(value: f64) -> u64 {
    (value + BITS).to_bits()
}

/// Fills `into` from the start of `bytes`, with `fill` for missing values (NaN leaves them
/// missing); returns the rest, or `None` if the bytes are not a column.
pub(crate) fn unpack<'a>(bytes: &'a [u8], into: &mut [f64], fill: f64) -> Option<&'a [u8]> {
    widest(Unpack { bytes, into, fill })
}

/// Skips a column of `rows` values at the start of `bytes`; returns the rest, `None` as for
/// [`unpack`].
pub(crate) fn skip(bytes: &[u8], rows: usize) -> Option<&[u8]> {
    let (kind, rest) = bytes.split_first()?;
    let length = match *kind {
        REALS => 8 * rows,
        BYTES => 8 + rows,
        _ => 8 + 2 * rows,
    };
    rest.get(length..)
}

struct Unpack<'a, 'b> {
    bytes: &'a [u8],
    into: &'b mut [f64],
    fill: f64,
}

#[expect(clippy::inline_always, reason = "see `simd`")]
impl<'a> Work for Unpack<'a, '_> {
    type Output = Option<&'a [u8]>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        unpack_column(self.bytes, self.into, self.fill)
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "see `simd`")]
fn unpack_column<'a>(bytes: &'a [u8], into: &mut [f64], fill: f64) -> Option<&'a [u8]> {
    let (kind, rest) = bytes.split_first()?;
    let rows = into.len();
    if *kind == REALS {
        let (data, rest) = rest.split_at_checked(8 * rows)?;
        for (to, eight) in into.iter_mut().zip(data.as_chunks::<8>().0) {
            let value = f64::from_le_bytes(*eight);
            *to = if value.is_nan() && !fill.is_nan() { fill } else { value };
        }
        return Some(rest);
    }
    let (base, rest) = rest.split_first_chunk::<8>()?;
    let base = f64::from_le_bytes(*base);
    if *kind == BYTES {
        let (data, rest) = rest.split_at_checked(rows)?;
        for (to, byte) in into.iter_mut().zip(data) {
            *to = if *byte == u8::MAX { fill } else { base + f64::from(*byte) };
        }
        Some(rest)
    } else {
        let (data, rest) = rest.split_at_checked(2 * rows)?;
        for (to, pair) in into.iter_mut().zip(data.as_chunks::<2>().0) {
            let code = u16::from_le_bytes(*pair);
            *to = if code == u16::MAX { fill } else { base + f64::from(code) };
        }
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(values: &[f64]) -> usize {
        let mut bytes = vec![7];
        pack(values, &mut bytes);
        let packed = bytes.len() - 1;
        bytes.extend([8, 9]);
        let mut back = vec![0.5; values.len()];
        assert_eq!(unpack(&bytes[1..], &mut back, f64::NAN), Some(&[8, 9][..]), "{values:?}");
        assert_eq!(skip(&bytes[1..], values.len()), Some(&[8, 9][..]), "{values:?}");
        for (a, b) in values.iter().zip(&back) {
            assert_eq!(a.to_bits(), b.to_bits(), "{values:?}");
        }
        assert!(unpack(&bytes[1..packed], &mut back, 0.0).is_none(), "cut short");
        packed
    }

    #[test]
    fn every_value_comes_back_bit_for_bit_in_as_few_bytes_as_possible() {
        let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);
        for (values, bytes) in [
            (vec![0.0, 1.0, 254.0], 9 + 3),
            (vec![-3.0, f64::NAN, 250.0, 251.0, 0.0], 9 + 5),
            (vec![0.0, 255.0], 9 + 4),
            (vec![-2_147_483_648.0, f64::NAN, -2_147_483_648.0 + 65_534.0], 9 + 6),
            (vec![1.0, 65_536.0], 1 + 16),
            (vec![f64::NAN, f64::NAN], 9 + 2),
            (vec![-0.0, 1.0], 1 + 16),
            (vec![0.5], 1 + 8),
            (vec![2_147_483_649.0], 1 + 8),
            (vec![f64::INFINITY, 1.0], 1 + 16),
            (vec![other_nan, 1.0], 1 + 16),
            (vec![1e300, f64::MIN_POSITIVE, f64::NAN], 1 + 24),
        ] {
            assert_eq!(round_trip(&values), bytes, "{values:?}");
            let padded = [values.as_slice(), &[values[0]; 11]].concat();
            round_trip(&padded);
        }
    }

    #[test]
    fn missing_values_are_filled() {
        for values in [[1.0, f64::NAN], [300.0, f64::NAN], [0.5, f64::NAN]] {
            let (mut bytes, mut back) = (Vec::new(), [0.0; 2]);
            pack(&[values[0], values[1], 0.0], &mut bytes);
            unpack(&bytes, &mut back, 7.25);
            assert_eq!(back.map(f64::to_bits), [values[0], 7.25].map(f64::to_bits));
        }
    }
}
