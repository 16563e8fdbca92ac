//! A table of a SQLite file that receives data sets. Not for reading: see the source of the
//! same name; never for our own ledger.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mlops_core::config::OutputTable;
use mlops_core::destination::{Delivery, Destination, Version};
use mlops_core::ids::DatasetVersion;
use mlops_core::platform::digest::Digest;
use mlops_core::table::schema::{Role, Schema};
use mlops_core::{Error, Result, text};
use rusqlite::types::Value;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension as _, Statement, params, params_from_iter,
};

use super::{RECORD, Target};
use crate::table::quoted;

/// The `application_id` of ledgers.
const LEDGER: i64 = 0x4d4c_4f50;

/// The file.
pub(crate) struct File {
    path: PathBuf,
    target: Target,
    database: Connection,
}

impl File {
    pub(crate) fn open(table: &OutputTable, path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |e: &rusqlite::Error| failed(path, e);
        let database = Connection::open_with_flags(path, flags).map_err(|e| failed(&e))?;
        let application = database
            .busy_timeout(table.timeout)
            .and_then(|()| database.query_row("PRAGMA application_id", [], |row| row.get(0)));
        let application: i64 = application.map_err(|e| failed(&e))?;
        if application == LEDGER {
            return Err(Error::conflict(format!(
                "{} is a ledger: name another file",
                path.display()
            )));
        }
        Ok(Self { path: path.to_owned(), target: Target::of(table, false), database })
    }

    fn there(&self, workspace: &str) -> rusqlite::Result<Option<Vec<(u32, String)>>> {
        let Self { target, database, .. } = self;
        if kind(database, RECORD)?.is_none() || kind(database, &target.name)?.is_none() {
            return Ok(Some(Vec::new()));
        }
        if is_of_another(database, target, workspace)? {
            return Ok(None);
        }
        let sql = format!(
            "SELECT version, sha256 FROM {} WHERE table_name = ?1 AND form = ?2",
            target.record
        );
        let mut statement = database.prepare(&sql)?;
        let rows = statement
            .query_map([&target.name, &target.form()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<_>>().map(Some)
    }
}

/// An error in words.
fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    Error::data(text::bounded(format!("{}: {error}", path.display())))
}

/// What the database calls `name`: a table, a view, or nothing.
fn kind(database: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT type FROM sqlite_schema WHERE lower(name) = lower(?1) AND type <> 'index'";
    database.query_row(sql, [name], |row| row.get(0)).optional()
}

fn is_of_another(
    database: &Connection,
    target: &Target,
    workspace: &str,
) -> rusqlite::Result<bool> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM {} WHERE table_name = ?1 AND workspace <> ?2)",
        target.record
    );
    database.query_row(&sql, [&target.name, workspace], |row| row.get(0))
}

impl Destination for File {
    fn delivered(&mut self, workspace: &str) -> Result<BTreeMap<DatasetVersion, Digest>> {
        let there = self.there(workspace).map_err(|e| failed(&self.path, &e))?;
        let there = there.ok_or_else(|| self.target.of_another_workspace())?;
        // A digest that cannot be read is that of no version.
        let versions = there
            .into_iter()
            .filter_map(|(version, digest)| Some((DatasetVersion(version), digest.parse().ok()?)));
        Ok(versions.collect())
    }

    fn begin<'a>(&'a mut self, version: &Version) -> Result<Box<dyn Delivery + 'a>> {
        let Self { path, target, database } = self;
        let transaction = Transaction::begin(path, database).map_err(|e| failed(path, &e))?;
        if let Some(refusal) = prepare(database, target, version).map_err(|e| failed(path, &e))? {
            return Err(refusal);
        }
        let columns = target.columns(version.schema);
        let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
        let places = vec!["?"; columns.len()].join(", ");
        let insert =
            format!("INSERT INTO {} ({}) VALUES ({places})", target.table, names.join(", "));
        let number = target.version.as_ref().map(|_| Value::Integer(version.version.0.into()));
        let insert = database.prepare(&insert).map_err(|e| failed(path, &e))?;
        Ok(Box::new(Rows { insert, number, numeric: numeric(version.schema), transaction }))
    }
}

fn numeric(schema: &Schema) -> Vec<bool> {
    schema.columns().iter().map(|column| column.role == Role::Numeric).collect()
}

