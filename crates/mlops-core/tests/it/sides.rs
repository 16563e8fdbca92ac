//! Test rows and training rows: no entity is ever on both sides, whatever is done to files and records.
//! Not for what a test says: see `judged`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use mlops_core::ids::{DatasetVersion, Step};
use mlops_core::stage::decide;
use mlops_core::stage::{holdout, ingest};
use mlops_testkit::{Random, Scene, repetitions, sample_rows};
use serde_json::{Value, json};

use crate::decision::decide_with;

const FORCE: decide::Options = decide::Options { force: true, dry_run: false, accept: true };

/// What tells one entity from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// The id column.
    Client,
    /// `holdout.group`.
    Town,
    /// Nothing: equal rows are look-alikes.
    Looks,
}

impl By {
    fn scene(self) -> Scene {
        let (id, group) = match self {
            Self::Client => (json!(["client"]), Value::Null),
            Self::Town => (json!(["client"]), json!("town")),
            Self::Looks => (json!([]), Value::Null),
        };
        let mut config = json!({
            "source_folder_path": "source", "holdout": {"share": 0.3, "min_rows": 20},
            "gate": {"min_improvement": -1.0}, "drift": {"rule": "every"},
            "schema": {"numeric": ["x"], "categorical": ["town"], "target": "y"},
        });
        if self != Self::Looks {
            config["schema"]["id"] = id;
        }
        if !group.is_null() {
            config["holdout"]["group"] = group;
        }
        let scene = Scene::with(&config);
        fs::create_dir(scene.path("source")).unwrap();
        scene
    }

    /// A file of rows of which some clients and towns come again and again.
    fn rows(self, random: &mut Random, n: usize) -> String {
        let mut text =
            if self == Self::Looks { "x,town,y\n" } else { "client,x,town,y\n" }.to_owned();
        for _ in 0..n {
            let (client, x, town) = (random.below(300), random.below(40), random.below(40));
            if self != Self::Looks {
                text += &format!("c{client},");
            }
            text += &format!("{x},t{town},{}\n", u8::from((x >= 20) ^ random.one_in(6)));
        }
        text
    }

    /// The entity of a row.
    fn of(self, row: &str) -> String {
        let cells: Vec<&str> = row.split(',').collect();
        match self {
            Self::Client => cells[0].to_owned(),
            Self::Town => cells[2].to_owned(),
            Self::Looks => row.to_owned(),
        }
    }
}

fn body(text: &str) -> impl Iterator<Item = &str> {
    text.lines().skip(1)
}

fn tests(scene: &Scene) -> Vec<(String, String)> {
    let files = fs::read_dir(scene.path("test")).unwrap();
    let mut found: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read_to_string(path).unwrap(),
            )
        })
        .collect();
    found.sort();
    found
}

/// Everybody who was ever drawn, as the tests of this module see it: the content of each hold-out on
/// the day on which it was drawn.
#[derive(Default)]
struct Drawn {
    seen: usize,
    files: Vec<String>,
}

impl Drawn {
    fn look(&mut self, scene: &Scene) {
        let holdouts = scene.ledger().holdouts().unwrap();
        for holdout in &holdouts[self.seen.min(holdouts.len())..] {
            self.files.push(scene.read(&format!("test/{}", holdout.name)));
        }
        self.seen = holdouts.len();
    }

    /// How many rows of `data` are trained on: all but those of whoever was drawn, or is in a test
    /// file now.
    fn trained(&self, by: By, data: &str, tests: &[(String, String)]) -> usize {
        let drawn = self.files.iter().flat_map(|text| body(text)).map(|row| by.of(row));
        if by == By::Looks {
            // As many look-alikes as were drawn.
            let mut copies = BTreeMap::<String, usize>::new();
            drawn.for_each(|row| *copies.entry(row).or_default() += 1);
            let mut out = |row: &str| {
                let left = copies.get_mut(row).filter(|left| **left > 0);
                left.map(|left| *left -= 1).is_some()
            };
            return body(data).filter(|row| !out(row)).count();
        }
        let present = tests.iter().flat_map(|(_, text)| body(text)).map(|row| by.of(row));
        let out: BTreeSet<String> = drawn.chain(present).collect();
        body(data).filter(|row| !out.contains(&by.of(row))).count()
    }
}

