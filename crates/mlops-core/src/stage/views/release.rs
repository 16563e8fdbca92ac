//! One release: when it was live, its scores, its model card, and what it was made of; and what differs between two.
//!
//! Read from the release's folder and the ledger; the model itself is not loaded. Not for checking that a release is
//! whole: see `stage::verify`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Result;
use crate::ids::{DatasetVersion, ReleaseId, RunId};
use crate::ledger::{DatasetRecord, Deployment, Ledger};
use crate::model::card::Card;
use crate::platform::digest::Digest;
use crate::release::{BLESSED, CARD, NOT_BLESSED, SCORE, parse};
use crate::run::context::Context;
use crate::stage::score::Score;

/// A release.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ReleaseView {
    /// Its id.
    pub release: ReleaseId,
    /// It is live now.
    pub live: bool,
    /// When it went live, and why, the newest first.
    pub deployments: Vec<Deployment>,
    /// When its files were removed on purpose.
    pub removed: Option<String>,
    /// The gate let it pass (`true`) or refused it (`false`); `None` if no gate judged it.
    pub blessed: Option<bool>,
    /// Its score.
    pub score: Option<Score>,
    /// Its model card.
    pub card: Option<Card>,
    /// The data set that it was trained on, and where that came from.
    pub data: Option<Data>,
    /// Its files with their digests.
    pub files: BTreeMap<String, Digest>,
}

/// The data set of a release.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Data {
    /// Its version.
    pub version: DatasetVersion,
    /// The run that made it.
    pub run_id: RunId,
    /// Number of rows.
    pub rows: u64,
    /// The digest of its file.
    pub sha256: Digest,
    /// When it was made, RFC 3339, UTC.
    pub recorded: String,
    /// The contents that its rows came from: at most [`MOST_PARTS`].
    pub parts: Vec<Part>,
    /// The number of others.
    pub left_out: u64,
    /// When it was removed on purpose.
    pub removed: Option<String>,
}

/// The most contents of a data set that are listed.
pub const MOST_PARTS: usize = 50;

/// A content whose rows are in a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Part {
    /// Where its file was.
    pub location: String,
    /// Its digest.
    pub sha256: Digest,
    /// The number of its rows.
    pub rows: u64,
}

/// Reads release `id`; `None` if nothing is known of it.
pub fn read(context: &Context, id: &ReleaseId) -> Result<Option<ReleaseView>> {
    let store = context.store();
    let ledger = Ledger::open_to_read(&context.config.ledger_path())?;
    let manifest = store.manifest(id).ok();
    let mut deployments = match &ledger {
        Some(ledger) => ledger.deployments_of(id)?,
        None => Vec::new(),
    };
    if manifest.is_none() && deployments.is_empty() {
        return Ok(None);
    }
    deployments.reverse();
    let folder = store.folder(id);
    let files = manifest.map(|manifest| manifest.files).unwrap_or_default();
    let card: Option<Card> = parse(&folder.join(CARD)).ok();
    let version = card.as_ref().map(|card| card.training_data.version);
    let version = version.or_else(|| deployments.first().map(|d| d.dataset));
    let data = match (&ledger, version) {
        (Some(ledger), Some(version)) => {
            ledger.dataset(version)?.map(|record| data(ledger, record)).transpose()?
        }
        _ => None,
    };
    Ok(Some(ReleaseView {
        live: store.live().is_ok_and(|live| live.as_ref() == Some(id)),
        removed: ledger.map(|ledger| ledger.release_removed(id)).transpose()?.flatten(),
        blessed: match (files.contains_key(BLESSED), files.contains_key(NOT_BLESSED)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        score: parse(&folder.join(SCORE)).ok(),
        release: id.clone(),
        deployments,
        card,
        data,
        files,
    }))
}

fn data(ledger: &Ledger, record: DatasetRecord) -> Result<Data> {
    let mut parts: Vec<Part> = Vec::new();
    let segments = ledger.segments(record.version)?;
    let left_out = segments.len().saturating_sub(MOST_PARTS) as u64;
    for segment in segments.into_iter().take(MOST_PARTS) {
        let location = segment.location.as_str().to_owned();
        parts.push(Part { location, sha256: segment.sha256, rows: segment.rows });
    }
    Ok(Data {
        removed: ledger.dataset_removed(record.version)?,
        version: record.version,
        run_id: record.run_id,
        rows: record.rows,
        sha256: record.sha256,
        recorded: record.recorded,
        parts,
        left_out,
    })
}

/// What two releases have, side by side.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The first release.
    pub a: ReleaseId,
    /// The second release.
    pub b: ReleaseId,
    /// Facts about their data.
    pub data: Vec<Difference>,
    /// Their scores, each on its own test data.
    pub scores: Vec<Difference>,
    /// Hyper-parameters.
    pub settings: Vec<Difference>,
    /// The intercept and the coefficients of standardised features.
    pub coefficients: Vec<Difference>,
    /// Both were scored on the same test rows, so that their scores can be compared.
    pub same_test_data: bool,
}

