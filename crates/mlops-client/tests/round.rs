//! Whole rounds: files sent in blocks, answers put together, kept, and compared with the last ones.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

/// An app that answers as a test wants it.
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mlops_client::call::{Api, Options};
use mlops_client::data::Data;
use mlops_client::returns::{JSON, Returns, TEXT, comparison};
use mlops_client::round::{self, Round};
use mlops_core::config::Ingestion;
use mlops_core::platform::clock::{SteppingClock, SystemClock};
use mlops_core::platform::disk::{Disk, DiskStep, Probe};
use mlops_core::table::schema::{Schema, SchemaFields};
use mlops_testkit::app::{App, Reply, Request, healthy, nobody, problem, reply};
use serde_json::{Value, json};

fn schema() -> Schema {
    let list = |name: &str| vec![name.to_owned()];
    Schema::new(SchemaFields {
        id: &list("client"),
        numeric: &list("age"),
        target: "left",
        positive_label: "1",
        ..SchemaFields::default()
    })
}

fn options(url: &str) -> Options {
    Options {
        url: url.to_owned(),
        read_token: None,
        predict_token: None,
        timeout: Duration::from_secs(20),
        attempts: 2,
        within: None,
        only_if_up: true,
        request_id: "run-7".to_owned(),
    }
}

fn api(url: &str) -> Api {
    Api::new(options(url), Arc::new(SteppingClock::starting_at(0))).unwrap()
}

fn round(url: &str, files: &[PathBuf]) -> Round {
    let (schema, options) = (schema(), Ingestion::default());
    round::run(&api(url), &Data { schema: &schema, options: &options, files, max_body: 1 << 20 })
        .unwrap()
}

/// A file of rows `age,client` with the given ages.
fn file(folder: &Path, name: &str, ages: impl IntoIterator<Item = u32>) -> PathBuf {
    let mut text = "age,client,extra\n".to_owned();
    for (i, age) in ages.into_iter().enumerate() {
        writeln!(text, "{age},\"Müller, {i}\",x").unwrap();
    }
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// A round on `path`, kept in `folder` as of `time`.
fn keep(url: &str, path: &Path, folder: &Path, time: &str) -> Returns {
    let returns = Returns::new(round(url, &[path.to_owned()]), url, time.to_owned(), folder);
    returns.write(&Disk::default(), folder).unwrap();
    returns
}

#[test]
fn every_endpoint_is_called_and_all_answers_are_readable_together() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::start(|request, _| healthy(request, "r-1-a"));
    let data = file(dir.path(), "clients.csv", [10, 51, 99]);
    let returns = keep(&app.url, &data, dir.path(), "then");
    let calls = ["POST /prediction", "GET /scoring", "GET /summarystats", "GET /diagnostics"];
    assert_eq!(app.lines(), calls);
    let sent = &app.requests()[0];
    assert_eq!(
        sent.body,
        "client,age,left\n\"Müller, 0\",10,\n\"Müller, 1\",51,\n\"Müller, 2\",99,\n"
    );
    assert!(sent.headers.iter().any(|h| h.starts_with("content-type: text/csv")), "{sent:?}");
    assert_eq!((returns.release.as_deref(), returns.errors.len()), (Some("r-1-a"), 0));

    let text = fs::read_to_string(dir.path().join(TEXT)).unwrap();
    let expected = format!(
        "{} answered by r-1-a, then

These are the first answers, so that there is nothing to compare them with.

POST /prediction 200
  clients.csv: 3 rows
  1 predicted 0, 2 predicted 1
  rows           3
  model_version  r-1-a
  imputed
    age  1

GET /scoring 200
  release  r-1-a
  f1       0.8125

GET /summarystats 200
  columns
    name  mean
    age   41.5

GET /diagnostics 200
  timings
    training  0.25

Predictions, row by row
             prediction  probability
  Müller, 0           0       0.1000
  Müller, 1           1       0.5100
  Müller, 2           1       0.9900
",
        app.url
    );
    assert_eq!(text, expected);
    let json: Value = serde_json::from_slice(&fs::read(dir.path().join(JSON)).unwrap()).unwrap();
    assert_eq!(json["predictions"]["kept"]["probabilities"], json!([0.1, 0.51, 0.99]));
    assert_eq!(json["calls"][1]["answer"]["f1"], 0.8125);
}

