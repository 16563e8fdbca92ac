//! Sums of packed columns without any rounding, here or by those who hold the rows.
//!
//! Not for values at ranks: see [`super::ranks`].

use std::ops::Range;

use crate::Result;
use crate::model::fit::{
    Blocks, Holders, PackedBlocks, Question, Reading, Sums, Written, not_sums,
};
use crate::platform::exact_sum::ExactSum;

/// The sums of the values present in the first `columns` columns of `rows`.
pub(super) fn totals(rows: &PackedBlocks, columns: usize) -> Result<Vec<ExactSum>> {
    match rows.holders() {
        Some(holders) => totals_there(holders, columns),
        None => totals_of(rows, columns, 0..rows.blocks()),
    }
}

/// The same for the blocks `blocks`.
fn totals_of(rows: &PackedBlocks, columns: usize, blocks: Range<usize>) -> Result<Vec<ExactSum>> {
    let mut sums = vec![ExactSum::default(); columns];
    let wanted: Vec<usize> = (0..columns).collect();
    let mut buffer = Vec::new();
    for index in blocks {
        rows.columns(index, &wanted, &mut buffer, |j, values| {
            values.iter().filter(|v| !v.is_nan()).for_each(|v| sums[j].add(*v));
        })?;
    }
    Ok(sums)
}

fn totals_there(holders: &dyn Holders, columns: usize) -> Result<Vec<ExactSum>> {
    let pieces = holders.pieces().max(1);
    let question = Question { stride: 1, sums: Sums::Totals { columns, pieces } };
    let mut sums = vec![ExactSum::default(); columns];
    let mut add = |bytes: &[u8]| {
        let mut reading = Reading(bytes);
        for sum in &mut sums {
            let count = reading.whole()?;
            let mut digits = vec![0; ExactSum::DIGITS];
            for digit in &mut digits {
                *digit = reading.whole()?.cast_signed();
            }
            sum.join(&digits, count);
        }
        reading.finish()
    };
    if let Some(before) = holders.recall(&question)? {
        return add(&before).map(|()| sums);
    }
    holders.ask(&question, pieces, &mut add)?;
    holders.keep(&question, &written(&sums))?;
    Ok(sums)
}

fn written(sums: &[ExactSum]) -> Vec<u8> {
    let mut written = Written::default();
    for sum in sums {
        let (digits, count) = sum.state();
        written.whole(count);
        for digit in digits {
            written.whole(digit.cast_unsigned());
        }
    }
    written.0
}

/// The sums of each of `pieces`, of which there are `all`, for whoever asked by [`totals_there`].
pub(super) fn answer(
    rows: &PackedBlocks,
    (columns, all): (usize, usize),
    pieces: Range<usize>,
) -> Result<Vec<Vec<u8>>> {
    if pieces.end > all || columns > rows.features() {
        return Err(not_sums());
    }
    let blocks = |piece: usize| rows.blocks() * piece / all..rows.blocks() * (piece + 1) / all;
    let piece = |piece| Ok(written(&totals_of(rows, columns, blocks(piece))?));
    pieces.map(piece).collect()
}
