//! Parts of files: the pages in which writers pack the texts of Parquet, and row groups and lines that several
//! threads decode. Not for the types of cells: see `typed`.

use mlops_testkit::Scene;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use serde_json::json;

use crate::table;

#[test]
fn texts_are_read_from_every_kind_of_page() {
    let rows = table::rows(3000, 5);
    let plain = table::ingested("t.csv", table::delimited(&rows, ',', '"').as_bytes(), &json!({}));
    let snappy = || WriterProperties::builder().set_compression(Compression::SNAPPY);
    let second = || snappy().set_writer_version(WriterVersion::PARQUET_2_0);
    let small = 300;
    let kinds = [
        ("a dictionary", snappy()),
        ("no dictionary", snappy().set_dictionary_enabled(false)),
        // The writer gives up on the dictionary within a row group.
        ("a full dictionary", snappy().set_dictionary_page_size_limit(64).set_write_batch_size(50)),
        ("small pages", snappy().set_data_page_row_count_limit(7).set_write_batch_size(7)),
        ("version 2", second()),
        ("version 2, small", second().set_data_page_row_count_limit(9).set_write_batch_size(9)),
        ("version 2, plain", second().set_dictionary_enabled(false).set_encoding(Encoding::PLAIN)),
        // These go to the reader of the library.
        (
            "lengths apart",
            second().set_dictionary_enabled(false).set_encoding(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        ),
        (
            "prefixes",
            second().set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BYTE_ARRAY),
        ),
    ];
    for (name, properties) in kinds {
        let bytes = table::parquet_with(&rows, small, properties.build());
        let found = table::ingested("t.parquet", &bytes, &json!({}));
        assert!(found.failures.is_empty(), "{name}: {:?}", found.failures);
        assert_eq!(found.data, plain.data, "{name}");
        assert_eq!(found.reasons(), plain.reasons(), "{name}");
    }
}

/// Objects of several pieces, of which the later ones have columns of their own and lines that are none.
fn lines() -> String {
    let mut text = String::new();
    for i in 0..30_000 {
        if i % 997 == 5 {
            text.push_str("\n{\"corporation\":\n");
        }
        text += &format!(
            "{{\"corporation\": \"c, {i}\", \"lastmonth_activity\": {}, \"lastyear_activity\": {i}.5, \
             \"number_of_employees\": \"7\", \"exited\": {}, \"more {}\": [{i}]}}\n",
            i % 100,
            i % 2,
            i / 6000,
        );
    }
    text
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let rows = table::rows(20_000, 7);
    let parquet = table::parquet(&rows, 900, Compression::SNAPPY);
    for (name, bytes, lacking) in [("t.jsonl", lines().into_bytes(), 5), ("t.parquet", parquet, 0)]
    {
        let found = [1, 2, 5].map(|threads| {
            mlops_formats::install();
            let scene = Scene::with(&json!({
                "limits": {"threads": threads}, "ingestion": {"max_rejected_share": 1.0},
            }));
            scene.file(&format!("in/{name}"), &bytes);
            let report = scene.ingest().unwrap();
            let read = |path: &Option<String>| std::fs::read(scene.path(path.as_ref().unwrap()));
            let [file] = report.files.as_slice() else { panic!("{:?}", report.failures) };
            assert_eq!(file.counts.extra_columns.len(), lacking, "{:?}", file.counts);
            let counts = serde_json::to_value(&file.counts).unwrap();
            (read(&report.data).unwrap(), read(&report.quarantine).unwrap(), counts, file.sha256)
        });
        assert!(found[0].1.split(|b| *b == b'\n').count() > 20);
        assert!(found.iter().all(|other| *other == found[0]), "{name}");
    }
}
