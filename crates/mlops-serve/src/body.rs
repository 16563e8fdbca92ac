//! Bodies: of what type, how large, how slow; and where the work on one is done.
//!
//! Not for their content: see `predict` and the protocols.

use std::panic::{AssertUnwindSafe, catch_unwind};

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use mlops_core::config::Service;

use crate::encoding;
use crate::live::Loaded;
use crate::problem::Problem;

/// A larger body is worked on beside the threads that serve connections.
pub(crate) const INLINE: usize = 256 << 10;

/// How rows are spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

/// A body that was read to its end.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
}

impl Body {
    /// Whether work on it may hold up others.
    pub(crate) fn large(&self) -> bool {
        self.bytes.len() > INLINE
    }
}

/// Reads the body of `request`.
///
/// # Errors
/// 415 for another type, 413 over the limit, 408 over the time, 400 for a broken or empty one.
pub(crate) async fn read(request: Request, service: &Service) -> Result<Body, Problem> {
    let format = format(request.headers())?;
    let gzip = encoding::of_request(request.headers())?;
    let limit = service.max_body_bytes;
    let bytes = bytes(request, limit, service).await?;
    let bytes = if gzip { encoding::unpack(&bytes, limit)? } else { bytes };
    if bytes.is_empty() {
        return Err(Problem::malformed("the body is empty: send rows"));
    }
    Ok(Body { bytes, format })
}

fn too_large(limit: usize) -> Problem {
    let detail = format!(
        "the body is larger than {limit} bytes, the limit service.max_body_bytes: send fewer rows \
         at a time"
    );
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

async fn bytes(request: Request, limit: usize, service: &Service) -> Result<Bytes, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n| n > limit as u64) {
        return Err(too_large(limit));
    }
    let body = Limited::new(request.into_body(), limit);
    match tokio::time::timeout(service.body_timeout, body.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Ok(Err(_)) => Err(Problem::malformed("the body broke off")),
        Err(_) => {
            let detail = format!("the body took over {} s", service.body_timeout.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail).with(header::CONNECTION, "close"))
        }
    }
}

/// The format that `headers` announce; JSON when they say nothing.
fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Format::Json) };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let charset = parts.find_map(|p| p.strip_prefix("charset="));
    let utf8 = charset.is_none_or(|c| matches!(c.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
    match kind {
        "application/json" | "text/json" if utf8 => Ok(Format::Json),
        "text/csv" | "application/csv" if utf8 => Ok(Format::Csv),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send UTF-8 with the header \"Content-Type: application/json\" or \"text/csv\"",
        )
        .with(header::ACCEPT, "application/json, text/csv")),
    }
}

/// Does `work` here if it is short, else on a thread where it may take its time. What panics in it
/// becomes an answer.
pub(crate) async fn work<T: Send + 'static>(
    long: bool,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let work = || {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            tracing::error!("a request panicked; the message above says where");
            Err(Problem::internal())
        })
    };
    if long {
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Problem::internal()))
    } else {
        work()
    }
}

/// A JSON answer of the release `loaded`.
pub(crate) fn json(bytes: Vec<u8>, loaded: &Loaded) -> Response {
    let mut response = typed(bytes, "application/json");
    response.headers_mut().insert(MODEL_VERSION, loaded.version.clone());
    response
}

/// The header that names the release that answered.
pub(crate) const MODEL_VERSION: &str = "x-model-version";

/// An answer of the media type `kind`.
pub(crate) fn typed(bytes: impl Into<axum::body::Body>, kind: &'static str) -> Response {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
