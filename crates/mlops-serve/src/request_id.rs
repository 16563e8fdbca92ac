//! The id of a request, the client's own or a generated one. It is in the answer, in errors and in
//! the logs.
//!
//! Beside it stands the caller's own id for the prediction, if there is one: the header
//! `X-Inference-Id`, or `id` in the Open Inference Protocol. It is only in the log of predictions,
//! where labels are joined by it.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header with the id of a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header with the caller's own id for a prediction.
pub(crate) const INFERENCE_ID: HeaderName = HeaderName::from_static("x-inference-id");
/// Longest id accepted from a client.
const LONGEST: usize = 128;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct RequestId {
    id: HeaderValue,
    callers: Option<String>,
}

impl RequestId {
    /// The id in `headers` if it is valid; otherwise a generated one that begins with `prefix`.
    pub(crate) fn of(headers: &HeaderMap, prefix: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let sound = |id: &&HeaderValue| {
            let bytes = id.as_bytes();
            (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        let callers = headers.get(INFERENCE_ID).filter(sound);
        let callers = callers.and_then(|id| id.to_str().ok()).map(str::to_owned);
        if let Some(id) = headers.get(REQUEST_ID).filter(sound) {
            return Self { id: id.clone(), callers };
        }
        let text = format!("{prefix}{:x}", COUNT.fetch_add(1, Ordering::Relaxed));
        let value = HeaderValue::from_maybe_shared(Bytes::from(text));
        Self { id: value.unwrap_or(HeaderValue::from_static("-")), callers }
    }

    /// The same, with the caller's own id from the body unless a header had one.
    pub(crate) fn or_callers(self, id: Option<&str>) -> Self {
        let sound = |id: &&str| (1..=LONGEST).contains(&id.len());
        let callers = self.callers.or_else(|| id.filter(sound).map(str::to_owned));
        Self { callers, ..self }
    }

    /// The caller's own id.
    pub(crate) fn callers(&self) -> Option<&str> {
        self.callers.as_deref()
    }

    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        self.id.to_str().unwrap_or("-")
    }

    /// The header value.
    pub(crate) fn header(&self) -> HeaderValue {
        self.id.clone()
    }
}
