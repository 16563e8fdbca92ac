//! A client that a generator makes from `/openapi.json`, used for every operation against the service.
//!
//! Not run unless asked for: it needs Python with two packages, see `.ci/run`.

use std::process::Command;

use mlops_serve::{Options, Tokens};
use serde_json::json;

use crate::scene::{Scene, rows};

#[test]
#[ignore = "needs Python with openapi-python-client and openapi-spec-validator, named by PYTHON"]
fn a_generated_client_can_use_every_operation() {
    let scene = Scene::deployed(&json!({}));
    scene.file("test/some.csv", rows(5, 4, false));
    scene.diagnose(None, None);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/generated.py");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let token = "for-everything-0123456789";
    let mut tokens = Tokens::default();
    for scope in ["read", "predict"] {
        tokens.add(scope, token, "a test").unwrap();
    }
    for options in [Options::default(), Options { tokens, ..Options::default() }] {
        let service = scene.serve_with(options);
        let url = format!("http://{}", service.address);
        let output = Command::new(&python).args([script, &url, token]).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}
