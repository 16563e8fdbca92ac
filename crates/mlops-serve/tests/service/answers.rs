//! Rows in every form, sound and broken.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use mlops_core::evaluation::metrics::Evaluation;
use serde_json::{Value, json};

use crate::http::Answer;
use crate::scene::{HEADER, Scene, rows};

const ROW: &str = r#"{"age": 41, "balance": 12.5, "country": "de"}"#;

fn row() -> Value {
    serde_json::from_str(ROW).unwrap()
}

#[test]
fn a_row_means_the_same_however_it_is_spelt() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let plain = service.post("/prediction", &row()).ends_with(200);
    let value = plain.json();
    assert_eq!(value["rows"], 1);
    assert_eq!(value["model_version"], plain.header("x-model-version"));
    assert!(["yes", "no"].map(|l| json!([l])).contains(&value["predictions"]), "{value}");
    for same in [
        json!({ "country": " de ", "balance": "12.50", "age": "041" }),
        json!({ "age": 41.0, "balance": "+1.25e1", "country": "de", "customer": 7, "churned": "?" }),
        json!([{ "age": "41", "balance": 12.5, "country": "de", "churned": null, "customer": null }]),
        json!({ "columns": ["balance", "age", "country"], "data": [[12.5, 41, "de"]] }),
    ] {
        assert_eq!(
            service.post("/prediction", &same).ends_with(200).bits(),
            plain.bits(),
            "{same}"
        );
    }
    let csv = "country,age,balance\r\n\"de\",041,12.5\r\n";
    assert_eq!(service.csv("/prediction", csv).ends_with(200).bits(), plain.bits());
    let none = service.post("/prediction", &json!([])).ends_with(200).json();
    assert_eq!((&none["predictions"], &none["rows"]), (&json!([]), &json!(0)));
}

