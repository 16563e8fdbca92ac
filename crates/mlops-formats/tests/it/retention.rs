//! What goes with an old data set: every kind of file that was written for it, as soon as nobody needs it.
//! Not for which data sets are old: see the tests of `mlops-core`.

use std::collections::BTreeSet;
use std::fs;

use mlops_core::ids::Step;
use mlops_core::stage::ingest::Options;
use mlops_core::stage::quarantine::{Filter, discard, inspect};
use mlops_testkit::{Scene, repetitions, sample_rows};
use serde_json::{Value, json};

/// The data set as CSV and as Parquet, with all changed cells.
fn config(output: &Value) -> Value {
    json!({
        "output": output,
        "ingestion": {"max_rejected_share": 1.0, "on_change": "supersede", "record_changes": "all"},
        "retention": {"keep_datasets": 2},
    })
}

/// Rows of which one is rejected, and one has a cell that cleaning changes.
fn rows(count: u64, seed: u64) -> String {
    format!("bad{seed}\n padded{seed} ,1,2,3,0\n{}", sample_rows(count, seed))
}

/// The names in the output folder that have `version` as a number, with `{N}` for it.
fn kinds(scene: &Scene, version: u32) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(scene.path("out")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let mut numbers = name.split(|c: char| !c.is_ascii_digit());
        if numbers.any(|number| number == version.to_string()) {
            found.insert(name.replacen(&version.to_string(), "{N}", 1));
        }
    }
    found
}

#[test]
fn every_kind_of_file_goes_with_its_data_set() {
    mlops_formats::install();
    for output in [json!({"parquet": true}), json!({"csv": false, "parquet": true}), json!({})] {
        let scene = Scene::with(&config(&output));
        // So many rows that there is an index, too.
        scene.rows("in/a.csv", &rows(100_000, 1));
        scene.ingest().unwrap();
        let mut every =
            BTreeSet::from(["finaldata{N}.rows", "quarantine{N}.csv", "changes{N}.parquet"]);
        if output["csv"] != false {
            every.insert("finaldata{N}.csv");
        }
        if output["parquet"] == true {
            every.insert("finaldata{N}.parquet");
        }
        // A new kind of file belongs in here, and into the removal.
        let here = kinds(&scene, 1);
        assert!(here.iter().map(String::as_str).eq(every.iter().copied()), "{here:?}");
        for seed in 2..=4 + repetitions(1, 3) {
            scene.rows("in/a.csv", &rows(30, seed));
            let report = scene.ingest().unwrap();
            assert_eq!(report.removed.len(), usize::from(seed > 2), "{report}");
            for dataset in scene.ledger().datasets().unwrap() {
                let gone = scene.ledger().dataset_removed(dataset.version).unwrap().is_some();
                let left = kinds(&scene, dataset.version.0);
                assert_eq!(gone, left.is_empty(), "{}: {left:?}", dataset.version);
            }
        }
    }
}

#[test]
fn what_the_newest_data_set_needs_stays_until_it_does_not() {
    mlops_formats::install();
    let scene = Scene::with(&config(&json!({})));
    for seed in 1..=4 {
        scene.rows(&format!("in/{seed}.csv"), &rows(30, seed));
        scene.ingest().unwrap();
    }
    let beside = BTreeSet::from(["quarantine{N}.csv".to_owned(), "changes{N}.parquet".to_owned()]);
    assert_eq!((kinds(&scene, 1), kinds(&scene, 2)), (beside.clone(), beside));
    let waiting = inspect(&scene.context().unwrap(), &Filter::default()).unwrap();
    assert_eq!(
        (waiting.rows, waiting.gone.len()),
        (4, 0),
        "no row of a data set that is gone is lost"
    );

    // A row that was given up waits no longer.
    let of_first = Filter { file: Some("1.csv".to_owned()), ..Filter::default() };
    let given = scene
        .step(Step::Discard, |context, workspace| {
            discard(context, workspace, &of_first, ("ada", "a test"))
        })
        .unwrap();
    assert_eq!(given.rows, 1);
    scene.file("out/quarantine2.csv", "somebody's own");
    scene.rows("in/5.csv", &rows(30, 5));
    scene.ingest().unwrap();
    assert_eq!(kinds(&scene, 1), BTreeSet::from(["changes{N}.parquet".to_owned()]));

    // A data set that is made anew needs none of the earlier ones, once they are old.
    scene.ingest_with(Options { rebuild: true, ..Options::default() }).unwrap();
    scene.rows("in/6.csv", &rows(30, 6));
    scene.ingest().unwrap();
    for version in [1, 3, 4] {
        assert!(kinds(&scene, version).is_empty(), "{version}: {:?}", kinds(&scene, version));
    }
    assert_eq!(scene.read("out/quarantine2.csv"), "somebody's own");
    let waiting = inspect(&scene.context().unwrap(), &Filter::default()).unwrap();
    assert_eq!((waiting.rows, waiting.gone.len()), (6, 0), "a rebuild reads given-up rows again");
}
