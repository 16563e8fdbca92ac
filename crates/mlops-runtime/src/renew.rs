//! Renews diagnostics and reports if another release is live than the one that they are about.
//!
//! Not for their content: see `mlops_core::stage::diagnose` and `mlops_report`.

use std::fmt;

use mlops_core::Result;
use mlops_core::ids::{FindingKind, ReleaseId, ReleasePrefix, Step};
use mlops_core::release::Release;
use mlops_core::run::attention::Finding;
use mlops_core::run::context::{Context, Report, Workspace};
use mlops_core::stage::approve::{self, Approved};
use mlops_core::stage::deploy::{self, Deployed};
use mlops_core::stage::diagnose::{self, DIAGNOSTICS, Diagnostics};
use mlops_core::stage::outcomes::{self, Joined};
use mlops_core::stage::rollback::{self, RolledBack};
use mlops_core::stage::score::Scoring;
use mlops_report::stage::{Known, PAGE, PDF, Reported};
use serde::{Deserialize, Serialize};

use crate::dependencies;

/// Runs diagnostics and reporting on the live release; `release` is that release, if it was
/// verified already, and `scoring` the score that was just made.
pub(crate) fn run(
    context: &Context,
    workspace: &mut Workspace,
    release: Option<Release>,
    scoring: Option<&Scoring>,
) -> Result<(Diagnostics, Reported)> {
    let dependencies = dependencies::built_in();
    let look = diagnose::Options { dependencies, identify: true, ..Default::default() };
    let (release, diagnostics) = {
        let mut verified = release;
        let diagnostics = context.step(workspace, Step::Diagnostics, |w| {
            let release = match verified.take() {
                Some(release) => release,
                None => context.store().live_release()?,
            };
            let diagnostics = diagnose::of(context, w, &release, &look)?;
            verified = Some(release);
            Ok(diagnostics)
        })?;
        (verified, diagnostics)
    };
    let known = Known { release: release.as_ref(), scoring, diagnostics: Some(&diagnostics) };
    let reporting = context
        .step(workspace, Step::Reporting, |w| mlops_report::stage::knowing(context, w, known))?;
    Ok((diagnostics, reporting))
}

/// Whether the last diagnostics and the last report are about `live`, and still exist.
pub(crate) fn is_of(context: &Context, workspace: &Workspace, live: &ReleaseId) -> Result<bool> {
    let folder = &context.config.output_model;
    if ![PAGE, PDF, DIAGNOSTICS].iter().all(|name| folder.join(name).is_file()) {
        return Ok(false);
    }
    for step in [Step::Diagnostics, Step::Reporting] {
        let last: Option<Subject> = workspace.ledger.last_report(step)?;
        if last.and_then(|report| report.release).as_ref() != Some(live) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The subject of a report.
#[derive(Deserialize)]
struct Subject {
    release: Option<ReleaseId>,
}

/// The result of making another release live, with the reports on it.
#[derive(Debug, Serialize)]
pub struct Renewed<T> {
    /// The result of the rollback or the deployment.
    #[serde(flatten)]
    pub done: T,
    /// The report on the release that is now live.
    pub reporting: Option<Box<Reported>>,
    /// Why there is no report.
    pub stale: Option<String>,
}

/// Makes an earlier release live again, then renews diagnostics and reports. If those fail, the
/// rollback still stands.
pub fn roll_back(
    context: &Context,
    workspace: &mut Workspace,
    to: Option<&ReleaseId>,
    reason: &str,
) -> Result<Renewed<RolledBack>> {
    let done = rollback::run(context, workspace, to, reason)?;
    Ok(Renewed::of(context, workspace, done, None))
}

/// Makes a challenger live that waits, then renews diagnostics and reports.
pub fn approve(
    context: &Context,
    workspace: &mut Workspace,
    which: &ReleasePrefix,
    (who, reason): (&str, &str),
) -> Result<Renewed<Approved>> {
    let done = approve::approve(context, workspace, which, (who, reason))?;
    let verified = done.verified.clone();
    Ok(Renewed::of(context, workspace, done, Some(verified)))
}

/// Deploys on request; diagnostics and reports are renewed if another release became live.
pub fn deploy(
    context: &Context,
    workspace: &mut Workspace,
    reason: &str,
    leave: deploy::Leave,
) -> Result<Renewed<Deployed>> {
    let done = deploy::with(context, workspace, Step::Deployment, reason, leave)?;
    if !done.promoted {
        return Ok(Renewed { done, reporting: None, stale: None });
    }
    let verified = done.verified.clone();
    Ok(Renewed::of(context, workspace, done, Some(verified)))
}

/// Renews diagnostics and reports after something that changes what they say, such as labels that came
/// later. If that fails, `done` still stands.
fn after<T>(context: &Context, workspace: &mut Workspace, done: T) -> Renewed<T> {
    Renewed::of(context, workspace, done, None)
}

/// Joins labels that came later; if any are new, renews diagnostics and reports.
pub fn outcomes(context: &Context, workspace: &mut Workspace) -> Result<Renewed<Joined>> {
    let done = outcomes::run(context, workspace, outcomes::Reach::Here)?;
    if done.new_labels == 0 || context.store().live()?.is_none() {
        return Ok(Renewed { done, reporting: None, stale: None });
    }
    Ok(after(context, workspace, done))
}

/// Renews diagnostics and reports on what is live, for a service that goes on whatever comes of it.
pub fn now(context: &Context, workspace: &mut Workspace) -> Result<()> {
    if context.store().live()?.is_none() {
        return Ok(());
    }
    run(context, workspace, None, None).map(drop)
}

impl<T> Renewed<T> {
    fn of(context: &Context, workspace: &mut Workspace, done: T, release: Option<Release>) -> Self {
        let (reporting, stale) = match run(context, workspace, release, None) {
            Ok((_, reporting)) => (Some(Box::new(reporting)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self { done, reporting, stale }
    }
}

impl<T: Report + fmt::Display> Report for Renewed<T> {
    fn changed(&self) -> bool {
        self.done.changed()
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = self.done.findings();
        findings.extend(self.stale.iter().map(|why| {
            Finding::warning(
                FindingKind::Model,
                format!(
                    "the report is not about the release that is live now ({why}): the next \
                 `fullprocess` or `reporting` renews it"
                ),
            )
        }));
        findings
    }
}

impl<T: fmt::Display> fmt::Display for Renewed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.done)?;
        match &self.reporting {
            Some(reporting) => writeln!(f, "The report in {} is about it.", reporting.folder),
            None => Ok(()),
        }
    }
}
