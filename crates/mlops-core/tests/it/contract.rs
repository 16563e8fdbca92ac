//! What becomes of rows and files that break the contract of their source.

use std::fs;

use mlops_core::ledger::{FileRecord, FileStatus};
use mlops_core::run::attention::Attention;
use mlops_core::run::context::Report;
use mlops_testkit::random::Random;
use mlops_testkit::scene::{HEADER, Scene};
use serde_json::{Value, json};

fn scene(contract: &Value) -> Scene {
    Scene::with(&json!({"contract": contract, "ingestion": {"max_rejected_share": 0.9}}))
}

fn last(scene: &Scene) -> FileRecord {
    scene.ledger().files().unwrap().pop().unwrap()
}

/// The cells of each line of the newest quarantine, without its header.
fn quarantine(scene: &Scene) -> Vec<Vec<String>> {
    let files = fs::read_dir(scene.path("out")).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &std::path::PathBuf| {
        path.file_name().unwrap().to_string_lossy().starts_with("quarantine")
    };
    let mut files: Vec<_> = files.filter(named).collect();
    files.sort();
    let Some(path) = files.pop() else { return Vec::new() };
    let mut reader = csv::Reader::from_path(path).unwrap();
    let cells = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
    reader.records().map(|record| cells(record.unwrap())).collect()
}

#[test]
fn a_row_that_breaks_a_rule_is_quarantined_as_it_came() {
    let scene = scene(&json!({"columns": {
        "number_of_employees": {"required": true, "max": 100},
        "corporation": {"pattern": "[a-z]+[0-9]*"},
        "lastmonth_activity": {"allowed": [1, 2, 3]}
    }}));
    scene.rows(
        "in/a.csv",
        "a1,1,2,3,0\n\n a2 ,1,2,\"1,000\",1\nb1,2,2,,0\nB2,3,2,4,1\r\nc1,4,2,4,1\n\"c,\n2\",1,2,4,1\nc3,1.0,,4,1\n",
    );
    let report = scene.ingest().unwrap();
    assert_eq!(report.rows, 2);
    let rejected = quarantine(&scene);
    let short =
        |row: &Vec<String>| (row[1].clone(), row[4].clone(), row[6].clone(), row[7].clone());
    let expected = [
        (
            "4",
            "number_of_employees",
            " a2 ,1,2,\"1,000\",1",
            "it is \"1000\", and by the contract it must be at most 100",
        ),
        (
            "5",
            "number_of_employees",
            "b1,2,2,,0",
            "it is missing, and by the contract a value is required",
        ),
        (
            "6",
            "corporation",
            "B2,3,2,4,1",
            "it is \"B2\", and by the contract it must match [a-z]+[0-9]*",
        ),
        (
            "7",
            "lastmonth_activity",
            "c1,4,2,4,1",
            "it is \"4\", and by the contract it must be one of 1, 2, 3",
        ),
        (
            "8",
            "corporation",
            "\"c,\n2\",1,2,4,1",
            "it is \"c,\\n2\", and by the contract it must match [a-z]+[0-9]*",
        ),
    ];
    let expected =
        expected.map(|(a, b, c, d)| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned()));
    assert_eq!(rejected.iter().map(short).collect::<Vec<_>>(), expected);
    assert!(rejected.iter().all(|row| row[5] == "CONTRACT"));
    let bytes = fs::read(scene.path("in/a.csv")).unwrap();
    for row in &rejected {
        let at = row[2].parse::<usize>().unwrap() - 1;
        assert!(bytes[at..].starts_with(row[6].as_bytes()), "{row:?}");
    }
    let counts = last(&scene).counts;
    assert_eq!((counts.rows_read, counts.rows_kept, counts.quarantined), (7, 2, 5));
    assert_eq!(counts.missing, [0, 0, 1, 0, 0], "of good rows only");
    assert_eq!(counts.contract.len(), 4, "{:?}", counts.contract);
}

