//! The same table in every format: one data set, and the same rows in the quarantine. Not for what only
//! one format can express.

use mlops_testkit::repetitions;
use serde_json::{Value, json};

use crate::table::{self, COLUMNS, Outcome, Row, ingested};

/// Rows in which each kind of bad cell occurs.
fn sample() -> Vec<Row> {
    table::rows(usize::try_from(repetitions(2500, 200_000)).unwrap(), 11)
}

#[test]
fn one_table_gives_one_data_set_in_all_formats() {
    let rows = sample();
    let text = table::delimited(&rows, ',', '"');
    let plain = ingested("t.csv", text.as_bytes(), &json!({}));
    assert!(plain.failures.is_empty() && plain.data.lines().count() > 2000);
    assert!(plain.quarantine.len() > 50, "{}", plain.quarantine.len());
    let semicolons = table::delimited(&rows, ';', '"');
    let tabs = table::delimited(&rows, '\t', '"');
    let lines = table::lines(&rows);
    let array = table::array(&rows);
    let nested = format!("{{\"meta\": {{\"n\": [1]}}, \"data\": {{\"rows\": {array}, \"m\": 1}}}}");
    let utf_16: Vec<u8> =
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let (latin, _, _) = encoding_rs::WINDOWS_1252.encode(&text);
    let none = json!({});
    let files: Vec<(&str, Vec<u8>, &Value)> = vec![
        ("t.csv.gz", table::gzip(text.as_bytes()), &none),
        ("t.csv.zst", table::zstd(text.as_bytes()), &none),
        ("t.csv.bz2", table::bzip2(text.as_bytes()), &none),
        ("t.csv.xz", table::xz(text.as_bytes()), &none),
        ("semicolons.csv", semicolons.clone().into_bytes(), &none),
        ("tabs.tsv", tabs.into_bytes(), &none),
        ("bars.csv", table::delimited(&rows, '|', '"').into_bytes(), &none),
        ("single.csv", table::delimited(&rows, ',', '\'').into_bytes(), &none),
        ("semicolons.csv.gz", table::gzip(semicolons.as_bytes()), &none),
        ("utf16.csv", utf_16, &none),
        ("lines.jsonl", lines.clone().into_bytes(), &none),
        ("lines.jsonl.zst", table::zstd(lines.as_bytes()), &none),
        ("array.json", array.into_bytes(), &none),
    ];
    let snappy = parquet::basic::Compression::SNAPPY;
    let zstd = parquet::basic::Compression::ZSTD(parquet::basic::ZstdLevel::default());
    let mut sheet = vec![COLUMNS.map(|name| Some(name.to_owned())).to_vec()];
    sheet.extend(rows.iter().cloned());
    let files = files.into_iter().chain([
        ("snappy.parquet", table::parquet(&rows, 700, snappy), &none),
        ("zstd.parquet", table::parquet(&rows, 5000, zstd), &none),
        ("t.arrow", crate::arrow::arrow(&rows, 333), &none),
        ("book.ods", table::open_document("Clients", &sheet), &none),
        ("book.xlsx", table::workbook(&[("Clients", sheet)]), &none),
    ]);
    for (name, bytes, format) in files {
        agree(name, &ingested(name, &bytes, format), &plain);
    }
    let configured = [
        ("latin.csv", latin.into_owned(), json!({"encoding": "windows-1252"})),
        ("nested.json", nested.into_bytes(), json!({"records": "data.rows"})),
    ];
    for (name, bytes, format) in configured {
        agree(name, &ingested(name, &bytes, &format), &plain);
    }
}

fn agree(name: &str, found: &Outcome, plain: &Outcome) {
    assert_eq!(found.failures, [""; 0], "{name}");
    assert_eq!(found.reasons(), plain.reasons(), "{name}");
    assert!(found.data == plain.data, "{name} gives other rows");
}

/// A packed file and another dialect have the lines of the plain one.
#[test]
fn lines_stay_lines() {
    let rows = sample();
    let text = table::delimited(&rows, ',', '"');
    let plain = ingested("t.csv", text.as_bytes(), &json!({}));
    let places = |outcome: &Outcome| -> Vec<String> {
        outcome.quarantine.iter().map(|row| row[1].clone()).collect()
    };
    for (name, bytes) in [
        ("t.csv.gz", table::gzip(text.as_bytes())),
        ("t.csv", table::delimited(&rows, ';', '"').into_bytes()),
        ("s.csv", table::delimited(&rows, ',', '\'').into_bytes()),
    ] {
        let found = ingested(name, &bytes, &json!({}));
        assert_eq!(places(&found), places(&plain), "{name}");
    }
    // JSON counts its own lines.
    let found = ingested("t.jsonl", table::lines(&rows).as_bytes(), &json!({}));
    let bad = found.quarantine[0][1].parse::<usize>().unwrap();
    assert_eq!(found.quarantine.len(), plain.quarantine.len());
    let line = table::lines(&rows).lines().nth(bad - 1).unwrap().to_owned();
    let scene = table::scene(&json!({}));
    scene.file("in/one.jsonl", &(line + "\n"));
    let one = table::outcome(&scene);
    assert_eq!(one.reasons().first(), found.reasons().first());
}

