//! Dates that lie after the time of their row, `holdout.time`: they were not known then.
//!
//! Whole days are compared, so that a time of day is never after the date of the same day. A date that
//! is later in only some rows is no sign: it may as well be unrelated. Not for columns that rank the
//! label: see [`super::leak`].

use super::leak::{Leak, Sign};
use super::moment::MomentColumn;
use crate::config::Holdout;
use crate::table::Table;
use crate::table::schema::{Role, Schema};

/// A column is reported from this share of the rows that have both dates.
pub const MOST_ROWS: f64 = 0.9;
/// The fewest rows that have both.
const MIN_ROWS: u64 = 20;

/// The columns of dates that are compared with the time of a row.
#[derive(Debug, Clone)]
pub struct DatedRows {
    moments: MomentColumn,
    /// Whether the time is itself a column of dates, in days; other dates are in seconds.
    in_days: bool,
    /// Names and places among the numbers of a table.
    columns: Vec<(String, usize)>,
}

/// How many rows have a date and a time, and in how many the date is later, for each column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaterDates(Vec<(u64, u64)>);

impl DatedRows {
    /// The dates of `schema` beside the time of `holdout`; `None` if there is nothing to compare.
    pub fn of(holdout: &Holdout, schema: &Schema) -> Option<Self> {
        let time = holdout.time.as_deref()?;
        let role = schema.columns().iter().find(|column| column.name == time)?.role;
        // A number may count anything.
        if role == Role::Numeric {
            return None;
        }
        let dates = |name: &&str| schema.names(Role::Date).any(|date| date == *name);
        let numbers = schema.numbers().enumerate();
        let columns: Vec<(String, usize)> = numbers
            .filter(|(_, name)| *name != time && dates(name))
            .map(|(place, name)| (name.to_owned(), place))
            .collect();
        let moments = MomentColumn::of(schema, time)?;
        (!columns.is_empty()).then_some(Self { moments, in_days: role == Role::Date, columns })
    }

    /// Whether each row of `table`, read with its ids, has a time, and on which day since 1970.
    pub fn days(&self, table: &Table) -> Vec<Option<f64>> {
        let unit = if self.in_days { 1.0 } else { 86_400.0 };
        (0..table.len())
            .map(|i| self.moments.at(table, i).map(|moment| (moment / unit).floor()))
            .collect()
    }

    /// Compares the dates of `table` with the `days` of its rows.
    pub fn compare(&self, table: &Table, days: &[Option<f64>]) -> LaterDates {
        let of = |(_, place): &(String, usize)| {
            let dates = table.numeric[*place].iter().zip(days);
            let both = dates.filter_map(|(date, day)| Some((*date, (*day)?)));
            both.filter(|(date, _)| !date.is_nan()).fold((0, 0), |(rows, later), (date, day)| {
                (rows + 1, later + u64::from(date.floor() > day))
            })
        };
        LaterDates(self.columns.iter().map(of).collect())
    }

    /// The columns that are later in almost all rows.
    pub fn leaks(&self, found: &LaterDates) -> Vec<Leak> {
        let told = |(column, (rows, later)): (&(String, usize), &(u64, u64))| {
            let most = *rows >= MIN_ROWS && *later as f64 >= MOST_ROWS * *rows as f64;
            most.then(|| Leak {
                column: column.0.clone(),
                sign: Sign::LaterDates,
                roc_auc: None,
                rows: *rows,
                later: Some(*later),
            })
        };
        self.columns.iter().zip(&found.0).filter_map(told).collect()
    }
}

impl LaterDates {
    /// Adds the counts of `more` rows.
    pub fn append(&mut self, more: &Self) {
        self.0.resize(self.0.len().max(more.0.len()), (0, 0));
        for (sum, more) in self.0.iter_mut().zip(&more.0) {
            *sum = (sum.0 + more.0, sum.1 + more.1);
        }
    }
}
