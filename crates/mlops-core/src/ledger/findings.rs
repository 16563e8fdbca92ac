//! The history of findings: what was found when, by which step, and when it was over.
//!
//! A finding is open from the first run that has it until its step is done without it. Not for making
//! findings: see [`crate::run::attention`].

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::{Ledger, from_text, unsigned};
use crate::Result;
use crate::ids::{FindingKind, RunId, Severity, Step};

/// What a step found: one subject of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What it is about.
    pub kind: FindingKind,
    /// Which one of these; empty if there is only one.
    pub subject: String,
    /// How urgent it is.
    pub severity: Severity,
    /// The finding in words.
    pub text: String,
}

/// A finding of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FindingRecord {
    /// Its number; a later one is larger.
    pub id: i64,
    /// What it is about.
    pub kind: FindingKind,
    /// Which one of these, such as a file, a source or a column; empty if there is only one.
    pub subject: String,
    /// How urgent it was when it was last seen.
    pub severity: Severity,
    /// The finding in words, as it was last told.
    pub text: String,
    /// The step that found it, and whose next success without it ends it.
    pub step: Step,
    /// The run that found it first.
    pub first_run: RunId,
    /// The run that found it last.
    pub last_run: RunId,
    /// When it was found first, RFC 3339, UTC.
    pub first_seen: String,
    /// When it was found last, RFC 3339, UTC.
    pub last_seen: String,
    /// When a run was done without it, RFC 3339, UTC; `None` while it is open.
    pub ended: Option<String>,
}

/// Which findings to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FindingFilter {
    /// Only open ones (`true`), only ended ones (`false`), or both.
    pub open: Option<bool>,
    /// Only of this kind.
    pub kind: Option<FindingKind>,
    /// Only those that are at least this urgent.
    pub severity: Option<Severity>,
    /// Only those with a smaller number: the next page after the one that ended with it.
    pub before: Option<i64>,
}

/// A filter in SQL, for the parameters that [`FindingFilter`] gives.
const FILTERED: &str = "(?1 IS NULL OR (ended IS NULL) = ?1) AND (?2 IS NULL OR kind = ?2)
    AND (?3 IS NULL OR instr(?3, severity) > 0) AND (?4 IS NULL OR id < ?4)";

const FINDING: &str = "id, kind, subject, severity, text, step, first_run, last_run, first_seen, \
    last_seen, ended";

impl FindingFilter {
    fn parameters(&self) -> (Option<bool>, Option<&'static str>, Option<String>, Option<i64>) {
        let from = |least: Severity| {
            let all = Severity::ALL.iter().filter(|severity| **severity >= least);
            all.map(|severity| severity.as_str()).collect::<Vec<_>>().join(" ")
        };
        (self.open, self.kind.map(FindingKind::as_str), self.severity.map(from), self.before)
    }
}

impl Ledger {
    /// A page of the history: at most `limit` findings, newest first.
    pub fn findings(&self, filter: &FindingFilter, limit: u32) -> Result<Vec<FindingRecord>> {
        let (open, kind, severity, before) = filter.parameters();
        self.query(|db| {
            let sql = format!(
                "SELECT {FINDING} FROM findings WHERE {FILTERED} ORDER BY id DESC LIMIT ?5"
            );
            let mut statement = db.prepare(&sql)?;
            statement.query_map(params![open, kind, severity, before, limit], finding)?.collect()
        })
    }

    /// The finding of number `id`.
    pub fn finding(&self, id: i64) -> Result<Option<FindingRecord>> {
        self.query(|db| {
            let sql = format!("SELECT {FINDING} FROM findings WHERE id = ?1");
            db.query_row(&sql, [id], finding).optional()
        })
    }

    /// How many findings fit `filter`.
    pub fn count_findings(&self, filter: &FindingFilter) -> Result<u64> {
        let (open, kind, severity, before) = filter.parameters();
        self.query(|db| {
            let sql = format!("SELECT count(*) FROM findings WHERE {FILTERED}");
            db.query_row(&sql, params![open, kind, severity, before], |row| row.get(0))
        })
        .map(unsigned)
    }

    /// All open findings, newest first, but those of steps that `run` has begun and not ended: these are being looked at
    /// anew.
    pub fn standing_findings(&self, run: &RunId) -> Result<Vec<FindingRecord>> {
        self.query(|db| {
            let sql = "SELECT step FROM runs WHERE run_id = ?1 AND ended IS NULL";
            let mut begun = db.prepare(sql)?;
            let begun = begun.query_map([run.as_str()], |row| {
                from_text::<Step>(0, &row.get::<_, String>(0)?).map(of_group)
            })?;
            let anew = begun.collect::<rusqlite::Result<Vec<_>>>()?.concat();
            let sql =
                format!("SELECT {FINDING} FROM findings WHERE ended IS NULL ORDER BY id DESC");
            let mut statement = db.prepare(&sql)?;
            let found = statement.query_map([], finding)?;
            let kept =
                found.filter(|one| one.as_ref().map_or(true, |one| !anew.contains(&one.step)));
            kept.collect()
        })
    }

