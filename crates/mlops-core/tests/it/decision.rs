//! `fullprocess` decides: every way a run can end, why it says so, and what it leaves alone.

use std::collections::BTreeSet;

use mlops_core::Result;
use mlops_core::config::choices::Rule;
use mlops_core::ids::{DecisionOutcome, Step};
use mlops_core::run::attention::Attention;
use mlops_core::run::context::Report;
use mlops_core::run::decision::Decision;
use mlops_core::stage::decide;
use mlops_core::stage::ingest;
use mlops_core::stage::rollback;
use mlops_testkit::{Fault, HEADER, Random, Scene, repetitions, sample_rows};
use serde_json::{Value, json};

/// A workspace with a live release, whose source folder is apart.
pub(crate) fn live(more: &Value) -> Scene {
    let mut config = json!({"source_folder_path": "source", "holdout": {"share": 0.25}});
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let scene = Scene::with(&config);
    scene.rows("in/a.csv", &sample_rows(300, 1));
    scene.rows("test/testdata.csv", &sample_rows(120, 2));
    scene.everything().unwrap();
    std::fs::create_dir(scene.path("source")).unwrap();
    scene
}

/// Rows whose labels say the opposite.
pub(crate) fn turned(rows: u64, seed: u64) -> String {
    let turn = |line: &str| match line.strip_suffix(",1") {
        Some(rest) => format!("{rest},0\n"),
        None => format!("{},1\n", line.strip_suffix(",0").unwrap()),
    };
    sample_rows(rows, seed).lines().map(turn).collect()
}

pub(crate) fn decide_with(scene: &Scene, options: decide::Options) -> Result<Decision> {
    scene.step(Step::FullProcess, |context, workspace| decide::run(context, workspace, options))
}

pub(crate) fn decide(scene: &Scene) -> Decision {
    decide_with(scene, decide::Options::default()).unwrap()
}

#[test]
fn a_drifted_model_is_replaced_by_one_that_does_better_on_rows_neither_knows() {
    let scene = live(&json!({}));
    scene.rows("source/b.csv", &turned(1200, 3));
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
    let drift = decision.drift.as_ref().unwrap();
    assert_eq!((drift.drifted, drift.n), (Some(true), 1200));
    let data = decision.data_drift.as_ref().unwrap();
    assert_eq!((data.new_rows, data.reference_rows, data.columns.len()), (1200, 300, 3));
    assert!(!data.data_drift, "the labels changed, not the features: {decision}");
    let gate = decision.gate.as_ref().unwrap();
    assert!(gate.challenger_f1 > gate.champion_f1, "{gate:?}");
    let holdout = decision.holdout.as_ref().unwrap();
    assert_eq!((holdout.drawn_from, holdout.rows, gate.n), (1200, 300, 300));
    let retrained = decision.retrained.as_ref().unwrap();
    assert_eq!((retrained.rows, retrained.held_out), (1200, 300));
    let release = decision.release.as_ref().unwrap().to_string();
    assert_eq!(scene.json("production_deployment/manifest.json")["release"], json!(release));

    assert!(scene.read("production_deployment/BLESSED").starts_with("promoted: "));
    let sentences = decision.to_string();
    for part in
        ["Model drift (rule raw): F1 fell from", "Hold-out: 300 of 1,200", &release, "is live now"]
    {
        assert!(sentences.contains(part), "{part:?} is not in\n{sentences}");
    }
    let path = format!("out/decisions/{}.json", decision.run_id);
    let read = serde_json::from_value::<Decision>(scene.json(&path)).unwrap();
    let explained = decide::explain(&scene.ledger(), Some(&decision.run_id)).unwrap();
    assert_eq!(explained, read);
    // The reasons of the gate come back as their sentences.
    let json = |decision: &Decision| serde_json::to_value(decision).unwrap();
    assert_eq!(json(&read), json(&decision));
    assert_eq!(read.to_string(), decision.to_string());
}

#[test]
fn without_new_data_nothing_changes_but_the_record_of_the_run() {
    let scene = live(&json!({}));
    scene.rows("source/b.csv", &turned(400, 3));
    decide(&scene);
    let before = scene.snapshot();
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::NothingNew);
    assert!(scene.snapshot() == before);
    assert_eq!(scene.ledger().decisions().unwrap().len(), 1);
}

