//! `on_change: latest`: of rows with the same key the newest stays, however they are cut into files and runs.

use std::collections::HashMap;

use mlops_core::config::Config;
use mlops_core::ids::Step;
use mlops_core::platform::disk::Disk;
use mlops_core::stage::forget::{self, Request};
use mlops_core::stage::holdout;
use mlops_core::stage::ingest::Options;
use mlops_testkit::{Dead, Random, Scene, repetitions};
use serde_json::{Value, json};

const HEADER: &str = "client,when,x,y\n";

fn config(more: &Value) -> Value {
    let mut ingestion = json!({"on_change": "latest", "key": "client", "max_rejected_share": 0.9});
    for (key, value) in more.as_object().unwrap() {
        ingestion[key] = value.clone();
    }
    json!({
        "schema": {"id": ["client", "when"], "numeric": ["x"], "target": "y"},
        "holdout": {"group": "client"},
        "ingestion": ingestion
    })
}

fn scene(more: &Value) -> Scene {
    Scene::with(&config(more))
}

fn rows(scene: &Scene) -> Vec<String> {
    let Some(last) = scene.ledger().latest_dataset().unwrap() else { return Vec::new() };
    let text = std::fs::read_to_string(last.location).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// Each row that was read has one fate.
fn adds_up(scene: &Scene) {
    let ledger = scene.ledger();
    let last = ledger.latest_dataset().unwrap().unwrap();
    let mut kept = 0;
    for segment in ledger.segments(last.version).unwrap() {
        let c = ledger.taken(segment.sha256).unwrap().unwrap().counts;
        let fates =
            c.rows_kept + c.duplicates() + c.quarantined + c.superseded + c.discarded + c.forgotten;
        assert_eq!(c.rows_read, fates, "{}: {c:?}", segment.location);
        assert_eq!(c.rows_kept, segment.rows, "{}", segment.location);
        kept += c.rows_kept;
    }
    assert_eq!(kept, last.rows);
}

/// What stays of `files`, by the rule in other words.
fn expected(files: &[Vec<String>], by_time: bool) -> Vec<String> {
    let mut all: Vec<Option<String>> = Vec::new();
    let mut newest: HashMap<String, (usize, Option<u64>)> = HashMap::new();
    for row in files.iter().flatten() {
        let cells: Vec<&str> = row.split(',').collect();
        let time = if by_time { cells[1].parse().ok() } else { None };
        let client = cells[0].to_owned();
        let mut stays = true;
        if let Some((at, known)) = newest.get(&client) {
            stays = all[*at].as_ref() != Some(row) && time >= *known;
            if stays {
                all[*at] = None;
            }
        }
        if stays {
            newest.insert(client, (all.len(), time));
        }
        all.push(stays.then(|| row.clone()));
    }
    all.into_iter().flatten().collect()
}

/// A few files of rows of few clients, some of them equal, some without a time.
fn random_files(random: &mut Random) -> Vec<Vec<String>> {
    let files = 1 + random.below(4);
    let one = |random: &mut Random| {
        let when = random.below(5);
        let when = if when == 0 { String::new() } else { when.to_string() };
        format!("c{},{when},{},{}", random.below(6), random.below(3), random.below(2))
    };
    (0..files).map(|_| (0..=random.below(12)).map(|_| one(random)).collect()).collect()
}

fn put(scene: &Scene, at: usize, rows: &[String]) {
    // Contents must differ, or they are the same file again.
    let text = HEADER.to_owned() + &rows.join("\n") + "\nbad row\n" + &"\n".repeat(at);
    scene.file(&format!("in/f{at}.csv"), text);
}

#[test]
fn files_runs_kills_and_rebuilds_change_nothing() {
    let mut random = Random(7);
    for round in 0..repetitions(400, 25) {
        let by_time = round % 2 == 0;
        let more = if by_time { json!({"order_by": "when"}) } else { json!({}) };
        let files = random_files(&mut random);
        let expected = expected(&files, by_time);

        let at_once = scene(&more);
        files.iter().enumerate().for_each(|(at, rows)| put(&at_once, at, rows));
        at_once.ingest().unwrap();
        assert_eq!(rows(&at_once), expected, "{files:#?}");
        adds_up(&at_once);

        let mut one_by_one = scene(&more);
        for (at, file) in files.iter().enumerate() {
            put(&one_by_one, at, file);
            if random.below(3) == 0 {
                one_by_one.disk = Dead::from(random.below(40));
                drop(one_by_one.ingest());
                one_by_one.disk = Disk::default();
            }
            one_by_one.ingest().unwrap();
            adds_up(&one_by_one);
        }
        assert_eq!(rows(&one_by_one), expected, "{files:#?}");
        let digest = |scene: &Scene| scene.ledger().latest_dataset().unwrap().unwrap().content;
        assert_eq!(digest(&one_by_one), digest(&at_once));

        let last = one_by_one.ledger().latest_dataset().unwrap().unwrap().location;
        std::fs::remove_file(last).unwrap();
        let report = one_by_one.ingest().unwrap();
        let again = |w: &mlops_core::run::attention::Remark| w.contains("byte for byte");
        assert!(report.warnings.iter().any(again), "{:?}", report.warnings);
        one_by_one.ingest_with(Options { rebuild: true, ..Options::default() }).unwrap();
        assert_eq!(digest(&one_by_one), digest(&at_once));
        adds_up(&one_by_one);
    }
}

#[test]
fn counts_say_what_became_of_each_row() {
    let scene = scene(&json!({"order_by": "when"}));
    scene.file(
        "in/a.csv",
        format!("{HEADER}c1,2026-01-01,1,0\nc2,2026-01-01,1,1\nc1,2026-01-01,1,0\n"),
    );
    scene.ingest().unwrap();
    scene.file(
        "in/b.csv",
        format!("{HEADER}c1,2026-02-01,5,1\nc2,2026-01-01,1,1\nc2,2025-12-31,9,0\n"),
    );
    let report = scene.ingest().unwrap();
    assert_eq!((report.replaced, report.new_rows, report.rows), (2, 1, 2));
    assert!(report.to_string().contains("Replaced: 2 rows by newer ones"), "{report}");
    assert_eq!(rows(&scene), ["c2,2026-01-01,1,1", "c1,2026-02-01,5,1"]);
    let counts = |name: &str| {
        let files = scene.ledger().files().unwrap();
        let c = files.into_iter().find(|f| f.name == name).unwrap().counts;
        (c.rows_read, c.rows_kept, c.duplicates_within, c.duplicates_across, c.superseded)
    };
    assert_eq!((counts("a.csv"), counts("b.csv")), ((3, 1, 1, 0, 1), (3, 1, 0, 1, 1)));
    // The whole state again makes nothing new.
    scene.file("in/c.csv", format!("{HEADER}c1,2026-02-01,5,1\nc2,2026-01-01,1,1\n"));
    let report = scene.ingest().unwrap();
    assert_eq!((report.new_rows, report.replaced), (0, 0));
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
}

#[test]
fn a_file_that_changed_in_place_counts_as_newer_and_a_rebuild_agrees() {
    let scene = scene(&json!({}));
    scene.file("in/a.csv", format!("{HEADER}c1,1,1,0\nc2,1,1,1\n"));
    scene.ingest().unwrap();
    scene.file("in/b.csv", format!("{HEADER}c1,2,2,0\n"));
    scene.ingest().unwrap();
    scene.file("in/a.csv", format!("{HEADER}c1,3,3,0\nc2,1,1,1\nc3,1,1,1\n"));
    scene.ingest().unwrap();
    let expected = ["c2,1,1,1", "c1,3,3,0", "c3,1,1,1"];
    assert_eq!(rows(&scene), expected);
    // The content that a.csv no longer has cannot be read again.
    let refused = scene.ingest_with(Options { rebuild: true, ..Options::default() });
    assert!(refused.unwrap_err().to_string().contains("would leave out 1 file"));
    let partial = Options { rebuild: true, partial: true, ..Options::default() };
    scene.ingest_with(partial).unwrap();
    let mut found = rows(&scene);
    found.sort();
    let mut expected = expected.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_test_stays_honest_when_its_clients_get_newer_rows() {
    let scene = scene(&json!({}));
    let row = |i: u64, when: u64| format!("c{i},{when},{},{}\n", i * 37 % 101 + when, i % 2);
    let all = |when| HEADER.to_owned() + &(0..200).map(|i| row(i, when)).collect::<String>();
    scene.file("in/a.csv", all(1));
    scene.ingest().unwrap();
    let drawn = scene.step(Step::FirstRun, |context, workspace| {
        holdout::first(context, workspace)?;
        ingest_again(context, workspace)
    });
    drawn.unwrap();
    let holdout = scene.ledger().latest_holdout().unwrap().unwrap();
    let file = format!("test/{}", holdout.name);
    let before = scene.read(&file);
    let held = scene.train().unwrap().data.held_out;
    assert_eq!(held, holdout.rows);

    scene.file("in/b.csv", all(2));
    assert_eq!(scene.ingest().unwrap().replaced, 200);
    assert_eq!(scene.read(&file), before, "a hold-out stays as it was drawn");
    let trained = scene.train().unwrap();
    // The newer rows of its clients are no more trained on than the older ones.
    assert_eq!((trained.data.held_out, trained.data.rows), (held, 200 - held));
    let score = scene.score().unwrap();
    assert_eq!(score.evaluation.n, holdout.rows);
}

fn ingest_again(
    context: &mlops_core::run::context::Context,
    workspace: &mut mlops_core::run::context::Workspace,
) -> mlops_core::Result<mlops_core::stage::ingest::report::Ingested> {
    let options = Options::default();
    mlops_core::stage::ingest::run(context, workspace, context.config.input(), options)
}

#[test]
fn a_replay_keeps_the_newest_rows() {
    let contract = |max: u64| {
        let mut all = config(&json!({"order_by": "when"}));
        all["contract"] = json!({"columns": {"x": {"max": max}}});
        all
    };
    let scene = Scene::with(&contract(10));
    scene.file("in/a.csv", format!("{HEADER}c1,1,1,0\nc2,1,1,1\nc3,4,30,1\nc2,9,30,1\n"));
    scene.file("in/b.csv", format!("{HEADER}c1,2,2,0\nc3,3,3,0\nc2,3,5,0\n"));
    scene.ingest().unwrap();
    assert_eq!(rows(&scene), ["c1,2,2,0", "c3,3,3,0", "c2,3,5,0"]);
    scene.configure(&contract(100));
    scene
        .step(Step::Replay, |context, workspace| {
            let filter = mlops_core::stage::quarantine::Filter::default();
            mlops_core::stage::ingest::replay::replay(context, workspace, &filter)
        })
        .unwrap();
    // Rows that are good now are newer than those that came after them.
    assert_eq!(rows(&scene), ["c3,4,30,1", "c2,9,30,1", "c1,2,2,0"]);
    adds_up(&scene);
}

#[test]
fn an_erased_person_leaves_and_older_rows_do_not_return() {
    let scene = scene(&json!({"order_by": "when"}));
    scene.file("in/a.csv", format!("{HEADER}c1,1,1,0\nc2,1,1,1\n"));
    scene.ingest().unwrap();
    scene.file("in/b.csv", format!("{HEADER}c1,2,2,0\n"));
    scene.ingest().unwrap();
    let request = Request {
        people: vec!["c1".to_owned()],
        by: vec!["client".to_owned()],
        who: "ada".to_owned(),
        why: "asked".to_owned(),
        ..Request::default()
    };
    let erased = scene
        .step(Step::Forget, |context, workspace| forget::run(context, workspace, &request))
        .unwrap();
    assert_eq!((erased.counts.rows, rows(&scene)), (1, vec!["c2,1,1,1".to_owned()]));
    adds_up(&scene);
    scene.ingest_with(Options { rebuild: true, ..Options::default() }).unwrap();
    assert_eq!(rows(&scene), ["c2,1,1,1"]);
    adds_up(&scene);
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let said = |more: &Value| {
        let mut all = json!({
            "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
            "output_model_path": "model", "prod_deployment_path": "live"
        });
        for (key, value) in more.as_object().unwrap() {
            all[key] = value.clone();
        }
        let parsed = Config::parse(&all.to_string(), std::path::Path::new("/w/config.json"));
        parsed.map_or_else(|e| e.to_string(), |_| String::new())
    };
    let ids = json!({"id": ["client", "day"], "numeric": ["x"], "target": "y"});
    assert_eq!(said(&json!({"ingestion": {"on_change": "latest"}})), "");
    assert_eq!(said(&config(&json!({"order_by": "when"}))), "");
    assert!(said(&json!({"ingestion": {"key": "corporation"}})).contains("\"latest\""));
    let unknown = json!({"ingestion": {"on_change": "latest", "order_by": "nothing"}});
    assert!(said(&unknown).contains("\"nothing\""));
    let without = json!({"id": [], "numeric": ["x"], "target": "y"});
    let empty = json!({"schema": without, "ingestion": {"on_change": "latest"}});
    assert!(said(&empty).contains("whose rows replace each other"), "{}", said(&empty));
    // What follows from a wrong key is not told of too.
    let wrong = json!({"ingestion": {"on_change": "latest", "key": "nothing"}});
    for said in [said(&empty), said(&wrong)] {
        assert!(!said.contains("holdout.group"), "{said}");
    }
    let apart = json!({"schema": ids, "ingestion": {"on_change": "latest", "key": "client"}});
    let says = said(&apart);
    assert!(
        says.contains("\"ingestion.key\"") && says.contains("Set it to [\"client\"]"),
        "{says}"
    );
    // Turning it on changes what a data set is.
    let scene = Scene::with(
        &json!({"schema": {"id": ["client", "when"], "numeric": ["x"], "target": "y"}}),
    );
    scene.file("in/a.csv", format!("{HEADER}c1,1,1,0\nc1,2,1,0\n"));
    scene.ingest().unwrap();
    scene.configure(&config(&json!({})));
    scene.file("in/b.csv", format!("{HEADER}c2,1,1,0\n"));
    let refused = scene.ingest().unwrap_err().to_string();
    assert!(refused.contains("on_change") && refused.contains("--rebuild"), "{refused}");
    scene.ingest_with(Options { rebuild: true, ..Options::default() }).unwrap();
    assert_eq!(rows(&scene), ["c1,2,1,0", "c2,1,1,0"]);
}
