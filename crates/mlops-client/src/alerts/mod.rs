//! Delivers alerts to sinks: programs, webhooks and mail. Each attempt has a time limit, and the address or password
//! of a sink appears in no log and no error.
//!
//! Which alerts there are, and when delivery is tried again, is decided in `mlops_core::stage::alert`.

mod exec;
mod smtp;
mod webhook;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use mlops_core::config::alerts::{Secret, Sink, SinkKind};
use mlops_core::stage::alert::Message;

/// What a sink is reached with besides its settings.
pub struct Around<'a> {
    /// The folder of the configuration.
    pub base: &'a Path,
    /// The variables of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Around").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Brings `message` to `sink` within `timeout`.
///
/// # Errors
/// Why it did not arrive, for people.
pub fn deliver(
    sink: &Sink,
    message: &Message,
    timeout: Duration,
    around: &Around<'_>,
) -> Result<(), String> {
    match &sink.kind {
        SinkKind::Exec(words) => exec::run(words, message, timeout, around.base),
        SinkKind::Webhook { url, format, authorization } => {
            let url = reveal(url, around)?;
            let authorization =
                authorization.as_ref().map(|secret| reveal(secret, around)).transpose()?;
            webhook::post(&url, *format, authorization.as_deref(), message, timeout)
        }
        SinkKind::Smtp(smtp) => {
            let password = smtp.password.as_ref().map(|secret| reveal(secret, around));
            smtp::send(smtp, password.transpose()?, message, timeout)
        }
    }
}

/// The value of a secret.
fn reveal(secret: &Secret, around: &Around<'_>) -> Result<String, String> {
    match secret {
        Secret::Open(value) => Ok(value.clone()),
        Secret::Variable(name) => (around.variable)(name).ok_or_else(|| {
            format!("the variable {name} of the environment is not set, which has the secret")
        }),
        Secret::File(path) => {
            let place = path.display();
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read the secret in {place}: {error}"))?;
            let value = text.trim();
            let empty = || format!("the file {place}, which has the secret, is empty");
            if value.is_empty() { Err(empty()) } else { Ok(value.to_owned()) }
        }
    }
}
