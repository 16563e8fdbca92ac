//! `/openapi.json`: every address, body and status, with the columns of the model that is served.
//!
//! Built from a few parts that operations share. Tests hold it against the service itself, and a
//! client that was generated from it. Not for the schemas of bodies: see [`schemas`].

mod schemas;

use mlops_core::config::Service;
use serde_json::{Map, Value, json};

use crate::live::Loaded;
use crate::state::Settings;
use schemas::{reference, schemas};

/// Statuses that any operation on a body can end with.
const OF_BODIES: [u16; 11] = [400, 401, 403, 408, 413, 415, 421, 422, 500, 503, 504];
/// Statuses that any other operation can end with.
const OF_READS: [u16; 7] = [400, 401, 403, 421, 500, 503, 504];

/// The document for the service as it is configured and loaded.
pub(crate) fn document(settings: &Settings, root: &str, loaded: Option<&Loaded>) -> Value {
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Predictions of the live release",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Rows in, probabilities out: as JSON or CSV, in this service's own form, \
                            in MLflow's, or in the Open Inference Protocol v2.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": if root.is_empty() { "/" } else { root } }],
        "paths": paths(settings, loaded),
        "components": {
            "schemas": schemas(loaded),
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    });
    if !settings.tokens.is_empty() {
        document["security"] = json!([{ "bearer": [] }]);
    }
    document
}

fn content(kind: &str, schema: &Value) -> Value {
    let mut content = Map::new();
    content.insert(kind.to_owned(), json!({ "schema": schema }));
    Value::Object(content)
}

/// An operation under construction.
struct Operation(Value);

impl Operation {
    fn new(id: &str, tag: &str, summary: &str) -> Self {
        let value =
            json!({ "operationId": id, "tags": [tag], "summary": summary, "responses": {} });
        Self(value)
    }

    /// Answers with `status`, of the media type `kind`.
    fn answers(mut self, status: u16, words: &str, kind: &str, schema: &Value) -> Self {
        self.0["responses"][status.to_string()] =
            json!({ "description": words, "content": content(kind, schema) });
        self
    }

    /// The same answer also in another media type.
    fn also(mut self, status: u16, kind: &str, schema: &Value) -> Self {
        self.0["responses"][status.to_string()]["content"][kind] = json!({ "schema": schema });
        self
    }

    /// Can end with any of `statuses`, in the words of its protocol.
    fn fails(mut self, statuses: &[u16], kind: &str, schema: &str) -> Self {
        for status in statuses {
            let word = axum::http::StatusCode::from_u16(*status).ok();
            let word = word.and_then(|s| s.canonical_reason()).unwrap_or("Error");
            self.0["responses"][status.to_string()] =
                json!({ "description": word, "content": content(kind, &reference(schema)) });
            if matches!(status, 503) {
                let header = json!({ "description": "seconds", "schema": { "type": "string" } });
                self.0["responses"]["503"]["headers"] = json!({ "Retry-After": header });
            }
        }
        self
    }

    /// Takes a body in one of these media types.
    fn takes(mut self, bodies: &[(&str, Value)]) -> Self {
        let mut content = Map::new();
        for (kind, schema) in bodies {
            content.insert((*kind).to_owned(), json!({ "schema": schema }));
        }
        self.0["requestBody"] = json!({ "required": true, "content": content });
        self
    }

    /// Needs no token.
    fn open(mut self) -> Self {
        self.0["security"] = json!([]);
        self
    }

    /// Has these parts of its path as parameters.
    fn within(mut self, parameters: &[Value]) -> Self {
        self.0["parameters"] = json!(parameters);
        self
    }
}

const PROBLEM: (&str, &str) = ("application/problem+json", "Problem");
const JSON: &str = "application/json";

