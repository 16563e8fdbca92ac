//! Draws everything from made-up numbers into a folder, for looking at.
//!
//! `MLOPS_GALLERY=folder cargo test -p mlops-report --test gallery -- --ignored`. Not for real reports.

#![expect(clippy::disallowed_methods, reason = "a half-written picture of made-up numbers is fine")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::fs;
use std::path::PathBuf;

#[test]
#[ignore = "draws for people: MLOPS_GALLERY=folder"]
fn everything_is_drawn() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = std::env::var("MLOPS_GALLERY").map_or(scratch.path().to_owned(), PathBuf::from);
    for (name, report) in [
        ("good", common::plausible()),
        ("scorecard", common::with_scorecard()),
        ("hostile", common::hostile()),
        ("empty", mlops_report::Report::default()),
    ] {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        for picture in mlops_report::pictures(&report).unwrap() {
            fs::write(folder.join(format!("{}.svg", picture.name)), &picture.svg).unwrap();
            fs::write(folder.join(format!("{}.png", picture.name)), &picture.png).unwrap();
        }
        fs::write(folder.join("report.html"), mlops_report::render(&report).unwrap()).unwrap();
        fs::write(folder.join("report.pdf"), mlops_report::pdf::render(&report).unwrap()).unwrap();
    }
}
