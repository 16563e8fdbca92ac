//! The program `diagnostics` from outside: options, streams, exit codes, files. Not for how a statistic is computed.

#[path = "../../../crates/mlops-runtime/tests/binary/mod.rs"]
mod binary;

use binary::Binary;
use binary::scene::Scene;

const DIAGNOSTICS: Binary = Binary { name: "diagnostics", path: env!("CARGO_BIN_EXE_diagnostics") };

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    DIAGNOSTICS.explains_itself();
    DIAGNOSTICS.refuses_wrong_usage();
}

#[test]
fn it_gives_way_to_another_run() {
    DIAGNOSTICS.gives_way(&Scene::deployed());
}

#[test]
fn it_speaks_to_people_to_programs_or_not_at_all() {
    DIAGNOSTICS.speaks(Scene::deployed);
}

#[test]
fn it_finds_its_configuration_from_anywhere() {
    DIAGNOSTICS.finds_its_configuration(Scene::deployed);
}

#[test]
fn without_a_release_it_says_what_to_run_first() {
    DIAGNOSTICS.fails(&Scene::scored(), "run `deployment` first");
}

#[test]
fn predictions_of_a_named_file_stand_in_a_named_file() {
    let scene = Scene::deployed();
    let unlabelled = "number_of_employees,corporation,lastmonth_activity,lastyear_activity\n\
                      5,x,3,100\n5,y,97,900\n5,z,,1\n";
    scene.file("below/clients.csv", unlabelled);
    let arguments =
        ["--config", "../config.json", "--data", "clients.csv", "--output", "risk.csv", "--json"];
    let below = scene.path("below");
    let report = DIAGNOSTICS.run(&below, &arguments).ends_with(0).json();
    assert_eq!(report["predictions"]["rows"], 3, "{report:#}");
    let risk = scene.read("below/risk.csv");
    assert!(risk.starts_with("corporation,prediction,probability\nx,1,0."), "{risk}");
    assert_eq!(risk.lines().count(), 4, "{risk}");
    let missing = DIAGNOSTICS.run(&below, &["--config", "../config.json", "--data", "no.csv"]);
    assert!(missing.ends_with(1).stderr.contains("no.csv"));
}

#[test]
fn measuring_leaves_no_trace_but_the_figures() {
    let scene = Scene::deployed();
    DIAGNOSTICS.run(scene.root(), &["--quiet"]).ends_with(0);
    let mut before = scene.snapshot();
    let report = DIAGNOSTICS.run(scene.root(), &["--measure", "1", "--json"]).ends_with(0).json();
    let steps: Vec<_> = report["measured"].as_array().into_iter().flatten().collect();
    assert_eq!(steps.len(), 2, "{report:#}");
    assert!(steps.iter().all(|s| s["seconds"][0].as_f64() > Some(0.0)), "{report:#}");
    let mut after = scene.snapshot();
    for snapshot in [&mut before, &mut after] {
        assert!(snapshot.remove(&scene.path("model/diagnostics.json")).is_some());
    }
    assert!(before == after);
}
