//! What the protocols' own clients sent to this service and understood of its answers, replayed
//! against the service as it is now. The fixtures were recorded between these clients and the
//! service on the shipped data.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::scene::Scene;

/// The shipped data, brought to a live release as when the fixtures were recorded.
fn shipped() -> Scene {
    let scene = Scene::empty(&json!({ "schema": {} }));
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
    let copy = |from: &str, to: &str| scene.file(to, std::fs::read(data.join(from)).unwrap());
    copy("practicedata/dataset1.csv", "in/dataset1.csv");
    copy("practicedata/dataset2.csv", "in/dataset2.csv");
    copy("testdata/testdata.csv", "test/testdata.csv");
    scene.release();
    scene
}

/// That two answers agree: in everything but the release's name, and numbers to the last digits.
fn agree(found: &Value, recorded: &Value, place: &str) {
    match (found, recorded) {
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{place}: {found} and {recorded}");
            for (key, value) in a {
                if !["model_version", "versions", "version"].contains(&key.as_str()) {
                    agree(value, &b[key], &format!("{place}.{key}"));
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{place}");
            a.iter().zip(b).for_each(|(a, b)| agree(a, b, place));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-12, "{place}: {a} and {b}");
        }
        _ => assert_eq!(found, recorded, "{place}"),
    }
}

fn replay(fixture: &str) {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    let scene = SCENE.get_or_init(shipped);
    let service = scene.serve();
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    let exchanges = fixture["exchanges"].as_array().unwrap();
    assert!(!exchanges.is_empty());
    for exchange in exchanges {
        let (request, recorded) = (&exchange["request"], &exchange["response"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let headers: Vec<(String, String)> = request["headers"]
            .as_object()
            .unwrap()
            .iter()
            // The fixtures are kept unpacked.
            .filter(|(name, _)| *name != "accept-encoding")
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        // Bytes that are no text are kept as the characters of the same numbers.
        let body: Vec<u8> =
            text(&request["body"]).chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let (method, path) = (text(&request["method"]), text(&request["path"]));
        let answer = service.ask(&method, &path, &headers, &body);
        assert_eq!(json!(answer.status), recorded["status"], "{method} {path}: {}", answer.text());
        match serde_json::from_str::<Value>(recorded["body"].as_str().unwrap()) {
            Ok(recorded) => agree(&answer.json(), &recorded, &path),
            Err(_) => assert_eq!(
                answer.text().trim().is_empty(),
                text(&recorded["body"]).trim().is_empty()
            ),
        }
    }
}

#[test]
fn the_client_of_mlflow_is_answered_as_it_was() {
    replay(include_str!("fixtures/mlflow.json"));
}

#[test]
fn the_client_of_the_open_inference_protocol_is_answered_as_it_was() {
    replay(include_str!("fixtures/tritonclient.json"));
}
