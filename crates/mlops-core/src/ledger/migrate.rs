//! Migrates older formats of the ledger to the present one, in the caller's transaction.
//!
//! | from | what is derived |
//! |---|---|
//! | 1 | bases and segments of data sets; names of files escaped |
//! | 2 | nothing: what was fetched from sources is new |
//! | 3 | nothing: nobody was erased before |
//! | 4 | nothing: findings and what was asked of releases were not recorded; lines of decisions come from their details |
//!
//! Not for the present tables: see [`super`].

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, params};

use super::segments::insert_segments;
use super::{FORMAT_VERSION, Segment};
use crate::ids::DatasetVersion;
use crate::platform::location::Location;
use crate::text;

/// The oldest format that can be migrated.
pub(super) const OLDEST: i64 = 1;

/// What format 2 has and format 1 lacks.
const ADDED_BY_2: &str = "
ALTER TABLE datasets ADD COLUMN base INTEGER;
ALTER TABLE datasets ADD COLUMN stamp TEXT;
CREATE TABLE segments (
    dataset INTEGER NOT NULL, place INTEGER NOT NULL, sha256 TEXT NOT NULL,
    location TEXT NOT NULL, batch INTEGER NOT NULL, replaces TEXT, first_row INTEGER NOT NULL,
    rows INTEGER NOT NULL, PRIMARY KEY (dataset, place)) STRICT;
CREATE INDEX segments_by_sha256 ON segments (sha256);
CREATE INDEX files_by_size ON files (size);
ALTER TABLE holdouts ADD COLUMN known_rows INTEGER NOT NULL DEFAULT 0;
ALTER TABLE holdouts ADD COLUMN identity TEXT;
ALTER TABLE holdouts ADD COLUMN members BLOB;
ALTER TABLE holdouts ADD COLUMN start TEXT;
ALTER TABLE decisions ADD COLUMN release TEXT;
ALTER TABLE decisions ADD COLUMN matrix TEXT;
CREATE INDEX decisions_by_run ON decisions (run_id);
CREATE INDEX runs_by_step ON runs (step);
CREATE INDEX deployments_by_release ON deployments (release);
CREATE INDEX deployments_by_previous ON deployments (previous);
";

/// What format 3 has and format 2 lacks.
const ADDED_BY_3: &str = "
CREATE TABLE landed (
    source TEXT NOT NULL, object TEXT NOT NULL, version TEXT, location TEXT NOT NULL,
    sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, cursor TEXT, run_id TEXT NOT NULL,
    recorded TEXT NOT NULL, PRIMARY KEY (source, object)) STRICT;
CREATE TABLE expectations (
    source TEXT PRIMARY KEY, looked INTEGER NOT NULL, arrived INTEGER, newest TEXT,
    next_due INTEGER, level TEXT, since INTEGER, told_by TEXT) STRICT;
CREATE TABLE discarded (
    sha256 TEXT NOT NULL, part TEXT NOT NULL, line INTEGER NOT NULL, who TEXT NOT NULL,
    why TEXT NOT NULL, run_id TEXT NOT NULL, recorded TEXT NOT NULL,
    PRIMARY KEY (sha256, part, line)) STRICT;
";

/// What format 4 has and format 3 lacks. A program that knows no tombstones must not open a ledger that may
/// have them: erased people would come back.
const ADDED_BY_4: &str = "
CREATE TABLE tombstones (
    columns TEXT NOT NULL, hash TEXT NOT NULL, run_id TEXT NOT NULL,
    PRIMARY KEY (columns, hash)) STRICT;
CREATE TABLE erasures (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, recorded TEXT NOT NULL, who TEXT NOT NULL,
    why TEXT NOT NULL, counts TEXT NOT NULL) STRICT;
";

/// What format 5 has and format 4 lacks.
const ADDED_BY_5: &str = "
CREATE TABLE findings (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, severity TEXT NOT NULL,
    text TEXT NOT NULL, step TEXT NOT NULL, first_run TEXT NOT NULL, last_run TEXT NOT NULL,
    first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, ended TEXT) STRICT;
CREATE UNIQUE INDEX open_findings ON findings (kind, subject) WHERE ended IS NULL;
CREATE TABLE asked (
    release TEXT NOT NULL, first_day TEXT NOT NULL, end_day TEXT NOT NULL, rows INTEGER NOT NULL,
    record TEXT NOT NULL, recorded TEXT NOT NULL,
    PRIMARY KEY (release, first_day, end_day)) STRICT;
