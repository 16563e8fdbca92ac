//! Posts events of OpenLineage to an address, from a thread of its own: nothing waits for one, and a failed one
//! fails nothing.
//!
//! Not for the events: see `mlops_core::run::lineage`.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;

use crate::transport::{self, reason};

/// The most events that wait; further ones are dropped.
const MOST_WAITING: usize = 1000;

/// Sends events in order. When it is dropped, it waits for those that are under way, for at most two time-outs.
#[derive(Debug)]
pub struct Posts {
    events: Option<SyncSender<String>>,
    done: Mutex<Receiver<()>>,
    timeout: Duration,
}

impl Posts {
    /// Posts to `url` with `timeout` for each event.
    pub fn new(url: &str, timeout: Duration) -> Self {
        let (events, waiting) = sync_channel(MOST_WAITING);
        let (ended, done) = channel();
        let events = match Url::parse(url) {
            Err(e) => {
                tracing::warn!("no lineage is sent: the address is not valid: {e}");
                None
            }
            Ok(url) => std::thread::Builder::new()
                .name("lineage".to_owned())
                .spawn(move || work(&url, timeout, &waiting, &ended))
                .inspect_err(|e| tracing::warn!("no lineage is sent: cannot start a thread: {e}"))
                .ok()
                .map(|_| events),
        };
        Self { events, done: Mutex::new(done), timeout }
    }

    /// Sends an event without waiting for it.
    pub fn send(&self, event: &str) {
        if let Some(events) = &self.events
            && events.try_send(event.to_owned()).is_err()
        {
            tracing::warn!("an event of the lineage was dropped: too many are waiting");
        }
    }
}

impl Drop for Posts {
    fn drop(&mut self) {
        if self.events.take().is_some() {
            // Whether they arrived does not matter.
            let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
            let _ = done.recv_timeout(2 * self.timeout);
        }
    }
}

fn work(url: &Url, timeout: Duration, waiting: &Receiver<String>, ended: &Sender<()>) {
    let client = transport::client(url, timeout).build().map_err(reason);
    for event in waiting {
        let posted = client.as_ref().map_err(Clone::clone).and_then(|client| {
            let request =
                client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(event);
            let response = request.send().and_then(reqwest::blocking::Response::error_for_status);
            response.map(drop).map_err(reason)
        });
        if let Err(why) = posted {
            tracing::warn!("an event of the lineage was not sent: {why}");
        }
    }
    // If nobody waits, nothing is lost.
    let _ = ended.send(());
}
