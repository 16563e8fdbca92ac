//! The program `ingestion` from outside: options, streams, exit codes, files. Not for what happens inside a CSV file.

use mlops_core::platform::disk::Disk;
use mlops_core::platform::lock::Lock;
use mlops_testkit::binary::Binary;
use mlops_testkit::binary::golden::{Transcript, config_with};
use mlops_testkit::binary::scene::{Scene, alone};

const INGESTION: Binary = Binary { name: "ingestion", path: env!("CARGO_BIN_EXE_ingestion") };

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    INGESTION.explains_itself();
    INGESTION.refuses_wrong_usage();
}

#[test]
fn it_gives_way_to_another_run() {
    INGESTION.gives_way(&Scene::new());
}

#[test]
fn it_prints_text_or_json_or_nothing() {
    INGESTION.speaks(Scene::new);
}

#[test]
fn it_finds_its_configuration_from_anywhere() {
    INGESTION.finds_its_configuration(Scene::new);
}

#[test]
fn a_missing_folder_and_an_empty_one_are_not_the_same() {
    let scene = Scene::new();
    std::fs::remove_dir_all(scene.path("in")).unwrap();
    INGESTION.fails(&scene, "there is no folder");
    std::fs::create_dir(scene.path("in")).unwrap();
    let empty = INGESTION.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(empty.stdout.contains("No data file in"), "{empty:#?}");
}

#[test]
fn files_become_a_version_and_a_second_run_changes_nothing() {
    let scene = Scene::new();
    let first = INGESTION.run(scene.root(), &["--json"]).ends_with(0).json();
    assert_eq!((&first["rows"], &first["new_version"]), (&80.into(), &true.into()));
    assert_eq!(scene.read("out/finaldata2.csv").lines().count(), 81);
    assert!(scene.read("out/ingestedfiles.txt").contains("a.csv"));
    let before = scene.files();
    let second = INGESTION.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(second.stdout.contains("Nothing new"), "{second:#?}");
    assert!(before == scene.files());
}

#[test]
fn a_bad_file_ends_with_1_once_and_the_others_go_in() {
    let scene = Scene::new();
    scene.file("in/c.csv", "corporation;exited\nx;1\n");
    let first = INGESTION.run(scene.root(), &[] as &[&str]).ends_with(1);
    assert!(first.stdout.contains("FAILED") && first.stdout.contains("80 rows"), "{first:#?}");
    let again = INGESTION.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(again.stderr.contains("c.csv failed before"), "{again:#?}");
    let retried = INGESTION.run(scene.root(), &["--retry", "--json"]);
    assert_eq!(retried.json()["files"][0]["name"], "c.csv");
    let rebuilt = INGESTION.run(scene.root(), &["--rebuild", "--json"]).json();
    assert_eq!((&rebuilt["rows"], &rebuilt["version"]), (&80.into(), &4.into()), "{rebuilt:#}");
}

#[test]
fn common_mistakes_are_reported_in_these_words() {
    const GOOD: &str =
        "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n";
    let mut told = Transcript::default();
    let mut run = |what: &str, scene: &Scene| told.run(what, INGESTION, scene, &[]);
    run("There is no configuration", &Scene::empty());
    let configured = |text: &str| {
        let scene = Scene::new();
        scene.file("config.json", text);
        scene
    };
    run(
        "The configuration is not JSON",
        &configured("{\n    \"input_folder_path\": \"in\"\n    oh\n}"),
    );
    run(
        "An unknown key",
        &configured(&config_with(", \"trainin\": {}, \"schema\": {\"targt\": \"left\"}")),
    );
    run(
        "A required key is missing, and a value has the wrong type",
        &configured(r#"{"input_folder_path": "in", "training": {"C": "one"}}"#),
    );
    run(
        "Two keys name the same folder",
        &configured(&config_with("").replace("\"out\"", "\"in\"")),
    );
    let scene = Scene::new();
    std::fs::remove_dir_all(scene.path("in")).unwrap();
    run("There is no input folder", &scene);
    std::fs::create_dir(scene.path("in")).unwrap();
    run("The input folder has no CSV file", &scene);
    let with = |content: &[u8]| {
        let scene = Scene::new();
        scene.file("in/c.csv", content);
        scene
    };
    run(
        "The target column is missing",
        &with(b"corporation,lastmonth_activity,lastyear_activity,number_of_employees\nx,1,2,3\n"),
    );
    run("Another separator", &with(b"corporation;exited\nx;1\n"));
    run("A label that nobody expects", &with(format!("{GOOD}x,1,2,3,maybe\n").as_bytes()));
    run("All rows are bad", &with(format!("{GOOD}x,one,2,3,1\ny,two,2,3,0\n").as_bytes()));
    run("Numbers with a decimal comma", &with(format!("{GOOD}x,\"0,125\",2,3,1\n").as_bytes()));
    run("A file of another encoding", &with(&[0xFF, 0xFE, b'c', 0, b'o', 0, b'r', 0]));
    run("An empty file", &with(b""));
    let scene = Scene::ingested();
    scene.file("in/c.csv", "corporation,age,exited\nx,30,1\n");
    scene.file("config.json", config_with(", \"schema\": {\"id\": [\"corporation\"], \"numeric\": [\"age\"], \"target\": \"exited\"}"));
    run("The columns changed", &scene);
    let scene = Scene::new();
    scene.file("out/finaldata.csv", format!("{GOOD}x,1,2,3,1\n"));
    run("The folder of earlier scripts", &scene);
    let scene = Scene::new();
    let lock = scene.path("out/run.lock");
    let _held = {
        let _alone = alone();
        Lock::acquire(&Disk::default(), &lock, "training (pid 7)").unwrap()
    };
    run("Another run is at work", &scene);
    told.run("An option that does not exist", INGESTION, &scene, &["--rety"]);
    told.compare("ingestion-mistakes");
}

#[test]
fn a_person_is_erased_in_these_words() {
    let scene = Scene::deployed();
    let rows = scene.read("in/a.csv");
    let id = rows.lines().nth(1).unwrap().split(',').next().unwrap().to_owned();
    let mut told = Transcript::default();
    let mut run = |what: &str, arguments: &[&str]| told.run(what, INGESTION, &scene, arguments);
    run("What would be done", &["--forget", &id, "--everywhere", "--dry-run"]);
    run("Nobody says who asks for it", &["--forget", &id]);
    let by = ["--who", "ada", "--reason", "request 17"];
    run("Two values, and one column", &[&["--forget", "c1,c2"], &by[..]].concat());
    run("It is done", &[&["--forget", &id], &by[..]].concat());
    run("Everywhere", &[&["--forget", &id, "--everywhere"], &by[..]].concat());
    run("Somebody who occurs nowhere", &[&["--forget", "nobody"], &by[..]].concat());
    run("Nobody is named", &["--everywhere"]);
    told.compare("ingestion-forget");
}

#[test]
fn hostile_content_never_breaks_the_output() {
    INGESTION.survives_hostile_content(&Scene::hostile(), &["--retry"]);
}
