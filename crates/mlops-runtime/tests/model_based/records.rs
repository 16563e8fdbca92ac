//! The ledger as an outsider reads it: by SQL, with no code of the product.
//!
//! Not for what must be in it: see [`super::invariants`].

use std::path::Path;

use std::collections::BTreeSet;

use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;

type Found<T> = rusqlite::Result<T>;

/// What the tables hold that the invariants ask for.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) datasets: Vec<Dataset>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) files: Vec<File>,
    pub(crate) holdouts: Vec<Holdout>,
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) models: Vec<Model>,
    pub(crate) decisions: Vec<Decision>,
    /// The number of erasures.
    pub(crate) erasures: u64,
    /// Payloads, as JSON.
    pub(crate) intents: Vec<Value>,
    /// Kind and name.
    pub(crate) removed: Vec<(String, String)>,
    /// Steps without an end: their run.
    pub(crate) cut_off: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Dataset {
    pub(crate) version: u32,
    pub(crate) sha256: String,
    pub(crate) rows: u64,
    pub(crate) new_rows: u64,
    pub(crate) quarantined: u64,
    pub(crate) base: Option<u32>,
    pub(crate) run: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) dataset: u32,
    pub(crate) sha256: String,
    pub(crate) first_row: u64,
    pub(crate) rows: u64,
    /// The version with which the content came.
    pub(crate) batch: u32,
    /// The content whose place it took.
    pub(crate) replaces: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) run: String,
    pub(crate) name: String,
    pub(crate) sha256: Option<String>,
    pub(crate) status: String,
    pub(crate) dataset: Option<u32>,
    pub(crate) counts: Value,
}

#[derive(Debug, Clone)]
pub(crate) struct Holdout {
    pub(crate) version: u32,
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) rows: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) action: String,
    pub(crate) release: String,
    pub(crate) previous: Option<String>,
    pub(crate) f1: Option<f64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) dataset: u32,
    pub(crate) rows: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(crate) run: String,
    pub(crate) dataset: u32,
    pub(crate) detail: Value,
}

