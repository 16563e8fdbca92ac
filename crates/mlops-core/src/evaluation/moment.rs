//! The time of a row by `holdout.time`: a number or an ISO 8601 date.
//!
//! The column must be in the schema, since a data set has no others; a date that is not a feature
//! can be an id column. Not for the time of files and runs: see [`crate::platform::clock`].

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::evaluation::entity::Place;
use crate::table::Table;
use crate::table::schema::Schema;

/// The column with the time of a row.
#[derive(Debug, Clone, Copy)]
pub struct MomentColumn(Place);

impl MomentColumn {
    /// The column `name`; `None` if the schema lacks it.
    pub fn of(schema: &Schema, name: &str) -> Option<Self> {
        Place::of(schema, name).map(Self)
    }

    /// The time of row `i` on the column's own scale; `None` if the row has none.
    pub fn at(self, table: &Table, i: usize) -> Option<f64> {
        match self.0.number(table, i) {
            Some(number) => Some(number).filter(|n| n.is_finite()),
            None => self.0.text(table, i).and_then(parse),
        }
    }
}

/// A number as it is, a date as seconds since 1970; without a time zone it is in UTC.
fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return Some(number).filter(|n| n.is_finite());
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(seconds(date.and_hms_opt(0, 0, 0)?));
    }
    let text = text.replacen(' ', "T", 1);
    if let Ok(zoned) = DateTime::parse_from_rfc3339(&text) {
        return Some(seconds(zoned.naive_utc()));
    }
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let plain = formats.iter().find_map(|f| NaiveDateTime::parse_from_str(&text, f).ok());
    let month = || {
        let first = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok()?;
        first.and_hms_opt(0, 0, 0)
    };
    plain.or_else(month).map(seconds)
}

fn seconds(at: NaiveDateTime) -> f64 {
    let at = at.and_utc();
    at.timestamp() as f64 + f64::from(at.timestamp_subsec_nanos()) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_are_understood_and_nothing_else() {
        for (text, expected) in [
            ("17", Some(17.0)),
            ("20240131", Some(20_240_131.0)),
            ("-0.5", Some(-0.5)),
            ("1970-01-02", Some(86_400.0)),
            ("1970-02", Some(2_678_400.0)),
            ("1970-01-01T00:01", Some(60.0)),
            ("1970-01-01 00:00:01.5", Some(1.5)),
            ("1970-01-01T01:00:00+01:00", Some(0.0)),
            ("1970-01-01T00:00:00Z", Some(0.0)),
            ("01/02/1970", None),
            ("yesterday", None),
            ("1970-13-01", None),
            ("inf", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
