//! The canonical spelling of cells for comparison: two cells are equal if their spellings are.
//!
//! Columns of the schema are cleaned as in ingestion. A cell that ingestion would quarantine is
//! compared as plain text; only a number with the other decimal separator refuses its file, as it
//! does there. In other columns a cell is a number only if its spelling loses nothing by being one:
//! `1.0` is `1`, but `007`, `+5` and `1,234` are texts, since they may be codes. Not for splitting
//! records: see `csv::record`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use mlops_core::config::{Ingestion, NumberFormat};
use mlops_core::csv::clean::{self, FormatChanges, Labels, Number};
use mlops_core::csv::number::no_number;
use mlops_core::csv::quarantine::Sign;
use mlops_core::csv::spelling::{BareLabels, Cell};
use mlops_core::table::quote::push_text;
use mlops_core::table::schema::{Role, Schema};

/// The number of digits that a double always preserves, in its shortest spelling.
const DOUBLE_DIGITS: usize = 17;

/// How the cells of a column are interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// An id of the schema: text.
    Text,
    /// A number of the schema, with spellings of a missing value.
    Number,
    /// A category of the schema, with spellings of a missing value.
    Category,
    /// The label of the schema.
    Label,
    /// A column that is not in the schema.
    Plain,
    /// A column that is not compared.
    Passed,
}

impl Kind {
    /// The kind of a column with this role in the schema, if it is in the schema.
    pub(crate) fn of(role: Option<Role>) -> Self {
        role.map_or(Self::Plain, |role| match role {
            Role::Id => Self::Text,
            Role::Numeric => Self::Number,
            // Dates are compared as the texts that they are.
            Role::Categorical | Role::Date => Self::Category,
            Role::Target => Self::Label,
        })
    }

    /// The number in a cell of this kind, if it is one; `cell` must be canonical.
    pub(crate) fn number(self, cell: &str) -> Option<Number> {
        match self {
            Self::Number => Number::parse(cell),
            Self::Label | Self::Plain => plain_number(cell),
            Self::Text | Self::Category | Self::Passed => None,
        }
    }
}

/// Cleans cells.
#[derive(Debug, Clone)]
pub(crate) struct Spelling<'a> {
    missing: &'a [String],
    labels: Labels,
    bare_labels: BareLabels,
    /// The number format of the schema's columns.
    numbers: NumberFormat,
    /// Canonical numbers can be taken as they are: none is a spelling of a missing value, and the
    /// decimal separator is a point.
    plain_numbers: bool,
}

impl<'a> Spelling<'a> {
    /// The spelling for `schema` and `options`.
    pub(crate) fn new(schema: &Schema, options: &'a Ingestion) -> Self {
        let labels = Labels::of(schema);
        let bare_labels = BareLabels::of(&labels);
        let missing = options.missing_values.as_slice();
        Self { missing, labels, bare_labels, numbers: options.numbers, plain_numbers: false }
            .with_numbers(options.numbers)
    }

    /// The same for a file with this number format.
    pub(crate) fn with_numbers(mut self, numbers: NumberFormat) -> Self {
        self.numbers = numbers;
        let is_number = |text: &String| Number::read(text, numbers).is_some();
        self.plain_numbers = numbers.decimal == '.' && !self.missing.iter().any(is_number);
        self
    }

    /// Whether a cell is canonical; may return false for rare canonical cells, which
    /// [`Spelling::push`] leaves unchanged.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "see `simd`")]
    pub(crate) fn is_canonical(&self, kind: Kind, cell: Cell) -> bool {
        match kind {
            Kind::Number => self.plain_numbers && cell.is_number(),
            Kind::Category => {
                let text = cell.bytes();
                let missing = !text.is_empty() && self.missing.iter().any(|m| m.as_bytes() == text);
                cell.is_text() && !missing
            }
            Kind::Label => self.bare_labels.find(cell).0,
            Kind::Plain if cell.bytes().first().is_some_and(|b| starts_a_number(*b)) => {
                cell.is_number()
            }
            Kind::Text | Kind::Plain | Kind::Passed => cell.is_text(),
        }
    }

    /// Writes a cell in canonical spelling, or nothing if it is missing. `text` is the field
    /// without its outer quotes. Returns an error text for a number with the other decimal
    /// separator, since other numbers would then be misread.
    pub(crate) fn push(
        &self,
        kind: Kind,
        text: &str,
        (quoted, escaped): (bool, bool),
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let mut changes = FormatChanges::default();
        let value = clean::bare(text, quoted, escaped, &mut changes);
        let may_be_missing = match kind {
            Kind::Number | Kind::Category => true,
            Kind::Label => self.labels.known_as(&value).is_none(),
            Kind::Text | Kind::Plain | Kind::Passed => false,
        };
        let spelt_missing = may_be_missing && self.missing.iter().any(|m| *m == value);
        if value.is_empty() || spelt_missing {
            return Ok(());
        }
        let number = match kind {
            Kind::Number => match Number::read(&value, self.numbers) {
                None => match no_number(&value, self.numbers) {
                    (Sign::OtherDecimal, words) => return Err(words),
                    _ => None,
                },
                number => number,
            },
            // An unknown label is not learned here, since that would depend on the order.
            Kind::Label => match self.labels.known_as(&value) {
                Some(label) => {
                    push_text(label, out);
                    return Ok(());
                }
                None => plain_number(&value),
            },
            Kind::Plain => plain_number(&value),
            Kind::Text | Kind::Category | Kind::Passed => None,
        };
        match number {
            Some(number) => number.push(out),
            None => push_text(&value, out),
        }
        Ok(())
    }
}

