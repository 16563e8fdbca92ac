//! Requests that no client of ours sends: from foreign pages, under foreign names, with numbers
//! beyond all numbers, with what is almost JSON.

use mlops_serve::{Options, Tokens};
use serde_json::{Value, json};

use crate::scene::{HEADER, Scene};

const ROW: &[u8] = br#"{"age": 41, "balance": 12.5, "country": "de"}"#;

/// A row whose score is no number: one value is infinitely far to the one side, another to the other.
fn endless() -> [f64; 2] {
    [f64::MAX, f64::MAX]
}

/// A model of two opposite features, so that two very large values leave no number.
fn opposite() -> Scene {
    let schema = json!({ "id": ["id"], "numeric": ["a", "b"], "target": "y" });
    let scene =
        Scene::empty(&json!({ "schema": schema, "service": { "prediction_log_path": "log" } }));
    let rows = |n: u32, first: u32| {
        let mut text = "id,a,b,y\n".to_owned();
        for i in first..first + n {
            let (a, b) = (f64::from(i * 37 % 101) / 101.0, f64::from(i * 53 % 97) / 97.0);
            text += &format!("r{i},{a},{b},{}\n", u8::from(a > b));
        }
        text
    };
    scene.file("in/a.csv", rows(400, 0));
    scene.file("test/t.csv", rows(100, 1000));
    scene.release();
    scene
}

#[test]
fn every_row_has_its_answer_or_the_request_is_refused_with_its_place() {
    let scene = opposite();
    let service = scene.serve();
    let [a, b] = endless();
    let rows = json!([{ "id": "first", "a": 0.9, "b": 0.1, "y": 1 },
        { "id": "far", "a": a, "b": b, "y": 0 }, { "id": "last", "a": 0.1, "b": 0.9, "y": 0 }]);
    let column = |name: &str| -> Vec<Value> {
        rows.as_array().unwrap().iter().map(|row| row[name].clone()).collect()
    };
    let tensor = |name: &str, kind: &str| json!({ "name": name, "shape": [3], "datatype": kind, "data": column(name) });
    let text = format!("id,a,b,y\nfirst,0.9,0.1,1\nfar,{a},{b},0\nlast,0.1,0.9,0\n");
    scene.file("test/far.csv", &text);
    let split: Vec<Value> =
        rows.as_array().unwrap().iter().map(|r| json!([r["a"], r["b"]])).collect();
    let answers = [
        service.post("/prediction", &rows),
        service.post("/prediction", &json!({ "columns": ["a", "b"], "data": split })),
        service.csv("/prediction", &text),
        service.post("/prediction", &json!({ "filepath": "far.csv" })),
        service.post("/scoring", &rows),
        service.csv("/scoring", &text),
        service.post("/scoring", &json!({ "filepath": "far.csv" })),
    ];
    for answer in answers {
        let problem = answer.ends_with(422).json();
        assert_eq!(problem["error_count"], 1, "{problem}");
        assert_eq!(problem["errors"][0]["row"], 1, "{problem}");
        assert!(
            ["a", "b"].contains(&problem["errors"][0]["column"].as_str().unwrap()),
            "{problem}"
        );
    }
    let answers = [
        service.post("/invocations", &json!({ "dataframe_records": rows })),
        service.post("/invocations", &json!({ "instances": split })),
        service.post("/invocations", &json!({ "inputs": { "a": column("a"), "b": column("b") } })),
        service.csv("/invocations", &text),
        service.post(
            "/v2/models/model/infer",
            &json!({ "inputs": [tensor("a", "FP64"), tensor("b", "FP64")] }),
        ),
        service.post(
            "/v2/models/model/infer",
            &json!({ "inputs": [{ "name": "all", "shape": [3, 2], "datatype": "FP64", "data": split }] }),
        ),
    ];
    for answer in answers {
        let answer = answer.ends_with(422);
        assert!(answer.text().contains("row 1, column"), "{}", answer.text());
    }
    assert!(!scene.path("log").read_dir().unwrap().any(|_| true), "a refused row was logged");
    // Without that row all others keep their places.
    let sound = json!([rows[0], rows[2]]);
    assert_eq!(service.post("/prediction", &sound).ends_with(200).bits().len(), 2);
    // Far away on one side is a probability of 0 or 1.
    let far = service.post("/prediction", &json!([{ "a": a, "b": 0 }])).ends_with(200).json();
    assert_eq!(far["probabilities"][0], 1.0);
}

#[test]
fn a_row_without_a_number_late_in_a_large_request_is_named_too() {
    let scene = opposite();
    let service = scene.serve();
    let mut rows: Vec<Value> = (0..9000).map(|_| json!({ "a": 0.5, "b": 0.25 })).collect();
    rows[8765] = json!({ "a": f64::MAX, "b": f64::MAX });
    let problem = service.post("/prediction", &json!(rows)).ends_with(422).json();
    assert_eq!(problem["errors"][0]["row"], 8765);
    rows[8765] = json!({ "a": "x", "b": 1 });
    let problem = service.post("/prediction", &json!(rows)).ends_with(422).json();
    assert_eq!(problem["errors"][0]["row"], 8765);
    rows[8765] = json!({ "a": 0.75, "b": 0.25 });
    let answer = service.post("/prediction", &json!(rows)).ends_with(200);
    let bits = answer.bits();
    let alone = service.post("/prediction", &json!([rows[8765], rows[0]])).ends_with(200).bits();
    assert_eq!(
        (bits.len(), bits[8765], bits[8764], bits[8999]),
        (9000, alone[0], alone[1], alone[1])
    );
}

