//! The texts of the licences of all crates that are built in, each text once with the crates it belongs to. Not for
//! whether they are allowed: see `deny.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use crate::bill::Crate;

/// How the files of licences begin.
const NAMES: [&str; 6] = ["licen", "copying", "copyright", "notice", "unlicense", "ofl"];

/// What is built in besides crates.
const OTHERS: &str = "\
The standard library of Rust: MIT OR Apache-2.0, The Rust Project Developers. The texts of both are below; those of
its parts are in COPYRIGHT-library.html of the compiler's documentation.
The C library musl, in builds for *-linux-musl: MIT, Copyright 2005-2020 Rich Felker, et al.
";

/// One text of all.
pub(crate) fn texts(crates: &[Crate]) -> io::Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut without = Vec::new();
    for one in crates.iter().filter(|one| !one.is_ours()) {
        let name = format!("{} {}", one.name, one.version);
        let mut found = false;
        let mut files: Vec<_> = fs::read_dir(&one.folder)?.collect::<io::Result<_>>()?;
        files.sort_by_key(fs::DirEntry::file_name);
        for file in files {
            let lower = file.file_name().to_string_lossy().to_lowercase();
            if !file.file_type()?.is_file() || !NAMES.iter().any(|start| lower.starts_with(start)) {
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(file.path())?).replace("\r\n", "\n");
            texts.entry(text.trim().to_owned()).or_default().push(name.clone());
            found = true;
        }
        if !found {
            let licence = one.licence.as_deref().unwrap_or("not named");
            without.push(format!("{name}: {licence}"));
        }
    }
    let mut out =
        vec![format!("The licences of what is built into mlops.\n\n{OTHERS}\nThe crates:\n\n")];
    for one in crates {
        let licence = one.licence.as_deref().unwrap_or("not named");
        out.push(format!("  {} {}: {licence}\n", one.name, one.version));
    }
    if !without.is_empty() {
        out.push("\nThese name their licence without its text:\n\n".to_owned());
        for line in without {
            out.push(format!("  {line}\n"));
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
    for (text, mut names) in texts {
        names.dedup();
        out.push(format!("\n{}\n{}\n\n{text}\n", "=".repeat(78), names.join(", ")));
    }
    Ok(out.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_of_others_is_under_a_text_or_said_to_have_none() {
        let crates = crate::bill::crates("x86_64-unknown-linux-gnu").unwrap();
        let all = texts(&crates).unwrap();
        for words in ["Permission is hereby granted", "Apache License", "Rich Felker"] {
            assert!(all.contains(words), "{words}");
        }
        let (list, under) = all.split_once("The crates:").unwrap().1.split_once("\n\n").unwrap();
        assert!(list.trim().is_empty());
        let (list, under) = under.split_once("\n\n").unwrap();
        assert_eq!(list.lines().count(), crates.len());
        for one in crates.iter().filter(|one| !one.is_ours()) {
            assert!(under.contains(&format!("{} {}", one.name, one.version)), "{}", one.name);
        }
    }
}
