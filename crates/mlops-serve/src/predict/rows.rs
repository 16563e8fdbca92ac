//! Writes rows straight into the columns of a table, without intermediate values.
//!
//! A value is cleaned as ingestion cleans a cell, so that a row means the same in every format. A
//! row that violates the schema is noted and leaves nothing in the table. Not for JSON: see
//! `super::json`.

use std::collections::BTreeMap;

use mlops_core::csv::cell_reader::{CellReader, Spelling};
use mlops_core::table::{Table, TextColumn};

use super::faults::{Fault, Faults, excerpt};
use super::scan::{Key, Value};
use crate::columns::Slot;
use crate::live::Loaded;

/// The number of distinct unknown fields that are counted by name.
pub(crate) const NAMES: usize = 100;
/// The name under which further ones are counted.
pub(crate) const OTHERS: &str = "(others)";
/// The number of rows collected before they are used.
const BLOCK: usize = 4096;
/// 2^53: from here on, doubles cannot represent every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What rows must have besides the features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// Nothing: rows to predict.
    Features,
    /// The label: rows to score.
    Labels,
}

/// Notes on rows besides their predictions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    pub(crate) faults: Faults,
    /// Number of rows, accepted or refused.
    pub(crate) rows: u64,
    /// Number of imputed values by column, in schema order.
    pub(crate) imputed: Vec<u64>,
    /// Number of categories not seen in training.
    pub(crate) unknown_categories: u64,
    /// Fields without a column, with the number of rows that have them.
    pub(crate) ignored: BTreeMap<String, u64>,
}

impl Notes {
    /// Counts `rows` more rows with the unknown field `name`.
    pub(crate) fn ignore(&mut self, name: &str, rows: u64) {
        if let Some(count) = self.ignored.get_mut(name) {
            *count += rows;
        } else {
            let name = if self.ignored.len() < NAMES { name } else { OTHERS };
            *self.ignored.entry(name.to_owned()).or_default() += rows;
        }
    }
}

