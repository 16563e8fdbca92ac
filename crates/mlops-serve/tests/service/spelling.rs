//! How numbers are spelt, in every protocol: JSON numbers are numbers; texts and CSV are read as the
//! model's files are, or as programs spell numbers, and never guessed.

use serde_json::{Value, json};

use crate::http::Answer;
use crate::scene::{Scene, Service};

const INFER: &str = "/v2/models/model/infer";

/// Whether the model's files have a decimal comma; two numeric features of a size at which a factor of
/// a thousand is seen.
fn scene(comma: bool) -> Scene {
    let schema = json!({ "id": ["id"], "numeric": ["a", "b"], "target": "y" });
    let decimal = if comma { "," } else { "." };
    let scene = Scene::empty(&json!({ "schema": schema, "ingestion": { "decimal": decimal } }));
    let rows = |n: u32, first: u32| {
        let mut text = "id,a,b,y\n".to_owned();
        for i in first..first + n {
            let (a, b) = (f64::from(i * 37 % 101) / 8.0, f64::from(i * 53 % 97) / 8.0);
            let [a, b] = [a, b].map(|v| {
                if comma {
                    format!("\"{}\"", v.to_string().replace('.', ","))
                } else {
                    v.to_string()
                }
            });
            text += &format!("r{i},{a},{b},{}\n", u8::from(i * 37 % 101 > i * 53 % 97));
        }
        text
    };
    scene.file("in/a.csv", rows(400, 0));
    scene.file("test/t.csv", rows(100, 1000));
    scene.release();
    scene
}

/// One row with `a` and `b` as texts, in every form that takes texts, with `more` behind the type.
fn spelt(service: &Service, a: &str, b: &str, more: &str) -> Vec<(&'static str, Answer)> {
    let json = format!("application/json{more}");
    let csv = format!("text/csv{more}");
    let tensor = |name: &str, text: &str| json!({ "name": name, "shape": [1], "datatype": "BYTES", "data": [text] });
    let post = |path: &str, body: Value| {
        service.ask("POST", path, &[("content-type", &json)], body.to_string().as_bytes())
    };
    let text = format!("id,a,b,y\nx,\"{a}\",\"{b}\",1\n");
    let comma = |path: &str| service.ask("POST", path, &[("content-type", &csv)], text.as_bytes());
    vec![
        ("object", post("/prediction", json!({ "a": a, "b": b }))),
        ("list", post("/prediction", json!([{ "a": a, "b": b }]))),
        ("table", post("/prediction", json!({ "columns": ["a", "b"], "data": [[a, b]] }))),
        ("csv", comma("/prediction")),
        ("scored object", post("/scoring", json!([{ "a": a, "b": b, "y": 1 }]))),
        ("scored csv", comma("/scoring")),
        (
            "split",
            post(
                "/invocations",
                json!({ "dataframe_split": { "columns": ["a", "b"], "data": [[a, b]] } }),
            ),
        ),
        ("records", post("/invocations", json!({ "dataframe_records": [{ "a": a, "b": b }] }))),
        ("instances", post("/invocations", json!({ "instances": [[a, b]] }))),
        ("inputs", post("/invocations", json!({ "inputs": { "a": [a], "b": [b] } }))),
        ("mlflow csv", comma("/invocations")),
        ("tensors", post(INFER, json!({ "inputs": [tensor("a", a), tensor("b", b)] }))),
        (
            "matrix",
            post(
                INFER,
                json!({ "inputs": [{ "name": "all", "shape": [1, 2], "datatype": "BYTES", "data": [a, b] }] }),
            ),
        ),
    ]
}

/// The probability in an answer, as far as its form tells it.
fn probability(answer: &Answer) -> Option<f64> {
    let value = answer.json();
    let own = value["probabilities"][0].as_f64();
    own.or_else(|| value["outputs"][1]["data"][0].as_f64()).or_else(|| {
        // Of one positive row the loss tells it.
        value["log_loss"].as_f64().map(|loss| (-loss).exp())
    })
}

/// That all forms read the texts as these numbers.
fn read(service: &Service, (a, b): (&str, &str), more: &str, (x, y): (f64, f64)) {
    let expected = service.post("/prediction", &json!({ "a": x, "b": y })).ends_with(200);
    let expected = probability(&expected).unwrap();
    let label = service.post("/invocations", &json!({ "instances": [[x, y]] })).json();
    for (form, answer) in spelt(service, a, b, more) {
        assert_eq!(answer.status, 200, "{form} of {a} {b}: {}", answer.text());
        match probability(&answer) {
            Some(found) => assert!((found - expected).abs() < 1e-12, "{form} of {a} {b}: {found}"),
            None => assert_eq!(answer.json(), label, "{form} of {a} {b}"),
        }
    }
}

/// That all forms refuse them, in words of which `words` are some.
fn refused(service: &Service, (a, b): (&str, &str), more: &str, words: &str) {
    for (form, answer) in spelt(service, a, b, more) {
        assert_eq!(answer.status, 422, "{form} of {a} {b}: {}", answer.text());
        assert!(answer.text().contains(words), "{form} of {a} {b}: {}", answer.text());
        assert!(answer.body.len() < 2048, "{form} of {a} {b}: {}", answer.text());
    }
}

