//! Alerts: what is told of which finding, how often, and that no message is lost.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use mlops_core::ids::{FindingKind, RunOutcome, Severity, Step};
use mlops_core::ledger::{FindingFilter, Ledger};
use mlops_core::platform::disk::Disk;
use mlops_core::run::attention::Finding;
use mlops_core::run::context::{Report, Workspace};
use mlops_core::stage::alert::{self, Message, Said, Sent};
use mlops_testkit::{Dead, Fault, Scene};
use serde::Serialize;
use serde_json::{Value, json};

/// A run that finds something.
#[derive(Serialize)]
struct Found(#[serde(skip)] Vec<Finding>);

impl std::fmt::Display for Found {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

impl Report for Found {
    fn findings(&self) -> Vec<Finding> {
        self.0.clone()
    }
}

/// A workspace with a sink "ops" and a rule with the keys `more`.
fn scene(more: &Value) -> Scene {
    let mut rule = json!({"name": "all", "to": "ops"});
    for (key, value) in more.as_object().unwrap() {
        rule[key] = value.clone();
    }
    let sink = |name: &str| json!({"name": name, "type": "exec", "command": ["true"], "timeout_seconds": 60});
    Scene::with(&json!({"alerts": {
        "instance": "here", "limit_seconds": 600, "sinks": [sink("ops"), sink("other")],
        "rules": [rule, {"name": "other", "kinds": "leak", "to": ["other", "ops"]}]
    }}))
}

fn refused(name: &str, severity: Severity) -> Finding {
    let words = format!("{name} was refused");
    let finding = Finding::failed(FindingKind::RefusedFile, words).about([name]);
    Finding { severity, ..finding }
}

/// Runs that find `found`.
fn find(scene: &Scene, found: &[Finding]) {
    let run = |_: &_, _: &mut Workspace| Ok(Found(found.to_vec()));
    drop(scene.step(Step::FullProcess, run).unwrap());
}

/// Tells what is to be told; `down` are sinks that fail.
fn tell(scene: &Scene, down: &[&str]) -> (mlops_core::Result<Sent>, Vec<(String, Message)>) {
    let received = RefCell::new(Vec::new());
    let context = scene.context().unwrap();
    let sent = context.open("a test").and_then(|mut workspace| {
        alert::queue(&context, &mut workspace.ledger)?;
        alert::send(&context, &mut workspace.ledger, &|sink, message, _| {
            if down.contains(&sink.name.as_str()) {
                return Err("no route to host".to_owned());
            }
            received.borrow_mut().push((sink.name.clone(), message.clone()));
            Ok(())
        })
    });
    (sent, received.into_inner())
}

fn said(scene: &Scene) -> Vec<(Said, String)> {
    let (sent, received) = tell(scene, &[]);
    sent.unwrap();
    received.into_iter().map(|(_, message)| (message.status, message.subject)).collect()
}

fn hours(scene: &Scene, hours: u64) {
    scene.context().unwrap().clock.sleep(Duration::from_hours(hours));
}

fn fires(name: &str) -> (Said, String) {
    (Said::Firing, name.to_owned())
}

fn over(name: &str) -> (Said, String) {
    (Said::Resolved, name.to_owned())
}

#[test]
fn a_breach_is_told_once_and_so_is_its_end() {
    let scene = scene(&json!({}));
    let a = refused("a.csv", Severity::Failed);
    find(&scene, std::slice::from_ref(&a));
    let (_, received) = tell(&scene, &[]);
    let [(sink, message)] = &received[..] else { panic!("{received:?}") };
    assert_eq!((sink.as_str(), message.rule.as_str()), ("ops", "all"));
    assert_eq!(message.title(), "critical: refused file (a.csv) on here");
    assert!(message.words().contains("a.csv was refused"), "{}", message.words());
    for _ in 0..3 {
        hours(&scene, 24);
        find(&scene, std::slice::from_ref(&a));
        assert!(said(&scene).is_empty());
    }
    find(&scene, &[]);
    assert_eq!(said(&scene), [over("a.csv")]);
    assert!(said(&scene).is_empty());
    // Another breach is told again.
    find(&scene, &[a, refused("b.csv", Severity::Person)]);
    assert_eq!(said(&scene), [fires("a.csv"), fires("b.csv")]);
}

#[test]
fn what_comes_and_goes_is_told_after_the_cool_down_only() {
    let scene = scene(&json!({"cool_down": "6h"}));
    let a = [refused("a.csv", Severity::Failed)];
    let mut all = Vec::new();
    for hour in 0..24 {
        find(&scene, if hour % 2 == 0 { &a } else { &[] });
        all.extend(said(&scene));
        hours(&scene, 1);
    }
    let pair = [fires("a.csv"), over("a.csv")];
    assert_eq!(all, [pair.clone(), pair.clone(), pair.clone(), pair].concat(), "one in six hours");
}

#[test]
fn a_long_breach_is_told_again_if_that_is_wanted_and_a_worse_one_at_once() {
    let scene = scene(&json!({"once_per_breach": false, "cool_down": "6h", "all_clear": false}));
    let warning = [refused("a.csv", Severity::Warning)];
    let mut all = Vec::new();
    for _ in 0..13 {
        find(&scene, &warning);
        all.extend(said(&scene));
        hours(&scene, 1);
    }
    assert_eq!(all.len(), 3, "at 0, 6 and 12 hours: {all:?}");
    find(&scene, &[refused("a.csv", Severity::Failed)]);
    assert_eq!(said(&scene), [fires("a.csv")]);
    find(&scene, &[]);
    assert!(said(&scene).is_empty(), "nobody asked for the end");
}

#[test]
fn rules_choose_and_each_sink_gets_its_own() {
    let scene =
        scene(&json!({"kinds": "refused_file", "min_severity": "person", "subject": "crm/*"}));
    let leak = Finding::warning(FindingKind::Leak, "a column gives the label away");
    find(
        &scene,
        &[
            refused("crm/a.csv", Severity::Person),
            refused("crm/b.csv", Severity::Warning),
            refused("erp/a.csv", Severity::Failed),
            leak,
        ],
    );
    let (_, received) = tell(&scene, &[]);
    let got = received.iter().map(|(sink, message)| (&**sink, &*message.rule, &*message.subject));
    let got: Vec<_> = got.collect();
    assert_eq!(got, [("ops", "all", "crm/a.csv"), ("other", "other", ""), ("ops", "other", "")]);
    assert_eq!(received.iter().map(|(_, m)| m.others).collect::<Vec<_>>(), [1, 0, 1]);
}

#[test]
fn what_was_over_before_there_were_rules_is_not_told_but_what_was_missed_is() {
    let scene = scene(&json!({}));
    find(&scene, &[refused("old.csv", Severity::Failed)]);
    find(&scene, &[]);
    assert!(said(&scene).is_empty());
    // A run that was killed before it told anything.
    find(&scene, &[refused("a.csv", Severity::Failed)]);
    find(&scene, &[]);
    assert_eq!(said(&scene), [fires("a.csv"), over("a.csv")]);
}

#[test]
fn a_sink_that_is_down_costs_one_try_and_gets_everything_later() {
    let scene = scene(&json!({}));
    let leak = Finding::warning(FindingKind::Leak, "a column gives the label away");
    find(&scene, &[refused("a.csv", Severity::Failed), refused("b.csv", Severity::Failed), leak]);
    let (sent, received) = tell(&scene, &["ops"]);
    let sent = sent.unwrap();
    assert_eq!((sent.taken, sent.waiting, sent.failures.len()), (1, 4, 1), "{sent:?}");
    assert_eq!(received[0].0, "other");
    let waiting = scene.ledger().waiting_alerts().unwrap();
    assert_eq!(waiting.iter().map(|m| m.attempts).collect::<Vec<_>>(), [1, 0, 0, 0]);
    let list = alert::list(&scene.context().unwrap()).unwrap().to_string();
    assert!(list.contains("4 messages to ops for the next run: no route to host"), "{list}");
    hours(&scene, 1);
    let (sent, received) = tell(&scene, &[]);
    assert_eq!((sent.unwrap().taken, received.len()), (4, 4));
    assert!(scene.ledger().waiting_alerts().unwrap().is_empty());
    // A sink that stays down is given up one day.
    find(&scene, &[]);
    tell(&scene, &["ops", "other"]).0.unwrap();
    hours(&scene, 24 * 4);
    for _ in 0..5 {
        tell(&scene, &["ops", "other"]).0.unwrap();
    }
    assert!(scene.ledger().waiting_alerts().unwrap().is_empty());
}

#[test]
fn sending_ends_at_its_limit() {
    let scene = scene(&json!({}));
    let names: Vec<String> = (0..30).map(|n| format!("{n}.csv")).collect();
    let found: Vec<_> = names.iter().map(|name| refused(name, Severity::Failed)).collect();
    find(&scene, &found);
    let context = scene.context().unwrap();
    let mut workspace = context.open("a test").unwrap();
    alert::queue(&context, &mut workspace.ledger).unwrap();
    let granted = RefCell::new(Duration::ZERO);
    let sent = alert::send(&context, &mut workspace.ledger, &|_, _, time| {
        assert!(!time.is_zero());
        context.clock.sleep(time);
        *granted.borrow_mut() += time;
        Ok(())
    })
    .unwrap();
    assert!(sent.taken >= 2 && sent.waiting > 0, "{sent:?}");
    assert!(granted.into_inner() <= Duration::from_mins(10));
}

/// What a receiver has that drops messages whose id it knows.
type Inbox = BTreeMap<String, (Said, String)>;

/// A run with its alerts on a disk that fails, then one without faults; returns all that was received.
fn struck(disk: &Disk) -> Inbox {
    let mut scene = scene(&json!({}));
    find(&scene, &[refused("a.csv", Severity::Failed)]);
    let mut inbox = Inbox::new();
    let mut take = |received: Vec<(String, Message)>| {
        for (sink, message) in received {
            inbox.insert(format!("{sink} {}", message.id), (message.status, message.subject));
        }
    };
    take(tell(&scene, &[]).1);
    scene.disk = disk.clone();
    let found = [refused("b.csv", Severity::Failed)];
    let run = |_: &_, _: &mut Workspace| Ok(Found(found.to_vec()));
    let run = scene.step(Step::FullProcess, run);
    take(tell(&scene, &[]).1);
    scene.disk = Disk::default();
    if run.is_err() {
        // The run itself was not recorded, and is repeated.
        find(&scene, &found);
    }
    take(tell(&scene, &[]).1);
    find(&scene, &found);
    take(tell(&scene, &[]).1);
    inbox
}

#[test]
fn a_fault_or_a_kill_at_any_step_loses_no_message() {
    let counter = Fault::never();
    let told = |inbox: Inbox| {
        let mut told: Vec<_> =
            inbox.into_values().map(|(s, name)| (format!("{s:?}"), name)).collect();
        told.sort();
        told
    };
    let expected = told(struck(&counter.disk()));
    let of = |status: &str, name: &str| (status.to_owned(), name.to_owned());
    assert_eq!(expected, [of("Firing", "a.csv"), of("Firing", "b.csv"), of("Resolved", "a.csv")]);
    let steps = counter.steps().len();
    assert!(steps >= 5, "{steps} steps are too few to be all");
    for at in 0..steps {
        assert_eq!(told(struck(&Fault::error(at, 5).disk())), expected, "an error at step {at}");
        assert_eq!(told(struck(&Dead::from(at))), expected, "killed at step {at}");
    }
}

#[test]
fn runs_leave_a_history_of_findings() {
    let scene = Scene::new();
    scene.file("in/broken.csv", "no,columns\n1,2\n");
    scene.rows("in/a.csv", &mlops_testkit::sample_rows(40, 1));
    scene.ingest().unwrap();
    let open = FindingFilter { open: Some(true), ..FindingFilter::default() };
    let ledger = scene.ledger();
    let found = ledger.findings(&open, 10).unwrap();
    assert_eq!(found.len(), 1);
    let broken = (FindingKind::RefusedFile, "broken.csv", Severity::Failed, Step::Ingestion);
    let first = &found[0];
    assert_eq!((first.kind, &*first.subject, first.severity, first.step), broken);
    scene.ingest().unwrap();
    let again = ledger.finding(first.id).unwrap().unwrap();
    assert_eq!((again.severity, &again.first_run), (Severity::Warning, &first.first_run));
    assert!(again.text.contains("has not changed") && again.last_seen > first.last_seen);
    std::fs::remove_file(scene.path("in/broken.csv")).unwrap();
    scene.ingest().unwrap();
    assert!(ledger.open_findings().unwrap().is_empty());
    // Too many bad rows have a kind of their own.
    scene.rows("in/bad.csv", &"bad\n".repeat(30));
    scene.ingest().unwrap();
    let share = [(FindingKind::QuarantineShare, Severity::Failed, 1)];
    assert_eq!(ledger.open_findings().unwrap(), share);
    let figures = mlops_core::stage::prometheus::Figures::read(&ledger, None).unwrap();
    let line = "mlops_open_findings{kind=\"quarantine_share\",severity=\"failed\"} 1";
    assert!(figures.prometheus().contains(line), "{}", figures.prometheus());
}

#[test]
fn a_run_that_fails_is_a_finding_until_one_succeeds() {
    let scene = scene(&json!({}));
    let fail = |_: &_, _: &mut Workspace| -> mlops_core::Result<Found> {
        Err(mlops_core::Error::data("only one class"))
    };
    assert!(scene.step(Step::FullProcess, fail).is_err());
    assert_eq!(said(&scene), [fires("")]);
    let ledger: Ledger = scene.ledger();
    assert_eq!(ledger.open_findings().unwrap(), [(FindingKind::RunFailed, Severity::Failed, 1)]);
    let runs = ledger.runs(Step::FullProcess, 1).unwrap();
    assert_eq!(runs[0].outcome, Some(RunOutcome::Failed));
    find(&scene, &[]);
    assert_eq!(said(&scene), [over("")]);
}
