//! The section `output.table`: the table of a database into which data sets are written.
//!
//! Not for writing: see [`crate::destination`] and `stage::deliver`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::normal;
use super::section::Section;
use super::sources::without_secrets;
use crate::table::schema::Schema;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputTable {
    /// The address of the database.
    pub uri: String,
    /// The name of the table; for PostgreSQL perhaps with that of its schema before a point.
    pub table: String,
    /// What becomes of the rows of earlier versions.
    pub mode: OutputMode,
    /// In mode `append`, the column that has the version of each row.
    pub version_column: String,
    /// How long one statement may take, and how long the database may be silent while rows are sent.
    pub timeout: Duration,
}

/// What becomes of the rows of earlier versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// They stay: the table has all rows of every version, with its number.
    Append,
    /// They leave: the table has the rows of the newest version.
    Replace,
}

/// PostgreSQL cuts longer names.
const LONGEST_NAME: usize = 63;

impl OutputTable {
    /// The address without secrets.
    pub fn address(&self) -> String {
        without_secrets(&self.uri)
    }

    /// The path of a SQLite file; `base` is the folder of the configuration.
    pub fn file(&self, base: &Path) -> Option<PathBuf> {
        let path = self.uri.strip_prefix("sqlite:")?;
        Some(normal(&base.join(path.strip_prefix("//").unwrap_or(path))))
    }
}

impl OutputTable {
    /// Namespace and name of the table, as OpenLineage names tables: those of PostgreSQL by host, port,
    /// database and schema. SQLite has no convention there; its tables are named by the path of the file.
    pub fn named(&self, base: &Path) -> (String, String) {
        if let Some(file) = self.file(base) {
            return ("sqlite".to_owned(), format!("{}/{}", file.display(), self.table));
        }
        let address = self.address();
        let rest = address.split_once("://").map_or(&*address, |(_, rest)| rest);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if port { host.to_owned() } else { format!("{host}:5432") };
        let schema = if self.table.contains('.') { "" } else { "public." };
        (format!("postgres://{host}"), format!("{database}.{schema}{}", self.table))
    }
}

/// Reads the section under `table` of `output`; `None` if there is none.
pub(super) fn table(output: &mut Section, schema: &Schema) -> Option<OutputTable> {
    let given = output.has("table");
    let mut section = output.section("table");
    if !given {
        return None;
    }
    for (key, what) in [
        ("uri", "name the database, as postgres://USER@HOST/DATABASE or sqlite:PATH"),
        ("table", "name the table that has the rows"),
        (
            "mode",
            "say whether new versions are added (\"append\") or replace the old ones (\"replace\")",
        ),
    ] {
        if !section.has(key) {
            section.problem(key, &format!("is missing: {what}"));
        }
    }
    let modes = [("append", OutputMode::Append), ("replace", OutputMode::Replace)];
    let table = OutputTable {
        uri: section.text("uri").unwrap_or_default(),
        table: section.text("table").unwrap_or_default(),
        mode: section.choice("mode", &modes, OutputMode::Replace),
        version_column: section.text("version_column").unwrap_or_else(|| "version".to_owned()),
        timeout: section.duration("timeout").unwrap_or(Duration::from_mins(10)),
    };
    check(&section, &table, schema);
    section.finish();
    Some(table)
}

