//! What is on record about the live release: told as it stands, and never touched.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mlops_core::Error;
use mlops_core::ids::Step;
use mlops_core::run::context::Workspace;
use mlops_core::stage::diagnose::Diagnostics;
use serde_json::{Value, json};

use crate::scene::Scene;

fn snapshot(scene: &Scene) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![scene.root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
    }
    found
}

#[test]
fn records_are_told_as_they_stand_and_asking_changes_nothing() {
    let scene = Scene::deployed(&json!({}));
    scene.diagnose(None, None);
    let service = scene.serve();
    let before = snapshot(&scene);
    let live = scene.context().store().live().unwrap().unwrap();
    let recorded: Value =
        serde_json::from_slice(&std::fs::read(scene.path("live/score.json")).unwrap()).unwrap();
    let score = service.get("/scoring").ends_with(200).json();
    for (key, value) in recorded.as_object().unwrap() {
        assert_eq!(&score[key], value, "{key}");
    }
    assert_eq!(score["model_version"], json!(live));
    assert_eq!(score["deployment"]["reason"], "a test asks");

    let written: Value =
        serde_json::from_slice(&std::fs::read(scene.path("model/diagnostics.json")).unwrap())
            .unwrap();
    let summary = service.get("/summarystats").ends_with(200).json();
    assert_eq!(summary["columns"], written["columns"]);
    assert_eq!(summary["recorded"], written["recorded"]);
    assert_eq!(summary["data"], "finaldata1.csv");
    let diagnostics = service.get("/diagnostics").ends_with(200).json();
    for key in ["predictions", "timings", "dependencies", "columns"] {
        assert_eq!(diagnostics[key], written[key], "{key}");
    }
    let root = scene.root().to_str().unwrap();
    for (path, part) in
        [("/scoring", "F1"), ("/summarystats", "median"), ("/diagnostics", "negative")]
    {
        let table = service.ask("GET", path, &[("accept", "text/plain")], b"").ends_with(200);
        assert!(table.header("content-type").starts_with("text/plain"));
        assert!(table.text().contains(part) && !table.text().contains(root), "{}", table.text());
        assert!(!service.get(path).text().contains(root));
        service.ask("HEAD", path, &[], b"").ends_with(200);
    }
    assert!(before == snapshot(&scene), "asking changed a file");
}

#[test]
fn diagnostics_are_found_however_many_runs_failed_since() {
    let scene = Scene::deployed(&json!({}));
    scene.diagnose(None, None);
    let context = scene.context();
    let mut workspace = context.open("diagnostics").unwrap();
    for _ in 0..60 {
        let fails = |_: &mut Workspace| Err::<Diagnostics, _>(Error::backend("a test", "fails"));
        context.step(&mut workspace, Step::Diagnostics, fails).unwrap_err();
    }
    drop(workspace);
    let service = scene.serve();
    let found = service.get("/diagnostics").ends_with(200).json();
    assert_eq!(found["release"], json!(context.store().live().unwrap().unwrap()));
}

#[test]
fn what_is_not_on_record_is_not_made_up() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    for path in ["/summarystats", "/diagnostics"] {
        let missing = service.get(path).ends_with(404).json();
        assert!(missing["detail"].as_str().unwrap().contains("run `diagnostics`"), "{missing}");
    }
    service.get("/scoring").ends_with(200);
}

#[test]
fn every_one_of_many_columns_is_answered() {
    let names: Vec<String> = (0..150).map(|i| format!("n{i}")).collect();
    let columns = json!({ "id": ["customer"], "numeric": names, "target": "churned",
        "positive_label": "yes", "negative_label": "no" });
    let scene = Scene::empty(&json!({ "schema": columns }));
    let file = |first: u32, rows: u32| {
        let mut text = format!("customer,{},churned\n", names.join(","));
        for row in first..first + rows {
            let cells: Vec<String> =
                (0..150).map(|column| ((row * 7919 + column * 31) % 97).to_string()).collect();
            let label = if row * 7919 % 97 > 48 { "yes" } else { "no" };
            text += &format!("c{row},{},{label}\n", cells.join(","));
        }
        text
    };
    scene.file("in/a.csv", file(0, 400));
    scene.file("test/test.csv", file(1000, 100));
    scene.release();
    scene.diagnose(None, None);
    let service = scene.serve();
    for path in ["/summarystats", "/diagnostics"] {
        let found = service.get(path).ends_with(200).json();
        assert_eq!(found["columns"].as_array().unwrap().len(), 152, "{path}");
        assert!(found.get("left_out").is_none() && found["model_version"].is_string(), "{path}");
    }
    // Without the file, the record of the run answers and says what it lacks.
    std::fs::remove_file(scene.path("model/diagnostics.json")).unwrap();
    for path in ["/summarystats", "/diagnostics"] {
        let found = service.get(path).ends_with(200).json();
        assert_eq!(found["columns"].as_array().unwrap().len(), 100, "{path}");
        assert_eq!(found["left_out"], json!({ "columns": 52 }), "{path}");
    }
}
