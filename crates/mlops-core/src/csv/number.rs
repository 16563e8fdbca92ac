//! Numbers in cells: which spellings are read and which one is written.
//!
//! Integers of 64 bits, signed or not, are kept exactly in any spelling; all other numbers become
//! the nearest double. Not for cells that need no cleaning: see [`super::spelling`].

use std::borrow::Cow;
use std::io::Write as _;

use crate::config::NumberFormat;
use crate::text;

use super::clean::FormatChanges;
use super::quarantine::Sign;

/// 2^53: from here on, doubles cannot represent every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// The integers that are kept exactly: those of `i64` and `u64`.
const WHOLE: std::ops::RangeInclusive<i128> = -(1 << 63)..=(1 << 64) - 1;
/// The number of decimal digits of the largest one.
const WHOLE_DIGITS: i64 = 20;

/// A number as it is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// An integer of 64 bits.
    Integer(i128),
    /// Any other finite number.
    Float(f64),
}

impl Number {
    /// Reads a finite number in the default format: decimal or exponent notation, an optional sign,
    /// `1,234.5`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text, NumberFormat::default())
    }

    /// Reads a finite number spelt as `format` says.
    pub fn read(text: &str, format: NumberFormat) -> Option<Self> {
        Self::plain(&plain(text, format)?)
    }

    /// Reads a number with a decimal point and without thousands separators.
    fn plain(digits: &str) -> Option<Self> {
        if !digits.bytes().all(is_plain) {
            return None;
        }
        if let Ok(integer) = digits.parse::<i64>() {
            return Some(Self::Integer(integer.into()));
        }
        let float: f64 = digits.parse().ok().filter(|v: &f64| v.is_finite())?;
        if float.fract() != 0.0 {
            return Some(Self::Float(float));
        }
        // Several integers may round to a double of this size, so that the spelling decides.
        if float.abs() >= EXACT
            && let Some(exact) = exact(digits)
        {
            return Some(Self::Integer(exact));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole; beyond the range it saturates")]
        let whole = float as i128;
        Some(if WHOLE.contains(&whole) { Self::Integer(whole) } else { Self::Float(float) })
    }

    /// The nearest double.
    pub fn value(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// Writes the canonical spelling.
    pub fn push(self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(v) => out.extend_from_slice(itoa::Buffer::new().format(v).as_bytes()),
            // The shortest text that reads back as the same double. Writing to a vector cannot
            // fail.
            Self::Float(v) => drop(write!(out, "{v:?}")),
        }
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')
}

/// The 64-bit integer that `digits`, a spelling of a number, represents exactly.
fn exact(digits: &str) -> Option<i128> {
    let unsigned = digits.trim_start_matches(['+', '-']);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    let significant = all.trim_end_matches('0');
    // The number of zeros after the significant digits.
    let zeros = i64::try_from(all.len() - significant.len()).ok()?;
    let zeros = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(zeros)?;
    let significant = significant.trim_start_matches('0');
    let length = i64::try_from(significant.len()).ok()?.checked_add(zeros)?;
    if zeros < 0 || length > WHOLE_DIGITS {
        return None;
    }
    let size = significant.parse::<i128>().ok()? * 10_i128.pow(u32::try_from(zeros).ok()?);
    let value = if digits.starts_with('-') { -size } else { size };
    WHOLE.contains(&value).then_some(value)
}

/// `text` without thousands separators and with a decimal point; `None` if separators are at
/// positions that `format` does not allow. A leading zero is never followed by a thousands
/// separator.
fn plain(text: &str, format: NumberFormat) -> Option<Cow<'_, str>> {
    let is_foreign = |b: u8| !is_plain(b) || (b == b'.' && format.decimal != '.');
    if !text.bytes().any(is_foreign) {
        return Some(Cow::Borrowed(text));
    }
    let unsigned = text.trim_start_matches(['+', '-']);
    let end = unsigned.find([format.decimal, 'e', 'E']).unwrap_or(unsigned.len());
    let (whole, rest) = unsigned.split_at(end);
    let mut groups = whole.split(|c| format.is_thousands(c));
    let first = groups.next().unwrap_or("");
    let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    let mut plain = [&text[..text.len() - unsigned.len()], first].concat();
    if first.len() < whole.len() {
        let starts = (1..=3).contains(&first.len()) && !first.starts_with('0');
        if !starts || rest.contains(['e', 'E']) {
            return None;
        }
        for group in groups {
            if group.len() != 3 || !digits(group) {
                return None;
            }
            plain.push_str(group);
        }
    }
    if !digits(first) {
        return None;
    }
    match rest.strip_prefix(format.decimal) {
        Some(fraction) if fraction.contains('.') => return None,
        Some(fraction) => {
            plain.push('.');
            plain.push_str(fraction);
        }
        None => plain.push_str(rest),
    }
    Some(Cow::Owned(plain))
}

