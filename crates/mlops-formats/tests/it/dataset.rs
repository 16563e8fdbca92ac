//! Data sets that are Parquet files: whatever happens to a workspace, it has the same rows, counts, models and
//! decisions as one whose data sets are CSV. Not for a Parquet file beside the CSV file: see `output`.

use std::fs;
use std::path::PathBuf;

use mlops_core::csv::formats;
use mlops_core::ids::Step;
use mlops_core::ledger::DatasetRecord;
use mlops_core::platform::digest::Digest;
use mlops_core::platform::disk::Disk;
use mlops_core::run::context::{Context, Workspace};
use mlops_core::stage::ingest::Options;
use mlops_core::stage::ingest::replay::replay;
use mlops_core::stage::quarantine::Filter;
use mlops_core::stage::{decide, diagnose};
use mlops_testkit::{Dead, Fault, Random, Scene, Snapshot};
use serde_json::{Value, json};

/// Texts that a table of types could spoil.
const CODES: [&str; 12] = [
    "007",
    "7",
    "7.0",
    "",
    "\"a, b\"",
    "\"say \"\"hi\"\"\"",
    "\"two\nlines\"",
    "null",
    "1e5",
    "ünï",
    "true",
    "  ",
];

const NUMBERS: [&str; 14] = [
    "0",
    "-12",
    "0.1",
    "1e-7",
    "1e300",
    "123456789012345.5",
    "",
    "0.30000000000000004",
    "1e19",
    "-0.0",
    "4.9e-324",
    "9007199254740992",
    "1234567.125",
    "1e20",
];

/// Integers of which doubles cannot tell one from the next.
const LARGE: [&str; 4] = ["9007199254740993", "9223372036854775807", "-9007199254740993", "5"];

const HEADER: &str = "key,a,b,large,code,answer\n";

