//! A file of a web server: fetched when its ETag, its time or its bytes changed, and continued where
//! the connection broke off.
//!
//! Addresses inside a network are called only if the configuration names them, also after redirects
//! and whatever a name server says (see `guard`). Not for lists of files, which web servers do not
//! have in common.

mod guard;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use mlops_core::config;
use mlops_core::config::sources::without_secrets;
use mlops_core::source::{Fetched, Object, Seen, Source};
use mlops_core::{Error, Result, text};
use reqwest::header::{ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode, Url};

use crate::web::guard::Guard;
use crate::{hosts, tls, worker};

/// Attempts, including the first, as long as none of them brings much that is new.
const ATTEMPTS: u32 = 5;
/// An attempt that brings so many bytes shows that the next is worth while.
const PROGRESS: u64 = 1 << 16;
/// Redirects that are followed.
const REDIRECTS: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A server that is slower than this many bytes a second has stalled.
const SLOWEST: f64 = 1024.0;

/// The file.
pub(crate) struct Page {
    client: Client,
    url: Url,
    timeout: Duration,
    largest: u64,
}

/// An attempt that failed.
enum Trouble {
    /// The next may succeed, after this pause if the server asks for one.
    Passing(String, Option<Duration>),
    /// It is not what the list said any more.
    Changed,
    Final(Error),
}

