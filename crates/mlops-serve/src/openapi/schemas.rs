//! The schemas of `/openapi.json`, each with a name, so that generated clients have a type for
//! every part of a request and an answer.
//!
//! Not for endpoints: see `super`.

use serde_json::{Map, Value, json};

use crate::columns::Slot;
use crate::live::Loaded;
use crate::v2::NUMBERS;

/// A reference to the schema `name`.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn text() -> Value {
    json!({ "type": "string" })
}

/// A number of things that `words` describe.
fn counted(words: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": words })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// An integer or a string: a label or an id.
fn label() -> Value {
    json!({ "type": ["integer", "string"] })
}

/// How many columns an explanation names.
pub(super) fn explain() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX, "examples": [4],
        "description": "For each row, name so many columns that moved its prediction the most; 0 for \
                        none, more than there are columns for all" })
}

/// An object with at least these members.
fn object(required: &[&str], properties: Value) -> Value {
    let properties = if properties.is_null() { json!({}) } else { properties };
    json!({ "type": "object", "required": required, "properties": properties,
        "additionalProperties": true })
}

/// An object whose members all have one type.
fn members(kind: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": kind })
}

/// All schemas; that of a row has the model's columns.
pub(super) fn schemas(loaded: Option<&Loaded>) -> Value {
    let mut all = Map::new();
    for group in [rows(loaded), own(), writes(), mlflow(), inference(), records(), errors()] {
        if let Value::Object(group) = group {
            all.extend(group);
        }
    }
    Value::Object(all)
}

/// The formats of rows in requests.
fn rows(loaded: Option<&Loaded>) -> Value {
    let mut row = Map::new();
    let mut required = Vec::new();
    for (name, slot) in loaded.iter().flat_map(|l| l.columns.iter()) {
        let schema = match slot {
            Slot::Numeric { .. } => json!({ "type": ["number", "string", "null"],
                "description": "A number; as a text, in a spelling of the model's files" }),
            Slot::Date { .. } => json!({ "type": ["string", "null"],
                "description": "A date as 2024-03-31, or a time as 2024-03-31T14:05:00" }),
            Slot::Categorical { .. } => json!({ "type": ["string", "number", "boolean", "null"] }),
            Slot::Id(_) => json!({ "type": ["integer", "string", "null"],
                "description": "Kept with the prediction in the log, if there is one" }),
            Slot::Target => json!({ "type": ["string", "number", "boolean", "null"],
                "description": "The label; needed by /scoring alone" }),
        };
        if !matches!(slot, Slot::Id(_) | Slot::Target) {
            required.push(name);
        }
        row.insert(name.to_owned(), schema);
    }
    json!({
        "Cell": { "type": ["number", "string", "boolean", "null"] },
        "CellList": list(&reference("Cell")),
        "Row": object(&required, Value::Object(row)),
        "Table": object(&["columns", "data"], json!({
            "columns": list(&text()), "data": list(&reference("CellList")),
            "index": { "type": "array", "items": reference("Cell"), "description": "Passed over" },
        })),
    })
}

/// `/labels` and `/approvals/{release}`.
fn writes() -> Value {
    json!({
        "Label": { "type": "object", "additionalProperties": reference("Cell"),
            "description": "The label, and the columns by which it is joined: those of schema.id, or \
                            request_id or inference_id with row; with labels.time that too. Others are \
                            ignored" },
        "LabelList": list(&reference("Label")),
        "Labels": { "anyOf": [reference("LabelList"), reference("Label")] },
        "LabelBatch": object(&["batch", "rows", "known", "counts"], json!({
            "batch": { "type": "string", "description": "What identifies the batch" },
            "rows": { "type": "integer", "minimum": 0, "description": "The labels of the batch" },
            "known": { "type": "boolean", "description": "The same batch was sent before, and was kept then" },
            "counts": { "anyOf": [reference("LabelCounts"), { "type": "null" }],
                "description": "What the labels say against what was known when they came; null if that could \
                                not be read, which keeps no label from being taken" } })),
        "LabelCounts": object(&["new", "changed", "unchanged", "unknown", "doubled"], json!({
            "new": counted("The first labels of their predictions"),
            "changed": counted("They say something else than was known of their predictions"),
            "unchanged": counted("They say what was known"),
            "unknown": counted("No prediction belongs to them yet; they are joined once one does"),
            "doubled": counted("They say what an earlier row of the same batch says") })),
        "Ruling": { "type": "object", "required": ["decision", "reason"],
            "additionalProperties": false, "properties": {
                "decision": { "type": "string", "enum": ["approve", "reject"] },
                "reason": { "type": "string", "minLength": 1 } } },
        "Ruled": object(&["decision", "release", "previous", "who", "reason"], json!({
            "decision": { "type": "string", "enum": ["approve", "reject"] },
            "release": text(), "who": text(), "reason": text(),
            "previous": { "type": ["string", "null"],
                "description": "The release that was live before" } })),
    })
}

