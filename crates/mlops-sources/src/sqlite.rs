//! Tables of a SQLite file. It is opened read-only, and no statement takes longer than `timeout`. Not
//! for our own ledger; not for writing: see `destination`.

use std::io::Write;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use mlops_core::config;
use mlops_core::config::sources::Lag;
use mlops_core::source::{Around, Fetched, Object, Seen, Source};
use mlops_core::{Error, Result, text};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params_from_iter};

use crate::table::{Extract, Mark, PAGE, Wanted, quoted};

/// The table.
pub(crate) struct File {
    path: PathBuf,
    timeout: Duration,
    wanted: Wanted,
    seen: Mutex<Seen>,
}

/// How many instructions of its virtual machine SQLite carries out between two looks at the clock.
const INSTRUCTIONS: i32 = 10_000;

/// A connection whose statements are ended when their time is over: a view can run for ever.
struct Database {
    connection: Connection,
    timeout: Duration,
    deadline: Arc<Mutex<Instant>>,
}

impl Database {
    fn of(mut connection: Connection, timeout: Duration) -> rusqlite::Result<Self> {
        let deadline = Arc::new(Mutex::new(Instant::now() + timeout));
        let until = Arc::clone(&deadline);
        let is_over =
            move || Instant::now() >= *until.lock().unwrap_or_else(PoisonError::into_inner);
        connection.progress_handler(INSTRUCTIONS, Some(is_over))?;
        Ok(Self { connection, timeout, deadline })
    }

    /// From now on, there is the whole time again.
    fn anew(&self) -> &Connection {
        let mut deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        *deadline = Instant::now() + self.timeout;
        &self.connection
    }
}

impl Deref for Database {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// How the rows are asked for.
struct Plan {
    relation: String,
    columns: Vec<String>,
    /// Names for messages, and the terms in SQL.
    order: Vec<String>,
    terms: Vec<String>,
}

impl File {
    pub(crate) fn new(source: &config::Source, uri: &str, around: &Around<'_>) -> Self {
        let path = uri.strip_prefix("sqlite:").unwrap_or(uri);
        let path = path.strip_prefix("//").unwrap_or(path);
        Self {
            path: around.base.join(path),
            timeout: source.access.timeout,
            wanted: Wanted::of(source),
            seen: Mutex::default(),
        }
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
            return Error::data(format!(
                "{}: statement timeout: {} took longer than {:?}: an index on the columns of the cursor and \
                 the key makes it quick; or raise \"timeout\" of the source",
                self.path.display(),
                self.wanted.name(),
                self.timeout
            ));
        }
        Error::data(text::bounded(format!("{}: {error}", self.path.display())))
    }

