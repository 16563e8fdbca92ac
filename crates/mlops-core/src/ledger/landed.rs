//! Objects that were fetched from sources: their versions, and where they lie.
//!
//! Not for whether their rows were taken: see [`super::datasets`].

use rusqlite::{Row, params};

use super::{FileStatus, Ledger, from_text, signed, unsigned};
use crate::Result;
use crate::platform::digest::Digest;
use crate::platform::location::Location;
use crate::source::Seen;

/// An object as it was last fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// The name of the source.
    pub source: String,
    /// The name of the object.
    pub object: String,
    /// Its version; `None` if only its bytes tell.
    pub version: Option<String>,
    /// The file that holds its bytes.
    pub location: Location,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Their number.
    pub bytes: u64,
    /// For an extract by a cursor, the largest value of its column.
    pub cursor: Option<String>,
}

impl Ledger {
    /// All objects of `source` that were fetched, in the order in which they were fetched first.
    pub fn landed(&self, source: &str) -> Result<Vec<Landed>> {
        self.query(|db| {
            let sql = "SELECT source, object, version, location, sha256, bytes, cursor FROM landed
                       WHERE source = ?1 ORDER BY rowid";
            db.prepare(sql)?.query_map([source], landed)?.collect()
        })
    }

    /// How far the extracts of `source` are in data sets.
    ///
    /// An extract whose rows were not taken does not count, so that the next one has them again. The
    /// cursor is thus recorded by the very commit that records the rows.
    pub fn seen(&self, source: &str) -> Result<Seen> {
        let mut seen = Seen::default();
        for landed in self.landed(source)? {
            let record = self.files_at(std::slice::from_ref(&landed.location))?.pop().flatten();
            let taken = record.is_some_and(|file| {
                file.sha256 == Some(landed.sha256)
                    && (file.status.is_in() || file.status == FileStatus::NoRows)
            });
            if taken {
                seen.extracts += 1;
                seen.cursor = landed.cursor.or(seen.cursor);
            }
        }
        Ok(seen)
    }

    /// Records objects that were fetched.
    pub fn record_landed(&mut self, run: &str, objects: &[Landed], now: &str) -> Result<()> {
        self.transaction(|db| {
            let mut statement = db.prepare(
                "INSERT INTO landed (source, object, version, location, sha256, bytes, cursor,
                                     run_id, recorded)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (source, object) DO UPDATE SET version = excluded.version,
                     location = excluded.location, sha256 = excluded.sha256, bytes = excluded.bytes,
                     cursor = excluded.cursor, run_id = excluded.run_id, recorded = excluded.recorded",
            )?;
            for one in objects {
                statement.execute(params![
                    one.source,
                    one.object,
                    one.version,
                    one.location.as_str(),
                    one.sha256.to_string(),
                    signed(one.bytes),
                    one.cursor,
                    run,
                    now
                ])?;
            }
            Ok(())
        })
    }
}

fn landed(row: &Row) -> rusqlite::Result<Landed> {
    Ok(Landed {
        source: row.get(0)?,
        object: row.get(1)?,
        version: row.get(2)?,
        location: Location::kept(row.get(3)?),
        sha256: from_text(4, &row.get::<_, String>(4)?)?,
        bytes: unsigned(row.get(5)?),
        cursor: row.get(6)?,
    })
}