#[test]
fn a_big_file_is_sent_in_blocks_and_counts_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::start(|request, _| healthy(request, "r-1-a"));
    let data = file(dir.path(), "big.csv", (0..40_000).map(|i| i % 100));
    let round = round(&app.url, &[data]);
    let requests: Vec<Request> =
        app.requests().into_iter().filter(|r| r.path == "/prediction").collect();
    assert!(requests.len() > 2, "{}", requests.len());
    for request in &requests {
        assert!(request.body.len() <= 1 << 18 && request.body.starts_with("client,age,left\n"));
    }
    let predictions = round.predictions.unwrap();
    assert_eq!((predictions.rows, predictions.kept.ids.len()), (40_000, 40_000));
    assert_eq!(predictions.labels["1"], 40_000 * 49 / 100);
    assert_eq!(predictions.kept.ids[39_999], "Müller, 39999");
    assert!((predictions.kept.probabilities[39_999] - 0.99).abs() < 1e-12);
    let answer = &round.calls[0].answer;
    assert_eq!(
        (&answer["rows"], &answer["imputed"]["age"]),
        (&json!(40_000), &json!(requests.len()))
    );
}

#[test]
fn an_app_that_takes_less_at_a_time_gets_less() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::start(|request, _| match request.body.len() {
        0..2000 => healthy(request, "r-1-a"),
        _ => problem("413 Content Too Large", "at most 2000 bytes"),
    });
    let data = file(dir.path(), "data.csv", (0..1000).map(|i| i % 100));
    let predictions = round(&app.url, &[data]).predictions.unwrap();
    assert_eq!(predictions.rows, 1000);
    let ids: Vec<String> = (0..1000).map(|i| format!("Müller, {i}")).collect();
    assert_eq!(predictions.kept.ids, ids);

    let app = App::start(|_, _| problem("413 Content Too Large", "at most nothing"));
    let data = file(dir.path(), "data.csv", 0..10);
    let refused = round(&app.url, &[data]);
    let error = refused.calls[0].error.as_deref().unwrap();
    assert_eq!(error, "at most nothing (rows 1 to 1 of data.csv)");
}

#[test]
fn several_files_are_one_prediction_and_unreadable_rows_stay_here() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::start(|request, _| healthy(request, "r-1-a"));
    let first = file(dir.path(), "a.csv", [10]);
    let second = dir.path().join("b.csv");
    fs::write(&second, "client,age\nx,20\ny,old\nz,30\n").unwrap();
    let predictions = round(&app.url, &[first, second]).predictions.unwrap();
    assert_eq!(predictions.kept.ids, ["Müller, 0", "x", "z"]);
    let file = &predictions.files[1];
    assert_eq!((file.rows, file.rejected, predictions.rows), (3, 1, 3));
    assert!(file.examples[0].contains("line 3, column \"age\""), "{:?}", file.examples);
    assert!(predictions.summary().contains("1 unreadable and not sent"));
}

#[test]
fn rows_that_the_app_refuses_are_named_by_their_number_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::start(|request, number| match number {
        0 => healthy(request, "r-1-a"),
        _ => reply(
            "422 Unprocessable Content",
            "r-1-a",
            &json!({"status": 422, "detail": "1 value breaks the schema", "error_count": 1,
                "errors": [{"row": 0, "column": "age", "reason": "is missing"}]}),
        ),
    });
    let data = file(dir.path(), "data.csv", 0..20_000);
    let rows = round(&app.url, &[data]);
    let sent = app.requests()[0].body.lines().count();
    let error = rows.calls[0].error.as_deref().unwrap();
    assert!(error.starts_with("1 value breaks the schema (rows "), "{error}");
    let row = mlops_core::text::count(sent as u64);
    assert!(error.ends_with(&format!("; row {row}, column \"age\": is missing")), "{error}");
    // The other calls are made all the same, and no half of the predictions is kept.
    assert_eq!((rows.calls.len(), rows.predictions.is_none()), (4, true));
}

