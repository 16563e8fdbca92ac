//! Numbers, times and durations as pages write them.
//!
//! Not for names and texts of others: see [`super::parts::label`].

use std::time::Duration;

use maud::{Markup, html};
use mlops_core::evaluation::metrics::Interval;
use mlops_core::text;
use mlops_report::font::clean;

/// A count with separators.
pub(crate) fn count(n: u64) -> Markup {
    html! { (text::count(n)) }
}

/// A score with four digits; a dash without one.
pub(crate) fn score(value: Option<f64>) -> Markup {
    match value {
        Some(value) if value.is_finite() => html! { (format!("{value:.4}")) },
        _ => none(),
    }
}

/// A score with its interval.
pub(crate) fn with_interval(value: Option<f64>, interval: Option<&Interval>) -> Markup {
    html! {
        (score(value))
        @if let (Some(_), Some(i)) = (value, interval) {
            " " span.range { (format!("{:.4} to {:.4}", i.low, i.high)) }
        }
    }
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> Markup {
    let percent = 100.0 * share;
    if !percent.is_finite() {
        return none();
    }
    let digits = if percent == 0.0 || percent.abs() >= 10.0 { 1 } else { 2 };
    html! { (format!("{percent:.digits$} %")) }
}

/// `2026-03-02T09:14:55Z` as `2026-03-02 09:14`, in UTC; another text as it is.
pub(crate) fn time(rfc3339: &str) -> Markup {
    html! { time datetime=(clean(rfc3339)) { (minutes(rfc3339)) } }
}

/// A time, or a dash.
pub(crate) fn time_or_none(rfc3339: Option<&str>) -> Markup {
    rfc3339.map_or_else(none, time)
}

/// A time to the minute.
pub(crate) fn minutes(rfc3339: &str) -> String {
    match (rfc3339.get(..10), rfc3339.get(11..16)) {
        (Some(day), Some(minute)) if rfc3339.is_ascii() => clean(&format!("{day} {minute}")),
        _ => clean(rfc3339),
    }
}

/// A duration in seconds: `0.35 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn seconds(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// What is not known.
pub(crate) fn none() -> Markup {
    html! { span.none { "–" } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_never_break() {
        for (given, expected) in [
            (0.3, "0.30 s"),
            (9.99, "9.99 s"),
            (12.7, "12 s"),
            (200.0, "3 min 20 s"),
            (7500.0, "2 h 5 min"),
        ] {
            assert_eq!(seconds(given), expected);
        }
        assert_eq!(minutes("2026-03-02T09:14:55.123Z"), "2026-03-02 09:14");
        assert_eq!(minutes("äöü-ßßßßßßß"), "äöü-ßßßßßßß");
        assert_eq!(score(Some(f64::NAN)).into_string(), none().into_string());
        assert_eq!(percent(0.012_34).into_string(), "1.23 %");
        assert_eq!(percent(0.5).into_string(), "50.0 %");
    }
}
