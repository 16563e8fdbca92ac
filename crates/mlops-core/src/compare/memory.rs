//! The join in memory: the keys of both files are, and with `--on` the rows of the right file, while
//! those of the left file pass by. On all columns the right file is read once more for those of its
//! rows that nobody shares: that takes less than remembering them.
//!
//! Not for rows that do not fit: see [`super::partition`], which gives the same result.

use std::cell::Cell;

use crate::{Error, Result};

use super::groups::{BATCH, Groups};
use super::join::{Join, Numbered};
use super::output::{Sink, Target};
use super::rows::Rows;
use super::source::{Reading, Source};
use super::{Done, Run};

/// Joins two files; nothing when memory is short.
pub(super) fn join(run: &Run, left: Source, right: Source) -> Result<Option<Done>> {
    let told = Cell::default();
    let stamps = (left.stamp(), right.stamp());
    let keyed = run.plan.columns.keyed;
    let Some((mut join, right)) = read_right(run, right, &told)? else { return Ok(None) };
    let mut file = run.file()?;
    let target = file.as_mut().map_or(Target::Nowhere, Target::File);
    let mut sink = Sink::new(target, run.plan.columns);
    let (mut fits, mut ordinal, mut counted) = (true, 0, Vec::new());
    let read = run.read_left(left, &told, |chunk, rows| {
        counted.clear();
        counted.resize(rows.all.len(), None);
        for batch in rows.by_hash.chunks(BATCH) {
            join.groups.warm(&hashes(rows, batch));
            for i in batch {
                counted[*i as usize] = join.left(numbered(ordinal, *i, chunk, rows))?;
            }
        }
        for (i, counted) in (0..).zip(&counted) {
            let Some(counted) = *counted else {
                fits = false;
                return Err(short());
            };
            if !keyed {
                join.give_left(counted, numbered(ordinal, i, chunk, rows), &mut sink)?;
            }
        }
        ordinal += rows.all.len() as u64;
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
            places.clear();
            places.resize(rows.all.len(), None);
            for batch in rows.by_hash.chunks(BATCH) {
                join.groups.warm(&hashes(rows, batch));
                for i in batch {
                    places[*i as usize] = join.groups.find(rows.all[*i as usize].hash);
                }
            }
            let mut i = 0;
            for places in places.chunks(BATCH) {
                join.groups.warm_rows(places);
                for place in places {
                    // All were counted.
                    if let Some(place) = *place {
                        let counts = join.groups.counts(place);
                        let row = numbered(ordinal, i, chunk, rows);
                        join.give_left((place, counts), row, &mut sink)?;
                    }
                    i += 1;
                }
            }
            ordinal += rows.all.len() as u64;
            Ok(())
        })?;
        join.give_kept_right(left.rows, &mut sink)?;
    } else if join.findings.right_only > 0 {
        let (mut ordinal, mut alone) = (0, Vec::new());
        let source = Source::again(run.request.right, run.making.options, stamps.1)?;
        run.read_right(source, &told, |chunk, rows| {
            alone.clear();
            alone.resize(rows.all.len(), None);
            for batch in rows.by_hash.chunks(BATCH) {
                join.groups.warm(&hashes(rows, batch));
                for i in batch {
                    let place = join.groups.find(rows.all[*i as usize].hash);
                    alone[*i as usize] = place.and_then(|place| join.right_alone(place));
                }
            }
            for (i, alone) in (0..).zip(&alone) {
                if let Some(alone) = *alone {
                    let row = numbered(ordinal, i, chunk, rows);
                    join.give_right(alone, row, left.rows, &mut sink)?;
                }
            }
            ordinal += rows.all.len() as u64;
            Ok(())
        })?;
    }
    Ok(Some(Done { findings: join.findings, left, right, file }))
}

/// Reads the right file, and keeps its rows where they are paired by some columns; nothing when memory
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
    let (mut fits, mut ordinal, mut in_order) = (true, 0, Vec::new());
    let read = run.read_right(source, told, |chunk, rows| {
        let join = match &mut join {
            Some(join) => join,
            // The first piece says how long rows are.
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
        // Rows that are kept lie in their order.
        let count = u32::try_from(rows.all.len()).unwrap_or(u32::MAX);
        in_order.extend(u32::try_from(in_order.len()).unwrap_or(u32::MAX)..count);
        let visits = if keyed { &in_order[..rows.all.len()] } else { &rows.by_hash };
        for batch in visits.chunks(BATCH) {
            join.groups.warm(&hashes(rows, batch));
            for i in batch {
                if !join.right(numbered(ordinal, *i, chunk, rows), true)? {
                    fits = false;
                    return Err(short());
                }
            }
        }
        ordinal += rows.all.len() as u64;
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

/// The row with the number `i` in its piece, whose first row is `first`.
fn numbered<'a>(first: u64, i: u32, chunk: &'a [u8], rows: &'a Rows) -> Numbered<'a> {
    let row = &rows.all[i as usize];
    let bytes = rows.bytes(chunk, row);
    Numbered { ordinal: first + u64::from(i), row: bytes, key: row.key, hash: row.hash }
}

/// The hashes of some rows of a piece.
fn hashes<'a>(rows: &'a Rows, numbers: &'a [u32]) -> impl Iterator<Item = u128> + Clone + 'a {
    numbers.iter().map(|i| rows.all[*i as usize].hash)
}

/// Stops the reading; whoever reads knows why and tries otherwise.
fn short() -> Error {
    Error::data("the rows do not fit into memory")
}
