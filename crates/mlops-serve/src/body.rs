//! Request bodies: their types, how they are read, and where they are processed.
//!
//! Not for limits on their size: see `limits`. Not for their content: see `predict` and the
//! protocols.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body as Incoming, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::budget::{LARGE, Share};
use crate::encoding;
use crate::limits::Limits;
use crate::live::Loaded;
use crate::pages::query::Query;
use crate::predict::reading::Decimal;
use crate::problem::Problem;
use crate::state::{App, State};

/// The number of requests that may wait for a disk at a time. A disk that hangs blocks only their
/// threads.
pub(crate) const DISK: usize = 16;
/// How long a request waits to become one of them.
const DISK_PATIENCE: Duration = Duration::from_secs(1);

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// The format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

/// A body that was read to its end.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// The number of bytes received.
    pub(crate) size: usize,
    pub(crate) format: Format,
    /// The declared decimal separator.
    pub(crate) decimal: Decimal,
    /// Large enough to delay other requests.
    pub(crate) large: bool,
    /// Its share of the memory for bodies.
    pub(crate) share: Share,
    /// The request's place among those in flight.
    _place: OwnedSemaphorePermit,
}

/// Reads the body of `request`, of at most `max` bytes, then takes a place among the requests in
/// flight.
///
/// # Errors
/// 415 for another type, 413 over the size limit, 408 over the time limit, 400 for a broken or
/// empty one, 503 without memory or a place for it.
pub(crate) async fn read(request: Request, app: &App, max: usize) -> Result<Body, Problem> {
    let (format, decimal) = format(request.headers())?;
    let gzip = encoding::of_request(request.headers())?;
    let mut limits = Limits::of(app, max);
    let mut bytes = bytes(request, &mut limits).await?;
    if gzip {
        (bytes, limits) = work(true, move || {
            let unpacked = encoding::unpack(&bytes, &mut limits)?;
            Ok((unpacked, limits))
        })
        .await?;
    }
    if bytes.is_empty() {
        return Err(Problem::malformed("the body is empty: send rows"));
    }
    let (size, share, place) = (bytes.len(), limits.share, place(app)?);
    Ok(Body { bytes, size, format, decimal, large: size > LARGE, share, _place: place })
}

/// Reads the form in the body of `request`, of at most `max` bytes.
///
/// # Errors
/// As for [`read`].
pub(crate) async fn form(request: Request, app: &App, max: usize) -> Result<Query, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(FORM) || encoding::of_request(request.headers())? {
        let detail = "send a form: the header \"Content-Type: application/x-www-form-urlencoded\"";
        return Err(
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).with(header::ACCEPT, FORM)
        );
    }
    let mut limits = Limits::of(app, max);
    let bytes = bytes(request, &mut limits).await?;
    let text = std::str::from_utf8(&bytes);
    text.map(Query::of).map_err(|_| Problem::malformed("the form is not UTF-8"))
}

/// Takes a place among the requests in flight.
pub(crate) fn place(app: &State) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(&app.in_flight).try_acquire_owned().map_err(|_| {
        Problem::busy("as many requests as service.max_in_flight are at work: try again")
    })
}

/// Takes a place among the requests that wait for a disk, to be held as long as the disk is waited
/// for, even if the request was given up.
pub(crate) async fn disk(app: &State) -> Result<OwnedSemaphorePermit, Problem> {
    let place = Arc::clone(&app.disk).acquire_owned();
    let place = tokio::time::timeout(DISK_PATIENCE, place).await;
    place.ok().and_then(std::result::Result::ok).ok_or_else(slow_disk)
}

/// Like [`disk`] without waiting, on a thread that must not wait.
pub(crate) fn disk_now(app: &State) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(&app.disk).try_acquire_owned().map_err(|_| slow_disk())
}

fn slow_disk() -> Problem {
    Problem::busy("other requests wait for the disk, which is slow or hangs: try again")
}

async fn bytes(request: Request, limits: &mut Limits) -> Result<Bytes, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
    announced.map_or(Ok(()), |bytes| limits.announced(bytes))?;
    let (time, room) = (limits.time, announced.map_or(0, |n| n.min(LARGE as u64)));
    let room = usize::try_from(room).unwrap_or_default();
    tokio::time::timeout(time, collect(request.into_body(), limits, room)).await.unwrap_or_else(
        |_| {
            let detail = format!("the body took over {} s", time.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail).with(header::CONNECTION, "close"))
        },
    )
}

/// Collects all pieces of a body, of perhaps `room` bytes; a single one is not copied.
async fn collect(mut body: Incoming, limits: &mut Limits, room: usize) -> Result<Bytes, Problem> {
    let (mut first, mut all) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::malformed("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        limits.grow(first.len() + all.len(), data.len())?;
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.reserve(room);
            }
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

/// The format that `headers` declare, by default JSON, and its number format.
fn format(headers: &HeaderMap) -> Result<(Format, Decimal), Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok((Format::Json, Decimal::Untold));
    };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let (mut utf8, mut decimal) = (true, Some(Decimal::Untold));
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim_matches('"');
        match name {
            "charset" => utf8 = matches!(value, "utf-8" | "utf8" | "us-ascii"),
            "decimal" => decimal = Decimal::named(value),
            _ => {}
        }
    }
    let Some(decimal) = decimal else {
        let detail = "in the header Content-Type, \"decimal\" is \"point\" or \"comma\"";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    };
    match kind {
        "application/json" | "text/json" if utf8 => Ok((Format::Json, decimal)),
        "text/csv" | "application/csv" if utf8 => Ok((Format::Csv, decimal)),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send UTF-8 with the header \"Content-Type: application/json\" or \"text/csv\"",
        )
        .with(header::ACCEPT, "application/json, text/csv")),
    }
}

/// Runs `work` here if it is short, or else on a thread that may block. A panic in it becomes an
/// error.
pub(crate) async fn work<T: Send + 'static>(
    long: bool,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let work = || {
        catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|panic| Err(Problem::internal(format!("a panic: {}", words(&*panic)))))
    };
    if long {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|e| Err(Problem::internal(e.to_string())))
    } else {
        work()
    }
}

/// The message of a panic.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}

/// A JSON answer from the release `loaded`.
pub(crate) fn json(bytes: impl Into<Incoming>, loaded: &Loaded) -> Response {
    let mut response = typed(bytes, "application/json");
    response.headers_mut().insert(MODEL_VERSION, loaded.version.clone());
    response
}

/// The header with the release that answered.
pub(crate) const MODEL_VERSION: &str = "x-model-version";

/// An answer of media type `kind`.
pub(crate) fn typed(bytes: impl Into<Incoming>, kind: &'static str) -> Response {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
