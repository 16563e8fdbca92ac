//! The requests to releases by period of time, and the distribution of the rows that the live one was trained on.
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
                 WHERE ?1 IS NULL OR release = ?1 ORDER BY recorded DESC, first_day DESC LIMIT ?2)
                 ORDER BY recorded, first_day";
            let mut statement = db.prepare(sql)?;
            let rows = statement
                .query_map(params![release.map(ReleaseId::as_str), most], |row| {
                    Ok((from_text(0, &row.get::<_, String>(0)?)?, row.get(1)?))
                })?;
            rows.collect()
        })
    }

    /// The record of the span of `release` that begins on `from`; if there are several, the longest.
    pub fn asked_from(&self, release: &ReleaseId, from: NaiveDate) -> Result<Option<String>> {
        self.query(|db| {
            let sql = "SELECT record FROM asked WHERE release = ?1 AND first_day = ?2
                 ORDER BY end_day DESC LIMIT 1";
            let key = params![release.as_str(), from.to_string()];
            db.query_row(sql, key, |row| row.get(0)).optional()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        Ledger::in_memory().unwrap()
    }

    fn span(from: &str, until: &str, rows: u64) -> (NaiveDate, NaiveDate, u64, String) {
        (from.parse().unwrap(), until.parse().unwrap(), rows, format!("{{\"rows\":{rows}}}"))
    }

    #[test]
    fn a_span_grows_and_never_shrinks_when_files_of_the_log_are_gone() {
        let mut ledger = ledger();
        let release: ReleaseId = "r-1-0123456789ab".parse().unwrap();
        let other: ReleaseId = "r-2-0123456789ab".parse().unwrap();
        let mut record = |release: &ReleaseId, from, until, rows| {
            let spans = std::iter::once(span(from, until, rows));
            ledger.record_asked(release, spans, "2026-11-30T00:00:00Z").unwrap();
        };
        record(&release, "2026-11-23", "2026-11-30", 5);
        record(&release, "2026-11-16", "2026-11-23", 9);
        record(&other, "2026-11-23", "2026-11-30", 7);
        record(&release, "2026-11-23", "2026-11-30", 8);
        record(&release, "2026-11-16", "2026-11-23", 2);
        let found = |of, most| -> Vec<String> {
            ledger.asked(of, most).unwrap().into_iter().map(|(_, record)| record).collect()
        };
        assert_eq!(found(Some(&release), 9), ["{\"rows\":9}", "{\"rows\":8}"]);
        assert_eq!(found(Some(&release), 1), ["{\"rows\":8}"]);
        assert_eq!(found(None, 9).len(), 3);
        let from = |release, day: &str| ledger.asked_from(release, day.parse().unwrap()).unwrap();
        assert_eq!(from(&release, "2026-11-16").as_deref(), Some("{\"rows\":9}"));
        assert_eq!(from(&other, "2026-11-23").as_deref(), Some("{\"rows\":7}"));
        assert_eq!(from(&other, "2026-11-16"), None);
    }

    #[test]
    fn a_reference_of_another_version_is_as_none() {
        let mut ledger = ledger();
        ledger.keep_training_reference(&vec![1, 2]).unwrap();
        assert_eq!(ledger.training_reference::<Vec<u8>>().unwrap(), Some(vec![1, 2]));
        assert_eq!(ledger.training_reference::<String>().unwrap(), None);
    }
}
