//! The program `deployment` from outside: options, streams, exit codes, the pointer. Not for what makes a release sound.

#[path = "../../../crates/mlops-runtime/tests/binary/mod.rs"]
mod binary;

use binary::Binary;
use binary::scene::Scene;

const DEPLOYMENT: Binary = Binary { name: "deployment", path: env!("CARGO_BIN_EXE_deployment") };

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    DEPLOYMENT.explains_itself();
    DEPLOYMENT.refuses_wrong_usage();
}

#[test]
fn it_gives_way_to_another_run() {
    DEPLOYMENT.gives_way(&Scene::scored());
}

#[test]
fn it_speaks_to_people_to_programs_or_not_at_all() {
    DEPLOYMENT.speaks(Scene::scored);
}

#[test]
fn it_finds_its_configuration_from_anywhere() {
    DEPLOYMENT.finds_its_configuration(Scene::scored);
}

#[test]
fn without_a_score_it_says_what_to_run_first() {
    DEPLOYMENT.fails(&Scene::trained(), "run `scoring` first");
}

#[test]
fn the_pointer_leads_to_the_release_and_a_second_run_leaves_it() {
    let scene = Scene::scored();
    let arguments = ["--json", "--reason", "new data of July"];
    let report = DEPLOYMENT.run(scene.root(), &arguments).ends_with(0).json();
    let target = std::fs::read_link(scene.path("live")).unwrap();
    assert_eq!(target.file_name().unwrap().to_string_lossy(), report["release"].as_str().unwrap());
    assert_eq!(scene.read("live/latestscore.txt"), scene.read("model/latestscore.txt"));
    // The report is on what is live now.
    assert!(scene.read("model/report.html").contains(report["release"].as_str().unwrap()));
    assert!(report["reporting"].is_object() && report["stale"].is_null(), "{report:#}");
    let before = scene.snapshot();
    let again = DEPLOYMENT.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(again.stdout.contains("Already live"), "{again:#?}");
    assert!(before == scene.snapshot());
}

#[test]
fn a_folder_of_earlier_scripts_is_refused_then_adopted_untouched() {
    let scene = Scene::scored();
    scene.file("live/trainedmodel.pkl", "old");
    DEPLOYMENT.fails(&scene, "deployment adopt");
    let adopted = DEPLOYMENT.run(scene.root(), &["adopt", "--json"]).ends_with(0).json();
    assert!(adopted["folder"].as_str().unwrap().ends_with("foreign-1"), "{adopted:#}");
    assert_eq!(scene.read("models/foreign-1/trainedmodel.pkl"), "old");
    let nothing = DEPLOYMENT.run(scene.root(), &["adopt"]).ends_with(1);
    assert!(nothing.stderr.contains("nothing to adopt"), "{nothing:#?}");
    DEPLOYMENT.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(scene.path("live/trainedmodel.bin").is_file());
}

#[test]
fn a_reason_is_words_and_a_rollback_renews_the_report() {
    let scene = Scene::scored();
    for arguments in [&["--reason", ""][..], &["--reason", " \t"], &["rollback", "--reason", ""]] {
        let refused = DEPLOYMENT.run(scene.root(), arguments).ends_with(2);
        assert!(refused.stderr.contains("say why in a few words"), "{refused:#?}");
    }
    assert!(!scene.path("live").exists());
    let release = |arguments: &[&str]| {
        let report = DEPLOYMENT.run(scene.root(), arguments).ends_with(0).json();
        report["release"].as_str().unwrap().to_owned()
    };
    let first = release(&["--json"]);
    scene.file("in/c.csv", binary::scene::rows(200..260));
    scene.again();
    let second = release(&["--json", "--reason", "more data"]);
    let page = || scene.read("model/report.html");
    assert!(page().contains(&second) && !page().contains(&first));
    DEPLOYMENT.run(scene.root(), &["rollback", "--reason", "too many alarms"]).ends_with(0);
    assert!(page().contains(&first) && !page().contains(&second));
    // A deployment that is refused leaves the report as it is.
    let before = scene.snapshot();
    let refused = DEPLOYMENT.run(scene.root(), &["-q"]).ends_with(1);
    assert!(refused.stderr.contains("was rolled back"), "{refused:#?}");
    assert!(before == scene.snapshot());
    assert_eq!(release(&["--json", "--again"]), second);
    assert!(page().contains(&second));
}
