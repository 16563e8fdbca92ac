//! Requests that are refused before their bodies were read: the client gets the answer however much it
//! still sends, and holds nothing for long. Not for what is refused: see `access`, `foreign`, `manners`.

use std::time::{Duration, Instant};

use mlops_serve::{Options, Tokens};
use serde_json::json;

use crate::http::{Answer, Connection, head};
use crate::scene::{Scene, Service};

const MIB: usize = 1 << 20;
const TOKEN: &str = "predict-0123456789abcdef";

/// Sends a head that announces `body`, all of the body, and only then reads.
fn sent_whole(service: &Service, head: &[u8], body: &[u8]) -> Answer {
    let mut connection = Connection::open(service.address);
    connection.raw(head);
    connection.raw(body);
    let answer = connection.answer(false).expect("the connection broke before the answer came");
    assert!(connection.closed());
    answer
}

fn guarded(scene: &Scene) -> Service {
    let mut tokens = Tokens::default();
    tokens.add("predict", TOKEN, "a test").unwrap();
    scene.serve_with(Options { tokens, ..Options::default() })
}

#[test]
fn a_client_that_sends_everything_before_reading_is_told_why_it_was_refused() {
    let scene = Scene::deployed(&json!({ "service": { "max_body_bytes": MIB } }));
    let (open, tokens) = (scene.serve(), guarded(&scene));
    let body = vec![b' '; 8 * MIB];
    let bearer = format!("Bearer {TOKEN}");
    let known = ("authorization", bearer.as_str());
    let foreign = [("origin", "http://evil.example")];
    let image = [("content-type", "image/png")];
    for (service, path, headers, status) in [
        (&tokens, "/prediction", &[("authorization", "Bearer wrong")][..], 401),
        (&tokens, "/prediction", &[], 401),
        (&open, "/prediction", &foreign, 403),
        (&open, "/nothing", &[], 404),
        (&open, "/livez", &[], 405),
        (&tokens, "/prediction", &[known], 413),
        (&open, "/v2/models/model/infer", &[], 413),
        (&open, "/prediction", &image, 415),
    ] {
        for _ in 0..3 {
            let head = head("POST", path, headers, body.len());
            let answer = sent_whole(service, &head, &body).ends_with(status);
            assert_eq!(answer.header("connection"), "close", "{answer:?}");
            assert!(answer.json().is_object(), "{answer:?}");
        }
    }
    let head = head("POST", "/prediction", &[], body.len());
    let strange = String::from_utf8(head).unwrap().replace("host: localhost", "host: x");
    sent_whole(&open, strange.as_bytes(), &body).ends_with(421);
}

#[test]
fn a_body_without_a_length_that_grows_too_large_is_told_so() {
    let scene = Scene::deployed(&json!({ "service": { "max_body_bytes": MIB } }));
    let service = scene.serve();
    let head =
        b"POST /prediction HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut body = format!("{:x}\r\n", 8 * MIB).into_bytes();
    body.resize(body.len() + 8 * MIB, b' ');
    body.extend_from_slice(b"\r\n0\r\n\r\n");
    sent_whole(&service, head, &body).ends_with(413);
}

#[test]
fn discarded_bodies_take_no_memory_from_others() {
    let limits = json!({ "max_body_bytes": MIB, "max_total_body_bytes": MIB });
    let scene = Scene::deployed(&json!({ "service": limits }));
    let service = scene.serve();
    let mut refused = Connection::open(service.address);
    refused.raw(&head("POST", "/prediction", &[], 8 * MIB));
    refused.answer(false).unwrap().ends_with(413);
    let text = format!("age,balance,country\n{}", "41,12.5,de\n".repeat(50_000));
    for _ in 0..6 {
        refused.raw(&vec![b' '; MIB]);
        service.csv("/prediction", &text).ends_with(200);
    }
}

#[test]
fn a_client_that_never_stops_sending_is_cut_off() {
    let scene = Scene::deployed(&json!({}));
    let service = guarded(&scene);
    let mut connection = Connection::open(service.address);
    connection.raw(&head("POST", "/prediction", &[], usize::MAX >> 1));
    let piece = vec![b' '; MIB];
    // As fast as it can: at the latest the number of bytes ends it.
    let taken = (0..4096).take_while(|_| connection.try_raw(&piece).is_ok()).count();
    assert!(taken < 1024, "{taken} MiB were taken of a request that was refused");
}

#[test]
fn a_client_that_falls_silent_loses_its_connection() {
    let limits = json!({ "max_connections": 1, "body_timeout_seconds": 60 });
    let scene = Scene::deployed(&json!({ "service": limits }));
    let service = guarded(&scene);
    let mut silent = Connection::open(service.address);
    silent.raw(&head("POST", "/prediction", &[], MIB));
    silent.answer(false).unwrap().ends_with(401);
    let begun = Instant::now();
    while Connection::open(service.address).send("GET", "/livez", &[], b"").status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(50), "its connection is still held");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_stop_does_not_wait_for_discarded_bodies() {
    let scene = Scene::deployed(&json!({ "service": { "drain_seconds": 1 } }));
    let service = guarded(&scene);
    let mut silent = Connection::open(service.address);
    silent.raw(&head("POST", "/prediction", &[], MIB));
    silent.answer(false).unwrap().ends_with(401);
    let served = service.ended();
    assert!(served.drained, "{served:?}");
}
