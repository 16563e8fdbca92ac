//! One round of calls: the rows of a data file, then every record that the app has of its release.
//!
//! All answers of a round should be of one release; one that changes meanwhile begins it again.
//! Not for what a single call goes through: see [`crate::api`].

use std::collections::BTreeSet;
use std::time::Duration;

use mlops_core::Result;

use crate::api::{Api, Call};
use crate::data::Data;
use crate::predictions::{self, Predictions};

/// What the app keeps on record, in the order of the calls.
pub const RECORDS: [&str; 3] = ["/scoring", "/summarystats", "/diagnostics"];
/// How often a round is begun when the release changes in the middle.
const ROUNDS: u32 = 3;

/// Between two looks at which release the app serves.
const LOOK: Duration = Duration::from_millis(250);

/// What came of all calls.
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

/// Makes all calls. A call that nobody answers is the last one. Fails only if a file of `data`
/// cannot be read.
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

/// Waits until the app serves `release`, as long as `api` has time; gives the last answer. Somebody
/// who is not there, or not the app, is not waited for.
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
