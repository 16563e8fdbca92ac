//! The shape of a row of JSON: what stands between its values. Programs write one row as they wrote the one before, so
//! that braces, blanks, names and commas are compared whole, and only the values are read.
//!
//! A row of another shape is read field by field: see `super::json`. Not for the values: see `super::scan`.

use super::rows::Rows;
use super::scan::{Key, Scanner, Value};
use crate::columns::Slot;

/// A shape; an empty one is that of no row.
#[derive(Debug, Default)]
pub(crate) struct Shape<'t> {
    /// What stands before each value, and the column of the value.
    fields: Vec<(&'t [u8], usize)>,
    /// What stands behind the last value.
    end: &'t [u8],
    /// The number of each field's column among the numeric ones, if there are only such, each once, and no number means
    /// a missing value.
    numeric: Vec<usize>,
}

impl<'t> Shape<'t> {
    /// Takes the shape of the row with `fields` that `scanner` read last, and that began at `from`.
    pub(crate) fn learn(
        &mut self,
        scanner: &Scanner<'t>,
        from: usize,
        fields: &[(Key<'t>, Value<'t>)],
        rows: &Rows<'_>,
    ) {
        self.fields.clear();
        self.numeric.clear();
        let mut between = scanner.between(from);
        for ((key, _), before) in fields.iter().zip(&mut between) {
            let Key::Column(column) = *key else { return self.fields.clear() };
            self.fields.push((before, column));
        }
        self.end = between.next().unwrap_or_default();
        if !rows.numbers_are_values() {
            return;
        }
        let mut seen = vec![false; rows.table.numeric.len()];
        for (_, column) in &self.fields {
            match rows.loaded.columns.slot(*column) {
                Slot::Numeric { index, .. } if !std::mem::replace(&mut seen[index], true) => {
                    self.numeric.push(index);
                }
                _ => return self.numeric.clear(),
            }
        }
    }

    /// Reads a row of this shape and adds it to `rows`; `fields` is room for its values. Returns false, and leaves
    /// everything as it is, if the next row has another shape or other values.
    pub(crate) fn read(
        &self,
        scanner: &mut Scanner<'t>,
        rows: &mut Rows<'_>,
        fields: &mut Vec<(Key<'t>, Value<'t>)>,
    ) -> bool {
        if self.fields.is_empty() {
            return false;
        }
        scanner.start();
        if !self.numeric.is_empty() {
            let before = rows.table.len();
            if scanner.whole(|scanner| self.numbers(scanner, &mut rows.table.numeric)) {
                rows.end();
                return true;
            }
            rows.table.numeric.iter_mut().for_each(|column| column.truncate(before));
        }
        let read = scanner.whole(|scanner| self.values(scanner, fields));
        if read {
            rows.row(fields);
        }
        read
    }

    /// Reads a row that has but numbers.
    #[inline]
    fn numbers(&self, scanner: &mut Scanner<'t>, columns: &mut [Vec<f64>]) -> Option<()> {
        for ((before, _), index) in self.fields.iter().zip(&self.numeric) {
            scanner.pass(before)?;
            // Ingestion has no negative zero.
            columns[*index].push(scanner.real()? + 0.0);
        }
        scanner.pass(self.end)
    }

    fn values(
        &self,
        scanner: &mut Scanner<'t>,
        fields: &mut Vec<(Key<'t>, Value<'t>)>,
    ) -> Option<()> {
        fields.clear();
        for (before, column) in &self.fields {
            scanner.pass(before)?;
            fields.push((Key::Column(*column), scanner.value()?));
        }
        scanner.pass(self.end)
    }
}
