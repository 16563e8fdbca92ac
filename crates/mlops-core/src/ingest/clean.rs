//! What a cell means and how we spell it: numbers, texts, labels, missing values.
//!
//! Spelling a canonical value again changes nothing, so our own files pass through unchanged.
//! Not for splitting records: see [`super::record`].

use std::borrow::Cow;
use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::schema::Schema;

/// How often each kind of formatting was changed, by cell (by file for the byte-order mark, by
/// row for CRLF). One cell may count under several kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FormatChanges {
    /// Blanks around a value removed.
    pub trimmed: u64,
    /// Quotes removed that the value does not need.
    pub unquoted: u64,
    /// `007` to `7` in a numeric column.
    pub leading_zero: u64,
    /// `1,234` to `1234`.
    pub thousands_separator: u64,
    /// `1.0` to `1`.
    pub decimal_to_integer: u64,
    /// Another spelling of a number: `+5`, `1e3`, `.5`, `2.50`, `-0`.
    pub number_format: u64,
    /// `YES` to `yes`, `1.0` to `1` in the label column.
    pub label_case: u64,
    /// A byte-order mark at the start of the file.
    pub byte_order_mark: u64,
    /// Rows that ended with CR LF.
    pub crlf: u64,
}

impl FormatChanges {
    /// The kinds with their counts, in a fixed order.
    pub fn by_kind(&self) -> [(&'static str, u64); 9] {
        [
            ("trimmed", self.trimmed),
            ("unquoted", self.unquoted),
            ("leading_zero", self.leading_zero),
            ("thousands_separator", self.thousands_separator),
            ("decimal_to_integer", self.decimal_to_integer),
            ("number_format", self.number_format),
            ("label_case", self.label_case),
            ("byte_order_mark", self.byte_order_mark),
            ("crlf", self.crlf),
        ]
    }

    /// Adds another file's or chunk's counts.
    pub fn add(&mut self, other: &Self) {
        self.trimmed += other.trimmed;
        self.unquoted += other.unquoted;
        self.leading_zero += other.leading_zero;
        self.thousands_separator += other.thousands_separator;
        self.decimal_to_integer += other.decimal_to_integer;
        self.number_format += other.number_format;
        self.label_case += other.label_case;
        self.byte_order_mark += other.byte_order_mark;
        self.crlf += other.crlf;
    }
}

/// A field's text without quotes and surrounding blanks.
///
/// A field that opens with blanks before its quote is not quoted by CSV's rules; people mean it
/// so, and it is unquoted here.
pub(crate) fn bare<'a>(
    text: &'a str,
    quoted: bool,
    escaped: bool,
    changes: &mut FormatChanges,
) -> Cow<'a, str> {
    let trimmed = text.trim();
    let mut inner = trimmed;
    let mut unquoted = quoted;
    if !quoted && trimmed.len() >= 2 && trimmed.starts_with('"') && trimmed.ends_with('"') {
        inner = trimmed[1..trimmed.len() - 1].trim();
        unquoted = true;
    }
    if trimmed.len() < text.len() {
        changes.trimmed += 1;
    }
    let value = if (escaped || (unquoted && !quoted)) && inner.contains("\"\"") {
        Cow::Owned(inner.replace("\"\"", "\""))
    } else {
        Cow::Borrowed(inner)
    };
    if unquoted && !needs_quotes(&value) {
        changes.unquoted += 1;
    }
    value
}

/// Whether a text cell must stand in quotes.
pub(crate) fn needs_quotes(text: &str) -> bool {
    text.bytes().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r'))
}

