//! `schema.reasons`: the texts that people read for a column's contribution to a prediction.
//!
//! Not for contributions: see `model::Explainer`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::section::Section;
use crate::text;

/// The longest text, in characters.
const LONGEST: usize = 200;

/// Texts for columns, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasons(BTreeMap<String, Reason>);

/// The texts for a column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reason {
    /// For contributions that make the positive label more likely.
    raises: Option<String>,
    /// For those that make it less likely.
    lowers: Option<String>,
}

impl Reasons {
    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text for the contribution `value` of `column`, if there is one.
    pub fn text(&self, column: &str, value: f64) -> Option<&str> {
        let reason = self.0.get(column)?;
        let text = if value < 0.0 { &reason.lowers } else { &reason.raises };
        text.as_deref()
    }

    /// The longest text of `column`, in bytes.
    pub fn longest(&self, column: &str) -> usize {
        let texts = self.0.get(column).map(|reason| [&reason.raises, &reason.lowers]);
        texts.into_iter().flatten().flatten().map(String::len).max().unwrap_or(0)
    }
}

/// Reads the key `reasons` of the section `schema`, whose features are `features`.
pub(super) fn reasons(section: &mut Section, features: &[&String]) -> Reasons {
    let text = json!({"type": "string", "minLength": 1, "maxLength": LONGEST});
    let kind = json!({"type": "object", "additionalProperties": {"anyOf": [text.clone(), {
        "type": "object", "properties": {"raises": text, "lowers": text.clone()},
        "additionalProperties": false}]}});
    let Some(value) = section.value_of("reasons", kind) else { return Reasons::default() };
    let Value::Object(map) = value else {
        section.problem(
            "reasons",
            &format!("must be an object {{ \"column\": \"text\" }}, not {value}"),
        );
        return Reasons::default();
    };
    let mut reasons = BTreeMap::new();
    for (name, value) in map {
        if !features.contains(&&name) {
            section.problem("reasons", &unknown(&name, features));
        }
        match reason(&value) {
            Some(reason) => drop(reasons.insert(name, reason)),
            None => section.problem(
                "reasons",
                &format!(
                    "has for \"{}\" neither a text of 1 to {LONGEST} characters nor an object \
                     {{ \"raises\": \"text\", \"lowers\": \"text\" }} of such texts, or of one of them",
                    text::name(&name)
                ),
            ),
        }
    }
    Reasons(reasons)
}

/// The texts in `value`: one for both directions, or one for each.
fn reason(value: &Value) -> Option<Reason> {
    let words = |value: &Value| {
        let words = value.as_str()?.trim();
        (!words.is_empty() && words.chars().count() <= LONGEST).then(|| words.to_owned())
    };
    if value.is_string() {
        let both = Some(words(value)?);
        return Some(Reason { raises: both.clone(), lowers: both });
    }
    let map = value.as_object().filter(|map| !map.is_empty())?;
    let mut reason = Reason::default();
    for (direction, value) in map {
        match direction.as_str() {
            "raises" => reason.raises = Some(words(value)?),
            "lowers" => reason.lowers = Some(words(value)?),
            _ => return None,
        }
    }
    Some(reason)
}

/// What to say of a column that is no feature.
fn unknown(name: &str, features: &[&String]) -> String {
    let distance = |known: &&&String| strsim::damerau_levenshtein(name, known);
    let nearest = features.iter().min_by_key(distance);
    let near = nearest.filter(|known| distance(known) <= known.len().max(name.len()) / 2);
    let advice = match near {
        Some(known) => format!("did you mean \"{}\"?", text::name(known)),
        None => format!("the features are {}", text::names(features)),
    };
    format!("names \"{}\", which is not a feature; {advice}", text::name(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    fn parse(reasons: &str) -> crate::Result<Config> {
        let text = format!(
            r#"{{"input_folder_path":"in","output_folder_path":"out","test_data_path":"test",
            "output_model_path":"model","prod_deployment_path":"live","schema":{{"id":["who"],
            "numeric":["last_contact"],"categorical":["country"],"target":"left","reasons":{reasons}}}}}"#
        );
        Config::parse(&text, Path::new("/w/config.json"))
    }

    #[test]
    fn a_text_holds_for_both_directions_or_for_one() {
        let reasons = parse(
            r#"{"last_contact": " long without contact ", "country": {"lowers": "safe country"}}"#,
        );
        let reasons = reasons.unwrap().reasons;
        for value in [0.5, -0.5] {
            assert_eq!(reasons.text("last_contact", value), Some("long without contact"));
        }
        assert_eq!(reasons.text("country", 0.5), None);
        assert_eq!(reasons.text("country", -0.5), Some("safe country"));
        assert_eq!((reasons.longest("country"), reasons.longest("who")), (12, 0));
        assert!(parse("null").unwrap().reasons.is_empty());
    }

    #[test]
    fn columns_that_are_no_features_are_named_with_the_nearest_one() {
        for (reasons, part) in [
            (
                r#"{"last_contct": "x"}"#,
                "\"schema.reasons\" names \"last_contct\", which is not a feature; did you mean \
                 \"last_contact\"?",
            ),
            (r#"{"left": "x"}"#, "which is not a feature; the features are last_contact, country"),
            (r#"{"country": ""}"#, "has for \"country\" neither a text of 1 to 200 characters"),
            (r#"{"country": {"up": "x"}}"#, "{ \"raises\": \"text\", \"lowers\": \"text\" }"),
            (r#"{"country": {}}"#, "or of one of them"),
            (r#"["country"]"#, "\"schema.reasons\" must be an object"),
        ] {
            let error = parse(reasons).unwrap_err().to_string();
            assert!(error.contains(part), "missing {part:?} in:\n{error}");
        }
    }
}
