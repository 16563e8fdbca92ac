//! Records of hold-outs: which rows are never trained on, independently of their files.
//!
//! A hold-out is permanent, whether its file exists or not: its members are recorded as hashes
//! under the workspace's own secret. Not for drawing them: see `stage::holdout`.

use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Ledger, from_json, from_text, set_meta, signed, to_json, unsigned};
use crate::evaluation::entity::{Identity, Members};
use crate::evaluation::split::Tally;
use crate::ids::{DatasetVersion, RunId};
use crate::platform::digest::Digest;
use crate::{Error, Result};

/// The key of what is known of the files of hold-outs before erasures.
const FORMER_KEY: &str = "former_holdouts";

/// A hold-out that was drawn from new rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HoldoutRecord {
    /// The data set that its rows are in.
    pub version: DatasetVersion,
    /// The file name in the test folder.
    pub name: String,
    /// The digest of the file.
    pub sha256: Digest,
    /// Number of rows.
    pub rows: u64,
    /// Number of rows of the positive class.
    pub positives: u64,
    /// Number of new rows that it was drawn from.
    pub drawn_from: u64,
    /// Number of its rows whose entities the live model was trained on with earlier rows.
    #[serde(default)]
    pub known_rows: u64,
    /// When it was recorded, RFC 3339, UTC.
    pub recorded: String,
    /// The digests that the file had before people were erased from it.
    #[serde(skip)]
    pub former: Vec<Digest>,
}

impl HoldoutRecord {
    /// Whether it is one of `files`, such as those that a model was not trained on, as it is now or as it was
    /// before people were erased from it.
    pub fn is_among(&self, files: &[Digest]) -> bool {
        files.contains(&self.sha256) || self.former.iter().any(|digest| files.contains(digest))
    }
}

/// The members of a hold-out.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// How entities are identified.
    pub identity: Identity,
    /// The entities.
    pub members: Members,
    /// The start in time of a hold-out of the newest rows, as a number.
    pub start: Option<f64>,
}

/// The key under which rows are drawn into hold-outs, fixed at the first draw.
const HOLDOUT_KEY: &str = "holdout_key";

/// The totals of all draws.
const TALLY: &str = "holdout_tally";

const HOLDOUT: &str = "version, name, sha256, rows, positives, drawn_from, recorded, known_rows";

impl Ledger {
    /// The secret under which rows are drawn and remembered, if there is one yet.
    pub fn known_holdout_key(&self) -> Result<Option<u64>> {
        let Some(text) = self.meta(HOLDOUT_KEY)? else { return Ok(None) };
        text.parse().map(Some).map_err(|e| self.damaged(HOLDOUT_KEY, &e))
    }

