//! Statistics of all columns of a file, in one pass.
//!
//! Not for a single column: see the siblings.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CategoricalProfile, CategoricalSummary, NumericProfile, NumericSummary};
use crate::Result;
use crate::csv::reader::{Reading, RowReader};
use crate::table::Table;
use crate::table::schema::{Role, Schema};

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
    /// Numbers; the target as 1 for the positive label and 0 for the other.
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
    categorical: Vec<CategoricalProfile>,
    target: NumericProfile,
    rows: u64,
}

impl ColumnsProfile {
    /// Starts without rows of `schema`.
    pub fn new(schema: &Schema) -> Self {
        Self {
            ids: vec![(0, 0); schema.count(Role::Id)],
            numeric: (0..schema.count(Role::Numeric)).map(|_| NumericProfile::new()).collect(),
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
        for (profile, column) in self.numeric.iter_mut().zip(&table.numeric) {
            profile.extend(column);
        }
        for (profile, column) in self.categorical.iter_mut().zip(&table.categorical) {
            column.iter().for_each(|text| profile.push(Some(text).filter(|t| !t.is_empty())));
        }
        let positives = table.labels.iter().map(|label| u64::from(*label)).sum();
        self.target.push_times(0.0, table.labels.len() as u64 - positives);
        self.target.push_times(1.0, positives);
        self.rows += table.len() as u64;
    }

    /// Adds the profiles of other rows.
    pub fn merge(&mut self, other: Self) {
        for ((count, missing), (there, gaps)) in self.ids.iter_mut().zip(other.ids) {
            *count += there;
            *missing += gaps;
        }
        self.numeric.iter_mut().zip(other.numeric).for_each(|(mine, theirs)| mine.merge(theirs));
        let categorical = self.categorical.iter_mut().zip(other.categorical);
        categorical.for_each(|(mine, theirs)| mine.merge(theirs));
        self.target.merge(other.target);
        self.rows += other.rows;
    }

    /// The number of rows added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The statistics, in schema order; a target without any label is left out.
    pub fn finish(self, schema: &Schema) -> Vec<ColumnProfile> {
        let ids = self.ids.into_iter().map(|(count, missing)| {
            let missing_percent = 100.0 * missing as f64 / (count + missing).max(1) as f64;
            ColumnSummary::Id { count, missing, missing_percent }
        });
        let numeric = self.numeric.into_iter().map(|p| ColumnSummary::Numeric(p.finish()));
        let categorical =
            self.categorical.into_iter().map(|p| ColumnSummary::Categorical(p.finish()));
        let target = self.target.finish();
        let target = (target.count > 0).then_some(ColumnSummary::Numeric(target));
        ids.chain(numeric)
            .chain(categorical)
            .chain(target)
            .zip(schema.columns())
            .map(|(summary, column)| ColumnProfile {
                name: column.name.clone(),
                role: column.role,
                summary,
            })
            .collect()
    }
}

/// Profiles the file that `reader` reads at `path`.
pub fn profile_file(
    reader: &RowReader,
    schema: &Schema,
    path: &Path,
) -> Result<(Vec<ColumnProfile>, Reading)> {
    let new = || ColumnsProfile::new(schema);
    let add = |profile: &mut ColumnsProfile, table: &mut Table, (): &mut ()| profile.add(table);
    let (reading, profiles) = reader.without_hashes().each(path, new, add, |()| Ok(()))?;
    let mut profile = new();
    for part in profiles {
        profile.merge(part);
    }
    Ok((profile.finish(schema), reading))
}
