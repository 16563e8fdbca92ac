//! The program `fullprocess` from outside: its outcomes, many at once, and killed at any moment. Not
//! for how it decides: see core's tests.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use mlops_testkit::binary::Binary;
use mlops_testkit::binary::golden::Transcript;
use mlops_testkit::binary::scene::{HEADER, Scene, alone};
use mlops_testkit::folder::files;

const FULLPROCESS: Binary = Binary { name: "fullprocess", path: env!("CARGO_BIN_EXE_fullprocess") };

const CONFIG: &str = r#"{
    "input_folder_path": "in", "source_folder_path": "source", "output_folder_path": "out",
    "test_data_path": "test", "output_model_path": "model", "prod_deployment_path": "live",
    "ingestion": {"settle_seconds": 0}, "apicalls": {"url": "http://127.0.0.1:9"}
}"#;

/// A live release, and rows in the source folder that contradict it.
fn drifted() -> Scene {
    let scene = Scene::deployed();
    scene.file("config.json", CONFIG);
    let row = |i: u32| [i % 90, i * 7 % 400, i % 13 + 1, u32::from(i % 90 >= 40)];
    let line = |i| {
        let [a, b, c, exited] = row(i);
        format!("s{i},{a},{b},{c},{exited}")
    };
    let rows: Vec<String> = (0..200).map(line).collect();
    scene.file("source/c.csv", HEADER.to_owned() + &rows.join("\n"));
    scene
}

/// Files that do not tell when or how often something ran.
fn state(scene: &Scene) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (inside, bytes) in scene.files() {
        let told = [
            "out/logs",
            "out/decisions",
            "model/diagnostics.json",
            "model/report.html",
            "model/report.pdf",
            // It has the times of decisions.
            "model/trend.png",
            "model/trend.svg",
        ];
        if !told.iter().any(|t| inside.starts_with(t)) {
            files.insert(inside, bytes);
        }
    }
    files
}

fn repetitions(quick: u32, full: u32) -> u32 {
    #[expect(clippy::disallowed_methods, reason = "a soak is asked for by the environment")]
    let soak = std::env::var("MLOPS_SOAK").is_ok_and(|v| v == "1");
    if soak { full } else { quick }
}

fn start(scene: &Scene) -> Child {
    let _alone = alone();
    FULLPROCESS.command(scene.root(), &["--quiet", "--accept"]).spawn().unwrap()
}

fn decisions(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("out/decisions")).map_or(0, Iterator::count)
}

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    FULLPROCESS.explains_itself();
    FULLPROCESS.refuses_wrong_usage();
}

#[test]
fn it_gives_way_to_another_run() {
    let scene = drifted();
    let lock = scene.path("out/run.lock");
    let disk = mlops_core::platform::disk::Disk::default();
    let _held =
        mlops_core::platform::lock::Lock::acquire(&disk, &lock, "training (pid 7)").unwrap();
    let locked = FULLPROCESS.run(scene.root(), &["--json"]).ends_with(75);
    assert_eq!(locked.json()["error"]["kind"], "locked");
}

#[test]
fn it_promotes_explains_and_then_has_nothing_to_do() {
    let scene = drifted();
    let none = FULLPROCESS.run(scene.root(), &["--explain"]).ends_with(1);
    assert!(none.stderr.contains("no decision was made yet"), "{none:#?}");
    let dry = FULLPROCESS.run(scene.root(), &["--dry-run"]).ends_with(0);
    assert!(dry.stdout.contains("a run would retrain now"), "{dry:#?}");
    let done = FULLPROCESS.run(scene.root(), &["--json", "--accept"]).ends_with(0).json();
    assert_eq!(done["decision"]["outcome"], "promoted", "{done:#}");
    assert!(done["reporting"]["files"].as_array().is_some_and(|f| !f.is_empty()), "{done:#}");
    let run = done["decision"]["run_id"].as_str().unwrap().to_owned();
    let log = scene.read(&format!("out/logs/{run}.log"));
    assert!(log.lines().all(|line| line.starts_with(&run)), "{log}");
    let explained = FULLPROCESS.run(scene.root(), &["--explain", &run]).ends_with(0);
    assert!(explained.stdout.contains("is live now"), "{explained:#?}");
    let before = state(&scene);
    let again = FULLPROCESS.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(again.stdout.contains("Nothing to do"), "{again:#?}");
    assert!(state(&scene) == before && decisions(scene.root()) == 1);
}

