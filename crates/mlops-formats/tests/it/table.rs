//! A table with good and bad rows, written in each format. Not for what is expected of it.

use std::io::Write as _;

use mlops_testkit::{Random, Scene};
use parquet::file::properties::WriterProperties;
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
        let spelling = |number: &Value| number.to_string();
        let number = number.filter(|number| spelling(number).as_str() == text.as_str());
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

/// A Parquet file with the schema `schema`, whose row groups are written by `write`, which gets the number
/// of the group and of the column.
pub(crate) fn parquet_of(
    schema: &str,
    groups: usize,
    compression: parquet::basic::Compression,
    write: impl FnMut(usize, usize, &mut parquet::column::writer::ColumnWriter),
) -> Vec<u8> {
    let properties = WriterProperties::builder().set_compression(compression).build();
    parquet_as(schema, groups, properties, write)
}

fn parquet_as(
    schema: &str,
    groups: usize,
    properties: WriterProperties,
    mut write: impl FnMut(usize, usize, &mut parquet::column::writer::ColumnWriter),
) -> Vec<u8> {
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let properties = std::sync::Arc::new(properties);
    let mut file =
        parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    for group in 0..groups {
        let mut rows = file.next_row_group().unwrap();
        let mut number = 0;
        while let Some(mut column) = rows.next_column().unwrap() {
            write(group, number, column.untyped());
            column.close().unwrap();
            number += 1;
        }
        rows.close().unwrap();
    }
    file.into_inner().unwrap()
}

/// The table as Parquet, in row groups of `size` rows.
pub(crate) fn parquet(
    rows: &[Row],
    size: usize,
    compression: parquet::basic::Compression,
) -> Vec<u8> {
    parquet_with(rows, size, WriterProperties::builder().set_compression(compression).build())
}

/// The same with other choices of a writer.
pub(crate) fn parquet_with(rows: &[Row], size: usize, properties: WriterProperties) -> Vec<u8> {
    let columns = COLUMNS.map(|name| format!("optional binary {name} (string);")).concat();
    let groups: Vec<&[Row]> = rows.chunks(size).collect();
    let schema = format!("message t {{ {columns} }}");
    parquet_as(&schema, groups.len(), properties, |group, column, writer| {
        let cells: Vec<Option<&String>> =
            groups[group].iter().map(|row| row[column].as_ref()).collect();
        let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
        let values: Vec<parquet::data_type::ByteArray> =
            cells.into_iter().flatten().map(|cell| cell.as_str().into()).collect();
        let parquet::column::writer::ColumnWriter::ByteArrayColumnWriter(writer) = writer else {
            panic!("all columns are texts")
        };
        writer.write_batch(&values, Some(&levels), None).unwrap();
    })
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    text.replace('\n', "&#10;").replace('\t', "&#9;")
}

/// A workbook of sheets with these names and cells; numbers are numbers, dates `@45382.5` are dates.
pub(crate) fn workbook(sheets: &[(&str, Vec<Row>)]) -> Vec<u8> {
    let header = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>";
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let (mut list, mut links, mut members) = (String::new(), String::new(), Vec::new());
    for (i, (name, rows)) in sheets.iter().enumerate() {
        let n = i + 1;
        list += &format!("<sheet name=\"{name}\" sheetId=\"{n}\" r:id=\"rId{n}\"/>");
        links += &format!(
            "<Relationship Id=\"rId{n}\" Type=\"{relations}/worksheet\" Target=\"worksheets/sheet{n}.xml\"/>"
        );
        let mut text = format!("{header}<worksheet xmlns=\"{main}\"><sheetData>");
        for (r, row) in rows.iter().enumerate() {
            text += &format!("<row r=\"{}\">", r + 1);
            for (c, cell) in row.iter().enumerate() {
                let Some(cell) = cell else { continue };
                let at = format!("{}{}", char::from(b'A' + u8::try_from(c).unwrap()), r + 1);
                let number = cell.parse::<f64>().is_ok_and(|v| v.to_string() == *cell);
                text += &if number {
                    format!("<c r=\"{at}\"><v>{cell}</v></c>")
                } else if let Some(day) = cell.strip_prefix('@') {
                    format!("<c r=\"{at}\" s=\"1\"><v>{day}</v></c>")
                } else {
                    let cell = escaped(cell);
                    format!(
                        "<c r=\"{at}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">{cell}</t></is></c>"
                    )
                };
            }
            text += "</row>";
        }
        text += "</sheetData></worksheet>";
        members.push((format!("xl/worksheets/sheet{n}.xml"), text));
    }
    let n = sheets.len() + 1;
    links +=
        &format!("<Relationship Id=\"rId{n}\" Type=\"{relations}/styles\" Target=\"styles.xml\"/>");
    let package = "http://schemas.openxmlformats.org/package/2006";
    members.extend([
        ("xl/workbook.xml".to_owned(), format!(
            "{header}<workbook xmlns=\"{main}\" xmlns:r=\"{relations}\"><sheets>{list}</sheets></workbook>"
        )),
        ("xl/_rels/workbook.xml.rels".to_owned(), format!(
            "{header}<Relationships xmlns=\"{package}/relationships\">{links}</Relationships>"
        )),
        ("xl/styles.xml".to_owned(), format!(
            "{header}<styleSheet xmlns=\"{main}\"><cellXfs count=\"2\"><xf numFmtId=\"0\"/>\
             <xf numFmtId=\"22\"/></cellXfs></styleSheet>"
        )),
        ("_rels/.rels".to_owned(), format!(
            "{header}<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"rId1\" \
             Type=\"{relations}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
        )),
        ("[Content_Types].xml".to_owned(), format!(
            "{header}<Types xmlns=\"{package}/content-types\"></Types>"
        )),
    ]);
    let members: Vec<(&str, &[u8])> =
        members.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    zip(&members)
}

