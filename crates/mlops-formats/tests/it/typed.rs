//! Values of typed formats: integers, decimals, doubles, dates, in Parquet and in workbooks. Not for texts.

use mlops_testkit::Scene;
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use serde_json::json;

use crate::table::{Row, outcome, parquet_of, workbook};

fn scene() -> Scene {
    mlops_formats::install();
    Scene::with(&json!({"schema": {
        "id": ["day"], "numeric": ["large", "exact", "half", "deep.rate"], "categorical": ["stamp", "kind"],
        "target": "left", "positive_label": "true",
    }}))
}

#[test]
fn parquet_types_keep_their_values() {
    let schema = "message t {
        optional int64 ignored; required int32 day (date); optional int64 large (integer(64,false));
        optional fixed_len_byte_array(9) exact (decimal(20,3)); optional float half;
        optional group deep { optional double rate; }
        optional group list { repeated int32 item; }
        optional int64 stamp (timestamp(micros,true)); optional binary kind; required boolean left; }";
    let bytes = parquet_of(schema, 2, Compression::UNCOMPRESSED, |group, column, writer| {
        let first = group == 0;
        match (column, writer) {
            (0 | 2, ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(&[if first { -1 } else { 5 }], Some(&[1, 0]), None).unwrap();
            }
            (7, ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(&[1_711_843_200_000_001, 0], Some(&[1, 1]), None).unwrap();
            }
            (1, ColumnWriter::Int32ColumnWriter(writer)) => {
                let day = if first { 19_813 } else { 19_913 };
                writer.write_batch(&[day, day + 1], None, None).unwrap();
            }
            (6, ColumnWriter::Int32ColumnWriter(writer)) => {
                writer.write_batch(&[1, 2], Some(&[2, 2, 1]), Some(&[0, 1, 0])).unwrap();
            }
            (3, ColumnWriter::FixedLenByteArrayColumnWriter(writer)) => {
                let value = |v: i128| -> FixedLenByteArray {
                    ByteArray::from(v.to_be_bytes()[7..].to_vec()).into()
                };
                writer
                    .write_batch(&[value(-12_345_678_901_234), value(5)], Some(&[1, 1]), None)
                    .unwrap();
            }
            (4, ColumnWriter::FloatColumnWriter(writer)) => {
                writer.write_batch(&[0.1, f32::NAN], Some(&[1, 1]), None).unwrap();
            }
            (5, ColumnWriter::DoubleColumnWriter(writer)) => {
                writer.write_batch(&[0.1 + 0.2], Some(&[1, 2]), None).unwrap();
            }
            (8, ColumnWriter::ByteArrayColumnWriter(writer)) => {
                writer.write_batch(&["a,\"b\"".into(), "c".into()], Some(&[1, 1]), None).unwrap();
            }
            (9, ColumnWriter::BoolColumnWriter(writer)) => {
                writer.write_batch(&[true, false], None, None).unwrap();
            }
            (column, _) => panic!("column {column} has another type"),
        }
    });
    let scene = scene();
    scene.file("in/t.parquet", &bytes);
    let report = scene.ingest().unwrap();
    let extra = format!("{:?}", report.files[0].counts.extra_columns);
    assert!(extra.contains("ignored") && extra.contains("list.item"), "{extra}");
    let data = scene.read(&report.data.unwrap());
    assert_eq!(
        data.lines().skip(1).collect::<Vec<_>>(),
        [
            "2024-03-31,18446744073709551615,-12345678901.234,0.1,,\
             2024-03-31T00:00:00.000001Z,\"a,\"\"b\"\"\",true",
            "2024-04-01,,0.005,,0.30000000000000004,1970-01-01T00:00:00Z,c,false",
            "2024-07-09,5,-12345678901.234,0.1,,2024-03-31T00:00:00.000001Z,\"a,\"\"b\"\"\",true",
            "2024-07-10,,0.005,,0.30000000000000004,1970-01-01T00:00:00Z,c,false",
        ]
    );
}