#[test]
fn a_model_that_still_does_as_well_stays() {
    let scene = live(&json!({"drift": {"rule": "significant"}}));
    scene.rows("source/b.csv", &sample_rows(500, 4));
    let before = scene.read("production_deployment/manifest.json");
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::NoDrift, "{decision}");
    assert!(decision.retrained.is_none() && decision.release.is_none());
    assert_eq!(scene.read("production_deployment/manifest.json"), before);
    assert_eq!(decision.drift.unwrap().decided_by, Rule::Significant);
}

#[test]
fn too_few_rows_decide_nothing_and_count_again() {
    let scene = live(&json!({"drift": {"min_rows": 50}}));
    scene.rows("source/b.csv", &turned(30, 5));
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Undecided, "{decision}");
    assert_eq!(decide(&scene).outcome, DecisionOutcome::NothingNew);
    scene.rows("source/c.csv", &turned(1200, 6));
    let decision = decide(&scene);
    assert_eq!(decision.drift.as_ref().unwrap().n, 1230, "the first 30 count again: {decision}");
    assert_eq!(decision.outcome, DecisionOutcome::Promoted);
    let holdouts = ["test/testdata_new2.csv", "test/testdata_new3.csv"];
    let rows = holdouts.map(|name| scene.read(name).lines().count() - 1);
    assert!((8..=9).contains(&rows[0]) && (300..=302).contains(&rows[1]), "{rows:?}");
}

#[test]
fn a_challenger_that_is_worse_is_refused_with_the_numbers() {
    let scene = live(&json!({"gate": {"min_improvement": 0.9}}));
    scene.rows("source/b.csv", &turned(400, 3));
    let before = scene.read("production_deployment/manifest.json");
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Refused, "{decision}");
    assert!(!decision.gate.as_ref().unwrap().blessed && decision.release.is_none());
    assert_eq!(scene.read("production_deployment/manifest.json"), before);
    assert!(decision.to_string().contains("is refused"), "{decision}");
    let sealed: Vec<_> = scene
        .snapshot()
        .into_keys()
        .filter(|path| path.ends_with("NOT_BLESSED"))
        .map(|path| scene.read(&path.to_string_lossy()))
        .collect();
    assert!(sealed.len() == 1 && sealed[0].starts_with("refused: the challenger"), "{sealed:?}");
    assert_eq!(decide(&scene).outcome, DecisionOutcome::NothingNew, "a refusal is a decision");
}

#[test]
fn force_retrains_and_a_dry_run_writes_nothing() {
    let scene = live(&json!({}));
    scene.rows("source/b.csv", &turned(1200, 3));
    let before = scene.snapshot();
    let dry = decide_with(&scene, decide::Options { dry_run: true, ..decide::Options::default() })
        .unwrap();
    assert_eq!((dry.outcome, dry.dry_run), (DecisionOutcome::DryRun, true), "{dry}");
    assert_eq!(dry.drift.as_ref().unwrap().drifted, Some(true));
    assert!(scene.snapshot() == before, "a dry run wrote something");
    assert!(scene.ledger().decisions().unwrap().is_empty());

    assert_eq!(decide(&scene).outcome, DecisionOutcome::Promoted);
    let forced =
        decide_with(&scene, decide::Options { force: true, ..decide::Options::default() }).unwrap();
    assert!(forced.retrained.is_some() && forced.forced, "{forced}");
}

#[test]
fn the_first_release_needs_no_gate() {
    let scene = Scene::with(&json!({"source_folder_path": "in"}));
    scene.rows("in/a.csv", &sample_rows(300, 1));
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
    assert!(decision.gate.is_none() && decision.drift.is_none() && decision.live.is_none());
    assert_eq!(decision.holdout.as_ref().unwrap().drawn_from, 300);
}

#[test]
fn data_ingested_by_hand_is_decided_on_as_well() {
    let scene = live(&json!({}));
    scene.rows("source/b.csv", &turned(1200, 3));
    scene.ingest_from("source", ingest::Options::default()).unwrap();
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
}

