//! The list `sources`: places other than the input folders from which rows come, each with its own
//! format, schedule and column names.
//!
//! Not for reaching them: see [`crate::source`].

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::columns::Columns;
use super::contract::{self, Contract};
use super::format::{Format, Kind};
use super::ingestion::{self, Ingestion, NumberFormat, OnChange};
use super::section::Section;
use super::{expect, format, normal};
use crate::expect::Expectation;
use crate::table::schema::Schema;

/// An entry of `sources`.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name, unique and fit for a folder's name.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// Which objects are taken, as a pattern with `*`, `?`, `[…]` and `**`; `None` for all.
    pub pattern: Option<String>,
    /// What an object is.
    pub mode: Mode,
    /// What its rows are for.
    pub role: Role,
    /// How its rows are read: the section `ingestion`, with the format and the names of this source.
    pub reading: Ingestion,
    /// Settings for reaching it.
    pub access: Access,
    /// When its data are due.
    pub expect: Option<Expectation>,
    /// What its rows must be.
    pub contract: Option<Contract>,
}

/// Where a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// An address with a scheme other than `file`.
    Address(String),
    /// A program and its arguments; what it writes to standard output is the object.
    Command(Vec<String>),
}

impl fmt::Display for Place {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Address(uri) => f.write_str(&without_secrets(uri)),
            // Its arguments may be secrets.
            Self::Command(words) => f.write_str(words.first().map_or("", String::as_str)),
        }
    }
}

/// An address without password, query and fragment, which may hold secrets.
pub fn without_secrets(uri: &str) -> String {
    let end = uri.find(['?', '#']).unwrap_or(uri.len());
    let uri = &uri[..end];
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let host = rest.find('/').unwrap_or(rest.len());
    // A password may have a slash in it, though it should not; an @ in a path does no harm.
    let end = |at: usize| rest[at..].find('/').map_or(rest.len(), |slash| at + slash);
    let host = rest.rfind('@').map_or(host, |at| host.max(end(at)));
    let (authority, path) = rest.split_at(host);
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    format!("{scheme}://{authority}{path}")
}

/// What an object of a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// A file.
    Files,
    /// The rows that came after those of the last extract, by a column that grows.
    Cursor(Cursor),
    /// All rows, which replace those of the last extract.
    Snapshot,
}

/// The column by which new rows of a table are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Its name in the source; empty for a command, which is told the time of the last extract.
    pub column: String,
    /// How far before the last value an extract begins, for rows that were committed late.
    pub lag: Lag,
    /// Where the first extract begins.
    pub start: Option<String>,
}

/// How far an extract overlaps the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// For a column of dates or times.
    Time(Duration),
    /// For a column of numbers.
    Number(u64),
}

/// What the rows of a source are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Labelled rows to train on.
    #[default]
    Train,
    /// Labelled rows that no model is trained on.
    Test,
    /// Outcomes of predictions, without features.
    Labels,
}

/// Settings for reaching a source. Secrets are not among them: they come from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The server, where it does not follow from the address.
    pub endpoint: Option<String>,
    /// The region of the server.
    pub region: Option<String>,
    /// Names the bucket in the path, not in the host.
    pub path_style: bool,
    /// Hosts with private addresses that may be called.
    pub allow_hosts: Vec<String>,
    /// The table that is read.
    pub table: Option<String>,
    /// The query whose rows are read, instead of a table.
    pub query: Option<String>,
    /// The columns that identify a row of the table, by which it is read in pages.
    pub key: Vec<String>,
    /// How long one request or program may take.
    pub timeout: Duration,
    /// The size above which an object is refused.
    pub max_bytes: u64,
}

/// The name of the source, and of its folder, whose files are predicted rows with labels.
pub const LABELLED: &str = "labelled";

/// That source: its files are ours, in canonical spelling, and a corrected label replaces rows.
pub(super) fn labelled(folder: PathBuf, ingestion: &Ingestion) -> Source {
    Source { role: Role::Train, ..ours(LABELLED, folder, ingestion) }
}

/// The name of the source, and of its folder, whose files are labels that were sent to the service.
pub const RECEIVED: &str = "received";

/// That source.
pub(super) fn received(folder: PathBuf, ingestion: &Ingestion) -> Source {
    Source { role: Role::Labels, ..ours(RECEIVED, folder, ingestion) }
}

