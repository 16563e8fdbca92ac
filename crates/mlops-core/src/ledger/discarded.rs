//! Rows of the quarantine that a person discarded, and the resulting counts; also the counts of files whose
//! quarantined rows were ingested after all.
//!
//! Not for the rows themselves: see `stage::quarantine`.

use rusqlite::{Connection, OptionalExtension, params};

use super::datasets::{FILE_COLUMNS, file};
use super::{FileRecord, Ledger, from_text, signed, to_json, unsigned};
use crate::Result;
use crate::dataset::counts::FileCounts;
use crate::platform::digest::Digest;

/// A row of the quarantine that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discarded {
    /// The content in which it stands.
    pub sha256: Digest,
    /// The part of the file, such as a sheet; empty if it has none.
    pub part: String,
    /// Its line.
    pub line: u64,
    /// Who gave it up.
    pub who: String,
    /// Why.
    pub why: String,
    /// When, RFC 3339, UTC.
    pub recorded: String,
}

/// The newest record by which the content ?1 is in a data set.
const NEWEST: &str = "(SELECT max(id) FROM files WHERE sha256 = ?1
    AND status IN ('ingested', 'adopted'))";

impl Ledger {
    /// The newest record by which content `digest` is in a data set.
    pub fn taken(&self, digest: Digest) -> Result<Option<FileRecord>> {
        self.query(|db| {
            let sql = format!("SELECT {FILE_COLUMNS} FROM files WHERE id = {NEWEST}");
            db.query_row(&sql, [digest.to_string()], file).optional()
        })
    }

    /// All rows that were given up.
    pub fn discarded(&self) -> Result<Vec<Discarded>> {
        self.query(|db| {
            let sql = "SELECT sha256, part, line, who, why, recorded FROM discarded ORDER BY rowid";
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(Discarded {
                    sha256: from_text(0, &row.get::<_, String>(0)?)?,
                    part: row.get(1)?,
                    line: unsigned(row.get(2)?),
                    who: row.get(3)?,
                    why: row.get(4)?,
                    recorded: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Records that `rows` were given up.
    pub fn discard(&mut self, run: &str, rows: &[Discarded]) -> Result<()> {
        self.transaction(|db| {
            let mut insert = db.prepare(
                "INSERT INTO discarded (sha256, part, line, who, why, run_id, recorded)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            let mut count = db.prepare(&format!(
                "UPDATE files SET counts = json_set(counts,
                     '$.quarantined', json_extract(counts, '$.quarantined') - 1,
                     '$.discarded', coalesce(json_extract(counts, '$.discarded'), 0) + 1)
                 WHERE id = {NEWEST}"
            ))?;
            for row in rows {
                let digest = row.sha256.to_string();
                let line = signed(row.line);
                insert.execute(params![
                    digest,
                    row.part,
                    line,
                    row.who,
                    row.why,
                    run,
                    row.recorded
                ])?;
                count.execute([digest])?;
            }
            Ok(())
        })
    }

    /// Forgets, within a transaction, what was given up of a content that is read again as a whole.
    pub(super) fn forget_discarded(db: &Connection, digest: Digest) -> rusqlite::Result<()> {
        db.execute("DELETE FROM discarded WHERE sha256 = ?1", [digest.to_string()]).map(drop)
    }

    /// Replaces, within a transaction, the counts of a content that is in a data set.
    pub(super) fn recount(
        db: &Connection,
        digest: Digest,
        counts: &FileCounts,
    ) -> rusqlite::Result<()> {
        let sql = format!("UPDATE files SET counts = ?2 WHERE id = {NEWEST}");
        db.execute(&sql, params![digest.to_string(), to_json(counts)?]).map(drop)
    }
}
