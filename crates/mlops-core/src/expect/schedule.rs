//! The times at which data are due: a cron expression, read as local time of a zone, without the days
//! off.
//!
//! | the local time | is due |
//! |---|---|
//! | exists once | then |
//! | is skipped when clocks go forward | at the first instant after the gap |
//! | exists twice when clocks go back | the first time, and not again the second time |
//!
//! The library only says which local times match, in a calendar without zones; which instants these are in a
//! zone is defined here. Whether anything arrived is checked in [`super::standing`].

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;

/// How far local clocks are ever set back.
const LARGEST_FOLD: TimeDelta = TimeDelta::hours(3);
/// How long a schedule may be silent: from 29 February to 29 February, over a year that is no leap year.
const LONGEST_SILENCE: Days = Days::new(366 * 9);

/// Days on which nothing is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DaysOff(BTreeSet<NaiveDate>);

impl DaysOff {
    /// Reads a calendar: a day such as `2026-12-25` at the beginning of each line; what follows a day, blank
    /// lines, and lines that start with `#` are remarks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut days = BTreeSet::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim_start_matches('\u{feff}').trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let word = line.split(|c: char| c.is_whitespace() || c == ',').next().unwrap_or("");
            let day = NaiveDate::parse_from_str(word, "%Y-%m-%d").map_err(|_| {
                let line = crate::text::visible(line);
                format!("line {} is {line:?}, which is not a day such as 2026-12-25", at + 1)
            })?;
            days.insert(day);
        }
        Ok(Self(days))
    }

    /// Whether nothing is due on `day`.
    pub fn contains(&self, day: NaiveDate) -> bool {
        self.0.contains(&day)
    }
}

/// Times at which data are due.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    cron: Cron,
    zone: Tz,
    off: DaysOff,
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.zone, &self.off) == (&other.text, other.zone, &other.off)
    }
}

impl Eq for Schedule {}

/// The times at which data were due last, before that, and are due next. Each is missing if the schedule
/// has none within nine years.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// The last time, which may be the present instant.
    pub last: Option<DateTime<Utc>>,
    /// The time before the last.
    pub before: Option<DateTime<Utc>>,
    /// The next time, after the present instant.
    pub next: Option<DateTime<Utc>>,
}

impl Schedule {
    /// The schedule that the five fields of `text` define: minute, hour, day of the month, month, day of the
    /// week. Where both days are restricted, either suffices, as cron has it.
    pub fn parse(text: &str, zone: Tz, off: DaysOff) -> Result<Self, String> {
        let cron = Cron::new(&text.to_uppercase())
            .parse()
            .map_err(|e| format!("is not a cron expression of five fields: {e}"))?;
        let schedule = Self { text: text.to_owned(), cron, zone, off };
        // Such as 30 February.
        let start = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default().into();
        match schedule.first_from(start) {
            Some(first) if first.year() < 2020 => Ok(schedule),
            _ => Err("never occurs: there is no such day".to_owned()),
        }
    }

    /// The cron expression.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The zone in whose local time it is read.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The day of `at` in the schedule's zone.
    pub fn day(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    /// When data were due last before or at `now`, and when they are due next.
    pub fn due(&self, now: DateTime<Utc>) -> Due {
        let last = self.last(now);
        let before = last.and_then(|last| self.last(last - TimeDelta::seconds(1)));
        Due { last, before, next: self.next(now) }
    }

    fn last(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = now.with_timezone(&self.zone).naive_local() + LARGEST_FOLD;
        // Looking back further and further, so that a frequent schedule is not walked through for years.
        for days in [1, 8, 40, 400] {
            let found = self.last_from(local.checked_sub_days(Days::new(days))?, now);
            if found.is_some() {
                return found;
            }
        }
        self.last_from(local.checked_sub_days(LONGEST_SILENCE)?, now)
    }

    /// The last time up to `now` of those from `start` on.
    fn last_from(&self, start: NaiveDateTime, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut last = None;
        let mut start = start;
        while let Some(local) = self.working_from(start) {
            let at = self.instant(local)?;
            if at > now {
                break;
            }
            last = Some(at);
            start = local + TimeDelta::minutes(1);
        }
        last
    }

    fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut start = now.with_timezone(&self.zone).naive_local();
        let end = start.checked_add_days(LONGEST_SILENCE)?;
        while let Some(local) = self.working_from(start).filter(|local| *local < end) {
            let at = self.instant(local)?;
            if at > now {
                return Some(at);
            }
            start = local + TimeDelta::minutes(1);
        }
        None
    }