/// Writes a text cell, quoted only where CSV needs it.
pub(crate) fn push_text(text: &str, out: &mut Vec<u8>) {
    if needs_quotes(text) {
        out.push(b'"');
        for byte in text.bytes() {
            if byte == b'"' {
                out.push(b'"');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// A number as we keep it: whole numbers of 64 bits exactly, all others as the nearest double.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    /// Reads a spelling of a finite number: decimal or exponent, a sign, `1,234.5`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = without_thousands(text)?;
        let plain =
            digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        if !plain {
            return None;
        }
        if let Ok(integer) = digits.parse() {
            return Some(Self::Integer(integer));
        }
        let float: f64 = digits.parse().ok().filter(|v: &f64| v.is_finite())?;
        // Within ±2^53 a whole double is that integer and no other.
        if float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0 {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within ±2^53")]
            return Some(Self::Integer(float as i64));
        }
        Some(Self::Float(float))
    }

    /// Writes the canonical spelling.
    pub(crate) fn push(self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(v) => out.extend_from_slice(itoa::Buffer::new().format(v).as_bytes()),
            // The shortest text that reads back as the same double. Writing to a vector cannot fail.
            Self::Float(v) => drop(write!(out, "{v:?}")),
        }
    }
}

/// `1,234,567.5` to `1234567.5`; `None` when commas stand elsewhere.
fn without_thousands(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(',') {
        return Some(Cow::Borrowed(text));
    }
    let unsigned = text.trim_start_matches(['+', '-']);
    let whole = unsigned.split('.').next().unwrap_or(unsigned);
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or("");
    let digits = |g: &str| g.bytes().all(|b| b.is_ascii_digit());
    let grouped = (1..=3).contains(&first.len())
        && digits(first)
        && groups.all(|g| g.len() == 3 && digits(g))
        && !unsigned[whole.len()..].contains(',');
    grouped.then(|| Cow::Owned(text.replace(',', "")))
}

/// Counts how the spelling `text` differs from the canonical one.
pub(crate) fn count_number_changes(text: &str, canonical: &[u8], changes: &mut FormatChanges) {
    if text.as_bytes() == canonical {
        return;
    }
    let mut explained = false;
    let mut rest = Cow::Borrowed(text);
    if rest.contains(',') {
        changes.thousands_separator += 1;
        rest = Cow::Owned(rest.replace(',', ""));
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

/// The two labels, of which the negative one may still be unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(crate) positive: String,
    pub(crate) negative: Option<String>,
}

impl Labels {
    /// Those of `schema`.
    pub(crate) fn of(schema: &Schema) -> Self {
        Self {
            positive: schema.positive_label().to_owned(),
            negative: schema.negative_label().map(str::to_owned),
        }
    }

    /// Which label `text` spells; `None` for a third one. The first other value that is seen
    /// becomes the negative label when none is known.
    pub(crate) fn resolve(&mut self, text: &str, changes: &mut FormatChanges) -> Option<bool> {
        let negative = self.negative.get_or_insert_with(|| {
            let positive = same_label(text, &self.positive);
            if positive { String::new() } else { text.to_owned() }
        });
        let found = if text == self.positive {
            Some(true)
        } else if text == negative && !negative.is_empty() {
            Some(false)
        } else if same_label(text, &self.positive) {
            changes.label_case += 1;
            Some(true)
        } else if !negative.is_empty() && same_label(text, negative) {
            changes.label_case += 1;
            Some(false)
        } else {
            None
        };
        if negative.is_empty() {
            self.negative = None;
        }
        found
    }
}

/// Whether two spellings mean the same label: letter case and number format do not matter.
fn same_label(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
        || a.to_lowercase() == b.to_lowercase()
        || Number::parse(a).is_some_and(|n| Number::parse(b) == Some(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<String> {
        let mut out = Vec::new();
        Number::parse(text)?.push(&mut out);
        Some(String::from_utf8(out).unwrap())
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
            "+-5", "1.2.3", "1.5,000", "++5",
        ] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }

    #[test]
    fn number_changes_are_counted_by_kind() {
        for (text, kinds) in [
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
            let mut changes = FormatChanges::default();
            count_number_changes(text, canonical(text).unwrap().as_bytes(), &mut changes);
            let found: Vec<_> =
                changes.by_kind().iter().filter(|(_, n)| *n > 0).map(|(k, _)| *k).collect();
            assert_eq!(found.join(" "), kinds, "{text}");
        }
    }

    #[test]
    fn texts_are_trimmed_and_unquoted_only() {
        let mut changes = FormatChanges::default();
        for (text, quoted, escaped, expected) in [
            ("007", false, false, "007"),
            (" NA ", false, false, "NA"),
            ("a b", true, false, "a b"),
            ("say \"\"hi\"\"", true, true, "say \"hi\""),
            (" \"x\" ", false, false, "x"),
            ("5\" pipe", false, false, "5\" pipe"),
            ("\u{a0}x", false, false, "x"),
        ] {
            assert_eq!(bare(text, quoted, escaped, &mut changes), expected, "{text}");
        }
        let mut out = Vec::new();
        push_text("Mira, \"the\" Ltd", &mut out);
        assert_eq!(out, b"\"Mira, \"\"the\"\" Ltd\"");
    }

    #[test]
    fn the_first_other_label_becomes_the_negative_one() {
        let mut changes = FormatChanges::default();
        let mut labels = Labels { positive: "yes".into(), negative: None };
        assert_eq!(labels.resolve("YES", &mut changes), Some(true));
        assert_eq!(labels.negative, None);
        assert_eq!(labels.resolve("no", &mut changes), Some(false));
        assert_eq!(labels.resolve("No", &mut changes), Some(false));
        assert_eq!(labels.resolve("maybe", &mut changes), None);
        assert_eq!(changes.label_case, 2);
        let mut labels = Labels { positive: "1".into(), negative: Some("0".into()) };
        assert_eq!(labels.resolve("1.0", &mut changes), Some(true));
        assert_eq!(labels.resolve("00", &mut changes), Some(false));
        assert_eq!(labels.resolve("2", &mut changes), None);
    }
}
