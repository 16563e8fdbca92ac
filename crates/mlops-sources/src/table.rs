//! Extracts of a database: rows as CSV, and the mark from which the next extract goes on.
//!
//! Rows come in the order of a key, page by page, within one snapshot. Not for asking a database: see
//! `sqlite` and `postgres`.

use std::fmt;
use std::io::Write;

use mlops_core::config;
use mlops_core::config::sources::{Cursor, Mode};
use mlops_core::platform::digest::Hasher;
use mlops_core::source::{Fetched, Object, Seen};
use mlops_core::{Error, Result, text};

/// Rows of one page. They are streamed, so that a page need not fit into memory.
pub(crate) const PAGE: usize = 100_000;

/// What is read.
pub(crate) struct Wanted {
    /// The table's name, or nothing for a query.
    pub(crate) table: Option<String>,
    /// The query, or nothing for a table.
    pub(crate) query: Option<String>,
    /// The columns that identify a row, if the configuration names them.
    pub(crate) key: Vec<String>,
    /// The column by which new rows are found.
    pub(crate) cursor: Option<Cursor>,
}

impl Wanted {
    pub(crate) fn of(source: &config::Source) -> Self {
        let query = source.access.query.as_deref();
        Self {
            table: source.access.table.clone(),
            query: query.map(|query| query.trim().trim_end_matches(';').to_owned()),
            key: source.access.key.clone(),
            cursor: match &source.mode {
                Mode::Cursor(cursor) => Some(cursor.clone()),
                Mode::Files | Mode::Snapshot => None,
            },
        }
    }

    /// What stands behind FROM.
    pub(crate) fn relation(&self) -> String {
        match (&self.table, &self.query) {
            (Some(table), _) => format!("(SELECT * FROM {}) AS q", qualified(table)),
            // A comment may end the query.
            (None, query) => format!("({}\n) AS q", query.as_deref().unwrap_or_default()),
        }
    }

    /// The only object.
    pub(crate) fn object(&self, seen: &Seen) -> Object {
        let name = match (&self.cursor, &self.table) {
            (Some(_), _) => format!("{:06}.csv", seen.extracts),
            (None, Some(table)) => format!("{table}.csv"),
            (None, None) => "query.csv".to_owned(),
        };
        Object { name, version: None, size: None, modified: None }
    }

    /// The columns that order the rows: that of the cursor first, then the key.
    pub(crate) fn order(&self, key: &[String]) -> Vec<String> {
        let cursor = self.cursor.iter().map(|cursor| &cursor.column);
        let rest = key.iter().filter(|name| self.cursor.iter().all(|c| c.column != **name));
        cursor.chain(rest).cloned().collect()
    }

    /// Checks that the columns of the configuration are there.
    pub(crate) fn check(&self, columns: &[String]) -> Result<()> {
        let named = self.key.iter().chain(self.cursor.iter().map(|cursor| &cursor.column));
        let missing: Vec<&String> = named.filter(|name| !columns.contains(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::data(text::bounded(format!(
            "{} has no column {}: it has {}",
            self.name(),
            text::names(missing),
            text::names(columns)
        ))))
    }

    /// For messages.
    pub(crate) fn name(&self) -> String {
        self.table.as_ref().map_or("the query".to_owned(), |table| format!("the table {table}"))
    }

    pub(crate) fn keyless(&self) -> Error {
        Error::data(format!(
            "{} has no primary key: name the columns that identify a row in \"key\" of the source (with `first_run \
             --init`: --key COLUMN)",
            self.name()
        ))
    }

    pub(crate) fn empty_keys(&self, order: &[String]) -> Error {
        Error::data(text::bounded(format!(
            "{} has rows with no value in one of {}; they would never be read: fill in the values, or \
             exclude these rows with a \"query\"",
            self.name(),
            text::names(order)
        )))
    }

    pub(crate) fn equal_keys(&self, order: &[String]) -> Error {
        Error::data(text::bounded(format!(
            "{} has several rows with the same {}: name columns that identify a row in \"key\" of the \
             source",
            self.name(),
            text::names(order)
        )))
    }
}

/// A name in SQL, whatever its characters.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The name of a table, which may be that of its schema and its own.
pub(crate) fn qualified(table: &str) -> String {
    match table.split_once('.') {
        Some((schema, table)) => format!("{}.{}", quoted(schema), quoted(table)),
        None => quoted(table),
    }
}

/// Where an extract ended, and what the next one will read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The largest value of the cursor's column, in words of the database.
    pub(crate) value: String,
    /// A digest of the rows that the next extract will read again.
    again: String,
}

