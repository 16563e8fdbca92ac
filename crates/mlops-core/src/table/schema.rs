//! The columns of a data set: their names, roles and label spellings.
//!
//! Not for values: see `csv::clean` for what a cell may hold.

use serde::{Deserialize, Serialize};

use crate::platform::digest::Digest;

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Identifies the row; kept as text, never a feature.
    Id,
    /// A numeric feature.
    Numeric,
    /// A date or time, from which features are made.
    Date,
    /// A text with few distinct values, one-hot encoded into features.
    Categorical,
    /// The label.
    Target,
}

impl Role {
    /// Whether a table holds numbers for the column: a date is a number of days.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Numeric | Self::Date)
    }
}

/// A named column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// As in the header, trimmed.
    pub name: String,
    /// How the column is used.
    pub role: Role,
}

/// The columns in the order of all our own files: ids, numeric, date, categorical, target.
/// The configuration has checked that names are unique and that there is at least one feature and
/// exactly one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    columns: Vec<Column>,
    positive_label: String,
    negative_label: Option<String>,
}

/// What a schema is made of.
#[derive(Debug, Clone, Copy, Default)]
pub struct SchemaFields<'a> {
    /// Columns that identify a row.
    pub id: &'a [String],
    /// Columns of numbers.
    pub numeric: &'a [String],
    /// Columns of dates or times.
    pub date: &'a [String],
    /// Columns of a few texts.
    pub categorical: &'a [String],
    /// The column of the label.
    pub target: &'a str,
    /// The label of positive rows.
    pub positive_label: &'a str,
    /// The other label. Without one it is `0` beside `1`, and else learned from the data.
    pub negative_label: Option<&'a str>,
}

impl Schema {
    /// A schema with these columns and labels.
    ///
    /// ```
    /// use mlops_core::Schema;
    /// use mlops_core::table::schema::SchemaFields;
    ///
    /// let numeric = ["age", "balance"].map(str::to_owned);
    /// let schema = Schema::new(SchemaFields {
    ///     numeric: &numeric,
    ///     target: "churned",
    ///     positive_label: "yes",
    ///     ..SchemaFields::default()
    /// });
    /// assert_eq!((schema.width(), schema.negative_label()), (3, None));
    /// ```
    pub fn new(fields: SchemaFields) -> Self {
        let SchemaFields { id, numeric, date, categorical, target, .. } = fields;
        let SchemaFields { positive_label, negative_label, .. } = fields;
        let of = |names: &[String], role| -> Vec<Column> {
            names.iter().map(|name| Column { name: name.clone(), role }).collect()
        };
        let mut columns = of(id, Role::Id);
        columns.extend(of(numeric, Role::Numeric));
        columns.extend(of(date, Role::Date));
        columns.extend(of(categorical, Role::Categorical));
        columns.extend(of(&[target.to_owned()], Role::Target));
        let negative_label = match (positive_label, negative_label) {
            (_, Some(label)) => Some(label.to_owned()),
            ("1", None) => Some("0".to_owned()),
            _ => None,
        };
        Self { columns, positive_label: positive_label.to_owned(), negative_label }
    }

    /// All columns, in file order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// Names of the columns with `role`, in order.
    pub fn names(&self, role: Role) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(move |c| c.role == role).map(|c| c.name.as_str())
    }

    /// Names of the columns for which a table holds numbers: numeric ones, then dates.
    pub fn numbers(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|c| c.role.is_number()).map(|c| c.name.as_str())
    }

    /// The number of columns with `role`.
    pub fn count(&self, role: Role) -> usize {
        self.names(role).count()
    }

    /// The name of the label column.
    pub fn target(&self) -> &str {
        self.names(Role::Target).next().unwrap_or_default()
    }

    /// The label that counts as positive.
    pub fn positive_label(&self) -> &str {
        &self.positive_label
    }

    /// The other label, if configured or implied; otherwise the first other label in the data.
    pub fn negative_label(&self) -> Option<&str> {
        self.negative_label.as_deref()
    }

    /// The same schema with its negative label set to `label`.
    #[must_use]
    pub fn with_negative_label(mut self, label: &str) -> Self {
        self.negative_label = Some(label.to_owned());
        self
    }

    /// Identity of the columns and the positive label. The negative label is not part of it,
    /// since it may be learned from the data.
    pub fn digest(&self) -> Digest {
        let text = serde_json::json!([self.columns, self.positive_label]).to_string();
        Digest::of(text.as_bytes())
    }

    /// The header line of our files, newline included, quoted where CSV needs it.
    pub fn header(&self) -> Vec<u8> {
        let mut line = Vec::new();
        for (i, column) in self.columns.iter().enumerate() {
            if i > 0 {
                line.push(b',');
            }
            crate::table::quote::push_text(&column.name, &mut line);
        }
        line.push(b'\n');
        line
    }
}
