//! `fullprocess`: the decision and what follows it: diagnostics and reports on the live release,
//! and calls to the app that serves it.
//!
//! Not for deciding: see `mlops_core::stage::decide`.

use std::fmt;

use mlops_core::Result;
use mlops_core::ids::{DecisionOutcome, FindingKind, RunId, Step};
use mlops_core::ledger::Ledger;
use mlops_core::run::attention::{self, Attention, Fact, Finding};
use mlops_core::run::context::{Context, Report, Workspace};
use mlops_core::run::decision::{Concern, Decision};
use mlops_core::stage::decide::{self, Decided, Options};
use mlops_core::stage::diagnose::Diagnostics;
use mlops_core::stage::outcomes::{self, Joined, Reach};
use mlops_core::text;
use mlops_report::stage::Reported;
use serde::Serialize;

use crate::apicalls::{self, ApiCalls};
use crate::renew;

/// The report of `fullprocess`.
#[derive(Debug, Serialize)]
pub struct FullProcess {
    /// The decision, with all its numbers.
    pub decision: Decision,
    /// Predictions joined with labels that came later, if these are configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<Box<Joined>>,
    /// Why they could not be joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcomes_failed: Option<String>,
    /// Diagnostics of the live release.
    pub diagnostics: Option<Box<Diagnostics>>,
    /// The report on the live release.
    pub reporting: Option<Box<Reported>>,
    /// The app's answers.
    pub apicalls: Option<Box<ApiCalls>>,
}

impl Report for FullProcess {
    fn changed(&self) -> bool {
        self.decision.changed() || self.reporting.is_some()
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = self.decision.findings();
        findings.extend(self.outcomes.iter().flat_map(|joined| joined.findings()));
        let failed = |why: &String| {
            Finding::failed(FindingKind::RunFailed, format!("labels were not joined: {why}"))
        };
        findings.extend(self.outcomes_failed.iter().map(failed));
        findings.extend(self.reporting.iter().flat_map(|reported| reported.on_the_model()));
        // The promotion stands, but clients of the app do not benefit from it yet.
        findings.extend(self.apicalls.iter().flat_map(|calls| calls.findings()));
        findings
    }

    fn discovered(&self) -> Vec<Finding> {
        [self.findings(), self.decision.drifts()].concat()
    }

    fn attention(&self) -> Attention {
        self.decision.attention().max(attention::most(&self.findings()))
    }

    fn facts(&self) -> Vec<Fact> {
        facts(&self.decision)
    }
}

/// The facts of a decision, for logs and pings.
fn facts(decision: &Decision) -> Vec<Fact> {
    let Decision { data, drift, data_drift, retrained, gate, live, release, .. } = decision;
    let number = |value: f64| format!("{value:.4}");
    let waiting = decision.concerns.iter().map(|concern| match concern {
        Concern::RefusedData { files } => files.len(),
        _ => 0,
    });
    let waiting: usize = waiting.sum();
    let mut facts = vec![
        Fact::new("outcome", decision.outcome),
        Fact::new("reason", text::bounded(decision.reason.clone())),
        Fact::new("files", text::names(&data.files)),
        Fact::new("rows", data.rows),
        Fact::new("new_rows", data.new_rows),
        Fact::new("refused_files", data.failures.len() + waiting),
        Fact::new("quarantined", data.quarantined),
        Fact::new("duplicates", data.duplicates),
    ];
    facts.extend(live.as_ref().map(|live| Fact::new("live", &live.release)));
    if let Some(drift) = drift {
        facts.push(Fact::new("new_f1", number(drift.new_f1)));
        facts.push(Fact::new("deployed_f1", number(drift.deployed_f1)));
        facts.push(Fact::new("constant_f1", number(drift.constant_f1)));
        let verdict =
            drift.drifted.map_or("undecided", |yes| if yes { "drift" } else { "no drift" });
        facts.push(Fact::new("verdict", verdict));
    }
    if let Some(data) = data_drift {
        let drifted = data.columns.iter().filter(|column| column.drifted);
        facts.push(Fact::new("data_drift", text::names(drifted.map(|column| &column.column))));
    }
    facts.extend(retrained.as_ref().map(|new| Fact::new("retrained_f1", number(new.f1))));
    if let Some(gate) = gate {
        facts.push(Fact::new("champion_f1", number(gate.champion_f1)));
        facts.push(Fact::new("challenger_f1", number(gate.challenger_f1)));
        if let Some(other) = gate.other {
            facts.push(Fact::new("gate_metric", other.metric.name()));
            facts.push(Fact::new("champion_metric", number(other.champion)));
            facts.push(Fact::new("challenger_metric", number(other.challenger)));
        }
    }
    facts.extend(release.as_ref().map(|release| Fact::new("promoted", release)));
    facts
}

