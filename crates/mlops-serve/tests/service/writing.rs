//! What changes the workspace: `POST /labels` and `POST /approvals/{release}`. Not for the join and the rules of
//! approval, which the core's tests have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mlops_core::ids::{ReleaseId, Step};
use mlops_core::ledger::{ApprovalState, Ledger};
use mlops_core::outcomes::received::Received;
use mlops_core::platform::disk::{Disk, DiskStep, Probe};
use mlops_core::run::context::Context;
use mlops_core::stage::{forget, outcomes};
use mlops_serve::{Options, Tokens};
use serde_json::{Value, json};

use crate::http::Answer;
use crate::scene::{Scene, Service, rows};

const LABELS: &str = "Bearer labels-0123456789abcdef";
const APPROVE: &str = "Bearer approve-0123456789abcdef";

fn tokens() -> Tokens {
    let mut tokens = Tokens::default();
    let lines =
        "labels labels-0123456789abcdef the CRM\napprove approve-0123456789abcdef Anna Ruiz\n";
    tokens.add_lines(lines, "a test").unwrap();
    tokens
}

fn options() -> Options {
    Options { tokens: tokens(), ..Options::default() }
}

fn receiving(more: &Value) -> Scene {
    let mut config = json!({
        "service": { "prediction_log_path": "log" },
        "labels": { "receive": true },
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    Scene::deployed(&config)
}

fn send(service: &Service, kind: &str, body: &str) -> Answer {
    let headers = [("content-type", kind), ("authorization", LABELS)];
    service.ask("POST", "/labels", &headers, body.as_bytes())
}

fn json_labels(service: &Service, value: &Value) -> Answer {
    send(service, "application/json", &value.to_string())
}

/// The batches that were kept.
fn kept(scene: &Scene) -> Vec<String> {
    let path = scene.context().config.received_path();
    let Some(received) = Received::open_to_read(&path).unwrap() else { return Vec::new() };
    let (mut texts, mut last) = (Vec::new(), 0);
    while let Some(batch) = received.after(last).unwrap() {
        last = batch.id;
        texts.push(String::from_utf8(batch.csv).unwrap());
    }
    texts
}

/// Waits until the log has so many lines.
fn logged(scene: &Scene, lines: usize) {
    for _ in 0..500 {
        let folder = std::fs::read_dir(scene.path("log")).into_iter().flatten();
        let texts = folder.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
        if texts.map(|text| text.lines().count()).sum::<usize>() >= lines {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the log never has {lines} lines");
}

fn joined(scene: &Scene) -> outcomes::Joined {
    let context = scene.context();
    let mut workspace = context.open(Step::Outcomes).unwrap();
    outcomes::run(&context, &mut workspace, outcomes::Reach::Here).unwrap()
}

#[test]
fn a_batch_is_the_same_in_every_form_and_each_time() {
    let scene = receiving(&json!({}));
    let service = scene.serve_with(options());
    let both = json!([{ "customer": "a,1", "churned": "yes" }, { "customer": 2, "churned": "no", "more": [1] }]);
    let first = json_labels(&service, &both).ends_with(200).json();
    assert_eq!((&first["rows"], &first["known"]), (&json!(2), &json!(false)));
    let csv = "churned,other,customer\r\nyes,x,\"a,1\"\r\nno,,2\r\n";
    let second = send(&service, "text/csv", csv).ends_with(200).json();
    assert_eq!((&second["batch"], &second["known"]), (&first["batch"], &json!(true)));
    assert_eq!(kept(&scene), ["customer,churned\n\"a,1\",yes\n2,no\n"]);
    // The order of rows counts where one says something else than another.
    let turned =
        json!([{ "customer": 2, "churned": "no" }, { "customer": "a,1", "churned": "yes" }]);
    assert_eq!(json_labels(&service, &turned).ends_with(200).json()["known"], json!(false));
}

#[test]
fn the_number_of_a_row_is_one_however_it_is_spelt_or_refused() {
    let scene = receiving(&json!({ "labels": { "receive": true, "by": "request_id" } }));
    let service = scene.serve_with(options());
    let row = json!({ "age": 40, "balance": 1, "country": "de" });
    let body = json!([row, row, row]).to_string();
    let headers = [("content-type", "application/json"), ("x-request-id", "q")];
    service.ask("POST", "/prediction", &headers, body.as_bytes()).ends_with(200);
    logged(&scene, 3);
    // As pandas writes a column of numbers in which some are missing.
    let csv = "request_id,row,churned\nq,,yes\nq,1.0,no\nq,02,yes\n";
    let answer = send(&service, "text/csv", csv).ends_with(200).json();
    assert_eq!(
        (&answer["counts"]["new"], &answer["counts"]["unknown"]),
        (&json!(3), &json!(0)),
        "{answer}"
    );
    for text in ["-1", "x", "1.5", "1e30", "NaN"] {
        let labels = json!([{ "request_id": "q", "row": text, "churned": "no" }]);
        let problem = json_labels(&service, &labels).ends_with(422).json();
        assert_eq!(problem["errors"][0]["column"], "row", "{text}: {problem}");
        assert!(
            problem["errors"][0]["reason"].as_str().unwrap().contains("whole number from 0"),
            "{problem}"
        );
    }
    service.ended();
    let labels = joined(&scene).outcomes.labels;
    assert_eq!((labels.kept, labels.unknown, labels.changed), (3, 0, 0), "{labels:?}");
}

#[test]
fn what_was_sent_is_joined_as_files_are() {
    let scene = receiving(&json!({}));
    let service = scene.serve_with(options());
    let row = |id: &str| json!({ "customer": id, "age": 40, "balance": 1, "country": "de" });
    service.post("/prediction", &json!([row("p1"), row("p2")])).ends_with(200);
    let counts = |new: u64, changed: u64, unchanged: u64, unknown: u64, doubled: u64| {
        json!({ "new": new, "changed": changed, "unchanged": unchanged, "unknown": unknown,
            "doubled": doubled })
    };
    // The log is written by a thread of its own.
    logged(&scene, 2);
    for (labels, expected) in [
        (
            json!([{ "customer": "p1", "churned": "yes" }, { "customer": "who", "churned": "no" }]),
            counts(1, 0, 0, 1, 0),
        ),
        (
            json!([{ "customer": "p1", "churned": "no" }, { "customer": "p2", "churned": "no" }]),
            counts(1, 1, 0, 0, 0),
        ),
        (
            json!([{ "customer": "p2", "churned": "no" }, { "customer": "p2", "churned": "no" }]),
            counts(0, 0, 1, 0, 1),
        ),
    ] {
        let answer = json_labels(&service, &labels).ends_with(200).json();
        assert_eq!(answer["counts"], expected, "{answer}");
    }
    service.ended();
    let labels = joined(&scene).outcomes.labels;
    assert_eq!((labels.unknown, labels.doubled, labels.changed), (1, 2, 1), "{labels:?}");
    // Against what is joined the counts are the same.
    let service = scene.serve_with(options());
    let again = json!([{ "customer": "p1", "churned": "yes" }, { "customer": "p2", "churned": "no" },
        { "customer": "who", "churned": "no" }]);
    let answer = json_labels(&service, &again).ends_with(200).json();
    assert_eq!(answer["counts"], counts(0, 1, 1, 1, 0), "{answer}");
    service.ended();
    assert_eq!(joined(&scene).outcomes.labels.changed, 2);
    let context = scene.context();
    let ledger = Ledger::open_to_read(&context.config.ledger_path()).unwrap().unwrap();
    let outcomes = outcomes::newest(&ledger).unwrap().unwrap();
    assert_eq!(outcomes.labels.unknown, 1);
}

#[test]
fn one_bad_row_refuses_the_whole_batch_with_its_place() {
    let scene = receiving(&json!({ "labels": { "receive": true, "time": "known_on" } }));
    let service = scene.serve_with(options());
    let good = json!({ "customer": "a", "churned": "yes", "known_on": "2026-11-30" });
    for (key, value, reason) in [
        ("customer", json!(""), "nothing says whose"),
        ("customer", json!(1.5), "several spellings"),
        ("customer", json!([1]), "is an array"),
        ("customer", json!({}), "is an object"),
        ("churned", json!(null), ""),
        ("churned", json!("perhaps"), "perhaps"),
        ("known_on", json!("soon"), "neither a date"),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        if key == "customer" && reason.starts_with("nothing") {
            bad["known_on"] = json!("");
        }
        let refused = json_labels(&service, &json!([good, bad, good])).ends_with(422).json();
        let error = &refused["errors"][0];
        assert_eq!(error["row"], 1, "{key}: {refused}");
        assert!(error["reason"].as_str().unwrap().contains(reason), "{key}: {refused}");
    }
    let twice = r#"{"customer":"a","customer":"b","churned":"yes","known_on":"2026-11-30"}"#;
    send(&service, "application/json", twice).ends_with(422);
    for (kind, body, status) in [
        ("application/json", "[1]", 400),
        ("application/json", "[", 400),
        ("application/json", "[]", 400),
        ("application/json", "{\"customer\": NaN}", 400),
        ("text/csv", "customer,churned\n", 400),
        ("text/csv", "customer,known_on,churned\n", 400),
        ("text/csv", "customer,known_on,churned\na,2026-11-30\n", 422),
        ("text/plain", "a", 415),
    ] {
        send(&service, kind, body).ends_with(status);
    }
    assert!(kept(&scene).is_empty());
    json_labels(&service, &good).ends_with(200);
    assert_eq!(kept(&scene), ["customer,known_on,churned\na,2026-11-30,yes\n"]);
}

#[test]
fn writing_takes_a_token_of_its_own_and_no_page_has_one() {
    let scene = receiving(&json!({}));
    let body = json!({ "customer": "a", "churned": "yes" }).to_string();
    let ask = |service: &Service, path: &str, headers: &[(&str, &str)]| {
        let headers = [&[("content-type", "application/json")], headers].concat();
        service.ask("POST", path, &headers, body.as_bytes())
    };
    let open = scene.serve();
    let refused = ask(&open, "/labels", &[]).ends_with(403).json();
    assert!(refused["detail"].as_str().unwrap().contains("MLOPS_LABELS_TOKEN"), "{refused}");
    let approval = "/approvals/r-1-0123456789ab";
    ask(&open, approval, &[]).ends_with(403);
    drop(open);
    let service = scene.serve_with(options());
    // Reading stays as it was.
    service.get("/scoring").ends_with(200);
    ask(&service, "/labels", &[]).ends_with(401);
    ask(&service, "/labels", &[("authorization", APPROVE)]).ends_with(403);
    ask(&service, approval, &[("authorization", LABELS)]).ends_with(403);
    ask(&service, "/labels", &[("cookie", "mlops_tokens=labels-0123456789abcdef")]).ends_with(401);
    let foreign = [("authorization", LABELS), ("origin", "http://evil.example")];
    ask(&service, "/labels", &foreign).ends_with(403);
    assert!(kept(&scene).is_empty());
    ask(&service, "/labels", &[("authorization", LABELS)]).ends_with(200);
    drop(service);
    let closed = Scene::deployed(&json!({})).serve_with(options());
    let refused = ask(&closed, "/labels", &[("authorization", LABELS)]).ends_with(404).json();
    assert!(refused["detail"].as_str().unwrap().contains("labels.receive"), "{refused}");
}

/// A disk of which one step fails or ends the world.
struct Failing {
    left: AtomicU64,
    kind: std::io::ErrorKind,
}

impl Probe for Failing {
    fn before(&self, _: DiskStep, _: &std::path::Path) -> std::io::Result<()> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left == Err(0) { Err(self.kind.into()) } else { Ok(()) }
    }
}

#[test]
fn what_was_acknowledged_is_kept_whatever_step_the_disk_fails_at() {
    let (mut acknowledged, mut refused) = (0, 0);
    for steps in 0..12 {
        let scene = receiving(&json!({}));
        let context = scene.context();
        let probe = Failing { left: AtomicU64::new(steps), kind: std::io::ErrorKind::StorageFull };
        let context = Context { disk: Disk::observed(Arc::new(probe)), ..context };
        let context = Context { config: without_log(&context), ..context };
        let service = Scene::serve_in(context, options());
        let answer = json_labels(&service, &json!({ "customer": "a", "churned": "yes" }));
        // No file is torn, and none that was acknowledged is missing.
        let files = kept(&scene);
        assert!(files.iter().all(|text| text == "customer,churned\na,yes\n"), "{files:?}");
        if answer.status == 200 {
            acknowledged += 1;
            assert!(files.contains(&"customer,churned\na,yes\n".to_owned()), "step {steps}");
        } else {
            refused += 1;
            assert_eq!(answer.status, 500, "{answer:?}");
        }
        drop(service);
        let again = scene.serve_with(options());
        json_labels(&again, &json!({ "customer": "a", "churned": "yes" })).ends_with(200);
        drop(again);
        assert_eq!(joined(&scene).outcomes.labels.kept, 1, "step {steps}");
    }
    assert!(acknowledged > 0 && refused > 2, "{acknowledged} {refused}");
}

#[test]
fn an_instance_that_may_only_read_says_so() {
    let scene = receiving(&json!({}));
    for kind in [std::io::ErrorKind::PermissionDenied, std::io::ErrorKind::ReadOnlyFilesystem] {
        let probe = Failing { left: AtomicU64::new(0), kind };
        let context = Context { disk: Disk::observed(Arc::new(probe)), ..scene.context() };
        let context = Context { config: without_log(&context), ..context };
        let service = Scene::serve_in(context, options());
        let refused = json_labels(&service, &json!({ "customer": "a", "churned": "yes" }));
        let detail = refused.ends_with(403).json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("may only read"), "{detail}");
    }
    assert!(kept(&scene).is_empty());
}

/// The log of predictions is a file of its own, which cannot be opened on such a disk.
fn without_log(context: &Context) -> mlops_core::config::Config {
    let mut config = context.config.clone();
    config.service.prediction_log = None;
    config
}

/// A challenger that waits: the release before the one that is live.
fn waiting(scene: &Scene) -> ReleaseId {
    let context = scene.context();
    let release = context.store().live().unwrap().unwrap();
    scene.file("in/b.csv", rows(100, 7, false));
    let champion = scene.release();
    let ledger = Ledger::open_to_read(&context.config.ledger_path()).unwrap().unwrap();
    let dataset = ledger.datasets().unwrap().last().unwrap().version.0;
    let db = rusqlite::Connection::open(context.config.ledger_path()).unwrap();
    let sql = "INSERT INTO approvals (release, run_id, dataset, champion, f1, reason, recorded, expires,
               state) VALUES (?1, 'r', ?2, ?3, 0.5, 'better', ?4, '2999-01-01T00:00:00Z', 'waiting')";
    let values = rusqlite::params![release.as_str(), dataset, champion.as_str(), context.now()];
    db.execute(sql, values).unwrap();
    release
}

fn decide(service: &Service, release: &str, decision: &str, reason: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("authorization", APPROVE)];
    let body = json!({ "decision": decision, "reason": reason }).to_string();
    service.ask("POST", &format!("/approvals/{release}"), &headers, body.as_bytes())
}

