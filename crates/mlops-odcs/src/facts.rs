//! The facts that an object of a document states, such as the type of a column or its least value. Two
//! documents agree if their facts do, however they are written.
//!
//! Not for comparing: see `check`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Facts by what they are about, such as `age: min`.
pub(crate) type Facts = BTreeMap<String, String>;

/// The facts of an object of `schema`.
pub(crate) fn of(object: &Value) -> Facts {
    let mut facts = Facts::new();
    for property in list(object, "properties") {
        let name = property["name"].as_str().unwrap_or_default();
        column(name, property, &mut facts);
    }
    for (at, rule) in list(object, "quality").iter().enumerate() {
        of_object(at, rule, &mut facts);
    }
    for own in list(object, "customProperties") {
        if let Some(name) = own["property"].as_str().filter(|name| OWN.contains(name)) {
            facts.insert(name.to_owned(), spelt(&own["value"]));
        }
    }
    facts
}

/// Properties of our own; others are somebody else's business.
const OWN: [&str; 9] = [
    "rowsVersusMedian",
    "rowsVersusMedianSeverity",
    "batchRowsMin",
    "batchRowsMax",
    "batchRowsVersusMedian",
    "batchRowsSeverity",
    "newColumns",
    "missingColumns",
    "typeChanges",
];

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn column(name: &str, property: &Value, facts: &mut Facts) {
    let mut note = |what: &str, value: String| facts.insert(format!("{name}: {what}"), value);
    note("column", "there".to_owned());
    // Ingestion knows numbers and texts.
    if let Some(kind) = property["logicalType"].as_str() {
        let kind = match kind {
            "number" | "integer" => "number",
            "string" | "date" | "timestamp" | "time" | "boolean" => "text",
            other => other,
        };
        note("type", kind.to_owned());
    }
    for (key, what) in [("primaryKey", "id"), ("required", "required"), ("unique", "unique")] {
        if property[key] == Value::Bool(true) {
            note(what, "yes".to_owned());
        }
    }
    if let Some(theirs) = property["physicalName"].as_str().filter(|theirs| *theirs != name) {
        note("name in the source", theirs.to_owned());
    }
    for (key, what) in BOUNDS {
        let bound = &property["logicalTypeOptions"][key];
        if !bound.is_null() {
            note(what, spelt(bound));
        }
    }
    for (at, rule) in list(property, "quality").iter().enumerate() {
        if is_for_people(rule) {
            continue;
        }
        let found = quality(rule);
        if found.is_empty() {
            note(&format!("quality rule {}", at + 1), unknown(rule));
        }
        for (what, value) in found {
            if !rule["severity"].is_null() {
                note(&format!("severity of {what}"), spelt(&rule["severity"]));
            }
            note(what, value);
        }
    }
}

const BOUNDS: [(&str, &str); 3] = [("minimum", "min"), ("maximum", "max"), ("pattern", "pattern")];

/// What a rule of a column says, if ingestion knows such a rule.
fn quality(rule: &Value) -> Vec<(&'static str, String)> {
    let arguments = rule["arguments"].as_object().cloned().unwrap_or_default();
    let none = is_zero(&rule["mustBe"]);
    match metric(rule) {
        Some("missingValues" | "nullValues") if none && arguments.is_empty() => {
            vec![("required", "yes".to_owned())]
        }
        Some("missingValues" | "nullValues") if rule["unit"] == "percent" => {
            let most = rule["mustBeLessOrEqualTo"].as_f64();
            let share = |most: f64| (most * 1e9).round() / 1e11;
            most.map(|most| ("max_missing_share", share(most).to_string())).into_iter().collect()
        }
        Some("duplicateValues") if none && arguments.is_empty() => {
            vec![("unique", "yes".to_owned())]
        }
        Some("invalidValues") if none => invalid(&arguments),
        _ => Vec::new(),
    }
}

fn invalid(arguments: &Map<String, Value>) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for (key, value) in arguments {
        match (key.as_str(), value) {
            ("minimum", bound) => found.push(("min", spelt(bound))),
            ("maximum", bound) => found.push(("max", spelt(bound))),
            ("pattern", Value::String(pattern)) => found.push(("pattern", pattern.clone())),
            ("validValues", Value::Array(values)) => {
                let mut values: Vec<String> = values.iter().map(spelt).collect();
                values.sort();
                found.push(("allowed", values.join(", ")));
            }
            // A rule that is known in part is not known.
            _ => return Vec::new(),
        }
    }
    found
}

