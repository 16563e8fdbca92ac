//! `deployment verify`: loads releases from disk as a reader would and tests them on golden rows.
//!
//! Takes no lock and writes nothing. Not for a model's quality: see [`super::score`].

use std::error::Error as _;
use std::fmt;

use serde::Serialize;

use crate::ids::{DatasetVersion, FindingKind, ReleaseId};
use crate::run::attention::Finding;
use crate::run::context::{Context, Report};
use crate::text;
use crate::{Error, Result};

/// Which releases to verify.
#[derive(Debug, Clone, Default)]
pub enum Which {
    /// The live one.
    #[default]
    Live,
    /// The given one.
    One(ReleaseId),
    /// All that exist, and the live one even if it does not.
    All,
}

/// The report of `deployment verify`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// The verified releases.
    pub releases: Vec<Checked>,
    /// All of them are sound.
    pub sound: bool,
}

/// The result for one release.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Checked {
    /// The release.
    pub release: ReleaseId,
    /// It is live.
    pub live: bool,
    /// The number of files whose digests match; 0 if any does not.
    pub files: u64,
    /// The data set that its model was trained on.
    pub dataset: DatasetVersion,
    /// The problem; `None` if it is sound.
    pub problem: Option<String>,
}

impl Report for Verified {
    fn changed(&self) -> bool {
        false
    }

    fn findings(&self) -> Vec<Finding> {
        let damaged = self.releases.iter().filter_map(|r| Some((&r.release, r.problem.as_ref()?)));
        damaged
            .map(|(id, problem)| {
                Finding::failed(FindingKind::DamagedRelease, format!("{id} is damaged: {problem}"))
                    .about([id.as_str()])
            })
            .collect()
    }
}

/// Loads and verifies releases.
pub fn run(context: &Context, which: &Which) -> Result<Verified> {
    let store = context.store();
    let live = match which {
        // A foreign pointer does not prevent verifying releases.
        Which::One(_) => store.live().ok().flatten(),
        _ => store.live()?,
    };
    let ids = match which {
        Which::One(id) => vec![id.clone()],
        Which::Live => Vec::from_iter(live.clone()),
        Which::All => {
            let mut all = store.releases()?;
            all.extend(live.clone().filter(|id| !all.contains(id)));
            all
        }
    };
    if ids.is_empty() {
        return Err(Error::missing(format!(
            "no model is deployed at {}: run `deployment` first",
            context.config.deployment.display()
        )));
    }
    let mut releases = Vec::new();
    for id in ids {
        let result = store.verify(&id);
        // Retention in another run may have removed it meanwhile.
        if matches!(which, Which::All)
            && result.is_err()
            && live.as_ref() != Some(&id)
            && !store.has(&id)?
        {
            continue;
        }
        releases.push(match result {
            Ok(release) => Checked {
                live: live.as_ref() == Some(&id),
                files: release.manifest.files.len() as u64,
                dataset: release.manifest.dataset,
                problem: None,
                release: id,
            },
            Err(error) => Checked {
                live: live.as_ref() == Some(&id),
                files: 0,
                dataset: id.dataset(),
                problem: Some(match error.source() {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                }),
                release: id,
            },
        });
    }
    let sound = releases.iter().all(|r| r.problem.is_none());
    Ok(Verified { releases, sound })
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Checked { release, live, files, dataset, problem } in &self.releases {
            let live = if *live { " (live)" } else { "" };
            match problem {
                None => writeln!(
                    f,
                    "Sound: {release}{live}: {} as sealed, the model loads and gives the known \
                     probabilities; trained on {}",
                    text::plural(*files, "file"),
                    dataset.file_name()
                )?,
                Some(_) => writeln!(f, "DAMAGED: {release}{live}")?,
            }
        }
        if !self.sound {
            writeln!(
                f,
                "`deployment rollback --reason \"…\"` makes the last sound release before the live \
                 one live again"
            )?;
        }
        Ok(())
    }
}
