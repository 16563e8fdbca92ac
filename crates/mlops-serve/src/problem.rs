//! Every error that a client can see: `application/problem+json` (RFC 9457), or the format of the
//! endpoint's protocol.
//!
//! Errors contain no paths, secrets or stack traces. Not for errors at startup: those are the
//! core's.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use crate::predict::faults::{Fault, Faults};
use crate::refusal::Refusal;

/// Maximum length of an error's text in bytes.
const LONGEST: usize = 1000;

/// `text`, cut to `limit` bytes: it may quote what a client sent.
fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..text.floor_char_boundary(limit)]))
}

/// What went wrong, and what to do about it.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) faults: Option<Box<Faults>>,
    /// The internal cause, for the log only.
    pub(crate) cause: Option<String>,
    /// The request was refused for what it is or who sent it.
    pub(crate) refusal: Option<Refusal>,
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

/// The error format of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `application/problem+json`.
    Problem,
    /// `{"error": "…"}` of the Open Inference Protocol.
    Inference,
    /// `{"error_code": "…", "message": "…"}` of MLflow.
    Mlflow,
    /// A page for browsers, `application/problem+json` for programs.
    Page,
}

impl Dialect {
    /// The format for the unknown `path`: that of its neighbours.
    pub(crate) fn near(path: &str) -> Self {
        if path.starts_with("/v2/") { Self::Inference } else { Self::Problem }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a [Fault]>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self { status, detail, faults: None, cause: None, refusal: None, header: None }
    }

    /// The request is refused for what it is or who sent it.
    pub(crate) fn refused(why: Refusal, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { refusal: Some(why), ..Self::new(why.status(), detail) }
    }

    /// The body cannot be parsed.
    pub(crate) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Rows violate the schema.
    pub(crate) fn rows(faults: Faults) -> Self {
        let detail = match faults.count {
            1 => "1 value breaks the schema of the model; nothing was predicted".to_owned(),
            n => format!("{n} values break the schema of the model; nothing was predicted"),
        };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        problem.faults = Some(Box::new(faults));
        problem
    }

    /// Labels cannot be taken.
    pub(crate) fn labels(faults: Faults) -> Self {
        let detail = match faults.count {
            1 => "1 label cannot be taken; none was kept".to_owned(),
            n => format!("{n} labels cannot be taken; none was kept"),
        };
        Self { detail: detail.into(), ..Self::rows(faults) }
    }

    /// The service is busy; the client should try again shortly.
    pub(crate) fn busy(detail: impl Into<Cow<'static, str>>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        problem.header = Some(Box::new((header::RETRY_AFTER, HeaderValue::from_static("1"))));
        problem
    }

    /// There is no verified model.
    pub(crate) fn no_model() -> Self {
        Self::busy(
            "no verified model is live: run `deployment` first, or `deployment verify` to see \
             what is wrong with the release that is",
        )
    }

    /// An internal error; the log has the cause and the request id.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        let detail = "an error inside the service; its log has the details under this request id";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail);
        problem.cause = Some(cause.into());
        problem
    }

    /// Adds a header.
    pub(crate) fn with(self, name: HeaderName, value: &'static str) -> Self {
        self.with_value(name, HeaderValue::from_static(value))
    }

    /// Adds a header whose value is made for this request.
    pub(crate) fn with_value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    /// The bytes and their media type.
    fn render(&self, dialect: Dialect, request_id: &str) -> (Vec<u8>, &'static str) {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let mut detail = cut(&self.detail, LONGEST).into_owned();
        if let (Some(faults), false) =
            (&self.faults, matches!(dialect, Dialect::Problem | Dialect::Page))
        {
            for fault in faults.first.iter().take(10) {
                detail = cut(&format!("{detail}; {fault}"), 2 * LONGEST).into_owned();
            }
        }
        let (value, kind) = match dialect {
            Dialect::Problem | Dialect::Page => {
                let document = Document {
                    r#type: "about:blank",
                    title,
                    status: self.status.as_u16(),
                    detail: &detail,
                    request_id,
                    error_count: self.faults.as_ref().map(|f| f.count),
                    errors: self.faults.as_ref().map(|f| f.first.as_slice()),
                };
                let whole = serde_json::to_vec(&document);
                // Without the faults nothing is left that could fail.
                let bytes = whole.unwrap_or_else(|_| {
                    serde_json::json!({
                        "type": document.r#type, "title": title, "status": document.status,
                        "detail": detail, "request_id": request_id,
                    })
                    .to_string()
                    .into_bytes()
                });
                return (bytes, "application/problem+json");
            }
            Dialect::Inference => (serde_json::json!({ "error": detail }), "application/json"),
            Dialect::Mlflow => {
                let code = match self.status.as_u16() {
                    429 => "REQUEST_LIMIT_EXCEEDED",
                    400..=499 => "BAD_REQUEST",
                    503 => "TEMPORARILY_UNAVAILABLE",
                    _ => "INTERNAL_ERROR",
                };
                let value = serde_json::json!({ "error_code": code, "message": detail });
                (value, "application/json")
            }
        };
        (value.to_string().into_bytes(), kind)
    }

    /// Adds the headers of this problem to those of its answer.
    pub(crate) fn mark(&self, response: &mut Response) {
        *response.status_mut() = self.status;
        if let Some((name, value)) = self.header.as_deref() {
            response.headers_mut().insert(name, value.clone());
        }
    }

    /// The problem as text.
    pub(crate) fn response(&self, dialect: Dialect, request_id: &str) -> Response {
        let (bytes, kind) = self.render(dialect, request_id);
        let mut response = Response::new(Body::from(bytes));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        self.mark(&mut response);
        response
    }
}
