//! What training chooses by cross-validation: thresholds and penalties, from the training rows alone.
//! Not for the choice itself: see the tests of `metrics`.

use std::fs;

use mlops_core::model::{Model, Predictor, artifact};
use mlops_core::table::Table;
use mlops_testkit::{Random, Scene};
use serde_json::{Value, json};

/// Rows of clients, each with an effect of its own, some of them with gaps.
fn rows(clients: u64, seed: u64) -> String {
    let mut random = Random(seed);
    let mut text = String::new();
    for client in 0..clients {
        let own = random.unit() - 0.5;
        for month in 0..=random.below(5) {
            let (x, z) = (random.unit(), random.unit());
            let yes = random.unit() < (0.05 + 0.5 * x + 0.4 * own).clamp(0.0, 1.0);
            let z = if random.one_in(10) { String::new() } else { format!("{z:.4}") };
            let yes = if yes { "yes" } else { "no" };
            text += &format!("s{seed}c{client},2024-{:02},{x:.4},{z},{yes}\n", month + 1);
        }
    }
    text
}

fn scene(training: &Value, holdout: &Value) -> Scene {
    let scene = Scene::with(&json!({"training": training, "holdout": holdout,
        "schema": {"id": ["client", "month"], "numeric": ["x", "z"], "target": "left",
                   "positive_label": "yes"}}));
    let header = "client,month,x,z,left\n";
    scene.file("in/a.csv", format!("{header}{}", rows(150, 1)));
    scene.file("test/testdata.csv", format!("{header}{}", rows(60, 2)));
    scene.ingest().unwrap();
    scene
}

fn model(scene: &Scene) -> Model {
    let bytes = fs::read(scene.path("model/trainedmodel.bin")).unwrap();
    artifact::decode(&bytes, "model").unwrap()
}

fn version(scene: &Scene) -> u8 {
    fs::read(scene.path("model/trainedmodel.bin")).unwrap()[8]
}

#[test]
fn a_chosen_threshold_stands_in_model_card_and_text_and_every_answer_uses_it() {
    for (rule, figure) in [
        (json!({"maximize": "f1"}), "f1"),
        (json!({"min_recall": 0.8}), "recall"),
        (json!({"min_precision": 0.5}), "precision"),
        (json!({"cost": {"false_positive": 1.0, "false_negative": 5.5}}), "cost per row"),
        (json!({"top": 0.1}), "share predicted positive"),
    ] {
        let scene = scene(&json!({"threshold": rule}), &json!({"group": ["client"]}));
        let trained = scene.train().unwrap();
        let model = model(&scene);
        let choice = trained.card.threshold_choice.clone().unwrap();
        let threshold = model.training.threshold;
        assert_eq!(threshold.to_bits(), choice.threshold.to_bits());
        assert_eq!(model.tuned.cutoff.as_ref(), Some(&choice));
        assert_eq!((version(&scene), choice.folds, choice.entities), (3, 5, 150));
        let interval = choice.interval.unwrap();
        assert!(interval.low <= threshold && threshold <= interval.high, "{rule}: {choice:?}");
        assert!(choice.table.len() >= 10, "{}", choice.table.len());
        // Every training row was predicted once.
        let counts = &choice.counts;
        let data = &trained.data;
        assert_eq!((counts.n(), counts.positives()), (data.rows, data.positives));
        let text = trained.to_string();
        assert!(text.contains("Threshold ") && text.contains(figure), "{text}");
        let card: Value = serde_json::from_str(&scene.read("model/model.json")).unwrap();
        assert_eq!(card["threshold_choice"]["rule"], rule);
        assert_eq!(card["hyperparameters"]["threshold"], json!(threshold));

        let score = scene.score().unwrap();
        assert_eq!(score.evaluation.threshold.to_bits(), threshold.to_bits());
        let mut table = Table::new(&model.schema);
        for i in 0..50 {
            table.push_values(&[Some(f64::from(i) / 50.0), None], &[]);
        }
        let predictor = Predictor::new(&model);
        for row in predictor.predict(&table).rows.into_iter().flatten() {
            assert_eq!(row.positive, row.probability > threshold);
        }
    }
}