CREATE INDEX runs_by_run ON runs (run_id);
CREATE INDEX runs_by_outcome ON runs (outcome);
CREATE INDEX decisions_by_outcome ON decisions (outcome);
ALTER TABLE decisions ADD COLUMN headline TEXT;
ALTER TABLE scores ADD COLUMN thresholds TEXT;
CREATE INDEX scores_by_artifact ON scores (artifact);
CREATE TABLE alerts (
    rule TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, finding INTEGER NOT NULL,
    severity TEXT NOT NULL, told TEXT NOT NULL, open INTEGER NOT NULL,
    PRIMARY KEY (rule, kind, subject)) STRICT;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, message_id TEXT NOT NULL, rule TEXT NOT NULL, sink TEXT NOT NULL,
    payload TEXT NOT NULL, created TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT, ended TEXT, sent INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE approvals (
    id INTEGER PRIMARY KEY, release TEXT NOT NULL, run_id TEXT NOT NULL,
    dataset INTEGER NOT NULL, champion TEXT, f1 REAL NOT NULL, reason TEXT NOT NULL,
    recorded TEXT NOT NULL, expires TEXT NOT NULL, state TEXT NOT NULL, closed TEXT, who TEXT,
    why TEXT) STRICT;
";

/// Migrates an older ledger to the present format.
pub(super) fn migrate(db: &Connection) -> rusqlite::Result<()> {
    let from = super::format(db)?;
    if from == OLDEST {
        db.execute_batch(ADDED_BY_2)?;
        escape_names(db)?;
        bases_and_segments(db)?;
    }
    if from < 3 {
        db.execute_batch(ADDED_BY_3)?;
    }
    if from < 4 {
        db.execute_batch(ADDED_BY_4)?;
    }
    db.execute_batch(ADDED_BY_5)?;
    db.execute_batch(&format!("PRAGMA user_version = {FORMAT_VERSION}"))
}

/// Copies the older ledger `old` into the empty `new`, migrated to the present format.
pub(super) fn copy(old: &Connection, new: &Connection) -> rusqlite::Result<()> {
    new.execute_batch(&format!("PRAGMA user_version = {}", super::format(old)?))?;
    let sql = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC";
    let mut statement = old.prepare(sql)?;
    let parts = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(String, String, String)>>>()?;
    // Tables come first.
    for (kind, name, sql) in parts {
        new.execute_batch(&sql)?;
        if kind == "table" {
            copy_rows(old, new, &name)?;
        }
    }
    migrate(new)
}

fn copy_rows(old: &Connection, new: &Connection, table: &str) -> rusqlite::Result<()> {
    let mut from = old.prepare(&format!("SELECT * FROM \"{table}\""))?;
    let columns = from.column_count();
    let marks = vec!["?"; columns].join(", ");
    let mut to = new.prepare(&format!("INSERT INTO \"{table}\" VALUES ({marks})"))?;
    let mut rows = from.query([])?;
    while let Some(row) = rows.next()? {
        let values = (0..columns)
            .map(|column| row.get::<_, rusqlite::types::Value>(column))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        to.execute(rusqlite::params_from_iter(values))?;
    }
    Ok(())
}

/// Format 1 stored names unescaped, with replacement characters in those that are not UTF-8.
fn escape_names(db: &Connection) -> rusqlite::Result<()> {
    let mut statement = db.prepare("SELECT id, name, location, same_as FROM files")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, name, location, same_as): (i64, String, String, Option<String>) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let escaped = |text: &String| text::of_path(Path::new(text));
        let new = (escaped(&name), escaped(&location), same_as.as_ref().map(escaped));
        if (&new.0, &new.1, &new.2) != (&name, &location, &same_as) {
            let sql = "UPDATE files SET name = ?2, location = ?3, same_as = ?4 WHERE id = ?1";
            db.execute(sql, params![id, new.0, new.1, new.2])?;
        }
    }
    Ok(())
}

