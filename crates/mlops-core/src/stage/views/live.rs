//! The release that is live: since when, why, and how good it is.
//!
//! Not for its history: see `releases`.

use serde::Serialize;

use crate::Result;
use crate::evaluation::metrics::Interval;
use crate::ids::{DatasetVersion, ReleaseId, RunId, Step};
use crate::ledger::{Action, Ledger};
use crate::run::context::Context;
use crate::run::decision::Decision;
use crate::stage::score::Score;

/// The live release.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LiveRelease {
    /// Its id.
    pub release: ReleaseId,
    /// When it went live; `None` if that is not on record.
    pub since: Option<String>,
    /// How it went live.
    pub action: Option<Action>,
    /// The step that made it live.
    pub step: Option<Step>,
    /// The run that made it live.
    pub run_id: Option<RunId>,
    /// Why, in a sentence.
    pub reason: Option<String>,
    /// The reasons of the decision, if one was made.
    pub reasons: Vec<String>,
    /// The decision of `run_id` is on record.
    pub decided: bool,
    /// The data set that it was trained on.
    pub dataset: Option<DatasetVersion>,
    /// Its score on its test data.
    pub score: Option<LiveScore>,
    /// Why its folder is not what was sealed, if that can be seen without reading all of it.
    pub damage: Option<String>,
}

/// The score of a release in the figures that matter first.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LiveScore {
    /// The number of test rows.
    pub rows: u64,
    /// F1.
    pub f1: f64,
    /// Its interval.
    pub f1_interval: Interval,
    /// F1 of the best constant answer.
    pub constant_f1: f64,
    /// It is better than that.
    pub beats_constant: bool,
    /// Precision.
    pub precision: f64,
    /// Recall.
    pub recall: f64,
    /// Area under the ROC curve.
    pub roc_auc: Option<f64>,
}

/// The release that `context`'s pointer names, with what `ledger` has on it.
pub fn live(context: &Context, ledger: Option<&Ledger>) -> Result<Option<LiveRelease>> {
    let releases = context.store();
    let Some(id) = releases.live()? else { return Ok(None) };
    let newest = ledger.map(Ledger::latest_deployment).transpose()?.flatten();
    let deployment = newest.filter(|deployment| deployment.release == id);
    let decision = match (ledger, &deployment) {
        (Some(ledger), Some(deployment)) => ledger.decision(Some(&deployment.run_id))?,
        _ => None,
    };
    let decided: Option<Decision> =
        decision.and_then(|record| serde_json::from_str(&record.decision).ok());
    let gate = decided.as_ref().and_then(|decision| decision.gate.as_ref());
    let (sealed, damage) = match releases.sealed_score(&id) {
        Ok(bytes) => (Some(bytes), None),
        Err(why) => (None, Some(why)),
    };
    let score = sealed.and_then(|bytes| serde_json::from_slice::<Score>(&bytes).ok());
    let score = score.map(|score| {
        let e = &score.evaluation;
        LiveScore {
            rows: e.n,
            f1: e.f1,
            f1_interval: e.f1_interval,
            constant_f1: e.constant.f1,
            beats_constant: e.beats_constant,
            precision: e.precision,
            recall: e.recall,
            roc_auc: e.roc_auc,
        }
    });
    Ok(Some(LiveRelease {
        release: id,
        since: deployment.as_ref().map(|d| d.recorded.clone()),
        action: deployment.as_ref().map(|d| d.action),
        step: deployment.as_ref().map(|d| d.step),
        run_id: deployment.as_ref().map(|d| d.run_id.clone()),
        reasons: gate.map(|gate| gate.reasons.sentences()).unwrap_or_default(),
        decided: decided.is_some(),
        dataset: deployment.as_ref().map(|d| d.dataset),
        reason: deployment.map(|d| d.reason),
        score,
        damage,
    }))
}