fn paths(service: &Service, loaded: Option<&Loaded>) -> Value {
    let csv = || ("text/csv", json!({ "type": "string" }));
    let rows = || [(JSON, reference("Rows")), csv()];
    let recorded = |id: &str, summary: &str, schema: &str| {
        let statuses = [&OF_READS[..], &[404]].concat();
        Operation::new(id, "records", summary)
            .answers(200, "What is on record", JSON, &reference(schema))
            .also(200, "text/plain", &json!({ "type": "string" }))
            .fails(&statuses, PROBLEM.0, PROBLEM.1)
            .0
    };
    let open = |id: &str, summary: &str, kind: &str, schema: Value| {
        let operation = Operation::new(id, "service", summary).open();
        operation.answers(200, "Yes", kind, &schema).fails(&OF_READS, PROBLEM.0, PROBLEM.1)
    };
    let statuses = [&OF_BODIES[..], &[404]].concat();
    let ready =
        open("readyz", "Whether a verified release is served", JSON, reference("Readiness"));
    let ready = ready.answers(503, "No", JSON, &reference("Readiness"));
    let text = || json!({ "type": "string" });
    let mut paths = json!({
        "/prediction": { "post": Operation::new("predict", "predictions", "Predict rows")
            .takes(&rows())
            .answers(200, "One prediction for each row, in order", JSON, &reference("Predictions"))
            .fails(&statuses, PROBLEM.0, PROBLEM.1).0 },
        "/scoring": {
            "get": recorded("recordedScore", "The score of the live release", "RecordedScore"),
            "post": Operation::new("score", "predictions", "Score labelled rows; nothing is recorded")
                .takes(&rows())
                .answers(200, "Figures of these rows", JSON, &reference("Score"))
                .fails(&statuses, PROBLEM.0, PROBLEM.1).0 },
        "/summarystats": { "get": recorded("summaryStatistics", "Statistics of the columns", "Record") },
        "/diagnostics": { "get": recorded("diagnostics", "The newest diagnostics", "Record") },
        "/livez": { "get": open("livez", "Whether the process answers", JSON, reference("Alive")).0 },
        "/readyz": { "get": ready.0 },
        "/metrics": { "get": Operation::new("metrics", "service", "Metrics for Prometheus")
            .answers(200, "Text of Prometheus", "text/plain", &text())
            .fails(&OF_READS, PROBLEM.0, PROBLEM.1).0 },
        "/openapi.json": { "get": Operation::new("openapi", "service", "This document")
            .answers(200, "OpenAPI 3.1", JSON, &reference("Record"))
            .fails(&OF_READS, PROBLEM.0, PROBLEM.1).0 },
        "/docs": { "get": open("docs", "This document for people", "text/html", text()).0 },
        "/": { "get": open("home", "The same", "text/html", text()).0 },
        "/invocations": { "post": Operation::new("invoke", "mlflow", "Predict rows as MLflow does")
            .takes(&[(JSON, reference("Invocation")), csv()])
            .answers(200, "One label for each row", JSON, &reference("InvocationAnswer"))
            .fails(&OF_BODIES, JSON, "MlflowError").0 },
        "/ping": { "get": open("ping", "Whether predictions are answered", "text/plain", text()).0 },
        "/health": { "get": open("health", "The same", "text/plain", text()).0 },
        "/version": { "get": open("version", "The service's version", "text/plain", text()).0 },
    });
    inference(&mut paths, service, loaded);
    paths
}

/// The paths of the Open Inference Protocol.
fn inference(paths: &mut Value, service: &Service, loaded: Option<&Loaded>) {
    let parameter = |name: &str, example: &str| {
        let schema = json!({ "type": "string", "examples": [example] });
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    let model = parameter("model", &service.model_name);
    let version = parameter("version", loaded.map_or("r-1-0123456789ab", |l| l.id.as_str()));
    let reads = [&OF_READS[..], &[404]].concat();
    let bodies = [&OF_BODIES[..], &[404]].concat();
    let get = |id: &str, summary: &str| Operation::new(id, "inference v2", summary);
    let simple = |id: &str, summary: &str, schema: &str, parameters: &[Value]| {
        get(id, summary)
            .within(parameters)
            .open()
            .answers(200, "Yes", JSON, &reference(schema))
            .fails(&reads, JSON, "InferenceError")
            .answers(503, "No", JSON, &reference(schema))
            .0
    };
    paths["/v2"] = json!({ "get": get("serverMetadata", "The server")
        .answers(200, "Its name and version", JSON, &reference("ServerMetadata"))
        .fails(&OF_READS, JSON, "InferenceError").0 });
    paths["/v2/health/live"] =
        json!({ "get": simple("serverLive", "Whether the server lives", "ServerLive", &[]) });
    paths["/v2/health/ready"] =
        json!({ "get": simple("serverReady", "Whether it is ready", "Ready", &[]) });
    for (path, suffix, parameters) in [
        ("/v2/models/{model}", "", vec![model.clone()]),
        ("/v2/models/{model}/versions/{version}", "Version", vec![model, version]),
    ] {
        paths[path] = json!({ "get": get(&format!("modelMetadata{suffix}"), "The model's tensors")
            .within(&parameters)
            .answers(200, "Names, types, shapes", JSON, &reference("ModelMetadata"))
            .fails(&reads, JSON, "InferenceError").0 });
        let id = format!("modelReady{suffix}");
        paths[format!("{path}/ready")] =
            json!({ "get": simple(&id, "Whether the model is ready", "Ready", &parameters) });
        paths[format!("{path}/infer")] = json!({ "post":
            get(&format!("infer{suffix}"), "Predict tensors")
                .within(&parameters)
                .takes(&[(JSON, reference("Inference"))])
                .answers(200, "The tensors asked for", JSON, &reference("InferenceAnswer"))
                .fails(&bodies, JSON, "InferenceError").0 });
    }
}