#[test]
fn a_warning_is_told_and_an_abort_refuses_the_file() {
    let rule = |severity: &str| json!({"columns": {"number_of_employees": {"min": 1, "severity": severity}}});
    let scene = scene(&rule("warn"));
    scene.rows("in/a.csv", "a1,1,2,0,0\na2,1,2,3,1\na3,1,2,-1,1\n");
    let report = scene.ingest().unwrap();
    assert_eq!((report.rows, report.attention()), (3, Attention::Fine));
    assert_eq!(
        report.warnings,
        [
            "a.csv breaks its contract: column number_of_employees: it must be at least 1 (2 rows; the \
          first is line 2: it is \"0\")"
        ]
    );
    scene.configure(&json!({"contract": rule("abort")}));
    scene.rows("in/b.csv", "b1,1,2,3,0\nb2,1,2,0,1\n");
    let report = scene.ingest().unwrap();
    assert_eq!((report.rows, report.attention()), (3, Attention::Failed));
    assert!(
        report.failures[0].starts_with(
            "b.csv was refused: it breaks its contract: column number_of_employees: it must be at least \
             1 (1 row; the first is line 3: it is \"0\"). Nothing of the file was taken"
        ),
        "{}",
        report.failures[0]
    );
    // A corrected contract is a reason to look again.
    scene.configure(&json!({"contract": rule("warn")}));
    assert_eq!(scene.ingest().unwrap().rows, 5);
}

#[test]
fn a_unique_value_may_be_repeated_only_by_the_same_row() {
    let scene = scene(&json!({"columns": {"corporation": {"unique": true}}}));
    scene.rows("in/a.csv", "a,1,2,3,0\nb,1,2,3,0\na,1,2,3,0\na,9,2,3,0\n");
    scene.ingest().unwrap();
    let counts = last(&scene).counts;
    assert_eq!((counts.rows_kept, counts.duplicates_within, counts.quarantined), (2, 1, 1));
    let rejected = quarantine(&scene);
    assert_eq!(rejected[0][1], "5");
    assert_eq!(
        rejected[0][7],
        "an earlier row has its value, and by the contract it must be unique"
    );
    // In another file the value may come again.
    scene.rows("in/b.csv", "a,8,2,3,0\n");
    scene.ingest().unwrap();
    assert_eq!(last(&scene).counts.rows_kept, 1);
}

#[test]
fn columns_and_types_that_change_are_taken_or_refused_as_agreed() {
    let new = HEADER.trim_end().to_owned() + ",region\na,1,2,3,0,\nb,1,2,3,1,north\n";
    let of = |shape: &str| {
        let scene = scene(&json!({"new_columns": shape}));
        scene.file("in/a.csv", &new);
        let report = scene.ingest().unwrap();
        (report.rows, report.attention(), report.warnings.len())
    };
    assert_eq!(of("discard_value"), (2, Attention::Fine, 0));
    assert_eq!(of("evolve"), (2, Attention::Fine, 1));
    assert_eq!(of("discard_row"), (1, Attention::Fine, 0));
    assert_eq!(of("freeze"), (0, Attention::Failed, 0));

    let missing = "corporation,lastmonth_activity,lastyear_activity,exited\na,1,2,0\nb,1,2,1\n";
    let of = |shape: &str| {
        let scene = scene(&json!({"missing_columns": shape}));
        scene.file("in/a.csv", missing);
        let report = scene.ingest().unwrap();
        (report.rows, report.attention(), last(&scene).counts.missing.get(3).copied())
    };
    assert_eq!(of("evolve"), (2, Attention::Fine, Some(2)));
    assert_eq!(of("discard_value").0, 2);
    assert_eq!(of("freeze").1, Attention::Failed);

    let of = |shape: &str| {
        let scene = scene(&json!({"type_changes": shape}));
        scene.rows("in/a.csv", "a,1,many,3,0\nb,1,2,3,1\n");
        let report = scene.ingest().unwrap();
        (report.rows, report.attention(), report.warnings.len())
    };
    assert_eq!(of("discard_row"), (1, Attention::Fine, 0));
    assert_eq!(of("discard_value"), (2, Attention::Fine, 0));
    assert_eq!(of("evolve"), (2, Attention::Fine, 1));
    assert_eq!(of("freeze"), (0, Attention::Failed, 0));
}

