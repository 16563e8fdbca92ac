//! What the targets of formats share: a file of random bytes is read or refused. Not for what is read.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use mlops_core::config::{FixedField, Format, Ingestion};
use mlops_core::csv::reader::RowReader;
use mlops_core::table::schema::{Schema, SchemaFields};
use tempfile::TempDir;

/// Longer ones find nothing more.
const MOST_BYTES: usize = 1 << 14;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a scratch folder"));

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let (id, numeric) = (names(&["id"]), names(&["x", "a.b"]));
    Schema::new(SchemaFields {
        id: &id,
        numeric: &numeric,
        target: "t",
        positive_label: "1",
        ..SchemaFields::default()
    })
});

/// A panic in a library on a thread of a decoder becomes an error, which must be seen here. One that is not ends the
/// target all the same, since it goes on in its main thread.
static PANICS: LazyLock<()> = LazyLock::new(|| std::panic::set_hook(Box::new(|_| {})));

/// Reads `bytes` as a file of this name in `format`, in one piece and in small ones, which must agree.
pub fn read(name: &str, bytes: &[u8], format: &Format) {
    mlops_formats::install();
    LazyLock::force(&PANICS);
    let path: PathBuf = FOLDER.path().join(name);
    fs::write(&path, &bytes[..bytes.len().min(MOST_BYTES)]).expect("room on the disk");
    let options =
        Ingestion { format: format.clone(), max_line_bytes: 400, ..Ingestion::default() };
    let said = |cut: usize| {
        let reader = RowReader::labelled(&SCHEMA, &options).keyed(7).with_chunk_bytes(cut);
        let mut hashes: Vec<u128> = Vec::new();
        let reading = reader.read(&path, |table| {
            hashes.extend(&table.hashes);
            Ok(())
        });
        (reading.map_err(|e| e.to_string()), hashes)
    };
    let (once, again) = (said(1 << 18), said(64));
    assert_eq!(once.0.is_ok(), again.0.is_ok());
    if once.0.is_ok() {
        assert_eq!(once, again);
    }
}

/// Three fields at fixed places.
#[allow(dead_code, reason = "one target needs it")]
pub fn fixed() -> Format {
    let field = |name: &str, first, last| FixedField { name: name.to_owned(), first, last };
    Format {
        fields: vec![field("id", 1, 3), field("x", 5, 9), field("a.b", 10, 10), field("t", 12, 12)],
        ..Format::default()
    }
}
