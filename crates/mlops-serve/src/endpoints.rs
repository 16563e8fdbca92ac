//! The table of endpoints: each endpoint is defined once, with its path, methods, scope, handler and
//! description; those of the dashboard are in [`pages::endpoints`](crate::pages::endpoints). Router, tokens, body limits, metrics
//! and `/openapi.json` are all derived from it.
//!
//! Not for the answers: see the modules of the handlers.

use std::sync::Arc;

use axum::response::Response;

use crate::access::Scope::{Approve, Open, Read};
use crate::call::{Call, at_once};
use crate::endpoint::{Endpoint, Operation as Op};
use crate::openapi::operation::{Operation as Described, TEXT};
use crate::pages::endpoints::PAGES;
use crate::problem::Dialect::{Inference, Mlflow, Problem};
use crate::state::DescriptionKey;
use crate::{
    approvals, body, health, invocations, labels, openapi, predict, prefix, recorded, scoring, v2,
};

/// The table without the pages, in the order of the description.
static ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "/prediction",
        Problem,
        &[Op::post(
            |call| Box::pin(predict::predict(call)),
            || {
                Described::new("predict", "predictions", "Predict rows")
                    .takes("Rows")
                    .also_csv()
                    .can_miss()
                    .explains()
                    .answers("One prediction for each row, in order", "Predictions")
            },
        )],
    ),
    Endpoint::new(
        "/scoring",
        Problem,
        &[
            Op::get(
                Read,
                |call| Box::pin(recorded::scoring(call)),
                || on_record("recordedScore", "The score of the live release", "RecordedScore"),
            ),
            Op::post(
                |call| Box::pin(scoring::score(call)),
                || {
                    Described::new(
                        "score",
                        "predictions",
                        "Score labelled rows; nothing is recorded",
                    )
                    .takes("Rows")
                    .also_csv()
                    .can_miss()
                    .answers("Figures of these rows", "Score")
                },
            ),
        ],
    ),
    Endpoint::new(
        "/summarystats",
        Problem,
        &[Op::get(
            Read,
            |call| Box::pin(recorded::summary(call)),
            || on_record("summaryStatistics", "Statistics of the columns", "Record"),
        )],
    ),
    Endpoint::new(
        "/diagnostics",
        Problem,
        &[Op::get(
            Read,
            |call| Box::pin(recorded::diagnose(call)),
            || on_record("diagnostics", "The newest diagnostics", "Record"),
        )],
    ),
    Endpoint::new(
        "/labels",
        Problem,
        &[Op::labels(
            |call| Box::pin(labels::take(call)),
            || {
                Described::new("sendLabels", "labels", "Keep outcomes of predictions")
                    .takes("Labels")
                    .also_csv()
                    .can_miss()
                    .can_conflict()
                    .means(404, "Labels are not taken here")
                    .means(409, "It is not known yet how the negative label is spelt")
                    .means(422, "Rows cannot be taken, which are named; none of the batch was")
                    .answers("What was kept, durably", "LabelBatch")
            },
        )],
    ),
    Endpoint::new(
        "/approvals/{release}",
        Problem,
        &[Op::form(
            Approve,
            |call| Box::pin(approvals::decide(call)),
            || {
                let summary = "Approve or reject a challenger that waits";
                Described::new("decideOnChallenger", "approvals", summary)
                    .takes("Ruling")
                    .names("The id of the challenger, or its beginning")
                    .can_miss()
                    .can_conflict()
                    .means(404, "There is no such release")
                    .means(
                        409,
                        "It does not wait, does not wait any more, or is not the best any more",
                    )
                    .means(503, "Another run works on the workspace, and nothing was changed")
                    .answers("What was decided", "Ruled")
            },
        )],
    ),
    Endpoint::new(
        "/livez",
        Problem,
        &[Op::get(
            Open,
            |call| at_once(Ok(health::livez(&call))),
            || {
                Described::new("livez", "service", "Whether the process answers")
                    .answers("Yes", "Alive")
            },
        )],
    ),
    Endpoint::new(
        "/readyz",
        Problem,
        &[Op::get(
            Open,
            |call| at_once(Ok(health::readyz(&call))),
            || {
                Described::new("readyz", "service", "Whether a verified release is served")
                    .answers("Yes", "Readiness")
                    .or_no("Readiness")
            },
        )],
    ),
    Endpoint::new(
        "/metrics",
        Problem,
        &[Op::get(
            Read,
            |call| Box::pin(health::metrics(call)),
            || {
                Described::new("metrics", "service", "Metrics for Prometheus")
                    .answers_text("Text of Prometheus", TEXT)
            },
        )],
    ),
    Endpoint::new(
        "/openapi.json",
        Problem,
        &[Op::get(
            Read,
            |call| at_once(Ok(description(&call))),
            || {
                Described::new("openapi", "service", "This document")
                    .answers("OpenAPI 3.1", "Record")
            },
        )],
    ),
    Endpoint::new(
        "/docs",
        Problem,
        &[Op::get(
            Open,
            |call| at_once(Ok(health::page(&call))),
            || {
                Described::new("docs", "service", "This document for people")
                    .answers_text("Yes", "text/html")
            },
        )],
    ),
    Endpoint::new(
        "/invocations",
        Mlflow,
        &[Op::post(
            |call| Box::pin(invocations::invoke(call)),
            || {
                Described::new("invoke", "mlflow", "Predict rows as MLflow does")
                    .takes("Invocation")
                    .also_csv()
                    .explains()
                    .answers("One label for each row", "InvocationAnswer")
            },
        )],
    ),
    Endpoint::new(
        "/ping",
        Problem,
        &[Op::get(
            Open,
            |call| at_once(health::ping(&call)),
            || {
                Described::new("ping", "service", "Whether predictions are answered")
                    .answers_text("Yes", TEXT)
            },
        )],
    ),
    Endpoint::new(
        "/health",
        Problem,
        &[Op::get(
            Open,
            |call| at_once(health::ping(&call)),
            || Described::new("health", "service", "The same").answers_text("Yes", TEXT),
        )],
    ),
    Endpoint::new(
        "/version",
        Problem,
        &[Op::get(
            Open,
            |call| at_once(Ok(health::version(&call))),
            || {
                Described::new("version", "service", "The service's version")
                    .answers_text("Yes", TEXT)
            },
        )],
    ),
    Endpoint::new(
        "/v2",
        Inference,
        &[Op::get(
            Read,
            |call| at_once(Ok(v2::server(&call))),
            || {
                protocol("serverMetadata", "The server")
                    .answers("Its name and version", "ServerMetadata")
            },
        )],
    ),
    Endpoint::new(
        "/v2/health/live",
        Inference,
        &[Op::get(
            Open,
            |call| at_once(Ok(v2::live(&call))),
            || yes_or_no("serverLive", "Whether the server lives", "ServerLive"),
        )],
    ),
    Endpoint::new(
        "/v2/health/ready",
        Inference,
        &[Op::get(
            Open,
            |call| at_once(Ok(v2::server_ready(&call))),
            || yes_or_no("serverReady", "Whether it is ready", "Ready"),
        )],
    ),
    Endpoint::new(
        "/v2/models/{model}",
        Inference,
        &[Op::get(Read, |call| Box::pin(v2::metadata(call)), || tensors("modelMetadata"))],
    ),
    Endpoint::new(
        "/v2/models/{model}/ready",
        Inference,
        &[Op::get(
            Open,
            |call| Box::pin(v2::model_ready(call)),
            || yes_or_no("modelReady", "Whether the model is ready", "Ready"),
        )],
    ),
    Endpoint::new(
        "/v2/models/{model}/infer",
        Inference,
        &[Op::post(|call| Box::pin(v2::infer(call)), || inferred("infer"))],
    ),
    Endpoint::new(
        "/v2/models/{model}/versions/{version}",
        Inference,
        &[Op::get(Read, |call| Box::pin(v2::metadata(call)), || tensors("modelMetadataVersion"))],
    ),
    Endpoint::new(
        "/v2/models/{model}/versions/{version}/ready",
        Inference,
        &[Op::get(
            Open,
            |call| Box::pin(v2::model_ready(call)),
            || yes_or_no("modelReadyVersion", "Whether the model is ready", "Ready"),
        )],
    ),
    Endpoint::new(
        "/v2/models/{model}/versions/{version}/infer",
        Inference,
        &[Op::post(|call| Box::pin(v2::infer(call)), || inferred("inferVersion"))],
    ),
];

