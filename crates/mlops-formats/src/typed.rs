//! Values of typed formats as cells: integers and decimals exactly, doubles as short as possible, dates as
//! ISO 8601 has them.
//!
//! Not for texts: see [`crate::spell`].

use std::io::Write;

use chrono::{DateTime, NaiveDate, NaiveTime};
use mlops_core::csv::number::Number;

use crate::spell;

/// 2^53: from here on, doubles cannot represent every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The unit in which a time is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Milli,
    Micro,
    Nano,
}

impl Unit {
    /// So many of it make a second.
    pub(crate) fn per_second(self) -> i64 {
        match self {
            Self::Milli => 1_000,
            Self::Micro => 1_000_000,
            Self::Nano => 1_000_000_000,
        }
    }

    /// Whole seconds, and the nanoseconds beyond them.
    fn split(self, value: i64) -> (i64, u32) {
        let per = self.per_second();
        let nanos = value.rem_euclid(per) * (1_000_000_000 / per);
        (value.div_euclid(per), u32::try_from(nanos).unwrap_or(0))
    }
}

/// What an integer stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Integer,
    /// Digits behind the point.
    Decimal(i32),
    /// Days since 1970.
    Date,
    /// A time since 1970, in UTC or wherever the clock was.
    Timestamp(Unit, bool),
    /// A time since midnight.
    Time(Unit),
}

/// How numbers are spelt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speller {
    /// The decimal separator.
    pub(crate) decimal: char,
}

impl Speller {
    /// Appends an integer.
    pub(crate) fn integer(self, value: i128, meaning: Meaning, out: &mut Vec<u8>) {
        let small = i64::try_from(value);
        let told = match (meaning, small) {
            (Meaning::Integer, Ok(value)) => {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
                true
            }
            (Meaning::Decimal(scale), _) => {
                self.decimal(value, scale, out);
                true
            }
            (Meaning::Date, Ok(days)) => date(days, out),
            (Meaning::Timestamp(unit, utc), Ok(value)) => timestamp(value, unit, utc, out),
            (Meaning::Time(unit), Ok(value)) => time(value, unit, out),
            (_, Err(_)) => false,
        };
        if !told {
            // What is beyond all calendars is its number.
            out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        }
    }

    fn decimal(self, value: i128, scale: i32, out: &mut Vec<u8>) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(value);
        if scale <= 0 || scale > 1000 {
            out.extend_from_slice(digits.as_bytes());
            if value != 0 && (-1000..0).contains(&scale) {
                out.resize(out.len() + scale.unsigned_abs() as usize, b'0');
            }
            return;
        }
        let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
        let scale = usize::try_from(scale).unwrap_or(0);
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        spell::push_number(format!("{sign}{whole}.{fraction}").as_bytes(), self.decimal, out);
    }

    /// Appends a double; what is no number is missing.
    pub(crate) fn double(self, value: f64, out: &mut Vec<u8>) {
        if value.is_nan() {
            return;
        }
        if value.is_infinite() {
            out.extend_from_slice(if value > 0.0 { b"inf" } else { b"-inf" });
            return;
        }
        // Nearly all numbers of nearly all columns.
        if value.fract() == 0.0 && value.abs() < EXACT && value.to_bits() != (-0.0_f64).to_bits() {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
            let whole = value as i64;
            out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
            return;
        }
        let mut buffer = zmij::Buffer::new();
        self.shortest(buffer.format_finite(value), out);
    }

    /// Appends a number of single precision.
    pub(crate) fn single(self, value: f32, out: &mut Vec<u8>) {
        if !value.is_finite() {
            return self.double(value.into(), out);
        }
        let mut buffer = zmij::Buffer::new();
        self.shortest(buffer.format_finite(value), out);
    }

    /// Whole numbers are integers, as they are in a data set.
    fn shortest(self, text: &str, out: &mut Vec<u8>) {
        let start = out.len();
        match text.strip_suffix(".0") {
            Some(whole) => out.extend_from_slice(whole.as_bytes()),
            // Only very large and very small numbers have another spelling in a data set.
            None if is_plain(text) => out.extend_from_slice(text.as_bytes()),
            None => match Number::parse(text) {
                Some(number) => number.push(out),
                None => out.extend_from_slice(text.as_bytes()),
            },
        }
        if self.decimal != '.' && out[start..].contains(&b'.') {
            let number = out.split_off(start);
            spell::push_number(&number, self.decimal, out);
        }
    }
}

