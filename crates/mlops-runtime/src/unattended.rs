//! Unattended runs: a log file for each, pings, and a time limit per stage.
//!
//! Not for the work itself, which the caller provides. See [`crate::run`] for attended runs.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mlops_client::ping::{Pings, Signal};
use mlops_core::Result;
use mlops_core::ids::Step;
use mlops_core::run::context::{Context, Report, Workspace};
use mlops_core::text;

use crate::console::OUTCOME;
use crate::watchdog::Alarm;
use crate::{Common, Watchdog, alerts, console, exit, run_log, textfile};

/// Runs `work` as the step `step`. It reports its stages to the [`Watchdog`]; one that takes longer
/// than `limits.stage_seconds` ends the process with exit status 1.
///
/// Every log line names the run and goes to standard error and, from "info" on, to `logs/{run}.log`
/// in the output folder. The configured address is pinged when the work begins and when the run has
/// ended, without waiting in between. A run that finds the workspace locked pings nothing: the
/// other run does.
pub fn run_unattended<R: Report>(
    step: Step,
    common: &Common,
    work: impl FnOnce(&Context, &mut Workspace, &Watchdog) -> Result<R>,
) -> ExitCode {
    let context = match crate::context(common) {
        Ok(context) => context,
        Err(error) => return ExitCode::from(crate::tell::<R>(common, Err(error))),
    };
    start_log(common, &context);
    let monitoring = &context.config.monitoring;
    let pings = Arc::new(Pings::new(monitoring.ping_url.as_deref(), monitoring.ping_timeout));
    // Dropped last, so that a panic is reported after everything else was released.
    let mut vow = PanicPing { pings: Arc::clone(&pings), kept: false };
    let result = attempt(step, &context, &pings, work);

    let changed = result.as_ref().is_ok_and(Report::changed);
    let body = body(&result);
    let status = crate::tell(common, result);
    if status != exit::LOCKED
        && let Some(path) = &monitoring.metrics_textfile
        && let Err(error) = textfile::write(&context, path, step, status)
    {
        tracing::warn!("the file of figures was not written: {error}");
    }
    tracing::info!(target: OUTCOME, status, changed, "ended");
    vow.kept = true;
    match status {
        0 => pings.send(Signal::Success),
        exit::LOCKED => {}
        status => pings.send_with(Signal::Exit(status), body),
    }
    pings.finish();
    ExitCode::from(status)
}

/// The text of a ping: findings first, then the facts.
fn body<R: Report>(result: &Result<R>) -> String {
    let lines: Vec<String> = match result {
        Ok(report) => {
            let findings = report.findings().into_iter().map(|finding| finding.text);
            let facts = report.facts();
            let facts = facts.into_iter().map(|fact| format!("{}: {}", fact.name, fact.value));
            findings.chain(facts).collect()
        }
        Err(error) => vec![console::with_causes(error)],
    };
    text::bounded(text::printable(&lines.join("\n")).into_owned() + "\n")
}

/// Runs the work; when it returns, lock and watchdog are released.
fn attempt<R: Report>(
    step: Step,
    context: &Context,
    pings: &Arc<Pings>,
    work: impl FnOnce(&Context, &mut Workspace, &Watchdog) -> Result<R>,
) -> Result<R> {
    let watchdog = Arc::new(watchdog(context, Arc::clone(pings)));
    let mut context = context.clone();
    let watched = Arc::downgrade(&watchdog);
    context.step_begins = Arc::new(move |step| {
        if let Some(watchdog) = watched.upgrade() {
            watchdog.stage(step.as_str());
        }
    });
    let context = &context;
    let mut workspace = crate::open(context, step)?;
    pings.send(Signal::Start);
    if let Err(error) = run_log::rotate(context) {
        tracing::warn!("old logs were not removed: {error}");
    }
    let result = context.step(&mut workspace, step, |w| work(context, w, &watchdog));
    // The records of the run are complete, whatever becomes of this.
    watchdog.stage("alerts");
    alerts::tell(context, &mut workspace.ledger);
    result
}

/// If the log file cannot be opened, the run goes on without it.
fn start_log(common: &Common, context: &Context) {
    let (file, missing) = match run_log::open(context) {
        Ok(file) => (Some(file), None),
        Err(error) => (None, Some(error)),
    };
    console::start_log(common, Some(&context.run), file);
    if let Some(error) = missing {
        tracing::warn!("this run has no log file: {error}");
    }
    console::log_panics(common);
}

/// Ends the process if a stage takes too long.
fn watchdog(context: &Context, pings: Arc<Pings>) -> Watchdog {
    let limit = context.config.limits.stage;
    let alarm = Alarm {
        grace: 2 * context.config.monitoring.ping_timeout + Duration::from_secs(5),
        on_timeout: move |stage: &str| {
            let seconds = limit.unwrap_or_default().as_secs();
            tracing::error!(
                "the stage {stage} took longer than {seconds} s (limits.stage_seconds): this run \
                 ends here, and the next one recovers the workspace"
            );
            pings.send(Signal::Fail);
            pings.finish();
        },
        exit: || std::process::exit(1),
    };
    Watchdog::start(limit, "recovery", alarm)
}

/// Pings "fail" on drop unless the run came to its end, which only a panic can prevent here.
struct PanicPing {
    pings: Arc<Pings>,
    kept: bool,
}

impl Drop for PanicPing {
    fn drop(&mut self) {
        if !self.kept {
            self.pings.send(Signal::Fail);
            self.pings.finish();
        }
    }
}
