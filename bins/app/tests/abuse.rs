//! The program `app` while it is attacked: its memory stays within 256 MiB, attackers get the right
//! answer or none, and good clients are answered all the while. Not for times: `benches/abuse.py`
//! measures how long good clients wait.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod started;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mlops_testkit::binary::Binary;
use mlops_testkit::binary::golden;
use mlops_testkit::binary::scene::{HEADER, Scene};
use started::{Started, predict, start};

const APP: Binary = Binary { name: "app", path: env!("CARGO_BIN_EXE_app") };
const MIB: usize = 1 << 20;
/// What the process may take at its highest.
const MOST: usize = 256 * MIB;

/// A service with this section `service`.
fn serving(service: &str) -> (Scene, Started) {
    let scene = Scene::deployed();
    scene.file("config.json", golden::config_with(&format!(", \"service\": {service}")));
    let started = start(&mut APP.command(scene.root(), &["--port", "0"]));
    (scene, started)
}

/// Attacks while good clients ask; every one of these must be answered, and memory stay bounded.
fn while_good_clients_ask(started: &Started, attack: impl FnOnce()) {
    let (over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let request = predict(&format!("{HEADER}x,1,2,3,0\n"));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let answer = started.ask(&request);
                    assert!(answer.starts_with("HTTP/1.1 200 "), "a good client got {answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
        }
        // The good clients come to an end even if the attack finds something wrong.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(attack));
        let before = answered.load(Ordering::Relaxed);
        while result.is_ok() && answered.load(Ordering::Relaxed) < before + 4 {
            std::thread::sleep(Duration::from_millis(2));
        }
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    let peak = started.memory("VmHWM");
    assert!(peak < MOST, "{} MiB", peak / MIB);
}

fn connect(started: &Started) -> TcpStream {
    let stream = TcpStream::connect(&started.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
    stream
}

/// The status of the answer on `stream`, if one comes before its end.
fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut text = Vec::new();
    // What came before a reset counts too.
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    text.strip_prefix("HTTP/1.1 ").map(|rest| rest[..3].parse().unwrap())
}

fn post(path: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\n{lines}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn slow_heads_and_bodies_are_cut_off() {
    let (_scene, started) = serving(r#"{"header_timeout_seconds": 2, "body_timeout_seconds": 2}"#);
    while_good_clients_ask(&started, || {
        let heads: Vec<_> = (0..200).map(|_| connect(&started)).collect();
        let bodies: Vec<_> = (0..200).map(|_| connect(&started)).collect();
        for mut stream in &bodies {
            let request = predict(&format!("{HEADER}{}", "x,1,2,3,0\n".repeat(1000)));
            stream.write_all(&request.as_bytes()[..300]).unwrap();
        }
        for piece in b"GET /scoring HTTP/1.1\r\nhost: loc".chunks(8) {
            for mut stream in &heads {
                // Those that were cut off already.
                let _ = stream.write_all(piece);
            }
            for mut stream in &bodies {
                let _ = stream.write_all(b"x,1,2,");
            }
            std::thread::sleep(Duration::from_millis(600));
        }
        for mut stream in heads {
            let found = status(&mut stream);
            assert!(matches!(found, None | Some(408)), "{found:?}");
        }
        for mut stream in bodies {
            let found = status(&mut stream);
            assert!(matches!(found, None | Some(408)), "{found:?}");
        }
    });
    started.stopped("-TERM");
}

#[test]
fn clients_that_do_not_read_are_cut_off() {
    let (_scene, started) =
        serving(r#"{"body_timeout_seconds": 2, "max_total_body_bytes": 16777216}"#);
    while_good_clients_ask(&started, || {
        // Each asks again and again, which takes little from it, and never reads.
        let page = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1000);
        let rows = predict(&format!("{HEADER}{}", "x,1,2,3,0\n".repeat(100_000)));
        let streams: Vec<_> = (0..16).map(|_| connect(&started)).collect();
        for (n, mut stream) in streams.iter().enumerate() {
            stream.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
            let request = if n % 2 == 0 { &page } else { &rows };
            let _ = stream.write_all(request.as_bytes());
        }
        // Until the service has ended all of them.
        let mut left = streams.len();
        while left > 0 {
            std::thread::sleep(Duration::from_millis(100));
            left = usize::try_from(started.metric("mlops_http_connections ")).unwrap();
            left = left.saturating_sub(3);
        }
    });
    started.stopped("-TERM");
}

#[test]
fn ten_thousand_idle_connections_take_nothing_from_others() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    const IDLE: usize = 10_000;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let raised = setrlimit(Resource::Nofile, limit).is_ok();
    let have = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if !raised || have < IDLE as u64 + 1500 {
        not_run(&format!("ten thousand connections need more open files than the {have} allowed"));
        return;
    }
    let (_scene, started) =
        serving(r#"{"max_connections": 10500, "header_timeout_seconds": 3600}"#);
    while_good_clients_ask(&started, || {
        let idle: Vec<_> = (0..IDLE)
            .map(|n| {
                let mut stream = TcpStream::connect(&started.address).unwrap();
                // Half of them have begun, as attackers do who want their heads to be waited for.
                if n % 2 == 0 {
                    stream.write_all(b"GET /scoring HTTP/1.1\r\nhost: ").unwrap();
                }
                stream
            })
            .collect();
        while started.metric("mlops_http_connections ") < IDLE as u64 {
            std::thread::sleep(Duration::from_millis(10));
        }
        println!("{} bytes a connection", started.memory("VmRSS") / idle.len());
        for mut stream in idle.into_iter().step_by(1000) {
            stream.write_all(b"localhost\r\nconnection: close\r\n\r\n").unwrap();
            assert_eq!(status(&mut stream), Some(200));
        }
    });
    started.stopped("-TERM");
}

/// A note for those who count tests, as the whole run shows it.
#[expect(clippy::disallowed_methods, reason = "the file is named by the environment")]
fn not_run(why: &str) {
    if let Ok(notes) = std::env::var("MLOPS_NOT_RUN") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(notes);
        writeln!(file.unwrap(), "abuse: {why}").unwrap();
    }
}

#[test]
fn bombs_are_refused() {
    use flate2::{Compression, write::GzEncoder};
    let packed = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let (_scene, started) = serving("{\"max_in_flight\": 64}");
    // 1 GiB in one member's repetitions; spaces, which JSON may begin with.
    let bomb = packed(&vec![b' '; MIB]).repeat(1024);
    let nested = packed(&vec![b'['; 15 * MIB]);
    let in_the_bomb = packed(&bomb);
    while_good_clients_ask(&started, || {
        for _ in 0..3 {
            for (path, body, expected) in [
                ("/prediction", &bomb, 413),
                ("/invocations", &bomb, 413),
                ("/v2/models/model/infer", &bomb, 413),
                ("/scoring", &bomb, 413),
                ("/prediction", &nested, 400),
                ("/invocations", &nested, 400),
                ("/v2/models/model/infer", &nested, 400),
                ("/prediction", &in_the_bomb, 400),
            ] {
                let streams: Vec<_> = (0..4)
                    .map(|_| {
                        let mut stream = connect(&started);
                        // It may have been refused before it was sent.
                        let _ = stream.write_all(&post(path, "content-encoding: gzip\r\n", body));
                        stream
                    })
                    .collect();
                for mut stream in streams {
                    let found = status(&mut stream);
                    // Together they may be more than there is room for.
                    assert!(found == Some(expected) || found == Some(503), "{path}: {found:?}");
                }
            }
        }
    });
    started.stopped("-TERM");
}

#[test]
fn seven_million_levels_are_refused() {
    const LEVELS: usize = 7_000_000;
    let (_scene, started) = serving("{}");
    let shapes = [
        "[".repeat(LEVELS),
        format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS)),
        format!("{{\"age\":{}", "[".repeat(LEVELS)),
        format!("{{\"inputs\":{}", "[".repeat(LEVELS)),
        format!("{{\"instances\":{}{}}}", "[".repeat(LEVELS), "]".repeat(LEVELS)),
        format!("{{\"columns\":[\"x\"],\"data\":{}", "[".repeat(LEVELS)),
        "{\"a\":".repeat(LEVELS / 3),
    ];
    while_good_clients_ask(&started, || {
        for body in &shapes {
            for path in ["/prediction", "/scoring", "/invocations", "/v2/models/model/infer"] {
                let mut stream = connect(&started);
                let _ = stream.write_all(&post(path, "", body.as_bytes()));
                let found = status(&mut stream);
                let right = matches!(found, Some(400 | 422 | 503));
                assert!(right, "{path} {}: {found:?}", &body[..20]);
            }
        }
    });
    started.stopped("-TERM");
}

#[test]
fn garbage_and_broken_connections_leave_nothing_behind() {
    let (_scene, started) = serving("{\"header_timeout_seconds\": 2}");
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[3]
    };
    let head = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    let lines = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(20_000));
    let target = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "z".repeat(200_000));
    while_good_clients_ask(&started, || {
        for round in 0..300 {
            let mut stream = connect(&started);
            let _ = match round % 6 {
                0 => stream.write_all(&(0..5000).map(|_| next()).collect::<Vec<_>>()),
                1 => stream.write_all(head.as_bytes()),
                2 => stream.write_all(lines.as_bytes()),
                3 => stream.write_all(target.as_bytes()),
                // A hello of TLS.
                4 => stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
                _ => stream.write_all(&predict(HEADER).as_bytes()[..60]),
            };
            if round % 2 == 0 {
                let found = status(&mut stream);
                assert!(matches!(found, None | Some(400 | 408 | 414 | 431)), "{found:?}");
            }
        }
        while started.metric("mlops_http_connections ") > 3 {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    started.stopped("-TERM");
}
