//! The newest business date in the rows of a file.
//!
//! Not for whether it is new enough: see [`crate::expect`].

use chrono::NaiveDate;

/// The column to look at, and the day after which dates are slips of the pen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusinessDate {
    /// The number of the column in the schema, from 0.
    pub column: usize,
    /// The last day that counts.
    pub latest: NaiveDate,
}

impl BusinessDate {
    /// The day at the beginning of `cell`, `2026-11-28` or `20261128`, if it counts and is newer than
    /// `newest`.
    pub(crate) fn newer(self, cell: &[u8], newest: Option<NaiveDate>) -> Option<NaiveDate> {
        let day = day(cell)?;
        (day <= self.latest && newest.is_none_or(|newest| newest < day)).then_some(day)
    }
}

fn day(cell: &[u8]) -> Option<NaiveDate> {
    let number = |digits: &[u8]| {
        let digit = |sum: Option<u32>, byte: &u8| {
            byte.is_ascii_digit()
                .then(|| u32::from(byte - b'0'))
                .zip(sum)
                .map(|(d, sum)| 10 * sum + d)
        };
        digits.iter().fold(Some(0), digit)
    };
    let (year, month, day) = match cell {
        _ if cell.len() == 8 => (&cell[..4], &cell[4..6], &cell[6..]),
        [_, _, _, _, b'-', _, _, b'-', _, _, rest @ ..]
            if rest.first().is_none_or(|byte| matches!(byte, b'T' | b' ' | b't')) =>
        {
            (&cell[..4], &cell[5..7], &cell[8..10])
        }
        _ => return None,
    };
    let year = i32::try_from(number(year)?).ok()?;
    NaiveDate::from_ymd_opt(year, number(month)?, number(day)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_day_counts_unless_it_is_in_the_future() {
        let of = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").unwrap();
        let date = BusinessDate { column: 0, latest: of("2026-11-30") };
        let newest =
            ["2026-11-27", "", "2026-11-28T10:00:00", "20261126", "2206-11-28", "2026-13-40", "x"]
                .iter()
                .fold(None, |newest, cell| date.newer(cell.as_bytes(), newest).or(newest));
        assert_eq!(newest, Some(of("2026-11-28")));
        assert_eq!(date.newer(b"20261130", newest), Some(of("2026-11-30")));
        assert_eq!(date.newer(b"2026-11-281", None), None);
    }
}
