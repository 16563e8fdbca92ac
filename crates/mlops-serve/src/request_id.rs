//! The id of a request, the client's own or a generated one. It is in the answer, in errors and in
//! the logs.
//!
//! Beside it stands the caller's own id for the prediction, if there is one: the header
//! `X-Inference-Id`, or `id` in the Open Inference Protocol. It is only in the log of predictions,
//! where labels are joined by it.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use mlops_core::config::JoinBy;

use crate::problem::Problem;

/// The header with the id of a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header with the caller's own id for a prediction.
pub(crate) const INFERENCE_ID: HeaderName = HeaderName::from_static("x-inference-id");
/// Longest id accepted from a client.
const LONGEST: usize = 128;

/// Whether a caller's own id can be logged.
fn fits(id: &str) -> bool {
    (1..=LONGEST).contains(&id.len())
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct RequestId {
    id: HeaderValue,
    callers: Option<String>,
    /// The caller's own id cannot be logged.
    unusable: bool,
}

impl RequestId {
    /// The id in `headers` if it is valid; otherwise a generated one that begins with `prefix`.
    pub(crate) fn of(headers: &HeaderMap, prefix: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let sound = |id: &&HeaderValue| {
            let bytes = id.as_bytes();
            (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        let sent = headers.get(INFERENCE_ID).filter(|id| !id.is_empty());
        let text = sent.and_then(|id| std::str::from_utf8(id.as_bytes()).ok());
        let callers = text.filter(|id| fits(id)).map(str::to_owned);
        let unusable = sent.is_some() && callers.is_none();
        if let Some(id) = headers.get(REQUEST_ID).filter(sound) {
            return Self { id: id.clone(), callers, unusable };
        }
        let text = format!("{prefix}{:x}", COUNT.fetch_add(1, Ordering::Relaxed));
        let value = HeaderValue::from_maybe_shared(Bytes::from(text));
        Self { id: value.unwrap_or(HeaderValue::from_static("-")), callers, unusable }
    }

    /// The same, with the caller's own id from the body unless a header had one.
    pub(crate) fn or_callers(self, id: Option<&str>) -> Self {
        let id = id.filter(|id| !id.is_empty() && self.callers.is_none());
        let unusable = self.unusable || id.is_some_and(|id| !fits(id));
        let callers = self.callers.or_else(|| id.filter(|id| fits(id)).map(str::to_owned));
        Self { callers, unusable, ..self }
    }

    /// Refuses an id of the caller's that cannot be logged, if labels are to be joined by it: none would ever
    /// be.
    pub(crate) fn check(&self, by: Option<JoinBy>) -> Result<(), Problem> {
        if self.unusable && by == Some(JoinBy::Inference) {
            let detail = format!(
                "labels are joined by inference ids, and this one is not UTF-8 or longer than {LONGEST} bytes: \
                 send another one"
            );
            return Err(Problem::malformed(detail));
        }
        Ok(())
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
