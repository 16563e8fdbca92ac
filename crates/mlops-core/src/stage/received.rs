//! Labels that are sent to the service: a batch is read as a whole or refused as a whole, and kept as a
//! file, which the next join reads like any other file of labels.
//!
//! The file has the keys, times and labels of the batch and nothing else, and its name is the digest of
//! these: a batch that is sent again is the same file. Not for joining: see [`super::outcomes`].

use std::path::Path;
use std::time::Duration;

use super::ingest::identity;
use super::outcome_keys::Keys;
use crate::config::sources::RECEIVED;
use crate::csv::reader::Fault;
use crate::ledger::Ledger;
use crate::platform::digest::Digest;
use crate::run::context::Context;
use crate::table::Table;
use crate::table::quote::push_text;
use crate::{Error, Result};

/// Bytes read at a time.
const CHUNK: usize = 64 << 10;
/// The time after which the next file is sure to have another time of change, by which files are put in the
/// order in which they came.
const TICK: Duration = Duration::from_millis(10);

/// A batch of labels that can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What identifies it.
    pub digest: Digest,
    /// The number of its labels.
    pub rows: u64,
    csv: Vec<u8>,
}

/// The columns of a batch.
pub fn columns(context: &Context) -> Vec<String> {
    let keys = Keys::of(&context.config);
    let mut columns = keys.columns.clone();
    columns.extend(keys.time.filter(|time| !columns.contains(time)));
    columns.push(context.config.schema.target().to_owned());
    columns
}

/// Reads the rows of `csv`, which has a header, commas and canonical spelling; `Err` in it has the rows that
/// cannot be taken.
///
/// # Errors
/// `Missing` if labels are not taken; `Schema` if a column is missing; `Conflict` if it is not known how the
/// negative label is spelt.
pub fn read(context: &Context, csv: &[u8]) -> Result<std::result::Result<Batch, Vec<Fault>>> {
    let config = &context.config;
    let source = config.sources.iter().find(|source| source.name == RECEIVED);
    let Some(source) = source.filter(|_| config.labels.receive) else {
        return Err(Error::missing("labels are not taken here: set \"labels.receive\" to true"));
    };
    let ledger = Ledger::open_to_read(&config.ledger_path())?;
    let schema = match &ledger {
        Some(ledger) => identity::schema_of(context, ledger)?,
        None => config.schema.clone(),
    };
    let Some(negative) = schema.negative_label() else {
        return Err(Error::conflict(
            "it is not known yet how the negative label is spelt: set \"schema.negative_label\"",
        ));
    };
    let (keys, columns) = (Keys::of(config), columns(context));
    let of_labels = keys.schema(&schema);
    let mut faults = Vec::new();
    let mut batch = Vec::new();
    for (i, column) in columns.iter().enumerate() {
        batch.extend((i > 0).then_some(b','));
        push_text(column, &mut batch);
    }
    batch.push(b'\n');
    let mut rows = 0;
    let reader = keys.reader(&of_labels, &source.reading);
    reader.stream(csv, Path::new("csv"), CHUNK, |table, first, unread| {
        for i in 0..table.len() {
            if let Err((column, message)) = check(&keys, table, i) {
                // The number of a good row also counts the bad ones before it.
                let row = unread
                    .iter()
                    .fold(first + i as u64, |row, fault| row + u64::from(fault.row <= row));
                faults.push(Fault { row, line: 0, column, message });
            }
            for c in 0..columns.len() - 1 {
                let column = &table.ids[c];
                push_text(if i < column.len() { column.get(i) } else { "" }, &mut batch);
                batch.push(b',');
            }
            push_text(if table.labels[i] { &keys.positive } else { negative }, &mut batch);
            batch.push(b'\n');
            rows += 1;
        }
        faults.extend(unread);
        Ok(())
    })?;
    if !faults.is_empty() {
        faults.sort_by_key(|fault| fault.row);
        return Ok(Err(faults));
    }
    Ok(Ok(Batch { digest: Digest::of(&batch), rows, csv: batch }))
}

/// Whether row `i` can be joined; if not, the column at fault and why.
fn check(keys: &Keys, table: &Table, i: usize) -> std::result::Result<(), (String, String)> {
    if keys.of_row(table, i).is_none() {
        let message = "nothing says whose label it is".to_owned();
        return Err((keys.columns.first().cloned().unwrap_or_default(), message));
    }
    match &keys.time {
        Some(column) if keys.time_of(table, i).is_none() => {
            let message = "is neither a date, as 2024-03-31, nor a time, as 2024-03-31T14:05:00Z";
            Err((column.clone(), message.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Keeps `batch` durably; returns whether it was there before. Batches are kept one after the other by the
/// caller: their order is that in which labels count where they have no time.
///
/// # Errors
/// Those of the disk.
pub fn keep(context: &Context, batch: &Batch) -> Result<bool> {
    let path = context.config.received_folder().join(format!("{}.csv", batch.digest));
    if path.is_file() {
        return Ok(true);
    }
    context.disk.write(&path, &batch.csv)?;
    context.clock.sleep(TICK);
    Ok(false)
}
