//! The composition of a data set: the contents that were taken, in the order of their rows.
//!
//! A version that starts with all rows of another one (its base) records only the segments that it
//! adds. Not for files as they were seen: see [`super::datasets`].

use std::collections::BTreeSet;

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::{Ledger, from_text, signed, unsigned};
use crate::Result;
use crate::ids::DatasetVersion;
use crate::platform::digest::Digest;
use crate::platform::location::Location;

/// The rows of one content in a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The digest of the content.
    pub sha256: Digest,
    /// The location of the file.
    pub location: Location,
    /// The version in which this content first entered a data set; a rebuild does not change it.
    pub batch: DatasetVersion,
    /// The content that it replaced: an earlier one of the same file.
    pub replaces: Option<Digest>,
    /// The index of its first row in the data set, from 0.
    pub first_row: u64,
    /// The number of its rows; 0 if all of them were known.
    pub rows: u64,
}

const SEGMENT: &str = "sha256, location, batch, replaces, first_row, rows";

impl Ledger {
    /// All segments of data set `version`, in the order of their rows.
    pub fn segments(&self, version: DatasetVersion) -> Result<Vec<Segment>> {
        self.query(|db| {
            let sql = format!(
                "WITH RECURSIVE chain (version, base) AS (
                     SELECT version, base FROM datasets WHERE version = ?1
                     UNION ALL
                     SELECT d.version, d.base FROM chain JOIN datasets d ON d.version = chain.base)
                 SELECT {SEGMENT} FROM segments WHERE dataset IN (SELECT version FROM chain)
                 ORDER BY dataset, place"
            );
            let mut statement = db.prepare(&sql)?;
            statement.query_map([version.0], segment)?.collect()
        })
    }

    /// The versions in whose quarantines rows of the newest data set's contents wait.
    pub fn waiting_in(&self) -> Result<BTreeSet<DatasetVersion>> {
        self.query(|db| {
            let mut statement = db.prepare(
                "WITH RECURSIVE chain (version, base) AS (
                     SELECT version, base FROM datasets
                     WHERE version = (SELECT max(version) FROM datasets)
                     UNION ALL
                     SELECT d.version, d.base FROM chain JOIN datasets d ON d.version = chain.base)
                 SELECT DISTINCT coalesce(json_extract(f.counts, '$.quarantine'), f.dataset)
                 FROM segments s JOIN files f ON f.id = (SELECT max(id) FROM files
                     WHERE sha256 = s.sha256 AND status IN ('ingested', 'adopted'))
                 WHERE s.dataset IN (SELECT version FROM chain)
                     AND json_extract(f.counts, '$.quarantined') > 0 AND f.dataset IS NOT NULL",
            )?;
            statement.query_map([], |row| row.get(0).map(DatasetVersion))?.collect()
        })
    }

    /// The version in which content `digest` first entered a data set.
    pub fn first_batch(&self, digest: Digest) -> Result<Option<DatasetVersion>> {
        self.query(|db| {
            let sql = "SELECT min(batch) FROM segments WHERE sha256 = ?1";
            let batch: Option<u32> = db.query_row(sql, [digest.to_string()], |row| row.get(0))?;
            Ok(batch.map(DatasetVersion))
        })
    }

    /// The contents that `digest` replaced, one after the other: earlier ones of the same file.
    pub fn predecessors(&self, digest: Digest) -> Result<Vec<Digest>> {
        self.query(|db| {
            let mut statement = db.prepare(
                "WITH RECURSIVE chain (sha256) AS (
                     SELECT ?1
                     UNION SELECT s.replaces FROM chain JOIN segments s ON s.sha256 = chain.sha256
                     WHERE s.replaces IS NOT NULL)
                 SELECT sha256 FROM chain WHERE sha256 <> ?1",
            )?;
            let found = statement
                .query_map([digest.to_string()], |row| from_text(0, &row.get::<_, String>(0)?))?;
            found.collect()
        })
    }
}

/// Records the segments that data set `version` adds to its base, inside a transaction.
pub(super) fn insert_segments(
    db: &Connection,
    version: DatasetVersion,
    segments: &[Segment],
) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO segments (dataset, place, {SEGMENT}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
    );
    let mut statement = db.prepare(&sql)?;
    for (place, segment) in segments.iter().enumerate() {
        statement.execute(params![
            version.0,
            signed(place as u64),
            segment.sha256.to_string(),
            segment.location.as_str(),
            segment.batch.0,
            segment.replaces.map(|d| d.to_string()),
            signed(segment.first_row),
            signed(segment.rows),
        ])?;
    }
    Ok(())
}

fn segment(row: &Row) -> rusqlite::Result<Segment> {
    let replaces: Option<String> = row.get(3)?;
    Ok(Segment {
        sha256: from_text(0, &row.get::<_, String>(0)?)?,
        location: Location::kept(row.get(1)?),
        batch: DatasetVersion(row.get(2)?),
        replaces: replaces.map(|text| from_text(3, &text)).transpose()?,
        first_row: unsigned(row.get(4)?),
        rows: unsigned(row.get(5)?),
    })
}
