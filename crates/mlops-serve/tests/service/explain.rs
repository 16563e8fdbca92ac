//! Explanations: they add up in every protocol, cost nothing unless asked for, and are bounded.

use serde_json::{Value, json};

use crate::scene::{Scene, rows};

const COLUMNS: [&str; 3] = ["age", "balance", "country"];

fn body() -> Value {
    json!([
        { "age": 41, "balance": 12.5, "country": "de" },
        { "age": null, "balance": -900, "country": "fr" },
        { "age": 77, "balance": null, "country": "atlantis" },
        { "age": 18, "balance": 3, "country": null },
    ])
}

fn schema(reasons: &Value) -> Value {
    json!({ "schema": { "id": ["customer"], "numeric": ["age", "balance"], "categorical": ["country"],
        "target": "churned", "positive_label": "yes", "negative_label": "no", "reasons": reasons } })
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

/// Checks that the parts of each row add up to its probability.
fn adds_up(value: &Value, each: usize) {
    let explanations = &value["explanations"];
    let start = number(&explanations["reference"]["log_odds"]);
    let rows = explanations["rows"].as_array().unwrap();
    assert_eq!(rows.len(), value["predictions"].as_array().unwrap().len());
    for (i, row) in rows.iter().enumerate() {
        let parts = row["contributions"].as_array().unwrap();
        assert_eq!(parts.len(), each, "{row}");
        let named = parts.iter().map(|part| number(&part["contribution"]));
        let sum = start + named.sum::<f64>() + number(&row["others"]);
        assert!(
            !number(&row["others"]).is_sign_negative() || number(&row["others"]) < 0.0,
            "{row}"
        );
        let z = number(&row["log_odds"]);
        assert!((sum - z).abs() < 1e-12, "{row}");
        if let Some(probability) = value["probabilities"].get(i) {
            assert!((1.0 / (1.0 + (-z).exp()) - number(probability)).abs() < 1e-12, "{row}");
        }
    }
}

#[test]
fn each_row_names_the_columns_that_moved_it_and_they_add_up() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let plain = service.post("/prediction", &body()).ends_with(200);
    assert!(plain.json().get("explanations").is_none());
    let none = service.post("/prediction?explain=0", &body()).ends_with(200);
    assert_eq!(none.text(), plain.text());
    for (asked, each) in [(1, 1), (2, 2), (3, 3), (99, 3)] {
        let answer = service.post(&format!("/prediction?explain={asked}"), &body()).ends_with(200);
        assert_eq!(answer.bits(), plain.bits());
        adds_up(&answer.json(), each);
    }
    let all = service.post("/prediction?explain=3", &body()).json();
    let reference = &all["explanations"]["reference"]["values"];
    let names: Vec<&String> = reference.as_object().unwrap().keys().collect();
    assert_eq!(names, COLUMNS);
    assert!(reference["age"].is_f64() && reference["country"].is_string(), "{reference}");
    // The reference itself is explained by nothing.
    let same = service.post("/prediction?explain=3", reference).ends_with(200).json();
    for part in same["explanations"]["rows"][0]["contributions"].as_array().unwrap() {
        assert!(number(&part["contribution"]).abs() < 1e-12, "{part}");
    }
    let csv = "age,balance,country\n41,12.5,de\n,-900,fr\n77,,atlantis\n18,3,\n";
    let rows = service.csv("/prediction?explain=3", csv).ends_with(200).json();
    assert_eq!(rows["explanations"], all["explanations"]);
    scene.file("test/some.csv", csv);
    let file = service.post("/prediction?explain=3", &json!({ "filepath": "test/some.csv" }));
    assert_eq!(file.ends_with(200).json()["explanations"], all["explanations"]);
    let no_row = service.post("/prediction?explain=3", &json!([])).ends_with(200).json();
    assert!(no_row.get("explanations").is_none_or(|e| e["rows"] == json!([])), "{no_row}");
}

