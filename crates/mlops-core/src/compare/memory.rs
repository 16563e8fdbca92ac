//! The join in memory: the rows of the right file are kept, those of the left file pass by.
//!
//! Not for rows that do not fit: see [`super::partition`], which gives the same result.

use std::cell::Cell;

use crate::{Error, Result};

use super::groups::{BATCH, Groups};
use super::join::{Join, Numbered};
use super::output::{Sink, Target};
use super::rows::{Row, Rows};
use super::source::{Reading, Source};
use super::{Done, Run};

/// Joins two files; nothing when memory is short.
pub(super) fn join(run: &Run, left: Source, right: Source) -> Result<Option<Done>> {
    let told = Cell::default();
    let stamp = left.stamp();
    let Some((mut join, right)) = read_right(run, right, &told)? else { return Ok(None) };
    let mut file = run.file()?;
    let target = file.as_mut().map_or(Target::Nowhere, Target::File);
    let mut sink = Sink::new(target, run.plan.columns);
    let keyed = run.plan.columns.keyed;
    let (mut fits, mut ordinal, mut places) = (true, 0, Vec::new());
    let read = run.read_left(left, &told, |chunk, rows| {
        for batch in rows.all.chunks(BATCH) {
            join.groups.find_all(batch, &mut places);
            for (row, place) in batch.iter().zip(&places) {
                let row = numbered(ordinal, row, chunk, rows);
                let Some(place) = join.left(*place, row)? else {
                    fits = false;
                    return Err(short());
                };
                if !keyed {
                    join.give_left(place, row, &mut sink)?;
                }
                ordinal += 1;
            }
        }
        Ok(())
    });
    if !fits {
        return Ok(None);
    }
    let left = read?;
    join.count();
    if keyed {
        let source = Source::open(run.request.left, run.making.options)?;
        source.same_as(stamp, run.request.left.path)?;
        let mut ordinal = 0;
        run.read_left(source, &told, |chunk, rows| {
            for batch in rows.all.chunks(BATCH) {
                join.groups.find_all(batch, &mut places);
                for (row, place) in batch.iter().zip(&places) {
                    // All were counted.
                    if let Some(place) = place {
                        let row = numbered(ordinal, row, chunk, rows);
                        join.give_left(*place, row, &mut sink)?;
                    }
                    ordinal += 1;
                }
            }
            Ok(())
        })?;
    }
    join.give_kept_right(left.rows, &mut sink)?;
    Ok(Some(Done { findings: join.findings, left, right, file }))
}

/// Reads and keeps the rows of the right file; nothing when memory is short.
fn read_right<'r>(
    run: &Run<'r>,
    source: Source,
    told: &Cell<(u64, u64)>,
) -> Result<Option<(Join<'r>, Reading)>> {
    let (plan, memory, size) = (run.plan, run.request.means.memory, source.size());
    let new = |rows| Ok::<_, Error>(Join::new(plan, Groups::expecting(rows, memory)?));
    let mut join = None;
    let (mut fits, mut ordinal) = (true, 0);
    let read = run.read_right(source, told, |chunk, rows| {
        let join = match &mut join {
            Some(join) => join,
            // The first piece says how long rows are.
            none => {
                let rows = size.saturating_mul(rows.all.len() as u64) / chunk.len().max(1) as u64;
                none.insert(new(usize::try_from(rows + rows / 16).unwrap_or(usize::MAX))?)
            }
        };
        for batch in rows.all.chunks(BATCH) {
            join.groups.warm(batch);
            for row in batch {
                if !join.right(numbered(ordinal, row, chunk, rows), true)? {
                    fits = false;
                    return Err(short());
                }
                ordinal += 1;
            }
        }
        Ok(())
    });
    if !fits {
        return Ok(None);
    }
    let reading = read?;
    let join = match join {
        Some(join) => join,
        None => new(0)?,
    };
    Ok(Some((join, reading)))
}

fn numbered<'a>(ordinal: u64, row: &Row, chunk: &'a [u8], rows: &'a Rows) -> Numbered<'a> {
    Numbered { ordinal, row: rows.bytes(chunk, row), key: row.key, hash: row.hash }
}

/// Stops the reading; whoever reads knows why and tries otherwise.
fn short() -> Error {
    Error::data("the rows do not fit into memory")
}
