//! Tables of Arrow: the files that other programs write (`tests/golden`), and one of our own for the table
//! that is written in every format. Not for damage: see `hostile`.

use std::fs;

use mlops_core::config::Ingestion;
use mlops_core::csv::reader::RowReader;
use mlops_core::table::schema::{Schema, SchemaFields};
use mlops_testkit::Scene;
use polars_arrow_format::ipc::planus::Builder;
use polars_arrow_format::ipc::{
    Buffer, Field, FieldNode, Message, MessageHeader, MetadataVersion, RecordBatch,
    Schema as Columns, Type, Utf8,
};
use serde_json::json;

use crate::table::{COLUMNS, Row};

const LONG: &str = "\"a text of more than twelve bytes, with \"\"quotes\"\"\"";

/// What pyarrow and polars know of, as a data set has it: the columns that both write, then those that only
/// pyarrow writes.
fn expected(by_pyarrow: bool) -> Vec<String> {
    let first = format!(
        "2024-03-31,18446744073709551615,-128,-12345678901.234,0.1,{{rate}},2024-03-31T00:00:00.000001Z,\
         {{kind}},{LONG},\"one,two\""
    );
    let third = "1969-12-31,0,127,0.005,,{rate},1970-01-01T00:00:00Z,{kind},short,";
    let more = |cells: &str| if by_pyarrow { format!(",{cells}") } else { String::new() };
    let first_more = more(
        "2024-03-31,-0.01,0.5,2024-03-31T01:02:03,01:02:03,,80000000-0000-0000-0000-000000000005",
    );
    let third_more = more(
        "1969-12-31,100000000000000000000000000000000000.00,-2,1970-01-01T00:00:00,00:00:00,,\
         00000000-0000-0000-0000-000000000001",
    );
    let none_more = more(",,,,,,");
    let first = |rate: &str, kind: &str| {
        first.replace("{rate}", rate).replace("{kind}", kind) + &first_more
    };
    let third = |rate: &str, kind: &str| {
        third.replace("{rate}", rate).replace("{kind}", kind) + &third_more
    };
    let none = |kind: &str| format!(",,,,,,,{kind},,{none_more}");
    let (small, large) = ("0.30000000000000004", "1e300");
    [
        ("a", first(small, LONG), true),
        ("b", none(""), false),
        ("c", third(large, "x"), true),
        ("d", third(small, "third"), true),
        ("e", none("x"), false),
        ("f", first(large, LONG), true),
    ]
    .map(|(client, cells, left)| format!("{client},{cells},{left}"))
    .to_vec()
}

#[test]
fn files_of_pyarrow_and_polars_are_read_exactly() {
    mlops_formats::install();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let common = [
        "client",
        "day",
        "large",
        "tiny",
        "exact",
        "single",
        "deep.rate",
        "stamp",
        "kind",
        "view",
        "bytes",
    ];
    let more = ["day64", "exacter", "half", "local", "clock", "nothing", "key"];
    for (name, by_pyarrow) in [
        ("plain.arrow", true),
        ("lz4.arrow", true),
        ("zstd.arrow", true),
        ("plain.arrows", true),
        ("replaced.arrows", true),
        ("lz4.arrows", true),
        ("zstd.arrows", true),
        ("polars.arrow", false),
        ("polars-zstd.arrow", false),
    ] {
        let mut ids = common.to_vec();
        ids.extend(by_pyarrow.then_some(more).into_iter().flatten());
        let scene = Scene::with(&json!({
            "schema": {
                "id": ids, "numeric": ["ignored"], "target": "left", "positive_label": "true",
            },
        }));
        // The name says nothing that the content does not.
        scene.file("in/t.csv", fs::read(golden.join(name)).unwrap());
        let report = scene.ingest().unwrap();
        assert_eq!(report.failures, [""; 0], "{name}");
        let extra = format!("{:?}", report.files[0].counts.extra_columns);
        assert!(extra.contains("\"list\"") && extra.contains("deep.list"), "{name}: {extra}");
        let data = scene.read(&report.data.unwrap());
        let rows: Vec<&str> = data.lines().skip(1).collect();
        let expected: Vec<String> = expected(by_pyarrow)
            .into_iter()
            .enumerate()
            // Between the ids and the label stands the one number.
            .map(|(i, line)| {
                let (cells, label) = line.rsplit_once(',').unwrap();
                format!("{cells},{},{label}", i % 3 + 1)
            })
            .collect();
        assert_eq!(rows, expected, "{name}");
    }
}

