//! Rows of typed columns as the CSV records of a batch.
//!
//! Not for the spelling of a cell: see [`crate::typed`] and [`crate::spell`].

use mlops_core::csv::chunk::CHUNK_BYTES;
use mlops_core::csv::formats::{Batch, Refused, Why};
use mlops_core::csv::record::{Malformed, line_ends};

use crate::spell;

/// Rows that are decoded at a time at most.
pub(crate) const ROWS: usize = 8192;

/// Rows to decode first, when nothing is known of their length.
pub(crate) const FIRST: usize = 1024;

/// Appends `rows` records of `width` cells to the empty `batch`, whose place is that of the first of them.
///
/// `cell` appends the cell of a column and a row, nothing if it is missing. A record of more than `most`
/// bytes is refused. Returns how many rows make a batch of about the usual size.
pub(crate) fn fill<E>(
    batch: &mut Batch,
    rows: usize,
    width: usize,
    most: usize,
    mut cell: impl FnMut(usize, usize, &mut Vec<u8>) -> Result<(), E>,
) -> Result<usize, E> {
    let mut several = false;
    let mut lines = Vec::new();
    for row in 0..rows {
        let start = batch.text.len();
        let mut quoted = false;
        for column in 0..width {
            if column > 0 {
                batch.text.push(b',');
            }
            let before = batch.text.len();
            cell(column, row, &mut batch.text)?;
            quoted |= batch.text.get(before) == Some(&b'"');
        }
        batch.text.push(b'\n');
        let mut of_row = 1;
        if batch.text.len() - start > most {
            batch.text.truncate(start);
            spell::push_refused(width, &mut batch.text);
            let line = u32::try_from(lines.len()).unwrap_or(u32::MAX);
            batch.refused.push(Refused { line, why: Why::Malformed(Malformed::TooLong) });
        } else if quoted {
            of_row = line_ends(&batch.text[start..]);
            several |= of_row > 1;
        }
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        lines.extend((0..of_row).map(|_| row));
    }
    if several {
        batch.place.offsets = lines;
    }
    let average = batch.text.len() / rows.max(1) + 1;
    Ok((CHUNK_BYTES / average).clamp(64, ROWS))
}
