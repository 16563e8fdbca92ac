//! Rows of CSV, from a body or a file, by the core's own reader: a batch at a time.
//!
//! Not for JSON: see `super::json`.

use std::io::Read;
use std::path::Path;

use mlops_core::ErrorKind;
use mlops_core::dataset::{Fault as Unread, RowReader};
use mlops_core::table::Table;

use super::Failure;
use super::faults::Fault;
use super::rows::{Notes, UNFILLED, Wants};
use crate::columns::Slot;
use crate::live::Loaded;
use crate::problem::Problem;

/// How many bytes are read at a time: what is made of them is many times larger.
pub(crate) const CHUNK: usize = 128 << 10;
/// Columns that a header may name.
const COLUMNS: usize = 20_000;

/// Refuses a body whose header would cost many times what it is.
pub(crate) fn check_header(bytes: &[u8]) -> Result<(), Problem> {
    let line = bytes.split(|b| matches!(b, b'\n' | b'\r')).find(|line| !line.is_empty());
    if line.is_some_and(|line| line.split(|b| *b == b',').count() > COLUMNS) {
        let detail = format!("the header names over {COLUMNS} columns: send those of the model");
        return Err(Problem::malformed(detail));
    }
    Ok(())
}

/// Reads rows; hands each batch of good ones to `visit`, while there was no bad one.
pub(crate) fn read(
    input: impl Read,
    chunk: usize,
    loaded: &Loaded,
    wants: Wants,
    notes: &mut Notes,
    mut visit: impl FnMut(&Table, &mut Notes),
) -> Result<(), Failure> {
    let schema = &loaded.model.schema;
    let reader = match wants {
        Wants::Features => RowReader::prediction(schema, &loaded.reading),
        Wants::Labels => RowReader::evaluation(schema, &loaded.reading),
    };
    notes.imputed.resize(loaded.columns.len(), 0);
    let read = reader.with_ids().stream(input, Path::new("csv"), chunk, |table, first, unread| {
        look(loaded, table, first, unread, notes);
        if notes.faults.count == 0 {
            visit(table, notes);
        }
        Ok(())
    });
    match read {
        Ok(reading) => {
            notes.rows = reading.rows_read;
            for name in &reading.extra_columns {
                notes.ignore(name, reading.rows_read);
            }
            Ok(())
        }
        Err(error) => Err(match error.kind() {
            ErrorKind::Schema { message, .. } => {
                Failure::Problem(Problem::malformed(message.clone()))
            }
            _ => Failure::Inside(error),
        }),
    }
}

/// Counts what is missing and what is wrong in a batch.
fn look(loaded: &Loaded, table: &Table, first: u64, unread: Vec<Unread>, notes: &mut Notes) {
    let mut unfilled: Vec<(usize, usize)> = Vec::new();
    for c in 0..loaded.columns.len() {
        let (missing, fills): (Vec<usize>, bool) = match loaded.columns.slot(c) {
            Slot::Numeric { index, fills } => {
                let column = table.numeric[index].iter().enumerate();
                (column.filter(|(_, v)| v.is_nan()).map(|(i, _)| i).collect(), fills)
            }
            Slot::Categorical { index, fills } => {
                let column = table.categorical[index].iter().enumerate();
                (column.filter(|(_, text)| text.is_empty()).map(|(i, _)| i).collect(), fills)
            }
            Slot::Id(_) | Slot::Target => continue,
        };
        if fills {
            notes.imputed[c] += missing.len() as u64;
        } else {
            unfilled.extend(missing.into_iter().map(|i| (i, c)));
        }
    }
    unfilled.sort_unstable();
    // The number of a good row: bad ones before it count as well.
    let number = |good: usize| {
        let mut row = first + good as u64;
        for fault in &unread {
            row += u64::from(fault.row <= row);
        }
        row
    };
    for (good, c) in unfilled {
        notes.faults.add(|| Fault {
            row: number(good),
            line: None,
            column: Some(loaded.columns.name(c).to_owned()),
            reason: UNFILLED.to_owned(),
        });
    }
    for Unread { row, line, column, message } in unread {
        let column = Some(column).filter(|c| !c.is_empty());
        notes.faults.add(|| Fault { row, line: Some(line), column, reason: message });
    }
}
