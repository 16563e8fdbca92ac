//! The only code that reads the time.
//!
//! Stages measure their durations with [`Clock::elapsed`]. Not for profiling the hot path.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};

/// Wall time for records, monotonic time for durations.
pub trait Clock: Send + Sync {
    /// The current instant in UTC.
    fn now(&self) -> DateTime<Utc>;

    /// Time since some fixed instant in the past; never goes backwards.
    fn elapsed(&self) -> Duration;

    /// Sleeps for `time`.
    fn sleep(&self, time: Duration);
}

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this module owns the clock")]
    fn now(&self) -> DateTime<Utc> {
        utc(SystemTime::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The instant in UTC; a machine whose clock was never set may be before 1970.
fn utc(time: SystemTime) -> DateTime<Utc> {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => DateTime::UNIX_EPOCH + since,
        Err(before) => DateTime::UNIX_EPOCH - before.duration(),
    }
}

/// A clock that advances by one second each time it is read: for tests and examples.
#[derive(Debug)]
pub struct SteppingClock(AtomicI64);

impl SteppingClock {
    /// A clock that starts `seconds` after the Unix epoch.
    pub fn starting_at(seconds: i64) -> Self {
        Self(AtomicI64::new(seconds))
    }
}

impl Clock for SteppingClock {
    fn now(&self) -> DateTime<Utc> {
        let seconds = self.0.fetch_add(1, Ordering::Relaxed);
        DateTime::from_timestamp(seconds, 0).unwrap_or_default()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed).unsigned_abs())
    }

    fn sleep(&self, time: Duration) {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

/// RFC 3339 with milliseconds and `Z`, the format of every record.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_time_before_1970() {
        let early = SystemTime::UNIX_EPOCH - Duration::from_millis(86_400_000 + 1);
        assert_eq!(rfc3339(utc(early)), "1969-12-30T23:59:59.999Z");
        let run = crate::ids::RunId::new(utc(early), 7);
        assert_eq!(run.as_str(), "19691230T235959999Z-7");
    }
}
