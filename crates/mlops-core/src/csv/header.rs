//! Checks the header and maps the schema's columns to the fields of a file.
//!
//! Reordered columns are mapped by name, extra ones are dropped and reported, and a missing one
//! refuses the file. Not for rows: see [`super::parse`].

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::config::Columns;
use crate::config::contract::{Contract, Shape};
use crate::table::schema::{Column, Role, Schema};
use crate::text;
use crate::{Error, Result};

use super::chunk::Header;
use super::clean::{self, FormatChanges};
use super::record::Field;

/// Which columns the rows of a file must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// All columns of the schema: rows for training or scoring.
    Labelled,
    /// The label, and what there is of the other columns: rows whose contract lets columns be missing.
    LabelledInPart,
    /// The features; ids are optional and labels are ignored: rows to predict.
    Prediction,
    /// The features and the label; ids are optional: rows to score without keeping them.
    Evaluation,
}

impl Purpose {
    /// That of the rows of a file that is held against `contract`.
    pub(crate) fn of_rows(contract: Option<&Contract>) -> Self {
        match contract.map(|contract| contract.missing_columns) {
            Some(Shape::Evolve | Shape::DiscardValue) => Self::LabelledInPart,
            _ => Self::Labelled,
        }
    }
}

/// The mapping from schema columns to a file's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The field of each schema column; `None` for an optional column that is absent.
    pub(crate) positions: Vec<Option<usize>>,
    /// The number of fields in a record.
    pub(crate) width: usize,
    /// Columns of the file that are not in the schema.
    pub(crate) extra: Vec<String>,
    /// The file has exactly the schema's columns, in the schema's order.
    pub(crate) identical: bool,
    /// The number of names that matched only after their zero-width characters were removed.
    pub(crate) invisible: u64,
}

impl Layout {
    /// Maps the header of the file `place`, whose columns `columns` may rename.
    pub(crate) fn of(
        header: &Header,
        columns: &Columns,
        schema: &Schema,
        purpose: Purpose,
        place: &str,
    ) -> Result<Self> {
        let mut changes = FormatChanges::default();
        let mut names = names(&header.bytes, &header.fields, place, &mut changes)?;
        if !columns.is_empty() {
            for name in &mut names {
                *name = columns.ours(name).to_owned();
            }
        }
        let mut positions = Vec::with_capacity(schema.width());
        let mut missing = Vec::new();
        let mut present = false;
        let by_name = places(&names);
        let ignored =
            |column: &Column| purpose == Purpose::Prediction && column.role == Role::Target;
        for column in schema.columns() {
            let (found, exact) = find(&by_name, &column.name);
            changes.invisible += u64::from(!exact);
            present |= !found.is_empty();
            if let ([first, second, ..], false) = (found, ignored(column)) {
                let message = format!(
                    "the header names \"{}\" twice (columns {} and {}): remove or rename one",
                    text::visible(&column.name),
                    first + 1,
                    second + 1,
                );
                return Err(Error::schema(place, message));
            }
            let position = found.first().copied().filter(|_| !ignored(column));
            let optional = match purpose {
                Purpose::Labelled => false,
                Purpose::LabelledInPart => column.role != Role::Target,
                Purpose::Prediction | Purpose::Evaluation => column.role == Role::Id,
            };
            if position.is_none() && !optional && !ignored(column) {
                missing.push(column.name.as_str());
            }
            positions.push(position);
        }
        if !missing.is_empty() {
            return Err(Error::schema(place, missing_message(&missing, &names, present)));
        }
        let taken: HashSet<usize> = positions.iter().flatten().copied().collect();
        let extra = (0..names.len())
            .filter(|i| !taken.contains(i) && names[*i] != schema.target())
            .map(|i| names[i].clone())
            .collect();
        let in_order = (0..names.len()).map(Some);
        let identical = names.len() == schema.width() && in_order.eq(positions.iter().copied());
        let width = names.len();
        Ok(Self { positions, width, extra, identical, invisible: changes.invisible })
    }

    /// Whether the mapped columns are in another order than the schema's.
    pub(crate) fn reordered(&self) -> bool {
        !self.positions.iter().flatten().is_sorted()
    }
}

