//! How the model went live, what was live before it, what the last decision on it saw, and earlier scores.
//!
//! Not for judging either: the records are told as they are.

use mlops_core::Result;
use mlops_core::evaluation::metrics::ConfusionMatrix;
use mlops_core::evaluation::metrics::interval::f1_interval;
use mlops_core::ids::DatasetVersion;
use mlops_core::ledger::{Action, Ledger};
use mlops_core::run::context::Workspace;
use mlops_core::run::decision::Decision;
use mlops_core::stage::decide;

use super::subject::Subject;
use crate::report::{Judged, Past, Previous, Standing};

/// The record of the deployment; `None` if the model is not live, or was deployed by hand.
pub(super) fn of(workspace: &Workspace, subject: &Subject) -> Result<Option<Standing>> {
    let ledger = &workspace.ledger;
    let Some(release) = &subject.release else { return Ok(None) };
    let all = ledger.deployments()?;
    let Some(here) = all.iter().rev().find(|deployed| deployed.release == *release) else {
        return Ok(None);
    };
    let previous = here.previous.as_ref().map(|id| {
        let record = all.iter().rev().find(|deployed| deployed.release == *id);
        let data = record.map(|record| data(ledger, record.dataset)).transpose()?;
        let f1 = record.and_then(|record| record.f1);
        Ok::<_, mlops_core::Error>(Previous { release: id.to_string(), f1, data })
    });
    // The record of another version of this program may differ.
    let decision = decide::explain(ledger, Some(&here.run_id)).ok();
    let made_it = decision.filter(|decision| decision.release.as_ref() == Some(release));
    Ok(Some(Standing {
        since: here.recorded.clone(),
        rolled_back_to: here.action == Action::Rollback,
        reason: here.reason.clone(),
        previous: previous.transpose()?,
        gate: made_it.and_then(|decision| decision.gate),
        data: data(ledger, here.dataset)?,
    }))
}

/// The name of a data set, and the number of its rows.
fn data(ledger: &Ledger, version: DatasetVersion) -> Result<(String, Option<u64>)> {
    let name = version.name(ledger.form_of(version)?);
    let rows = ledger.datasets()?.into_iter().find(|d| d.version == version).map(|d| d.rows);
    Ok((name, rows))
}

/// The newest decision on the live release, or else the one that made it live.
pub(super) fn judged(workspace: &Workspace, subject: &Subject) -> Result<Option<Judged>> {
    let Some(release) = &subject.release else { return Ok(None) };
    let ledger = &workspace.ledger;
    let judged = |decision: &Decision| {
        decision.live.as_ref().is_some_and(|live| live.release == *release)
            && decision.release.is_none()
    };
    let made_it = |decision: &Decision| decision.release.as_ref() == Some(release);
    let told = |decision: Decision, made_it| {
        (decision.drift.is_some() || decision.data_drift.is_some()).then(|| Judged {
            run: decision.run_id.to_string(),
            recorded: decision.recorded,
            made_it,
            reason: decision.reason,
            drift: decision.drift,
            data: decision.data_drift,
        })
    };
    if let Some(newest) = decide::explain(ledger, None).ok().filter(|d| judged(d) || made_it(d)) {
        let made_it = made_it(&newest);
        if let Some(judged) = told(newest, made_it) {
            return Ok(Some(judged));
        }
    }
    let all = ledger.deployments()?;
    let here = all.iter().rev().find(|deployed| deployed.release == *release);
    let decision = here.and_then(|here| decide::explain(ledger, Some(&here.run_id)).ok());
    Ok(decision.filter(made_it).and_then(|decision| told(decision, true)))
}

/// The most scores that are told.
const MOST: usize = 200;

/// The scores of all releases on their test rows, and of live ones on new rows; the newest first.
pub(super) fn history(workspace: &Workspace) -> Result<Vec<Past>> {
    let deployed = workspace.ledger.deployments()?.into_iter().filter_map(|deployed| {
        Some(Past {
            at: deployed.recorded,
            what: match deployed.action {
                Action::Deploy => "went live",
                Action::Rollback => "live again by a rollback",
            }
            .to_owned(),
            release: deployed.release.to_string(),
            on_new_rows: false,
            f1: deployed.f1?,
            interval: None,
            rows: None,
        })
    });
    let decided = workspace.ledger.decisions()?.into_iter().filter_map(|decided| {
        Some(Past {
            at: decided.recorded,
            what: decided.outcome.as_str().replace('_', " "),
            release: decided.release?.to_string(),
            on_new_rows: true,
            f1: decided.f1?,
            interval: decided.matrix.as_ref().map(f1_interval),
            rows: decided.matrix.as_ref().map(ConfusionMatrix::n),
        })
    });
    let mut all: Vec<Past> = deployed.chain(decided).collect();
    all.sort_by(|a, b| b.at.cmp(&a.at));
    all.truncate(MOST);
    Ok(all)
}
