//! Exports in the programs that they are for, as far as these are installed: onnxruntime, tract, SQLite,
//! DuckDB, PostgreSQL, MLflow, PyPMML and JPMML. Not for the formula itself: see `formula`.

use std::process::Command;

use mlops_core::model::Model;
use mlops_export::sql::Dialect;
use mlops_export::{Form, Options};
use mlops_testkit::postgres::Postgres;
use mlops_testkit::{Scene, not_run, variable};

use crate::scenes::{self, CARDS, KINDS, NUMBERS, deployed};

/// Exports the live release; returns its model and the folder of the files.
fn exported(scene: &Scene, forms: &[Form]) -> (Model, String) {
    let context = scene.context().unwrap();
    let options = Options { release: None, forms, table: "clients", to: None };
    let exported = mlops_export::run(&context, &options).unwrap();
    let model = context.store().live_release().unwrap().model;
    (model, exported.folder.display().to_string())
}

/// Computes 500 rows with `reader`.
fn read_by(reader: &str, kinds: &[&str], form: Form) {
    for kind in kinds {
        let scene = deployed(kind);
        let (model, folder) = exported(&scene, &[form]);
        let rows = scenes::rows(&model, 500, 29);
        // Floats cannot tell one second since 1970 from the next.
        scene.file("rows.json", scenes::told(&model, &rows, 1e-3).to_string());
        let python = variable("PYTHON").unwrap_or_else(|| "python3".to_owned());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/readers.py");
        let rows = scene.path("rows.json").display().to_string();
        let told = Command::new(python).args([script, &folder, &rows, reader]).output();
        let Ok(told) = told else {
            not_run("no Python");
            return;
        };
        let (out, err) =
            (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        assert!(told.status.success(), "{kind}: {out}{err}");
        if let Some(name) = out.trim().strip_prefix("missing: ") {
            not_run(&format!("no {name}"));
            return;
        }
        println!("{kind}: {}", out.trim());
    }
}

#[test]
fn onnxruntime_computes_the_core_operators_to_the_last_digits() {
    read_by("onnx", &KINDS, Form::Onnx);
}

#[test]
fn tract_computes_models_without_texts() {
    read_by("tract", &NUMBERS, Form::Onnx);
}

#[test]
fn onnxruntime_computes_the_classic_operators_as_floats() {
    read_by("onnx-ml", &["plain", "pooled"], Form::OnnxMl);
}

#[test]
fn sqlite_computes_the_statement() {
    read_by("sqlite", &KINDS, Form::Sql(Dialect::Sqlite));
}

#[test]
fn duckdb_computes_the_statement() {
    read_by("duckdb", &KINDS, Form::Sql(Dialect::DuckDb));
}

#[test]
fn mlflow_loads_the_folder() {
    read_by("mlflow", &["plain", "shaped"], Form::Mlflow);
}

#[test]
fn pypmml_computes_the_document() {
    read_by("pmml", &KINDS, Form::Pmml);
}

#[test]
fn jpmml_computes_the_documents_which_are_valid_by_the_schema() {
    let kinds: Vec<&str> = KINDS.into_iter().chain(CARDS).collect();
    read_by("jpmml", &kinds, Form::Pmml);
}

#[test]
fn six_lines_of_numpy_compute_the_card() {
    read_by("card", &["plain"], Form::Onnx);
}

#[test]
fn postgresql_computes_the_golden_rows() {
    let Some(server) = Postgres::start() else { return };
    for kind in KINDS {
        let scene = deployed(kind);
        let (_, folder) = exported(&scene, &[Form::Sql(Dialect::PostgreSql)]);
        let test = std::fs::read_to_string(format!("{folder}/model-test.sql")).unwrap();
        let told = server.sql(&test);
        let cells: Vec<&str> = told.trim().split('|').collect();
        let [rows, wrong, largest] = cells[..] else { panic!("{kind}: {told}") };
        assert!(rows.parse::<u32>().unwrap() > 10 && wrong == "0", "{kind}: {told}");
        assert!(largest.parse::<f64>().unwrap() <= 1e-12, "{kind}: {told}");
    }
}