/// The same rows whether batches are large or small, and with any columns missing before or behind them.
#[test]
fn a_column_that_is_not_there_is_told_with_those_that_are() {
    mlops_formats::install();
    let scene = Scene::new();
    scene.file("in/t.arrow", arrow(&crate::table::rows(3, 1), 2));
    assert_eq!(scene.ingest().unwrap().failures, [""; 0]);
    let ids = ["nobody".to_owned()];
    let schema = Schema::new(SchemaFields {
        id: &ids,
        target: COLUMNS[4],
        positive_label: "1",
        ..SchemaFields::default()
    });
    let options = Ingestion::default();
    let error = RowReader::labelled(&schema, &options)
        .read(&scene.path("in/t.arrow"), |_| Ok(()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("nobody") && error.contains("lastmonth_activity"), "{error}");
}

/// A stream of texts, in batches of `size` rows.
pub(crate) fn arrow(rows: &[Row], size: usize) -> Vec<u8> {
    let message = |header: MessageHeader, body: &[u8]| {
        let message = Message {
            version: MetadataVersion::V5,
            header: Some(header),
            body_length: i64::try_from(body.len()).unwrap(),
            custom_metadata: None,
        };
        let mut bytes = Builder::new().finish(&message, None).to_vec();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let length = u32::try_from(bytes.len()).unwrap();
        [&[0xff; 4], length.to_le_bytes().as_slice(), &bytes, body].concat()
    };
    let field = |name: &&str| Field {
        name: Some((*name).to_owned()),
        nullable: true,
        type_: Some(Type::Utf8(Box::new(Utf8 {}))),
        dictionary: None,
        children: None,
        custom_metadata: None,
    };
    let schema =
        Columns { fields: Some(COLUMNS.iter().map(field).collect()), ..Columns::default() };
    let mut file = message(MessageHeader::Schema(Box::new(schema)), &[]);
    for rows in rows.chunks(size) {
        let (mut body, mut buffers, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
        for column in 0..COLUMNS.len() {
            let mut valid = vec![0_u8; rows.len().div_ceil(8)];
            let (mut offsets, mut text) = (vec![0; 4], String::new());
            for (i, row) in rows.iter().enumerate() {
                if let Some(cell) = &row[column] {
                    valid[i / 8] |= 1 << (i % 8);
                    text += cell;
                }
                offsets.extend(i32::try_from(text.len()).unwrap().to_le_bytes());
            }
            let missing = rows.iter().filter(|row| row[column].is_none()).count();
            nodes.push(FieldNode {
                length: i64::try_from(rows.len()).unwrap(),
                null_count: i64::try_from(missing).unwrap(),
            });
            for buffer in [valid, offsets, text.into_bytes()] {
                buffers.push(Buffer {
                    offset: i64::try_from(body.len()).unwrap(),
                    length: i64::try_from(buffer.len()).unwrap(),
                });
                body.extend(buffer);
                body.resize(body.len().next_multiple_of(8), 0);
            }
        }
        let batch = RecordBatch {
            length: i64::try_from(rows.len()).unwrap(),
            nodes: Some(nodes),
            buffers: Some(buffers),
            compression: None,
            variadic_buffer_counts: None,
        };
        file.extend(message(MessageHeader::RecordBatch(Box::new(batch)), &body));
    }
    file
}
