//! Thins out the ledger, so that it stays small over years: runs without news, and old details of
//! runs, decisions and scores.
//!
//! Never removes what decisions still need: which rows were judged, their F1, and what went live
//! when. Not for releases and data sets: see `stage::retain`.

use chrono::{DateTime, Duration, Utc};
use rusqlite::params;

use super::{Ledger, set_meta};
use crate::Result;
use crate::ids::RunId;
use crate::platform::clock::rfc3339;

/// The key of the day on which this was last done.
const THINNED_KEY: &str = "thinned";
/// Days for which every run without news keeps its record; of older ones, one per day is kept.
const EACH_RUN_DAYS: i64 = 2;
/// The number of lists of test files kept regardless of age.
const TEST_SETS: u32 = 20;

/// Runs without news before ?1 that another one of the same step and day represents.
const REPEATED: &str = "outcome = 'nothing to do' AND started < ?1 AND id NOT IN
    (SELECT max(id) FROM runs WHERE outcome = 'nothing to do' GROUP BY step, substr(started, 1, 10))";
/// Findings that ended before ?1 and are not the last ones of their day.
const REPEATED_FINDINGS: &str = "ended < ?1 AND id NOT IN (SELECT max(id) FROM findings
    WHERE ended IS NOT NULL GROUP BY kind, subject, substr(ended, 1, 10))";
/// The last run of each step.
const LAST_RUNS: &str = "SELECT max(id) FROM runs GROUP BY step";
/// Decisions before ?1 whose details are removed: not the newest, and none that promoted a release.
const OLD_DECISIONS: &str = "recorded < ?1 AND decision <> '' AND outcome <> 'promoted'
    AND id <> (SELECT max(id) FROM decisions)";

impl Ledger {
    /// Whether the ledger has not been thinned on the day of `now`.
    pub fn is_due_to_thin(&self, now: DateTime<Utc>) -> Result<bool> {
        Ok(self.meta(THINNED_KEY)?.is_none_or(|day| day != day_of(now)))
    }

    /// Runs whose decisions lose their details at `now` if `keep_days` days are kept.
    pub fn old_decisions(&self, now: DateTime<Utc>, keep_days: Option<u64>) -> Result<Vec<RunId>> {
        let Some(before) = keep_days.and_then(|days| days_before(now, days)) else {
            return Ok(Vec::new());
        };
        self.query(|db| {
            let sql = format!("SELECT run_id FROM decisions WHERE {OLD_DECISIONS}");
            let mut statement = db.prepare(&sql)?;
            statement.query_map([before], |row| row.get(0))?.collect()
        })
    }

    /// Removes what need not be kept at `now`.
    pub fn thin(&mut self, now: DateTime<Utc>, keep_days: Option<u64>) -> Result<()> {
        let recent = rfc3339(now - Duration::days(EACH_RUN_DAYS));
        let before = keep_days.and_then(|days| days_before(now, days));
        self.transaction(|db| {
            db.execute(&format!("DELETE FROM runs WHERE {REPEATED}"), [&recent])?;
            db.execute(&format!("DELETE FROM findings WHERE {REPEATED_FINDINGS}"), [&recent])?;
            if let Some(before) = before {
                let old =
                    format!("DELETE FROM runs WHERE started < ?1 AND id NOT IN ({LAST_RUNS})");
                db.execute(&old, [&before])?;
                db.execute("DELETE FROM findings WHERE ended < ?1", [&before])?;
                super::alerts::thin(db, &before)?;
                db.execute("DELETE FROM approvals WHERE closed < ?1", [&before])?;
                let decisions = format!("UPDATE decisions SET decision = '' WHERE {OLD_DECISIONS}");
                db.execute(&decisions, [&before])?;
                db.execute(
                    "UPDATE scores SET score = '' WHERE recorded < ?1
                     AND id <> (SELECT max(id) FROM scores)",
                    [&before],
                )?;
                db.execute(
                    "DELETE FROM test_sets WHERE recorded < ?1
                     AND version <= (SELECT max(version) FROM test_sets) - ?2",
                    params![before, TEST_SETS],
                )?;
            }
            set_meta(db, THINNED_KEY, &day_of(now))
        })
    }
}

fn day_of(now: DateTime<Utc>) -> String {
    now.format("%Y-%m-%d").to_string()
}

/// The time `days` before `now`; `None` if it cannot be represented.
fn days_before(now: DateTime<Utc>, days: u64) -> Option<String> {
    let days = Duration::try_days(i64::try_from(days).ok()?)?;
    now.checked_sub_signed(days).map(rfc3339)
}

#[cfg(test)]
mod tests {
    use super::super::{DecisionRecord, FindingFilter, Observed, RunEnd, RunRecord};
    use super::*;
    use crate::ids::DecisionOutcome::{self, NoDrift, Promoted, Refused};
    use crate::ids::{DatasetVersion, FindingKind, RunOutcome, Severity, Step};
    use chrono::Timelike as _;

