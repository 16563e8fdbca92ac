//! The outer join of the rows of two files: which are in both, and which in only one.
//!
//! | compared on | key once in both files | key in one file only | key repeated, in both files |
//! |---|---|---|---|
//! | all columns | `both` | `left_only`, `right_only` | as many pairs as possible: the rows are
//! equal |
//! | `--on` | a pair, compared cell by cell | the same | a group that is reported but not paired |
//!
//! The rows of the right file come first, then those of the left file; with `--on` twice, since the
//! count of a key must be known before a row is paired. On all columns, the count so far tells
//! whether one of the equal rows on the right is left for a row of the left file. Running out of
//! memory is a result, not an error: see [`crate::partition`]. Not for the origin and destination
//! of rows.

use crate::rows::Numbered;
use mlops_core::Result;
use mlops_core::csv::row_hash::RowHasher;

use crate::columns::Columns;
use crate::difference::{Tolerance, compare_rows};
use crate::findings::{Findings, RIGHT, cells};
use crate::groups::{Counts, File, Groups, Place};
use crate::output::{Merge, Sink};

/// What to compare and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) columns: &'a Columns,
    pub(crate) tolerance: Tolerance,
    pub(crate) hasher: RowHasher,
}

impl Counts {
    /// Whether rows with a repeated key cannot be paired.
    pub(crate) fn open(self) -> bool {
        self.left > 0 && self.right > 0 && (self.left > 1 || self.right > 1)
    }
}

/// A join, or the part of one that fits into memory.
pub(crate) struct Join<'a> {
    plan: Plan<'a>,
    pub(crate) groups: Groups,
    pub(crate) findings: Findings,
}

impl<'a> Join<'a> {
    /// A join without rows.
    pub(crate) fn new(plan: Plan<'a>, groups: Groups) -> Self {
        Self { plan, groups, findings: Findings::new(plan.columns.compared.len()) }
    }

    /// Adds a row of the right file; returns false if memory is short.
    #[inline]
    pub(crate) fn right(&mut self, row: Numbered, keep_repeated: bool) -> Result<bool> {
        let counts = self.groups.add_right(row.row, row.key, row.hash, keep_repeated)?;
        if counts.is_some_and(|counts| counts.right == 2) {
            self.findings.repeats(RIGHT | row.ordinal, row.key_bytes(), row.hash);
        }
        Ok(counts.is_some())
    }

    /// Counts a row of the left file; returns its group and the counts, or `None` if memory is
    /// short.
    #[inline]
    pub(crate) fn left(&mut self, row: Numbered) -> Result<Option<(Place, Counts)>> {
        let counted = self.groups.add_left(row.hash)?;
        if counted.is_some_and(|(_, counts)| counts.left == 2) {
            self.findings.repeats(row.ordinal, row.key_bytes(), row.hash);
        }
        Ok(counted)
    }

    /// Computes the totals once all rows are counted.
    pub(crate) fn count(&mut self) {
        let keyed = self.plan.columns.keyed;
        for counts in self.groups.all() {
            self.findings.count(counts, keyed);
        }
        for example in self.findings.repeated.examples.iter_mut() {
            if let Some(place) = self.groups.find(example.hash) {
                let Counts { left, right } = self.groups.counts(place);
                (example.left, example.right) = (left, right);
            }
        }
    }