#[test]
fn with_a_decimal_point_a_decimal_comma_is_refused_everywhere() {
    let service = scene(false).serve();
    for text in ["0,125", "-0,125", "00,123", "12,5", "1.234,5"] {
        refused(&service, (text, "1"), "", "decimal comma");
        refused(&service, ("1", text), "; decimal=point", "decimal comma");
    }
    read(&service, ("1,234", "-1,234.5"), "", (1234.0, -1234.5));
    read(&service, ("0.125", "007"), "; charset=\"utf-8\"; decimal=point", (0.125, 7.0));
    // Whoever says that it is a comma is believed.
    read(&service, ("0,125", "1,234"), "; decimal=comma", (0.125, 1.234));
}

#[test]
fn with_a_decimal_comma_both_spellings_are_read_and_none_is_guessed() {
    let service = scene(true).serve();
    read(&service, ("0,125", "-1.234,5"), "", (0.125, -1234.5));
    read(&service, ("0.125", "-12.5"), "", (0.125, -12.5));
    read(&service, ("7", "1e1"), "", (7.0, 10.0));
    for text in ["1.234", "-12.500", "123.456"] {
        refused(&service, (text, "1"), "", "decimal=point");
        refused(&service, ("0,5", text), "", "decimal=comma");
    }
    // An English thousands separator beside a decimal point would be read as a decimal comma.
    refused(&service, ("12.5", "1,234"), "", "not both");
    refused(&service, ("1,234", "12.5"), "", "not both");
    read(&service, ("1.234", "12.5"), "; decimal=point", (1.234, 12.5));
    read(&service, ("1.234", "12,5"), "; decimal=comma", (1234.0, 12.5));
    refused(&service, ("1", "12,5"), ";decimal=point", "decimal comma");
    refused(&service, ("12.5", "1"), ";decimal=comma", "decimal point");
    let strange = [("content-type", "text/csv; decimal=.")];
    service.ask("POST", "/prediction", &strange, b"a,b\n1,2\n").ends_with(415);
}

#[test]
fn json_numbers_are_numbers_whatever_is_configured() {
    let (point, comma) = (scene(false), scene(true));
    let (point, comma) = (point.serve(), comma.serve());
    let rows =
        json!([{ "a": 0.125, "b": 1.234 }, { "a": 1234, "b": -12.5 }, { "a": 1e-3, "b": 7 }]);
    let bits = |service: &Service| service.post("/prediction", &rows).ends_with(200).bits();
    assert_eq!(bits(&point), bits(&comma));
}

#[test]
fn a_refused_number_is_named_with_row_column_and_line() {
    let service = scene(true).serve();
    let text = "a,b\n\"0,5\",1\n1,2,3\n\"0,25\",1.234\n1.5,1\nx,\"2,5\"\n";
    let problem = service.csv("/prediction", text).ends_with(422).json();
    let errors = problem["errors"].as_array().unwrap().iter();
    let places: Vec<_> =
        errors.map(|e| (e["row"].as_u64(), e["line"].as_u64(), e["column"].as_str())).collect();
    let place = |row, line, column| (Some(row), Some(line), column);
    let expected =
        [place(1, 3, None), place(2, 4, Some("b")), place(3, 5, Some("a")), place(4, 6, Some("a"))];
    assert_eq!(places, expected, "{problem:#}");
    assert_eq!(problem["error_count"], 4);
}

#[test]
fn files_are_read_as_ingestion_reads_them_and_our_own_as_we_spell_them() {
    let scene = scene(true);
    scene.file("test/theirs.csv", "id,a,b,y\nx,\"0,5\",1.234,1\n");
    let service = scene.serve();
    let file = |path: &str| {
        service.post("/prediction", &json!({ "filepath": path })).ends_with(200).bits()
    };
    let numbers = json!([{ "a": 0.5, "b": 1234 }]);
    assert_eq!(file("theirs.csv"), service.post("/prediction", &numbers).ends_with(200).bits());
    let own = std::fs::read_to_string(scene.path("out/finaldata1.csv")).unwrap();
    let headers = [("content-type", "text/csv; decimal=point")];
    let expected = service.ask("POST", "/prediction", &headers, own.as_bytes()).ends_with(200);
    assert!(own.contains('.') && expected.bits().len() > 300);
    assert_eq!(file("finaldata1.csv"), expected.bits());
}

#[test]
fn missing_values_are_the_same_in_both_spellings() {
    let service = scene(true).serve();
    let text = "a,b\nNA,\"0,5\"\n,1\n";
    let value = service.csv("/prediction", text).ends_with(200).json();
    assert_eq!(value["imputed"], json!({ "a": 2 }));
    let json = json!([{ "a": "NA", "b": "0,5" }, { "a": null, "b": 1 }]);
    let json = service.post("/prediction", &json).ends_with(200).json();
    assert_eq!(value["probabilities"], json["probabilities"]);
}
