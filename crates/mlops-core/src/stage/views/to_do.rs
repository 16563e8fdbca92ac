//! What needs a person, and the command line that does something about it.
//!
//! Taken from the newest decision, the newest run of each step, what is expected of sources, and interrupted work. Not
//! for telling it to anybody: see `run::attention`.

use serde::Serialize;

use super::live::LiveRelease;
use crate::Result;
use crate::config::INPUT;
use crate::expect::Level;
use crate::ids::{FindingKind, ReleaseId, RunOutcome, Severity, Step};
use crate::ledger::{Approval, FindingFilter, Ledger, RunSummary};
use crate::run::attention::Attention;
use crate::run::context::Context;
use crate::run::decision::{Concern, Decision};
use crate::stage::overdue;
use crate::text;

/// The most findings that are listed.
const MOST: u32 = 20;

/// Something that a person should do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ToDo {
    /// What kind of thing it is, such as `overdue` or `run_failed`.
    pub kind: &'static str,
    /// How urgent it is.
    pub attention: Attention,
    /// What is wrong, in words.
    pub text: String,
    /// Since when it is known, RFC 3339, UTC.
    pub since: Option<String>,
    /// The command line that does something about it, or shows more.
    pub command: Option<String>,
    /// The page that shows more, as a path.
    pub page: Option<String>,
    /// The challenger that waits for a decision.
    pub challenger: Option<ReleaseId>,
}

/// All that needs a person, the most urgent first. `runs` has the newest run of each step.
pub(super) fn to_do(
    context: &Context,
    ledger: &Ledger,
    runs: &[RunSummary],
    decision: Option<&Decision>,
) -> Result<Vec<ToDo>> {
    let mut all = recorded(ledger)?;
    let on_record = ledger.count_findings(&FindingFilter::default())? > 0;
    for run in runs.iter().filter(|run| run.outcome == Some(RunOutcome::Failed)) {
        // A failed step of a run that was repeated as a whole is over.
        let over = runs.iter().any(|other| {
            is_whole(other.step)
                && other.outcome.is_some_and(|outcome| outcome != RunOutcome::Failed)
                && other.started > run.started
        });
        if !over && !on_record {
            all.push(failed(run));
        }
    }
    // The record of the whole run and that of the step that failed in it say the same.
    let mut seen: Vec<String> = Vec::new();
    all.retain(|one| {
        let words = one.text.split_once(": ").map_or("", |(_, words)| words).to_owned();
        let new = words.is_empty() || !seen.contains(&words);
        seen.push(words);
        new
    });
    let standings = overdue::standings(context, ledger)?;
    for one in &standings {
        let Some(level) = one.standing.level() else { continue };
        let why: Vec<String> = one.standing.breaches.iter().map(|(_, b)| b.to_string()).collect();
        let who = if one.source == INPUT {
            "The input folder".to_owned()
        } else {
            format!("Source \"{}\"", text::name(&one.source))
        };
        all.push(ToDo {
            kind: "overdue",
            attention: if level == Level::Error { Attention::Person } else { Attention::Fine },
            text: format!("{who} is overdue: {}", why.join("; ")),
            since: None,
            command: Some("ingestion sources".to_owned()),
            page: Some("/sources".to_owned()),
            challenger: None,
        });
    }
    // A ledger of an older program has no history of findings yet.
    if let Some(decision) = decision.filter(|_| !on_record) {
        let now = decision.concerns.iter().filter(|concern| !is_looked_up(concern));
        all.extend(now.map(|concern| of_concern(decision, concern)));
    }
    if let Some(waiting) = ledger.waiting_approval()? {
        let Approval { release, f1, recorded, expires, .. } = waiting;
        all.push(ToDo {
            kind: "waits_for_approval",
            attention: Attention::Person,
            text: format!(
                "{release} passed the gate, has F1 {f1:.4} on the test data and waits for approval until \
                 {expires}"
            ),
            since: Some(recorded),
            command: Some(format!("deployment approve {release} --reason \"…\"")),
            page: Some("/releases".to_owned()),
            challenger: Some(release),
        });
    }
    if !ledger.intents()?.is_empty() && runs.iter().all(|run| run.ended.is_some()) {
        all.push(ToDo {
            kind: "interrupted",
            attention: Attention::Person,
            text: "A run was interrupted while it changed files. The next run of any program that writes \
                   completes or undoes that"
                .to_owned(),
            since: None,
            command: Some("fullprocess".to_owned()),
            page: Some("/runs".to_owned()),
            challenger: None,
        });
    }
    all.sort_by_key(|one| std::cmp::Reverse(one.attention));
    Ok(all)
}