#[test]
fn sheets_have_dates_numbers_and_ranges() {
    let row = |cells: &[&str]| -> Row {
        cells.iter().map(|c| (!c.is_empty()).then(|| (*c).to_owned())).collect()
    };
    let sheet = vec![
        row(&["a title", "", ""]),
        row(&[]),
        row(&["", "day", "large", "exact", "half", "deep.rate", "stamp", "kind", "left"]),
        row(&["", "@45382", "12345678", "0.1", "-2.5", "", "@45382.5", "x", "true"]),
        row(&["", "@45383", "1", "2", "3", "4", "b", "#N/A", "false", "beyond"]),
        row(&["", "@45384", "many", "2", "3", "4", "b", "y", "false"]),
        row(&["", "@45385", "1", "2", "3", "4", "b", "y", "false"]),
        row(&["a note below"]),
    ];
    let scene = scene();
    scene.configure(&json!({
        "schema": {
            "id": ["day"], "numeric": ["large", "exact", "half", "deep.rate"],
            "categorical": ["stamp", "kind"], "target": "left", "positive_label": "true",
        },
        "ingestion": {"max_rejected_share": 1.0, "format": {"range": "B3:J20"}},
    }));
    scene.file("in/t.xlsx", workbook(&[("S", sheet)]));
    let found = outcome(&scene);
    assert_eq!(
        found.data.lines().skip(1).collect::<Vec<_>>(),
        [
            "2024-03-31,12345678,0.1,-2.5,,2024-03-31T12:00:00,x,true",
            "2024-04-03,1,2,3,4,b,y,false"
        ]
    );
    let kinds: Vec<_> =
        found.quarantine.iter().map(|row| (row[1].as_str(), row[3].as_str())).collect();
    assert_eq!(kinds, [("5", "TOO MANY COLUMNS"), ("6", "CAST")]);
}

#[test]
fn time_stamps_of_twelve_bytes_keep_their_nanoseconds() {
    let schema = "message t { required int96 day; required int64 large; required double exact; required double half;
        required group deep { required double rate; } required binary stamp; required binary kind;
        required boolean left; }";
    let bytes = parquet_of(schema, 1, Compression::UNCOMPRESSED, |_, column, writer| {
        match (column, writer) {
            (0, ColumnWriter::Int96ColumnWriter(writer)) => {
                let at = |nanos: u32, day: u32| Int96::from(vec![nanos, 0, day]);
                let days = [at(123_456_789, 2_440_588 + 19_813), at(1_000, 1)];
                writer.write_batch(&days, None, None).unwrap();
            }
            (1, ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(&[1, 2], None, None).unwrap();
            }
            (2..=4, ColumnWriter::DoubleColumnWriter(writer)) => {
                writer.write_batch(&[1.0, 2.0], None, None).unwrap();
            }
            (5 | 6, ColumnWriter::ByteArrayColumnWriter(writer)) => {
                writer.write_batch(&["a".into(), "b".into()], None, None).unwrap();
            }
            (7, ColumnWriter::BoolColumnWriter(writer)) => {
                writer.write_batch(&[true, false], None, None).unwrap();
            }
            (column, _) => panic!("column {column} has another type"),
        }
    });
    let scene = scene();
    scene.file("in/t.parquet", &bytes);
    let found = outcome(&scene);
    let first = found.data.lines().nth(1).unwrap_or_default();
    assert!(first.starts_with("2024-03-31T00:00:00.123456789,"), "{found:?}");
    // What nanoseconds cannot reach is there in microseconds.
    let second = found.data.lines().nth(2).unwrap_or_default();
    assert!(second.starts_with("-4713-11-25T00:00:00.000001,"), "{found:?}");
}

#[test]
fn a_column_that_is_no_cell_is_called_that() {
    let rest =
        "required double exact; required double half; required group deep { required double rate; }
        required binary stamp; required binary kind; required boolean left;";
    for (columns, expected) in [
        (
            "required int32 day; optional group large (LIST) { repeated group list { optional int64 element; } }",
            "\"large\" has lists",
        ),
        ("required int32 day; required group large { required int64 lo; }", "\"large.lo\""),
        (
            "required int32 day; required int64 large; required int64 large;",
            "two of its columns are called \"large\"",
        ),
    ] {
        let schema = format!("message t {{ {columns} {rest} }}");
        let bytes = parquet_of(&schema, 0, Compression::UNCOMPRESSED, |_, _, _| {});
        let scene = scene();
        scene.file("in/t.parquet", &bytes);
        let found = outcome(&scene);
        assert!(found.failures[0].contains(expected), "{found:?}");
    }
}
