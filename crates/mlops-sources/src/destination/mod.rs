//! Database tables that receive data sets: their columns, and the record of the versions in them, which is a
//! small table beside them.
//!
//! When a data set is delivered is decided in `mlops_core::stage`; what differs between databases is in
//! [`postgres`] and [`sqlite`].

pub(crate) mod postgres;
pub(crate) mod sqlite;

use mlops_core::config::{OutputMode, OutputTable};
use mlops_core::table::schema::{Role, Schema};
use mlops_core::{Error, text};

use crate::table::{qualified, quoted};

/// The name of the record.
const RECORD: &str = "mlops_deliveries";

/// The table, and the record of it.
pub(crate) struct Target {
    /// The table's name, with that of its schema if it has one.
    name: String,
    /// As SQL spells it.
    table: String,
    /// The record, in the same schema.
    record: String,
    /// The column of the version, if there is one.
    version: Option<String>,
}

impl Target {
    /// For a database that has schemas, or none.
    fn of(table: &OutputTable, has_schemas: bool) -> Self {
        let name = table.table.clone();
        let schema = name.split_once('.').map(|(schema, _)| schema).filter(|_| has_schemas);
        let record = match schema {
            Some(schema) => format!("{}.{RECORD}", quoted(schema)),
            None => RECORD.to_owned(),
        };
        Self {
            table: if has_schemas { qualified(&name) } else { quoted(&name) },
            record,
            version: (table.mode == OutputMode::Append).then(|| table.version_column.clone()),
            name,
        }
    }

    /// What the rows of the table are, in the record: a change of it empties the table.
    fn form(&self) -> String {
        match &self.version {
            Some(column) => format!("append by {column}"),
            None => "replace".to_owned(),
        }
    }

    /// The columns with their types, in the order in which rows have them.
    fn columns(&self, schema: &Schema) -> Vec<(String, &'static str)> {
        let version = self.version.iter().map(|name| (name.clone(), "INTEGER"));
        let kind = |role| if role == Role::Numeric { "NUMERIC" } else { "TEXT" };
        version
            .chain(schema.columns().iter().map(|column| (column.name.clone(), kind(column.role))))
            .collect()
    }

    fn create(&self, columns: &[(String, &'static str)]) -> String {
        let columns = columns.iter().map(|(name, kind)| format!("{} {kind}", quoted(name)));
        format!("CREATE TABLE {} ({})", self.table, columns.collect::<Vec<_>>().join(", "))
    }

    fn create_record(&self) -> String {
        format!(
            "CREATE TABLE {} (table_name TEXT NOT NULL, version INTEGER NOT NULL, \
             sha256 TEXT NOT NULL, rows BIGINT NOT NULL, form TEXT NOT NULL, workspace TEXT NOT NULL, \
             delivered TEXT NOT NULL, PRIMARY KEY (table_name, version))",
            self.record
        )
    }

    /// The statements that add the columns which `there` lacks.
    fn additions(&self, columns: &[(String, &'static str)], there: &[String]) -> Vec<String> {
        let lacking = columns.iter().filter(|(name, _)| !there.contains(name));
        lacking
            .map(|(name, kind)| {
                format!("ALTER TABLE {} ADD COLUMN {} {kind}", self.table, quoted(name))
            })
            .collect()
    }

    fn of_another_workspace(&self) -> Error {
        Error::conflict(format!(
            "another workspace writes into it, as {} says: name another table in \
             \"output.table.table\"; or, if that workspace is gone, DELETE FROM {} WHERE table_name = \
             '{}', and empty the table",
            self.record,
            self.record,
            text::name(&self.name)
        ))
    }

    fn of_somebody_else() -> Error {
        Error::conflict(
            "it has rows that are not from here: name another table in \"output.table.table\", or empty \
             this one",
        )
    }

    fn is_no_table() -> Error {
        Error::conflict(
            "what has this name is not a table: name another one in \"output.table.table\"",
        )
    }
}
