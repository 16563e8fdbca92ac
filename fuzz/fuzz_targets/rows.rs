//! Rows of a file as values: sixty-four bytes at a time, against readers that look at each.
//!
//! The first three bytes say which columns there are and how the file is cut; the others are its
//! rows, perhaps several times over, below a canonical header, or now and then the whole file.
//! Whatever they are, these must agree: the way straight to values, the way through canonical
//! bytes, both in pieces of any size, the careful way alone, a plain CSV reader of the canonical
//! bytes, and, where there is no quote, the rules of ingestion written down once more. How to run
//! it: see `fuzz/README.md`. Not for duplicates, files that are refused, or threads: see the tests
//! `partition` and `reading`.

#![no_main]

use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mlops_core::config::Ingestion;
use mlops_core::csv::reader::{Fault, Reading, RowReader};
use mlops_core::table::date::{self, read};
use mlops_core::table::schema::{SchemaFields, Role, Schema};
use mlops_core::table::{Table, TextColumn};
use tempfile::NamedTempFile;

/// Longer ones find nothing more.
const MOST_BYTES: usize = 1 << 12;
/// With a spelling of a missing value that is a number there is no fast way.
const NUMBER_THAT_IS_MISSING: &str = "-8.25e-77";

static SCRATCH: LazyLock<NamedTempFile> =
    LazyLock::new(|| NamedTempFile::new().expect("a scratch file"));

/// A row as a reader hands it over; numbers as their bits.
#[derive(Debug, Clone, PartialEq, Default)]
struct Row {
    ids: Vec<String>,
    numbers: Vec<u64>,
    categories: Vec<String>,
    positive: bool,
}

/// All that a reader says: what it read, rows and their hashes; or why it reads nothing.
type Said = Result<(Reading, Vec<Row>, Vec<u128>), String>;

fuzz_target!(|input: &[u8]| {
    let Some(([columns, cut, times], rows)) = input.split_first_chunk() else { return };
    let schema = schema(columns % 4);
    let options = Ingestion {
        // A quote may look for its end so far, again for every piece that is read.
        max_line_bytes: if columns / 4 % 4 == 1 { 24 } else { 400 },
        ..Ingestion::default()
    };
    let whole_file = columns / 16 % 8 == 7;
    let mut file = if whole_file { Vec::new() } else { schema.header() };
    // Mostly few, so that an input is soon through; then more than are read at a time.
    file.extend(rows.repeat(if *times < 240 { 1 + usize::from(times % 4) } else { 300 }));
    file.truncate(MOST_BYTES);
    check(&schema, &options, &file, 1 + usize::from(*cut), whole_file);
});

fn schema(kind: u8) -> Schema {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let of = |id: &[&str], numbers: &[&str], categories: &[&str], positive, negative| {
        Schema::new(SchemaFields { id: &names(id), numeric: &names(numbers), categorical: &names(categories), target: "t", positive_label: positive, negative_label: negative, ..SchemaFields::default() })
    };
    match kind {
        0 => of(&["id"], &["x", "y"], &["g"], "1", Some("0")),
        1 => of(&[], &["x"], &[], "yes", None),
        2 => of(&["id", "name"], &["x"], &["g", "h"], "left", Some("stayed")),
        _ => of(&[], &["a", "b", "c", "d", "e", "f", "h", "i", "j"], &[], "1", None),
    }
}

