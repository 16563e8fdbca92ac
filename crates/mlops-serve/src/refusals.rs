//! Requests that are refused for what they are or who sends them: counted, and written to the access
//! log with client, reason and request id.
//!
//! At most a few lines a second, so that nobody can fill a disk by being refused. Not for requests
//! that are wrong in their rows, nor for those that the service is too busy for.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mlops_core::platform::clock::{Clock, rfc3339};
use mlops_core::platform::lines::Lines as Log;

use crate::refusal::Refusal;

/// Lines in a second.
const LINES: u32 = 50;

/// The refusals so far.
pub(crate) struct Refusals {
    clock: Arc<dyn Clock>,
    /// Where they are told, and whether as JSON.
    log: Option<(Arc<Log>, bool)>,
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
    /// None so far; they will be told in `log`, as JSON if that is said.
    pub(crate) fn new(clock: Arc<dyn Clock>, log: Option<(Arc<Log>, bool)>) -> Self {
        Self { clock, log, counts: Default::default(), lines: Mutex::default() }
    }

    /// Counts and tells that a request of `client` was refused; `id` is its request id, if it came
    /// so far as to have one.
    pub(crate) fn tell(&self, why: Refusal, client: impl fmt::Display, id: Option<&str>) {
        self.counts[why as usize].fetch_add(1, Ordering::Relaxed);
        let Some((log, json)) = &self.log else { return };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = lines.may_write(self.clock.elapsed());
        drop(lines);
        let Some(left_out) = left_out else { return };
        self.tell_of_left_out(left_out);
        let (at, name) = (rfc3339(self.clock.now()), why.name());
        let mut line = Vec::with_capacity(160);
        // Writing to a vector cannot fail.
        let _ = if *json {
            let id = serde_json::Value::from(id);
            writeln!(
                line,
                "{{\"timestamp\":\"{at}\",\"request_id\":{id},\"refused\":\"{name}\",\
                 \"client\":\"{client}\"}}"
            )
        } else {
            writeln!(line, "{at} {} refused: {name}, client {client}", id.unwrap_or("-"))
        };
        log.push(&line);
    }

    /// Tells how many lines were left out, once their second is over.
    pub(crate) fn follow(&self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = lines.turn(self.clock.elapsed());
        drop(lines);
        self.tell_of_left_out(left_out);
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

    fn tell_of_left_out(&self, left_out: u64) {
        let Some((log, json)) = self.log.as_ref().filter(|_| left_out > 0) else { return };
        let at = rfc3339(self.clock.now());
        let line = if *json {
            format!("{{\"timestamp\":\"{at}\",\"refused\":\"others\",\"count\":{left_out}}}\n")
        } else {
            format!("{at} - refused: {left_out} more within a second\n")
        };
        log.push(line.as_bytes());
    }
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
}