/// What a rule of a whole object says.
fn of_object(at: usize, rule: &Value, facts: &mut Facts) {
    if is_for_people(rule) {
        return;
    }
    let mut bounds: Vec<(&str, String)> = Vec::new();
    if metric(rule) == Some("rowCount") && rule["unit"].as_str().is_none_or(|unit| unit == "rows") {
        let whole =
            |key: &str, more: f64| rule[key].as_f64().map(|bound| (bound + more).to_string());
        let least = whole("mustBeGreaterOrEqualTo", 0.0).or(whole("mustBeGreaterThan", 1.0));
        let most = whole("mustBeLessOrEqualTo", 0.0).or(whole("mustBeLessThan", -1.0));
        bounds.extend(least.map(|bound| ("rows.min", bound)));
        bounds.extend(most.map(|bound| ("rows.max", bound)));
        if let [least, most] = list(rule, "mustBeBetween") {
            bounds.push(("rows.min", spelt(least)));
            bounds.push(("rows.max", spelt(most)));
        }
    }
    if bounds.is_empty() {
        facts.insert(format!("quality rule {} of the whole object", at + 1), unknown(rule));
    }
    for (what, bound) in bounds {
        if !rule["severity"].is_null() {
            facts.insert(format!("severity of {what}"), spelt(&rule["severity"]));
        }
        facts.insert(what.to_owned(), bound);
    }
}

/// The measure of a rule; the standard called it `rule` before.
fn metric(rule: &Value) -> Option<&str> {
    let library = rule["type"].as_str().is_none_or(|kind| kind == "library");
    let name = rule["metric"].as_str().or(rule["rule"].as_str());
    name.filter(|_| library)
        .map(|name| if name == "duplicateCount" { "duplicateValues" } else { name })
}

fn is_for_people(rule: &Value) -> bool {
    rule["type"] == "text"
}

fn unknown(rule: &Value) -> String {
    let kind = rule["type"].as_str().unwrap_or("library");
    let what = rule["metric"].as_str().or(rule["engine"].as_str()).unwrap_or("rule");
    format!("{what} ({kind}), which ingestion does not know")
}

fn is_zero(value: &Value) -> bool {
    value.as_f64() == Some(0.0)
}

/// A value, the same for the same value: numbers by size, texts bare.
fn spelt(value: &Value) -> String {
    match value {
        Value::Number(number) => number.as_f64().map_or(number.to_string(), |n| n.to_string()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_meaning_has_many_spellings() {
        let one = json!({"properties": [{"name": "age", "logicalType": "integer", "required": true,
            "logicalTypeOptions": {"minimum": 18, "maximum": 120.0}}],
            "quality": [{"metric": "rowCount", "mustBeBetween": [10, 20]}]});
        let other = json!({"properties": [{"name": "age", "logicalType": "number", "quality": [
            {"type": "library", "metric": "invalidValues", "mustBe": 0,
             "arguments": {"maximum": 120, "minimum": 18.0}},
            {"rule": "nullValues", "mustBe": 0}, {"type": "text", "description": "no jokes"}]}],
            "quality": [{"rule": "rowCount", "mustBeGreaterThan": 9, "unit": "rows"},
                        {"metric": "rowCount", "mustBeLessThan": 21}]});
        assert_eq!(of(&one), of(&other));
    }

    #[test]
    fn rules_of_other_engines_are_facts_too() {
        let rules = json!({"properties": [{"name": "age", "quality": [
            {"type": "sql", "query": "SELECT 1", "mustBe": 1},
            {"metric": "invalidValues", "mustBe": 0, "arguments": {"minimum": 1, "luhn": true}},
            {"metric": "missingValues", "unit": "percent", "mustBeLessOrEqualTo": 5}]}],
            "quality": [{"type": "custom", "engine": "soda", "implementation": "x"}]});
        let facts = of(&rules);
        assert_eq!(facts["age: quality rule 1"], "rule (sql), which ingestion does not know");
        assert!(facts["age: quality rule 2"].starts_with("invalidValues (library)"));
        assert_eq!(facts["age: max_missing_share"], "0.05");
        assert!(facts["quality rule 1 of the whole object"].starts_with("soda (custom)"));
    }
}
