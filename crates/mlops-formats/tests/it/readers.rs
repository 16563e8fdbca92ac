//! What others read in a data set that is a Parquet file: pandas, pyarrow, polars and DuckDB, as far as they are
//! installed. Not for our own reading: see `dataset`.

use std::process::Command;

use mlops_core::csv::formats;
use mlops_testkit::{Scene, not_run};
use serde_json::json;

use crate::dataset::rows;

#[test]
fn pandas_pyarrow_polars_and_duckdb_read_the_same_cells() {
    mlops_formats::install();
    let scene = Scene::with(&json!({
        "output": {"csv": false, "parquet": true}, "ingestion": {"max_rejected_share": 1.0},
        "schema": {
            "id": ["key"], "numeric": ["a", "b", "large"], "categorical": ["code"],
            "target": "answer", "positive_label": "yes, sure",
        },
    }));
    scene.file("in/a.csv", rows(3000, 9));
    scene.ingest().unwrap();
    let path = scene.path("out/finaldata1.parquet");
    let schema = scene.context().unwrap().config.schema;
    let mut text = Vec::new();
    let mut reader = formats::text_of_our_own(&path, &schema).unwrap();
    std::io::Read::read_to_end(&mut reader, &mut text).unwrap();
    scene.file("rows.csv", text);
    let types = json!({
        "key": "text", "a": "double", "b": "double", "large": "integer", "code": "text", "answer": "text",
    });
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/readers.py");
    let told = Command::new(python)
        .arg(script)
        .args([path, scene.path("rows.csv")])
        .arg(types.to_string())
        .output();
    let Ok(told) = told else {
        not_run("no Python");
        return;
    };
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    for missing in String::from_utf8_lossy(&told.stdout).lines() {
        not_run(&format!("no {missing}"));
    }
}
