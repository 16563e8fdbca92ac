//! Hold-outs that were drawn: which rows are never trained on, kept here and not in their files alone.
//!
//! A hold-out stays one for ever, whether its file is there or not: its members are recorded as
//! hashes under the workspace's own secret. Not for drawing them: see `stage::holdout`.

use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Ledger, from_json, from_text, set_meta, signed, to_json, unsigned};
use crate::evaluation::entity::{Identity, Members};
use crate::evaluation::split::Tally;
use crate::ids::DatasetVersion;
use crate::platform::digest::Digest;
use crate::{Error, Result};

/// A hold-out that was drawn from new rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldoutRecord {
    /// The data set that its rows are in.
    pub version: DatasetVersion,
    /// Its name in the test folder.
    pub name: String,
    /// Its identity.
    pub sha256: Digest,
    /// Its rows.
    pub rows: u64,
    /// Of them, rows of the positive class.
    pub positives: u64,
    /// New rows that it was drawn from.
    pub drawn_from: u64,
    /// Of its rows, those of entities that the live model was trained on with earlier rows.
    #[serde(default)]
    pub known_rows: u64,
    /// RFC 3339, UTC.
    pub recorded: String,
}

/// Who is in a hold-out.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// What tells one entity from another.
    pub identity: Identity,
    /// The entities.
    pub members: Members,
    /// Where it starts in time, if it holds the newest rows: the text of a number.
    pub start: Option<f64>,
}

/// The key under which rows are drawn into hold-outs, fixed with the first draw.
const HOLDOUT_KEY: &str = "holdout_key";

/// What all draws were offered and took.
const TALLY: &str = "holdout_tally";

const HOLDOUT: &str = "version, name, sha256, rows, positives, drawn_from, recorded, known_rows";

impl Ledger {
    /// The secret under which rows are drawn and remembered, if there is one yet.
    pub fn known_holdout_key(&self) -> Result<Option<u64>> {
        let Some(text) = self.meta(HOLDOUT_KEY)? else { return Ok(None) };
        text.parse().map(Some).map_err(|e| self.damaged(HOLDOUT_KEY, &e))
    }

    /// The same; a workspace without one gets a random one, for good.
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

    /// Sets that secret: for simulations that must come out the same again.
    pub fn fix_holdout_key(&mut self, key: u64) -> Result<()> {
        self.transaction(|db| set_meta(db, HOLDOUT_KEY, &key.to_string()))
    }

    /// What all draws were offered and took; nothing before the first one that was counted.
    pub fn holdout_tally(&self) -> Result<Tally> {
        Ok(self.kept(TALLY)?.unwrap_or_default())
    }

    /// Records a hold-out with the count of all draws, which ends `intent`.
    pub fn record_holdout(
        &mut self,
        run_id: &str,
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

    /// Completes the record of a hold-out that an earlier version of this program drew.
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
            statement.query_map([], holdout)?.collect()
        })
    }

    /// The newest hold-out.
    pub fn latest_holdout(&self) -> Result<Option<HoldoutRecord>> {
        self.query(|db| {
            let sql = format!("SELECT {HOLDOUT} FROM holdouts ORDER BY version DESC LIMIT 1");
            db.query_row(&sql, [], holdout).optional()
        })
    }

    /// Who is in the hold-out of data set `version`; nothing where an earlier version of this program
    /// drew it and its file was not seen since.
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

/// Reads a number that is kept as text.
fn number(column: usize, text: &str) -> rusqlite::Result<f64> {
    text.parse().map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
    })
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
    })
}

#[cfg(test)]
impl Ledger {
    /// Leaves a hold-out as format 1 had it: no word of who was drawn.
    pub(crate) fn forget_drawn(&mut self) -> Result<()> {
        let sql = "UPDATE holdouts SET identity = NULL, members = NULL, start = NULL";
        self.transaction(|db| db.execute(sql, []).map(drop))
    }
}
