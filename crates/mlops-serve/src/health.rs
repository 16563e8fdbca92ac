//! The service's own state: liveness, readiness, metrics, version, and its page.
//!
//! Not for the same in the Open Inference Protocol: see `v2`.

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use crate::body;
use crate::call::Call;
use crate::prediction_log::PredictionLog;
use crate::problem::Problem;
use crate::state::State;

/// Answers `GET /livez`: the process answers.
pub(crate) fn livez(_: &Call) -> Response {
    body::typed(json!({ "status": "alive" }).to_string(), "application/json")
}

/// Answers `GET /readyz`: whether a verified release is served, and whether it is the live one on
/// disk.
pub(crate) fn readyz(Call { app, .. }: &Call) -> Response {
    let loaded = app.live.get();
    let stopping = *app.stopping.borrow();
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
    if !app.ready() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// What is open at the moment, as metrics.
fn gauges(out: &mut String, app: &State) {
    let mut gauge = |name: &str, help: &str, value: i64| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    };
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let name = "mlops_http_requests_in_flight";
    gauge(
        name,
        "Requests whose heads have come and that are not answered.",
        app.metrics.in_flight(),
    );
    let name = "mlops_http_connections";
    gauge(name, "Open connections.", count(app.open_connections()));
    let name = "mlops_http_connections_max";
    gauge(name, "Connections that may be open, service.max_connections.", count(app.connections.1));
    if let Some(identity) = &app.identity {
        let name = "mlops_tls_certificate_not_after_timestamp_seconds";
        gauge(name, "The end of the certificate's validity, since 1970.", identity.until());
    }
}

/// Answers `GET /metrics`.
pub(crate) async fn metrics(Call { app, .. }: Call) -> Result<Response, Problem> {
    let lost = app.access_log.as_ref().map_or(0, |log| log.lines.lost())
        + app.predictions.as_ref().map_or(0, PredictionLog::lost);
    let figures = app.figures.text(&app.context, &app.live).await;
    let mut text = app.metrics.render(lost);
    gauges(&mut text, &app);
    app.refusals.write(&mut text);
    text += &figures;
    Ok(body::typed(text, "text/plain; version=0.0.4; charset=utf-8"))
}

/// Answers `GET /ping`: whether predictions are possible, in MLflow's protocol.
pub(crate) fn ping(Call { app, .. }: &Call) -> Result<Response, Problem> {
    if app.ready() {
        Ok(body::typed("\n", "text/plain; charset=utf-8"))
    } else {
        Err(Problem::no_model())
    }
}

/// Answers `GET /version`.
pub(crate) fn version(_: &Call) -> Response {
    body::typed(env!("CARGO_PKG_VERSION"), "text/plain; charset=utf-8")
}

/// Answers `GET /docs`: the page that shows `/openapi.json`. It loads nothing from elsewhere; it is the only page
/// with a script, so its policy admits one.
pub(crate) fn page(_: &Call) -> Response {
    let mut response = body::typed(include_str!("docs.html"), "text/html; charset=utf-8");
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                  connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let policy = HeaderValue::from_static(policy);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