/// A version of format 1 either starts with all rows of the previous version or was rebuilt, in
/// which case all its rows are new. New rows are in the order of their files' records.
fn bases_and_segments(db: &Connection) -> rusqlite::Result<()> {
    let mut statement =
        db.prepare("SELECT version, rows, new_rows FROM datasets ORDER BY version")?;
    let datasets = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(u32, i64, i64)>>>()?;
    // The version in which a content first entered a data set.
    let mut batches = BTreeMap::new();
    let mut before: Option<(u32, i64)> = None;
    for (version, rows, new_rows) in datasets {
        let base = before.filter(|(_, earlier)| earlier + new_rows == rows);
        db.execute(
            "UPDATE datasets SET base = ?2 WHERE version = ?1",
            params![version, base.map(|(version, _)| version)],
        )?;
        let mut next = super::unsigned(rows - new_rows);
        let mut segments = Vec::new();
        // A record that is "the same as" another added no rows of its own.
        let mut statement = db.prepare(
            "SELECT sha256, location, replaces, json_extract(counts, '$.rows_kept') FROM files
             WHERE dataset = ?1 AND status IN ('ingested', 'adopted') AND sha256 IS NOT NULL
             AND same_as IS NULL ORDER BY id",
        )?;
        let mut found = statement.query([version])?;
        while let Some(row) = found.next()? {
            let replaces: Option<String> = row.get(2)?;
            let segment = Segment {
                sha256: super::from_text(0, &row.get::<_, String>(0)?)?,
                location: Location::kept(row.get(1)?),
                batch: DatasetVersion(version),
                replaces: replaces.map(|text| super::from_text(2, &text)).transpose()?,
                first_row: next,
                rows: super::unsigned(row.get::<_, Option<i64>>(3)?.unwrap_or(0)),
            };
            next += segment.rows;
            let batch = *batches.entry(segment.sha256).or_insert(segment.batch);
            segments.push(Segment { batch, ..segment });
        }
        insert_segments(db, DatasetVersion(version), &segments)?;
        before = Some((version, rows));
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use std::fs;

    use super::super::{Ledger, TABLES, copies};
    use super::*;
    use crate::platform::disk::Disk;

    /// Written by the last program of format 1: three ingestions, a rebuild without two of the
    /// files, two decisions.
    const SAMPLE: &[u8] = include_bytes!("../../tests/fixtures/ledger_v1.sqlite");

    /// Written by the last program of format 2: a first run of two files.
    const SAMPLE_2: &[u8] = include_bytes!("../../tests/fixtures/ledger_v2.sqlite");

    /// Written by the last program of format 3: an ingestion of two files.
    const SAMPLE_3: &[u8] = include_bytes!("../../tests/fixtures/ledger_v3.sqlite");

    /// Written by the last program of format 4: an ingestion of two files.
    const SAMPLE_4: &[u8] = include_bytes!("../../tests/fixtures/ledger_v4.sqlite");

    fn sample() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        fs::write(&path, SAMPLE).unwrap();
        (folder, path)
    }

    /// Tables and indexes with their columns.
    fn shape(db: &Connection) -> Vec<String> {
        let sql = "SELECT m.type || ' ' || m.name || ': ' || coalesce((SELECT group_concat(
                       name || ' ' || type || ' ' || \"notnull\" || ' ' || pk) FROM
                       pragma_table_info(m.name)), m.sql, '') FROM sqlite_master m ORDER BY 1";
        let mut statement = db.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_migrated_ledger_has_the_tables_of_a_new_one() {
        let (_folder, path) = sample();
        let migrated = Ledger::open(&path, &Disk::default()).unwrap();
        let new = Connection::open_in_memory().unwrap();
        new.execute_batch(TABLES).unwrap();
        assert_eq!(shape(&migrated.connection), shape(&new));
        assert_eq!(super::super::format(&migrated.connection).unwrap(), FORMAT_VERSION);
    }

    #[test]
    fn readers_share_a_copy_until_the_ledger_changes() {
        let (_folder, path) = sample();
        let name = || {
            let ledger = Ledger::open_to_read(&path).unwrap().unwrap();
            assert!(!ledger.datasets().unwrap().is_empty());
            copies::name(&path).unwrap()
        };
        let first = name();
        assert_eq!(name(), first);
        // A reader that stays is not disturbed by what comes after.
        let before = Ledger::open_to_read(&path).unwrap().unwrap();
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("UPDATE runs SET host = 'another'").unwrap();
        drop(writer);
        assert_ne!(name(), first);
        assert!(!before.datasets().unwrap().is_empty());
        assert!(before.connection.execute_batch("DELETE FROM runs").is_err(), "it is to read");
        drop(Ledger::open(&path, &Disk::default()).unwrap());
        Ledger::open_to_read(&path).unwrap().unwrap();
        assert_eq!(copies::name(&path), None, "it is of the present format");
    }

    /// A sample as readers see it, who change nothing, and after it was migrated.
    fn read_and_migrated(sample: &[u8]) -> [Ledger; 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        fs::write(&path, sample).unwrap();
        let read = Ledger::open_to_read(&path).unwrap().unwrap();
        assert!(fs::read(&path).unwrap() == sample, "a reader changed it");
        let migrated = Ledger::open(&path, &Disk::default()).unwrap();
        let new = Connection::open_in_memory().unwrap();
        new.execute_batch(TABLES).unwrap();
        assert_eq!(shape(&migrated.connection), shape(&new));
        for ledger in [&read, &migrated] {
            assert_eq!(ledger.datasets().unwrap().len(), 1);
            assert_eq!(ledger.files().unwrap().len(), 2);
        }
        [read, migrated]
    }

    #[test]
    fn a_ledger_of_format_2_loses_nothing() {
        for ledger in read_and_migrated(SAMPLE_2) {
            let version = ledger.datasets().unwrap()[0].version;
            assert_eq!(ledger.segments(version).unwrap().len(), 2);
            assert!(ledger.latest_deployment().unwrap().is_some());
            assert!(ledger.landed("crm").unwrap().is_empty());
        }
    }

    #[test]
    fn a_ledger_of_format_3_gets_the_tables_of_erased_people() {
        for ledger in read_and_migrated(SAMPLE_3) {
            assert!(ledger.tombstones().unwrap().is_empty());
            assert!(ledger.erasures().unwrap().is_empty());
        }
    }

    #[test]
    fn a_ledger_of_format_4_gets_the_tables_of_format_5() {
        for ledger in read_and_migrated(SAMPLE_4) {
            assert!(ledger.open_findings().unwrap().is_empty());
        }
    }

    #[test]
    fn segments_are_derived_from_the_files_of_format_1() {
        let (_folder, path) = sample();
        let read = Ledger::open_to_read(&path).unwrap().unwrap();
        assert!(fs::read(&path).unwrap() == SAMPLE, "a reader changed it");
        let ledger = Ledger::open(&path, &Disk::default()).unwrap();
        for ledger in [&read, &ledger] {
            let datasets = ledger.datasets().unwrap();
            let bases: Vec<_> =
                datasets.iter().map(|d| (d.version.0, d.base.map(|b| b.0))).collect();
            assert_eq!(bases, [(3, None), (4, Some(3)), (5, Some(4)), (8, None), (9, Some(8))]);
            let segments = |version| {
                let segments = ledger.segments(DatasetVersion(version)).unwrap();
                let short = |s: &Segment| {
                    let name = s.location.as_str().rsplit('/').next().unwrap().to_owned();
                    (name, s.batch.0, s.first_row, s.rows)
                };
                segments.iter().map(short).collect::<Vec<_>>()
            };
            let part = |name: &str, batch, first, rows| (name.to_owned(), batch, first, rows);
            assert_eq!(
                segments(4),
                [
                    part("a.csv", 3, 0, 60),
                    part("b.csv", 3, 60, 60),
                    part(r"back\\slash.csv", 3, 120, 10),
                    part("b.csv", 4, 130, 1),
                ]
            );
            assert_eq!(
                segments(9),
                [
                    part("b.csv", 4, 0, 60),
                    part(r"back\\slash.csv", 3, 60, 10),
                    part("s1.csv", 5, 70, 400),
                    part("s2.csv", 9, 470, 300),
                ]
            );
            for d in &datasets {
                let segments = ledger.segments(d.version).unwrap();
                assert_eq!(segments.iter().map(|s| s.rows).sum::<u64>(), d.rows);
            }
            let changed = &ledger.segments(DatasetVersion(4)).unwrap()[3];
            assert_eq!(
                changed.replaces,
                Some(ledger.segments(DatasetVersion(3)).unwrap()[1].sha256)
            );
            assert_eq!(ledger.first_batch(changed.sha256).unwrap(), Some(DatasetVersion(4)));
            assert_eq!(ledger.decisions().unwrap().len(), 2);
        }
    }

    #[test]
    fn a_format_of_the_future_is_left_alone() {
        let (_folder, path) = sample();
        Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
        for error in [
            Ledger::open(&path, &Disk::default()).unwrap_err(),
            Ledger::open_to_read(&path).unwrap_err(),
        ] {
            assert!(error.to_string().contains("format version 99"), "{error}");
        }
    }
}
