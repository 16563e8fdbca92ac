//! Dates and times as numbers: days since 1970, and their canonical spelling.
//!
//! A date is `2024-03-31`; a time, to the second and in UTC, `2024-03-31T14:05:00`. Also read
//! are ISO 8601 with a blank for the T, without seconds, with fractions of them (which are cut
//! off) or with a zone, and one pattern of the configuration. Not for which column is a date: see
//! [`super::schema`].

use std::fmt::Write;
use std::ops::Range;

use chrono::format::{Fixed, Item, StrftimeItems};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

/// Seconds in a day.
const DAY: f64 = 86_400.0;

/// Days since 1970 that are dates of something that happened or is planned: the years 1800 to 2199. Others mostly stand
/// for a date that is not known, or has no end.
pub const LIKELY: Range<f64> = -62_091.0..84_006.0;

/// The days since 1970 of a canonical cell; NaN for an empty one, `None` for any other spelling.
pub fn canonical(cell: &[u8]) -> Option<f64> {
    if cell.is_empty() {
        return Some(f64::NAN);
    }
    let number = |range: std::ops::Range<usize>| {
        cell[range].iter().try_fold(0_u32, |sum, byte| {
            byte.is_ascii_digit().then(|| 10 * sum + u32::from(byte - b'0'))
        })
    };
    if !(cell.len() == 10 || cell.len() == 19) || cell[4] != b'-' || cell[7] != b'-' {
        return None;
    }
    let year = i32::try_from(number(0..4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(5..7)?, number(8..10)?)?;
    if cell.len() == 10 {
        return Some(f64::from(days(date)));
    }
    if [cell[10], cell[13], cell[16]] != [b'T', b':', b':'] {
        return None;
    }
    let time = date.and_hms_opt(number(11..13)?, number(14..16)?, number(17..19)?)?;
    // Midnight is spelt as a date.
    Some(of(time)).filter(|days| days.fract() != 0.0)
}

/// The days since 1970 of a date or time in any spelling that is read; `None` for anything else.
pub fn read(text: &str, pattern: Option<&str>) -> Option<f64> {
    let value = canonical(text.as_bytes())
        .or_else(|| pattern.and_then(|pattern| by_pattern(text, pattern)))
        .or_else(|| iso(text));
    // Years of four digits can be spelt.
    value.filter(|days| (FIRST..LAST).contains(days))
}

/// The first of January of the years 0 and 10,000.
const FIRST: f64 = -719_528.0;
const LAST: f64 = 2_932_897.0;

fn by_pattern(text: &str, pattern: &str) -> Option<f64> {
    // First with a zone, since a time without one would leave out what the text says.
    let zoned = DateTime::parse_from_str(text, pattern).ok().map(|time| of(time.naive_utc()));
    let time = || NaiveDateTime::parse_from_str(text, pattern).ok().map(of);
    let date = || NaiveDate::parse_from_str(text, pattern).ok().map(|d| f64::from(days(d)));
    zoned.or_else(time).or_else(date).filter(|days| !is_cut_year(text, *days))
}

/// Whether `text` has a year of fewer than four digits, such as 24, that was read as the year 24.
fn is_cut_year(text: &str, days: f64) -> bool {
    let year = time(days).map_or(0, |time| time.year());
    (0..1_000).contains(&year) && !text.contains(&format!("{year:04}"))
}

fn iso(text: &str) -> Option<f64> {
    iso_time(text).map(of)
}

/// A time by ISO 8601 in UTC, to the nanosecond: a date, T or a blank, hours and minutes, perhaps seconds and a zone
/// (`Z`, `+02:00`, `+0200` or, as PostgreSQL has it, `+02`). Without a zone it is in UTC.
pub fn iso_time(text: &str) -> Option<NaiveDateTime> {
    let (date, rest) = text.split_at_checked(10)?;
    canonical(date.as_bytes())?;
    let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, zone) = rest.split_at(rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len()));
    let clock = clock.strip_suffix(' ').filter(|_| !zone.is_empty()).unwrap_or(clock);
    let clock = clock.replace(',', ".");
    let formats = ["%H:%M:%S%.f", "%H:%M"];
    let clock = formats.iter().find_map(|f| NaiveTime::parse_from_str(&clock, f).ok())?;
    date.and_time(clock).checked_sub_signed(TimeDelta::minutes(minutes_of(zone)?))
}

