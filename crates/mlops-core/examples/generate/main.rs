//! Fabricates the data that ship with the toolset, and big data to measure it with.
//!
//! ```text
//! cargo run --release --example generate -- shipped DIR
//! cargo run --release --example generate -- large DIR ROWS
//!     [--messy 0.01] [--extra-columns 0] [--files 4] [--seed 42]
//! ```
//!
//! `shipped` writes `practicedata/dataset1.csv`, `practicedata/dataset2.csv`,
//! `sourcedata/dataset3.csv`, `sourcedata/dataset4.csv` and `testdata/testdata.csv` below DIR: see
//! [`shipped`] for what is in them. `large` writes `dataset1.csv` and so on into DIR: see [`large`].
//! The same arguments give the same bytes. Every corporation is made up.
//!
//! # The model behind the shipped data
//! Activities and employees are log-normal integers; the chance to have exited is logistic in the
//! plain numbers, so logistic regression can learn it (see [`random::Population`]):
//!
//! | | practice and test | source |
//! |---|---|---|
//! | `lastmonth_activity` (median, weight) | 90, -0.022 | 180, +0.012 |
//! | `lastyear_activity` | 900, -0.0016 | 700, -0.0048 |
//! | `number_of_employees` | 30, +0.022 | 60, +0.010 |
//! | intercept | 2.8 | 0.4 |
//!
//! The source files have drifted: a busy last month used to mean that a corporation stays, and now
//! means that it leaves. A model of the practice files fails on them, one fitted to all files does
//! not.

#![expect(clippy::disallowed_methods, reason = "an example is not the product: it may make files")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small positive numbers only"
)]

mod large;
mod random;
mod shipped;

use std::error::Error;
use std::path::Path;

const USAGE: &str = "usage: generate shipped DIR
       generate large DIR ROWS [--messy SHARE] [--extra-columns K] [--files N] [--seed S]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["shipped", dir] => shipped::write(Path::new(dir))?,
        ["large", dir, rows, options @ ..] => {
            large::write(Path::new(dir), &large_options(rows, options)?)?;
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn large_options(rows: &str, words: &[&str]) -> Result<large::Options, Box<dyn Error>> {
    let mut options = large::Options { rows: rows.parse::<f64>()? as u64, ..Default::default() };
    for pair in words.chunks(2) {
        match *pair {
            ["--messy", share] => options.messy = share.parse()?,
            ["--extra-columns", columns] => options.extra_columns = columns.parse()?,
            ["--files", files] => options.files = files.parse()?,
            ["--seed", seed] => options.seed = seed.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(options)
}
