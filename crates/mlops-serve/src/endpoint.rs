//! The addresses, with who may ask there and whether the limit of requests counts.
//!
//! Not for what they answer: see `router`.

use axum::http::Method;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// No token is asked for: whether the service is there.
    Open,
    /// What is on record, metrics, descriptions.
    Read,
    /// Predictions and scores of rows that are sent.
    Predict,
}

/// An address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoint {
    /// As the router spells it.
    pub(crate) path: &'static str,
    /// For GET and HEAD.
    get: Scope,
}

impl Endpoint {
    /// What a request with `method` needs.
    pub(crate) fn scope(&self, method: &Method) -> Scope {
        match *method {
            Method::POST => Scope::Predict,
            Method::OPTIONS => Scope::Open,
            _ => self.get,
        }
    }
}

const fn open(path: &'static str) -> Endpoint {
    Endpoint { path, get: Scope::Open }
}

const fn read(path: &'static str) -> Endpoint {
    Endpoint { path, get: Scope::Read }
}

/// All of them; the last one stands for every other address.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    read("/prediction"),
    read("/invocations"),
    read("/v2/models/{model}/infer"),
    read("/v2/models/{model}/versions/{version}/infer"),
    read("/scoring"),
    read("/summarystats"),
    read("/diagnostics"),
    open("/livez"),
    open("/readyz"),
    read("/metrics"),
    open("/ping"),
    open("/health"),
    open("/version"),
    read("/openapi.json"),
    read("/"),
    read("/docs"),
    read("/v2"),
    open("/v2/health/live"),
    open("/v2/health/ready"),
    read("/v2/models/{model}"),
    read("/v2/models/{model}/versions/{version}"),
    open("/v2/models/{model}/ready"),
    open("/v2/models/{model}/versions/{version}/ready"),
    open("(unknown)"),
];

/// The index of the address that the router matched.
pub(crate) fn index(path: Option<&str>) -> usize {
    let found = path.and_then(|path| ENDPOINTS.iter().position(|e| e.path == path));
    found.unwrap_or(ENDPOINTS.len() - 1)
}
