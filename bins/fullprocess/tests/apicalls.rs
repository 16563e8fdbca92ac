//! `fullprocess` and the app that serves what it promotes: down, up, slow to follow, stale, broken.
//! Not for the calls themselves: see `mlops-client`'s tests.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlops_testkit::app::{App, Reply, healthy, nobody, problem};
use mlops_testkit::binary::Binary;
use mlops_testkit::binary::scene::{HEADER, Scene};
use serde_json::Value;

const FULLPROCESS: Binary = Binary { name: "fullprocess", path: env!("CARGO_BIN_EXE_fullprocess") };

/// A live release, rows in the source folder that contradict it, and an app at `url`.
fn drifted(url: &str) -> Scene {
    let scene = Scene::deployed();
    know(&scene, url);
    let row = |i: u32| [i % 90, i * 7 % 400, i % 13 + 1, u32::from(i % 90 >= 40)];
    let line = |i| {
        let [a, b, c, exited] = row(i);
        format!("s{i},{a},{b},{c},{exited}")
    };
    let rows: Vec<String> = (0..200).map(line).collect();
    scene.file("source/c.csv", HEADER.to_owned() + &rows.join("\n"));
    scene
}

fn know(scene: &Scene, url: &str) {
    let config = format!(
        r#"{{"input_folder_path": "in", "source_folder_path": "source",
            "output_folder_path": "out", "test_data_path": "test", "output_model_path": "model",
            "prod_deployment_path": "live", "ingestion": {{"settle_seconds": 0}},
            "limits": {{"stage_seconds": 8}}, "apicalls": {{"url": "{url}"}}}}"#
    );
    scene.file("config.json", config);
}

/// The release that the pointer in `folder` names.
fn live(folder: &Path) -> String {
    let target = std::fs::read_link(folder.join("live")).unwrap();
    target.file_name().unwrap().to_string_lossy().into_owned()
}

/// Runs; checks that the promotion stands, with its reports, and the exit code.
fn promotes(scene: &Scene, code: i32) -> Value {
    let done = FULLPROCESS.run(scene.root(), &["--json", "--accept"]).ends_with(code).json();
    assert_eq!(done["decision"]["outcome"], "promoted", "{done:#}");
    assert_eq!(done["decision"]["release"], live(scene.root()), "{done:#}");
    assert!(done["reporting"]["files"].is_array(), "{done:#}");
    let again = FULLPROCESS.run(scene.root(), &["--json"]).ends_with(0).json();
    assert_eq!(again["decision"]["outcome"], "nothing_new", "{again:#}");
    assert!(again["apicalls"].is_null(), "{again:#}");
    done["apicalls"].clone()
}

/// The log of the first run.
fn log(scene: &Scene) -> String {
    let folder = std::fs::read_dir(scene.path("out/logs")).unwrap();
    let mut logs: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    logs.sort();
    std::fs::read_to_string(&logs[0]).unwrap()
}

#[test]
fn an_app_that_is_down_is_noted_and_nothing_else() {
    let url = nobody();
    let scene = drifted(&url);
    let calls = promotes(&scene, 0);
    assert_eq!(calls["outcome"], "unreachable", "{calls:#}");
    assert!(!scene.path("model/apireturns.txt").is_file());
    assert!(log(&scene).contains(&format!("no answer from {url}")));
    let scene = drifted(&url);
    let said = FULLPROCESS.run(scene.root(), &["--accept"]).ends_with(0);
    assert!(said.stdout.contains(&format!("\nApp: no answer from {url}")), "{said:#?}");
    assert!(!said.stderr.contains("nobody"), "{said:#?}");
}

#[test]
fn somebody_else_at_the_address_is_noted_and_nothing_else() {
    for reply in [
        || Reply::Answer("404 Not Found", Vec::new(), b"<html>".to_vec()),
        || Reply::Answer("200 OK", Vec::new(), b"{}".to_vec()),
    ] {
        let app = App::start(move |_, _| reply());
        let scene = drifted(&app.url);
        let calls = promotes(&scene, 0);
        assert_eq!(calls["outcome"], "unreachable", "{calls:#}");
        assert_eq!(app.requests().len(), 1);
    }
}

