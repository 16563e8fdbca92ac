//! What was asked of releases, by span of time, and the distribution of the rows that the live one was trained on.
//!
//! Not for what the records mean: see `stage::asked`.

use chrono::NaiveDate;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Ledger, from_text, signed};
use crate::Result;
use crate::ids::ReleaseId;

/// Where the reference of the live release is kept.
pub(super) const REFERENCE_KEY: &str = "training_reference";

impl Ledger {
    /// Records spans of time of `release`: the first day, the day after the last, the number of rows, and a record. A
    /// span whose record has more rows stays as it is, since files of the log are removed as it grows.
    pub fn record_asked(
        &mut self,
        release: &ReleaseId,
        spans: impl Iterator<Item = (NaiveDate, NaiveDate, u64, String)>,
        now: &str,
    ) -> Result<()> {
        let mut changed = Vec::new();
        for span in spans {
            let (from, until, rows, record) = &span;
            let known = self.query(|db| {
                let sql = "SELECT rows, record FROM asked
                     WHERE release = ?1 AND first_day = ?2 AND end_day = ?3";
                let key = params![release.as_str(), from.to_string(), until.to_string()];
                let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
                db.query_row(sql, key, row).optional()
            })?;
            let stays = known
                .is_some_and(|(more, same): (i64, String)| more > signed(*rows) || same == *record);
            if !stays {
                changed.push(span);
            }
        }
        // A run that learns nothing changes nothing.
        if changed.is_empty() {
            return Ok(());
        }
        self.transaction(|db| {
            let sql = "INSERT OR REPLACE INTO asked VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let mut statement = db.prepare(sql)?;
            for (from, until, rows, record) in &changed {
                let days = (from.to_string(), until.to_string());
                statement.execute(params![
                    release.as_str(),
                    days.0,
                    days.1,
                    signed(*rows),
                    record,
                    now
                ])?;
            }
            Ok(())
        })
    }

    /// The newest `most` records, of `release` or of all, oldest first.
    pub fn asked(
        &self,
        release: Option<&ReleaseId>,
        most: u32,
    ) -> Result<Vec<(ReleaseId, String)>> {
        self.query(|db| {
            let sql = "SELECT release, record FROM (SELECT * FROM asked
                 WHERE ?1 IS NULL OR release = ?1 ORDER BY first_day DESC, recorded DESC LIMIT ?2)
                 ORDER BY first_day, recorded";
            let mut statement = db.prepare(sql)?;
            let rows = statement
                .query_map(params![release.map(ReleaseId::as_str), most], |row| {
                    Ok((from_text(0, &row.get::<_, String>(0)?)?, row.get(1)?))
                })?;
            rows.collect()
        })
    }

    /// The distribution of the rows that a release was trained on.
    pub(crate) fn training_reference<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let text = self.meta(REFERENCE_KEY)?;
        // Whatever another version wrote is made again.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Keeps it in place of an earlier one.
    pub(crate) fn keep_training_reference<T: Serialize>(&mut self, reference: &T) -> Result<()> {
        self.keep(REFERENCE_KEY, Some(reference))
    }
}
