//! Whether a source delivers as expected: its two clocks against its schedule and the permitted ages.
//!
//! The first clock is the arrival of data, the second the newest business date in them, so that an old
//! window that is sent again does not look fresh. Not for the times of a schedule: see
//! [`super::schedule`].

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::schedule::{Due, Schedule};
use crate::text;

/// What is expected of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// When data are due.
    pub schedule: Option<Schedule>,
    /// How late they may come.
    pub grace: Duration,
    /// How urgent it is if they do not.
    pub level: Level,
    /// The age from which there is a warning.
    pub warn_after: Option<Duration>,
    /// The age at which a person is needed.
    pub error_after: Option<Duration>,
    /// The column with the business date of a row.
    pub business_date: Option<String>,
    /// The zone in which a business day ends.
    pub zone: Tz,
}

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Somebody should know.
    Warn,
    /// A person is needed.
    Error,
}

/// What is known of a source's data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clocks {
    /// When data arrived last.
    pub arrived: Option<DateTime<Utc>>,
    /// The newest business date in them.
    pub newest: Option<NaiveDate>,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "breach", rename_all = "snake_case")]
pub enum Breach {
    /// Nothing arrived for a due time.
    Missing {
        /// The due time.
        due: DateTime<Utc>,
        /// In local time.
        local: String,
        /// How late it may be, in seconds.
        grace: u64,
        /// When data arrived last.
        arrived: Option<DateTime<Utc>>,
    },
    /// What arrived does not reach the business date that was due.
    Behind {
        /// The due time.
        due: DateTime<Utc>,
        /// In local time.
        local: String,
        /// The business date that the data should reach.
        expected: NaiveDate,
        /// The one that they reach.
        newest: Option<NaiveDate>,
    },
    /// The last arrival is too long ago.
    Old {
        /// When data arrived last.
        arrived: Option<DateTime<Utc>>,
        /// How long ago that is, in seconds.
        age: u64,
        /// How long it may be, in seconds.
        limit: u64,
    },
    /// The newest business date is too long ago.
    OldDate {
        /// The newest business date.
        newest: Option<NaiveDate>,
        /// How long ago that day ended, in seconds.
        age: u64,
        /// How long it may be, in seconds.
        limit: u64,
    },
}

/// How a source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// When data were due, and are due next.
    pub due: Due,
    /// The due time that is judged: the last one whose grace is over.
    pub judged: Option<DateTime<Utc>>,
    /// From when on an arrival counts for that due time.
    pub counts_from: Option<DateTime<Utc>>,
    /// The business date that the data should reach.
    pub expected: Option<NaiveDate>,
    /// The promises that were not kept, the most urgent first.
    pub breaches: Vec<(Level, Breach)>,
}

impl Standing {
    /// The most urgent level; `None` if all promises were kept.
    pub fn level(&self) -> Option<Level> {
        self.breaches.first().map(|(level, _)| *level)
    }
}

impl Expectation {
    /// How a source with these clocks stands at `now`.
    ///
    /// An arrival counts for the due time that it is closer to, but never for the next one while the grace of
    /// the last one lasts: data that come late one day do not hide that none come the next, and data that come
    /// early are not missed.
    pub fn standing(&self, clocks: Clocks, now: DateTime<Utc>) -> Standing {
        let mut standing = Standing {
            due: self.schedule.as_ref().map_or_else(Due::default, |schedule| schedule.due(now)),
            judged: None,
            counts_from: None,
            expected: None,
            breaches: Vec::new(),
        };
        if let Some(schedule) = &self.schedule {
            self.judge_schedule(schedule, clocks, now, &mut standing);
        }
        let levels = [(Level::Error, self.error_after), (Level::Warn, self.warn_after)];
        let limits =
            levels.into_iter().filter_map(|(level, limit)| Some((level, limit?.as_secs())));
        let limits: Vec<(Level, u64)> = limits.collect();
        let exceeded = |age: u64| limits.iter().find(|(_, limit)| age > *limit);
        let since = |then: Option<DateTime<Utc>>| {
            then.map_or(u64::MAX, |then| u64::try_from((now - then).num_seconds()).unwrap_or(0))
        };
        let age = since(clocks.arrived);
        if let Some((level, limit)) = exceeded(age) {
            let breach = Breach::Old { arrived: clocks.arrived, age, limit: *limit };
            standing.breaches.push((*level, breach));
        }
        if self.business_date.is_some() {
            let age = since(clocks.newest.map(|day| self.end_of(day)));
            if let Some((level, limit)) = exceeded(age) {
                let breach = Breach::OldDate { newest: clocks.newest, age, limit: *limit };
                standing.breaches.push((*level, breach));
            }
        }
        standing.breaches.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        standing
    }

