//! Objects of places: fetched once, whole or not at all, and in the data set once.

use std::sync::Arc;

use mlops_core::config::Config;
use mlops_core::platform::disk::Disk;
use mlops_core::stage::ingest::Options;
use mlops_core::stage::ingest::report::Ingested;
use mlops_testkit::{Dead, Fault, HEADER, Memory, Scene, sample_rows};
use serde_json::{Value, json};

/// A workspace with one source, which is `place`.
fn scene(source: &Value) -> (Scene, Memory) {
    let mut entry = json!({"name": "far", "uri": "s3://bucket/"});
    for (key, value) in source.as_object().unwrap() {
        entry[key] = value.clone();
    }
    if source.get("command").is_some() {
        entry.as_object_mut().unwrap().remove("uri");
    }
    let mut scene = Scene::with(&json!({"sources": [entry]}));
    let place = Memory::default();
    scene.places = Arc::new(place.clone());
    (scene, place)
}

fn rows(rows: u64, seed: u64) -> String {
    HEADER.to_owned() + &sample_rows(rows, seed)
}

/// The rows of the newest data set, sorted.
fn data(scene: &Scene) -> Vec<String> {
    let ledger = scene.ledger();
    let Some(dataset) = ledger.latest_dataset().unwrap() else { return Vec::new() };
    let text = scene.read(&format!("out/{}", dataset.version.file_name()));
    let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    rows
}

