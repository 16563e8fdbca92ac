//! A model folder of MLflow: the ONNX file with a signature and an input example, which
//! `mlflow.pyfunc.load_model` and `mlflow models serve` load.
//!
//! Not for a tracking server.

use serde_json::{Map, Value, json};

use mlops_core::Result;
use mlops_core::model::Golden;
use mlops_core::release::pretty;

use crate::formula::Formula;
use crate::onnx::core;

/// The files of the folder, by name. `onnx` is the file of the core operators.
pub fn folder(
    formula: &Formula,
    golden: &Golden,
    release: &str,
    onnx: Vec<u8>,
) -> Result<Vec<(String, Vec<u8>)>> {
    let numbers = formula.numbers.iter().map(|name| (name, "double"));
    let texts = formula.texts.iter().map(|name| (name, "string"));
    let inputs: Vec<Value> = numbers
        .chain(texts)
        .map(|(name, kind)| json!({ "name": name, "type": kind, "required": true }))
        .collect();
    let [log_odds, probability, label] = core::outputs(formula);
    let outputs = json!([
        { "name": log_odds, "type": "double", "required": true },
        { "name": probability, "type": "double", "required": true },
        { "name": label, "type": "string", "required": true },
    ]);
    // JSON is YAML too, and quotes every name.
    let model = json!({
        "flavors": {
            "onnx": {
                "data": "model.onnx",
                "onnx_version": "1.16.0",
                "onnx_session_options": null,
                "providers": ["CPUExecutionProvider"],
            },
            "python_function": {
                "data": "model.onnx",
                "env": { "conda": "conda.yaml", "virtualenv": "python_env.yaml" },
                "loader_module": "mlflow.onnx",
            },
        },
        "metadata": { "release": release, "threshold": formula.threshold },
        "mlflow_version": "2.16.0",
        "model_uuid": uuid(release),
        "saved_input_example_info": {
            "artifact_path": "input_example.json",
            "pandas_orient": "split",
            "serving_input_path": "serving_input_example.json",
            "type": "dataframe",
        },
        "signature": {
            "inputs": serde_json::to_string(&inputs).unwrap_or_default(),
            "outputs": outputs.to_string(),
            "params": null,
        },
    });
    let example = example(formula, golden);
    let serving = json!({ "dataframe_split": example });
    // Version 3 of pandas has texts of a type of its own, which onnxruntime does not take from MLflow.
    let packages = ["mlflow>=2.16", "onnx>=1.16", "onnxruntime>=1.18", "pandas<3"];
    let environment = json!({
        "name": "model",
        "channels": ["conda-forge"],
        "dependencies": ["python>=3.9", "pip", { "pip": packages }],
    });
    let python = json!({ "python": "3.11", "dependencies": ["-r requirements.txt"] });
    let mut requirements = packages.join("\n");
    requirements.push('\n');
    Ok([
        ("MLmodel", pretty(&model)?),
        ("conda.yaml", pretty(&environment)?),
        ("input_example.json", pretty(&example)?),
        ("model.onnx", onnx),
        ("python_env.yaml", pretty(&python)?),
        ("requirements.txt", requirements.into_bytes()),
        ("serving_input_example.json", pretty(&serving)?),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into())
}

/// The first golden rows that miss no number, since JSON has no sign for one that the example could show.
fn example(formula: &Formula, golden: &Golden) -> Value {
    let columns: Vec<&String> = formula.numbers.iter().chain(&formula.texts).collect();
    let whole = golden.rows.iter().filter(|row| row.numeric.iter().all(Option::is_some));
    let rows: Vec<Vec<Value>> = whole
        .take(3)
        .map(|row| {
            let numbers = row.numeric.iter().map(|x| json!(x));
            numbers.chain(row.categorical.iter().map(|text| json!(text))).collect()
        })
        .collect();
    let mut table = Map::new();
    table.insert("columns".to_owned(), json!(columns));
    table.insert("data".to_owned(), json!(rows));
    Value::Object(table)
}

/// 32 hexadecimal digits that depend on the release alone, so that equal releases give equal files.
fn uuid(release: &str) -> String {
    let digest = mlops_core::platform::digest::Digest::of(release.as_bytes()).to_string();
    digest.chars().take(32).collect()
}
