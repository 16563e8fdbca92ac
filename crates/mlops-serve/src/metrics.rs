//! Metrics for Prometheus: counters that requests only increment.
//!
//! Not for a log: metrics do not identify requests.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mlops_core::evaluation::metrics::classify;

/// Upper bounds of the latency buckets, in seconds.
const BOUNDS: [f64; 15] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];
/// Statuses that the service answers with.
const CODES: [u16; 19] =
    [200, 204, 400, 401, 403, 404, 405, 406, 408, 413, 415, 421, 422, 429, 431, 500, 501, 503, 504];
/// The maximum number of releases with counters of their own; beyond it the oldest is dropped.
const VERSIONS: usize = 100;

/// Latencies for one endpoint and status.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// Counts of predictions by one release.
#[derive(Debug, Default)]
pub(crate) struct ClassCounts {
    positive: AtomicU64,
    negative: AtomicU64,
}

impl ClassCounts {
    /// Counts rows with these probabilities.
    pub(crate) fn add(&self, probabilities: &[f64], threshold: f64) {
        let positive = probabilities.iter().filter(|p| classify(**p, threshold)).count() as u64;
        let negative = probabilities.len() as u64 - positive;
        self.positive.fetch_add(positive, Ordering::Relaxed);
        self.negative.fetch_add(negative, Ordering::Relaxed);
    }
}

/// Why a connection ended without an answer of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Too many connections.
    Refused,
    /// The request head was malformed.
    Malformed,
    /// Head or answer took too long.
    TimedOut,
    /// The connection broke.
    Broken,
    /// The handshake of TLS failed.
    Handshake,
}

impl Failed {
    const ALL: [(Self, &str); 5] = [
        (Self::Refused, "refused"),
        (Self::Malformed, "malformed"),
        (Self::TimedOut, "timed_out"),
        (Self::Broken, "broken"),
        (Self::Handshake, "tls_handshake"),
    ];

    pub(crate) fn of(error: &hyper::Error) -> Self {
        let source = std::error::Error::source(error);
        let cause = source.and_then(|e| e.downcast_ref::<std::io::Error>());
        if error.is_parse() {
            Self::Malformed
        } else if error.is_timeout()
            || cause.is_some_and(|e| e.kind() == std::io::ErrorKind::TimedOut)
        {
            Self::TimedOut
        } else {
            Self::Broken
        }
    }
}

/// A request in flight, also one that is given up.
pub(crate) struct InFlight<'m>(&'m AtomicI64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// The endpoints that metrics distinguish.
    endpoints: Vec<&'static str>,
    requests: Vec<[Histogram; CODES.len() + 1]>,
    classes: Mutex<Vec<(String, Arc<ClassCounts>)>>,
    model: Mutex<Option<(String, String)>>,
    reloads: AtomicU64,
    failures: AtomicU64,
    in_flight: AtomicI64,
    connections: [AtomicU64; Failed::ALL.len()],
}

impl Metrics {
    /// Metrics for these endpoints, without requests so far.
    pub(crate) fn new(endpoints: Vec<&'static str>) -> Self {
        Self {
            requests: endpoints.iter().map(|_| Default::default()).collect(),
            endpoints,
            classes: Mutex::default(),
            model: Mutex::default(),
            reloads: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            in_flight: AtomicI64::new(0),
            connections: Default::default(),
        }
    }

    /// Counts a request to the endpoint with index `endpoint` that ended with `code` after `time`.
    pub(crate) fn request(&self, endpoint: usize, code: u16, time: Duration) {
        let code = CODES.iter().position(|c| *c == code).unwrap_or(CODES.len());
        let histogram = &self.requests[endpoint][code];
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.iter().position(|b| seconds <= *b).unwrap_or(BOUNDS.len());
        histogram.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        histogram.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Counts a request as being in flight until the answer is dropped.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(&self.in_flight)
    }