#[test]
fn an_app_that_follows_answers_with_what_was_promoted() {
    let scene = Arc::new(Scene::deployed());
    let (root, old) = (scene.root().to_owned(), live(scene.root()));
    let looks = AtomicUsize::new(0);
    // It notices a promotion at the third look.
    let app = App::start(move |request, _| {
        let now = live(&root);
        let late = now != old && looks.fetch_add(1, Ordering::Relaxed) < 2;
        healthy(request, if late { &old } else { &now })
    });
    let source = drifted(&app.url);
    scene.file("source/c.csv", source.read("source/c.csv"));
    know(&scene, &app.url);
    let calls = promotes(&scene, 0);
    assert_eq!(calls["outcome"], "answered", "{calls:#}");
    assert_eq!(calls["release"], live(scene.root()), "{calls:#}");
    assert!(calls["data"][0]["name"].as_str().unwrap().starts_with("testdata_new"), "{calls:#}");
    let lines = app.lines();
    let (looks, calls) = lines.split_at(3);
    assert_eq!(looks, ["GET /scoring"; 3]);
    assert_eq!(calls[0], "POST /prediction");
    assert_eq!(calls.len(), 4, "nothing new, and yet it was called: {calls:?}");
    assert!(scene.read("model/apireturns.txt").contains(&live(scene.root())));
}

#[test]
fn an_app_that_does_not_follow_needs_attention_and_the_promotion_stands() {
    let app = App::start(|request, _| healthy(request, "r-1-old"));
    let scene = drifted(&app.url);
    let calls = promotes(&scene, 1);
    assert_eq!(calls["outcome"], "other_release", "{calls:#}");
    assert_eq!(calls["release"], "r-1-old", "{calls:#}");
    assert!(log(&scene).contains("serves r-1-old and not r-"));
    assert!(!scene.path("model/apireturns.txt").is_file());
    let scene = drifted(&app.url);
    let said = FULLPROCESS.run(scene.root(), &["--accept"]).ends_with(1);
    assert!(said.stderr.contains("error: the app at http://"), "{said:#?}");
}

#[test]
fn an_app_that_answers_errors_needs_attention_and_the_promotion_stands() {
    let app = App::start(|_, _| problem("401 Unauthorized", "who are you?"));
    let scene = drifted(&app.url);
    let calls = promotes(&scene, 1);
    assert_eq!(calls["outcome"], "failed", "{calls:#}");
    assert!(calls["errors"][0].as_str().unwrap().contains("MLOPS_PREDICT_TOKEN"), "{calls:#}");
}

#[test]
fn an_app_that_hangs_does_not_end_the_run_by_its_limit() {
    let app = App::start(|_, _| Reply::Hang);
    let scene = drifted(&app.url);
    let calls = promotes(&scene, 1);
    assert_eq!(calls["outcome"], "failed", "{calls:#}");
    assert!(calls["errors"][0].as_str().unwrap().contains("no answer within"), "{calls:#}");
}

#[test]
fn a_token_that_cannot_be_sent_needs_attention_and_the_promotion_stands() {
    let scene = drifted(&nobody());
    let mut command = FULLPROCESS.command(scene.root(), &["--json", "--accept"]);
    let done = mlops_testkit::binary::ended(command.env("MLOPS_PREDICT_TOKEN", "a\nb"))
        .ends_with(1)
        .json();
    assert_eq!(done["decision"]["outcome"], "promoted", "{done:#}");
    assert_eq!(done["apicalls"]["outcome"], "failed", "{done:#}");
}

#[test]
fn a_run_that_is_killed_during_its_calls_has_promoted_and_the_next_one_makes_them() {
    let scene = Arc::new(Scene::deployed());
    let root = scene.root().to_owned();
    let app = App::start(move |request, number| match number {
        0 => Reply::Hang,
        _ => healthy(request, &live(&root)),
    });
    let source = drifted(&app.url);
    scene.file("source/c.csv", source.read("source/c.csv"));
    know(&scene, &app.url);
    let before = live(scene.root());
    let mut child = FULLPROCESS.command(scene.root(), &["--quiet", "--accept"]).spawn().unwrap();
    while app.requests().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended without calling");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(live(scene.root()), before);
    let next = FULLPROCESS.run(scene.root(), &["--json"]).ends_with(0).json();
    assert_eq!(next["decision"]["outcome"], "nothing_new", "{next:#}");
    assert_eq!(next["apicalls"]["outcome"], "answered", "{next:#}");
    assert!(scene.read("model/apireturns.txt").contains(&live(scene.root())));
}
