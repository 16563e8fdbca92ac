//! Splines, bins and scorecards from the data to every answer, against patsy, statsmodels, scikit-learn
//! and optbinning (`tests/golden/make_shapes.py`). Not for the rules by which bins are merged, which
//! have unit tests.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use mlops_core::ids::Step;
use mlops_core::model::scorecard::{Attribute, attributes};
use mlops_core::model::{Explainer, Golden, Model, Predictor, Scorecard, Shape, artifact};
use mlops_core::platform::digest::Digest;
use mlops_core::stage::diagnose;
use mlops_core::table::Table;
use mlops_testkit::Scene;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Expected {
    rows: Vec<(f64, Option<f64>, String, u8)>,
    optbinning: bool,
    spline: Spline,
    bins: Vec<Binned>,
    scorecard: Card,
}

#[derive(Deserialize)]
struct Spline {
    knots: Vec<f64>,
    probabilities: Vec<f64>,
}

#[derive(Deserialize)]
struct Binned {
    #[serde(default)]
    edges: Vec<f64>,
    #[serde(default)]
    levels: Vec<Vec<String>>,
    woe: Vec<f64>,
    missing: f64,
    information_value: f64,
}

#[derive(Deserialize)]
struct Card {
    coefficients: Vec<f64>,
    probabilities: Vec<f64>,
    points: Vec<Value>,
}

fn expected() -> Expected {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/shapes.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A workspace with the golden rows, trained with the keys `training`.
fn trained(expected: &Expected, categorical: &[&str], training: &Value) -> (Scene, Model) {
    let scene = Scene::with(&json!({"schema": {"id": ["who"], "numeric": ["radius", "texture"],
        "categorical": categorical, "target": "malignant"}, "training": training}));
    let header = "who,radius,texture,group,malignant\n";
    let (mut training_rows, mut test) = (header.to_owned(), header.to_owned());
    for (i, (radius, texture, group, y)) in expected.rows.iter().enumerate() {
        let texture = texture.map_or_else(String::new, |texture| texture.to_string());
        writeln!(training_rows, "{i},{radius},{texture},{group},{y}").unwrap();
        if i % 5 == 0 {
            writeln!(test, "t{i},{},{texture},{group},{y}", radius + 0.01).unwrap();
        }
    }
    scene.file("in/a.csv", &training_rows);
    scene.file("test/testdata.csv", &test);
    scene.ingest().unwrap();
    scene.train().unwrap();
    let bytes = fs::read(scene.path("model/trainedmodel.bin")).unwrap();
    let model = artifact::decode(&bytes, "the model").unwrap();
    let golden: Golden = serde_json::from_str(&scene.read("model/golden.json")).unwrap();
    golden.verify(&model, Digest::of(&bytes), "the model").unwrap();
    assert_eq!(artifact::encode(&model).unwrap(), bytes);
    assert_eq!(bytes[8], 3, "the version with shapes");
    (scene, model)
}

fn table(expected: &Expected, model: &Model) -> Table {
    let mut table = Table::new(&model.schema);
    for (radius, texture, group, _) in &expected.rows {
        table.push_values(&[Some(*radius), *texture], std::slice::from_ref(group));
    }
    table
}

fn probabilities(model: &Model, table: &Table) -> Vec<f64> {
    let mut probabilities = Vec::new();
    Predictor::new(model).probabilities(table, &mut probabilities);
    probabilities
}

/// The reference and the contributions of all columns are the log-odds of each row.
fn explained(model: &Model, table: &Table) {
    let explainer = Explainer::new(model);
    let mut sums = vec![explainer.reference_log_odds(); table.len()];
    for column in 0..explainer.columns() {
        let mut one = Vec::new();
        explainer.contributions(column, table, &mut one);
        sums.iter_mut().zip(one).for_each(|(sum, part)| *sum += part);
    }
    for (sum, probability) in sums.iter().zip(probabilities(model, table)) {
        assert!((1.0 / (1.0 + (-sum).exp()) - probability).abs() < 1e-12, "{sum}");
    }
}

fn close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < 1e-9, "{what} {i}: {found} instead of {expected}");
    }
}

