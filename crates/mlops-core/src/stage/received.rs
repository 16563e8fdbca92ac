//! Labels that are sent to the service: a batch is read as a whole or refused as a whole, counted against what is known,
//! and kept, which the next join reads.
//!
//! What is kept has the keys, times and labels of the batch and nothing else, and its id is the digest of these: a batch
//! that is sent again is the same one. Not for keeping: see [`crate::outcomes::received`]; not for joining: see
//! [`super::outcomes`].

use std::fs;
use std::path::Path;

use super::ingest::identity;
use crate::config::JoinBy;
use crate::config::sources::RECEIVED;
use crate::csv::reader::{Fault, RowReader};
use crate::ledger::Ledger;
use crate::outcomes::Store;
use crate::outcomes::counts::{Counter, Counts, Sent};
use crate::outcomes::keys::Keys;
use crate::outcomes::received::{Received, push_row};
use crate::platform::digest::Digest;
use crate::prediction_log::files::list;
use crate::prediction_log::{Want, reader};
use crate::run::context::Context;
use crate::table::Table;
use crate::table::schema::Schema;
use crate::{Error, Result};

/// Bytes read at a time.
const CHUNK: usize = 64 << 10;
/// The most bytes of labels, and of lines of the log, that wait to be joined and are looked at to count a batch. What
/// waits beyond that is not known yet.
const WAITING: u64 = 16 << 20;

/// A batch of labels that can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What identifies it.
    pub digest: Digest,
    /// The number of its rows.
    pub rows: u64,
    csv: Vec<u8>,
    labels: Vec<Sent>,
    schema: Schema,
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
    let forgotten = match &ledger {
        Some(ledger) => ledger.forgotten(&schema)?,
        None => None,
    };
    let (keys, columns) = (Keys::of(config), columns(context));
    let of_labels = keys.schema(&schema);
    let mut faults = Vec::new();
    let mut batch = Vec::new();
    push_row(columns.iter().map(String::as_str), &mut batch);
    let (mut rows, mut labels) = (0, Vec::new());
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
            rows += 1;
            let Some(sent) = sent(&keys, table, i) else { continue };
            let ids = Some(&sent.key).filter(|_| keys.by == JoinBy::Ids);
            if keys.has_forgotten(forgotten.as_deref(), ids) {
                continue;
            }
            let texts = table.ids[..columns.len() - 1].iter();
            let texts = texts.map(|column| if i < column.len() { column.get(i) } else { "" });
            let label = if sent.positive { &keys.positive } else { negative };
            push_row(texts.chain([label]), &mut batch);
            labels.push(sent);
        }
        faults.extend(unread);
        Ok(())
    })?;
    if !faults.is_empty() {
        faults.sort_by_key(|fault| fault.row);
        return Ok(Err(faults));
    }
    Ok(Ok(Batch { digest: Digest::of(&batch), rows, csv: batch, labels, schema: of_labels }))
}

/// The label of row `i`, if it has a key.
fn sent(keys: &Keys, table: &Table, i: usize) -> Option<Sent> {
    let (key, time) = (keys.of_row(table, i)?, keys.time_of(table, i));
    Some(Sent { key, time, positive: table.labels[i] })
}

/// Whether row `i` can be joined; if not, the column at fault and why.
fn check(keys: &Keys, table: &Table, i: usize) -> std::result::Result<(), (String, String)> {
    if keys.of_row(table, i).is_none() {
        let message = "nothing says whose label it is".to_owned();
        return Err((keys.columns.first().cloned().unwrap_or_default(), message));
    }
    if keys.has_no_row(table, i) {
        let message =
            "is not the number of a row in its request, which is a whole number from 0".to_owned();
        return Err((keys.columns.get(1).cloned().unwrap_or_default(), message));
    }
    match &keys.time {
        Some(column) if keys.time_of(table, i).is_none() => {
            let message = "is neither a date, as 2024-03-31, nor a time, as 2024-03-31T14:05:00Z";
            Err((column.clone(), message.to_owned()))
        }
        _ => Ok(()),
    }
}

/// What the labels of `batch` say against what is known before it is kept: the last join, labels that were sent since,
/// and predictions that were logged since. Rows of people who were erased count as those of unknown ones.
///
/// # Errors
/// Those of the store and of the log.
pub fn count(context: &Context, batch: &Batch) -> Result<Counts> {
    let config = &context.config;
    let keys = Keys::of(config);
    let store = Store::open_to_read(&config.outcomes_path(), &keys.settings(config))?;
    let mut counter = Counter::new(store.as_ref(), &batch.labels);
    logged(context, store.as_ref(), &keys, &mut counter)?;
    let source = config.sources.iter().find(|source| source.name == RECEIVED);
    if let Some(source) = source {
        let reader = keys.reader(&batch.schema, &source.reading);
        waiting(context, store.as_ref(), (&keys, &reader), &mut counter)?;
    }
    let mut counts = counter.count(&batch.labels)?;
    counts.unknown += batch.rows - batch.labels.len() as u64;
    Ok(counts)
}

/// Counts predictions that were logged since the last join.
fn logged(
    context: &Context,
    store: Option<&Store>,
    keys: &Keys,
    counter: &mut Counter<'_>,
) -> Result<()> {
    let Some(log) = &context.config.service.prediction_log else { return Ok(()) };
    let mut left = WAITING;
    for file in list(&log.folder)?.into_iter().rev() {
        let known = store.map(|store| store.log(&file.name)).transpose()?.flatten();
        let from = known.map_or(0, |place| place.end);
        let new = fs::metadata(&file.path).map_or(0, |found| found.len()).saturating_sub(from);
        if new > left {
            break;
        }
        left -= new;
        if new > 0 {
            reader::read(&file.path, from, Want::Predictions, |_, line| {
                if let (Some(key), _) = keys.of_line(&line) {
                    counter.predicted(&key, line.recorded.timestamp_millis());
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// Counts labels that were sent since the last join.
fn waiting(
    context: &Context,
    store: Option<&Store>,
    (keys, reader): (&Keys, &RowReader<'_>),
    counter: &mut Counter<'_>,
) -> Result<()> {
    let path = context.config.received_path();
    let Some(received) = Received::open_to_read(&path)? else { return Ok(()) };
    let location = context.location(&path).as_str().to_owned();
    let known = store.map(|store| store.label_file(&location)).transpose()?.flatten();
    let identity = received.identity()?;
    let mut last = known.filter(|known| known.content == identity).map_or(0, |known| known.rows);
    let mut left = WAITING;
    while let Some(batch) = received.after(last)?
        && left >= batch.csv.len() as u64
    {
        left -= batch.csv.len() as u64;
        last = batch.id;
        let read = reader.stream(&*batch.csv, &path, CHUNK, |table, _, _| {
            (0..table.len())
                .filter_map(|i| sent(keys, table, i))
                .for_each(|one| counter.waits(&one));
            Ok(())
        });
        // Sent when other columns told whose label it is.
        drop(read);
    }
    Ok(())
}

/// Keeps `batch` durably; returns whether it was there before. Batches are kept one after the other by the
/// caller: their order is that in which labels count where they have no time.
///
/// # Errors
/// Those of the disk.
pub fn keep(context: &Context, batch: &Batch) -> Result<bool> {
    let config = &context.config;
    if config.received_folder().join(format!("{}.csv", batch.digest)).is_file() {
        return Ok(true);
    }
    // All of it is about people who were erased.
    if batch.labels.is_empty() {
        return Ok(false);
    }
    let received = Received::open(&config.received_path(), &context.disk)?;
    received.keep(&batch.digest, context.clock.now().timestamp_millis(), &batch.csv)
}
