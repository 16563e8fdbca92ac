//! Checks batches against the contract of their source: all new files of a source in one run count together,
//! and either all of them are ingested or none.
//!
//! A refused batch is examined again when one of its files changes or disappears, or another one arrives.
//! Single files are checked in `dataset::agreement`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::part::Part;
use super::report::Ingested;
use super::waiting::{Waiting, refused_with, still_failing};
use crate::Result;
use crate::config::contract::{RowsContract, Severity};
use crate::config::{Config, INPUT};
use crate::dataset::agreement::row_numbers;
use crate::dataset::rule_broken::RuleBroken;
use crate::ids::FindingKind;
use crate::ledger::{FileRecord, FileStatus};
use crate::platform::digest::Digest;
use crate::platform::location::Location;
use crate::run::attention::Remark;
use crate::run::context::Workspace;
use crate::text;

/// A batch that must not be taken.
pub(super) struct Broken {
    source: String,
    identity: Digest,
    rules: Vec<RuleBroken>,
    /// Where its files are.
    files: BTreeSet<Location>,
}

/// Leaves out files that were refused with their batch, if the batch is the same now.
pub(super) fn hold_back(config: &Config, waiting: &mut Vec<Waiting>, report: &mut Ingested) {
    let mut news = BTreeSet::new();
    let mut members: BTreeMap<Digest, BTreeSet<Digest>> = BTreeMap::new();
    for file in waiting.iter() {
        match file.refused_with {
            None => {
                news.insert(source_of(config, &file.candidate.path).to_owned());
            }
            Some(batch) => {
                let content = file.before.as_ref().and_then(|before| before.sha256);
                members.entry(batch).or_default().extend(content);
            }
        }
    }
    waiting.retain(|file| {
        let (Some(batch), Some(before)) = (file.refused_with, &file.before) else { return true };
        let same = members.get(&batch).is_some_and(|members| identity(members) == batch);
        let again = !same || news.contains(source_of(config, &file.candidate.path));
        if !again {
            report.unchanged += 1;
            report.refused.push(still_failing(config, before));
        }
        again
    });
}

/// Checks what was read against the contracts. Warnings are reported and recorded; returns the batches that
/// must not be taken.
pub(super) fn judge(
    config: &Config,
    workspace: &Workspace,
    waiting: &[Waiting],
    parts: &mut [Part],
    report: &mut Ingested,
) -> Result<Vec<Broken>> {
    let mut all = Vec::new();
    for (source, contract) in config.contracts() {
        let Some(rules) = &contract.batch_rows else { continue };
        let is_here =
            |file: &FileRecord| source_of(config, &file.location.path(&config.base)) == source;
        let taken = |file: &&FileRecord| {
            file.status == FileStatus::Ingested && file.same_as.is_none() && is_here(file)
        };
        let files: Vec<&FileRecord> = report.files.iter().filter(taken).collect();
        if files.is_empty() {
            continue;
        }
        let rows = files.iter().map(|file| file.counts.rows_read).sum();
        let identity = identity(&files.iter().filter_map(|file| file.sha256).collect());
        let mut broken = row_numbers(rules, rows, typical(workspace, source, rules)?, "batches");
        for rule in &mut broken {
            rule.batch = Some(identity);
        }
        if broken.is_empty() {
            continue;
        }
        let count = files.len();
        if rules.severity == Severity::Warn {
            let words = words(source, count, &broken);
            report.warnings.push(Remark::on(FindingKind::BrokenContract, source, words));
            for (at, file) in report.files.iter_mut().enumerate() {
                if taken(&&*file) {
                    file.counts.contract.extend(broken.iter().cloned());
                    if let Some(part) = parts.iter_mut().find(|part| part.record == Some(at)) {
                        part.counts.contract.clone_from(&file.counts.contract);
                    }
                }
            }
            continue;
        }
        // A copy of one of them goes with it.
        let twins: BTreeSet<&Path> = waiting
            .iter()
            .filter(|file| file.twin.is_some())
            .map(|file| file.candidate.path.as_path())
            .collect();
        let is_twin = |file: &&FileRecord| {
            is_here(file) && twins.contains(file.location.path(&config.base).as_path())
        };
        let files = report.files.iter().filter(|file| taken(file) || is_twin(file));
        let files = files.map(|file| file.location.clone()).collect();
        all.push(Broken { source: source.to_owned(), identity, rules: broken, files });
    }
    Ok(all)
}

impl Broken {
    /// Records that its files, which were `read`, are refused, and takes them out of those that wait.
    pub(super) fn refuse(
        self,
        read: &[FileRecord],
        waiting: &mut Vec<Waiting>,
        report: &mut Ingested,
    ) {
        let Self { source, identity, rules, files } = self;
        let mut words = words(&source, files.len(), &rules);
        words += ". Nothing of it was taken; it is looked at again when one of its files changes, another \
                  one comes, or \"contract\" changes";
        let words = text::bounded(words);
        let members: Vec<&FileRecord> =
            read.iter().filter(|file| files.contains(&file.location)).collect();
        let paths: BTreeMap<&Location, Option<Digest>> = waiting
            .iter()
            .filter_map(|file| file.before.as_ref())
            .map(|before| (&before.location, refused_with(before)))
            .collect();
        let known = members.iter().all(|file| paths.get(&file.location) == Some(&Some(identity)));
        report.new_failures |= !known;
        let told = if known { &mut report.refused } else { &mut report.failures };
        told.push(Remark::on(FindingKind::RefusedFile, &source, &words));
        let mut gone = BTreeSet::new();
        for file in members {
            gone.insert(file.name.clone());
            let mut file = file.clone();
            file.status = FileStatus::Failed;
            file.reason = Some(words.clone());
            file.same_as = None;
            file.replaces = None;
            file.counts.contract.extend(rules.iter().cloned());
            report.files.push(file);
        }
        waiting.retain(|file| !gone.contains(&file.candidate.name));
    }
}

/// What a batch breaks.
fn words(source: &str, files: usize, rules: &[RuleBroken]) -> String {
    let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
    let files = text::plural(files as u64, "new file");
    format!("the batch of {files} of source {source} breaks its contract: {}", rules.join("; "))
}

/// The median number of rows of earlier batches, if the contract compares with it and there are enough.
fn typical(workspace: &Workspace, source: &str, rules: &RowsContract) -> Result<Option<u64>> {
    if rules.versus_median.is_none() {
        return Ok(None);
    }
    let mut rows = workspace.ledger.rows_of_batches(source)?;
    rows.sort_unstable();
    Ok((rows.len() >= 3).then(|| rows[rows.len() / 2]))
}

/// The digest of some contents, in whatever order.
fn identity(contents: &BTreeSet<Digest>) -> Digest {
    let bytes: Vec<u8> = contents.iter().flat_map(|digest| digest.bytes().to_vec()).collect();
    Digest::of(&bytes)
}

fn source_of<'a>(config: &'a Config, path: &Path) -> &'a str {
    config.source_at(path).map_or(INPUT, |(source, _)| source.name.as_str())
}
