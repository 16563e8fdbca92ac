//! From dates to features: the age in days, the month and the weekday.
//!
//! A missing date is replaced first, by the median or mean of the column's dates, if the policy
//! imputes. Not for reading dates: see `table::date`.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::table::date::{month_and_weekday, spell};

const MONTHS: usize = 12;
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// A column of dates.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub struct DateFeature {
    /// The column's name.
    pub name: String,
    /// The date that replaces a missing one, in days since 1970, if the policy imputes.
    pub fill: Option<f64>,
    /// The day at which its age is a feature.
    pub reference: AgeAt,
    /// Whether each month has a feature.
    pub month: bool,
    /// Whether each weekday has a feature.
    pub weekday: bool,
}

/// The day at which the age of a date is taken.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub enum AgeAt {
    /// The age is no feature.
    Nothing,
    /// A fixed day, in days since 1970.
    Day(f64),
    /// The date in another column of the row, by its place among the columns of dates.
    Column(u32),
}

impl DateFeature {
    /// Number of features.
    pub fn width(&self) -> usize {
        self.ages() + MONTHS * usize::from(self.month) + WEEKDAYS.len() * usize::from(self.weekday)
    }

    /// Whether the age is a feature, the first one.
    pub fn has_age(&self) -> bool {
        self.ages() > 0
    }

    /// How many features are ages: one, or none.
    pub(super) fn ages(&self) -> usize {
        usize::from(self.reference != AgeAt::Nothing)
    }

    /// The date, or what replaces a missing one; NaN if nothing does.
    pub(super) fn filled(&self, days: f64) -> f64 {
        if days.is_nan() { self.fill.unwrap_or(days) } else { days }
    }

    /// The names of the features.
    pub(super) fn feature_names(&self) -> impl Iterator<Item = String> {
        let age = (self.ages() > 0).then(|| format!("{} (age in days)", self.name));
        let months = (1..=MONTHS).map(|month| format!("{} (month)={month:02}", self.name));
        let weekdays = WEEKDAYS.iter().map(|day| format!("{} (weekday)={day}", self.name));
        let months = months.take(MONTHS * usize::from(self.month));
        age.into_iter()
            .chain(months)
            .chain(weekdays.take(WEEKDAYS.len() * usize::from(self.weekday)))
    }

    /// The groups of features of which one is 1: first feature and number.
    pub fn categories(&self) -> impl Iterator<Item = (usize, usize)> {
        let first = self.ages();
        let months = self.month.then_some((first, MONTHS));
        let weekdays = first + MONTHS * usize::from(self.month);
        months.into_iter().chain(self.weekday.then_some((weekdays, WEEKDAYS.len())))
    }

    /// What the column is compared with, for people: a day or the name of one of `columns`.
    pub(super) fn against(&self, columns: &[Self]) -> Option<String> {
        match self.reference {
            AgeAt::Nothing => None,
            AgeAt::Day(day) => Some(spell(day)),
            AgeAt::Column(at) => columns.get(at as usize).map(|column| column.name.clone()),
        }
    }
}

/// The age that is a feature of the column `at` of `columns`, in days, for a row with these `dates`,
/// one for each column in days since 1970; NaN if a missing one forbids it, `None` if the age is no
/// feature.
pub fn age(columns: &[DateFeature], at: usize, dates: impl Fn(usize) -> f64) -> Option<f64> {
    let date = columns[at].filled(dates(at));
    match columns[at].reference {
        AgeAt::Nothing => None,
        AgeAt::Day(day) => Some(day - date),
        AgeAt::Column(other) => {
            let other = other as usize;
            let reference = columns.get(other).map(|column| column.filled(dates(other)));
            Some(reference.unwrap_or(f64::NAN) - date)
        }
    }
}

impl DateFeature {
    /// The features that are 1 for the date `days`: that of its month and that of its weekday.
    pub(super) fn ones(&self, days: f64) -> impl Iterator<Item = usize> {
        let (months, weekdays) = (self.month, self.weekday);
        let first = self.ages();
        let found = month_and_weekday(self.filled(days)).into_iter();
        found.flat_map(move |(month, weekday)| {
            let after = first + MONTHS * usize::from(months);
            let month = months.then_some(first + month);
            month.into_iter().chain(weekdays.then_some(after + weekday))
        })
    }
}

/// Feature `j` of the column `at` of `columns`, as [`age`] has its arguments; NaN if a missing date
/// forbids it.
pub fn feature(columns: &[DateFeature], at: usize, j: usize, dates: impl Fn(usize) -> f64) -> f64 {
    let column = &columns[at];
    let days = column.filled(dates(at));
    if j < column.ages() {
        return age(columns, at, dates).unwrap_or(f64::NAN);
    }
    if days.is_nan() { days } else { f64::from(u8::from(column.ones(days).any(|one| one == j))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_months_and_weekdays_are_features() {
        let column = |name: &str, reference, month, weekday| DateFeature {
            name: name.to_owned(),
            fill: Some(100.0),
            reference,
            month,
            weekday,
        };
        let columns = [
            column("opened", AgeAt::Column(1), true, true),
            column("applied", AgeAt::Day(20_000.0), false, false),
        ];
        assert_eq!((columns[0].width(), columns[1].width()), (20, 1));
        let names: Vec<String> = columns[0].feature_names().collect();
        assert_eq!(names[0], "opened (age in days)");
        assert_eq!(
            (names[1].as_str(), names[19].as_str()),
            ("opened (month)=01", "opened (weekday)=Sun")
        );
        assert_eq!(columns[0].categories().collect::<Vec<_>>(), [(1, 12), (13, 7)]);
        // 31 March 2024, a Sunday, and nine days later.
        let dates = |at: usize| [19_813.0, 19_822.5][at];
        let row: Vec<f64> = (0..20).map(|j| feature(&columns, 0, j, dates)).collect();
        assert_eq!(row[0].to_bits(), 9.5_f64.to_bits());
        let ones: Vec<usize> = (1..20).filter(|j| row[*j] > 0.0).collect();
        assert_eq!(ones, [3, 19]);
        assert_eq!(feature(&columns, 1, 0, dates).to_bits(), 177.5_f64.to_bits());
        // A missing date is that which replaces it.
        assert!(feature(&columns, 0, 0, |_| f64::NAN).abs() < f64::MIN_POSITIVE);
        let strict = columns.map(|column| DateFeature { fill: None, ..column });
        assert!((0..20).all(|j| feature(&strict, 0, j, |_| f64::NAN).is_nan()));
        assert_eq!(
            columns_against(&strict),
            [Some("applied".to_owned()), Some("2024-10-04".to_owned())]
        );
    }

    fn columns_against(columns: &[DateFeature]) -> Vec<Option<String>> {
        columns.iter().map(|column| column.against(columns)).collect()
    }
}
