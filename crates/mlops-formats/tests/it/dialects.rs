//! Dialects of CSV and encodings: recognised where they are beyond doubt, configured otherwise. Not for the
//! grammar of a record, which stands beside its code.

use serde_json::json;

use crate::table::{Outcome, ingested};

const GOOD: &str = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n";

fn of(name: &str, text: &str, format: &serde_json::Value) -> Outcome {
    ingested(name, text.as_bytes(), format)
}

fn rows(outcome: &Outcome) -> Vec<&str> {
    outcome.data.lines().skip(1).collect()
}

fn header(separator: &str) -> String {
    GOOD.replace(',', separator)
}

#[test]
fn malformed_records_stay_malformed_in_the_same_way() {
    let comma = GOOD.to_owned()
        + "a,1,2,3,0\n\"open,1,2,3,0\nb,1,2,3,1\n\"c\"x,1,2,3,0\nd,1,2\ne,1,2,3,1,9\n\n\
           \"two\nlines\",1,2,3,0\n\"f\",\"1\",2,3,1\r\ng,1,2,3,0";
    let plain = of("t.csv", &comma, &json!({}));
    // Five rows, of which one has two lines.
    assert_eq!(rows(&plain).len(), 6, "{}", plain.data);
    let other = comma.replace(',', ";");
    let found = of("t.csv", &other, &json!({}));
    assert_eq!(found, plain);
    let found = of("t.csv", &comma.replace(',', "|"), &json!({"delimiter": "|"}));
    assert_eq!(found, plain);
}

#[test]
fn the_quarantine_has_the_bytes_of_the_file() {
    let scene = crate::table::scene(&json!({}));
    let text = header(";") + "a;1,555;2;3;0\nb;x,y;2;3;0\nc;1;2;3;1;7\n\"d;;\ne;1;2;3;1\n";
    scene.file("in/t.csv", &text);
    let report = scene.ingest().unwrap();
    let quarantine = scene.read(&report.quarantine.unwrap());
    let mut reader = csv::Reader::from_reader(quarantine.as_bytes());
    for record in reader.records() {
        let record = record.unwrap();
        let at: usize = record[2].parse::<usize>().unwrap() - 1;
        assert_eq!(text.get(at..at + record[6].len()), Some(&record[6]), "{record:?}");
        assert_eq!(text[..at].lines().count() + 1, record[1].parse::<usize>().unwrap());
    }
    assert_eq!(quarantine.lines().count(), 4, "{quarantine}");
}

#[test]
fn what_is_configured_wins() {
    let format = json!({
        "delimiter": ";", "quote": "'", "escape": "\\", "comment": "%",
        "names": ["corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited"],
    });
    let text = "% a comment; with 'marks\n'a;b\\'s';1;2;3;0\n%\n'c''d';4;5;6;1\n'x;7;8;9;0\n";
    let found = of("t.csv", text, &format);
    assert_eq!(rows(&found), ["a;b's,1,2,3,0", "c'd,4,5,6,1"]);
    assert_eq!(found.quarantine[0][1], "5");
    // Names in place of a header that is there.
    let mut format = format;
    format["header"] = json!(true);
    let found = of("t.csv", &("a;b;c;d;e\n".to_owned() + text), &format);
    assert_eq!(rows(&found).len(), 2, "{found:?}");
    assert_eq!(found.quarantine[0][1], "6");
}

#[test]
fn announcements_preambles_and_escapes_are_recognised() {
    let found = of("t.csv", &format!("sep=;\n{}a;1;2;3;0\nb;x;2;3;1\n", header(";")), &json!({}));
    assert_eq!((rows(&found), found.quarantine[0][1].as_str()), (vec!["a,1,2,3,0"], "4"));
    let text = format!("# exported\n# by a tool\n{GOOD}a,1,2,3,0\n#b,1,2,3,1\n");
    let found = of("t.csv", &text, &json!({}));
    assert_eq!(rows(&found), ["a,1,2,3,0", "#b,1,2,3,1"]);
    let found = of("t.csv", &format!("{GOOD}\"a\\\",b\",1,2,3,0\nb,1,2,3,1\n"), &json!({}));
    assert_eq!(rows(&found), ["\"a\"\",b\",1,2,3,0", "b,1,2,3,1"]);
    // Without need, a backslash is a backslash.
    let found = of("t.csv", &format!("{GOOD}\"a\\\",1,2,3,0\nb,1,2,3,1\n"), &json!({}));
    assert_eq!(rows(&found), ["a\\,1,2,3,0", "b,1,2,3,1"]);
}

