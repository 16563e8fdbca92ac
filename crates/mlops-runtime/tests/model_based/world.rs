//! A workspace with its people: files come and go, programs run, and all that was seen so far is
//! remembered.
//!
//! Not for what must hold then: see [`super::invariants`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::chance::Chance;
use crate::content::{Content, Maker, Worth};
use crate::invariants;
use crate::model::{Id, Model, Place, Rows};
use crate::operation::{Event, Operation, Program};
use crate::program::{End, Task};
use crate::records::Records;

/// Names of files in a folder: few, so that they meet again.
const NAMES: usize = 10;
/// Files with their size and time of change.
pub(crate) type Listing = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// A workspace.
pub(crate) struct World {
    home: TempDir,
    pub(crate) root: PathBuf,
    moves: u32,
    now: i64,
    pub(crate) model: Model,
    pub(crate) maker: Maker,
    settings: Settings,
    pub(crate) memory: Memory,
    /// A workspace that this one was copied from, and how it was then.
    original: Option<(PathBuf, Listing)>,
    pub(crate) counts: Counts,
}

/// What a seed decides for good, and the keys of retention.
#[expect(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
#[derive(Debug, Clone)]
struct Settings {
    with_ids: bool,
    appends: bool,
    two_folders: bool,
    own_tests: bool,
    rule: &'static str,
    keep_releases: u64,
    keep_datasets: u64,
}

/// What was seen so far and must not be taken back.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) records: Records,
    /// The rows of each data set.
    pub(crate) datasets: BTreeMap<u32, Rows>,
    /// The rows of each hold-out.
    pub(crate) holdouts: BTreeMap<u32, Rows>,
    /// Hold-outs whose files a person moved away.
    pub(crate) away: Vec<String>,
    /// Hold-outs that were away when somebody was erased who may be in them.
    pub(crate) spared: BTreeSet<String>,
    /// Data sets that a person removed.
    pub(crate) deleted: BTreeSet<u32>,
    /// The person's own test rows.
    pub(crate) own_tests: Rows,
    /// Releases that were rolled back, and that nobody asked for since.
    pub(crate) rolled_back: BTreeSet<String>,
    /// Releases that a killed run was asked for by name.
    pub(crate) asked: Vec<String>,
    /// A person removed the pointer, and nothing went live since.
    pub(crate) pointer_removed: bool,
    /// The least of each key of retention so far.
    pub(crate) keep_releases: u64,
    pub(crate) keep_datasets: u64,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) operations: u64,
    pub(crate) runs: u64,
    pub(crate) kills: u64,
    pub(crate) datasets: u64,
    pub(crate) holdouts: u64,
    pub(crate) deployments: u64,
    pub(crate) rollbacks: u64,
    pub(crate) erasures: u64,
    pub(crate) failures: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.runs += other.runs;
        self.kills += other.kills;
        self.datasets += other.datasets;
        self.holdouts += other.holdouts;
        self.deployments += other.deployments;
        self.rollbacks += other.rollbacks;
        self.erasures += other.erasures;
        self.failures += other.failures;
    }
}

