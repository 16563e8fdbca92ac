//! `first_run`: all steps in order, from a folder of CSV files to a deployed model with its
//! reports. Run again without new data it changes nothing; it never replaces a release of
//! `fullprocess`.
//!
//! Not for deciding whether to retrain: `fullprocess` does that.

use std::fmt::{self, Write as _};
use std::process::ExitCode;

use mlops_core::config::GateMode;
use mlops_core::ids::{DatasetVersion, ReleaseId, Severity, Step};
use mlops_core::ledger::{Action, Deployment, HoldoutRecord, Ledger};
use mlops_core::model::Model;
use mlops_core::release::ARTIFACT;
use mlops_core::run::attention::{self, Attention, Finding};
use mlops_core::run::context::{Context, Report, Workspace};
use mlops_core::run::test_files::TestFiles;
use mlops_core::stage::decide::contest;
use mlops_core::stage::deploy;
use mlops_core::stage::deploy::{Candidate, Deployed};
use mlops_core::stage::diagnose::Diagnostics;
use mlops_core::stage::holdout;
use mlops_core::stage::ingest;
use mlops_core::stage::ingest::report::Ingested;
use mlops_core::stage::restore_holdout;
use mlops_core::stage::score::{self, Score};
use mlops_core::stage::train::{self, Trained};
use mlops_core::stage::verify;
use mlops_core::text;
use mlops_core::{Error, Result};
use mlops_report::stage::{PAGE, Reported};
use serde::{Deserialize, Serialize};

use crate::{Common, console, renew};

/// The report of `first_run`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstRun {
    /// All steps ran; their results.
    Done(Box<Steps>),
    /// Nothing was done: this release is live and nothing is new.
    NothingNew {
        /// The live release.
        release: ReleaseId,
        /// The result of examining the input folder.
        ingestion: Box<Ingested>,
    },
    /// Nothing was done: `fullprocess` has taken over.
    TakenOver {
        /// The live release.
        release: ReleaseId,
    },
}

/// The results of all steps.
#[derive(Debug, Serialize)]
pub struct Steps {
    /// Ingestion.
    pub ingestion: Ingested,
    /// The hold-out that was drawn, if there were no test data.
    pub holdout: Option<HoldoutRecord>,
    /// Training.
    pub training: Trained,
    /// Scoring.
    pub scoring: Score,
    /// Deployment.
    pub deployment: Deployed,
    /// Diagnostics.
    pub diagnostics: Diagnostics,
    /// Reporting.
    pub reporting: Reported,
    /// The results were already printed, step by step.
    #[serde(skip)]
    pub told: bool,
}

