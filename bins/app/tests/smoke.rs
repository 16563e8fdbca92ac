//! The program `app` from outside: options, streams, exit codes, signals. Not for what it answers:
//! the tests of `mlops-serve` check that.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod started;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use mlops_testkit::binary::golden::Transcript;
use mlops_testkit::binary::scene::{HEADER, Scene};
use mlops_testkit::binary::{Binary, golden};
use started::{Started, predict, start};

const APP: Binary = Binary { name: "app", path: env!("CARGO_BIN_EXE_app") };

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    APP.explains_itself();
    APP.refuses_wrong_usage();
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let scene = Scene::deployed();
    let before = scene.files();
    for signal in ["-TERM", "-INT"] {
        let started = start(&mut APP.command(scene.root(), &["--port", "0"]));
        let answer = started.ask(&predict(&format!("{HEADER}x,1,2,3,0\n")));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\"predictions\":["), "{answer}");
        let (code, stdout, stderr) = started.stopped(signal);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.starts_with("Answered 1 request at http://127.0.0.1:"), "{stdout}");
        assert!(stderr.contains(" POST /prediction 200 "), "{stderr}");
    }
    assert!(before == scene.files(), "serving changed a file");
}

#[test]
fn while_another_run_is_at_work_it_serves_all_the_same() {
    let scene = Scene::deployed();
    let lock = scene.path("out/run.lock");
    let disk = mlops_core::platform::disk::Disk::default();
    let _held =
        mlops_core::platform::lock::Lock::acquire(&disk, &lock, "training (pid 7)").unwrap();
    let started = start(&mut APP.command(scene.root(), &["--port", "0"]));
    let answer =
        started.ask("GET /scoring HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(started.stopped("-TERM").0, Some(0));
}

#[test]
fn log_and_report_are_json_for_programs() {
    let scene = Scene::deployed();
    let arguments = ["--port", "0", "--json", "--log-format", "json"];
    let started = start(&mut APP.command(scene.root(), &arguments));
    started.ask("GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let (code, stdout, stderr) = started.stopped("-TERM");
    assert_eq!(code, Some(0), "{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((report["requests"].as_u64(), report["drained"].as_bool()), (Some(1), Some(true)));
    for line in stderr.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[test]
fn others_are_let_in_only_with_tokens_which_are_never_printed() {
    let scene = Scene::deployed();
    let refused = APP.run(scene.root(), &["--host", "0.0.0.0"]).ends_with(2);
    assert!(refused.stderr.contains("--insecure"), "{refused:#?}");
    scene.file("tokens.txt", "read read-0123456789abcdef\npredict short\n");
    let weak = APP.run(scene.root(), &["--tokens-file", "tokens.txt"]).ends_with(2);
    assert!(weak.stderr.contains("tokens.txt, line 2"), "{weak:#?}");
    assert!(!weak.stderr.contains("short"), "{weak:#?}");
    let mut command = APP.command(scene.root(), &["--host", "0.0.0.0", "--port", "0"]);
    let mut started = start(command.env("MLOPS_READ_TOKEN", "a-token-of-the-environment"));
    started.address = started.address.replace("0.0.0.0", "127.0.0.1");
    let get = |token: &str| {
        let head = "GET /scoring HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer ";
        started.ask(&format!("{head}{token}\r\n\r\n"))
    };
    assert!(get("a-token-of-the-environment").starts_with("HTTP/1.1 200 "));
    assert!(get("another-token").starts_with("HTTP/1.1 401 "));
    let (code, stdout, stderr) = started.stopped("-TERM");
    assert_eq!(code, Some(0));
    assert!(!(stdout + &stderr).contains("a-token-of"), "a token was printed");
}

#[test]
fn a_port_that_is_taken_is_said() {
    let scene = Scene::deployed();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let failed = APP.run(scene.root(), &["--port", &port, "--quiet"]).ends_with(1);
    assert!(failed.stderr.contains(&format!("127.0.0.1:{port}")), "{failed:#?}");
    assert!(failed.stderr.contains("--port"), "{failed:#?}");
}

#[test]
fn on_reload_it_takes_new_tokens_and_keys_and_goes_on() {
    let scene = Scene::deployed();
    scene.file("tokens.txt", "read read-0123456789abcdef\n");
    let arguments = ["--port", "0", "--tokens-file", "tokens.txt"];
    let started = start(&mut APP.command(scene.root(), &arguments));
    let status = |path: &str, token: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        let answer = started.ask(&format!("{head}authorization: Bearer {token}\r\n\r\n"));
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let hang_up = || {
        let pid = started.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    };
    let eventually = |path: &str, token: &str, expected: &str| {
        for _ in 0..1000 {
            if status(path, token) == expected {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{path} never ends with {expected}");
    };
    assert_eq!(status("/scoring", "read-0123456789abcdef"), "200");
    assert_eq!(status("/v2/models/churn", "read-0123456789abcdef"), "404");
    scene.file("tokens.txt", "read read-of-tomorrow-0123456789\n");
    let config = scene.read("config.json");
    let end = config.rfind('}').unwrap();
    let service = r#", "service": {"model_name": "churn", "max_in_flight": 3}}"#;
    scene.file("config.json", &(config[..end].to_owned() + service));
    hang_up();
    eventually("/scoring", "read-of-tomorrow-0123456789", "200");
    assert_eq!(status("/scoring", "read-0123456789abcdef"), "401");
    assert_eq!(status("/v2/models/churn", "read-of-tomorrow-0123456789"), "200");
    // What is wrong changes nothing.
    scene.file("config.json", "{ oh");
    hang_up();
    eventually("/scoring", "read-of-tomorrow-0123456789", "200");
    // A file that is just being written looks empty; nobody gets in by that.
    scene.file("config.json", config);
    scene.file("tokens.txt", "");
    hang_up();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(status("/scoring", "anything-at-all-0123456789"), "401");
    assert_eq!(status("/scoring", "read-of-tomorrow-0123456789"), "200");
    let (code, _, stderr) = started.stopped("-TERM");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("\"service.max_in_flight\" has changed"), "{stderr}");
    assert_eq!(stderr.matches("reading again failed").count(), 2, "{stderr}");
    assert!(stderr.contains("no token is left"), "{stderr}");
    assert!(!stderr.contains("of-tomorrow"), "a token was printed");
}

#[test]
fn a_stalled_reader_of_the_log_stops_nothing() {
    let scene = Scene::deployed();
    let started = start(&mut APP.command(scene.root(), &["--port", "0"]));
    // Nobody reads standard error from here on; what fits into the pipe and the queue is little.
    let path = "x".repeat(2000);
    let mut stream = TcpStream::connect(&started.address).unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut lost = 0;
    for _ in 0..2000 {
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(answers.read_line(&mut head).unwrap() > 0);
        }
        let length = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        answers.read_exact(&mut body).unwrap();
    }
    let metrics =
        started.ask("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let name = "mlops_log_lines_lost_total ";
    for line in metrics.lines() {
        lost = line.strip_prefix(name).map_or(lost, |n| n.parse().unwrap());
    }
    assert!(lost > 0, "{metrics}");
    let pid = started.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    // The pipe stays full until it has ended.
    let Started { mut child, stderr, .. } = started;
    drop((stream, answers));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(stderr);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test damages a ledger on purpose")]
fn an_error_inside_is_logged_with_the_id_of_its_request() {
    let scene = Scene::deployed();
    let started = start(&mut APP.command(scene.root(), &["--port", "0"]));
    scene.file("out/ledger.sqlite", "this is not a ledger");
    for side in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(scene.path(&format!("out/ledger.sqlite{side}")));
    }
    let head = "GET /scoring HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    let answer = started.ask(&format!("{head}x-request-id: find-me-again\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("find-me-again"), "{answer}");
    assert!(!answer.contains(scene.root().to_str().unwrap()), "{answer}");
    let (_, _, stderr) = started.stopped("-TERM");
    let line = stderr.lines().find(|line| line.contains("ERROR")).unwrap();
    assert!(line.contains("find-me-again") && line.contains("ledger"), "{line}");
}

#[test]
fn mistakes_and_pages_are_told_in_these_words() {
    let mut told = Transcript::default();
    let scene = Scene::diagnosed();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let config = golden::config_with(&format!(", \"service\": {{\"port\": {port}}}"));
    scene.file("config.json", config);
    told.run("The port is in use", APP, &scene, &[]);
    told.run("Open to others without a token", APP, &scene, &["--host", "0.0.0.0"]);
    scene.file("tokens.txt", "read read-0123456789abcdef\npredict short\n");
    told.run("A weak token", APP, &scene, &["--tokens-file", "tokens.txt"]);
    told.run("A host that is not an address", APP, &scene, &["--host", "app.example"]);
    told.compare("app-mistakes");
    let started = start(&mut APP.command(scene.root(), &["--port", "0"]));
    let get = |path: &str, kind: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        let head = head + "x-request-id: asked-by-a-test\r\n";
        let answer = started.ask(&format!("{head}accept: {kind}\r\n\r\n"));
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        golden::stable(&body, scene.root())
    };
    let described: serde_json::Value =
        serde_json::from_str(&get("/openapi.json", "application/json")).unwrap();
    golden::compare("app-openapi", &format!("{described:#}"));
    golden::compare("app-page", &golden::text_of_page(&get("/docs", "text/html")));
    for path in ["scoring", "summarystats", "diagnostics", "nowhere"] {
        golden::compare(&format!("app-{path}"), &get(&format!("/{path}"), "text/plain"));
    }
    let rows = predict("corporation,exited\nx,0\n");
    let rows = rows.replacen("\r\n", "\r\nx-request-id: asked-by-a-test\r\n", 1);
    let refused = started.ask(&rows);
    let refused = refused.split_once("\r\n\r\n").unwrap().1;
    golden::compare("app-refused-rows", &golden::stable(refused, scene.root()));
    assert_eq!(started.stopped("-TERM").0, Some(0));
}

#[test]
fn told_twice_to_stop_it_does_not_wait() {
    let scene = Scene::deployed();
    let service = r#", "service": {"drain_seconds": 86400, "body_timeout_seconds": 86400}"#;
    scene.file("config.json", golden::config_with(service));
    let started = start(&mut APP.command(scene.root(), &["--port", "0"]));
    let mut stream = TcpStream::connect(&started.address).unwrap();
    let request = predict(&format!("{HEADER}x,1,2,3,0\n"));
    stream.write_all(&request.as_bytes()[..request.len() - 3]).unwrap();
    // It has begun with the request once it answers others that came later.
    started.ask("GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let pid = started.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    while TcpStream::connect(&started.address).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let (code, _, stderr) = started.stopped("-TERM");
    assert_eq!(code, Some(1), "{stderr}");
}

#[test]
fn systemd_is_told_of_readiness_life_and_end() {
    let scene = Scene::deployed();
    let path = scene.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_mins(1))).unwrap();
    let mut command = APP.command(scene.root(), &["--port", "0"]);
    let started = start(command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000"));
    let next = || {
        let mut text = [0; 500];
        let n = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..n]).into_owned()
    };
    let ready = next();
    let expected = format!("READY=1\nSTATUS=answers at http://{}", started.address);
    assert_eq!(ready, expected);
    for _ in 0..3 {
        assert_eq!(next(), "WATCHDOG=1");
    }
    let pid = started.child.id().to_string();
    // A socket holds ten notices: they are read while the signal is sent.
    let mut kill = Command::new("kill").args(["-TERM", &pid]).spawn().unwrap();
    let last = loop {
        let text = next();
        if text != "WATCHDOG=1" {
            break text;
        }
    };
    assert!(last.starts_with("STOPPING=1\n"), "{last}");
    assert!(kill.wait().unwrap().success());
    let output = started.child.wait_with_output().unwrap();
    assert!(output.status.success());
}