#[test]
fn rows_that_the_scanner_reads_and_those_that_it_leaves_mean_the_same() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let ask = |body: &str| {
        service.ask("POST", "/prediction", &[("content-type", "application/json")], body.as_bytes())
    };
    let plain = concat!(
        r#"[{"age": 41, "balance": 12.5, "country": "de"}, {"country":null,"balance":-0.25,"age":"39"},"#,
        "\n",
        r#" {"age":1,"balance":2e1,"country":"fr","colour":"red"}, {"balance":0.1,"age":-0,"country":true} ]"#,
    );
    // A name with an escape is left to the general parser: of all rows, of every second one, of one.
    let escaped = |text: &str| text.replace("\"age\"", "\"\\u0061ge\"");
    let rows: Vec<&str> = plain.trim_matches(['[', ']']).split_inclusive('}').collect();
    let mixed = |odd: &dyn Fn(usize) -> bool| {
        let row = |(i, row): (usize, &&str)| if odd(i) { escaped(row) } else { (*row).to_owned() };
        format!("[{}]", rows.iter().enumerate().map(row).collect::<String>())
    };
    let expected = ask(plain).ends_with(200);
    assert_eq!(expected.json()["imputed"], json!({ "country": 1 }));
    assert_eq!(expected.json()["ignored"], json!({ "colour": 1 }));
    for text in [mixed(&|_| true), mixed(&|i| i % 2 == 1), mixed(&|i| i == 2)] {
        let answer = ask(&text).ends_with(200);
        assert_eq!(answer.json(), expected.json(), "{text}");
    }
    for (fault, status) in [
        (r#"{"age":"x","balance":1,"country":"de"}"#, 422),
        (r#"{"age":1,"age":2,"balance":1,"country":"de"}"#, 422),
        (r#"{"balance":1,"country":"de"}"#, 422),
        (r#"{"age":[1],"balance":1,"country":"de"}"#, 422),
        ("7", 422),
        (r#"{"age":1,,"balance":1,"country":"de"}"#, 400),
        (r#"{"age":01,"balance":1,"country":"de"}"#, 400),
        (r#"{"age":NaN,"balance":1,"country":"de"}"#, 400),
    ] {
        let text = |rows: &str| rows.replace('\n', &format!("\n{fault},"));
        let (one, other) = (ask(&text(plain)), ask(&text(&mixed(&|_| true))));
        let faults = |answer: Answer| {
            let mut faults = answer.ends_with(status).json();
            faults.as_object_mut().unwrap().remove("request_id");
            faults
        };
        let (one, other) = (faults(one), faults(other));
        if status == 400 {
            let words = one["detail"].as_str().unwrap();
            assert!(words.contains(" at line 2 column"), "{one}");
            assert!(other["detail"].as_str().unwrap().contains(" at line 2 column"), "{other}");
        } else {
            assert_eq!(one["errors"][0]["row"], 2, "{one}");
            assert_eq!(one, other);
        }
    }
    for broken in ["[", "[{}", "[{},]", "[{}]]", "[] x", "[,]", "{} {}", "{\"age\":1}]"] {
        let detail = ask(broken).ends_with(400).json()["detail"].to_string();
        assert!(detail.contains("line 1 column"), "{broken}: {detail}");
    }
}

#[test]
fn missing_unknown_and_ignored_are_counted() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let body = json!([
        { "age": null, "balance": "NA", "country": "", "colour": "red", "size": [1, {"a": 2}] },
        { "age": 1, "balance": null, "country": "atlantis", "colour": "blue" },
    ]);
    let value = service.post("/prediction", &body).ends_with(200).json();
    assert_eq!(value["imputed"], json!({ "age": 1, "balance": 2, "country": 1 }));
    assert_eq!(value["unknown_categories"], 1);
    assert_eq!(value["ignored"], json!({ "colour": 2, "size": 1 }));
    let csv = "age,balance,country,colour\n,,,red\n1,NA,atlantis,blue\n";
    let again = service.csv("/prediction", csv).ends_with(200).json();
    for key in ["imputed", "unknown_categories", "probabilities"] {
        assert_eq!(value[key], again[key], "{key}");
    }
    assert_eq!(again["ignored"], json!({ "colour": 2 }));
    let many: Vec<String> = (0..500).map(|i| format!("\"x{i}\": 1")).collect();
    let body = format!("{},{}}}", ROW.trim_end_matches('}'), many.join(","));
    let value = service.ask("POST", "/prediction", &[], body.as_bytes()).ends_with(200).json();
    assert_eq!(value["ignored"].as_object().unwrap().len(), 101, "names are bounded");
    assert_eq!(value["ignored"]["(others)"], 400);
}

#[test]
fn a_scorecard_answers_with_points_in_every_form() {
    let training = json!({ "bins": { "age": {}, "balance": {}, "country": {} },
        "scorecard": { "points0": 500, "odds0": 1, "pdo": 40 } });
    let scene = Scene::deployed(&json!({ "training": training }));
    let service = scene.serve();
    let body = json!([row(), { "age": null, "balance": null, "country": "atlantis" }]);
    let value = service.post("/prediction", &body).ends_with(200).json();
    let points: Vec<i64> =
        value["points"].as_array().unwrap().iter().map(|points| points.as_i64().unwrap()).collect();
    for (points, probability) in points.iter().zip(value["probabilities"].as_array().unwrap()) {
        let probability = probability.as_f64().unwrap();
        let exact = 500.0 - 40.0 * (probability / (1.0 - probability)).log2();
        assert!((*points as f64 - exact).abs() <= 2.0, "{points} instead of {exact}");
    }
    assert_eq!(value["imputed"], json!({ "age": 1, "balance": 1 }));
    let csv = "age,balance,country\n41,12.5,de\n,,atlantis\n";
    let again = service.csv("/prediction", csv).ends_with(200).json();
    assert_eq!(
        (&again["points"], &again["probabilities"]),
        (&value["points"], &value["probabilities"])
    );
    // MLflow's answers and those of v2 have the same points.
    for invoked in [
        service.post("/invocations", &json!({ "dataframe_records": body })),
        service.csv("/invocations", csv),
    ] {
        let invoked = invoked.ends_with(200).json();
        assert_eq!(
            (&invoked["points"], &invoked["predictions"]),
            (&value["points"], &value["predictions"])
        );
    }
    let inputs = json!([
        { "name": "age", "shape": [2], "datatype": "FP64", "data": [41, null] },
        { "name": "balance", "shape": [2], "datatype": "FP64", "data": [12.5, null] },
        { "name": "country", "shape": [2], "datatype": "BYTES", "data": ["de", "atlantis"] },
    ]);
    let infer = |request: Value| service.post("/v2/models/model/infer", &request);
    let answer = infer(json!({ "inputs": inputs, "parameters": { "explain": 1 } })).ends_with(200);
    let answer = answer.json();
    let names: Vec<&str> =
        answer["outputs"].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap()).collect();
    assert_eq!(names[..4], ["prediction", "probability", "points", "log_odds"], "{answer}");
    let tensor = &answer["outputs"][2];
    assert_eq!((&tensor["datatype"], &tensor["shape"]), (&json!("INT64"), &json!([2])));
    assert_eq!(tensor["data"], value["points"]);
    let asked = json!({ "inputs": inputs, "outputs": [{ "name": "points" }] });
    let only = infer(asked.clone()).ends_with(200).json();
    assert_eq!((&only["outputs"][0], only["outputs"].as_array().unwrap().len()), (tensor, 1));
    let metadata = service.get("/v2/models/model").ends_with(200).json();
    assert_eq!(
        metadata["outputs"][2],
        json!({ "name": "points", "datatype": "INT64", "shape": [-1] })
    );
    let plain = Scene::deployed(&json!({})).serve();
    for (path, body) in [("/prediction", row()), ("/invocations", json!({ "instances": [row()] }))]
    {
        assert!(plain.post(path, &body).ends_with(200).json().get("points").is_none(), "{path}");
    }
    let metadata = plain.get("/v2/models/model").ends_with(200).json();
    assert_eq!(metadata["outputs"].as_array().unwrap().len(), 2);
    let refused = plain.post("/v2/models/model/infer", &asked).ends_with(400).json().to_string();
    assert!(refused.contains("there is no output") && refused.contains("probability"), "{refused}");
}

#[test]
fn a_date_is_read_as_the_files_of_the_model_are() {
    let config = json!({
        "schema": { "id": ["customer"], "numeric": ["age"], "date": ["since"],
            "target": "churned", "positive_label": "yes", "negative_label": "no" },
        "ingestion": { "date_pattern": "%d.%m.%Y" },
    });
    let scene = Scene::empty(&config);
    let line = |i: u32| {
        let (year, month, day) = (2010 + i % 14, i % 12 + 1, i % 28 + 1);
        let churned = if i * 7 % 20 < i % 14 { "yes" } else { "no" };
        format!("c{i},{},{day:02}.{month:02}.{year},{churned}\n", 20 + i % 50)
    };
    let text = |range: std::ops::Range<u32>| {
        let rows: String = range.map(line).collect();
        format!("customer,age,since,churned\n{rows}")
    };
    scene.file("in/a.csv", text(0..300));
    scene.file("test/test.csv", text(300..500));
    scene.release();
    let service = scene.serve();
    let ask = |since: Value| service.post("/prediction", &json!({ "age": 40, "since": since }));
    let plain = ask(json!("2020-03-31")).ends_with(200);
    for same in ["31.03.2020", " 2020-03-31T00:00:00Z "] {
        assert_eq!(ask(json!(same)).ends_with(200).bits(), plain.bits(), "{same}");
    }
    let csv = service.csv("/prediction", "since,age\n31.03.2020,40\n").ends_with(200);
    assert_eq!(csv.bits(), plain.bits());
    assert_ne!(ask(json!("2012-03-31")).ends_with(200).bits(), plain.bits());
    assert_eq!(ask(Value::Null).ends_with(200).json()["imputed"], json!({ "since": 1 }));
    for wrong in [json!("03/31/2020"), json!(18352)] {
        let text = ask(wrong).ends_with(422).json().to_string();
        assert!(text.contains("is not a date") && text.contains("since"), "{text}");
    }
    let csv = service.csv("/prediction", "since,age\n2020-02-30,40\n").ends_with(422).json();
    assert!(csv.to_string().contains("is not a date"), "{csv}");
}

#[test]
fn rows_that_break_the_schema_are_named_with_row_column_and_reason() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let body = json!([
        row(),
        { "age": "many", "balance": 1, "country": "de" },
        { "age": 1, "country": "de" },
        7,
        { "age": [1], "balance": {"a": 1}, "country": true },
    ]);
    let refused = service.post("/prediction", &body).ends_with(422);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let value = refused.json();
    let found: Vec<_> = value["errors"].as_array().unwrap().iter().collect();
    let places: Vec<_> = found.iter().map(|e| (e["row"].as_u64(), e["column"].as_str())).collect();
    let expected = [
        (Some(1), Some("age")),
        (Some(2), Some("balance")),
        (Some(3), None),
        (Some(4), Some("age")),
        (Some(4), Some("balance")),
    ];
    assert_eq!(places, expected, "{value:#}");
    assert!(found.iter().all(|e| e["reason"].as_str().is_some_and(|r| r.len() > 10)), "{value:#}");
    assert_eq!(value["error_count"], 5);

    let twice = br#"{"age": 1, "age": 2, "balance": 1, "country": "de"}"#;
    let value = service.ask("POST", "/prediction", &[], twice).ends_with(422).json();
    assert_eq!(value["errors"][0]["reason"], "the field is there twice");

    let bad = vec![json!({ "age": "x", "balance": 1, "country": "de" }); 250];
    let value = service.post("/prediction", &json!(bad)).ends_with(422).json();
    assert_eq!(value["errors"].as_array().unwrap().len(), 100);
    assert_eq!(value["error_count"], 250);

    let csv = "age,balance,country\n1,2,de\nx,2,de\n1,2\n3,y,de\n";
    let value = service.csv("/prediction", csv).ends_with(422).json();
    let errors = value["errors"].as_array().unwrap();
    let place = |e: &Value| (e["row"].as_u64(), e["line"].as_u64());
    let places: Vec<_> = errors.iter().map(place).collect();
    let at = |row, line| (Some(row), Some(line));
    assert_eq!(places, [at(1, 3), at(2, 4), at(3, 5)], "{value:#}");

    let split = json!({ "columns": ["age", "balance", "country"], "data": [[1, 2, "de"], [1, 2]] });
    let value = service.post("/prediction", &split).ends_with(422).json();
    assert_eq!(value["errors"][0]["reason"], "the row has 2 values for 3 columns");
}

#[test]
fn a_model_that_fills_nothing_refuses_what_is_missing() {
    for policy in ["drop", "reject"] {
        let scene = Scene::deployed(&json!({ "training": { "missing": policy } }));
        let service = scene.serve();
        let body = json!([row(), { "age": null, "balance": 1, "country": "de" },
            { "age": 1, "balance": 1, "country": "" }]);
        let value = service.post("/prediction", &body).ends_with(422).json();
        let place =
            |i: usize| (value["errors"][i]["row"].as_u64(), value["errors"][i]["column"].as_str());
        assert_eq!([place(0), place(1)], [(Some(1), Some("age")), (Some(2), Some("country"))]);
        // A line that cannot be read comes before: rows are counted with it.
        let csv = "age,balance,country\nx,1,de\n1,1,de\n,1,de\n";
        let value = service.csv("/prediction", csv).ends_with(422).json();
        let rows = value["errors"].as_array().unwrap().iter().map(|e| e["row"].as_u64().unwrap());
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable();
        assert_eq!(rows, [0, 2], "{value:#}");
        service.post("/prediction", &row()).ends_with(200);
    }
}

#[test]
fn malformed_requests_are_refused_as_malformed() {
    let scene = Scene::deployed(&json!({ "service": { "max_body_bytes": 2000 } }));
    let service = scene.serve();
    let json_type = [("content-type", "application/json")];
    for body in [
        "",
        "{",
        "3",
        "null",
        "\"x\"",
        "[{]",
        "{\"age\": NaN}",
        "{} {}",
        "[1e999]",
        "\u{0}",
        r#"{"data": [[1]]}"#,
        r#"{"columns": ["age", "age"], "data": []}"#,
        r#"{"columns": ["age"], "columns": ["age"], "data": []}"#,
        r#"{"columns": 1, "data": []}"#,
        r#"{"columns": ["age"], "data": [[1]], "data": [[2]]}"#,
        r#"{"data": [[1]], "columns": ["age"], "data": [[2]]}"#,
        r#"{"columns": ["age"], "data": [1]}"#,
        r#"{"filepath": 1}"#,
        r#"{"filepath": "a.csv", "age": 1}"#,
        r#"{"age": 1, "columns": ["age"], "data": []}"#,
    ] {
        let refused =
            service.ask("POST", "/prediction", &json_type, body.as_bytes()).ends_with(400);
        assert_eq!(refused.header("content-type"), "application/problem+json");
        assert!(refused.json()["detail"].as_str().unwrap().len() > 10, "{body}");
    }
    for body in ["age,balance\n1,2\n", "age,age,balance,country\n1,1,1,1\n", "\"age\n"] {
        service.csv("/prediction", body).ends_with(400);
    }
    for kind in ["application/xml", "application/x-www-form-urlencoded", "text/csv; charset=utf-16"]
    {
        service.ask("POST", "/prediction", &[("content-type", kind)], b"x").ends_with(415);
    }
    let packed = [("content-type", "application/json"), ("content-encoding", "br")];
    service.ask("POST", "/prediction", &packed, b"x").ends_with(415);
    let large = format!("[{}]", vec![ROW; 100].join(","));
    service.ask("POST", "/prediction", &json_type, large.as_bytes()).ends_with(413);
}

#[test]
fn bodies_may_be_packed_both_ways() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let text = rows(500, 5, true);
    let plain = service.csv("/prediction", &text).ends_with(200);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    let headers =
        [("content-type", "text/csv"), ("content-encoding", "gzip"), ("accept-encoding", "gzip")];
    let answer = service.ask("POST", "/prediction", &headers, &packed).ends_with(200);
    assert_eq!(
        (answer.header("content-encoding"), answer.header("vary")),
        ("gzip", "accept-encoding")
    );
    assert!(answer.body.len() * 2 < plain.body.len());
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&answer.body[..]), &mut unpacked)
        .unwrap();
    assert_eq!(unpacked, plain.body);
    service.ask("POST", "/prediction", &headers, b"no gzip").ends_with(400);
}