/// The names in a header that starts after its byte-order marks. A column without a name, such as
/// the index that pandas and R write, is named by its number: `column 1`.
pub fn names(
    header: &[u8],
    fields: &[Field],
    place: &str,
    changes: &mut FormatChanges,
) -> Result<Vec<String>> {
    let name = |(i, field): (usize, &Field)| {
        let text = std::str::from_utf8(&header[field.start..field.end]).map_err(|_| {
            Error::schema(
                place,
                "the header is not UTF-8: save the file as UTF-8, or name its encoding in \
                     \"ingestion.format.encoding\", such as \"windows-1252\"",
            )
        })?;
        let name = clean::bare(text, field.quoted, field.escaped, changes);
        Ok(if name.is_empty() { format!("column {}", i + 1) } else { name.into_owned() })
    };
    fields.iter().enumerate().map(name).collect()
}

/// The positions of each name, with and without its zero-width characters.
fn places(names: &[String]) -> HashMap<Cow<'_, str>, (Vec<usize>, bool)> {
    let mut places: HashMap<_, (Vec<usize>, bool)> = HashMap::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        places.entry(Cow::Borrowed(name.as_str())).or_insert((Vec::new(), true)).0.push(i);
    }
    for (i, name) in names.iter().enumerate() {
        let seen = clean::visible_only(name);
        if *seen != *name {
            let place = places.entry(seen).or_insert((Vec::new(), false));
            if !place.1 {
                place.0.push(i);
            }
        }
    }
    places
}

/// The position of the column `name`, and whether it is spelt exactly so.
fn find<'p>(
    places: &'p HashMap<Cow<'_, str>, (Vec<usize>, bool)>,
    name: &str,
) -> (&'p [usize], bool) {
    let found = places.get(name).or_else(|| places.get(&*clean::visible_only(name)));
    found.map_or((&[], true), |(at, exact)| (at, *exact))
}

/// Whether people may take two different names for the same: they differ in letter case, in spaces
/// and marks between words, or in letters that look alike.
fn is_alike(a: &str, b: &str) -> bool {
    let words = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    // A letter and its accent may be one character or two.
    let letters = |name: &str| -> Vec<char> {
        name.chars().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).collect()
    };
    let same = |(a, b): (&char, &char)| a == b || !a.is_ascii() || !b.is_ascii();
    let (first, second) = (letters(a), letters(b));
    let looks = first.len() == second.len()
        && first.iter().zip(&second).all(same)
        && (first.len() == 1 || first.iter().zip(&second).any(|(a, b)| a == b));
    looks || (!words(a).is_empty() && words(a) == words(b))
}

/// `name` with all non-ASCII characters as escapes.
fn escape_non_ascii(name: &str) -> String {
    let escape =
        |c: char| if c.is_ascii() { c.to_string() } else { c.escape_unicode().to_string() };
    name.chars().map(escape).collect()
}

fn missing_message(missing: &[&str], found: &[String], present: bool) -> String {
    let list = text::names(missing.iter().map(|name| format!("\"{name}\"")));
    let pairs = missing.iter().take(10).flat_map(|name| found.iter().map(move |f| (*name, f)));
    let alike = pairs.into_iter().find(|(name, found)| is_alike(name, found));
    let hint = match (found, alike) {
        _ if found.iter().any(|name| name.contains('\0')) => {
            " (this is UTF-16 or no text at all: save it as \"CSV UTF-8\")".into()
        }
        (_, Some((name, found))) => format!(
            " (\"{}\" is spelt differently from \"{}\": names must match letter for letter)",
            text::visible(&escape_non_ascii(found)),
            text::visible(&escape_non_ascii(name)),
        ),
        ([only], _) if only.contains(';') => " (it seems to use ';': save it with commas)".into(),
        ([only], _) if only.contains('\t') => " (it seems to use tabs: save it with commas)".into(),
        ([only], _) if only.contains('|') => " (it seems to use '|': save it with commas)".into(),
        _ if !present => " (is its first line a header?)".into(),
        _ => String::new(),
    };
    let found = text::names(found);
    let columns = if missing.len() == 1 { "column" } else { "columns" };
    format!(
        "the header has no {columns} {list}{hint}; it has: {found}. \
         Fix the file, the section \"schema\" of the configuration, or the \"columns\" of its source"
    )
}