fn check(schema: &Schema, options: &Ingestion, file: &[u8], cut: usize, whole_file: bool) {
    let path = write(file);
    let reader = RowReader::labelled(schema, options).keyed(7).with_ids().without_digest();
    let said = values(&reader, path);
    assert_eq!(values(&reader.with_chunk_bytes(cut), path), said, "pieces of {cut}");
    let (streamed, faults) = stream(&reader, file, path, 1 << 18);
    assert_eq!(streamed, said, "through canonical bytes");
    assert_eq!(stream(&reader, file, path, cut), (streamed, faults.clone()), "pieces of {cut}");
    let unusual = NUMBER_THAT_IS_MISSING.as_bytes();
    if !file.windows(unusual.len()).any(|bytes| bytes == unusual) {
        let mut slow = options.clone();
        slow.missing_values.push(NUMBER_THAT_IS_MISSING.to_owned());
        let slow = RowReader::labelled(schema, &slow).keyed(7).with_ids().without_digest();
        assert_eq!(values(&slow, path), said, "the careful way");
    }
    let Ok((_, rows, _)) = said else { return };
    assert_eq!(by_csv(&canonical(&reader, schema, path), schema), rows, "by a CSV reader");
    if !whole_file && !file.contains(&b'"') {
        let faults: Vec<_> = faults.iter().map(|fault| (fault.row, fault.line)).collect();
        assert_eq!(plainly(schema, options, &file[schema.header().len()..]), (rows, faults));
    }
}

fn write(bytes: &[u8]) -> &'static Path {
    let mut file = SCRATCH.as_file();
    file.set_len(0).and_then(|()| file.rewind()).expect("a scratch file");
    file.write_all(bytes).expect("room on the disk");
    SCRATCH.path()
}

fn push(table: &Table, rows: &mut Vec<Row>) {
    let texts = |columns: &[TextColumn], i| columns.iter().map(|c| c.get(i).to_owned()).collect();
    rows.extend((0..table.len()).map(|i| Row {
        ids: texts(&table.ids, i),
        numbers: table.numeric.iter().map(|column| column[i].to_bits()).collect(),
        categories: texts(&table.categorical, i),
        positive: table.labels[i],
    }));
}

fn values(reader: &RowReader, path: &Path) -> Said {
    let (mut rows, mut hashes) = (Vec::new(), Vec::new());
    let reading = reader.read(path, |table| {
        push(table, &mut rows);
        hashes.extend(&table.hashes);
        Ok(())
    });
    Ok((reading.map_err(|e| e.to_string())?, rows, hashes))
}

fn stream(reader: &RowReader, bytes: &[u8], place: &Path, cut: usize) -> (Said, Vec<Fault>) {
    let (mut rows, mut hashes, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let reading = reader.stream(bytes, place, cut, |table, first, found| {
        assert_eq!(first, (rows.len() + faults.len()) as u64);
        push(table, &mut rows);
        hashes.extend(&table.hashes);
        faults.extend(found);
        Ok(())
    });
    (reading.map(|reading| (reading, rows, hashes)).map_err(|e| e.to_string()), faults)
}

/// The rows as ingestion would write them, with their header.
fn canonical(reader: &RowReader, schema: &Schema, path: &Path) -> Vec<u8> {
    let mut bytes = schema.header();
    let read = reader.rows(path, |row| {
        bytes.extend_from_slice(row);
        Ok(())
    });
    read.expect("a file that was just read");
    bytes
}

fn by_csv(canonical: &[u8], schema: &Schema) -> Vec<Row> {
    let mut plain = csv::Reader::from_reader(canonical);
    let rows = plain.records().map(|record| {
        let mut row = Row::default();
        for (column, cell) in schema.columns().iter().zip(&record.expect("a canonical row")) {
            match column.role {
                Role::Id => row.ids.push(cell.to_owned()),
                Role::Numeric => row.numbers.push(cell.parse().unwrap_or(f64::NAN).to_bits()),
                Role::Date => row.numbers.push(date::canonical(cell.as_bytes()).expect("a date").to_bits()),
                Role::Categorical => row.categories.push(cell.to_owned()),
                Role::Target => row.positive = cell == schema.positive_label(),
            }
        }
        row
    });
    rows.collect()
}

/// Rows, then number and line of each record that is none; there are no quotes.
fn plainly(schema: &Schema, options: &Ingestion, bytes: &[u8]) -> (Vec<Row>, Vec<(u64, u64)>) {
    let mut negative = schema.negative_label().map(str::to_owned);
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for (line, record) in (2..).zip(lines(bytes)) {
        if record.iter().all(|byte| b" \t\r\n".contains(byte)) {
            continue;
        }
        let fits = record.len() <= options.max_line_bytes;
        let text = std::str::from_utf8(record.trim_ascii_end()).ok();
        let row = text.filter(|_| fits).and_then(|text| row(schema, options, text, &mut negative));
        match row {
            Some(row) => rows.push(row),
            None => faults.push(((rows.len() + faults.len()) as u64, line)),
        }
    }
    (rows, faults)
}

/// Lines with their ends: LF, CR LF or CR.
fn lines(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| b"\r\n".contains(byte)).unwrap_or(bytes.len());
        let both = bytes[end..].starts_with(b"\r\n");
        let (line, rest) = bytes.split_at((end + 1 + usize::from(both)).min(bytes.len()));
        lines.push(line);
        bytes = rest;
    }
    lines
}

