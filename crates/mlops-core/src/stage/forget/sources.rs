//! Files of sources, and the user's test files: which of them have rows of the people, and where.
//!
//! The user's own files are only listed. Copies of fetched objects are ours and lose these rows: in plain text
//! their lines are emptied, so that all others keep their numbers; a copy in another format is removed. What
//! ingestion made of them is in [`super::ours`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::people::People;
use super::report::{Left, What};
use crate::config::Source;
use crate::csv::outcome::FileOutcome;
use crate::dataset::counts::Audit;
use crate::dataset::dedup::RowOutcome;
use crate::dataset::discover::{self, SourceFile};
use crate::ledger::{LandedAfter, Ledger, Redaction};
use crate::platform::digest::Digest;
use crate::platform::files;
use crate::run::context::Context;
use crate::run::redact;
use crate::run::test_files::{TestFileKind, TestFiles};
use crate::table::schema::Schema;
use crate::{Error, Result, text};

/// What files of sources have of the people.
#[derive(Default)]
pub(super) struct InSources {
    /// The user's own files with rows of theirs.
    pub(super) left: Vec<Left>,
    /// Copies of objects that lose rows.
    pub(super) landed: Vec<LandedAfter>,
    /// The changes of their files.
    pub(super) redactions: Vec<Redaction>,
    /// The lines of theirs in contents that were read; `None` where lines have no numbers in the file itself.
    pub(super) lines: HashMap<Digest, Option<BTreeSet<u64>>>,
}

/// Where records of the people are in one file.
#[derive(Default)]
struct Records {
    lines: BTreeMap<u64, u32>,
    all_plain: bool,
    any: bool,
}

impl Audit for Records {
    fn row(&mut self, _: u64, _: u32, _: RowOutcome) {}

    fn forgotten(&mut self, line: u64, lines: u32, plain: bool) {
        self.all_plain = plain && (self.all_plain || !self.any);
        self.any = true;
        self.lines.insert(line, lines);
    }

    fn again(&mut self) {
        *self = Self::default();
    }
}

impl Records {
    /// All physical lines.
    fn physical(&self) -> BTreeSet<u64> {
        self.lines.iter().flat_map(|(line, lines)| *line..line + u64::from(*lines)).collect()
    }
}

/// Reads every file of sources that there is.
pub(super) fn look(
    context: &Context,
    ledger: &Ledger,
    schema: &Schema,
    people: &People,
) -> Result<InSources> {
    let mut found = InSources::default();
    let mut scratch = context.clone();
    // Who may only read can still ask what would be erased.
    let temporary = |folder: &Path| context.disk.temporary_folder(folder);
    let folder = Some(&context.config.output_folder).filter(|folder| folder.is_dir());
    let folder = folder.map_or_else(
        || temporary(&std::env::temp_dir()),
        |folder| temporary(folder).or_else(|_| temporary(&std::env::temp_dir())),
    )?;
    folder.path().clone_into(&mut scratch.config.output_folder);
    let mut ingest = crate::stage::ingest::start(&scratch, schema, 0, false)?;
    ingest.forget(Some(people.forgotten.clone()));
    for (path, what) in paths(context, ledger)? {
        let file = SourceFile::at(&context.config, path);
        let mut records = Records::default();
        let read = ingest.look(&file, &mut records)?;
        if let Some(digest) = read.digest {
            let lines = records.lines.keys().copied().collect();
            let plain = records.all_plain || !records.any;
            found.lines.insert(digest, plain.then_some(lines));
        }
        let whole = !matches!(read.outcome, FileOutcome::Failed(_) | FileOutcome::Contradicts(_));
        // A file that cannot be read as rows may still have them.
        let any = records.any || (!whole && mentioned(&file.path, people)?);
        if !any {
            continue;
        }
        if what == What::FetchedObject {
            found.cut(context, &file.path, whole.then_some(&records))?;
        } else {
            found.left.push(Left::of(what, &text::name(&file.name), read.counts.forgotten));
        }
    }
    Ok(found)
}

