//! A table of a PostgreSQL server that receives data sets, by COPY. Not for connecting: see
//! `server`; not for reading: see the source of the same name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::SinkExt as _;
use mlops_core::config::OutputTable;
use mlops_core::destination::{Delivery, Destination, Version};
use mlops_core::ids::DatasetVersion;
use mlops_core::platform::digest::Digest;
use mlops_core::{Error, Result, text};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, CopyInSink, Row};

use super::Target;
use crate::environment::Environment;
use crate::table::quoted;
use crate::{server, worker};

/// Rows are sent in pieces of about so many bytes.
const PIECE: usize = 1 << 18;

/// The server, with a connection.
pub(crate) struct Server {
    connection: server::Server,
    target: Target,
    client: Client,
}

impl Server {
    pub(crate) fn open(table: &OutputTable, environment: &Environment) -> Result<Self> {
        let server = server::Server::new(&table.uri, table.timeout, environment, advice)?;
        let client = worker::wait(server.connect())??;
        let opened = Self { connection: server, target: Target::of(table, true), client };
        let limit = table.timeout.as_millis();
        worker::wait(
            opened.run(&format!("SET statement_timeout = {limit}; SET lock_timeout = {limit}")),
        )??;
        Ok(opened)
    }

    async fn rows(&self, sql: &str, values: &[&str]) -> Result<Vec<Row>> {
        let texts: Vec<(&(dyn ToSql + Sync), Type)> = values
            .iter()
            .map(|value| {
                let value: &(dyn ToSql + Sync) = value;
                (value, Type::TEXT)
            })
            .collect();
        self.connection.in_time(self.client.query_typed(sql, &texts)).await
    }

    async fn run(&self, sql: &str) -> Result<()> {
        self.connection.in_time(self.client.batch_execute(sql)).await
    }

    /// What the server calls `name`, in one letter; nothing if there is no such thing.
    async fn kind(&self, name: &str) -> Result<Option<String>> {
        let sql = "SELECT relkind::text FROM pg_class WHERE oid = to_regclass($1)";
        Ok(self.rows(sql, &[name]).await?.first().map(|row| row.get(0)))
    }

    async fn check_owner(&self, workspace: &str) -> Result<()> {
        let sql = format!(
            "SELECT 1 FROM {} WHERE table_name = $1 AND workspace <> $2 LIMIT 1",
            self.target.record
        );
        if self.rows(&sql, &[&self.target.name, workspace]).await?.is_empty() {
            Ok(())
        } else {
            Err(self.target.of_another_workspace())
        }
    }

