//! Limits of size, number and time; draining; the logs. Times are limits, never measurements.

use std::time::{Duration, Instant};

use mlops_serve::Options;
use serde_json::{Value, json};

use crate::http::{Connection, head};
use crate::scene::{Log, Scene, rows};

const BODY: &[u8] = br#"{"age": 41, "balance": 12.5, "country": "de"}"#;

/// A request whose body is not there yet.
fn begun(address: std::net::SocketAddr) -> Connection {
    let mut connection = Connection::open(address);
    connection.raw(&head("POST", "/prediction", &[], BODY.len()));
    connection.raw(&BODY[..10]);
    connection
}

/// Waits until `done`, as the service takes its time to see what was sent.
fn eventually(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn over_the_limit_of_requests_others_are_told_to_wait_and_health_is_still_told() {
    let scene = Scene::deployed(&json!({ "service": { "max_in_flight": 1 } }));
    let service = scene.serve();
    let mut first = begun(service.address);
    let mut refused = None;
    eventually(|| {
        refused = Some(service.get("/scoring")).filter(|answer| answer.status == 503);
        refused.is_some()
    });
    let refused = refused.unwrap();
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    service.get("/livez").ends_with(200);
    service.get("/readyz").ends_with(200);
    first.raw(&BODY[10..]);
    first.answer(false).unwrap().ends_with(200);
    service.get("/scoring").ends_with(200);
}

#[test]
fn over_the_limit_of_connections_others_are_told_to_wait() {
    let scene = Scene::deployed(&json!({ "service": { "max_connections": 2 } }));
    let service = scene.serve();
    let mut kept: Vec<_> = (0..2).map(|_| Connection::open(service.address)).collect();
    for connection in &mut kept {
        connection.send("GET", "/livez", &[], b"").ends_with(200);
    }
    let mut third = Connection::open(service.address);
    third.raw(&head("GET", "/livez", &[], 0));
    let refused = third.answer(false).unwrap().ends_with(503);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.json()["status"], 503);
    assert!(third.closed());
    kept.pop();
    eventually(|| {
        let mut next = Connection::open(service.address);
        next.send("GET", "/livez", &[], b"").status == 200
    });
    kept[0].send("GET", "/livez", &[], b"").ends_with(200);
}

#[test]
fn whoever_is_too_slow_is_let_go() {
    let limits = json!({ "header_timeout_seconds": 1, "body_timeout_seconds": 1 });
    let scene = Scene::deployed(&json!({ "service": limits }));
    let service = scene.serve();
    let mut silent = Connection::open(service.address);
    silent.raw(b"GET /livez HTT");
    let mut slow = begun(service.address);
    let answer = slow.answer(false).unwrap().ends_with(408);
    assert!(answer.json()["detail"].as_str().unwrap().contains("1 s"), "{answer:?}");
    // hyper says 408 or nothing; either way it closes.
    while silent.answer(false).is_some() {}
    assert!(silent.closed());
    service.get("/livez").ends_with(200);
}

#[test]
fn a_head_without_end_or_sense_is_refused() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let mut endless = Connection::open(service.address);
    let mut long = b"GET /livez HTTP/1.1\r\nhost: x\r\nx: ".to_vec();
    long.resize(200_000, b'a');
    long.extend_from_slice(b"\r\n\r\n");
    endless.raw(&long);
    assert_eq!(endless.answer(false).map(|a| a.status), Some(431));
    let mut senseless = Connection::open(service.address);
    senseless.raw(b"\x16\x03\x01\x02\x00\x01\r\n\r\n");
    assert_eq!(senseless.answer(false).map(|a| a.status), Some(400));
    service.get("/livez").ends_with(200);
}

#[test]
fn told_to_stop_it_answers_what_was_asked_and_takes_nothing_new() {
    let scene = Scene::deployed(&json!({}));
    let mut service = scene.serve();
    let mut idle = Connection::open(service.address);
    idle.send("GET", "/livez", &[], b"").ends_with(200);
    let mut asked = begun(service.address);
    // It has seen the head when others find the door open still.
    service.get("/livez").ends_with(200);
    std::thread::sleep(Duration::from_millis(100));
    service.stop();
    eventually(|| std::net::TcpStream::connect(service.address).is_err());
    assert!(idle.closed());
    asked.raw(&BODY[10..]);
    let answer = asked.answer(false).unwrap().ends_with(200);
    assert_eq!(answer.header("connection"), "close");
    assert!(asked.closed());
    let served = service.ended();
    assert!(served.drained && served.requests >= 3, "{served:?}");
}

#[test]
fn what_does_not_end_in_time_is_cut_off_and_said() {
    let scene = Scene::deployed(&json!({ "service": { "drain_seconds": 1 } }));
    let service = scene.serve();
    let _asked = begun(service.address);
    service.get("/livez").ends_with(200);
    std::thread::sleep(Duration::from_millis(100));
    let served = service.ended();
    assert!(!served.drained && served.to_string().contains("cut off"), "{served:?}");
}