#[test]
fn a_challenger_is_approved_once_and_its_record_has_who() {
    let scene = receiving(&json!({}));
    let release = waiting(&scene);
    let service = scene.serve_with(options());
    let page = service.ask("GET", "/", &[("accept", "text/html")], b"").ends_with(200);
    assert!(page.text().contains(&format!("/approvals/{release} ")), "{}", page.text());
    decide(&service, "r-99-0123456789ab", "approve", "why").ends_with(404);
    decide(&service, "nothing", "approve", "why").ends_with(404);
    decide(&service, release.as_str(), "approve", " ").ends_with(400);
    decide(&service, release.as_str(), "perhaps", "why").ends_with(400);
    {
        let context = scene.context();
        let _held = context.open(Step::Training).unwrap();
        decide(&service, release.as_str(), "approve", "why").ends_with(503);
    }
    let done =
        decide(&service, release.as_str(), "approve", "it is the best").ends_with(200).json();
    assert_eq!(done["release"], json!(release));
    assert_eq!((&done["who"], &done["decision"]), (&json!("Anna Ruiz"), &json!("approve")));
    let context = scene.context();
    assert_eq!(context.store().live().unwrap().as_ref(), Some(&release));
    let ledger = Ledger::open_to_read(&context.config.ledger_path()).unwrap().unwrap();
    let record = ledger.approvals(1).unwrap().remove(0);
    assert_eq!((record.state, record.who.as_deref()), (ApprovalState::Approved, Some("Anna Ruiz")));
    let again = decide(&service, release.as_str(), "approve", "again").ends_with(409).json();
    assert!(again["detail"].as_str().unwrap().contains("does not wait any more"), "{again}");
}

