//! What a tracking server keeps of a release besides its files: parameters, metrics and tags.
//!
//! Not for sending them: see `mlops_client::tracking`.

use serde_json::Value;

use mlops_core::ids::ReleaseId;
use mlops_core::release::{self, ARTIFACT, SCORE};
use mlops_core::run::context::Context;
use mlops_core::stage::score::Score;
use mlops_core::{Error, Result};

/// Names and values, in the order of the fields that they come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// How and on what the model was trained: keys of `training`, and `data.…`.
    pub parameters: Vec<(String, String)>,
    /// All figures of the score that are numbers, intervals as `….low` and `….high`.
    pub metrics: Vec<(String, f64)>,
    /// Where it comes from.
    pub tags: Vec<(String, String)>,
}

/// The record of the release `id`.
///
/// # Errors
/// Those of verifying the release from disk.
pub fn of(context: &Context, id: &ReleaseId) -> Result<Record> {
    let release = context.store().verify(id)?;
    let score: Score = release::parse(&release.folder.join(SCORE))?;
    let json = |value: serde_json::Result<Value>| value.map_err(|e| Error::backend("JSON", e));
    let model = &release.model;
    let mut parameters = Vec::new();
    flatten("", &json(serde_json::to_value(model.training))?, &mut parameters);
    flatten("data", &json(serde_json::to_value(&model.data))?, &mut parameters);
    parameters.push(("columns".to_owned(), model.schema.columns().len().to_string()));
    parameters.push(("features".to_owned(), model.fitted.coefficients.len().to_string()));
    let mut figures = Vec::new();
    flatten("", &json(serde_json::to_value(&score.evaluation))?, &mut figures);
    let number = |(name, text): (String, String)| Some((name, text.parse().ok()?));
    let digest = release.manifest.files.get(ARTIFACT).map(ToString::to_string);
    let tags = [
        ("mlops.dataset", release.manifest.dataset.file_name()),
        ("mlops.schema_sha256", model.schema.digest().to_string()),
        ("mlops.artifact_sha256", digest.unwrap_or_default()),
        ("mlops.positive_label", model.label(true).to_owned()),
    ];
    Ok(Record {
        parameters: parameters.into_iter().map(|(name, value)| (name, unquoted(&value))).collect(),
        metrics: figures
            .into_iter()
            .filter_map(number)
            .filter(|(_, x): &(_, f64)| x.is_finite())
            .collect(),
        tags: tags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    })
}

/// The leaves of `value` with their paths, as JSON; not those of lists.
fn flatten(path: &str, value: &Value, leaves: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, leaves);
            }
        }
        Value::Array(_) | Value::Null => {}
        leaf => leaves.push((path.to_owned(), leaf.to_string())),
    }
}

/// A text without the marks around it.
fn unquoted(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}