    async fn there(&self, workspace: &str) -> Result<Vec<(i32, String)>> {
        let Target { name, table, record, .. } = &self.target;
        if self.kind(record).await?.is_none() || self.kind(table).await?.is_none() {
            return Ok(Vec::new());
        }
        self.check_owner(workspace).await?;
        let sql =
            format!("SELECT version, sha256 FROM {record} WHERE table_name = $1 AND form = $2");
        let rows = self.rows(&sql, &[name, &self.target.form()]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Begins the transaction, makes table and record ready, and asks for rows.
    async fn prepare(&self, version: &Version<'_>) -> Result<CopyInSink<Bytes>> {
        let Target { name, table, record, .. } = &self.target;
        self.run("BEGIN").await?;
        if self.kind(record).await?.is_none() {
            self.run(&self.target.create_record()).await?;
        }
        // One at a time; who only reads the record is not kept waiting.
        self.run(&format!("LOCK TABLE {record} IN SHARE ROW EXCLUSIVE MODE")).await?;
        self.check_owner(version.workspace).await?;
        let columns = self.target.columns(version.schema);
        let forget = format!("DELETE FROM {record} WHERE table_name = $1");
        match self.kind(table).await?.as_deref() {
            None => {
                self.rows(&forget, &[name]).await?;
                self.run(&self.target.create(&columns)).await?;
            }
            // Ordinary tables and those that are partitioned.
            Some("r" | "p") => self.make_room(version, &columns, &forget).await?,
            Some(_) => return Err(Target::is_no_table()),
        }
        let sql = format!(
            "INSERT INTO {record} (table_name, version, sha256, rows, form, workspace, delivered)
             VALUES ($1, $2::text::integer, $3, $4::text::bigint, $5, $6, $7)"
        );
        let Version { version: number, content: sha256, rows, workspace, now, .. } = version;
        let values = [number.to_string(), sha256.to_string(), rows.to_string(), self.target.form()];
        let [number, sha256, rows, form] = values.each_ref().map(String::as_str);
        self.rows(&sql, &[name, number, sha256, rows, form, workspace, now]).await?;
        // The server may take its time as long as rows flow.
        self.run("SET LOCAL statement_timeout = 0").await?;
        let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
        let copy = format!("COPY {table} ({}) FROM STDIN", names.join(", "));
        self.connection.in_time(self.client.copy_in(&copy)).await
    }

    /// Removes what the version replaces from a table that is there, and adds columns that it lacks.
    async fn make_room(
        &self,
        version: &Version<'_>,
        columns: &[(String, &'static str)],
        forget: &str,
    ) -> Result<()> {
        let Target { name, table, record, .. } = &self.target;
        let known = format!("SELECT form FROM {record} WHERE table_name = $1");
        let known = self.rows(&known, &[name]).await?;
        if known.is_empty()
            && !self.rows(&format!("SELECT 1 FROM {table} LIMIT 1"), &[]).await?.is_empty()
        {
            return Err(Target::of_somebody_else());
        }
        let sql = "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) \
                   AND attnum > 0 AND NOT attisdropped";
        let there = self.rows(sql, &[table]).await?;
        let there: Vec<String> = there.iter().map(|row| row.get(0)).collect();
        for addition in self.target.additions(columns, &there) {
            self.run(&addition).await?;
        }
        let form = self.target.form();
        let fit = known.iter().all(|row| row.get::<_, String>(0) == form);
        match &self.target.version {
            Some(column) if fit => {
                let number = version.version.to_string();
                let later = format!(
                    "DELETE FROM {record} WHERE table_name = $1 AND version >= $2::text::integer \
                     RETURNING version"
                );
                if !self.rows(&later, &[name, &number]).await?.is_empty() {
                    let column = quoted(column);
                    self.run(&format!("DELETE FROM {table} WHERE {column} >= {number}")).await?;
                }
            }
            _ => {
                // Not TRUNCATE, which readers of the old rows would wait for, or miss them.
                self.run(&format!("DELETE FROM {table}")).await?;
                self.rows(forget, &[name]).await?;
            }
        }
        Ok(())
    }
}

/// What to do about an error with this code.
fn advice(code: &str) -> &'static str {
    match code {
        "42501" => {
            ": GRANT INSERT, SELECT, DELETE on the table and on mlops_deliveries to this user, and CREATE \
             on the schema as long as one of them is missing"
        }
        "3F000" => ": create the schema first",
        "22P02" | "42804" => {
            ": a column of the table has another type than \"schema\" says: drop the table, or name another"
        }
        "55P03" | "57014" => {
            ": somebody keeps the table locked, or it is slow: raise \"output.table.timeout\""
        }
        _ => "",
    }
}

impl Destination for Server {
    fn delivered(&mut self, workspace: &str) -> Result<BTreeMap<DatasetVersion, Digest>> {
        let there = worker::wait(self.there(workspace))??;
        // A digest that cannot be read is that of no version.
        let versions = there.into_iter().filter_map(|(version, digest)| {
            Some((DatasetVersion(u32::try_from(version).ok()?), digest.parse().ok()?))
        });
        Ok(versions.collect())
    }

    fn begin<'a>(&'a mut self, version: &Version) -> Result<Box<dyn Delivery + 'a>> {
        let copy = worker::wait(self.prepare(version))?;
        let sink = match copy {
            Ok(sink) => Some(Box::pin(sink)),
            Err(error) => {
                // What comes next, if anything, begins anew.
                let _ = worker::wait(self.run("ROLLBACK"))?;
                return Err(error);
            }
        };
        let number = self.target.version.as_ref().map(|_| version.version.to_string());
        let columns =
            self.target.columns(version.schema).into_iter().map(|(name, _)| name).collect();
        let text = Vec::with_capacity(2 * PIECE);
        Ok(Box::new(Rows { server: self, sink, number, columns, text }))
    }
}

struct Rows<'a> {
    server: &'a Server,
    sink: Option<Pin<Box<CopyInSink<Bytes>>>>,
    number: Option<String>,
    /// The names of the columns, for messages.
    columns: Vec<String>,
    text: Vec<u8>,
}

impl Rows<'_> {
    fn send(&mut self) -> Result<()> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        let piece = Bytes::from(std::mem::replace(&mut self.text, Vec::with_capacity(2 * PIECE)));
        worker::wait(self.server.connection.in_time(sink.send(piece)))?
    }
}

impl Delivery for Rows<'_> {
    fn row(&mut self, cells: &[Cow<'_, str>]) -> Result<()> {
        let number = self.number.iter().map(String::as_str);
        for (at, cell) in number.chain(cells.iter().map(AsRef::as_ref)).enumerate() {
            if at > 0 {
                self.text.push(b'\t');
            }
            if cell.contains('\0') {
                return Err(has_nul(cell, &self.columns[at]));
            }
            push(cell, &mut self.text);
        }
        self.text.push(b'\n');
        if self.text.len() >= PIECE { self.send() } else { Ok(()) }
    }

    fn commit(mut self: Box<Self>) -> Result<()> {
        self.send()?;
        let server = &self.server.connection;
        if let Some(mut sink) = self.sink.take() {
            worker::wait(server.in_time(sink.as_mut().finish()))??;
        }
        worker::wait(self.server.run("COMMIT"))?
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        // After a commit, and on a connection that is broken, this does nothing.
        if self.sink.take().is_some() {
            let _ = worker::wait(self.server.run("ROLLBACK"));
        }
    }
}

/// No other spelling would be read back as the same text.
fn has_nul(cell: &str, column: &str) -> Error {
    let column = text::name(column);
    Error::data(format!(
        "PostgreSQL has no texts with the character NUL, as in \"{}\" of the column {column}: correct the file; or \
         keep such rows out by \"pattern\": \"[^\\\\x00]*\" in \"contract.columns.{column}\", and ingest with --rebuild",
        text::name(cell)
    ))
}

/// A cell, which has no NUL, in the text format of COPY.
fn push(cell: &str, out: &mut Vec<u8>) {
    if cell.is_empty() {
        out.extend_from_slice(b"\\N");
        return;
    }
    for byte in cell.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.push(byte),
        }
    }
}