/// The facts in the log of the newest run.
fn facts(scene: &Scene) -> BTreeMap<String, String> {
    let logs = std::fs::read_dir(scene.path("out/logs")).unwrap();
    let newest = logs.map(|entry| entry.unwrap().path()).max().unwrap();
    let text = std::fs::read_to_string(newest).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let fact = |line: serde_json::Value| {
        let fields = &line["fields"];
        let text = |name: &str| fields[name].as_str().map(str::to_owned);
        Some((text("fact")?, text("value")?))
    };
    lines.filter_map(fact).collect()
}

#[test]
fn the_log_of_a_run_holds_its_facts() {
    let scene = drifted();
    scene.file("source/bad.csv", "no,columns\n1,2\n");
    let arguments = ["--json", "--accept", "--log-format", "json"];
    let done = FULLPROCESS.run(scene.root(), &arguments).ends_with(1).json();
    let decision = &done["decision"];
    let found = facts(&scene);
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        number => number.to_string(),
    };
    for (name, value) in [
        ("outcome", text(&decision["outcome"])),
        ("reason", text(&decision["reason"])),
        ("files", "c.csv".to_owned()),
        ("rows", text(&decision["data"]["rows"])),
        ("new_rows", "200".to_owned()),
        ("duplicates", "0".to_owned()),
        ("refused_files", "1".to_owned()),
        ("live", text(&decision["live"]["release"])),
        ("promoted", text(&decision["release"])),
        ("verdict", "drift".to_owned()),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name} in {found:#?}");
    }
    for name in ["new_f1", "deployed_f1", "retrained_f1", "champion_f1", "challenger_f1"] {
        let f1: f64 = found[name].parse().unwrap();
        assert!((0.0..=1.0).contains(&f1), "{name}: {f1}");
    }
    // What was refused is still there: a person is needed, and the next run says so.
    let later = FULLPROCESS.run(scene.root(), &["--quiet", "--log-format", "json"]).ends_with(3);
    assert!(later.stderr.contains("a person is needed: refused files are waiting"), "{later:#?}");
    assert_eq!(facts(&scene)["outcome"], "nothing_new");
    scene.file("source/bad.csv", HEADER);
    FULLPROCESS.run(scene.root(), &["--quiet"]).ends_with(0);
}

#[test]
fn labels_are_joined_before_it_decides_and_never_stop_it() {
    let scene = drifted();
    let keys = r#"{"service": {"prediction_log_path": "log"}, "labels": {"path": "labels"},"#;
    scene.file("config.json", scene.read("config.json").replacen('{', keys, 1));
    let name = "log/predictions-20260101T000000000000Z.jsonl";
    let line = |id: &str, label: u8| {
        format!(
            "{{\"recorded\":\"2026-01-01T00:00:00.000Z\",\"request_id\":\"{id}\",\"row\":0,\
             \"model_version\":\"r-1-0123456789ab\",\"prediction\":{label},\"probability\":0.{label}5,\
             \"corporation\":\"{id}\"}}\n"
        )
    };
    scene.file(name, line("a", 1) + &line("b", 0) + &line("c", 1));
    scene.file("labels/1.csv", "corporation,exited\na,1\nb,1\n");
    scene.file("labels/2.csv", "client,exited\na,1\n");
    let report = FULLPROCESS.run(scene.root(), &["--json"]).json();
    let total = &report["outcomes"]["releases"][0]["total"];
    assert_eq!((&total["predicted"], &total["labelled"]), (&3.into(), &2.into()), "{report:#}");
    let failures = report["outcomes"]["failures"].as_array().unwrap();
    assert!(
        failures.len() == 1 && failures[0].as_str().unwrap().starts_with("2.csv"),
        "{report:#}"
    );
    assert!(!report["decision"]["outcome"].is_null(), "{report:#}");
    // A store that is damaged is said, and the decision comes all the same.
    scene.file("out/outcomes.sqlite", "no database, but longer than the header of one".repeat(40));
    for end in ["-wal", "-shm"] {
        assert!(!files(scene.root()).contains_key(Path::new(&format!("out/outcomes.sqlite{end}"))));
    }
    let run = FULLPROCESS.run(scene.root(), &["--json"]);
    assert!(run.stderr.contains("outcomes.sqlite"), "{}", run.stderr);
    assert!(!run.json()["decision"]["outcome"].is_null());
}

