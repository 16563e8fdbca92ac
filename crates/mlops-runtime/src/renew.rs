//! Renews diagnostics and reports if another release is live than the one that they are about.
//!
//! Not for their content: see `mlops_core::stage::diagnose` and `mlops_report`.

use std::fmt;

use mlops_core::Result;
use mlops_core::ids::ReleaseId;
use mlops_core::run::attention::Finding;
use mlops_core::run::context::{Context, Report, Workspace};
use mlops_core::stage::deploy::{self, Deployed};
use mlops_core::stage::diagnose::{self, DIAGNOSTICS, Diagnostics};
use mlops_core::stage::rollback::{self, RolledBack};
use mlops_report::stage::{PAGE, Reported};
use serde::Serialize;
use serde_json::Value;

use crate::dependencies;

/// Runs diagnostics and reporting on the live release.
pub(crate) fn run(context: &Context, workspace: &mut Workspace) -> Result<(Diagnostics, Reported)> {
    let look = diagnose::Options { dependencies: dependencies::built_in(), ..Default::default() };
    let diagnostics =
        context.step(workspace, "diagnostics", |w| diagnose::run(context, w, &look))?;
    let reporting =
        context.step(workspace, "reporting", |w| mlops_report::stage::run(context, w))?;
    Ok((diagnostics, reporting))
}

/// Whether the last diagnostics and the last report are about `live`, and still exist.
pub(crate) fn is_of(context: &Context, workspace: &Workspace, live: &ReleaseId) -> Result<bool> {
    let folder = &context.config.output_model;
    if ![PAGE, DIAGNOSTICS].iter().all(|name| folder.join(name).is_file()) {
        return Ok(false);
    }
    for step in ["diagnostics", "reporting"] {
        let last = workspace.ledger.runs(step, 1)?.pop();
        let report = last.and_then(|run| serde_json::from_str::<Value>(&run.detail?).ok());
        if report.is_none_or(|report| report["release"] != live.as_str()) {
            return Ok(false);
        }
    }
    Ok(true)
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
    Ok(Renewed::of(context, workspace, done))
}

/// Deploys on request; diagnostics and reports are renewed if another release became live.
pub fn deploy(
    context: &Context,
    workspace: &mut Workspace,
    reason: &str,
    leave: deploy::Leave,
) -> Result<Renewed<Deployed>> {
    let done = deploy::with(context, workspace, "deployment", reason, leave)?;
    if !done.promoted {
        return Ok(Renewed { done, reporting: None, stale: None });
    }
    Ok(Renewed::of(context, workspace, done))
}

impl<T> Renewed<T> {
    fn of(context: &Context, workspace: &mut Workspace, done: T) -> Self {
        let (reporting, stale) = match run(context, workspace) {
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
            Finding::warning(format!(
                "the report is not on the release that is live now ({why}): the next `fullprocess` \
                 or `reporting` makes it again"
            ))
        }));
        findings
    }
}

impl<T: fmt::Display> fmt::Display for Renewed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.done)?;
        match &self.reporting {
            Some(reporting) => writeln!(f, "The report in {} is on it.", reporting.folder),
            None => Ok(()),
        }
    }
}
