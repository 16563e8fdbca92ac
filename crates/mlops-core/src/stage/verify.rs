//! `deployment verify`: loads releases from disk as a reader would and tests them on golden rows.
//!
//! Takes no lock and writes nothing. Not for a model's quality: see [`super::score`].

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::ids::{DatasetVersion, FindingKind, ReleaseId};
use crate::ledger::Ledger;
use crate::release::Release;
use crate::run::attention::Finding;
use crate::run::context::{Context, Report};
use crate::run::trust;
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
    /// All of them are sound and trusted.
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
    /// The keys that signed it as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signed_by: Vec<String>,
    /// Why it is not trusted, where only some keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrusted: Option<String>,
}

impl Report for Verified {
    fn changed(&self) -> bool {
        false
    }

    fn findings(&self) -> Vec<Finding> {
        let damaged = self.releases.iter().filter_map(|r| Some((&r.release, r.problem.as_ref()?)));
        let damaged = damaged.map(|(id, problem)| (id, format!("{id} is damaged: {problem}")));
        let distrusted =
            self.releases.iter().filter_map(|r| Some((&r.release, r.untrusted.as_ref()?)));
        let distrusted = distrusted.map(|(id, why)| (id, format!("{id} is not trusted: {why}")));
        damaged
            .chain(distrusted)
            .map(|(id, words)| {
                Finding::failed(FindingKind::DamagedRelease, words).about([id.as_str()])
            })
            .collect()
    }
}

/// Loads and verifies releases. One of the keys in the files `trusted` must have signed each, by
/// default one of those that the configuration names, if it does.
pub fn run(context: &Context, which: &Which, trusted: &[PathBuf]) -> Result<Verified> {
    let trusted = if trusted.is_empty() { &context.config.signing.trusted } else { trusted };
    let trusted = trust::read_all(trusted)?;
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
                signed_by: store.signers(&release)?.iter().map(ToString::to_string).collect(),
                untrusted: match trusted.as_slice() {
                    [] => None,
                    keys => store.signed_by(&release, keys).err().map(|why| why.to_string()),
                },
                files: release.manifest.files.len() as u64,
                dataset: release.manifest.dataset,
                problem: None,
                release: id,
            },
            Err(error) => Checked {
                live: live.as_ref() == Some(&id),
                files: 0,
                signed_by: Vec::new(),
                untrusted: None,
                dataset: id.dataset(),
                problem: Some(match error.source() {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                }),
                release: id,
            },
        });
    }
    let sound = releases.iter().all(|r| r.problem.is_none() && r.untrusted.is_none());
    Ok(Verified { releases, sound })
}

/// The live release `id`, verified.
///
/// # Errors
/// If it is damaged; the error names the ways out that there are.
pub fn live(context: &Context, ledger: &Ledger, id: &ReleaseId) -> Result<Release> {
    let store = context.store();
    let damage = match store.verify(id) {
        Ok(release) => return Ok(release),
        Err(damage) => damage,
    };
    let earlier = ledger.earlier_releases(id)?;
    let back = if earlier.iter().any(|id| store.verify(id).is_ok()) {
        "go back with `deployment rollback`, or "
    } else {
        ""
    };
    Err(Error::artifact(
        store.folder(id).display().to_string(),
        format!(
            "the live release is damaged ({damage}): {back}train a new one with `fullprocess --force`"
        ),
    ))
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for checked in &self.releases {
            let Checked { release, live, files, dataset, problem, signed_by, untrusted } = checked;
            let live = if *live { " (live)" } else { "" };
            match problem {
                None if untrusted.is_some() => writeln!(f, "NOT TRUSTED: {release}{live}")?,
                None => writeln!(
                    f,
                    "Sound: {release}{live}: {} as sealed, the model loads and gives the known \
                     probabilities; trained on {}",
                    text::plural(*files, "file"),
                    dataset.file_name()
                )?,
                Some(_) => writeln!(f, "DAMAGED: {release}{live}")?,
            }
            if !signed_by.is_empty() {
                writeln!(f, "  signed by {}", text::names(signed_by))?;
            }
        }
        if self.releases.iter().any(|r| r.live && r.problem.is_some()) {
            writeln!(
                f,
                "`deployment rollback --reason \"…\"` makes the last sound release before the live \
                 one live again, if there is one; `fullprocess --force` trains a new one"
            )?;
        }
        Ok(())
    }
}