impl Report for FirstRun {
    fn changed(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Done(steps) => {
                let mut findings = steps.ingestion.findings();
                // The report also says if a score does not beat the constant answer.
                let removed = &steps.deployment.removed;
                findings.extend(attention::findings(&removed.warnings, Severity::Warning));
                findings.extend(steps.reporting.on_the_model());
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

/// Runs the binary, printing the result of each step as it ends.
pub fn start(common: &Common, accept: bool) -> ExitCode {
    crate::run(Step::FirstRun, common, |context, workspace| {
        told(common, context, workspace, accept)
    })
}

/// Runs all steps, and prints the result of each as it ends.
pub(crate) fn told(
    common: &Common,
    context: &Context,
    workspace: &mut Workspace,
    accept: bool,
) -> Result<FirstRun> {
    let told = run_telling(context, workspace, accept, |text| console::say(common, text));
    told.map(|mut report| {
        if let FirstRun::Done(steps) = &mut report {
            steps.told = true;
        }
        report
    })
}

/// Runs all steps, each recorded under its own name.
pub fn run(context: &Context, workspace: &mut Workspace, accept: bool) -> Result<FirstRun> {
    run_telling(context, workspace, accept, |_| {})
}

fn run_telling(
    context: &Context,
    workspace: &mut Workspace,
    accept: bool,
    tell: impl Fn(&str),
) -> Result<FirstRun> {
    let live = context.store().live()?;
    // Also after a rollback to a release of an earlier first run.
    let deployments = workspace.ledger.deployments()?;
    let decided = |d: &Deployment| d.action == Action::Deploy && d.step == Step::FullProcess;
    if let Some(live) = &live
        && deployments.iter().any(decided)
    {
        verify::live(context, &workspace.ledger, live)?;
        return Ok(FirstRun::TakenOver { release: live.clone() });
    }
    let lost = live.is_none() && !deployments.is_empty();
    let options = ingest::Options::default();
    let ingestion = context.step(workspace, Step::Ingestion, |workspace| {
        ingest::run(context, workspace, context.config.input(), options)
    })?;
    let Some(version) = ingestion.version else {
        return Err(nothing_to_learn_from(&ingestion));
    };
    if let Some(release) = live
        && completed_with(workspace, version)?
        && results_are_there(context)
        && scored_on_present_tests(context, workspace)?
    {
        verify::live(context, &workspace.ledger, &release)?;
        return Ok(FirstRun::NothingNew { release, ingestion: Box::new(ingestion) });
    }
    // Users need not split their files: without test data some rows are set aside.
    let holdout = holdout::first(context, workspace)?;
    tell(&ingested(&ingestion, holdout.as_ref()));
    if let Some(again) = restore_holdout::run(context, workspace, lost)? {
        tracing::warn!("{again}");
    }
    let training = context.step(workspace, Step::Training, |w| train::run(context, w))?;
    tell(&trained(&training));
    let model = &training.made.model;
    let scoring = context
        .step(workspace, Step::Scoring, |w| score::of(context, w, model, training.sha256))?;
    tell(&scored(&scoring.score));
    let deployment = context.step(workspace, Step::Deployment, |w| {
        needs_a_person(context, accept)?;
        not_worse_than_unknown(context, w, model, accept)?;
        let leave = deploy::Leave { accept, ..deploy::Leave::default() };
        let candidate = Candidate::of(&training, &scoring);
        let reason = "first run on the input folder";
        deploy::of(context, w, candidate, Step::FirstRun, reason, leave)
    })?;
    tell(&deployed(&deployment));
    let release = deployment.verified.clone();
    let (diagnostics, reporting) = renew::run(context, workspace, Some(release), Some(&scoring))?;
    tell(&reported(&reporting));
    Ok(FirstRun::Done(Box::new(Steps {
        ingestion,
        holdout,
        training,
        scoring: scoring.score,
        deployment,
        diagnostics,
        reporting,
        told: false,
    })))
}

/// Refuses to make a model live that nobody looked at, if `gate.mode` is "manual".
fn needs_a_person(context: &Context, accept: bool) -> Result<()> {
    if accept || context.config.gate.mode == GateMode::Auto {
        return Ok(());
    }
    Err(Error::conflict(
        "the model is trained and scored but not live: \"gate.mode\" is \"manual\". Look at its score, then \
         make it live with `deployment --reason \"…\"`, or run `first_run --accept`",
    ))
}

/// Refuses to replace a live release that these records do not know (they were lost, or begun anew)
/// with a worse model.
fn not_worse_than_unknown(
    context: &Context,
    workspace: &Workspace,
    model: &Model,
    accept: bool,
) -> Result<()> {
    let store = context.store();
    let Some(live) = store.live()? else { return Ok(()) };
    if deployed_by(&workspace.ledger, &live)?.is_some() {
        return Ok(());
    }
    // A damaged or foreign release cannot be compared with.
    let Ok(release) = store.verify(&live) else { return Ok(()) };
    match contest::with_unknown(context, workspace, &release, model, accept)? {
        Some(verdict) if !verdict.blessed => Err(Error::conflict(format!(
            "{live} is live, although these records do not know it, and stays live: {}. To replace \
             it nevertheless, run `deployment`",
            verdict.reasons.sentences().first().map_or("", String::as_str)
        ))),
        _ => Ok(()),
    }
}

/// Whether the last ended run succeeded on data set `version`, and not on an earlier one, after
/// which `ingestion` ran by itself or a run was killed.
fn completed_with(workspace: &Workspace, version: DatasetVersion) -> Result<bool> {
    Ok(match workspace.ledger.last_report(Step::FirstRun)? {
        Some(Earlier::Done { ingestion } | Earlier::NothingNew { ingestion }) => {
            ingestion.version == Some(version)
        }
        Some(Earlier::TakenOver {}) | None => false,
    })
}

/// The part of an earlier [`FirstRun`] report that is read again.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Earlier {
    Done { ingestion: Seen },
    NothingNew { ingestion: Seen },
    TakenOver {},
}

/// The part of an earlier ingestion report that is read again: its data set.
#[derive(Deserialize)]
struct Seen {
    version: Option<DatasetVersion>,
}

/// Whether the last scoring used the current test data, as far as is known.
fn scored_on_present_tests(context: &Context, workspace: &Workspace) -> Result<bool> {
    let score: Option<Score> = workspace.ledger.last_report(Step::Scoring)?;
    let Some(score) = score else { return Ok(true) };
    let holdouts = workspace.ledger.holdouts()?;
    let tests = TestFiles::find(context, &holdouts)?;
    Ok(tests.current.iter().all(|test| score.test_files.get(&test.name) == Some(&test.digest)))
}

/// Whether the model and its page still exist.
fn results_are_there(context: &Context) -> bool {
    let folder = &context.config.output_model;
    [ARTIFACT, PAGE].iter().all(|name| folder.join(name).is_file())
}

fn nothing_to_learn_from(ingestion: &Ingested) -> Error {
    let folder = &ingestion.folder;
    let mut message = match ingestion.files.len() as u64 + ingestion.unchanged {
        0 => {
            format!("there is no file of rows in the folder {folder}: put one there and run again")
        }
        n => format!("{} in {folder}, none with data rows", text::plural(n, "file")),
    };
    let said = ingestion.failures.iter().chain(&ingestion.refused).chain(&ingestion.warnings);
    for words in said.take(text::MOST_NAMES) {
        message.push_str("\n  - ");
        message.push_str(words);
    }
    for ignored in &ingestion.ignored {
        _ = write!(message, "\n  - passed over {}: {}", text::name(&ignored.name), ignored.reason);
    }
    Error::missing(text::bounded(message))
}

/// The step that deployed `release` as a new one; a rollback to it does not count.
fn deployed_by(ledger: &Ledger, release: &ReleaseId) -> Result<Option<Step>> {
    let mut deployments = ledger.deployments()?.into_iter().rev();
    let deployed =
        deployments.find(|d| d.action == Action::Deploy && d.release == *release).map(|d| d.step);
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
                "Nothing to do: {release} is live, and fullprocess has taken over: it decides from \
                 here on."
            ),
            Self::Done(steps) => steps.fmt(f),
        }
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Output that was already printed is not repeated.
        if !self.told {
            for part in [
                ingested(&self.ingestion, self.holdout.as_ref()),
                trained(&self.training),
                scored(&self.scoring),
                deployed(&self.deployment),
                reported(&self.reporting),
            ] {
                f.write_str(&part)?;
            }
        }
        writeln!(
            f,
            "\nNext: open the report; when new rows have come, `fullprocess` decides what to do with them."
        )
    }
}

