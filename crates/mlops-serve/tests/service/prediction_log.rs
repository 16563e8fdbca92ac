//! The log of predictions: what is in it, what it outlives, what it leaves alone.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::scene::{Scene, Service, rows};

/// A workspace whose service keeps predictions, with the keys of `more`.
fn keeping(more: &[(&str, u64)]) -> Scene {
    let mut service = json!({ "prediction_log_path": "log" });
    for (key, value) in more {
        service[key] = json!(value);
    }
    Scene::deployed(&json!({ "service": service }))
}

/// The files of the log, the oldest first.
fn files(scene: &Scene) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(scene.path("log")) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    names.sort();
    names
}

/// All lines that are in them.
fn lines(scene: &Scene) -> Vec<Value> {
    let text: String =
        files(scene).iter().map(|name| std::fs::read_to_string(name).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Predicts one row under the id `id`.
fn predict(service: &Service, id: &str) {
    let row = json!({ "customer": id, "age": 41, "balance": 12.5, "country": "de" });
    service.post("/prediction", &row).ends_with(200);
}

/// The customers that are in the log.
fn customers(scene: &Scene) -> BTreeSet<String> {
    lines(scene).iter().map(|line| line["customer"].as_str().unwrap().to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn predictions_are_kept_row_by_row_in_files_that_rotate() {
    let log = json!({ "prediction_log_path": "log", "prediction_log_max_bytes": 4096,
        "prediction_log_keep_files": 3 });
    let scene = Scene::deployed(&json!({ "service": log }));
    let service = scene.serve();
    let mut expected = Vec::new();
    for i in 0..8 {
        let text = rows(10, 20 + i, true);
        let answer = service.csv("/prediction", &text).ends_with(200);
        expected.push((answer.header("x-request-id").to_owned(), answer.bits(), text));
        // Long enough for a batch of lines of its own.
        std::thread::sleep(Duration::from_millis(300));
    }
    service.ended();
    let mut names: Vec<_> =
        std::fs::read_dir(scene.path("log")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    let text: String = names.iter().map(|name| std::fs::read_to_string(name).unwrap()).collect();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 20, "{}", lines.len());
    for line in &lines {
        let known = expected.iter().find(|(id, ..)| *id == line["request_id"]).unwrap();
        let row = usize::try_from(line["row"].as_u64().unwrap()).unwrap();
        assert_eq!(line["probability"].as_f64().unwrap().to_bits(), known.1[row]);
        let customer = known.2.lines().nth(row + 1).unwrap().split(',').next().unwrap();
        assert_eq!(line["customer"], customer);
        assert!(line["model_version"].as_str().unwrap().starts_with("r-1-"));
    }
    assert!(names.iter().all(|name| std::fs::metadata(name).unwrap().len() <= 4096));
    let last = expected.last().unwrap();
    assert!(lines.iter().any(|line| line["request_id"] == last.0));
}

#[test]
fn every_row_of_a_large_request_is_kept() {
    let scene = Scene::deployed(&json!({ "service": { "prediction_log_path": "log" } }));
    let service = scene.serve();
    service.csv("/prediction", &rows(20_000, 3, true)).ends_with(200);
    assert!(service.get("/metrics").text().contains("mlops_log_lines_lost_total 0\n"));
    service.ended();
    let names: Vec<_> = std::fs::read_dir(scene.path("log")).unwrap().collect();
    assert_eq!(names.len(), 1);
    let text = std::fs::read_to_string(names[0].as_ref().unwrap().path()).unwrap();
    assert!((0..20_000).eq(text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["row"].as_u64().unwrap()
    })));
}

#[test]
fn starts_go_on_where_the_last_one_ended_and_lose_nothing() {
    let scene = keeping(&[("prediction_log_keep_files", 1)]);
    for name in ["a", "b", "c"] {
        let service = scene.serve();
        predict(&service, name);
        service.ended();
        for _ in 0..3 {
            scene.serve().ended();
        }
    }
    assert_eq!(files(&scene).len(), 1);
    assert_eq!(customers(&scene), set(&["a", "b", "c"]));
}

#[test]
fn a_line_that_was_cut_off_takes_no_other_with_it() {
    let scene = keeping(&[]);
    let service = scene.serve();
    predict(&service, "a");
    service.ended();
    let file = files(&scene).remove(0);
    let mut text = std::fs::read_to_string(&file).unwrap();
    text += "{\"recorded\":\"2026";
    std::fs::write(&file, &text).unwrap();
    let service = scene.serve();
    predict(&service, "b");
    service.ended();
    let now = std::fs::read_to_string(&file).unwrap();
    let rest = now.strip_prefix(&text).unwrap().strip_prefix('\n').unwrap();
    assert_eq!(serde_json::from_str::<Value>(rest).unwrap()["customer"], "b");
}

#[test]
fn foreign_files_stay_whatever_they_are_called() {
    let scene = keeping(&[("prediction_log_keep_files", 1), ("prediction_log_max_bytes", 4096)]);
    let foreign = [
        "predictions-2023-archive.jsonl",
        "predictions-export.jsonl",
        "predictions-zzz.jsonl",
        // Our names, but not our lines.
        "predictions-20200101T000000000000Z.jsonl",
        "predictions-29990101T000000000000Z.jsonl",
    ];
    for name in foreign {
        scene.file(&format!("log/{name}"), "{\"mine\":1}\n");
    }
    scene.file("elsewhere.jsonl", "{\"recorded\":\"x\"}\n");
    let link = scene.path("log/predictions-20200102T000000000000Z.jsonl");
    std::os::unix::fs::symlink(scene.path("elsewhere.jsonl"), link).unwrap();
    let service = scene.serve();
    service.csv("/prediction", &rows(200, 3, false)).ends_with(200);
    service.ended();
    for name in foreign {
        let text = std::fs::read_to_string(scene.path(&format!("log/{name}"))).unwrap();
        assert_eq!(text, "{\"mine\":1}\n", "{name}");
    }
    let elsewhere = std::fs::read_to_string(scene.path("elsewhere.jsonl")).unwrap();
    assert_eq!(elsewhere, "{\"recorded\":\"x\"}\n");
    assert_eq!(files(&scene).len(), foreign.len() + 2);
}

#[test]
fn two_services_over_one_folder_leave_each_others_files_alone() {
    let scene = keeping(&[("prediction_log_keep_files", 1)]);
    let (first, second) = (scene.serve(), scene.serve());
    predict(&first, "a");
    std::thread::sleep(Duration::from_millis(500));
    predict(&second, "b");
    std::thread::sleep(Duration::from_millis(500));
    predict(&first, "c");
    first.ended();
    // While the second writes, the first comes back.
    let first = scene.serve();
    predict(&first, "d");
    predict(&second, "e");
    first.ended();
    second.ended();
    assert_eq!(customers(&scene), set(&["a", "b", "c", "d", "e"]));
    assert_eq!(files(&scene).len(), 2);
}

#[test]
fn a_refused_request_leaves_no_line() {
    let scene = keeping(&[]);
    let service = scene.serve();
    let mut text = rows(60_000, 3, false);
    text += "last,old,1,de,no\n";
    service.csv("/prediction", &text).ends_with(422);
    service.csv("/invocations", &text).ends_with(422);
    let mut list: Vec<Value> = (0..10_000)
        .map(|i| json!({ "customer": i, "age": 40, "balance": 1, "country": "de" }))
        .collect();
    list.push(json!({ "customer": "last" }));
    service.post("/prediction", &json!(list)).ends_with(422);
    assert!(
        !service.get("/metrics").text().contains("class=\"positive\",model_version=\"r-1\"} 1")
    );
    service.ended();
    assert_eq!(lines(&scene), Vec::<Value>::new());
}

#[test]
fn ids_keep_all_their_digits_in_every_protocol() {
    let scene = keeping(&[]);
    let service = scene.serve();
    let row = |id: Value| json!({ "customer": id, "age": 40, "balance": 1.5, "country": "de" });
    let big = [9_007_199_254_740_993_u64, 1_000_000_000_000_001, u64::MAX];
    for (n, id) in big.iter().enumerate() {
        let list = json!([row(json!(id))]);
        let answers = [
            service.post("/prediction", &list),
            service.post("/invocations", &json!({ "dataframe_records": list })),
            service.post(
                "/invocations",
                &json!({ "inputs": { "customer": [id], "age": [40], "balance": [1.5],
                    "country": ["de"] } }),
            ),
            service.post(
                "/v2/models/model/infer",
                &json!({ "inputs": [
                    { "name": "customer", "shape": [1], "datatype": "UINT64", "data": [id] },
                    { "name": "age", "shape": [1], "datatype": "INT64", "data": [40] },
                    { "name": "balance", "shape": [1], "datatype": "FP64", "data": [1.5] },
                    { "name": "country", "shape": [1], "datatype": "BYTES", "data": ["de"] }] }),
            ),
        ];
        for answer in answers {
            answer.ends_with(200);
        }
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(lines(&scene).len(), 4 * (n + 1));
    }
    // One with more digits than any number here has would lose them: it is refused.
    let body = br#"{"customer": 123456789012345678901, "age": 4, "balance": 1, "country": "de"}"#;
    let refused = service.ask("POST", "/prediction", &[], body).ends_with(422);
    assert!(refused.text().contains("send it as a text"), "{}", refused.text());
    service.ended();
    let expected: BTreeSet<String> = big.iter().map(u64::to_string).collect();
    assert_eq!(customers(&scene), expected);
}

#[test]
fn lines_have_features_and_the_callers_id_where_that_is_wanted() {
    let log = json!({ "prediction_log_path": "log", "prediction_log_features": true });
    let scene = Scene::deployed(&json!({ "service": log }));
    let service = scene.serve();
    let row = json!({ "customer": "a", "age": 41, "balance": null, "country": " de " });
    let asked = [("X-Request-Id", "r-1"), ("X-Inference-Id", "mine-1")];
    let body = row.to_string();
    let headers: Vec<(&str, &str)> =
        asked.into_iter().chain([("Content-Type", "application/json")]).collect();
    service.ask("POST", "/prediction", &headers, body.as_bytes()).ends_with(200);
    let tensors = |id: Value| {
        json!({ "id": id, "inputs": [
            { "name": "age", "shape": [1], "datatype": "INT64", "data": [40] },
            { "name": "balance", "shape": [1], "datatype": "FP64", "data": [0.1] },
            { "name": "country", "shape": [1], "datatype": "BYTES", "data": [""] }] })
    };
    service.post("/v2/models/model/infer", &tensors(json!("mine \"2\""))).ends_with(200);
    service.post("/v2/models/model/infer", &tensors(json!("x".repeat(1000)))).ends_with(200);
    // More than a block of rows.
    service.csv("/prediction", &rows(5_000, 3, true)).ends_with(200);
    service.ended();
    let lines = lines(&scene);
    let of = |i: usize, key: &str| lines[i][key].clone();
    assert_eq!([of(0, "request_id"), of(0, "inference_id")], [json!("r-1"), json!("mine-1")]);
    assert_eq!(of(0, "features"), json!({ "age": 41.0, "balance": null, "country": "de" }));
    assert_eq!(of(1, "inference_id"), json!("mine \"2\""));
    assert_eq!(of(1, "features"), json!({ "age": 40.0, "balance": 0.1, "country": null }));
    assert_eq!(of(2, "inference_id"), Value::Null);
    let text = rows(5_000, 3, true);
    assert_eq!(lines.len(), 5_003);
    for (line, row) in lines[3..].iter().zip(text.lines().skip(1)) {
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!(line["customer"], cells[0]);
        let age: f64 = cells[1].parse().unwrap_or(f64::NAN);
        assert_eq!(line["features"]["age"].as_f64().unwrap_or(f64::NAN).to_bits(), age.to_bits());
    }
    // Core reads what the service wrote.
    let schema = scene.context().config.schema;
    let mut table = mlops_core::Table::new(&schema);
    let reading = mlops_core::prediction_log::reader::each(
        &scene.path("log"),
        mlops_core::prediction_log::Want::Features,
        |line| {
            assert!(line.push_to(&schema, &mut table));
            Ok(())
        },
    );
    assert_eq!((reading.unwrap().lines, table.len()), (5_003, 5_003));
}

#[test]
fn an_inference_id_that_cannot_be_logged_is_refused_where_labels_are_joined_by_it() {
    let service = json!({ "prediction_log_path": "log" });
    let by = |by: &str| Scene::deployed(&json!({ "service": service, "labels": { "by": by } }));
    let (joined, other) = (by("inference_id"), by("ids"));
    let ask = |service: &Service, id: &str, path: &str| {
        let headers = [("content-type", "text/csv"), ("x-inference-id", id)];
        service.ask("POST", path, &headers, rows(2, 5, false).as_bytes()).status
    };
    let infer = |service: &Service, id: &str| {
        let tensor = |name: &str, kind: &str, value: Value| json!({ "name": name, "shape": [1], "datatype": kind, "data": [value] });
        let inputs = [
            tensor("age", "INT64", json!(40)),
            tensor("balance", "FP64", json!(0.1)),
            tensor("country", "BYTES", json!("de")),
        ];
        service.post("/v2/models/model/infer", &json!({ "id": id, "inputs": inputs })).status
    };
    let long = "x".repeat(129);
    let ours = joined.serve();
    for path in ["/prediction", "/invocations"] {
        assert_eq!(ask(&ours, &long, path), 400, "{path}");
        assert_eq!(ask(&ours, "order 17 für Köln", path), 200, "{path}");
        assert_eq!(ask(&ours, "", path), 200, "{path}");
    }
    assert_eq!([infer(&ours, &long), infer(&ours, ""), infer(&ours, "b")], [400, 200, 200]);
    ours.ended();
    let found: Vec<Value> =
        lines(&joined).iter().map(|line| line["inference_id"].clone()).collect();
    let order = json!("order 17 für Köln");
    let (order, none) = (&order, &Value::Null);
    let both = [order, order, none, none];
    let expected: Vec<&Value> = both.into_iter().chain(both).collect();
    assert_eq!(found[..8].iter().collect::<Vec<_>>(), expected);
    assert_eq!(found[8..], [Value::Null, json!("b")]);
    // Elsewhere the id is only a remark.
    let theirs = other.serve();
    assert_eq!([ask(&theirs, &long, "/prediction"), infer(&theirs, &long)], [200, 200]);
}
