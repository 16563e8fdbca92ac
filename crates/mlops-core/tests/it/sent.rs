//! Labels that are sent: kept, counted and joined batch by batch, however many there are, with kills in between, and
//! erased with the people whose they are.

use mlops_core::ids::Step;
use mlops_core::ledger::Traces;
use mlops_core::outcomes::Outcomes;
use mlops_core::outcomes::counts::Counts;
use mlops_core::platform::disk::Disk;
use mlops_core::stage::{forget, received};
use mlops_testkit::folder::files;
use mlops_testkit::{Dead, Scene, repetitions, sample_rows};
use serde_json::json;

use crate::outcomes::{LOG, join, log, prediction};

const PERSON: &str = "Person-of-Interest";

/// A workspace with a data set that takes labels and logs predictions.
fn receiving() -> Scene {
    let scene = Scene::with(&json!({
        "service": {"prediction_log_path": "log"}, "labels": {"receive": true},
    }));
    std::fs::create_dir(scene.path("log")).unwrap();
    scene.rows("in/a.csv", &sample_rows(60, 1));
    scene.ingest().unwrap();
    scene
}

/// Sends the rows `id,label`; the counts, and whether the batch was known.
fn send(scene: &Scene, rows: &str) -> (Counts, bool) {
    let context = scene.context().unwrap();
    let csv = format!("corporation,exited\n{rows}");
    let batch = received::read(&context, csv.as_bytes()).unwrap().unwrap();
    let counts = received::count(&context, &batch).unwrap();
    (counts, received::keep(&context, &batch).unwrap())
}

/// What a join says, without times, which the clock of a test gives.
fn told(mut outcomes: Outcomes) -> Outcomes {
    outcomes.recorded = String::new();
    for of in &mut outcomes.releases {
        of.total.delay = None;
        of.windows.iter_mut().for_each(|window| window.realised.delay = None);
    }
    outcomes
}

#[test]
fn thousands_of_batches_are_one_file_and_a_join_reads_what_is_new() {
    let scene = receiving();
    log(&scene, LOG, &[prediction("a", 0, 0.9), prediction("b", 1, 0.2)]);
    join(&scene).unwrap();
    let names = || files(&scene.path("out")).into_keys().collect::<Vec<_>>();
    send(&scene, "a,1\n");
    assert_eq!(join(&scene).unwrap().new_labels, 1);
    let before = names();
    let batches = repetitions(300, 20_000);
    for n in 0..batches {
        send(&scene, &format!("x{n},1\n"));
    }
    assert_eq!(join(&scene).unwrap().new_labels, batches);
    assert_eq!(names(), before, "no file came for a batch");
    // Whatever was joined is not read again.
    let path = scene.context().unwrap().config.received_path();
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute("UPDATE batches SET csv = x'00'", []).unwrap();
    send(&scene, "b,0\n");
    let last = join(&scene).unwrap();
    assert_eq!((last.new_labels, last.outcomes.labels.kept), (1, batches + 2));
    assert_eq!(join(&scene).unwrap().new_labels, 0);
}

#[test]
fn the_last_batch_counts_whatever_other_files_said_in_between() {
    let scene = receiving();
    scene.configure(&json!({
        "service": {"prediction_log_path": "log"}, "labels": {"receive": true, "path": "labels"},
    }));
    log(&scene, LOG, &[prediction("a", 0, 0.9)]);
    send(&scene, "a,1\n");
    join(&scene).unwrap();
    scene.file("labels/1.csv", "corporation,exited\na,0\n");
    let second = join(&scene).unwrap();
    assert_eq!(second.outcomes.releases[0].total.scores.unwrap().confusion_matrix.fp, 1);
    let (counts, known) = send(&scene, "a,1\nnobody,1\n");
    assert_eq!(counts, Counts { changed: 1, unknown: 1, ..Counts::default() });
    assert!(!known);
    let third = join(&scene).unwrap();
    assert_eq!(third.outcomes.releases[0].total.scores.unwrap().confusion_matrix.tp, 1);
    assert_eq!(third.outcomes.labels.changed, 2);
}

