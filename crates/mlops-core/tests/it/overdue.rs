//! Sources that are expected to deliver: what is told when they do not, how often, and what a decision
//! waits for.

use std::fs::{self, File};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use mlops_core::ids::{DecisionOutcome, Step};
use mlops_core::platform::clock::SteppingClock;
use mlops_core::run::attention::Attention;
use mlops_core::run::context::Report;
use mlops_core::run::decision::{Concern, Decision};
use mlops_core::stage::{decide, overdue};
use mlops_testkit::scene::{Scene, sample_rows};
use serde_json::{Value, json};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// `fullprocess` at a given time.
fn decide_at(scene: &Scene, time: &str) -> Decision {
    let mut context = scene.context().unwrap();
    context.clock = Arc::new(SteppingClock::starting_at(at(time).timestamp()));
    context.run = mlops_core::ids::RunId::unique(at(time), 1);
    let mut workspace = context.open("fullprocess").unwrap();
    let options = decide::Options::default();
    context
        .step(&mut workspace, Step::FullProcess, |workspace| {
            decide::run(&context, workspace, options)
        })
        .unwrap()
}

/// Rows of a source, in a file that was written at `time`.
fn deliver(scene: &Scene, name: &str, rows: &str, time: &str) {
    scene.rows(name, rows);
    let file = File::options().append(true).open(scene.path(name)).unwrap();
    file.set_modified(at(time).into()).unwrap();
}

