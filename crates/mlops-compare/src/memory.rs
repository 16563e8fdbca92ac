//! The join in memory: it holds the keys of both files and, with `--on`, the rows of the right
//! file, while those of the left file are streamed. On all columns the right file is read once more
//! for its rows without a partner, which takes less than storing them.
//!
//! Not for rows that do not fit: see [`crate::partition`], which gives the same result.

use std::cell::Cell;

use mlops_core::{Error, Result};

use crate::groups::{BATCH, Groups};
use crate::join::Join;
use crate::output::{Sink, Target};
use crate::rows::Numbered;
use crate::rows::{Row, Rows};
use crate::source::{Reading, Source};
use crate::{Done, Run};

/// Joins two files; `None` if memory is short.
pub(super) fn join(run: &Run, left: Source, right: Source) -> Result<Option<Done>> {
    let told = Cell::default();
    let stamps = (left.stamp(), right.stamp());
    let keyed = run.plan.columns.keyed;
    let Some((mut join, right)) = read_right(run, right, &told)? else { return Ok(None) };
    let mut file = run.file()?;
    let target = file.as_mut().map_or(Target::Nowhere, Target::File);
    let mut sink = Sink::new(target, run.plan.columns);
    let (mut fits, mut ordinal) = (true, 0);
    let read = run.read_left(left, &told, |chunk, rows| {
        for batch in rows.all.chunks(BATCH) {
            join.groups.warm(batch);
            for row in batch {
                let row = numbered(ordinal, row, chunk, rows);
                let Some(counted) = join.left(row)? else {
                    fits = false;
                    return Err(short());
                };
                if !keyed {
                    join.give_left(counted, row, &mut sink)?;
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
        let (mut ordinal, mut places) = (0, Vec::new());
        let source = Source::again(run.request.left, run.making.options, stamps.0)?;
        run.read_left(source, &told, |chunk, rows| {
            for batch in rows.all.chunks(BATCH) {
                join.groups.warm(batch);
                places.clear();
                places.extend(batch.iter().map(|row| join.groups.find(row.hash)));
                join.groups.warm_rows(&places);
                for (row, place) in batch.iter().zip(&places) {
                    // All rows were counted.
                    if let Some(place) = *place {
                        let row = numbered(ordinal, row, chunk, rows);
                        let counts = join.groups.counts(place);
                        join.give_left((place, counts), row, &mut sink)?;
                    }
                    ordinal += 1;
                }
            }
            Ok(())
        })?;
        join.give_kept_right(left.rows, &mut sink)?;
    } else if join.findings.right_only > 0 {
        let mut ordinal = 0;
        let source = Source::again(run.request.right, run.making.options, stamps.1)?;
        run.read_right(source, &told, |chunk, rows| {
            for batch in rows.all.chunks(BATCH) {
                join.groups.warm(batch);
                for row in batch {
                    let place = join.groups.find(row.hash);
                    if let Some(alone) = place.and_then(|place| join.right_alone(place)) {
                        let row = numbered(ordinal, row, chunk, rows);
                        join.give_right(alone, row, left.rows, &mut sink)?;
                    }
                    ordinal += 1;
                }
            }
            Ok(())
        })?;
    }
    Ok(Some(Done { findings: join.findings, left, right, file }))
}

/// Reads the right file, and stores its rows if they are paired by some columns; `None` if memory
/// is short.
fn read_right<'r>(
    run: &Run<'r>,
    source: Source,
    told: &Cell<(u64, u64)>,
) -> Result<Option<(Join<'r>, Reading)>> {
    let (plan, memory, size) = (run.plan, run.request.means.memory, source.size());
    let keyed = plan.columns.keyed;
    let new = |rows| Ok::<_, Error>(Join::new(plan, Groups::expecting(rows, keyed, memory)?));
    let mut join = None;
    let (mut fits, mut ordinal) = (true, 0);
    let read = run.read_right(source, told, |chunk, rows| {
        let join = match &mut join {
            Some(join) => join,
            // The first piece shows how long rows are.
            none => {
                let rows = size.saturating_mul(rows.all.len() as u64) / chunk.len().max(1) as u64;
                let rows = usize::try_from(rows + rows / 16).unwrap_or(usize::MAX);
                if Groups::bytes_for(rows) > memory {
                    fits = false;
                    return Err(short());
                }
                none.insert(new(rows)?)
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

/// Stops reading; the caller knows why and takes another approach.
fn short() -> Error {
    Error::data("the rows do not fit into memory")
}