#[test]
fn answers_that_do_not_fit_the_rows_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = file(dir.path(), "data.csv", [1, 2]);
    for (body, part) in [
        (
            json!({"predictions": [1], "probabilities": [0.5]}),
            "\"predictions\" has 1 value for 2 rows",
        ),
        (json!({"predictions": [1, 1]}), "no list \"probabilities\""),
        (json!({"predictions": [1, 1], "probabilities": [0.5, "x"]}), "is not a number"),
        (json!([1, 1]), "not an object"),
    ] {
        let app = App::start(move |_, _| reply("200 OK", "r-1-a", &body));
        let error = round(&app.url, std::slice::from_ref(&data)).calls[0].error.clone().unwrap();
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn a_release_that_changes_in_the_middle_begins_the_round_again() {
    let dir = tempfile::tempdir().unwrap();
    let data = file(dir.path(), "data.csv", [1, 2]);
    let app =
        App::start(|request, number| healthy(request, if number < 2 { "r-1-a" } else { "r-2-b" }));
    let answered = round(&app.url, std::slice::from_ref(&data));
    assert_eq!(answered.releases().into_iter().collect::<Vec<_>>(), ["r-2-b"]);
    assert_eq!(app.requests().len(), 8);

    let app = App::start(|request, number| healthy(request, ["r-1-a", "r-2-b"][number % 2]));
    let returns = keep(&app.url, &data, dir.path(), "then");
    assert_eq!((returns.release, app.requests().len()), (None, 12));
    let error = "the release kept changing between the calls (r-1-a, r-2-b)";
    assert!(returns.errors[0].starts_with(error), "{:?}", returns.errors);
}

#[test]
fn without_a_server_the_round_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = file(dir.path(), "data.csv", [1, 2]);
    let round = round(&nobody(), &[data]);
    assert_eq!(round.calls.len(), 1);
    assert!(!round.calls[0].reached());
}

#[test]
fn without_a_row_there_is_nothing_to_send() {
    let dir = tempfile::tempdir().unwrap();
    let (schema, options) = (schema(), Ingestion::default());
    let path = dir.path().join("bad.csv");
    fs::write(&path, "client,age\nx,old\n").unwrap();
    for path in [file(dir.path(), "empty.csv", []), path, dir.path().join("none.csv")] {
        let files = [path.clone()];
        let data = Data { schema: &schema, options: &options, files: &files, max_body: 1 << 20 };
        let error = round::run(&api(&nobody()), &data).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn what_changed_since_the_last_call_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let data = file(dir.path(), "data.csv", [10, 51, 99]);
    let old = App::start(|request, _| healthy(request, "r-1-a"));
    assert_eq!(keep(&old.url, &data, dir.path(), "one").compared_with, None);
    let same = keep(&old.url, &data, dir.path(), "two");
    assert_eq!((same.compared_with.as_deref(), same.changes.len()), (Some("one"), 0));
    assert_eq!(comparison(Some("one"), &[]), "Nothing changed since the last call (one).\n");

    let url = old.url.clone();
    let new = App::start(|request, _| {
        let body = match request.path.as_str() {
            "/prediction" => {
                json!({"predictions": [1, 1, 1], "probabilities": [0.6, 0.51, 0.99], "rows": 3,
                    "model_version": "r-2-b", "imputed": {"age": 1}})
            }
            "/scoring" => json!({"release": "r-2-b", "f1": 0.85, "note": "few rows"}),
            "/summarystats" => return problem("404 Not Found", "none yet"),
            _ => json!({}),
        };
        reply("200 OK", "r-2-b", &body)
    });
    let returns = keep(&new.url, &data, dir.path(), "three");
    assert_eq!(
        returns.changes,
        [
            format!("another address: {url} → {}", new.url),
            "release: r-1-a → r-2-b".to_owned(),
            "/scoring: f1 0.8125 → 0.85".to_owned(),
            "/scoring: note is new: few rows".to_owned(),
            "/summarystats: 200 → 404 (none yet)".to_owned(),
            "/diagnostics: timings.training is no longer there: 0.25".to_owned(),
            "/prediction: 1 of 3 predictions changed, probabilities by up to 0.5000".to_owned(),
        ]
    );
    assert_eq!(returns.errors, ["GET /summarystats answered 404: none yet"]);
    let text = fs::read_to_string(dir.path().join(TEXT)).unwrap();
    assert!(text.contains("Changed since the last call (two):\n  another address"), "{text}");

    let other = file(dir.path(), "other.csv", [1]);
    let returns = keep(&old.url, &other, dir.path(), "four");
    let expected = "/prediction: other rows than last time, data.csv (3 rows) → other.csv (1 row)";
    assert!(returns.changes.iter().any(|c| c == expected), "{:?}", returns.changes);
}

#[test]
fn many_changes_are_counted_instead_of_listed() {
    let dir = tempfile::tempdir().unwrap();
    let data = file(dir.path(), "data.csv", [1]);
    let app = App::start(|request, number| match request.path.as_str() {
        "/scoring" => reply("200 OK", "r-1-a", &json!({ "all": vec![number; 100] })),
        _ => healthy(request, "r-1-a"),
    });
    keep(&app.url, &data, dir.path(), "one");
    let changes = keep(&app.url, &data, dir.path(), "two").changes;
    assert_eq!(changes.len(), 9, "{changes:#?}");
    assert_eq!(changes[8], "/scoring: 92 other values changed");
}

#[test]
fn unreadable_answers_and_other_formats_are_not_compared() {
    let dir = tempfile::tempdir().unwrap();
    let data = file(dir.path(), "data.csv", [1]);
    let app = App::start(|request, _| healthy(request, "r-1-a"));
    for broken in ["{", "[]", r#"{"format_version":2}"#] {
        fs::write(dir.path().join(JSON), broken).unwrap();
        let round = round(&app.url, std::slice::from_ref(&data));
        let returns = Returns::new(round, &app.url, "now".to_owned(), dir.path());
        assert_eq!(returns.compared_with, None, "{broken}");
    }
}

#[test]
fn a_file_of_format_1_is_understood_for_ever() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/apireturns_v1.json");
    let dir = tempfile::tempdir().unwrap();
    fs::copy(kept, dir.path().join(JSON)).unwrap();
    let data = file(dir.path(), "clients.csv", [10, 51, 99]);
    let app = App::start(|request, _| healthy(request, "r-1-a"));
    let round = round(&app.url, &[data]);
    let returns = Returns::new(round, "http://127.0.0.1:8000", "now".to_owned(), dir.path());
    assert_eq!(returns.compared_with.as_deref(), Some("then"));
    assert_eq!(returns.changes, ["/scoring: f1 0.75 → 0.8125"]);
}

