//! Statistics of all columns of a file, in one pass over it where memory allows. Numbers that differ
//! take memory each: where they would be too many, the last columns wait for another pass.
//!
//! Not for a single column: see the siblings.

use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CategoricalProfile, CategoricalSummary, NumericProfile, NumericSummary};
use crate::csv::reader::{Reading, RowReader};
use crate::table::Table;
use crate::table::schema::{Column, Role, Schema};
use crate::{Error, Result};

/// A column with its statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// The column's name.
    pub name: String,
    /// How the column is used.
    pub role: Role,
    /// Its statistics.
    #[serde(flatten)]
    pub summary: ColumnSummary,
}

/// Statistics by kind of column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ColumnSummary {
    /// Numbers, and dates as days since 1970; the target as 1 for the positive label and 0 for the other.
    Numeric(NumericSummary),
    /// Texts.
    Categorical(CategoricalSummary),
    /// Ids: how many there are, and how many are missing.
    Id {
        /// Number of ids present.
        count: u64,
        /// Number of empty cells.
        missing: u64,
        /// Share of empty cells in percent.
        missing_percent: f64,
    },
}

impl ColumnSummary {
    /// The number of values, of missing values, and the percentage of the latter.
    pub fn presence(&self) -> (u64, u64, f64) {
        match self {
            Self::Numeric(s) => (s.count, s.missing, s.missing_percent),
            Self::Categorical(s) => (s.count, s.missing, s.missing_percent),
            Self::Id { count, missing, missing_percent } => (*count, *missing, *missing_percent),
        }
    }

    /// The statistics, if the column is numeric.
    pub fn numeric(&self) -> Option<&NumericSummary> {
        match self {
            Self::Numeric(summary) => Some(summary),
            _ => None,
        }
    }
}

/// Profiles all columns of a schema, batch by batch.
#[derive(Debug)]
pub struct ColumnsProfile {
    ids: Vec<(u64, u64)>,
    numeric: Vec<NumericProfile>,
    /// The numeric columns that are counted; the others wait.
    counted: Range<usize>,
    /// How many bytes their counts take.
    bytes: usize,
    /// How many bytes they may take.
    room: usize,
    categorical: Vec<CategoricalProfile>,
    target: NumericProfile,
    rows: u64,
}

impl ColumnsProfile {
    /// No rows of `schema` yet; counts of numbers take about `room` bytes, one column more at most.
    pub fn new(schema: &Schema, room: usize) -> Self {
        Self {
            ids: vec![(0, 0); schema.count(Role::Id)],
            numeric: schema.numbers().map(|_| NumericProfile::new()).collect(),
            counted: 0..schema.numbers().count(),
            bytes: 0,
            room,
            categorical: (0..schema.count(Role::Categorical))
                .map(|_| CategoricalProfile::new())
                .collect(),
            target: NumericProfile::new(),
            rows: 0,
        }
    }

    /// Adds a batch that a reader filled.
    pub fn add(&mut self, table: &Table) {
        for ((count, missing), (there, gaps)) in self.ids.iter_mut().zip(&table.id_cells) {
            *count += there;
            *missing += gaps;
        }
        for (profile, column) in self.categorical.iter_mut().zip(&table.categorical) {
            column.iter().for_each(|text| profile.push(Some(text).filter(|t| !t.is_empty())));
        }
        let positives = table.labels.iter().map(|label| u64::from(*label)).sum();
        self.target.push_times(0.0, table.labels.len() as u64 - positives);
        self.target.push_times(1.0, positives);
        self.add_numbers(table);
    }

    fn add_numbers(&mut self, table: &Table) {
        self.rows += table.len() as u64;
        let mut j = self.counted.start;
        while j < self.counted.end {
            let before = self.numeric[j].bytes();
            self.numeric[j].extend(&table.numeric[j]);
            self.bytes = self.bytes + self.numeric[j].bytes() - before;
            while self.bytes > self.room && self.counted.len() > 1 {
                self.counted.end -= 1;
                let last = std::mem::take(&mut self.numeric[self.counted.end]);
                self.bytes -= last.bytes();
            }
            j += 1;
        }
    }

