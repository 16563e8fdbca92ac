//! Which of the training rows a model is fitted on: after a change those that hold, otherwise all.
//! Not for the rule of the choice, nor for folds: their tests stand beside them.

use std::fs;

use mlops_core::config::{Since, Window};
use mlops_core::evaluation::metrics::ConfusionMatrix;
use mlops_core::ids::DecisionOutcome;
use mlops_core::model::{Model, Predictor, artifact};
use mlops_core::run::decision::Decision;
use mlops_core::table::Table;
use mlops_testkit::{Random, Scene, repetitions, sample_rows};
use serde_json::{Value, json};

use crate::decision::{decide, live, turned};

const DRIFT: Window = Window::Since(Since::Drift);

fn model(scene: &Scene) -> Model {
    let bytes = fs::read(scene.path("model/trainedmodel.bin")).unwrap();
    artifact::decode(&bytes, "model").unwrap()
}

/// F1 of the newest model for rows that nobody has seen.
fn f1_on(scene: &Scene, rows: &str) -> f64 {
    let model = model(scene);
    let mut table = Table::new(&model.schema);
    for row in rows.lines() {
        let cells: Vec<&str> = row.split(',').collect();
        let values: Vec<Option<f64>> = cells[1..4].iter().map(|cell| cell.parse().ok()).collect();
        table.push_values(&values, &[]);
        table.labels.push(cells[4] == "1");
    }
    let answers = Predictor::new(&model).predict(&table).rows;
    let pairs = table.labels.iter().zip(answers);
    ConfusionMatrix::from_pairs(pairs.map(|(label, a)| (*label, a.unwrap().positive))).f1()
}

fn chosen(decision: &Decision) -> Window {
    decision.window.as_ref().unwrap_or_else(|| panic!("no windows in\n{decision}")).chosen()
}

/// A workspace in which much is known, and whose next rows are few.
fn experienced(more: &Value) -> Scene {
    let scene = live(more);
    scene.rows("in/b.csv", &sample_rows(1500, 7));
    scene.everything().unwrap();
    scene
}

#[test]
fn after_a_sudden_change_the_rows_since_then_are_taken_and_do_better() {
    for seed in 0..repetitions(3, 20) {
        let f1 = |training: Value| {
            let scene = experienced(&json!({"training": training}));
            scene.rows("source/c.csv", &turned(500, 100 + seed));
            let decision = decide(&scene);
            assert_eq!(decision.drift.as_ref().unwrap().drifted, Some(true), "{decision}");
            (f1_on(&scene, &turned(2000, 900 + seed)), decision)
        };
        let (all, by_hand) = f1(json!({}));
        let (best, decision) = f1(json!({"window": "auto"}));
        assert!(by_hand.window.is_none());
        assert_eq!(chosen(&decision), DRIFT, "{decision}");
        println!("seed {seed}: F1 {best:.4}, with all rows {all:.4}");
        assert!(best > all + 0.2, "seed {seed}: {best} {all}");
        assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
        let choice = decision.window.as_ref().unwrap();
        let windows: Vec<Window> = choice.candidates.iter().map(|c| c.window).collect();
        // A quarter of the 500 rows was held out for testing.
        let newest = decision.retrained.as_ref().unwrap().rows;
        assert!((373..=377).contains(&newest) && choice.tested_rows == newest, "{choice}");
        let half_lives = [newest, 4 * newest].map(Window::HalfLife);
        assert_eq!(windows, [Window::All, DRIFT, half_lives[0], half_lives[1]], "{choice}");
        for part in [
            &format!(
                "Rows to train on: rows since the last drift, by the log loss on the newest {newest} "
            ),
            "all rows, weight halved every 1,",
            &format!("Retrained on {newest} rows"),
        ] {
            assert!(decision.to_string().contains(part), "{part:?} is not in\n{decision}");
        }
    }
}

#[test]
fn without_a_change_all_rows_are_taken() {
    let (mut all, mut every) = (0, 0);
    for seed in 0..repetitions(12, 100) {
        let scene =
            experienced(&json!({"drift": {"rule": "every"}, "training": {"window": "auto"}}));
        scene.rows("source/c.csv", &sample_rows(500, 200 + seed));
        let decision = decide(&scene);
        every += 1;
        all += u32::from(chosen(&decision) == Window::All);
        if chosen(&decision) == Window::All {
            assert!(model(&scene).window.is_none(), "a model of all rows is what it was");
        }
    }
    println!("without a change: all rows in {all} of {every}");
    assert!(10 * all >= 9 * every, "{all} of {every}");
}

