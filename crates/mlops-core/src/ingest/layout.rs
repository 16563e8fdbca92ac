//! Where the schema's columns stand in a file: the header check.
//!
//! Reordered columns are mapped by name, extra ones are dropped and reported, a missing one fails
//! the file. Not for rows: see [`super::parse`].

use crate::schema::{Role, Schema};
use crate::{Error, Result};

use super::record::Field;

/// What the rows of a file must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// All columns of the schema: rows to learn from or to score on.
    Labelled,
    /// The features; ids are optional, labels are ignored: rows to predict.
    Prediction,
    /// The features and the label; ids are optional: rows to score without keeping them.
    Evaluation,
}

/// The mapping from schema columns to a file's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// For each column of the schema, its field; `None` where an optional column is absent.
    pub(crate) positions: Vec<Option<usize>>,
    /// Fields per record.
    pub(crate) width: usize,
    /// Columns of the file that the schema does not name.
    pub(crate) extra: Vec<String>,
    /// Whether the file has the schema's columns in the schema's order and no other.
    pub(crate) identical: bool,
}

impl Layout {
    /// Maps the header of `place`. `header` starts after a byte-order mark.
    pub(crate) fn of(
        header: &[u8],
        fields: &[Field],
        schema: &Schema,
        purpose: Purpose,
        place: &str,
    ) -> Result<Self> {
        let mut names = Vec::with_capacity(fields.len());
        for field in fields {
            let text = std::str::from_utf8(&header[field.start..field.end])
                .map_err(|_| Error::schema(place, "the header is not UTF-8: save it as UTF-8"))?;
            let mut ignored = super::clean::FormatChanges::default();
            let name = super::clean::bare(text, field.quoted, field.escaped, &mut ignored);
            names.push(name.into_owned());
        }
        let mut positions = Vec::with_capacity(schema.width());
        let mut missing = Vec::new();
        let mut present = false;
        for column in schema.columns() {
            let mut found = names.iter().enumerate().filter(|(_, n)| **n == column.name);
            let position = found.next().map(|(i, _)| i);
            present |= position.is_some();
            if found.next().is_some() {
                let message = format!("the header names \"{}\" twice: remove one", column.name);
                return Err(Error::schema(place, message));
            }
            let ignored = purpose == Purpose::Prediction && column.role == Role::Target;
            let optional = purpose != Purpose::Labelled && column.role == Role::Id;
            if position.is_none() && !optional && !ignored {
                missing.push(format!("\"{}\"", column.name));
            }
            positions.push(position.filter(|_| !ignored));
        }
        if !missing.is_empty() {
            return Err(Error::schema(place, missing_message(&missing, &names, present)));
        }
        let extra = (0..names.len())
            .filter(|i| !positions.contains(&Some(*i)) && names[*i] != schema.target())
            .map(|i| names[i].clone())
            .collect();
        let in_order = (0..names.len()).map(Some);
        let identical = names.len() == schema.width() && in_order.eq(positions.iter().copied());
        Ok(Self { positions, width: names.len(), extra, identical })
    }

    /// Whether a mapped column stands at another place than the schema's order would put it.
    pub(crate) fn reordered(&self) -> bool {
        !self.positions.iter().flatten().is_sorted()
    }
}

fn missing_message(missing: &[String], names: &[String], present: bool) -> String {
    let list = missing.join(", ");
    let found = names.join(", ");
    let hint = match names {
        [only] if only.contains(';') => " (it seems to use ';': save it with commas)",
        [only] if only.contains('\t') => " (it seems to use tabs: save it with commas)",
        _ if !present => " (is its first line a header?)",
        _ => "",
    };
    format!(
        "the header has no column {list}{hint}; it has: {found}. \
         Fix the file, or the section \"schema\" of the configuration"
    )
}