#[test]
fn the_other_protocols_say_the_same_in_their_own_words() {
    let reasons =
        json!({ "age": { "raises": "long in life", "lowers": "young" }, "country": "where" });
    let scene = Scene::deployed(&schema(&reasons));
    let service = scene.serve();
    let own = service.post("/prediction?explain=2", &body()).ends_with(200).json();
    let explained = &own["explanations"];
    adds_up(&own, 2);
    let mut texts = 0;
    for part in explained["rows"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row["contributions"].as_array().unwrap())
    {
        let expected = match (part["column"].as_str().unwrap(), number(&part["contribution"]) < 0.0)
        {
            ("age", false) => json!("long in life"),
            ("age", true) => json!("young"),
            ("country", _) => json!("where"),
            _ => Value::Null,
        };
        assert_eq!(part["reason"], expected, "{part}");
        texts += usize::from(!expected.is_null());
    }
    assert!(texts > 3, "{own:#}");

    // MLflow's parameters, before the rows and after them, beside a missing number.
    let split = r#""dataframe_split": {"columns": ["age", "balance", "country"], "data":
        [[41, 12.5, "de"], [NaN, -900, "fr"], [77, NaN, "atlantis"], [18, 3, null]]}"#;
    let params = r#""params": {"explain": 2}"#;
    for text in [format!("{{{split}, {params}}}"), format!("{{{params}, {split}}}")] {
        let answer =
            service.ask("POST", "/invocations", &[], text.as_bytes()).ends_with(200).json();
        assert_eq!(&answer["explanations"], explained, "{text}");
        assert_eq!(answer["predictions"], own["predictions"]);
    }
    let plain = service.ask("POST", "/invocations", &[], format!("{{{split}}}").as_bytes());
    assert_eq!(plain.json(), json!({ "predictions": own["predictions"] }));
    let csv = "age,balance,country\n41,12.5,de\n,-900,fr\n77,,atlantis\n18,3,\n";
    let answer = service.csv("/invocations?explain=2", csv).ends_with(200).json();
    assert_eq!(&answer["explanations"], explained);

    let tensor = |name: &str, kind: &str, data: Value| json!({ "name": name, "datatype": kind, "shape": [4], "data": data });
    let mut request = json!({ "parameters": { "explain": 2 }, "inputs": [
        tensor("age", "FP64", json!([41, null, 77, 18])),
        tensor("balance", "FP64", json!([12.5, -900, null, 3])),
        tensor("country", "BYTES", json!(["de", "fr", "atlantis", null])) ] });
    let answer = service.post("/v2/models/model/infer", &request).ends_with(200).json();
    let outputs = answer["outputs"].as_array().unwrap();
    let names: Vec<&str> = outputs.iter().map(|output| output["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "prediction",
            "probability",
            "log_odds",
            "contribution_column",
            "contribution",
            "contribution_reason",
            "other_contributions"
        ]
    );
    let find = |name: &str| outputs.iter().find(|output| output["name"] == name).unwrap();
    assert_eq!(find("contribution")["shape"], json!([4, 2]));
    assert_eq!(answer["parameters"]["reference_log_odds"], explained["reference"]["log_odds"]);
    for (i, row) in explained["rows"].as_array().unwrap().iter().enumerate() {
        assert_eq!(find("log_odds")["data"][i], row["log_odds"]);
        assert_eq!(find("other_contributions")["data"][i], row["others"]);
        for (j, part) in row["contributions"].as_array().unwrap().iter().enumerate() {
            assert_eq!(find("contribution_column")["data"][2 * i + j], part["column"]);
            assert_eq!(find("contribution")["data"][2 * i + j], part["contribution"]);
            let text = part["reason"].as_str().unwrap_or_default();
            assert_eq!(find("contribution_reason")["data"][2 * i + j], text);
        }
    }
    request["parameters"] = json!({ "explain": 0, "other": "x" });
    let plain = service.post("/v2/models/model/infer", &request).ends_with(200).json();
    assert_eq!(plain["outputs"].as_array().unwrap().len(), 2);
    assert!(plain.get("parameters").is_none());
    for wrong in [json!({ "explain": "4" }), json!({ "explain": -1 }), json!({ "explain": [1] })] {
        request["parameters"] = wrong.clone();
        service.post("/v2/models/model/infer", &request).ends_with(400);
        let text = format!("{{{split}, \"params\": {wrong}}}");
        service.ask("POST", "/invocations", &[], text.as_bytes()).ends_with(400);
    }
    for wrong in ["x", "-1", "", "1&explain=2", "1.5"] {
        let refused = service.post(&format!("/prediction?explain={wrong}"), &body()).ends_with(400);
        assert!(refused.json()["detail"].as_str().unwrap().contains("whole number"), "{wrong}");
    }
}

#[test]
fn many_rows_are_sent_piece_by_piece_and_too_many_are_refused() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let many = rows(20_000, 5, true);
    let answer = service.csv("/prediction?explain=2", &many).ends_with(200);
    let plain = service.csv("/prediction", &many).ends_with(200);
    assert_eq!(answer.bits(), plain.bits());
    let value = answer.json();
    assert_eq!(value["explanations"]["rows"].as_array().unwrap().len(), 20_000);
    adds_up(&value, 2);
    let line = "41,12.5,de\n";
    let most = (1 << 20) / 3;
    let too_many = format!("age,balance,country\n{}", line.repeat(most + 1));
    let refused = service.csv("/prediction?explain=3", &too_many).ends_with(413).json();
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("1048576 contributions") && detail.contains("diagnostics"), "{detail}");
    service.csv("/prediction?explain=2", &too_many).ends_with(200);
}

#[test]
fn a_model_that_fills_nothing_compares_with_the_average_category() {
    let mut more = schema(&json!({}));
    more["training"] = json!({ "missing": "drop" });
    let scene = Scene::deployed(&more);
    let service = scene.serve();
    let rows = json!([{ "age": 41, "balance": 12.5, "country": "de" },
        { "age": 30, "balance": 1, "country": "atlantis" }]);
    let value = service.post("/prediction?explain=3", &rows).ends_with(200).json();
    adds_up(&value, 3);
    assert_eq!(value["explanations"]["reference"]["values"]["country"], Value::Null);
}