/// How many minutes a zone is ahead of UTC.
fn minutes_of(zone: &str) -> Option<i64> {
    if zone.is_empty() || zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let (sign, digits) = zone.split_at_checked(1)?;
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = match minutes.strip_prefix(':').unwrap_or(minutes) {
        "" if minutes.is_empty() => "00",
        given => given,
    };
    let number = |digits: &str, below: i64| {
        let all_digits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|number| all_digits && *number < below)
    };
    let ahead = 60 * number(hours, 24)? + number(minutes, 60)?;
    Some(if sign == "-" { -ahead } else { ahead })
}

fn days(date: NaiveDate) -> i32 {
    date.to_epoch_days()
}

fn of(time: NaiveDateTime) -> f64 {
    time.and_utc().timestamp() as f64 / DAY
}

/// The time that is this many days after 1970-01-01; `None` beyond the years 0 to 9999.
fn time(days: f64) -> Option<NaiveDateTime> {
    let seconds = Some((days * DAY).round()).filter(|_| (FIRST..LAST).contains(&days))?;
    #[expect(clippy::cast_possible_truncation, reason = "within four digits of years")]
    let seconds = seconds as i64;
    DateTime::from_timestamp(seconds, 0).map(|time| time.naive_utc())
}

/// The canonical spelling; empty for NaN, and for what is beyond the years 0 to 9999.
pub fn spell(days: f64) -> String {
    let format = if days.fract() == 0.0 { "%Y-%m-%d" } else { "%Y-%m-%dT%H:%M:%S" };
    time(days).map_or_else(String::new, |time| time.format(format).to_string())
}

/// The month, from 0 for January, and the weekday, from 0 for Monday.
pub fn month_and_weekday(days: f64) -> Option<(usize, usize)> {
    let date = time(days)?.date();
    let weekday = date.weekday().num_days_from_monday();
    Some((date.month0() as usize, weekday as usize))
}