#[test]
fn methods_ids_and_unknown_paths() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let options = service.ask("OPTIONS", "/scoring", &[], b"").ends_with(204);
    assert_eq!(options.header("allow"), "GET, HEAD, POST, OPTIONS");
    let wrong = service.ask("DELETE", "/prediction", &[], b"").ends_with(405);
    assert_eq!(wrong.header("allow"), "POST, OPTIONS");
    assert_eq!(service.get("/prediction").ends_with(405).json()["status"], 405);
    let (head, get) = (service.ask("HEAD", "/scoring", &[], b""), service.get("/scoring"));
    assert_eq!(head.header("content-length"), get.header("content-length"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        service.get("/nothing").ends_with(404).header("content-type"),
        "application/problem+json"
    );
    assert!(service.get("/v2/nothing").ends_with(404).json()["error"].is_string());
    assert!(service.get("/v2/models/%ff").ends_with(400).json()["error"].is_string());
    service.get("/v2/models/other").ends_with(404);
    service.get("/v2/models/model/versions/r-9-000000000000").ends_with(404);
    let id = |value: &str| {
        let answer = service.ask("GET", "/nothing", &[("x-request-id", value)], b"");
        (
            answer.header("x-request-id").to_owned(),
            answer.json()["request_id"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(id("abc-7"), ("abc-7".to_owned(), "abc-7".to_owned()));
    let (long, _) = id(&"x".repeat(200));
    assert!(!long.is_empty() && long.len() < 64 && id("a b").0 != "a b");
    assert_ne!(
        service.get("/livez").header("x-request-id"),
        service.get("/livez").header("x-request-id")
    );
    // No other origin is let in unless it is named.
    let answer = service.ask("GET", "/livez", &[("origin", "https://pages.example")], b"");
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[test]
fn pages_of_a_named_origin_are_let_in() {
    let scene =
        Scene::deployed(&json!({ "service": { "cors_origins": ["https://pages.example"] } }));
    let service = scene.serve();
    let ask = |origin| service.ask("OPTIONS", "/prediction", &[("origin", origin)], b"");
    let preflight = ask("https://pages.example").ends_with(204);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://pages.example");
    assert!(preflight.header("access-control-allow-headers").contains("content-type"));
    assert_eq!(ask("https://evil.example").header("access-control-allow-origin"), "");
}

#[test]
fn labelled_rows_are_scored_as_the_core_does_and_recorded_nowhere() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let text = rows(400, 11, false);
    let probabilities = service.csv("/prediction", &text).ends_with(200).bits();
    let probabilities: Vec<f64> = probabilities.into_iter().map(f64::from_bits).collect();
    let labels: Vec<bool> = text.lines().skip(1).map(|line| line.ends_with("yes")).collect();
    let expected = Evaluation::of(&labels, &probabilities, 0.5).unwrap();
    let expected = serde_json::to_value(expected).unwrap();
    let csv = service.csv("/scoring", &text).ends_with(200).json();
    let objects: Vec<Value> = text
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            json!({ "age": cells[1], "balance": cells[2], "country": cells[3], "churned": cells[4] })
        })
        .collect();
    let json = service.post("/scoring", &json!(objects)).ends_with(200).json();
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!((&csv[key], &json[key]), (value, value), "{key}");
    }
    let without = service.csv("/scoring", "age,balance,country\n1,2,de\n").ends_with(400);
    assert!(without.text().contains("churned"), "{without:?}");
    let value = service.post("/scoring", &json!([row()])).ends_with(422).json();
    assert_eq!(value["errors"][0]["column"], "churned");
    service.csv("/scoring", HEADER).ends_with(422);
}
