//! Cleans single values that do not come from a file, such as those of a request, exactly as ingestion
//! cleans the cells of a file.
//!
//! Not for records of a file: see [`crate::dataset`].

use crate::config::NumberFormat;
use crate::ingest::clean::{FormatChanges, Labels, Number, trim};
use crate::ingest::parse::no_number;
use crate::schema::Schema;

/// Reads the cells of one schema.
#[derive(Debug, Clone)]
pub struct CellReader {
    missing_values: Vec<String>,
    numbers: NumberFormat,
    labels: Labels,
}

impl CellReader {
    /// A reader for the labels of `schema`, the spellings of a missing value, and the format of numbers.
    pub fn new(schema: &Schema, missing_values: &[String], numbers: NumberFormat) -> Self {
        Self { missing_values: missing_values.to_vec(), numbers, labels: Labels::of(schema) }
    }

    /// The number in `text`; NaN for a missing value, `None` if it is not a number.
    pub fn number(&self, text: &str) -> Option<f64> {
        let text = self.text(text);
        if text.is_empty() {
            return Some(f64::NAN);
        }
        Number::read(text, self.numbers).map(Number::value)
    }

    /// The reason why `text` is not read as a number.
    pub fn no_number(&self, text: &str) -> String {
        no_number(text.trim(), self.numbers).1
    }

    /// The category in `text`; empty for a missing value.
    pub fn text<'t>(&self, text: &'t str) -> &'t str {
        let text = trim(text, &mut FormatChanges::default());
        if self.missing_values.iter().any(|m| m == text) { "" } else { text }
    }

    /// Whether `text` is the positive label; `None` if it is neither of the two labels.
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

    #[test]
    fn cells_are_cleaned_as_those_of_files() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let schema = Schema::new(&[], &names(&["x"]), &names(&["c"]), "t", "yes", Some("no"));
        let cells = CellReader::new(&schema, &names(&["", "NA"]), NumberFormat::default());
        for (text, number) in [("007", 7.0), (" 1,234.5 ", 1234.5), ("-0", 0.0), ("1e3", 1000.0)] {
            assert_eq!(cells.number(text).map(f64::to_bits), Some(f64::to_bits(number)), "{text}");
        }
        assert!(cells.number("NA").unwrap().is_nan() && cells.number(" ").unwrap().is_nan());
        assert_eq!([cells.number("inf"), cells.number("0,125")], [None, None]);
        assert!(cells.no_number("0,125").contains("ingestion.decimal"));
        let comma = NumberFormat { decimal: ',', thousands: Some('.') };
        let comma = CellReader::new(&schema, &[], comma);
        assert_eq!([comma.number("0,125"), comma.number("1.500")], [Some(0.125), Some(1500.0)]);
        assert_eq!((cells.text(" red "), cells.text("NA")), ("red", ""));
        assert_eq!(
            [" YES", "\u{feff}no", "maybe", "NA"].map(|t| cells.label(t)),
            [Some(true), Some(false), None, None]
        );
    }
}