impl Records {
    /// Reads the ledger at `path`; nothing is recorded where there is none.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        if !path.is_file() {
            return Ok(Self::default());
        }
        let read = || -> Found<(String, Self)> {
            let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            let sound: String = db.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
            let made: i64 =
                db.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
            if made == 0 { Ok((sound, Self::default())) } else { Ok((sound, Self::of(&db)?)) }
        };
        match read() {
            Ok((sound, records)) if sound == "ok" => Ok(records),
            Ok((damage, _)) => Err(format!("the ledger is damaged: {damage}")),
            Err(error) => Err(format!("the ledger cannot be read: {error}")),
        }
    }

    fn of(db: &Connection) -> Found<Self> {
        Ok(Self {
            datasets: all(
                db,
                "SELECT version, sha256, rows, new_rows, quarantined, base, run_id FROM datasets
                 ORDER BY version",
                |row| {
                    Ok(Dataset {
                        version: row.get(0)?,
                        sha256: row.get(1)?,
                        rows: count(row, 2)?,
                        new_rows: count(row, 3)?,
                        quarantined: count(row, 4)?,
                        base: row.get(5)?,
                        run: row.get(6)?,
                    })
                },
            )?,
            segments: all(
                db,
                "SELECT dataset, sha256, first_row, rows, batch, replaces FROM segments
                 ORDER BY dataset, place",
                |row| {
                    Ok(Segment {
                        dataset: row.get(0)?,
                        sha256: row.get(1)?,
                        first_row: count(row, 2)?,
                        rows: count(row, 3)?,
                        batch: row.get(4)?,
                        replaces: row.get(5)?,
                    })
                },
            )?,
            files: all(
                db,
                "SELECT run_id, name, sha256, status, dataset, counts FROM files ORDER BY id",
                |row| {
                    Ok(File {
                        run: row.get(0)?,
                        name: row.get(1)?,
                        sha256: row.get(2)?,
                        status: row.get(3)?,
                        dataset: row.get(4)?,
                        counts: json(row, 5)?,
                    })
                },
            )?,
            holdouts: all(
                db,
                "SELECT version, name, sha256, rows FROM holdouts ORDER BY version",
                |row| {
                    Ok(Holdout {
                        version: row.get(0)?,
                        name: row.get(1)?,
                        sha256: row.get(2)?,
                        rows: count(row, 3)?,
                    })
                },
            )?,
            deployments: all(
                db,
                "SELECT action, release, previous, f1 FROM deployments ORDER BY id",
                |row| {
                    Ok(Deployment {
                        action: row.get(0)?,
                        release: row.get(1)?,
                        previous: row.get(2)?,
                        f1: row.get(3)?,
                    })
                },
            )?,
            models: all(db, "SELECT dataset, rows FROM models ORDER BY id", |row| {
                Ok(Model { dataset: row.get(0)?, rows: count(row, 1)? })
            })?,
            decisions: all(
                db,
                "SELECT run_id, dataset, decision FROM decisions ORDER BY id",
                |row| {
                    Ok(Decision { run: row.get(0)?, dataset: row.get(1)?, detail: json(row, 2)? })
                },
            )?,
            erasures: db.query_row("SELECT count(*) FROM erasures", [], |row| count(row, 0))?,
            intents: all(db, "SELECT payload FROM intents ORDER BY id", |row| json(row, 0))?,
            removed: all(db, "SELECT kind, name FROM removed", |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?,
            cut_off: all(db, "SELECT run_id FROM runs WHERE ended IS NULL ORDER BY id", |row| {
                row.get(0)
            })?,
        })
    }

    /// The newest data set.
    pub(crate) fn newest(&self) -> Option<&Dataset> {
        self.datasets.last()
    }

    /// Whether retention removed it, or is about to.
    pub(crate) fn was_removed(&self, kind: &str, name: &str) -> bool {
        let list = if kind == "release" { "releases" } else { "datasets" };
        let planned = self.intents.iter().filter(|i| i["kind"] == "remove").any(|intent| {
            let names = intent[list].as_array().into_iter().flatten();
            names.map(Value::to_string).any(|text| text.trim_matches('"') == name)
        });
        planned || self.removed.iter().any(|(k, n)| k == kind && n == name)
    }

    /// Releases that were live, the last one first, each once.
    pub(crate) fn lived(&self) -> Vec<&str> {
        let mut lived: Vec<&str> = Vec::new();
        for deployment in self.deployments.iter().rev() {
            if !lived.contains(&deployment.release.as_str()) {
                lived.push(&deployment.release);
            }
        }
        lived
    }

    /// The segments of data set `version`, its base's first.
    pub(crate) fn segments_of(&self, version: u32) -> Vec<&Segment> {
        let mut chain = Vec::new();
        let mut next = Some(version);
        while let Some(version) = next {
            chain.push(version);
            let record = self.datasets.iter().find(|d| d.version == version);
            next = record.and_then(|d| d.base);
        }
        self.segments.iter().filter(|s| chain.contains(&s.dataset)).collect()
    }

    /// The contents whose place those of `segments` took, however often they were corrected since.
    pub(crate) fn predecessors(&self, segments: &[&Segment]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut next: Vec<&str> = segments.iter().map(|s| s.sha256.as_str()).collect();
        while let Some(sha256) = next.pop() {
            let replaced = self.segments.iter().filter(|s| s.sha256 == sha256);
            let replaced = replaced.filter_map(|s| s.replaces.as_deref());
            next.extend(replaced.filter(|sha256| found.insert((*sha256).to_owned())));
        }
        found
    }
}

fn all<T>(db: &Connection, sql: &str, of: impl FnMut(&Row) -> Found<T>) -> Found<Vec<T>> {
    db.prepare(sql)?.query_map([], of)?.collect()
}

fn count(row: &Row, column: usize) -> Found<u64> {
    row.get::<_, i64>(column).map(|n| u64::try_from(n).unwrap_or(u64::MAX))
}

fn json(row: &Row, column: usize) -> Found<Value> {
    let text: String = row.get(column)?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}