#[test]
fn a_file_that_changed_just_now_is_waited_for_or_left_to_the_next_run() {
    // A clock that stands where the files are.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let scene = Scene::at(
        i64::try_from(now.as_secs()).unwrap() - 100,
        &json!({"source_folder_path": "source", "ingestion": {"settle_seconds": 600}}),
    );
    scene.rows("source/a.csv", &sample_rows(300, 1));
    let settle = std::time::Duration::from_mins(10);
    let options = ingest::Options { settle, ..ingest::Options::default() };
    let left = scene.ingest_from("source", options).unwrap();
    assert!(left.version.is_none() && left.warnings[0].contains("changed less than"), "{left}");
    // The decision waits until the file has settled.
    assert_eq!(decide(&scene).outcome, DecisionOutcome::Promoted);
}

#[test]
fn no_row_of_any_hold_out_is_ever_trained_on() {
    for seed in 0..repetitions(4, 40) {
        let training = json!({"window": if seed % 2 == 0 { "all" } else { "auto" }});
        let scene = live(&json!({"gate": {"min_improvement": -1.0}, "training": training}));
        for batch in 0..3 {
            // Later batches repeat rows of earlier ones, in another spelling.
            let fresh = turned(80, 100 * seed + batch);
            let again = turned(80, 100 * seed).replace(',', " ,");
            scene.rows(&format!("source/b{batch}.csv"), &(fresh + &again));
            decide_with(&scene, decide::Options { force: true, ..decide::Options::default() })
                .unwrap();
        }
        let client = |row: &str| row.split(',').next().unwrap_or_default().to_owned();
        let mut held_out = BTreeSet::new();
        for file in std::fs::read_dir(scene.path("test")).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            held_out.extend(text.lines().skip(1).map(client));
        }
        let newest = scene.ledger().latest_dataset().unwrap().unwrap();
        let data = std::fs::read_to_string(newest.location).unwrap();
        assert!(data.starts_with(HEADER));
        // Also the other rows of whoever is in a test.
        let card = scene.json("model/model.json");
        let (window, trained) = (&card["window"], &card["training_data"]);
        let places: Vec<(u64, u64)> = match window.get("places") {
            Some(places) => serde_json::from_value(places.clone()).unwrap(),
            None => vec![(0, newest.rows)],
        };
        let taken = |at: u64| places.iter().any(|(first, end)| (*first..*end).contains(&at));
        let of_window = data.lines().skip(1).zip(0..).filter(|(_, at)| taken(*at));
        let of_window: Vec<bool> =
            of_window.map(|(row, _)| held_out.contains(&client(row))).collect();
        let in_data = of_window.iter().filter(|held| **held).count() as u64;
        assert_eq!(trained["held_out"], json!(in_data), "seed {seed}");
        assert_eq!(trained["rows"], json!(of_window.len() as u64 - in_data), "seed {seed}");
        let left_out = newest.rows - of_window.len() as u64;
        assert_eq!(window["left_out"].as_u64().unwrap_or_default(), left_out, "seed {seed}");
        let least = if left_out > 0 { 20 } else { 60 };
        assert!(in_data >= least, "seed {seed}: {in_data} rows are too few for a test");
    }
}

#[test]
fn a_fault_at_any_step_of_a_decision_is_put_in_order() {
    let make = || {
        let scene = live(&json!({}));
        scene.rows("source/b.csv", &turned(900, 3));
        scene
    };
    let mut scene = make();
    let counter = Fault::never();
    scene.disk = counter.disk();
    assert_eq!(decide(&scene).outcome, DecisionOutcome::Promoted);
    let files = |scene: &Scene| {
        let mut files = scene.snapshot();
        files.retain(|path, _| !path.starts_with("out/decisions/"));
        files
    };
    let (expected, steps) = (files(&scene), counter.steps().len());
    assert!(steps > 60, "{steps} steps are too few to be all");
    let every = if repetitions(0, 1) == 1 { 1 } else { 3 };
    for at in (0..steps).step_by(every) {
        let mut scene = make();
        scene.disk = Fault::error(at, 28).disk();
        let _ = decide_with(&scene, decide::Options::default());
        scene.disk = mlops_core::platform::disk::Disk::default();
        decide(&scene);
        let found = files(&scene);
        for (path, entry) in &expected {
            assert!(found.get(path) == Some(entry), "step {at}: {} differs", path.display());
        }
        assert_eq!(found.len(), expected.len(), "step {at}: litter");
        assert_eq!(scene.ledger().decisions().unwrap().len(), 1, "step {at}: one decision");
    }
}

