//! The scores of windows of time; only windows with new predictions or labels are computed again.
//!
//! Rows come from the database in the order of their probabilities, one by one, so that memory does
//! not grow with their number. Not for what scores are: see [`super::figures`].

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Row, params};

use super::calendar::{self, DAY, around};
use super::figures::{
    Delay, LabelCounts, LogCounts, OfRelease, OfWindow, Outcomes, Realised, Scores,
};
use super::store::{Store, unsigned};
use crate::Result;
use crate::config::{JoinBy, Period};
use crate::evaluation::metrics::ConfusionMatrix;
use crate::evaluation::metrics::interval::auc_interval;
use crate::ids::ReleaseId;

/// Labels that a window mostly has for [`Period::Auto`] to choose it.
const ENOUGH: i64 = 400;

impl Store {
    /// The scores of all releases and windows of `window`; `now` is when labels were joined.
    ///
    /// # Errors
    /// `Conflict` if the store is damaged.
    pub fn outcomes(&mut self, window: Period, by: JoinBy, now: &str) -> Result<Outcomes> {
        let unit = if window == Period::Auto { self.enough()? } else { window };
        self.begin()?;
        if self.meta("window")?.as_deref() != Some(unit.name()) {
            self.query(|db| db.execute_batch("DELETE FROM windows; UPDATE days SET stale = 1;"))?;
            self.set_meta("window", unit.name())?;
        }
        for (release, first, end) in self.stale(unit)? {
            let realised = self.realised(release, first, end)?;
            self.query(|db| {
                if realised.predicted == 0 {
                    let sql = "DELETE FROM windows WHERE release = ?1 AND start = ?2";
                    return db.execute(sql, [release, first]);
                }
                let text = serde_json::to_string(&realised)
                    .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
                let sql = "INSERT INTO windows VALUES (?1, ?2, ?3)
                           ON CONFLICT (release, start) DO UPDATE SET realised = ?3";
                db.execute(sql, params![release, first, text])
            })?;
        }
        self.query(|db| db.execute("UPDATE days SET stale = 0 WHERE stale = 1", []))?;
        self.commit()?;
        let releases = self.releases(unit)?;
        let (log, labels) = self.counts()?;
        Ok(Outcomes { recorded: now.to_owned(), by, window: unit, releases, log, labels })
    }

    /// The shortest window that mostly has enough labels.
    fn enough(&self) -> Result<Period> {
        let days: Vec<(i64, i64, i64)> = self.query(|db| {
            let sql = "SELECT release, day, labelled FROM days WHERE labelled > 0";
            let row = |row: &Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            db.prepare(sql)?.query_map([], row)?.collect()
        })?;
        for unit in [Period::Day, Period::Week] {
            let mut labelled: BTreeMap<(i64, i64), i64> = BTreeMap::new();
            for (release, day, n) in &days {
                *labelled.entry((*release, around(unit, *day).0)).or_default() += n;
            }
            let enough = labelled.values().filter(|n| **n >= ENOUGH).count();
            if enough > 0 && 2 * enough >= labelled.len() {
                return Ok(unit);
            }
        }
        Ok(Period::Month)
    }

    /// The windows in which something changed: release, first day and the day after the last.
    fn stale(&self, unit: Period) -> Result<BTreeSet<(i64, i64, i64)>> {
        self.query(|db| {
            let sql = "SELECT release, day FROM days WHERE stale = 1";
            let window = |row: &Row| {
                let (first, end) = around(unit, row.get(1)?);
                Ok((row.get(0)?, first, end))
            };
            db.prepare(sql)?.query_map([], window)?.collect()
        })
    }

    /// The scores of a release from the day `first` to that before `end`.
    fn realised(&self, release: i64, first: i64, end: i64) -> Result<Realised> {
        let (from, to) = (first.saturating_mul(DAY), end.saturating_mul(DAY));
        let span = [release, from, to];
        self.query(|db| {
            let sql = "SELECT coalesce(sum(predicted), 0) FROM days
                       WHERE release = ?1 AND day >= ?2 AND day < ?3";
            let predicted: i64 = db.query_row(sql, [release, first, end], |row| row.get(0))?;
            let sql = "SELECT probability, positive, label FROM predictions
                       WHERE label IS NOT NULL AND release = ?1 AND at >= ?2 AND at < ?3
                       ORDER BY probability";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query(span)?;
            let mut walk = Walk::default();
            while let Some(row) = rows.next()? {
                walk.add(row.get(0)?, row.get(1)?, row.get(2)?);
            }
            let sql = "SELECT count(*) FROM predictions WHERE label IS NOT NULL AND release = ?1
                       AND at >= ?2 AND at < ?3 AND delay IS NOT NULL";
            let n: i64 = db.query_row(sql, span, |row| row.get(0))?;
            let quantile = |part: i64| {
                let sql = "SELECT delay FROM predictions WHERE label IS NOT NULL AND release = ?1
                           AND at >= ?2 AND at < ?3 AND delay IS NOT NULL ORDER BY delay
                           LIMIT 1 OFFSET ?4";
                let place = (n * part + 9) / 10 - 1;
                let values = [release, from, to, place.max(0)];
                let found: rusqlite::Result<i64> = db.query_row(sql, values, |row| row.get(0));
                found.map(|milliseconds| milliseconds as f64 / 1000.0)
            };
            let delay = if n == 0 {
                None
            } else {
                let (median_seconds, p90_seconds) = (quantile(5)?, quantile(9)?);
                Some(Delay { n: unsigned(n), median_seconds, p90_seconds })
            };
            Ok(Realised::of(unsigned(predicted), walk.scores(), delay))
        })
    }

