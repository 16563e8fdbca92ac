//! `training.window`: which of the training rows a model is fitted on, and how much older ones weigh.
//!
//! Not for finding these rows, nor for choosing among windows: see the stage of training.

use std::fmt;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::section::Section;
use crate::text;

/// A part of the training rows, in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// All of them.
    All,
    /// The one that cross-validation on the newest rows finds best.
    Auto,
    /// So many of the newest rows of the data set.
    Rows(u64),
    /// Those that came since something.
    Since(Since),
    /// All of them; a row that came so many rows before the newest one weighs half as much.
    HalfLife(u64),
}

/// An event that divides rows into older and newer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Since {
    /// The last drift; the rows in which it was found count as newer ones.
    Drift,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all rows"),
            Self::Auto => f.write_str("the best window"),
            Self::Rows(rows) => write!(f, "the newest {}", text::plural(*rows, "row")),
            Self::Since(Since::Drift) => f.write_str("rows since the last drift"),
            Self::HalfLife(rows) => {
                write!(f, "all rows, weight halved every {}", text::plural(*rows, "row"))
            }
        }
    }
}

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