impl Mark {
    /// The mark that an extract left.
    pub(crate) fn left(seen: &Seen) -> Option<Self> {
        let (value, again) = seen.cursor.as_deref()?.rsplit_once(' ')?;
        Some(Self { value: value.to_owned(), again: again.to_owned() })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, self.again)
    }
}

/// An extract that is being written.
pub(crate) struct Extract<'a> {
    out: csv::Writer<&'a mut dyn Write>,
    before: Option<Mark>,
    read_again: Hasher,
    to_be_read_again: Hasher,
    new: u64,
    rows: u64,
}

impl<'a> Extract<'a> {
    /// Begins with the names of the columns.
    pub(crate) fn begin(
        to: &'a mut dyn Write,
        columns: &[String],
        before: Option<Mark>,
    ) -> Result<Self> {
        let mut out = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(to);
        out.write_record(columns).map_err(unwritten)?;
        Ok(Self {
            out,
            before,
            read_again: Hasher::default(),
            to_be_read_again: Hasher::default(),
            new: 0,
            rows: 0,
        })
    }

    /// A row; whether the last extract could have had it; whether the next one will have it.
    pub(crate) fn row<'c>(
        &mut self,
        cells: impl Iterator<Item = Option<&'c str>> + Clone,
        was: bool,
        will: bool,
    ) -> Result<()> {
        self.rows += 1;
        self.new += u64::from(!was);
        for (wanted, hasher) in [(was, &mut self.read_again), (will, &mut self.to_be_read_again)] {
            if wanted {
                for cell in cells.clone() {
                    // No length is that of a missing cell.
                    let length = cell.map_or(u64::MAX, |cell| cell.len() as u64);
                    hasher.update(&length.to_le_bytes());
                    hasher.update(cell.unwrap_or_default().as_bytes());
                }
            }
        }
        self.out.write_record(cells.map(Option::unwrap_or_default)).map_err(unwritten)
    }

    /// What the rows amount to; `largest` is the largest value of the cursor's column.
    pub(crate) fn end(mut self, largest: Option<String>) -> Result<Fetched> {
        self.out.flush().map_err(|e| Error::backend("keeping the rows", e))?;
        let Some(value) = largest else {
            // All rows, also if there are none any more.
            return Ok(Fetched::Whole { cursor: None });
        };
        let read_again = self.read_again.finish().to_string();
        let known = self.before.is_some_and(|before| before.again == read_again);
        if self.rows == 0 || (self.new == 0 && known) {
            return Ok(Fetched::Empty);
        }
        let mark = Mark { value, again: self.to_be_read_again.finish().to_string() };
        Ok(Fetched::Whole { cursor: Some(mark.to_string()) })
    }
}

fn unwritten(error: csv::Error) -> Error {
    Error::backend("keeping the rows", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_end_their_quotes() {
        assert_eq!(quoted("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(qualified("s.t"), "\"s\".\"t\"");
        assert_eq!(qualified("s.t.u"), "\"s\".\"t.u\"");
    }

    #[test]
    fn a_mark_is_read_back() {
        let mark = Mark { value: "2025-01-01 10:00:00".to_owned(), again: "ab12".to_owned() };
        let seen = Seen { cursor: Some(mark.to_string()), extracts: 1 };
        assert_eq!(Mark::left(&seen), Some(mark));
        assert_eq!(Mark::left(&Seen::default()), None);
    }
}
