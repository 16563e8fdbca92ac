//! Whole runs of `fullprocess` and `first_run` on a cluster: the same workspace as on one machine, and what is left of a
//! run that loses its cluster. Not for single steps.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mlops_core::ids::Step;
use mlops_core::stage::decide;
use mlops_runtime::{first_run, fullprocess};
use rusqlite::types::Value;

use crate::services::Cluster;
use crate::workspace::{Workspace, said};

/// Rows whose labels follow their numbers, or are turned around.
pub(crate) fn rows(count: u64, seed: u64, turned: bool) -> String {
    let mut text =
        "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n".to_owned();
    for i in 0..count {
        let at = (i + 1).wrapping_mul(seed.wrapping_mul(2) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (x, noise) = (at >> 40 & 127, at >> 50 & 31);
        let label = u64::from(x + noise * 2 > 95) ^ u64::from(turned);
        text += &format!("s{seed}r{i},{x},{},{},{label}\n", at >> 33 & 1_023, at >> 45 & 63);
    }
    text
}

impl Workspace {
    /// `fullprocess` or `first_run` in this process.
    pub(crate) fn process_alone(&self, verb: &str) {
        let context = self.context();
        if verb == "fullprocess" {
            let mut workspace = context.open(Step::FullProcess).unwrap();
            let run = |w: &mut _| fullprocess::run(&context, w, decide::Options::default());
            context.step(&mut workspace, Step::FullProcess, run).unwrap();
        } else {
            let mut workspace = context.open(Step::FirstRun).unwrap();
            let run = |w: &mut _| first_run::run(&context, w, false);
            context.step(&mut workspace, Step::FirstRun, run).unwrap();
        }
    }

    /// A key of hold-outs that both of two workspaces have.
    pub(crate) fn fix_the_key(&self) {
        let mut workspace = self.context().open("test").unwrap();
        workspace.ledger.fix_holdout_key(42).unwrap();
    }

    /// The name of the folder that is live.
    pub(crate) fn live(&self) -> OsString {
        fs::read_link(self.path("live")).unwrap().file_name().unwrap().to_owned()
    }

    /// All files and all records, but for times, ids of runs, and what is about the machine.
    fn everything(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        self.collect(self.0.path(), &mut found);
        found
    }

    fn collect(&self, folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        let mut entries: Vec<_> = fs::read_dir(folder).unwrap().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = entry.file_name().into_string().unwrap();
            let place = path.strip_prefix(self.0.path()).unwrap().to_owned();
            if kind.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                found.insert(place, format!("to {}", target.file_name().unwrap().display()));
                continue;
            }
            if kind.is_dir() {
                // A log is of one program; there is none where the work was done in this process.
                if name != "logs" {
                    self.collect(&path, found);
                }
                continue;
            }
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            let text = match ending {
                "sqlite" => self.records(&path),
                // Times are drawn in these, and in pictures of scores over time.
                "pdf" | "lock" | "sqlite-wal" | "sqlite-shm" => String::new(),
                _ if name == "config.json" || name.starts_with("trend.") => String::new(),
                "html" => self.plain(&without_pictures(&fs::read_to_string(&path).unwrap())),
                _ => self.plain(&String::from_utf8_lossy(&fs::read(&path).unwrap())),
            };
            // Files that are named by their runs have one name now.
            let name = PathBuf::from(self.without_times(place.to_str().unwrap()));
            *found.entry(name).or_default() += &text;
        }
    }

    /// All tables of a ledger.
    fn records(&self, path: &Path) -> String {
        let ledger = rusqlite::Connection::open(path).unwrap();
        let mut names = ledger
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
            .unwrap();
        let names: Vec<String> =
            names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut text = String::new();
        for name in names {
            // Every workspace has a mark of its own.
            let but = if name == "meta" { " WHERE key != 'workspace'" } else { "" };
            let mut all = ledger.prepare(&format!("SELECT * FROM \"{name}\"{but}")).unwrap();
            let columns: Vec<String> = all.column_names().map(str::to_owned).collect();
            let mut rows = all.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for (at, column) in columns.iter().enumerate() {
                    let timed = ["seconds", "host", "mtime", "stamp", "inode"];
                    let value = match row.get(at).unwrap() {
                        _ if timed.iter().any(|word| column.contains(word)) => String::new(),
                        Value::Text(text) => self.plain(&text),
                        // Nanoseconds since 1970.
                        Value::Integer(n) if n > 1 << 59 => String::new(),
                        other => format!("{other:?}"),
                    };
                    text += &format!("{name}.{column}={value}\n");
                }
            }
        }
        text
    }

    /// `text` without times, durations, ids of runs, and the place of the workspace.
    fn without_times(&self, text: &str) -> String {
        let text = text.replace(self.0.path().to_str().unwrap(), "");
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-:._".contains(c);
        let mut clean = String::new();
        for piece in text.split_inclusive(|c| !is_part(c)) {
            let word = piece.trim_end_matches(|c| !is_part(c));
            let digits =
                |word: &str| word.len() >= 8 && word.bytes().take(4).all(|b| b.is_ascii_digit());
            let is_clock = word.len() == 5 && word.as_bytes()[2] == b':';
            let is_time = is_clock
                || digits(word) && word.contains('T') && word.contains('Z')
                || digits(word) && word.as_bytes().get(4) == Some(&b'-');
            clean += if is_time { "TIME" } else { word };
            clean += &piece[word.len()..];
        }
        clean
    }

    /// `text` without times and durations; if it is JSON, in lines.
    fn plain(&self, text: &str) -> String {
        let Ok(mut json) = serde_json::from_str::<serde_json::Value>(text) else {
            return self.without_times(text);
        };
        forget_durations(&mut json);
        self.without_times(&serde_json::to_string_pretty(&json).unwrap())
    }
}