#[test]
fn rows_whose_meaning_moves_slowly_are_weighed_by_their_age() {
    // The effect of one column fades within 3,000 rows and turns then.
    let drifting = |from: u64, rows: u64, seed: u64| {
        let mut random = Random(seed);
        let row = |i: u64| {
            let (a, b) = (random.below(100), random.below(1000));
            let turn = 1.0 - 2.0 * (from + i) as f64 / 3000.0;
            let log_odds = turn * 0.15 * (a as f64 - 50.0);
            let exited = random.unit() < 1.0 / (1.0 + (-log_odds).exp());
            format!("d{seed}x{i},{a},{b},3,{}\n", u8::from(exited))
        };
        (0..rows).map(row).collect::<String>()
    };
    let scene = Scene::with(&json!({"source_folder_path": "source", "holdout": {"share": 0.25},
        "drift": {"rule": "every"}, "training": {"window": "auto"}}));
    scene.rows("in/a.csv", &drifting(0, 2000, 1));
    scene.rows("test/testdata.csv", &sample_rows(120, 2));
    scene.everything().unwrap();
    fs::create_dir(scene.path("source")).unwrap();
    scene.rows("source/b.csv", &drifting(2000, 120, 3));
    let decision = decide(&scene);
    assert!(matches!(chosen(&decision), Window::HalfLife(_)), "{decision}");
    let model = model(&scene);
    let window = model.window.as_ref().unwrap();
    assert_eq!((Some(window.window), window.left_out), (model.training.window, 0));
    assert!(window.effective_rows < 0.9 * model.data.rows as f64, "{window:?}");
    let card = scene.json("model/model.json");
    assert_eq!(card["window"]["window"], serde_json::to_value(window.window).unwrap());
    assert_eq!(card["window_choice"], serde_json::to_value(&decision.window).unwrap());
}

#[test]
fn a_window_of_rows_gives_the_model_of_a_data_set_of_these_rows() {
    let (old, new) = (sample_rows(400, 1), turned(300, 2));
    let of = |old: &str, new: &str, training: Value| {
        let scene = Scene::with(&json!({"training": training}));
        scene.rows("in/a.csv", old);
        scene.rows("in/b.csv", new);
        // Test rows are left out of both parts.
        let test: String = [old, new]
            .iter()
            .flat_map(|rows| rows.lines().take(20))
            .fold(String::new(), |text, row| text + row + "\n");
        scene.rows("test/testdata.csv", &test);
        scene.ingest().unwrap();
        let trained = scene.train().unwrap();
        (model(&scene), trained)
    };
    let (windowed, trained) = of(&old, &new, json!({"window": {"rows": 300}}));
    let (alone, _) = of("", &new, json!({}));
    assert_eq!(windowed.fitted, alone.fitted);
    assert_eq!((&windowed.scaler, &windowed.encoder), (&alone.scaler, &alone.encoder));
    let window = windowed.window.unwrap();
    assert_eq!((window.window, window.left_out), (Window::Rows(300), 400));
    assert_eq!((window.places, windowed.data.rows), (vec![(400, 700)], 280));
    assert_eq!(windowed.data.held_out, 20, "the window left the other test rows out");
    let text = trained.to_string();
    assert!(
        text.contains("Window: the newest 300 rows; 400 rows of the data set left out"),
        "{text}"
    );
    // A window that has all rows changes nothing.
    let (all, _) = of(&old, &new, json!({"window": {"rows": 700}}));
    assert_eq!(all, of(&old, &new, json!({})).0);
}

