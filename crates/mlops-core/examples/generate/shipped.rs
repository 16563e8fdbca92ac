//! The five shipped files: learnable, drifted, and as untidy as real ones.
//!
//! Each has duplicates (some spelt differently), missing cells (empty, `NA`, `null`), other
//! spellings (quotes, blanks, leading zeros, `"1,234"`, `12.0`) and under 1 % of bad rows. On top,
//! `dataset2.csv` ends its lines with CR LF, `dataset3.csv` begins with a byte order mark, and the
//! last line of `dataset4.csv` has no end. The test file shares no row with the others.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use crate::random::{Population, Random};

const HEADER: &str = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited";

const PRACTICE: Population = Population {
    medians: [90.0, 900.0, 30.0],
    spreads: [0.9, 0.8, 0.9],
    intercept: 2.8,
    weights: [-0.022, -0.0016, 0.022],
};

const SOURCE: Population = Population {
    medians: [180.0, 700.0, 60.0],
    spreads: [0.9, 0.8, 0.9],
    intercept: 0.4,
    weights: [0.012, -0.0048, 0.010],
};

const MISSING: f64 = 0.015;
const MISSPELT: f64 = 0.02;
const REPEATED: f64 = 0.05;
const REPEATED_FROM_ELSEWHERE: f64 = 0.06;

/// One true row, before anybody spelt it.
#[derive(Clone)]
struct Row {
    corporation: String,
    features: [Option<u64>; 3],
    exited: bool,
}

struct File {
    path: &'static str,
    population: &'static Population,
    rows: usize,
    /// Index of the file that some rows are repeated from.
    repeats: Option<usize>,
    /// Share of corporations already known from the first two files.
    known: f64,
    start: &'static str,
    line_end: &'static str,
    last_line_end: bool,
}

const FILES: [File; 5] = [
    File {
        path: "practicedata/dataset1.csv",
        population: &PRACTICE,
        rows: 1_400,
        repeats: None,
        known: 0.0,
        start: "",
        line_end: "\n",
        last_line_end: true,
    },
    File {
        path: "practicedata/dataset2.csv",
        population: &PRACTICE,
        rows: 1_300,
        repeats: Some(0),
        known: 0.0,
        start: "",
        line_end: "\r\n",
        last_line_end: true,
    },
    File {
        path: "sourcedata/dataset3.csv",
        population: &SOURCE,
        rows: 2_400,
        repeats: None,
        known: 0.4,
        start: "\u{feff}",
        line_end: "\n",
        last_line_end: true,
    },
    File {
        path: "sourcedata/dataset4.csv",
        population: &SOURCE,
        rows: 2_200,
        repeats: Some(2),
        known: 0.4,
        start: "",
        line_end: "\n",
        last_line_end: false,
    },
    File {
        path: "testdata/testdata.csv",
        population: &PRACTICE,
        rows: 1_100,
        repeats: None,
        known: 0.0,
        start: "",
        line_end: "\n",
        last_line_end: true,
    },
];

/// Writes the five files below `dir`.
pub(crate) fn write(dir: &Path) -> io::Result<()> {
    let mut random = Random(2_026);
    let mut names = HashSet::new();
    let mut written: Vec<Vec<Row>> = Vec::new();
    for file in &FILES {
        let mut rows: Vec<Row> = Vec::new();
        let mut text = format!("{}{HEADER}{}", file.start, file.line_end).into_bytes();
        for at in 0..file.rows {
            // Bad rows take the place of a good one, far from each other.
            let kind = at / 150;
            if at % 150 == 100 && kind <= 6 {
                text.extend(bad_row(kind, &mut random));
            } else {
                let known = if written.len() >= 2 { &written[..2] } else { &[] };
                let elsewhere = file.repeats.map(|index| &written[index]);
                let (row, misspelt) = if !rows.is_empty() && random.chance(REPEATED) {
                    (rows[random.below(rows.len())].clone(), 0.1)
                } else if let Some(other) = elsewhere
                    && random.chance(REPEATED_FROM_ELSEWHERE)
                {
                    (other[random.below(other.len())].clone(), 0.1)
                } else {
                    (new_row(file, known, &mut names, &mut random), MISSPELT)
                };
                text.extend(spelt(&row, misspelt, &mut random).into_bytes());
                rows.push(row);
            }
            text.extend(file.line_end.bytes());
        }
        if !file.last_line_end {
            text.truncate(text.len() - file.line_end.len());
        }
        let path = dir.join(file.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)?;
        written.push(rows);
    }
    Ok(())
}