/// Members of an archive are one table, and the quarantine names them.
#[test]
fn an_archive_is_read_member_by_member() {
    let rows = sample();
    let plain = ingested("t.csv", table::delimited(&rows, ',', '"').as_bytes(), &json!({}));
    let (first, second) = rows.split_at(1300);
    let packed = table::zip(&[
        ("readme.txt", b"nothing"),
        ("2024/a.csv", table::delimited(first, ',', '"').as_bytes()),
        ("2024/b.csv", table::delimited(second, ';', '"').as_bytes()),
    ]);
    let found = ingested("t.zip", &packed, &json!({}));
    agree("t.zip", &found, &plain);
    let files: Vec<&str> = found.quarantine.iter().map(|row| row[0].as_str()).collect();
    assert!(files.contains(&"t.zip#2024/a.csv") && files.contains(&"t.zip#2024/b.csv"));
    let last = found.quarantine.last().unwrap();
    let line: usize = last[1].parse().unwrap();
    assert!(line <= table::delimited(second, ';', '"').lines().count(), "{last:?}");
    let mut damaged = packed;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let refused = ingested("t.zip", &damaged, &json!({}));
    assert!(refused.data.is_empty() && refused.failures.len() == 1, "{:?}", refused.failures);
}

/// Lines of fixed width cannot have line ends in a cell; everything else they can.
#[test]
fn fixed_width_gives_the_same_rows() {
    let mut rows = sample();
    rows.retain(|row| !row.iter().flatten().any(|cell| cell.contains('\n')));
    let plain = ingested("t.csv", table::delimited(&rows, ',', '"').as_bytes(), &json!({}));
    let (text, format) = table::fixed(&rows);
    let found = ingested("t.fwf", text.as_bytes(), &format);
    agree("t.fwf", &found, &plain);
    // Without a header the lines are one less.
    let line = |outcome: &Outcome| outcome.quarantine[0][1].parse::<u64>().unwrap();
    assert_eq!(line(&found) + 1, line(&plain));
}

/// Places in formats that have no lines.
#[test]
fn the_quarantine_names_row_groups_and_sheets() {
    let rows = sample();
    let bad: Vec<usize> = {
        let plain = ingested("t.csv", table::delimited(&rows, ',', '"').as_bytes(), &json!({}));
        assert!(plain.quarantine.len() > 50);
        // What is quarantined alone is bad wherever it stands.
        let is_bad = |row: &&(usize, &Row)| {
            row.1[4].is_none()
                || row.1.iter().flatten().any(|c| c == "many" || c.starts_with("12;5"))
        };
        rows.iter().enumerate().collect::<Vec<_>>().iter().filter(is_bad).map(|row| row.0).collect()
    };
    let snappy = parquet::basic::Compression::SNAPPY;
    let found = ingested("t.parquet", &table::parquet(&rows, 700, snappy), &json!({}));
    let places: Vec<(String, String)> = bad
        .iter()
        .map(|row| (format!("t.parquet#row group {}", row / 700), (row % 700 + 1).to_string()))
        .collect();
    let places_found: Vec<(String, String)> =
        found.quarantine.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(places_found, places);
    let mut sheet = vec![COLUMNS.map(|name| Some(name.to_owned())).to_vec()];
    sheet.extend(rows);
    let other = vec![vec![Some("nothing".to_owned())]];
    let book = table::workbook(&[("Notes", other), ("Clients", sheet)]);
    let found = ingested("t.xlsx", &book, &json!({"sheet": "Clients"}));
    let rows_found: Vec<usize> = found
        .quarantine
        .iter()
        .map(|row| {
            assert_eq!(row[0], "t.xlsx#Clients");
            row[1].parse::<usize>().unwrap() - 2
        })
        .collect();
    assert_eq!(rows_found, bad);
    let refused = ingested("t.xlsx", &book, &json!({"sheet": "Client"}));
    assert!(refused.failures[0].contains("it has: Notes, Clients"), "{:?}", refused.failures);
}