#[test]
fn without_tokens_only_names_of_this_machine_are_served() {
    let scene = Scene::deployed(&json!({ "service": { "host_names": ["models.example"] } }));
    let ask = |service: &crate::scene::Service, host: &str| {
        let mut connection = crate::http::Connection::open(service.address);
        connection.raw(format!("GET /scoring HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes());
        connection.answer(false).unwrap()
    };
    let service = scene.serve();
    let names = ["localhost", "LocalHost:8000", "localhost.", "127.0.0.1:80", "[::1]:1", "[::1]"];
    for host in names.into_iter().chain(["Models.Example", "models.example.:81"]) {
        ask(&service, host).ends_with(200);
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1:8000",
        "0.0.0.0",
        "[::2]:80",
        "localhost@evil.example",
        "evil.example:localhost",
    ] {
        let refused = ask(&service, host).ends_with(421);
        assert!(refused.text().contains("service.host_names"), "{}", refused.text());
    }
    for (head, status) in [
        // What stands in the address counts, not the header.
        ("GET http://evil.example/scoring HTTP/1.1\r\nhost: localhost\r\n", 421),
        ("GET http://localhost@evil.example/scoring HTTP/1.1\r\nhost: localhost\r\n", 421),
        ("GET http://LOCALHOST:1/scoring HTTP/1.1\r\nhost: localhost:1\r\n", 200),
        ("GET http://[::1]:8000/scoring HTTP/1.1\r\nhost: [::1]:8000\r\n", 200),
        // Browsers name a host always, old programs need not.
        ("GET /scoring HTTP/1.0\r\n", 200),
        ("GET /scoring HTTP/1.0\r\nhost: evil.example\r\n", 421),
        ("GET /scoring HTTP/1.1\r\nhost: \r\n", 421),
    ] {
        let mut connection = crate::http::Connection::open(service.address);
        connection.raw(format!("{head}\r\n").as_bytes());
        assert_eq!(connection.answer(false).unwrap().status, status, "{head}");
    }
    let mut tokens = Tokens::default();
    tokens.add("read", "read-0123456789abcdef", "a test").unwrap();
    ask(&scene.serve_with(Options { tokens, ..Options::default() }), "any.example").ends_with(401);
    ask(&scene.serve_with(Options { insecure: true, ..Options::default() }), "any.example")
        .ends_with(200);
}

#[test]
fn pages_of_others_post_nothing() {
    let origins = json!({ "service": { "cors_origins": ["https://pages.example"] } });
    let service = Scene::deployed(&origins).serve();
    let post = |headers: &[(&str, &str)]| service.ask("POST", "/prediction", headers, ROW).status;
    let json = ("content-type", "application/json");
    assert_eq!(post(&[json, ("origin", "https://pages.example")]), 200);
    assert_eq!(post(&[json, ("origin", "http://localhost")]), 200);
    let proxied = [json, ("origin", "https://m.example"), ("x-forwarded-host", "m.example")];
    assert_eq!(post(&proxied), 200);
    let at = |host: &str, origin: &str| {
        let mut connection = crate::http::Connection::open(service.address);
        let head = format!(
            "POST /prediction HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\ncontent-length: {}\r\n\r\n",
            ROW.len()
        );
        connection.raw(&[head.as_bytes(), ROW].concat());
        connection.answer(false).unwrap().status
    };
    for (host, origin, status) in [
        ("[::1]:8000", "http://[::1]:8000", 200),
        ("[::1]:8000", "http://[::1]:9000", 403),
        ("LocalHost:8000", "http://localhost:8000", 200),
        ("localhost.:8000", "http://localhost.:8000", 200),
        ("127.0.0.1:8000", "http://localhost:8000", 403),
    ] {
        assert_eq!(at(host, origin), status, "{host} {origin}");
    }
    for origin in ["http://evil.example", "null", "http://localhost:9999", ""] {
        assert_eq!(post(&[json, ("origin", origin)]), 403, "{origin}");
    }
    assert_eq!(post(&[("content-type", "text/plain")]), 415);
    assert_eq!(post(&[("content-type", "application/x-www-form-urlencoded")]), 415);
}

#[test]
fn what_is_almost_json_is_refused_in_words_that_help() {
    let service = Scene::deployed(&json!({})).serve();
    let bom = [b"\xef\xbb\xbf", ROW].concat();
    let utf16: Vec<u8> = "\u{feff}[]".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let tensor = br#"{"inputs": [{"name": "age", "shape": [1], "datatype": "FP64",
        "parameters": {"binary_data_size": 8}}]}"#;
    let infer = "/v2/models/model/infer";
    for (path, body, words) in [
        ("/prediction", &br#"[{"age": NaN, "balance": 1, "country": "de"}]"#[..], "send null"),
        ("/prediction", br#"{"columns": ["age"], "data": [[1],[-Infinity]]}"#, "finite number"),
        ("/prediction", br#"{"age": None}"#, "send null"),
        ("/invocations", br#"{"instances": [[1, Infinity, "de"]]}"#, "finite number"),
        (
            "/invocations",
            br#"{"dataframe_split": {"columns": ["age"], "data": [[1]], "data": [[2]]}}"#,
            "is there twice",
        ),
        (
            infer,
            br#"{"inputs": [{"name": "age", "shape": [1], "datatype": "FP64", "data": [NaN]}]}"#,
            "send null",
        ),
        (infer, tensor, "binary_data=False"),
        ("/prediction", &bom, "byte-order mark"),
        ("/invocations", &bom, "byte-order mark"),
        (infer, &bom, "byte-order mark"),
        ("/prediction", &utf16, "UTF-16"),
    ] {
        let answer = service.ask("POST", path, &[], body).ends_with(400);
        assert!(answer.text().contains(words), "{words}: {}", answer.text());
    }
    // In a file the mark is put right, in CSV too.
    let csv = format!("\u{feff}{HEADER}c,41,12.5,de,no\n");
    service.csv("/prediction", &csv).ends_with(200);
}

#[test]
fn messages_about_a_request_are_short_whatever_it_holds() {
    let service = Scene::deployed(&json!({})).serve();
    let long = "x".repeat(300_000);
    let names: Vec<String> = (0..2000).map(|i| format!("{long:.50}{i}")).collect();
    for (path, body) in [
        ("/prediction", json!(long)),
        ("/prediction", json!({ "columns": long })),
        ("/prediction", json!({ "columns": [long, long], "data": [[1]] })),
        ("/prediction", json!({ "age": long, "balance": 1, "country": "de" })),
        ("/invocations", json!({ "inputs": long })),
        ("/invocations", json!({ "inputs": { &long: [1], "age": [1, 2] } })),
        (
            "/v2/models/model/infer",
            json!({ "inputs": [{ "name": long, "shape": [3], "datatype": "FP64", "data": [1] }] }),
        ),
        (
            "/v2/models/model/infer",
            json!({ "inputs": [{ "name": "age", "shape": [1], "datatype": long, "data": [1] }] }),
        ),
        ("/v2/models/model/infer", json!({ "inputs": [], "outputs": [{ "name": long }] })),
    ] {
        let answer = service.post(path, &body);
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        assert!(answer.body.len() < 4096, "{path}: {} bytes", answer.body.len());
    }
    let header = service.csv("/prediction", &(names.join(",") + "\n1\n")).ends_with(400);
    assert!(header.body.len() < 4096, "{} bytes", header.body.len());
}

#[test]
fn an_output_is_given_once() {
    let service = Scene::deployed(&json!({})).serve();
    let tensor = |name: &str, kind: &str, data: Value| json!({ "name": name, "shape": [1], "datatype": kind, "data": data });
    let inputs = json!([
        tensor("age", "FP64", json!([4])),
        tensor("balance", "FP64", json!([4])),
        tensor("country", "BYTES", json!(["de"]))
    ]);
    let outputs = json!([{ "name": "probability" }, { "name": "probability" }]);
    let twice = json!({ "inputs": inputs, "outputs": outputs });
    service.post("/v2/models/model/infer", &twice).ends_with(400);
}

#[test]
fn behind_a_proxy_the_description_leads_back_through_it() {
    let scene = Scene::deployed(&json!({ "service": { "root_path": "/models/churn" } }));
    let service = scene.serve();
    let servers = |headers: &[(&str, &str)]| {
        let api = service.ask("GET", "/openapi.json", headers, b"").ends_with(200).json();
        api["servers"][0]["url"].clone()
    };
    assert_eq!(servers(&[]), "/models/churn");
    assert_eq!(servers(&[("x-forwarded-prefix", "/other/")]), "/other");
    assert_eq!(servers(&[("x-forwarded-prefix", "https://evil.example")]), "/models/churn");
    for path in ["/models/churn/prediction", "/prediction"] {
        service.ask("POST", path, &[], ROW).ends_with(200);
    }
    for path in ["/models/churn/docs", "/docs"] {
        let page = service.get(path).ends_with(200);
        // All that it asks for is beneath the path of the page itself, whatever that is.
        let asked: Vec<&str> = page.text().split("fetch(").skip(1).collect();
        assert_eq!(asked.len(), 2);
        assert!(
            page.text()
                .contains(r#"const base = location.pathname.replace(/\/(docs)?$/, "") + "/""#)
        );
        assert!(asked[1].starts_with("base + \"openapi.json\""), "{}", asked[1]);
        assert!(page.text().contains("let url = base + path.replace("));
    }
    for path in ["/models/churn/openapi.json", "/openapi.json"] {
        service.get(path).ends_with(200);
    }
    service.get("/models/churned/livez").ends_with(404);
}
