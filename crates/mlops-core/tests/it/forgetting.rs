//! People who are erased: nothing of ours has them any more, what is left is named, and they never come back.

use std::sync::Arc;

use mlops_core::Result;
use mlops_core::ids::{DatasetVersion, DecisionOutcome, Step};
use mlops_core::ledger::{FileRecord, FileStatus};
use mlops_core::platform::disk::Disk;
use mlops_core::run::attention::Remark;
use mlops_core::stage::decide;
use mlops_core::stage::forget::report::{Erased, Left, What};
use mlops_core::stage::forget::{self, Request};
use mlops_core::stage::holdout;
use mlops_core::stage::ingest::Options;
use mlops_core::stage::ingest::replay::replay;
use mlops_core::stage::quarantine::Filter;
use mlops_testkit::folder::files;
use mlops_testkit::{Dead, Fault, HEADER, Memory, Scene, repetitions, sample_rows};
use serde_json::{Value, json};

const EIO: i32 = 5;
/// The person: a word that nothing else contains.
const PERSON: &str = "Person-of-Interest";

fn request(people: &[&str]) -> Request {
    Request {
        people: people.iter().map(|p| (*p).to_owned()).collect(),
        who: "the data protection officer".to_owned(),
        why: "request 17".to_owned(),
        ..Request::default()
    }
}

fn forget_as(scene: &Scene, request: &Request) -> Result<Erased> {
    scene.step(Step::Forget, |context, workspace| forget::run(context, workspace, request))
}

fn forget(scene: &Scene, person: &str) -> Erased {
    forget_as(scene, &request(&[person])).unwrap()
}

fn everywhere(people: &[&str]) -> Request {
    Request { everywhere: true, ..request(people) }
}

/// Rows of others and of the person, of whom one record is bad, one malformed, and one sent twice.
fn scene_with(more: &Value) -> Scene {
    let mut config = json!({"ingestion": {"max_rejected_share": 0.5}});
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let scene = Scene::with(&config);
    let theirs = format!(
        "{PERSON},1,2,3,1\n{PERSON},1,2,3,1\n{PERSON},x,2,3,0\nbad,y,2,3,0\n\"{PERSON}\",1,2\n"
    );
    scene.rows("in/a.csv", &(sample_rows(40, 1) + &theirs));
    scene.rows("in/b.csv", &(sample_rows(20, 2) + &format!("{PERSON},4,5,6,0\n")));
    scene.rows("in/c.csv", &sample_rows(20, 3));
    scene.rows("test/own.csv", &(sample_rows(30, 4) + &format!("{PERSON},7,8,9,1\n")));
    scene
}

fn scene() -> Scene {
    scene_with(&json!({}))
}

/// The files, besides those of the user, in which the bytes of `word` are.
fn mentions(scene: &Scene, word: &str) -> Vec<String> {
    let found = files(scene.root()).into_iter().filter(|(path, bytes)| {
        let own = path.starts_with("in") || path.starts_with("test/own.csv");
        !own && bytes.windows(word.len()).any(|part| part == word.as_bytes())
    });
    found.map(|(path, _)| path.display().to_string()).collect()
}

