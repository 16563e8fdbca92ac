//! Cleans single values that do not come from a file, such as those of a request, exactly as
//! ingestion cleans the cells of a file.
//!
//! Not for records of a file: see [`crate::csv::reader`].

use crate::config::NumberFormat;
use crate::csv::clean::{FormatChanges, Labels, Number, trim};
use crate::csv::date_cell::no_date;
use crate::csv::number::{missing_numbers, no_number};
use crate::csv::quarantine::Sign;
use crate::table::date;
use crate::table::schema::Schema;

/// Numbers as programs and our own files spell them: a decimal point, no thousands separator.
pub const CANONICAL: NumberFormat = NumberFormat { decimal: '.', thousands: None };

/// 2^53: beyond it, doubles cannot represent every integer.
const EXACT: u128 = 1 << 53;

/// Which spellings give a number the value that it was read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// Every spelling that is read.
    Any,
    /// Only the configured one, which has a decimal comma.
    Configured,
    /// Only the canonical one.
    Canonical,
}

/// Reads the cells of one schema.
#[derive(Debug, Clone)]
pub struct CellReader {
    missing_values: Vec<String>,
    missing_numbers: Vec<Number>,
    numbers: NumberFormat,
    /// Canonical numbers are read besides those of `numbers`.
    both: bool,
    /// The pattern by which dates are read besides ISO 8601.
    date_pattern: Option<String>,
    labels: Labels,
}

impl CellReader {
    /// A reader for the labels of `schema`, these spellings of a missing value, and this number
    /// format.
    pub fn new(schema: &Schema, missing_values: &[String], numbers: NumberFormat) -> Self {
        Self {
            missing_values: missing_values.to_vec(),
            missing_numbers: missing_numbers(missing_values, numbers),
            numbers,
            both: false,
            date_pattern: None,
            labels: Labels::of(schema),
        }
    }

    /// Reads dates by `pattern` too.
    #[must_use]
    pub fn with_date_pattern(mut self, pattern: Option<&str>) -> Self {
        self.date_pattern = pattern.map(str::to_owned);
        self
    }

    /// The days since 1970 of the date in `text`; NaN for a missing value, `None` for anything else.
    pub fn date(&self, text: &str) -> Option<f64> {
        match self.text(text) {
            "" => Some(f64::NAN),
            text => date::read(text, self.date_pattern.as_deref()),
        }
    }

    /// The reason why `text` is not read as a date.
    pub fn no_date(&self, text: &str) -> String {
        no_date(text.trim(), self.date_pattern.as_deref())
    }

    /// Makes the reader accept canonical numbers too, as long as they are unambiguous: rows may
    /// come from files and from programs.
    #[must_use]
    pub fn or_canonical(mut self) -> Self {
        // With a decimal point, canonical numbers are read anyway, with the same meaning.
        self.both = self.numbers.decimal != CANONICAL.decimal;
        self
    }

    /// Whether canonical numbers are read besides those of the configured format.
    pub fn reads_both(&self) -> bool {
        self.both
    }

    /// The number in `text` and the spellings that give it this value; NaN for a missing value,
    /// `None` for anything else and for text that means different numbers in the two spellings.
    pub fn number(&self, text: &str) -> Option<(f64, Spelling)> {
        let text = self.text(text);
        if text.is_empty() {
            return Some((f64::NAN, Spelling::Any));
        }
        let read = |format| {
            let number = Number::read(text, format)?;
            Some(if self.missing_numbers.contains(&number) { f64::NAN } else { number.value() })
        };
        let configured = read(self.numbers);
        if !self.both {
            return configured.map(|value| (value, Spelling::Any));
        }
        match (configured, read(CANONICAL)) {
            (Some(a), Some(b)) => (a.to_bits() == b.to_bits()).then_some((a, Spelling::Any)),
            (Some(value), None) => Some((value, Spelling::Configured)),
            (None, canonical) => canonical.map(|value| (value, Spelling::Canonical)),
        }
    }

    /// Whether any number is one of the missing values.
    pub fn has_missing_numbers(&self) -> bool {
        !self.missing_numbers.is_empty()
    }

    /// Whether `number`, which was not spelt as a text, is one of the missing values: `-999` among them means
    /// -999 and -999.0.
    #[inline]
    pub fn is_missing_number(&self, number: f64) -> bool {
        // Without a negative zero, equal numbers have equal bits.
        let same = |a: f64, b: f64| (a + 0.0).to_bits() == (b + 0.0).to_bits();
        !self.missing_numbers.is_empty()
            && self.missing_numbers.iter().any(|missing| match *missing {
                // Other integers may have the same double.
                Number::Integer(missing) if missing.unsigned_abs() > EXACT => false,
                missing => same(missing.value(), number),
            })
    }

    /// Likewise, for an integer.
    #[inline]
    pub fn is_missing_integer(&self, integer: i128) -> bool {
        !self.missing_numbers.is_empty()
            && self.missing_numbers.iter().any(|missing| match *missing {
                Number::Integer(missing) => missing == integer,
                // A float among them has a fraction, or is beyond 64 bits.
                Number::Float(_) => false,
            })
    }

    /// The reason why `text` is not read as a number.
    pub fn no_number(&self, text: &str) -> String {
        let text = text.trim();
        if self.both
            && let Some(configured) = Number::read(text, self.numbers)
            && let Some(canonical) = Number::read(text, CANONICAL)
        {
            let shown = crate::text::visible(text);
            let (configured, canonical) = (configured.value(), canonical.value());
            return format!(
                "\"{shown}\" is {configured} in the number format of this model's files, and \
                 {canonical} with a decimal point: send it as a JSON number, or name the format \
                 with \"decimal=comma\" or \"decimal=point\" in the header Content-Type"
            );
        }
        match no_number(text, self.numbers) {
            (Sign::OtherDecimal, words) => {
                let name = if self.numbers.decimal == ',' { "point" } else { "comma" };
                format!(
                    "{words}; of one request, \"decimal={name}\" in the header Content-Type says it"
                )
            }
            (_, words) => words,
        }
    }

