//! The meaning and canonical spelling of texts and labels, with a count of what was changed.
//!
//! Cleaning a canonical value changes nothing, so that our own files pass through unchanged.
//! Not for numbers: see [`super::number`]; not for splitting records: see [`super::record`].

use crate::table::quote::needs_quotes;
use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::table::schema::Schema;
use crate::text;

pub use super::number::Number;

/// How often each kind of formatting was changed, by cell (by file for byte-order marks, by row for
/// line ends). One cell may count under several kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FormatChanges {
    /// Whitespace around a value removed.
    pub trimmed: u64,
    /// Quotes removed that the value does not need.
    pub unquoted: u64,
    /// `007` to `7` in a numeric column.
    pub leading_zero: u64,
    /// `1,234` to `1234`.
    pub thousands_separator: u64,
    /// `0,125` to `0.125`, if the configured decimal separator is a comma.
    pub decimal_comma: u64,
    /// `1.0` to `1`.
    pub decimal_to_integer: u64,
    /// Another spelling of a number: `+5`, `1e3`, `.5`, `2.50`, `-0`.
    pub number_format: u64,
    /// `YES` to `yes`, `1.0` to `1` in the label column.
    pub label_case: u64,
    /// Zero-width characters removed at the ends of a cell or from a column name: byte-order marks
    /// of concatenated files, zero-width spaces.
    pub invisible: u64,
    /// Byte-order marks at the start of the file.
    pub byte_order_mark: u64,
    /// Rows that ended with CR LF.
    pub crlf: u64,
    /// Rows that ended with CR alone.
    pub carriage_return: u64,
}

impl FormatChanges {
    /// The kinds with their counts, in a fixed order.
    pub fn by_kind(&self) -> [(&'static str, u64); 12] {
        [
            ("trimmed", self.trimmed),
            ("unquoted", self.unquoted),
            ("leading_zero", self.leading_zero),
            ("thousands_separator", self.thousands_separator),
            ("decimal_comma", self.decimal_comma),
            ("decimal_to_integer", self.decimal_to_integer),
            ("number_format", self.number_format),
            ("label_case", self.label_case),
            ("invisible", self.invisible),
            ("byte_order_mark", self.byte_order_mark),
            ("crlf", self.crlf),
            ("carriage_return", self.carriage_return),
        ]
    }

    /// Adds the counts of another file or chunk.
    pub fn add(&mut self, other: &Self) {
        self.trimmed += other.trimmed;
        self.unquoted += other.unquoted;
        self.leading_zero += other.leading_zero;
        self.thousands_separator += other.thousands_separator;
        self.decimal_comma += other.decimal_comma;
        self.decimal_to_integer += other.decimal_to_integer;
        self.number_format += other.number_format;
        self.label_case += other.label_case;
        self.invisible += other.invisible;
        self.byte_order_mark += other.byte_order_mark;
        self.crlf += other.crlf;
        self.carriage_return += other.carriage_return;
    }
}

/// Whether `c` has no width and is therefore invisible.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

/// `text` without its zero-width characters.
pub(crate) fn visible_only(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(is_invisible, ""))
}

/// `text` without whitespace and zero-width characters at its ends.
pub(crate) fn trim<'a>(text: &'a str, changes: &mut FormatChanges) -> &'a str {
    let blank_free = text.trim();
    let ascii = |b: Option<&u8>| b.is_none_or(u8::is_ascii);
    let bytes = blank_free.as_bytes();
    if ascii(bytes.first()) && ascii(bytes.last()) {
        changes.trimmed += u64::from(blank_free.len() < text.len());
        return blank_free;
    }
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    let start = text.find(trimmed).unwrap_or(0);
    let mut ends = text[..start].chars().chain(text[start + trimmed.len()..].chars());
    let invisible = ends.clone().any(is_invisible);
    changes.invisible += u64::from(invisible);
    changes.trimmed += u64::from(ends.any(char::is_whitespace));
    trimmed
}

/// A field's text without quotes, surrounding whitespace and zero-width characters.
///
/// Whitespace before an opening quote makes the quote literal by the rules of CSV; since people
/// mean it as a quote, it is removed here.
pub fn bare<'a>(
    text: &'a str,
    quoted: bool,
    escaped: bool,
    changes: &mut FormatChanges,
) -> Cow<'a, str> {
    let trimmed = trim(text, changes);
    let mut inner = trimmed;
    let mut unquoted = quoted;
    if !quoted && trimmed.len() >= 2 && trimmed.starts_with('"') && trimmed.ends_with('"') {
        let mut inside = FormatChanges::default();
        inner = trim(&trimmed[1..trimmed.len() - 1], &mut inside);
        changes.invisible += inside.invisible;
        unquoted = true;
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

/// The two labels; the negative one may still be unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    pub(crate) positive: String,
    pub(crate) negative: Option<String>,
    /// While the negative label is being learned, its best spelling so far. Unlike the first one
    /// seen, it does not depend on the order of rows.
    pub(crate) better: Option<String>,
    /// Whether the negative label is still being learned.
    pub(crate) learning: bool,
    /// How often each spelling was seen; set only when labels are counted instead of checked.
    pub(crate) census: Option<Census>,
}

impl Labels {
    /// Two known labels.
    pub(crate) fn known(positive: &str, negative: &str) -> Self {
        let negative = Some(negative.to_owned());
        Self {
            positive: positive.to_owned(),
            negative,
            better: None,
            learning: false,
            census: None,
        }
    }