/// Whether `text` is not a number in `format` but would be one with comma and point exchanged:
/// `0,125`, `12,5` or `1.234,56` where a point is configured.
pub(crate) fn shows_other_decimal(text: &str, format: NumberFormat) -> bool {
    let other = if format.decimal == ',' { '.' } else { ',' };
    let digit_follows =
        text.rsplit_once(other).is_some_and(|(_, f)| f.starts_with(|c: char| c.is_ascii_digit()));
    if !digit_follows || Number::read(text, format).is_some() {
        return false;
    }
    [format.decimal, ' ', '\''].into_iter().any(|thousands| {
        let mirrored = NumberFormat { decimal: other, thousands: Some(thousands) };
        Number::read(text, mirrored).is_some()
    })
}

/// Whether `text` is not a number in `format` because its decimal separator stands between
/// thousands: `1.234.567` where a point is configured. In the same file `1.500` would be misread.
fn shows_decimal_between_thousands(text: &str, format: NumberFormat) -> bool {
    let decimal = if format.decimal == ',' { '.' } else { ',' };
    let mirrored = NumberFormat { decimal, thousands: Some(format.decimal) };
    text.matches(format.decimal).count() > 1
        && Number::read(text, format).is_none()
        && Number::read(text, mirrored).is_some()
}

/// Writes the canonical spelling of `value`, or says why it is not a number.
pub(crate) fn push_number(
    value: &str,
    format: NumberFormat,
    out: &mut Vec<u8>,
    changes: &mut FormatChanges,
) -> Result<(), (Sign, String)> {
    let Some(number) = Number::read(value, format) else {
        return Err(no_number(value, format));
    };
    let start = out.len();
    number.push(out);
    count_changes(value, format, &out[start..], changes);
    Ok(())
}

/// The reason why `value` is not read as a number.
pub fn no_number(value: &str, format: NumberFormat) -> (Sign, String) {
    let shown = text::visible(value);
    let (own, name, other) =
        if format.decimal == ',' { ("commas", "point", '.') } else { ("points", "comma", ',') };
    if shows_decimal_between_thousands(value, format) {
        let message = format!(
            "\"{shown}\" has {own} between thousands: if the file's numbers use them, set \
             \"ingestion.decimal\" to \"{other}\" and \"ingestion.thousands\" to \"{}\"",
            format.decimal
        );
        return (Sign::OtherDecimal, message);
    }
    if shows_other_decimal(value, format) {
        let message = format!(
            "\"{shown}\" has a decimal {name}: if the file's numbers use it, set \"ingestion.decimal\" \
             to \"{other}\" (and \"ingestion.thousands\" to the thousands separator)"
        );
        return (Sign::OtherDecimal, message);
    }
    (Sign::Nothing, format!("\"{shown}\" is not a number"))
}

/// Those spellings of a missing value that are numbers.
pub(crate) fn missing_numbers(spellings: &[String], numbers: NumberFormat) -> Vec<Number> {
    spellings.iter().filter_map(|text| Number::read(text, numbers)).collect()
}

/// Counts the differences between the spelling `text` and the canonical one.
pub(crate) fn count_changes(
    text: &str,
    format: NumberFormat,
    canonical: &[u8],
    changes: &mut FormatChanges,
) {
    if text.as_bytes() == canonical {
        return;
    }
    let mut explained = false;
    let mut rest = plain(text, format).unwrap_or(Cow::Borrowed(text));
    if text.contains(|c| format.is_thousands(c)) {
        changes.thousands_separator += 1;
        explained = true;
    }
    if format.decimal != '.' && text.contains(format.decimal) {
        changes.decimal_comma += 1;
        explained = true;
    }
    if let Some((whole, fraction)) = rest.clone().split_once('.')
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b == b'0')
        && !whole.is_empty()
    {
        changes.decimal_to_integer += 1;
        rest = Cow::Owned(whole.to_owned());
        explained = true;
    }
    let (sign, digits) = rest.strip_prefix('-').map_or(("", rest.as_ref()), |d| ("-", d));
    let stripped = digits.trim_start_matches('0');
    if stripped.len() + 1 < digits.len()
        || (stripped.len() < digits.len() && starts_digit(stripped))
    {
        changes.leading_zero += 1;
        let stripped = if starts_digit(stripped) {
            stripped
        } else {
            &digits[digits.len() - stripped.len() - 1..]
        };
        rest = Cow::Owned(format!("{sign}{stripped}"));
        explained = true;
    }
    if !explained || rest.as_bytes() != canonical {
        changes.number_format += 1;
    }
}

