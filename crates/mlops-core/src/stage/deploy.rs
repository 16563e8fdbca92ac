//! `deployment`: makes a release of the latest model with its score, and makes it live.
//!
//! Order of writes: sealed release, verification from disk, intent, pointer swap, commit. `promote` here
//! does the last three; `release::Store::promote` is the pointer swap alone. Whether a model may go live
//! is decided in `stage::decide`.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::evaluation::gate::Beside;
use crate::evaluation::reasons::Reasons;
use crate::ids::{DatasetVersion, FindingKind, ReleaseId, Severity, Step};
use crate::ledger::{Action, DecisionRecord, Deployment, Intent, Ledger, projections};
use crate::model::card::Card;
use crate::model::{Golden, artifact};
use crate::platform::digest::Digest;
use crate::platform::files;
use crate::release::{
    ARTIFACT, BLESSED, CARD, GOLDEN, LATEST_SCORE, NOT_BLESSED, Release, SCORE, parse,
};
use crate::run::attention::{self, Finding};
use crate::run::context::{Context, Report, Workspace};
use crate::{Error, Result};

use super::retain::Retained;
use super::score::{Score, Scoring, latest_score_file, read_artifact};
use super::train::Trained;

/// The report of `deployment`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Deployed {
    /// The live release.
    pub release: ReleaseId,
    /// The release's folder.
    pub folder: String,
    /// The path of the pointer.
    pub pointer: String,
    /// The release that was live before.
    pub previous: Option<ReleaseId>,
    /// The release is new, not sealed by an earlier run.
    pub sealed: bool,
    /// The pointer moved.
    pub promoted: bool,
    /// The release's F1.
    pub f1: f64,
    /// It does better than the best constant answer, in the metric of the gate.
    pub beats_constant: bool,
    /// What judged it.
    pub judged: Judge,
    /// Old releases and data sets that were removed by the rules of "retention".
    pub removed: Retained,
    /// The live release, as read from disk.
    #[serde(skip)]
    pub verified: Release,
}

/// What judged a model before it went live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// The gate, which compares it with the release before.
    Gate,
    /// Nothing but the best constant answer: it was deployed by hand.
    ConstantAnswer,
}

impl Report for Deployed {
    fn changed(&self) -> bool {
        self.promoted || self.sealed || self.removed.changed()
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> =
            attention::findings(&self.removed.warnings, Severity::Warning).collect();
        if !self.beats_constant {
            findings.push(Finding::warning(
                FindingKind::BelowConstant,
                "this model does not beat the best constant answer (see score.json)",
            ));
        }
        findings
    }
}

/// The model in the output folder with its score, verified and ready to be sealed.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The id of the release that it becomes.
    pub id: ReleaseId,
    /// The data set that it was trained on.
    pub dataset: DatasetVersion,
    /// The model's score.
    pub score: Score,
    files: Vec<(&'static str, Vec<u8>)>,
}

impl Candidate {
    /// Reads the output of `training` and `scoring`, and checks that it belongs together.
    pub fn read(context: &Context) -> Result<Self> {
        let folder = &context.config.output_model;
        let path = folder.join(ARTIFACT);
        let bytes = read_artifact(&path)?;
        let place = path.display().to_string();
        let model = artifact::decode(&bytes, &place)?;
        let digest = Digest::of(&bytes);
        let golden: Golden = companion(&folder.join(GOLDEN))?;
        golden.verify(&model, digest, &place)?;
        let card: Card = companion(&folder.join(CARD))?;
        if card.artifact != digest {
            let message =
                format!("{CARD} beside it belongs to another model: run `training` again");
            return Err(Error::artifact(place, message));
        }
        let score = score_of(&folder.join(SCORE), digest)?;
        let read = |name: &str| {
            let path = folder.join(name);
            files::read(&path).map_err(|e| Error::io("read", &path, e))
        };
        let score_bytes = read(SCORE)?;
        let dataset = model.data.version;
        let id = ReleaseId::new(dataset, digest, Digest::of(&score_bytes));
        let files = vec![
            (ARTIFACT, bytes),
            (CARD, read(CARD)?),
            (GOLDEN, read(GOLDEN)?),
            (SCORE, score_bytes),
            // From `score.json`, not from its own file, which a crash may have left from an earlier
            // score.
            (LATEST_SCORE, latest_score_file(score.evaluation.f1)),
        ];
        Ok(Self { id, dataset, score, files })
    }