    /// The category in `text`; empty for a missing value.
    pub fn text<'t>(&self, text: &'t str) -> &'t str {
        let text = trim(text, &mut FormatChanges::default());
        if self.missing_values.iter().any(|m| m == text) { "" } else { text }
    }

    /// Whether `text` is the positive label; `None` if it is neither label.
    pub fn label(&self, text: &str) -> Option<bool> {
        let text = trim(text, &mut FormatChanges::default());
        let (positive, negative) = self.labels();
        match text {
            "" => None,
            _ if text == positive => Some(true),
            _ if text == negative => Some(false),
            _ if self.missing_values.iter().any(|m| m == text) && !self.labels.knows(text) => None,
            _ => self.labels.clone().resolve(text, &mut FormatChanges::default()),
        }
    }

    /// The two labels, the positive one first; the negative one is empty until it is known.
    pub fn labels(&self) -> (&str, &str) {
        (&self.labels.positive, self.labels.negative.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schema::SchemaFields;

    #[test]
    fn cells_are_cleaned_as_those_of_files() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let schema = Schema::new(SchemaFields {
            numeric: &names(&["x"]),
            categorical: &names(&["c"]),
            target: "t",
            positive_label: "yes",
            negative_label: Some("no"),
            ..SchemaFields::default()
        });
        let cells = CellReader::new(&schema, &names(&["", "NA"]), NumberFormat::default());
        for (text, number) in
            [("007", 7.0_f64), (" 1,234.5 ", 1234.5), ("-0", 0.0), ("1e3", 1000.0)]
        {
            let found = cells.number(text).map(|(value, _)| value.to_bits());
            assert_eq!(found, Some(number.to_bits()), "{text}");
        }
        assert!(["NA", " "].iter().all(|text| cells.number(text).unwrap().0.is_nan()));
        assert_eq!([cells.number("inf"), cells.number("0,125")], [None, None]);
        let words = cells.no_number("0,125");
        assert!(words.contains("ingestion.decimal") && words.contains("decimal=comma"), "{words}");
        let coded = CellReader::new(&schema, &names(&["-999"]), NumberFormat::default());
        for (text, missing) in [("-999", true), ("-999.0", true), ("-9.99e2", true), ("999", false)]
        {
            let found = coded.number(text).map(|(value, _)| value.is_nan());
            assert_eq!(found, Some(missing), "{text}");
        }
        assert_eq!([-999.0, 999.0].map(|n| coded.is_missing_number(n)), [true, false]);
        assert_eq!([-999, 999].map(|n| coded.is_missing_integer(n)), [true, false]);
        let long = CellReader::new(&schema, &names(&["9999999999999999"]), NumberFormat::default());
        let close = [9_999_999_999_999_999, 10_000_000_000_000_000];
        assert_eq!(close.map(|n| long.is_missing_integer(n)), [true, false]);
        assert!(!long.is_missing_number(1e16));
        let comma = NumberFormat { decimal: ',', thousands: Some('.') };
        let comma = CellReader::new(&schema, &[], comma);
        let value = |text| comma.number(text).map(|(value, _)| value);
        assert_eq!(
            [value("0,125"), value("1.500"), value("0.5")],
            [Some(0.125), Some(1500.0), None]
        );
        assert_eq!((cells.text(" red "), cells.text("NA")), ("red", ""));
        assert_eq!(
            [" YES", "\u{feff}no", "maybe", "NA"].map(|t| cells.label(t)),
            [Some(true), Some(false), None, None]
        );
    }

    #[test]
    fn a_number_that_could_be_another_is_none() {
        use Spelling::{Any, Canonical, Configured};

        let schema = Schema::new(SchemaFields {
            numeric: &["x".to_owned()],
            target: "t",
            positive_label: "yes",
            negative_label: Some("no"),
            ..SchemaFields::default()
        });
        let cells = |decimal, thousands| {
            CellReader::new(&schema, &[], NumberFormat { decimal, thousands }).or_canonical()
        };
        let comma = cells(',', Some('.'));
        for (text, expected) in [
            ("7", Some((7.0, Any))),
            ("-1e3", Some((-1000.0, Any))),
            ("0,125", Some((0.125, Configured))),
            ("1.234,5", Some((1234.5, Configured))),
            ("1.234.567", Some((1_234_567.0, Configured))),
            ("0.125", Some((0.125, Canonical))),
            ("12.5", Some((12.5, Canonical))),
            ("1.5e3", Some((1500.0, Canonical))),
            ("1.234", None),
            ("-12.500", None),
            ("1,234.5", None),
            ("1.2.3", None),
        ] {
            assert_eq!(comma.number(text), expected, "{text}");
        }
        let words = comma.no_number(" 1.234 ");
        assert!(words.contains("is 1234 in") && words.contains("and 1.234 with"), "{words}");
        assert!(comma.no_number("1.2.3").contains("is not a number"));
        assert_eq!(cells(',', Some(' ')).number("1.234"), Some((1.234, Canonical)));
        assert!(!cells('.', Some(',')).reads_both());
        assert_eq!(cells('.', Some(',')).number("1,234"), Some((1234.0, Any)));
    }
}