/// A recorded decision, explained again. Its findings were reported when it was made.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Explained(Decision);

impl Report for Explained {
    fn changed(&self) -> bool {
        false
    }
}

/// The decision that a run recorded, or the newest one.
pub fn explain(context: &Context, run: Option<&str>) -> Result<Explained> {
    let ledger = Ledger::open_to_read(&context.config.ledger_path())?;
    let run = run.map(RunId::named);
    decide::explain(&ledger.map_or_else(Ledger::in_memory, Ok)?, run.as_ref()).map(Explained)
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(decision) = self;
        write!(f, "{decision}")?;
        decision
            .findings()
            .into_iter()
            .try_for_each(|finding| writeln!(f, "warning: {}", text::bounded(finding.text)))
    }
}

/// Joins labels, if there are to be any.
fn joined(
    context: &Context,
    workspace: &mut Workspace,
    options: Options,
) -> Result<Option<Joined>> {
    if options.dry_run || !context.config.joins_labels() {
        return Ok(None);
    }
    let join = |w: &mut Workspace| outcomes::run(context, w, Reach::Fetch);
    context.step(workspace, Step::Outcomes, join).map(Some)
}

/// Decides, acts, and reports on the result.
pub fn run(context: &Context, workspace: &mut Workspace, options: Options) -> Result<FullProcess> {
    let unfinished = !workspace.ledger.previous_run_completed(Step::FullProcess, &context.run)?;
    // First, since rows with labels may be trained on. A decision does not wait for labels.
    let (outcomes, outcomes_failed) = match joined(context, workspace, options) {
        Ok(joined) => (joined.map(Box::new), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let Decided { decision, live: verified, scoring } =
        decide::decided(context, workspace, options)?;
    let mut report = FullProcess {
        decision,
        outcomes,
        outcomes_failed,
        diagnostics: None,
        reporting: None,
        apicalls: None,
    };
    let Some(live) = context.store().live()?.filter(|_| !options.dry_run) else {
        return Ok(report);
    };
    let due = report.decision.outcome != DecisionOutcome::NothingNew || unfinished;
    if !due && renew::is_of(context, workspace, &live)? {
        return Ok(report);
    }
    let (diagnostics, reporting) = {
        let verified = verified.filter(|release| release.id == live);
        renew::run(context, workspace, verified, scoring.as_ref())?
    };
    report.diagnostics = Some(Box::new(diagnostics));
    report.reporting = Some(Box::new(reporting));
    // An interrupted run may have been interrupted after a promotion.
    if report.decision.outcome == DecisionOutcome::Promoted || unfinished {
        let calls = context.step(workspace, Step::ApiCalls, |_| {
            Ok(apicalls::after_promotion(context, live.as_str()))
        })?;
        report.apicalls = Some(Box::new(calls));
    }
    Ok(report)
}

impl fmt::Display for FullProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.decision)?;
        if let Some(joined) = &self.outcomes {
            write!(f, "{joined}")?;
        }
        if let Some(reporting) = &self.reporting {
            write!(f, "{reporting}")?;
        }
        match &self.apicalls {
            Some(calls) => calls.line().iter().try_for_each(|line| writeln!(f, "{line}")),
            None => Ok(()),
        }
    }
}
