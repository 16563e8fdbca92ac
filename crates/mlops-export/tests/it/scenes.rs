//! Deployed models of different kinds, and random rows for them. Not for what is tested on them.

use mlops_core::Table;
use mlops_core::ids::Step;
use mlops_core::model::{Explainer, Explanations, Model, Predictor, Scorecard, Shape};
use mlops_core::stage::deploy::{self, Leave};
use mlops_core::table::date;
use mlops_testkit::Scene;
use mlops_testkit::random::Random;
use serde_json::{Value, json};

/// The kinds of models: plain numbers and categories, rare levels pooled, rows with gaps refused, and
/// splines, bins and dates.
pub(crate) const KINDS: [&str; 4] = ["plain", "pooled", "strict", "shaped"];

/// Kinds whose columns all have bins or categories: with points, without, and with gaps refused.
pub(crate) const CARDS: [&str; 3] = ["points", "binned", "strict points"];

/// Kinds without categories: plain numbers, and splines, bins and dates.
pub(crate) const NUMBERS: [&str; 2] = ["numbers", "shaped numbers"];

/// A workspace with a live release of this kind.
pub(crate) fn deployed(kind: &str) -> Scene {
    let mut schema = json!({
        "id": ["who"], "numeric": ["x", "y \"q\" z", "big"], "categorical": ["colour", "size"],
        "target": "left", "positive_label": "it's so",
    });
    let training = match kind {
        "pooled" => json!({"threshold": 0.3}),
        "strict" => json!({"missing": "drop", "C": null}),
        "shaped" | "shaped numbers" => json!({
            "splines": {"x": {"knots": 5}},
            "bins": if kind == "shaped" { json!({"y \"q\" z": {}, "size": {}}) } else { json!({"y \"q\" z": {}}) },
            "dates": {"since": {"against": "seen", "month": true}, "seen": {"against": "2024-02-29"},
                "until": {"against": "nothing", "weekday": true}},
        }),
        "points" => json!({"bins": all_binned(), "scorecard": {"points0": 500, "pdo": 40}}),
        "strict points" => json!({"bins": all_binned(), "scorecard": {}, "missing": "drop"}),
        "binned" => json!({"bins": all_binned()}),
        _ => json!({}),
    };
    if kind == "pooled" {
        schema["min_frequency"] = json!(0.2);
    }
    if NUMBERS.contains(&kind) {
        schema["categorical"] = json!([]);
    }
    if kind.starts_with("shaped") {
        schema["date"] = json!(["since", "seen", "until"]);
    }
    let scene = Scene::with(&json!({"schema": schema, "training": training}));
    let mut random = Random(17);
    let header = "who,x,\"y \"\"q\"\" z\",big,since,seen,until,colour,size,left\n";
    let line = |random: &mut Random, at: usize| {
        let x = random.below(1000);
        let gap = |random: &mut Random, text: String| {
            if random.one_in(9) { String::new() } else { text }
        };
        let day = |random: &mut Random| {
            format!(
                "20{:02}-{:02}-{:02}",
                20 + random.below(5),
                1 + random.below(12),
                1 + random.below(28)
            )
        };
        let (since, seen, until) = (day(random), day(random), day(random));
        let (y, big) = (random.below(40), random.below(900));
        let y = gap(random, format!("{y}.5"));
        let big = gap(random, (1_700_000_000 + big).to_string());
        let since = gap(random, since);
        let colour = random.pick(&["red", "green", "blue, \"\"light\"\"", "it's", ""]);
        let size = random.pick(&["S", "S", "S", "M", "M", "L", "XL", "Ü"]);
        let odds = if x > 500 { 0.8 } else { 0.1 } + if size == "S" { 0.2 } else { 0.0 };
        let left = if random.unit() < odds { "it's so" } else { "no" };
        format!("w{at},{x},{y},{big},{since},{seen},{until},\"{colour}\",{size},{left}\n")
    };
    let lines: Vec<String> = (0..400).map(|at| line(&mut random, at)).collect();
    scene.file("in/a.csv", header.to_owned() + &lines.concat());
    let others: Vec<String> = (400..440).map(|at| line(&mut random, at)).collect();
    scene.file("test/testdata.csv", header.to_owned() + &others.concat());
    scene.ingest().unwrap();
    scene.train().unwrap();
    scene.score().unwrap();
    // Few test rows: by chance, a constant answer may do better on them.
    let leave = Leave { accept: true, ..Leave::default() };
    scene
        .step(Step::Deployment, |context, workspace| {
            deploy::with(context, workspace, Step::Deployment, "a test", leave)
        })
        .unwrap();
    scene
}