/// Whether `pattern` is one by which a date can be read, in the signs of `strftime`.
pub fn is_pattern(pattern: &str) -> bool {
    let items: Vec<Item> = StrftimeItems::new(pattern).collect();
    // The name of a zone does not say how far it is from UTC.
    if items.contains(&Item::Error) || items.contains(&Item::Fixed(Fixed::TimezoneName)) {
        return false;
    }
    let mut spelt = String::new();
    let example = time(19_813.0).map(|time| time.and_utc());
    example.is_some_and(|time| {
        write!(spelt, "{}", time.format(pattern)).is_ok()
            && by_pattern(&spelt, pattern) == Some(19_813.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_and_spelt() {
        for (text, spelt) in [
            ("1970-01-01", "1970-01-01"),
            ("2024-02-29", "2024-02-29"),
            ("0001-01-01", "0001-01-01"),
            ("9999-12-31", "9999-12-31"),
            ("2024-03-31T14:05:00", "2024-03-31T14:05:00"),
            ("2024-03-31 14:05", "2024-03-31T14:05:00"),
            ("2024-03-31T14:05:09.75", "2024-03-31T14:05:09"),
            ("2024-03-31T00:30:00+01:00", "2024-03-30T23:30:00"),
            ("2024-03-31T00:00:00Z", "2024-03-31"),
            ("2024-03-31T00:00:00", "2024-03-31"),
            ("31.03.2024", "2024-03-31"),
            ("01.01.0001", "0001-01-01"),
            ("2024-03-31 00:30:00+01", "2024-03-30T23:30:00"),
            ("2024-03-31 00:30:00.123456-0130", "2024-03-31T02:00:00"),
            ("2024-03-31 14:05:00 +0200", "2024-03-31T12:05:00"),
            ("2024-03-31t14:05z", "2024-03-31T14:05:00"),
            ("2024-03-31T14:05:09,75", "2024-03-31T14:05:09"),
        ] {
            let days = read(text, Some("%d.%m.%Y")).unwrap_or(f64::NAN);
            assert_eq!(spell(days), spelt, "{text}");
            assert_eq!(
                canonical(spelt.as_bytes()).map(f64::to_bits),
                Some(days.to_bits()),
                "{text}"
            );
        }
        assert_eq!(read("1970-01-02T12:00", None), Some(1.5));
        for wrong in [
            "2024-02-30",
            "2024-2-3",
            "31.03.2024",
            "20240331",
            "45000",
            "yesterday",
            "",
            "0000-00-00",
            "2024-03-31T14:05:00+25:00",
            "2024-03-31T14:05:00+02:",
            "2024-03-31T14:05:00+2",
            "2024-03-31T14:05:00+1:30",
            "2024-03-31T14:05:00 CET",
            "2024-03-31T",
            "2024-03-31Z",
        ] {
            assert!(read(wrong, None).is_none_or(f64::is_nan), "{wrong}");
        }
        assert_eq!(canonical(b"2024-03-31T00:00:00"), None, "midnight is a date");
        assert_eq!(canonical(b"2024-03-31 14:05:00"), None);
    }

    #[test]
    fn a_pattern_reads_the_zone_and_no_year_of_two_digits_for_one_of_four() {
        for (text, pattern, spelt) in [
            ("01.02.2024 10:00 +0200", "%d.%m.%Y %H:%M %z", Some("2024-02-01T08:00:00")),
            ("01.02.2024 10:00", "%d.%m.%Y %H:%M", Some("2024-02-01T10:00:00")),
            ("01.02.24", "%d.%m.%Y", None),
            ("01.02.0024", "%d.%m.%Y", Some("0024-02-01")),
            ("01.02.24", "%d.%m.%y", Some("2024-02-01")),
            ("1/2/324", "%d/%m/%Y", None),
        ] {
            assert_eq!(read(text, Some(pattern)).map(spell).as_deref(), spelt, "{text} {pattern}");
        }
    }

    #[test]
    fn every_second_comes_back_from_its_spelling() {
        for i in 0..20_000_i32 {
            let days = f64::from(i * 37 - 300_000) + f64::from(i * 7_919 % 86_400) / DAY;
            let spelt = spell(days);
            let back = canonical(spelt.as_bytes()).unwrap_or(f64::NAN);
            assert!((back - days).abs() < 1e-9, "{spelt}");
            assert_eq!(spell(back), spelt);
        }
    }

    #[test]
    fn patterns_are_tried_on_an_example() {
        for (pattern, good) in [
            ("%d.%m.%Y", true),
            ("%d/%m/%y", true),
            ("%b %d, %Y", true),
            ("%d.%m.%Y %H:%M", true),
            ("%m.%Y", false),
            ("%Q", false),
            ("%d.%m.%Y %H:%M %z", true),
            ("%d.%m.%Y %H:%M %Z", false),
            ("%+", true),
            ("%s", true),
            ("dd.mm.yyyy", false),
        ] {
            assert_eq!(is_pattern(pattern), good, "{pattern}");
        }
    }

    #[test]
    fn months_and_weekdays_are_counted_from_january_and_monday() {
        assert_eq!(month_and_weekday(0.0), Some((0, 3)), "a Thursday");
        assert_eq!(month_and_weekday(19_813.75), Some((2, 6)), "31 March 2024 was a Sunday");
        assert_eq!(month_and_weekday(f64::NAN), None);
    }
}