    /// How many findings are open, by kind and severity.
    pub fn open_findings(&self) -> Result<Vec<(FindingKind, Severity, u64)>> {
        self.query(|db| {
            let sql = "SELECT kind, severity, count(*) FROM findings WHERE ended IS NULL
                       GROUP BY kind, severity ORDER BY kind, severity";
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let kind = from_text(0, &row.get::<_, String>(0)?)?;
                let severity = from_text(1, &row.get::<_, String>(1)?)?;
                Ok((kind, severity, unsigned(row.get(2)?)))
            })?;
            rows.collect()
        })
    }
}

/// The steps whose findings a success of `step` ends.
fn of_group(step: Step) -> &'static [Step] {
    match step {
        Step::Ingestion => &[Step::Ingestion],
        Step::Training => &[Step::Training],
        Step::Scoring => &[Step::Scoring],
        Step::Deployment | Step::Rollback | Step::Approve => {
            &[Step::Deployment, Step::Rollback, Step::Approve]
        }
        Step::Diagnostics => &[Step::Diagnostics],
        Step::Reporting => &[Step::Reporting],
        Step::ApiCalls => &[Step::ApiCalls],
        Step::Outcomes => &[Step::Outcomes],
        Step::FirstRun | Step::FullProcess => &[Step::FirstRun, Step::FullProcess],
        // What is done on request is not repeated, so that nothing would end it.
        _ => &[],
    }
}

/// Records what the step of number `id` found, within the transaction that ends it. If the step is `done`, what
/// it found before and not now is over.
pub(super) fn record(
    db: &Connection,
    id: i64,
    at: &str,
    observed: &[Observed],
    done: bool,
) -> rusqlite::Result<()> {
    let (run, step) = db.query_row("SELECT run_id, step FROM runs WHERE id = ?1", [id], |row| {
        Ok((row.get::<_, String>(0)?, from_text::<Step>(1, &row.get::<_, String>(1)?)?))
    })?;
    let group = of_group(step);
    let mut known = BTreeSet::new();
    for one in observed {
        if known.insert((one.kind, &one.subject)) {
            see(db, &run, step, at, one)?;
        }
    }
    if !done {
        return Ok(());
    }
    // A waiting challenger is reported once, and the finding lasts until it no longer waits.
    let waits = FindingKind::WaitsForApproval.as_str();
    let waiting = "SELECT release FROM approvals WHERE state = 'waiting'";
    let sql = format!(
        "UPDATE findings SET last_seen = ?1, last_run = ?2
         WHERE ended IS NULL AND kind = ?3 AND subject IN ({waiting})"
    );
    db.execute(&sql, params![at, run, waits])?;
    let sql = format!(
        "UPDATE findings SET ended = ?1
         WHERE ended IS NULL AND kind = ?2 AND subject NOT IN ({waiting})"
    );
    db.execute(&sql, params![at, waits])?;
    if group.contains(&Step::FullProcess) {
        // A breach is reported once, and the finding lasts until the source is on time.
        db.execute(
            "UPDATE findings SET last_seen = ?1, last_run = ?2 WHERE ended IS NULL AND kind = ?3
             AND subject IN (SELECT source FROM expectations WHERE level IS NOT NULL)",
            params![at, run, FindingKind::SourceOverdue.as_str()],
        )?;
    }
    // Drift lasts until rows are judged again.
    let mut end = db.prepare(
        "UPDATE findings SET ended = ?1 WHERE ended IS NULL AND step = ?2 AND last_run <> ?3
         AND (kind NOT IN ('data_drift', 'model_drift') OR EXISTS
              (SELECT 1 FROM decisions WHERE run_id = ?3 AND outcome <> 'undecided'))",
    )?;
    for step in group {
        end.execute(params![at, step.as_str(), run])?;
    }
    if group.is_empty() {
        let sql = "UPDATE findings SET ended = ?1 WHERE ended IS NULL AND step = ?2";
        db.execute(sql, params![at, step.as_str()])?;
    }
    Ok(())
}