#[test]
fn a_dry_run_writes_nothing() {
    let scene = drifted();
    scene.file("source/bad.csv", "no,columns\n1,2\n");
    // The ledger too, and what SQLite may put beside it.
    let before = files(scene.root());
    let dry = FULLPROCESS.run(scene.root(), &["--dry-run"]);
    assert!(dry.stdout.contains("a run would retrain now"), "{dry:#?}");
    let after = files(scene.root());
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
    assert!(before == after, "a file changed");
}

#[test]
fn a_test_file_of_the_user_s_is_never_overwritten_whatever_its_name() {
    let scene = drifted();
    let own = mlops_testkit::binary::scene::rows(400..440);
    for name in ["testdata_new.csv", "testdata_new3.csv"] {
        scene.file(&format!("test/{name}"), &own);
    }
    let done = FULLPROCESS.run(scene.root(), &["--accept", "--json"]);
    assert!(matches!(done.code, Some(0 | 1 | 3)), "{done:#?}");
    for name in ["testdata_new.csv", "testdata_new3.csv"] {
        assert_eq!(scene.read(&format!("test/{name}")), own, "{name}");
    }
}

#[test]
fn rows_whose_time_is_not_understood_are_not_left_out_of_a_hold_out_in_silence() {
    let scene = drifted();
    let timed = CONFIG.replacen('{', r#"{"holdout": {"time": "corporation"},"#, 1);
    scene.file("config.json", timed);
    let done = FULLPROCESS.run(scene.root(), &["--accept", "--quiet"]);
    for part in ["200 of 200 new rows have no time in the column", "\"corporation\"", "\"s0\""] {
        assert!(done.stderr.contains(part), "{part} in {done:#?}");
    }
}

#[test]
fn when_many_start_at_once_one_works_and_the_others_give_way() {
    let scene = drifted();
    let children: Vec<Child> = (0..20).map(|_| start(&scene)).collect();
    let codes: Vec<_> = children.into_iter().map(|mut c| c.wait().unwrap().code()).collect();
    // One that starts after the work is done finds nothing to do.
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 75))), "{codes:?}");
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert_eq!(decisions(scene.root()), 1);
    assert!(scene.path("out/finaldata3.csv").is_file());
    assert!(!scene.path("out/finaldata4.csv").is_file());
}

#[test]
fn killed_at_any_moment_it_ends_where_an_undisturbed_run_does() {
    let undisturbed = drifted();
    FULLPROCESS.run(undisturbed.root(), &["--quiet", "--accept"]).ends_with(0);
    let expected = state(&undisturbed);
    let mut random = 0x9E37_79B9_u64;
    for round in 0..repetitions(3, 30) {
        let scene = drifted();
        for _ in 0..10 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut child = start(&scene);
            std::thread::sleep(Duration::from_micros((random >> 33) % 60_000));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        FULLPROCESS.run(scene.root(), &["--quiet", "--accept"]).ends_with(0);
        let found = state(&scene);
        for (path, bytes) in &expected {
            assert!(found.get(path) == Some(bytes), "round {round}: {} differs", path.display());
        }
        assert_eq!(found.len(), expected.len(), "round {round}: litter");
        assert_eq!(decisions(scene.root()), 1, "round {round}");
    }
}

#[test]
fn a_decision_and_mistakes_are_told_in_these_words() {
    let mut told = Transcript::default();
    let none = Scene::new();
    none.file("config.json", CONFIG);
    std::fs::create_dir_all(none.path("source")).unwrap();
    told.run("There is no new data and nothing is live", FULLPROCESS, &none, &[]);
    let scene = drifted();
    told.run("No decision was made yet", FULLPROCESS, &scene, &["--explain"]);
    told.run("What it would decide", FULLPROCESS, &scene, &["--dry-run"]);
    told.run("A promotion", FULLPROCESS, &scene, &["--accept"]);
    told.run("Why", FULLPROCESS, &scene, &["--explain"]);
    told.run("Nothing is new", FULLPROCESS, &scene, &[]);
    told.run(
        "A run that does not exist",
        FULLPROCESS,
        &scene,
        &["--explain", "20200101T000000000Z-0000"],
    );
    let scene = drifted();
    scene.file("source/d.csv", "corporation;exited\nx;1\n");
    told.run("A refused file, and a model below the constant answer", FULLPROCESS, &scene, &[]);
    told.compare("fullprocess-commands");
}

#[test]
fn hostile_content_never_breaks_the_output() {
    FULLPROCESS.survives_hostile_content(&Scene::hostile(), &["--accept", "--force"]);
}
