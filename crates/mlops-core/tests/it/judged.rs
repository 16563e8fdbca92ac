//! What a decision rests on: which rows are new, which rows are the test, what the score is held
//! against; and what must never be decided, or left undecided, in silence. Not for the ways a run can
//! end: see `decision`.

use std::fs;

use mlops_core::config::choices::Rule;
use mlops_core::ids::{DecisionOutcome, Step};
use mlops_core::run::attention::Attention;
use mlops_core::run::context::Report;
use mlops_core::run::decision::{Concern, Decision};
use mlops_core::stage::decide;
use mlops_core::stage::{deploy, ingest};
use mlops_testkit::{Scene, sample_rows};
use serde_json::json;

use crate::decision::{decide, decide_with, live, person_needed, turned, visits};

fn force(accept: bool) -> decide::Options {
    decide::Options { force: true, accept, ..decide::Options::default() }
}

/// Rows whose labels are all `label`.
fn of_class(rows: u64, seed: u64, label: &str) -> String {
    let relabel = |line: &str| format!("{}{label}\n", &line[..line.len() - 1]);
    sample_rows(rows, seed).lines().map(relabel).collect()
}

fn named(scene: &Scene, id: &str) -> String {
    scene.json("production_deployment/manifest.json")[id].to_string()
}

#[test]
fn rows_of_one_class_are_reported_and_count_again() {
    let scene = live(&json!({"drift": {"min_rows": 40}}));
    scene.rows("source/a.csv", &of_class(30, 3, "1"));
    let decision = decide(&scene);
    assert_eq!(
        (decision.outcome, decision.concerns.len()),
        (DecisionOutcome::Undecided, 0),
        "few rows"
    );
    scene.rows("source/b.csv", &of_class(30, 4, "1"));
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Undecided, "{decision}");
    let Concern::OneClass { rows: 60, positive: true, .. } = decision.concerns[0] else {
        panic!("{:?}", decision.concerns);
    };
    assert!(person_needed(&decision));
    let said = decision.concerns[0].to_string();
    assert!(said.starts_with("all 60 new rows are of the positive class, which was "), "{said}");
    // It stays so until other rows come; then all of them are judged together.
    let again = decide(&scene);
    assert_eq!((again.outcome, again.concerns.len()), (DecisionOutcome::NothingNew, 1));
    scene.rows("source/c.csv", &sample_rows(200, 5));
    let decision = decide(&scene);
    assert_eq!(decision.drift.as_ref().unwrap().n, 260, "{decision}");
    assert!(!decision.concerns.iter().any(|c| matches!(c, Concern::OneClass { .. })));
}

#[test]
fn rows_without_an_answer_are_said_and_the_rest_is_judged() {
    let scene = live(&json!({"training": {"missing": "drop"}}));
    let emptied = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        format!("{},,{},{},{}\n", cells[0], cells[2], cells[3], cells[4])
    };
    let empty: String = sample_rows(150, 3).lines().map(emptied).collect();
    scene.rows("source/a.csv", &(empty + &sample_rows(100, 4)));
    let decision = decide(&scene);
    assert_eq!(decision.drift.as_ref().unwrap().n, 100, "{decision}");
    let said = decision.concerns[0].to_string();
    assert!(said.contains("no prediction for 150 of 250 new rows"), "{said}");
    assert!(person_needed(&decision));
}

#[test]
fn files_without_a_row_are_nothing_new_and_two_batches_are_judged_together() {
    let scene = live(&json!({}));
    scene.rows("source/empty.csv", "");
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::NothingNew, "{decision}");
    assert!(scene.ledger().decisions().unwrap().is_empty());
    for (name, seed) in [("b", 4), ("c", 5)] {
        scene.rows(&format!("source/{name}.csv"), &sample_rows(70, seed));
        scene.ingest_from("source", ingest::Options::default()).unwrap();
    }
    let decision = decide(&scene);
    assert_eq!(decision.drift.as_ref().unwrap().n, 140, "{decision}");
    assert_eq!(decision.data_drift.as_ref().unwrap().new_rows, 140);
}