/// `/prediction` and `/scoring`.
fn own() -> Value {
    let interval = || json!({ "anyOf": [reference("Interval"), { "type": "null" }] });
    let figure = || json!({ "type": ["number", "null"] });
    let score = json!({
        "model_version": text(), "n": count(), "positives": count(),
        "threshold": { "type": "number" },
        "f1": { "type": "number" }, "f1_interval": reference("Interval"),
        "accuracy": { "type": "number" }, "accuracy_interval": reference("Interval"),
        "precision": figure(), "precision_interval": interval(),
        "recall": figure(), "recall_interval": interval(),
        "roc_auc": figure(), "roc_auc_interval": interval(),
        "pr_auc": figure(), "log_loss": figure(), "brier": figure(),
        "specificity": figure(), "specificity_interval": interval(),
        "balanced_accuracy": figure(), "balanced_accuracy_interval": interval(),
        "mcc": figure(), "mcc_interval": interval(),
        "prevalence": figure(), "prevalence_interval": interval(),
        "gini": figure(), "gini_interval": interval(),
        "ks": figure(), "ks_interval": interval(),
        "top_decile": { "anyOf": [reference("TopDecile"), { "type": "null" }] },
        "deciles": list(&reference("Decile")),
        "calibration": { "anyOf": [reference("Calibration"), { "type": "null" }] },
        "confusion_matrix": reference("ConfusionMatrix"),
        "beats_constant": { "type": "boolean" },
        "note": { "type": ["string", "null"] },
    });
    let counts = json!({ "imputed": reference("Counts"), "unknown_categories": count(),
        "ignored": reference("Counts") });
    let merged = |mut first: Value, second: Value| {
        if let (Some(first), Value::Object(second)) = (first.as_object_mut(), second) {
            first.extend(second);
        }
        first
    };
    let required = ["model_version", "n", "f1", "f1_interval", "confusion_matrix"];
    json!({
        "NamedFile": { "type": "object", "minProperties": 1, "properties": {
            "filepath": text(), "data_path": text(), "file_name": text() },
            "description": "A file in a folder of data; such files are spelt as the model's files are" },
        "Rows": { "anyOf": [reference("Row"), list(&reference("Row")), reference("Table"),
            reference("NamedFile")] },
        "Counts": members(&count()),
        "Predictions": object(
            &["predictions", "probabilities", "model_version", "rows", "imputed",
                "unknown_categories", "ignored"],
            merged(json!({ "predictions": list(&label()),
                "probabilities": list(&json!({ "type": "number", "minimum": 0, "maximum": 1 })),
                "points": points(),
                "model_version": text(), "rows": count(),
                "explanations": reference("Explanations") }), counts.clone())),
        "Explanations": object(&["reference", "rows"], json!({
            "reference": reference("ReferenceRow"), "rows": list(&reference("Explanation")) })),
        "ReferenceRow": { "type": "object", "required": ["log_odds", "values"], "properties": {
            "log_odds": { "type": "number" },
            "values": members(&json!({ "type": ["number", "string", "null"] })) },
            "description": "The training mean of each numeric column, the most frequent category of \
                            the others; null is the average category" },
        "Explanation": { "type": "object", "required": ["log_odds", "contributions", "others"],
            "properties": { "log_odds": { "type": "number" },
                "contributions": list(&reference("Contribution")),
                "others": { "type": "number", "description": "The sum of all other contributions" } },
            "description": "The log-odds of the reference, all contributions and the others add up to \
                            the log-odds of the row" },
        "Contribution": object(&["column", "contribution"], json!({ "column": text(),
            "contribution": { "type": "number" },
            "reason": { "type": "string", "description": "From schema.reasons" } })),
        "Interval": object(&["low", "high", "level", "method"], json!({
            "low": { "type": "number" }, "high": { "type": "number" },
            "level": { "type": "number" }, "method": text() })),
        "TopDecile": object(
            &["rows", "positives", "precision", "precision_interval", "lift", "lift_interval"],
            json!({ "rows": count(), "positives": { "type": "number" },
                "precision": { "type": "number" }, "precision_interval": reference("Interval"),
                "lift": { "type": "number" }, "lift_interval": reference("Interval") })),
        "Decile": object(&["rows", "positives", "highest", "lowest", "lift", "gain"], json!({
            "rows": count(), "positives": { "type": "number" },
            "highest": { "type": "number" }, "lowest": { "type": "number" },
            "lift": { "type": "number" }, "gain": { "type": "number" } })),
        "Calibration": object(&[], json!({
            "intercept": figure(), "intercept_interval": interval(),
            "slope": figure(), "slope_interval": interval(),
            "unfitted": text(), "spiegelhalter_z": figure(), "spiegelhalter_p": figure() })),
        "ConfusionMatrix": object(&["tn", "fp", "fn", "tp"],
            json!({ "tn": count(), "fp": count(), "fn": count(), "tp": count() })),
        "Score": object(&[&required[..], &["imputed", "unknown_categories", "ignored"]].concat(),
            merged(score.clone(), counts)),
        "RecordedScore": object(&[&required[..], &["deployment"]].concat(),
            merged(score, json!({ "deployment": { "anyOf": [reference("Record"),
                { "type": "null" }] } }))),
    })
}