/// Records that a finding was seen. In one run the first step to see it has the word, the most urgent one the
/// severity: a part of a run knows more of it than the whole.
fn see(db: &Connection, run: &str, step: Step, at: &str, one: &Observed) -> rusqlite::Result<()> {
    let (kind, subject) = (one.kind.as_str(), &one.subject);
    let sql = "SELECT id, last_run, severity FROM findings
               WHERE kind = ?1 AND subject = ?2 AND ended IS NULL";
    let open = db
        .query_row(sql, params![kind, subject], |row| {
            let severity = from_text::<Severity>(2, &row.get::<_, String>(2)?)?;
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, severity))
        })
        .optional()?;
    let severity = one.severity.as_str();
    match open {
        None => db.execute(
            "INSERT INTO findings (kind, subject, severity, text, step, first_run, last_run,
                 first_seen, last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?7)",
            params![kind, subject, severity, one.text, step.as_str(), run, at],
        ),
        Some((id, last, before)) if last == run => {
            let severity = one.severity.max(before).as_str();
            let sql = "UPDATE findings SET severity = ?2, last_seen = ?3 WHERE id = ?1";
            db.execute(sql, params![id, severity, at])
        }
        Some((id, ..)) => db.execute(
            "UPDATE findings SET severity = ?2, text = ?3, step = ?4, last_run = ?5, last_seen = ?6
             WHERE id = ?1",
            params![id, severity, one.text, step.as_str(), run, at],
        ),
    }
    .map(drop)
}

