//! Random files: settings, well-formed rows in many spellings, and mutations of their bytes.

use mlops_core::config::{Ingestion, NumberFormat};
use mlops_core::table::schema::{Role, Schema, SchemaFields};
use mlops_testkit::Random;

const IDS: &[&str] = &[
    "a",
    "b1",
    " c ",
    "\"d, e\"",
    "\"say \"\"hi\"\" x\"",
    "\"two\nlines\"",
    "ü",
    "007",
    "NA",
    "",
    "\u{a0}x",
    "5\" pipe",
    "\"q\" ",
    "a b",
    "\"\"",
    "\"crlf\r\nin\"",
    "\"cr\rin\"",
    "\u{feff}z\u{200b}",
];
const NUMBERS: &[&str] = &[
    "1",
    "2",
    "007",
    "\"1,234\"",
    "-5",
    "1.0",
    "2.50",
    "1e3",
    ".5",
    "NA",
    "",
    " 12 ",
    "\"3\"",
    "-0",
    "0.0001",
    "0.00001",
    "123456789.5",
    "-9",
    "+5",
    "1e300",
    "12345678901234567890",
    "\"-1,234,567.50\"",
    "9007199254740993",
    "9007199254740993.0",
    "9.007199254740993e15",
    "18446744073709551615",
    "1e19",
    "?",
    "#N/A",
    "0.1",
    "00.5",
    "None",
];
const NO_NUMBERS: &[&str] = &["x", "\"1,2,3\"", "--1", "inf", "1e999", "0x10", "5%", "+-5"];
/// Not in files with a decimal comma.
const DECIMAL_COMMAS: &[&str] = &["\"0,125\"", "\"-00,123\"", "\"1,23\"", "\"1.234,56\""];
const GROUPS: &[&str] = &["red", "Red", " blue", "\"green\"", "NA", "", "\"a,b\"", "null", "é"];

