//! `/openapi.json`: every endpoint, body and status, with the columns of the served model.
//!
//! Derived from the table of endpoints, so that description and service cannot differ. Tests
//! compare it with the service itself, and with a client generated from it. Not for the schemas of
//! bodies: see [`schemas`].

pub(crate) mod operation;
mod schemas;

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::StatusCode;
use mlops_core::config::Service;
use mlops_core::ids::ReleaseId;
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

/// The document as it was last made. Making it takes as long as hundreds of predictions, and it stays the same
/// until another release is served, the configuration is read again, or somebody asks under another prefix.
#[derive(Debug, Default)]
pub(crate) struct Last(Mutex<Option<Made>>);

#[derive(Debug)]
struct Made {
    settings: Arc<Settings>,
    root: String,
    release: Option<ReleaseId>,
    bytes: Bytes,
}

impl Last {
    /// The document for these settings, this prefix and this release, which `make` makes unless it is the last one.
    pub(crate) fn get(
        &self,
        settings: &Arc<Settings>,
        root: &str,
        release: Option<&ReleaseId>,
        make: impl FnOnce() -> Value,
    ) -> Bytes {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |made: &&Made| {
            Arc::ptr_eq(&made.settings, settings)
                && made.root == root
                && made.release.as_ref() == release
        };
        if let Some(made) = last.as_ref().filter(fits) {
            return made.bytes.clone();
        }
        let bytes = Bytes::from(make().to_string());
        let (settings, root, release) = (Arc::clone(settings), root.to_owned(), release.cloned());
        *last = Some(Made { settings, root, release, bytes: bytes.clone() });
        bytes
    }
}

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mlops_core::config::Config;

    use super::*;
    use crate::access::Tokens;

    #[test]
    fn the_document_is_made_again_only_for_what_changes_it() {
        let text = r#"{"input_folder_path":"in","output_folder_path":"out","test_data_path":"t",
            "output_model_path":"m","prod_deployment_path":"p"}"#;
        let settings = || {
            let config = Config::parse(text, Path::new("/w/config.json")).unwrap();
            Arc::new(Settings { config, tokens: Tokens::default() })
        };
        let release = |n| format!("r-{n}-0123456789ab").parse::<ReleaseId>().unwrap();
        let (last, first, again) = (Last::default(), settings(), settings());
        let mut made = 0;
        let mut get = |settings: &Arc<Settings>, root: &str, release: Option<&ReleaseId>| {
            let bytes = last.get(settings, root, release, || {
                made += 1;
                json!(made)
            });
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        assert_eq!(get(&first, "", None), "1");
        assert_eq!(get(&first, "", None), "1");
        assert_eq!(get(&first, "", Some(&release(1))), "2");
        assert_eq!(get(&first, "", Some(&release(1))), "2");
        assert_eq!(get(&first, "", Some(&release(2))), "3");
        assert_eq!(get(&first, "/models", Some(&release(2))), "4");
        assert_eq!(get(&again, "/models", Some(&release(2))), "5");
        assert_eq!(get(&again, "/models", Some(&release(2))), "5");
    }
}
