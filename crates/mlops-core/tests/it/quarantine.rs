//! The quarantine: what waits there, what is taken after a correction, what is given up; the counts always
//! add up.

use mlops_core::ids::Step;
use mlops_core::ledger::FileRecord;
use mlops_core::stage::ingest::replay::{Replayed, replay};
use mlops_core::stage::quarantine::{Filter, Given, Inspection, discard, inspect};
use mlops_testkit::random::Random;
use mlops_testkit::scene::Scene;
use mlops_testkit::soak;
use serde_json::{Value, json};

fn at_most(max: u64) -> Value {
    json!({
        "contract": {"columns": {"number_of_employees": {"max": max}}},
        "ingestion": {"max_rejected_share": 1.0}
    })
}

fn of_file(file: &str) -> Filter {
    Filter { file: Some(file.to_owned()), ..Filter::default() }
}

fn look(scene: &Scene, filter: &Filter) -> Inspection {
    inspect(&scene.context().unwrap(), filter).unwrap()
}

fn replayed(scene: &Scene, filter: &Filter) -> Replayed {
    scene.step(Step::Replay, |context, workspace| replay(context, workspace, filter)).unwrap()
}

fn given_up(scene: &Scene, filter: &Filter) -> Given {
    let by = ("ada", "test rows of the vendor");
    scene.step(Step::Discard, |context, workspace| discard(context, workspace, filter, by)).unwrap()
}

fn record(scene: &Scene, name: &str) -> FileRecord {
    let files = scene.ledger().files().unwrap();
    files.into_iter().rev().find(|file| file.name == name).unwrap()
}

