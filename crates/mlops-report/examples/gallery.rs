//! Draws everything from made-up numbers into a folder, for looking at.
//!
//! `cargo run -p mlops-report --example gallery -- some/folder`. Not for real reports.
#![allow(clippy::disallowed_methods, reason = "a half-written picture of made-up numbers is fine")]

use std::error::Error;
use std::path::PathBuf;

#[path = "../tests/common/mod.rs"]
mod common;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder")?);
    for (name, report) in [
        ("good", common::plausible()),
        ("hostile", common::hostile()),
        ("empty", mlops_report::Report::default()),
    ] {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        for picture in mlops_report::pictures(&report)? {
            std::fs::write(folder.join(format!("{}.svg", picture.name)), &picture.svg)?;
            std::fs::write(folder.join(format!("{}.png", picture.name)), &picture.png)?;
        }
        std::fs::write(folder.join("report.html"), mlops_report::render(&report)?)?;
    }
    Ok(())
}
