//! Bytes that mean harm, or nothing: each file is read or refused, in bounded memory. Not for what is read.

use mlops_core::config::Ingestion;
use mlops_core::csv::reader::RowReader;
use mlops_core::table::schema::{Schema, SchemaFields};
use mlops_testkit::{Folder, Random, repetitions};

use crate::table;

pub(crate) fn schema() -> Schema {
    let numeric = table::COLUMNS[1..4].iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
    let id = [table::COLUMNS[0].to_owned()];
    Schema::new(SchemaFields {
        id: &id,
        numeric: &numeric,
        target: table::COLUMNS[4],
        positive_label: "1",
        ..SchemaFields::default()
    })
}

fn golden(name: &str) -> Vec<u8> {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::read(golden.join(name)).unwrap()
}

/// Damages some bytes of files of every format, and reads what is left.
#[test]
fn damaged_files_are_read_or_refused() {
    mlops_formats::install();
    let rows = table::rows(40, 3);
    let text = table::delimited(&rows, ',', '"');
    let seeds: Vec<(&str, Vec<u8>)> = vec![
        ("t.csv", text.clone().into_bytes()),
        ("t.csv", table::delimited(&rows, ';', '\'').into_bytes()),
        ("t.csv.gz", table::gzip(text.as_bytes())),
        ("t.csv.zst", table::zstd(text.as_bytes())),
        ("t.csv.bz2", table::bzip2(text.as_bytes())),
        ("t.csv.xz", table::xz(text.as_bytes())),
        (
            "t.zip",
            table::zip(&[("a.csv", text.as_bytes()), ("b.jsonl", table::lines(&rows).as_bytes())]),
        ),
        ("t.jsonl", table::lines(&rows).into_bytes()),
        ("t.json", table::array(&rows).into_bytes()),
        ("t.parquet", table::parquet(&rows, 15, parquet::basic::Compression::SNAPPY)),
        ("t.parquet", table::parquet(&rows, 40, parquet::basic::Compression::UNCOMPRESSED)),
        ("t.arrow", crate::arrow::arrow(&rows, 15)),
        ("t.arrow", golden("lz4.arrow")),
        ("t.arrow", golden("polars-zstd.arrow")),
        ("t.arrow", golden("plain.arrows")),
        ("t.xlsx", table::workbook(&[("S", rows.clone())])),
        ("t.ods", table::open_document("S", &rows)),
    ];
    let (schema, options) = (schema(), Ingestion::default());
    let folder = Folder::in_memory();
    let mut random = Random(5);
    let (mut read, mut refused) = (0, 0);
    for round in 0..repetitions(10_000, 200_000) {
        let (name, seed) = &seeds[usize::try_from(round).unwrap() % seeds.len()];
        let mut bytes = seed.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.next().to_le_bytes()[0],
                1 => bytes.truncate(at.max(1)),
                2 => bytes[at] ^= 1 << random.below(8),
                _ => {
                    let from = random.below(bytes.len());
                    let piece = bytes[from..(from + 9).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        folder.file(name, &bytes);
        let mut rows = 0;
        let outcome = RowReader::labelled(&schema, &options).read(&folder.path(name), |table| {
            rows += table.len();
            Ok(())
        });
        match outcome {
            Ok(_) => read += 1,
            Err(error) => {
                refused += 1;
                let message = error.to_string();
                assert!(message.len() < 2000, "{message}");
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} {refused}");
}

/// Found by fuzzing: a column of a Parquet file that begins before the file.
#[test]
fn a_column_at_a_negative_place_is_refused_in_words() {
    mlops_formats::install();
    let folder = Folder::in_memory();
    folder.file("t.parquet", golden("negative_place.parquet"));
    let (schema, options) = (schema(), Ingestion::default());
    let reader = RowReader::labelled(&schema, &options);
    let error = reader.read(&folder.path("t.parquet"), |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("a negative place"), "{error}");
}

/// Found by fuzzing: a page of a Parquet file on which the library gives up in the middle.
#[test]
fn a_page_that_is_too_short_is_refused_in_words() {
    mlops_formats::install();
    let folder = Folder::in_memory();
    folder.file("t.parquet", golden("short_run.parquet"));
    let (schema, options) = (schema(), Ingestion::default());
    let reader = RowReader::labelled(&schema, &options);
    let error = reader.read(&folder.path("t.parquet"), |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("t.parquet") && error.len() < 400, "{error}");
}