    /// Reads from results that were just made.
    pub fn of(trained: &Trained, scoring: &Scoring) -> Self {
        let dataset = trained.version;
        let score = scoring.score.clone();
        let id = ReleaseId::new(dataset, trained.sha256, Digest::of(&scoring.file));
        let mut files = trained.made.files.to_vec();
        files.push((SCORE, scoring.file.clone()));
        files.push((LATEST_SCORE, latest_score_file(score.evaluation.f1)));
        Self { id, dataset, score, files }
    }
}

impl Candidate {
    /// Adds the verdict of the gate, which is sealed with the release: a file `BLESSED` or
    /// `NOT_BLESSED` with the reasons.
    #[must_use]
    pub fn judged(mut self, blessed: bool, reasons: &Reasons) -> Self {
        let name = if blessed { BLESSED } else { NOT_BLESSED };
        self.files.push((name, (reasons.sentences().join("\n") + "\n").into_bytes()));
        self
    }

    /// Seals and verifies the release without making it live; returns false if it existed already.
    pub fn seal(self, context: &Context, ledger: &Ledger) -> Result<bool> {
        let _held = context.hold_releases()?;
        let (sealed, release) = self.seal_held(context, ledger)?;
        context.sign_own(&release)?;
        Ok(sealed)
    }

    fn seal_held(self, context: &Context, ledger: &Ledger) -> Result<(bool, Release)> {
        let Self { id, dataset, mut files, .. } = self;
        files.push((projections::INGESTED_FILES, projections::ingested_files(ledger)?.into()));
        context.store().seal(&id, dataset, &files)
    }
}

/// What the user explicitly allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leave {
    /// Deploying a release that was rolled back.
    pub again: bool,
    /// Deploying a model that does no better than the best constant answer.
    pub accept: bool,
}

/// Deploys the model in the output folder, with `reason`, as step `step`. Refuses a release that
/// was rolled back, and a model that does no better than a constant answer: see [`with`].
pub fn run(
    context: &Context,
    workspace: &mut Workspace,
    step: Step,
    reason: &str,
) -> Result<Deployed> {
    with(context, workspace, step, reason, Leave::default())
}

/// Like [`run`], with explicit permissions.
pub fn with(
    context: &Context,
    workspace: &mut Workspace,
    step: Step,
    reason: &str,
    leave: Leave,
) -> Result<Deployed> {
    let candidate = Candidate::read(context)?;
    of(context, workspace, candidate, step, reason, leave)
}

/// Like [`with`], for results that were just made.
pub fn of(
    context: &Context,
    workspace: &mut Workspace,
    candidate: Candidate,
    step: Step,
    reason: &str,
    leave: Leave,
) -> Result<Deployed> {
    let previous = context.store().live()?;
    let id = &candidate.id;
    let is_live = previous.as_ref() == Some(&candidate.id);
    let beside = Beside::of(context.config.gate.metric, &candidate.score.evaluation);
    if !beside.beats && !leave.accept && !is_live {
        let why = beside.alone(previous.is_none(), false);
        return Err(Error::conflict(format!(
            "{id} is not made live: {why}. Add more data or better features, or accept it with --accept"
        )));
    }
    if let Some(rollback) = workspace.ledger.was_rolled_back(id)?
        && !is_live
        && !leave.again
    {
        return Err(Error::conflict(format!(
            "{id} was rolled back at {} ({}) and is not made live again automatically: train a \
             better model, or run `deployment --again` to make it live nevertheless",
            rollback.recorded, rollback.reason
        )));
    }
    deploy(context, workspace, candidate, (step, reason), None, None)
}

/// Deploys `candidate`, as `decision` says; both are recorded in one commit. The release `sound`
/// was already verified in this run.
pub fn decided(
    context: &Context,
    workspace: &mut Workspace,
    candidate: Candidate,
    reason: &str,
    decision: DecisionRecord,
    sound: Option<&ReleaseId>,
) -> Result<Deployed> {
    let by = (Step::FullProcess, reason);
    deploy(context, workspace, candidate, by, Some(decision), sound)
}