    /// The counts of each column that has any, in schema order: numbers, texts, the target. Nothing waits.
    pub(super) fn into_counts(self) -> (Vec<(u64, u64)>, Vec<Counts>) {
        let numbers = |column: NumericProfile| Counts::Numbers(column.into_runs());
        let texts = self.categorical.into_iter().map(|column| Counts::Texts(column.into_counts()));
        let numeric = self.numeric.into_iter().map(numbers);
        (self.ids, numeric.chain(texts).chain([numbers(self.target)]).collect())
    }

    /// Adds what was seen of other rows, but for the numbers.
    fn merge(&mut self, other: Self) {
        for ((count, missing), (there, gaps)) in self.ids.iter_mut().zip(other.ids) {
            *count += there;
            *missing += gaps;
        }
        let categorical = self.categorical.iter_mut().zip(other.categorical);
        categorical.for_each(|(mine, theirs)| mine.merge(theirs));
        self.target.merge(other.target);
        self.rows += other.rows;
    }

    /// The statistics of the file at `path`, in schema order, of which `parts` saw all rows; columns that
    /// waited are read by `reader` now, as it made `reading`. A target without any label is left out.
    ///
    /// # Errors
    /// As reading does; and where the file is not what it was.
    pub fn finish(
        mut parts: Vec<Self>,
        schema: &Schema,
        reader: &RowReader,
        path: &Path,
        reading: &Reading,
    ) -> Result<Vec<ColumnProfile>> {
        let room = parts.first().map_or(usize::MAX, |part| part.room);
        let mut all = Self::new(schema, room);
        let mut numeric = Vec::new();
        loop {
            let end = parts.iter().map(|part| part.counted.end).min().unwrap_or(all.numeric.len());
            let begin = numeric.len();
            for j in begin..end {
                let mut column = NumericProfile::new();
                let of_parts = parts.iter_mut().map(|part| std::mem::take(&mut part.numeric[j]));
                of_parts.for_each(|part| column.merge(part));
                numeric.push(ColumnSummary::Numeric(column.finish()));
            }
            if all.rows == 0 {
                for part in parts {
                    all.merge(part);
                }
            } else if parts.iter().map(|part| part.rows).sum::<u64>() != all.rows {
                return Err(Error::conflict(format!(
                    "{} changed while it was read: run again",
                    path.display()
                )));
            }
            if numeric.len() == all.numeric.len() {
                break;
            }
            // As many as before will fit again, and more where they differ less.
            let next = numeric.len()..all.numeric.len().min(numeric.len() + 2 * (end - begin));
            let new = || Self { counted: next.clone(), ..Self::new(schema, room) };
            let add = |part: &mut Self, table: &mut Table, (): &mut ()| part.add_numbers(table);
            let reader = match reading.rejected {
                0 => reader.again(&next),
                _ => reader.without_hashes().without_digest(),
            };
            parts = reader.each(path, new, add, |()| Ok(()))?.1;
        }
        Ok(all.summaries(numeric, schema))
    }

    /// The statistics of these rows alone, of which no column waits.
    #[cfg(test)]
    pub(super) fn finished(mut self, schema: &Schema) -> Vec<ColumnProfile> {
        let numeric = std::mem::take(&mut self.numeric);
        let numeric = numeric.into_iter().map(|column| ColumnSummary::Numeric(column.finish()));
        self.summaries(numeric.collect(), schema)
    }

    fn summaries(self, numeric: Vec<ColumnSummary>, schema: &Schema) -> Vec<ColumnProfile> {
        let categorical =
            self.categorical.into_iter().map(|p| ColumnSummary::Categorical(p.finish()));
        let target = ColumnSummary::Numeric(self.target.finish());
        let counted = numeric.into_iter().chain(categorical).chain([target]);
        in_schema_order(self.ids, counted, schema)
    }
}