#[test]
fn each_request_leaves_a_line_without_what_may_be_private() {
    for json_log in [false, true] {
        let scene = Scene::deployed(&json!({}));
        let log = Log::default();
        let sink: Box<dyn std::io::Write + Send> = Box::new(log.clone());
        let options = Options { access_log: Some(sink), json_log, ..Options::default() };
        let service = scene.serve_with(options);
        let headers = [("x-request-id", "my-id"), ("authorization", "Bearer hidden")];
        service.ask("POST", "/prediction?key=hidden", &headers, BODY).ends_with(200);
        service.get("/nothing\u{22}").ends_with(404);
        service.ended();
        let text = log.text();
        assert!(!text.contains("hidden"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        if json_log {
            let line: Value = serde_json::from_str(lines[0]).unwrap();
            assert_eq!((&line["request_id"], &line["status"]), (&json!("my-id"), &json!(200)));
            assert_eq!(line["path"], "/prediction");
            serde_json::from_str::<Value>(lines[1]).unwrap();
        } else {
            assert!(lines[0].contains(" my-id POST /prediction 200 "), "{text}");
        }
    }
}

#[test]
fn predictions_are_kept_row_by_row_in_files_that_rotate() {
    let log = json!({ "prediction_log_path": "log", "prediction_log_max_bytes": 4096,
        "prediction_log_keep_files": 3 });
    let scene = Scene::deployed(&json!({ "service": log }));
    let service = scene.serve();
    let mut expected = Vec::new();
    for i in 0..8 {
        let text = rows(10, 20 + i, true);
        let answer = service.csv("/prediction", &text).ends_with(200);
        expected.push((answer.header("x-request-id").to_owned(), answer.bits(), text));
        // Long enough for a batch of lines of its own.
        std::thread::sleep(Duration::from_millis(300));
    }
    service.ended();
    let mut names: Vec<_> =
        std::fs::read_dir(scene.path("log")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    let text: String = names.iter().map(|name| std::fs::read_to_string(name).unwrap()).collect();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 20, "{}", lines.len());
    for line in &lines {
        let known = expected.iter().find(|(id, ..)| *id == line["request_id"]).unwrap();
        let row = usize::try_from(line["row"].as_u64().unwrap()).unwrap();
        assert_eq!(line["probability"].as_f64().unwrap().to_bits(), known.1[row]);
        let customer = known.2.lines().nth(row + 1).unwrap().split(',').next().unwrap();
        assert_eq!(line["customer"], customer);
        assert!(line["model_version"].as_str().unwrap().starts_with("r-1-"));
    }
    assert!(names.iter().all(|name| std::fs::metadata(name).unwrap().len() <= 4096));
    let last = expected.last().unwrap();
    assert!(lines.iter().any(|line| line["request_id"] == last.0));
}

#[test]
fn every_row_of_a_large_request_is_kept() {
    let scene = Scene::deployed(&json!({ "service": { "prediction_log_path": "log" } }));
    let service = scene.serve();
    service.csv("/prediction", &rows(20_000, 3, true)).ends_with(200);
    assert!(service.get("/metrics").text().contains("mlops_log_lines_lost_total 0\n"));
    service.ended();
    let names: Vec<_> = std::fs::read_dir(scene.path("log")).unwrap().collect();
    assert_eq!(names.len(), 1);
    let text = std::fs::read_to_string(names[0].as_ref().unwrap().path()).unwrap();
    assert!((0..20_000).eq(text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["row"].as_u64().unwrap()
    })));
}

#[test]
fn metrics_count_what_was_asked_and_answered() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    for _ in 0..3 {
        service.ask("POST", "/prediction", &[], BODY).ends_with(200);
    }
    service.ask("POST", "/prediction", &[], b"{").ends_with(400);
    service.get("/v2/models/model").ends_with(200);
    service.get("/v2/models/other").ends_with(404);
    service.get("/nothing").ends_with(404);
    let metrics = service.get("/metrics").ends_with(200);
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    let count = "mlops_http_request_duration_seconds_count";
    for part in [
        format!("{count}{{endpoint=\"/prediction\",code=\"200\"}} 3\n"),
        format!("{count}{{endpoint=\"/prediction\",code=\"400\"}} 1\n"),
        format!("{count}{{endpoint=\"/v2/models/{{model}}\",code=\"404\"}} 1\n"),
        format!("{count}{{endpoint=\"(unknown)\",code=\"404\"}} 1\n"),
        "code=\"200\",le=\"+Inf\"} 3\n".to_owned(),
        "mlops_model_reload_total{result=\"success\"} 1\n".to_owned(),
        "mlops_model_reload_total{result=\"failure\"} 0\n".to_owned(),
    ] {
        assert!(metrics.text().contains(&part), "{part} in\n{}", metrics.text());
    }
    let classes = metrics.text().lines().filter(|l| l.starts_with("mlops_predictions_total{"));
    let sum: u64 = classes.map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(sum, 3);
}
