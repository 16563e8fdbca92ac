//! The program `deployment` from outside: options, streams, exit codes, the pointer. Not for what makes a release sound.

use mlops_testkit::binary::Binary;
use mlops_testkit::binary::golden::Transcript;
use mlops_testkit::binary::scene::Scene;

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
fn it_prints_text_or_json_or_nothing() {
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
    let before = scene.files();
    let again = DEPLOYMENT.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(again.stdout.contains("Already live"), "{again:#?}");
    assert!(before == scene.files());
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
    assert!(scene.path("live").symlink_metadata().is_err());
    let release = |arguments: &[&str]| {
        let report = DEPLOYMENT.run(scene.root(), arguments).ends_with(0).json();
        report["release"].as_str().unwrap().to_owned()
    };
    let first = release(&["--json"]);
    scene.file("in/c.csv", mlops_testkit::binary::scene::rows(200..260));
    scene.again();
    let second = release(&["--json", "--reason", "more data"]);
    // It names the release before too.
    let is_about = |release: &str| {
        scene.read("model/report.html").contains(&format!("live release {release}</title>"))
    };
    assert!(is_about(&second));
    DEPLOYMENT.run(scene.root(), &["rollback", "--reason", "too many alarms"]).ends_with(0);
    assert!(is_about(&first));
    // A deployment that is refused leaves the report as it is.
    let before = scene.files();
    let refused = DEPLOYMENT.run(scene.root(), &["-q"]).ends_with(1);
    assert!(refused.stderr.contains("was rolled back"), "{refused:#?}");
    assert!(before == scene.files());
    assert_eq!(release(&["--json", "--again"]), second);
    assert!(is_about(&second));
}

#[test]
fn mistakes_and_commands_are_told_in_these_words() {
    let mut told = Transcript::default();
    told.run("There is no score", DEPLOYMENT, &Scene::trained(), &[]);
    let scene = Scene::scored();
    scene.file("live/trainedmodel.pkl", "old");
    told.run("A real folder is where the link goes", DEPLOYMENT, &scene, &[]);
    told.run("It is adopted", DEPLOYMENT, &scene, &["adopt"]);
    told.run("There is nothing more to adopt", DEPLOYMENT, &scene, &["adopt"]);
    let scene = Scene::deployed();
    told.run("It is live already", DEPLOYMENT, &scene, &[]);
    told.run("The history", DEPLOYMENT, &scene, &["history"]);
    told.run("A sound release", DEPLOYMENT, &scene, &["verify"]);
    let back = ["rollback", "--reason", "a test asks"];
    told.run("There is nothing to go back to", DEPLOYMENT, &scene, &back);
    told.run(
        "A release that does not exist",
        DEPLOYMENT,
        &scene,
        &[&back[..], &["--to", "r-7-0123456789ab"]].concat(),
    );
    scene.file("live/model.json", "{}");
    told.run("A damaged release", DEPLOYMENT, &scene, &["verify"]);
    for command in ["history", "rollback", "verify", "adopt"] {
        told.run("Help", DEPLOYMENT, &scene, &[command, "--help"]);
    }
    told.compare("deployment-commands");
}

#[test]
fn a_rollback_takes_the_reports_with_it_and_beginnings_of_names_are_names() {
    let scene = Scene::deployed_twice();
    let history = DEPLOYMENT.run(scene.root(), &["history"]).ends_with(0).stdout;
    assert!(history.lines().all(|line| line.chars().count() <= 100), "{history}");
    let ids: Vec<&str> = history.split_whitespace().filter(|w| w.starts_with("r-2-")).collect();
    let [second, first] = ids[..] else { panic!("{history}") };
    let several = DEPLOYMENT.run(scene.root(), &["verify", "r-2-"]).ends_with(1);
    assert!(several.stderr.contains(first) && several.stderr.contains(second), "{several:#?}");
    let sound = DEPLOYMENT.run(scene.root(), &["verify", &first[..9]]).ends_with(0);
    assert!(sound.stdout.contains(first), "{sound:#?}");

    let words = ["rollback", "--to", &first[..9], "--reason", "false alarms"];
    let back = DEPLOYMENT.run(scene.root(), &words).ends_with(0);
    assert!(back.stdout.contains(first), "{back:#?}");
    let page = scene.read("model/report.html");
    assert!(page.split("</title>").next().unwrap().contains(first), "the page is on another");
    assert!(scene.read("model/diagnostics.json").contains(first));
    let silent = DEPLOYMENT.run(scene.root(), &["rollback", "--reason", " "]).ends_with(2);
    assert!(silent.stderr.contains("say why"), "{silent:#?}");
}

#[test]
fn hostile_content_never_breaks_the_output() {
    DEPLOYMENT.survives_hostile_content(&Scene::hostile(), &["--accept"]);
}