/// A source of files that this program writes, in canonical spelling.
fn ours(name: &str, folder: PathBuf, ingestion: &Ingestion) -> Source {
    let format = Format {
        kind: Some(Kind::Csv),
        delimiter: Some(','),
        header: Some(true),
        encoding: Some("utf-8".to_owned()),
        ..Format::default()
    };
    let reading = Ingestion {
        numbers: NumberFormat { decimal: '.', thousands: None },
        on_change: OnChange::Supersede,
        format,
        columns: Columns::default(),
        ..ingestion.clone()
    };
    Source {
        name: name.to_owned(),
        place: Place::Folder(folder),
        pattern: None,
        mode: Mode::Files,
        role: Role::default(),
        reading,
        access: Access {
            endpoint: None,
            region: None,
            path_style: false,
            allow_hosts: Vec::new(),
            table: None,
            query: None,
            key: Vec::new(),
            timeout: Duration::from_mins(1),
            max_bytes: 1 << 40,
        },
        expect: None,
        contract: None,
    }
}

impl Source {
    /// Whether its objects are fetched to the landing folder, as they are not files of this machine.
    pub fn is_fetched(&self) -> bool {
        !matches!(self.place, Place::Folder(_))
    }

    /// Whether its rows are those of a table.
    pub fn is_database(&self) -> bool {
        let schemes = ["postgres:", "postgresql:", "sqlite:"];
        matches!(&self.place, Place::Address(uri)
            if schemes.iter().any(|scheme| uri.starts_with(scheme)))
    }
}

/// Reads the list; `at` resolves a path.
pub(super) fn sources(
    sections: Vec<Section>,
    schema: &Schema,
    ingestion: &Ingestion,
    at: impl Fn(String) -> PathBuf,
) -> Vec<Source> {
    let mut names = BTreeSet::from(["input".to_owned(), "source".to_owned()]);
    let mut sources = Vec::new();
    for mut section in sections {
        let name = name(&mut section, &mut names);
        let place = place(&mut section, &at);
        let says_format = section.has("format");
        let says_on_change = section.has("on_change");
        let reading = reading(&mut section, ingestion);
        let cursor = cursor(section.has("cursor").then(|| section.section("cursor")));
        // The time of the last extract is a cursor without a column.
        let of_times =
            Cursor { column: String::new(), lag: Lag::Time(Duration::ZERO), start: None };
        let cursor_of_command = matches!(place, Place::Command(_)).then_some(of_times);
        let modes = [("files", 0), ("cursor", 1), ("snapshot", 2)];
        let chosen = section.choice("mode", &modes, i32::from(cursor.is_some()));
        let mode = match (chosen, cursor) {
            (1, Some(cursor)) => Mode::Cursor(cursor),
            (1, None) if cursor_of_command.is_some() => {
                cursor_of_command.map_or(Mode::Files, Mode::Cursor)
            }
            (1, None) => {
                section
                    .problem("cursor", "is missing: name the column by which new rows are found");
                Mode::Files
            }
            (other, cursor) => {
                if cursor.is_some() {
                    section.problem("cursor", "is only for \"mode\": \"cursor\"");
                }
                if other == 2 { Mode::Snapshot } else { Mode::Files }
            }
        };
        let roles = [("train", Role::Train), ("test", Role::Test), ("labels", Role::Labels)];
        let mut source = Source {
            pattern: section.text("pattern"),
            role: section.choice("role", &roles, Role::Train),
            access: access(&mut section),
            expect: expect::expect(&mut section, schema, &at),
            contract: contract::contract(&mut section, schema),
            name,
            place,
            mode,
            reading,
        };
        if source.is_database() {
            // Their rows are written as our own are; a text may be a number of another kind.
            if source.reading.numbers.decimal != '.' {
                source.reading.numbers = NumberFormat { decimal: '.', thousands: None };
            }
            source.reading.format = Format {
                kind: Some(Kind::Csv),
                delimiter: Some(','),
                header: Some(true),
                encoding: Some("utf-8".to_owned()),
                ..Format::default()
            };
        }
        if source.mode == Mode::Snapshot && !says_on_change {
            source.reading.on_change = OnChange::Supersede;
        }
        check(&section, &source, schema, says_format);
        section.finish();
        sources.push(source);
    }
    sources
}

fn name(section: &mut Section, names: &mut BTreeSet<String>) -> String {
    if !section.has("name") {
        section.problem("name", "is missing: records and the landing folder call the source by it");
    }
    let name = section.text("name").unwrap_or_default();
    let fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if !name.chars().all(fit) || name.len() > 64 {
        section.problem("name", "must consist of at most 64 of a-z, 0-9, - and _");
    }
    if !names.insert(name.clone()) {
        section.problem("name", &format!("is \"{name}\", as that of another source"));
    }
    name
}

