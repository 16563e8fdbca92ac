//! Clients that generators make from `/openapi.json`, used for every operation against the service, and
//! requests that Schemathesis makes up from it.
//!
//! Not run unless asked for: they need Python and Node with packages, see `.ci/generated-client`.

use std::process::Command;

use mlops_serve::{Options, Tokens};
use serde_json::json;

use crate::scene::{Scene, Service, rows};

const TOKEN: &str = "for-everything-0123456789";

/// A workspace in which every operation has something to answer.
fn scene() -> Scene {
    let scene = Scene::deployed(&json!({
        "service": { "prediction_log_path": "log" }, "labels": { "receive": true },
    }));
    scene.file("test/some.csv", rows(5, 4, false));
    scene.diagnose(None, None);
    scene
}

/// The service over `scene`, which asks for a token.
fn guarded(scene: &Scene) -> Service {
    let mut tokens = Tokens::default();
    for scope in ["read", "predict", "labels", "approve"] {
        tokens.add(scope, TOKEN, "a test").unwrap();
    }
    scene.serve_with(Options { tokens, ..Options::default() })
}

/// Runs `command`, which must succeed.
fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
#[ignore = "needs Python with openapi-python-client and openapi-spec-validator, named by PYTHON"]
fn a_generated_client_can_use_every_operation() {
    let scene = scene();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/generated.py");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut writes = Tokens::default();
    for scope in ["labels", "approve"] {
        writes.add(scope, TOKEN, "a test").unwrap();
    }
    let open = scene.serve_with(Options { tokens: writes, ..Options::default() });
    for service in [open, guarded(&scene)] {
        let url = format!("http://{}", service.address);
        succeeds(Command::new(&python).args([script, &url, TOKEN]));
    }
}

#[test]
#[ignore = "needs Node with openapi-typescript, openapi-fetch and typescript in the folder NODE_MODULES"]
fn a_client_in_typescript_can_use_every_operation() {
    let modules = std::env::var("NODE_MODULES").unwrap();
    let scene = scene();
    let service = guarded(&scene);
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).unwrap();
    let described = ("authorization", format!("Bearer {TOKEN}"));
    let described = service.ask("GET", "/openapi.json", &[(described.0, &described.1)], b"");
    std::fs::write(folder.path().join("api.json"), described.ends_with(200).body).unwrap();
    let node = |arguments: &[&str]| {
        succeeds(Command::new("node").args(arguments).current_dir(folder.path()));
    };
    node(&["node_modules/openapi-typescript/bin/cli.js", "api.json", "-o", "api.d.ts"]);
    std::fs::write(folder.path().join("generated.mts"), include_str!("generated.ts")).unwrap();
    let options = ["--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck"];
    let compiler: &[&str] = &["node_modules/typescript/bin/tsc"];
    node(&[compiler, &options, &["generated.mts"]].concat());
    node(&["generated.mjs", &format!("http://{}", service.address), TOKEN]);
}

#[test]
#[ignore = "needs Schemathesis, the program named by SCHEMATHESIS"]
fn whatever_schemathesis_asks_is_answered_as_described() {
    let program = std::env::var("SCHEMATHESIS").unwrap();
    let scene = scene();
    let service = guarded(&scene);
    let folder = tempfile::tempdir().unwrap();
    // Rows have rules that a schema cannot say, such as as many cells as columns, and what is not asked
    // for in a row is ignored whatever it is.
    let left_out = "positive_data_acceptance,negative_data_rejection";
    succeeds(
        Command::new(program)
            .args(["run", &format!("http://{}/openapi.json", service.address)])
            .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
            .args(["--max-examples", "20", "--seed", "1", "--exclude-checks", left_out])
            .current_dir(folder.path()),
    );
    service.get("/livez").ends_with(200);
}