#[test]
fn reports_are_renewed_after_labels_and_decisions_without_delaying_the_answer() {
    let scene = receiving(&json!({}));
    let release = waiting(&scene);
    let times = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&times);
    let renew = move |_: &Context, _: &mut mlops_core::run::context::Workspace| {
        counter.fetch_add(1, Ordering::SeqCst);
        Err(mlops_core::Error::data("the report fails"))
    };
    let service = scene.serve_with(Options { renew: Some(Arc::new(renew)), ..options() });
    let reaches = |n: u64| {
        for _ in 0..1000 {
            if times.load(Ordering::SeqCst) >= n {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("never renewed {n} times");
    };
    json_labels(&service, &json!({ "customer": "a", "churned": "yes" })).ends_with(200);
    reaches(1);
    // The renewal that just failed may still hold the workspace.
    let mut decided = decide(&service, release.as_str(), "reject", "no");
    for _ in 0..500 {
        if decided.status != 503 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        decided = decide(&service, release.as_str(), "reject", "no");
    }
    decided.ends_with(200);
    json_labels(&service, &json!({ "customer": "b", "churned": "yes" })).ends_with(200);
    reaches(2);
    // A failed renewal undoes nothing: the labels are joined.
    let context = scene.context();
    let ledger = Ledger::open_to_read(&context.config.ledger_path()).unwrap().unwrap();
    assert_eq!(outcomes::newest(&ledger).unwrap().unwrap().labels.kept, 2);
}

#[test]
fn an_erased_person_is_in_no_batch_any_more() {
    let scene = receiving(&json!({}));
    let service = scene.serve_with(options());
    let of = |id: &str| json!({ "customer": id, "churned": "yes" });
    json_labels(&service, &json!([of("c1x3"), of("c1x4")])).ends_with(200);
    json_labels(&service, &of("c1x5")).ends_with(200);
    service.ended();
    assert_eq!(joined(&scene).outcomes.labels.kept, 3);
    let context = scene.context();
    let mut workspace = context.open(Step::Ingestion).unwrap();
    let request = forget::Request {
        people: vec!["c1x3".to_owned()],
        who: "Anna".to_owned(),
        why: "she asked".to_owned(),
        ..Default::default()
    };
    forget::run(&context, &mut workspace, &request).unwrap();
    drop(workspace);
    let without = ["customer,churned\nc1x4,yes\n", "customer,churned\nc1x5,yes\n"];
    assert_eq!(kept(&scene), without);
    assert_eq!(joined(&scene).outcomes.labels.kept, 2);
    // A client that sends it again is answered, and the person does not come back.
    let service = scene.serve_with(options());
    let answer = json_labels(&service, &json!([of("c1x3"), of("c1x4")])).ends_with(200).json();
    assert_eq!((&answer["rows"], &answer["known"]), (&json!(2), &json!(true)));
    let answer = json_labels(&service, &of("c1x3")).ends_with(200).json();
    assert_eq!(answer["counts"]["unknown"], 1, "{answer}");
    service.ended();
    assert_eq!(kept(&scene), without);
}
