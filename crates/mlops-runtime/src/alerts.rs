//! Alerts of unattended runs, and the commands that list and test them.
//!
//! Which messages there are is decided in `mlops_core::stage::alert`; they are delivered by `mlops-client`.

use std::fmt;
use std::time::Duration;

use mlops_client::alerts::{self, Around};
use mlops_core::config::alerts::Sink;
use mlops_core::ids::FindingKind;
use mlops_core::ledger::Ledger;
use mlops_core::run::attention::Finding;
use mlops_core::run::context::{Context, Report};
use mlops_core::stage::alert::{self, Message};
use mlops_core::{Error, Result};
use serde::Serialize;

use crate::environment::secret;

fn deliver(
    context: &Context,
    sink: &Sink,
    message: &Message,
    timeout: Duration,
) -> std::result::Result<(), String> {
    let around = Around { base: &context.config.base, variable: &secret };
    alerts::deliver(sink, message, timeout, &around)
}

/// Tells what is to be told after a run, whose records are complete by then. Nothing here fails a run: what was not
/// sent waits for the next one.
pub(crate) fn tell(context: &Context, ledger: &mut Ledger) {
    let told = alert::queue(context, ledger).and_then(|_| {
        alert::send(context, ledger, &|sink, message, timeout| {
            deliver(context, sink, message, timeout)
        })
    });
    match told {
        Ok(sent) => {
            for failure in &sent.failures {
                tracing::warn!("an alert did not arrive: {failure}");
            }
            if sent.taken > 0 {
                tracing::info!(messages = sent.taken, "alerts were sent");
            }
            if sent.waiting > 0 {
                tracing::warn!(messages = sent.waiting, "alerts wait for the next run");
            }
        }
        Err(error) => tracing::warn!("alerts are left to the next run: {error}"),
    }
}

/// The report of `diagnostics alerts test`.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    /// The sinks.
    pub sinks: Vec<TriedSink>,
}

/// How a test message fared.
#[derive(Debug, Clone, Serialize)]
pub struct TriedSink {
    /// The name of the sink.
    pub sink: String,
    /// The id of the message.
    pub message: String,
    /// Why it did not arrive.
    pub error: Option<String>,
}

impl Report for Tried {
    fn findings(&self) -> Vec<Finding> {
        let failed = self.sinks.iter().filter_map(|sink| Some((&sink.sink, sink.error.as_ref()?)));
        failed
            .map(|(sink, why)| {
                let words = format!("the test message to \"{sink}\" did not arrive: {why}");
                Finding::failed(FindingKind::Upkeep, words).about([sink])
            })
            .collect()
    }
}

/// Sends a test message to the sink `name`, or to every one.
pub fn test(context: &Context, name: Option<&str>) -> Result<Tried> {
    let all = &context.config.alerts.sinks;
    let sinks: Vec<&Sink> = all.iter().filter(|s| name.is_none_or(|name| s.name == name)).collect();
    if sinks.is_empty() {
        let names: Vec<&str> = all.iter().map(|sink| sink.name.as_str()).collect();
        return Err(Error::missing(match name {
            Some(name) if !all.is_empty() => {
                format!("there is no sink {name:?}: there are {}", names.join(", "))
            }
            _ => "there are no sinks: name them in \"alerts.sinks\" of the configuration (see \
                  docs/alerts.md)"
                .to_owned(),
        }));
    }
    let tried = sinks.into_iter().map(|sink| {
        let message = Message::test(context, sink);
        let error = deliver(context, sink, &message, sink.timeout).err();
        TriedSink { sink: sink.name.clone(), message: message.id, error }
    });
    Ok(Tried { sinks: tried.collect() })
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut taken = self.sinks.iter().filter(|sink| sink.error.is_none());
        taken.try_for_each(|sink| {
            writeln!(f, "{} took the test message {}", sink.sink, sink.message)
        })
    }
}