#[test]
fn the_number_of_rows_and_missing_values_are_held_against_the_file() {
    let scene = scene(&json!({
        "rows": {"min": 2, "versus_median": 0.5},
        "columns": {"lastyear_activity": {"max_missing_share": 0.25}}
    }));
    let rows =
        |name: &str, n: u32| (0..n).map(|i| format!("{name}{i},1,2,3,0\n")).collect::<String>();
    for name in ["a", "b", "c"] {
        scene.rows(&format!("in/{name}.csv"), &rows(name, 10));
    }
    assert_eq!(scene.ingest().unwrap().rows, 30);
    let refused = |name: &str, rows: &str| {
        scene.rows(&format!("in/{name}.csv"), rows);
        let report = scene.ingest().unwrap();
        report.failures.first().map_or_else(String::new, |failure| failure.text.clone())
    };
    assert!(refused("d", &rows("d", 1)).contains("it has 1 row, and at least 2 are expected"));
    let words = refused("e", &rows("e", 4));
    assert!(
        words.contains(
            "it has 4 rows, and the median of earlier files is 10, of which 0.5 to 2 times"
        ),
        "{words}"
    );
    assert!(refused("f", &rows("f", 21)).contains("median"));
    assert_eq!(refused("g", &rows("g", 20)), "");
    let gaps = rows("h", 6) + "x,1,,3,0\ny,1,,3,0\nz,1,,3,0\n";
    let words = refused("h", &gaps);
    assert!(
        words.contains(
            "column lastyear_activity: 33.3 % of its values are missing, and at most 25.0 %"
        ),
        "{words}"
    );
}

#[test]
fn the_outcome_is_that_of_one_rule_after_the_other_for_any_number_of_threads() {
    let contract = json!({"columns": {
        "number_of_employees": {"max": 900, "required": true},
        "lastmonth_activity": {"min": 10, "severity": "warn"},
        "corporation": {"unique": true}
    }});
    let mut random = Random(7);
    let (mut text, mut kept, mut aside, mut warned) = (HEADER.to_owned(), 0_u64, 0_u64, 0_u64);
    let mut seen = std::collections::HashMap::new();
    for i in 0..60_000_usize {
        let id = if random.below(50) == 0 { random.below(60_000) } else { 100_000 + i };
        let (a, b) = (random.below(1000), random.below(1000));
        let b = if random.below(40) == 0 { String::new() } else { b.to_string() };
        let row = format!("c{id},{a},5,{b},{}\n", i % 2);
        let good = b.parse::<u32>().is_ok_and(|b| b <= 900);
        warned += u64::from(a < 10);
        let first =
            if good { Some(seen.entry(id).or_insert_with(|| row.clone()).clone()) } else { None };
        match first {
            Some(first) if first == row => kept += 1,
            _ => aside += 1,
        }
        text += &row;
    }
    let mut digests = Vec::new();
    for threads in [1, 4] {
        let scene = Scene::with(&json!({
            "contract": contract, "ingestion": {"max_rejected_share": 0.9}, "limits": {"threads": threads}
        }));
        scene.file("in/a.csv", &text);
        scene.ingest().unwrap();
        let counts = last(&scene).counts;
        assert_eq!(last(&scene).status, FileStatus::Ingested);
        assert_eq!(counts.rows_kept + counts.duplicates(), kept);
        assert_eq!(counts.quarantined, aside);
        let below = counts.contract.iter().find(|rule| rule.rule.contains("at least")).unwrap();
        assert_eq!(below.rows, warned);
        let lines: Vec<u64> =
            quarantine(&scene).iter().map(|row| row[1].parse().unwrap()).collect();
        assert!(lines.is_sorted() && lines.len() as u64 == aside);
        digests.push((
            quarantine(&scene),
            scene.ledger().latest_dataset().unwrap().unwrap().sha256,
            counts,
        ));
    }
    assert!(digests[0] == digests[1]);
}
