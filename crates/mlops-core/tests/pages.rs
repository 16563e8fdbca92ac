//! The pages for people: their links lead somewhere, every page of `docs/` is in its index, and the
//! README can be read in ten minutes. Not for whether their commands work: `.ci/readme-commands`
//! runs them.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The Markdown files of `folder`, not of those below it.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
    pages.sort();
    pages
}

fn all() -> Vec<PathBuf> {
    let root = root();
    [pages(&root), pages(&root.join("docs")), pages(&root.join("fuzz"))].concat()
}

/// `text` without its code: fenced blocks and spans between back-ticks.
fn prose(text: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            kept.extend(line.split('`').step_by(2));
            kept.push('\n');
        }
    }
    kept
}

/// Targets of `[text](target)`, `![text](target)` and `src="target"`.
fn links(text: &str) -> Vec<String> {
    let starts = [("](", ')'), ("src=\"", '"')];
    let found = starts.iter().flat_map(|(start, end)| {
        text.match_indices(start).map(|(at, _)| {
            text[at + start.len()..].split(*end).next().unwrap_or_default().to_owned()
        })
    });
    found.collect()
}

/// The anchor that a heading gets: lower case, hyphens for blanks, without punctuation.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in all() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&prose(&text)) {
            if link.contains("://") {
                continue;
            }
            let (path, place) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            let known = match fs::read_to_string(&target) {
                _ if place.is_empty() => target.try_exists().unwrap_or(false),
                Ok(text) => text.lines().filter(|l| l.starts_with('#')).any(|l| anchor(l) == place),
                Err(_) => false,
            };
            if !known {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these links lead nowhere: {wrong:#?}");
}

#[test]
fn every_page_is_in_the_index() {
    let docs = root().join("docs");
    let index = links(&fs::read_to_string(docs.join("README.md")).unwrap());
    for page in pages(&docs) {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            name == "README.md" || index.contains(&name),
            "docs/README.md does not list {name}"
        );
    }
}

#[test]
fn the_readme_is_read_in_ten_minutes() {
    let words = fs::read_to_string(root().join("README.md")).unwrap().split_whitespace().count();
    assert!(words <= 1_800, "README.md has {words} words: move what is long to docs/");
}

#[test]
fn a_picture_is_small() {
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let entry = entry.unwrap();
        let bytes = entry.metadata().unwrap().len();
        assert!(bytes < 250_000, "{} has {bytes} bytes", entry.path().display());
    }
}