fn starts_a_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.')
}

/// A number whose spelling can be discarded: no leading zero, plus sign or comma, and no more
/// digits than are preserved.
fn plain_number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let whole = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let leading_zero = whole > 1 && unsigned.starts_with('0');
    let known =
        unsigned.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'-' | b'+'));
    if whole == 0 || leading_zero || !known {
        return None;
    }
    let mantissa = unsigned.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let number = Number::parse(text)?;
    let exact = whole == unsigned.len() && matches!(number, Number::Integer(_));
    (exact || digits <= DOUBLE_DIGITS).then_some(number)
}

/// The cells of a row, or of a part of one, in canonical spelling without the newline.
#[derive(Debug, Clone)]
pub(crate) struct Cells<'a>(Option<&'a [u8]>);

impl<'a> Cells<'a> {
    /// The cells of `row`; there is at least one.
    pub(crate) fn of(row: &'a [u8]) -> Self {
        Self(Some(row.strip_suffix(b"\n").unwrap_or(row)))
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0?;
        let mut quoted = false;
        let comma = rest.iter().position(|b| {
            // A quote inside a quoted cell is doubled, so that the state comes out right.
            quoted ^= *b == b'"';
            *b == b',' && !quoted
        });
        let end = comma.unwrap_or(rest.len());
        self.0 = comma.map(|at| &rest[at + 1..]);
        Some(&rest[..end])
    }
}

/// A canonical cell without quotes, for people.
pub(crate) fn unquoted(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell);
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    inner.map_or(text.clone(), |t| Cow::Owned(t.replace("\"\"", "\""))).into_owned()
}

#[cfg(test)]
mod tests {
    use mlops_core::csv::spelling;

    use mlops_core::table::schema::SchemaFields;

    use super::*;

    fn schema() -> Schema {
        let of = |name: &str| vec![name.to_owned()];
        Schema::new(SchemaFields {
            id: &of("id"),
            numeric: &of("n"),
            categorical: &of("c"),
            target: "y",
            positive_label: "yes",
            negative_label: Some("no"),
            ..SchemaFields::default()
        })
    }

    fn spelt(kind: Kind, text: &str) -> String {
        let (schema, options) = (schema(), Ingestion::default());
        let spelling = Spelling::new(&schema, &options);
        let mut out = Vec::new();
        spelling.push(kind, text, (false, false), &mut out).unwrap();
        // What is canonical stays as it is, and both ways of reading say the same of cells of plain
        // bytes, which are all that are asked about.
        let is_canonical = |text: &[u8]| {
            let chunk = [text, b",rest of the line\n"].concat();
            let cell = Cell { chunk: &chunk, start: 0, end: text.len() };
            spelling::is_text(text.trim_ascii()) && spelling.is_canonical(kind, cell)
        };
        let mut again = Vec::new();
        let cell = unquoted(&out);
        spelling.push(kind, &cell, (out.starts_with(b"\""), false), &mut again).unwrap();
        assert_eq!(again, out, "{text}");
        if is_canonical(text.as_bytes()) {
            assert_eq!(out, text.as_bytes(), "the fast path would keep it");
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_cell_is_spelt_as_its_column_asks() {
        use Kind::{Category, Label, Number, Plain, Text};
        for (kind, text, expected) in [
            (Text, " 007 ", "007"),
            (Text, "NA", "NA"),
            (Number, "007", "7"),
            (Number, "1,234.50", "1234.5"),
            (Number, "NA", ""),
            (Number, "n/k", "n/k"),
            (Category, "NA", ""),
            (Category, "1.0", "1.0"),
            (Label, "YES", "yes"),
            (Label, "No", "no"),
            (Label, "maybe", "maybe"),
            (Plain, "1.0", "1"),
            (Plain, "-0.50", "-0.5"),
            (Plain, "1e3", "1000"),
            (Plain, "007", "007"),
            (Plain, "+5", "+5"),
            (Plain, ".5", ".5"),
            (Plain, "1,234", "\"1,234\""),
            (Plain, "NA", "NA"),
            (Plain, "2024-05-06", "2024-05-06"),
            (Plain, "12345678901234567890", "12345678901234567890"),
            (Plain, "1234567890123456789", "1234567890123456789"),
            (Plain, "0.12345678901234567890", "0.12345678901234567890"),
            (Plain, " ", ""),
        ] {
            assert_eq!(spelt(kind, text), expected, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn rows_come_apart_as_they_were_put_together() {
        let cells = |row: &str| Cells::of(row.as_bytes()).map(unquoted).collect::<Vec<_>>();
        assert_eq!(cells("a,,\"b,\"\"c\"\"\nd\",1\n"), ["a", "", "b,\"c\"\nd", "1"]);
        assert_eq!(cells(""), [""]);
        assert_eq!(cells(",\n"), ["", ""]);
    }
}