fn ingested(ingestion: &Ingested, holdout: Option<&HoldoutRecord>) -> String {
    let set_aside = holdout.map_or_else(String::new, |holdout| {
        format!(
            "   there are no test data: {} of {} {} set aside in {}\n",
            text::count(holdout.rows),
            text::plural(holdout.drawn_from, "row"),
            text::were(holdout.rows),
            holdout.name
        )
    });
    format!("1  Ingested {}\n{ingestion}{set_aside}", ingestion.folder)
}

fn trained(training: &Trained) -> String {
    let data = &training.data;
    let mut lines = format!(
        "{}, {:.1} % positive, solver {}; left out: {}, {} with missing values\n",
        text::plural(training.card.features.len() as u64, "feature"),
        100.0 * data.positives as f64 / data.rows.max(1) as f64,
        training.card.solver,
        text::plural(data.held_out, "test row"),
        text::count(data.dropped),
    );
    for note in &training.notes {
        lines.push_str("note: ");
        lines.push_str(note);
        lines.push('\n');
    }
    part(&format!("2  Trained on {}", text::plural(data.rows, "row")), &lines)
}

fn scored(scoring: &Score) -> String {
    let head = format!("3  Scored on {}", text::plural(scoring.evaluation.n, "test row"));
    part(&head, &scoring.to_string())
}

fn deployed(deployment: &Deployed) -> String {
    part("4  Deployed", &deployment.to_string())
}

fn reported(reporting: &Reported) -> String {
    part("5  Diagnosed and reported", &reporting.to_string())
}

/// A heading after a blank line, and indented lines.
fn part(head: &str, lines: &str) -> String {
    let lines: Vec<String> = lines.lines().map(|line| format!("   {line}")).collect();
    format!("\n{head}\n{}\n", lines.join("\n"))
}