fn expected(parts: &[(u64, u64)]) -> Vec<String> {
    let mut rows: Vec<String> = parts
        .iter()
        .flat_map(|(rows, seed)| {
            sample_rows(*rows, *seed).lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn an_object_is_fetched_once_and_again_when_it_changed() {
    let (scene, place) = scene(&json!({}));
    scene.rows("in/near.csv", &sample_rows(5, 1));
    place.put("2025/a.csv", rows(10, 2));
    place.put("2025/b.csv", rows(10, 3));
    place.put("2025/notes.docx", "no data");
    let first = scene.ingest().unwrap();
    assert!(first.failures.is_empty(), "{:?}", first.failures);
    assert_eq!(place.fetched(), ["2025/a.csv", "2025/b.csv"]);
    assert_eq!(data(&scene), expected(&[(5, 1), (10, 2), (10, 3)]));
    assert!(first.ignored.iter().any(|ignored| ignored.name == "far/2025/notes.docx"));

    // Nothing new: nothing is fetched, and nothing changes.
    let before = scene.snapshot();
    scene.ingest().unwrap();
    assert!(place.fetched().is_empty() && before == scene.snapshot());

    // Replaced: only its rows.
    place.put("2025/b.csv", rows(12, 4));
    scene.ingest().unwrap();
    assert_eq!(place.fetched(), ["2025/b.csv"]);
    assert_eq!(data(&scene), expected(&[(5, 1), (10, 2), (12, 4)]));

    // Removed at the place: its rows stay, as those of a file that is gone.
    place.remove("2025/a.csv");
    place.is_down(true);
    let told = |report: &Ingested| report.warnings.iter().any(|w| w.contains("not there any more"));
    assert!(!told(&scene.ingest().unwrap()), "nobody knows while the place is down");
    place.is_down(false);
    let report = scene.ingest().unwrap();
    let warning = "a file is not there any more: far/2025/a.csv. The 10 rows of the data set that \
                   came from there stay";
    assert!(report.warnings.iter().any(|w| *w == warning), "{:?}", report.warnings);
    place.is_down(true);
    scene.ingest().unwrap();
    place.is_down(false);
    assert!(!told(&scene.ingest().unwrap()), "it is said once");
    assert_eq!(data(&scene), expected(&[(5, 1), (10, 2), (12, 4)]));
}

/// Many more objects than one commit records, or than are fetched at the same time.
#[test]
fn of_ten_thousand_objects_each_is_fetched_once_and_then_only_what_is_new() {
    let (scene, place) = scene(&json!({}));
    let row = |i: usize| format!("c{i},{},{},{},{}\n", i % 101, i % 997, i % 40, i % 2);
    for i in 0..10_000 {
        place.put(&format!("{}/part-{i:05}.csv", i % 7), HEADER.to_owned() + &row(i));
    }
    let first = scene.ingest().unwrap();
    assert!(first.failures.is_empty(), "{:?}", first.failures);
    assert_eq!(place.fetched().len(), 10_000);
    assert_eq!(data(&scene).len(), 10_000);
    let before = scene.snapshot();
    scene.ingest().unwrap();
    assert!(place.fetched().is_empty() && before == scene.snapshot());
    place.put("3/part-late.csv", HEADER.to_owned() + &row(10_000));
    place.put("0/part-00000.csv", HEADER.to_owned() + &row(10_001));
    scene.ingest().unwrap();
    assert_eq!(place.fetched(), ["0/part-00000.csv", "3/part-late.csv"]);
    assert_eq!(data(&scene).len(), 10_001);
}

#[test]
fn a_lost_landing_folder_is_fetched_again() {
    let (scene, place) = scene(&json!({}));
    place.put("a.csv", rows(10, 2));
    scene.ingest().unwrap();
    std::fs::remove_dir_all(scene.path("out/landing")).unwrap();
    place.fetched();
    let again = scene.ingest().unwrap();
    assert!(again.failures.is_empty() && place.fetched() == ["a.csv"]);
    assert_eq!(data(&scene), expected(&[(10, 2)]));
}

#[test]
fn a_rebuild_reads_what_was_fetched_even_when_the_place_is_gone() {
    let (scene, place) = scene(&json!({}));
    place.put("a.csv", rows(10, 2));
    scene.ingest().unwrap();
    place.is_down(true);
    let rebuilt = scene.ingest_with(Options { rebuild: true, ..Options::default() }).unwrap();
    assert!(rebuilt.failures.iter().any(|f| f.contains("nobody answers")), "{rebuilt:?}");
    assert_eq!(data(&scene), expected(&[(10, 2)]));
}

#[test]
fn trouble_of_one_object_stops_no_other() {
    let (scene, place) = scene(&json!({}));
    place.put("a.csv", rows(10, 1));
    place.put("b.csv", rows(10, 2));
    place.put("c.csv", rows(10, 3));
    place.breaks("a.csv", true);
    place.changes("b.csv", true);
    let report = scene.ingest().unwrap();
    assert_eq!(report.failures, ["far/a.csv: the connection broke off"]);
    assert!(report.warnings.iter().any(|w| w.contains("far/b.csv changed")), "{report:?}");
    assert_eq!(data(&scene), expected(&[(10, 3)]));
    let landed: Vec<_> = std::fs::read_dir(scene.path("out/landing/far")).unwrap().collect();
    assert_eq!(landed.len(), 1, "{landed:?}");
    place.breaks("a.csv", false);
    place.changes("b.csv", false);
    let report = scene.ingest().unwrap();
    assert!(report.failures.is_empty());
    assert_eq!(data(&scene), expected(&[(10, 1), (10, 2), (10, 3)]));
}

#[test]
fn a_place_that_fails_again_and_again_is_left_to_the_next_run() {
    let (scene, place) = scene(&json!({}));
    for n in 0..100 {
        let name = format!("{n:03}.csv");
        place.put(&name, rows(1, n));
        place.breaks(&name, true);
    }
    let report = scene.ingest().unwrap();
    let tried = place.fetched().len();
    assert!((8..=16).contains(&tried), "{tried} objects were tried");
    let last = &report.failures[0];
    let more = 100 - tried;
    assert!(last.contains(&format!("after 8 failures in a row {more} more objects")), "{last}");
    for n in 0..100 {
        place.breaks(&format!("{n:03}.csv"), false);
    }
    scene.ingest().unwrap();
    assert_eq!(data(&scene).len(), 100);
}

#[test]
fn an_object_above_the_limit_is_refused_with_advice() {
    let (scene, place) = scene(&json!({"max_mib": 1}));
    place.put("big.csv", rows(100_000, 1));
    place.put("small.csv", rows(10, 2));
    let report = scene.ingest().unwrap();
    assert!(report.failures[0].starts_with("far/big.csv: larger than 1 MiB: raise \"max_mib\""));
    assert_eq!(data(&scene), expected(&[(10, 2)]));
}

#[test]
fn a_pattern_chooses_among_the_objects() {
    let (scene, place) = scene(&json!({"pattern": "2025/**/*.csv"}));
    place.put("2025/a.csv", rows(3, 1));
    place.put("2025/01/b.csv", rows(3, 2));
    place.put("2024/c.csv", rows(3, 3));
    place.put("2025/d.txt", "no");
    let report = scene.ingest().unwrap();
    assert!(report.failures.is_empty() && report.ignored.is_empty(), "{report:?}");
    assert_eq!(place.fetched(), ["2025/01/b.csv", "2025/a.csv"]);
    assert_eq!(data(&scene), expected(&[(3, 1), (3, 2)]));
}

#[test]
fn a_source_from_which_nothing_is_taken_says_what_to_look_at() {
    let (scene, place) = scene(&json!({"pattern": "clients/*.csv"}));
    scene.rows("in/near.csv", &sample_rows(5, 1));
    let listed = || mlops_core::stage::sources::list(&scene.context().unwrap()).unwrap();
    let empty = scene.ingest().unwrap();
    assert!(
        empty
            .warnings
            .iter()
            .any(|line| line.contains("source \"far\": there are no objects at s3://")),
        "{:?}",
        empty.warnings
    );
    place.put("client/a.csv", rows(10, 2));
    let found = |listed: &mlops_core::stage::sources::Sources| {
        let findings = mlops_core::run::context::Report::findings(listed);
        findings.into_iter().map(|finding| finding.text).collect::<Vec<_>>()
    };
    let missed = scene.ingest().unwrap();
    let why = "the pattern \"clients/*.csv\" takes none of the objects there (1)";
    assert!(missed.warnings.iter().any(|line| line.contains(why)), "{:?}", missed.warnings);
    let findings = found(&listed());
    assert!(
        findings.iter().any(|text| text.starts_with("source \"far\": the pattern")),
        "{findings:?}"
    );
    place.put("clients/a.csv", rows(10, 2));
    assert!(!scene.ingest().unwrap().warnings.iter().any(|line| line.contains("far")));
    assert_eq!(found(&listed()), [""; 0]);
    // Once something came, an empty place is told as objects that were removed.
    place.remove("clients/a.csv");
    let gone = scene.ingest().unwrap();
    assert!(!gone.warnings.iter().any(|line| line.contains("takes none")), "{:?}", gone.warnings);
}

#[test]
fn a_folder_in_which_there_are_only_other_files_says_so() {
    let source = json!({"name": "near", "uri": "exchange", "pattern": "2025*.csv"});
    let scene = Scene::with(&json!({"sources": [source]}));
    scene.rows("in/a.csv", &sample_rows(5, 1));
    std::fs::create_dir(scene.path("exchange")).unwrap();
    assert_eq!(scene.ingest().unwrap().warnings, [""; 0]);
    scene.rows("exchange/2024.csv", &sample_rows(5, 2));
    let why = "source \"near\": the pattern \"2025*.csv\" takes none of the objects there (1)";
    let report = scene.ingest().unwrap();
    assert!(report.warnings.iter().any(|line| line.contains(why)), "{:?}", report.warnings);
    let listed = mlops_core::stage::sources::list(&scene.context().unwrap()).unwrap();
    let findings = mlops_core::run::context::Report::findings(&listed);
    assert!(findings.iter().any(|finding| finding.text.contains(why)), "{findings:?}");
    scene.rows("exchange/2025.csv", &sample_rows(5, 3));
    assert_eq!(scene.ingest().unwrap().warnings, [""; 0]);
}

#[test]
fn objects_with_hostile_names_stay_in_the_landing_folder() {
    let (scene, place) = scene(&json!({}));
    let names =
        ["../../escape.csv", "/abs.csv", "a/b/c.csv", "x%2Fy.csv", "x/y.csv", "nul\u{1}.csv"];
    for (n, name) in names.iter().enumerate() {
        place.put(name, rows(3, n as u64));
    }
    let report = scene.ingest().unwrap();
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let all: Vec<(u64, u64)> = (0..names.len() as u64).map(|seed| (3, seed)).collect();
    assert_eq!(data(&scene), expected(&all));
    assert!(!scene.path("out/escape.csv").is_file() && !scene.path("escape.csv").is_file());
    let before = scene.snapshot();
    scene.ingest().unwrap();
    assert!(before == scene.snapshot());
}

#[test]
fn without_a_version_the_bytes_tell() {
    let (scene, place) = scene(&json!({}));
    place.without_versions();
    place.put("a.csv", rows(10, 1));
    scene.ingest().unwrap();
    let before = scene.snapshot();
    let same = scene.ingest().unwrap();
    assert_eq!(place.fetched(), ["a.csv", "a.csv"]);
    assert!(before == scene.snapshot() && same.warnings.is_empty(), "{same:?}");
    place.put("a.csv", rows(11, 2));
    scene.ingest().unwrap();
    assert_eq!(data(&scene), expected(&[(11, 2)]));
}

#[test]
fn the_cursor_moves_only_with_the_rows() {
    let (mut scene, place) =
        self::scene(&json!({"command": ["extract"], "mode": "cursor", "cursor": {"lag": "1h"}}));
    place.without_versions();
    place.put("000000", rows(10, 1));
    scene.ingest().unwrap();
    place.remove("000000");
    place.put("000001", rows(20, 2));
    // The run ends between fetching and ingesting, at any step.
    place.seen();
    let counter = Fault::never();
    scene.disk = counter.disk();
    let whole = copy(&scene, &place);
    whole.ingest().unwrap();
    let steps = counter.steps().len();
    for at in 0..steps {
        let mut trial = copy(&scene, &place);
        trial.disk = Dead::from(at);
        let _ = trial.ingest();
        trial.disk = Disk::default();
        place.seen();
        trial.ingest().unwrap();
        let seen = place.seen().pop().unwrap();
        let in_already = seen.extracts == 2;
        assert!(in_already || seen.cursor.is_some() && seen.extracts == 1, "{at}: {seen:?}");
        assert_eq!(data(&trial), expected(&[(10, 1), (20, 2)]), "step {at} of {steps}");
    }
}

/// The same workspace elsewhere.
fn copy(scene: &Scene, place: &Memory) -> Scene {
    let mut other = Scene::new();
    std::fs::remove_dir_all(other.path("in")).unwrap();
    mlops_testkit::folder::copy(scene.root(), other.root());
    other.places = Arc::new(place.clone());
    other.disk = scene.disk.clone();
    other
}

#[test]
fn extracts_need_a_way_to_drop_rows_read_twice() {
    let config = |more: &Value| {
        let mut config = json!({
            "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
            "output_model_path": "model", "prod_deployment_path": "production",
            "sources": [{"name": "crm", "command": ["x"], "mode": "cursor"}],
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        Config::parse(&config.to_string(), &std::path::Path::new("/w").join("config.json"))
    };
    config(&json!({})).unwrap();
    let no_id = json!({"schema": {"numeric": ["a"], "target": "y", "positive_label": "1"}});
    let error = config(&no_id).unwrap_err().to_string();
    assert!(error.contains("\"sources[0].mode\" must not be \"cursor\""), "{error}");
    let drop = json!({"schema": no_id["schema"], "ingestion": {"duplicates": "drop"}});
    config(&drop).unwrap();
}

#[test]
fn a_fault_of_the_disk_at_any_step_of_landing_loses_and_doubles_nothing() {
    let fresh = || {
        let (scene, place) = scene(&json!({}));
        place.put("a.csv", rows(10, 1));
        place.put("b.csv", rows(10, 2));
        scene.ingest().unwrap();
        place.put("b.csv", rows(12, 3));
        place.put("c.csv", rows(10, 4));
        scene
    };
    let counter = Fault::never();
    let mut scene = fresh();
    scene.disk = counter.disk();
    scene.ingest().unwrap();
    let steps = counter.steps();
    let landing = steps.iter().filter(|(_, path)| path.to_string_lossy().contains("landing"));
    assert!(landing.count() > 6, "{steps:?}");
    for (at, step) in steps.iter().enumerate() {
        for dead in [true, false] {
            let mut scene = fresh();
            scene.disk = if dead { Dead::from(at) } else { Fault::error(at, 5).disk() };
            let _ = scene.ingest();
            scene.disk = Disk::default();
            scene.ingest().unwrap();
            let what = format!("step {at}: {step:?}");
            assert_eq!(data(&scene), expected(&[(10, 1), (12, 3), (10, 4)]), "{what}");
            let files = std::fs::read_dir(scene.path("out/landing/far")).unwrap();
            let mut names: Vec<_> = files.map(|f| f.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["a.csv", "b.csv", "c.csv"], "{what}");
        }
    }
}
