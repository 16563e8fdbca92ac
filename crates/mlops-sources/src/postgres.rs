//! Tables of a PostgreSQL server, read in a transaction that can only read and sees one moment.
//!
//! The password comes from PGPASSWORD, or from the file that PGPASSFILE names (by default
//! ~/.pgpass), or stands in the address. Not for writing.

use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use mlops_core::config;
use mlops_core::config::sources::{Lag, without_secrets};
use mlops_core::source::{Fetched, Object, Seen, Source};
use mlops_core::{Error, Result, text};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls};

use crate::environment::Environment;
use crate::table::{Extract, Mark, PAGE, Wanted, qualified, quoted};
use crate::{hosts, tls, worker};

/// Attempts to connect.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How much longer than the server an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The table.
pub(crate) struct Server {
    config: Config,
    /// For messages.
    address: String,
    timeout: Duration,
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

impl Server {
    pub(crate) fn new(
        source: &config::Source,
        uri: &str,
        environment: &Environment,
    ) -> Result<Self> {
        let address = without_secrets(uri);
        let checked = uri.contains("sslmode=verify-");
        // Certificates are always verified.
        let plain = uri
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = plain.parse().map_err(|_| {
            Error::data(format!(
                "its \"uri\" is not of the form postgres://USER@HOST:PORT/DATABASE?sslmode=require: \
                 {address}"
            ))
        })?;
        if config.get_hosts().is_empty() {
            config.host(environment.get("PGHOST").unwrap_or("localhost"));
        }
        if config.get_user().is_none() {
            let user = environment.get("PGUSER").or_else(|| environment.get("USER"));
            config.user(user.unwrap_or("postgres"));
        }
        if config.get_password().is_none()
            && let Some(password) = password(&config, environment)
        {
            config.password(password);
        }
        let named = uri.contains("sslmode=");
        let here = config.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => hosts::is_loopback(name),
            Host::Unix(_) => true,
        });
        if here && !checked && config.get_ssl_mode() != SslMode::Require {
            config.ssl_mode(SslMode::Disable);
        } else if !named {
            config.ssl_mode(SslMode::Require);
        }
        config
            .application_name("mlops")
            .connect_timeout(source.access.timeout.min(Duration::from_secs(10)));
        Ok(Self {
            config,
            address,
            timeout: source.access.timeout,
            wanted: Wanted::of(source),
            seen: Mutex::default(),
        })
    }

    /// An error in words, with what to do.
    fn failed(&self, error: &tokio_postgres::Error) -> Error {
        let address = &self.address;
        if let Some(said) = error.as_db_error() {
            let words = text::one_line(said.message());
            let advice = match said.code().code() {
                "28P01" | "28000" => {
                    ": check the user in the address, and PGPASSWORD or the file of PGPASSFILE"
                }
                "3D000" => ": check the name of the database in the address",
                "42501" => ": GRANT SELECT on the table to this user",
                "42P01" | "42703" => {
                    ": check \"table\" or \"query\", \"key\" and \"cursor.column\""
                }
                "57014" => {
                    ": an index on the columns of the cursor and the key makes it quick; or raise \
                     \"timeout\" of the source"
                }
                "25006" => ": rows are read in a transaction that cannot write",
                _ => "",
            };
            return Error::remote(text::bounded(format!("{address}: {words}{advice}")));
        }
        let mut words = text::causes(error);
        if words.contains("password missing") {
            words += ": set PGPASSWORD, or add a line to the file of PGPASSFILE";
        } else if words.contains("TLS") || words.contains("certificate") {
            words += ": the server's certificate must be one that this machine trusts (SSL_CERT_FILE); \
                      sslmode=disable in the address connects without encryption";
        }
        Error::remote(text::bounded(format!("{address}: {}", text::one_line(&words))))
    }

    async fn connect(&self) -> Result<Client> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let connected = if self.config.get_ssl_mode() == SslMode::Disable {
                self.config.connect(NoTls).await.map(|(client, connection)| {
                    tokio::spawn(connection);
                    client
                })
            } else {
                self.config.connect(tls::postgres()?).await.map(|(client, connection)| {
                    tokio::spawn(connection);
                    client
                })
            };
            match connected {
                Ok(client) => return Ok(client),
                Err(error) if error.as_db_error().is_none() && attempt < ATTEMPTS => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => return Err(self.failed(&error)),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// The answer, unless it takes too long: the server ends its statements itself, but a network may
    /// fall silent.
    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.timeout + PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|error| self.failed(&error)),
            Err(_) => Err(Error::remote(format!(
                "{}: no answer within {:?}",
                self.address,
                self.timeout + PATIENCE
            ))),
        }
    }

    /// Connects and begins the transaction in which all is read.
    async fn begin(&self) -> Result<(Client, Plan)> {
        let client = self.connect().await?;
        let settings = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}; \
             SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; \
             SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL extra_float_digits = 1; \
             SET LOCAL bytea_output = 'hex'; SET LOCAL cursor_tuple_fraction = 1",
            self.timeout.as_millis()
        );
        self.in_time(client.batch_execute(&settings)).await?;
        let relation = self.wanted.relation();
        let statement = self.in_time(client.prepare(&format!("SELECT * FROM {relation}"))).await?;
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
            let rows = self.in_time(client.query_typed(sql, &[(&table, Type::TEXT)])).await?;
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
            if self.in_time(client.query_one(&sql, &[])).await?.get(0) {
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
            let found = self.in_time(client.query_typed(&sql, &[(&last, Type::TEXT)])).await?;
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
            let rows = self.in_time(client.query_typed_raw(&sql, values)).await?;
            let mut rows = pin!(rows);
            let mut number = 0;
            while let Some(row) = self.in_time(rows.try_next()).await? {
                number += 1;
                let cell = |n: usize| {
                    let cell = row.try_get::<_, Option<&str>>(n);
                    cell.map_err(|error| self.failed(&error))
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
                    row.try_get::<_, bool>(width + n).map_err(|error| self.failed(&error))
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

impl Source for Server {
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

/// A column as text: times with a T, and all else as the server spells it, exactly.
fn in_words(term: &str, kind: &Type) -> String {
    match *kind {
        Type::TIMESTAMP | Type::TIMESTAMPTZ => format!("to_json({term}) #>> '{{}}'"),
        _ => format!("{term}::text"),
    }
}

/// The password of the environment, or of a line of the password file that fits.
fn password(config: &Config, environment: &Environment) -> Option<String> {
    if let Some(password) = environment.get("PGPASSWORD") {
        return Some(password.to_owned());
    }
    let home = || Some(PathBuf::from(environment.get("HOME")?).join(".pgpass"));
    let path = environment.get("PGPASSFILE").map(PathBuf::from).or_else(home)?;
    let host = match config.get_hosts().first()? {
        Host::Tcp(name) => name.clone(),
        Host::Unix(_) => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = config.get_user()?;
    let database = config.get_dbname().unwrap_or(user);
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| fitting(line, [&host, &port, database, user]))
}

/// The password of a line `host:port:database:user:password`, where `*` fits all.
fn fitting(line: &str, wanted: [&str; 4]) -> Option<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(characters.next()),
            c => fields.last_mut()?.push(c),
        }
    }
    let (password, fields) = fields.split_last()?;
    let fits = fields.len() == 4
        && fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
    (fits && !line.starts_with('#')).then(|| password.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_file_is_read_as_libpq_reads_it() {
        let wanted = ["db", "5432", "crm", "me"];
        assert_eq!(
            fitting("db:5432:crm:me:pass\\:word\\\\", wanted).as_deref(),
            Some("pass:word\\")
        );
        assert_eq!(fitting("*:*:*:me:a:b", wanted).as_deref(), Some("a:b"));
        for none in ["", "#db:5432:crm:me:x", "db:5432:crm:you:x", "db:5432:crm", "other:*:*:*:x"] {
            assert_eq!(fitting(none, wanted), None, "{none}");
        }
    }
}
