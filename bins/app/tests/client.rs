//! `docs/mlops_client.py` against the program `app`: its predictions, those that it computes of the release alone, and
//! its errors. Not for the protocol.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod started;

use std::process::Command;

use mlops_testkit::binary::Binary;
use mlops_testkit::binary::scene::Scene;
use mlops_testkit::{not_run, variable};
use started::start;

const APP: Binary = Binary { name: "app", path: env!("CARGO_BIN_EXE_app") };
const SCRIPT: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
from mlops_client import Client, Release
client, release = Client(sys.argv[2]), Release(sys.argv[3])
names = ["lastmonth_activity", "lastyear_activity", "number_of_employees"]
rows = [dict(zip(names, [7 * i % 101, 53 * i % 997 if i % 5 else None, i % 40 + 1])) for i in range(300)]
answer = client.predict(rows)
found = [release.probability(row) for row in rows]
assert len(answer["probabilities"]) == 300 and len(set(found)) > 250
worst = max(abs(a - b) for a, b in zip(answer["probabilities"], found))
assert worst <= 1e-12, worst
assert {0, 1} == set(answer["predictions"]), set(answer["predictions"])
assert client.call("/readyz")["model_version"] == answer["model_version"]
try:
    client.predict([{"lastmonth_activity": "many"}])
except RuntimeError as error:
    assert "/prediction: 4" in str(error) and "lastmonth_activity" in str(error), error
else:
    raise AssertionError("a text was taken for a number")
print(worst)
"#;

#[test]
fn it_predicts_as_the_service_does_and_as_the_release_says() {
    let scene = Scene::deployed();
    let started = start(&mut APP.command(scene.root(), &["--port", "0"]));
    let python = variable("PYTHON").unwrap_or_else(|| "python3".to_owned());
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    let (url, live) = (format!("http://{}", started.address), scene.path("live"));
    let run = Command::new(python)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["-c", SCRIPT, docs, &url])
        .arg(live)
        .output();
    match run {
        Err(_) => not_run("no Python"),
        Ok(run) => assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr)),
    }
    assert_eq!(started.stopped("-TERM").0, Some(0));
}
