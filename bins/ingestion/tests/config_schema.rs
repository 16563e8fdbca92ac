//! `ingestion --config-schema` as an editor uses it: a JSON Schema, held against configurations. Not for what
//! the programs themselves refuse.

use std::process::Command;

use serde_json::{Value, json};

#[test]
fn the_schema_is_one_and_takes_the_shipped_configuration() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ingestion")).arg("--config-schema").output().unwrap();
    assert!(output.status.success());
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("config.json", schema).unwrap();
    // Compiling holds it against the schema of schemas.
    let known = compiler.compile("config.json", &mut schemas).unwrap();
    let mut config: Value = serde_json::from_str(include_str!("../../../config.json")).unwrap();
    schemas.validate(&config, known).unwrap();
    config["training"] = json!({"solver": "auto", "class_weight": "balanced"});
    schemas.validate(&config, known).unwrap();
    config["training"]["solver"] = json!("newtno");
    assert!(schemas.validate(&config, known).is_err(), "a choice that is none");
    config["training"] = json!({"sovler": "auto"});
    assert!(schemas.validate(&config, known).is_err(), "a key that is none");
}
