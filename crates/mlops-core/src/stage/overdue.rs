//! The state of the sources that are expected to deliver, and the notifications about it.
//!
//! A breach is reported once, again if it becomes more urgent, and once more when it is over. If the run that
//! should have reported it did not finish, the next one does. When data are due is computed in
//! [`crate::expect`]; whether a decision waits is decided in `decide`.

use chrono::{DateTime, NaiveDate, Utc};

use crate::Result;
use crate::config::INPUT;
use crate::expect::{Breach, Clocks, Level, Standing};
use crate::ids::FindingKind;
use crate::ledger::{Ledger, SourceState};
use crate::platform::clock::rfc3339;
use crate::run::attention::Remark;
use crate::run::context::{Context, Workspace};
use crate::run::decision::Concern;
use crate::text;

/// How a source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStanding {
    /// Its name; `input` for the input folder.
    pub source: String,
    /// Its clocks.
    pub clocks: Clocks,
    /// What follows from them.
    pub standing: Standing,
}

/// What is to be told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What needs a person.
    pub(super) concerns: Vec<Concern>,
    /// What somebody should know.
    pub(super) warnings: Vec<Remark>,
}

/// How each source with an expectation stands now. Changes nothing.
pub fn standings(context: &Context, ledger: &Ledger) -> Result<Vec<SourceStanding>> {
    at(context, ledger, &ledger.source_states()?, context.clock.now())
}

fn at(
    context: &Context,
    ledger: &Ledger,
    states: &[SourceState],
    now: DateTime<Utc>,
) -> Result<Vec<SourceStanding>> {
    let mut standings = Vec::new();
    for (source, expectation) in context.config.expectations() {
        let state = states.iter().find(|state| state.source == source);
        let clocks = clocks(ledger, source, state)?;
        let standing = expectation.standing(clocks, now);
        standings.push(SourceStanding { source: source.to_owned(), clocks, standing });
    }
    Ok(standings)
}

/// When data arrived is known to lie between the last look and the moment when they were taken; the time
/// of the file says when, unless it was copied with an older one.
fn clocks(ledger: &Ledger, source: &str, state: Option<&SourceState>) -> Result<Clocks> {
    let looked = state.map(|state| state.looked);
    let arrivals = ledger.arrivals(source, looked)?;
    let new = arrivals.into_iter().map(|arrival| match looked {
        Some(looked) => arrival.modified.clamp(looked.min(arrival.taken), arrival.taken),
        None => arrival.taken,
    });
    let before = state.and_then(|state| state.clocks.arrived);
    let newest: Option<NaiveDate> = ledger.newest_business_date(source)?;
    Ok(Clocks { arrived: new.max().max(before), newest })
}

/// Looks at all sources, records how they stand, and returns what is to be told.
pub(super) fn look(
    context: &Context,
    workspace: &mut Workspace,
) -> Result<(Vec<SourceStanding>, Told)> {
    let ledger = &mut workspace.ledger;
    let states = ledger.source_states()?;
    let now = context.clock.now();
    let standings = at(context, ledger, &states, now)?;
    let mut told = Told::default();
    let mut new = Vec::new();
    for source in &standings {
        let state = states.iter().find(|state| state.source == source.source);
        let told_by = state.and_then(|state| state.told_by.as_deref());
        let known = match told_by {
            Some(run) => ledger.was_reported(run)?,
            None => true,
        };
        new.push(told.tell(context, source, state, known, now));
    }
    if !(new.is_empty() && states.is_empty()) {
        ledger.record_source_states(&new)?;
    }
    Ok((standings, told))
}

impl Told {
    /// Notes what is to be told of a source; returns its new state. What an earlier run found counts as told
    /// only if that is `known`.
    fn tell(
        &mut self,
        context: &Context,
        source: &SourceStanding,
        state: Option<&SourceState>,
        known: bool,
        now: DateTime<Utc>,
    ) -> SourceState {
        let SourceStanding { source: name, clocks, standing } = source;
        let (before, level) = (state.and_then(|state| state.level), standing.level());
        let since = state.and_then(|state| state.since);
        let over = level.is_none() && (before.is_some() || (!known && since.is_some()));
        let mut told_by = state.and_then(|state| state.told_by.clone());
        if over {
            let since = since
                .map_or_else(String::new, |at| format!("; it was overdue since {}", rfc3339(at)));
            let words = format!("{} is on time again{since}", called(name));
            self.warnings.push(Remark::on(FindingKind::Data, name, words));
            told_by = Some(context.run.to_string());
        } else if level.is_some() && (level > before || !known) {
            let breaches: Vec<Breach> = standing.breaches.iter().map(|(_, b)| b.clone()).collect();
            let concern = Concern::Overdue { source: name.clone(), breaches };
            if level == Some(Level::Error) {
                self.concerns.push(concern);
            } else {
                let words = concern.to_string();
                self.warnings.push(Remark::on(FindingKind::SourceOverdue, name, words));
            }
            told_by = Some(context.run.to_string());
        }
        SourceState {
            source: name.clone(),
            looked: now,
            clocks: *clocks,
            next_due: standing.due.next,
            level,
            // The end of a breach is reported again if nobody saw it.
            since: if level.is_some() || over { since.or(Some(now)) } else { None },
            told_by,
        }
    }
}

/// What people call a source.
pub(super) fn called(source: &str) -> String {
    if source == INPUT {
        "the input folder".to_owned()
    } else {
        format!("source \"{}\"", text::name(source))
    }
}