#[test]
fn raw_compares_with_the_last_score_whatever_the_history_and_the_gate_say() {
    let scene = live(&json!({"gate": {"min_improvement": -1.0}}));
    for week in 0..4 {
        // The score that stands beside the live model.
        let last: f64 = scene.read("production_deployment/latestscore.txt").trim().parse().unwrap();
        scene.rows(&format!("source/w{week}.csv"), &sample_rows(200, 40 + week));
        let decision = decide_with(&scene, force(true)).unwrap();
        let drift = decision.drift.as_ref().unwrap();
        assert!((drift.deployed_f1 - last).abs() < 1e-15, "{decision}");
        let raw = drift.verdict(Rule::Raw).unwrap();
        assert_eq!(raw.drifted, Some(drift.new_f1 < last), "{decision}");
        assert_eq!((drift.configured, drift.decided_by), (Rule::Raw, Rule::Raw));
        assert_eq!(drift.drifted, raw.drifted);
    }
}

#[test]
fn of_a_corrected_file_only_the_corrected_rows_are_new() {
    let scene = live(&json!({"drift": {"rule": "significant", "min_rows": 10}}));
    let text = sample_rows(300, 3);
    scene.rows("source/b.csv", &text);
    assert_eq!(decide(&scene).drift.unwrap().n, 300);
    let draws = scene.ledger().holdouts().unwrap();
    // Twelve labels are put right, five rows come, three go, and all stand in another order.
    let mut rows: Vec<String> = text.lines().skip(3).map(str::to_owned).collect();
    for row in rows.iter_mut().take(12) {
        let label = if row.ends_with('1') { '0' } else { '1' };
        row.pop();
        row.push(label);
    }
    rows.extend(sample_rows(5, 77).lines().map(str::to_owned));
    rows.reverse();
    scene.rows("source/b.csv", &(rows.join("\n") + "\n"));
    let decision = decide(&scene);
    assert_eq!((decision.data.rows, decision.data.new_rows), (602, 17), "{decision}");
    assert_eq!(decision.drift.as_ref().unwrap().n, 17, "{decision}");
    // The new rows of whoever is in a test go there; the draw was offered no more than those.
    let second = decision.holdout.unwrap();
    assert_eq!(
        (second.drawn_from, scene.ledger().holdouts().unwrap().len()),
        (17, draws.len() + 1)
    );
    // Corrected back: all these rows were decided on when they came first.
    scene.rows("source/b.csv", &text);
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::NothingNew, "{decision}");
    assert!(decision.reason.contains("no row of finaldata4.csv is new"), "{decision}");
}

#[test]
fn without_the_earlier_version_all_rows_of_a_corrected_file_count_and_that_is_said() {
    let scene = live(&json!({"drift": {"min_rows": 50}}));
    scene.rows("source/b.csv", &sample_rows(300, 3));
    decide(&scene);
    scene.rows("source/c.csv", &sample_rows(20, 4));
    assert_eq!(decide(&scene).outcome, DecisionOutcome::Undecided);
    fs::remove_file(scene.path("out/finaldata2.csv")).unwrap();
    scene.rows("source/b.csv", &(sample_rows(299, 3) + &sample_rows(1, 5)));
    let decision = decide(&scene);
    assert_eq!(decision.drift.as_ref().unwrap().n, 320, "{decision}");
    let said = crate::texts(&decision.data.warnings);
    assert!(said.contains("all of them count as new"), "{decision}");
}