    /// The labels of `schema`.
    pub fn of(schema: &Schema) -> Self {
        let negative = schema.negative_label();
        let known = Self::known(schema.positive_label(), negative.unwrap_or_default());
        if negative.is_some() { known } else { Self { negative: None, learning: true, ..known } }
    }

    /// Whether `text` spells one of the known labels.
    pub(crate) fn knows(&self, text: &str) -> bool {
        self.known_as(text).is_some()
    }

    /// The canonical spelling of the label that `text` spells, if that one is known; nothing is
    /// learned.
    pub fn known_as(&self, text: &str) -> Option<&str> {
        let negative = self.negative.as_deref().filter(|n| !n.is_empty());
        let mut known = [Some(self.positive.as_str()), negative].into_iter().flatten();
        known.find(|label| same_label(text, label))
    }

    /// Which label `text` spells; `None` for a third one. If no negative label is known, the first
    /// other value becomes it.
    pub(crate) fn resolve(&mut self, text: &str, changes: &mut FormatChanges) -> Option<bool> {
        if let Some(census) = &mut self.census {
            census.count(text);
            return Some(same_label(text, &self.positive));
        }
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
            if self.learning {
                let best = self.better.as_deref().unwrap_or(negative);
                if is_better(text, best) {
                    self.better = Some(text.to_owned());
                }
            }
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

/// How often each spelling of a label was seen; limited to the first [`Census::MOST`] spellings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Census {
    counts: BTreeMap<String, u64>,
}

impl Census {
    /// A column with more values does not hold labels, and their counts are of no use.
    const MOST: usize = 10_000;

    fn count(&mut self, text: &str) {
        if let Some(count) = self.counts.get_mut(text) {
            *count += 1;
        } else if self.counts.len() < Self::MOST {
            self.counts.insert(text.to_owned(), 1);
        }
    }

    /// Each label in its best spelling with the count of all its spellings, most frequent first.
    fn labels(&self) -> Vec<(&str, u64)> {
        let mut labels: BTreeMap<String, (&str, u64)> = BTreeMap::new();
        for (text, count) in &self.counts {
            let number = Number::parse(text).map(|number| format!("{:?}", number.value()));
            let same = number.unwrap_or_else(|| text.to_lowercase());
            let (best, sum) = labels.entry(same).or_insert((text.as_str(), 0));
            *sum += count;
            if is_better(text, best) {
                *best = text;
            }
        }
        let mut labels: Vec<_> = labels.into_values().collect();
        labels.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        labels
    }

    /// The number of labels other than `positive`.
    pub(crate) fn others(&self, positive: &str) -> usize {
        self.labels().iter().filter(|(label, _)| !same_label(label, positive)).count()
    }

    /// The labels with their counts, most frequent first, for messages.
    pub(crate) fn in_words(&self) -> String {
        let counts = self.labels();
        let name = |text: &str| text::names([text]);
        let counts = counts.into_iter();
        text::names(counts.map(|(label, n)| format!("\"{}\" {}", name(label), text::count(n))))
    }
}

/// Whether the spelling `a` of a label is preferred to `b`: the shorter one is, and of equally long
/// ones the lowercase one.
pub(crate) fn is_better(a: &str, b: &str) -> bool {
    let lengths = a.chars().count().cmp(&b.chars().count());
    lengths.then_with(|| b.cmp(a)).is_lt()
}

/// Whether two spellings mean the same label: letter case and number format are ignored.
fn same_label(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
        || a.to_lowercase() == b.to_lowercase()
        || Number::parse(a).is_some_and(|n| Number::parse(b) == Some(n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::quote::push_text;

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
            ("\u{feff}\u{feff}x\u{200b}", false, false, "x"),
            (" \u{feff}\"a b\" ", false, false, "a b"),
            (" \"q\u{feff}\" ", false, false, "q"),
            ("a\u{200d}b", false, false, "a\u{200d}b"),
            ("\u{200b}", false, false, ""),
        ] {
            assert_eq!(bare(text, quoted, escaped, &mut changes), expected, "{text}");
        }
        assert_eq!((changes.invisible, changes.trimmed), (4, 5));
        let mut out = Vec::new();
        push_text("Mira, \"the\" Ltd", &mut out);
        assert_eq!(out, b"\"Mira, \"\"the\"\" Ltd\"");
    }

    #[test]
    fn the_first_other_label_becomes_the_negative_one() {
        let mut changes = FormatChanges::default();
        let mut labels = Labels { negative: None, learning: true, ..Labels::known("yes", "") };
        assert_eq!(labels.resolve("YES", &mut changes), Some(true));
        assert_eq!(labels.negative, None);
        assert_eq!(labels.resolve("no", &mut changes), Some(false));
        assert_eq!(labels.resolve("NO", &mut changes), Some(false));
        assert_eq!(labels.better, None);
        assert_eq!(labels.resolve("maybe", &mut changes), None);
        assert_eq!(changes.label_case, 2);
        let mut labels = Labels { negative: None, learning: true, ..Labels::known("yes", "") };
        for label in ["NO", "No", "no", "No"] {
            assert_eq!(labels.resolve(label, &mut changes), Some(false));
        }
        assert_eq!(labels.better.as_deref(), Some("no"), "whatever came first");
        let mut labels = Labels::known("1", "0");
        assert_eq!(labels.resolve("1.0", &mut changes), Some(true));
        assert_eq!(labels.resolve("00", &mut changes), Some(false));
        assert_eq!(labels.resolve("2", &mut changes), None);
    }
}
