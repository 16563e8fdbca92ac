//! When the data of a source are due, since when they are overdue, and how that was computed, for display.
//! Changes nothing and notifies nobody.
//!
//! The computation is in [`crate::expect`], the notifications of unattended runs are in [`super::overdue`].

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use crate::expect::{Breach, Expectation, Level, Schedule};
use crate::stage::overdue::SourceStanding;
use crate::text;

/// How a source stands to what is expected of it.
#[derive(Debug, Serialize)]
pub struct DueState {
    /// How urgent it is; `None` if it is on time.
    pub level: Option<Level>,
    /// Since when it is overdue.
    pub since: Option<DateTime<Utc>>,
    /// When data are due next: by the schedule, or when the last ones will be too old.
    pub next: Option<DateTime<Utc>>,
    /// The promises that were not kept.
    pub breaches: Vec<Breach>,
    /// The schedule, if there is one.
    pub schedule: Option<String>,
    /// The zone in which times are meant.
    pub zone: String,
    /// How late data may come, in seconds.
    pub grace: u64,
    /// The due time that is judged: the last one whose grace is over.
    pub judged: Option<DateTime<Utc>>,
    /// From when on an arrival counts for it.
    pub counts_from: Option<DateTime<Utc>>,
    /// The ages in seconds from which there is a warning, and from which a person is needed.
    pub limits: [Option<u64>; 2],
    /// When data arrived last.
    pub arrived: Option<DateTime<Utc>>,
    /// The newest business date, if there is a column of them.
    pub newest: Option<NaiveDate>,
    /// The business date that the data should reach.
    pub expected: Option<NaiveDate>,
    /// Whether business dates are looked at.
    pub business_dates: bool,
    #[serde(skip)]
    tz: Tz,
}

impl DueState {
    /// Of a source of which `expectation` is had, at `now`.
    pub(super) fn of(
        SourceStanding { clocks, standing, .. }: &SourceStanding,
        expectation: &Expectation,
        now: DateTime<Utc>,
    ) -> Self {
        let tz = expectation.schedule.as_ref().map_or(expectation.zone, Schedule::zone);
        let ago = |seconds: u64| TimeDelta::try_seconds(i64::try_from(seconds).ok()?);
        let since = |breach: &Breach| match breach {
            Breach::Missing { due, .. } | Breach::Behind { due, .. } => {
                due.checked_add_signed(TimeDelta::from_std(expectation.grace).ok()?)
            }
            Breach::Old { arrived: None, .. } | Breach::OldDate { newest: None, .. } => None,
            Breach::Old { age, limit, .. } | Breach::OldDate { age, limit, .. } => {
                now.checked_sub_signed(ago(age - limit)?)
            }
        };
        let breaches: Vec<Breach> = standing.breaches.iter().map(|(_, b)| b.clone()).collect();
        let limits = [expectation.warn_after, expectation.error_after];
        let age = limits.into_iter().flatten().min().and_then(|age| TimeDelta::from_std(age).ok());
        let too_old = clocks.arrived.zip(age).and_then(|(at, age)| at.checked_add_signed(age));
        Self {
            level: standing.level(),
            since: breaches.iter().filter_map(since).min(),
            next: standing.due.next.into_iter().chain(too_old.filter(|at| *at > now)).min(),
            breaches,
            schedule: expectation.schedule.as_ref().map(|schedule| schedule.text().to_owned()),
            zone: tz.name().to_owned(),
            grace: expectation.grace.as_secs(),
            judged: standing.judged,
            counts_from: standing.counts_from,
            limits: limits.map(|limit| limit.map(|limit: Duration| limit.as_secs())),
            arrived: clocks.arrived,
            newest: clocks.newest,
            expected: standing.expected,
            business_dates: expectation.business_date.is_some(),
            tz,
        }
    }

    /// In a few words, for a table.
    pub(super) fn in_brief(&self) -> String {
        match (self.level, self.since, self.next) {
            (Some(_), Some(since), _) => format!("overdue since {}", self.local(since)),
            (Some(_), None, _) => "overdue: none ever came".to_owned(),
            (None, _, Some(next)) => self.local(next),
            (None, _, None) => "–".to_owned(),
        }
    }

    /// A time as people in the zone write it.
    fn local(&self, at: DateTime<Utc>) -> String {
        format!("{} {}", at.with_timezone(&self.tz).format("%a %Y-%m-%d %H:%M"), self.zone)
    }
}

impl fmt::Display for DueState {
    /// How it stands and how that was computed, in a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why: Vec<String> = self.breaches.iter().map(ToString::to_string).collect();
        match self.level {
            Some(level) => {
                let level = if level == Level::Error { "overdue" } else { "overdue (a warning)" };
                let since = self.since.map(|at| format!(" since {}", self.local(at)));
                writeln!(f, "{level}{}: {}", since.unwrap_or_default(), why.join("; "))?;
            }
            None => writeln!(f, "on time")?,
        }
        let mut facts = Vec::new();
        if let Some(schedule) = &self.schedule {
            let grace = match self.grace {
                0 => String::new(),
                grace => format!(" plus {} of grace", text::span(grace)),
            };
            facts.push(format!("due by \"{schedule}\" in {}{grace}", self.zone));
            facts.extend(self.judged.map(|at| format!("judged is {}", self.local(at))));
            let from = self.counts_from.map(|at| self.local(at));
            facts.extend(from.map(|at| format!("for which arrivals count from {at} on")));
        }
        for (limit, what) in self.limits.iter().zip(["a warning", "an error"]) {
            facts.extend(limit.map(|limit| format!("{what} after {}", text::span(limit))));
        }
        facts.push(match self.arrived {
            Some(at) => format!("the last data came {}", self.local(at)),
            None => "no data ever came".to_owned(),
        });
        if self.business_dates {
            facts.push(match self.newest {
                Some(day) => format!("the newest business date is {day}"),
                None => "there is no business date yet".to_owned(),
            });
            facts.extend(self.expected.map(|day| format!("it should reach {day}")));
        }
        facts.extend(self.next.map(|at| format!("next due {}", self.local(at))));
        writeln!(f, "computed from: {}", facts.join("; "))
    }
}
