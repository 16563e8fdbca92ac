//! Columns of dates: how they are spelt, what is refused, and which features they become. Not for
//! reading single dates, which has unit tests.

use std::fmt::Write;
use std::fs;

use mlops_core::model::{Explainer, Golden, Model, Predictor, artifact};
use mlops_core::platform::digest::Digest;
use mlops_core::table::Table;
use mlops_core::table::date::{month_and_weekday, read, spell};
use mlops_testkit::Scene;
use serde_json::{Value, json};

/// A made-up application: the day on which the account was opened, that of the application, and whether
/// the credit was not paid back.
fn application(i: u32) -> (f64, f64, bool) {
    let opened = f64::from(17_000 + i * 7_919 % 1_800);
    let applied = f64::from(19_000 + i * 104_729 % 500);
    let young = applied - opened < 900.0;
    (opened, applied, (i * 31 + u32::from(young) * 40) % 100 > 60)
}

fn scene(date: &Value, training: &Value) -> Scene {
    Scene::with(
        &json!({"schema": {"id": ["who"], "numeric": ["x"], "date": date, "target": "default"},
        "ingestion": {"date_pattern": "%d.%m.%Y"}, "training": training}),
    )
}

fn model(scene: &Scene) -> Model {
    let bytes = fs::read(scene.path("model/trainedmodel.bin")).unwrap();
    let model = artifact::decode(&bytes, "the model").unwrap();
    assert_eq!(artifact::encode(&model).unwrap(), bytes);
    let golden: Golden = serde_json::from_str(&scene.read("model/golden.json")).unwrap();
    golden.verify(&model, Digest::of(&bytes), "the model").unwrap();
    model
}

fn probabilities(model: &Model, rows: &[(Vec<Option<f64>>, Vec<String>)]) -> Vec<f64> {
    let mut table = Table::new(&model.schema);
    for (numbers, texts) in rows {
        table.push_values(numbers, texts);
    }
    let mut probabilities = Vec::new();
    Predictor::new(model).probabilities(&table, &mut probabilities);
    probabilities
}

#[test]
fn dates_of_any_known_spelling_become_one_and_others_are_refused() {
    let scene = scene(&json!(["opened"]), &json!({}));
    let mut text = String::from("who,x,opened,default\n");
    for i in 0..40 {
        writeln!(text, "w{i},{i},2020-01-{:02},{}", i % 28 + 1, i % 2).unwrap();
    }
    text += "a,1,31.03.2024,0\nb,2, 2024-03-31T14:05 ,1\nc,3,NA,0\nd,4,03/31/2024,1\n";
    scene.file("in/a.csv", &text);
    scene.ingest().unwrap();
    let data = scene.read("out/finaldata1.csv");
    for row in [
        "who,x,opened,default\n",
        "\na,1,2024-03-31,0\n",
        "\nb,2,2024-03-31T14:05:00,1\n",
        "\nc,3,,0\n",
    ] {
        assert!(data.contains(row), "{row:?} in {data}");
    }
    let refused = scene.read("out/quarantine1.csv");
    let reason = "is not a date: neither as 2024-03-31 or 2024-03-31T14:05:00, nor by";
    assert!(refused.contains("opened,CAST") && refused.contains(reason), "{refused}");
    assert!(!data.contains("03/31/2024"));
}

/// 9999-12-31 and the like stand for a date that is not known, and hide all other ages.
#[test]
fn a_date_that_hardly_is_one_is_told_of() {
    for (odd, told) in [
        ("9999-12-31", true),
        ("01.01.0001", true),
        ("2199-12-31", false),
        ("1800-01-01", false),
        ("", false),
    ] {
        let dates = json!({"applied": {"against": "nothing"}});
        let scene = scene(&json!(["opened", "applied"]), &json!({"dates": dates}));
        let mut text = String::from("who,x,opened,applied,default\n");
        for i in 0..40 {
            let opened = if i == 7 { odd.to_owned() } else { format!("2020-01-{:02}", i % 28 + 1) };
            writeln!(text, "w{i},{i},{opened},{odd},{}", i % 2).unwrap();
        }
        scene.file("in/a.csv", text.replace(",,", ",2020-02-02,"));
        scene.ingest().unwrap();
        let notes = scene.train().unwrap().notes;
        let of =
            |name: &str| notes.iter().any(|n| n.contains(name) && n.contains("missing_values"));
        assert_eq!(of("\"opened\" has the date"), told, "{odd}: {notes:?}");
        assert!(!of("applied"), "it has no feature: {notes:?}");
    }
}