    /// The number of requests in flight.
    pub(crate) fn in_flight(&self) -> i64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The number of requests so far.
    pub(crate) fn requests(&self) -> u64 {
        let buckets = self.requests.iter().flatten().flat_map(|h| &h.buckets);
        buckets.map(|b| b.load(Ordering::Relaxed)).sum()
    }

    /// The counters of release `version`.
    pub(crate) fn classes(&self, version: &str) -> Arc<ClassCounts> {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, counts)) = classes.iter().find(|(v, _)| v == version) {
            return Arc::clone(counts);
        }
        if classes.len() == VERSIONS {
            classes.remove(0);
        }
        let counts = Arc::<ClassCounts>::default();
        classes.push((version.to_owned(), Arc::clone(&counts)));
        counts
    }

    /// Records that a release was verified and is now served.
    pub(crate) fn loaded(&self, version: &str, sha256: &str) {
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        *model = Some((version.to_owned(), sha256.to_owned()));
        self.reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refused release or pointer.
    pub(crate) fn load_failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that ended without an answer of ours.
    pub(crate) fn connection_failed(&self, why: Failed) {
        self.connections[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The metrics in Prometheus text format.
    pub(crate) fn render(&self, lost_log_lines: u64) -> String {
        let mut out = String::with_capacity(8192);
        self.write(&mut out, lost_log_lines);
        out
    }

    fn write(&self, out: &mut String, lost_log_lines: u64) {
        let head = |out: &mut String, name: &str, kind: &str, help: &str| {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        };
        let name = "mlops_http_request_duration_seconds";
        head(out, name, "histogram", "Time from the head of a request to its answer.");
        for (endpoint, by_code) in self.endpoints.iter().zip(&self.requests) {
            let codes = CODES.iter().map(u16::to_string).chain(["other".to_owned()]);
            for (code, histogram) in codes.zip(by_code) {
                let buckets = histogram.buckets.each_ref().map(|b| b.load(Ordering::Relaxed));
                let total: u64 = buckets.iter().sum();
                if total == 0 {
                    continue;
                }
                let labels = format!("endpoint=\"{endpoint}\",code=\"{code}\"");
                let mut sum = 0;
                for (bound, n) in BOUNDS.iter().zip(&buckets) {
                    sum += n;
                    let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {sum}");
                }
                let seconds = histogram.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9;
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}");
                let _ = writeln!(out, "{name}_sum{{{labels}}} {seconds}");
                let _ = writeln!(out, "{name}_count{{{labels}}} {total}");
            }
        }
        let name = "mlops_predictions_total";
        head(out, name, "counter", "Rows predicted, by class and release.");
        let classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        for (version, counts) in classes.iter() {
            for (class, n) in [("positive", &counts.positive), ("negative", &counts.negative)] {
                let n = n.load(Ordering::Relaxed);
                let _ =
                    writeln!(out, "{name}{{class=\"{class}\",model_version=\"{version}\"}} {n}");
            }
        }
        let name = "mlops_model_info";
        head(out, name, "gauge", "The release that is served; 1 for it.");
        let model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, sha256)) = &*model {
            let _ = writeln!(out, "{name}{{version=\"{version}\",sha256=\"{sha256}\"}} 1");
        }
        let name = "mlops_model_reload_total";
        head(out, name, "counter", "Releases taken into service, and attempts that failed.");
        for (result, n) in [("success", &self.reloads), ("failure", &self.failures)] {
            let _ = writeln!(out, "{name}{{result=\"{result}\"}} {}", n.load(Ordering::Relaxed));
        }
        let name = "mlops_connection_failures_total";
        head(out, name, "counter", "Connections that ended without an answer of a handler.");
        for (why, result) in Failed::ALL {
            let n = self.connections[why as usize].load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}{{reason=\"{result}\"}} {n}");
        }
        let name = "mlops_log_lines_lost_total";
        head(out, name, "counter", "Lines of the access and prediction logs that found no room.");
        let _ = writeln!(out, "{name} {lost_log_lines}");
    }
}
