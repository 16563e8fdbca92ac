//! Readers of rows: the way straight to values against the way through canonical bytes, on random
//! files, for any number of threads and any cut into pieces. Not for what a row is: see `partition`.

use std::fs;
use std::path::Path;

use mlops_core::config::Ingestion;
use mlops_core::csv::reader::{Reading, RowReader};
use mlops_core::table::Table;
use mlops_core::table::date::canonical;
use mlops_core::table::schema::{Role, Schema, SchemaFields};
use mlops_testkit::{Random, folder, repetitions};

use crate::partition::input;

/// All values of a file: ids, numbers as bits, categories, and the label.
type Rows = Vec<(Vec<String>, Vec<u64>, Vec<String>, bool)>;

/// Pieces and threads: none of it may matter.
const CUTS: [(usize, usize); 6] = [(1 << 20, 1), (1, 2), (7, 3), (64, 1), (64, 7), (300, 2)];

fn push(table: &Table, rows: &mut Rows, hashes: &mut Vec<u128>) {
    for i in 0..table.len() {
        let texts = |columns: &[mlops_core::table::TextColumn]| {
            columns.iter().map(|c| c.get(i).to_owned()).collect()
        };
        let numbers = table.numeric.iter().map(|c| c[i].to_bits()).collect();
        rows.push((texts(&table.ids), numbers, texts(&table.categorical), table.labels[i]));
    }
    hashes.extend(&table.hashes);
}

/// What the reader says straight.
fn values(reader: &RowReader, path: &Path) -> Result<(Reading, Rows, Vec<u128>), String> {
    let (mut rows, mut hashes) = (Rows::new(), Vec::new());
    let reading = reader.with_ids().read(path, |table| {
        push(table, &mut rows, &mut hashes);
        Ok(())
    });
    Ok((reading.map_err(|e| e.to_string())?, rows, hashes))
}

/// The same by a plain CSV reader from the canonical rows.
fn through_bytes(
    reader: &RowReader,
    schema: &Schema,
    path: &Path,
) -> Result<(Reading, Rows), String> {
    // With a header: a plain reader takes some marks at the start of a file for no part of it.
    let mut bytes = schema.header();
    let reading = reader.rows(path, |row| {
        bytes.extend_from_slice(row);
        Ok(())
    });
    let reading = reading.map_err(|e| e.to_string())?;
    let mut plain = csv::Reader::from_reader(bytes.as_slice());
    let mut rows = Rows::new();
    for record in plain.records() {
        let record = record.unwrap();
        let mut row = (Vec::new(), Vec::new(), Vec::new(), false);
        for (column, cell) in schema.columns().iter().zip(&record) {
            match column.role {
                Role::Id => row.0.push(cell.to_owned()),
                Role::Numeric => row.1.push(cell.parse().unwrap_or(f64::NAN).to_bits()),
                Role::Date => row.1.push(canonical(cell.as_bytes()).unwrap().to_bits()),
                Role::Categorical => row.2.push(cell.to_owned()),
                Role::Target => row.3 = cell == schema.positive_label(),
            }
        }
        rows.push(row);
    }
    Ok((reading, rows))
}

/// Both ways, in every cut; returns how many rows there were.
fn agree(schema: &Schema, options: &Ingestion, path: &Path, bytes: &[u8]) -> usize {
    fs::write(path, bytes).unwrap();
    let shown = String::from_utf8_lossy(bytes);
    let reader = RowReader::labelled(schema, options);
    let expected = through_bytes(&reader, schema, path);
    let whole = values(&reader, path);
    // Only values are read with lines.
    let found = whole
        .clone()
        .map(|(reading, rows, _)| (Reading { first_line: 0, lines: 0, ..reading }, rows));
    assert_eq!(found, expected, "of {shown:?}");
    for (chunk, threads) in CUTS {
        let cut = reader.with_chunk_bytes(chunk).on_threads(threads);
        assert_eq!(values(&cut, path), whole, "{chunk} bytes, {threads} threads of {shown:?}");
    }
    expected.map_or(0, |(_, rows)| rows.len())
}

#[test]
fn values_are_those_of_the_canonical_rows() {
    let dir = folder();
    let path = dir.path().join("input.csv");
    let mut rows = 0;
    for seed in 1..repetitions(600, 60_000) {
        let mut random = Random(seed);
        let (schema, options) = input::setting(&mut random);
        let mut bytes = input::well_formed(&mut random, &schema, &options);
        if random.one_in(3) {
            input::mutate(&mut random, &mut bytes);
        }
        rows += agree(&schema, &options, &path, &bytes);
    }
    assert!(rows > 500, "{rows} rows: the test must meet some");
}

#[test]
fn plain_rows_with_one_odd_byte_anywhere() {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let schema = Schema::new(SchemaFields {
        id: &names(&["id"]),
        numeric: &names(&["x", "y"]),
        date: &names(&["d"]),
        categorical: &names(&["g"]),
        target: "t",
        positive_label: "1",
        negative_label: Some("0"),
    });
    let options = Ingestion::default();
    let dir = folder();
    let path = dir.path().join("input.csv");
    let plain = "id,x,y,d,g,t\nacme,12,1234567,2024-03-31,red,1\n,,0.25,,,0\n\
                 b c,-7,123456789012345,2024-03-31T14:05:09,blue,0\n";
    let canonical = plain.to_owned();
    assert_eq!(agree(&schema, &options, &path, canonical.as_bytes()), 3);
    for at in canonical.find('\n').unwrap() + 1..canonical.len() {
        for byte in b"0 ,.\"-\n\re\xff" {
            let mut bytes = canonical.clone().into_bytes();
            bytes[at] = *byte;
            agree(&schema, &options, &path, &bytes);
            bytes.insert(at, *byte);
            agree(&schema, &options, &path, &bytes);
        }
    }
    let narrow = Ingestion { max_line_bytes: 23, ..Ingestion::default() };
    for extra in 0..6 {
        let row = format!("{}acme,12,1234567,,red,1\n", "x".repeat(extra));
        agree(&schema, &narrow, &path, format!("id,x,y,d,g,t\n{row}a,1,2,,g,0\n").as_bytes());
    }
}
