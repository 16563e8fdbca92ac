//! `first_run`: everything in order, from a folder of CSV files to a deployed model with its
//! reports. Once done and without new data it changes nothing; it never replaces a release of
//! `fullprocess`.
//!
//! Not for deciding whether to retrain: that is `fullprocess`'s.

use std::fmt;

use mlops_core::attention::{Attention, Finding};
use mlops_core::context::{Context, Report, Workspace};
use mlops_core::ids::{DatasetVersion, ReleaseId};
use mlops_core::ledger::{Action, HoldoutRecord, Ledger};
use mlops_core::stage::decide::{self, contest};
use mlops_core::stage::deploy;
use mlops_core::stage::deploy::Deployed;
use mlops_core::stage::diagnose::{self, Diagnostics};
use mlops_core::stage::holdout;
use mlops_core::stage::ingest::{self, Ingestion};
use mlops_core::stage::score::{self, Score};
use mlops_core::stage::train::{self, Trained};
use mlops_core::store::ARTIFACT;
use mlops_core::text;
use mlops_core::{Error, Result};
use mlops_report::stage::{PAGE, Reported};
use serde::Serialize;
use serde_json::Value;

use crate::dependencies;

const STEP: &str = "first_run";

/// What `first_run` did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstRun {
    /// Everything, with the results of each step.
    Done(Box<Steps>),
    /// Nothing: this release is live and nothing is new.
    NothingNew {
        /// The live release.
        release: ReleaseId,
        /// What the look at the input folder gave.
        ingestion: Box<Ingestion>,
    },
    /// Nothing: `fullprocess` has taken over.
    TakenOver {
        /// The live release.
        release: String,
    },
}

/// The results of each step.
#[derive(Debug, Serialize)]
pub struct Steps {
    /// The files.
    pub ingestion: Ingestion,
    /// The hold-out that was drawn, where there were no test data.
    pub holdout: Option<HoldoutRecord>,
    /// The model.
    pub training: Trained,
    /// Its score.
    pub scoring: Score,
    /// Its release.
    pub deployment: Deployed,
    /// Its diagnostics.
    pub diagnostics: Diagnostics,
    /// The pictures and the page.
    pub reporting: Reported,
}

impl Report for FirstRun {
    fn changed(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Done(steps) => {
                let mut findings = steps.ingestion.findings();
                // That a score beats nothing is among what the report says, too.
                findings.extend(steps.deployment.removed.warnings.iter().map(Finding::warning));
                findings.extend(steps.reporting.findings());
                findings
            }
            Self::NothingNew { ingestion, .. } => ingestion.findings(),
            Self::TakenOver { .. } => Vec::new(),
        }
    }

    fn attention(&self) -> Attention {
        match self {
            Self::Done(steps) => steps.ingestion.attention(),
            Self::NothingNew { ingestion, .. } => ingestion.attention(),
            Self::TakenOver { .. } => Attention::Fine,
        }
    }
}

/// Runs all steps, each recorded by its own name.
pub fn run(context: &Context, workspace: &mut Workspace, accept: bool) -> Result<FirstRun> {
    let live = context.store().live()?;
    if let Some(live) = &live
        && deployed_by(&workspace.ledger, live)?.as_deref() == Some(decide::STEP)
    {
        let release = live.to_string();
        return Ok(FirstRun::TakenOver { release });
    }
    let input = &context.config.input_folder;
    let options = ingest::Options::default();
    let ingestion = context.step(workspace, "ingestion", |workspace| {
        ingest::run(context, workspace, input, "input_folder_path", options)
    })?;
    let Some(version) = ingestion.version else {
        return Err(nothing_to_learn_from(&ingestion));
    };
    if let Some(release) = live
        && completed_with(workspace, version)?
        && results_are_there(context)
    {
        return Ok(FirstRun::NothingNew { release, ingestion: Box::new(ingestion) });
    }
    // People need not split their files: without any test data some rows are set aside.
    let holdout = holdout::first(context, workspace)?;
    let training = context.step(workspace, "training", |w| train::run(context, w))?;
    let scoring = context.step(workspace, "scoring", |w| score::run(context, w))?;
    let deployment = context.step(workspace, "deployment", |w| {
        not_worse_than_unknown(context, w, accept)?;
        let leave = deploy::Leave { accept, ..deploy::Leave::default() };
        deploy::with(context, w, STEP, "first run on the input folder", leave)
    })?;
    let options =
        diagnose::Options { dependencies: dependencies::built_in(), ..Default::default() };
    let diagnostics =
        context.step(workspace, "diagnostics", |w| diagnose::run(context, w, &options))?;
    let reporting =
        context.step(workspace, "reporting", |w| mlops_report::stage::run(context, w))?;
    Ok(FirstRun::Done(Box::new(Steps {
        ingestion,
        holdout,
        training,
        scoring,
        deployment,
        diagnostics,
        reporting,
    })))
}

