//! The program `apicalls` from outside: options, streams, exit codes, files, against an app that
//! answers as a test wants it. Not for a single call: see `mlops-client`'s tests.

use std::sync::OnceLock;

use mlops_testkit::app::{App, Reply, healthy, nobody, problem};
use mlops_testkit::binary::golden::Transcript;
use mlops_testkit::binary::scene::Scene;
use mlops_testkit::binary::{Binary, Output, ended};

const APICALLS: Binary = Binary { name: "apicalls", path: env!("CARGO_BIN_EXE_apicalls") };

/// A workspace with test rows that knows the app at `url`.
fn scene(url: &str) -> Scene {
    let scene = Scene::deployed();
    let config = format!(
        r#"{{"input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
            "output_model_path": "model", "prod_deployment_path": "live",
            "apicalls": {{"url": "{url}"}}}}"#
    );
    scene.file("config.json", config);
    scene
}

/// The same with an app that is well.
fn served() -> Scene {
    static APP: OnceLock<App> = OnceLock::new();
    let app = APP.get_or_init(|| App::start(|request, _| healthy(request, "r-1-a")));
    scene(&app.url)
}

fn call(scene: &Scene, arguments: &[&str]) -> Output {
    APICALLS.run(scene.root(), arguments)
}

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    APICALLS.explains_itself();
    APICALLS.refuses_wrong_usage();
}

#[test]
fn it_gives_way_to_another_run() {
    APICALLS.gives_way(&served());
}

#[test]
fn it_prints_text_or_json_or_nothing() {
    APICALLS.speaks(served);
}

