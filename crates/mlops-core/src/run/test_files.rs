//! The test files: labelled rows that no model is trained on, and the order in which they are used.
//!
//! There are two kinds: the user's own files, and hold-outs, `testdata_new{N}.csv`, which
//! `fullprocess` drew. A hold-out is recognised by its content, whatever its name; a file that only
//! has the name of a hold-out counts as an earlier one; any other file is the user's. A model is
//! scored on the newest hold-out, or else on the user's files; if those have too few rows, on older
//! ones too. Not for drawing hold-outs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::config::sources::Role;
use crate::config::{Config, InputFolder};
use crate::dataset::discover::{self, Ignored, SourceFile};
use crate::ids::DatasetVersion;
use crate::ledger::HoldoutRecord;
use crate::platform::digest::Digest;
use crate::platform::files;
use crate::run::context::Context;
use crate::text;

/// A test file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFile {
    /// The file name.
    pub name: String,
    /// The path.
    pub path: PathBuf,
    /// The digest of the content.
    pub digest: Digest,
    /// The kind of test data.
    pub kind: TestFileKind,
}

/// The kind of test data in a file. The newest hold-out is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TestFileKind {
    /// The user's own.
    Own,
    /// Named like a hold-out with this number; the ledger does not know its content.
    Named(u32),
    /// A hold-out recorded in the ledger.
    HoldOut(DatasetVersion),
}

/// The test files of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestFiles {
    /// The files that models are scored on first: the newest hold-out, or else the user's own
    /// files.
    pub current: Vec<TestFile>,
    /// The files of all kinds, none of which models are trained on.
    pub all: Vec<TestFile>,
}

/// The number in `testdata_new{N}.csv`, or in the name with a suffix of a second file with that
/// number: `testdata_new{N}-2.csv`.
fn number(name: &str) -> Option<u32> {
    let (stem, _) = name.rsplit_once('.')?;
    let rest = stem.strip_prefix("testdata_new")?;
    rest.split_once('-').map_or(rest, |(number, _)| number).parse().ok()
}

impl TestFileKind {
    /// The kind of a file by its name alone.
    pub(crate) fn of_name(name: &str, holdouts: &[HoldoutRecord]) -> Self {
        match (holdouts.iter().find(|h| h.name == name), number(name)) {
            (Some(holdout), _) => Self::HoldOut(holdout.version),
            (None, Some(number)) => Self::Named(number),
            (None, None) => Self::Own,
        }
    }

    /// The kind of a file by its content, which is more reliable.
    pub(crate) fn of(name: &str, digest: Digest, holdouts: &[HoldoutRecord]) -> Self {
        match (holdouts.iter().find(|h| h.sha256 == digest), number(name)) {
            (Some(holdout), _) => Self::HoldOut(holdout.version),
            (None, Some(number)) => Self::Named(number),
            (None, None) => Self::Own,
        }
    }
}

/// Groups items by kind, the newest first; the order within a group is kept.
fn tiers<T>(items: Vec<T>, kind: impl Fn(&T) -> TestFileKind) -> Vec<Vec<T>> {
    let mut tiers = BTreeMap::<TestFileKind, Vec<T>>::new();
    for item in items {
        tiers.entry(kind(&item)).or_default().push(item);
    }
    tiers.into_values().rev().collect()
}

/// The test files that there are, and links that lead nowhere: those of the folder, if it exists, then
/// those of sources for testing.
fn listed(config: &Config) -> Result<(Vec<SourceFile>, Vec<Ignored>)> {
    let mut found = Vec::new();
    if config.test_data.is_dir() {
        found = discover::list(InputFolder::of_tests(&config.test_data))?.candidates;
    }
    for source in config.sources.iter().filter(|source| source.role == Role::Test) {
        // What has not been fetched yet is no test data yet.
        if config.folder_of(source).is_dir() {
            found.extend(discover::matching(config, source)?.candidates);
        }
    }
    let (links, files): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|file| files::leads_nowhere(&file.path));
    let nowhere =
        |SourceFile { name, .. }| Ignored { name, reason: "a link that leads nowhere".into() };
    Ok((files, links.into_iter().map(nowhere).collect()))
}

impl TestFiles {
    /// Finds the test files; `holdouts` are those in the ledger. A folder that does not exist has none.
    pub fn find(context: &Context, holdouts: &[HoldoutRecord]) -> Result<Self> {
        Self::of(&context.config, holdouts, |path| context.digest_of(path))
    }

    fn of(
        config: &Config,
        holdouts: &[HoldoutRecord],
        digest_of: impl Fn(&Path) -> Result<Digest>,
    ) -> Result<Self> {
        let mut all = Vec::new();
        for SourceFile { name, path, .. } in listed(config)?.0 {
            let digest = digest_of(&path)?;
            let kind = TestFileKind::of(&name, digest, holdouts);
            all.push(TestFile { name, path, digest, kind });
        }
        let current = tiers(all.clone(), |f| f.kind).into_iter().next().unwrap_or_default();
        Ok(Self { current, all })
    }

    /// Names and paths of the files, by tier, the newest hold-out first, the user's own last. Their
    /// digests are not computed; that is done when the files are read.
    pub fn list(config: &Config, holdouts: &[HoldoutRecord]) -> Result<Vec<Vec<SourceFile>>> {
        Ok(tiers(listed(config)?.0, |f| TestFileKind::of_name(&f.name, holdouts)))
    }

