//! The events that the steps leave for whoever follows the lineage of data.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
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

/// The files of schemas.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/openlineage")
}

/// What the specification requires, by the address of each schema.
struct Specification {
    schemas: Schemas,
    compiler: Compiler,
    /// The files of facets, by their addresses.
    facets: BTreeMap<String, Value>,
}

impl Specification {
    const EVENT: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

    fn read() -> Self {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        let mut facets = BTreeMap::new();
        for (path, bytes) in mlops_testkit::folder::files(&folder()) {
            if path.extension().is_some_and(|extension| extension == "json") {
                let schema: Value = serde_json::from_slice(&bytes).unwrap();
                let address = schema["$id"].as_str().unwrap().to_owned();
                compiler.add_resource(&address, schema.clone()).unwrap();
                facets.insert(address, schema);
            }
        }
        assert_eq!(facets.len(), 7);
        Self { schemas: Schemas::new(), compiler, facets }
    }

    /// Why `value` is not what the schema at `address` describes.
    fn refuses(&mut self, address: &str, value: &Value) -> Option<String> {
        let schema = self.compiler.compile(address, &mut self.schemas).unwrap();
        self.schemas.validate(value, schema).err().map(|error| error.to_string())
    }

    /// Why an event is not valid: as a whole, or one of its facets as what it calls itself.
    fn faults(&mut self, event: &Value) -> Vec<String> {
        let mut faults: Vec<String> = self.refuses(Self::EVENT, event).into_iter().collect();
        if event["schemaURL"] != Self::EVENT {
            faults.push(format!("{} is another schema", event["schemaURL"]));
        }
        let mut facets = vec![&event["run"]["facets"], &event["job"]["facets"]];
        for list in ["inputs", "outputs"] {
            let datasets = event[list].as_array().into_iter().flatten();
            let keys = ["facets", "inputFacets", "outputFacets"];
            facets.extend(datasets.flat_map(|dataset| keys.map(|key| &dataset[key])));
        }
        let facets = facets.into_iter().filter_map(Value::as_object).flatten();
        for (name, facet) in facets {
            let address = facet["_schemaURL"].as_str().unwrap_or_default();
            if name.starts_with("mlops_") {
                let ours = address.starts_with("urn:mlops:facets:");
                faults.extend((!ours).then(|| format!("{name} calls itself {address}")));
                continue;
            }
            let file = address.split_once('#').map_or(address, |(file, _)| file);
            let Some(schema) = self.facets.get(file) else {
                faults.push(format!("{name} calls itself {address}, which is not a schema"));
                continue;
            };
            let defined = schema["properties"][name]["$ref"].as_str().unwrap_or("no such facet");
            if address != format!("{file}{defined}") {
                faults.push(format!("{name} calls itself {address}, and is {file}{defined}"));
                continue;
            }
            faults.extend(self.refuses(address, facet));
        }
        faults
    }
}

fn check(events: &[Value]) {
    let mut specification = Specification::read();
    for event in events {
        let faults = specification.faults(event);
        assert!(faults.is_empty(), "{faults:#?} in {event:#}");
    }
}

#[test]
fn what_is_not_valid_is_found() {
    let scene = scene("lineage");
    scene.rows("in/a.csv", &sample_rows(30, 1));
    scene.ingest().unwrap();
    let events = events(&scene);
    check(&events);
    let mut specification = Specification::read();
    let mut faults = |pointer: &str, value: Value| {
        let mut event = events[1].clone();
        *event.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        specification.faults(&event)
    };
    let schema = "https://openlineage.io/spec/facets/1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet";
    for (pointer, value) in [
        ("/eventType", json!("BEGIN")),
        ("/eventTime", json!("yesterday")),
        ("/producer", json!("mlops 1")),
        ("/schemaURL", json!(schema)),
        ("/run/runId", json!("7")),
        ("/run/facets/mlops_run", json!({})),
        ("/job", json!({"name": "ingestion"})),
        ("/inputs/0/namespace", json!(7)),
        ("/inputs/0/facets/version/datasetVersion", json!(7)),
        ("/inputs/0/facets/version/_schemaURL", json!(schema)),
        ("/inputs/0/facets/schema/fields/0", json!({"type": "string"})),
        ("/inputs/0/inputFacets/dataQualityAssertions/assertions/0/success", json!("no")),
        ("/outputs/0/facets/columnLineage/fields/exited/inputFields/0", json!({"field": "x"})),
        ("/outputs/0/outputFacets/outputStatistics/rowCount", json!("30")),
        ("/outputs/0/outputFacets/outputStatistics/_schemaURL", json!("https://x.org/1.json")),
    ] {
        assert!(!faults(pointer, value).is_empty(), "{pointer}");
    }
    assert!(faults("/eventType", json!("OTHER")).is_empty());
}

#[test]
fn every_step_begins_and_ends_and_says_what_it_read_and_wrote() {
    let scene = scene("lineage");
    scene.rows("in/a.csv", &sample_rows(300, 1));
    scene.rows("test/testdata.csv", &sample_rows(120, 2));
    scene.everything().unwrap();
    let events = events(&scene);
    check(&events);
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
        "assertion": "it must be at most 45", "success": false, "severity": "warn",
        "column": "number_of_employees"
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
    assert!(scene.score().is_err(), "there is no model");
    assert!(scene.ingest_from("elsewhere", Options::default()).is_err(), "there is no such folder");
    let events = events(&scene);
    check(&events);
    let steps: Vec<_> = events.iter().filter_map(|event| event["job"]["name"].as_str()).collect();
    assert_eq!(steps, ["training", "training", "scoring", "scoring", "ingestion", "ingestion"]);
    for event in events.iter().skip(1).step_by(2) {
        assert_eq!(event["eventType"], "FAIL");
        let error = &event["run"]["facets"]["errorMessage"];
        assert!(error["message"].as_str().is_some_and(|words| !words.is_empty()), "{error}");
    }
    scene.configure(&json!({"lineage": {"folder": "config.json/x"}}));
    scene.rows("in/a.csv", &sample_rows(30, 1));
    assert_eq!(scene.ingest_with(Options::default()).unwrap().rows, 30);
    assert!(fs::metadata(scene.path("config.json")).unwrap().is_file());
}
