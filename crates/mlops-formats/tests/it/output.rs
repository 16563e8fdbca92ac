//! The data set as Parquet beside the CSV file: the same rows, written and removed with it, whatever is cut
//! off. Not for the bytes of the CSV file.

use std::fs;

use mlops_core::platform::disk::Disk;
use mlops_testkit::{Dead, Fault, Scene};
use serde_json::json;

use crate::table::{self, COLUMNS, outcome};

fn scene() -> Scene {
    mlops_formats::install();
    Scene::with(&json!({
        "output": {"parquet": true}, "ingestion": {"max_rejected_share": 1.0},
        "schema": {
            "id": ["corporation"], "numeric": &COLUMNS[1..3], "categorical": &COLUMNS[3..4],
            "target": "exited", "positive_label": "1",
        },
    }))
}

#[test]
fn the_table_has_the_rows_of_the_data_set() {
    let scene = scene();
    scene.file("in/t.csv", table::delimited(&table::rows(2500, 4), ',', '"'));
    let written = outcome(&scene);
    let other = self::scene();
    let name = "out/finaldata1.parquet";
    other.file("in/t.parquet", fs::read(scene.path(name)).unwrap());
    let read = outcome(&other);
    assert!(read.quarantine.is_empty(), "{:?}", read.quarantine.first());
    assert!(written.data.lines().count() > 2000 && read.data == written.data);
    // Another version has all rows, too.
    scene.file("in/u.csv", table::delimited(&table::rows(300, 5), ',', '"'));
    let written = outcome(&scene);
    other.file("in/t.parquet", fs::read(scene.path("out/finaldata2.parquet")).unwrap());
    assert!(outcome(&other).data == written.data);
    // Without the key there is none.
    scene.configure(&json!({"ingestion": {"max_rejected_share": 1.0}, "schema": {
        "id": ["corporation"], "numeric": &COLUMNS[1..3], "categorical": &COLUMNS[3..4],
        "target": "exited", "positive_label": "1",
    }}));
    scene.file("in/v.csv", table::delimited(&table::rows(30, 6), ',', '"'));
    assert!(scene.ingest().unwrap().data.unwrap().ends_with("finaldata3.csv"));
    assert!(!scene.path("out/finaldata3.parquet").exists());
}

/// What a run that ends at any step leaves is put in order by the next one: both files or none, and the
/// same bytes.
#[test]
fn a_kill_leaves_both_files_or_none() {
    let rows = table::delimited(&table::rows(200, 8), ',', '"');
    let fresh = || {
        let scene = scene();
        scene.file("in/t.csv", &rows);
        scene
    };
    let mut scene = fresh();
    let counter = Fault::never();
    scene.disk = counter.disk();
    let expected = outcome(&scene);
    let table = fs::read(scene.path("out/finaldata1.parquet")).unwrap();
    let steps = counter.steps().len();
    assert!(steps > 10, "{steps}");
    for step in 0..steps {
        let mut scene = fresh();
        scene.disk = Dead::from(step);
        let cut_off = scene.ingest();
        scene.disk = Disk::default();
        let after = scene.ingest().unwrap_or_else(|e| panic!("step {step} of {steps}: {e}"));
        assert!(cut_off.is_err() || after.version.is_some());
        let data = scene.read("out/finaldata1.csv");
        assert!(data == expected.data, "step {step}");
        let found = fs::read(scene.path("out/finaldata1.parquet"));
        assert!(found.unwrap_or_default() == table, "step {step} of {steps}");
        let left = fs::read_dir(scene.path("out")).unwrap();
        let names: Vec<String> =
            left.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        assert!(!names.iter().any(|name| name.contains("tmp")), "step {step}: {names:?}");
    }
}

/// A file of that name that is not ours is in the way.
#[test]
fn another_file_of_that_name_stays() {
    let scene = scene();
    scene.file("in/t.csv", table::delimited(&table::rows(20, 8), ',', '"'));
    scene.file("out/finaldata1.parquet", "mine");
    let error = scene.ingest().unwrap_err().to_string();
    assert!(error.contains("finaldata1.parquet is in the way"), "{error}");
    assert_eq!(scene.read("out/finaldata1.parquet"), "mine");
}