#[test]
fn records_that_do_not_know_the_live_model_s_data_take_all_rows_for_new() {
    let scene = live(&json!({}));
    scene.rows("source/b.csv", &turned(600, 3));
    std::fs::rename(scene.path("out"), scene.path("lost")).unwrap();
    let decision = decide(&scene);
    let warning = crate::texts(&decision.data.warnings);
    assert!(warning.contains("is not in these records"), "{decision}");
    assert_eq!((decision.data.decided.0, decision.drift.as_ref().unwrap().n), (0, 600));
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
    assert!(!decide(&scene).to_string().contains("warning"), "once is enough");
}

#[test]
fn the_same_data_ingested_again_are_known_to_new_records() {
    let scene = live(&json!({}));
    std::fs::rename(scene.path("out"), scene.path("lost")).unwrap();
    scene.ingest().unwrap();
    assert_eq!(decide(&scene).outcome, DecisionOutcome::NothingNew);
    scene.rows("source/b.csv", &turned(600, 3));
    let decision = decide(&scene);
    assert_eq!(decision.drift.as_ref().unwrap().n, 600);
    assert!(decision.data.warnings.is_empty(), "{decision}");
}

#[test]
fn after_a_rebuild_rows_that_were_there_before_are_not_new() {
    let scene = live(&json!({}));
    scene.rows("in/0.csv", &turned(600, 3));
    let rebuild = ingest::Options { rebuild: true, ..ingest::Options::default() };
    scene.ingest_with(rebuild).unwrap();
    let decision = decide(&scene);
    assert_eq!(decision.drift.as_ref().unwrap().n, 600, "of 900: {decision}");
    assert!(decision.data.warnings.is_empty(), "{decision}");
    let holdout = decision.holdout.unwrap();
    assert_eq!(holdout.drawn_from, 600);
    // Nothing is new in it, and nothing is drawn a second time.
    scene.ingest_with(rebuild).unwrap();
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::NothingNew, "{decision}");
    assert_eq!(scene.ledger().latest_holdout().unwrap(), Some(holdout));
}

#[test]
fn a_decision_that_was_half_written_is_removed_by_the_next_run() {
    let scene = live(&json!({}));
    scene.file("out/decisions/.mlops-x.tmp", "half");
    decide(&scene);
    assert!(!scene.path("out/decisions/.mlops-x.tmp").is_file());
}

pub(crate) fn person_needed(decision: &Decision) -> bool {
    decision.attention() == Attention::Person
}

/// Rows of `clients`, each `times`, whose label follows from the first feature; `wrong` ones in a
/// hundred do not.
pub(crate) fn visits(clients: std::ops::Range<u64>, times: u64, wrong: u64, seed: u64) -> String {
    let mut random = Random(seed);
    let mut text = String::new();
    for client in clients {
        for _ in 0..times {
            let (a, b) = (random.below(100), random.below(1000));
            let label = (a >= 50) ^ ((random.below(100) as u64) < wrong);
            text += &format!("k{client},{a},{b},7,{}\n", u8::from(label));
        }
    }
    text
}

pub(crate) fn clients(text: &str) -> BTreeSet<String> {
    text.lines().skip(1).filter_map(|l| l.split(',').next()).map(str::to_owned).collect()
}

