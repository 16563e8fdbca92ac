//! Values that JSON spells in one way and files in several mean what the files of the model say, in every
//! protocol: numbers that stand for a missing value, and categories that are numbers or truth values.

use std::fs;

use serde_json::{Value, json};

use crate::http::Answer;
use crate::scene::{Scene, Service};

const INFER: &str = "/v2/models/model/infer";

/// A workspace whose missing numbers are -999, whose category `grade` is spelt as pandas spells whole numbers
/// beside missing ones, and `member` as Python spells truth values.
fn scene(more: &Value) -> Scene {
    let mut config = json!({
        "schema": { "id": ["id"], "numeric": ["a", "b"], "categorical": ["grade", "member"], "target": "y" },
        "ingestion": { "missing_values": ["", "-999", "9999999999999999"] },
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let scene = Scene::empty(&config);
    let rows = |n: u32, first: u32| {
        let mut text = "id,a,b,grade,member,y\n".to_owned();
        for i in first..first + n {
            let a = if i % 11 == 0 { "-999".to_owned() } else { (i * 37 % 101).to_string() };
            let (b, grade) = (i * 53 % 97, i * 7 % 5 % 3 + 1);
            let member = if i * 13 % 7 < 3 { "True" } else { "False" };
            let score = i * 37 % 101 + 30 * grade + 40 * u32::from(member == "True");
            text += &format!("r{i},{a},{b}.0,{grade}.0,{member},{}\n", u8::from(score > b + 80));
        }
        text
    };
    scene.file("in/a.csv", rows(600, 0));
    scene.file("test/t.csv", rows(200, 1000));
    scene.release();
    scene
}

/// The same row with `a`, `grade` and `member` as JSON has them, in every form that takes JSON.
fn forms(
    service: &Service,
    a: &Value,
    grade: &Value,
    member: &Value,
) -> Vec<(&'static str, Answer)> {
    let row = json!({ "a": a, "b": 40, "grade": grade, "member": member });
    let names = ["a", "b", "grade", "member"];
    let list: Vec<&Value> = names.iter().map(|name| &row[name]).collect();
    let columns: Value =
        names.iter().map(|name| ((*name).to_owned(), json!([row[name]]))).collect();
    let kind = |value: &Value| match value {
        Value::Number(_) | Value::Null => "FP64",
        _ => "BYTES",
    };
    let tensors: Vec<Value> = names
        .iter()
        .map(|name| json!({ "name": name, "shape": [1], "datatype": kind(&row[name]), "data": [row[name]] }))
        .collect();
    vec![
        ("object", service.post("/prediction", &row)),
        ("objects", service.post("/prediction", &json!([row, row]))),
        ("table", service.post("/prediction", &json!({ "columns": names, "data": [list] }))),
        ("records", service.post("/invocations?explain=4", &json!({ "dataframe_records": [row] }))),
        ("inputs", service.post("/invocations?explain=4", &json!({ "inputs": columns }))),
        ("instances", service.post("/invocations?explain=4", &json!({ "instances": [list] }))),
        ("tensors", service.post(INFER, &json!({ "inputs": tensors }))),
    ]
}

/// The probability in an answer, or what its explanation says.
fn probability(answer: &Answer) -> f64 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let value = answer.json();
    let own = value["probabilities"][0].as_f64();
    let own = own.or_else(|| value["outputs"][1]["data"][0].as_f64());
    let log_odds = || value["explanations"]["rows"][0]["log_odds"].as_f64();
    own.or_else(|| Some(1.0 / (1.0 + (-log_odds()?).exp()))).unwrap()
}

/// The probability of that row of a file, as a request has it and as the batch path gives it.
fn of_file(scene: &Scene, service: &Service, cells: &str) -> f64 {
    let text = format!("id,a,b,grade,member\nx,{cells}\n");
    scene.file("rows.csv", &text);
    scene.diagnose(Some(scene.path("rows.csv")), Some(scene.path("predicted.csv")));
    let written = fs::read_to_string(scene.path("predicted.csv")).unwrap();
    let batch: f64 = written.lines().nth(1).unwrap().split(',').nth(2).unwrap().parse().unwrap();
    let sent = probability(&service.csv("/prediction", &text));
    assert_eq!(sent.to_bits(), batch.to_bits(), "{cells}");
    batch
}

fn assert_all(answers: &[(&str, Answer)], expected: f64, what: &str) {
    for (form, answer) in answers {
        let found = probability(answer);
        assert!(
            (found - expected).abs() < 1e-12,
            "{what} as {form}: {found}, in a file {expected}"
        );
    }
}

#[test]
fn a_number_that_stands_for_a_missing_value_is_one_in_every_protocol() {
    let scene = scene(&json!({}));
    let service = scene.serve();
    let (grade, member) = (json!("2.0"), json!("True"));
    for (number, cell) in [
        ("-999", "-999"),
        ("-999.0", "-999"),
        ("-9.99e2", "-999"),
        ("9999999999999999", "9999999999999999"),
        ("999", "999"),
        ("9999999999999998", "9999999999999998"),
    ] {
        let expected = of_file(&scene, &service, &format!("{cell},40,2.0,True"));
        let number: Value = serde_json::from_str(number).unwrap();
        assert_all(&forms(&service, &number, &grade, &member), expected, &number.to_string());
    }
    let answer = service
        .post("/prediction", &json!({ "a": -999, "b": -999.0, "grade": -999, "member": "True" }));
    let value = answer.ends_with(200).json();
    assert_eq!(value["imputed"], json!({ "a": 1, "b": 1, "grade": 1 }));
    assert_eq!(value["unknown_categories"], 0);
}

#[test]
fn a_model_that_fills_nothing_refuses_a_number_that_stands_for_a_missing_value() {
    let scene = scene(&json!({ "training": { "missing": "drop" } }));
    let service = scene.serve();
    for (form, answer) in forms(&service, &json!(-999), &json!("2.0"), &json!("True")) {
        assert_eq!(answer.status, 422, "{form}: {}", answer.text());
        assert!(answer.text().contains("the value is missing"), "{form}: {}", answer.text());
    }
}

#[test]
fn categories_that_are_numbers_or_truth_values_are_those_of_the_files() {
    let scene = scene(&json!({}));
    let service = scene.serve();
    let expected = of_file(&scene, &service, "50,40,3.0,True");
    assert!((expected - of_file(&scene, &service, "50,40,4.0,true")).abs() > 0.01);
    for grade in [json!(3), json!(3.0), json!("3.0")] {
        for member in [json!(true), json!("True")] {
            let answers = forms(&service, &json!(50), &grade, &member);
            assert_all(&answers, expected, &format!("{grade} and {member}"));
        }
    }
    let row = json!({ "a": 50, "b": 40, "grade": 4, "member": true });
    let value = service.post("/prediction", &row).ends_with(200).json();
    assert_eq!(value["unknown_categories"], 1, "a grade that training has not seen stays one");
}
