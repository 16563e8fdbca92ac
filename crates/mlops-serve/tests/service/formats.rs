//! 10,000 rows with missing values and unknown categories, in every wire format: the same bits as
//! the batch path gives.

use std::fs;

use serde_json::{Value, json};

use crate::scene::{Scene, rows};

/// What `diagnostics` writes, by row: label and bits.
fn batch(scene: &Scene, text: &str) -> Vec<(String, u64)> {
    scene.file("test/many.csv", text);
    scene.diagnose(Some(scene.path("test/many.csv")), Some(scene.path("predicted.csv")));
    let written = fs::read_to_string(scene.path("predicted.csv")).unwrap();
    let cells = written.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    let number = |text: &str| text.parse::<f64>().unwrap().to_bits();
    cells.map(|row| (row[1].to_owned(), number(row[2]))).collect()
}

/// The same rows as values: numbers as numbers, holes as null.
fn values(text: &str) -> Vec<[Value; 4]> {
    let mut out = Vec::new();
    for line in text.lines().skip(1) {
        let quoted = line.replace("\"x, \"\"y\"\"\"", "<quoted>");
        let cells: Vec<&str> = quoted.split(',').collect();
        let number = |text: &str| match text {
            "" | "NA" => Value::Null,
            _ => serde_json::from_str(text).unwrap(),
        };
        let country = match cells[3] {
            "" => Value::Null,
            "<quoted>" => json!("x, \"y\""),
            plain => json!(plain),
        };
        out.push([json!(cells[0]), number(cells[1]), number(cells[2]), country]);
    }
    out
}

#[test]
fn every_format_gives_the_bits_of_the_batch_path() {
    let scene = Scene::deployed(&json!({}));
    let text = rows(10_000, 7, true);
    let expected = batch(&scene, &text);
    let (labels, bits): (Vec<_>, Vec<_>) = expected.into_iter().unzip();
    let labels = json!(labels);
    assert_eq!(bits.len(), 10_000);
    let service = scene.serve();
    let values = values(&text);
    let object = |[id, age, balance, country]: &[Value; 4]| json!({ "customer": id, "age": age, "balance": balance, "country": country });
    let objects: Vec<Value> = values.iter().map(object).collect();
    let columns = json!(["balance", "customer", "country", "age"]);
    let data: Vec<Value> = values.iter().map(|[id, a, b, c]| json!([b, id, c, a])).collect();
    let split = json!({ "columns": columns, "data": data });
    let backwards = json!({ "data": data, "columns": columns });

    let answers = [
        ("objects", service.post("/prediction", &json!(objects))),
        ("split", service.post("/prediction", &split)),
        ("data before columns", service.post("/prediction", &backwards)),
        ("csv", service.csv("/prediction", &text)),
        ("file", service.post("/prediction", &json!({ "filepath": "test/many.csv" }))),
    ];
    for (name, answer) in answers {
        let answer = answer.ends_with(200);
        assert!(answer.bits() == bits, "{name} differs");
        let value = answer.json();
        assert!(value["predictions"] == labels, "{name} has other labels");
        assert!(value["imputed"]["age"].as_u64().unwrap() > 500, "{}", value["imputed"]);
        assert!(value["unknown_categories"].as_u64().unwrap() > 500, "{name}");
    }
    for i in [0, 17, 9_999] {
        let answer = service.post("/prediction", &objects[i]).ends_with(200);
        assert_eq!(answer.bits(), [bits[i]], "row {i} alone");
    }

    let column = |i: usize| values.iter().map(|row| row[i].clone()).collect::<Vec<_>>();
    let tensor = |name: &str, kind: &str, i: usize| json!({ "name": name, "datatype": kind, "shape": [10_000], "data": column(i) });
    let inputs =
        [tensor("age", "INT64", 1), tensor("balance", "FP64", 2), tensor("country", "BYTES", 3)];
    let answer = service.post("/v2/models/model/infer", &json!({ "inputs": inputs }));
    let value = answer.ends_with(200).json();
    assert!(value["outputs"][0]["data"] == labels, "v2 has other labels");
    let found = value["outputs"][1]["data"].as_array().unwrap().iter();
    assert!(found.map(|p| p.as_f64().unwrap().to_bits()).eq(bits.iter().copied()), "v2 differs");

    let inputs = json!({ "age": column(1), "balance": column(2), "country": column(3) });
    let instances: Vec<Value> = values.iter().map(|[_, a, b, c]| json!([a, b, c])).collect();
    for body in [
        json!({ "dataframe_split": split }),
        json!({ "dataframe_split": backwards }),
        json!({ "dataframe_records": objects }),
        json!({ "instances": objects }),
        json!({ "instances": instances }),
        json!({ "inputs": inputs }),
    ] {
        let answer = service.post("/invocations", &body).ends_with(200);
        let form = body.as_object().unwrap().keys().next().unwrap();
        assert!(answer.json()["predictions"] == labels, "{form} differs");
    }
    let answer = service.csv("/invocations", &text).ends_with(200);
    assert!(answer.json()["predictions"] == labels);
}