#[test]
fn decimal_commas_in_another_dialect_are_numbers_if_configured() {
    mlops_formats::install();
    let scene = mlops_testkit::Scene::with(&json!({"ingestion": {"decimal": ","}}));
    scene.file("in/t.csv", header(";") + "a;1,5;2;3;0\nb;\"2.000,25\";2;3;1\n");
    scene.file("in/u.jsonl", "{\"corporation\":\"c\",\"lastmonth_activity\":3.5,\"lastyear_activity\":1,\"number_of_employees\":2,\"exited\":1}\n");
    let found = crate::table::outcome(&scene);
    assert_eq!(rows(&found), ["a,1.5,2,3,0", "b,2000.25,2,3,1", "c,3.5,1,2,1"]);
}

#[test]
fn doubt_is_a_refusal_that_names_the_key() {
    let found = of("t.csv", "corporation,x;exited\n1,2;3\n4,5;6\n", &json!({}));
    assert!(found.data.is_empty());
    let message = &found.failures[0];
    assert!(
        message.contains("in doubt") && message.contains("ingestion.format.delimiter"),
        "{message}"
    );
    // Missing columns are told as ever.
    let found = of("t.csv", "corporation,age\n1,2\n", &json!({}));
    assert!(found.failures[0].contains("the header has no columns"), "{:?}", found.failures);
    let found = of("t.csv", "name;age\n1;2\n", &json!({}));
    assert!(found.failures[0].contains("it has: name, age"), "{:?}", found.failures);
    let found = of("t.csv", &(GOOD.to_owned() + "a,1,2,3,0\n"), &json!({"encoding": "klingon"}));
    assert!(found.failures[0].contains("format.encoding"), "{:?}", found.failures);
}

#[test]
fn bytes_that_are_no_characters_are_quarantined_in_any_encoding() {
    let mut text = Vec::new();
    for unit in format!("{GOOD}a,1,2,3,0\n").encode_utf16() {
        text.extend(unit.to_be_bytes());
    }
    text.extend([0xd8, 0x00]);
    for unit in "b,1,2,3,0\nc,1,2,3,1\n".encode_utf16() {
        text.extend(unit.to_be_bytes());
    }
    let found = ingested("t.csv", &text, &json!({}));
    assert_eq!(rows(&found), ["a,1,2,3,0", "c,1,2,3,1"]);
    assert_eq!(found.reasons(), [("corporation", "INVALID UNICODE")]);
    let fixed = json!({"fields": [
        "corporation 1-3", "lastmonth_activity 4-5", "lastyear_activity 6-6",
        "number_of_employees 7-8", "exited 9-9"]});
    let found = ingested("t.fwf", "öab 12 30\n\nxy 10212 1\nz".as_bytes(), &fixed);
    assert_eq!(rows(&found), ["öab,1,2,3,0"]);
    let lines: Vec<&str> = found.quarantine.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(lines, ["3", "4"], "{found:?}");
}

#[test]
fn titles_above_the_header_and_rare_separators_are_recognised() {
    let text = format!("Clients of 2025\n\n\"as of\";2025\n{}a;1;2;3;0\nb;x;2;3;1\n", header(";"));
    let found = of("t.csv", &text, &json!({}));
    assert_eq!(
        (rows(&found), found.quarantine[0][1].as_str()),
        (vec!["a,1,2,3,0"], "6"),
        "{found:?}"
    );
    for separator in ["^", "\u{1}", ":", " "] {
        let text = header(separator) + &"a,1,2,3,0\n\"b,c\",4,5,6,1\n".replace(',', separator);
        let found = of("t.csv", &text, &json!({}));
        assert_eq!(rows(&found).len(), 2, "{separator:?}: {found:?}");
    }
    // A row that happens to have the names is no header if the first line has them, too.
    let found = of("t.csv", &format!("{GOOD}a,1,2,3,0\n{GOOD}b,1,2,3,1\n"), &json!({}));
    assert_eq!((rows(&found).len(), found.quarantine.len()), (2, 1), "{found:?}");
}

#[test]
fn what_is_no_table_is_called_by_its_name() {
    for (bytes, expected) in [
        (&b"<!DOCTYPE html>\n<html><body>Log in</body></html>\n"[..], "an HTML page"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"Obj\x01\x04\x14avro.codec", "an Avro file"),
        (b"SQLite format 3\0\x10", "sqlite:PATH"),
    ] {
        for packed in [bytes.to_vec(), crate::table::zstd(bytes)] {
            let found = ingested("t.csv", &packed, &json!({}));
            assert!(found.failures[0].contains(expected), "{found:?}");
        }
    }
}
