//! CORS: only pages of the configured origins may call the service.

use axum::http::{HeaderMap, HeaderValue, Method, header};

use crate::state::Settings;

/// Whether any origin is configured.
pub(crate) fn configured(settings: &Settings) -> bool {
    !settings.cors_origins.is_empty()
}

/// Tells the browser that `origin` may read the answer, if it may.
pub(crate) fn allow(
    settings: &Settings,
    origin: &HeaderValue,
    method: &Method,
    headers: &mut HeaderMap,
) {
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if !settings.cors_origins.iter().any(|o| o.as_bytes() == origin.as_bytes()) {
        return;
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    let exposed = HeaderValue::from_static("x-request-id, x-model-version");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    if *method == Method::OPTIONS {
        let methods = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let allowed =
            HeaderValue::from_static("authorization, content-type, x-request-id, x-inference-id");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}