    /// Links that lead nowhere: they are passed over. A file that is there and cannot be read is not,
    /// since a model could be trained on its rows.
    pub fn links_to_nothing(config: &Config) -> Result<Vec<Ignored>> {
        Ok(listed(config)?.1)
    }

    /// What there is to say of entries of the test folder that do not serve.
    pub fn passed_over(ignored: &[Ignored]) -> Option<String> {
        let shown = ignored.iter().map(|f| format!("{} ({})", text::name(&f.name), f.reason));
        let names = text::names(shown);
        (!ignored.is_empty()).then(|| format!("passed over in the test folder: {names}"))
    }

    /// All files, by tier, the newest hold-out first, the user's own last.
    pub fn tiers(&self) -> Vec<Vec<TestFile>> {
        tiers(self.all.clone(), |f| f.kind)
    }

    /// Hold-outs of the ledger whose file is missing or changed: their rows stay out of training
    /// but cannot be scored.
    pub fn missing<'a>(&self, holdouts: &'a [HoldoutRecord]) -> Vec<&'a HoldoutRecord> {
        let here = |h: &HoldoutRecord| self.all.iter().any(|f| f.digest == h.sha256);
        holdouts.iter().filter(|h| !here(h)).collect()
    }

    /// Names and digests of the current files, for the ledger.
    pub fn identity(&self) -> Vec<(String, Digest)> {
        self.current.iter().map(|f| (f.name.clone(), f.digest)).collect()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;

    #[test]
    fn the_newest_batch_is_current() {
        let dir = tempfile::tempdir().unwrap();
        let names = |files: &[TestFile]| files.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
        assert_eq!(find(&dir.path().join("none"), &[]).unwrap(), TestFiles::default());
        for name in ["testdata.csv", "more.csv", "notes.txt"] {
            fs(dir.path(), name);
        }
        assert_eq!(names(&find(dir.path(), &[]).unwrap().current), ["more.csv", "testdata.csv"]);
        fs(dir.path(), "testdata_new4.csv");
        fs(dir.path(), "testdata_new10.csv");
        let found = find(dir.path(), &[]).unwrap();
        assert_eq!(names(&found.current), ["testdata_new10.csv"]);
        let tiers: Vec<_> = found.tiers().iter().map(|tier| names(tier)).collect();
        let own = ["more.csv", "testdata.csv"];
        assert_eq!(
            tiers[..],
            [vec!["testdata_new10.csv"], vec!["testdata_new4.csv"], own.to_vec()]
        );
        let listed = TestFiles::list(&of(dir.path()), &[]).unwrap();
        assert_eq!(listed[0][0].name, "testdata_new10.csv");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_nowhere_is_named_and_passed_over() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        fs(dir.path(), "a.csv");
        assert!(TestFiles::links_to_nothing(&of(dir.path())).unwrap().is_empty());
        symlink("gone.csv", dir.path().join("b.csv")).unwrap();
        symlink("c.csv", dir.path().join("c.csv")).unwrap();
        symlink(dir.path(), dir.path().join("folder.csv")).unwrap();
        symlink("a.csv", dir.path().join("again.csv")).unwrap();
        let found = TestFiles::of(&of(dir.path()), &[], Digest::of_file).unwrap();
        let names: Vec<&str> = found.all.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["a.csv", "again.csv"]);
        assert_eq!(TestFiles::list(&of(dir.path()), &[]).unwrap()[0].len(), 2);
        let links = TestFiles::links_to_nothing(&of(dir.path())).unwrap();
        let said = TestFiles::passed_over(&links).unwrap();
        assert!(said.contains("b.csv (a link that leads nowhere), c.csv"), "{said}");
    }

    #[test]
    fn a_hold_out_is_known_by_its_content_and_a_name_without_a_number_is_the_user_s() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["testdata_new.csv", "testdata_new3-2.csv", "moved.csv", "testdata_new9.csv"] {
            fs(dir.path(), name);
        }
        let record = |version, content: &str| HoldoutRecord {
            version: DatasetVersion(version),
            name: format!("testdata_new{version}.csv"),
            sha256: Digest::of(content.as_bytes()),
            rows: 1,
            positives: 1,
            drawn_from: 1,
            known_rows: 0,
            recorded: String::new(),
            former: Vec::new(),
        };
        let (holdout, gone) = (record(7, "moved.csv"), record(8, "gone"));
        let holdouts = [holdout, gone];
        let found = find(dir.path(), &holdouts).unwrap();
        let kinds: Vec<_> = found.all.iter().map(|f| (f.name.as_str(), f.kind)).collect();
        let expected = [
            ("moved.csv", TestFileKind::HoldOut(DatasetVersion(7))),
            ("testdata_new.csv", TestFileKind::Own),
            ("testdata_new3-2.csv", TestFileKind::Named(3)),
            ("testdata_new9.csv", TestFileKind::Named(9)),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(found.current[0].name, "moved.csv", "the records count more than a number");
        assert_eq!(found.missing(&holdouts), [&holdouts[1]]);
    }

    fn find(folder: &Path, holdouts: &[HoldoutRecord]) -> Result<TestFiles> {
        TestFiles::of(&of(folder), holdouts, Digest::of_file)
    }

    fn of(folder: &Path) -> Config {
        let keys = r#"{"input_folder_path": "in", "output_folder_path": "out",
            "test_data_path": ".", "output_model_path": "model", "prod_deployment_path": "live"}"#;
        Config::parse(keys, &folder.join("config.json")).unwrap()
    }

    fn fs(folder: &Path, name: &str) {
        std::fs::write(folder.join(name), name).unwrap();
    }
}
