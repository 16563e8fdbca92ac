//! Clients one by one: how much each may ask, who it is behind a proxy, and what is told of those
//! who are refused. Not for limits that all share: see `manners`.

use std::sync::Arc;

use mlops_core::platform::lines::Lines;
use mlops_serve::{Options, Tokens};
use serde_json::{Value, json};

use crate::http::Connection;
use crate::scene::{Log, Scene};

const BODY: &[u8] = br#"{"age": 41, "balance": 12.5, "country": "de"}"#;
const READ: &str = "Bearer read-0123456789abcdef";
const PREDICT: &str = "Bearer predict-0123456789abcdef";

fn tokens() -> Tokens {
    let mut tokens = Tokens::default();
    tokens.add("read", &READ[7..], "a test").unwrap();
    tokens.add("predict", &PREDICT[7..], "a test").unwrap();
    tokens
}

/// Options with a log that can be read.
fn logged(json_log: bool, tokens: Tokens) -> (Options, Log) {
    let log = Log::default();
    let lines = Lines::to("test", 1 << 20, log.clone(), |n| format!("{n} lost\n"));
    (Options { access_log: Some(Arc::new(lines)), json_log, tokens, ..Options::default() }, log)
}

#[test]
fn who_asks_too_much_is_told_when_to_come_back_and_others_are_answered() {
    // So slow that no test takes as long as a second request needs to be allowed.
    let limit = json!({ "requests_per_second": 0.001, "burst": 3 });
    let scene =
        Scene::deployed(&json!({ "service": { "rate_limit": limit, "proxies": ["127.0.0.0/8"] } }));
    let service = scene.serve();
    let from =
        |client: &str| service.ask("POST", "/prediction", &[("x-forwarded-for", client)], BODY);
    for _ in 0..3 {
        from("203.0.113.1").ends_with(200);
    }
    let refused = from("203.0.113.1").ends_with(429);
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((900..=1000).contains(&seconds), "{seconds}");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert!(refused.text().contains("service.rate_limit"), "{refused:?}");
    // What the client writes itself changes nothing, nor does another address of its house.
    from("198.51.100.9, 203.0.113.1").ends_with(429);
    from("2001:db8::1").ends_with(200);
    from("2001:db8::2").ends_with(200);
    from("2001:db8::3").ends_with(200);
    from("2001:db8::4").ends_with(429);
    from("2001:db8:0:1::1").ends_with(200);
    from("203.0.113.2").ends_with(200);
    // In the words of each protocol.
    let headers = [("x-forwarded-for", "203.0.113.1")];
    let mlflow = service.ask("POST", "/invocations", &headers, b"{}").ends_with(429);
    assert_eq!(mlflow.json()["error_code"], "REQUEST_LIMIT_EXCEEDED");
    for path in ["/livez", "/readyz", "/health", "/ping", "/v2/health/live"] {
        service.ask("GET", path, &headers, b"").ends_with(200);
    }
}

#[test]
fn a_token_can_be_what_is_counted() {
    let limit = json!({ "requests_per_second": 0.001, "burst": 2, "by": "token" });
    let scene = Scene::deployed(&json!({ "service": { "rate_limit": limit } }));
    let service = scene.serve_with(Options { tokens: tokens(), ..Options::default() });
    let get = |token: &str| service.ask("GET", "/scoring", &[("authorization", token)], b"");
    get(READ).ends_with(200);
    get(READ).ends_with(200);
    get(READ).ends_with(429);
    let headers = [("authorization", PREDICT)];
    service.ask("POST", "/prediction", &headers, BODY).ends_with(200);
    // Tokens that are made up are counted by their sender, who cannot go on guessing.
    get("Bearer guess-0000000000000001").ends_with(401);
    get("Bearer guess-0000000000000002").ends_with(401);
    get("Bearer guess-0000000000000003").ends_with(429);
}

#[test]
fn under_which_path_and_name_it_was_called_only_named_proxies_may_say() {
    let asked = |scene: &Scene| {
        let service = scene.serve();
        let headers = [("x-forwarded-prefix", "/models/churn")];
        let page = service.ask("GET", "/openapi.json", &headers, b"").ends_with(200);
        let headers = [("x-forwarded-host", "app.example"), ("origin", "https://app.example")];
        let posted = service.ask("POST", "/prediction", &headers, BODY).status;
        (page.text().contains("/models/churn"), posted)
    };
    assert_eq!(asked(&Scene::deployed(&json!({}))), (true, 200));
    let ours = json!({ "service": { "proxies": ["127.0.0.1"] } });
    assert_eq!(asked(&Scene::deployed(&ours)), (true, 200));
    let others = json!({ "service": { "proxies": ["10.0.0.0/8"] } });
    assert_eq!(asked(&Scene::deployed(&others)), (false, 403));
}