fn rows(scene: &Scene) -> Vec<String> {
    let path = scene.ledger().latest_dataset().unwrap().unwrap().location;
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

fn record(scene: &Scene, name: &str) -> FileRecord {
    let files = scene.ledger().files().unwrap();
    files.into_iter().rev().find(|f| f.name == name && f.status == FileStatus::Ingested).unwrap()
}

/// Each row that was read has one fate.
fn adds_up(scene: &Scene) {
    for file in scene.ledger().files().unwrap().iter().filter(|f| f.status.is_in()) {
        let c = &file.counts;
        let fates =
            c.rows_kept + c.duplicates() + c.quarantined + c.superseded + c.discarded + c.forgotten;
        assert_eq!(c.rows_read, fates, "{}: {c:?}", file.name);
        assert_eq!(c.rejections.values().sum::<u64>(), c.quarantined + c.discarded, "{c:?}");
    }
}

fn names(erased: &Erased, what: What) -> Vec<&str> {
    let of = |left: &&Left| left.what == what;
    erased.left.iter().filter(of).map(|left| left.name.as_str()).collect()
}

#[test]
fn nothing_of_ours_has_the_person_afterwards_and_the_rest_is_named() {
    let scene = scene();
    scene.ingest().unwrap();
    let before = rows(&scene);
    assert!(!mentions(&scene, PERSON).is_empty());
    let user = [scene.read("in/a.csv"), scene.read("in/b.csv"), scene.read("test/own.csv")];

    let erased = forget_as(&scene, &everywhere(&[PERSON])).unwrap();
    let counts = &erased.counts;
    assert_eq!((counts.people, counts.known, counts.rows, counts.quarantined), (1, 0, 2, 2));
    assert_eq!(erased.version, Some(DatasetVersion(4)));
    let expected: Vec<String> = before.into_iter().filter(|row| !row.contains(PERSON)).collect();
    assert_eq!(rows(&scene), expected, "all other rows, in their order");
    assert_eq!(mentions(&scene, PERSON), Vec::<String>::new());
    assert_eq!(names(&erased, What::SourceFile), ["a.csv", "b.csv"]);
    assert_eq!(names(&erased, What::TestFile), ["own.csv"]);
    let now = [scene.read("in/a.csv"), scene.read("in/b.csv"), scene.read("test/own.csv")];
    assert!(user == now, "the user's files are never changed");
    let quarantine = scene.read("out/quarantine3.csv");
    assert!(quarantine.lines().count() == 2 && quarantine.contains("bad,y,2,3,0"), "{quarantine}");
    assert!(!scene.path("out/finaldata3.csv").exists());
    adds_up(&scene);
    let (a, b) = (record(&scene, "a.csv").counts, record(&scene, "b.csv").counts);
    assert_eq!((a.rows_read, a.rows_kept, a.forgotten, a.quarantined), (45, 40, 3, 1));
    assert_eq!((b.rows_read, b.rows_kept, b.forgotten), (21, 20, 1));

    let ledger = scene.ledger();
    let [audit] = &ledger.erasures().unwrap()[..] else { panic!("one record") };
    assert_eq!(
        (audit.who.as_str(), audit.why.as_str()),
        ("the data protection officer", "request 17")
    );
    assert!(audit.counts == erased.counts && !audit.recorded.is_empty());
    assert!(ledger.intents().unwrap().is_empty());
    let text = erased.to_string();
    assert!(text.starts_with("1 person erased.\nLeft out: 2 rows of the data set\n"), "{text}");
    assert!(!text.contains(PERSON), "{text}");

    // Again: nothing is left to do, and that is no error.
    let again = forget(&scene, PERSON);
    assert_eq!((again.counts.known, again.counts.rows, again.version), (1, 0, None));
}

/// SQLite leaves the bytes of a record that was removed or replaced in the file.
#[test]
fn the_ledger_keeps_nothing_of_records_that_had_gone_before() {
    let scene = scene();
    scene.ingest().unwrap();
    let db = rusqlite::Connection::open(scene.path("out/ledger.sqlite")).unwrap();
    for key in 0..50 {
        let value = format!("{key} {PERSON} ").repeat(20);
        db.execute("INSERT INTO meta VALUES (?1, ?2)", (format!("old{key}"), value)).unwrap();
    }
    db.execute("DELETE FROM meta WHERE key LIKE 'old%'", []).unwrap();
    drop(db);
    assert!(mentions(&scene, PERSON).iter().any(|name| name.ends_with("ledger.sqlite")));
    forget_as(&scene, &everywhere(&[PERSON])).unwrap();
    assert_eq!(mentions(&scene, PERSON), Vec::<String>::new());
}

#[test]
fn a_ledger_that_is_being_read_is_cleared_by_a_later_run() {
    let scene = scene();
    scene.ingest().unwrap();
    let reader = rusqlite::Connection::open(scene.path("out/ledger.sqlite")).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM runs", [], |row| row.get::<_, i64>(0)).unwrap();
    let erased = forget_as(&scene, &everywhere(&[PERSON])).unwrap();
    assert_eq!(names(&erased, What::Ledger), ["ledger.sqlite"]);
    let text = erased.to_string();
    assert!(text.contains("another program is reading"), "{text}");
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    scene.step(Step::Ingestion, |_, _| Ok(Note(None))).unwrap();
    assert_eq!(mentions(&scene, PERSON), Vec::<String>::new());
}

#[test]
fn without_everywhere_earlier_versions_are_named_and_stay() {
    let scene = scene();
    scene.ingest().unwrap();
    let erased = forget(&scene, PERSON);
    assert_eq!(names(&erased, What::OldVersion), ["finaldata3.csv"]);
    assert!(
        erased.to_string().contains("`--everywhere` removes those that belong to this program")
    );
    assert_eq!(mentions(&scene, PERSON), ["out/finaldata3.csv"]);
}

#[test]
fn the_person_never_comes_back() {
    let scene = scene();
    scene.ingest().unwrap();
    forget_as(&scene, &everywhere(&[PERSON])).unwrap();
    let expected = rows(&scene);
    let same = |scene: &Scene, what: &str| {
        assert_eq!(mentions(scene, PERSON), Vec::<String>::new(), "{what}");
        adds_up(scene);
    };

    scene.rows("in/d.csv", &format!("{PERSON},9,9,9,1\n{PERSON},9,z,9,1\nnew,1,2,3,0\n"));
    let report = scene.ingest().unwrap();
    let said =
        "d.csv has 2 rows of people who were erased: they are left out. Erase them there, too";
    assert!(report.warnings.iter().any(|w| *w == said), "{:?}", report.warnings);
    let d = record(&scene, "d.csv").counts;
    assert_eq!((d.rows_read, d.rows_kept, d.quarantined, d.forgotten), (3, 1, 0, 2));
    same(&scene, "a new file");
    let expected: Vec<String> = expected.into_iter().chain(["new,1,2,3,0".to_owned()]).collect();
    assert_eq!(rows(&scene), expected);

    scene
        .step(Step::Replay, |context, workspace| replay(context, workspace, &Filter::default()))
        .unwrap();
    same(&scene, "a replay");
    assert_eq!(rows(&scene), expected);

    scene.rows("in/b.csv", &(sample_rows(20, 2) + &format!("{PERSON},4,5,7,0\n")));
    scene.ingest().unwrap();
    same(&scene, "a correction");
    assert_eq!(rows(&scene), expected);

    let last = scene.ledger().latest_dataset().unwrap().unwrap();
    std::fs::remove_file(&last.location).unwrap();
    let report = scene.ingest().unwrap();
    assert!(report.warnings.iter().any(|w| w.contains("byte for byte")), "{:?}", report.warnings);
    same(&scene, "a restored data set");

    scene.ingest_with(Options { rebuild: true, ..Options::default() }).unwrap();
    same(&scene, "a rebuild");
    assert_eq!(rows(&scene), expected);
    let a = record(&scene, "a.csv").counts;
    assert_eq!(
        (a.rows_read, a.forgotten),
        (45, 4),
        "a rebuild counts the one sent twice as forgotten"
    );
}

#[test]
fn who_occurs_nowhere_is_remembered_all_the_same() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(5, 1));
    scene.ingest().unwrap();
    let erased = forget(&scene, PERSON);
    assert!(erased.version.is_none() && erased.left.is_empty(), "{erased:?}");
    assert!(erased.to_string().contains("Nothing about them was found"), "{erased}");
    scene.rows("in/b.csv", &format!("{PERSON},1,2,3,1\nother,1,2,3,1\n"));
    scene.ingest().unwrap();
    assert_eq!(record(&scene, "b.csv").counts.forgotten, 1);
    // Before there is any data, too.
    let empty = Scene::new();
    forget(&empty, PERSON);
    empty.rows("in/a.csv", &format!("{PERSON},1,2,3,1\nother,1,2,3,0\n"));
    assert_eq!(empty.ingest().unwrap().rows, 1);
}