#[test]
fn a_kill_at_any_step_of_sending_and_joining_loses_and_doubles_nothing() {
    let begun = || {
        let scene = receiving();
        log(&scene, LOG, &[prediction("a", 0, 0.9), prediction("b", 1, 0.2)]);
        scene
    };
    let all = |scene: &Scene| {
        send(scene, "a,1\nz,0\n");
        send(scene, "a,0\nb,0\n");
    };
    let scene = begun();
    all(&scene);
    let expected = told(join(&scene).unwrap().outcomes);
    for at in 0..60 {
        let mut scene = begun();
        scene.disk = Dead::from(at);
        let context = scene.context().unwrap();
        let mut killed = false;
        for rows in ["a,1\nz,0\n", "a,0\nb,0\n"] {
            let csv = format!("corporation,exited\n{rows}");
            let batch = received::read(&context, csv.as_bytes()).unwrap().unwrap();
            killed = killed || received::keep(&context, &batch).is_err();
        }
        killed |= join(&scene).is_err();
        scene.disk = Disk::default();
        // Whoever got no answer sends it again.
        all(&scene);
        assert_eq!(told(join(&scene).unwrap().outcomes), expected, "killed at step {at}");
        if !killed {
            return;
        }
    }
    panic!("60 steps are not enough");
}

/// A workspace in which a person has predictions, labels and rows that were sent.
fn with_the_person(has_person: bool) -> Scene {
    let scene = receiving();
    let mut lines = vec![prediction("a", 0, 0.9), prediction("b", 1, 0.2)];
    if has_person {
        lines.extend([prediction(PERSON, 2, 0.7), prediction(PERSON, 3, 0.6)]);
    }
    log(&scene, LOG, &lines);
    let own = if has_person { format!("{PERSON},1\n") } else { String::new() };
    send(&scene, &format!("a,1\n{own}b,0\n"));
    join(&scene).unwrap();
    // One batch is not joined yet.
    if has_person {
        send(&scene, &format!("{PERSON},0\n"));
    }
    send(&scene, "b,1\n");
    scene
}

#[test]
fn a_person_leaves_outcomes_with_all_counts_whatever_step_the_erasure_is_killed_at() {
    let request = forget::Request {
        people: vec![PERSON.to_owned()],
        who: "the officer".to_owned(),
        why: "request 17".to_owned(),
        everywhere: true,
        ..forget::Request::default()
    };
    let forget = |scene: &Scene| scene.step(Step::Forget, |c, w| forget::run(c, w, &request));
    let remains = |scene: &Scene| {
        let all = files(&scene.path("out")).into_iter().chain(files(&scene.path("log")));
        let has = |bytes: &[u8]| bytes.windows(PERSON.len()).any(|part| part == PERSON.as_bytes());
        all.filter(|(_, bytes)| has(bytes)).map(|(path, _)| path).collect::<Vec<_>>()
    };
    let without = with_the_person(false);
    let expected = told(join(&without).unwrap().outcomes);
    let scene = with_the_person(true);
    let rehearsed = forget::rehearse(&scene.context().unwrap(), &request).unwrap();
    let counts = Traces { predictions: 2, labels: 1, sent: 2 };
    assert_eq!(rehearsed.counts.outcomes, counts, "{rehearsed}");
    assert!(rehearsed.to_string().contains("2 predictions of the store of outcomes"));
    assert!(!remains(&scene).is_empty());
    let erased = forget(&scene).unwrap();
    assert_eq!(erased.counts.outcomes, counts);
    assert_eq!(scene.ledger().erasures().unwrap()[0].counts.outcomes, counts);
    assert!(remains(&scene).is_empty(), "{:?}", remains(&scene));
    assert_eq!(told(join(&scene).unwrap().outcomes), expected);
    for at in 0..200 {
        let mut scene = with_the_person(true);
        scene.disk = Dead::from(at);
        let killed = forget(&scene).is_err();
        scene.disk = Disk::default();
        if scene.ledger().tombstones().unwrap().is_empty() {
            forget(&scene).unwrap();
        } else {
            // Any program that opens the workspace completes it.
            drop(scene.context().unwrap().open(Step::Ingestion).unwrap());
        }
        assert!(remains(&scene).is_empty(), "killed at step {at}: {:?}", remains(&scene));
        let record = &scene.ledger().erasures().unwrap()[0];
        assert_eq!(record.counts.outcomes, counts, "killed at step {at}");
        assert_eq!(told(join(&scene).unwrap().outcomes), expected, "killed at step {at}");
        if !killed {
            return;
        }
    }
    panic!("200 steps are not enough");
}