/// Receives the values of rows, field by field.
pub(crate) struct Rows<'a> {
    pub(crate) loaded: &'a Loaded,
    cells: &'a CellReader,
    pub(crate) table: &'a mut Table,
    pub(crate) notes: &'a mut Notes,
    pub(crate) wants: Wants,
    /// Uses rows, a block of good ones at a time.
    take: &'a mut dyn FnMut(&Table, &mut Notes),
    /// The current row is invalid.
    broken: bool,
    /// The line of the current row, if the text has lines.
    pub(crate) line: Option<u64>,
    /// The number format, once a number determined it.
    spelling: Spelling,
    /// The columns of the previous row's fields, in order.
    order: Vec<usize>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(
        (loaded, cells): (&'a Loaded, &'a CellReader),
        table: &'a mut Table,
        notes: &'a mut Notes,
        wants: Wants,
        take: &'a mut dyn FnMut(&Table, &mut Notes),
    ) -> Self {
        notes.imputed.resize(loaded.columns.len(), 0);
        let (order, spelling, line) = (Vec::new(), Spelling::Any, None);
        Self { loaded, cells, table, notes, wants, take, broken: false, line, spelling, order }
    }

    /// Passes on the collected rows unless there was a fault.
    pub(crate) fn flush(&mut self) {
        if self.notes.faults.count == 0 && !self.table.is_empty() {
            (self.take)(self.table, self.notes);
        }
        self.table.clear();
    }

    /// The column with the name `name`, which is field number `place` of its row. Rows of one
    /// origin have their fields in the same order, so that usually one comparison suffices.
    pub(crate) fn find(&mut self, name: &str, place: usize) -> Option<usize> {
        let columns = &self.loaded.columns;
        if let Some(c) = self.order.get(place).copied()
            && columns.name(c) == name
        {
            return Some(c);
        }
        let c = columns.find(name, place)?;
        if place < columns.len() {
            if self.order.len() <= place {
                self.order.resize(place + 1, c);
            }
            self.order[place] = c;
        }
        Some(c)
    }

    /// The column that is likely field number `place` of a row, with its name as JSON has it.
    pub(crate) fn expected(&self, place: usize) -> Option<(usize, &[u8])> {
        let c = *self.order.get(place)?;
        Some((c, self.loaded.columns.quoted(c).as_bytes()))
    }

    /// Whether every number is a value.
    pub(crate) fn numbers_are_values(&self) -> bool {
        !self.cells.has_missing_numbers()
    }

    /// Adds a row with `fields`.
    pub(crate) fn row(&mut self, fields: &[(Key<'_>, Value<'_>)]) {
        for (place, (key, value)) in fields.iter().enumerate() {
            let c = match *key {
                Key::Column(c) => c,
                Key::Name(name) => {
                    let Some(c) = self.find(name, place) else {
                        self.notes.ignore(name, 1);
                        continue;
                    };
                    c
                }
            };
            match *value {
                Value::Null => self.null(c),
                Value::Truth(value) => self.truth(c, value),
                Value::Natural(value) => self.integer(c, value as f64, value),
                Value::Negative(value) => self.integer(c, value as f64, value),
                Value::Real(value) => self.number(c, value),
                Value::Text(text) => self.text(c, text),
            }
        }
        self.end();
    }

    /// Notes that the current row violates the schema.
    pub(crate) fn fault(&mut self, column: Option<usize>, reason: impl FnOnce() -> String) {
        self.broken = true;
        let (row, line, columns) = (self.notes.rows, self.line, &self.loaded.columns);
        self.notes.faults.add(|| Fault {
            row,
            line,
            column: column.map(|c| columns.name(c).to_owned()),
            reason: reason(),
        });
    }

    /// Adds a number for column `c`.
    pub(crate) fn number(&mut self, c: usize, value: f64) {
        if let Slot::Numeric { index, .. } = self.loaded.columns.slot(c) {
            let missing = self.cells.is_missing_number(value);
            return self.numeric(c, index, value, missing);
        }
        if value.fract() == 0.0 && value.abs() >= EXACT {
            self.fault(Some(c), || {
                "a number as large as this one loses digits: send it as a text".to_owned()
            });
        } else if value.fract() == 0.0 {
            let mut buffer = itoa::Buffer::new();
            #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
            let digits = buffer.format(value as i64);
            match self.with_fraction(c, digits) {
                Some(text) => self.text(c, &text),
                None => self.text(c, digits),
            }
        } else {
            self.text(c, zmij::Buffer::new().format(value));
        }
    }

    /// Adds an integer for column `c`: `value` for a numeric column, the digits of `exact` for
    /// another.
    pub(crate) fn integer(
        &mut self,
        c: usize,
        value: f64,
        exact: impl itoa::Integer + Into<i128> + Copy,
    ) {
        if let Slot::Numeric { index, .. } = self.loaded.columns.slot(c) {
            let missing = self.cells.is_missing_integer(exact.into());
            return self.numeric(c, index, value, missing);
        }
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(exact);
        let known = self.knows(c, digits);
        match (!known).then(|| self.with_fraction(c, digits)).flatten() {
            Some(text) => self.text(c, &text),
            None => self.text(c, digits),
        }
    }

    /// Adds a truth value for column `c`.
    pub(crate) fn truth(&mut self, c: usize, value: bool) {
        let spellings = if value { ["true", "True", "TRUE"] } else { ["false", "False", "FALSE"] };
        let known = spellings.iter().find(|text| self.knows(c, text));
        self.text(c, known.unwrap_or(&spellings[0]));
    }

    /// Whether `text` is a category of column `c` that training has seen, or that counts as missing.
    fn knows(&self, c: usize, text: &str) -> bool {
        let Slot::Categorical { index, .. } = self.loaded.columns.slot(c) else { return false };
        let feature = &self.loaded.model.encoder.categorical[index];
        feature.level(text).is_some() || self.cells.text(text).is_empty()
    }

    /// The whole number `digits` as `7.0`, as programs write it in files if other numbers of its column
    /// have a fraction or are missing, if that is a category of column `c`. JSON does not tell the two
    /// spellings apart.
    fn with_fraction(&self, c: usize, digits: &str) -> Option<String> {
        let categorical = matches!(self.loaded.columns.slot(c), Slot::Categorical { .. });
        categorical.then(|| format!("{digits}.0")).filter(|text| self.knows(c, text))
    }

    /// Adds a number for the numeric column `c`, the `index`th of these.
    fn numeric(&mut self, c: usize, index: usize, value: f64, missing: bool) {
        let rows = self.table.len();
        let column = &mut self.table.numeric[index];
        if column.len() > rows {
            self.fault(Some(c), || TWICE.to_owned());
        } else if missing {
            self.null(c);
        } else {
            // Ingestion has no negative zero.
            column.push(value + 0.0);
        }
    }

    /// Adds a text for column `c`.
    pub(crate) fn text(&mut self, c: usize, text: &str) {
        let rows = self.table.len();
        let cells = self.cells;
        match self.loaded.columns.slot(c) {
            Slot::Id(index) if self.table.ids[index].len() == rows => {
                self.table.ids[index].push(text.trim());
            }
            Slot::Numeric { index, fills } if self.table.numeric[index].len() == rows => {
                match cells.number(text) {
                    Some((value, spelling)) if self.agrees(spelling) => {
                        self.table.numeric[index].push(value);
                        if value.is_nan() {
                            self.missing(c, fills);
                        }
                    }
                    Some(_) => self.fault(Some(c), || {
                        let text = excerpt(text);
                        format!("{text} is spelt otherwise than a number before it: {ONE_SPELLING}")
                    }),
                    None => self.fault(Some(c), || cells.no_number(text)),
                }
            }
            Slot::Date { index, fills } if self.table.numeric[index].len() == rows => {
                match cells.date(text) {
                    Some(days) => {
                        self.table.numeric[index].push(days);
                        if days.is_nan() {
                            self.missing(c, fills);
                        }
                    }
                    None => self.fault(Some(c), || cells.no_date(text)),
                }
            }
            Slot::Categorical { index, fills } if self.table.categorical[index].len() == rows => {
                let text = cells.text(text);
                self.table.categorical[index].push(text);
                if text.is_empty() {
                    self.missing(c, fills);
                }
            }
            Slot::Target if self.wants == Wants::Features => {}
            Slot::Target if self.table.labels.len() == rows => match cells.label(text) {
                Some(label) => self.table.labels.push(label),
                None => self.unknown_label(c, text),
            },
            _ => self.fault(Some(c), || TWICE.to_owned()),
        }
    }

    /// Adds a missing value for column `c`.
    pub(crate) fn null(&mut self, c: usize) {
        match self.loaded.columns.slot(c) {
            Slot::Numeric { index, fills } | Slot::Date { index, fills }
                if self.table.numeric[index].len() == self.table.len() =>
            {
                self.table.numeric[index].push(f64::NAN);
                self.missing(c, fills);
            }
            _ => self.text(c, ""),
        }
    }

    /// Notes a value for column `c` that no column can hold.
    pub(crate) fn misfit(&mut self, c: usize, what: &str) {
        if self.wants == Wants::Labels || self.loaded.columns.slot(c) != Slot::Target {
            self.fault(Some(c), || format!("{what} is not a value of a column"));
        }
    }

    /// Whether a number in this format is consistent with those before it.
    fn agrees(&mut self, spelling: Spelling) -> bool {
        if self.spelling == Spelling::Any {
            self.spelling = spelling;
        }
        spelling == Spelling::Any || spelling == self.spelling
    }

    fn missing(&mut self, c: usize, fills: bool) {
        if fills {
            self.notes.imputed[c] += 1;
        } else {
            self.fault(Some(c), || UNFILLED.to_owned());
        }
    }

    fn unknown_label(&mut self, c: usize, text: &str) {
        let (positive, negative) = self.cells.labels();
        let expected = format!("expected {positive:?} or {negative:?}");
        self.fault(Some(c), || match text.trim() {
            "" => format!("the label is missing: {expected}"),
            _ => format!("{} is an unknown label: {expected}", excerpt(text)),
        });
    }

    /// Ends the current row: it is kept whole or not at all.
    pub(crate) fn end(&mut self) {
        let rows = self.table.len();
        for column in &mut self.table.ids {
            if column.len() == rows {
                column.push("");
            }
        }
        if !self.broken && !self.complete(rows) {
            let columns = &self.loaded.columns;
            for c in 0..columns.len() {
                if !self.has(c, rows) {
                    self.fault(Some(c), || {
                        "the field is missing: send null for a missing value".to_owned()
                    });
                }
            }
        }
        if self.broken {
            self.broken = false;
            self.table.truncate(rows);
        } else {
            self.table.end_row();
            if self.table.len() >= BLOCK {
                self.flush();
            }
        }
        self.notes.rows += 1;
    }

    /// Whether the current row has a value in every column that needs one.
    fn complete(&self, rows: usize) -> bool {
        let longer = |column: &TextColumn| column.len() > rows;
        self.table.numeric.iter().all(|column| column.len() > rows)
            && self.table.categorical.iter().all(longer)
            && (self.wants == Wants::Features || self.table.labels.len() > rows)
    }

    fn has(&self, c: usize, rows: usize) -> bool {
        match self.loaded.columns.slot(c) {
            Slot::Id(_) => true,
            Slot::Numeric { index, .. } | Slot::Date { index, .. } => {
                self.table.numeric[index].len() > rows
            }
            Slot::Categorical { index, .. } => self.table.categorical[index].len() > rows,
            Slot::Target => self.wants == Wants::Features || self.table.labels.len() > rows,
        }
    }
}

const TWICE: &str = "the field is there twice";
/// Why a missing value can be a fault.
pub(crate) const UNFILLED: &str = "the value is missing, and this model fills none: it was trained with \"training.missing\" \
     \"drop\" or \"reject\"";
const ONE_SPELLING: &str = "numbers of a request have a decimal comma or a decimal point, not both";
