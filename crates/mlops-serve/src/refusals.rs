//! Requests that are refused for what they are or who sends them: counted, and told in the access
//! log with client, reason and request id.
//!
//! At most a few lines a second, so that nobody can fill a disk by being refused. Not for requests
//! that are wrong in their rows, nor for those that the service is too busy for.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use mlops_core::platform::clock::rfc3339;

use crate::client::Client;
use crate::state::State;

/// Lines in a second.
const LINES: u32 = 50;

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No token.
    NoToken,
    /// A token that is not known.
    UnknownToken,
    /// A token that is for something else.
    Scope,
    /// A page of another origin.
    Origin,
    /// A host name that is not ours.
    Host,
    /// A body that is too large.
    TooLarge,
    /// Too many requests of one client.
    RateLimit,
    /// A head that is no HTTP.
    Malformed,
    /// A handshake of TLS that failed.
    Handshake,
}

impl Refusal {
    const ALL: [(Self, &str); 9] = [
        (Self::NoToken, "no_token"),
        (Self::UnknownToken, "unknown_token"),
        (Self::Scope, "scope"),
        (Self::Origin, "origin"),
        (Self::Host, "host"),
        (Self::TooLarge, "too_large"),
        (Self::RateLimit, "rate_limit"),
        (Self::Malformed, "malformed"),
        (Self::Handshake, "tls_handshake"),
    ];

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The status of the answer; a connection that ends at a handshake has none.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NoToken | Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::Scope | Self::Origin => StatusCode::FORBIDDEN,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Malformed | Self::Handshake => StatusCode::BAD_REQUEST,
        }
    }
}

/// The refusals so far.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    counts: [AtomicU64; Refusal::ALL.len()],
    lines: Mutex<Lines>,
}

/// The lines of one second.
#[derive(Debug, Default)]
struct Lines {
    second: u64,
    written: u32,
    left_out: u64,
}

impl Lines {
    /// Whether a line may be written at `now`, and how many were left out before it.
    fn may_write(&mut self, now: Duration) -> Option<u64> {
        let left_out = self.turn(now);
        if self.written == LINES {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(left_out)
    }

    /// Begins another second; the lines that were left out in the last one.
    fn turn(&mut self, now: Duration) -> u64 {
        if self.second == now.as_secs() {
            return 0;
        }
        (self.second, self.written) = (now.as_secs(), 0);
        std::mem::take(&mut self.left_out)
    }
}

impl Refusals {
    /// Counts and tells that a request of `client` was refused; `id` is its request id, if it came
    /// so far as to have one.
    pub(crate) fn tell(&self, app: &State, why: Refusal, client: Client, id: Option<&str>) {
        self.counts[why as usize].fetch_add(1, Ordering::Relaxed);
        let Some(log) = &app.access_log else { return };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = lines.may_write(app.context.clock.elapsed());
        drop(lines);
        let Some(left_out) = left_out else { return };
        tell_of_left_out(app, left_out);
        let (at, name) = (rfc3339(app.context.clock.now()), why.name());
        let mut line = Vec::with_capacity(160);
        // Writing to a vector cannot fail.
        let _ = if log.json {
            let id = serde_json::Value::from(id);
            writeln!(
                line,
                "{{\"timestamp\":\"{at}\",\"request_id\":{id},\"refused\":\"{name}\",\
                 \"client\":\"{client}\"}}"
            )
        } else {
            writeln!(line, "{at} {} refused: {name}, client {client}", id.unwrap_or("-"))
        };
        log.lines.push(&line);
    }

    /// Tells how many lines were left out, once their second is over.
    pub(crate) fn follow(&self, app: &State) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = lines.turn(app.context.clock.elapsed());
        drop(lines);
        tell_of_left_out(app, left_out);
    }

    /// The counts as metrics.
    pub(crate) fn write(&self, out: &mut String) {
        let name = "mlops_refusals_total";
        let _ = writeln!(
            out,
            "# HELP {name} Requests refused for what they are or who sends them.\n\
             # TYPE {name} counter"
        );
        for (why, reason) in Refusal::ALL {
            let n = self.counts[why as usize].load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}{{reason=\"{reason}\"}} {n}");
        }
    }
}

fn tell_of_left_out(app: &State, left_out: u64) {
    let Some(log) = app.access_log.as_ref().filter(|_| left_out > 0) else { return };
    let at = rfc3339(app.context.clock.now());
    let line = if log.json {
        format!("{{\"timestamp\":\"{at}\",\"refused\":\"others\",\"count\":{left_out}}}\n")
    } else {
        format!("{at} - refused: {left_out} more within a second\n")
    };
    log.lines.push(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_a_few_lines_a_second_and_their_number() {
        let mut lines = Lines::default();
        let now = Duration::from_millis(5300);
        let written = (0..1000).filter(|_| lines.may_write(now).is_some()).count();
        assert_eq!(written, 50);
        assert_eq!(lines.turn(now), 0);
        assert_eq!(lines.may_write(now + Duration::from_millis(699)), None);
        assert_eq!(lines.may_write(now + Duration::from_millis(700)), Some(951));
        assert_eq!(lines.may_write(now + Duration::from_millis(700)), Some(0));
    }

    #[test]
    fn every_reason_has_its_own_name() {
        for (index, (why, name)) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!((why as usize, why.name()), (index, name));
        }
    }
}
