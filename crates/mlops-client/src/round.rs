//! One round of calls: predictions for a data file, then every record that the app has of its
//! release.
//!
//! All answers of a round should come from one release; if it changes meanwhile, the round is
//! repeated. Not for single calls: see [`crate::call`].

use std::collections::BTreeSet;
use std::time::Duration;

use mlops_core::Result;

use crate::call::{Api, Call};
use crate::data::Data;
use crate::predictions::{self, Predictions};

/// The paths of the app's records, in the order of the calls.
pub const RECORDS: [&str; 3] = ["/scoring", "/summarystats", "/diagnostics"];
/// How often a round is started if the release keeps changing.
const ROUNDS: u32 = 3;

/// The pause between two checks of the release that the app serves.
const LOOK: Duration = Duration::from_millis(250);

/// The results of all calls.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// The calls that were made.
    pub calls: Vec<Call>,
    /// The predictions, if rows were sent.
    pub predictions: Option<Predictions>,
}

impl Round {
    /// The releases that answered.
    pub fn releases(&self) -> BTreeSet<&str> {
        let predicted = self.predictions.iter().flat_map(|p| p.releases.iter().map(String::as_str));
        predicted.chain(self.calls.iter().filter_map(|call| call.release.as_deref())).collect()
    }
}

/// Makes all calls; a call without an answer is the last one. An error is returned only if a file
/// of `data` cannot be read.
pub fn run(api: &Api, data: &Data) -> Result<Round> {
    let mut begun = 1;
    loop {
        let round = once(api, data)?;
        if round.releases().len() < 2 || begun == ROUNDS {
            return Ok(round);
        }
        begun += 1;
        tracing::info!("the release changed between the calls: once more");
    }
}

/// Waits until the app serves `release`, as long as `api` has time; returns the last answer. Does
/// not wait if there is no answer or it is not from the app.
pub fn wait_for(api: &Api, release: &str) -> Call {
    loop {
        let call = api.get(RECORDS[0]);
        let other = call.release.as_deref().is_some_and(|other| other != release);
        if !other || api.left().is_some_and(|left| left <= LOOK) {
            return call;
        }
        api.sleep(LOOK);
    }
}

fn once(api: &Api, data: &Data) -> Result<Round> {
    let mut round = Round::default();
    if !data.files.is_empty() {
        let (call, predictions) = predictions::predict(api, data)?;
        round.predictions = Some(predictions).filter(|_| call.error.is_none());
        round.calls.push(call);
    }
    for path in RECORDS {
        if round.calls.last().is_some_and(|call| !call.reached()) {
            break;
        }
        round.calls.push(api.get(path));
    }
    Ok(round)
}
