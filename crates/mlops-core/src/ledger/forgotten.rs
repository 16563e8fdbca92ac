//! People who were erased: tombstones that name nobody, and who erased how many rows, when and why.
//!
//! One commit records all of this, removes the mentions of a person from earlier records, and has the intent
//! for the changes to files that follow. Rows are recognised in `csv::forgotten`; the files are changed in
//! `run::redact`.

use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::asked::REFERENCE_KEY;
use super::holdouts::remember_former;
use super::{Intent, Ledger, Removed, from_json, from_text, set_meta, signed, to_json};
use crate::csv::forgotten::{Forgotten, Secret, Tombstone};
use crate::evaluation::entity::Members;
use crate::ids::{DatasetVersion, ReleaseId, RunId};
use crate::platform::digest::Digest;
use crate::platform::disk::DiskStep;
use crate::platform::location::Location;
use crate::table::schema::Schema;
use crate::text::mention;
use crate::{Error, Result};

/// The key of the secret under which people are remembered.
const SECRET_KEY: &str = "forget_secret";
/// The key that stands in the ledger while its file may still contain what an erasure took out of it.
const RESIDUE_KEY: &str = "erased_residue";

/// An erasure, for the record: it names nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRecord {
    /// The run.
    pub run_id: RunId,
    /// When, RFC 3339, UTC.
    pub recorded: String,
    /// Who asked for it.
    pub who: String,
    /// Why.
    pub why: String,
    /// What was erased.
    pub counts: ErasureCounts,
}

/// What the store of outcomes and the labels that were sent have of people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// Logged predictions in the store.
    pub predictions: u64,
    /// Labels in the store.
    pub labels: u64,
    /// Rows of labels that were sent.
    pub sent: u64,
}

impl Traces {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.predictions + self.labels + self.sent
    }

    /// Nothing.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }
}

/// What an erasure took away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureCounts {
    /// The number of people.
    pub people: u64,
    /// Of them, those who had been erased before.
    pub known: u64,
    /// Rows of the newest data set.
    pub rows: u64,
    /// Rows of quarantines.
    pub quarantined: u64,
    /// Rows of hold-outs.
    pub held_out: u64,
    /// Predictions and labels.
    #[serde(default, skip_serializing_if = "Traces::is_empty")]
    pub outcomes: Traces,
    /// The version in which the first of the rows came: models trained on it or a later one may have seen them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DatasetVersion>,
    /// The version without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetVersion>,
    /// Old versions, releases and logs were to be removed too.
    #[serde(default)]
    pub everywhere: bool,
    /// Releases that are to be removed, after the next promotion at the latest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub condemned: Vec<ReleaseId>,
}

impl ErasureCounts {
    /// Whether a model that was trained on the version `trained` may have seen rows that were erased since.
    pub fn was_seen_by(&self, trained: DatasetVersion) -> bool {
        self.since.is_some_and(|since| since <= trained)
            && self.dataset.is_some_and(|d| trained < d)
    }
}

/// A file of ours that loses what it has of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redaction {
    /// Where it is.
    pub location: Location,
    /// Its digest before.
    pub before: Digest,
    /// Its digest after; `None` if it is removed.
    pub after: Option<Digest>,
    /// The bytes that are cut out, from and up to which, in order.
    pub cuts: Vec<(u64, u64)>,
}

/// A hold-out without the rows of a person.
#[derive(Debug, Clone, PartialEq)]
pub struct HoldoutAfter {
    /// Its version.
    pub version: DatasetVersion,
    /// The digest of its file from now on.
    pub sha256: Digest,
    /// The number of rows that it loses.
    pub rows: u64,
    /// Those of the positive class among them.
    pub positives: u64,
    /// The members that are left.
    pub members: Members,
}

/// A fetched object whose file loses rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandedAfter {
    /// Its file.
    pub location: Location,
    /// Its digest before.
    pub before: Digest,
    /// Its digest and size from now on; `None` if the file is removed.
    pub after: Option<(Digest, u64)>,
}

/// All that one commit records of an erasure.
#[derive(Debug, Default)]
pub struct Erasure {
    /// The people.
    pub tombstones: Vec<Tombstone>,
    /// Who, why and how much.
    pub record: ErasureRecord,
    /// Hold-outs that change.
    pub holdouts: Vec<HoldoutAfter>,
    /// Fetched objects that change.
    pub landed: Vec<LandedAfter>,
    /// How many rows the quarantines of versions lose.
    pub quarantined: Vec<(DatasetVersion, u64)>,
    /// The values that name each of the people, whom earlier records must not mention any more.
    pub values: Vec<Vec<String>>,
    /// Files that change after the commit.
    pub redactions: Vec<Redaction>,
    /// Releases that are removed after it, and data sets, whose files are among the redactions: unlike by
    /// retention, their removal must not fail for good.
    pub removed: Option<Removed>,
}