    /// The first local time from `start` on that is not on a day off.
    fn working_from(&self, start: NaiveDateTime) -> Option<NaiveDateTime> {
        let mut start = start;
        let end = start.checked_add_days(LONGEST_SILENCE)?;
        loop {
            let local = self.first_from(start).filter(|local| *local <= end)?;
            if !self.off.contains(local.date()) {
                return Some(local);
            }
            start = local.date().succ_opt()?.into();
        }
    }

    /// The first local time from `start` on that matches the expression.
    fn first_from(&self, start: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&start.and_utc(), true).ok().map(|at| at.naive_utc())
    }

    /// When it is `local` in the zone.
    fn instant(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let mut minute = local;
        // The largest gap is the day that Samoa left out.
        for _ in 0..=24 * 60 {
            if let Some(at) = self.zone.from_local_datetime(&minute).earliest() {
                return Some(at.to_utc());
            }
            minute += TimeDelta::minutes(1);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str, zone: Tz, off: &str) -> Schedule {
        Schedule::parse(text, zone, DaysOff::parse(off).unwrap()).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_skipped_local_time_is_due_after_the_gap_and_a_repeated_one_once() {
        // On 29 March 2026, 02:00 CET is followed by 03:00 CEST, at 01:00 UTC.
        let nightly = schedule("30 2 * * *", Tz::Europe__Berlin, "");
        let due = nightly.due(at("2026-03-29T12:00:00Z"));
        assert_eq!(due.before, Some(at("2026-03-28T01:30:00Z")));
        assert_eq!(due.last, Some(at("2026-03-29T01:00:00Z")));
        assert_eq!(due.next, Some(at("2026-03-30T00:30:00Z")));
        // On 25 October, 03:00 CEST is followed by 02:00 CET: 02:30 exists at 00:30 and at 01:30 UTC.
        let due = nightly.due(at("2026-10-25T01:45:00Z"));
        assert_eq!(due.last, Some(at("2026-10-25T00:30:00Z")));
        assert_eq!(due.next, Some(at("2026-10-26T01:30:00Z")));
        let due = nightly.due(at("2026-10-25T00:29:59Z"));
        assert_eq!(due.next, Some(at("2026-10-25T00:30:00Z")));
    }

    #[test]
    fn nothing_is_due_on_days_off() {
        let weekdays = schedule("0 6 * * 1-5", Tz::Europe__Berlin, "2026-12-25 Christmas\n\n# x\n");
        let due = weekdays.due(at("2026-12-27T12:00:00Z"));
        assert_eq!(due.last, Some(at("2026-12-24T05:00:00Z")));
        assert_eq!(due.next, Some(at("2026-12-28T05:00:00Z")));
        let error = DaysOff::parse("2026-12-25\n25.12.2026").unwrap_err();
        assert!(error.starts_with("line 2 is \"25.12.2026\""), "{error}");
    }

    #[test]
    fn rare_days_are_found_and_impossible_ones_refused() {
        let leap = schedule("0 0 29 2 *", Tz::UTC, "");
        let due = leap.due(at("2104-02-28T00:00:00Z"));
        assert_eq!(due.last, Some(at("2096-02-29T00:00:00Z")));
        assert_eq!(due.next, Some(at("2104-02-29T00:00:00Z")));
        for wrong in ["0 0 30 2 *", "* * * *", "61 * * * *", "x", "", "0 0 0 * * *", "@reboot"] {
            let refused = Schedule::parse(wrong, Tz::UTC, DaysOff::default());
            assert!(refused.is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_schedule_whose_days_are_all_off_has_no_due_times() {
        let once =
            schedule("0 0 29 2 *", Tz::UTC, "2024-02-29\n2028-02-29\n2032-02-29\n2020-02-29");
        assert_eq!(once.due(at("2027-01-01T00:00:00Z")), Due::default());
    }
}