/// A live release that these records do not know (they were lost, or begun afresh) is not replaced by a
/// worse model.
fn not_worse_than_unknown(context: &Context, workspace: &Workspace, accept: bool) -> Result<()> {
    let store = context.store();
    let Some(live) = store.live()? else { return Ok(()) };
    if deployed_by(&workspace.ledger, &live)?.is_some() {
        return Ok(());
    }
    // One that is damaged or foreign is no measure.
    let Ok(release) = store.verify(&live) else { return Ok(()) };
    match contest::with_unknown(context, workspace, &release, accept)? {
        Some(verdict) if !verdict.blessed => Err(Error::conflict(format!(
            "{live} is live, though these records do not know it, and stays so: {}. To replace it all \
             the same, run `deployment`",
            verdict.reasons.first().map_or("", String::as_str)
        ))),
        _ => Ok(()),
    }
}

/// Whether the last run that ended was a success on data set `version`: not on an earlier one,
/// after which `ingestion` ran by itself or a run was killed.
fn completed_with(workspace: &Workspace, version: DatasetVersion) -> Result<bool> {
    let last = workspace.ledger.runs(STEP, 1)?.pop();
    let report = last.and_then(|run| serde_json::from_str::<Value>(&run.detail?).ok());
    let version = serde_json::json!(version);
    Ok(report.is_some_and(|report| {
        ["done", "nothing_new"].iter().any(|kind| report[kind]["ingestion"]["version"] == version)
    }))
}

/// Whether nobody removed the model and its page since they were made.
fn results_are_there(context: &Context) -> bool {
    let folder = &context.config.output_model;
    [ARTIFACT, PAGE].iter().all(|name| folder.join(name).is_file())
}

fn nothing_to_learn_from(ingestion: &Ingestion) -> Error {
    let folder = &ingestion.folder;
    let mut message = match ingestion.files.len() as u64 + ingestion.unchanged {
        0 => format!("there is no CSV file in {folder}: put some there and run again"),
        n => format!("{} in {folder}, none with rows to take", text::plural(n, "CSV file")),
    };
    for warning in &ingestion.warnings {
        message.push_str("\n  - ");
        message.push_str(warning);
    }
    Error::missing(message)
}

/// The step that made `release` live as a new one; a rollback to it does not count.
fn deployed_by(ledger: &Ledger, release: &ReleaseId) -> Result<Option<String>> {
    let mut deployments = ledger.deployments()?.into_iter().rev();
    let deployed = deployments
        .find(|d| d.action == Action::Deploy && d.release == release.as_str())
        .map(|d| d.step);
    Ok(deployed)
}

impl fmt::Display for FirstRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingNew { release, ingestion } => {
                write!(f, "{ingestion}")?;
                writeln!(f, "Nothing to do: {release} is live and there is no new data.")
            }
            Self::TakenOver { release } => writeln!(
                f,
                "Nothing to do: {release}, deployed by fullprocess, is live. fullprocess decides \
                 from here on."
            ),
            Self::Done(steps) => steps.fmt(f),
        }
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ingestion, training, scoring, deployment, reporting, .. } = self;
        writeln!(f, "1  Ingested {}", ingestion.folder)?;
        write!(f, "{ingestion}")?;
        if let Some(holdout) = &self.holdout {
            writeln!(
                f,
                "   there are no test data: {} of {} rows were set aside in {}",
                text::count(holdout.rows),
                text::count(holdout.drawn_from),
                holdout.name
            )?;
        }
        writeln!(f, "\n2  Trained on {} rows", text::count(training.data.rows))?;
        writeln!(
            f,
            "   {} features, {:.1} % positive, solver {}; left out: {} test rows, {} with missing values",
            training.card.features.len(),
            100.0 * training.data.positives as f64 / training.data.rows.max(1) as f64,
            training.card.solver,
            text::count(training.data.held_out),
            text::count(training.data.dropped),
        )?;
        for note in &training.notes {
            writeln!(f, "   note: {note}")?;
        }
        writeln!(f, "\n3  Scored on {} test rows", text::count(scoring.evaluation.n))?;
        for line in scoring.to_string().lines() {
            writeln!(f, "   {line}")?;
        }
        writeln!(f, "\n4  Deployed")?;
        for line in deployment.to_string().lines() {
            writeln!(f, "   {line}")?;
        }
        writeln!(f, "\n5  Diagnosed and reported")?;
        for line in reporting.to_string().lines() {
            writeln!(f, "   {line}")?;
        }
        writeln!(
            f,
            "\nNext: open the report; put new files into the input folder and run this again."
        )
    }
}