#[test]
fn who_and_why_must_be_told_and_no_error_repeats_an_id() {
    let scene = scene();
    scene.ingest().unwrap();
    let said = |request: &Request| forget_as(&scene, request).unwrap_err().to_string();
    assert!(said(&Request { who: String::new(), ..request(&[PERSON]) }).contains("--who"));
    assert!(said(&Request { why: " ".to_owned(), ..request(&[PERSON]) }).contains("--reason"));
    for named in [
        Request { who: format!("the mother of {PERSON}"), ..request(&[PERSON]) },
        Request { why: format!("{PERSON} asked us to"), ..request(&["other", PERSON]) },
    ] {
        let said = said(&named);
        assert!(said.contains("mentions somebody") && !said.contains(PERSON), "{said}");
        let rehearsed =
            forget::rehearse(&scene.context().unwrap(), &named).unwrap_err().to_string();
        assert_eq!(said, rehearsed);
    }
    let two = said(&request(&["secret,name"]));
    assert!(two.contains("has 2 values") && two.contains("1 column: corporation"), "{two}");
    assert!(!two.contains("secret"), "{two}");
    assert!(said(&request(&[""])).contains("nobody") && said(&request(&[])).contains("nobody"));
    let by = Request { by: vec!["exited".to_owned()], ..request(&["1"]) };
    assert!(said(&by).contains("neither an id nor a category"));
    assert!(scene.ledger().tombstones().unwrap().is_empty());
}

