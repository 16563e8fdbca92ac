//! Reads CSV rows from a body or a file with the core's reader, a batch at a time.
//!
//! Not for JSON: see `super::json`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use mlops_core::ErrorKind;
use mlops_core::csv::reader::{Fault as Unread, RowReader};
use mlops_core::table::Table;

use super::faults::Fault;
use super::reading::Reading;
use super::rows::{Notes, Rows, UNFILLED, Wants};
use super::{Failure, with_table};
use crate::body::Body;
use crate::columns::Slot;
use crate::live::Loaded;
use crate::problem::Problem;

/// Bytes read at a time; small, because the description of a bad row is hundreds of times larger.
const CHUNK: usize = 16 << 10;
/// The maximum number of columns in a header.
const COLUMNS: usize = 20_000;

/// Refuses a body whose header would cost many times its size.
fn check_header(bytes: &[u8]) -> Result<(), Problem> {
    let line = bytes.split(|b| matches!(b, b'\n' | b'\r')).find(|line| !line.is_empty());
    if line.is_some_and(|line| line.split(|b| *b == b',').count() > COLUMNS) {
        let detail = format!("the header names over {COLUMNS} columns: send those of the model");
        return Err(Problem::malformed(detail));
    }
    Ok(())
}

/// CSV rows to be read.
pub(crate) struct Source<'r, R> {
    pub(crate) input: R,
    /// The name of the file, or a substitute.
    pub(crate) name: &'r Path,
    /// Bytes read at a time.
    pub(crate) chunk: usize,
    pub(crate) reading: &'r Reading,
}

impl<'r> Source<'r, &'r [u8]> {
    /// The rows of a body.
    ///
    /// # Errors
    /// If the header would cost too much.
    pub(crate) fn body(body: &'r Body, loaded: &'r Loaded) -> Result<Self, Problem> {
        check_header(&body.bytes)?;
        let chunk = (body.bytes.len() + 1).min(CHUNK);
        let reading = loaded.readings.get(body.decimal);
        Ok(Self { input: body.bytes.as_ref(), name: Path::new("csv"), chunk, reading })
    }
}

impl<'r> Source<'r, File> {
    /// The rows of a file of that name, in the format of the model's files.
    pub(crate) fn file(input: File, name: &'r Path, loaded: &'r Loaded) -> Self {
        Self { input, name, chunk: CHUNK, reading: &loaded.readings.files }
    }
}

/// Reads rows and passes each batch of good ones to `visit`, until there is a bad one.
pub(crate) fn read(
    source: Source<'_, impl Read>,
    loaded: &Loaded,
    wants: Wants,
    notes: &mut Notes,
    mut visit: impl FnMut(&Table, &mut Notes),
) -> Result<(), Failure> {
    let Source { input, name, chunk, reading } = source;
    let one_by_one = reading.cells.reads_both();
    let schema = if one_by_one { &loaded.readings.texts } else { &loaded.model.schema };
    let reader = match wants {
        Wants::Features => RowReader::prediction(schema, &reading.rows),
        Wants::Labels => RowReader::evaluation(schema, &reading.rows),
    };
    let reader = reader.with_ids().without_hashes();
    notes.imputed.resize(loaded.columns.len(), 0);
    let read = if one_by_one {
        with_table(loaded, usize::MAX, |table| {
            let mut rows = Rows::new((loaded, &reading.cells), table, notes, wants, &mut visit);
            let read = reader.lines(input, name, chunk, |texts, _, unread, lines| {
                take_texts(&mut rows, texts, unread, lines);
                Ok(())
            });
            rows.flush();
            read
        })
    } else {
        reader.stream(input, name, chunk, |table, first, unread| {
            look(loaded, table, first, unread, notes);
            if notes.faults.count == 0 {
                visit(table, notes);
            }
            Ok(())
        })
    };
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

/// Puts a batch whose numbers are texts into rows, cell by cell, with the unreadable records
/// between them.
fn take_texts(rows: &mut Rows, texts: &Table, unread: Vec<Unread>, lines: &[u64]) {
    let columns = &rows.loaded.columns;
    let numeric = columns
        .iter()
        .filter(|(_, s)| matches!(s, Slot::Numeric { .. } | Slot::Date { .. }))
        .count();
    let mut unread = unread.into_iter().peekable();
    let pass = |rows: &mut Rows, fault: Unread| {
        let Unread { row, line, column, message } = fault;
        let column = Some(column).filter(|c| !c.is_empty());
        rows.notes.faults.add(|| Fault { row, line: Some(line), column, reason: message });
        rows.notes.rows += 1;
    };
    for (row, line) in lines.iter().enumerate() {
        while let Some(fault) = unread.next_if(|fault| fault.row <= rows.notes.rows) {
            pass(rows, fault);
        }
        rows.line = Some(*line);
        for c in 0..columns.len() {
            match columns.slot(c) {
                Slot::Id(index) => rows.text(c, texts.ids[index].get(row)),
                Slot::Numeric { index, .. } | Slot::Date { index, .. } => {
                    rows.text(c, texts.categorical[index].get(row));
                }
                Slot::Categorical { index, .. } => {
                    rows.text(c, texts.categorical[numeric + index].get(row));
                }
                Slot::Target if rows.wants == Wants::Labels => {
                    rows.text(c, rows.loaded.model.label(texts.labels[row]));
                }
                Slot::Target => {}
            }
        }
        rows.end();
    }
    for fault in unread {
        pass(rows, fault);
    }
}

/// Counts missing values and faults in a batch.
fn look(loaded: &Loaded, table: &Table, first: u64, unread: Vec<Unread>, notes: &mut Notes) {
    let mut unfilled: Vec<(usize, usize)> = Vec::new();
    for c in 0..loaded.columns.len() {
        let (missing, fills): (Vec<usize>, bool) = match loaded.columns.slot(c) {
            Slot::Numeric { index, fills } | Slot::Date { index, fills } => {
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
    // The number of a good row also counts the bad ones before it.
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
