//! Windows of time for which scores are computed: days, weeks from Monday on, and calendar months, all in UTC.
//!
//! Not for choosing between them: see [`super::store`].

use chrono::{DateTime, Datelike as _, Days, NaiveDate};

use crate::config::Period;

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;

/// The day of a time in milliseconds since 1970, as a number of days since then.
pub fn day_of(at: i64) -> i64 {
    at.div_euclid(DAY)
}

/// The date of a day.
pub fn date(day: i64) -> NaiveDate {
    DateTime::from_timestamp(day.saturating_mul(86_400), 0).unwrap_or_default().date_naive()
}

/// The first day of the window of `unit` in which `day` is, and the first day after it.
pub fn around(unit: Period, day: i64) -> (i64, i64) {
    match unit {
        Period::Day => (day, day + 1),
        Period::Week => {
            // 1970 began on a Thursday.
            let monday = day - (day + 3).rem_euclid(7);
            (monday, monday + 7)
        }
        Period::Month | Period::Auto => {
            let first = date(day).with_day(1).unwrap_or_default();
            let later = first.checked_add_days(Days::new(32)).unwrap_or(first);
            let next = later.with_day(1).unwrap_or_default();
            (number(first), number(next))
        }
    }
}

/// The number of a date, in days since 1970.
pub fn number(date: NaiveDate) -> i64 {
    (date - NaiveDate::default()).num_days()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_all_days_once_and_begin_where_people_expect() {
        for unit in [Period::Day, Period::Week, Period::Month] {
            let (mut day, _) = around(unit, -800);
            while day < 25_000 {
                let (from, to) = around(unit, day);
                assert_eq!(from, day, "{unit:?}");
                assert!((from..to).all(|d| around(unit, d) == (from, to)));
                day = to;
            }
        }
    }

    #[test]
    fn known_dates() {
        let of = |unit, date: &str| {
            let (from, to) = around(unit, number(date.parse().unwrap()));
            (super::date(from).to_string(), super::date(to).to_string())
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(of(Period::Week, "2026-11-29"), pair("2026-11-23", "2026-11-30"));
        assert_eq!(of(Period::Week, "2026-11-30"), pair("2026-11-30", "2026-12-07"));
        assert_eq!(of(Period::Month, "2024-02-29"), pair("2024-02-01", "2024-03-01"));
        assert_eq!(of(Period::Month, "2026-12-31"), pair("2026-12-01", "2027-01-01"));
        assert_eq!(day_of(-1), -1);
    }
}
