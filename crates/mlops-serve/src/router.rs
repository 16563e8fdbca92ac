//! Every address on one page.
//!
//! Not for who may ask: see `endpoint`. Not for what they share: see `around`.

use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::prediction_log::PredictionLog;
use crate::problem::Problem;
use crate::state::{App, State as Shared};
use crate::{body, figures, invocations, openapi, predict, prefix, recorded, scoring, v2};

/// The service as a function of its state.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/prediction", post(predict::predict))
        .route("/scoring", get(recorded::scoring).post(scoring::score))
        .route("/summarystats", get(recorded::summary))
        .route("/diagnostics", get(recorded::diagnose))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .route("/", get(page))
        .route("/docs", get(page))
        .route("/invocations", post(invocations::invoke))
        .route("/ping", get(ping))
        .route("/health", get(ping))
        .route("/version", get(version))
        .route("/v2", get(v2::server))
        .route("/v2/health/live", get(v2::live))
        .route("/v2/health/ready", get(v2::server_ready))
        .route("/v2/models/{model}", get(v2::metadata))
        .route("/v2/models/{model}/versions/{version}", get(v2::metadata))
        .route("/v2/models/{model}/ready", get(v2::model_ready))
        .route("/v2/models/{model}/versions/{version}/ready", get(v2::model_ready))
        .route("/v2/models/{model}/infer", post(v2::infer))
        .route("/v2/models/{model}/versions/{version}/infer", post(v2::infer))
        .method_not_allowed_fallback(not_allowed)
        .fallback(not_found)
        .with_state(app)
}

/// That the process answers.
async fn livez() -> Response {
    body::typed(json!({ "status": "alive" }).to_string(), "application/json")
}

/// Whether a verified release is served, and whether it is the one that is live on disk.
async fn readyz(State(app): State<App>) -> Response {
    let loaded = app.live.get();
    let stopping = app.stopping.load(Ordering::Relaxed);
    let trouble = app.live.trouble();
    let stalled = app.live.stalled(&app.context);
    let status = match (&loaded, stopping) {
        (_, true) => "stopping",
        (None, _) => "no model",
        (Some(_), _) if trouble.is_some() || stalled => "degraded",
        (Some(_), _) => "ready",
    };
    let reason = "the live release has not been looked at for seconds: a disk may hang";
    let trouble = match (stalled, trouble.as_ref()) {
        (true, _) => json!({ "release": null, "reason": reason }),
        (false, Some(t)) => json!({ "release": t.release, "reason": t.public }),
        (false, None) => json!(null),
    };
    let value = json!({
        "status": status,
        "model_version": loaded.as_ref().map(|l| l.id.as_str()),
        "sha256": loaded.as_ref().map(|l| l.sha256.to_string()),
        "trouble": trouble,
    });
    let mut response = body::typed(value.to_string(), "application/json");
    if !ready(&app) {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let after = axum::http::HeaderValue::from_static("1");
        response.headers_mut().insert(axum::http::header::RETRY_AFTER, after);
    }
    response
}

/// Whether predictions are answered.
pub(crate) fn ready(app: &Shared) -> bool {
    app.live.get().is_some() && !app.stopping.load(Ordering::Relaxed)
}

async fn metrics(State(app): State<App>) -> Response {
    let lost = app.access_log.as_ref().map_or(0, |log| log.lines.lost())
        + app.predictions.as_ref().map_or(0, PredictionLog::lost);
    let text = app.metrics.render(lost) + &figures::text(&app).await;
    body::typed(text, "text/plain; version=0.0.4; charset=utf-8")
}

/// Whether predictions are answered, as MLflow's callers ask it.
async fn ping(State(app): State<App>) -> Result<Response, Problem> {
    if ready(&app) {
        Ok(body::typed("\n", "text/plain; charset=utf-8"))
    } else {
        Err(Problem::no_model())
    }
}

async fn version() -> Response {
    body::typed(env!("CARGO_PKG_VERSION"), "text/plain; charset=utf-8")
}

async fn openapi(State(app): State<App>, headers: HeaderMap) -> Response {
    let settings = app.service();
    let root = prefix::of(&headers, &settings);
    let document = openapi::document(&settings, &root, app.live.get().as_deref());
    body::typed(document.to_string(), "application/json")
}

/// The page that shows `/openapi.json`; it needs nothing from elsewhere.
async fn page() -> Response {
    let mut response = body::typed(include_str!("page.html"), "text/html; charset=utf-8");
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                  connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let policy = axum::http::HeaderValue::from_static(policy);
    response.headers_mut().insert(axum::http::header::CONTENT_SECURITY_POLICY, policy);
    response
}

async fn not_found() -> Response {
    let detail = "there is nothing at this address: see /openapi.json for those that there are";
    Problem::new(StatusCode::NOT_FOUND, detail).into_response()
}

async fn not_allowed() -> Response {
    let detail = "this address does not take this method: the header \"Allow\" has those it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).into_response()
}
