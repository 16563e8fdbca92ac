//! Erased people: what the store of outcomes and the batches of labels have of them, and taking it away.
//!
//! Each of the two files knows for whom it was done last, so that whoever opens the workspace next completes what was cut
//! off. Not for the record of an erasure, and not for other files: see `stage::forget`.

use serde_json::json;

use super::keys::Keys;
use super::received::Received;
use super::store::Store;
use crate::Result;
use crate::config::{Config, JoinBy};
use crate::csv::forgotten::Forgotten;
use crate::ledger::{Ledger, Traces};
use crate::platform::digest::Digest;
use crate::platform::disk::Disk;

/// What there is of `people`. Nothing is written.
///
/// # Errors
/// `Conflict` if one of the files is damaged.
pub fn find(config: &Config, people: &Forgotten) -> Result<Traces> {
    let keys = Keys::of(config);
    let mut traces = Traces::default();
    if let Some(store) = Store::open_to_read(&config.outcomes_path(), &keys.settings(config))? {
        (traces.predictions, traces.labels) =
            store.count_of(|ids| keys.is_forgotten(people, ids))?;
    }
    if let Some(received) = Received::open_to_read(&config.received_path())? {
        traces.sent = received.count(|names, row| keys.is_row_of(people, names, row))?;
    }
    Ok(traces)
}

/// Takes away what there is of all who were erased; returns what that was.
///
/// # Errors
/// `Conflict` if one of the files is damaged; those of the disk.
pub fn erase(config: &Config, disk: &Disk, ledger: &Ledger) -> Result<Traces> {
    let mut traces = Traces::default();
    let (store, received) = (config.outcomes_path(), config.received_path());
    if !store.is_file() && !received.is_file() {
        return Ok(traces);
    }
    let Some(people) = ledger.forgotten(&config.schema)? else { return Ok(traces) };
    let keys = Keys::of(config);
    let mark = Digest::of(json!(ledger.tombstones()?.len()).to_string().as_bytes()).to_string();
    if store.is_file() {
        let mut store = Store::open(&store, disk, &keys.settings(config))?;
        (traces.predictions, traces.labels) =
            store.purge(&mark, |ids| keys.is_forgotten(&people, ids))?;
    }
    if received.is_file() && keys.by == JoinBy::Ids {
        let received = Received::open(&received, disk)?;
        traces.sent = received.purge(&mark, |names, row| keys.is_row_of(&people, names, row))?;
    }
    Ok(traces)
}
