//! The events that the steps leave for whoever follows the lineage of data.

use std::collections::BTreeMap;
use std::fs;

use mlops_core::stage::ingest::Options;
use mlops_testkit::scene::{Scene, sample_rows};
use serde_json::{Value, json};

fn scene(folder: &str) -> Scene {
    Scene::with(&json!({
        "lineage": {"folder": folder, "namespace": "risk"},
        "contract": {"columns": {
            "number_of_employees": {"max": 45, "severity": "warn"}, "corporation": {"required": true}
        }}
    }))
}

fn events(scene: &Scene) -> Vec<Value> {
    let mut events = Vec::new();
    for (path, bytes) in mlops_testkit::folder::files(&scene.path("lineage")) {
        assert_eq!(path.extension().unwrap(), "ndjson");
        let text = String::from_utf8(bytes).unwrap();
        events.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    events.sort_by_key(|event| event["eventTime"].as_str().unwrap().to_owned());
    events
}

/// What the specification requires of every event.
fn check(event: &Value) {
    let text =
        |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value} in {event}")).to_owned();
    for key in ["eventTime", "producer", "schemaURL"] {
        text(&event[key]);
    }
    assert!(chrono::DateTime::parse_from_rfc3339(&text(&event["eventTime"])).is_ok());
    let id = text(&event["run"]["runId"]);
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
    assert!(id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()));
    assert_eq!(
        (text(&event["job"]["namespace"]).as_str(), text(&event["job"]["name"]).is_empty()),
        ("risk", false)
    );
    let mut facets: Vec<&Value> = vec![&event["run"]["facets"]];
    for dataset in
        event["inputs"].as_array().unwrap().iter().chain(event["outputs"].as_array().unwrap())
    {
        text(&dataset["namespace"]);
        text(&dataset["name"]);
        facets.extend(
            ["facets", "inputFacets", "outputFacets"].iter().filter_map(|key| dataset.get(key)),
        );
    }
    for facet in facets.into_iter().flat_map(|facets| facets.as_object().unwrap().values()) {
        text(&facet["_producer"]);
        text(&facet["_schemaURL"]);
    }
}

#[test]
fn every_step_begins_and_ends_and_says_what_it_read_and_wrote() {
    let scene = scene("lineage");
    scene.rows("in/a.csv", &sample_rows(300, 1));
    scene.rows("test/testdata.csv", &sample_rows(120, 2));
    scene.everything().unwrap();
    let events = events(&scene);
    events.iter().for_each(check);
    let mut runs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in &events {
        let id = event["run"]["runId"].as_str().unwrap();
        runs.entry(id).or_default().push(event["eventType"].as_str().unwrap());
    }
    assert_eq!(runs.len(), 4);
    assert!(runs.values().all(|kinds| *kinds == ["START", "COMPLETE"]), "{runs:?}");
    let of = |step: &str| {
        let found =
            events.iter().find(|e| e["job"]["name"] == step && e["eventType"] == "COMPLETE");
        found.unwrap()
    };
    let ingestion = of("ingestion");
    let input = &ingestion["inputs"][0];
    assert!(input["name"].as_str().unwrap().ends_with("in/a.csv"));
    assert_eq!(input["facets"]["mlops_rows"]["kept"], 300);
    assert_eq!(
        input["facets"]["schema"]["fields"][1],
        json!({"name": "lastmonth_activity", "type": "number"})
    );
    let assertions =
        input["inputFacets"]["dataQualityAssertions"]["assertions"].as_array().unwrap();
    assert_eq!(assertions.len(), 2);
    let broken = json!({
        "assertion": "it must be at most 45", "success": false, "column": "number_of_employees"
    });
    assert_eq!(assertions[0], broken);
    assert_eq!(
        assertions[1],
        json!({"assertion": "contract", "success": true, "column": "corporation"})
    );
    let output = &ingestion["outputs"][0];
    assert_eq!(output["outputFacets"]["outputStatistics"]["rowCount"], 300);
    let from = &output["facets"]["columnLineage"]["fields"]["exited"]["inputFields"];
    assert_eq!(from[0]["field"], "exited");
    assert_eq!(from[0]["name"], input["name"]);
    assert_eq!(
        of("training")["inputs"][0]["name"],
        output["name"],
        "one step's output is the next one's input"
    );
    assert!(of("scoring")["inputs"][0]["name"].as_str().unwrap().ends_with("test/testdata.csv"));
}

#[test]
fn a_failed_step_says_why_and_a_folder_that_cannot_be_written_fails_nothing() {
    let scene = scene("lineage");
    assert!(scene.train().is_err(), "there is no data");
    let events = events(&scene);
    events.iter().for_each(check);
    assert_eq!((events.len(), events[1]["eventType"].as_str()), (2, Some("FAIL")));
    let error = &events[1]["run"]["facets"]["errorMessage"];
    assert!(error["message"].as_str().is_some_and(|words| !words.is_empty()), "{error}");
    scene.configure(&json!({"lineage": {"folder": "config.json/x"}}));
    scene.rows("in/a.csv", &sample_rows(30, 1));
    assert_eq!(scene.ingest_with(Options::default()).unwrap().rows, 30);
    assert!(fs::metadata(scene.path("config.json")).unwrap().is_file());
}