#[test]
fn it_finds_its_configuration_from_anywhere() {
    APICALLS.finds_its_configuration(served);
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_standard_output_is_no_crash() {
    APICALLS.bears_a_broken_standard_output(served);
}

#[test]
fn all_answers_are_kept_and_compared() {
    let scene = served();
    let first = call(&scene, &[]).ends_with(0).stdout;
    for part in [
        "answers with r-1-a",
        "POST /prediction   200  40 rows of test.csv: 40 predicted 0",
        "GET /diagnostics   200",
        "These are the first answers",
        "apireturns.txt",
    ] {
        assert!(first.contains(part), "{part} in {first}");
    }
    assert!(scene.read("model/apireturns.txt").contains("Predictions, row by row\n"));
    let second = call(&scene, &[]).ends_with(0).stdout;
    assert!(second.contains("Nothing changed since the last call (20"), "{second}");
    scene.file(
        "few.csv",
        "corporation,lastmonth_activity,lastyear_activity,number_of_employees\nÖl,1,2,99\n",
    );
    let report = call(&scene, &["--data", "few.csv", "--json"]).ends_with(0).json();
    assert_eq!(report["outcome"], "answered", "{report:#}");
    assert_eq!(report["predictions"]["1"], 1, "{report:#}");
    let changes = report["changes"][0].as_str().unwrap_or_default();
    assert!(changes.contains("test.csv (40 rows) → few.csv (1 row)"), "{report:#}");
    let kept: serde_json::Value =
        serde_json::from_str(&scene.read("model/apireturns.json")).unwrap_or_default();
    assert_eq!(kept["predictions"]["kept"]["ids"][0], "Öl", "{kept:#}");
}

#[test]
fn an_app_that_is_down_is_a_failure_that_says_how_to_start_it_and_keeps_the_last_answers() {
    let url = nobody();
    let scene = scene(&url);
    scene.file("model/apireturns.txt", "the last answers");
    for part in [&format!("no answer from {url}"), "refused", "`make app`", "--url"] {
        APICALLS.fails(&scene, part);
    }
    let json = call(&scene, &["--json"]).ends_with(1).json();
    assert_eq!(json["error"]["kind"], "remote");
    assert_eq!(scene.read("model/apireturns.txt"), "the last answers");
    // Another address helps.
    let app = App::start(|request, _| healthy(request, "r-1-a"));
    call(&scene, &["--url", &app.url]).ends_with(0);
    assert!(scene.read("model/apireturns.txt").contains(&app.url));
}

#[test]
fn somebody_else_at_the_address_is_a_failure_and_keeps_the_last_answers() {
    let app = App::start(|_, _| Reply::Answer("200 OK", Vec::new(), b"<html>".to_vec()));
    let scene = scene(&app.url);
    scene.file("model/apireturns.txt", "the last answers");
    APICALLS.fails(&scene, "is not the app");
    assert_eq!(scene.read("model/apireturns.txt"), "the last answers");
}

#[test]
fn an_error_for_an_answer_is_a_failure_and_is_kept_with_the_others() {
    let app = App::start(|request, _| match request.path.as_str() {
        "/diagnostics" => problem("404 Not Found", "no diagnostics are recorded yet"),
        _ => healthy(request, "r-1-a"),
    });
    let scene = scene(&app.url);
    APICALLS.fails(&scene, "GET /diagnostics answered 404: no diagnostics are recorded yet");
    let text = scene.read("model/apireturns.txt");
    for part in ["GET /diagnostics 404\n  error: no diagnostics", "f1       0.8125"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn tokens_come_from_the_environment_and_go_to_the_app_only() {
    let app = App::start(|request, _| {
        let token = if request.method == "GET" { "hush-r" } else { "hush-p" };
        let known = request.headers.contains(&format!("authorization: bearer {token}"));
        if known { healthy(request, "r-1-a") } else { problem("401 Unauthorized", "who are you?") }
    });
    let scene = scene(&app.url);
    for name in ["MLOPS_READ_TOKEN", "MLOPS_PREDICT_TOKEN"] {
        APICALLS.fails(&scene, &format!("put the app's token for it into {name}"));
    }
    let mut command = APICALLS.command(scene.root(), &["-vv"]);
    command.env("MLOPS_READ_TOKEN", "hush-r\n").env("MLOPS_PREDICT_TOKEN", "hush-p");
    let output = ended(&mut command).ends_with(0);
    assert!(!format!("{output:?}").contains("hush"), "{output:#?}");
    let written = scene.files().into_values().map(|b| String::from_utf8_lossy(&b).into_owned());
    assert!(written.into_iter().all(|text| !text.contains("hush")));
    let ledger = std::fs::read(scene.path("out/ledger.sqlite")).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&ledger).contains("hush") && !ledger.is_empty());
}

#[test]
fn without_test_data_a_file_must_be_named_and_exist() {
    let app = App::start(|request, _| healthy(request, "r-1-a"));
    let scene = scene(&app.url);
    let none = call(&scene, &["--data", "none.csv"]).ends_with(1).stderr;
    assert!(none.contains("none.csv"), "{none}");
    let wrong = call(&scene, &["--url", "app.example"]).ends_with(2).stderr;
    assert!(wrong.contains("\"app.example\" is not an address"), "{wrong}");
    let config = scene.read("config.json").replace("\"test\"", "\"elsewhere\"");
    scene.file("config.json", config);
    APICALLS.fails(&scene, "name a file with --data");
    assert!(app.requests().is_empty());
}

#[test]
fn common_mistakes_are_reported_in_these_words() {
    let mut told = Transcript::default();
    told.run("Nobody answers", APICALLS, &scene(&nobody()), &[]);
    let other = App::start(|_, _| Reply::Answer("200 OK", Vec::new(), b"<html>".to_vec()));
    told.run("Somebody else answers", APICALLS, &scene(&other.url), &[]);
    let closed = App::start(|_, _| problem("401 Unauthorized", "who are you?"));
    told.run("No token", APICALLS, &scene(&closed.url), &[]);
    let variables = [("MLOPS_READ_TOKEN", "wrong-r"), ("MLOPS_PREDICT_TOKEN", "wrong-p")];
    told.run_with("Wrong tokens", APICALLS, &scene(&closed.url), (&[], &variables));
    let scene = scene(&nobody());
    told.run("An address that is none", APICALLS, &scene, &["--url", "app.example"]);
    told.run("A file that does not exist", APICALLS, &scene, &["--data", "none.csv"]);
    told.compare("apicalls-mistakes");
}

#[test]
fn hostile_content_never_breaks_the_output() {
    APICALLS.survives_hostile_content(&Scene::hostile(), &[]);
}