/// Something that a user does to the files, or the machine to the records.
fn happens(scene: &Scene, by: By, random: &mut Random, step: usize, drawn: &mut Drawn) {
    let held = tests(scene);
    let picked = |random: &mut Random| held.get(random.below(held.len().max(1))).cloned();
    match random.below(9) {
        0..=2 => scene.file(&format!("source/b{step}.csv"), by.rows(random, 60)),
        // A corrected file.
        3 => scene.file("source/a.csv", by.rows(random, 150)),
        4 => {
            let rebuild = ingest::Options { rebuild: true, ..ingest::Options::default() };
            scene.ingest_from("source", rebuild).unwrap();
        }
        // A hold-out that is moved away, comes back, is renamed.
        5 => {
            if let Some((name, _)) = picked(random) {
                fs::rename(scene.path(&format!("test/{name}")), scene.path(&name)).unwrap();
            }
        }
        6 => {
            for name in ["testdata_new1.csv", "testdata_new2.csv", "renamed.csv"] {
                if scene.path(name).exists() && !scene.path(&format!("test/{name}")).exists() {
                    fs::rename(scene.path(name), scene.path(&format!("test/{name}"))).unwrap();
                }
            }
        }
        7 => {
            if let Some((name, _)) =
                picked(random).filter(|_| !scene.path("test/renamed.csv").exists())
            {
                let from = scene.path(&format!("test/{name}"));
                fs::rename(from, scene.path("test/renamed.csv")).unwrap();
            }
        }
        // One that is edited: of look-alikes that nothing tells apart, its rows are then drawn twice.
        _ if by != By::Looks => {
            if let Some((name, text)) = picked(random) {
                let more = by.rows(random, 3);
                scene.file(&format!("test/{name}"), text + more.split_once('\n').unwrap().1);
            }
        }
        _ => drawn.look(scene),
    }
}

#[test]
fn no_entity_is_ever_on_both_sides_whatever_happens_to_files_and_records() {
    for seed in 0..repetitions(9, 300) {
        let by = [By::Client, By::Town, By::Looks][usize::try_from(seed % 3).unwrap()];
        let mut random = Random(1000 + seed);
        let scene = by.scene();
        scene.file("source/a.csv", by.rows(&mut random, 150));
        let mut drawn = Drawn::default();
        decide_with(&scene, FORCE).unwrap();
        drawn.look(&scene);
        for step in 0..8 {
            happens(&scene, by, &mut random, step, &mut drawn);
            // Without any test file left there is nothing to score on.
            if tests(&scene).is_empty() {
                scene.file(&format!("source/z{step}.csv"), by.rows(&mut random, 60));
            }
            let decision = decide_with(&scene, FORCE)
                .unwrap_or_else(|e| panic!("{by:?}, seed {seed}, step {step}: {e}"));
            drawn.look(&scene);
            let newest = scene.ledger().latest_dataset().unwrap().unwrap();
            let data = fs::read_to_string(newest.location).unwrap();
            let trained = usize::try_from(decision.retrained.as_ref().unwrap().rows).unwrap();
            let expected = drawn.trained(by, &data, &tests(&scene));
            assert_eq!(trained, expected, "{by:?}, seed {seed}, step {step}: {decision}");
            if by == By::Looks {
                continue;
            }
            // No row was drawn twice either.
            let mut rows = BTreeSet::new();
            for row in drawn.files.iter().flat_map(|text| body(text)) {
                assert!(
                    rows.insert(row),
                    "{by:?}, seed {seed}, step {step}: {row} was drawn twice"
                );
            }
        }
    }
}

