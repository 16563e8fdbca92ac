//! `deployment`: the latest model with its score becomes a release, and the release goes live.
//!
//! Order of writes: sealed release, check from disk, intent, pointer swap, commit. Not for the
//! decision whether a model deserves it: this stage only warns.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::context::{Context, Report, Workspace};
use crate::digest::Digest;
use crate::ids::ReleaseId;
use crate::ledger::{Deployment, Intent, projections};
use crate::model::card::Card;
use crate::model::{Golden, artifact};
use crate::store::{ARTIFACT, CARD, GOLDEN, LATEST_SCORE, SCORE, parse};
use crate::{Error, Result};

use super::score::{Score, latest_score_file, read_artifact};

/// What `deployment` did.
#[derive(Debug, Clone, Serialize)]
pub struct Deployed {
    /// The live release.
    pub release: ReleaseId,
    /// Its folder.
    pub folder: String,
    /// The pointer to it.
    pub pointer: String,
    /// The release that was live before.
    pub previous: Option<ReleaseId>,
    /// Whether the release is new, rather than sealed by an earlier run.
    pub sealed: bool,
    /// Whether the pointer moved.
    pub promoted: bool,
    /// Its F1.
    pub f1: f64,
    /// Whether that is more than the best constant answer has.
    pub beats_constant: bool,
}

impl Report for Deployed {
    fn changed(&self) -> bool {
        self.promoted || self.sealed
    }
}

/// Deploys the model in the output folder, for `reason`, in the name of `step`.
pub fn run(
    context: &Context,
    workspace: &mut Workspace,
    step: &str,
    reason: &str,
) -> Result<Deployed> {
    let folder = &context.config.output_model;
    let releases = context.store();
    let previous = releases.live()?;

    let path = folder.join(ARTIFACT);
    let bytes = read_artifact(&path)?;
    let place = path.display().to_string();
    let model = artifact::decode(&bytes, &place)?;
    let digest = Digest::of(&bytes);
    let golden: Golden = parse(&folder.join(GOLDEN))?;
    golden.verify(&model, digest, &place)?;
    let card: Card = parse(&folder.join(CARD))?;
    if card.artifact != digest {
        let message = format!("{CARD} beside it belongs to another model: train again");
        return Err(Error::artifact(place, message));
    }
    let score = score_of(&folder.join(SCORE), digest)?;

    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).map_err(|e| Error::io("read", &path, e))
    };
    let score_bytes = read(SCORE)?;
    let id = ReleaseId::new(model.data.version, digest, Digest::of(&score_bytes));
    let files = [
        (ARTIFACT, bytes),
        (CARD, read(CARD)?),
        (GOLDEN, read(GOLDEN)?),
        (SCORE, score_bytes),
        // From the score, not from the file: a crash may have left that one behind.
        (LATEST_SCORE, latest_score_file(score.evaluation.f1)),
        (projections::INGESTED_FILES, projections::ingested_files(&workspace.ledger)?.into()),
    ];
    let sealed = releases.seal(&id, model.data.version, &files)?;
    releases.verify(&id)?;
    let promoted = previous.as_ref() != Some(&id);
    if promoted {
        promote(context, workspace, &id, &score, step, reason)?;
    }
    Ok(Deployed {
        folder: releases.folder(&id).display().to_string(),
        pointer: context.config.deployment.display().to_string(),
        previous: previous.filter(|p| *p != id),
        release: id,
        sealed,
        promoted,
        f1: score.evaluation.f1,
        beats_constant: score.evaluation.beats_constant,
    })
}

/// The score in the file at `path`, which must be that of the model `artifact`.
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

/// Moves the pointer to a verified release and records it.
fn promote(
    context: &Context,
    workspace: &mut Workspace,
    id: &ReleaseId,
    score: &Score,
    step: &str,
    reason: &str,
) -> Result<()> {
    let run = context.run.as_str();
    let intent = Intent::Promote {
        release: id.to_string(),
        step: step.to_owned(),
        reason: reason.to_owned(),
    };
    let intent = workspace.ledger.intend(run, &intent)?;
    context.store().promote(id)?;
    let deployment = Deployment {
        run_id: run.to_owned(),
        step: step.to_owned(),
        release: id.to_string(),
        f1: Some(score.evaluation.f1),
        dataset: score.trained_on,
        reason: reason.to_owned(),
        recorded: context.now(),
    };
    workspace.ledger.record_deployment(&deployment, intent)
}

/// What `deployment adopt` did.
#[derive(Debug, Clone, Serialize)]
pub struct Adopted {
    /// Where the folder went.
    pub folder: String,
}

impl Report for Adopted {}

/// Moves a folder that stands where the pointer belongs out of the way, untouched.
pub fn adopt(context: &Context) -> Result<Adopted> {
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
            }
        } else {
            writeln!(f, "Already live: {release} at {pointer}; nothing changed")?;
        }
        if !self.beats_constant {
            writeln!(
                f,
                "warning: this model does not beat the best constant answer (see score.json)"
            )?;
        }
        Ok(())
    }
}
