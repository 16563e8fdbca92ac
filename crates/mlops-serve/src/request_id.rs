//! The id of a request, the client's own or a generated one. It is in the answer, in errors and in
//! the logs.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header with the id of a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id accepted from a client.
const LONGEST: usize = 128;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The id in `headers` if it is valid; otherwise a generated one that begins with `prefix`.
    pub(crate) fn of(headers: &HeaderMap, prefix: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let sound = |id: &&HeaderValue| {
            let bytes = id.as_bytes();
            (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        if let Some(id) = headers.get(REQUEST_ID).filter(sound) {
            return Self(id.clone());
        }
        let text = format!("{prefix}{:x}", COUNT.fetch_add(1, Ordering::Relaxed));
        let value = HeaderValue::from_maybe_shared(Bytes::from(text));
        Self(value.unwrap_or(HeaderValue::from_static("-")))
    }

    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("-")
    }

    /// The header value.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}
