//! Whether a decision waits for sources that have not delivered yet: `decide.wait_for`.
//!
//! Notifications about late sources are in [`crate::stage::overdue`].

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::DecisionRun;
use crate::Result;
use crate::config::Decide;
use crate::expect::Expectation;
use crate::ids::FindingKind;
use crate::platform::clock::rfc3339;
use crate::run::attention::Remark;
use crate::stage::overdue::{SourceStanding, called};

/// Under this key the ledger keeps since when a decision waits.
const WAITING: &str = "decision_waits_since";

impl DecisionRun<'_> {
    /// Why the decision waits, if it does. After `decide.wait_limit` it is made nevertheless, and the sources
    /// that it does without are a warning.
    pub(super) fn waits(&mut self, standings: &[SourceStanding]) -> Result<Option<String>> {
        let Decide { wait_for, limit } = &self.context.config.decide;
        if wait_for.is_empty() {
            return Ok(None);
        }
        let now = self.context.clock.now();
        let recorded: Option<String> = self.workspace.ledger.kept(WAITING)?;
        let recorded = recorded.and_then(|at| at.parse::<DateTime<Utc>>().ok());
        let since = recorded.unwrap_or(now);
        let until = since + TimeDelta::from_std(*limit).unwrap_or_default();
        let required = || standings.iter().filter(|s| wait_for.contains(&s.source));
        let day = required().filter_map(|s| s.clocks.newest).max();
        let mut late = Vec::new();
        for source in required() {
            let mut expectations = self.context.config.expectations();
            let found = expectations.find(|(name, _)| *name == source.source);
            late.extend(
                found.and_then(|(_, expectation)| behind(source, expectation, day, now, until)),
            );
        }
        if late.is_empty() {
            return Ok(None);
        }
        let late = late.join("; ");
        if now >= until {
            let words = format!(
                "decided without waiting any longer, as \"decide.wait_limit\" is over since {}: {late}",
                rfc3339(until)
            );
            self.decision.data.warnings.push(Remark::new(FindingKind::DecidedWithout, words));
            return Ok(None);
        }
        if recorded.is_none() {
            self.workspace.ledger.keep(WAITING, Some(&rfc3339(now)))?;
        }
        Ok(Some(format!("the decision waits until {} at the latest: {late}", rfc3339(until))))
    }

    /// Notes that no decision waits any more.
    pub(super) fn waits_no_more(&mut self) -> Result<()> {
        match self.workspace.ledger.kept::<String>(WAITING)? {
            Some(_) => self.workspace.ledger.keep(WAITING, None::<&String>),
            None => Ok(()),
        }
    }
}

/// Why a required source is waited for. It has its own pace: what is not due before `until` is not waited for.
fn behind(
    source: &SourceStanding,
    expectation: &Expectation,
    day: Option<NaiveDate>,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<String> {
    // A decision waits from the due time on, before anybody is notified.
    let strict = Expectation {
        grace: Duration::ZERO,
        warn_after: None,
        error_after: None,
        ..expectation.clone()
    };
    let standing = strict.standing(source.clocks, now);
    if let Some((_, breach)) = standing.breaches.first() {
        return Some(format!("{}: {breach}", called(&source.source)));
    }
    let day = day.filter(|_| expectation.business_date.is_some())?;
    let comes = match expectation.schedule {
        Some(_) => standing.due.next.is_some_and(|next| next <= until),
        None => true,
    };
    let lags = source.clocks.newest.is_none_or(|newest| newest < day);
    (lags && comes).then(|| {
        let newest = source.clocks.newest;
        let newest = newest.map_or_else(|| "no row".to_owned(), |day| format!("rows up to {day}"));
        format!("{} has {newest}, where others reach {day}", called(&source.source))
    })
}