fn config(output: &Value, more: &Value) -> Value {
    let mut config = json!({
        "output": output,
        "source_folder_path": "source",
        "holdout": {"share": 0.25},
        "ingestion": {"max_rejected_share": 1.0, "on_change": "supersede", "record_changes": "all"},
        "schema": {
            "id": ["key"], "numeric": ["a", "b", "large"], "categorical": ["code"],
            "target": "answer", "positive_label": "yes, sure",
        },
        "training": {"missing": "median"},
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

fn csv() -> Value {
    json!({"csv": true})
}

fn parquet() -> Value {
    json!({"csv": false, "parquet": true})
}

/// Rows of a known model with every kind of cell, of which some cannot be read.
pub(crate) fn rows(count: usize, seed: u64) -> String {
    let mut random = Random(seed);
    let mut text = HEADER.to_owned();
    for i in 0..count {
        let a = random.below(200) as f64 / 4.0 - 25.0;
        let yes = random.unit() < 1.0 / (1.0 + (-a / 5.0).exp());
        let b = NUMBERS[random.below(NUMBERS.len())];
        let large = LARGE[random.below(LARGE.len())];
        let code = CODES[random.below(CODES.len())];
        let label = if yes { "\"yes, sure\"" } else { "no" };
        text += &match random.below(40) {
            0 => format!("k{seed}x{i},{a},many,{large},{code},{label}\n"),
            1 => format!("k{seed}x{i},{a},{b},{large}\n"),
            _ => format!("k{seed}x{i},{a},{b},{large},{code},{label}\n"),
        };
    }
    text
}

/// What a data set is, whatever its form.
fn told(record: &DatasetRecord) -> String {
    format!(
        "{} {} {} {} {} {:?} {:?}",
        record.version,
        record.content,
        record.rows,
        record.new_rows,
        record.quarantined,
        record.columns,
        record.base,
    )
}

/// The rows of the data set in `record`, as CSV; checks what is recorded of its file.
fn text(scene: &Scene, record: &DatasetRecord) -> String {
    let bytes = fs::read(&record.location).unwrap();
    assert_eq!((Digest::of(&bytes), bytes.len() as u64), (record.sha256, record.bytes));
    let schema = scene.context().unwrap().config.schema;
    let mut text = String::new();
    let mut reader = formats::text_of_our_own(&record.location, &schema).unwrap();
    std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
    assert_eq!(Digest::of(text.as_bytes()), record.content);
    text
}

/// Everything that must not depend on the form of data sets.
#[derive(Debug, PartialEq, Eq)]
struct End {
    data: String,
    datasets: Vec<String>,
    files: Vec<String>,
    models: Vec<Digest>,
    said: Vec<String>,
    written: Vec<(PathBuf, Vec<u8>)>,
}

/// A long life, in which the n-th step has the n-th of `outputs`, again and again.
fn life(outputs: &[Value]) -> (Scene, End) {
    mlops_formats::install();
    let scene = Scene::with(&config(&outputs[0], &json!({})));
    let mut number = 0;
    let mut turn = |more: &Value| {
        scene.configure(&config(&outputs[number % outputs.len()], more));
        number += 1;
    };
    let strict = json!({"contract": {"columns": {"a": {"max": 24.5}}}});
    let mut said = Vec::new();
    let mut models = Vec::new();
    let mut train = |scene: &Scene, said: &mut Vec<String>| {
        let trained = scene.train().unwrap();
        said.push(format!("{:?} {:?}", trained.data, trained.notes));
        models.push(Digest::of(&fs::read(scene.path("model/trainedmodel.bin")).unwrap()));
        let score = scene.score().unwrap();
        said.push(format!("{:?}", score.evaluation.f1));
        said.push(match scene.deploy() {
            Ok(deployed) => deployed.release.to_string(),
            Err(refused) => refused.to_string(),
        });
    };
    fs::create_dir(scene.path("source")).unwrap();
    turn(&strict);
    scene.file("in/a.csv", rows(400, 1));
    scene.file("test/testdata.csv", rows(150, 2));
    said.push(format!("{:?}", scene.ingest().unwrap().new_rows));
    train(&scene, &mut said);
    // More, of which some is known.
    turn(&strict);
    let known = rows(400, 1);
    let known: String = known.lines().skip(1).take(40).map(|line| line.to_owned() + "\n").collect();
    scene.file("in/b.csv", rows(150, 3) + &known);
    said.push(format!("{:?}", scene.ingest().unwrap().warnings));
    // A file is corrected, and another is gone.
    turn(&strict);
    fs::remove_file(scene.path("in/a.csv")).unwrap();
    scene.file("in/b.csv", rows(140, 3));
    let report = scene.ingest().unwrap();
    said.push(format!("{} {} {:?}", report.rows, report.superseded, report.warnings));
    train(&scene, &mut said);
    // The contract was wrong.
    turn(&json!({}));
    let replayed = scene
        .step(Step::Replay, |context, workspace| replay(context, workspace, &Filter::default()))
        .unwrap();
    said.push(format!("{} {} {:?}", replayed.taken, replayed.left, replayed.warnings));
    // It is all built anew.
    turn(&json!({}));
    scene.file("in/a.csv", rows(400, 1));
    let options = Options { rebuild: true, ..Options::default() };
    said.push(format!("{:?}", scene.ingest_with(options).unwrap().rows));
    // The file is lost.
    turn(&json!({}));
    fs::remove_file(scene.ledger().latest_dataset().unwrap().unwrap().location).unwrap();
    said.push(scene.ingest().unwrap().warnings.len().to_string());
    // New rows say the opposite.
    turn(&json!({}));
    let turned = rows(700, 5).replace("\"yes, sure\"", "?").replace(",no\n", ",\"yes, sure\"\n");
    scene.file("source/c.csv", turned.replace(",?\n", ",no\n"));
    let decide = |scene: &Scene| {
        let decide = |context: &Context, workspace: &mut Workspace| {
            decide::run(context, workspace, decide::Options::default())
        };
        scene.step(Step::FullProcess, decide).unwrap()
    };
    let rehearsed =
        decide::rehearse(&scene.context().unwrap(), decide::Options::default()).unwrap();
    said.push(format!("{} {:?}", rehearsed.outcome, rehearsed.drift));
    let decision = decide(&scene);
    assert!(decision.holdout.is_some() && decision.drift.is_some(), "{decision}");
    let (drift, gate) = (&decision.data_drift, &decision.gate);
    said.push(format!("{} {:?} {drift:?} {gate:?}", decision.outcome, decision.release));
    said.push(format!("{:?} {:?}", decision.drift, decision.holdout));
    turn(&json!({}));
    scene.file("source/d.csv", rows(300, 6));
    let decision = decide(&scene);
    said.push(format!("{} {:?} {:?}", decision.outcome, decision.release, decision.drift));
    turn(&json!({}));
    train(&scene, &mut said);
    let output = Some(scene.path("predictions.csv"));
    let options =
        diagnose::Options { output, measure: 1, identify: true, ..diagnose::Options::default() };
    let diagnosed = scene
        .step(Step::Diagnostics, |context, workspace| diagnose::run(context, workspace, &options))
        .unwrap();
    said.push(format!("{:?} {:?}", diagnosed.predictions, diagnosed.columns));

    let end = end(&scene, models, said);
    (scene, end)
}

fn end(scene: &Scene, models: Vec<Digest>, said: Vec<String>) -> End {
    let ledger = scene.ledger();
    let datasets = ledger.datasets().unwrap();
    let there = datasets.iter().filter(|record| record.location.is_file());
    let texts: Vec<String> = there.map(|record| text(scene, record)).collect();
    assert!(texts.len() > 2);
    let files = ledger.files().unwrap();
    let written = scene.files().into_iter().filter(|(path, _)| {
        let name = path.to_string_lossy();
        let of_people = name.ends_with(".txt") && !name.ends_with("train_data_version.txt");
        let starts = ["out/quarantine", "out/changes", "test/"];
        starts.iter().any(|start| name.starts_with(start)) || of_people
    });
    End {
        data: texts.last().cloned().unwrap(),
        datasets: datasets.iter().map(told).collect(),
        files: files
            .iter()
            .map(|f| format!("{} {:?} {:?} {:?}", f.name, f.status, f.dataset, f.counts))
            .collect(),
        models,
        said,
        written: written.collect(),
    }
}

fn same(found: &End, expected: &End) {
    for (found, expected) in found.said.iter().zip(&expected.said) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.datasets, expected.datasets);
    assert_eq!(found.files, expected.files);
    assert_eq!(found.models, expected.models, "the same model to the byte");
    for ((path, found), (other, expected)) in found.written.iter().zip(&expected.written) {
        assert!((path, found) == (other, expected), "{} {}", path.display(), other.display());
    }
    assert!(found == expected);
}

fn forms(scene: &Scene) -> Vec<&'static str> {
    let datasets = scene.ledger().datasets().unwrap();
    let forms = datasets.iter().filter_map(|record| {
        let there =
            |end: &str| scene.path(&format!("out/finaldata{}.{end}", record.version)).exists();
        match (there("csv"), there("parquet")) {
            (true, false) => Some("csv"),
            (false, true) => Some("parquet"),
            (true, true) => Some("both"),
            // Retention removed it.
            (false, false) => None,
        }
    });
    forms.collect()
}

#[test]
fn a_life_with_parquet_is_one_with_csv() {
    let (scene, expected) = life(&[csv()]);
    assert!(forms(&scene).iter().all(|form| *form == "csv"));
    assert!(expected.data.contains("9007199254740993") && expected.data.contains(",007,"));
    let (scene, found) = life(&[parquet()]);
    assert!(forms(&scene).iter().all(|form| *form == "parquet"), "{:?}", forms(&scene));
    same(&found, &expected);
    // The form of the base does not matter.
    for outputs in [[csv(), parquet()], [parquet(), csv()]] {
        let (scene, found) = life(&outputs);
        let forms = forms(&scene);
        assert!(forms.contains(&"csv") && forms.contains(&"parquet"), "{forms:?}");
        same(&found, &expected);
    }
}

/// With an index beside it, the data set before is unpacked but not looked through, whatever its form.
#[test]
fn a_few_rows_are_added_to_many() {
    mlops_formats::install();
    let many = |rows: std::ops::Range<u64>| {
        let row = |i: u64| format!("k{i},{},{}.5,7,c{},no\n", i % 90, i % 70, i % 5);
        HEADER.to_owned() + &rows.map(row).collect::<String>()
    };
    let grown = |forms: [Value; 5]| {
        let scene = Scene::with(&config(&forms[0], &json!({})));
        let mut told = Vec::new();
        for (at, form) in (0..).zip(&forms) {
            scene.configure(&config(form, &json!({})));
            let from = if at == 0 { 0 } else { 100_000 + at * 50 };
            // Some are known, from far back and from the last file.
            let more = many(from..100_060 + at * 50) + "k1,1,1.5,7,c1,no\n";
            scene.file(&format!("in/{at}.csv"), more);
            told.push(scene.ingest().unwrap().new_rows);
        }
        let ledger = scene.ledger();
        let size = |name: &str| fs::metadata(scene.path(name)).unwrap().len();
        assert!(size("out/finaldata5.rows") < 20_000, "only the new rows are in it");
        let records = ledger.datasets().unwrap();
        (told, records.iter().map(|record| text(&scene, record)).collect::<Vec<_>>())
    };
    let expected = grown([csv(), csv(), csv(), csv(), csv()]);
    assert_eq!(expected.0, [100_060, 50, 50, 50, 50]);
    assert!(grown([csv(), parquet(), parquet(), csv(), parquet()]) == expected);
}

/// Two versions are compared, whatever their forms.
#[test]
fn versions_in_two_forms_are_compared() {
    mlops_formats::install();
    let scene = Scene::with(&config(&csv(), &json!({})));
    scene.file("in/a.csv", rows(300, 1));
    scene.ingest().unwrap();
    scene.configure(&config(&parquet(), &json!({})));
    scene.file("in/b.csv", rows(200, 2));
    scene.ingest().unwrap();
    let options = |left: &str, right: &str| mlops_compare::command::Options {
        left: left.to_owned(),
        right: right.to_owned(),
        ..mlops_compare::command::Options::default()
    };
    let context = scene.context().unwrap();
    let told = |left: &str, right: &str| {
        let compared = mlops_compare::command::run(&context, &options(left, right)).unwrap();
        assert!(compared.warnings.is_empty(), "{:?}", compared.warnings);
        (compared.comparison.both, compared.comparison.left_only, compared.comparison.right_only)
    };
    let records = scene.ledger().datasets().unwrap();
    let (old, new) = (records[0].rows, records[1].new_rows);
    assert_eq!(told("1", "2"), (old, 0, new));
    assert_eq!(told("finaldata2.parquet", "finaldata1.csv"), (old, new, 0));
}

/// What a workspace ends with, besides times.
fn state(scene: &Scene) -> (Snapshot, Vec<String>, usize) {
    let ledger = scene.ledger();
    let datasets = ledger.datasets().unwrap();
    let datasets = datasets.iter().map(|d| told(d) + &d.name()).collect();
    (scene.snapshot(), datasets, ledger.intents().unwrap().len())
}

/// Whatever cuts a run off at whatever step: a reader sees the old version or the new one, and the next run
/// ends where an undisturbed one does.
#[test]
fn a_fault_at_any_step_leaves_either_version() {
    mlops_formats::install();
    let fresh = |base: &Value| {
        let scene = Scene::with(&config(base, &json!({})));
        scene.file("in/a.csv", rows(120, 1));
        scene.ingest().unwrap();
        scene.file("in/b.csv", rows(60, 3));
        scene
    };
    for (base, now) in [(parquet(), parquet()), (csv(), parquet()), (parquet(), csv())] {
        let begun = || {
            let scene = fresh(&base);
            scene.configure(&config(&now, &json!({})));
            scene
        };
        let mut scene = begun();
        let counter = Fault::never();
        scene.disk = counter.disk();
        scene.ingest().unwrap();
        let steps = counter.steps().len();
        scene.disk = Disk::default();
        scene.train().unwrap();
        let expected = state(&scene);
        for step in 0..steps {
            let faults = [Fault::error(step, 5).disk(), Dead::from(step)];
            // One of the two at each step, and both in long tests.
            let thorough = mlops_testkit::repetitions(0, 1) == 1;
            for (which, disk) in faults.into_iter().enumerate() {
                if !thorough && which != step % 2 {
                    continue;
                }
                let mut scene = begun();
                scene.disk = disk;
                let _ = scene.ingest();
                for record in scene.ledger().datasets().unwrap() {
                    let digest = Digest::of_file(&record.location).unwrap();
                    assert_eq!(digest, record.sha256, "step {step}");
                }
                scene.disk = Disk::default();
                scene.ingest().unwrap_or_else(|e| panic!("step {step} of {steps}: {e}"));
                scene.train().unwrap();
                let found = state(&scene);
                assert!(found == expected, "step {step} of {steps}: {found:#?}\n{expected:#?}");
            }
        }
    }
}

/// A damaged file is noticed by whoever reads it, with what to do.
#[test]
fn a_damaged_file_is_not_believed() {
    mlops_formats::install();
    let scene = Scene::with(&config(&parquet(), &json!({})));
    scene.file("in/a.csv", rows(300, 1));
    scene.ingest().unwrap();
    let sound = fs::read(scene.path("out/finaldata1.parquet")).unwrap();
    for at in [0, 5, sound.len() / 3, sound.len() / 2, sound.len() - 9, sound.len() - 1] {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x55;
        fs::write(scene.path("out/finaldata1.parquet"), &damaged).unwrap();
        scene.file("in/b.csv", rows(20, 2));
        for said in [scene.train().unwrap_err(), scene.ingest().unwrap_err()] {
            let said = said.to_string();
            assert!(
                said.contains("finaldata1.parquet") && said.contains("ingestion --rebuild"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_data_set_must_have_a_form() {
    mlops_formats::install();
    let scene = Scene::with(&json!({"output": {"csv": false}}));
    let said = scene.ingest().unwrap_err().to_string();
    assert!(said.contains("\"output.csv\" is false") && said.contains("output.parquet"), "{said}");
}