#[test]
fn one_bad_batch_after_many_good_ones_is_judged_by_itself() {
    let scene = live(&json!({"drift": {"rule": "significant"}}));
    for week in 0..6 {
        scene.rows(&format!("source/w{week}.csv"), &sample_rows(200, 10 + week));
        let decision = decide(&scene);
        assert_eq!(decision.drift.as_ref().unwrap().n, 200, "{decision}");
        assert_eq!(decision.data_drift.as_ref().unwrap().new_rows, 200, "{decision}");
    }
    scene.rows("source/x.csv", &turned(200, 99));
    let decision = decide(&scene);
    let drift = decision.drift.as_ref().unwrap();
    assert_eq!((drift.n, drift.drifted, drift.below_constant), (200, Some(true), true));
    assert!(decision.to_string().contains("Model drift (rule significant): F1 0."), "{decision}");
    // Most of the data still say the opposite: there is no better model, and a person must know.
    assert_eq!(decision.outcome, DecisionOutcome::Refused, "{decision}");
    let concern = decision.concerns[0].to_string();
    assert!(concern.starts_with("the live model does worse than a constant answer"), "{concern}");
    assert!(person_needed(&decision));
    // It stays so until something is done about it.
    let decision = decide(&scene);
    assert_eq!((decision.outcome, decision.concerns.len()), (DecisionOutcome::NothingNew, 1));
}

#[test]
fn rolling_back_to_a_failed_model_does_not_clear_it() {
    let scene = live(&json!({}));
    scene.rows("source/b.csv", &turned(1200, 3));
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
    assert!(decision.drift.as_ref().unwrap().below_constant && !person_needed(&decision));
    assert!(!person_needed(&decide(&scene)), "a better one is live");
    scene.step(Step::Deployment, |c, w| rollback::run(c, w, None, "who knows")).unwrap();
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::NothingNew);
    assert!(person_needed(&decision), "{decision}");
    let said = decision.concerns[0].to_string();
    assert!(said.starts_with("the live model does worse than a constant answer"), "{said}");
}

#[test]
fn every_sufficient_batch_trains_a_challenger_under_that_rule() {
    let scene = live(&json!({"drift": {"rule": "every"}}));
    scene.rows("source/b.csv", &sample_rows(15, 20));
    assert_eq!(decide(&scene).outcome, DecisionOutcome::Undecided);
    for week in 0..3 {
        scene.rows(&format!("source/w{week}.csv"), &sample_rows(200, 30 + week));
        let decision = decide(&scene);
        assert!(decision.retrained.is_some() && decision.gate.is_some(), "{decision}");
        assert!(decision.concerns.is_empty(), "a refusal is no news: {decision}");
    }
}

#[test]
fn rows_of_one_client_fall_on_one_side_in_every_batch() {
    let scene = live(&json!({"drift": {"rule": "every"}, "gate": {"min_improvement": -1.0}}));
    scene.rows("source/a.csv", &visits(0..100, 3, 5, 1));
    let first = decide(&scene).holdout.unwrap();
    assert_eq!(first.known_rows, 0, "the live model knows none of them");
    let held = clients(&scene.read("test/testdata_new2.csv"));
    assert!((25..=27).contains(&held.len()), "a quarter of 100 clients: {}", held.len());
    // The same clients again, and some new ones.
    scene.rows("source/b.csv", &visits(0..120, 2, 5, 2));
    decide(&scene);
    let again = clients(&scene.read("test/testdata_new3.csv"));
    assert!(held.is_subset(&again), "nobody leaves a hold-out");
    // Held clients whose class is another one now do not make room in it.
    assert!((30..=36).contains(&again.len()), "about a quarter of 120: {}", again.len());
    let data = scene.read("out/finaldata3.csv");
    let of_held = data.lines().filter(|l| again.contains(l.split(',').next().unwrap())).count();
    let trained = &scene.json("model/model.json")["training_data"];
    assert_eq!(
        trained["held_out"],
        json!(of_held),
        "all their rows, also those of the first batch"
    );
    let tested = ["test/testdata_new2.csv", "test/testdata_new3.csv"];
    let tested: usize = tested.iter().map(|name| scene.read(name).lines().count() - 1).sum();
    assert!(tested <= of_held);
}

