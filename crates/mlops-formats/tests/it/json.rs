//! JSON lines and arrays: what a row is, what is none, and which columns there are. Not for the grammar.

use serde_json::json;

use crate::table::ingested;

const ROW: &str = r#"{"corporation":"a","lastmonth_activity":1,"lastyear_activity":2,"number_of_employees":3,"exited":0}"#;

#[test]
fn a_line_that_is_no_object_is_a_row_that_cannot_be_read() {
    let text = format!(
        "{ROW}\n\n[1,2]\n{{\"corporation\":\n{}\n{ROW} x\n{}\n\"t\"\n",
        ROW.replace("\"a\"", "\"b,\\n\\u00e9\""),
        ROW.replace("\"a\"", "\"a\",\"corporation\":\"c\"")
    );
    let found = ingested("t.jsonl", text.as_bytes(), &json!({}));
    assert_eq!(
        found.data.lines().skip(1).collect::<Vec<_>>(),
        ["a,1,2,3,0", "\"b,", "é\",1,2,3,0"]
    );
    let places: Vec<&str> = found.quarantine.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(places, ["3", "4", "6", "7", "8"]);
    assert!(found.reasons().iter().all(|(_, kind)| *kind == "INVALID JSON"), "{found:?}");
}

#[test]
fn an_element_of_an_array_is_a_row_by_its_number() {
    let text = format!("[{ROW},7,{},null,{ROW}]", ROW.replace("\"a\"", "{\"x\":1}"));
    let found = ingested("t.json", text.as_bytes(), &json!({}));
    let rows: Vec<&str> = found.data.lines().skip(1).collect();
    assert_eq!(rows, ["a,1,2,3,0", "\"{\"\"x\"\":1}\",1,2,3,0"]);
    let places: Vec<&str> = found.quarantine.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(places, ["2", "4"]);
    for damaged in [&text[..text.len() - 1], &text[..60], &(text.clone() + "]"), "[1 2]"] {
        let found = ingested("t.json", damaged.as_bytes(), &json!({}));
        assert!(found.data.is_empty() && found.failures.len() == 1, "{damaged}: {found:?}");
    }
}

#[test]
fn a_file_that_is_cut_off_in_its_only_line_is_called_that() {
    let found = ingested("t.jsonl", &ROW.as_bytes()[..50], &json!({}));
    assert!(found.failures[0].contains("cut off"), "{:?}", found.failures);
}

#[test]
fn columns_are_paths_and_missing_ones_are_told() {
    mlops_formats::install();
    let found = ingested("t.jsonl", b"{\"corporation\":\"a\",\"age\":{\"x\":1}}\n", &json!({}));
    assert!(found.failures[0].contains("it has: corporation, age"), "{:?}", found.failures);
    let scene = mlops_testkit::Scene::with(&json!({
        "schema": {"id": ["firm.name"], "numeric": ["size.now"], "target": "left", "positive_label": "true"},
    }));
    scene.file(
        "in/t.jsonl",
        "{\"firm\":{\"name\":\"a\",\"x\":[]},\"size\":{\"now\":12345678901234567},\"left\":true}\n\
         {\"left\":false,\"size\":null,\"firm\":{\"name\":\"b\"}}\n\
         {\"left\":false,\"size\":{},\"firm\":{\"name\":\"c\"}}\n",
    );
    let found = crate::table::outcome(&scene);
    let rows: Vec<&str> = found.data.lines().skip(1).collect();
    assert_eq!(rows, ["a,12345678901234567,true", "b,,false", "c,,false"]);
}

#[test]
fn numbers_keep_every_digit() {
    let exact = ["0.1", "123456789012345678", "1e3", "0.30000000000000004", "-0.0"];
    let text: String = exact
        .iter()
        .map(|number| {
            ROW.replace("_activity\":1", &format!("_activity\":{number}"))
                .replace("\"a\"", &format!("\"{number}\""))
                + "\n"
        })
        .collect();
    let plain: String =
        "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n".to_owned()
            + &exact.map(|number| format!("{number},{number},2,3,0\n")).concat();
    let json = ingested("t.jsonl", text.as_bytes(), &json!({}));
    assert_eq!(json, ingested("t.csv", plain.as_bytes(), &json!({})));
}