/// Stands for a decimal that no integer here can hold; it is no number, so that its row is rejected.
pub(crate) const TOO_MANY_DIGITS: &[u8] = b"a decimal of more than 38 digits";

/// Appends the 16 bytes of a UUID in its usual form.
pub(crate) fn push_uuid(value: &[u8], out: &mut Vec<u8>) {
    for (i, byte) in value.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        let digit = |d: u8| b"0123456789abcdef"[usize::from(d & 15)];
        out.extend([digit(byte >> 4), digit(*byte)]);
    }
}

/// Whether these digits are those of a number in the middle range, without exponent.
fn is_plain(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    !unsigned.starts_with("0.000") && !unsigned.bytes().any(|b| b == b'e')
}

fn date(days: i64, out: &mut Vec<u8>) -> bool {
    let days = i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days);
    days.is_some_and(|date| write!(out, "{date}").is_ok())
}

fn timestamp(value: i64, unit: Unit, utc: bool, out: &mut Vec<u8>) -> bool {
    let (seconds, nanos) = unit.split(value);
    let Some(time) = DateTime::from_timestamp(seconds, nanos) else { return false };
    let zone = if utc { "Z" } else { "" };
    write!(out, "{}{zone}", time.naive_utc().format("%Y-%m-%dT%H:%M:%S%.f")).is_ok()
}

fn time(value: i64, unit: Unit, out: &mut Vec<u8>) -> bool {
    let (seconds, nanos) = unit.split(value);
    let seconds = u32::try_from(seconds).ok();
    let time = seconds.and_then(|s| NaiveTime::from_num_seconds_from_midnight_opt(s, nanos));
    time.is_some_and(|time| write!(out, "{}", time.format("%H:%M:%S%.f")).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spelt_exactly() {
        let point = Speller { decimal: '.' };
        let cell = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            String::from_utf8(out).unwrap()
        };
        let integer = |value, meaning| cell(&|out| point.integer(value, meaning, out));
        assert_eq!(integer(i64::MAX.into(), Meaning::Integer), "9223372036854775807");
        assert_eq!(integer(u64::MAX.into(), Meaning::Integer), "18446744073709551615");
        assert_eq!(integer(-5, Meaning::Decimal(3)), "-0.005");
        assert_eq!(integer(123_450, Meaning::Decimal(2)), "1234.50");
        assert_eq!(integer(7, Meaning::Decimal(-2)), "700");
        assert_eq!(integer(19_813, Meaning::Date), "2024-03-31");
        assert_eq!(integer(-1, Meaning::Date), "1969-12-31");
        let stamp = Meaning::Timestamp(Unit::Milli, true);
        assert_eq!(integer(1_711_843_200_500, stamp), "2024-03-31T00:00:00.500Z");
        let stamp = Meaning::Timestamp(Unit::Nano, false);
        assert_eq!(integer(-1, stamp), "1969-12-31T23:59:59.999999999");
        assert_eq!(integer(3_723_000_000, Meaning::Time(Unit::Micro)), "01:02:03");
        assert_eq!(integer(i64::MAX.into(), Meaning::Date), "9223372036854775807");
        let double = |value| cell(&|out| point.double(value, out));
        assert_eq!(double(0.1), "0.1");
        assert_eq!(double(5.0), "5");
        assert_eq!(double(-1e300).parse::<f64>(), Ok(-1e300));
        for value in [
            0.000_99,
            0.001,
            0.000_1,
            1e-5,
            123_456.75,
            9e15 + 1.0,
            1e16,
            0.1 + 0.2,
            -2.5,
            1.5e15,
            5e-324,
        ] {
            for value in [value, -value] {
                let mut expected = Vec::new();
                Number::parse(&format!("{value:?}")).unwrap().push(&mut expected);
                assert_eq!(double(value), String::from_utf8(expected).unwrap());
            }
        }
        assert_eq!(double(f64::NAN), "");
        assert_eq!(cell(&|out| point.single(0.1, out)), "0.1");
        let comma = Speller { decimal: ',' };
        assert_eq!(cell(&|out| comma.double(1.5, out)), "\"1,5\"");
        assert_eq!(cell(&|out| comma.integer(15, Meaning::Decimal(1), out)), "\"1,5\"");
        assert_eq!(cell(&|out| comma.double(2.0, out)), "2");
    }
}
