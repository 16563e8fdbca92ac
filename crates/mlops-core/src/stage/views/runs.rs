//! Runs: page by page, and one with all its steps and reports.
//!
//! Not for decisions, which have pages of their own.

use serde::Serialize;
use serde_json::Value;

use super::missing::{self, Missing};
use crate::Result;
use crate::ids::{RunId, Step};
use crate::ledger::{Ledger, Paged, RunSummary, RunsWanted};
use crate::run::context::Context;

/// A page of runs.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Runs {
    /// Only runs of this step.
    pub step: Option<Step>,
    /// Only runs that failed.
    pub failed: bool,
    /// Missing data over time.
    pub missing: Missing,
    /// The runs.
    #[serde(flatten)]
    pub runs: Paged<RunSummary>,
}

/// A run with all its steps.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Run {
    /// Its id.
    pub run_id: RunId,
    /// Its steps in the order in which they began.
    pub steps: Vec<RunStep>,
    /// It made a decision.
    pub decided: bool,
}

/// A step of a run.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RunStep {
    /// The record.
    #[serde(flatten)]
    pub run: RunSummary,
    /// The report of the step, as it was recorded.
    pub report: Option<Value>,
}

/// Reads page `page` of the runs that `wanted` names.
pub fn read(context: &Context, wanted: RunsWanted, page: u64) -> Result<Runs> {
    let ledger = Ledger::open_to_read(&context.config.ledger_path())?;
    let RunsWanted { step, failed } = wanted;
    let Some(ledger) = ledger else {
        return Ok(Runs { step, failed, missing: Missing::default(), runs: Paged::empty() });
    };
    let (missing, runs) = (missing::read(&ledger)?, ledger.runs_paged(wanted, page)?);
    Ok(Runs { step, failed, missing, runs })
}

/// Reads the run called `id`; `None` if it is not on record.
pub fn one(context: &Context, id: &str) -> Result<Option<Run>> {
    let run_id = RunId::named(id);
    let Some(ledger) = Ledger::open_to_read(&context.config.ledger_path())? else {
        return Ok(None);
    };
    let steps = ledger.steps_of(&run_id)?;
    if steps.is_empty() {
        return Ok(None);
    }
    let steps = steps.into_iter().map(|(run, detail)| {
        let report = detail.and_then(|text| serde_json::from_str(&text).ok());
        RunStep { run, report }
    });
    let decided = ledger.decision(Some(&run_id))?.is_some();
    Ok(Some(Run { steps: steps.collect(), decided, run_id }))
}
