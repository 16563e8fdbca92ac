//! The model that a report is about: the live release if there is a sound one, else the candidate.
//!
//! Not for its score: see `trial`.

use std::path::Path;

use mlops_core::ids::ReleaseId;
use mlops_core::model::card::Card;
use mlops_core::model::{Model, artifact};
use mlops_core::platform::digest::Digest;
use mlops_core::platform::files;
use mlops_core::release::{ARTIFACT, CARD, Release, SCORE, parse};
use mlops_core::run::context::Context;
use mlops_core::stage::score;
use mlops_core::{Error, Result};

use crate::report::Finding;
use crate::report::{note, serious, warning};

/// A model with the files beside it.
pub(super) struct Subject {
    pub(super) model: Model,
    /// The card, made from the model itself, with what training found besides.
    pub(super) card: Card,
    pub(super) artifact: Digest,
    /// The score, if it was scored.
    pub(super) score: Option<score::Score>,
    /// The release id, if it is live.
    pub(super) release: Option<ReleaseId>,
}

impl Subject {
    /// Finds the model and reports anything unusual about it; `verified` is the live release, if it
    /// was just read from disk.
    pub(super) fn find(
        context: &Context,
        verified: Option<&Release>,
    ) -> Result<(Self, Vec<Finding>)> {
        let store = context.store();
        let mut warnings = Vec::new();
        let live = match store.live() {
            Ok(live) => live,
            Err(error) => {
                warnings.push(warning(format!("The live release is unknown: {error}.")));
                None
            }
        };
        let candidate = &context.config.output_model;
        if let Some(id) = live {
            match Self::released(context, &id, verified) {
                Ok(subject) => {
                    subject.compare(&candidate.join(ARTIFACT), &mut warnings);
                    return Ok((subject, warnings));
                }
                Err(error) => warnings.push(serious(format!(
                    "The live release {id} cannot be used: {error}. This report is on the \
                     candidate instead."
                ))),
            }
        } else {
            warnings.push(note(
                "No release is live: this report is on the candidate, which is not deployed."
                    .to_owned(),
            ));
        }
        let subject = Self::candidate(candidate, &mut warnings)?;
        Ok((subject, warnings))
    }

    fn released(context: &Context, id: &ReleaseId, verified: Option<&Release>) -> Result<Self> {
        let release = match verified.filter(|release| release.id == *id) {
            Some(release) => release.clone(),
            None => context.store().verify(id)?,
        };
        let artifact = release.manifest.files[ARTIFACT];
        let model = (release.model, artifact);
        // It was verified, so that any problem with the folder has been found.
        Ok(Self::beside(model, &release.folder, Some(release.id), &mut Vec::new()))
    }

    fn candidate(folder: &Path, warnings: &mut Vec<Finding>) -> Result<Self> {
        let path = folder.join(ARTIFACT);
        let bytes = files::read(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::missing(format!(
                "there is no model at {}: run `training` first",
                path.display()
            )),
            _ => Error::io("read", &path, e),
        })?;
        let artifact = Digest::of(&bytes);
        let model = artifact::decode(&bytes, &path.display().to_string())?;
        Ok(Self::beside((model, artifact), folder, None, warnings))
    }

    /// The model with the files beside it in `folder`.
    fn beside(
        (model, artifact): (Model, Digest),
        folder: &Path,
        release: Option<ReleaseId>,
        warnings: &mut Vec<Finding>,
    ) -> Self {
        let place = folder.join(SCORE);
        let score = if place.is_file() { Some(parse::<score::Score>(&place)) } else { None };
        let score = match score {
            Some(Ok(score)) if score.artifact == artifact => Some(score),
            Some(Ok(_)) => {
                warnings.push(warning(format!(
                    "{SCORE} beside the candidate is the score of another model: run `scoring`."
                )));
                None
            }
            Some(Err(error)) => {
                warnings.push(warning(format!("The recorded score is unknown: {error}.")));
                None
            }
            None => {
                warnings.push(note(
                    "The candidate was not scored yet: run `scoring` before deploying it."
                        .to_owned(),
                ));
                None
            }
        };
        // What only training could find out is in the card that it wrote.
        let written =
            parse::<Card>(&folder.join(CARD)).ok().filter(|card| card.artifact == artifact);
        let (leaks, standard_errors) =
            written.map(|card| (card.leaks, card.standard_errors)).unwrap_or_default();
        let card = Card { leaks, standard_errors, ..Card::of(&model, artifact) };
        Self { model, card, artifact, score, release }
    }

    /// Adds a note if the candidate is another model than the live one.
    fn compare(&self, candidate: &Path, warnings: &mut Vec<Finding>) {
        if Digest::of_file(candidate).is_ok_and(|digest| digest != self.artifact) {
            warnings.push(note(
                "There is a candidate that is not the live model; this report is on the live one."
                    .to_owned(),
            ));
        }
    }

    /// The subject in words: `live release r-2-…`, or that it is the candidate.
    pub(super) fn name(&self) -> String {
        match &self.release {
            Some(id) => format!("live release {id}"),
            None => "candidate, not deployed".to_owned(),
        }
    }
}