fn starts_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: NumberFormat = NumberFormat { decimal: ',', thousands: Some('.') };

    fn spelt(number: Number) -> String {
        let mut out = Vec::new();
        number.push(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn canonical(text: &str) -> Option<String> {
        Number::parse(text).map(spelt)
    }

    #[test]
    fn numbers_have_one_spelling() {
        for (text, expected) in [
            ("7", "7"),
            ("007", "7"),
            ("-0", "0"),
            ("+5", "5"),
            ("1,234", "1234"),
            ("-1,234,567.50", "-1234567.5"),
            ("1.0", "1"),
            ("1e3", "1000"),
            (".5", "0.5"),
            ("2.50", "2.5"),
            ("0.1", "0.1"),
            ("1e-7", "1e-7"),
            ("9223372036854775807", "9223372036854775807"),
            ("1e300", "1e300"),
            ("-0.0", "0"),
            ("12.", "12"),
        ] {
            let spelt = canonical(text);
            assert_eq!(spelt.as_deref(), Some(expected), "{text}");
            assert_eq!(canonical(expected).as_deref(), Some(expected), "again {text}");
        }
        for bad in [
            "", "-", "1,23", "1,234,", "12,34", "inf", "nan", "1e999", "0x10", "1_000", "5%",
            "+-5", "1.2.3", "1.5,000", "++5", "0,125", "-0,125", "00,123", "012,345", "1,234e3",
            "1,,234", ",123", "1 234", "1'234", "e5", "1e", "１２",
        ] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }

    #[test]
    fn whole_numbers_of_64_bits_are_one_value_however_spelt() {
        for (whole, others) in [
            ("9007199254740993", &["9007199254740993.0", "9.007199254740993e15"][..]),
            (
                "9007199254740992",
                &["9007199254740992.", "9007199254740992e0", "0.9007199254740992E16"],
            ),
            ("9223372036854775807", &["9223372036854775807.00", "9.223372036854775807e+18"]),
            ("-9223372036854775808", &["-9223372036854775808.0", "-9.223372036854775808E18"]),
            ("9223372036854775808", &["9,223,372,036,854,775,808", "9223372036854775808.0"]),
            ("18446744073709551615", &["18446744073709551615.0", "1844674407370955161500000e-5"]),
            ("10000000000000000", &["1e16", "10000000000000000000000000000000000000000000e-27"]),
            ("10000000000000000000", &["1e19", "00010000000000000000000", "+1.000e19"]),
        ] {
            assert_eq!(canonical(whole).as_deref(), Some(whole));
            for other in others {
                assert_eq!(canonical(other).as_deref(), Some(whole), "{other}");
            }
        }
        // Beyond 64 bits, and between whole numbers, the nearest double stands for a number.
        for (text, expected) in [
            ("18446744073709551616", "1.8446744073709552e19"),
            ("1e20", "1e20"),
            ("9007199254740993.5", "9007199254740994"),
            ("-9223372036854775809", "-9223372036854775808"),
            ("123456789012345678901234567890", "1.2345678901234568e29"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
            assert_eq!(canonical(expected).as_deref(), Some(expected), "again {text}");
        }
        assert_eq!(canonical("1e99999999999999999999"), None);
        assert_eq!(canonical("0e99999999999999999999").as_deref(), Some("0"));
    }

    #[test]
    fn the_canonical_spelling_of_any_double_stays() {
        let mut state = 7_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = f64::from_bits(state);
            for value in [value, (state >> 11) as f64, state as f64, -(state as f64 / 2.0)] {
                if !value.is_finite() {
                    continue;
                }
                let once = canonical(&format!("{value:?}")).unwrap();
                assert_eq!(once.parse::<f64>().unwrap().to_bits() << 1, value.to_bits() << 1);
                assert_eq!(canonical(&once), Some(once));
            }
        }
    }

    #[test]
    fn separators_are_those_that_are_configured() {
        let read = |text, decimal, thousands| {
            Number::read(text, NumberFormat { decimal, thousands }).map(spelt)
        };
        for (text, decimal, thousands, expected) in [
            ("0,125", ',', Some('.'), Some("0.125")),
            ("-1.234.567,5", ',', Some('.'), Some("-1234567.5")),
            ("1.234", ',', Some('.'), Some("1234")),
            ("0.125", ',', Some('.'), None),
            ("12.5", ',', None, None),
            ("1,5e3", ',', None, Some("1500")),
            (",5", ',', None, Some("0.5")),
            ("1 234,5", ',', Some(' '), Some("1234.5")),
            ("1\u{202f}234\u{a0}567", '.', Some(' '), Some("1234567")),
            ("1'234’567.25", '.', Some('\''), Some("1234567.25")),
            ("1,234", '.', None, None),
            ("1,234", '.', Some(' '), None),
            ("1,234", ',', Some('.'), Some("1.234")),
            ("7", ',', Some('.'), Some("7")),
        ] {
            assert_eq!(read(text, decimal, thousands).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_other_decimal_separator_is_recognised() {
        let point = NumberFormat::default();
        for text in ["0,125", "-0,125", "00,123", "12,5", "1.234,56", "1 234,5", "1,5e3", ",5"] {
            assert!(shows_other_decimal(text, point), "{text}");
        }
        for text in ["1,234", "x", "1,23,456", "1,234,", "12,", "a,5", "1.2.3", "0,125,0", ""] {
            assert!(!shows_other_decimal(text, point), "{text}");
        }
        assert!(shows_other_decimal("0.125", COMMA) && shows_other_decimal("12.5", COMMA));
        assert!(!shows_other_decimal("1.234", COMMA) && !shows_other_decimal("0,5", COMMA));
    }

    #[test]
    fn a_decimal_separator_between_thousands_says_that_it_is_none() {
        let point = NumberFormat::default();
        let apostrophe = NumberFormat { thousands: Some('\''), ..point };
        for (text, format, other) in [
            ("1.234.567", point, ","),
            ("-12.345.678", point, ","),
            ("1.234.567,50", point, ","),
            ("1.234.567", apostrophe, ","),
            ("1,234,567", COMMA, "."),
            ("1,234,567.5", NumberFormat { thousands: None, ..COMMA }, "."),
        ] {
            let (sign, words) = no_number(text, format);
            assert!(sign == Sign::OtherDecimal, "{text}: {words}");
            let advice = format!("set \"ingestion.decimal\" to \"{other}\"");
            assert!(words.contains("between thousands") && words.contains(&advice), "{words}");
        }
        for text in ["1.2.3", "1.23.456", "0.123.456", "1.234.567.8", "2024.01.31", "10.0.0.1"] {
            assert!(no_number(text, point).0 == Sign::Nothing, "{text}");
        }
    }

    #[test]
    fn number_changes_are_counted_by_kind() {
        let kinds = |text: &str, format| {
            let mut changes = FormatChanges::default();
            let canonical = spelt(Number::read(text, format).unwrap());
            count_changes(text, format, canonical.as_bytes(), &mut changes);
            let kinds = changes.by_kind();
            kinds.iter().filter(|(_, n)| *n > 0).map(|(k, _)| *k).collect::<Vec<_>>().join(" ")
        };
        for (text, expected) in [
            ("7", ""),
            ("007", "leading_zero"),
            ("1,234", "thousands_separator"),
            ("1.0", "decimal_to_integer"),
            ("01.0", "leading_zero decimal_to_integer"),
            ("+5", "number_format"),
            ("2.50", "number_format"),
            ("00", "leading_zero"),
            ("0.5", ""),
            ("-007", "leading_zero"),
            ("00.5", "leading_zero"),
            ("-0", "number_format"),
            ("0.0", "decimal_to_integer"),
        ] {
            assert_eq!(kinds(text, NumberFormat::default()), expected, "{text}");
        }
        assert_eq!(kinds("1.234,5", COMMA), "thousands_separator decimal_comma");
        assert_eq!(kinds("0,125", COMMA), "decimal_comma");
        assert_eq!(kinds("7", COMMA), "");
    }
}