    fn connect(&self) -> Result<Database> {
        if !self.path.is_file() {
            return Err(Error::data(format!(
                "there is no file {}: check the \"uri\", which is relative to the configuration",
                self.path.display()
            )));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(&self.path, flags);
        let database = database.map_err(|e| self.failed(&e))?;
        let ready = database
            .busy_timeout(self.timeout)
            .and_then(|()| database.execute_batch("PRAGMA query_only = ON; BEGIN"));
        ready.map_err(|e| self.failed(&e))?;
        Database::of(database, self.timeout).map_err(|e| self.failed(&e))
    }

    fn plan(&self, database: &Database) -> Result<Plan> {
        let relation = self.wanted.relation();
        let statement = database.prepare(&format!("SELECT * FROM {relation}"));
        let statement = statement.map_err(|e| self.failed(&e))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        self.wanted.check(&columns)?;
        let mut key = self.wanted.key.clone();
        let mut relation = relation;
        let mut by_number = false;
        if key.is_empty() {
            let Some(table) = &self.wanted.table else { return Err(self.wanted.keyless()) };
            key = primary_key(database, table).map_err(|e| self.failed(&e))?;
            if key.is_empty() {
                // A table without a key numbers its rows; a view does not.
                by_number = true;
                relation = format!("{} AS q", quoted(table));
                let numbered = database.prepare(&format!("SELECT q.rowid FROM {relation}"));
                numbered.map_err(|_| self.wanted.keyless())?;
            }
        }
        let order = self.wanted.order(&key);
        let mut terms: Vec<String> =
            order.iter().map(|name| format!("q.{}", quoted(name))).collect();
        if by_number {
            terms.push("q.rowid".to_owned());
        }
        let empty: Vec<String> = terms.iter().map(|term| format!("{term} IS NULL")).collect();
        let empty =
            format!("SELECT EXISTS (SELECT 1 FROM {relation} WHERE {})", empty.join(" OR "));
        let empty: bool =
            database.anew().query_row(&empty, [], |row| row.get(0)).map_err(|e| self.failed(&e))?;
        if empty {
            return Err(self.wanted.empty_keys(&order));
        }
        Ok(Plan { relation, columns, order, terms })
    }

    /// The largest value of the cursor's column, at least that of the last extract.
    fn largest(&self, database: &Database, plan: &Plan, last: Option<&Value>) -> Result<Value> {
        let term = &plan.terms[0];
        let sql = format!(
            "SELECT max({term}, coalesce(?1, {term})) FROM {} ORDER BY {term} DESC LIMIT 1",
            plan.relation
        );
        let found = database.anew().query_row(&sql, [last], |row| row.get::<_, Value>(0));
        match found {
            Ok(value) => Ok(value),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(last.cloned().unwrap_or(Value::Null)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The value at which an extract begins that comes after `value`.
    fn lagging(&self, value: &Value) -> Result<Value> {
        let Some(cursor) = &self.wanted.cursor else { return Ok(Value::Null) };
        let unfit = |kind: &str, write: &str| {
            Error::data(format!(
                "the column {} has {kind}: write its \"lag\" as {write}",
                cursor.column
            ))
        };
        match (cursor.lag, value) {
            (Lag::Time(Duration::ZERO) | Lag::Number(0), value) => Ok(value.clone()),
            (Lag::Number(lag), Value::Integer(value)) => {
                Ok(Value::Integer(value.saturating_sub(i64::try_from(lag).unwrap_or(i64::MAX))))
            }
            (Lag::Number(lag), Value::Real(value)) => Ok(Value::Real(value - lag as f64)),
            (Lag::Time(lag), Value::Text(value)) => before(value, lag)
                .map(Value::Text)
                .ok_or_else(|| unfit("texts that are no times, such as 2025-01-31 12:00:00", "0")),
            (Lag::Time(_), Value::Null) => Ok(Value::Null),
            (Lag::Time(_), _) => Err(unfit("numbers", "a number, in the unit of the column")),
            (Lag::Number(_), _) => Err(unfit("texts", "a length of time, such as \"2h\"")),
        }
    }
}

/// The columns of the primary key, in their order.
fn primary_key(database: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk";
    database.prepare(sql)?.query_map([table], |row| row.get(0))?.collect()
}

impl Source for File {
    fn list(&self, seen: &Seen) -> Result<Vec<Object>> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen.clone();
        self.plan(&self.connect()?)?;
        Ok(vec![self.wanted.object(seen)])
    }

    fn fetch(&self, _: &Object, to: &mut dyn Write) -> Result<Fetched> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let database = self.connect()?;
        let plan = self.plan(&database)?;
        let failed = |e: rusqlite::Error| self.failed(&e);

        let mark = self.wanted.cursor.as_ref().and_then(|_| Mark::left(&seen));
        let last = mark.as_ref().map(|mark| stored(&mark.value));
        let (mut largest, mut from, mut again) = (None, Value::Null, Value::Null);
        if let Some(cursor) = &self.wanted.cursor {
            let found = self.largest(&database, &plan, last.as_ref())?;
            if found == Value::Null {
                return Ok(Fetched::Empty);
            }
            from = match (&last, &cursor.start) {
                (Some(last), _) => self.lagging(last)?,
                (None, Some(start)) => given(start),
                (None, None) => Value::Null,
            };
            again = self.lagging(&found)?;
            largest = Some(found);
        }

        // ?1: where it begins; ?2: the last mark; ?3: where the next one begins; then the last row.
        let first = &plan.terms[0];
        let with_cursor = largest.is_some();
        let flags = if with_cursor {
            format!("coalesce({first} <= ?2, 0), {first} >= ?3")
        } else {
            "?2 IS NOT NULL, ?3 IS NOT NULL".to_owned()
        };
        let window = if with_cursor {
            format!("(?1 IS NULL OR {first} >= ?1)")
        } else {
            "?1 IS NULL".to_owned()
        };
        let columns: Vec<String> =
            plan.columns.iter().map(|name| format!("q.{}", quoted(name))).collect();
        let sql = |after: &str| {
            format!(
                "SELECT {}, {flags}, {terms} FROM {} WHERE {window} {after} ORDER BY {terms} LIMIT {}",
                columns.join(", "),
                plan.relation,
                PAGE + 1,
                terms = plan.terms.join(", "),
            )
        };
        let numbers: Vec<String> = (0..plan.terms.len()).map(|n| format!("?{}", n + 4)).collect();
        let after = format!("AND ({}) >= ({})", plan.terms.join(", "), numbers.join(", "));
        let mut extract = Extract::begin(to, &plan.columns, mark)?;
        let mut at: Option<Vec<Value>> = None;
        loop {
            let sql = sql(if at.is_some() { &after } else { "" });
            let mut statement = database.anew().prepare(&sql).map_err(failed)?;
            let bounds = [from.clone(), last.clone().unwrap_or(Value::Null), again.clone()];
            let values = bounds.into_iter().chain(at.clone().unwrap_or_default());
            let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
            let mut number = 0;
            while let Some(row) = rows.next().map_err(failed)? {
                number += 1;
                let width = plan.columns.len();
                let here: rusqlite::Result<Vec<Value>> =
                    (0..plan.terms.len()).map(|n| row.get(width + 2 + n)).collect();
                let here = here.map_err(failed)?;
                if at.as_ref() == Some(&here) {
                    // A page begins with the last row of the one before.
                    if number == 1 {
                        continue;
                    }
                    return Err(self.wanted.equal_keys(&plan.order));
                }
                let cells = cells(row, &plan.columns)?;
                let flag = |n: usize| row.get::<_, bool>(width + n).map_err(failed);
                let cells = cells.iter().map(Option::as_deref);
                extract.row(cells, flag(0)?, flag(1)?)?;
                at = Some(here);
            }
            if number <= PAGE {
                break;
            }
        }
        extract.end(largest.map(|value| kept(&value)))
    }
}

/// The cells of a row as texts.
fn cells(row: &Row<'_>, columns: &[String]) -> Result<Vec<Option<String>>> {
    let cell = |(at, name): (usize, &String)| {
        let value = row.get_ref(at).map_err(|e| Error::backend("SQLite", e))?;
        Ok(match value {
            ValueRef::Null => None,
            ValueRef::Integer(value) => Some(value.to_string()),
            ValueRef::Real(value) => Some(format!("{value:?}")),
            ValueRef::Text(bytes) => Some(
                std::str::from_utf8(bytes)
                    .map_err(|_| {
                        Error::data(format!("the column {name} has a text that is not UTF-8"))
                    })?
                    .to_owned(),
            ),
            ValueRef::Blob(bytes) => Some(hex(bytes)),
        })
    };
    columns.iter().enumerate().map(cell).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A value in a mark, with its type.
fn kept(value: &Value) -> String {
    match value {
        Value::Integer(value) => format!("i{value}"),
        Value::Real(value) => format!("r{value:?}"),
        Value::Text(value) => format!("t{value}"),
        Value::Null | Value::Blob(_) => String::new(),
    }
}

fn stored(mark: &str) -> Value {
    let number = mark.get(1..).unwrap_or_default();
    match mark.get(..1) {
        Some("i") => number.parse().map_or(Value::Null, Value::Integer),
        Some("r") => number.parse().map_or(Value::Null, Value::Real),
        Some("t") => Value::Text(number.to_owned()),
        _ => Value::Null,
    }
}

/// A value of the configuration.
fn given(start: &str) -> Value {
    match (start.parse::<i64>(), start.parse::<f64>()) {
        (Ok(value), _) => Value::Integer(value),
        (_, Ok(value)) => Value::Real(value),
        _ => Value::Text(start.to_owned()),
    }
}

/// The time before `text` by `lag`, in the same spelling, so that both compare as texts.
fn before(text: &str, lag: Duration) -> Option<String> {
    let lag = TimeDelta::from_std(lag).ok()?;
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        // A part of a day is a day.
        let days = (lag + TimeDelta::days(1) - TimeDelta::nanoseconds(1)).num_days();
        return Some(
            date.checked_sub_signed(TimeDelta::days(days))?.format("%Y-%m-%d").to_string(),
        );
    }
    let clock = text.get(11..)?;
    let zone = clock.find(['Z', '+', '-']).map_or(text.len(), |at| at + 11);
    let (time, zone) = text.split_at(zone);
    for shape in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"] {
        if let Ok(parsed) = NaiveDateTime::parse_from_str(time, shape) {
            let earlier = parsed.checked_sub_signed(lag)?;
            let digits = time.split_once('.').map_or(0, |(_, digits)| digits.len());
            let whole = earlier.format(shape.trim_end_matches("%.f")).to_string();
            let fraction = earlier.format("%9f").to_string();
            let fraction =
                if digits == 0 { String::new() } else { format!(".{fraction:0<digits$.digits$}") };
            return Some(format!("{whole}{fraction}{zone}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_times_keep_their_spelling() {
        let hour = Duration::from_hours(1);
        for (text, earlier) in [
            ("2025-03-01", "2025-02-28"),
            ("2025-03-01 00:30:00", "2025-02-28 23:30:00"),
            ("2025-03-01T00:30:00Z", "2025-02-28T23:30:00Z"),
            ("2025-03-01T00:30:00.250+02:00", "2025-02-28T23:30:00.250+02:00"),
            ("2025-03-01 00:30:00.123456", "2025-02-28 23:30:00.123456"),
        ] {
            assert_eq!(before(text, hour).as_deref(), Some(earlier));
        }
        for none in ["", "x", "yesterday noon", "2025-13-01", "31.12.2025 10:00"] {
            assert_eq!(before(none, hour), None, "{none}");
        }
    }

    #[test]
    fn marks_keep_their_types() {
        for value in [
            Value::Integer(-7),
            Value::Real(0.1),
            Value::Real(1e300),
            Value::Text("2025-01-01 10:00:00".to_owned()),
            Value::Text("i7".to_owned()),
        ] {
            assert_eq!(stored(&kept(&value)), value);
        }
    }
}