fn row(
    schema: &Schema,
    options: &Ingestion,
    text: &str,
    negative: &mut Option<String>,
) -> Option<Row> {
    let cells: Vec<&str> = text.split(',').map(trim).collect();
    if cells.len() != schema.width() {
        return None;
    }
    let mut row = Row::default();
    for (column, cell) in schema.columns().iter().zip(cells) {
        let missing = cell.is_empty() || options.missing_values.iter().any(|m| m == cell);
        match column.role {
            Role::Id => row.ids.push(cell.to_owned()),
            Role::Categorical => row.categories.push(if missing { "" } else { cell }.to_owned()),
            Role::Numeric | Role::Date if missing => row.numbers.push(f64::NAN.to_bits()),
            Role::Numeric => row.numbers.push(number(cell)?.to_bits()),
            Role::Date => row.numbers.push(read(cell, None)?.to_bits()),
            Role::Target if cell.is_empty() => return None,
            Role::Target if same(cell, schema.positive_label()) => row.positive = true,
            Role::Target if missing && !negative.as_ref().is_some_and(|n| same(cell, n)) => {
                return None;
            }
            Role::Target if same(cell, negative.get_or_insert_with(|| cell.to_owned())) => {}
            Role::Target => return None,
        }
    }
    Some(row)
}

/// Without blanks and characters that nobody sees.
fn trim(cell: &str) -> &str {
    let invisible = |c| {
        matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    cell.trim_matches(|c: char| c.is_whitespace() || invisible(c))
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase() || (typed(a).is_some() && typed(a) == typed(b))
}

fn number(text: &str) -> Option<f64> {
    typed(text).map(|(whole, bits)| whole.map_or(f64::from_bits(bits), |whole| whole as f64))
}

/// A number is whole and exact, or the bits of a double.
fn typed(text: &str) -> Option<(Option<i128>, u64)> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
        return None;
    }
    if let Some(whole) = whole(text) {
        return Some((Some(whole), 0));
    }
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    let range = -2.0_f64.powi(63)..2.0_f64.powi(64);
    #[expect(clippy::cast_possible_truncation, reason = "it is whole")]
    let typed = match value.fract() == 0.0 && range.contains(&value) {
        true => (Some(value as i128), 0),
        false => (None, value.to_bits()),
    };
    Some(typed)
}

/// The whole number of 64 bits that `text` spells, by moving its decimal point by hand.
fn whole(text: &str) -> Option<i128> {
    text.parse::<f64>().ok()?;
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (mut digits, mut fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole.to_owned(), fraction.to_owned()),
        None => (mantissa.to_owned(), String::new()),
    };
    let exponent: i64 = exponent.parse().ok().filter(|e: &i64| e.abs() < 400)?;
    for _ in 0..exponent {
        digits.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
    }
    for _ in exponent..0 {
        match digits.pop().filter(char::is_ascii_digit) {
            Some(digit) => fraction.insert(0, digit),
            None => return None,
        }
    }
    if !fraction.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let whole = digits.parse::<i128>().ok()?;
    (u64::try_from(whole).is_ok() || i64::try_from(whole).is_ok()).then_some(whole)
}