/// The counts of a column: how many cells are missing, and the others by value, ascending.
pub(super) enum Counts {
    Numbers((u64, Vec<(f64, u64)>)),
    Texts((u64, Vec<(String, u64)>)),
}

/// All columns in schema order: the ids of which so many are there and missing, and those that were `counted`, of
/// which the target is the last. A target without any label is left out.
pub(super) fn in_schema_order(
    ids: Vec<(u64, u64)>,
    counted: impl Iterator<Item = ColumnSummary>,
    schema: &Schema,
) -> Vec<ColumnProfile> {
    let ids = ids.into_iter().map(|(count, missing)| {
        let missing_percent = 100.0 * missing as f64 / (count + missing).max(1) as f64;
        ColumnSummary::Id { count, missing, missing_percent }
    });
    let mut all: Vec<ColumnSummary> = ids.chain(counted).collect();
    if all.last().is_some_and(|target| target.presence().0 == 0) {
        all.pop();
    }
    let named = |(summary, column): (ColumnSummary, &Column)| ColumnProfile {
        name: column.name.clone(),
        role: column.role,
        summary,
    };
    all.into_iter().zip(schema.columns()).map(named).collect()
}

/// Profiles the file that `reader` reads at `path`; each of its threads counts in about `room` bytes.
pub fn profile_file(
    reader: &RowReader,
    schema: &Schema,
    path: &Path,
    room: usize,
) -> Result<(Vec<ColumnProfile>, Reading)> {
    let new = || ColumnsProfile::new(schema, room);
    let add = |profile: &mut ColumnsProfile, table: &mut Table, (): &mut ()| profile.add(table);
    let (reading, parts) = reader.without_hashes().each(path, new, add, |()| Ok(()))?;
    Ok((ColumnsProfile::finish(parts, schema, reader, path, &reading)?, reading))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Ingestion;
    use crate::table::schema::SchemaFields;

    #[test]
    fn columns_that_wait_for_another_pass_are_the_same_to_the_bit() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let numeric = ["a", "b", "c", "d", "e"];
        let schema = Schema::new(SchemaFields {
            id: &names(&["id"]),
            numeric: &names(&numeric),
            categorical: &names(&["t"]),
            target: "y",
            positive_label: "1",
            ..SchemaFields::default()
        });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let row = |i: u32| {
            let cell = |j: u32| match (i + j) % 7 {
                0 => String::new(),
                _ => format!("{}.{}", i * (j + 1) % 97, i % 13),
            };
            let cells: Vec<String> = (0..5).map(cell).collect();
            format!("r{i},{},t{},{}\n", cells.join(","), i % 3, i % 2)
        };
        let rows = |range: Range<u32>| range.map(row).collect::<String>();
        let untidy = "\"r,0\",1,,\"2\",3,\"4\",\"t,1\",1\r\n\n";
        let options = Ingestion::default();
        for (between, rejected) in [("", 0), (untidy, 0), ("r,1,2,no,4,5,t,1\n", 1)] {
            let text = ["id,a,b,c,d,e,t,y\n", &rows(0..2000), between, &rows(2000..5000)].concat();
            #[expect(clippy::disallowed_methods, reason = "a test sets the scene")]
            std::fs::write(&path, text).unwrap();
            for threads in [1, 3] {
                let reader = RowReader::labelled(&schema, &options).on_threads(threads);
                let reader = reader.with_chunk_bytes(1 << 14);
                let of = |room| profile_file(&reader, &schema, &path, room).unwrap();
                let (expected, reading) = of(usize::MAX);
                assert_eq!((expected.len(), reading.rejected), (8, rejected));
                assert_eq!(reading.rows_read, 5000 + u64::from(!between.is_empty()));
                for room in [0, 2_000, 20_000, 60_000] {
                    let (found, again) = of(room);
                    assert_eq!((found, again), (expected.clone(), reading.clone()), "{room}");
                }
            }
        }
    }
}