    fn judge_schedule(
        &self,
        schedule: &Schedule,
        clocks: Clocks,
        now: DateTime<Utc>,
        standing: &mut Standing,
    ) {
        let grace = TimeDelta::from_std(self.grace).unwrap_or(TimeDelta::MAX);
        let Some(then) = now.checked_sub_signed(grace) else { return };
        let judged = schedule.due(then);
        let Some(due) = judged.last else { return };
        let local = local(due, schedule.zone());
        standing.judged = Some(due);
        standing.counts_from = judged.before.map(|before| Self::counts_from(before, due, grace));
        let there = match (clocks.arrived, standing.counts_from) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(arrived), Some(from)) => arrived >= from,
        };
        if !there {
            let breach = Breach::Missing {
                due,
                local: local.clone(),
                grace: self.grace.as_secs(),
                arrived: clocks.arrived,
            };
            standing.breaches.push((self.level, breach));
        }
        if self.business_date.is_none() {
            return;
        }
        standing.expected = judged.before.map(|before| schedule.day(before));
        if let Some(expected) = standing.expected
            && clocks.newest.is_none_or(|newest| newest < expected)
        {
            let breach = Breach::Behind { due, local, expected, newest: clocks.newest };
            standing.breaches.push((self.level, breach));
        }
    }

    /// From when on an arrival counts for `due`, the due time after `before`.
    fn counts_from(before: DateTime<Utc>, due: DateTime<Utc>, grace: TimeDelta) -> DateTime<Utc> {
        let middle = before + (due - before) / 2;
        let late = before.checked_add_signed(grace).unwrap_or(due);
        middle.max(late).min(due)
    }

    /// When a business day ends.
    fn end_of(&self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.succ_opt().unwrap_or(day).and_time(NaiveTime::MIN);
        let local = self.zone.from_local_datetime(&midnight).earliest();
        local.map_or_else(|| midnight.and_utc(), |at| at.to_utc())
    }
}

/// `at` as people in the zone write it.
fn local(at: DateTime<Utc>, zone: Tz) -> String {
    format!("{} {}", at.with_timezone(&zone).format("%a %Y-%m-%d %H:%M"), zone.name())
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { local, grace, arrived, .. } => {
                write!(f, "nothing arrived for {local}")?;
                if *grace > 0 {
                    write!(f, " plus {} of grace", text::span(*grace))?;
                }
                match arrived {
                    Some(at) => write!(f, "; the last data came at {}", minute(*at)),
                    None => f.write_str("; no data ever came"),
                }
            }
            Self::Behind { local, expected, newest, .. } => {
                write!(f, "the data due {local} must reach the business date {expected}, ")?;
                match newest {
                    Some(newest) => write!(f, "and the newest row is of {newest}"),
                    None => f.write_str("and no row has one"),
                }
            }
            Self::Old { arrived, age, limit } => match arrived {
                Some(at) => write!(
                    f,
                    "the last data came at {}, {} ago, where {} are allowed",
                    minute(*at),
                    text::span(*age),
                    text::span(*limit)
                ),
                None => f.write_str("no data ever came"),
            },
            Self::OldDate { newest, age, limit } => match newest {
                Some(newest) => write!(
                    f,
                    "the newest business date is {newest}, which ended {} ago, where {} are allowed",
                    text::span(*age),
                    text::span(*limit)
                ),
                None => f.write_str("no row has a business date"),
            },
        }
    }
}

fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::DaysOff;
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn daily(business_date: bool) -> Expectation {
        let zone = Tz::Europe__Berlin;
        Expectation {
            schedule: Some(Schedule::parse("0 6 * * 1-5", zone, DaysOff::default()).unwrap()),
            grace: Duration::from_mins(90),
            level: Level::Error,
            warn_after: None,
            error_after: None,
            business_date: business_date.then(|| "day".to_owned()),
            zone,
        }
    }

    fn of(expectation: &Expectation, arrived: &str, newest: &str, now: &str) -> Standing {
        let arrived = (!arrived.is_empty()).then(|| at(arrived));
        let newest = newest.parse().ok();
        expectation.standing(Clocks { arrived, newest }, at(now))
    }

    #[test]
    fn late_is_missing_only_after_the_grace_and_early_counts() {
        let daily = daily(false);
        // Friday 27 November is followed by Monday 30; 06:00 in Berlin is 05:00 UTC.
        let friday = "2026-11-27T05:20:00Z";
        assert_eq!(of(&daily, friday, "", "2026-11-30T06:29:59Z").level(), None);
        let late = of(&daily, friday, "", "2026-11-30T06:30:00Z");
        assert_eq!(late.level(), Some(Level::Error));
        let said = late.breaches[0].1.to_string();
        assert_eq!(
            said,
            "nothing arrived for Mon 2026-11-30 06:00 Europe/Berlin plus 90 minutes of grace; the last \
             data came at 2026-11-27 05:20 UTC"
        );
        assert_eq!(of(&daily, "2026-11-30T04:50:00Z", "", "2026-11-30T08:00:00Z").level(), None);
        // What came late on Friday is not what is due on Monday.
        let very_late = of(&daily, "2026-11-27T12:00:00Z", "", "2026-11-30T08:00:00Z");
        assert_eq!(very_late.level(), Some(Level::Error));
        assert_eq!(very_late.counts_from, Some(at("2026-11-28T17:00:00Z")));
        assert_eq!(of(&daily, "", "", "2026-11-30T08:00:00Z").level(), Some(Level::Error));
    }

    #[test]
    fn an_old_window_that_is_sent_again_does_not_look_fresh() {
        let daily = daily(true);
        let (arrived, now) = ("2026-11-30T05:10:00Z", "2026-11-30T08:00:00Z");
        assert_eq!(of(&daily, arrived, "2026-11-27", now).level(), None, "Friday's rows on Monday");
        let again = of(&daily, arrived, "2026-11-26", now);
        let [(Level::Error, Breach::Behind { expected, .. })] = again.breaches.as_slice() else {
            panic!("{again:?}");
        };
        assert_eq!(expected.to_string(), "2026-11-27");
        assert_eq!(of(&daily, arrived, "", now).level(), Some(Level::Error));
    }

    #[test]
    fn ages_have_two_levels_on_both_clocks() {
        let expectation = Expectation {
            schedule: None,
            warn_after: Some(Duration::from_hours(12)),
            error_after: Some(Duration::from_hours(24)),
            ..daily(true)
        };
        let level = |arrived: &str, newest: &str| {
            of(&expectation, arrived, newest, "2026-11-30T12:00:00Z").level()
        };
        // 29 November ends in Berlin at 23:00 UTC.
        assert_eq!(level("2026-11-30T11:00:00Z", "2026-11-30"), None);
        assert_eq!(level("2026-11-30T11:00:00Z", "2026-11-29"), Some(Level::Warn));
        assert_eq!(level("2026-11-30T11:00:00Z", "2026-11-28"), Some(Level::Error));
        assert_eq!(level("2026-11-29T23:00:00Z", "2026-11-30"), Some(Level::Warn));
        assert_eq!(level("2026-11-29T11:00:00Z", "2026-11-30"), Some(Level::Error));
        assert_eq!(level("", "2026-11-30"), Some(Level::Error));
    }
}