#[test]
fn a_hold_out_stays_one_without_its_file_and_is_said_to_be_gone() {
    let scene = live(&json!({}));
    scene.rows("source/b.csv", &turned(1200, 3));
    let decision = decide(&scene);
    let held = decision.holdout.unwrap().rows;
    std::fs::rename(scene.path("test/testdata_new2.csv"), scene.path("elsewhere.csv")).unwrap();
    assert_eq!(scene.train().unwrap().data.held_out, held);
    let score = scene.score().unwrap();
    assert!(score.notes.iter().any(|n| n.contains("testdata_new2.csv is gone")), "{score}");
    assert_eq!(score.evaluation.n, 120, "what is there");
    // Under another name it is found by its content.
    std::fs::rename(scene.path("elsewhere.csv"), scene.path("test/renamed.csv")).unwrap();
    assert_eq!(scene.train().unwrap().data.held_out, held);
    let score = scene.score().unwrap();
    assert_eq!((score.evaluation.n, score.notes.len()), (held, 0), "{score}");
    // Edited, it is the user's; its rows of before are still not trained on.
    let edited = scene.read("test/renamed.csv") + "new,1,2,3,1\n";
    scene.file("test/renamed.csv", edited);
    assert_eq!(scene.train().unwrap().data.held_out, held);
    assert!(scene.score().unwrap().notes.iter().any(|n| n.contains("is gone since")));
}

#[test]
fn a_file_in_the_way_of_a_hold_out_and_lost_records_do_not_stop_cron() {
    let scene = live(&json!({}));
    scene.rows("source/b.csv", &turned(1200, 3));
    decide(&scene);
    let live = scene.json("production_deployment/manifest.json");
    // Everything of the output folder is lost; the old hold-out still lies in the test folder.
    std::fs::remove_dir_all(scene.path("out")).unwrap();
    std::fs::rename(scene.path("test/testdata_new2.csv"), scene.path("test/testdata_new1.csv"))
        .unwrap();
    std::fs::remove_file(scene.path("in/a.csv")).unwrap();
    let decision = decide(&scene);
    assert_eq!(decision.holdout.as_ref().unwrap().name, "testdata_new1-2.csv", "{decision}");
    // The old one counts towards the share: nobody in it is trained on.
    scene.train().unwrap();
    let data = scene.read("out/finaldata1.csv");
    let mut held = clients(&scene.read("test/testdata_new1.csv"));
    held.extend(clients(&scene.read("test/testdata_new1-2.csv")));
    let of_held = data.lines().filter(|l| held.contains(l.split(',').next().unwrap())).count();
    let trained = &scene.json("model/model.json")["training_data"];
    assert_eq!(trained["held_out"], json!(of_held));
    if decision.outcome != DecisionOutcome::Promoted {
        assert_eq!(scene.json("production_deployment/manifest.json"), live);
    }
}

#[test]
fn the_newest_rows_are_held_out_by_time_and_nothing_later_is_trained_on() {
    let scene = Scene::with(&json!({
        "source_folder_path": "source", "holdout": {"share": 0.25, "time": "day"},
        "schema": {"id": ["client", "day"], "numeric": ["x"], "target": "y"},
    }));
    let rows = |days: std::ops::Range<u32>| {
        let of_day = |day: u32| {
            let row = move |i: u32| {
                let x = (i * 37 + day * 11) % 100;
                format!("c{i},2024-03-{day:02},{x},{}\n", u8::from(x >= 50))
            };
            (0..30).map(row).collect::<String>()
        };
        // Not in their order.
        "client,day,x,y\n".to_owned() + &days.rev().map(of_day).collect::<String>()
    };
    scene.file("source/a.csv", rows(1..9));
    assert_eq!(decide(&scene).outcome, DecisionOutcome::Promoted);
    let held = scene.read("test/testdata_new1.csv");
    assert_eq!(held.lines().count() - 1, 60);
    assert!(held.lines().skip(1).all(|l| l.contains("-07,") || l.contains("-08,")), "{held}");
    assert_eq!(scene.json("model/model.json")["training_data"]["rows"], json!(180));
    // Later data: the days between the hold-outs are learned from, the old hold-out is not.
    scene.file("source/b.csv", rows(9..13));
    decide_with(&scene, decide::Options { force: true, ..decide::Options::default() }).unwrap();
    let held = scene.read("test/testdata_new2.csv");
    assert!(held.lines().skip(1).all(|l| l.contains("-12,")), "{held}");
    assert_eq!(scene.json("model/model.json")["training_data"]["rows"], json!(180 + 90));
    // A straggler: nothing of it is newer than the last hold-out, so it is learned from as it is.
    scene.file("source/c.csv", rows(2..3).replace('c', "s").replacen("slient", "client", 1));
    let decision =
        decide_with(&scene, decide::Options { force: true, ..decide::Options::default() }).unwrap();
    assert!(!scene.path("test/testdata_new3.csv").exists(), "{decision}");
    assert_eq!(scene.json("model/model.json")["training_data"]["rows"], json!(180 + 90 + 30));
}

