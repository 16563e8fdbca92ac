//! The program `app` at the limits of its machine: memory, descriptors, a full disk. Not for limits of
//! its own, which the tests of `mlops-serve` check.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod started;

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;

use mlops_testkit::binary::Binary;
use mlops_testkit::binary::scene::{HEADER, Scene};
use serde_json::Value;
use started::{predict, start};

const APP: Binary = Binary { name: "app", path: env!("CARGO_BIN_EXE_app") };
const MIB: usize = 1 << 20;

/// The program under limits that `script`, a line of a shell, sets first.
fn limited(scene: &Scene, script: &str) -> Command {
    let plain = APP.command(scene.root(), &["--port", "0"]);
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{script}; exec \"$0\" \"$@\""))
        .arg(APP.path)
        .args(plain.get_args());
    shell.current_dir(scene.root()).stdin(std::process::Stdio::null());
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    shell
}

/// The configuration of `scene` with a section `service`.
fn configure(scene: &Scene, service: &str) {
    let config = scene.read("config.json");
    let end = config.rfind('}').unwrap();
    scene.file("config.json", format!("{}, \"service\": {service}}}", &config[..end]));
}

fn post(path: &str, kind: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_request_costs_at_most_eight_times_what_it_is() {
    const JSON: &str = "application/json";
    const CSV: &str = "text/csv";
    let scene = Scene::deployed();
    configure(&scene, "{\"prediction_log_path\": \"log\"}");
    let size = 4 * MIB;
    let filled = |start: &str, each: &str, end: &str| {
        format!("{start}{}{end}", each.repeat((size - start.len() - end.len()) / each.len()))
    };
    let infer = "/v2/models/model/infer";
    let head = HEADER.trim_end();
    let mut over = Vec::new();
    for (path, kind, body) in [
        ("/prediction", CSV, filled(&format!("{head}\n"), "a,1,2,3,0\n", "")),
        ("/scoring", CSV, filled(&format!("{head}\n"), "a,1,2,3,0\n", "a,1,2,3,1\n")),
        ("/prediction", CSV, filled(&format!("{head}\n"), "x\n", "")),
        ("/prediction", CSV, filled(&format!("{head}\n"), "a,x,y,z,0\n", "")),
        ("/prediction", CSV, filled("", "a,", "a\n1\n")),
        ("/prediction", JSON, filled("[", "{},", "{}]")),
        ("/prediction", JSON, filled("[", "7,", "7]")),
        ("/prediction", JSON, filled("{\"columns\":[", "\"\",", "\"\"],\"data\":[]}")),
        ("/prediction", JSON, filled("{\"columns\":[\"x\"],\"data\":[", "[1],", "[1]]}")),
        ("/prediction", JSON, filled("{\"a\":[", "[[[]]],", "[]]}")),
        ("/prediction", JSON, filled("", "[", "")),
        ("/prediction", JSON, filled("{\"a\":\"", "\\n", "\"}")),
        ("/invocations", JSON, filled("{\"inputs\":{\"foo\":[", "[0],", "[0]]}}")),
        ("/invocations", JSON, filled("{\"inputs\":{\"foo\":[", "0,", "0]}}")),
        ("/invocations", JSON, filled("{\"inputs\":{\"foo\":", "[", "")),
        ("/invocations", JSON, filled("{\"inputs\":{", "\"\":0,", "\"\":0}}")),
        ("/invocations", JSON, filled("{\"instances\":[", "NaN,", "0]}")),
        (infer, JSON, filled("{\"inputs\":[{\"shape\":[", "1,", "1]}]}")),
        (infer, JSON, filled("{\"inputs\":[", TENSOR, &TENSOR[..TENSOR.len() - 1]) + "]}"),
        (infer, JSON, filled("{\"inputs\":[],\"outputs\":[", "{\"name\":\"\"},", "{}]}")),
        (
            infer,
            JSON,
            filled(
                "{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[",
                "0,",
                "0]}]}",
            ),
        ),
    ] {
        // Each against a process of its own: what an allocator keeps of others is no cost of this one.
        let started = start(&mut APP.command(scene.root(), &["--port", "0"]));
        started.ask(&post("/prediction", CSV, &format!("{head}\nx,1,2,3,0\n")));
        let before = started.memory("VmHWM");
        let answer = started.ask(&post(path, kind, &body));
        let cost = started.memory("VmHWM").saturating_sub(before);
        let shown = format!("{path} {:?}", &body[..60]);
        assert!(answer.starts_with("HTTP/1.1 "), "{shown}: {answer}");
        println!("{:.2} times: {shown} {}", cost as f64 / size as f64, &answer[9..12]);
        if cost > 8 * size {
            over.push(format!("{shown}: {} MiB", cost / MIB));
        }
        started.stopped("-TERM");
    }
    assert!(over.is_empty(), "{over:#?}");
}

/// A tensor that is as short as one can be, and a comma.
const TENSOR: &str = "{\"name\":\"\",\"shape\":[],\"datatype\":\"\"},";

#[test]
fn answers_that_nobody_takes_count_as_the_bodies_that_they_answer() {
    const TOTAL: usize = 12 * MIB;
    let scene = Scene::deployed();
    configure(
        &scene,
        &format!("{{\"max_total_body_bytes\": {TOTAL}, \"max_body_bytes\": {TOTAL}}}"),
    );
    let started = start(&mut APP.command(scene.root(), &["--port", "0"]));
    // An answer of twice this does not fit into what lies between.
    let request = predict(&format!("{HEADER}{}", "a,1,2,3,0\n".repeat(300_000)));
    let before = started.memory("VmHWM");
    let small = predict(&format!("{HEADER}{}", "a,1,2,3,0\n".repeat(200_000)));
    let refused = || {
        let answer = started.ask(&small);
        let refused = answer.starts_with("HTTP/1.1 503 ");
        assert!(!refused || answer.contains("max_total_body_bytes"), "{answer}");
        refused
    };
    let mut held = Vec::new();
    // One that meets too many others at work is refused itself, so that it may take some more.
    while !refused() {
        assert!(held.len() < 100, "never refused");
        let mut stream = TcpStream::connect(&started.address).unwrap();
        let _ = stream.write_all(request.as_bytes());
        held.push(stream);
    }
    let cost = started.memory("VmHWM").saturating_sub(before);
    assert!(cost < 8 * TOTAL, "{} MiB", cost / MIB);
    drop(held);
    let begun = std::time::Instant::now();
    while refused() {
        assert!(begun.elapsed().as_secs() < 60, "refused for ever");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    started.stopped("-TERM");
}

#[test]
fn the_limit_of_descriptors_is_raised_to_what_may_be() {
    let scene = Scene::deployed();
    let started = start(&mut limited(&scene, "ulimit -S -n 40"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", started.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
    let held: Vec<_> = (0..200).map(|_| TcpStream::connect(&started.address).unwrap()).collect();
    let answer = started.ask(&predict(&format!("{HEADER}x,1,2,3,0\n")));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(held);
    assert_eq!(started.stopped("-TERM").0, Some(0));
    // Where the hard limit is too low, too, the way out is said.
    let started = start(&mut limited(&scene, "ulimit -n 300"));
    let (code, _, stderr) = started.stopped("-TERM");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("service.max_connections needs") && stderr.contains("LimitNOFILE"));
}

#[test]
fn on_a_disk_that_is_full_every_lost_line_is_counted_and_none_is_glued_to_another() {
    let scene = Scene::deployed();
    configure(&scene, "{\"prediction_log_path\": \"log\"}");
    // As a full disk does, a limit of file sizes takes a part of a write and then none.
    let started = start(&mut limited(&scene, "trap '' XFSZ; ulimit -S -f 100"));
    let lost = || started.metric("mlops_log_lines_lost_total ");
    let mut sent = 0;
    let mut ask = |rows: usize| {
        let mut body = HEADER.to_owned();
        for i in 0..rows {
            body.extend(["c", &sent.to_string(), "x", &i.to_string(), ",1,2,3,0\n"]);
        }
        sent += rows as u64;
        let answer = started.ask(&predict(&body));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        std::thread::sleep(std::time::Duration::from_millis(300));
    };
    while lost() == 0 {
        ask(97);
    }
    ask(97);
    let full = lost();
    let pid = started.child.id().to_string();
    let more = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
    let more = more.is_ok_and(|status| status.success());
    ask(97);
    let (code, _, stderr) = {
        let at_last = lost();
        assert!(if more { at_last == full } else { at_last >= full }, "{full} and {at_last}");
        started.stopped("-TERM")
    };
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("lines are lost"), "{stderr}");
    let entry = std::fs::read_dir(scene.path("log")).unwrap().next().unwrap().unwrap();
    let text = std::fs::read_to_string(entry.path()).unwrap();
    let (sound, torn): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| serde_json::from_str::<Value>(line).is_ok());
    assert!(torn.len() <= 1, "{torn:?}");
    if more {
        assert!(stderr.contains("lines are written again"), "{stderr}");
        assert_eq!(sound.len() as u64 + full, sent);
        assert!(sound.last().unwrap().contains(&format!("\"c{}x96\"", sent - 97)), "{text}");
    }
}