/// A workbook of OpenDocument with one visible sheet of this name and cells behind a hidden one, whose empty
/// cells and rows are repetitions.
pub(crate) fn open_document(name: &str, rows: &[Row]) -> Vec<u8> {
    let mut text = "<?xml version=\"1.0\"?><office:document-content><office:automatic-styles>\
        <style:style style:name=\"no\"><style:table-properties table:display=\"false\"/></style:style>\
        </office:automatic-styles><office:body><office:spreadsheet>\
        <table:table table:name=\"Old\" table:style-name=\"no\"><table:table-row><table:table-cell \
        office:value-type=\"string\"><text:p>nothing</text:p></table:table-cell></table:table-row>\
        </table:table>"
        .to_owned();
    text += &format!("<table:table table:name=\"{name}\"><table:table-column/>");
    for row in rows {
        text += "<table:table-row>";
        for cell in row {
            text += &match cell {
                None => "<table:table-cell table:number-columns-repeated=\"1\"/>".to_owned(),
                Some(cell) if cell.parse::<f64>().is_ok_and(|v| v.to_string() == *cell) => format!(
                    "<table:table-cell office:value-type=\"float\" office:value=\"{cell}\"><text:p>about \
                     {cell}</text:p></table:table-cell>"
                ),
                Some(cell) => {
                    let lines: Vec<String> = cell
                        .split('\n')
                        .map(|line| format!("<text:p>{}</text:p>", escaped(line)))
                        .collect();
                    let lines = lines.concat();
                    format!(
                        "<table:table-cell office:value-type=\"string\"><office:annotation><text:p>a \
                         comment</text:p></office:annotation>{lines}</table:table-cell>"
                    )
                }
            };
        }
        text += "<table:table-cell table:number-columns-repeated=\"16000\"/></table:table-row>";
    }
    text += "<table:table-row table:number-rows-repeated=\"1000000\"><table:table-cell/></table:table-row>\
        </table:table></office:spreadsheet></office:body></office:document-content>";
    let kind: &[u8] = b"application/vnd.oasis.opendocument.spreadsheet";
    zip(&[("mimetype", kind), ("content.xml", text.as_bytes())])
}

/// Lines of fixed width, and the format that reads them.
pub(crate) fn fixed(rows: &[Row]) -> (String, Value) {
    let widths = [60, 14, 34, 12, 4];
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(widths) {
            let cell = cell.as_deref().unwrap_or_default();
            text += &format!("{cell:width$}");
        }
        text.push('\n');
    }
    let mut first = 1;
    let fields: Vec<String> = COLUMNS
        .iter()
        .zip(widths)
        .map(|(name, width)| {
            first += width;
            format!("{name} {}-{}", first - width, first - 1)
        })
        .collect();
    (text, json!({"kind": "fixed", "fields": fields}))
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
        failures: report.failures.into_iter().map(|failure| failure.text).collect(),
    }
}