/// A schema and options for one file.
pub(crate) fn setting(random: &mut Random) -> (Schema, Ingestion) {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let schema = match random.below(4) {
        0 => Schema::new(SchemaFields {
            id: &names(&["corporation"]),
            numeric: &names(&["x", "y"]),
            target: "exited",
            positive_label: "1",
            ..SchemaFields::default()
        }),
        1 => Schema::new(SchemaFields {
            id: &names(&["who"]),
            numeric: &names(&["x"]),
            categorical: &names(&["group"]),
            target: "left",
            positive_label: "yes",
            ..SchemaFields::default()
        }),
        2 => Schema::new(SchemaFields {
            numeric: &names(&["x", "the y"]),
            target: "t",
            positive_label: "a, \"b\"",
            ..SchemaFields::default()
        }),
        _ => Schema::new(SchemaFields {
            id: &names(&["id", "id, 2"]),
            categorical: &names(&["group"]),
            target: "t",
            positive_label: "Ja",
            negative_label: Some("Nein"),
            ..SchemaFields::default()
        }),
    };
    let mut options = Ingestion { max_rejected_share: 1.0, ..Ingestion::default() };
    if random.one_in(4) {
        options.missing_values.push("-9".to_owned());
    }
    if random.one_in(4) {
        options.missing_values = vec!["a".to_owned(), "1.0".to_owned(), "NA".to_owned()];
    }
    if random.one_in(4) {
        options.max_line_bytes = 64;
    }
    if random.one_in(4) {
        options.numbers = NumberFormat { decimal: ',', thousands: Some('.') };
    }
    (schema, options)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn label(random: &mut Random, schema: &Schema) -> String {
    let other = match schema.positive_label() {
        "1" => ["0", "00", "0.0", "-0"].as_slice(),
        "yes" => &["no", "No", "NO", "\"no\""],
        "Ja" => &["Nein", "NEIN", " nein", "\"Nein\""],
        _ => &["\"c, d\"", "\"C, D\"", "\" c, d\"", "\"c, d\""],
    };
    match random.below(16) {
        0 => String::new(),
        1 if random.one_in(4) => "third".to_owned(),
        1 => "NA".to_owned(),
        2..=8 => {
            let positive = schema.positive_label();
            match random.below(4) {
                0 => quoted(&positive.to_uppercase()),
                1 if positive == "1" => "1.0".to_owned(),
                2 => quoted(&format!(" {positive}")),
                _ if positive.contains(',') => quoted(positive),
                _ => positive.to_owned(),
            }
        }
        _ => random.pick(other).to_owned(),
    }
}

/// The usual line end of a file, or any.
fn line_end(random: &mut Random, usual: Option<&'static str>) -> &'static str {
    usual.unwrap_or_else(|| random.pick(&["\n", "\r\n", "\r"]))
}

/// `cell` as files with a decimal comma have it.
fn with_comma(cell: &str) -> String {
    let swap = |c| match c {
        '.' => ',',
        ',' => '.',
        c => c,
    };
    let swapped: String = cell.chars().map(swap).collect();
    if swapped.contains(',') && !swapped.contains('"') { quoted(&swapped) } else { swapped }
}

/// A file that any CSV reader understands, with bad cells and rows of the wrong width.
pub(crate) fn well_formed(random: &mut Random, schema: &Schema, options: &Ingestion) -> Vec<u8> {
    // A record that is refused ends with its line, whatever the quotes in it say: keep those that
    // may be to one line, so that a plain reader agrees.
    let lines = options.max_line_bytes > 64;
    let mut columns: Vec<(String, Option<Role>)> =
        schema.columns().iter().map(|c| (c.name.clone(), Some(c.role))).collect();
    if random.one_in(3) {
        columns.push(("extra".to_owned(), None));
    }
    if random.one_in(3) {
        let (a, b) = (random.below(columns.len()), random.below(columns.len()));
        columns.swap(a, b);
    }
    let usual = random.pick(&[Some("\n"), Some("\r\n"), Some("\r"), None]);
    let comma = options.numbers.decimal == ',';
    let mut text = String::new();
    if random.one_in(8) {
        text += "\u{feff}";
    }
    if random.one_in(8) {
        text += " \n\n";
    }
    let names: Vec<String> = columns
        .iter()
        .map(|(name, _)| match random.below(4) {
            0 => quoted(&format!(" {name} ")),
            _ if name.contains(',') => quoted(name),
            1 => format!(" {name}"),
            _ => name.clone(),
        })
        .collect();
    text += &names.join(",");
    text += line_end(random, usual);
    for _ in 0..random.below(12) {
        if random.one_in(12) {
            text += random.pick(&["", " ", "\t \t", "\r"]);
            text += line_end(random, usual);
            continue;
        }
        let mut cells: Vec<String> = columns
            .iter()
            .map(|(_, role)| match role {
                Some(Role::Id) | None => Some(random.pick(IDS))
                    .filter(|t| lines || !t.contains(['\n', '\r']))
                    .unwrap_or("l")
                    .to_owned(),
                Some(Role::Numeric) if random.one_in(16) => random.pick(NO_NUMBERS).to_owned(),
                Some(Role::Numeric) if random.one_in(128) && !comma => {
                    random.pick(DECIMAL_COMMAS).to_owned()
                }
                Some(Role::Numeric) if comma => with_comma(random.pick(NUMBERS)),
                Some(Role::Numeric) => random.pick(NUMBERS).to_owned(),
                Some(Role::Date) => "2024-03-31".to_owned(),
                Some(Role::Categorical) => random.pick(GROUPS).to_owned(),
                Some(Role::Target) => label(random, schema),
            })
            .collect();
        if random.one_in(10) && !cells.concat().contains(['\n', '\r']) {
            if random.one_in(2) {
                cells.push("more".to_owned());
            } else {
                cells.pop();
            }
        }
        let row = cells.join(",");
        let blank = row.trim().is_empty();
        if !blank {
            text += &row;
            text += line_end(random, usual);
        }
    }
    if random.one_in(3) && text.ends_with(['\n', '\r']) {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
    }
    text.into_bytes()
}

/// Damages some bytes; now and then those of the header.
pub(crate) fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    const PIECES: &[&[u8]] = &[
        b"\"",
        b"\"",
        b",",
        b"\n",
        b"\r",
        b"\r\n",
        b" ",
        b"\"\"",
        b"\xff",
        b"\xc3",
        b"\0",
        b"\t",
        b"\n\"",
        b"\",",
        b"a\"b",
        b"\xe2\x80",
        b"\xef\xbb\xbf",
        b"1",
        b"\n\n",
        b"\x0b",
        b"\x85",
    ];
    let header = bytes.iter().position(|b| b"\r\n".contains(b)).map_or(bytes.len(), |n| n + 1);
    let from = if random.one_in(8) { 0 } else { header };
    for _ in 0..=random.below(6) {
        let at = from + random.below(bytes.len() - from + 1);
        let end = (at + 1 + random.below(12)).min(bytes.len());
        match random.below(8) {
            0..=3 => drop(bytes.splice(at..at, random.pick(PIECES).iter().copied())),
            4 => drop(bytes.drain(at..end)),
            5 if at < bytes.len() => {
                let bit = random.below(8);
                bytes[at] ^= 1 << bit;
            }
            6 => {
                let copy = bytes[at..end].to_vec();
                let to = from + random.below(bytes.len() - from + 1);
                drop(bytes.splice(to..to, copy));
            }
            7 => {
                let long = vec![b"x\" ,\n"[random.below(5)]; 30 + random.below(60)];
                drop(bytes.splice(at..at, long));
            }
            _ => bytes.truncate(at.max(from)),
        }
        if bytes.len() < from {
            return;
        }
    }
}
