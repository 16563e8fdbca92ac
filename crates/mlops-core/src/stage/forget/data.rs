//! The rows of a person in data sets, and the version without them.
//!
//! Not for other files: see [`super::ours`] and [`super::elsewhere`].

use std::collections::HashSet;
use std::path::Path;

use super::people::People;
use crate::csv::canonical_cells::CanonicalCells;
use crate::csv::reader::{Reading, RowReader};
use crate::dataset::builder::Built;
use crate::dataset::counts::{FileCounts, not_as_recorded};
use crate::dataset::rows::RowFile;
use crate::ids::DatasetVersion;
use crate::ledger::{DatasetRecord, Ledger, Segment};
use crate::model::golden::GoldenRow;
use crate::run::context::Context;
use crate::stage::ingest::part::{From, Part, Recount};
use crate::table::date::canonical;
use crate::table::number;
use crate::table::schema::{Role, Schema};
use crate::{Error, Result};

/// The values of a row that a model sees: numbers, to nine digits, since JSON may lose the last ones, and texts
/// of categories.
type Features = (Vec<Option<String>>, Vec<String>);

/// What data sets have of the people.
#[derive(Default)]
pub(super) struct InData {
    /// The number of their rows, by segment of the newest version.
    pub(super) by_segment: Vec<u64>,
    /// What models see of all their rows that were found.
    features: HashSet<Features>,
}

impl InData {
    /// Finds their rows in the newest version, which has the segments `held`.
    pub(super) fn of(
        context: &Context,
        schema: &Schema,
        last: &DatasetRecord,
        held: &[Segment],
        people: &People,
    ) -> Result<Self> {
        let mut found = Self { by_segment: vec![0; held.len()], ..Self::default() };
        let (mut number, mut at) = (0, 0);
        let reading = each_row(context, schema, &last.location, people, |row, is| {
            while held.get(at).is_some_and(|s| number >= s.first_row + s.rows) {
                at += 1;
            }
            number += 1;
            if is {
                found.note(schema, row);
                if let Some(rows) = found.by_segment.get_mut(at) {
                    *rows += 1;
                }
            }
            Ok(())
        })?;
        if reading.digest == last.sha256 { Ok(found) } else { Err(not_as_recorded(&last.location)) }
    }

    /// Finds their rows in the data set at `path`; returns their number.
    pub(super) fn look(
        &mut self,
        context: &Context,
        schema: &Schema,
        path: &Path,
        people: &People,
    ) -> Result<u64> {
        let mut rows = 0;
        each_row(context, schema, path, people, |row, is| {
            if is {
                self.note(schema, row);
                rows += 1;
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// The number of their rows in the newest version.
    pub(super) fn rows(&self) -> u64 {
        self.by_segment.iter().sum()
    }

    /// The version in which the first of these came.
    pub(super) fn since(&self, held: &[Segment]) -> Option<DatasetVersion> {
        let with = held.iter().zip(&self.by_segment).filter(|(_, rows)| **rows > 0);
        with.map(|(segment, _)| segment.batch).min()
    }

    /// Whether a golden row has the values of one of their rows.
    pub(super) fn has(&self, row: &GoldenRow) -> bool {
        let numbers = row.numeric.iter().map(|value| value.map(spelt)).collect();
        self.features.contains(&(numbers, row.categorical.clone()))
    }

    fn note(&mut self, schema: &Schema, row: &[u8]) {
        let mut cells = CanonicalCells::default();
        cells.look_at(row);
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        for (at, column) in schema.columns().iter().enumerate() {
            let value = cells.value(row, at);
            match column.role {
                Role::Numeric => {
                    numbers.push((!value.is_empty()).then(|| spelt(number(&value))));
                }
                Role::Date => numbers.push(canonical(&value).filter(|d| !d.is_nan()).map(spelt)),
                Role::Categorical => texts.push(String::from_utf8_lossy(&value).into_owned()),
                Role::Id | Role::Target => {}
            }
        }
        self.features.insert((numbers, texts));
    }
}

fn spelt(value: f64) -> String {
    format!("{value:.9e}")
}

/// Passes each row of a file of our own, and whether it is one of the people's.
pub(super) fn each_row(
    context: &Context,
    schema: &Schema,
    path: &Path,
    people: &People,
    mut visit: impl FnMut(&[u8], bool) -> Result<()>,
) -> Result<Reading> {
    let options = context.config.ingestion.without_line_limit();
    let reader = RowReader::labelled(schema, &options).on_threads(context.config.limits.threads);
    let mut cells = CanonicalCells::default();
    reader.rows(path, |row| visit(row, people.forgotten.has_row(row, &mut cells)))
}

/// The newest version without the people's rows, under a temporary name.
pub(super) fn without(
    context: &Context,
    schema: &Schema,
    last: &DatasetRecord,
    people: &People,
) -> Result<Built> {
    let place = context.config.output_folder.join("finaldata.csv");
    let mut file = RowFile::create(&context.disk, &place, &schema.header())?;
    let reading = each_row(context, schema, &last.location, people, |row, is| {
        if is { Ok(()) } else { file.append(row) }
    })?;
    if reading.digest != last.sha256 {
        return Err(not_as_recorded(&last.location));
    }
    Built::of_rows(file, schema.negative_label().map(str::to_owned))
}

/// The contents `held` as they are in the version without the rows that `found` has. The counts of those that
/// lose rows are taken from `counts`.
pub(super) fn parts(
    ledger: &Ledger,
    held: &[Segment],
    found: &InData,
    counts: &mut Vec<(crate::platform::digest::Digest, FileCounts)>,
) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for (segment, gone) in held.iter().zip(&found.by_segment) {
        let left = segment.rows - gone;
        let mut recount = Recount::No;
        if *gone > 0 {
            let at = counts.iter().position(|(digest, _)| *digest == segment.sha256);
            let mut now = match at {
                Some(at) => counts.swap_remove(at).1,
                None => match ledger.taken(segment.sha256)? {
                    Some(record) => record.counts,
                    None => {
                        return Err(Error::conflict(format!(
                            "the ledger has no record of {}, whose rows are in the data set: restore it \
                             from a backup",
                            segment.location
                        )));
                    }
                },
            };
            now.rows_kept = now.rows_kept.saturating_sub(*gone);
            now.forgotten += gone;
            recount = Recount::To(Box::new(now));
        }
        parts.push(Part {
            sha256: segment.sha256,
            location: segment.location.clone(),
            replaces: segment.replaces,
            counts: FileCounts::of_kept(left),
            record: None,
            recount,
            from: From::LastDataSet(segment.first_row, segment.rows),
        });
    }
    Ok(parts)
}