/// Bins for all columns but one of categories.
fn all_binned() -> Value {
    json!({"x": {}, "y \"q\" z": {"max_bins": 3}, "big": {}, "size": {}})
}

/// One row: numbers, then dates as days since 1970, and texts.
pub(crate) type Row = (Vec<Option<f64>>, Vec<String>);

/// Rows of values that training saw, of others, and of gaps.
pub(crate) fn rows(model: &Model, count: usize, seed: u64) -> Vec<Row> {
    let mut random = Random(seed);
    let plain = model.encoder.numeric.len();
    let texts =
        ["red", "green", "blue, \"light\"", "it's", "S", "M", "L", "XL", "Ü", "unheard of", ""];
    let row = |random: &mut Random| {
        let mut numbers = Vec::new();
        for _ in 0..plain {
            let x = match random.below(4) {
                0 => random.unit() * 40.0,
                1 => (random.unit() - 0.3) * 3_000.0,
                2 => 1_700_000_000.0 + random.unit() * 900.0,
                _ => random.below(1000) as f64,
            };
            numbers.push((!random.one_in(6)).then_some(x));
        }
        for _ in 0..model.encoder.dates.len() {
            let day = 17_000.0 + random.below(4_000) as f64;
            let time = if random.one_in(3) { 0.25 } else { 0.0 };
            numbers.push((!random.one_in(6)).then_some(day + time));
        }
        let texts = (0..model.encoder.categorical.len()).map(|_| random.pick(&texts).to_owned());
        (numbers, texts.collect())
    };
    (0..count).map(|_| row(&mut random)).collect()
}

/// Our own probabilities of `rows`.
pub(crate) fn probabilities(model: &Model, rows: &[Row]) -> Vec<Option<f64>> {
    let found = Predictor::new(model).predict(&table(model, rows)).rows;
    found.into_iter().map(|row| row.map(|row| row.probability)).collect()
}

fn table(model: &Model, rows: &[Row]) -> Table {
    let mut table = Table::new(&model.schema);
    for (numbers, texts) in rows {
        table.push_values(numbers, texts);
    }
    table
}

/// The points of `rows`, if the model has a scorecard.
fn points(model: &Model, rows: &[Row]) -> Option<Vec<Option<i64>>> {
    Some(Scorecard::of(model)?.points(&model.encoder, &table(model, rows)))
}

/// For each row the columns that make the positive label more likely than the reference does, with what
/// they add, the largest first; not for rows without a prediction.
fn reasons(model: &Model, rows: &[Row]) -> Vec<Vec<(String, f64)>> {
    let explainer = Explainer::new(model);
    let mut answers = Explanations::default();
    explainer.explain(&table(model, rows), explainer.columns(), &mut answers);
    let of_row = |row: usize| {
        let all = answers.largest(row).iter().filter(|reason| reason.value > 0.0);
        let mut reasons: Vec<(String, f64)> = all
            .map(|reason| (explainer.name(reason.column as usize).to_owned(), reason.value))
            .collect();
        reasons.sort_by(|a, b| b.1.total_cmp(&a.1));
        reasons
    };
    (0..rows.len()).map(of_row).collect()
}

/// What the script of readers is told: columns with their kinds, rows with dates as days and as texts, and
/// what each row is to give.
pub(crate) fn told(model: &Model, rows: &[Row], tolerance: f64) -> Value {
    let plain = model.encoder.numeric.len();
    let numbers = model
        .schema
        .numbers()
        .enumerate()
        .map(|(at, name)| json!([name, if at < plain { "number" } else { "date" }]));
    let texts = model.encoder.categorical.iter().map(|feature| json!([feature.name, "text"]));
    let cells = rows.iter().map(|(numbers, texts)| {
        let numbers = numbers.iter().map(|x| json!(x));
        numbers.chain(texts.iter().map(|text| json!(text))).collect::<Vec<_>>()
    });
    let spelt = rows.iter().map(|(numbers, _)| {
        numbers[plain..].iter().map(|x| x.map(date::spell)).collect::<Vec<_>>()
    });
    json!({
        "columns": numbers.chain(texts).collect::<Vec<_>>(),
        "rows": cells.collect::<Vec<_>>(),
        "dates": spelt.collect::<Vec<_>>(),
        "probabilities": probabilities(model, rows),
        "points": points(model, rows),
        "factor": model.scale.map(mlops_core::config::Scale::factor),
        "reasons": reasons(model, rows),
        "all_in_bins": model.encoder.dates.is_empty()
            && model.encoder.numeric.iter().all(|feature| matches!(feature.shape, Shape::Bins(_))),
        "threshold": model.training.threshold,
        "labels": [model.label(true), model.label(false)],
        "tolerance": tolerance,
    })
}
