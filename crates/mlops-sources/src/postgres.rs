//! Tables of a PostgreSQL server, read in a transaction that can only read and sees one moment.
//!
//! Not for connecting: see `server`; not for writing: see `destination`.

use std::io::Write;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use mlops_core::config;
use mlops_core::config::sources::Lag;
use mlops_core::source::{Fetched, Object, Seen, Source};
use mlops_core::{Error, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::environment::Environment;
use crate::server::Server;
use crate::table::{Extract, Mark, PAGE, Wanted, qualified, quoted};
use crate::worker;

/// The table.
pub(crate) struct Rows {
    server: Server,
    wanted: Wanted,
    seen: Mutex<Seen>,
}

/// How the rows are asked for.
struct Plan {
    relation: String,
    columns: Vec<String>,
    types: Vec<Type>,
    /// The columns that order the rows, by their places.
    order: Vec<usize>,
}

impl Plan {
    fn term(&self, at: usize) -> String {
        format!("q.{}", quoted(&self.columns[at]))
    }

    /// The type of a column in SQL.
    fn cast(&self, at: usize) -> String {
        let kind = &self.types[at];
        format!("{}.{}", quoted(kind.schema()), quoted(kind.name()))
    }

    fn names(&self) -> Vec<String> {
        self.order.iter().map(|at| self.columns[*at].clone()).collect()
    }
}

impl Rows {
    pub(crate) fn new(
        source: &config::Source,
        uri: &str,
        environment: &Environment,
    ) -> Result<Self> {
        let server = Server::new(uri, source.access.timeout, environment, advice)?;
        Ok(Self { server, wanted: Wanted::of(source), seen: Mutex::default() })
    }

    /// Connects and begins the transaction in which all is read.
    async fn begin(&self) -> Result<(Client, Plan)> {
        let client = self.server.connect().await?;
        let settings = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}; \
             SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; \
             SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL extra_float_digits = 1; \
             SET LOCAL bytea_output = 'hex'; SET LOCAL cursor_tuple_fraction = 1",
            self.server.timeout.as_millis()
        );
        self.server.in_time(client.batch_execute(&settings)).await?;
        let relation = self.wanted.relation();
        let statement =
            self.server.in_time(client.prepare(&format!("SELECT * FROM {relation}"))).await?;
        let columns: Vec<String> =
            statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let types = statement.columns().iter().map(|column| column.type_().clone()).collect();
        self.wanted.check(&columns)?;
        let mut key = self.wanted.key.clone();
        let named = !key.is_empty();
        if key.is_empty() {
            let Some(table) = &self.wanted.table else { return Err(self.wanted.keyless()) };
            let sql = "SELECT a.attname::text FROM pg_index i
                       CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
                       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                       WHERE i.indrelid = to_regclass($1) AND i.indisprimary ORDER BY k.place";
            let table = qualified(table);
            let rows =
                self.server.in_time(client.query_typed(sql, &[(&table, Type::TEXT)])).await?;
            key = rows.iter().map(|row| row.get(0)).collect();
            if key.is_empty() {
                return Err(self.wanted.keyless());
            }
        }
        let order = self.wanted.order(&key);
        let place = |name: &String| columns.iter().position(|column| column == name);
        let order: Vec<usize> = order.iter().filter_map(place).collect();
        let plan = Plan { relation, columns, types, order };
        // A primary key has no empty values.
        let doubtful =
            if named { plan.order.len() } else { usize::from(self.wanted.cursor.is_some()) };
        let doubtful: Vec<String> = plan
            .order
            .iter()
            .take(doubtful)
            .map(|at| format!("{} IS NULL", plan.term(*at)))
            .collect();
        if !doubtful.is_empty() {
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM {} WHERE {})",
                plan.relation,
                doubtful.join(" OR ")
            );
            if self.server.in_time(client.query_one(&sql, &[])).await?.get(0) {
                return Err(self.wanted.empty_keys(&plan.names()));
            }
        }
        Ok((client, plan))
    }

    /// What is subtracted from a value of the cursor's column.
    fn lag(&self, kind: &Type) -> Result<String> {
        let Some(cursor) = &self.wanted.cursor else { return Ok(String::new()) };
        let times = [Type::TIMESTAMP, Type::TIMESTAMPTZ, Type::DATE];
        let numbers =
            [Type::INT2, Type::INT4, Type::INT8, Type::NUMERIC, Type::FLOAT4, Type::FLOAT8];
        let unfit = |write: &str| {
            Error::data(format!(
                "the column {} is of the type {kind}: write its \"lag\" as {write}",
                cursor.column
            ))
        };
        match cursor.lag {
            Lag::Time(Duration::ZERO) | Lag::Number(0) => Ok(String::new()),
            Lag::Time(lag) if times.contains(kind) => {
                Ok(format!(" - interval '{} seconds'", lag.as_secs_f64()))
            }
            Lag::Number(lag) if numbers.contains(kind) => Ok(format!(" - {lag}")),
            Lag::Time(_) if numbers.contains(kind) => {
                Err(unfit("a number, in the unit of the column"))
            }
            Lag::Number(_) if times.contains(kind) => {
                Err(unfit("a length of time, such as \"2h\""))
            }
            _ => Err(unfit("0")),
        }
    }

    async fn extract(&self, seen: &Seen, to: &mut dyn Write) -> Result<Fetched> {
        let (client, plan) = self.begin().await?;
        let mark = self.wanted.cursor.as_ref().and_then(|_| Mark::left(seen));
        let first = plan.order[0];
        let (term, cast) = (plan.term(first), plan.cast(first));
        let mut largest = None;
        let mut lag = String::new();
        if self.wanted.cursor.is_some() {
            lag = self.lag(&plan.types[first])?;
            let value = in_words(&term, &plan.types[first]);
            let last = mark.as_ref().map(|mark| mark.value.clone());
            // Rows of the last mark may have been deleted, but nothing before it is new.
            let after =
                last.as_ref().map_or(String::new(), |_| format!("WHERE {term} >= $1::{cast}"));
            let sql = format!(
                "SELECT {value} FROM {} {after} ORDER BY {term} DESC LIMIT 1",
                plan.relation
            );
            let found =
                self.server.in_time(client.query_typed(&sql, &[(&last, Type::TEXT)])).await?;
            let found = found.first().and_then(|row| row.get::<_, Option<String>>(0));
            let Some(found) = found.or(last) else { return Ok(Fetched::Empty) };
            largest = Some(found);
        }

        // $1: the last mark; $2: the new one; $3: where the first extract begins; then the last row.
        let start = self.wanted.cursor.as_ref().and_then(|cursor| cursor.start.clone());
        let bounds = [mark.as_ref().map(|mark| mark.value.clone()), largest.clone(), start];
        let was = match &bounds[0] {
            Some(_) => format!("{term} <= $1::{cast}"),
            None => "false".to_owned(),
        };
        let will = match &bounds[1] {
            Some(_) => format!("{term} >= $2::{cast}{lag}"),
            None => "false".to_owned(),
        };
        let window = match &bounds {
            [Some(_), ..] => format!("{term} >= $1::{cast}{lag}"),
            [None, _, Some(_)] => format!("{term} >= $3::{cast}"),
            [None, _, None] => "true".to_owned(),
        };
        let cells: Vec<String> =
            (0..plan.columns.len()).map(|at| in_words(&plan.term(at), &plan.types[at])).collect();
        let terms: Vec<String> = plan.order.iter().map(|at| plan.term(*at)).collect();
        let terms = terms.join(", ");
        let values: Vec<String> = plan
            .order
            .iter()
            .enumerate()
            .map(|(n, at)| format!("${}::{}", n + 4, plan.cast(*at)))
            .collect();
        let after = format!("AND ({terms}) >= ({})", values.join(", "));
        let width = plan.columns.len();
        let mut extract = Extract::begin(to, &plan.columns, mark)?;
        let mut at: Option<Vec<String>> = None;
        loop {
            let sql = format!(
                "SELECT {}, {was}, {will} FROM {} WHERE {window} {} ORDER BY {terms} LIMIT {}",
                cells.join(", "),
                plan.relation,
                if at.is_some() { after.as_str() } else { "" },
                PAGE + 1,
            );
            let last = at.clone().unwrap_or_default().into_iter().map(Some);
            let values: Vec<(Option<String>, Type)> =
                bounds.iter().cloned().chain(last).map(|value| (value, Type::TEXT)).collect();
            let rows = self.server.in_time(client.query_typed_raw(&sql, values)).await?;
            let mut rows = pin!(rows);
            let mut number = 0;
            while let Some(row) = self.server.in_time(rows.try_next()).await? {
                number += 1;
                let cell = |n: usize| {
                    let cell = row.try_get::<_, Option<&str>>(n);
                    cell.map_err(|error| self.server.failed(&error))
                };
                let here = plan.order.iter().map(|n| Ok(cell(*n)?.unwrap_or_default().to_owned()));
                let here: Vec<String> = here.collect::<Result<_>>()?;
                if at.as_ref() == Some(&here) {
                    // A page begins with the last row of the one before.
                    if number == 1 {
                        continue;
                    }
                    return Err(self.wanted.equal_keys(&plan.names()));
                }
                let cells: Vec<Option<&str>> = (0..width).map(cell).collect::<Result<_>>()?;
                let flag = |n: usize| {
                    row.try_get::<_, bool>(width + n).map_err(|error| self.server.failed(&error))
                };
                extract.row(cells.into_iter(), flag(0)?, flag(1)?)?;
                at = Some(here);
            }
            if number <= PAGE {
                break;
            }
        }
        extract.end(largest)
    }
}

impl Source for Rows {
    fn list(&self, seen: &Seen) -> Result<Vec<Object>> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen.clone();
        worker::wait(self.begin())??;
        Ok(vec![self.wanted.object(seen)])
    }

    fn fetch(&self, _: &Object, to: &mut dyn Write) -> Result<Fetched> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        worker::wait(self.extract(&seen, to))?
    }
}

/// What to do about an error with this code.
fn advice(code: &str) -> &'static str {
    match code {
        "42501" => ": GRANT SELECT on the table to this user",
        "42P01" | "42703" => ": check \"table\" or \"query\", \"key\" and \"cursor.column\"",
        "57014" => {
            ": an index on the columns of the cursor and the key makes it quick; or raise \
             \"timeout\" of the source"
        }
        "25006" => ": rows are read in a transaction that cannot write",
        _ => "",
    }
}

/// A column as text: times with a T, and all else as the server spells it, exactly.
fn in_words(term: &str, kind: &Type) -> String {
    match *kind {
        Type::TIMESTAMP | Type::TIMESTAMPTZ => format!("to_json({term}) #>> '{{}}'"),
        _ => format!("{term}::text"),
    }
}