    /// Classifies a row of the left file and passes it to `sink`. On all columns its counts are
    /// those up to this row, otherwise those of all rows.
    #[inline]
    pub(crate) fn give_left(
        &mut self,
        (place, counts): (Place, Counts),
        row: Numbered,
        sink: &mut Sink,
    ) -> Result<()> {
        let keyed = self.plan.columns.keyed;
        let shared = if keyed { counts.right > 0 } else { counts.left <= counts.right };
        if !shared {
            self.findings.left_examples.offer(row.ordinal, || cells(row.row));
            return sink.put(row.ordinal, Merge::LeftOnly, (Some(row), None), counts);
        }
        if !keyed {
            return sink.put(row.ordinal, Merge::Both, (Some(row), None), counts);
        }
        if counts.open() {
            let sum = &mut self.findings.repeated.left_sum;
            *sum = sum.wrapping_add(self.plan.hasher.hash(row.row));
            return sink.put(row.ordinal, Merge::Both, (Some(row), None), counts);
        }
        let (right, key) = self.groups.row(place);
        let kinds = &self.plan.columns.kinds[self.plan.columns.on.len()..];
        let how = (kinds, self.plan.tolerance);
        let columns = &mut self.findings.columns;
        let equal = compare_rows(row.ordinal, (row.row, right), row.key as usize, how, columns);
        self.findings.different += u64::from(!equal);
        let right = Numbered { ordinal: 0, row: right, key, hash: row.hash };
        sink.put(row.ordinal, Merge::Both, (Some(row), Some(right)), counts)
    }

    /// Prepares for passing on rows of the left file that were all counted, in order, by
    /// [`Join::give_left_again`].
    pub(crate) fn begin_again(&mut self) {
        if !self.plan.columns.keyed {
            self.groups.forget_left();
        }
    }

    /// [`Join::give_left`] for a row that was counted before.
    pub(crate) fn give_left_again(&mut self, row: Numbered, sink: &mut Sink) -> Result<()> {
        let Some(place) = self.groups.find(row.hash) else { return Ok(()) };
        let counts = if self.plan.columns.keyed {
            self.groups.counts(place)
        } else {
            self.groups.count(place, File::Left)
        };
        self.give_left((place, counts), row, sink)
    }

    /// Classifies a row of the right file after all rows of the left file were passed on; `None` if
    /// it has a partner. Rows with the same key must be asked about in order, each once.
    #[inline]
    pub(crate) fn right_alone(&mut self, place: Place) -> Option<(Merge, Counts)> {
        let counts = self.groups.counts(place);
        if counts.left == 0 {
            return Some((Merge::RightOnly, counts));
        }
        if self.plan.columns.keyed {
            return counts.open().then_some((Merge::Both, counts));
        }
        // Each row of the left file is the partner of one row.
        self.groups.set_counts(place, Counts { left: counts.left - 1, ..counts });
        None
    }

    /// Passes a row of the right file that is `alone` to `sink`. Its number there follows `lefts`.
    pub(crate) fn give_right(
        &mut self,
        alone: (Merge, Counts),
        row: Numbered,
        lefts: u64,
        sink: &mut Sink,
    ) -> Result<()> {
        give_right(self.plan, &mut self.findings, row, alone, lefts, sink)
    }

    /// Does this for each row of the right file, all of which must have been stored.
    pub(crate) fn give_kept_right(&mut self, lefts: u64, sink: &mut Sink) -> Result<()> {
        let (mut cursor, mut ordinal) = (0, 0);
        while let Some((place, kept)) = self.groups.next_right(&mut cursor) {
            if let Some(alone) = self.right_alone(place) {
                let (row, key) = self.groups.kept(kept);
                let row = Numbered { ordinal, row, key, hash: 0 };
                give_right(self.plan, &mut self.findings, row, alone, lefts, sink)?;
            }
            ordinal += 1;
        }
        Ok(())
    }
}

fn give_right(
    plan: Plan,
    findings: &mut Findings,
    row: Numbered,
    (merge, counts): (Merge, Counts),
    lefts: u64,
    sink: &mut Sink,
) -> Result<()> {
    if merge == Merge::RightOnly {
        findings.right_examples.offer(row.ordinal, || cells(row.row));
    } else {
        let sum = &mut findings.repeated.right_sum;
        *sum = sum.wrapping_add(plan.hasher.hash(row.row));
    }
    sink.put(lefts + row.ordinal, merge, (None, Some(row)), counts)
}