#[test]
fn a_person_may_be_named_by_one_of_several_columns() {
    let schema = json!({"schema": {"id": ["client", "day"], "numeric": ["x"], "target": "y"}});
    let make = || {
        let scene = Scene::with(&schema);
        scene.file("in/a.csv", "client,day,x,y\n\"Doe, J\",1,5,1\n\"Doe, J\",2,6,0\nother,1,7,1\n");
        scene.ingest().unwrap();
        scene
    };
    let scene = make();
    let one_day = forget(&scene, "\"Doe, J\",2");
    assert_eq!((one_day.counts.rows, rows(&scene).len()), (1, 2));
    let scene = make();
    let client = Request { by: vec!["client".to_owned()], ..request(&["\"Doe, J\""]) };
    assert_eq!(forget_as(&scene, &client).unwrap().counts.rows, 2);
    assert_eq!(rows(&scene), ["other,1,7,1"]);
    // Without that column nobody could keep the promise.
    scene.configure(&json!({"schema": {"id": ["day"], "numeric": ["x"], "target": "y"}}));
    let rebuilt = scene.ingest_with(Options { rebuild: true, ..Options::default() });
    assert!(rebuilt.unwrap_err().to_string().contains("\"client\""));
}

#[test]
fn hold_outs_lose_the_person_and_are_still_known() {
    let scene = Scene::with(&json!({"holdout": {"share": 0.9}}));
    let rows: String = (0..40).map(|i| format!("{PERSON}-{i},{i},2,3,{}\n", i % 2)).collect();
    scene.rows("in/a.csv", &rows);
    scene.ingest().unwrap();
    let drawn = scene.step(Step::FirstRun, |context, workspace| {
        Ok(Drawn(holdout::first(context, workspace)?.unwrap()))
    });
    let drawn = drawn.unwrap().0;
    let name = format!("test/{}", drawn.name);
    let held = scene.read(&name);
    let person = held.lines().nth(3).unwrap().split(',').next().unwrap().to_owned();
    scene.train().unwrap();
    let erased = forget_as(&scene, &everywhere(&[&person])).unwrap();
    assert_eq!((erased.counts.held_out, erased.counts.rows), (1, 1));
    assert_eq!(mentions(&scene, &format!("{person},")), Vec::<String>::new());
    let ledger = scene.ledger();
    let after = ledger.latest_holdout().unwrap().unwrap();
    assert_eq!(after.rows, drawn.rows - 1);
    // The model from before was not trained on the others either.
    let score = scene.score().unwrap();
    assert_eq!((score.evaluation.n, score.left_out), (after.rows, 0), "{score}");
    let members = ledger.drawn(after.version).unwrap().unwrap().members;
    assert_eq!(members.0.len() as u64, after.rows);
    // Its file is the recorded one: it is made again, byte for byte, and its rows stay out of training.
    let text = scene.read(&name);
    std::fs::remove_file(scene.path(&name)).unwrap();
    let again = scene.step(Step::FullProcess, |context, workspace| {
        Ok(Note(mlops_core::stage::restore_holdout::run(context, workspace, false)?))
    });
    assert!(again.unwrap().0.unwrap().contains("byte for byte"));
    assert_eq!(scene.read(&name), text);
    assert_eq!(scene.train().unwrap().data.held_out, after.rows);
}

