//! Sources as they are on record: what came from them, when their data are due, and how that is computed.
//!
//! No place is asked and no folder is listed: see `stage::sources` for that.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::Result;
use crate::config::INPUT;
use crate::ledger::Ledger;
use crate::run::context::Context;
use crate::stage::due::DueState;
use crate::stage::overdue;

/// All sources.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Sources {
    /// One entry for each, the input folder first.
    pub sources: Vec<Source>,
}

/// A source.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Source {
    /// Its name; `input` for the input folder.
    pub name: String,
    /// Where it is, without secrets.
    pub place: String,
    /// When a run last looked at it, if something is expected of it.
    pub looked: Option<DateTime<Utc>>,
    /// When its data are due, if anything is expected of it.
    pub due: Option<DueState>,
    /// How that was computed, in sentences.
    pub computed: Vec<String>,
}

/// Reads how all sources stand.
pub fn read(context: &Context) -> Result<Sources> {
    let config = &context.config;
    let ledger = Ledger::open_to_read(&config.ledger_path())?.map_or_else(Ledger::in_memory, Ok)?;
    let states = ledger.source_states()?;
    let source = |name: &str, place: String| Source {
        looked: states.iter().find(|state| state.source == name).map(|state| state.looked),
        name: name.to_owned(),
        place,
        due: None,
        computed: Vec::new(),
    };
    let mut sources = vec![source(INPUT, config.source().path.display().to_string())];
    sources.extend(config.sources.iter().map(|one| source(&one.name, one.place.to_string())));
    let now = context.clock.now();
    let standings = overdue::standings(context, &ledger)?;
    for ((name, expectation), standing) in config.expectations().zip(&standings) {
        if let Some(one) = sources.iter_mut().find(|one| one.name == name) {
            let due = DueState::of(standing, expectation, now);
            let sentences = due.to_string();
            one.computed = sentences.lines().map(|line| line.trim().to_owned()).collect();
            one.due = Some(due);
        }
    }
    Ok(Sources { sources })
}