fn new_row(
    file: &File,
    known: &[Vec<Row>],
    names: &mut HashSet<String>,
    random: &mut Random,
) -> Row {
    let corporation = if !known.is_empty() && random.chance(file.known) {
        let rows = &known[random.below(known.len())];
        rows[random.below(rows.len())].corporation.clone()
    } else {
        loop {
            let name = name(random);
            if names.insert(name.to_lowercase()) {
                break name;
            }
        }
    };
    let (features, exited) = file.population.draw(random);
    let features = features.map(|value| (!random.chance(MISSING)).then_some(value));
    Row { corporation, features, exited }
}

/// A made-up name of five to ten letters, a few with a second word.
fn name(random: &mut Random) -> String {
    const ONSETS: [&str; 19] = [
        "b", "br", "d", "g", "h", "k", "kl", "l", "m", "n", "p", "qu", "r", "t", "tr", "v", "w",
        "x", "z",
    ];
    const VOWELS: [&str; 9] = ["a", "e", "i", "o", "u", "ae", "ei", "oa", "y"];
    const CODAS: [&str; 8] = ["", "", "n", "l", "r", "sk", "m", "th"];
    const SECOND: [&str; 6] = [", Ltd", ", Inc", " Works", " Mill", " & Sons", " Group"];
    let mut name = String::new();
    // Short names would too often be those of real companies.
    for syllable in 0.. {
        if syllable >= 2 && name.len() >= 5 {
            break;
        }
        name += random.pick(&ONSETS);
        name += random.pick(&VOWELS);
    }
    name += random.pick(&CODAS);
    name.truncate(10);
    if random.chance(0.06) {
        name[..1].make_ascii_uppercase();
        name += random.pick(&SECOND);
    }
    name
}

/// The row as somebody typed it; each cell is spelt in another way with the chance `misspelt`.
fn spelt(row: &Row, misspelt: f64, random: &mut Random) -> String {
    let mut cells = vec![text_cell(&row.corporation, random.chance(misspelt), random)];
    for feature in row.features {
        cells.push(match feature {
            None => random.pick(&["", "", "NA", "null"]).to_owned(),
            Some(value) if random.chance(misspelt) => number_cell(value, random),
            Some(value) => value.to_string(),
        });
    }
    let label = if row.exited { "1" } else { "0" };
    cells.push(text_cell(label, random.chance(misspelt), random));
    cells.join(",")
}

/// A text in quotes or with blanks around it; with a comma always in quotes.
fn text_cell(text: &str, misspelt: bool, random: &mut Random) -> String {
    match (text.contains(','), misspelt) {
        (false, false) => text.to_owned(),
        (true, _) => format!("\"{text}\""),
        (false, true) => match random.below(3) {
            0 => format!("\"{text}\""),
            1 => format!(" {text}"),
            _ => format!("{text}  "),
        },
    }
}

/// A whole number in one of the ways that spreadsheets and people write it.
fn number_cell(value: u64, random: &mut Random) -> String {
    match random.below(6) {
        0 => format!("\"{value}\""),
        1 => format!("  {value}"),
        2 => format!("{value} "),
        3 => format!("00{value}"),
        4 if value >= 1_000 => format!("\"{},{:03}\"", value / 1_000, value % 1_000),
        _ => format!("{value}.0"),
    }
}

/// A row that cannot be used, of one of seven kinds.
fn bad_row(kind: usize, random: &mut Random) -> Vec<u8> {
    let name = name(random).replace(',', "");
    let (a, b, c) = (random.below(300), random.below(3_000), 1 + random.below(90));
    match kind {
        0 => format!("{name},{a},{b},0").into_bytes(),
        1 => format!("{name},{a},many,{c},1").into_bytes(),
        2 => format!("{name},{a},{b},{c},maybe").into_bytes(),
        3 => format!("{name},{a},{b},{c},").into_bytes(),
        4 => {
            let mut row = name.into_bytes();
            row.extend([0xC3, 0x28]);
            row.extend(format!(",{a},{b},{c},0").into_bytes());
            row
        }
        5 => format!("{name},{a},{b},{c},1,unasked").into_bytes(),
        _ => format!("{name},{a},{b},about {c},0").into_bytes(),
    }
}