fn place(section: &mut Section, at: &impl Fn(String) -> PathBuf) -> Place {
    let command = section.texts("command");
    match (section.text("uri"), command) {
        (Some(_), Some(_)) => {
            section.problem("uri", "and \"command\" exclude each other: remove one");
            Place::Folder(PathBuf::new())
        }
        (None, Some(command)) if command.is_empty() => {
            section.problem("command", "must name a program");
            Place::Command(command)
        }
        (None, Some(command)) => Place::Command(command),
        (None, None) => {
            section.problem(
                "uri",
                "is missing: name a folder or an address such as s3://bucket/path/",
            );
            Place::Folder(PathBuf::new())
        }
        (Some(uri), None) => match uri.strip_prefix("file://") {
            Some(path) => Place::Folder(at(path.to_owned())),
            None if uri.contains("://") || uri.starts_with("sqlite:") => Place::Address(uri),
            None => Place::Folder(at(uri)),
        },
    }
}

/// The section `ingestion` with what this source has of its own.
fn reading(section: &mut Section, ingestion: &Ingestion) -> Ingestion {
    let mut format = section.section("format");
    let numbers = if format.has("decimal") || format.has("thousands") {
        ingestion::numbers(&mut format)
    } else {
        ingestion.numbers
    };
    let on_change = section.choice(
        "on_change",
        &[("supersede", OnChange::Supersede), ("append", OnChange::Append)],
        ingestion.on_change,
    );
    let format = format::format(format);
    let columns = Columns(section.pairs("columns"));
    Ingestion { numbers, on_change, format, columns, ..ingestion.clone() }
}

fn cursor(section: Option<Section>) -> Option<Cursor> {
    let mut section = section?;
    let cursor = Cursor {
        column: section.text("column").unwrap_or_default(),
        lag: if section.is_number("lag") {
            Lag::Number(section.integer("lag", &(0..=u64::MAX >> 1), 0))
        } else {
            Lag::Time(section.duration("lag").unwrap_or_default())
        },
        start: section.text("start"),
    };
    section.finish();
    Some(cursor)
}

fn access(section: &mut Section) -> Access {
    Access {
        endpoint: section.text("endpoint"),
        region: section.text("region"),
        path_style: section.boolean("path_style", false),
        allow_hosts: section.texts("allow_hosts").unwrap_or_default(),
        table: section.text("table"),
        query: section.text("query"),
        key: section.texts_or_one("key").unwrap_or_default(),
        timeout: section.duration("timeout").unwrap_or(Duration::from_mins(1)),
        max_bytes: section.integer("max_mib", &(1..=1 << 30), 1 << 20) << 20,
    }
}