fn check(section: &Section, table: &OutputTable, schema: &Schema) {
    let sqlite = table.uri.starts_with("sqlite:");
    let postgres = ["postgres://", "postgresql://"].iter().any(|s| table.uri.starts_with(s));
    if !table.uri.is_empty() && !sqlite && !postgres {
        section.problem("uri", "must begin with postgres:// or sqlite:");
    }
    if sqlite && ["", ":memory:"].contains(&table.uri["sqlite:".len()..].trim_start_matches('/')) {
        section.problem("uri", "must name a file, such as sqlite:clients.db");
    }
    if table.timeout.is_zero() {
        section.problem("timeout", "must be longer than 0s");
    }
    let own = (table.mode == OutputMode::Append).then_some(table.version_column.as_str());
    let mut names = BTreeSet::new();
    for name in own.into_iter().chain(schema.columns().iter().map(|column| column.name.as_str())) {
        // SQLite takes names for equal that differ in case only.
        let name = if sqlite { name.to_ascii_lowercase() } else { name.to_owned() };
        if postgres && name.len() > LONGEST_NAME {
            let message = format!(
                "is not for this schema: PostgreSQL cuts names after {LONGEST_NAME} bytes, and the column \
                 \"{name}\" is longer"
            );
            section.problem("uri", &message);
        }
        if names.contains(&name) {
            let message = format!(
                "is not for this schema: two columns of the table would be called \"{name}\". \
                 \"version_column\" gives the column of the version another name"
            );
            section.problem("table", &message);
        }
        names.insert(name);
    }
    if postgres && table.table.split('.').any(|name| name.len() > LONGEST_NAME) {
        section.problem("table", &format!("must have at most {LONGEST_NAME} bytes for PostgreSQL"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(table: &str) -> Result<OutputTable, String> {
        let text = format!(
            r#"{{"input_folder_path":"in","output_folder_path":"out","test_data_path":"test",
            "output_model_path":"m","prod_deployment_path":"p","output":{{"table":{table}}}}}"#
        );
        match Config::parse(&text, Path::new("/w/config.json")) {
            Ok(config) => Ok(config.output.table.unwrap()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_table_has_an_address_a_name_and_a_mode() {
        let table = parse(r#"{"uri":"sqlite:a/../clients.db","table":"clients","mode":"append"}"#);
        let table = table.unwrap();
        assert_eq!(table.file(Path::new("/w")), Some(PathBuf::from("/w/clients.db")));
        assert_eq!((table.mode, table.version_column.as_str()), (OutputMode::Append, "version"));
        let far = r#"{"uri":"postgres://me:SECRET@h/db","table":"s.t","mode":"replace"}"#;
        let far = parse(far).unwrap();
        assert_eq!(
            (far.file(Path::new("/w")), far.address().as_str()),
            (None, "postgres://me@h/db")
        );
        for (uri, table, namespace, name) in [
            ("postgres://me@h/db", "t", "postgres://h:5432", "db.public.t"),
            (
                "postgres://me:pw@h:6432/db?sslmode=require",
                "risk.t",
                "postgres://h:6432",
                "db.risk.t",
            ),
            ("postgresql://h/db", "t", "postgres://h:5432", "db.public.t"),
            ("sqlite:x.db", "t", "sqlite", "/w/x.db/t"),
        ] {
            let json = format!(r#"{{"uri":"{uri}","table":"{table}","mode":"replace"}}"#);
            let named = parse(&json).unwrap().named(Path::new("/w"));
            assert_eq!(named, (namespace.to_owned(), name.to_owned()), "{uri}");
        }
    }

    #[test]
    fn mistakes_are_named_with_the_nearest_key() {
        for (table, part) in [
            ("{}", "\"output.table.uri\" is missing"),
            ("{}", "\"output.table.mode\" is missing"),
            (r#""clients""#, "\"output.table\" must be an object"),
            (
                r#"{"uri":"sqlite:x.db","tabel":"t","mode":"append"}"#,
                "\"output.table.tabel\" is not a known key; did you mean \"output.table.table\"?",
            ),
            (r#"{"uri":"mysql://h/d","table":"t","mode":"append"}"#, "must begin with postgres://"),
            (r#"{"uri":"sqlite:","table":"t","mode":"append"}"#, "must name a file"),
            (r#"{"uri":"sqlite::memory:","table":"t","mode":"append"}"#, "must name a file"),
            (r#"{"uri":"sqlite:x.db","table":"t","mode":"add"}"#, "must be one of \"append\""),
            (
                r#"{"uri":"sqlite:x.db","table":"t","mode":"append","version_column":"Exited"}"#,
                "two columns of the table would be called \"exited\"",
            ),
            (r#"{"uri":"sqlite:out/ledger.sqlite","table":"t","mode":"append"}"#, "the ledger"),
            (r#"{"uri":"sqlite:out/./finaldata3.csv","table":"t","mode":"append"}"#, "our own"),
            (r#"{"uri":"sqlite:p/x.db","table":"t","mode":"append"}"#, "prod_deployment_path"),
            (
                r#"{"uri":"sqlite:x.db","table":"t","mode":"append","timeout":"0s"}"#,
                "longer than 0s",
            ),
        ] {
            let error = parse(table).unwrap_err();
            assert!(error.contains(part), "{table}: {error}");
        }
        let name = "x".repeat(64);
        let long = format!(r#"{{"uri":"postgres://h/d","table":"{name}","mode":"replace"}}"#);
        assert!(parse(&long).unwrap_err().contains("at most 63 bytes"));
    }
}