#[test]
fn a_small_test_is_pooled_and_said_in_the_record_in_words_and_by_explain() {
    let wanted = "a test needs 100 rows and 10 of each class";
    let said = |scene: &Scene, decision: &Decision| {
        assert!(decision.reason.contains(wanted), "{decision}");
        let record = scene.json(&format!("out/decisions/{}.json", decision.run_id));
        assert!(record["reason"].as_str().unwrap().contains(wanted), "{record:#}");
        assert!(record["retrained"]["notes"][0].as_str().unwrap().contains(wanted), "{record:#}");
        let explained = decide::explain(&scene.ledger(), None).unwrap().to_string();
        assert!(explained.contains(wanted), "{explained}");
        let score = scene.json("production_deployment/score.json");
        assert!(score["notes"][0].as_str().unwrap().contains(wanted), "{score:#}");
    };
    // The first release: sixteen rows of its own draw.
    let scene = Scene::with(&json!({"source_folder_path": "in", "holdout": {"share": 0.25}}));
    scene.rows("in/a.csv", &sample_rows(64, 1));
    let decision = decide_with(&scene, force(true)).unwrap();
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
    said(&scene, &decision);
    // Against a champion: the newest and the first hold-out, and the user's own rows.
    scene.rows("test/mine.csv", &sample_rows(50, 2));
    scene.rows("in/b.csv", &sample_rows(64, 3));
    scene.configure(&json!({
        "source_folder_path": "in", "holdout": {"share": 0.25}, "gate": {"min_improvement": -1.0},
    }));
    let decision = decide_with(&scene, force(true)).unwrap();
    let gate = decision.gate.as_ref().unwrap();
    assert!((80..=86).contains(&gate.n), "{decision}");
    said(&scene, &decision);
}

#[test]
fn nothing_under_the_constant_goes_live_unless_it_is_accepted() {
    // Labels that are a coin: by hand…
    let scene = Scene::new();
    scene.rows("in/a.csv", &visits(0..300, 1, 50, 5));
    scene.rows("test/testdata.csv", &visits(400..600, 1, 50, 6));
    let error = scene.everything().unwrap_err().to_string();
    assert!(error.contains("does not beat a constant answer"), "{error}");
    assert!(error.contains("--accept") && !scene.path("production_deployment").exists());
    let accept = deploy::Leave { accept: true, ..deploy::Leave::default() };
    let deployed = scene.step(Step::Deployment, |context, workspace| {
        deploy::with(context, workspace, Step::Deployment, "all the same", accept)
    });
    let deployed = deployed.unwrap();
    assert!(!deployed.beats_constant && deployed.judged == deploy::Judge::ConstantAnswer);
    // It is refused in the metric of the gate, in the words of the gate.
    let scene = Scene::with(&json!({"gate": {"metric": "log_loss"}}));
    scene.rows("in/a.csv", &visits(0..300, 1, 50, 5));
    scene.rows("test/testdata.csv", &visits(400..600, 1, 50, 6));
    let error = scene.everything().unwrap_err().to_string();
    assert!(
        error.contains("the new model does not beat a constant answer: log loss 0."),
        "{error}"
    );

    // …and by itself, beside a champion that is good.
    let scene = live(&json!({"gate": {"min_improvement": -1.0}}));
    let before = named(&scene, "release");
    scene.rows("source/b.csv", &visits(0..1500, 1, 50, 7));
    let decision = decide_with(&scene, force(false)).unwrap();
    assert_eq!(decision.outcome, DecisionOutcome::Refused, "{decision}");
    assert!(decision.reason.contains("does not beat a constant answer"), "{decision}");
    assert_eq!(named(&scene, "release"), before);
    // The same model, accepted by a person, goes live.
    let decision = decide_with(&scene, force(true)).unwrap();
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
    assert!(decision.gate.unwrap().accepted);
}

#[test]
fn after_a_reset_nothing_worse_than_the_live_release_replaces_it() {
    let scene = live(&json!({}));
    let before = named(&scene, "release");
    scene.rows("source/b.csv", &visits(0..400, 1, 35, 3));
    // All records are gone, and only poor data are left.
    fs::remove_dir_all(scene.path("out")).unwrap();
    fs::remove_file(scene.path("in/a.csv")).unwrap();
    fs::remove_file(scene.path("test/testdata.csv")).unwrap();
    for _ in 0..2 {
        let decision = decide_with(&scene, force(false)).unwrap();
        let gate = decision.gate.as_ref().unwrap();
        let worse = gate.challenger_f1 < gate.champion_f1 || gate.loses_to_constant();
        assert_eq!(decision.outcome == DecisionOutcome::Refused, worse, "{decision}");
        if worse {
            assert_eq!(named(&scene, "release"), before, "{decision}");
        }
    }
    // What is better does.
    scene.rows("source/c.csv", &turned(2500, 8));
    let decision = decide(&scene);
    let gate = decision.gate.as_ref().unwrap();
    assert!(gate.challenger_f1 >= gate.champion_f1, "{decision}");
}

