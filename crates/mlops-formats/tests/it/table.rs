//! A table with good and bad rows, written in each format. Not for what is expected of it.

use std::io::Write as _;

use mlops_testkit::{Random, Scene};
use serde_json::{Value, json};

/// The names of the columns, in the order of the schema.
pub(crate) const COLUMNS: [&str; 5] =
    ["corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited"];

/// A row: a cell without text is missing.
pub(crate) type Row = Vec<Option<String>>;

/// Rows, of which about one in forty cannot be used for what is in a cell.
pub(crate) fn rows(count: usize, seed: u64) -> Vec<Row> {
    let mut random = Random(seed);
    let mut rows: Vec<Row> = Vec::with_capacity(count);
    for i in 0..count {
        if i > 0 && random.one_in(20) {
            rows.push(rows[random.below(i)].clone());
            continue;
        }
        let mut row: Row = vec![
            Some(format!("c{i}")),
            Some(random.below(100).to_string()),
            Some(format!("{}.{}", random.below(1000), 1 + random.below(9))),
            Some((random.below(50) + 1).to_string()),
            Some(random.below(2).to_string()),
        ];
        match random.below(80) {
            0 => row[1] = Some("many".to_owned()),
            1 => row[2] = Some("12;5 or so, \"perhaps\"".to_owned()),
            2 => row[4] = None,
            3..=8 => row[1 + random.below(3)] = None,
            9 => row[0] = Some(format!("Müller, \"Söhne\" & Co; {i}|x\ty")),
            10 => row[0] = Some(format!("two\nlines {i}")),
            11 => row[1] = Some(" 007 ".to_owned()),
            12 => row[3] = Some("NA".to_owned()),
            13 => row[3] = Some("12,345".to_owned()),
            14 => row[0] = Some(format!("O'Hara's \\ {i}")),
            _ => {}
        }
        rows.push(row);
    }
    rows
}

/// As text with this separator and quote.
pub(crate) fn delimited(rows: &[Row], delimiter: char, quote: char) -> String {
    let cell = |cell: &str| {
        if cell.contains([delimiter, quote, '\n', '\r']) {
            let doubled = cell.replace(quote, &format!("{quote}{quote}"));
            format!("{quote}{doubled}{quote}")
        } else {
            cell.to_owned()
        }
    };
    let separator = delimiter.to_string();
    let mut text = COLUMNS.join(&separator) + "\n";
    for row in rows {
        let cells: Vec<String> =
            row.iter().map(|c| cell(c.as_deref().unwrap_or_default())).collect();
        text += &(cells.join(&separator) + "\n");
    }
    text
}

/// The object that a row is. Numbers that can be are numbers.
pub(crate) fn object(row: &Row) -> Value {
    let mut object = serde_json::Map::new();
    for (name, cell) in COLUMNS.iter().zip(row) {
        let Some(text) = cell else {
            // Absent or null, as it comes.
            if name.len() % 2 == 0 {
                object.insert((*name).to_owned(), Value::Null);
            }
            continue;
        };
        let number = serde_json::from_str::<Value>(text).ok().filter(Value::is_number);
        let number = number.filter(|number| number.to_string() == *text);
        object.insert((*name).to_owned(), number.unwrap_or_else(|| json!(text)));
    }
    Value::Object(object)
}

/// An object on each line.
pub(crate) fn lines(rows: &[Row]) -> String {
    rows.iter().map(|row| object(row).to_string() + "\n").collect()
}

/// An array of objects.
pub(crate) fn array(rows: &[Row]) -> String {
    let objects: Vec<Value> = rows.iter().map(object).collect();
    serde_json::to_string_pretty(&objects).unwrap()
}

/// Packed by gzip, in two members.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let member = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let (first, second) = bytes.split_at(bytes.len() / 2);
    [member(first), member(second)].concat()
}

/// Packed by Zstandard.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

/// Packed by bzip2.
pub(crate) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Packed by xz.
pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut packer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// As members of an archive.
pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A scene that reads all formats, with `format` and any number of bad rows.
pub(crate) fn scene(format: &Value) -> Scene {
    mlops_formats::install();
    Scene::with(&json!({"ingestion": {"format": format, "max_rejected_share": 1.0}}))
}

/// What became of a file: the data set, and of each quarantined row its place, its column and the kind of
/// reason, or the error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) data: String,
    pub(crate) quarantine: Vec<[String; 4]>,
    pub(crate) failures: Vec<String>,
}

impl Outcome {
    /// The quarantined rows without their places: column and kind of reason.
    pub(crate) fn reasons(&self) -> Vec<(&str, &str)> {
        self.quarantine.iter().map(|row| (row[2].as_str(), row[3].as_str())).collect()
    }
}

/// Ingests one file.
pub(crate) fn ingested(name: &str, bytes: &[u8], format: &Value) -> Outcome {
    let scene = scene(format);
    scene.file(&format!("in/{name}"), bytes);
    outcome(&scene)
}

/// Ingests what is in the scene.
pub(crate) fn outcome(scene: &Scene) -> Outcome {
    let report = scene.ingest().unwrap();
    let read = |path: Option<&str>| path.map(|p| std::fs::read(scene.path(p)).unwrap());
    let quarantine = read(report.quarantine.as_deref()).unwrap_or_default();
    let mut reader = csv::Reader::from_reader(quarantine.as_slice());
    let rows = reader.byte_records().map(|record| {
        let record = record.unwrap();
        [0, 1, 4, 5].map(|i| String::from_utf8_lossy(&record[i]).into_owned())
    });
    Outcome {
        data: String::from_utf8(read(report.data.as_deref()).unwrap_or_default()).unwrap(),
        quarantine: rows.collect(),
        failures: report.failures,
    }
}
