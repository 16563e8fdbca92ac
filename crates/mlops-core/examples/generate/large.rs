//! Big data of the same schema, to measure with: any number of rows in constant memory.
//!
//! 10 % of the rows repeat an earlier one, often of another file; 2 % of the feature cells are
//! missing; a share of all cells is spelt in another way (quotes, blanks and, in
//! features, leading zeros). There are no bad rows. The label is logistic in the features.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::random::{Random, mix};

/// What to write.
pub(crate) struct Options {
    /// Rows in all files together.
    pub(crate) rows: u64,
    /// Share of cells in another spelling.
    pub(crate) messy: f64,
    /// Numeric columns `x1`, `x2`… between the features and the label.
    pub(crate) extra_columns: usize,
    /// Files of about equal size.
    pub(crate) files: u64,
    /// Seed of everything.
    pub(crate) seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { rows: 0, messy: 0.01, extra_columns: 0, files: 4, seed: 42 }
    }
}

const REPEATED: f64 = 0.10;
const MISSING: f64 = 0.02;
const MISSING_EXTRA: f64 = 0.0005;

/// Writes `dataset1.csv`, `dataset2.csv`… into `dir`.
pub(crate) fn write(dir: &Path, options: &Options) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let files = options.files.max(1);
    let mut line = Vec::with_capacity(256);
    for file in 0..files {
        let path = dir.join(format!("dataset{}.csv", file + 1));
        let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
        write!(out, "corporation,lastmonth_activity,lastyear_activity,number_of_employees")?;
        for column in 1..=options.extra_columns {
            write!(out, ",x{column}")?;
        }
        out.write_all(b",exited\n")?;
        for row in options.rows * file / files..options.rows * (file + 1) / files {
            line.clear();
            push_row(&mut line, row, options);
            out.write_all(&line)?;
        }
        out.flush()?;
    }
    Ok(())
}

/// The row whose content a row shows: itself, or an earlier one for repeats.
fn original(mut row: u64, seed: u64) -> u64 {
    loop {
        let hash = mix(seed ^ mix(row ^ 0xD0D0));
        if row == 0 || !Random(hash).chance(REPEATED) {
            return row;
        }
        row = hash % row;
    }
}

fn push_row(line: &mut Vec<u8>, row: u64, options: &Options) {
    let mut content = Random(mix(options.seed ^ mix(original(row, options.seed))));
    // Spelling belongs to the row, not to its content, so that repeats differ in it.
    let mut spelling = Random(mix(options.seed ^ mix(row ^ 0x55AA_55AA)));
    let mut push = |line: &mut Vec<u8>, cell: &[u8], is_number: bool| {
        let kind = if spelling.chance(options.messy) { spelling.below(4) } else { 4 };
        match kind {
            0 => {
                line.push(b'"');
                line.extend_from_slice(cell);
                line.push(b'"');
            }
            1 => {
                line.push(b' ');
                line.extend_from_slice(cell);
            }
            2 => {
                line.extend_from_slice(cell);
                line.push(b' ');
            }
            3 if is_number && !cell.is_empty() => {
                line.push(b'0');
                line.extend_from_slice(cell);
            }
            _ => line.extend_from_slice(cell),
        }
    };

    let mut letters = content.next();
    let id: [u8; 8] = std::array::from_fn(|_| {
        let letter = b'a' + (letters % 26) as u8;
        letters /= 26;
        letter
    });
    push(line, &id, false);

    let last_month = content.exponential(600.0);
    let last_year = content.exponential(9_000.0) + last_month;
    let employees = content.exponential(300.0) + 1;
    let mut log_odds =
        0.4 - 0.0012 * last_month as f64 - 0.000_05 * last_year as f64 + 0.0025 * employees as f64;
    let mut digits = itoa::Buffer::new();
    let mut number = |line: &mut Vec<u8>, value: u64, missing: bool| {
        line.push(b',');
        push(line, if missing { b"" } else { digits.format(value).as_bytes() }, true);
    };
    for value in [last_month, last_year, employees] {
        let missing = content.chance(MISSING);
        number(line, value, missing);
    }
    for column in 0..options.extra_columns {
        let value = content.below(2_000) as u64;
        let weight = if column % 2 == 0 { 0.0004 } else { -0.0004 };
        log_odds += (value as f64 - 1_000.0) * weight;
        let missing = content.chance(MISSING_EXTRA);
        number(line, value, missing);
    }
    let exited = content.chance(1.0 / (1.0 + (-log_odds).exp()));
    line.push(b',');
    push(line, if exited { b"1" } else { b"0" }, false);
    line.push(b'\n');
}