/// Texts of earlier records for people.
const TEXTS: [(&str, &str); 13] = [
    ("runs", "detail"),
    ("files", "reason"),
    ("files", "counts"),
    ("decisions", "decision"),
    ("scores", "score"),
    ("deployments", "reason"),
    ("findings", "subject"),
    ("findings", "text"),
    ("asked", "record"),
    ("alerts", "subject"),
    ("outbox", "payload"),
    ("approvals", "reason"),
    ("approvals", "why"),
];

impl Ledger {
    /// The secret under which people are remembered; `None` if nobody was erased yet.
    pub fn known_forget_secret(&self) -> Result<Option<Secret>> {
        let Some(text) = self.meta(SECRET_KEY)? else { return Ok(None) };
        let secret: Digest = text.parse().map_err(|e: String| self.damaged(SECRET_KEY, &e))?;
        Ok(Some(*secret.bytes()))
    }

    /// That secret; a workspace without one gets a random one, permanently.
    pub fn forget_secret(&mut self) -> Result<Secret> {
        if let Some(secret) = self.known_forget_secret()? {
            return Ok(secret);
        }
        let secret = new_secret()?;
        self.transaction(|db| set_meta(db, SECRET_KEY, &Digest::from(secret).to_string()))?;
        Ok(secret)
    }

    /// All tombstones.
    pub fn tombstones(&self) -> Result<Vec<Tombstone>> {
        self.query(|db| {
            let mut statement = db.prepare("SELECT columns, hash FROM tombstones ORDER BY 1, 2")?;
            let rows = statement.query_map([], |row| {
                Ok(Tombstone {
                    columns: from_json(0, &row.get::<_, String>(0)?)?,
                    hash: from_text(1, &row.get::<_, String>(1)?)?,
                })
            })?;
            rows.collect()
        })
    }

    /// The people whose rows must not come back, for rows of `schema`; `None` if nobody was erased.
    pub fn forgotten(&self, schema: &Schema) -> Result<Option<Arc<Forgotten>>> {
        let Some(secret) = self.known_forget_secret()? else { return Ok(None) };
        Forgotten::of(&secret, &self.tombstones()?, schema)
    }

    /// All erasures, oldest first.
    pub fn erasures(&self) -> Result<Vec<ErasureRecord>> {
        self.query(|db| {
            let sql = "SELECT run_id, recorded, who, why, counts FROM erasures ORDER BY id";
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(ErasureRecord {
                    run_id: row.get(0)?,
                    recorded: row.get(1)?,
                    who: row.get(2)?,
                    why: row.get(3)?,
                    counts: from_json(4, &row.get::<_, String>(4)?)?,
                })
            })?;
            rows.collect()
        })
    }

    /// After an erasure, writes the file of the ledger anew, since SQLite leaves the bytes of records that were
    /// changed or removed where they were. Returns false if a program that reads the ledger prevents that;
    /// the next run that changes the ledger tries again.
    pub fn shred(&mut self) -> Result<bool> {
        if self.meta(RESIDUE_KEY)?.is_none() {
            return Ok(true);
        }
        self.disk.announce(DiskStep::Commit, &self.path)?;
        let busy = self.query(|db| {
            db.execute_batch("VACUUM")?;
            // Otherwise the old pages stay in the file until the log happens to be copied into it.
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
        })?;
        if !busy {
            self.keep::<()>(RESIDUE_KEY, None)?;
        }
        Ok(!busy)
    }
}

/// A random secret.
pub fn new_secret() -> Result<Secret> {
    let mut secret = [0; 32];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| Error::backend("the system", "it gives no random numbers".to_owned()))?;
    Ok(secret)
}