/// Makes table and record ready for the rows of `version`; or says why the table is not ours.
fn prepare(
    database: &Connection,
    target: &Target,
    version: &Version,
) -> rusqlite::Result<Option<Error>> {
    if kind(database, RECORD)?.is_none() {
        database.execute_batch(&target.create_record())?;
    }
    if is_of_another(database, target, version.workspace)? {
        return Ok(Some(target.of_another_workspace()));
    }
    let columns = target.columns(version.schema);
    let forget = format!("DELETE FROM {} WHERE table_name = ?1", target.record);
    match kind(database, &target.name)?.as_deref() {
        None => {
            database.execute(&forget, [&target.name])?;
            database.execute_batch(&target.create(&columns))?;
        }
        Some("table") => {
            let sql = format!(
                "SELECT count(*), count(*) FILTER (WHERE form = ?2) FROM {} WHERE table_name = ?1",
                target.record
            );
            let (known, fit): (i64, i64) =
                database.query_row(&sql, [&target.name, &target.form()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            let any = format!("SELECT EXISTS (SELECT 1 FROM {})", target.table);
            if known == 0 && database.query_row(&any, [], |row| row.get::<_, bool>(0))? {
                return Ok(Some(Target::of_somebody_else()));
            }
            let sql = "SELECT lower(name) FROM pragma_table_info(?1)";
            let there: Vec<String> = database
                .prepare(sql)?
                .query_map([&target.name], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let lower: Vec<(String, &str)> =
                columns.iter().map(|(name, kind)| (name.to_ascii_lowercase(), *kind)).collect();
            for addition in target.additions(&lower, &there) {
                database.execute_batch(&addition)?;
            }
            match &target.version {
                Some(column) if known == fit => {
                    let number = version.version.0;
                    let later =
                        format!("DELETE FROM {} WHERE {} >= ?1", target.table, quoted(column));
                    let sql = format!(
                        "SELECT EXISTS (SELECT 1 FROM {} WHERE table_name = ?1 AND version >= ?2)",
                        target.record
                    );
                    let any = |row: &rusqlite::Row<'_>| row.get::<_, bool>(0);
                    if database.query_row(&sql, params![target.name, number], any)? {
                        database.execute(&later, [number])?;
                    }
                    database.execute(
                        &format!("{forget} AND version >= ?2"),
                        params![target.name, number],
                    )?;
                }
                _ => {
                    database.execute(&format!("DELETE FROM {}", target.table), [])?;
                    database.execute(&forget, [&target.name])?;
                }
            }
        }
        Some(_) => return Ok(Some(Target::is_no_table())),
    }
    let sql = format!(
        "INSERT INTO {} (table_name, version, sha256, rows, form, workspace, delivered)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        target.record
    );
    let rows = i64::try_from(version.rows).unwrap_or(i64::MAX);
    database.execute(
        &sql,
        params![
            target.name,
            version.version.0,
            version.content.to_string(),
            rows,
            target.form(),
            version.workspace,
            version.now
        ],
    )?;
    Ok(None)
}

/// A transaction, which is undone unless it is committed.
struct Transaction<'a> {
    path: &'a Path,
    database: &'a Connection,
    ended: bool,
}

impl<'a> Transaction<'a> {
    fn begin(path: &'a Path, database: &'a Connection) -> rusqlite::Result<Self> {
        database.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Self { path, database, ended: false })
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // The file is closed soon, which undoes it as well.
            let _ = self.database.execute_batch("ROLLBACK");
        }
    }
}

struct Rows<'a> {
    insert: Statement<'a>,
    number: Option<Value>,
    numeric: Vec<bool>,
    transaction: Transaction<'a>,
}

impl Delivery for Rows<'_> {
    fn row(&mut self, cells: &[Cow<'_, str>]) -> Result<()> {
        let values = cells.iter().zip(&self.numeric).map(|(cell, numeric)| value(cell, *numeric));
        let values = self.number.iter().cloned().chain(values);
        let added = self.insert.execute(params_from_iter(values));
        added.map(drop).map_err(|e| failed(self.transaction.path, &e))
    }

    fn commit(mut self: Box<Self>) -> Result<()> {
        let Transaction { path, database, .. } = self.transaction;
        database.execute_batch("COMMIT").map_err(|e| failed(path, &e))?;
        self.transaction.ended = true;
        Ok(())
    }
}

/// A cell as a value: whole numbers exactly as far as SQLite has them, others as the nearest double.
fn value(cell: &str, numeric: bool) -> Value {
    if cell.is_empty() {
        return Value::Null;
    }
    if !numeric {
        return Value::Text(cell.to_owned());
    }
    match (cell.parse::<i64>(), cell.parse::<f64>()) {
        (Ok(number), _) => Value::Integer(number),
        (_, Ok(number)) => Value::Real(number),
        _ => Value::Text(cell.to_owned()),
    }
}
