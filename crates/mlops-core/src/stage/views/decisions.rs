//! Decisions of `fullprocess`: page by page, and one with its explanation.
//!
//! Not for what needs a person now: see `to_do`.

use serde::Serialize;

use crate::Result;
use crate::ids::RunId;
use crate::ledger::{DecisionSummary, Ledger, Paged};
use crate::run::context::Context;
use crate::run::decision::{Concern, Decision};

/// A page of decisions.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Decisions {
    /// Include those that found nothing new.
    pub all: bool,
    /// The decisions.
    #[serde(flatten)]
    pub decisions: Paged<DecisionSummary>,
}

/// One decision.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Explained {
    /// The record without details.
    #[serde(flatten)]
    pub line: DecisionSummary,
    /// The explanation in sentences, as `--explain` gives it.
    pub explanation: Vec<String>,
    /// Every input, number, threshold and verdict; `None` if the details were thinned out.
    pub decision: Option<Box<Decision>>,
}

/// Reads page `page` of the decisions; without `all` only those about new data.
pub fn read(context: &Context, all: bool, page: u64) -> Result<Decisions> {
    let ledger = Ledger::open_to_read(&context.config.ledger_path())?;
    let decisions = ledger.map(|ledger| ledger.decisions_paged(all, page)).transpose()?;
    Ok(Decisions { all, decisions: decisions.unwrap_or_else(Paged::empty) })
}

/// Reads the decision of the run called `id`; `None` if there is none on record.
pub fn one(context: &Context, id: &str) -> Result<Option<Explained>> {
    let Some(ledger) = Ledger::open_to_read(&context.config.ledger_path())? else {
        return Ok(None);
    };
    let Some(record) = ledger.decision(Some(&RunId::named(id)))? else { return Ok(None) };
    let mut decision: Option<Box<Decision>> = serde_json::from_str(&record.decision).ok();
    if let Some(decision) = &mut decision {
        without_folders(decision);
    }
    let explanation = decision.as_ref().map(ToString::to_string).unwrap_or_default();
    Ok(Some(Explained {
        line: DecisionSummary {
            run_id: record.run_id,
            recorded: record.recorded,
            outcome: record.outcome,
            reason: decision.as_ref().map(|d| d.reason.clone()),
            dataset: record.dataset,
            new_rows: decision.as_ref().map(|d| d.data.new_rows),
            f1: record.f1,
            release: record.release,
        },
        explanation: explanation.lines().map(str::to_owned).collect(),
        decision,
    }))
}

/// Leaves of the folders of data only their names: where they are on this machine is no concern of a page.
fn without_folders(decision: &mut Decision) {
    let bare = |folder: &mut String| {
        *folder = folder.rsplit('/').find(|part| !part.is_empty()).unwrap_or("").to_owned();
    };
    bare(&mut decision.data.folder);
    for concern in &mut decision.concerns {
        if let Concern::OverdueData { folder, .. } = concern {
            bare(folder);
        }
    }
}