/// All endpoints, with those of the dashboard.
pub(crate) fn all() -> impl Iterator<Item = &'static Endpoint> {
    ENDPOINTS.iter().chain(PAGES)
}

/// The endpoint of every unknown path.
pub(crate) static UNKNOWN: Endpoint = Endpoint::new("(unknown)", Problem, &[]);

/// A record from the ledger or the release, as JSON or as a table.
fn on_record(id: &str, summary: &str, schema: &str) -> Described {
    let described = Described::new(id, "records", summary).can_miss();
    described.answers("What is on record", schema).also_text()
}

/// An operation of the Open Inference Protocol.
fn protocol(id: &str, summary: &str) -> Described {
    Described::new(id, "inference v2", summary)
}

fn yes_or_no(id: &str, summary: &str, schema: &'static str) -> Described {
    protocol(id, summary).can_miss().answers("Yes", schema).or_no(schema)
}

fn tensors(id: &str) -> Described {
    let described = protocol(id, "The model's tensors").can_miss();
    described.answers("Names, types, shapes", "ModelMetadata")
}

fn inferred(id: &str) -> Described {
    let described = protocol(id, "Predict tensors").takes("Inference").can_miss();
    described.answers("The tensors asked for", "InferenceAnswer")
}

/// Answers `GET /openapi.json` from this table.
fn description(call: &Call) -> Response {
    let Call { app, request, .. } = call;
    let settings = app.settings.load_full();
    let root = prefix::of(request, &settings);
    let loaded = app.live.get();
    let loaded = loaded.as_deref();
    let release = loaded.map(|loaded| loaded.id.clone());
    let key = DescriptionKey { settings: Arc::clone(&settings), root: root.clone(), release };
    // Making it takes as long as hundreds of predictions.
    let document =
        app.description.get(key, || openapi::document(all(), &settings, &root, loaded).to_string());
    body::typed(document, "application/json")
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;
    use crate::access::Scope;

    #[test]
    fn each_method_needs_its_scope_also_where_the_address_does_not_take_it() {
        let scope = |path: &str, method: Method| {
            let found = all().find(|endpoint| endpoint.path == path);
            found.unwrap_or(&UNKNOWN).scope(&method)
        };
        for (path, method, expected) in [
            ("/prediction", Method::POST, Scope::Predict),
            ("/prediction", Method::GET, Scope::Read),
            ("/scoring", Method::GET, Scope::Read),
            ("/scoring", Method::HEAD, Scope::Read),
            ("/scoring", Method::POST, Scope::Predict),
            ("/livez", Method::HEAD, Scope::Open),
            ("/livez", Method::DELETE, Scope::Open),
            ("/livez", Method::POST, Scope::Predict),
            ("/", Method::GET, Scope::Read),
            ("/runs", Method::POST, Scope::Predict),
            ("/labels", Method::POST, Scope::Labels),
            ("/labels", Method::GET, Scope::Read),
            ("/approvals/{release}", Method::POST, Scope::Approve),
            ("/login", Method::POST, Scope::Open),
            ("/style.css", Method::GET, Scope::Open),
            ("/nothing", Method::GET, Scope::Open),
            ("/nothing", Method::POST, Scope::Predict),
        ] {
            assert_eq!(scope(path, method.clone()), expected, "{method} {path}");
        }
    }
}
