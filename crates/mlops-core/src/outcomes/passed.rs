//! Which labelled predictions were added to the training data already, and which are still to be added.
//!
//! The column `written` of a prediction is twice the number of the file that it went into, plus 1 for the
//! positive label; it is -1 if the features of the prediction are lost. Not for the files: see `stage::labelled`.

use std::collections::BTreeMap;

use rusqlite::{Row, params};

use super::store::{Store, signed, unsigned};
use crate::Result;

/// A prediction with a label that is not in a file yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its number.
    pub id: i64,
    /// The name of its file of the log.
    pub log: String,
    /// The place of its line there.
    pub byte: u64,
    /// The positive label.
    pub positive: bool,
}

/// A row of a file: the number of the prediction, its line from 1, and whether its label is positive.
pub type WrittenRow = (i64, u64, bool);

impl Store {
    /// Makes the indexes by which the methods below find rows; a store that passes nothing on does not
    /// pay for them.
    ///
    /// # Errors
    /// `Conflict` if the store is damaged.
    pub fn prepare_to_pass(&mut self) -> Result<()> {
        self.query(|db| {
            db.execute_batch(
                "CREATE INDEX IF NOT EXISTS predictions_pending ON predictions (id)
                     WHERE label IS NOT NULL AND written IS NULL;
                 CREATE INDEX IF NOT EXISTS predictions_written ON predictions (written)
                     WHERE written IS NOT NULL;
                 CREATE INDEX IF NOT EXISTS predictions_corrected ON predictions (id)
                     WHERE written >= 0 AND label IS NOT NULL AND (written & 1) <> label;",
            )
        })
    }

    /// The first `most` predictions with a label that are in no file, in the order of reading.
    ///
    /// # Errors
    /// `Conflict` if the store is damaged.
    pub fn pending(&self, most: usize) -> Result<Vec<Pending>> {
        self.query(|db| {
            let sql = "SELECT p.id, l.name, p.byte, p.label FROM predictions p
                       JOIN logs l ON l.id = p.log
                       WHERE p.label IS NOT NULL AND p.written IS NULL ORDER BY p.id LIMIT ?1";
            let pending = |row: &Row| {
                Ok(Pending {
                    id: row.get(0)?,
                    log: row.get(1)?,
                    byte: unsigned(row.get(2)?),
                    positive: row.get(3)?,
                })
            };
            db.prepare(sql)?.query_map([signed(most as u64)], pending)?.collect()
        })
    }

    /// The number of the next file.
    ///
    /// # Errors
    /// `Conflict` if the store is damaged.
    pub fn next_file(&self) -> Result<i64> {
        self.query(|db| {
            let sql = "SELECT max(written) FROM predictions WHERE written IS NOT NULL";
            let last: Option<i64> = db.query_row(sql, [], |row| row.get(0))?;
            Ok(last.map_or(1, |last| last.div_euclid(2) + 1).max(1))
        })
    }

    /// Records that rows were written into file `number`, and that others are lost.
    ///
    /// # Errors
    /// `Conflict` if the store is damaged.
    pub fn passed(&mut self, number: i64, rows: &[WrittenRow], lost: &[i64]) -> Result<()> {
        self.begin()?;
        self.query(|db| {
            let sql = "UPDATE predictions SET written = ?2, line = ?3 WHERE id = ?1";
            let mut statement = db.prepare_cached(sql)?;
            for (id, line, positive) in rows {
                let written = 2 * number + i64::from(*positive);
                statement.execute(params![id, written, signed(*line)])?;
            }
            for id in lost {
                statement.execute(params![id, -1, 0])?;
            }
            Ok(())
        })?;
        self.commit()
    }

    /// The rows in files whose label is another one now, by file.
    ///
    /// # Errors
    /// `Conflict` if the store is damaged.
    pub fn corrections(&self) -> Result<BTreeMap<i64, Vec<WrittenRow>>> {
        self.query(|db| {
            let sql = "SELECT written, id, line, label FROM predictions
                       WHERE written >= 0 AND label IS NOT NULL AND (written & 1) <> label
                       ORDER BY id";
            let mut statement = db.prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut found: BTreeMap<i64, Vec<WrittenRow>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let file = row.get::<_, i64>(0)?.div_euclid(2);
                let line = unsigned(row.get(2)?);
                found.entry(file).or_default().push((row.get(1)?, line, row.get(3)?));
            }
            Ok(found)
        })
    }
}
