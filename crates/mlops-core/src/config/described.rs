//! The JSON Schema of the whole configuration, made by the code that reads it, so that no key can be
//! missing from it. Not for reading: see [`super`].

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Config;
use super::section::Problems;

/// Sections within sections, at most.
const DEEPEST: usize = 8;

impl Config {
    /// The JSON Schema of `config.json`.
    ///
    /// The configuration is read again and again, each time with a section wherever one was asked for
    /// before, until nothing new is asked for.
    pub fn json_schema() -> Value {
        let mut asked: BTreeMap<String, Value> = BTreeMap::new();
        for _ in 0..DEEPEST {
            let mut sample = Value::Object(Map::new());
            for (path, kind) in &asked {
                if let Some(section) = section(kind) {
                    put(&mut sample, path, section);
                }
            }
            let Value::Object(sample) = sample else { break };
            let problems = Problems::default();
            // What it finds wrong with the sample does not matter.
            let _ = Self::read(sample, Path::new("config.json"), &problems);
            let now = problems.asked();
            let all = now == asked;
            asked = now;
            if all {
                break;
            }
        }
        let mut root = object();
        root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        root["title"] = "config.json".into();
        for (path, kind) in asked.into_iter().filter(|(_, kind)| !kind.is_null()) {
            place(&mut root, &path, kind);
        }
        root["required"] = json!([
            "input_folder_path",
            "output_folder_path",
            "test_data_path",
            "output_model_path",
            "prod_deployment_path"
        ]);
        root
    }
}

fn object() -> Value {
    json!({"type": ["object", "null"], "properties": {}, "additionalProperties": false})
}

/// An empty section where one may stand.
fn section(kind: &Value) -> Option<Value> {
    match kind["type"].as_str() {
        // Asked about, but not read, since it was not there.
        None if kind.is_null() => Some(json!({})),
        Some("section") => Some(json!({})),
        Some("sections") => Some(json!([{}])),
        Some("named") => Some(json!({"*": {}})),
        _ => None,
    }
}

/// Puts `value` at `path` of a sample.
fn put(sample: &mut Value, path: &str, value: Value) {
    let mut here = sample;
    for part in path.split('.') {
        let (name, list) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
        if !here.is_object() {
            return;
        }
        here = &mut here[name];
        if list {
            if !here.is_array() {
                return;
            }
            here = &mut here[0];
        }
    }
    if here.is_null() {
        *here = value;
    }
}

/// Puts the schema `kind` at `path` of the whole schema.
fn place(root: &mut Value, path: &str, kind: Value) {
    let mut here = root;
    let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
    for part in parents.split('.').filter(|part| !part.is_empty()) {
        here = match part.strip_suffix("[]") {
            Some(name) => &mut here["properties"][name]["items"],
            None if part == "*" => &mut here["additionalProperties"],
            None => &mut here["properties"][part],
        };
    }
    here["properties"][key] = finished(kind);
}

/// Sections become objects, and null, which stands for a missing key, is allowed.
fn finished(mut kind: Value) -> Value {
    match kind["type"].as_str() {
        Some("section") => return object(),
        Some("sections") => return json!({"type": ["array", "null"], "items": object()}),
        Some("named") => {
            let mut named = object();
            named["additionalProperties"] = object();
            return named;
        }
        _ => {}
    }
    if let Some(name) = kind["type"].as_str().map(str::to_owned) {
        kind["type"] = json!([name, "null"]);
    } else if let Some(names) = kind.get_mut("type").and_then(Value::as_array_mut) {
        names.push("null".into());
    }
    if let Some(words) = kind.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All keys with their schemas, by path.
    fn keys(schema: &Value, prefix: &str, found: &mut Vec<(String, Value)>) {
        for (name, kind) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{prefix}{name}");
            found.push((path.clone(), kind.clone()));
            keys(kind, &format!("{path}."), found);
            keys(&kind["items"], &format!("{path}[]."), found);
            keys(&kind["additionalProperties"], &format!("{path}.*."), found);
        }
    }

    #[test]
    fn every_key_is_known_and_every_documented_key_is_in_the_schema() {
        let schema = Config::json_schema();
        let mut all = Vec::new();
        keys(&schema, "", &mut all);
        assert!(all.len() > 120, "{} keys are too few to be all", all.len());
        // A value that no key takes is refused under the key's own name.
        for (path, kind) in &all {
            let mut sample = json!({});
            let mut walked = String::new();
            for part in path.split('.') {
                let here = format!("{walked}{}", part.trim_end_matches("[]"));
                let value = if here == *path {
                    continue;
                } else if part.ends_with("[]") {
                    json!([{}])
                } else {
                    json!({})
                };
                put(&mut sample, &here, value);
                walked = format!("{walked}{part}.");
            }
            if kind.get("type").is_none() && kind.get("enum").is_none() {
                continue;
            }
            put(&mut sample, path, json!([[7]]));
            let error =
                Config::parse(&sample.to_string(), Path::new("/w/config.json")).unwrap_err();
            let text = format!("{error:?}");
            let name = path.replace("[]", "[0]");
            assert!(text.contains(&format!("\\\"{name}")), "{path} {sample}: {text}");
            assert!(!text.contains(&format!("\\\"{name}\\\" is not a key")), "{text}");
        }
        let page = include_str!("../../../../docs/configuration.md");
        let (general, sources) = page.split_once("## Keys of an entry of `sources`").unwrap();
        let names = |text: &str| -> Vec<String> {
            let rows = text.lines().filter(|line| line.starts_with("| `"));
            let cells = rows.filter_map(|line| line.split(" | ").next());
            cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
        };
        let there = |path: &str| all.iter().any(|(known, _)| known == path);
        let sources = sources.split("\n## ").next().unwrap();
        let missing: Vec<String> = names(general)
            .into_iter()
            .chain(names(sources).into_iter().map(|name| format!("sources[].{name}")))
            .filter(|path| !there(path))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