fn scene(more: &Value) -> Scene {
    let mut config = json!({
        "source_folder_path": "source",
        "ingestion": {"settle_seconds": 0},
        "sources": [{"name": "crm", "uri": "crm", "expect": {
            "schedule": "0 6 * * 1-5", "timezone": "Europe/Berlin", "grace": "90m"
        }}]
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let scene = Scene::at(at("2026-11-26T12:00:00Z").timestamp(), &config);
    for folder in ["source", "crm", "billing"] {
        fs::create_dir(scene.path(folder)).unwrap();
    }
    deliver(&scene, "in/a.csv", &sample_rows(300, 1), "2026-11-26T11:00:00Z");
    scene.rows("test/testdata.csv", &sample_rows(120, 2));
    scene
}

fn gauge(scene: &Scene) -> String {
    let figures = mlops_core::stage::prometheus::Figures::read(&scene.ledger(), None).unwrap();
    let text = figures.prometheus();
    let line = text.lines().find(|line| line.starts_with("mlops_source_overdue{"));
    line.unwrap().to_owned()
}

#[test]
fn a_breach_is_told_once_and_so_is_its_end() {
    let scene = scene(&json!({}));
    deliver(&scene, "crm/1.csv", &sample_rows(40, 3), "2026-11-26T11:00:00Z");
    scene.everything().unwrap();
    // Friday's data come at 05:20 UTC, Monday's do not.
    deliver(&scene, "crm/2.csv", &sample_rows(40, 4), "2026-11-27T05:20:00Z");
    let friday = decide_at(&scene, "2026-11-27T08:00:00Z");
    assert!(friday.concerns.is_empty(), "{friday}");
    assert_eq!(gauge(&scene), "mlops_source_overdue{source=\"crm\"} 0");
    assert!(decide_at(&scene, "2026-11-30T06:00:00Z").concerns.is_empty(), "within the grace");
    let monday = decide_at(&scene, "2026-11-30T07:00:00Z");
    assert_eq!(monday.attention(), Attention::Person, "{monday}");
    let said = &monday.findings()[0].text;
    assert!(
        said.starts_with(
            "source \"crm\" is overdue: nothing arrived for Mon 2026-11-30 06:00 Europe/Berlin plus \
             90 minutes of grace; the last data came at 2026-11-27 0"
        ),
        "{said}"
    );
    assert_eq!(gauge(&scene), "mlops_source_overdue{source=\"crm\"} 2");
    for later in ["2026-11-30T09:00:00Z", "2026-12-01T09:00:00Z"] {
        let later = decide_at(&scene, later);
        assert_eq!(later.attention(), Attention::Fine, "told once: {later}");
        assert!(later.findings().is_empty());
        assert_eq!(gauge(&scene), "mlops_source_overdue{source=\"crm\"} 2", "the gauge stays");
    }
    let context = scene.context().unwrap();
    let standings = overdue::standings(&context, &scene.ledger()).unwrap();
    assert_eq!(standings[0].source, "crm");
    deliver(&scene, "crm/3.csv", &sample_rows(40, 5), "2026-12-01T09:10:00Z");
    let over = decide_at(&scene, "2026-12-01T10:00:00Z");
    let warnings: Vec<_> = over.data.warnings.iter().filter(|w| w.contains("crm")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0]
            .starts_with("source \"crm\" is on time again; it was overdue since 2026-11-30T")
    );
    assert_eq!(gauge(&scene), "mlops_source_overdue{source=\"crm\"} 0");
    let quiet = decide_at(&scene, "2026-12-01T11:00:00Z");
    assert!(quiet.findings().is_empty(), "{quiet}");
    // A breach after that is another one.
    let next = decide_at(&scene, "2026-12-02T08:00:00Z");
    assert_eq!(next.attention(), Attention::Person, "{next}");
}

#[test]
fn a_breach_that_nobody_saw_is_told_again() {
    let scene = scene(&json!({}));
    scene.everything().unwrap();
    let told = |time: &str| {
        let concerns = decide_at(&scene, time).concerns;
        concerns.iter().any(|concern| matches!(concern, Concern::Overdue { .. }))
    };
    assert!(told("2026-11-27T08:00:00Z"), "nothing ever came");
    // The run was killed before it could report.
    let ledger = rusqlite::Connection::open(scene.path("out/ledger.sqlite")).unwrap();
    let killed = "UPDATE runs SET outcome = NULL, ended = NULL WHERE step = 'fullprocess'";
    ledger.execute(killed, []).unwrap();
    assert!(told("2026-11-27T09:00:00Z"));
    assert!(!told("2026-11-27T10:00:00Z"));
}

#[test]
fn a_warning_needs_no_person_and_becomes_an_error() {
    let scene = scene(&json!({
        "sources": [],
        "expect": {"warn_after": {"count": 12, "period": "hour"},
                   "error_after": {"count": 1, "period": "day"}}
    }));
    scene.everything().unwrap();
    assert!(decide_at(&scene, "2026-11-26T20:00:00Z").findings().is_empty());
    let warned = decide_at(&scene, "2026-11-27T02:00:00Z");
    assert_eq!(warned.attention(), Attention::Fine);
    let said = &warned.data.warnings;
    assert!(
        said[0].contains("the input folder is overdue: the last data came at 2026-11-26"),
        "{said:?}"
    );
    assert!(said[0].contains("where 12 hours are allowed"), "{said:?}");
    assert!(decide_at(&scene, "2026-11-27T03:00:00Z").findings().is_empty());
    assert_eq!(decide_at(&scene, "2026-11-27T13:00:00Z").attention(), Attention::Person);
    assert!(decide_at(&scene, "2026-11-27T14:00:00Z").findings().is_empty());
}

/// Rows whose id is a business date.
fn dated(day: &str, rows: u64, seed: u64) -> String {
    let rows = sample_rows(rows, seed);
    rows.lines()
        .enumerate()
        .map(|(at, line)| {
            let (_, rest) = line.split_once(',').unwrap();
            format!("{day}T{:02}:00:{:02}#{seed},{rest}\n", at % 24, at / 24)
        })
        .collect()
}

#[test]
fn an_old_window_that_is_sent_again_is_overdue() {
    let scene = scene(&json!({
        "sources": [{"name": "crm", "uri": "crm", "expect": {
            "schedule": "0 6 * * *", "business_date": "corporation"
        }}]
    }));
    scene.everything().unwrap();
    deliver(&scene, "crm/1.csv", &dated("2026-11-26", 40, 3), "2026-11-27T05:50:00Z");
    let fine = decide_at(&scene, "2026-11-27T08:00:00Z");
    assert!(fine.concerns.is_empty(), "{fine}");
    // Another file, but of the same days; and one row with a slip of the pen.
    let again = dated("2026-11-26", 40, 4) + "2062-11-27,1,2,3,0\n";
    deliver(&scene, "crm/2.csv", &again, "2026-11-28T05:50:00Z");
    let behind = decide_at(&scene, "2026-11-28T08:00:00Z");
    let concerns: Vec<_> = behind.concerns.iter().map(ToString::to_string).collect();
    assert_eq!(concerns.len(), 1, "{concerns:?}");
    assert!(
        concerns[0].contains(
            "must reach the business date 2026-11-27, and the newest row is of 2026-11-26"
        ),
        "{concerns:?}"
    );
}

#[test]
fn a_decision_waits_for_required_sources_of_the_same_day_up_to_a_limit() {
    let source = |name: &str, hour: u32| {
        json!({"name": name, "uri": name, "expect": {
            "schedule": format!("0 {hour} * * *"), "grace": "3h", "business_date": "corporation"
        }})
    };
    let scene = scene(&json!({
        "sources": [source("crm", 6), source("billing", 8)],
        "decide": {"wait_for": ["crm", "billing"], "wait_limit": "4h"},
        "drift": {"min_rows": 10}
    }));
    deliver(&scene, "crm/1.csv", &dated("2026-11-25", 40, 3), "2026-11-26T05:50:00Z");
    deliver(&scene, "billing/1.csv", &dated("2026-11-25", 40, 4), "2026-11-26T07:50:00Z");
    scene.everything().unwrap();
    decide_at(&scene, "2026-11-26T13:00:00Z");
    // The next morning one is there; the other will come within the limit.
    deliver(&scene, "crm/2.csv", &dated("2026-11-26", 40, 5), "2026-11-27T05:50:00Z");
    let waits = decide_at(&scene, "2026-11-27T06:30:00Z");
    assert_eq!(waits.outcome, DecisionOutcome::NothingNew, "{waits}");
    assert!(
        waits.reason.starts_with("the decision waits until 2026-11-27T10:30:")
            && waits.reason.ends_with(
                "source \"billing\" has rows up to 2026-11-25, where others reach 2026-11-26"
            ),
        "{}",
        waits.reason
    );
    assert_eq!(waits.attention(), Attention::Fine, "{waits}");
    deliver(&scene, "billing/2.csv", &dated("2026-11-26", 40, 6), "2026-11-27T07:50:00Z");
    let decided = decide_at(&scene, "2026-11-27T08:30:00Z");
    assert_ne!(decided.outcome, DecisionOutcome::NothingNew, "{decided}");
    assert_eq!(decided.data.files.len(), 2, "both count: {:?}", decided.data.files);
    // The day after, one does not come at all.
    deliver(&scene, "crm/3.csv", &dated("2026-11-27", 40, 7), "2026-11-28T05:50:00Z");
    let waits = decide_at(&scene, "2026-11-28T08:30:00Z");
    assert_eq!(waits.outcome, DecisionOutcome::NothingNew, "{waits}");
    assert!(
        waits.reason.contains("nothing arrived for Sat 2026-11-28 08:00 UTC"),
        "{}",
        waits.reason
    );
    let decided = decide_at(&scene, "2026-11-28T12:31:00Z");
    assert_ne!(decided.outcome, DecisionOutcome::NothingNew, "{decided}");
    let without = decided.data.warnings.iter().find(|w| w.contains("without waiting any longer"));
    assert!(without.is_some(), "{:?}", decided.data.warnings);
}