    fn run(ledger: &mut Ledger, at: DateTime<Utc>, outcome: RunOutcome) {
        let record = RunRecord {
            run_id: RunId::new(at, 1),
            step: Step::FullProcess,
            started: rfc3339(at),
            ended: None,
            seconds: None,
            outcome: None,
            detail: None,
            tool_version: String::new(),
            host: String::new(),
        };
        let id = ledger.begin_run(&record).unwrap();
        // It comes and goes.
        let found = [Observed {
            kind: FindingKind::Data,
            subject: String::new(),
            severity: Severity::Warning,
            text: String::new(),
        }];
        let findings = if at.hour().is_multiple_of(4) { &found[..] } else { &[] };
        let at = rfc3339(at);
        let end = RunEnd { at: &at, seconds: 1.0, outcome, detail: "{}", findings };
        ledger.end_run(id, &end).unwrap();
    }

    fn decide(ledger: &mut Ledger, at: DateTime<Utc>, outcome: DecisionOutcome) {
        let decision = DecisionRecord {
            run_id: RunId::new(at, 1),
            dataset: DatasetVersion(1),
            outcome,
            f1: Some(0.5),
            matrix: None,
            release: None,
            decision: "{\"much\": \"of it\"}".to_owned(),
            recorded: rfc3339(at),
            headline: None,
        };
        ledger.record_decision(&decision).unwrap();
    }

    #[test]
    fn a_year_of_runs_every_ten_minutes_leaves_a_bounded_record() {
        let mut ledger = Ledger::in_memory().unwrap();
        let start = DateTime::UNIX_EPOCH;
        let mut most = 0;
        for day in 0..365 {
            let midnight = start + Duration::days(day);
            if ledger.is_due_to_thin(midnight).unwrap() {
                ledger.thin(midnight, Some(90)).unwrap();
                assert!(!ledger.is_due_to_thin(midnight).unwrap());
            }
            for run_of_day in 0..12 {
                run(
                    &mut ledger,
                    midnight + Duration::hours(2 * run_of_day),
                    RunOutcome::NothingToDo,
                );
            }
            if day % 7 == 0 {
                run(&mut ledger, midnight + Duration::hours(23), RunOutcome::Done);
            }
            let rows: u64 = ledger
                .connection
                .query_row("SELECT count(*) FROM runs", [], |row| row.get::<_, i64>(0))
                .unwrap()
                .unsigned_abs();
            most = most.max(rows);
        }
        // Three days in full, one of every other day, and the weekly ones.
        assert!(most <= 3 * 12 + 90 + 90 / 7 + 15, "{most}");
        let findings = ledger.count_findings(&FindingFilter::default()).unwrap();
        assert!((90..3 * 6 + 90 + 3).contains(&findings), "{findings}");
        assert!(
            ledger.previous_run_completed(Step::FullProcess, &RunId::named("present")).unwrap()
        );
    }

    #[test]
    fn old_decisions_lose_their_details_and_keep_their_figures() {
        let mut ledger = Ledger::in_memory().unwrap();
        let at = |day| DateTime::UNIX_EPOCH + Duration::days(day);
        for (day, outcome) in [(0, NoDrift), (1, Promoted), (2, NoDrift), (99, Refused)] {
            decide(&mut ledger, at(day), outcome);
        }
        let old = ledger.old_decisions(at(100), Some(90)).unwrap();
        let expected = ["19700101T000000000Z-1", "19700103T000000000Z-1"];
        assert_eq!(old, expected.map(RunId::named));
        assert!(ledger.old_decisions(at(100), None).unwrap().is_empty());
        ledger.thin(at(100), Some(90)).unwrap();
        let kept: Vec<_> =
            ledger.decisions().unwrap().iter().map(|d| (d.f1, d.decision.is_empty())).collect();
        assert_eq!(kept, [true, false, true, false].map(|gone| (Some(0.5), gone)));
        ledger.thin(at(1000), Some(90)).unwrap();
        assert!(!ledger.decision(None).unwrap().unwrap().decision.is_empty(), "the newest stays");
    }

    #[test]
    fn questions_of_every_run_use_an_index() {
        let ledger = Ledger::in_memory().unwrap();
        for sql in [
            "SELECT * FROM decisions ORDER BY id DESC LIMIT 1",
            "SELECT * FROM decisions WHERE run_id = 'x' ORDER BY id DESC LIMIT 1",
            "SELECT outcome FROM runs WHERE step = 'x' AND run_id <> 'y' ORDER BY id DESC LIMIT 1",
            "SELECT * FROM runs WHERE step = 'x' AND ended IS NOT NULL ORDER BY id DESC LIMIT 3",
            "SELECT * FROM deployments WHERE release = 'x'",
            "SELECT * FROM deployments WHERE action = 'rollback' AND previous = 'x'",
        ] {
            let plan = format!("EXPLAIN QUERY PLAN {sql}");
            let mut statement = ledger.connection.prepare(&plan).unwrap();
            let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<String> = steps.map(Result::unwrap).collect();
            let scans = steps.iter().filter(|step| step.starts_with("SCAN"));
            // In the order of ids, the first row found is the answer.
            let newest = sql.contains("decisions ORDER BY id DESC LIMIT 1");
            assert!(newest || scans.count() == 0, "{sql}: {steps:?}");
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}: {steps:?}");
        }
    }
}
