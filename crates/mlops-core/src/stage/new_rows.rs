//! Finds the rows of a data set that came after an earlier version, by its segments, not by its
//! size.
//!
//! A rebuild adds no new rows, and a corrected file only those that it did not have before. Not for
//! using new rows: see [`super::decide`] and [`super::holdout`].

use std::ops::Range;
use std::path::Path;

use crate::Result;
use crate::csv::reader::{RowReader, RowSet};
use crate::evaluation::entity::{Identity, Members};
use crate::ids::DatasetVersion;
use crate::ledger::{DatasetRecord, Segment};
use crate::model::Model;
use crate::run::context::{Context, Workspace};
use crate::table::schema::Schema;

/// Row indices as ascending ranges, no two of which touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RowRanges(Vec<Range<u64>>);

impl RowRanges {
    /// The rows of the `segments` for which `wanted` returns true.
    pub(crate) fn of(segments: &[Segment], wanted: impl Fn(&Segment) -> bool) -> Self {
        let mut rows = Self::default();
        for segment in segments.iter().filter(|s| wanted(s)) {
            rows.push(segment.first_row..segment.first_row + segment.rows);
        }
        rows
    }

    /// Appends a range.
    fn push(&mut self, range: Range<u64>) {
        match self.0.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.0.push(range),
        }
    }

    /// The places, as ranges without their ends.
    pub(crate) fn places(&self) -> Vec<(u64, u64)> {
        self.0.iter().map(|range| (range.start, range.end)).collect()
    }

    /// Those at `places`, which ascend.
    pub(crate) fn at(places: &[(u64, u64)]) -> Self {
        let mut rows = Self::default();
        for (first, end) in places {
            rows.push(*first..*end);
        }
        rows
    }

    /// The last `rows` of them.
    pub(crate) fn last(&self, mut rows: u64) -> Self {
        let mut ranges = Vec::new();
        for range in self.0.iter().rev() {
            if rows == 0 {
                break;
            }
            let taken = rows.min(range.end - range.start);
            ranges.push((range.end - taken, range.end));
            rows -= taken;
        }
        ranges.reverse();
        Self::at(&ranges)
    }

    /// Those that are also in `other`.
    pub(crate) fn also_in(&self, other: &Self) -> Self {
        let mut rows = Self::default();
        for own in &self.0 {
            for theirs in &other.0 {
                rows.push(own.start.max(theirs.start)..own.end.min(theirs.end).max(own.start));
            }
        }
        rows
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether row `i` is included.
    pub(crate) fn has(&self, i: u64) -> bool {
        let next = self.0.partition_point(|range| range.end <= i);
        self.0.get(next).is_some_and(|range| range.start <= i)
    }

    /// Whether any row of `range` is included.
    pub(crate) fn meets(&self, range: &Range<u64>) -> bool {
        let next = self.0.partition_point(|own| own.end <= range.start);
        self.0.get(next).is_some_and(|own| own.start < range.end)
    }
}

/// The rows of `dataset` that came after version `before`; and a note on what could not be
/// determined.
pub(crate) fn after(
    context: &Context,
    workspace: &Workspace,
    schema: &Schema,
    dataset: &DatasetRecord,
    before: DatasetVersion,
) -> Result<(RowRanges, Option<String>)> {
    let segments = workspace.ledger.segments(dataset.version)?;
    let new = |s: &Segment| s.batch > before;
    let rows = RowRanges::of(&segments, new);
    // In corrections, rows that the file had before are not new.
    let corrected = RowRanges::of(&segments, |s| new(s) && s.replaces.is_some());
    // If equal rows count once, a rebuilt data set may have taken a row from another file.
    let one = !context.config.ingestion.keeps_equal_rows(schema);
    let anew = one && !continues(workspace, dataset, before)?;
    let candidates = if anew { &rows } else { &corrected };
    if candidates.len() == 0 {
        return Ok((rows, None));
    }
    let Some(earlier) = workspace.ledger.dataset(before)? else { return Ok((rows, None)) };
    let path = earlier.location.as_path();
    if !path.is_file() {
        let note = format!(
            "{} is gone, so that it is unknown which rows of the corrected files are new: all of \
             them count as new",
            earlier.name()
        );
        return Ok((rows, Some(note).filter(|_| corrected.len() > 0)));
    }
    let old = if one { None } else { Some(replaced(workspace, &segments, &earlier)?) };
    let paths = (path, dataset.location.as_path());
    let known = uncorrected(context, schema, candidates, old.as_ref(), paths)?;
    Ok((known.map_or(rows.clone(), |known| without(&rows, &known)), None))
}

/// The rows of `dataset` that `model`, which was trained on `version` of the data set, may have been trained
/// on. Without the rows that its window left out, if they are at the same places still.
pub(crate) fn trained_on(
    workspace: &Workspace,
    model: &Model,
    dataset: &DatasetRecord,
    version: DatasetVersion,
) -> Result<RowRanges> {
    let segments = workspace.ledger.segments(dataset.version)?;
    let rows = RowRanges::of(&segments, |segment| segment.batch <= version);
    let window = model.window.as_ref().filter(|window| !window.places.is_empty());
    Ok(match window {
        Some(window) if continues(workspace, dataset, version)? => {
            rows.also_in(&RowRanges::at(&window.places))
        }
        _ => rows,
    })
}