#[test]
fn a_hold_out_larger_than_the_rest_and_a_share_of_all_are_decided_or_said() {
    let scene = live(&json!({"holdout": {"share": 0.9}}));
    scene.rows("source/b.csv", &turned(1200, 3));
    let decision = decide(&scene);
    let (held, trained) =
        (decision.holdout.as_ref().unwrap(), decision.retrained.as_ref().unwrap());
    assert!(held.rows > 2 * trained.rows, "{decision}");
    assert!(
        decision.gate.is_some() && decision.outcome != DecisionOutcome::NothingNew,
        "{decision}"
    );
    // Nothing to train on is an error that says so.
    let all = Scene::with(&json!({"source_folder_path": "in", "holdout": {"share": 1.0}}));
    let refused = all.context().map(drop).map_err(|e| e.to_string());
    if refused.is_ok() {
        all.rows("in/a.csv", &sample_rows(100, 1));
        let error = decide_with(&all, decide::Options::default()).unwrap_err().to_string();
        assert!(error.contains("left to train on"), "{error}");
    }
}

#[test]
fn a_live_model_under_the_constant_stays_a_finding_until_it_is_not() {
    let scene = live(&json!({"drift": {"rule": "pooled"}, "gate": {"min_improvement": 0.9}}));
    scene.rows("source/b.csv", &turned(400, 3));
    assert!(person_needed(&decide(&scene)));
    for _ in 0..3 {
        let again = decide(&scene);
        assert_eq!(
            (again.outcome, again.attention()),
            (DecisionOutcome::NothingNew, Attention::Person)
        );
    }
    // Rows on which it is good again end it.
    scene.rows("source/c.csv", &sample_rows(400, 9));
    let decision = decide(&scene);
    assert_eq!(decision.attention(), Attention::Fine, "{decision}");
}

#[test]
fn a_less_harmful_model_that_still_loses_to_the_constant_is_never_promoted_in_silence() {
    let mut reliefs = 0;
    for rows in [250, 330, 400, 480] {
        let scene = live(&json!({}));
        scene.rows("source/b.csv", &turned(rows, 3));
        let decision = decide(&scene);
        let gate = decision.gate.as_ref().unwrap();
        if gate.blessed && gate.loses_to_constant() {
            reliefs += 1;
            assert!(gate.interval.low > 0.0, "{decision}");
            assert!(person_needed(&decision), "{decision}");
            let said = decision.concerns[0].to_string();
            assert!(said.contains("live now does no better than a constant answer"), "{said}");
        }
    }
    assert!(reliefs > 0, "the scene shows nothing");
}

#[test]
fn rows_that_come_one_by_one_and_rare_classes_are_not_all_held_out() {
    let scene = live(&json!({"holdout": {"share": 0.3}}));
    let trained = || scene.train().unwrap().data;
    let before = trained();
    for i in 0..30 {
        scene.rows(
            &format!("source/{i:02}.csv"),
            &of_class(1, 500 + i, if i % 3 == 0 { "1" } else { "0" }),
        );
        decide(&scene);
    }
    let after = trained();
    let held = after.held_out - before.held_out;
    assert!((7..=11).contains(&held), "{held} of 30 rows that came one by one");
    assert!((19..=23).contains(&(after.rows - before.rows)), "{after:?}");
    assert!(after.positives >= before.positives + 5, "{after:?}");
    // One positive row in each batch: three in ten of them are held out, not all.
    for i in 0..12 {
        let rows = of_class(30, 700 + i, "0") + &of_class(1, 800 + i, "1");
        scene.rows(&format!("source/r{i:02}.csv"), &rows);
        decide(&scene);
    }
    let rare = trained();
    assert!((6..=11).contains(&(rare.positives - after.positives)), "{rare:?}");
}
