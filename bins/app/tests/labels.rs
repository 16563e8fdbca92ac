//! The program `app` is killed while it takes labels: what it acknowledged is there. Not for the answers, which the
//! tests of `mlops-serve` check.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod started;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use mlops_core::outcomes::received::Received;
use mlops_testkit::binary::Binary;
use mlops_testkit::binary::scene::Scene;
use serde_json::Value;
use started::start;

const APP: Binary = Binary { name: "app", path: env!("CARGO_BIN_EXE_app") };
const TOKEN: &str = "labels-0123456789abcdef";
/// Labels of a batch.
const ROWS: usize = 200;

/// Sends batch `number` of client `client`; its id if it was acknowledged.
fn send(address: &str, client: usize, number: usize) -> Option<String> {
    let ids = (0..ROWS).map(|i| format!("{client}x{number}x{i},1\n"));
    let body = "corporation,exited\n".to_owned() + &ids.collect::<String>();
    let head = format!(
        "POST /labels HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: text/csv\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all((head + &body).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer: Value = serde_json::from_str(body).ok()?;
    assert_eq!(answer["rows"], ROWS);
    Some(answer["batch"].as_str().unwrap().to_owned())
}

#[test]
fn a_kill_between_receipt_and_answer_loses_nothing_that_was_acknowledged() {
    let scene = Scene::deployed();
    let config = scene.read("config.json");
    let end = config.rfind('}').unwrap();
    let more = r#", "service": {"prediction_log_path": "log"}, "labels": {"receive": true}}"#;
    scene.file("config.json", config[..end].to_owned() + more);
    let mut acknowledged = Vec::new();
    for round in 0..8 {
        let mut command = APP.command(scene.root(), &["--port", "0"]);
        let mut started = start(command.env("MLOPS_LABELS_TOKEN", TOKEN));
        let address = started.address.clone();
        let clients: Vec<_> = (0..3)
            .map(|client| {
                let address = address.clone();
                std::thread::spawn(move || {
                    let batches = (0..).map(|n| send(&address, client, round * 100_000 + n));
                    batches.map_while(|batch| batch).collect::<Vec<_>>()
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(150 + 37 * round as u64));
        started.child.kill().unwrap();
        started.child.wait().unwrap();
        acknowledged.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
    }
    assert!(acknowledged.len() > 8, "{} batches", acknowledged.len());
    let path = scene.root().join("out/received.sqlite");
    let received = Received::open_to_read(&path).unwrap().unwrap();
    for batch in &acknowledged {
        assert!(received.has(&batch.parse().unwrap()).unwrap(), "{batch}");
    }
    // Nor is one torn that was not acknowledged.
    let mut last = 0;
    while let Some(batch) = received.after(last).unwrap() {
        last = batch.id;
        assert_eq!(String::from_utf8_lossy(&batch.csv).lines().count(), ROWS + 1);
    }
}