/// Whether `dataset` starts with all rows of version `before`, unchanged.
fn continues(
    workspace: &Workspace,
    dataset: &DatasetRecord,
    before: DatasetVersion,
) -> Result<bool> {
    let mut start = Some(dataset.version);
    while let Some(version) = start.filter(|version| *version > before) {
        start = workspace.ledger.dataset(version)?.and_then(|record| record.base);
    }
    Ok(start == Some(before))
}

/// The rows of the `earlier` data set whose files have other contents in `segments`, however often
/// they were corrected since.
fn replaced(
    workspace: &Workspace,
    segments: &[Segment],
    earlier: &DatasetRecord,
) -> Result<RowRanges> {
    let mut replaced = Vec::new();
    for segment in segments.iter().filter(|s| s.replaces.is_some()) {
        replaced.extend(workspace.ledger.predecessors(segment.sha256)?);
    }
    let old = workspace.ledger.segments(earlier.version)?;
    Ok(RowRanges::of(&old, |s| replaced.contains(&s.sha256)))
}

/// The indices of those `candidates` that the earlier data set had already, each as often as it
/// occurred among its rows `old`, or among all of them.
fn uncorrected(
    context: &Context,
    schema: &Schema,
    candidates: &RowRanges,
    old: Option<&RowRanges>,
    (earlier, dataset): (&Path, &Path),
) -> Result<Option<Vec<u64>>> {
    let options = context.config.ingestion.without_line_limit();
    let reader = RowReader::entities(schema, &options, context.config.limits.threads);
    let Some(entities) = Identity::Rows.hasher(schema, context.config.training.seed) else {
        return Ok(None);
    };
    let each = |path: &Path, rows: Option<&RowRanges>, visit: &mut dyn FnMut(u128, u64)| {
        let mut hashes = Vec::new();
        let mut seen = 0;
        reader.read(path, |table| {
            let first = seen;
            seen += table.len() as u64;
            if rows.is_none_or(|rows| rows.meets(&(first..seen))) {
                entities.of(table, &mut hashes);
                for (hash, i) in hashes.iter().zip(first..) {
                    if rows.is_none_or(|rows| rows.has(i)) {
                        visit(*hash, i);
                    }
                }
            }
            Ok(())
        })
    };
    let mut offered = Vec::new();
    each(dataset, Some(candidates), &mut |hash, i| offered.push((hash, i)))?;
    let asked: RowSet = offered.iter().map(|(hash, _)| *hash).collect();
    let mut had = Members::default();
    each(earlier, old, &mut |hash, _| {
        if asked.contains(&hash) {
            had.add(hash);
        }
    })?;
    let mut known = Vec::new();
    for (hash, i) in offered {
        if let Some(left) = had.0.get_mut(&hash).filter(|left| **left > 0) {
            *left -= 1;
            known.push(i);
        }
    }
    Ok(Some(known))
}

/// `rows` without those at the ascending indices `known`.
fn without(rows: &RowRanges, known: &[u64]) -> RowRanges {
    let mut left = RowRanges::default();
    let mut known = known.iter().peekable();
    for range in &rows.0 {
        let mut start = range.start;
        while let Some(i) = known.next_if(|i| **i < range.end) {
            if *i >= start {
                left.push(start..*i);
                start = *i + 1;
            }
        }
        left.push(start..range.end);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::digest::Digest;

    #[test]
    fn rows_are_those_of_the_segments_after_a_version() {
        let segment = |batch, first_row, rows| Segment {
            sha256: Digest::of(b"x"),
            location: crate::platform::location::Location::kept(String::new()),
            batch: DatasetVersion(batch),
            replaces: None,
            first_row,
            rows,
        };
        let segments = [
            segment(1, 0, 10),
            segment(3, 10, 5),
            segment(4, 15, 5),
            segment(1, 20, 4),
            segment(5, 24, 0),
            segment(5, 24, 2),
        ];
        let rows = RowRanges::of(&segments, |s| s.batch.0 > 1);
        assert_eq!((rows.0.clone(), rows.len()), (vec![10..20, 24..26], 12));
        let has: Vec<u64> = (0..30).filter(|i| rows.has(*i)).collect();
        assert_eq!(has, (10..20).chain(24..26).collect::<Vec<_>>());
        assert!(rows.meets(&(0..11)) && !rows.meets(&(20..24)) && rows.meets(&(25..90)));
        assert_eq!(without(&rows, &[10, 12, 19, 22, 24]).0, [11..12, 13..19, 25..26]);
        assert_eq!(without(&rows, &[]).0, rows.0);
        assert_eq!(rows.last(4).0, [18..20, 24..26]);
        assert_eq!((rows.last(0).0.len(), rows.last(99)), (0, rows.clone()));
        assert_eq!(RowRanges::at(&rows.places()), rows);
        let part = RowRanges::at(&[(0, 12), (15, 16), (19, 25)]);
        assert_eq!(rows.also_in(&part).0, [10..12, 15..16, 19..20, 24..25]);
    }
}
