//! The shipped and the reference files, with figures that other programs computed for them.
//!
//! Not for the figures themselves: each test compares its own.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::scene::Scene;
use crate::soak::variable;

/// The folder of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of the reference files, which are not part of the repository.
pub fn reference() -> PathBuf {
    let folder = variable("MLOPS_REFERENCE")
        .map_or_else(|| repository().join("../shared/reference"), PathBuf::from);
    assert!(folder.join("expected.json").is_file(), "MLOPS_REFERENCE=folder must name the files");
    folder
}

/// A scene with `files` (each `folder/name.csv`) of `from` as input, and its test data.
pub fn scene_of(from: &Path, files: &[String]) -> Scene {
    let scene = Scene::new();
    for file in files {
        let name = Path::new(file).file_name().unwrap();
        fs::copy(from.join(file), scene.path("in").join(name)).unwrap();
    }
    fs::copy(from.join("testdata/testdata.csv"), scene.path("test/testdata.csv")).unwrap();
    scene
}

/// The files that a case names.
pub fn names(case: &Value) -> Vec<String> {
    let files = case["files"].as_array().unwrap();
    files.iter().map(|f| f["file"].as_str().unwrap().to_owned()).collect()
}

/// The newest data set of `scene`.
pub fn newest_data(scene: &Scene) -> PathBuf {
    scene.ledger().latest_dataset().unwrap().unwrap().location
}