    /// The secret; a workspace without one gets a random one, permanently.
    pub fn holdout_key(&mut self) -> Result<u64> {
        if let Some(key) = self.known_holdout_key()? {
            return Ok(key);
        }
        let mut bytes = [0; 8];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| Error::backend("the system", "it gives no random numbers".to_owned()))?;
        let key = u64::from_le_bytes(bytes);
        self.fix_holdout_key(key)?;
        Ok(key)
    }

    /// Sets the secret, for reproducible simulations.
    pub fn fix_holdout_key(&mut self, key: u64) -> Result<()> {
        self.transaction(|db| set_meta(db, HOLDOUT_KEY, &key.to_string()))
    }

    /// The totals of all draws; zero before the first one that was counted.
    pub fn holdout_tally(&self) -> Result<Tally> {
        Ok(self.kept(TALLY)?.unwrap_or_default())
    }

    /// Records a hold-out with the totals of all draws, and ends `intent`.
    pub fn record_holdout(
        &mut self,
        run_id: &RunId,
        holdout: &HoldoutRecord,
        drawn: &Drawn,
        tally: Tally,
        intent: i64,
    ) -> Result<()> {
        self.transaction(|db| {
            set_meta(db, TALLY, &to_json(&tally)?)?;
            db.execute(
                "INSERT INTO holdouts (version, run_id, name, sha256, rows, positives, drawn_from,
                     recorded, known_rows, identity, members, start)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                params![
                    holdout.version.0,
                    run_id,
                    holdout.name,
                    holdout.sha256.to_string(),
                    signed(holdout.rows),
                    signed(holdout.positives),
                    signed(holdout.drawn_from),
                    holdout.recorded,
                    signed(holdout.known_rows),
                    to_json(&drawn.identity)?,
                    drawn.members.to_bytes(),
                    drawn.start.map(|start| start.to_string()),
                ],
            )?;
            db.execute("DELETE FROM intents WHERE id = ?1", [intent]).map(drop)
        })
    }

    /// Completes the record of a hold-out drawn by an earlier version of this program.
    pub fn complete_holdout(&mut self, version: DatasetVersion, drawn: &Drawn) -> Result<()> {
        self.transaction(|db| {
            db.execute(
                "UPDATE holdouts SET identity = ?2, members = ?3, start = ?4 WHERE version = ?1",
                params![
                    version.0,
                    to_json(&drawn.identity)?,
                    drawn.members.to_bytes(),
                    drawn.start.map(|start| start.to_string()),
                ],
            )
            .map(drop)
        })
    }

    /// All hold-outs, oldest first.
    pub fn holdouts(&self) -> Result<Vec<HoldoutRecord>> {
        self.query(|db| {
            let sql = format!("SELECT {HOLDOUT} FROM holdouts ORDER BY version");
            let mut statement = db.prepare(&sql)?;
            let found: rusqlite::Result<Vec<HoldoutRecord>> =
                statement.query_map([], holdout)?.collect();
            let (mut found, former) = (found?, former(db)?);
            for record in &mut found {
                let of_it = former.iter().filter(|(version, _)| *version == record.version);
                record.former.extend(of_it.map(|(_, digest)| *digest));
            }
            Ok(found)
        })
    }

    /// The newest hold-out.
    pub fn latest_holdout(&self) -> Result<Option<HoldoutRecord>> {
        Ok(self.holdouts()?.pop())
    }

    /// The members of the hold-out of data set `version`; `None` if an earlier version of this
    /// program drew it and its file was not seen since.
    pub fn drawn(&self, version: DatasetVersion) -> Result<Option<Drawn>> {
        self.query(|db| {
            let sql = "SELECT identity, members, start FROM holdouts
                       WHERE version = ?1 AND identity IS NOT NULL AND members IS NOT NULL";
            db.query_row(sql, [version.0], |row| {
                let start: Option<String> = row.get(2)?;
                Ok(Drawn {
                    identity: from_json(0, &row.get::<_, String>(0)?)?,
                    members: Members::from_bytes(&row.get::<_, Vec<u8>>(1)?),
                    start: start.map(|text| number(2, &text)).transpose()?,
                })
            })
            .optional()
        })
    }
}

/// Reads a number that is stored as text.
fn number(column: usize, text: &str) -> rusqlite::Result<f64> {
    text.parse().map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
    })
}

/// Remembers the digest of the file of hold-out `version`, which is about to change, within a transaction.
pub(super) fn remember_former(db: &Connection, version: DatasetVersion) -> rusqlite::Result<()> {
    let sql = "SELECT sha256 FROM holdouts WHERE version = ?1";
    let found: Option<String> = db.query_row(sql, [version.0], |row| row.get(0)).optional()?;
    let Some(sha256) = found else { return Ok(()) };
    let mut all = former(db)?;
    all.push((version, from_text(0, &sha256)?));
    set_meta(db, FORMER_KEY, &to_json(&all)?)
}

/// Versions of hold-outs with digests that their files had.
fn former(db: &Connection) -> rusqlite::Result<Vec<(DatasetVersion, Digest)>> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    let text: Option<String> = db.query_row(sql, [FORMER_KEY], |row| row.get(0)).optional()?;
    text.map_or_else(|| Ok(Vec::new()), |text| from_json(0, &text))
}

fn holdout(row: &Row) -> rusqlite::Result<HoldoutRecord> {
    Ok(HoldoutRecord {
        version: DatasetVersion(row.get(0)?),
        name: row.get(1)?,
        sha256: from_text(2, &row.get::<_, String>(2)?)?,
        rows: unsigned(row.get(3)?),
        positives: unsigned(row.get(4)?),
        drawn_from: unsigned(row.get(5)?),
        recorded: row.get(6)?,
        known_rows: unsigned(row.get(7)?),
        former: Vec::new(),
    })
}

#[cfg(test)]
impl Ledger {
    /// Reduces a hold-out to what format 1 recorded, without its members.
    pub(crate) fn forget_drawn(&mut self) -> Result<()> {
        let sql = "UPDATE holdouts SET identity = NULL, members = NULL, start = NULL";
        self.transaction(|db| db.execute(sql, []).map(drop))
    }
}