/// A page without its pictures, which are files of their own but for that of scores over time.
fn without_pictures(page: &str) -> String {
    let mut parts = page.split("<svg");
    let first = parts.next().unwrap_or_default().to_owned();
    let after =
        |part: &str| part.split_once("</svg>").map_or(String::new(), |(_, text)| text.to_owned());
    parts.fold(first, |page, part| page + &after(part))
}

fn forget_durations(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::Object(map) => {
            map.retain(|_, value| value.as_i64().is_none_or(|n| n < 1 << 59));
            map.retain(|key, _| !["timings", "seconds", "stamp", "inode"].contains(&key.as_str()));
            map.values_mut().for_each(forget_durations);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(forget_durations),
        _ => {}
    }
}

/// Fails with the first line that differs in each file.
fn assert_same(found: &Workspace, expected: &Workspace, when: &str) {
    let (found, expected) = (found.everything(), expected.everything());
    let names = |all: &BTreeMap<PathBuf, String>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected), "{when}");
    let mut others = String::new();
    for (name, text) in found.iter().filter(|(name, text)| expected[*name] != **text) {
        let mut lines = text.lines().zip(expected[name].lines());
        let (mine, theirs) =
            lines.find(|(mine, theirs)| mine != theirs).unwrap_or(("more", "less"));
        let start = mine.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
        let part = |line: &str| {
            let bytes = &line.as_bytes()[start.saturating_sub(60)..line.len().min(start + 60)];
            String::from_utf8_lossy(bytes).into_owned()
        };
        others += &format!("{}:\n  {}\n  {}\n", name.display(), part(mine), part(theirs));
    }
    assert!(others.is_empty(), "{when}: {others}");
}

#[test]
fn a_fullprocess_leaves_the_workspace_that_it_leaves_on_one_machine() {
    let cluster = Cluster::of(2);
    let engine = cluster.engine(5, 0.004);
    let alone = Workspace::with(&[], "");
    let spread = Workspace::with(&[], &engine);
    for workspace in [&alone, &spread] {
        workspace.fix_the_key();
    }
    let mut outcomes = Vec::new();
    for (name, text) in [
        ("a.csv", rows(900, 1, false)),
        ("b.csv", rows(500, 2, false)),
        ("none", String::new()),
        ("c.csv", rows(1_500, 3, true)),
    ] {
        for workspace in [&alone, &spread] {
            if !text.is_empty() {
                fs::write(workspace.path("in").join(name), &text).unwrap();
            }
        }
        alone.process_alone("fullprocess");
        let output = spread.start("fullprocess").wait_with_output().unwrap();
        assert!(
            matches!(output.status.code(), Some(0 | 3)),
            "{}\n{}",
            said(&output),
            cluster.logs()
        );
        assert_same(&spread, &alone, name);
        outcomes.push(said(&output));
    }
    assert!(outcomes[0].contains("is live now"), "{}", outcomes[0]);
    assert!(outcomes[3].contains("is live now"), "{}", outcomes[3]);
}