/// A report of a step that is none of the programs'.
#[derive(serde::Serialize)]
struct Drawn(mlops_core::ledger::HoldoutRecord);
#[derive(serde::Serialize)]
struct Note(Option<String>);

impl std::fmt::Display for Drawn {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
impl std::fmt::Display for Note {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
impl mlops_core::run::context::Report for Drawn {}
impl mlops_core::run::context::Report for Note {}

#[test]
fn copies_of_objects_lose_the_lines_and_nothing_is_read_again() {
    let mut scene = Scene::with(&json!({"sources": [{"name": "far", "uri": "s3://bucket/"}]}));
    let place = Memory::default();
    scene.places = Arc::new(place.clone());
    place.put("a.csv", HEADER.to_owned() + &sample_rows(5, 1) + &format!("{PERSON},1,2,3,1\n"));
    place.put("b.csv", HEADER.to_owned() + &sample_rows(5, 2));
    scene.ingest().unwrap();
    let erased = forget_as(&scene, &everywhere(&[PERSON])).unwrap();
    assert_eq!((erased.counts.rows, names(&erased, What::FetchedObject).len()), (1, 0));
    assert_eq!(mentions(&scene, PERSON), Vec::<String>::new());
    let expected = rows(&scene);
    // The object is still there, and is not fetched again as long as it does not change.
    place.fetched();
    let version = scene.ledger().latest_dataset().unwrap().unwrap().version;
    scene.ingest().unwrap();
    assert!(place.fetched().is_empty());
    assert_eq!(scene.ledger().latest_dataset().unwrap().unwrap().version, version);
    scene.ingest_with(Options { rebuild: true, ..Options::default() }).unwrap();
    assert_eq!(rows(&scene), expected);
}

#[test]
fn lines_of_the_log_of_predictions_are_cut_out() {
    let scene = scene_with(&json!({
        "ingestion": {"max_rejected_share": 0.5}, "service": {"prediction_log_path": "log"}
    }));
    scene.ingest().unwrap();
    let line = |id: &str| format!("{{\"recorded\":\"2033\",\"row\":0,\"corporation\":\"{id}\"}}\n");
    let name = "log/predictions-20330101T000000000000Z.jsonl";
    scene.file(name, line("other") + &line(PERSON) + &line("last"));
    let named = forget(&scene, PERSON);
    assert_eq!(names(&named, What::PredictionLog), ["predictions-20330101T000000000000Z.jsonl"]);
    assert_eq!(scene.read(name).lines().count(), 3);
    forget_as(&scene, &everywhere(&[PERSON])).unwrap();
    assert_eq!(scene.read(name), line("other") + &line("last"));
}

#[test]
fn the_live_model_is_retrained_once_and_the_decision_says_why() {
    let scene = Scene::with(&json!({"source_folder_path": "source", "holdout": {"share": 0.25}}));
    let person = sample_rows(300, 1).lines().nth(7).unwrap().split(',').next().unwrap().to_owned();
    scene.rows("in/a.csv", &sample_rows(300, 1));
    scene.rows("test/testdata.csv", &sample_rows(120, 2));
    scene.everything().unwrap();
    std::fs::create_dir(scene.path("source")).unwrap();
    let decide = || {
        let options = decide::Options::default();
        scene
            .step(Step::FullProcess, |context, workspace| decide::run(context, workspace, options))
            .unwrap()
    };
    assert_eq!(decide().outcome, DecisionOutcome::NothingNew);
    let erased = forget(&scene, &person);
    assert!(
        erased.retrains && erased.to_string().contains("the next `fullprocess` trains"),
        "{erased}"
    );
    let decision = decide();
    assert_eq!(decision.erased, 1, "{decision}");
    assert!(decision.retrained.is_some(), "{decision}");
    let said = |w: &Remark| w.contains("1 row of people who were erased");
    assert!(decision.data.warnings.iter().any(said), "{:?}", decision.data.warnings);
    if decision.outcome == DecisionOutcome::Promoted {
        assert_eq!(decide().outcome, DecisionOutcome::NothingNew);
    } else {
        assert!(decision.concerns.iter().any(|c| c.to_string().contains("were erased")));
        assert_eq!(decide().erased, 1, "it stays marked until another model is live");
    }
    // Who came later was not seen by the model.
    scene.rows("source/b.csv", "later,1,2,3,1\n");
    scene.ingest_from("source", Options::default()).unwrap();
    assert!(!forget(&scene, "later").retrains);
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let scene = scene();
    scene.ingest().unwrap();
    let before = (scene.snapshot(), scene.ledger().tombstones().unwrap());
    let context = scene.context().unwrap();
    let would = forget::rehearse(&context, &everywhere(&[PERSON])).unwrap();
    assert!(would.dry_run && would.to_string().contains("would be erased"), "{would}");
    assert_eq!((scene.snapshot(), scene.ledger().tombstones().unwrap()), before);
    let does = forget_as(&scene, &everywhere(&[PERSON])).unwrap();
    assert_eq!(Erased { dry_run: false, ..would }, does);
}

/// Where an erasure ended: files, and what the records say besides times.
fn state(scene: &Scene) -> (mlops_testkit::Snapshot, Vec<String>, usize, usize) {
    let ledger = scene.ledger();
    let files = ledger.files().unwrap();
    let counts = files.iter().map(|f| format!("{} {:?} {:?}", f.name, f.status, f.counts));
    let (people, intents) = (ledger.tombstones().unwrap(), ledger.intents().unwrap());
    (scene.snapshot(), counts.collect(), people.len(), intents.len())
}

/// A workspace with a model, a hold-out, a copy of an object and a log of predictions that have the person.
fn full_scene() -> Scene {
    let mut scene = scene_with(&json!({
        "ingestion": {"max_rejected_share": 0.5}, "service": {"prediction_log_path": "log"},
        "sources": [{"name": "far", "uri": "s3://bucket/"}]
    }));
    let place = Memory::default();
    scene.places = Arc::new(place.clone());
    place.put("o.csv", HEADER.to_owned() + &sample_rows(5, 9) + &format!("{PERSON},1,5,3,1\n"));
    scene.ingest().unwrap();
    let line = format!("{{\"recorded\":\"2033\",\"corporation\":\"{PERSON}\"}}\n");
    scene.file("log/predictions-20330101T000000000000Z.jsonl", line);
    scene
}

#[test]
fn a_fault_at_any_step_leaves_all_or_nothing_and_the_next_run_completes_it() {
    let request = everywhere(&[PERSON]);
    let mut scene = full_scene();
    // The secret alone is no erasure.
    let counter = Fault::never();
    scene.disk = counter.disk();
    forget_as(&scene, &request).unwrap();
    scene.disk = Disk::default();
    scene.ingest().unwrap();
    let expected = state(&scene);
    let steps = counter.steps();
    assert!(steps.len() > 30, "{} steps are too few to be all", steps.len());
    assert_eq!(mentions(&scene, PERSON), Vec::<String>::new());
    let every = if repetitions(0, 1) == 1 { 1 } else { 3 };
    for (at, (step, path)) in steps.iter().enumerate().step_by(every) {
        for dead in [false, true] {
            let what = format!("dead {dead} at step {at} ({step:?} {})", path.display());
            let mut scene = full_scene();
            scene.disk = if dead { Dead::from(at) } else { Fault::error(at, EIO).disk() };
            drop(forget_as(&scene, &request));
            scene.disk = Disk::default();
            let begun = !scene.ledger().tombstones().unwrap().is_empty();
            // Any program completes what was begun; what was not is as if never asked for.
            scene.step(Step::Ingestion, |_, _| Ok(Note(None))).unwrap();
            if begun {
                assert_eq!(mentions(&scene, PERSON), Vec::<String>::new(), "{what}");
            } else {
                assert!(rows(&scene).iter().any(|row| row.contains(PERSON)), "{what}");
                forget_as(&scene, &request).unwrap();
            }
            scene.ingest().unwrap();
            let found = state(&scene);
            assert!(found == expected, "{what}: {found:#?}\nrather than\n{expected:#?}");
        }
    }
}
