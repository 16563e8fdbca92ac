//! Single values that come without a file, such as those of a request, cleaned as ingestion cleans
//! the cells of one.
//!
//! Not for records of a file: see [`crate::dataset`].

use crate::ingest::clean::{FormatChanges, Labels, Number};
use crate::schema::Schema;

/// Reads cells of one schema.
#[derive(Debug, Clone)]
pub struct CellReader {
    missing_values: Vec<String>,
    labels: Labels,
}

impl CellReader {
    /// A reader that knows the labels of `schema` and the spellings of a missing value.
    pub fn new(schema: &Schema, missing_values: &[String]) -> Self {
        let labels = Labels {
            positive: schema.positive_label().to_owned(),
            negative: schema.negative_label().map(str::to_owned),
        };
        Self { missing_values: missing_values.to_vec(), labels }
    }

    /// The number that `text` spells; NaN for a missing value, nothing for anything else.
    pub fn number(&self, text: &str) -> Option<f64> {
        let text = self.text(text);
        if text.is_empty() {
            return Some(f64::NAN);
        }
        Some(match Number::parse(text)? {
            Number::Integer(value) => value as f64,
            Number::Float(value) => value,
        })
    }

    /// The category that `text` spells; empty for a missing value.
    pub fn text<'t>(&self, text: &'t str) -> &'t str {
        let text = text.trim();
        if self.missing_values.iter().any(|m| m == text) { "" } else { text }
    }

    /// Whether `text` spells the positive label; nothing when it is neither of the two.
    pub fn label(&self, text: &str) -> Option<bool> {
        let text = text.trim();
        let (positive, negative) = self.labels();
        match text {
            "" => None,
            _ if text == positive => Some(true),
            _ if text == negative => Some(false),
            _ => self.labels.clone().resolve(text, &mut FormatChanges::default()),
        }
    }

    /// The two labels, the positive one first; the other is empty while none was seen.
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
        let cells = CellReader::new(&schema, &names(&["", "NA"]));
        for (text, number) in [("007", 7.0), (" 1,234.5 ", 1234.5), ("-0", 0.0), ("1e3", 1000.0)] {
            assert_eq!(cells.number(text).map(f64::to_bits), Some(f64::to_bits(number)), "{text}");
        }
        assert!(cells.number("NA").unwrap().is_nan() && cells.number(" ").unwrap().is_nan());
        assert_eq!(cells.number("inf"), None);
        assert_eq!((cells.text(" red "), cells.text("NA")), ("red", ""));
        assert_eq!(
            [" YES", "no", "maybe"].map(|t| cells.label(t)),
            [Some(true), Some(false), None]
        );
    }
}
