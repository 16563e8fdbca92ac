//! The profile of a column of texts.
//!
//! Memory grows with the number of distinct values, not of rows. Not for columns of free text.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::percent;

/// The maximum number of values in [`CategoricalSummary::top`].
pub const TOP: usize = 10;

/// Counts of the texts of a column.
#[derive(Debug, Clone, Default)]
pub struct CategoricalProfile {
    missing: u64,
    counts: HashMap<String, u64>,
}

/// The statistics of a column of texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CategoricalSummary {
    /// Number of cells with a value.
    pub count: u64,
    /// Number of cells without a value.
    pub missing: u64,
    /// Share of cells without a value, in percent.
    pub missing_percent: f64,
    /// Number of distinct values.
    pub distinct: u64,
    /// The most frequent values with their counts, at most [`TOP`]; ties are ordered by value.
    pub top: Vec<(String, u64)>,
}

impl CategoricalProfile {
    /// An empty profile.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one cell; `None` is a missing one.
    pub fn push(&mut self, value: Option<&str>) {
        match value {
            None => self.missing += 1,
            Some(value) => self.add(value, 1),
        }
    }

    /// Adds all cells of another part of the column.
    pub fn merge(&mut self, mut other: Self) {
        if other.counts.len() > self.counts.len() {
            std::mem::swap(self, &mut other);
        }
        self.missing += other.missing;
        for (value, count) in other.counts {
            *self.counts.entry(value).or_default() += count;
        }
    }

    /// The summary of all cells so far.
    pub fn finish(self) -> CategoricalSummary {
        let mut top = Top::default();
        self.counts.into_iter().for_each(|(value, count)| top.add(&value, count));
        top.finish(self.missing)
    }

    /// How many cells have no value, and the others with their counts, ascending.
    pub(super) fn into_counts(self) -> (u64, Vec<(String, u64)>) {
        let mut counts: Vec<(String, u64)> = self.counts.into_iter().collect();
        counts.sort_unstable();
        (self.missing, counts)
    }

    fn add(&mut self, value: &str, count: u64) {
        // A lookup first saves an allocation for every known value.
        if let Some(known) = self.counts.get_mut(value) {
            *known += count;
        } else {
            self.counts.insert(value.to_owned(), count);
        }
    }
}

/// The most frequent of many different values.
#[derive(Default)]
pub(super) struct Top {
    count: u64,
    distinct: u64,
    /// In their order, at most [`TOP`].
    values: Vec<(String, u64)>,
}

impl Top {
    /// Adds a value that was not added before, with its count.
    pub(super) fn add(&mut self, value: &str, count: u64) {
        self.count += count;
        self.distinct += 1;
        let before = |(text, times): &(String, u64)| {
            count.cmp(times).then_with(|| text.as_str().cmp(value)).is_lt()
        };
        let at = self.values.partition_point(before);
        if at < TOP {
            self.values.truncate(TOP - 1);
            self.values.insert(at, (value.to_owned(), count));
        }
    }

    /// The summary of these and of `missing` cells without a value.
    pub(super) fn finish(self, missing: u64) -> CategoricalSummary {
        let Self { count, distinct, values: top } = self;
        let missing_percent = percent(missing, count);
        CategoricalSummary { count, missing, missing_percent, distinct, top }
    }
}

impl<'a> Extend<Option<&'a str>> for CategoricalProfile {
    fn extend<I: IntoIterator<Item = Option<&'a str>>>(&mut self, cells: I) {
        cells.into_iter().for_each(|cell| self.push(cell));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(cells: &[Option<&str>]) -> CategoricalProfile {
        let mut profile = CategoricalProfile::new();
        profile.extend(cells.iter().copied());
        profile
    }

    #[test]
    fn the_most_frequent_first_and_ties_by_value() {
        let summary = profile(&[Some("b"), Some("c"), None, Some("a"), Some("c")]).finish();
        assert_eq!((summary.count, summary.missing, summary.distinct), (4, 1, 3));
        assert!((summary.missing_percent - 20.0).abs() < 1e-12);
        let top: Vec<_> = summary.top.iter().map(|(v, n)| (v.as_str(), *n)).collect();
        assert_eq!(top, [("c", 2), ("a", 1), ("b", 1)]);
    }

    #[test]
    fn ten_of_many() {
        let names: Vec<String> = (0..500).map(|i| format!("name{:03}", i * 7 % 250)).collect();
        let mut left = CategoricalProfile::new();
        let mut right = CategoricalProfile::new();
        left.extend(names[..130].iter().map(|n| Some(n.as_str())));
        right.extend(names[130..].iter().map(|n| Some(n.as_str())));
        left.merge(right);
        let summary = left.finish();
        assert_eq!((summary.count, summary.distinct, summary.top.len()), (500, 250, TOP));
        assert_eq!(summary.top[9], ("name009".to_owned(), 2));
    }

    #[test]
    fn an_empty_column() {
        let summary = CategoricalProfile::new().finish();
        assert_eq!((summary.count, summary.distinct, summary.top.len()), (0, 0, 0));
        assert!(summary.missing_percent.abs() < 1e-12);
    }
}
