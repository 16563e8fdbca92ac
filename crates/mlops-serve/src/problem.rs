//! Every error that a client can see: `application/problem+json` (RFC 9457), or what the protocol
//! of the address asks for.
//!
//! No path, no secret and no trace of the program ever stands in one.
//! Not for errors of the program at its start: those are the core's.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use crate::predict::faults::{Fault, Faults};

/// Longest text on what went wrong, in bytes.
const LONGEST: usize = 1000;

/// `text`, or its beginning where it is longer than `limit`: what a client sent may stand in it.
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
    /// What happened inside, for the log alone.
    pub(crate) cause: Option<String>,
    header: Option<(HeaderName, &'static str)>,
}

/// How an address speaks of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `application/problem+json`.
    Problem,
    /// `{"error": "…"}` of the Open Inference Protocol.
    Inference,
    /// `{"error_code": "…", "message": "…"}` of MLflow.
    Mlflow,
}

impl Dialect {
    /// That of the address `path`, where there is nothing: that of its neighbours.
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
        Self { status, detail: detail.into(), faults: None, cause: None, header: None }
    }

    /// The body cannot be understood.
    pub(crate) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Rows that break the schema.
    pub(crate) fn rows(faults: Faults) -> Self {
        let detail = match faults.count {
            1 => "1 value breaks the schema of the model; nothing was predicted".to_owned(),
            n => format!("{n} values break the schema of the model; nothing was predicted"),
        };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        problem.faults = Some(Box::new(faults));
        problem
    }

    /// Try again in a moment.
    pub(crate) fn busy(detail: impl Into<Cow<'static, str>>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        problem.header = Some((header::RETRY_AFTER, "1"));
        problem
    }

    /// No verified model.
    pub(crate) fn no_model() -> Self {
        Self::busy(
            "no verified model is live: run `deployment` first, or `deployment verify` to see \
             what is wrong with the release that is",
        )
    }

    /// Something that is our fault; the log says what, beside the id of the request.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        let detail = "an error inside the service; its log has the details under this request id";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail);
        problem.cause = Some(cause.into());
        problem
    }

    /// The same with a header of its own.
    pub(crate) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// The bytes and their type.
    fn render(&self, dialect: Dialect, request_id: &str) -> (Vec<u8>, &'static str) {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let mut detail = cut(&self.detail, LONGEST).into_owned();
        if let (Some(faults), false) = (&self.faults, dialect == Dialect::Problem) {
            for fault in faults.first.iter().take(10) {
                detail = cut(&format!("{detail}; {fault}"), 2 * LONGEST).into_owned();
            }
        }
        let (value, kind) = match dialect {
            Dialect::Problem => {
                let document = Document {
                    r#type: "about:blank",
                    title,
                    status: self.status.as_u16(),
                    detail: &detail,
                    request_id,
                    error_count: self.faults.as_ref().map(|f| f.count),
                    errors: self.faults.as_ref().map(|f| f.first.as_slice()),
                };
                return (
                    serde_json::to_vec(&document).unwrap_or_default(),
                    "application/problem+json",
                );
            }
            Dialect::Inference => (serde_json::json!({ "error": detail }), "application/json"),
            Dialect::Mlflow => {
                let code = match self.status.as_u16() {
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

    /// The problem in words.
    pub(crate) fn response(&self, dialect: Dialect, request_id: &str) -> Response {
        let (bytes, kind) = self.render(dialect, request_id);
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some((name, value)) = &self.header {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
