//! Makes the other parts of an `mlops` package: manual pages and completions, the bill of materials and the
//! licences of the crates that are built in.
//!
//! It is a program of its own, so that none of the ten contains the generators; `packaging/tree.sh` and `packaging/dist.sh` call
//! it. Not for the archive and the folders of an installation: those are theirs.

mod bill;
mod licences;
mod pages;
mod programs;

use std::error::Error;
use std::fs;
use std::path::Path;

const USAGE: &str = "usage: mlops-package pages FOLDER DAY | bill FOLDER TARGET TIME MESSAGES";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        // DAY as 2026-11-30, which is in the foot of each page.
        ["pages", folder, day] => Ok(pages::write(Path::new(folder), &programs::all(), day)?),
        // TIME in RFC 3339; MESSAGES is a file of what `cargo build --message-format json` says of the build.
        ["bill", folder, target, time, messages] => {
            let crates = bill::crates(target)?;
            bill::compare(&crates, &fs::read_to_string(messages)?, target)?;
            keep(Path::new(folder), "sbom.cdx.json", &bill::document(&crates, target, time))?;
            Ok(keep(Path::new(folder), "LICENSES.txt", &licences::texts(&crates)?)?)
        }
        _ => Err(USAGE.into()),
    }
}

/// Writes a file whose loss costs a second call.
fn keep(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "it is made again, never read as a record")]
    fs::write(folder.join(name), text)
}
