//! The start page: is it healthy, what is live and why, what changed last, what must be done.
//!
//! Not for the state of the service itself, which knows it without records.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::live::{self, LiveRelease};
use super::to_do::{self, ToDo};
use crate::Result;
use crate::ids::{DecisionOutcome, FindingKind, RunOutcome, Severity, Step};
use crate::ledger::{Action, Ledger, RunSummary};
use crate::run::context::Context;
use crate::run::decision::Decision;
use crate::text;

/// The most changes that are listed.
const CHANGES: usize = 8;
/// How many runs tell how often they come.
const STARTS: u32 = 12;

/// The start page.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Start {
    /// The live release.
    pub live: Option<LiveRelease>,
    /// What was looked at, and how it is, with what is open on record about it.
    pub checks: Vec<Check>,
    /// How many findings are open, by kind and severity. No state above is better than the worst of them.
    pub open_findings: Vec<OpenFindings>,
    /// What needs a person, the most urgent first.
    pub to_do: Vec<ToDo>,
    /// What changed last, the newest first.
    pub changes: Vec<Change>,
}

/// How one thing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// How it is, in words.
    pub words: String,
    /// When it happened, RFC 3339, UTC.
    pub at: Option<String>,
}

/// Findings of one kind and severity that are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OpenFindings {
    /// What they are about.
    pub kind: FindingKind,
    /// How urgent they are.
    pub severity: Severity,
    /// How many there are.
    pub count: u64,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Good,
    /// Nothing is on record.
    Unknown,
    /// To be looked at, though not at once.
    Warning,
    /// A person is needed.
    Bad,
}

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// When, RFC 3339, UTC.
    pub at: String,
    /// What changed: `release`, `dataset`, `decision` or `failure`.
    pub kind: &'static str,
    /// In words.
    pub words: String,
    /// The page that shows it, as a path.
    pub page: String,
}

/// Reads the start page.
pub fn read(context: &Context) -> Result<Start> {
    let ledger = Ledger::open_to_read(&context.config.ledger_path())?;
    let live = live::live(context, ledger.as_ref())?;
    let Some(ledger) = ledger else {
        let runs = live.as_ref().map(|_| Check {
            name: Area::Runs.name(),
            state: State::Unknown,
            words: "There is no ledger: nothing is on record of runs, data and findings".to_owned(),
            at: None,
        });
        return Ok(Start {
            checks: runs.into_iter().chain(live.as_ref().and_then(model)).collect(),
            open_findings: Vec::new(),
            to_do: to_do::of_live(live.as_ref(), None).into_iter().collect(),
            changes: Vec::new(),
            live,
        });
    };
    let runs = ledger.newest_runs()?;
    let newest = ledger.decision(None)?;
    let decision: Option<Decision> =
        newest.and_then(|record| serde_json::from_str(&record.decision).ok());
    let now = context.clock.now();
    let open_findings: Vec<OpenFindings> = ledger
        .open_findings()?
        .into_iter()
        .map(|(kind, severity, count)| OpenFindings { kind, severity, count })
        .collect();
    let looked_at = [
        (Area::Runs, Some(last_run(&ledger, &runs, now)?)),
        (Area::Data, newest_data(&ledger)?),
        (Area::Model, live.as_ref().and_then(model)),
        (Area::Drift, decision.as_ref().and_then(drift)),
    ];
    let checks = looked_at
        .into_iter()
        .filter_map(|(area, check)| with_findings(area, check, &open_findings))
        .collect();
    let mut to_do = to_do::to_do(context, &ledger, &runs, decision.as_ref())?;
    let before = ledger.latest_deployment()?.map(|deployment| deployment.release);
    if let Some(one) = to_do::of_live(live.as_ref(), before.as_ref())
        && !to_do.iter().any(|other| other.kind == one.kind)
    {
        to_do.insert(0, one);
    }
    Ok(Start { to_do, changes: changes(&ledger, &runs)?, checks, open_findings, live })
}

/// What findings are about, so that each counts where somebody looks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Area {
    Runs,
    Data,
    Model,
    Drift,
}

