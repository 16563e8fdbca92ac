//! The predictions and labels of people in the store: counting and removing them.
//!
//! Not for whose they are, and not for other files: see [`super::erase`].

use std::collections::BTreeSet;

use super::calendar;
use super::store::{Store, unsigned};
use crate::Result;

/// A prediction that is removed.
#[derive(Debug)]
struct Gone {
    id: i64,
    release: i64,
    day: i64,
    is_labelled: bool,
}

/// What labels are joined by, each once.
type Keys = BTreeSet<String>;

impl Store {
    /// How many predictions and labels there are of people: those for whose ids `is_theirs`, given the texts of the
    /// id columns, says so.
    ///
    /// # Errors
    /// `Conflict` if the store is damaged.
    pub fn count_of(&self, is_theirs: impl Fn(&[String]) -> bool) -> Result<(u64, u64)> {
        let (predictions, keys) = self.of_people(is_theirs)?;
        let mut labels = 0;
        for key in keys {
            let sql = "SELECT count(*) FROM labels WHERE key = ?1";
            let n: i64 = self.query(|db| db.prepare_cached(sql)?.query_row([key], |r| r.get(0)))?;
            labels += unsigned(n);
        }
        Ok((predictions.len() as u64, labels))
    }

    /// The predictions of people, and all keys of theirs.
    fn of_people(&self, is_theirs: impl Fn(&[String]) -> bool) -> Result<(Vec<Gone>, Keys)> {
        let theirs =
            |ids: &str| serde_json::from_str::<Vec<String>>(ids).is_ok_and(|ids| is_theirs(&ids));
        self.query(|db| {
            let sql = "SELECT id, key, coalesce(ids, key), release, at, label FROM predictions
                       WHERE coalesce(ids, key) IS NOT NULL";
            let mut statement = db.prepare(sql)?;
            let mut rows = statement.query([])?;
            let (mut predictions, mut keys) = (Vec::new(), Keys::new());
            while let Some(row) = rows.next()? {
                if theirs(&row.get::<_, String>(2)?) {
                    let day = calendar::day_of(row.get(4)?);
                    let is_labelled = row.get::<_, Option<bool>>(5)?.is_some();
                    predictions.push(Gone {
                        id: row.get(0)?,
                        release: row.get(3)?,
                        day,
                        is_labelled,
                    });
                    keys.extend(row.get::<_, Option<String>>(1)?);
                }
            }
            let mut statement = db.prepare("SELECT DISTINCT key FROM labels")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let key: String = row.get(0)?;
                if theirs(&key) {
                    keys.insert(key);
                }
            }
            Ok((predictions, keys))
        })
    }

    /// Removes these predictions and labels; returns how many of each. `mark` tells for whom this was done last, if it
    /// was done.
    ///
    /// # Errors
    /// `Conflict` if the store is damaged.
    pub fn purge(
        &mut self,
        mark: &str,
        is_theirs: impl Fn(&[String]) -> bool,
    ) -> Result<(u64, u64)> {
        if self.meta("purged")?.as_deref() == Some(mark) {
            return Ok((0, 0));
        }
        self.begin()?;
        let (predictions, keys) = self.of_people(is_theirs)?;
        for Gone { id, release, day, is_labelled } in &predictions {
            self.leave(*release, *day, *is_labelled);
            self.query(|db| db.execute("DELETE FROM predictions WHERE id = ?1", [id]))?;
        }
        let mut labels = 0;
        for key in keys {
            let sql = "DELETE FROM labels WHERE key = ?1";
            labels += self.query(|db| db.execute(sql, [key]))? as u64;
        }
        self.set_meta("purged", mark)?;
        self.commit()?;
        // Deleted rows would stay in the log of the database until it is next reused.
        self.query(|db| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map(drop))?;
        Ok((predictions.len() as u64, labels))
    }
}
