//! The state of each source when it was last checked, so that a breach is reported once.
//!
//! Not for what is expected: see [`crate::expect`].

use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::{OptionalExtension, Row, params};

use super::{Ledger, from_json, to_json, unsigned};
use crate::Result;
use crate::config::INPUT;
use crate::expect::{Clocks, Level};
use crate::ids::RunOutcome;

/// How a source stood when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// The name of the source.
    pub source: String,
    /// When it was looked at.
    pub looked: DateTime<Utc>,
    /// Its clocks.
    pub clocks: Clocks,
    /// When data are due next.
    pub next_due: Option<DateTime<Utc>>,
    /// The most urgent promise that it breaks.
    pub level: Option<Level>,
    /// Since when it breaks one.
    pub since: Option<DateTime<Utc>>,
    /// The run that told somebody of the level, or that the breach was over.
    pub told_by: Option<String>,
}

/// A content of a source when it was first taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When its file was last changed.
    pub modified: DateTime<Utc>,
    /// When it was taken.
    pub taken: DateTime<Utc>,
}

/// Matches the files of a source by the prefix ?1 of their names; without one, those of the input folder.
const OF_SOURCE: &str = "CASE WHEN ?1 = '' THEN instr(name, '/') = 0
    ELSE substr(name, 1, length(?1)) = ?1 END AND status IN ('ingested', 'adopted')";

impl Ledger {
    /// The contents of `source` that were first taken after `then`.
    pub fn arrivals(&self, source: &str, then: Option<DateTime<Utc>>) -> Result<Vec<Arrival>> {
        let prefix = prefix(source);
        let then = then.and_then(|then| then.timestamp_nanos_opt()).unwrap_or(i64::MIN);
        self.query(|db| {
            let sql = format!(
                "SELECT modified_ns, min(recorded_ns) AS taken FROM files WHERE {OF_SOURCE}
                 GROUP BY sha256 HAVING taken > ?2 ORDER BY taken"
            );
            let mut statement = db.prepare(&sql)?;
            let time = |ns| DateTime::from_timestamp_nanos(ns);
            let rows = statement.query_map(params![prefix, then], |row| {
                Ok(Arrival { modified: time(row.get(0)?), taken: time(row.get(1)?) })
            })?;
            rows.collect()
        })
    }

    /// The newest business date in the rows of a source that were taken.
    pub fn newest_business_date(&self, source: &str) -> Result<Option<NaiveDate>> {
        let prefix = prefix(source);
        self.query(|db| {
            let sql = format!(
                "SELECT max(json_extract(counts, '$.newest')) FROM files WHERE {OF_SOURCE}"
            );
            let text: Option<String> = db.query_row(&sql, [prefix], |row| row.get(0))?;
            Ok(text.and_then(|text| text.parse().ok()))
        })
    }

    /// The numbers of rows of the newest files of `source` that were taken.
    pub fn rows_of_files(&self, source: &str) -> Result<Vec<u64>> {
        let prefix = prefix(source);
        self.query(|db| {
            let sql = format!(
                "SELECT json_extract(counts, '$.rows_read') FROM files WHERE {OF_SOURCE}
                 ORDER BY id DESC LIMIT 99"
            );
            let mut statement = db.prepare(&sql)?;
            statement.query_map([prefix], |row| Ok(unsigned(row.get(0)?)))?.collect()
        })
    }

    /// The numbers of rows that the newest runs took from `source`, each from all files together.
    pub fn rows_of_batches(&self, source: &str) -> Result<Vec<u64>> {
        let prefix = prefix(source);
        self.query(|db| {
            let sql = format!(
                "SELECT sum(json_extract(counts, '$.rows_read')) FROM files WHERE {OF_SOURCE}
                 GROUP BY run_id ORDER BY max(id) DESC LIMIT 99"
            );
            let mut statement = db.prepare(&sql)?;
            statement.query_map([prefix], |row| Ok(unsigned(row.get(0)?)))?.collect()
        })
    }

    /// How the sources stood, by name.
    pub fn source_states(&self) -> Result<Vec<SourceState>> {
        self.query(|db| {
            let sql = "SELECT source, looked, arrived, newest, next_due, level, since, told_by
                 FROM expectations ORDER BY source";
            db.prepare(sql)?.query_map([], state)?.collect()
        })
    }

    /// Records how the sources stand; others are forgotten.
    pub fn record_source_states(&mut self, states: &[SourceState]) -> Result<()> {
        self.transaction(|db| {
            db.execute("DELETE FROM expectations", [])?;
            let mut statement =
                db.prepare("INSERT INTO expectations VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
            for state in states {
                let ns = |at: DateTime<Utc>| at.timestamp_nanos_opt();
                statement.execute(params![
                    state.source,
                    ns(state.looked),
                    state.clocks.arrived.and_then(ns),
                    state.clocks.newest.map(|day| day.to_string()),
                    state.next_due.and_then(ns),
                    state.level.map(|level| to_json(&level)).transpose()?,
                    state.since.and_then(ns),
                    state.told_by,
                ])?;
            }
            Ok(())
        })
    }

    /// Whether a step of the run `run_id` ended without an error, so that somebody saw its report.
    pub fn was_reported(&self, run_id: &str) -> Result<bool> {
        self.query(|db| {
            let sql = "SELECT outcome FROM runs WHERE run_id = ?1 ORDER BY id LIMIT 1";
            let found: Option<Option<String>> =
                db.query_row(sql, [run_id], |row| row.get(0)).optional()?;
            // A record that was removed is old.
            Ok(found.is_none_or(|outcome| {
                outcome.is_some_and(|outcome| outcome != RunOutcome::Failed.as_str())
            }))
        })
    }
}

/// What the names of a source's files begin with.
fn prefix(source: &str) -> String {
    if source == INPUT { String::new() } else { format!("{source}/") }
}

fn state(row: &Row) -> rusqlite::Result<SourceState> {
    let time = |column: usize| -> rusqlite::Result<Option<DateTime<Utc>>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(DateTime::from_timestamp_nanos))
    };
    let newest: Option<String> = row.get(3)?;
    let level: Option<String> = row.get(5)?;
    Ok(SourceState {
        source: row.get(0)?,
        looked: time(1)?.unwrap_or_default(),
        clocks: Clocks { arrived: time(2)?, newest: newest.and_then(|day| day.parse().ok()) },
        next_due: time(4)?,
        level: level.map(|text| from_json(5, &text)).transpose()?,
        since: time(6)?,
        told_by: row.get(7)?,
    })
}