impl Area {
    fn name(self) -> &'static str {
        match self {
            Self::Runs => "Last run",
            Self::Data => "Data",
            Self::Model => "Model",
            Self::Drift => "Drift",
        }
    }

    fn of(kind: FindingKind) -> Self {
        use FindingKind as K;
        match kind {
            K::DataDrift | K::AskedDrift | K::ModelDrift | K::DriftWithoutBetterModel => {
                Self::Drift
            }
            K::BelowConstant
            | K::CandidateBelowConstant
            | K::NothingLive
            | K::UnansweredRows
            | K::ErasedPeople
            | K::Calibration
            | K::FewRows
            | K::UnbalancedClasses
            | K::Leak
            | K::Model
            | K::WaitsForApproval
            | K::DamagedRelease => Self::Model,
            K::Retention | K::ServiceDegraded | K::RunFailed | K::Upkeep | K::Difference => {
                Self::Runs
            }
            K::RefusedFile
            | K::QuarantineShare
            | K::BrokenContract
            | K::RepeatedRows
            | K::UnfinishedFile
            | K::StaleRows
            | K::ErasedRows
            | K::SourceFailed
            | K::SourceOverdue
            | K::DataOverdue
            | K::DecidedWithout
            | K::Data
            | K::TableBehind
            | K::OneClass
            | K::EmptyColumn => Self::Data,
        }
    }
}

/// What was looked at, made no better than what is open about it.
fn with_findings(area: Area, check: Option<Check>, open: &[OpenFindings]) -> Option<Check> {
    let ours: Vec<&OpenFindings> = open.iter().filter(|one| Area::of(one.kind) == area).collect();
    let worst = ours.iter().map(|one| match one.severity {
        Severity::Warning => State::Warning,
        Severity::Person | Severity::Failed => State::Bad,
    });
    let Some(worst) = worst.max() else { return check };
    let mut kinds: Vec<String> = Vec::new();
    for kind in ours.iter().map(|one| one.kind.as_str().replace('_', " ")) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let told = format!(
        "{} open: {}",
        text::plural(ours.iter().map(|one| one.count).sum(), "finding"),
        text::names(&kinds)
    );
    Some(match check {
        Some(check) => Check {
            state: check.state.max(worst),
            words: format!("{}; {told}", check.words.trim_end_matches('.')),
            ..check
        },
        None => Check { name: area.name(), state: worst, words: told, at: None },
    })
}

/// Whether the last run succeeded, and whether runs still come as often as they did.
fn last_run(ledger: &Ledger, runs: &[RunSummary], now: DateTime<Utc>) -> Result<Check> {
    let whole = runs.iter().find(|run| run.step == Step::FullProcess);
    let check = |state, words: String, at: Option<String>| Check {
        name: Area::Runs.name(),
        state,
        words,
        at,
    };
    let Some(run) = whole.or_else(|| runs.first()) else {
        return Ok(check(State::Unknown, "No run is on record".to_owned(), None));
    };
    let name = run.step.as_str();
    let at = Some(run.started.clone());
    if whole.is_some()
        && let Some(usual) = usual_pause(&ledger.starts(Step::FullProcess, STARTS)?)
        && let Ok(started) = DateTime::parse_from_rfc3339(&run.started)
    {
        let since = now.signed_duration_since(started);
        if since > usual * 3 && since > TimeDelta::hours(1) {
            let seconds = |delta: TimeDelta| u64::try_from(delta.num_seconds()).unwrap_or(0);
            let words = format!(
                "No {name} for {}, though one usually begins every {}: look at the scheduler",
                text::span(seconds(since)),
                text::span(seconds(usual))
            );
            return Ok(check(State::Bad, words, at));
        }
    }
    Ok(match run.outcome {
        Some(RunOutcome::Failed) => check(State::Bad, format!("{name} failed"), at),
        Some(RunOutcome::Done) => check(State::Good, format!("{name} succeeded"), at),
        Some(RunOutcome::NothingToDo) => {
            check(State::Good, format!("{name} succeeded; there was nothing to do"), at)
        }
        None => check(State::Warning, format!("{name} is at work, or was killed"), at),
    })
}

/// The median pause between runs that began at `starts`, if there are enough to tell.
fn usual_pause(starts: &[String]) -> Option<TimeDelta> {
    let times: Vec<_> =
        starts.iter().filter_map(|at| DateTime::parse_from_rfc3339(at).ok()).collect();
    let mut pauses: Vec<TimeDelta> =
        times.windows(2).map(|pair| pair[0].signed_duration_since(pair[1])).collect();
    pauses.sort();
    (pauses.len() >= 4).then(|| pauses[pauses.len() / 2])
}

fn newest_data(ledger: &Ledger) -> Result<Option<Check>> {
    Ok(ledger.latest_dataset()?.map(|data| Check {
        name: Area::Data.name(),
        state: State::Good,
        words: format!(
            "{} has {}, {} of them new{}",
            data.name(),
            text::plural(data.rows, "row"),
            text::count(data.new_rows),
            match data.quarantined {
                0 => String::new(),
                n => format!("; {} went to the quarantine", text::plural(n, "row")),
            }
        ),
        at: Some(data.recorded),
    }))
}