/// Records `erasure`, within a transaction.
pub(super) fn erase(db: &Connection, erasure: &Erasure) -> rusqlite::Result<()> {
    let Erasure { record, .. } = erasure;
    let run = &record.run_id;
    for Tombstone { columns, hash } in &erasure.tombstones {
        db.execute(
            "INSERT OR IGNORE INTO tombstones (columns, hash, run_id) VALUES (?1, ?2, ?3)",
            params![to_json(columns)?, hash.to_string(), run],
        )?;
    }
    db.execute(
        "INSERT INTO erasures (run_id, recorded, who, why, counts) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![run, record.recorded, record.who, record.why, to_json(&record.counts)?],
    )?;
    for holdout in &erasure.holdouts {
        remember_former(db, holdout.version)?;
        db.execute(
            "UPDATE holdouts SET sha256 = ?2, rows = rows - ?3, positives = positives - ?4,
                 members = ?5 WHERE version = ?1",
            params![
                holdout.version.0,
                holdout.sha256.to_string(),
                signed(holdout.rows),
                signed(holdout.positives),
                holdout.members.to_bytes()
            ],
        )?;
    }
    for landed in &erasure.landed {
        relabel(db, landed)?;
    }
    for (version, rows) in &erasure.quarantined {
        let sql = "UPDATE datasets SET quarantined = max(quarantined - ?2, 0) WHERE version = ?1";
        db.execute(sql, params![version.0, signed(*rows)])?;
    }
    set_meta(db, RESIDUE_KEY, "1")?;
    // It is made again, without the rows that are gone.
    db.execute("DELETE FROM meta WHERE key = ?1", [REFERENCE_KEY])?;
    for (table, column) in TEXTS {
        take_out_of(db, table, column, &erasure.values)?;
    }
    if !erasure.redactions.is_empty() {
        intend(db, run, &Intent::Erase { files: erasure.redactions.clone() })?;
    }
    if let Some(removed) = &erasure.removed {
        for version in &removed.datasets {
            db.execute(
                "INSERT OR REPLACE INTO removed VALUES ('dataset', ?1, ?2, ?3)",
                params![version.to_string(), removed.run_id, removed.recorded],
            )?;
        }
        if !removed.releases.is_empty() {
            let releases = Removed { datasets: Vec::new(), ..removed.clone() };
            intend(db, run, &Intent::Remove(releases))?;
        }
    }
    Ok(())
}

fn intend(db: &Connection, run: &RunId, intent: &Intent) -> rusqlite::Result<()> {
    let sql = "INSERT INTO intents (run_id, payload) VALUES (?1, ?2)";
    db.execute(sql, params![run, to_json(intent)?]).map(drop)
}

/// Lets the records of a content follow its file, from which rows were cut out, or which is removed.
fn relabel(db: &Connection, landed: &LandedAfter) -> rusqlite::Result<()> {
    let LandedAfter { location, before, after } = landed;
    let Some((sha256, bytes)) = after else {
        let sql = "DELETE FROM landed WHERE location = ?1";
        return db.execute(sql, [location.as_str()]).map(drop);
    };
    let (old, new, bytes) = (before.to_string(), sha256.to_string(), signed(*bytes));
    db.execute(
        "UPDATE landed SET sha256 = ?2, bytes = ?3 WHERE sha256 = ?1",
        params![old, new, bytes],
    )?;
    db.execute(
        "UPDATE files SET sha256 = ?2, size = ?3 WHERE sha256 = ?1",
        params![old, new, bytes],
    )?;
    for (table, column) in [
        ("files", "replaces"),
        ("segments", "sha256"),
        ("segments", "replaces"),
        ("discarded", "sha256"),
    ] {
        let sql = format!("UPDATE {table} SET {column} = ?2 WHERE {column} = ?1");
        db.execute(&sql, params![old, new])?;
    }
    Ok(())
}

/// Takes the mentions of people, by the values that name each, out of the texts of a table.
fn take_out_of(
    db: &Connection,
    table: &str,
    column: &str,
    values: &[Vec<String>],
) -> rusqlite::Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    let mut found = Vec::new();
    let sql = format!("SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL");
    let mut statement = db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, text): (i64, String) = (row.get(0)?, row.get(1)?);
        found.extend(silenced(&text, values).map(|text| (id, text)));
    }
    // Two that differed by the person only become one.
    let sql = format!("UPDATE OR REPLACE {table} SET {column} = ?2 WHERE rowid = ?1");
    let mut update = db.prepare(&sql)?;
    for (id, text) in found {
        update.execute(params![id, text])?;
    }
    Ok(())
}

/// A text, or the texts of a JSON document, without mentions of people, by the values that name each; `None` if
/// there is none.
pub fn silenced(text: &str, values: &[Vec<String>]) -> Option<String> {
    let Ok(mut document) = serde_json::from_str::<serde_json::Value>(text) else {
        return mention::without(text, values);
    };
    silence(&mut document, values).then(|| document.to_string())
}

fn silence(value: &mut serde_json::Value, values: &[Vec<String>]) -> bool {
    use serde_json::Value::{Array, Object, String};
    match value {
        String(text) => match mention::without(text, values) {
            Some(less) => {
                *text = less;
                true
            }
            None => false,
        },
        Array(items) => items.iter_mut().fold(false, |any, item| silence(item, values) | any),
        Object(map) => map.values_mut().fold(false, |any, item| silence(item, values) | any),
        _ => false,
    }
}