/// The rows of the newest data set, without its header.
fn rows(scene: &Scene) -> Vec<String> {
    let path = scene.ledger().latest_dataset().unwrap().unwrap().location;
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn rows_are_taken_in_their_place_after_a_correction() {
    let scene = Scene::with(&at_most(10));
    scene.rows("in/a.csv", "a1,1,2,3,0\na2,1,2,30,1\na3,1,x,3,1\na4,1,2,4,0\n");
    scene.rows("in/b.csv", "b1,1,2,40,0\nb2,1,2,5,1\n");
    let run = scene.ingest().unwrap();
    assert_eq!(run.rows, 3);
    let all = look(&scene, &Filter::default());
    let short = |groups: &Inspection| -> Vec<(String, String, String, u64, u64)> {
        let one = |g: &mlops_core::stage::quarantine::Group| {
            (g.file.clone(), g.reason.clone(), g.column.clone(), g.rows, g.line)
        };
        groups.groups.iter().map(one).collect()
    };
    let group = |file: &str, reason: &str, column: &str, line| {
        (file.to_owned(), reason.to_owned(), column.to_owned(), 1, line)
    };
    assert_eq!(
        short(&all),
        [
            group("a.csv", "CAST", "lastyear_activity", 4),
            group("a.csv", "CONTRACT", "number_of_employees", 3),
            group("b.csv", "CONTRACT", "number_of_employees", 2)
        ]
    );
    let reason = Filter { reason: Some("cast".to_owned()), ..Filter::default() };
    assert_eq!(look(&scene, &reason).rows, 1);
    let run = scene.ledger().latest_dataset().unwrap().unwrap().run_id;
    let by_run = |run: &str| Filter { run: Some(run.to_owned()), ..Filter::default() };
    assert_eq!(
        (look(&scene, &by_run(run.as_str())).rows, look(&scene, &by_run("another")).rows),
        (3, 0)
    );

    // Nothing was corrected yet.
    let none = replayed(&scene, &of_file("a.csv"));
    assert_eq!((none.rows, none.taken, none.left), (2, 0, 2), "{none:?}");
    scene.configure(&at_most(100));
    let taken = replayed(&scene, &of_file("a.csv"));
    assert_eq!((taken.rows, taken.taken, taken.left), (2, 1, 1), "{taken:?}");
    assert_eq!(rows(&scene), ["a1,1,2,3,0", "a2,1,2,30,1", "a4,1,2,4,0", "b2,1,2,5,1"]);
    assert_eq!(look(&scene, &Filter::default()).rows, 2, "b.csv was not asked for");
    let counts = record(&scene, "a.csv").counts;
    assert_eq!((counts.rows_read, counts.rows_kept, counts.quarantined), (4, 3, 1));
    // The next ingestion goes on from there.
    scene.rows("in/c.csv", "c1,1,2,3,0\n");
    assert_eq!(scene.ingest().unwrap().rows, 5);
    assert_eq!(replayed(&scene, &Filter::default()).taken, 1);
    assert_eq!(rows(&scene).len(), 6);
}

#[test]
fn a_row_that_was_given_up_stays_out_and_the_record_says_by_whom() {
    let scene = Scene::with(&at_most(10));
    scene.rows("in/a.csv", "a1,1,2,3,0\na2,1,2,30,1\na3,1,2,40,1\n");
    scene.ingest().unwrap();
    scene.rows("in/b.csv", "b1,1,2,40,0\nb2,1,2,5,1\n");
    scene.ingest().unwrap();
    assert_eq!(given_up(&scene, &of_file("b.csv")).rows, 1);
    assert_eq!(given_up(&scene, &of_file("b.csv")).rows, 0, "it is not in the quarantine any more");
    let counts = record(&scene, "b.csv").counts;
    assert_eq!(
        (counts.rows_read, counts.rows_kept, counts.quarantined, counts.discarded),
        (2, 1, 0, 1)
    );
    let known = scene.ledger().discarded().unwrap();
    assert_eq!(
        (known[0].who.as_str(), known[0].why.as_str(), known[0].line),
        ("ada", "test rows of the vendor", 2)
    );
    scene.configure(&at_most(100));
    assert_eq!(replayed(&scene, &Filter::default()).taken, 2);
    assert!(rows(&scene).iter().all(|row| !row.starts_with("b1")));
    let error = scene
        .step(Step::Discard, |context, workspace| {
            discard(context, workspace, &Filter::default(), ("ada", " "))
        })
        .unwrap_err();
    assert!(error.to_string().contains("say who gives the rows up, and why"), "{error}");
}

/// Whatever is done in whatever order: every row of every file has one fate, and the quarantine, the counts and the
/// data set agree.
#[test]
fn the_counts_add_up_after_any_sequence_of_commands() {
    for seed in 0..soak::repetitions(6, 200) {
        let mut random = Random(seed + 1);
        let scene = Scene::with(&at_most(50));
        let mut files: Vec<(String, u64)> = Vec::new();
        for _ in 0..12 {
            let some = match random.below(4) {
                0 => Filter::default(),
                1 => Filter { reason: Some("CONTRACT".to_owned()), ..Filter::default() },
                2 => Filter { column: Some("lastyear_activity".to_owned()), ..Filter::default() },
                _ if files.is_empty() => Filter::default(),
                _ => of_file(&files[random.below(files.len())].0),
            };
            match random.below(6) {
                0 | 1 => {
                    let name = format!("f{}.csv", files.len());
                    let n = random.below(30) as u64 + 2;
                    // No two files are the same.
                    let mut text = format!("u{},1,1,0,0\n", files.len());
                    for _ in 1..n {
                        // Few ids, so that rows repeat within and across files.
                        let activity = random.pick(&["1", "2", "x", "3"]);
                        let (id, size) = (random.below(12), random.below(12) * 10);
                        text += &format!("c{id},1,{activity},{size},{}\n", id % 2);
                    }
                    scene.rows(&format!("in/{name}"), &text);
                    files.push((name, n));
                    scene.ingest().unwrap();
                }
                2 => scene.configure(&at_most(random.pick(&[20, 50, 80, 200]))),
                3 | 4 => drop(replayed(&scene, &some)),
                _ => drop(given_up(&scene, &some)),
            }
            let (mut kept, mut quarantined) = (0, 0);
            for (name, n) in &files {
                let file = record(&scene, name);
                let c = &file.counts;
                let fates =
                    c.rows_kept + c.duplicates() + c.quarantined + c.superseded + c.discarded;
                assert_eq!((c.rows_read, fates), (*n, *n), "seed {seed}, {name}: {c:?}");
                kept += c.rows_kept;
                quarantined += if file.status.is_in() { c.quarantined } else { 0 };
            }
            let dataset = scene.ledger().latest_dataset().unwrap();
            assert_eq!(dataset.as_ref().map_or(0, |d| d.rows), kept, "seed {seed}");
            if dataset.is_some() {
                assert_eq!(rows(&scene).len() as u64, kept);
                let segments = scene.ledger().segments(dataset.unwrap().version).unwrap();
                assert_eq!(segments.iter().map(|s| s.rows).sum::<u64>(), kept);
            }
            assert_eq!(look(&scene, &Filter::default()).rows, quarantined, "seed {seed}");
        }
    }
}