/// One thing of two releases.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// What it is.
    pub name: String,
    /// That of the first release.
    pub a: Option<Value>,
    /// That of the second release.
    pub b: Option<Value>,
    /// They differ.
    pub differs: bool,
}

/// A number or a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// Compares two releases.
pub fn compare(a: &ReleaseView, b: &ReleaseView) -> Comparison {
    Comparison {
        data: paired(data_facts(a), data_facts(b)),
        scores: paired(scores(a), scores(b)),
        settings: paired(settings(a), settings(b)),
        coefficients: paired(coefficients(a), coefficients(b)),
        same_test_data: match (&a.score, &b.score) {
            (Some(a), Some(b)) => {
                let digests =
                    |score: &Score| score.test_files.values().copied().collect::<Vec<_>>();
                digests(a) == digests(b) && a.evaluation.n == b.evaluation.n
            }
            _ => false,
        },
        a: a.release.clone(),
        b: b.release.clone(),
    }
}

/// Both lists in the order of the first, with what only the second has at the end.
fn paired(a: Vec<(String, Value)>, b: Vec<(String, Value)>) -> Vec<Difference> {
    let mut rest: BTreeMap<String, (usize, Value)> =
        b.into_iter().enumerate().map(|(k, (name, value))| (name, (k, value))).collect();
    let mut all: Vec<Difference> = Vec::new();
    for (name, value) in a {
        let other = rest.remove(&name).map(|(_, value)| value);
        all.push(Difference {
            differs: other.as_ref() != Some(&value),
            name,
            a: Some(value),
            b: other,
        });
    }
    let mut rest: Vec<(usize, String, Value)> =
        rest.into_iter().map(|(name, (k, value))| (k, name, value)).collect();
    rest.sort_by_key(|(k, ..)| *k);
    all.extend(rest.into_iter().map(|(_, name, value)| Difference {
        name,
        a: None,
        b: Some(value),
        differs: true,
    }));
    all
}

fn data_facts(release: &ReleaseView) -> Vec<(String, Value)> {
    let mut facts = Vec::new();
    let mut text = |name: &str, value: String| facts.push((name.to_owned(), Value::Text(value)));
    if let Some(card) = &release.card {
        let data = &card.training_data;
        text("Data set", data.version.to_string());
        text("SHA-256 of the data set", data.sha256.to_string());
        text("Training rows", crate::text::count(data.rows));
        text("Positives among them", crate::text::count(data.positives));
        text("Rows held out for testing", crate::text::count(data.held_out));
        text("Features", crate::text::count(card.features.len() as u64));
    }
    if let Some(score) = &release.score {
        text("Test rows", crate::text::count(score.evaluation.n));
        for (name, digest) in &score.test_files {
            text(&format!("Test file {}", crate::text::name(name)), digest.to_string());
        }
    }
    facts
}

fn scores(release: &ReleaseView) -> Vec<(String, Value)> {
    let Some(score) = &release.score else { return Vec::new() };
    let e = &score.evaluation;
    let all = [
        ("F1", Some(e.f1)),
        ("F1 of the best constant answer", Some(e.constant.f1)),
        ("Precision", Some(e.precision)),
        ("Recall", Some(e.recall)),
        ("Accuracy", Some(e.accuracy)),
        ("ROC AUC", e.roc_auc),
        ("Average precision", e.pr_auc),
        ("MCC", e.mcc),
        ("Log loss", Some(e.log_loss)),
        ("Brier score", Some(e.brier)),
        ("Threshold", Some(e.threshold)),
    ];
    let number =
        |(name, value): (&str, Option<f64>)| Some((name.to_owned(), Value::Number(value?)));
    all.into_iter().filter_map(number).collect()
}

fn settings(release: &ReleaseView) -> Vec<(String, Value)> {
    let Some(card) = &release.card else { return Vec::new() };
    let mut all = vec![("solver".to_owned(), Value::Text(card.solver.clone()))];
    if let Some(map) = card.hyperparameters.as_object() {
        all.extend(map.iter().map(|(name, value)| {
            let value =
                value.as_f64().map_or_else(|| Value::Text(value.to_string()), Value::Number);
            (name.clone(), value)
        }));
    }
    all
}

fn coefficients(release: &ReleaseView) -> Vec<(String, Value)> {
    let Some(card) = &release.card else { return Vec::new() };
    let intercept = [("(intercept)".to_owned(), Value::Number(card.intercept))];
    let named =
        card.features.iter().cloned().zip(card.coefficients.iter().map(|c| Value::Number(*c)));
    intercept.into_iter().chain(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_paired_by_name_in_the_order_of_the_first() {
        let list = |pairs: &[(&str, f64)]| {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), Value::Number(*v))).collect::<Vec<_>>()
        };
        let found = paired(
            list(&[("x", 1.0), ("y", 2.0), ("z", 3.0)]),
            list(&[("w", 0.0), ("z", 3.0), ("x", 5.0)]),
        );
        let short: Vec<_> = found.iter().map(|d| (d.name.as_str(), d.differs)).collect();
        assert_eq!(short, [("x", true), ("y", true), ("z", false), ("w", true)]);
        assert_eq!((&found[1].b, &found[3].a), (&None, &None));
    }
}
