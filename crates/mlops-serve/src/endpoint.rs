//! The addresses, with the methods that they take and who may ask there.
//!
//! Not for what they answer: see `router`.

use axum::http::Method;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// No token is asked for, and no limit: whether the service is there.
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
    /// The methods that it takes.
    pub(crate) allow: &'static str,
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

const GET: &str = "GET, HEAD, OPTIONS";

const fn open(path: &'static str) -> Endpoint {
    Endpoint { path, allow: GET, get: Scope::Open }
}

const fn read(path: &'static str) -> Endpoint {
    Endpoint { path, allow: GET, get: Scope::Read }
}

const fn post(path: &'static str) -> Endpoint {
    Endpoint { path, allow: "POST, OPTIONS", get: Scope::Read }
}

/// All of them; the last one stands for every other address.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    post("/prediction"),
    post("/invocations"),
    post("/v2/models/{model}/infer"),
    post("/v2/models/{model}/versions/{version}/infer"),
    Endpoint { path: "/scoring", allow: "GET, HEAD, POST, OPTIONS", get: Scope::Read },
    read("/summarystats"),
    read("/diagnostics"),
    open("/livez"),
    open("/readyz"),
    read("/metrics"),
    open("/ping"),
    open("/health"),
    open("/version"),
    read("/openapi.json"),
    open("/"),
    open("/docs"),
    read("/v2"),
    open("/v2/health/live"),
    open("/v2/health/ready"),
    read("/v2/models/{model}"),
    read("/v2/models/{model}/versions/{version}"),
    open("/v2/models/{model}/ready"),
    open("/v2/models/{model}/versions/{version}/ready"),
    Endpoint { path: "(unknown)", allow: "", get: Scope::Open },
];

/// The index of the address that `path` belongs to.
pub(crate) fn index(path: &str) -> usize {
    let found = ENDPOINTS.iter().position(|e| matches(e.path, path));
    found.unwrap_or(ENDPOINTS.len() - 1)
}

/// Whether `path` has the parts of `pattern`, of which those in braces may be anything.
fn matches(pattern: &str, path: &str) -> bool {
    if !pattern.contains('{') {
        return pattern == path;
    }
    let (mut parts, mut found) = (pattern.split('/'), path.split('/'));
    loop {
        match (parts.next(), found.next()) {
            (None, None) => return true,
            (Some(part), Some(found)) if part == found => {}
            (Some(part), Some(found)) if part.starts_with('{') && !found.is_empty() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_by_its_parts() {
        for (path, expected) in [
            ("/prediction", "/prediction"),
            ("/", "/"),
            ("/v2/models/churn", "/v2/models/{model}"),
            ("/v2/models/churn/ready", "/v2/models/{model}/ready"),
            ("/v2/models/a/versions/b/infer", "/v2/models/{model}/versions/{version}/infer"),
            ("/v2/models/", "(unknown)"),
            ("/v2/models/a/b", "(unknown)"),
            ("/prediction/", "(unknown)"),
            ("(unknown)", "(unknown)"),
        ] {
            assert_eq!(ENDPOINTS[index(path)].path, expected, "{path}");
        }
    }
}