fn model(live: &LiveRelease) -> Option<Check> {
    if let Some(damage) = &live.damage {
        return Some(Check {
            name: Area::Model.name(),
            state: State::Bad,
            words: format!("{} is damaged: {damage}", live.release),
            at: None,
        });
    }
    let score = live.score.as_ref()?;
    let (state, than) = if score.beats_constant {
        (State::Good, "better than")
    } else {
        (State::Bad, "not better than")
    };
    Some(Check {
        name: Area::Model.name(),
        state,
        words: format!(
            "F1 {:.4} on {}, {than} a constant answer ({:.4})",
            score.f1,
            text::plural(score.rows, "test row"),
            score.constant_f1
        ),
        at: None,
    })
}

fn drift(decision: &Decision) -> Option<Check> {
    let drift = decision.drift.as_ref()?;
    let state = match drift.drifted {
        Some(true) if decision.release.is_none() => State::Warning,
        _ => State::Good,
    };
    let words = match (drift.drifted, &decision.release) {
        (Some(true), Some(_)) => {
            format!("The model before drifted and was replaced. {}", drift.reason)
        }
        _ => drift.reason.clone(),
    };
    Some(Check { name: Area::Drift.name(), state, words, at: Some(decision.recorded.clone()) })
}

fn changes(ledger: &Ledger, runs: &[RunSummary]) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for deployment in ledger.deployments_paged(1)?.0.items.into_iter().take(CHANGES) {
        let how = match deployment.action {
            Action::Deploy => "went live",
            Action::Rollback => "went live again by a rollback",
        };
        let f1 = deployment.f1.map_or_else(String::new, |f1| format!(" with F1 {f1:.4}"));
        changes.push(Change {
            words: format!("{} {how}{f1}", deployment.release),
            page: format!("/releases/{}", deployment.release),
            at: deployment.recorded,
            kind: "release",
        });
    }
    for data in ledger.newest_datasets(CHANGES)? {
        changes.push(Change {
            words: format!(
                "{} was made, with {}",
                data.name(),
                text::plural(data.new_rows, "new row")
            ),
            page: "/ingestions".to_owned(),
            at: data.recorded,
            kind: "dataset",
        });
    }
    for (record, outcome) in ledger.newest_outcomes(CHANGES)? {
        let words = match outcome {
            DecisionOutcome::Waits => "A new model waits for approval",
            DecisionOutcome::Refused => "A new model was refused",
            DecisionOutcome::Undecided => "Nothing was decided: too few new rows",
            DecisionOutcome::NoDrift => "New rows were judged; the live model stays",
            DecisionOutcome::NothingNew | DecisionOutcome::Promoted | DecisionOutcome::DryRun => {
                continue;
            }
        };
        let page = format!("/decisions/{}", record.0);
        changes.push(Change { words: words.to_owned(), page, at: record.1, kind: "decision" });
    }
    let failed = runs.iter().filter(|run| run.outcome == Some(RunOutcome::Failed));
    changes.extend(failed.map(|run| Change {
        at: run.ended.clone().unwrap_or_else(|| run.started.clone()),
        kind: "failure",
        words: format!("{} failed", run.step),
        page: format!("/runs/{}", run.run_id),
    }));
    changes.sort_by(|a, b| b.at.cmp(&a.at));
    changes.truncate(CHANGES);
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_looks_better_than_what_is_open_about_it() {
        let good = || {
            let words = "No drift.".to_owned();
            Some(Check { name: "Drift", state: State::Good, words, at: None })
        };
        let open = |kind, severity| OpenFindings { kind, severity, count: 2 };
        let asked = [open(FindingKind::AskedDrift, Severity::Warning)];
        let drift = with_findings(Area::Drift, good(), &asked).unwrap();
        assert_eq!(drift.state, State::Warning);
        assert_eq!(drift.words, "No drift; 2 findings open: asked drift");
        assert_eq!(with_findings(Area::Model, good(), &asked), good());
        // Also where there is nothing else to look at.
        assert_eq!(with_findings(Area::Drift, None, &asked).unwrap().state, State::Warning);
        assert_eq!(with_findings(Area::Data, None, &asked), None);
        for kind in FindingKind::ALL {
            let person = [open(*kind, Severity::Person)];
            let area = Area::of(*kind);
            assert_eq!(with_findings(area, good(), &person).unwrap().state, State::Bad, "{kind}");
        }
    }

    #[test]
    fn the_usual_pause_is_the_median_of_enough_runs() {
        let at = |minutes: &[u32]| -> Vec<String> {
            minutes.iter().map(|m| format!("2026-03-02T{:02}:{:02}:00Z", m / 60, m % 60)).collect()
        };
        assert_eq!(usual_pause(&at(&[100, 90, 80, 20, 10])), Some(TimeDelta::minutes(10)));
        assert_eq!(usual_pause(&at(&[100, 90, 80, 70])), None);
    }
}