#[test]
fn a_half_life_weighs_the_share_of_positives_and_the_thresholds_too() {
    let of = |training: Value| {
        let scene = Scene::with(&json!({"training": training}));
        let rows = sample_rows(300, 3);
        let no = rows.lines().map(|row| row[..row.len() - 1].to_owned() + "0\n");
        let few: String = no
            .enumerate()
            .map(|(i, row)| if i % 10 == 0 { row.replace(",0\n", ",1\n") } else { row })
            .collect();
        scene.rows("in/a.csv", &few);
        scene.rows("in/b.csv", &sample_rows(300, 4));
        scene.rows("test/testdata.csv", &sample_rows(50, 5));
        scene.ingest().unwrap();
        scene.train().unwrap();
        model(&scene)
    };
    let prior =
        |window: Value| of(json!({"threshold": "prior", "window": window})).training.threshold;
    let (all, weighed) = (prior(json!("all")), prior(json!({"half_life": 60})));
    assert!(all < 0.35 && weighed > all + 0.1, "{all} {weighed}");
    let model =
        of(json!({"threshold": {"maximize": "f1"}, "C": "cv", "window": {"half_life": 100},
        "class_weight": "balanced"}));
    let cutoff = model.tuned.cutoff.as_ref().unwrap();
    let counts = cutoff.counts;
    assert_eq!(counts.tn + counts.fp + counts.fn_ + counts.tp, 200, "twice the half-life");
    assert_eq!(model.window.as_ref().unwrap().window, Window::HalfLife(100));
    assert_eq!(artifact::decode(&artifact::encode(&model).unwrap(), "m").unwrap(), model);
}

#[test]
fn the_choice_does_not_depend_on_the_number_of_threads() {
    let made = |threads: u64| {
        let scene =
            experienced(&json!({"limits": {"threads": threads}, "training": {"window": "auto"}}));
        scene.rows("source/c.csv", &turned(500, 100));
        let decision = decide(&scene);
        (scene.read_bytes("model/trainedmodel.bin"), decision.window)
    };
    assert_eq!(made(1), made(3));
}

#[test]
fn a_drift_that_is_not_answered_goes_on_and_its_rows_stay_together() {
    let scene =
        experienced(&json!({"gate": {"min_improvement": 0.9}, "training": {"window": "auto"}}));
    scene.rows("source/c.csv", &turned(200, 100));
    assert_eq!(decide(&scene).outcome, DecisionOutcome::Refused);
    scene.rows("source/d.csv", &turned(200, 101));
    let decision = decide(&scene);
    let since = decision.window.as_ref().unwrap().candidates.iter().find(|c| c.window == DRIFT);
    assert_eq!(since.unwrap().rows, 298, "both files without their hold-outs: {decision}");
    // By hand the records alone tell of the drift.
    scene
        .configure(&json!({"training": {"window": {"since": "drift"}}, "holdout": {"share": 0.25},
        "source_folder_path": "source"}));
    let trained = scene.train().unwrap();
    assert_eq!(trained.data.rows, 298);
    assert_eq!(model(&scene).window.unwrap().window, DRIFT);
}

#[test]
fn without_a_drift_on_record_all_rows_are_taken_and_that_is_said() {
    let scene = live(&json!({"training": {"window": {"since": "drift"}}}));
    let trained = scene.train().unwrap();
    assert_eq!((trained.data.rows, trained.card.window.clone()), (300, None));
    let said = |note: &String| note.contains("no drift that left older rows behind");
    assert!(trained.notes.iter().any(said), "{:?}", trained.notes);
}

#[test]
fn rows_that_a_window_left_out_are_not_known_to_its_model() {
    // Clients come again in every file.
    let scene = live(&json!({"training": {"window": {"rows": 300}}, "holdout": {"share": 0.25},
        "drift": {"rule": "every", "min_rows": 20}}));
    scene.rows("in/b.csv", &sample_rows(300, 7));
    scene.everything().unwrap();
    // A test file with rows that the model saw, and others that its window left out.
    let (known, old): (Vec<_>, Vec<_>) = (
        sample_rows(300, 7).lines().take(40).map(str::to_owned).collect(),
        sample_rows(300, 1).lines().take(60).map(str::to_owned).collect(),
    );
    scene.rows("test/more.csv", &(known.join("\n") + "\n" + &old.join("\n") + "\n"));
    let score = scene.score().unwrap();
    assert_eq!(score.evaluation.n, 120 + 60, "{score}");
    // The reference of data drift has the rows of the window alone.
    scene.rows("source/c.csv", &sample_rows(200, 8));
    let decision = decide(&scene);
    assert_eq!(decision.data_drift.unwrap().reference_rows, 300);
}