/// Reports keys that do not belong to the kind of place, and names and patterns that are none.
fn check(section: &Section, source: &Source, schema: &Schema, says_format: bool) {
    if let Some(Err(error)) = source.pattern.as_deref().map(glob::Pattern::new) {
        section.problem("pattern", &format!("is not a pattern: {error}"));
    }
    let mut ours = BTreeSet::new();
    for (theirs, name) in &source.reading.columns.0 {
        let keys = ["request_id", "row", "inference_id"];
        let key = source.role == Role::Labels && keys.contains(&name.as_str());
        if !key && !schema.columns().iter().any(|column| column.name == *name) {
            let message = format!(
                "gives \"{theirs}\" the name \"{name}\", which is not a column of \"schema\""
            );
            section.problem("columns", &message);
        }
        if !ours.insert(name) {
            section.problem("columns", &format!("gives the name \"{name}\" twice"));
        }
    }
    if source.role == Role::Labels {
        let taken = "is not for a source of labels: no data set takes its rows";
        if source.expect.is_some() {
            section.problem("expect", taken);
        }
        if source.contract.is_some() {
            section.problem("contract", taken);
        }
        if matches!(source.mode, Mode::Cursor(_)) {
            let message = "must be \"files\" or \"snapshot\" for a source of labels";
            section.problem("mode", message);
        }
    }
    let database = source.is_database();
    let Access { table, query, .. } = &source.access;
    if database && table.is_some() == query.is_some() {
        section.problem("table", "or \"query\" is needed, and only one of them");
    }
    if !database && (table.is_some() || query.is_some()) {
        section.problem("table", "and \"query\" are for databases");
    }
    let command = matches!(source.place, Place::Command(_));
    if let Mode::Cursor(cursor) = &source.mode {
        if database && cursor.column.is_empty() {
            let message = "is missing: name a column that grows, such as a time of change";
            section.problem("cursor.column", message);
        }
        if command && !cursor.column.is_empty() {
            section.problem("cursor.column", "is for databases: a command is told the time");
        }
        if command && matches!(cursor.lag, Lag::Number(_)) {
            section.problem("cursor.lag", "must be a length of time for a command, such as \"1h\"");
        }
        if source.reading.keeps_equal_rows(schema) {
            section.problem(
                "mode",
                "must not be \"cursor\" while equal rows are kept: an extract overlaps the one \
                 before, and rows read twice are recognised as duplicates. Name the columns that \
                 identify a row in \"schema.id\", or set \"ingestion.duplicates\" to \"drop\"",
            );
        }
    }
    if source.mode == Mode::Snapshot && source.reading.on_change == OnChange::Append {
        section.problem("on_change", "must be \"supersede\": a snapshot replaces the one before");
    }
    let known = ["s3://", "gs://", "az://", "https://", "http://", "sqlite:"];
    if let Place::Address(uri) = &source.place
        && !database
        && !known.iter().any(|scheme| uri.starts_with(scheme))
    {
        section.problem(
            "uri",
            "must be a folder, or begin with s3://, gs://, az://, https://, http://, postgres:// or \
             sqlite:",
        );
    }
    if database && source.mode == Mode::Files {
        section.problem("mode", "must be \"cursor\" or \"snapshot\" for a database");
    }
    if !database && !command && source.mode != Mode::Files {
        section
            .problem("mode", "must be \"files\" here; the others are for databases and commands");
    }
    if database && (says_format || source.pattern.is_some()) {
        section.problem("format", "and \"pattern\" are not for a database, which has one table");
    }
    if command && source.mode == Mode::Files {
        section.problem(
            "mode",
            "must be \"cursor\" or \"snapshot\" for a command, whose output is one object",
        );
    }
}

/// Where the objects of the source `name` are kept that were fetched.
pub fn landing(output_folder: &Path, name: &str) -> PathBuf {
    normal(&output_folder.join("landing").join(name))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn secrets_are_left_out_of_addresses() {
        for (uri, shown) in [
            ("https://h/p/f.csv?sig=SECRET#x", "https://h/p/f.csv"),
            ("postgres://me:SECRET@h:5432/db?password=SECRET", "postgres://me@h:5432/db"),
            ("postgres://me@h/db", "postgres://me@h/db"),
            ("postgres://me:SEC/RET@h/db", "postgres://me@h/db"),
            ("https://me:SEC@RET@h/a", "https://me@h/a"),
            ("sqlite:crm.db", "sqlite:crm.db"),
        ] {
            assert_eq!(without_secrets(uri), shown);
        }
    }

    /// A program is mostly started beside its configuration, with a path that is not absolute.
    #[test]
    fn a_file_belongs_to_its_source_however_its_path_is_spelt() {
        let text = r#"{
            "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
            "output_model_path": "model", "prod_deployment_path": "production",
            "sources": [
                {"name": "crm", "uri": "sqlite:crm.db", "table": "t", "mode": "snapshot",
                 "columns": {"cust": "corporation"}},
                {"name": "exchange", "uri": "exchange/north"}
            ]}"#;
        let here = std::env::current_dir().unwrap();
        for config in ["config.json".into(), "./config.json".into(), here.join("config.json")] {
            let config = Config::parse(text, &config).unwrap();
            let found = |path: &Path| {
                let (source, within) = config.source_at(path)?;
                Some(format!("{}:{}", source.name, within.display()))
            };
            for (path, expected) in [
                ("out/landing/crm/a.csv", Some("crm:a.csv")),
                ("exchange/north/2025/b.csv", Some("exchange:2025/b.csv")),
                ("./exchange/../exchange/north/b.csv", Some("exchange:b.csv")),
                ("exchange/b.csv", None),
                ("in/a.csv", None),
            ] {
                assert_eq!(found(Path::new(path)).as_deref(), expected, "{path}");
                assert_eq!(found(&here.join(path)).as_deref(), expected, "{path}");
            }
            assert!(!config.reading_at(&here.join("out/landing/crm/a.csv")).columns.0.is_empty());
        }
    }
}
