//! Joins of reference files that pandas made, which are not part of the repository.

use std::fs;
use std::path::{Path, PathBuf};

use mlops_compare::command::{self, Options};
use mlops_testkit::{Scene, variable};
use serde_json::{Value, json};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The reference folder.
fn reference() -> PathBuf {
    let folder = variable("MLOPS_REFERENCE")
        .map_or_else(|| repository().join("../shared/reference"), PathBuf::from);
    assert!(folder.join("expected.json").is_file(), "MLOPS_REFERENCE=folder must name the files");
    folder
}

/// A scene with `files` (each `folder/name.csv`) of `from` as input, and its test data.
fn scene(from: &Path, files: &[String]) -> Scene {
    let scene = Scene::new();
    for file in files {
        let name = Path::new(file).file_name().unwrap();
        fs::copy(from.join(file), scene.path("in").join(name)).unwrap();
    }
    fs::copy(from.join("testdata/testdata.csv"), scene.path("test/testdata.csv")).unwrap();
    scene
}

fn names(case: &Value) -> Vec<String> {
    let files = case["files"].as_array().unwrap();
    files.iter().map(|f| f["file"].as_str().unwrap().to_owned()).collect()
}

fn newest_data(scene: &Scene) -> PathBuf {
    scene.ledger().latest_dataset().unwrap().unwrap().location
}

#[test]
#[ignore = "needs the reference files: MLOPS_REFERENCE=folder"]
fn reference_files_are_joined_as_expected() {
    let folder = reference();
    let text = fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let ingested = ["practice", "source"].map(|name| {
        let scene = scene(&folder, &names(&expected[name]));
        scene.ingest().unwrap();
        let data = newest_data(&scene);
        (scene, data)
    });
    let (one, two) =
        (folder.join("practicedata/dataset1.csv"), folder.join("practicedata/dataset2.csv"));
    for (case, left, right, on) in [
        ("compare_dataset1_dataset2_all_columns", &one, &two, None),
        ("compare_dataset1_dataset2_on_corporation", &one, &two, Some("corporation")),
        (
            "compare_practice_source_on_corporation",
            &ingested[0].1,
            &ingested[1].1,
            Some("corporation"),
        ),
    ] {
        let options = Options {
            left: left.display().to_string(),
            right: right.display().to_string(),
            on: on.map(str::to_owned).into_iter().collect(),
            ..Options::default()
        };
        let found = command::run(&ingested[0].0.context().unwrap(), &options).unwrap().comparison;
        let figures = json!({
            "both": found.both, "left_only": found.left_only, "right_only": found.right_only,
        });
        assert_eq!(figures, expected["compare"][case], "{case}");
        assert_eq!(found.repeated.keys, [0, 0]);
    }
}