/// A disk that is full for files of this name.
struct Full(&'static str);

impl Probe for Full {
    fn before(&self, step: DiskStep, path: &Path) -> io::Result<()> {
        match step {
            DiskStep::Write if path.ends_with(self.0) => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

#[test]
fn each_file_is_the_old_one_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = file(dir.path(), "data.csv", [1]);
    let app = App::start(|request, _| healthy(request, "r-1-a"));
    let old = keep(&app.url, &data, dir.path(), "one");
    let names = || fs::read_dir(dir.path()).unwrap().count();
    let before = names();
    for name in [JSON, TEXT] {
        let now = Returns { recorded: "two".to_owned(), ..old.clone() };
        let error = now.write(&Disk::observed(Arc::new(Full(name))), dir.path()).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        let text = fs::read_to_string(dir.path().join(TEXT)).unwrap();
        assert!(text.contains("answered by r-1-a, one\n"), "{text}");
        let _: Value = serde_json::from_slice(&fs::read(dir.path().join(JSON)).unwrap()).unwrap();
        assert_eq!(names(), before);
    }
}

#[test]
fn a_new_release_is_waited_for_and_a_stale_one_given_up() {
    let app =
        App::start(|request, number| healthy(request, if number < 3 { "r-1-a" } else { "r-2-b" }));
    let call = round::wait_for(&bounded(&app.url), "r-2-b");
    assert_eq!((call.release.as_deref(), app.requests().len()), (Some("r-2-b"), 4));
    let app = App::start(|request, _| healthy(request, "r-1-a"));
    let call = round::wait_for(&bounded(&app.url), "r-2-b");
    assert_eq!(call.release.as_deref(), Some("r-1-a"));
    assert!(app.requests().len() > 3, "{}", app.requests().len());
    assert!(!round::wait_for(&bounded(&nobody()), "r-2-b").reached());
    let app = App::start(|_, _| Reply::Answer("200 OK", Vec::new(), b"{}".to_vec()));
    assert!(!round::wait_for(&bounded(&app.url), "r-2-b").from_app());
    assert_eq!(app.requests().len(), 1);
}

/// A connection with time for a few looks.
fn bounded(url: &str) -> Api {
    let options = Options { within: Some(Duration::from_secs(2)), ..options(url) };
    Api::new(options, Arc::new(SystemClock::default())).unwrap()
}