#[test]
fn no_test_row_has_a_part_in_the_choice() {
    let training = json!({"threshold": {"maximize": "mcc"}, "C": "cv"});
    let scene = scene(&training, &json!({"group": ["client"]}));
    let first = scene.train().unwrap().card;
    // Other labels for the test rows, and clients of the training data among them no more.
    let test = scene.read("test/testdata.csv");
    let turned = test.replace(",yes\n", ",?\n").replace(",no\n", ",yes\n").replace(",?\n", ",no\n");
    scene.file("test/testdata.csv", turned);
    let second = scene.train().unwrap().card;
    assert_eq!(first.threshold_choice, second.threshold_choice);
    assert_eq!(first.penalty_grid, second.penalty_grid);
    // Clients that are test rows now are left out, of all folds too.
    let few: String = scene.read("in/a.csv").lines().take(20).map(|l| format!("{l}\n")).collect();
    scene.file("test/known.csv", few);
    let third = scene.train().unwrap();
    let counts = third.card.threshold_choice.unwrap().counts;
    assert!(third.data.held_out > 0);
    assert_eq!((counts.n(), counts.positives()), (third.data.rows, third.data.positives));
}

#[test]
fn dropped_rows_are_in_no_fold_and_time_goes_forward() {
    let training = json!({"threshold": {"maximize": "f1"}, "missing": "drop", "folds": 3});
    let scene = scene(&training, &json!({"time": "month"}));
    let trained = scene.train().unwrap();
    let choice = trained.card.threshold_choice.unwrap();
    assert!(trained.data.dropped > 10);
    assert!(choice.forward && choice.folds >= 2, "{choice:?}");
    // The oldest rows are tested by no fold.
    assert!(choice.counts.n() < trained.data.rows && choice.counts.n() > trained.data.rows / 4);
}

#[test]
fn the_same_training_gives_the_same_bytes_in_another_workspace_and_on_more_threads() {
    let training = json!({"threshold": {"maximize": "f1"}, "C": "cv", "class_weight": "balanced"});
    let bytes = |threads: u64| {
        let scene = scene(&training, &json!({}));
        scene.configure(&json!({"training": training, "limits": {"threads": threads},
            "schema": {"id": ["client", "month"], "numeric": ["x", "z"], "target": "left",
                       "positive_label": "yes"}}));
        scene.train().unwrap();
        fs::read(scene.path("model/trainedmodel.bin")).unwrap()
    };
    assert_eq!(bytes(1), bytes(3));
}

#[test]
fn a_searched_penalty_is_fitted_with_and_stands_in_the_card() {
    let scene = scene(&json!({"C": "cv"}), &json!({"group": ["client"]}));
    let trained = scene.train().unwrap();
    let grid = trained.card.penalty_grid.clone().unwrap();
    assert_eq!((grid.points.len(), grid.folds, version(&scene)), (9, 5, 3));
    assert!(grid.chosen <= grid.best);
    let model = model(&scene);
    assert_eq!(model.training.c, Some(grid.chosen));
    assert_eq!(model.tuned.grid, Some(grid.clone()));
    assert!(trained.to_string().contains("within one standard error"), "{trained}");
    // A training with that number gives the same coefficients.
    let schema = json!({"id": ["client", "month"], "numeric": ["x", "z"], "target": "left",
        "positive_label": "yes"});
    scene.configure(&json!({"training": {"C": grid.chosen}, "schema": schema}));
    let again = scene.train().unwrap();
    assert_eq!(again.card.coefficients, trained.card.coefficients);
    assert_eq!(version(&scene), 2, "without anything new the format stays as it was");
}

#[test]
fn demands_that_cannot_be_met_leave_the_old_model_and_say_what_is_possible() {
    let scene = scene(&json!({"threshold": {"min_precision": 1}}), &json!({}));
    let mut noise = String::from("client,month,x,z,left\n");
    for i in 0..200 {
        noise += &format!("n{i},2024-01,{},1,{}\n", i % 7, if i % 3 == 0 { "yes" } else { "no" });
    }
    scene.file("in/noise.csv", noise);
    scene.ingest().unwrap();
    let error = scene.train().unwrap_err().to_string();
    assert!(
        error.contains("\"min_precision\" 1") && error.contains("highest precision"),
        "{error}"
    );
    assert!(!scene.path("model/trainedmodel.bin").exists());
}

#[test]
fn too_few_rows_for_folds_are_an_error_that_says_so() {
    let scene = Scene::with(&json!({"training": {"threshold": {"maximize": "f1"}}, "schema": {
        "id": ["who"], "numeric": ["x"], "target": "t", "positive_label": "yes"}}));
    scene.file("in/a.csv", "who,x,t\na,1,yes\nb,2,no\nc,3,no\n");
    scene.ingest().unwrap();
    let error = scene.train().unwrap_err().to_string();
    assert!(error.contains("3 training rows of 3 entities"), "{error}");
}
