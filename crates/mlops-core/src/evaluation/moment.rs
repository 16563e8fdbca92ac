//! The time of a row by `holdout.time`: a number or an ISO 8601 date.
//!
//! The column must be in the schema, since a data set has no others; a date that is not a feature
//! can be an id column. Not for the time of files and runs: see [`crate::platform::clock`].

use chrono::{NaiveDate, NaiveDateTime};

use crate::evaluation::entity::Place;
use crate::table::Table;
use crate::table::date::iso_time;
use crate::table::schema::Schema;
use crate::text;

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

/// Rows whose time is not known, counted.
#[derive(Debug, Default)]
pub(crate) struct Untimed {
    /// Rows without a time.
    rows: u64,
    /// Those of them that have something else in its place.
    misread: u64,
    /// What the first of these have.
    first: Option<String>,
}

impl Untimed {
    /// The time of row `i`; a row without any is counted.
    pub(crate) fn at(&mut self, moments: MomentColumn, table: &Table, i: usize) -> Option<f64> {
        let moment = moments.at(table, i);
        if moment.is_none() {
            self.rows += 1;
            if let Some(text) = moments.0.text(table, i).filter(|text| !text.trim().is_empty()) {
                self.misread += 1;
                self.first.get_or_insert_with(|| text::name(text).into_owned());
            }
        }
        moment
    }

    /// Why rows of `all` are not held out by the time in `column`, if there are any.
    pub(crate) fn not_held_out(&self, all: usize, column: &str) -> Option<String> {
        let example = self.first.as_ref().map_or_else(String::new, |first| {
            format!(", such as the one with \"{first}\", which is {NO_TIME}")
        });
        (self.rows > 0).then(|| {
            format!(
                "{} of {} have no time in the column \"{}\" (\"holdout.time\"){example}: they are \
                 not held out, and models are trained on them, even if they are the newest. \
                 Write times as 2024-03-31 or 2024-03-31T14:05:00, or list the column in \
                 \"schema.date\" and name its spelling in \"ingestion.date_pattern\"",
                text::count(self.rows),
                text::plural(all as u64, "new row"),
                text::name(column)
            )
        })
    }

    /// Why rows count as older than others by the value in `column`, if there are any that have one.
    pub(crate) fn not_in_order(&self, column: &str) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(format!(
            "{} a value in the column \"{}\" (\"ingestion.order_by\") that is {NO_TIME}, such as \
             \"{first}\": they count as older than all rows of their key that have a time",
            match self.misread {
                1 => "1 row has".to_owned(),
                n => format!("{} rows have", text::count(n)),
            },
            text::name(column)
        ))
    }
}

/// Whether `text` is read as the time of a row, where the column is no number and no date of the schema.
pub fn is_time(text: &str) -> bool {
    parse(text).is_some()
}

/// What a text is that cannot be read as a time.
pub const NO_TIME: &str = "neither a number nor a time such as 2024-03-31 or 2024-03-31T14:05:00";

/// A number as it is, a date as seconds since 1970; without a time zone it is in UTC.
fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return Some(number).filter(|n| n.is_finite());
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(seconds(date.and_hms_opt(0, 0, 0)?));
    }
    let month = || {
        let first = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok()?;
        first.and_hms_opt(0, 0, 0)
    };
    iso_time(text).or_else(month).map(seconds)
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
            ("1970-01-01 02:00:00+02", Some(0.0)),
            ("1970-01-01 00:00:00.25-0100", Some(3_600.25)),
            ("01/02/1970", None),
            ("yesterday", None),
            ("1970-13-01", None),
            ("inf", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_time_is_counted_with_an_example() {
        use crate::table::schema::SchemaFields;
        let schema = Schema::new(SchemaFields {
            id: &["day".to_owned()],
            target: "left",
            ..SchemaFields::default()
        });
        let mut table = Table::new(&schema);
        for day in ["2024-03-31", "", "25.05.2024", "31.12.2024"] {
            table.ids[0].push(day);
        }
        let moments = MomentColumn::of(&schema, "day").unwrap();
        let mut untimed = Untimed::default();
        assert!(
            untimed.at(moments, &table, 0).is_some() && untimed.at(moments, &table, 1).is_none()
        );
        assert!(untimed.not_in_order("day").is_none(), "an empty cell is no mistake");
        let words = untimed.not_held_out(2, "day").unwrap();
        assert!(words.starts_with("1 of 2 new rows have no time in the column \"day\""), "{words}");
        for i in [2, 3] {
            assert_eq!(untimed.at(moments, &table, i), None);
        }
        for words in [untimed.not_in_order("day").unwrap(), untimed.not_held_out(4, "day").unwrap()]
        {
            assert!(words.contains("\"25.05.2024\"") && words.contains("2024-03-31"), "{words}");
        }
    }
}
