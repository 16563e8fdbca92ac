//! The line of each row to predict, by which predictions are joined back to their file. Not for places in the
//! quarantine: see `agree`.

use mlops_core::config::Ingestion;
use mlops_core::csv::reader::RowReader;
use mlops_testkit::Folder;

use crate::hostile::schema;
use crate::table::{self, Row, parquet, workbook};

/// The lines of the good rows, and those of the others, in pieces of `chunk` bytes.
fn read(name: &str, bytes: &[u8], chunk: usize) -> (Vec<u64>, Vec<u64>) {
    mlops_formats::install();
    let folder = Folder::in_memory();
    folder.file(name, bytes);
    let (schema, options) = (schema(), Ingestion::default());
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let reader = RowReader::prediction(&schema, &options).with_chunk_bytes(chunk);
    let read = reader.lines_at(&folder.path(name), |_, _, faults, lines| {
        good.extend_from_slice(lines);
        bad.extend(faults.iter().map(|fault| fault.line));
        Ok(())
    });
    read.unwrap();
    (good, bad)
}

#[test]
fn lines_of_dialects_are_those_of_the_file() {
    let rows = [
        "corporation,lastmonth_activity,lastyear_activity,number_of_employees",
        "a,1,2,3",
        "\"two\nlines\",1,2,3",
        "",
        "b,broken,2,3",
        "\"three\n\nlines\",1,2,3",
        "c,1,2,3",
    ];
    for before in ["", "\n", "Clients of May\nas of, or so\n\n"] {
        for end in ["\n", "\r\n"] {
            let text = before.to_owned() + &rows.join("\n") + "\n";
            let first = 2 + before.lines().count() as u64;
            let expected = ([0, 1, 5, 8].map(|line| first + line).to_vec(), vec![first + 4]);
            for separator in [",", ";", "\t"] {
                let text = text.replace(',', separator).replace('\n', end);
                for chunk in [64, 1 << 20] {
                    assert_eq!(read("t.csv", text.as_bytes(), chunk), expected, "{text:?}");
                }
            }
        }
    }
}

#[test]
fn rows_of_other_formats_are_numbered_through() {
    let rows: Vec<Row> = (0..10)
        .map(|i| {
            let first = if i == 6 { "broken".to_owned() } else { i.to_string() };
            [format!("c{i}"), first, "2".into(), "3".into(), "0".into()].map(Some).to_vec()
        })
        .collect();
    let through = (vec![1, 2, 3, 4, 5, 6, 8, 9, 10], vec![7]);
    let groups = parquet(&rows, 4, parquet::basic::Compression::UNCOMPRESSED);
    assert_eq!(read("t.parquet", &groups, 1 << 20), through);
    assert_eq!(read("t.jsonl", table::lines(&rows).as_bytes(), 1 << 20), through);
    assert_eq!(read("t.json", table::array(&rows).as_bytes(), 1 << 20), through);

    // A sheet without labels, below a title: its rows have the numbers that a spreadsheet program shows.
    let title = vec![Some("Clients".to_owned())];
    let names: Row = table::COLUMNS[..4].iter().map(|name| Some((*name).to_owned())).collect();
    let mut sheet = vec![title, names];
    sheet.extend(rows.iter().map(|row| row[..4].to_vec()));
    let (good, bad) = read("t.xlsx", &workbook(&[("S", sheet)]), 1 << 20);
    assert_eq!((good, bad), (vec![3, 4, 5, 6, 7, 8, 10, 11, 12], vec![9]));
}

#[test]
fn repeated_rows_of_other_dialects_and_formats_are_named_by_their_lines() {
    let names = table::COLUMNS.join(",") + "\n";
    let row = |i| format!("\"c\n{i}\",{i},2,3,{}\n", i % 2);
    let rows = (0..30).map(row).collect::<Vec<_>>().concat();
    let text = names + &rows + "\"c\n7\",7,2,3,1\n\"c\n9\",9,2,3,1\n";
    for (name, bytes, first) in [
        ("t.csv", text.replace(',', ";").into_bytes(), 2),
        ("t.csv", format!("Clients\n\n{text}").into_bytes(), 4),
        ("t.csv.gz", table::gzip(text.as_bytes()), 2),
    ] {
        let scene = table::scene(&serde_json::json!({}));
        scene.file(&format!("in/{name}"), bytes);
        let report = scene.ingest().unwrap();
        let said = &report.warnings[0];
        for (again, before) in [(30, 7), (31, 9)] {
            let part = format!("line {} (corporation", first + 2 * again);
            assert!(said.contains(&part), "{part} in {said}");
            let part = format!("repeats line {}", first + 2 * before);
            assert!(said.contains(&part), "{part} in {said}");
        }
    }
}