#[test]
fn without_a_pointer_the_last_release_is_made_live_again() {
    let scene = live(&json!({}));
    let before = scene.json("production_deployment/manifest.json");
    std::fs::remove_file(scene.path("production_deployment")).unwrap();
    let decision = decide(&scene);
    assert_eq!(scene.json("production_deployment/manifest.json"), before);
    assert!(decision.changed() && decision.restored.is_some(), "{decision}");
    assert!(decision.data.warnings[0].contains("was made live again"), "{decision}");
    // Where none is sound, that is not "nothing to do": a new one is trained.
    std::fs::remove_file(scene.path("production_deployment")).unwrap();
    std::fs::remove_dir_all(scene.path("models")).unwrap();
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
}

#[test]
fn the_first_release_must_beat_a_constant_answer_unless_it_is_accepted() {
    let scene = Scene::with(&json!({"source_folder_path": "in"}));
    scene.rows("in/a.csv", &visits(0..400, 1, 50, 5));
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Refused, "{decision}");
    assert!(!scene.path("production_deployment").exists());
    assert!(decision.to_string().contains("does not beat a constant answer"), "{decision}");
    assert!(person_needed(&decide(&scene)), "nothing is live");
    let accept = decide::Options { force: true, accept: true, ..decide::Options::default() };
    let decision = decide_with(&scene, accept).unwrap();
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
    // It was refused under the same name before.
    assert!(scene.path("production_deployment/BLESSED").is_file());
    assert!(!scene.path("production_deployment/NOT_BLESSED").exists());
}

#[test]
fn a_data_set_that_is_gone_does_not_stop_cron() {
    let scene = live(&json!({}));
    scene.rows("source/b.csv", &sample_rows(300, 7));
    decide(&scene);
    // The live model's own data set; and test data that it did not know then.
    std::fs::remove_file(scene.path("out/finaldata1.csv")).unwrap();
    scene.rows("test/more.csv", &(sample_rows(50, 1) + &sample_rows(50, 8)));
    scene.rows("source/c.csv", &turned(1200, 3));
    let decision = decide(&scene);
    assert!(decision.gate.is_some(), "{decision}");
    scene.rows("source/d.csv", &sample_rows(300, 9));
    assert_ne!(decide(&scene).outcome, DecisionOutcome::NothingNew);
}

#[test]
fn changed_columns_are_a_reason_to_train_and_no_reason_to_stop() {
    let scene = live(&json!({}));
    let schema =
        json!({"id": ["corporation"], "numeric": ["lastmonth_activity"], "target": "exited"});
    scene.configure(&json!({"source_folder_path": "source", "schema": schema}));
    let rebuild = ingest::Options { rebuild: true, ..ingest::Options::default() };
    scene.ingest_with(rebuild).unwrap();
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
    assert!(decision.drift.is_none() && decision.reason.contains("the columns changed"));
}

#[test]
fn a_file_that_was_corrected_twice_brings_only_what_is_new_in_it() {
    for duplicates in ["drop", "keep"] {
        let scene = live(&json!({"ingestion": {"duplicates": duplicates, "settle_seconds": 0}}));
        let week = sample_rows(200, 4);
        scene.rows("source/b.csv", &week);
        decide(&scene);
        for seed in [5, 6] {
            scene.rows("source/b.csv", &(week.clone() + &visits(9000..9030, 1, 0, seed)));
            scene.ingest_from("source", ingest::Options::default()).unwrap();
        }
        let decision = decide(&scene);
        assert_eq!(decision.data.new_rows, 30, "{duplicates}: {decision}");
    }
}