/// The points of a scorecard.
fn points() -> Value {
    list(&json!({ "type": ["integer", "null"],
        "description": "Only if the model has a scorecard" }))
}

/// `/invocations`.
fn mlflow() -> Value {
    let form = |name: &str, schema: Value| {
        object(&[name], json!({ name: schema, "params": reference("Parameters") }))
    };
    let rows = || list(&json!({ "anyOf": [reference("Row"), reference("CellList")] }));
    let columns = members(&json!({ "anyOf": [reference("CellList"), reference("Cell")] }));
    json!({
        "SplitInvocation": form("dataframe_split", reference("Table")),
        "RecordsInvocation": form("dataframe_records", list(&reference("Row"))),
        "InstancesInvocation": form("instances", rows()),
        "InputsInvocation": form("inputs", json!({ "anyOf": [reference("InputColumns"), rows()] })),
        "InputColumns": columns,
        "Invocation": { "anyOf": [reference("SplitInvocation"), reference("RecordsInvocation"),
            reference("InstancesInvocation"), reference("InputsInvocation")],
            "description": "Exactly one of the four forms" },
        "InvocationAnswer": object(&["predictions"], json!({ "predictions": list(&label()),
            "points": points(),
            "explanations": reference("Explanations") })),
        "Parameters": object(&[], json!({ "explain": explain() })),
    })
}

/// The Open Inference Protocol.
fn inference() -> Value {
    let shape = |smallest: i8| list(&json!({ "type": "integer", "minimum": smallest }));
    let kinds: Vec<&str> = ["BOOL", "BYTES"].into_iter().chain(NUMBERS).collect();
    let kind = json!({ "type": "string", "enum": kinds });
    let elements = list(&json!({ "anyOf": [reference("Cell"), reference("CellList")] }));
    json!({
        "ServerMetadata": object(&["name", "version", "extensions"],
            json!({ "name": text(), "version": text(), "extensions": list(&text()) })),
        "ServerLive": object(&["live"], json!({ "live": { "type": "boolean" } })),
        "Ready": object(&["ready"], json!({ "ready": { "type": "boolean" } })),
        "TensorMetadata": object(&["name", "datatype", "shape"],
            json!({ "name": text(), "datatype": kind, "shape": shape(-1) })),
        "ModelMetadata": object(&["name", "versions", "platform", "inputs", "outputs"], json!({
            "name": text(), "versions": list(&text()), "platform": text(),
            "inputs": list(&reference("TensorMetadata")),
            "outputs": list(&reference("TensorMetadata")) })),
        "InferenceTensor": object(&["name", "shape", "datatype", "data"], json!({
            "name": text(), "shape": shape(0), "datatype": kind, "data": elements,
            "parameters": reference("Record") })),
        "RequestedOutput": object(&["name"], json!({
            "name": { "type": "string", "enum": ["prediction", "probability"] },
            "parameters": reference("Record") })),
        "Inference": object(&["inputs"], json!({ "id": { "type": ["string", "null"] },
            "inputs": list(&reference("InferenceTensor")),
            "outputs": list(&reference("RequestedOutput")),
            "parameters": reference("Parameters") })),
        "OutputTensor": object(&["name", "shape", "datatype", "data"], json!({
            "name": text(), "shape": shape(0), "datatype": kind,
            "data": list(&json!({ "type": ["number", "string"] })) })),
        "InferenceAnswer": object(&["model_name", "model_version", "outputs"], json!({
            "model_name": text(), "model_version": text(), "id": text(),
            "parameters": reference("Record"), "outputs": list(&reference("OutputTensor")) })),
    })
}

/// Records, and the state of the service.
fn records() -> Value {
    json!({
        "Record": object(&[], Value::Null),
        "LogIn": object(&["token"], json!({ "token": text(), "next": text() })),
        "Alive": object(&["status"], json!({ "status": text() })),
        "Trouble": object(&["release", "reason"],
            json!({ "release": { "type": ["string", "null"] }, "reason": text() })),
        "Readiness": object(&["status", "model_version", "sha256", "trouble"], json!({
            "status": { "type": "string", "enum": ["ready", "degraded", "no model", "stopping"] },
            "model_version": { "type": ["string", "null"] },
            "sha256": { "type": ["string", "null"] },
            "trouble": { "anyOf": [reference("Trouble"), { "type": "null" }] } })),
    })
}

/// Errors in the format of each protocol.
fn errors() -> Value {
    let code =
        ["BAD_REQUEST", "REQUEST_LIMIT_EXCEEDED", "TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR"];
    json!({
        "Fault": object(&["row", "column", "reason"], json!({ "row": count(), "line": count(),
            "column": { "type": ["string", "null"] }, "reason": text() })),
        "Problem": object(&["type", "title", "status", "detail"], json!({
            "type": text(), "title": text(), "status": { "type": "integer" }, "detail": text(),
            "request_id": text(), "error_count": count(), "errors": list(&reference("Fault")) })),
        "InferenceError": object(&["error"], json!({ "error": text() })),
        "MlflowError": object(&["error_code", "message"], json!({
            "error_code": { "type": "string", "enum": code }, "message": text() })),
    })
}