impl World {
    /// The workspace of `seed`, with nothing in it but test rows.
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::of(seed ^ 0x5eed);
        let settings = Settings {
            with_ids: !chance.once_in(3),
            appends: chance.once_in(6),
            two_folders: chance.once_in(3),
            own_tests: !chance.once_in(4),
            rule: ["raw", "every", "every", "significant", "pooled"][chance.below(5)],
            keep_releases: 2 + chance.below(3) as u64,
            keep_datasets: 2 + chance.below(4) as u64,
        };
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut world = Self {
            root: home.path().join("w0"),
            home,
            moves: 0,
            now: 2_000_000_000,
            model: Model::new(settings.with_ids, settings.appends),
            maker: Maker::new(settings.with_ids),
            memory: Memory {
                keep_releases: settings.keep_releases,
                keep_datasets: settings.keep_datasets,
                ..Memory::default()
            },
            settings,
            original: None,
            counts: Counts::default(),
        };
        for folder in ["in", "source", "test", "away"] {
            fs::create_dir_all(world.root.join(folder)).unwrap();
        }
        if world.settings.own_tests {
            let tests = world.maker.rows(&mut chance, 100);
            world.memory.own_tests = rows_of(&tests);
            fs::write(world.root.join("test/own.csv"), &tests.text).unwrap();
        }
        world.configure();
        world
    }

    fn configure(&self) {
        let Settings { with_ids, appends, two_folders, rule, keep_releases, keep_datasets, .. } =
            &self.settings;
        let id = if *with_ids { r#"["corporation"]"# } else { "[]" };
        let source = if *two_folders { "source" } else { "in" };
        let on_change = if *appends { "append" } else { "supersede" };
        let text = format!(
            r#"{{"input_folder_path": "in", "source_folder_path": "{source}",
            "output_folder_path": "out", "test_data_path": "test", "output_model_path": "model",
            "prod_deployment_path": "live", "apicalls": {{"url": "http://127.0.0.1:9"}},
            "schema": {{"id": {id}, "target": "exited", "positive_label": "1", "numeric":
                ["lastmonth_activity", "lastyear_activity", "number_of_employees"]}},
            "ingestion": {{"settle_seconds": 0, "max_rejected_share": 0.25,
                "on_change": "{on_change}"}},
            "drift": {{"rule": "{rule}"}}, "holdout": {{"min_rows": 40}},
            "retention": {{"keep_releases": {keep_releases}, "keep_datasets": {keep_datasets},
                "keep_days": 60}}}}"#
        );
        fs::write(self.root.join("config.json"), text).unwrap();
    }

    /// Carries out `operation` and checks what must hold after it.
    pub(crate) fn apply(&mut self, operation: &Operation) -> Result<(), String> {
        self.now += operation.pause;
        self.counts.operations += 1;
        let mut chance = Chance::of(operation.seed);
        let chance = &mut chance;
        match operation.event {
            Event::Run(program, kill) => return self.run(program, kill, chance),
            Event::Add => {
                let least = if operation.number == 0 { 160 } else { 20 };
                let content = self.maker.rows(chance, least);
                self.add(chance, content);
            }
            Event::AddRefused => {
                let content = self.maker.refused(chance);
                self.add(chance, content);
            }
            Event::AddHeaderOnly => {
                let content = self.maker.header_only(chance);
                self.add(chance, content);
            }
            Event::Change => {
                if let Some(place) = self.some_file(chance) {
                    let old = self.model.content(self.model.disk[&place]).clone();
                    let content = self.maker.corrected(chance, &old);
                    self.put(chance, place, content);
                }
            }
            Event::ChangeToRefused => {
                let content = self.maker.refused(chance);
                self.change(chance, content);
            }
            Event::ChangeToHeaderOnly => {
                let content = self.maker.header_only(chance);
                self.change(chance, content);
            }
            Event::Restore => {
                let id = chance.below(self.model.how_many());
                if self.model.how_many() > 0 {
                    let content = self.model.content(id).clone();
                    if chance.once_in(2) {
                        self.change(chance, content);
                    } else {
                        self.add(chance, content);
                    }
                }
            }
            Event::CopyFile => {
                if let Some(place) = self.some_file(chance) {
                    let content = self.model.content(self.model.disk[&place]).clone();
                    self.add(chance, content);
                }
            }
            Event::Touch => {
                if let Some(place) = self.some_file(chance) {
                    self.stamp(&self.root.join(place));
                }
            }
            Event::Rename => {
                if let (Some(from), Some(to)) = (self.some_file(chance), self.free_place(chance)) {
                    fs::rename(self.root.join(&from), self.root.join(&to)).unwrap();
                    let id = self.model.disk.remove(&from).unwrap();
                    self.model.disk.insert(to, id);
                }
            }
            Event::Swap => self.swap(chance),
            Event::Delete => {
                if let Some(place) = self.some_file(chance) {
                    fs::remove_file(self.root.join(&place)).unwrap();
                    self.model.disk.remove(&place);
                }
            }
            other => self.happens(other, chance),
        }
        Ok(())
    }

    /// What happens to other things than source files.
    fn happens(&mut self, event: Event, chance: &mut Chance) {
        match event {
            Event::MoveHoldoutAway => self.move_holdout_away(chance),
            Event::BringHoldoutsBack => {
                for name in std::mem::take(&mut self.memory.away) {
                    let from = self.root.join("away").join(&name);
                    let to = self.root.join("test").join(name);
                    // It may have been made again, without people who were erased since.
                    if to.exists() {
                        fs::remove_file(from).unwrap();
                    } else {
                        fs::rename(from, to).unwrap();
                    }
                }
            }
            Event::DeleteOldDataset => self.delete_dataset(chance, false),
            Event::DeleteNewestDataset => self.delete_dataset(chance, true),
            Event::RemovePointer => {
                self.memory.pointer_removed |= fs::remove_file(self.root.join("live")).is_ok();
            }
            Event::MoveWorkspace => {
                let to = self.next_root();
                fs::rename(&self.root, &to).unwrap();
                self.root = to;
            }
            Event::CopyWorkspace => self.copy_workspace(),
            Event::ChangeRetention => {
                self.settings.keep_releases = 2 + chance.below(3) as u64;
                self.settings.keep_datasets = 2 + chance.below(4) as u64;
                let memory = &mut self.memory;
                memory.keep_releases = memory.keep_releases.min(self.settings.keep_releases);
                memory.keep_datasets = memory.keep_datasets.min(self.settings.keep_datasets);
                self.configure();
            }
            _ => {}
        }
    }

    fn run(
        &mut self,
        program: Program,
        kill: Option<crate::operation::Kill>,
        chance: &mut Chance,
    ) -> Result<(), String> {
        let lived = self.memory.records.lived();
        let release = match program {
            Program::RollbackTo => chance.one_of(&lived).map(|id| (*id).to_owned()),
            Program::Forget => self.maker.person(chance),
            _ => None,
        };
        if matches!(program, Program::RollbackTo | Program::Forget) && release.is_none() {
            return Ok(());
        }
        let task = Task { program, now: self.now, release, folder: self.root.clone() };
        let before = self.listing();
        let end = task.run(kill);
        self.counts.runs += 1;
        self.counts.kills += u64::from(end == End::Killed);
        self.counts.failures += u64::from(matches!(end, End::Failed(_)));
        invariants::hold(self, &task, &end)?;
        if program == Program::DryRun && end == End::Done && before != self.listing() {
            return Err("a dry run wrote something".to_owned());
        }
        if let Some((folder, listing)) = &self.original
            && *listing != listed(folder)
        {
            return Err("the workspace that this one was copied from has changed".to_owned());
        }
        match &end {
            // The one command that helps must help.
            End::Failed(why) if why.contains("run `ingestion --rebuild`") => {
                self.run(Program::RebuildPartial, None, chance)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn has_ids(&self) -> bool {
        self.settings.with_ids
    }

    /// The folder that `program` ingests from.
    pub(crate) fn folder_of(&self, program: Program) -> &'static str {
        if program.is_fullprocess() && self.settings.two_folders { "source/" } else { "in/" }
    }

    /// How many data sets retention keeps besides those that are needed.
    pub(crate) fn keep_datasets(&self) -> u64 {
        self.settings.keep_datasets
    }

    fn some_file(&self, chance: &mut Chance) -> Option<Place> {
        let places: Vec<&Place> = self.model.disk.keys().collect();
        chance.one_of(&places).map(|place| (*place).clone())
    }

    fn free_place(&self, chance: &mut Chance) -> Option<Place> {
        let folder = if self.settings.two_folders && chance.once_in(2) { "source" } else { "in" };
        let names = (0..NAMES).map(|n| format!("{folder}/f{n}.csv"));
        let free: Vec<Place> = names.filter(|place| !self.model.disk.contains_key(place)).collect();
        chance.one_of(&free).cloned()
    }

    fn add(&mut self, chance: &mut Chance, content: Content) {
        if let Some(place) = self.free_place(chance) {
            self.put(chance, place, content);
        }
    }

    fn change(&mut self, chance: &mut Chance, content: Content) {
        if let Some(place) = self.some_file(chance) {
            self.put(chance, place, content);
        }
    }

    /// Writes `content` to `place`, as an editor or as a copy would.
    fn put(&mut self, chance: &mut Chance, place: Place, content: Content) {
        let path = self.root.join(&place);
        if chance.once_in(2) {
            let beside = path.with_extension("part");
            fs::write(&beside, &content.text).unwrap();
            fs::rename(beside, &path).unwrap();
        } else {
            fs::write(&path, &content.text).unwrap();
        }
        self.stamp(&path);
        let id: Id = self.model.number(content);
        self.model.disk.insert(place, id);
    }

    /// A file was changed now, by the clock of this world.
    fn stamp(&self, path: &Path) {
        let now = UNIX_EPOCH + Duration::from_secs(u64::try_from(self.now).unwrap());
        fs::File::options().write(true).open(path).unwrap().set_modified(now).unwrap();
    }

    fn swap(&mut self, chance: &mut Chance) {
        let (Some(a), Some(b)) = (self.some_file(chance), self.some_file(chance)) else { return };
        let aside = self.root.join("aside");
        fs::rename(self.root.join(&a), &aside).unwrap();
        if a != b {
            fs::rename(self.root.join(&b), self.root.join(&a)).unwrap();
        }
        fs::rename(aside, self.root.join(&b)).unwrap();
        let ids = (self.model.disk[&a], self.model.disk[&b]);
        self.model.disk.insert(a, ids.1);
        self.model.disk.insert(b, ids.0);
    }

    fn move_holdout_away(&mut self, chance: &mut Chance) {
        let names = self.memory.records.holdouts.iter().map(|h| h.name.clone());
        let there: Vec<String> =
            names.filter(|name| self.root.join("test").join(name).is_file()).collect();
        if let Some(name) = chance.one_of(&there) {
            let from = self.root.join("test").join(name);
            fs::rename(from, self.root.join("away").join(name)).unwrap();
            self.memory.away.push(name.clone());
        }
    }

    fn delete_dataset(&mut self, chance: &mut Chance, newest: bool) {
        let versions: Vec<u32> = self.memory.records.datasets.iter().map(|d| d.version).collect();
        let Some((last, old)) = versions.split_last() else { return };
        let old: Vec<u32> = old.iter().copied().filter(|v| self.dataset(*v).is_file()).collect();
        let chosen = if newest { Some(*last) } else { chance.one_of(&old).copied() };
        if let Some(version) = chosen
            && fs::remove_file(self.dataset(version)).is_ok()
        {
            self.memory.deleted.insert(version);
        }
    }

    /// The file of data set `version`.
    pub(crate) fn dataset(&self, version: u32) -> PathBuf {
        self.root.join(format!("out/finaldata{version}.csv"))
    }

    fn next_root(&mut self) -> PathBuf {
        self.moves += 1;
        self.home.path().join(format!("w{}", self.moves))
    }

    /// From here on the copy is used; the original must stay as it is.
    fn copy_workspace(&mut self) {
        let to = self.next_root();
        let status = Command::new("cp").arg("-a").arg(&self.root).arg(&to).status();
        assert!(status.unwrap().success(), "cp -a");
        if let Some((old, _)) = self.original.take() {
            fs::remove_dir_all(old).unwrap();
        }
        let left = std::mem::replace(&mut self.root, to);
        let listing = listed(&left);
        self.original = Some((left, listing));
    }

    fn listing(&self) -> Listing {
        listed(&self.root)
    }
}

/// The rows of a content with their numbers.
fn rows_of(content: &Content) -> Rows {
    let mut rows = Rows::new();
    if let Worth::Rows(list, _) = &content.worth {
        for row in list {
            *rows.entry(row.clone()).or_default() += 1;
        }
    }
    rows
}

/// All files and links below `folder` but what SQLite keeps while a ledger is read.
pub(crate) fn listed(folder: &Path) -> Listing {
    let mut found = Listing::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().contains("ledger.sqlite-") {
                found.insert(path, (metadata.len(), metadata.modified().ok()));
            }
        }
    }
    found
}
