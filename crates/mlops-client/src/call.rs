//! The caller's side of the app's HTTP API: single calls, retried while that can help.
//!
//! All our calls may be repeated: GETs change nothing, and a prediction is a pure function of its
//! rows. A call never fails its caller: errors are in its [`Call`]. Not for which calls are made:
//! see [`crate::round`].

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use mlops_core::platform::clock::Clock;
use mlops_core::{Error, Result};
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::transport::{self, reason};

/// The environment variable with the token for reading the app's records.
pub const READ_TOKEN: &str = "MLOPS_READ_TOKEN";
/// The path of predictions.
pub const PREDICTION: &str = "/prediction";
/// The environment variable with the token for predictions.
pub const PREDICT_TOKEN: &str = "MLOPS_PREDICT_TOKEN";
/// The header with the release that answers.
pub const RELEASE_HEADER: &str = "x-model-version";
/// The member of JSON answers with the release.
const RELEASE_MEMBER: &str = "model_version";
/// Our own CSV rows, which have a decimal point whatever the model's files have.
const CANONICAL_CSV: &str = "text/csv; charset=utf-8; decimal=point";
/// The maximum size of an answer in bytes, more than any that the app gives us.
const LARGEST_ANSWER: u64 = 32 << 20;
/// The pause before the second attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause that the app may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The time-out for connecting; the rest of a call's time is for the answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of characters of untrusted text quoted in an error.
const QUOTED: usize = 300;

/// How to reach the app, and how long to try.
#[derive(Clone)]
pub struct Options {
    /// The app's address: `http://127.0.0.1:8000`, or with a path behind a proxy.
    pub url: String,
    /// Sent as a bearer token with GETs; in no record, log or error.
    pub read_token: Option<String>,
    /// Sent as a bearer token with predictions; in no record, log or error.
    pub predict_token: Option<String>,
    /// Time-out of one attempt, including connecting and the answer.
    pub timeout: Duration,
    /// Maximum number of attempts per call, including the first.
    pub attempts: u32,
    /// Time limit for all calls together, including pauses; after that nothing is retried.
    pub within: Option<Duration>,
    /// Treat connection refused as final instead of retrying while the app starts.
    pub only_if_up: bool,
    /// Sent as `X-Request-Id`, so that the app's log can be joined with ours.
    pub request_id: String,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A call and its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// `GET` or `POST`.
    pub method: String,
    /// `/scoring`.
    pub path: String,
    /// The status of the answer; `None` without one.
    pub status: Option<u16>,
    /// The release that answered, according to the answer.
    pub release: Option<String>,
    /// The number of attempts.
    pub attempts: u32,
    /// Seconds from the first attempt to the last byte.
    pub seconds: f64,
    /// The error in words.
    pub error: Option<String>,
    /// The JSON of the answer; null without one.
    pub answer: Value,
    /// The connection was accepted, but no answer came in time.
    #[serde(skip)]
    pub hung: bool,
    /// Whether a token was sent with it.
    #[serde(skip)]
    pub with_token: bool,
}

impl Call {
    /// Whether there was any answer.
    pub fn reached(&self) -> bool {
        self.status.is_some()
    }

    /// Whether the app itself answered: the answer names its release, or is an error in the app's
    /// format.
    pub fn from_app(&self) -> bool {
        self.release.is_some() || self.answer.get("status").and_then(Value::as_u64).is_some()
    }

    /// Whether it asked for predictions.
    pub fn predicts(&self) -> bool {
        self.path == PREDICTION
    }