fn finding(row: &Row) -> rusqlite::Result<FindingRecord> {
    Ok(FindingRecord {
        id: row.get(0)?,
        kind: from_text(1, &row.get::<_, String>(1)?)?,
        subject: row.get(2)?,
        severity: from_text(3, &row.get::<_, String>(3)?)?,
        text: row.get(4)?,
        step: from_text(5, &row.get::<_, String>(5)?)?,
        first_run: row.get(6)?,
        last_run: row.get(7)?,
        first_seen: row.get(8)?,
        last_seen: row.get(9)?,
        ended: row.get(10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{RunEnd, RunRecord};
    use super::*;
    use crate::ids::RunOutcome;

    /// A step of the run `run` that finds `found`.
    fn step(
        ledger: &mut Ledger,
        run: &str,
        step: Step,
        outcome: RunOutcome,
        found: &[(FindingKind, &str, Severity)],
    ) {
        let record = RunRecord {
            run_id: RunId::named(run),
            step,
            started: run.to_owned(),
            ended: None,
            seconds: None,
            outcome: None,
            detail: None,
            tool_version: String::new(),
            host: String::new(),
        };
        let id = ledger.begin_run(&record).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(kind, subject, severity)| Observed {
                kind: *kind,
                subject: (*subject).to_owned(),
                severity: *severity,
                text: format!("{step} says {subject}"),
            })
            .collect();
        let end = RunEnd { at: run, seconds: 1.0, outcome, detail: "{}", findings: &found };
        ledger.end_run(id, &end).unwrap();
    }

    fn open(ledger: &Ledger) -> Vec<(FindingKind, String, Severity)> {
        let open = FindingFilter { open: Some(true), ..FindingFilter::default() };
        let found = ledger.findings(&open, 100).unwrap();
        found.into_iter().map(|f| (f.kind, f.subject, f.severity)).collect()
    }

    const FILE: FindingKind = FindingKind::RefusedFile;

    #[test]
    fn a_finding_lasts_until_its_step_is_done_without_it() {
        let mut ledger = Ledger::in_memory().unwrap();
        let refused = [(FILE, "a.csv", Severity::Failed)];
        step(&mut ledger, "1", Step::Ingestion, RunOutcome::Done, &refused);
        step(
            &mut ledger,
            "1",
            Step::FullProcess,
            RunOutcome::Done,
            &[(FILE, "a.csv", Severity::Person), (FindingKind::NothingLive, "", Severity::Person)],
        );
        assert_eq!(open(&ledger).len(), 2);
        let history = ledger.findings(&FindingFilter::default(), 9).unwrap();
        assert_eq!(history[1].severity, Severity::Failed, "the most urgent one of a run counts");
        assert_eq!((history[1].step, &*history[1].text), (Step::Ingestion, "ingestion says a.csv"));
        // Another step, or one that fails, ends nothing.
        step(&mut ledger, "2", Step::Reporting, RunOutcome::Done, &[]);
        step(&mut ledger, "3", Step::Ingestion, RunOutcome::Failed, &[]);
        assert_eq!(open(&ledger).len(), 2);
        step(&mut ledger, "4", Step::Ingestion, RunOutcome::NothingToDo, &[]);
        step(&mut ledger, "4", Step::FullProcess, RunOutcome::NothingToDo, &[]);
        assert!(open(&ledger).is_empty());
        let history = ledger.findings(&FindingFilter::default(), 9).unwrap();
        assert_eq!(history[1].ended.as_deref(), Some("4"));
        assert_eq!((history[1].first_run.as_str(), history[1].last_run.as_str()), ("1", "1"));
        // Found again, it is another one.
        step(&mut ledger, "5", Step::Ingestion, RunOutcome::Done, &refused);
        assert_eq!(ledger.count_findings(&FindingFilter::default()).unwrap(), 3);
        assert_eq!(ledger.open_findings().unwrap(), [(FILE, Severity::Failed, 1)]);
    }

    #[test]
    fn a_source_is_overdue_until_it_is_on_time_although_that_is_told_once() {
        let mut ledger = Ledger::in_memory().unwrap();
        let overdue = [(FindingKind::SourceOverdue, "crm", Severity::Person)];
        step(&mut ledger, "1", Step::FullProcess, RunOutcome::Done, &overdue);
        let level =
            "INSERT INTO expectations (source, looked, level) VALUES ('crm', 0, '\"error\"')";
        ledger.connection.execute_batch(level).unwrap();
        step(&mut ledger, "2", Step::FullProcess, RunOutcome::NothingToDo, &[]);
        assert_eq!(open(&ledger).len(), 1);
        ledger.connection.execute_batch("UPDATE expectations SET level = NULL").unwrap();
        step(&mut ledger, "3", Step::FullProcess, RunOutcome::NothingToDo, &[]);
        assert!(open(&ledger).is_empty());
    }

    #[test]
    fn what_stands_leaves_out_what_the_run_is_looking_at() {
        let mut ledger = Ledger::in_memory().unwrap();
        let refused = [(FILE, "a.csv", Severity::Failed)];
        let below = [(FindingKind::BelowConstant, "", Severity::Person)];
        step(&mut ledger, "1", Step::Ingestion, RunOutcome::Done, &refused);
        step(&mut ledger, "1", Step::FirstRun, RunOutcome::Done, &below);
        let kinds = |ledger: &Ledger, run: &str| -> Vec<FindingKind> {
            let found = ledger.standing_findings(&RunId::named(run)).unwrap();
            found.into_iter().map(|one| one.kind).collect()
        };
        assert_eq!(kinds(&ledger, "2"), [FindingKind::BelowConstant, FILE]);
        let begun = RunRecord {
            run_id: RunId::named("2"),
            step: Step::FullProcess,
            started: "2".to_owned(),
            ended: None,
            seconds: None,
            outcome: None,
            detail: None,
            tool_version: String::new(),
            host: String::new(),
        };
        ledger.begin_run(&begun).unwrap();
        assert_eq!(kinds(&ledger, "2"), [FILE]);
        assert_eq!(kinds(&ledger, "3"), [FindingKind::BelowConstant, FILE]);
    }

    #[test]
    fn what_is_done_on_request_leaves_nothing_open() {
        let mut ledger = Ledger::in_memory().unwrap();
        let data = [(FindingKind::Data, "", Severity::Warning)];
        step(&mut ledger, "1", Step::Forget, RunOutcome::Done, &data);
        assert!(open(&ledger).is_empty());
        assert_eq!(ledger.count_findings(&FindingFilter::default()).unwrap(), 1);
    }

    #[test]
    fn pages_and_filters() {
        let mut ledger = Ledger::in_memory().unwrap();
        let names: Vec<String> = (0..25).map(|n| format!("{n}.csv")).collect();
        let found: Vec<_> = names.iter().map(|name| (FILE, &**name, Severity::Failed)).collect();
        step(&mut ledger, "1", Step::Ingestion, RunOutcome::Done, &found);
        let data = [(FindingKind::Data, "x", Severity::Warning)];
        step(&mut ledger, "1", Step::FullProcess, RunOutcome::Done, &data);
        let (mut filter, mut seen) =
            (FindingFilter { kind: Some(FILE), ..FindingFilter::default() }, 0);
        loop {
            let page = ledger.findings(&filter, 10).unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.is_sorted_by_key(|finding| -finding.id));
            filter.before = Some(last.id);
            seen += page.len();
        }
        assert_eq!(seen, 25);
        let urgent = FindingFilter { severity: Some(Severity::Person), ..FindingFilter::default() };
        assert_eq!(ledger.count_findings(&urgent).unwrap(), 25);
        let ended = FindingFilter { open: Some(false), ..FindingFilter::default() };
        assert_eq!(ledger.count_findings(&ended).unwrap(), 0);
    }
}
