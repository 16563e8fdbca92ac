//! Reads `training.window`: which of the training rows a model is fitted on, and how much older ones weigh.
//!
//! Not for finding these rows, nor for choosing among windows: see the stage of training.

use serde_json::{Map, Value, json};

use super::section::Section;
use crate::config::choices::{Since, Window};

/// Reads `training.window`; `None` if it is not given.
pub(super) fn window(section: &mut Section) -> Option<Window> {
    let count = json!({"type": "integer", "minimum": 1});
    let forms = [
        json!({"enum": ["all", "auto"]}),
        json!({"type": "object", "additionalProperties": false, "minProperties": 1,
            "maxProperties": 1, "properties": {
                "rows": count, "since": {"const": "drift"}, "half_life": count}}),
    ];
    let value = section.any_of("window", &forms)?;
    let found = match &value {
        Value::String(word) if word == "all" => Some(Window::All),
        Value::String(word) if word == "auto" => Some(Window::Auto),
        Value::Object(map) => part(map),
        _ => None,
    };
    if found.is_none() {
        let expected = "\"all\", \"auto\", or one of {\"rows\": 10000}, {\"since\": \"drift\"}, \
                        {\"half_life\": 10000}";
        section.problem("window", &format!("must be {expected}, not {value}"));
    }
    found
}

/// The window in an object with exactly one known key.
fn part(map: &Map<String, Value>) -> Option<Window> {
    let mut entries = map.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else { return None };
    let rows = value.as_u64().filter(|rows| *rows > 0);
    match key.as_str() {
        "rows" => rows.map(Window::Rows),
        "half_life" => rows.map(Window::HalfLife),
        "since" => (value.as_str() == Some("drift")).then_some(Window::Since(Since::Drift)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_window_is_a_word_or_an_object_and_json_reads_back() {
        let parse = |value: &str| {
            let text = format!(
                r#"{{"input_folder_path": "i", "output_folder_path": "o", "test_data_path": "t",
                "output_model_path": "m", "prod_deployment_path": "p",
                "training": {{"window": {value}}}}}"#
            );
            let config = Config::parse(&text, Path::new("config.json"));
            config.map(|config| config.training.window).map_err(|e| e.to_string())
        };
        for (value, window) in [
            (r#""all""#, Window::All),
            (r#""auto""#, Window::Auto),
            (r#"{"rows":500}"#, Window::Rows(500)),
            (r#"{"since":"drift"}"#, Window::Since(Since::Drift)),
            (r#"{"half_life":1}"#, Window::HalfLife(1)),
        ] {
            assert_eq!(parse(value), Ok(Some(window)), "{value}");
            assert_eq!(serde_json::to_string(&window).unwrap(), value);
        }
        for wrong in [r#""newest""#, r#"{"rows":0}"#, r#"{"since":"then"}"#, "7", "{}"] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains("training.window") && error.contains("half_life"), "{error}");
        }
    }
}