impl InSources {
    /// Takes records out of the copy of an object, or removes it.
    fn cut(&mut self, context: &Context, path: &Path, records: Option<&Records>) -> Result<()> {
        let location = context.location(path);
        let before = Digest::of_file(path)?;
        let records = records.filter(|records| records.all_plain);
        let cuts = match records {
            Some(records) => line_cuts(path, &records.physical())?,
            None => Vec::new(),
        };
        let after = records.map(|_| redact::without(path, &cuts)).transpose()?;
        self.landed.push(LandedAfter { location: location.clone(), before, after });
        let after = after.map(|(digest, _)| digest);
        self.redactions.push(Redaction { location, before, after, cuts });
        Ok(())
    }
}

/// The files of all sources and of tests that there are, each once.
fn paths(context: &Context, ledger: &Ledger) -> Result<Vec<(PathBuf, What)>> {
    let config = &context.config;
    let mut paths: BTreeMap<PathBuf, What> = BTreeMap::new();
    // Files that this program wrote are ours, as copies of objects are.
    let fetched = |path: &Path| {
        let ours = |source: &Source| source.is_fetched() || config.is_ours(source);
        config.source_at(path).is_some_and(|(source, _)| ours(source))
    };
    let what = |path: &Path| if fetched(path) { What::FetchedObject } else { What::SourceFile };
    let mut add = |path: PathBuf, what| {
        if path.is_file() {
            paths.entry(crate::platform::location::plain(&path)).or_insert(what);
        }
    };
    for file in TestFiles::find(context, &ledger.holdouts()?)?.all {
        // Hold-outs are ours; one that was edited is the user's.
        if !matches!(file.kind, TestFileKind::HoldOut(_)) {
            let kind = if fetched(&file.path) { What::FetchedObject } else { What::TestFile };
            add(file.path, kind);
        }
    }
    for file in ledger.files()? {
        let path = file.location.path(&config.base);
        let kind = what(&path);
        add(path, kind);
    }
    for folder in [config.input(), config.source()] {
        if folder.path.is_dir() {
            for file in discover::list(folder)?.candidates {
                let kind = what(&file.path);
                add(file.path, kind);
            }
        }
    }
    for source in &config.sources {
        if source.is_fetched() {
            for landed in ledger.landed(&source.name)? {
                add(landed.location.path(&config.base), What::FetchedObject);
            }
        } else if let Ok(listing) = discover::matching(config, source) {
            for file in listing.candidates {
                let kind = what(&file.path);
                add(file.path, kind);
            }
        }
    }
    Ok(paths.into_iter().collect())
}

/// Whether a line of a file that is not read as rows may have one of the people.
fn mentioned(path: &Path, people: &People) -> Result<bool> {
    let mut any = false;
    each_line(path, |_, line| any |= people.forgotten.may_have(line))?;
    Ok(any)
}

/// The bytes of the physical lines `wanted`, from 1, without their ends.
fn line_cuts(path: &Path, wanted: &BTreeSet<u64>) -> Result<Vec<(u64, u64)>> {
    let (mut cuts, mut number) = (Vec::new(), 0);
    each_line(path, |start, line| {
        number += 1;
        if wanted.contains(&number) && !line.is_empty() {
            cuts.push((start, start + line.len() as u64));
        }
    })?;
    Ok(cuts)
}

/// Passes each physical line without its end, and where it begins. LF, CR LF and CR end a line.
pub(super) fn each_line(path: &Path, mut visit: impl FnMut(u64, &[u8])) -> Result<()> {
    let failed = |e| Error::io("read", path, e);
    let (file, _) = files::open(path).map_err(failed)?;
    let mut line = Vec::new();
    let (mut at, mut start, mut after_cr) = (0, 0, false);
    for byte in std::io::BufReader::new(file).bytes() {
        let byte = byte.map_err(failed)?;
        at += 1;
        if byte == b'\n' && after_cr {
            start = at;
        } else if matches!(byte, b'\n' | b'\r') {
            visit(start, &line);
            line.clear();
            start = at;
        } else {
            line.push(byte);
        }
        after_cr = byte == b'\r';
    }
    if !line.is_empty() {
        visit(start, &line);
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_without_their_ends_whatever_these_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "one\r\ntwo\rthree\n\nfive").unwrap();
        let wanted = BTreeSet::from([1, 2, 4, 5]);
        assert_eq!(line_cuts(&path, &wanted).unwrap(), [(0, 3), (5, 8), (16, 20)]);
    }
}