/// The same model comes from ages, months and weekdays that somebody else computed.
#[test]
fn features_are_those_that_one_would_compute_by_hand() {
    let with = scene(
        &json!(["opened", "applied"]),
        &json!({"dates": {"opened": {"against": "applied", "month": true, "weekday": true},
            "applied": {"against": "nothing"}}}),
    );
    let by_hand = Scene::with(&json!({"schema": {"id": ["who"], "numeric": ["x", "age"],
        "categorical": ["month", "weekday"], "target": "default"}}));
    let (mut with_dates, mut columns) = (
        String::from("who,x,opened,applied,default\n"),
        String::from("who,x,age,month,weekday,default\n"),
    );
    let (mut rows, mut plain) = (Vec::new(), Vec::new());
    for i in 0..900 {
        let (opened, applied, bad) = application(i);
        let (x, bad) = (i % 17, u8::from(bad));
        let (month, weekday) = month_and_weekday(opened).unwrap();
        writeln!(with_dates, "w{i},{x},{},{},{bad}", spell(opened), spell(applied)).unwrap();
        writeln!(columns, "w{i},{x},{},m{month:02},d{weekday},{bad}", applied - opened).unwrap();
        rows.push((vec![Some(f64::from(x)), Some(opened), Some(applied)], Vec::new()));
        plain.push((
            vec![Some(f64::from(x)), Some(applied - opened)],
            vec![format!("m{month:02}"), format!("d{weekday}")],
        ));
    }
    for (scene, text) in [(&with, &with_dates), (&by_hand, &columns)] {
        scene.file("in/a.csv", text);
        scene.ingest().unwrap();
        scene.train().unwrap();
    }
    let (dated, other) = (model(&with), model(&by_hand));
    assert_eq!(dated.encoder.features_of_columns()[1..], [("opened", 1..21), ("applied", 21..21)]);
    let (found, expected) = (probabilities(&dated, &rows), probabilities(&other, &plain));
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!((found - expected).abs() < 1e-9, "{i}: {found} instead of {expected}");
    }
    // What each column adds is the log-odds together.
    let explainer = Explainer::new(&dated);
    let mut table = Table::new(&dated.schema);
    for (numbers, texts) in &rows {
        table.push_values(numbers, texts);
    }
    let mut sums = vec![explainer.reference_log_odds(); rows.len()];
    for column in 0..explainer.columns() {
        let mut one = Vec::new();
        explainer.contributions(column, &table, &mut one);
        sums.iter_mut().zip(one).for_each(|(sum, part)| *sum += part);
    }
    for (sum, probability) in sums.iter().zip(&found) {
        assert!((1.0 / (1.0 + (-sum).exp()) - probability).abs() < 1e-12, "{sum}");
    }
    // A missing date is the median one.
    let median = dated.encoder.dates[0].fill.unwrap();
    let of = |opened| (vec![Some(1.0), opened, Some(19_200.0)], Vec::new());
    let two = probabilities(&dated, &[of(None), of(Some(median))]);
    assert_eq!(two[0].to_bits(), two[1].to_bits());
}

#[test]
fn the_newest_date_stays_what_it_was_in_training() {
    let scene = scene(&json!(["opened"]), &json!({}));
    let mut text = String::from("who,x,opened,default\n");
    for i in 0..300 {
        let (opened, _, bad) = application(i);
        writeln!(text, "w{i},{},{},{}", i % 13, spell(opened), u8::from(bad)).unwrap();
    }
    scene.file("in/a.csv", &text);
    scene.ingest().unwrap();
    scene.train().unwrap();
    let newest = (0..300).map(|i| application(i).0).fold(0.0, f64::max);
    let card: Value = serde_json::from_str(&scene.read("model/model.json")).unwrap();
    assert_eq!(card["dates"]["opened"], spell(newest));
    assert!(card["features"].as_array().unwrap().contains(&json!("opened (age in days)")));
    let days = |text| read(text, None);
    let model = model(&scene);
    let rows =
        ["2016-07-01", "2021-07-01", "2031-07-01"].map(|d| (vec![Some(1.0), days(d)], Vec::new()));
    let odds = probabilities(&model, &rows).into_iter().map(|p| (p / (1.0 - p)).ln());
    let odds: Vec<f64> = odds.collect();
    // A straight line in the date: ten years are twice as much as five, but for leap days.
    let (five, ten) = (odds[1] - odds[0], odds[2] - odds[1]);
    assert!((five / 1_826.0 - ten / 3_652.0).abs() < 1e-12, "{odds:?}");
}
