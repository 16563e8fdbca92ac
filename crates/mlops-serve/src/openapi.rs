//! `/openapi.json`: every endpoint, body and status, with the columns of the served model.
//!
//! Derived from the table of endpoints, so that description and service cannot differ. Tests
//! compare it with the service itself, and with a client generated from it. Not for the schemas of
//! bodies: see [`schemas`].

pub(crate) mod operation;
mod schemas;

use axum::http::StatusCode;
use mlops_core::config::Service;
use serde_json::{Value, json};

use crate::access::Scope;
use crate::endpoint::{Endpoint, Operation};
use crate::live::Loaded;
use crate::problem::Dialect;
use crate::state::Settings;
use operation::{HTML, JSON, content, text};
use schemas::{reference, schemas};

/// Statuses with which any operation with a body can end.
const OF_BODIES: &[u16] = &[400, 401, 403, 408, 413, 415, 421, 422, 429, 500, 503, 504];
/// Statuses with which any other operation can end.
const OF_READS: &[u16] = &[400, 401, 403, 421, 429, 500, 503, 504];

/// The document for `endpoints`, with the present configuration and model.
pub(crate) fn document(
    endpoints: impl Iterator<Item = &'static Endpoint>,
    settings: &Settings,
    root: &str,
    loaded: Option<&Loaded>,
) -> Value {
    let mut paths = json!({});
    for endpoint in endpoints {
        for operation in endpoint.operations {
            let described = described(endpoint, operation, settings, loaded);
            paths[endpoint.path][operation.verb.key()] = described;
        }
    }
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
        "paths": paths,
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

/// An operation with the parts that follow from its endpoint: errors, parameters, tokens.
fn described(
    endpoint: &Endpoint,
    operation: &Operation,
    service: &Service,
    loaded: Option<&Loaded>,
) -> Value {
    let described = (operation.describe)();
    let mut value = described.value;
    let (kind, schema) = match endpoint.dialect {
        Dialect::Problem | Dialect::Page => ("application/problem+json", "Problem"),
        Dialect::Inference => (JSON, "InferenceError"),
        Dialect::Mlflow => (JSON, "MlflowError"),
    };
    let statuses = if operation.max_body.is_some() { OF_BODIES } else { OF_READS };
    let missing = described.can_miss.then_some(&404);
    let conflict = described.can_conflict.then_some(&409);
    let is_page = described.is_page || endpoint.dialect == Dialect::Page;
    // Health checks are not counted.
    let counted = operation.scope != Scope::Open || operation.max_body.is_some();
    let statuses = statuses.iter().filter(|status| counted || **status != 429);
    for status in statuses.chain(missing).chain(conflict) {
        let word = StatusCode::from_u16(*status).ok().and_then(|s| s.canonical_reason());
        let meaning =
            described.meanings.iter().find(|(of, _)| of == status).map(|(_, words)| *words);
        let mut answer = json!({ "description": meaning.or(word).unwrap_or("Error"),
            "content": content(kind, &reference(schema)) });
        if is_page {
            // A browser gets the same as a page.
            answer["content"][HTML] = json!({ "schema": text() });
        }
        if matches!(*status, 429 | 503) {
            let header = json!({ "description": "seconds", "schema": { "type": "string" } });
            answer["headers"] = json!({ "Retry-After": header });
        }
        value["responses"][status.to_string()] = answer;
    }
    if let Some((status, schema)) = described.otherwise {
        value["responses"][status.to_string()] =
            json!({ "description": "No", "content": content(JSON, &reference(schema)) });
    }
    let of_path = endpoint.parameters().map(|name| {
        let mut parameter = parameter(name, service, loaded);
        if let Some(words) = described.named {
            parameter["description"] = json!(words);
        }
        parameter
    });
    let parameters: Vec<Value> = of_path.chain(described.query).collect();
    if !parameters.is_empty() {
        value["parameters"] = json!(parameters);
    }
    if operation.scope == Scope::Open {
        value["security"] = json!([]);
    } else if operation.scope.writes() {
        value["security"] = json!([{ "bearer": [] }]);
    }
    if let Some(body) = described.body {
        value["requestBody"] = body;
    }
    value
}

/// A path parameter, with an example that works.
fn parameter(name: &str, service: &Service, loaded: Option<&Loaded>) -> Value {
    let example = match name {
        "model" => &service.model_name,
        "run" => "20260302T091455123Z-4242",
        _ => loaded.map_or("r-1-0123456789ab", |l| l.id.as_str()),
    };
    let schema = json!({ "type": "string", "examples": [example] });
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}