#[test]
fn each_refused_request_leaves_who_when_and_why() {
    for json_log in [false, true] {
        let scene = Scene::deployed(
            &json!({ "service": { "proxies": ["127.0.0.1"], "max_body_bytes": 1024 } }),
        );
        let (options, log) = logged(json_log, tokens());
        let service = scene.serve_with(options);
        let ask = |path: &str, id: &str, more: &[(&str, &str)], body: &[u8]| {
            let client = [("x-forwarded-for", "203.0.113.7"), ("x-request-id", id)];
            let headers = [&client, more].concat();
            service.ask(if body.is_empty() { "GET" } else { "POST" }, path, &headers, body).status
        };
        assert_eq!(ask("/scoring", "none", &[], b""), 401);
        assert_eq!(
            ask("/scoring", "wrong", &[("authorization", "Bearer hidden-secret")], b""),
            401
        );
        assert_eq!(ask("/scoring", "scope", &[("authorization", PREDICT)], b""), 403);
        let origin = [("authorization", PREDICT), ("origin", "https://evil.example")];
        assert_eq!(ask("/prediction", "page", &origin, BODY), 403);
        assert_eq!(ask("/prediction", "large", &[("authorization", PREDICT)], &[b' '; 2000]), 413);
        let mut malformed = Connection::open(service.address);
        malformed.raw(b"GET /scoring HTTP/1.1\r\nno colon here\r\n\r\n");
        malformed.answer(false).unwrap().ends_with(400);
        // Counted, once the connection has ended.
        let metrics = loop {
            let headers = [("authorization", READ)];
            let metrics = service.ask("GET", "/metrics", &headers, b"").ends_with(200);
            if metrics.text().contains("mlops_refusals_total{reason=\"malformed\"} 1\n") {
                break metrics;
            }
        };
        for reason in ["no_token", "unknown_token", "scope", "origin", "too_large"] {
            let count = format!("mlops_refusals_total{{reason=\"{reason}\"}} 1\n");
            assert!(metrics.text().contains(&count), "{count} in {}", metrics.text());
        }
        service.ended();
        let text = log.text();
        assert!(!text.contains("hidden"), "{text}");
        for (id, reason) in [
            ("none", "no_token"),
            ("wrong", "unknown_token"),
            ("scope", "scope"),
            ("page", "origin"),
            ("large", "too_large"),
        ] {
            if json_log {
                let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
                let line = lines.into_iter().find(|line| line["refused"] == reason).unwrap();
                assert_eq!(line["request_id"], id);
                assert_eq!(line["client"], "203.0.113.7");
            } else {
                let part = format!(" {id} refused: {reason}, client 203.0.113.7\n");
                assert!(text.contains(&part), "{part} in\n{text}");
            }
        }
        let part = if json_log {
            "\"request_id\":null,\"refused\":\"malformed\",\"client\":\"127.0.0.1\"}"
        } else {
            " - refused: malformed, client 127.0.0.1\n"
        };
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn a_flood_of_refused_requests_leaves_few_lines_and_their_number() {
    let scene = Scene::deployed(&json!({}));
    let (options, log) = logged(true, tokens());
    let service = scene.serve_with(options);
    let mut connection = Connection::open(service.address);
    let mut sent = 0;
    // Until some were left out and that was told.
    while !log.text().contains("\"refused\":\"others\"") {
        for _ in 0..200 {
            connection.send("GET", "/scoring", &[], b"").ends_with(401);
        }
        sent += 200;
        assert!(sent < 100_000);
    }
    let headers = [("authorization", READ)];
    let metrics = connection.send("GET", "/metrics", &headers, b"").ends_with(200);
    let counted = format!("mlops_refusals_total{{reason=\"no_token\"}} {sent}\n");
    assert!(metrics.text().contains(&counted), "{}", metrics.text());
}

#[test]
fn what_is_open_is_shown_while_it_is() {
    let scene = Scene::deployed(&json!({ "service": { "max_connections": 77 } }));
    let service = scene.serve();
    let shown = |name: &str| {
        let metrics = service.get("/metrics").ends_with(200);
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    assert_eq!(shown("mlops_http_connections_max "), 77);
    assert_eq!(shown("mlops_http_requests_in_flight "), 1, "the one that asks");
    let mut held: Vec<_> = (0..10)
        .map(|_| {
            let mut connection = Connection::open(service.address);
            let head = crate::http::head("POST", "/prediction", &[], BODY.len());
            connection.raw(&head);
            connection
        })
        .collect();
    let reaches = |requests: u64, connections: u64| loop {
        let now = (shown("mlops_http_requests_in_flight "), shown("mlops_http_connections "));
        // Those who asked before may take a moment to be gone.
        if now == (requests, connections) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    reaches(11, 11);
    for connection in &mut held {
        connection.raw(BODY);
        connection.answer(false).unwrap().ends_with(200);
    }
    reaches(1, 11);
    drop(held);
    reaches(1, 1);
}
