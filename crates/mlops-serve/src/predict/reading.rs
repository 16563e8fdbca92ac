//! The number format of a request.
//!
//! A JSON number is a number. Everything else, cells of CSV and JSON strings, is read like the
//! model's files. If those have a decimal comma, programs and our own data sets still write a
//! decimal point; then both are read, as long as no number is ambiguous and all numbers of a
//! request agree. A declared format (`decimal=point` or `decimal=comma` after the media type) is
//! trusted. Not for parsing numbers: see `mlops_core::csv::cell_reader`.

use mlops_core::config::{Ingestion, NumberFormat};
use mlops_core::csv::cell_reader::{CANONICAL, CellReader};
use mlops_core::model::Model;
use mlops_core::table::schema::{Role, Schema, SchemaFields};

/// The decimal separator that a request declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Decimal {
    /// Nothing.
    #[default]
    Untold,
    Point,
    Comma,
}

impl Decimal {
    /// The separator with the name `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "point" => Some(Self::Point),
            "comma" => Some(Self::Comma),
            _ => None,
        }
    }
}

/// One way to read rows.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) cells: CellReader,
    /// The settings for CSV rows. Spellings of missing values are the model's own.
    pub(crate) rows: Ingestion,
}

/// All ways in which a release reads rows.
#[derive(Debug, Clone)]
pub(crate) struct Readings {
    untold: Reading,
    point: Reading,
    comma: Reading,
    /// The format of the model's files.
    pub(crate) files: Reading,
    /// The schema with numbers as texts, for rows whose cells are examined one by one.
    pub(crate) texts: Schema,
}

impl Readings {
    pub(crate) fn of(model: &Model, options: &Ingestion) -> Self {
        let reading = |numbers: NumberFormat| Reading {
            cells: CellReader::new(&model.schema, &model.missing_values, numbers)
                .with_date_pattern(model.date_pattern.as_deref()),
            rows: Ingestion {
                missing_values: model.missing_values.clone(),
                numbers,
                date_pattern: model.date_pattern.clone(),
                ..options.clone()
            },
        };
        let own = model.numbers;
        let files = reading(own);
        let untold = Reading { cells: files.cells.clone().or_canonical(), ..files.clone() };
        let told = |decimal| {
            let other = NumberFormat { decimal, ..CANONICAL };
            reading(if own.decimal == decimal { own } else { other })
        };
        Self { untold, point: told('.'), comma: told(','), files, texts: texts(&model.schema) }
    }

    /// The reading for a request that declares `decimal`.
    pub(crate) fn get(&self, decimal: Decimal) -> &Reading {
        match decimal {
            Decimal::Untold => &self.untold,
            Decimal::Point => &self.point,
            Decimal::Comma => &self.comma,
        }
    }
}

/// `schema` with its numbers and dates as categories; all columns keep their positions.
fn texts(schema: &Schema) -> Schema {
    let names = |roles: &[Role]| -> Vec<String> {
        let names = roles.iter().flat_map(|role| schema.names(*role));
        names.map(str::to_owned).collect()
    };
    let features = names(&[Role::Numeric, Role::Date, Role::Categorical]);
    let ids = names(&[Role::Id]);
    let (target, positive) = (schema.target(), schema.positive_label());
    Schema::new(SchemaFields {
        id: &ids,
        categorical: &features,
        target,
        positive_label: positive,
        negative_label: schema.negative_label(),
        ..SchemaFields::default()
    })
}