#[test]
fn a_first_run_leaves_the_workspace_that_it_leaves_on_one_machine() {
    let cluster = Cluster::of(2);
    let files =
        [("a.csv".to_owned(), rows(900, 21, false)), ("b.csv".to_owned(), rows(700, 22, false))];
    let alone = Workspace::with(&files, "");
    let spread = Workspace::with(&files, &cluster.engine(5, 0.004));
    for workspace in [&alone, &spread] {
        workspace.fix_the_key();
    }
    alone.process_alone("first_run");
    let output = spread.start("first_run").wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
    assert_same(&spread, &alone, "first_run");
}

#[test]
fn a_fullprocess_that_loses_its_scheduler_fails_with_a_record_and_the_next_one_goes_on() {
    let alone = Workspace::with(&[("a.csv".to_owned(), rows(900, 1, false))], "");
    alone.fix_the_key();
    alone.process_alone("fullprocess");
    let release =
        |workspace: &Workspace| fs::read_to_string(workspace.path("live/manifest.json")).unwrap();

    let mut cluster = Cluster::of(2);
    let spread = Workspace::with(&[("a.csv".to_owned(), rows(900, 1, false))], "");
    spread.fix_the_key();
    spread.configure(&cluster.engine(4, 0.004));
    let driver = spread.start("fullprocess");
    spread.await_files("pass-", 1, &cluster);
    // Another run does not wait for it.
    let other = spread.start("fullprocess").wait_with_output().unwrap();
    assert_eq!(other.status.code(), Some(75), "{}", said(&other));
    cluster.scheduler.kill().unwrap();
    cluster.scheduler.wait().unwrap();
    let begun = Instant::now();
    let output = driver.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("cluster of 127.0.0.1")
            || said(&output).contains("cannot be reached")
    );
    assert!(!spread.path("live").exists());

    // Nobody there: the data are in already, and the run says why no model was trained.
    let output = spread.start("fullprocess").wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("cannot be reached"), "{}", said(&output));
    let ledger = spread.path("out/ledger.sqlite");
    let ledger = rusqlite::Connection::open(ledger).unwrap();
    let failed: u32 = ledger
        .query_row(
            "SELECT count(*) FROM runs WHERE step = 'fullprocess' AND outcome = 'failed'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(failed, 2);

    let cluster = Cluster::of(2);
    spread.configure(&cluster.engine(4, 0.004));
    let output = spread.start("fullprocess").wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}\n{}", said(&output), cluster.logs());
    let without =
        |text: String| text.lines().filter(|line| !line.contains("recorded")).collect::<String>();
    assert_eq!(without(release(&spread)), without(release(&alone)));
    assert_eq!(spread.under_way(), Vec::<String>::new());

    // With nothing new there is nothing to ask a cluster for.
    drop(cluster);
    let output = spread.start("fullprocess").wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
}

#[test]
fn a_fullprocess_whose_executor_is_killed_gives_the_same_release_at_the_latest_with_the_next_run() {
    let alone = Workspace::with(&[("a.csv".to_owned(), rows(900, 1, false))], "");
    alone.fix_the_key();
    alone.process_alone("fullprocess");
    for (start, count) in [("stretch-", 1), ("pass-", 2)] {
        let cluster = Cluster::of(3);
        let spread = Workspace::with(&[("a.csv".to_owned(), rows(900, 1, false))], "");
        spread.fix_the_key();
        spread.configure(&cluster.engine(6, 0.004).replace(": 120", ": 60"));
        let driver = spread.start("fullprocess");
        spread.await_files(start, count, &cluster);
        Command::new("kill")
            .args(["-s", "KILL", &cluster.executors[1].id().to_string()])
            .status()
            .unwrap();
        let output = driver.wait_with_output().unwrap();
        if !matches!(output.status.code(), Some(0 | 3)) {
            assert_eq!(output.status.code(), Some(1), "{}\n{}", said(&output), cluster.logs());
            let again = spread.start("fullprocess").wait_with_output().unwrap();
            assert!(
                matches!(again.status.code(), Some(0 | 3)),
                "{}\n{}",
                said(&again),
                cluster.logs()
            );
        }
        assert_eq!(spread.model(), alone.model(), "killed at {count} {start}");
        assert_eq!(spread.live(), alone.live(), "killed at {count} {start}");
    }
}
