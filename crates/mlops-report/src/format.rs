//! Formats numbers for people; the only place that does.
//!
//! Not for programs: files that they read get their numbers from `serde`.

use std::time::Duration;

use mlops_core::evaluation::metrics::Interval;

/// A no-break space, between a number and its unit.
pub const NBSP: char = '\u{A0}';

/// Shown where there is no number.
pub const NONE: &str = "–";

/// A count with thousands separators: `12,345`.
pub fn count(n: u64) -> String {
    grouped(&n.to_string())
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// A count with its noun: `1 row`, `12,345 rows`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{}{NBSP}{}", count(n), if n == 1 { one } else { many })
}

/// A number with three significant digits, or all digits before the point: `0.0123`, `12,345`.
pub fn number(x: f64) -> String {
    if !x.is_finite() {
        return NONE.to_owned();
    }
    let size = x.abs();
    let text = if size == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e12).contains(&size) {
        scientific(size)
    } else if size >= 999.5 {
        grouped(&format!("{size:.0}"))
    } else {
        let decimals = match size {
            s if s >= 99.95 => 0,
            s if s >= 9.995 => 1,
            s if s >= 0.9995 => 2,
            s if s >= 0.099_95 => 3,
            s if s >= 0.009_995 => 4,
            s if s >= 0.000_999_5 => 5,
            _ => 6,
        };
        format!("{size:.decimals$}")
    };
    if x < 0.0 { format!("−{text}") } else { text }
}

/// A number without trailing zeros: `3`, `0.5`, `3.14`.
pub fn plain(x: f64) -> String {
    let text = number(x);
    if text.contains('.') && !text.contains('×') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

fn scientific(size: f64) -> String {
    let text = format!("{size:.2e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let raised: String = exponent
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            c => c.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(c),
        })
        .collect();
    format!("{mantissa}{NBSP}×{NBSP}10{raised}")
}

/// A share as a percentage that is never rounded to 0 % or 100 % unless it is: `78 %`, `0.4 %`.
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = match value {
        v if v < 0.0 => return format!("−{}", percent(-share)),
        v if v > 0.0 && v < 0.05 => "<0.1".to_owned(),
        v if v > 99.95 && v < 100.0 => ">99.9".to_owned(),
        v if (v > 0.0 && v < 9.95) || (v > 99.0 && v < 100.0) => format!("{v:.1}"),
        v => format!("{v:.0}"),
    };
    format!("{text}{NBSP}%")
}

/// A score between 0 and 1 with two decimals, or more if two would show 1: `0.87`.
pub fn score(x: f64) -> String {
    if !x.is_finite() {
        return NONE.to_owned();
    }
    if x > 0.0 && x < 1.0 {
        for decimals in 2..=4 {
            let text = format!("{x:.decimals$}");
            if text.trim_end_matches('0') != "1." && text.trim_end_matches('0') != "0." {
                return text;
            }
        }
        return if x > 0.5 { ">0.9999".to_owned() } else { "<0.0001".to_owned() };
    }
    if x < 0.0 { format!("−{:.2}", -x) } else { format!("{x:.2}") }
}

/// `95 % interval 0.70 to 0.78`.
pub fn interval(interval: &Interval) -> String {
    format!(
        "{} interval {} to {}",
        percent(interval.level),
        score(interval.low),
        score(interval.high)
    )
}

/// A duration: `85 ms`, `1.24 s`, `2 min 5 s`, `1 h 4 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.as_millis() == 0 => format!("{}{NBSP}µs", duration.as_micros()),
        0 => format!("{}{NBSP}ms", duration.as_millis()),
        1..60 => format!("{}{NBSP}s", number(duration.as_secs_f64())),
        60..3600 => format!("{}{NBSP}min {}{NBSP}s", seconds / 60, seconds % 60),
        _ => format!("{}{NBSP}h {}{NBSP}min", count(seconds / 3600), seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use mlops_core::evaluation::metrics::Method;

    use super::*;

    fn spaced(text: &str) -> String {
        text.replace(NBSP, " ")
    }

    #[test]
    fn counts_have_separators() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(spaced(&counted(1, "row", "rows")), "1 row");
        assert_eq!(spaced(&counted(2000, "row", "rows")), "2,000 rows");
    }

    #[test]
    fn numbers_have_three_digits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1.00"),
            (-1.2345, "−1.23"),
            (9.999, "10.0"),
            (99.96, "100"),
            (123.456, "123"),
            (999.7, "1,000"),
            (12345.6, "12,346"),
            (0.012_345, "0.0123"),
            (0.000_123_45, "0.000123"),
            (0.000_012_3, "1.23 × 10⁻⁵"),
            (-4.5e20, "−4.50 × 10²⁰"),
            (f64::NAN, NONE),
            (f64::INFINITY, NONE),
        ];
        for (x, text) in cases {
            assert_eq!(spaced(&number(x)), text, "{x}");
        }
        assert_eq!([3.0, 0.5, 3.15, 0.0, 1200.0].map(plain), ["3", "0.5", "3.15", "0", "1,200"]);
    }

    #[test]
    fn percentages_do_not_overstate() {
        let cases = [
            (0.0, "0 %"),
            (0.000_1, "<0.1 %"),
            (0.004, "0.4 %"),
            (0.78, "78 %"),
            (0.995, "99.5 %"),
            (0.999_9, ">99.9 %"),
            (1.0, "100 %"),
            (f64::NAN, NONE),
        ];
        for (x, text) in cases {
            assert_eq!(spaced(&percent(x)), text, "{x}");
        }
    }

    #[test]
    fn scores_do_not_overstate() {
        let cases = [
            (0.871, "0.87"),
            (0.998, "0.998"),
            (0.999_99, ">0.9999"),
            (1.0, "1.00"),
            (0.0, "0.00"),
            (0.001, "0.001"),
            (-0.5, "−0.50"),
        ];
        for (x, text) in cases {
            assert_eq!(score(x), text, "{x}");
        }
        let band = Interval { low: 0.7, high: 0.78, level: 0.95, method: Method::Wilson };
        assert_eq!(spaced(&interval(&band)), "95 % interval 0.70 to 0.78");
    }

    #[test]
    fn durations_read_well() {
        let cases = [(0, "0 µs"), (85, "85 ms"), (1240, "1.24 s"), (125_000, "2 min 5 s")];
        for (millis, text) in cases {
            assert_eq!(spaced(&duration(Duration::from_millis(millis))), text);
        }
        assert_eq!(spaced(&duration(Duration::from_mins(64))), "1 h 4 min");
    }
}