    /// The call in words, such as `GET /scoring`.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The result of one attempt.
struct Attempt {
    status: Option<StatusCode>,
    release: Option<String>,
    /// The pause that the app asks for.
    pause: Option<Duration>,
    error: Option<String>,
    answer: Value,
    /// Another attempt may succeed.
    again: bool,
    /// See [`Call::hung`].
    hung: bool,
}

/// A connection to the app.
pub struct Api {
    client: Client,
    base: Url,
    read: Option<HeaderValue>,
    predict: Option<HeaderValue>,
    options: Options,
    clock: Arc<dyn Clock>,
    /// Draws a random number between 0 and 1, which varies the pauses.
    random: Box<dyn Fn() -> f64 + Send + Sync>,
    begun: Duration,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Api {
    /// Prepares calls without connecting; the time of `options.within` starts now.
    pub fn new(options: Options, clock: Arc<dyn Clock>) -> Result<Self> {
        let base = address(&options.url)
            .map_err(|wrong| Error::config("the app's address", vec![wrong]))?;
        let bearer = |token: &Option<String>, name| {
            token.as_deref().map(|token| bearer(token, name)).transpose()
        };
        let read = bearer(&options.read_token, READ_TOKEN)?;
        let predict = bearer(&options.predict_token, PREDICT_TOKEN)?;
        if (read.is_some() || predict.is_some())
            && base.scheme() == "http"
            && !transport::is_loopback(&base)
        {
            tracing::warn!("tokens go to {base} unencrypted: use an https:// address");
        }
        let client = transport::client(&base, options.timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(options.timeout))
            // The token must not be sent to another address that this one redirects to.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::backend("the HTTP client", reason(e)))?;
        let begun = clock.elapsed();
        let random = Box::new(random);
        Ok(Self { client, base, read, predict, options, clock, random, begun })
    }

    /// Uses `random`, from 0 to 1, to draw pauses.
    #[must_use]
    pub fn with_random(self, random: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self { random: Box::new(random), ..self }
    }

    /// The app's address, without a final slash.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Calls `GET path`.
    pub fn get(&self, path: &str) -> Call {
        self.call("GET", path, || with(self.read.as_ref(), self.client.get(self.at(path))))
    }

    /// Calls `POST path` with canonical CSV rows, a header first.
    pub fn post_csv(&self, path: &str, rows: &[u8]) -> Call {
        self.call("POST", path, || {
            let request = self.client.post(self.at(path)).body(rows.to_vec());
            with(self.predict.as_ref(), request.header(CONTENT_TYPE, CANONICAL_CSV))
        })
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    fn call(&self, method: &str, path: &str, request: impl Fn() -> RequestBuilder) -> Call {
        let begun = self.clock.elapsed();
        let mut attempts = 0;
        let last = loop {
            attempts += 1;
            let attempt = self.attempt(request());
            if !attempt.again || attempts >= self.options.attempts {
                break attempt;
            }
            let pause = self.pause(attempts).max(attempt.pause.unwrap_or_default());
            if self.left().is_some_and(|left| left <= pause) {
                break attempt;
            }
            let error = attempt.error.as_deref().unwrap_or_default();
            tracing::debug!(method, path, attempts, ?pause, "again: {error}");
            self.clock.sleep(pause);
        };
        let seconds = self.clock.elapsed().saturating_sub(begun).as_secs_f64();
        tracing::debug!(method, path, attempts, seconds, status = ?last.status, "called");
        Call {
            method: method.to_owned(),
            path: path.to_owned(),
            status: last.status.map(|status| status.as_u16()),
            release: last.release,
            attempts,
            seconds,
            error: last.error,
            answer: last.answer,
            hung: last.hung,
            with_token: if method == "GET" { &self.read } else { &self.predict }.is_some(),
        }
    }

    fn attempt(&self, request: RequestBuilder) -> Attempt {
        let timeout = self.options.timeout.min(self.left().unwrap_or(Duration::MAX));
        if timeout.is_zero() {
            return Attempt::unanswered("there was no time left for it".to_owned(), false);
        }
        let request = request
            .timeout(timeout)
            .header(ACCEPT, "application/json")
            .header("X-Request-Id", &self.options.request_id);
        let late = || format!("no answer within {} s", timeout.as_secs_f64().ceil());
        match request.send() {
            Ok(response) => read(response, late),
            Err(e) if e.is_timeout() => {
                let unreachable = e.is_connect() && self.options.only_if_up;
                let attempt = Attempt::unanswered(late(), !unreachable);
                Attempt { hung: !e.is_connect(), ..attempt }
            }
            Err(e) if e.is_connect() => {
                let error = format!("cannot connect: {}", transport::cause(&e));
                Attempt::unanswered(error, !self.options.only_if_up)
            }
            Err(e) => Attempt::unanswered(transport::cause(&e), true),
        }
    }

    /// The pause after attempt number `attempts`: random between half of its length and all of it,
    /// so that many callers that failed together do not return together.
    fn pause(&self, attempts: u32) -> Duration {
        let full = FIRST_PAUSE * 2_u32.saturating_pow(attempts.saturating_sub(1).min(10));
        (full / 2 + full.mul_f64(((self.random)() / 2.0).clamp(0.0, 0.5))).min(LONGEST_PAUSE)
    }

    /// The time left for all calls.
    pub(crate) fn left(&self) -> Option<Duration> {
        let gone = self.clock.elapsed().saturating_sub(self.begun);
        self.options.within.map(|within| within.saturating_sub(gone))
    }

    /// Waits.
    pub(crate) fn sleep(&self, time: Duration) {
        self.clock.sleep(time);
    }
}

impl Attempt {
    fn unanswered(error: String, again: bool) -> Self {
        let (status, release, pause) = (None, None, None);
        let (answer, hung) = (Value::Null, false);
        Self { status, release, pause, error: Some(error), answer, again, hung }
    }
}

/// Reads an answer to its end; one that is longer than the app could give is an error.
fn read(response: Response, late: impl Fn() -> String) -> Attempt {
    let status = response.status();
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(plain).filter(|value| !value.is_empty())
    };
    let release = header(RELEASE_HEADER);
    let seconds = header(RETRY_AFTER.as_str()).and_then(|value| value.parse().ok());
    let pause = seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE));
    let mut attempt = Attempt {
        status: Some(status),
        release,
        pause,
        error: None,
        answer: Value::Null,
        again: matches!(status.as_u16(), 429 | 502 | 503 | 504),
        hung: false,
    };
    let mut body = Vec::new();
    if let Err(e) = response.take(LARGEST_ANSWER + 1).read_to_end(&mut body) {
        let broken = format!("the answer was cut off: {e}");
        attempt.hung = is_timeout(&e);
        attempt.error = Some(if attempt.hung { late() } else { broken });
        attempt.again = true;
        return attempt;
    }
    if body.len() as u64 > LARGEST_ANSWER {
        let error = format!("the answer has over {LARGEST_ANSWER} bytes: is this the app?");
        attempt.error = Some(error);
        return attempt;
    }
    let parsed = serde_json::from_slice::<Value>(&body);
    attempt.error = match (&parsed, status.is_success()) {
        (Ok(_), true) => None,
        (Err(_), true) => Some("the answer is not JSON: is this the app?".to_owned()),
        (parsed, false) => {
            let said = parsed.as_ref().map_or_else(|_| quote(&body), said);
            Some(if said.is_empty() { "without a reason".to_owned() } else { said })
        }
    };
    attempt.answer = parsed.unwrap_or_default();
    if attempt.release.is_none() {
        attempt.release = attempt.answer.get(RELEASE_MEMBER).and_then(Value::as_str).map(plain);
    }
    attempt
}