#[test]
fn the_first_hold_out_is_drawn_once_and_only_where_there_are_no_test_data() {
    let scene = Scene::with(&json!({"holdout": {"share": 0.25}}));
    let first =
        || scene.step(Step::Holdout, |context, w| holdout::first(context, w).map(Said)).unwrap().0;
    assert!(first().is_none(), "without data there is nothing to draw from");
    scene.rows("in/a.csv", &sample_rows(300, 1));
    scene.ingest().unwrap();
    scene.rows("test/mine.csv", &sample_rows(20, 2));
    assert!(first().is_none(), "the user's own test data serve");
    fs::remove_file(scene.path("test/mine.csv")).unwrap();
    let drawn = first().unwrap();
    assert_eq!((drawn.name.as_str(), drawn.drawn_from), ("testdata_new1.csv", 300));
    assert!((75..=76).contains(&drawn.rows), "{drawn:?}");
    assert_eq!(scene.train().unwrap().data.held_out, drawn.rows);
    assert_eq!(scene.score().unwrap().evaluation.n, drawn.rows);
    // It is there for ever, its file may go.
    fs::remove_file(scene.path("test/testdata_new1.csv")).unwrap();
    assert!(first().is_none());
    assert_eq!(scene.train().unwrap().data.held_out, drawn.rows);
}

/// What a step of these tests says: nothing.
#[derive(serde::Serialize)]
struct Said(Option<mlops_core::ledger::HoldoutRecord>);

impl std::fmt::Display for Said {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

impl mlops_core::run::context::Report for Said {}

#[test]
fn by_time_and_by_group_nothing_later_and_nobody_of_the_hold_out_is_trained_on() {
    let scene = Scene::with(&json!({
        "source_folder_path": "source", "drift": {"rule": "every"},
        "holdout": {"share": 0.25, "time": "day", "group": "client", "min_rows": 30},
        "schema": {"id": ["client", "day"], "numeric": ["x"], "target": "y"},
    }));
    // Ten clients come every day, the others once each.
    let rows = |days: std::ops::Range<u32>| {
        let of_day = |day: u32| {
            let row = move |i: u32| {
                let client = if i < 10 { i } else { day * 100 + i };
                let x = (i * 37 + day * 11) % 100;
                format!("c{client},2024-03-{day:02},{x},{}\n", u8::from(x >= 50))
            };
            (0..30).map(row).collect::<String>()
        };
        "client,day,x,y\n".to_owned() + &days.map(of_day).collect::<String>()
    };
    let client = |row: &str| row.split(',').next().unwrap().to_owned();
    let day = |row: &str| row.split(',').nth(1).unwrap().to_owned();
    let trained_on = |start: &str, held: &BTreeSet<String>| {
        let newest = scene.ledger().latest_dataset().unwrap().unwrap();
        let data = fs::read_to_string(newest.location).unwrap();
        body(&data).filter(|row| day(row).as_str() < start && !held.contains(&client(row))).count()
    };
    scene.file("source/a.csv", rows(1..9));
    let decision = decide_with(&scene, decide::Options::default()).unwrap();
    let holdout = decision.holdout.unwrap();
    assert_eq!((holdout.rows, holdout.known_rows), (60, 0));
    let text = scene.read("test/testdata_new1.csv");
    let mut held: BTreeSet<String> = body(&text).map(client).collect();
    assert!(body(&text).all(|row| day(row).as_str() >= "2024-03-07"), "{text}");
    let rows_of =
        |decision: &mlops_core::run::decision::Decision| decision.retrained.as_ref().unwrap().rows;
    let first = trained_on("2024-03-07", &held);
    assert_eq!(scene.json("model/model.json")["training_data"]["rows"], json!(first));
    assert_eq!(first, 6 * 20, "the ten who come every day are in the hold-out");

    // Some who were trained on before are in the newest days: the live model knows them, and that
    // is said; the new model does not.
    let more = rows(9..13) + "c110,2024-03-12,80,1\nc111,2024-03-12,20,0\n";
    scene.file("source/b.csv", more);
    let decision = decide_with(&scene, FORCE).unwrap();
    let holdout = decision.holdout.as_ref().unwrap();
    assert_eq!(holdout.known_rows, 2, "{decision}");
    assert!(decision.to_string().contains("2 of them are of entities"), "{decision}");
    let text = scene.read("test/testdata_new2.csv");
    assert!(body(&text).all(|row| day(row) == "2024-03-12"), "{text}");
    held.extend(body(&text).map(client));
    let expected = trained_on("2024-03-12", &held);
    // The first hold-out's days are learned from now, but for those who are in it.
    assert_eq!(usize::try_from(rows_of(&decision)).unwrap(), expected);
    assert_eq!(scene.ledger().holdouts().unwrap()[1].version, DatasetVersion(2));
}