impl Page {
    pub(crate) fn new(source: &config::Source, uri: &str) -> Result<Self> {
        tls::ready();
        let wrong = |why: &str| Error::data(format!("{}: {why}", without_secrets(uri)));
        let url = Url::parse(uri).map_err(|e| wrong(&format!("this is not an address: {e}")))?;
        let allowed = source.access.allow_hosts.clone();
        let host = url.host_str().unwrap_or_default().to_owned();
        // The address itself may be that of this machine; what it leads to may not.
        let guard = Arc::new(Guard::new(&allowed, hosts::is_loopback(&host).then_some(&host)));
        guard.check(&url).map_err(|why| wrong(&why))?;
        let redirects = Arc::clone(&guard);
        let follow = Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS {
                return attempt.error("it redirects too often");
            }
            match redirects.check(attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(why) => attempt.error(why),
            }
        });
        let timeout = source.access.timeout;
        let mut builder = Client::builder()
            .read_timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .dns_resolver(guard)
            .redirect(follow)
            .user_agent(concat!("mlops/", env!("CARGO_PKG_VERSION")));
        if url.scheme() == "http" && hosts::is_loopback(&host) {
            // A machine without certificates needs none, and no proxy reaches this machine itself.
            builder = builder.tls_certs_only([]).no_proxy();
        }
        let client = builder.build().map_err(|e| Error::backend("the HTTP client", words(e)))?;
        Ok(Self { client, url, timeout, largest: source.access.max_bytes })
    }

    fn name(&self) -> String {
        let last = self.url.path_segments().and_then(|mut parts| parts.next_back());
        let last = last.filter(|name| !name.is_empty()).unwrap_or("download");
        decoded(last)
    }

    fn failed(&self, why: &str) -> Error {
        let address = without_secrets(self.url.as_str());
        Error::remote(text::bounded(format!("{address}: {}", text::one_line(why))))
    }

    /// A request that is repeated as long as that can help.
    async fn repeated<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<T, Trouble>,
    ) -> Result<Option<T>> {
        let mut pause = FIRST_PAUSE;
        let mut number = 1;
        loop {
            match attempt().await {
                Ok(done) => return Ok(Some(done)),
                Err(Trouble::Changed) => return Ok(None),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(why, _)) if number == ATTEMPTS => {
                    return Err(self.failed(&format!("{why}, {ATTEMPTS} times")));
                }
                Err(Trouble::Passing(why, asked)) => {
                    tracing::debug!(number, "again: {why}");
                    tokio::time::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                    (number, pause) = (number + 1, 2 * pause);
                }
            }
        }
    }

    /// Sends a request; the answer has begun well.
    async fn answer(&self, method: Method, headers: HeaderMap) -> Result<Response, Trouble> {
        let request = self.client.request(method, self.url.clone()).headers(headers).send();
        let answer = match tokio::time::timeout(self.timeout, request).await {
            Err(_) => {
                return Err(Trouble::Passing(format!("no answer within {:?}", self.timeout), None));
            }
            Ok(Err(error)) if error.is_redirect() || error.is_builder() => {
                return Err(Trouble::Final(self.failed(&words(error))));
            }
            Ok(Err(error)) => {
                let why = words(error);
                return Err(if why.contains(guard::REFUSED) {
                    Trouble::Final(self.failed(&why))
                } else {
                    Trouble::Passing(why, None)
                });
            }
            Ok(Ok(answer)) => answer,
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let why = format!("it answers {status}");
        let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        if status.is_server_error() || busy {
            let pause =
                answer.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
            return Err(Trouble::Passing(why, pause.map(Duration::from_secs)));
        }
        let advice = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ": the address needs other credentials"
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => ": check the \"uri\"",
            _ => "",
        };
        Err(Trouble::Final(self.failed(&(why + advice))))
    }

    async fn look(&self) -> Result<Object> {
        let head = self
            .repeated(async || match self.answer(Method::HEAD, HeaderMap::new()).await {
                Ok(answer) => Ok(Some(answer)),
                // Some servers and signed addresses know GET only.
                Err(Trouble::Final(error)) if !error.to_string().contains("404") => {
                    tracing::debug!("HEAD is refused: {error}");
                    Ok(None)
                }
                Err(trouble) => Err(trouble),
            })
            .await?;
        let name = self.name();
        let Some(answer) = head.flatten() else {
            return Ok(Object { name, version: None, size: None, modified: None });
        };
        let headers = answer.headers();
        let modified = header(headers, LAST_MODIFIED.as_str());
        let modified = modified.and_then(|time| DateTime::parse_from_rfc2822(time).ok());
        let size = header(headers, "content-length").and_then(|size| size.parse().ok());
        Ok(Object { name, version: version(headers), size, modified: modified.map(Into::into) })
    }

    /// Writes the bytes, continuing where a connection broke off.
    async fn download(&self, listed: &Object, to: &mut dyn Write) -> Result<Fetched> {
        let (mut got, mut tag, mut expected) = (0_u64, None::<String>, None::<u64>);
        let mut before = 0;
        let mut idle = 0;
        loop {
            let done = self
                .repeated(async || {
                    let headers = continued(got, tag.as_deref());
                    let answer = self.answer(Method::GET, headers).await?;
                    self.receive(listed, answer, &mut got, &mut tag, &mut expected, to).await
                })
                .await?;
            match done {
                None => return Ok(Fetched::Changed),
                Some(None) if got == 0 => return Ok(Fetched::Empty),
                Some(None) => return Ok(Fetched::Whole { cursor: None }),
                Some(Some(why)) => {
                    // It broke off: only a strong tag says that the rest belongs to the beginning.
                    idle = if got >= before + PROGRESS { 0 } else { idle + 1 };
                    before = got;
                    if tag.is_none() && got > 0 || idle == ATTEMPTS {
                        return Err(self.failed(&format!("{why}, after {got} bytes")));
                    }
                    tracing::debug!(got, "goes on: {why}");
                    tokio::time::sleep(FIRST_PAUSE).await;
                }
            }
        }
    }

    /// Writes an answer; returns why it broke off, if it did.
    async fn receive(
        &self,
        listed: &Object,
        mut answer: Response,
        got: &mut u64,
        tag: &mut Option<String>,
        expected: &mut Option<u64>,
        to: &mut dyn Write,
    ) -> Result<Option<String>, Trouble> {
        let headers = answer.headers();
        let version = version(headers);
        let strong = header(headers, ETAG.as_str()).filter(|tag| !tag.starts_with("W/"));
        let strong = strong.map(str::to_owned);
        let changed = listed.version.is_some() && version != listed.version;
        if changed || (*got > 0 && strong != *tag) {
            return Err(Trouble::Changed);
        }
        tag.clone_from(&strong);
        // A server without ranges begins anew.
        let continues = answer.status() == StatusCode::PARTIAL_CONTENT;
        let mut skipped = if continues { 0 } else { *got };
        let length =
            answer.content_length().map(|length| if continues { *got + length } else { length });
        if expected.is_some() && length.is_some() && *expected != length {
            return Err(Trouble::Changed);
        }
        *expected = expected.or(length);
        if expected.is_some_and(|size| size > self.largest) {
            // The reader says so in its own words when it gets more than it takes.
            tracing::debug!(?expected, "it is larger than allowed");
        }
        let begun = Instant::now();
        let mut received = 0_u64;
        loop {
            let piece = match answer.chunk().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => return Ok(Some(words(error))),
            };
            received += piece.len() as u64;
            let elapsed = begun.elapsed();
            if elapsed > self.timeout && (received as f64) < SLOWEST * elapsed.as_secs_f64() {
                let why = format!(
                    "it sends less than {SLOWEST} bytes a second, and is given up after {elapsed:.0?}"
                );
                return Err(Trouble::Final(self.failed(&why)));
            }
            let skip = skipped.min(piece.len() as u64);
            skipped -= skip;
            let piece = &piece[usize::try_from(skip).unwrap_or(piece.len())..];
            let kept = to.write_all(piece).map_err(|e| Error::backend("keeping the file", e));
            kept.map_err(Trouble::Final)?;
            *got += piece.len() as u64;
        }
        match *expected {
            Some(size) if *got < size => Ok(Some("the answer ended early".to_owned())),
            Some(size) if *got > size => Err(Trouble::Changed),
            _ => Ok(None),
        }
    }
}

impl Source for Page {
    fn list(&self, _: &Seen) -> Result<Vec<Object>> {
        Ok(vec![worker::wait(self.look())??])
    }

    fn fetch(&self, object: &Object, to: &mut dyn Write) -> Result<Fetched> {
        worker::wait(self.download(object, to))?
    }
}

/// The headers that ask for the rest, if there is a beginning.
fn continued(got: u64, tag: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let (1.., Some(tag)) = (got, tag)
        && let (Ok(range), Ok(tag)) = (format!("bytes={got}-").parse(), tag.parse())
    {
        headers.insert(RANGE, range);
        headers.insert(IF_RANGE, tag);
    }
    headers
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What differs when the bytes do.
fn version(headers: &HeaderMap) -> Option<String> {
    let tag = header(headers, ETAG.as_str());
    let time = header(headers, LAST_MODIFIED.as_str());
    tag.or(time).map(str::to_owned)
}

/// An error with its causes, without the address, which may hold a secret.
fn words(error: reqwest::Error) -> String {
    text::causes(&error.without_url())
}

/// A part of an address without its `%XX`.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).replace('/', "%2F")
}