/// Whether reading an answer ended with a time-out.
fn is_timeout(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<reqwest::Error>());
    error.kind() == std::io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout)
}

/// The text of an error in one of the app's formats.
fn said(answer: &Value) -> String {
    let words = ["detail", "title", "error", "message"];
    let said = words.iter().find_map(|word| answer.get(word)?.as_str());
    said.map_or_else(|| quote(answer.to_string().as_bytes()), |said| quote(said.as_bytes()))
}

/// The beginning of an untrusted text, safe for a terminal.
fn quote(bytes: &[u8]) -> String {
    let text = plain(&String::from_utf8_lossy(&bytes[..bytes.len().min(4 * QUOTED)]));
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Untrusted text on one line, with each control character replaced by a space.
pub(crate) fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim().to_owned()
}

/// Parses the app's address.
fn address(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("\"{}\" {why}", plain(text));
    let url = Url::parse(text).map_err(|e| wrong(&format!("is not an address: {e}")))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(wrong("must start with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not quoted, since it contains a secret.
        return Err(format!(
            "must not contain a password: put tokens into {READ_TOKEN} and {PREDICT_TOKEN}"
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must end with its path: leave out \"?\" and \"#\""));
    }
    Ok(url)
}

fn bearer(token: &str, name: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
        let wrong = "must be one line of ASCII: it goes into a header".to_owned();
        Error::config(name, vec![wrong])
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn with(token: Option<&HeaderValue>, request: RequestBuilder) -> RequestBuilder {
    match token {
        Some(token) => request.header(AUTHORIZATION, token),
        None => request,
    }
}

/// A number from 0 to 1 that differs between processes. The standard library seeds its hash maps
/// with such numbers.
fn random() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(0) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_secrets_in_them_not_repeated() {
        for good in ["http://127.0.0.1:8000", "https://app.example/model/", "http://[::1]:80"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("127.0.0.1:8000", "is not an address"),
            ("ftp://app.example", "must start with http://"),
            ("localhost:8000", "must start with http://"),
            ("http://app.example/?a=1", "leave out \"?\""),
            ("http://me:hush@app.example", "MLOPS_READ_TOKEN"),
        ] {
            let error = address(bad).unwrap_err();
            assert!(error.contains(why) && !error.contains("hush"), "{bad}: {error}");
        }
    }

    #[test]
    fn an_error_in_any_form_is_one_short_line() {
        let of = |text: &str| said(&serde_json::from_str(text).unwrap());
        assert_eq!(of(r#"{"title":"Not found","detail":"no score yet"}"#), "no score yet");
        assert_eq!(of(r#"{"error":"bad\u001b[31m\nrow"}"#), "bad [31m row");
        assert_eq!(of("[1]"), "[1]");
        assert_eq!(quote("ü".repeat(1000).as_bytes()).chars().count(), QUOTED + 1);
    }

    #[test]
    fn random_numbers_stay_between_0_and_1_and_differ() {
        let drawn: Vec<f64> = (0..100).map(|_| random()).collect();
        assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)), "{drawn:?}");
        assert!(drawn.iter().any(|x| x.to_bits() != drawn[0].to_bits()), "{drawn:?}");
    }
}
