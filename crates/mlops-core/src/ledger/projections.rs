//! Text files for people, written from the ledger after each commit.
//!
//! They may be deleted: the next run writes them again. Not for programs: they read the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{FileStatus, Ledger};
use crate::Result;
use crate::ids::DatasetVersion;
use crate::platform::disk::Disk;
use crate::release::pretty;

/// Files whose rows are in the data set, one name per line.
pub const INGESTED_FILES: &str = "ingestedfiles.txt";
/// Files of the current test data, one name per line.
pub const TEST_FILES: &str = "test_files.txt";
/// Data sets that models were trained on, one per line, newest last.
pub const TRAIN_DATA_VERSION: &str = "train_data_version.txt";
/// Versions of the test data, one per line, newest last.
pub const TEST_DATA_VERSIONS: &str = "test_data_versions.txt";

/// The folder of decisions, one JSON file per run.
pub const DECISIONS: &str = "decisions";

/// Only the newest decisions are kept up to date, so that no run has to write 50,000 files.
const DECISION_FILES: u32 = 50;

/// Writes all text files that changed to `folder`.
pub fn write(ledger: &Ledger, disk: &Disk, folder: &Path) -> Result<()> {
    let write = |name: &str, text: String| -> Result<()> {
        // Records never vanish, so that an existing file of that name is not ours.
        if text.is_empty() {
            return Ok(());
        }
        disk.write_if_changed(&folder.join(name), text.as_bytes())
    };
    write(INGESTED_FILES, ingested_files(ledger)?)?;
    let tests = ledger.test_sets()?;
    let current = tests.last().map(|set| &set.files[..]).unwrap_or_default();
    write(TEST_FILES, lines(current.iter().map(|(name, _)| name.clone())))?;
    let versions = tests.iter().map(|set| {
        let names: Vec<&str> = set.files.iter().map(|(name, _)| name.as_str()).collect();
        names.join(" ")
    });
    write(TEST_DATA_VERSIONS, lines(versions))?;
    let mut trained: Vec<String> = Vec::new();
    let datasets: BTreeMap<DatasetVersion, String> =
        ledger.datasets()?.iter().map(|dataset| (dataset.version, dataset.name())).collect();
    for model in ledger.models()? {
        let version = model.dataset;
        let name = datasets.get(&version).cloned().unwrap_or_else(|| version.file_name());
        if trained.last() != Some(&name) {
            trained.push(name);
        }
    }
    write(TRAIN_DATA_VERSION, lines(trained))?;
    for decision in ledger.recent_decisions(DECISION_FILES)? {
        let path = folder.join(DECISIONS).join(format!("{}.json", decision.run_id));
        if !path.is_file() {
            let value: serde_json::Value = serde_json::from_str(&decision.decision)
                .map_err(|e| ledger.damaged(&format!("the decision of {}", decision.run_id), &e))?;
            disk.write(&path, &pretty(&value)?)?;
        }
    }
    Ok(())
}

/// The key under which the ledger keeps an adopted `ingestedfiles.txt`.
pub(crate) const ADOPTED_KEY: &str = "adopted_ingestedfiles";

/// The text of `ingestedfiles.txt`: names in the order of ingestion, after an adopted list, which
/// is kept as it was.
pub fn ingested_files(ledger: &Ledger) -> Result<String> {
    let adopted = ledger.meta(ADOPTED_KEY)?;
    let files = ledger.names_of_files()?;
    let listed = adopted.is_some();
    let mut text = adopted.unwrap_or_default();
    let mut seen = names_in(&text);
    let names = files
        .into_iter()
        .filter(|(_, status)| *status == FileStatus::Ingested || (status.is_in() && !listed))
        .map(|(name, _)| name)
        .filter(|name| seen.insert(name.clone()));
    let more = lines(names);
    if !more.is_empty() && !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text + &more)
}

/// The names of CSV files in a list written by scripts: one per line, or a Python list, with or
/// without folders.
pub(crate) fn names_in(text: &str) -> BTreeSet<String> {
    let marks = ['[', ']', '(', ')', ',', '\'', '"', '\t'];
    let tokens = text.lines().chain(text.split(|c| c == '\n' || marks.contains(&c)));
    tokens
        .map(|token| token.rsplit(['/', '\\']).next().unwrap_or_default().trim())
        .filter(|name| Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")))
        .map(str::to_owned)
        .collect()
}

fn lines(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().map(|name| name + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_lists_of_any_kind() {
        let names = |text: &str| names_in(text).into_iter().collect::<Vec<_>>();
        assert_eq!(names("b.csv\r\na.CSV\n\nnotes.txt\n"), ["a.CSV", "b.csv"]);
        assert_eq!(names("['in/a.csv', \"in\\b.csv\"]"), ["a.csv", "b.csv"]);
        assert_eq!(names("in\ta.csv\t17\t2021-05-01"), ["a.csv"]);
        assert!(names("").is_empty());
    }
}