#[test]
fn objects_may_stand_one_behind_the_other() {
    let other = ROW.replace("\"a\"", "\"b\"");
    let pretty = |row: &str| row.replace(',', ",\n  ").replace('{', "{\n  ").replace('}', "\n}");
    for text in [
        format!("{}\n{}\n", pretty(ROW), pretty(&other)),
        format!("{ROW},\n{other},\n"),
        format!("{ROW} {other}"),
    ] {
        let found = ingested("t.json", text.as_bytes(), &json!({}));
        let rows: Vec<&str> = found.data.lines().skip(1).collect();
        assert_eq!(rows, ["a,1,2,3,0", "b,1,2,3,0"], "{text}: {found:?}");
    }
    let found = ingested("t.json", pretty(ROW).as_bytes(), &json!({}));
    assert_eq!(found.data.lines().nth(1), Some("a,1,2,3,0"), "{found:?}");
    let found = ingested("t.json", format!("{}\n{{", pretty(ROW)).as_bytes(), &json!({}));
    assert!(found.failures[0].contains("cut off"), "{found:?}");
}

#[test]
fn no_number_is_missing_and_infinity_is_no_number() {
    let of = |value: &str| ROW.replace("_activity\":1", &format!("_activity\":{value}"));
    for text in [
        format!("{}\n{}\n{ROW}\n", of("NaN"), of("-Infinity")),
        format!("[{},{},{ROW}]", of("NaN"), of("-Infinity")),
    ] {
        let found = ingested("t.json", text.as_bytes(), &json!({}));
        let rows: Vec<&str> = found.data.lines().skip(1).collect();
        assert_eq!(rows, ["a,,2,3,0", "a,1,2,3,0"], "{found:?}");
        assert_eq!(found.reasons(), [("lastmonth_activity", "CAST")]);
    }
}

#[test]
fn what_is_no_row_is_told_in_words() {
    for (text, expected) in [
        (
            "{\"n\":1,\"rows\":[{\"corporation\":\"a\"}]}".to_owned(),
            "\"format.records\", such as rows",
        ),
        (
            "{\n\"n\":1,\"rows\":[{\"corporation\":\"a\"}]\n}".to_owned(),
            "\"format.records\", such as rows",
        ),
        ("[[\"corporation\"],[1]]".to_owned(), "the elements of its array are not objects"),
        (format!("{}\n", ROW.replace('}', ",}")), "this is no JSON object: a name in quotes"),
    ] {
        let found = ingested("t.json", text.as_bytes(), &json!({}));
        let said = found.failures.first().map_or("", String::as_str);
        let rows = found.quarantine.iter().any(|row| row[3] == "INVALID JSON");
        assert!(said.contains(expected) || rows, "{text}: {found:?}");
        assert_eq!(found.data.lines().nth(1), None, "{found:?}");
    }
    // An array without rows is a file without rows.
    for text in ["[]", " [ ]\n"] {
        let found = ingested("t.json", text.as_bytes(), &json!({}));
        assert!(found.failures.is_empty() && found.data.is_empty(), "{found:?}");
    }
}

#[test]
fn whoever_does_not_know_the_columns_is_told_them() {
    mlops_formats::install();
    let scene = mlops_testkit::Scene::with(&json!({}));
    let lines = "{\"id\":1,\"geo\":{\"lat\":2}}\n{\"id\":2,\"tags\":[],\"late\":true}\n";
    let array = format!("[{}]", lines.trim_end().replace('\n', ","));
    for (name, text) in
        [("t.jsonl", lines), ("t.json", &array), ("u.json", &lines.replace(':', ":\n"))]
    {
        scene.file(name, text);
        let options = mlops_core::config::Ingestion::default();
        let (opened, _) =
            mlops_core::csv::formats::open(&scene.path(name), &options, &[], 1).unwrap();
        let mlops_core::csv::formats::Opened::Rows(mut rows) = opened else {
            panic!("{name}: no rows")
        };
        assert_eq!(rows.header().unwrap().unwrap(), ["id", "geo.lat", "late"], "{name}");
        let mut batch = mlops_core::csv::formats::Batch::default();
        assert!(rows.next(&mut batch).unwrap());
        assert_eq!(String::from_utf8(batch.text).unwrap(), "1,2,\n2,,true\n", "{name}");
    }
}