    /// The computed windows of all releases, the release that predicted last first.
    fn releases(&self, unit: Period) -> Result<Vec<OfRelease>> {
        let rows: Vec<(String, i64, String)> = self.query(|db| {
            let sql = "SELECT r.name, w.start, w.realised FROM windows w
                       JOIN releases r ON r.id = w.release
                       ORDER BY (SELECT max(day) FROM days d WHERE d.release = w.release
                                 AND d.predicted > 0) DESC, w.release DESC, w.start";
            let row = |row: &Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            db.prepare(sql)?.query_map([], row)?.collect()
        })?;
        let mut releases: Vec<OfRelease> = Vec::new();
        for (name, start, realised) in rows {
            // Both were written by this module.
            let (Ok(release), Ok(realised)) =
                (name.parse::<ReleaseId>(), serde_json::from_str::<Realised>(&realised))
            else {
                continue;
            };
            let (first, end) = around(unit, start);
            let [start, end] = [first, end].map(|day| calendar::date(day).to_string());
            let window = OfWindow { start, end, realised };
            match releases.last_mut().filter(|last| last.release == release) {
                Some(last) => last.windows.push(window),
                None => releases.push(OfRelease {
                    release,
                    total: Realised::of(0, None, None),
                    windows: vec![window],
                }),
            }
        }
        for release in &mut releases {
            release.total = Realised::sum(&release.windows);
        }
        Ok(releases)
    }

    fn counts(&self) -> Result<(LogCounts, LabelCounts)> {
        self.query(|db| {
            let one = |sql: &str| -> rusqlite::Result<u64> {
                let n = db.query_row(sql, [], |row| row.get::<_, Option<i64>>(0))?;
                Ok(unsigned(n.unwrap_or(0)))
            };
            let log = LogCounts {
                predictions: one("SELECT sum(predicted) FROM days")?,
                strange: one("SELECT sum(strange) FROM logs")?,
                without_key: one("SELECT sum(without_key) FROM logs")?,
            };
            let labels = LabelCounts {
                kept: one("SELECT count(*) FROM labels")?,
                unknown: one("SELECT count(*) FROM labels WHERE matched = 0")?,
                doubled: one("SELECT sum(doubled) FROM label_files")?,
                changed: one("SELECT count(*) FROM labels WHERE changed = 1")?,
                unreadable: one("SELECT sum(unreadable) FROM label_files")?,
                without_key: one("SELECT sum(without_key) FROM label_files")?,
            };
            Ok((log, labels))
        })
    }
}

/// Rows in the order of their probabilities.
#[derive(Debug, Default)]
struct Walk {
    matrix: ConfusionMatrix,
    /// Negatives below the present probability.
    below: u64,
    /// Those that have it.
    at: Option<f64>,
    negatives: u64,
    positives: u64,
    /// Twice the number of pairs whose positive is above the negative; ties count once.
    pairs: u128,
}

impl Walk {
    fn add(&mut self, probability: f64, positive: bool, label: bool) {
        if self.at != Some(probability) {
            self.end_group();
            self.at = Some(probability);
        }
        if label {
            self.positives += 1;
        } else {
            self.negatives += 1;
        }
        self.matrix += ConfusionMatrix::from_pairs([(label, positive)]);
    }

    fn end_group(&mut self) {
        let below = u128::from(2 * self.below + self.negatives);
        self.pairs += u128::from(self.positives) * below;
        self.below += self.negatives;
        (self.negatives, self.positives) = (0, 0);
    }

    fn scores(mut self) -> Option<Scores> {
        self.end_group();
        let mut scores = Scores::of(self.matrix)?;
        let (positives, negatives) = (self.matrix.positives(), self.matrix.negatives());
        if !self.matrix.one_class() {
            let all = 2 * u128::from(positives) * u128::from(negatives);
            let area = self.pairs as f64 / all as f64;
            scores.roc_auc = Some(area);
            scores.roc_auc_interval = Some(auc_interval(area, positives, negatives));
        }
        Some(scores)
    }
}
