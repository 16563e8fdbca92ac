//! Limits of size, number and time; draining; the logs. Times are limits, never measurements.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mlops_core::platform::lines::Lines;
use mlops_core::run::context::Report as _;
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
        assert!(begun.elapsed() < Duration::from_mins(2));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn over_the_limit_of_requests_others_are_told_to_wait_and_health_is_still_told() {
    let scene = Scene::deployed(&json!({ "service": { "max_in_flight": 1 } }));
    let service = scene.serve();
    let (text, address) = (rows(2000, 3, false), service.address);
    let over = std::sync::atomic::AtomicBool::new(false);
    let over = &over;
    let mut refused = None;
    std::thread::scope(|threads| {
        // Whichever of them comes second is refused; each only ever gets one of the two answers.
        threads.spawn(move || {
            let headers = [("content-type", "text/csv")];
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let mut connection = Connection::open(address);
                let answer = connection.send("POST", "/scoring", &headers, text.as_bytes());
                assert!([200, 503].contains(&answer.status), "{answer:?}");
            }
        });
        eventually(|| {
            service.get("/livez").ends_with(200);
            service.get("/readyz").ends_with(200);
            refused = Some(service.get("/scoring")).filter(|answer| answer.status == 503);
            refused.is_some()
        });
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let refused = refused.unwrap();
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    service.get("/scoring").ends_with(200);
}

#[test]
fn requests_without_their_bodies_take_no_place_from_others() {
    let scene = Scene::deployed(&json!({ "service": { "max_in_flight": 1 } }));
    let service = scene.serve();
    // More than there are places by default.
    let mut silent: Vec<_> = (0..300).map(|_| begun(service.address)).collect();
    for _ in 0..20 {
        service.get("/scoring").ends_with(200);
        service.ask("POST", "/prediction", &[], BODY).ends_with(200);
    }
    for connection in &mut silent {
        connection.raw(&BODY[10..]);
        connection.answer(false).unwrap().ends_with(200);
    }
}

#[test]
fn bodies_that_are_not_all_there_share_what_memory_there_is() {
    let limits = json!({ "max_body_bytes": 1 << 20, "max_total_body_bytes": 4 << 20 });
    let scene = Scene::deployed(&json!({ "service": limits }));
    let service = scene.serve();
    let text = rows(20_000, 3, false);
    let (half, csv) =
        (&text.as_bytes()[..800_000.min(text.len() / 2)], ("content-type", "text/csv"));
    assert!(half.len() > 200_000);
    let mut unfinished: Vec<_> = (0..40)
        .map(|_| {
            let mut connection = Connection::open(service.address);
            connection.raw(&head("POST", "/prediction", &[csv], 1 << 20));
            let _ = connection.try_raw(half);
            connection
        })
        .collect();
    // Some are refused at once; small requests are answered all the while.
    let answered = unfinished.iter_mut().rev().find_map(|connection| {
        service.ask("POST", "/prediction", &[], BODY).ends_with(200);
        connection.answer_at_once()
    });
    let refused = answered.unwrap().ends_with(503);
    assert_eq!(refused.header("retry-after"), "1");
    assert!(refused.text().contains("service.max_total_body_bytes"), "{refused:?}");
    drop(unfinished);
    eventually(|| service.csv("/prediction", &text).status == 200);
}

#[test]
fn a_client_that_does_not_read_its_answer_is_disconnected() {
    let scene = Scene::deployed(&json!({ "service": { "body_timeout_seconds": 1 } }));
    let service = scene.serve();
    // Far more than fits between.
    let text = format!("age,balance,country\n{}", "1,2,de\n".repeat(500_000));
    let mut held = Connection::open(service.address);
    held.raw(&head("POST", "/prediction", &[("content-type", "text/csv")], text.len()));
    held.raw(text.as_bytes());
    let gone = "mlops_connection_failures_total{reason=\"timed_out\"} 1\n";
    eventually(|| service.get("/metrics").text().contains(gone));
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let mut connection = Connection::open(service.address);
    connection.raw(&head("POST", "/prediction", &[], BODY.len()));
    connection.raw(BODY);
    connection.said_all();
    connection.answer(false).unwrap().ends_with(200);
    assert!(connection.closed());
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
    let metrics = kept[0].send("GET", "/metrics", &[], b"").ends_with(200);
    let refused = metrics.text().lines().find(|l| l.contains("reason=\"refused\""));
    assert!(!refused.unwrap().ends_with(" 0"), "{refused:?}");
}

#[test]
fn a_client_that_is_too_slow_is_disconnected() {
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
    let counted = "mlops_connection_failures_total{reason=\"malformed\"} 2\n";
    eventually(|| service.get("/metrics").text().contains(counted));
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
    // So that its connection knows it, too.
    std::thread::sleep(Duration::from_millis(200));
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
    assert!(
        !served.drained && format!("{:?}", served.findings()).contains("cut off"),
        "{served:?}"
    );
}

#[test]
fn each_request_leaves_a_line_without_what_may_be_private() {
    for json_log in [false, true] {
        let scene = Scene::deployed(&json!({}));
        let log = Log::default();
        let lines = Lines::to("test", 1 << 20, log.clone(), |n| format!("{n} lost\n"));
        let lines = Some(Arc::new(lines));
        let options = Options { access_log: lines, json_log, ..Options::default() };
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
    let score = service.get("/scoring").ends_with(200).json();
    let (release, f1) = (score["model_version"].as_str().unwrap(), score["f1"].as_f64().unwrap());
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
        format!("mlops_model_f1{{version=\"{release}\"}} {f1}\n"),
        "mlops_last_success_timestamp_seconds{step=\"ingestion\"} ".to_owned(),
    ] {
        assert!(metrics.text().contains(&part), "{part} in\n{}", metrics.text());
    }
    let classes = metrics.text().lines().filter(|l| l.starts_with("mlops_predictions_total{"));
    let sum: u64 = classes.map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(sum, 3);
}