/// What the live release itself needs, which no run has found yet; `before` is the one that went live last.
pub(super) fn of_live(live: Option<&LiveRelease>, before: Option<&ReleaseId>) -> Option<ToDo> {
    let (kind, text) = match (live, before) {
        (Some(live), _) => {
            let damage = live.damage.as_ref()?;
            let text = format!("The live release {} is damaged: {damage}", live.release);
            (FindingKind::DamagedRelease, text)
        }
        (None, Some(id)) => {
            let text = format!("No release is live, although {id} was: its pointer was removed");
            (FindingKind::NothingLive, text)
        }
        (None, None) => return None,
    };
    let command = match kind {
        // Sound releases are made live again without training.
        FindingKind::NothingLive => Some("fullprocess"),
        kind => command_for(kind),
    };
    Some(ToDo {
        kind: kind.as_str(),
        attention: Attention::Person,
        text,
        since: None,
        command: command.map(str::to_owned),
        page: Some("/releases".to_owned()),
        challenger: None,
    })
}

/// Whether the concern is looked up where it stands now, since it may be over by now.
fn is_looked_up(concern: &Concern) -> bool {
    matches!(concern, Concern::Overdue { .. } | Concern::WaitsForApproval { .. })
}

/// What is open in the history of findings and needs a person, but for what is looked at below anew.
fn recorded(ledger: &Ledger) -> Result<Vec<ToDo>> {
    let filter = FindingFilter {
        open: Some(true),
        severity: Some(Severity::Person),
        ..FindingFilter::default()
    };
    let found = ledger.findings(&filter, MOST)?;
    let anew = [FindingKind::SourceOverdue, FindingKind::WaitsForApproval];
    let lasting = found.into_iter().filter(|one| !anew.contains(&one.kind));
    let to_do = lasting.map(|one| ToDo {
        kind: one.kind.as_str(),
        attention: one.severity.into(),
        text: text::capitalised(&one.text),
        since: Some(one.first_seen),
        command: command_for(one.kind).map(str::to_owned),
        page: Some(format!("/runs/{}", one.last_run)),
        challenger: None,
    });
    Ok(to_do.collect())
}

/// The command line that does something about a finding, or shows more.
pub(super) fn command_for(kind: FindingKind) -> Option<&'static str> {
    use FindingKind as K;
    Some(match kind {
        K::RefusedFile
        | K::QuarantineShare
        | K::SourceFailed
        | K::UnfinishedFile
        | K::TableBehind => "ingestion",
        K::StaleRows => "ingestion --rebuild",
        K::BrokenContract => "ingestion contract export",
        K::SourceOverdue | K::DataOverdue => "ingestion sources",
        K::DataDrift | K::AskedDrift | K::ModelDrift | K::DriftWithoutBetterModel | K::OneClass => {
            "fullprocess --explain"
        }
        K::BelowConstant => "deployment rollback",
        K::NothingLive => "fullprocess --force",
        K::UnansweredRows | K::Calibration | K::EmptyColumn => "diagnostics",
        K::DamagedRelease => "deployment verify",
        K::ErasedPeople | K::RunFailed => "fullprocess",
        _ => return None,
    })
}

/// Whether the step is a run of all others.
fn is_whole(step: Step) -> bool {
    matches!(step, Step::FullProcess | Step::FirstRun)
}

fn failed(run: &RunSummary) -> ToDo {
    let error = run.error.as_deref().unwrap_or("no reason is on record");
    let program = run.step.as_str();
    ToDo {
        kind: "run_failed",
        attention: Attention::Failed,
        text: format!("The last run of {program} failed: {error}"),
        since: run.ended.clone().or_else(|| Some(run.started.clone())),
        command: Some(program.to_owned()),
        page: Some(format!("/runs/{}", run.run_id)),
        challenger: None,
    }
}

fn of_concern(decision: &Decision, concern: &Concern) -> ToDo {
    let (kind, command) = match concern {
        Concern::BelowConstant { .. } => ("below_constant", "deployment rollback"),
        Concern::NoBetterModel { .. } => ("no_better_model", "fullprocess --explain"),
        Concern::NothingLive { .. } => ("nothing_live", "fullprocess --force"),
        Concern::OneClass { .. } => ("one_class", "fullprocess --explain"),
        Concern::Unanswered { .. } => ("unanswered", "diagnostics"),
        Concern::RefusedData { .. } => ("refused_data", "ingestion"),
        Concern::OverdueData { .. } => ("overdue_data", "ingestion sources"),
        Concern::Overdue { .. } => ("overdue", "ingestion sources"),
        Concern::ErasedPeople { .. } => ("erased_people", "fullprocess"),
        Concern::TableBehind { .. } => ("table_behind", "ingestion"),
        Concern::WaitsForApproval { .. } => ("waits_for_approval", "deployment pending"),
    };
    let text = text::capitalised(&concern.to_string());
    ToDo {
        kind,
        attention: Attention::Person,
        text,
        since: Some(decision.recorded.clone()),
        command: Some(command.to_owned()),
        page: Some(format!("/decisions/{}", decision.run_id)),
        challenger: None,
    }
}