#[test]
fn splines_predict_what_patsy_and_statsmodels_do() {
    let expected = expected();
    let training = json!({"C": null, "splines": {"radius": {"knots": 5}}});
    let (_, model) = trained(&expected, &[], &training);
    let Shape::Spline(spline) = &model.encoder.numeric[0].shape else { panic!("no spline") };
    assert_eq!(spline.knots(), expected.spline.knots);
    let names =
        ["radius (spline 1)", "radius (spline 2)", "radius (spline 3)", "radius (spline 4)"];
    assert_eq!(model.features()[..4], names);
    let found = probabilities(&model, &table(&expected, &model));
    close(&found, &expected.spline.probabilities, "probability");
    explained(&model, &table(&expected, &model));
}

#[test]
fn bins_are_those_of_isotonic_regression_and_weights_those_of_optbinning() {
    let expected = expected();
    assert!(expected.optbinning, "the golden figures were made without optbinning");
    let training = json!({"bins": {"radius": {}, "texture": {}, "group": {}},
        "scorecard": {"points0": 600, "odds0": 0.02, "pdo": 20}});
    let (scene, model) = trained(&expected, &["group"], &training);
    let columns = attributes(&model);
    for (column, golden) in columns.iter().zip(&expected.bins) {
        let value = column.information_value.unwrap();
        assert!((value - golden.information_value).abs() < 1e-9, "{}: {value}", column.name);
        let (missing, there) = column.rows.split_last().unwrap();
        assert_eq!(missing.attribute, Attribute::Missing);
        let woe: Vec<f64> = there.iter().filter_map(|row| row.woe).collect();
        close(&woe, &golden.woe, &column.name);
        close(&[missing.woe.unwrap()], &[golden.missing], &column.name);
        let mut edges = golden.edges.iter();
        for (at, row) in there.iter().enumerate() {
            match &row.attribute {
                Attribute::Numbers { up_to, .. } => assert_eq!(*up_to, edges.next().copied()),
                Attribute::Levels(levels) => {
                    let mut levels = levels.clone();
                    levels.sort();
                    assert_eq!(levels, golden.levels[at]);
                }
                Attribute::Missing => panic!("a bin in the middle"),
            }
        }
    }
    close(&model.fitted.coefficients, &expected.scorecard.coefficients, "coefficient");
    let table = table(&expected, &model);
    let found = probabilities(&model, &table);
    close(&found, &expected.scorecard.probabilities, "probability");
    explained(&model, &table);

    // The points of a row are offset + factor * log-odds, but for the rounding of four summands.
    let scale = model.scale.unwrap();
    let card = Scorecard::of(&model).unwrap();
    let points = card.points(&model.encoder, &table);
    for (points, probability) in points.iter().zip(&found) {
        let exact = scale.offset() + scale.factor() * (probability / (1.0 - probability)).ln();
        assert!((points.unwrap() as f64 - exact).abs() <= 2.0, "{points:?} {exact}");
    }
    let exact: f64 = columns.iter().map(|column| column.rows[0].points.unwrap().exact).sum();
    let log_odds: f64 = model.fitted.intercept
        + columns
            .iter()
            .zip(&model.fitted.coefficients)
            .map(|(column, weight)| weight * column.rows[0].woe.unwrap())
            .sum::<f64>();
    let whole = scale.offset() + scale.factor() * log_odds;
    assert!((card.base.exact + exact - whole).abs() < 1e-9, "before rounding");
    assert_eq!(json!(card.base.rounded), expected.scorecard.points[0]);
    for (column, golden) in columns.iter().zip(&expected.scorecard.points[1..]) {
        let there = &column.rows[..column.rows.len() - 1];
        let rounded: Vec<i64> = there.iter().map(|row| row.points.unwrap().rounded).collect();
        assert_eq!(json!(rounded), *golden, "{}", column.name);
    }

    let card: Value = serde_json::from_str(&scene.read("model/model.json")).unwrap();
    assert_eq!(card["attributes"][0]["name"], "radius");
    assert_eq!(card["attributes"][0]["rows"][0]["attribute"]["numbers"]["above"], Value::Null);
    assert_eq!(card["scorecard"]["pdo"], 20.0);

    // The same answers row by row in a file.
    scene.score().unwrap();
    scene.deploy().unwrap();
    let output = scene.path("predictions.csv");
    let options = diagnose::Options { output: Some(output), ..diagnose::Options::default() };
    scene
        .step(Step::Diagnostics, |context, workspace| diagnose::run(context, workspace, &options))
        .unwrap();
    let text = scene.read("predictions.csv");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("who,prediction,probability,points,line,reason"));
    for ((line, points), probability) in lines.zip(&points).zip(&found) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[2].parse::<f64>().unwrap().to_bits(), probability.to_bits());
        assert_eq!(cells[3], points.unwrap().to_string());
    }
}
