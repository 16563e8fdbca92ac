//! `apicalls` and `fullprocess` against the real service, at a port of its own. Not for what either
//! side does alone: see their own tests.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::sync::Arc;

use mlops_core::config::Config;
use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::run::context::Context;
use mlops_core::stage::decide;
use mlops_runtime::apicalls::Outcome;
use mlops_runtime::fullprocess;
use mlops_serve::{Options, Server, Tokens};
use mlops_testkit::binary::scene::{HEADER, Scene, alone};
use mlops_testkit::binary::{Binary, ended};
use serde_json::Value;

const APICALLS: Binary = Binary { name: "apicalls", path: env!("CARGO_BIN_EXE_apicalls") };
const READ: &str = "read-0123456789abcdef";
const PREDICT: &str = "predict-0123456789abcdef";

fn context(scene: &Scene) -> Context {
    let config = Config::load(&scene.path("config.json")).unwrap();
    Context::new(config, Arc::new(SystemClock::default()), Disk::default(), "test")
}

/// Serves the live release of `scene` until the test ends; gives the address.
fn serve(scene: &Scene, tokens: Tokens) -> String {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = Options { port: Some(0), tokens, ..Options::default() };
    let server = runtime.block_on(Server::bind(&context(scene), options)).unwrap();
    let url = format!("http://{}", server.address());
    std::thread::spawn(move || runtime.block_on(server.serve(std::future::pending())));
    url
}

fn kept(scene: &Scene) -> Value {
    serde_json::from_str(&scene.read("model/apireturns.json")).unwrap()
}

#[test]
fn the_service_predicts_what_the_batch_path_predicts_and_tells_all_it_has_on_record() {
    let scene = Scene::diagnosed();
    let url = serve(&scene, Tokens::default());
    let report = APICALLS.run(scene.root(), &["--url", &url, "--json"]).ends_with(0).json();
    assert_eq!(report["outcome"], "answered", "{report:#}");
    let kept = kept(&scene);
    assert_eq!(kept["calls"].as_array().unwrap().len(), 4, "{kept:#}");
    let rows = &kept["predictions"]["kept"];
    let risk = scene.read("risk.csv");
    let batch: Vec<Vec<&str>> = risk.lines().skip(1).map(|l| l.split(',').collect()).collect();
    assert_eq!(batch.len(), 40);
    for (i, row) in batch.iter().enumerate() {
        assert_eq!((&rows["ids"][i], &rows["predictions"][i]), (&row[0].into(), &row[1].into()));
        let (served, batch) = (rows["probabilities"][i].as_f64(), row[2].parse::<f64>().ok());
        assert_eq!(served.map(f64::to_bits), batch.map(f64::to_bits), "row {i}");
    }
    let score: Value = serde_json::from_str(&scene.read("model/score.json")).unwrap();
    assert_eq!(kept["calls"][1]["answer"]["f1"], score["f1"]);
    let again = APICALLS.run(scene.root(), &["--url", &url]).ends_with(0);
    assert!(again.stdout.contains("Nothing changed since the last call"), "{again:#?}");
}

#[test]
fn what_the_service_has_not_on_record_is_an_error_with_its_own_advice() {
    let scene = Scene::deployed();
    let url = serve(&scene, Tokens::default());
    let failed = APICALLS.run(scene.root(), &["--url", &url]).ends_with(1);
    for part in ["GET /summarystats answered 404", "GET /diagnostics answered 404", "diagnostics`"]
    {
        assert!(failed.stderr.contains(part), "{part} in {failed:#?}");
    }
    assert_eq!(kept(&scene)["predictions"]["rows"], 40);
}

#[test]
fn a_small_body_limit_is_met() {
    let scene = Scene::diagnosed();
    let config = scene.read("config.json");
    let small = config.trim_end().trim_end_matches('}').to_owned();
    scene.file("config.json", small + r#", "service": {"max_body_bytes": 1024}}"#);
    scene.file("big.csv", mlops_testkit::binary::scene::rows(0..2000));
    let url = serve(&scene, Tokens::default());
    let arguments = ["--url", &url, "--data", "big.csv"];
    APICALLS.run(scene.root(), &arguments).ends_with(0);
    assert_eq!(kept(&scene)["predictions"]["rows"], 2000);
}

#[test]
fn each_scope_asks_for_its_token() {
    let scene = Scene::diagnosed();
    let mut tokens = Tokens::default();
    tokens.add("read", READ, "test").unwrap();
    tokens.add("predict", PREDICT, "test").unwrap();
    let url = serve(&scene, tokens);
    let none = APICALLS.run(scene.root(), &["--url", &url]).ends_with(1);
    for name in ["MLOPS_READ_TOKEN", "MLOPS_PREDICT_TOKEN"] {
        assert!(none.stderr.contains(name), "{none:#?}");
    }
    let mut command = APICALLS.command(scene.root(), &["--url", &url]);
    command.env("MLOPS_READ_TOKEN", READ).env("MLOPS_PREDICT_TOKEN", PREDICT);
    ended(&mut command).ends_with(0);
}

#[test]
fn the_service_follows_a_promotion_and_fullprocess_hears_of_it() {
    let scene = Scene::diagnosed();
    let row = |i: u32| [i % 90, i * 7 % 400, i % 13 + 1, u32::from(i % 90 >= 40)];
    let line = |i| {
        let [a, b, c, exited] = row(i);
        format!("s{i},{a},{b},{c},{exited}")
    };
    let rows: Vec<String> = (0..200).map(line).collect();
    scene.file("source/c.csv", HEADER.to_owned() + &rows.join("\n"));
    let url = serve(&scene, Tokens::default());
    let config = scene.read("config.json");
    let more = format!(
        r#", "source_folder_path": "source", "ingestion": {{"settle_seconds": 0}},
            "apicalls": {{"url": "{url}"}}}}"#
    );
    scene.file("config.json", config.trim_end().trim_end_matches('}').to_owned() + &more);
    let context = context(&scene);
    let report = {
        let _alone = alone();
        let mut workspace = context.open("test").unwrap();
        let options = decide::Options { force: true, ..Default::default() };
        fullprocess::run(&context, &mut workspace, options).unwrap()
    };
    let promoted = report.decision.release.as_ref().unwrap().to_string();
    let calls = report.apicalls.as_ref().unwrap();
    assert_eq!(calls.outcome, Outcome::Answered, "{calls:#?}");
    assert_eq!(calls.release.as_deref(), Some(promoted.as_str()));
    let kept = kept(&scene);
    for call in kept["calls"].as_array().unwrap() {
        assert_eq!((&call["release"], &call["status"]), (&promoted.as_str().into(), &200.into()));
    }
}