fn deploy(
    context: &Context,
    workspace: &mut Workspace,
    candidate: Candidate,
    (step, reason): (Step, &str),
    decision: Option<DecisionRecord>,
    sound: Option<&ReleaseId>,
) -> Result<Deployed> {
    let _held = context.hold_releases()?;
    let releases = context.store();
    let previous = releases.live()?;
    let blessing = candidate.files.iter().find(|(name, _)| *name == BLESSED).cloned();
    let (id, dataset, score) = (candidate.id.clone(), candidate.dataset, candidate.score.clone());
    let (sealed, mut verified) = candidate.seal_held(context, &workspace.ledger)?;
    let promoted = previous.as_ref() != Some(&id);
    let judged = if decision.is_some() { Judge::Gate } else { Judge::ConstantAnswer };
    let f1 = score.evaluation.f1;
    if promoted && releases.clear(&id, blessing)? {
        verified = releases.verify(&id)?;
    }
    context.sign_own(&verified)?;
    if promoted {
        let deployment = Deployment {
            run_id: context.run.clone(),
            step,
            action: Action::Deploy,
            release: id.clone(),
            previous: previous.clone(),
            f1: Some(f1),
            dataset,
            reason: reason.to_owned(),
            recorded: context.now(),
            decision,
            who: None,
        };
        promote(context, workspace, &id, &deployment)?;
    }
    Ok(Deployed {
        folder: releases.folder(&id).display().to_string(),
        pointer: context.config.deployment.display().to_string(),
        previous: previous.filter(|p| *p != id),
        sealed,
        promoted,
        f1,
        beats_constant: Beside::of(context.config.gate.metric, &score.evaluation).beats,
        judged,
        removed: super::retain::run(context, workspace, &id, sound),
        verified,
        release: id,
    })
}

/// The contents of a file that `training` writes beside the model.
fn companion<T: DeserializeOwned>(path: &Path) -> Result<T> {
    if path.is_file() {
        return parse(path);
    }
    Err(Error::missing(format!(
        "there is no {}, which belongs to the model (an erasure removes it if it has a row of one of the people): \
         run `training` and `scoring` again",
        path.display()
    )))
}

/// The score in the file at `path`, which must be that of model `artifact`.
fn score_of(path: &Path, artifact: Digest) -> Result<Score> {
    let place = path.display();
    if !path.is_file() {
        return Err(Error::missing(format!("there is no score at {place}: run `scoring` first")));
    }
    let score: Score = parse(path)?;
    if score.artifact == artifact {
        return Ok(score);
    }
    let message = format!(
        "it is the score of the model {}, not of {}: run `scoring` again",
        score.artifact.short(),
        artifact.short()
    );
    Err(Error::artifact(place.to_string(), message))
}

/// Makes a verified release live if it is trusted, and records that: intent, pointer swap, commit.
pub(super) fn promote(
    context: &Context,
    workspace: &mut Workspace,
    id: &ReleaseId,
    deployment: &Deployment,
) -> Result<()> {
    if !context.config.signing.trusted.is_empty() {
        context.sound_and_trusted(id)?;
    }
    let intent = Intent::Promote(Box::new(deployment.clone()));
    let intent = workspace.ledger.intend(&context.run, &intent)?;
    let store = context.store();
    store.claim_also(id)?;
    store.promote(id)?;
    workspace.ledger.record_deployment(deployment, intent)
}

/// The report of `deployment adopt`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Adopted {
    /// The new path of the folder.
    pub folder: String,
}

impl Report for Adopted {}

/// Moves a real folder at the pointer's path out of the way, unchanged.
pub fn adopt(context: &Context) -> Result<Adopted> {
    let _held = context.hold_releases()?;
    Ok(Adopted { folder: context.store().adopt()?.display().to_string() })
}

impl fmt::Display for Adopted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The folder is now {}, as it was. Deploy when ready.", self.folder)
    }
}

impl fmt::Display for Deployed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, pointer, .. } = self;
        if self.promoted {
            writeln!(f, "Live: {release} at {pointer}")?;
            if let Some(previous) = &self.previous {
                writeln!(f, "Before: {previous}")?;
                if self.judged == Judge::ConstantAnswer {
                    writeln!(
                        f,
                        "They were not compared: by hand a model must only beat a constant answer. \
                         `fullprocess` asks the gate."
                    )?;
                }
            }
        } else {
            writeln!(f, "Already live: {release} at {pointer}; nothing changed")?;
        }
        self.removed.fmt(f)
    }
}
