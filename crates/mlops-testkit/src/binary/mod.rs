//! Checks of a built program for what all programs guarantee at the command line.
//!
//! Each `bins/*/tests/smoke.rs` starts with it. Not for what a step computes: core's own
//! tests check that.

/// Whole outputs that are kept.
pub mod golden;
/// A small workspace, brought by core to where a program starts.
pub mod scene;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use mlops_core::platform::disk::Disk;
use mlops_core::platform::lock::Lock;
use serde_json::Value;

use scene::Scene;

/// A built program.
#[derive(Debug, Clone, Copy)]
pub struct Binary {
    /// Its name.
    pub name: &'static str,
    /// Where it was built.
    pub path: &'static str,
}

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; nothing after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// The one JSON document that standard output consists of.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {self:#?}"))
    }

    /// Checks the exit code.
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

impl Binary {
    /// Not yet started, in `folder`.
    pub fn command<A: AsRef<OsStr>>(self, folder: &Path, arguments: &[A]) -> Command {
        let mut command = Command::new(self.path);
        command.args(arguments).current_dir(folder).env_remove("MLOPS_CONFIG");
        command.env_remove("MLOPS_READ_TOKEN").env_remove("MLOPS_PREDICT_TOKEN");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs in `folder`; neither stream is a terminal, so none may carry an escape code.
    pub fn run<A: AsRef<OsStr>>(self, folder: &Path, arguments: &[A]) -> Output {
        ended(&mut self.command(folder, arguments))
    }

    /// `--help` has an example, `--version` a version.
    pub fn explains_itself(self) {
        let scene = Scene::new();
        let help = self.run(scene.root(), &["--help"]).ends_with(0);
        let example = ["Example", "Examples"].map(|word| format!("{word}:\n  {}", self.name));
        assert!(example.iter().any(|e| help.stdout.contains(e)), "{help:#?}");
        for option in ["--config", "MLOPS_CONFIG", "--json", "--quiet", "--verbose"] {
            assert!(help.stdout.contains(option), "{option} in {help:#?}");
        }
        golden::compare(&format!("{}-help", self.name), &help.stdout);
        let version = self.run(scene.root(), &["--version"]).ends_with(0);
        assert_eq!(version.stdout, format!("{} {}\n", self.name, env!("CARGO_PKG_VERSION")));
        assert!(!scene.path("out").is_dir(), "asking made a folder");
    }

    /// Wrong options and configurations end with 2, all problems on standard error.
    pub fn refuses_wrong_usage(self) {
        let scene = Scene::new();
        let usage = self.run(scene.root(), &["--jsn"]).ends_with(2);
        assert!(usage.stdout.is_empty() && usage.stderr.contains("--json"), "{usage:#?}");
        let none = self.run(scene.root(), &["--config", "none.json"]).ends_with(2);
        assert!(none.stdout.is_empty() && none.stderr.contains("none.json"), "{none:#?}");
        scene.file("typo.json", r#"{"output_folder_pth": "out", "training": {"C": "x"}}"#);
        let typo = self.run(scene.root(), &["--config", "typo.json", "--quiet"]).ends_with(2);
        assert!(typo.stdout.is_empty(), "{typo:#?}");
        for part in ["typo.json", "did you mean \"output_folder_path\"?", "training.C"] {
            assert!(typo.stderr.contains(part), "{part} in {typo:#?}");
        }
        let json = self.run(scene.root(), &["--config", "typo.json", "--json"]).ends_with(2);
        assert_eq!(json.json()["error"]["kind"], "config");
    }

    /// While another run holds the workspace it ends with 75 and changes nothing.
    pub fn gives_way(self, scene: &Scene) {
        let lock = scene.path("out/run.lock");
        let _held = Lock::acquire(&Disk::default(), &lock, "training (pid 7)").unwrap();
        let before = scene.files();
        let locked = self.run(scene.root(), &["--json"]).ends_with(75);
        assert_eq!(locked.json()["error"]["kind"], "locked");
        assert!(locked.stderr.contains("training (pid 7)"), "{locked:#?}");
        assert!(before == scene.files(), "{} touched a workspace under lock", self.name);
    }

    /// Fails with 1 and the reason, on standard error and in JSON.
    pub fn fails(self, scene: &Scene, part: &str) {
        let failed = self.run(scene.root(), &["--quiet"]).ends_with(1);
        assert!(failed.stdout.is_empty() && failed.stderr.starts_with("error: "), "{failed:#?}");
        assert!(failed.stderr.contains(part), "{part} in {failed:#?}");
        let json = self.run(scene.root(), &["--json"]).ends_with(1).json();
        assert!(json["error"]["message"].as_str().unwrap().contains(part), "{json:#}");
    }

    /// The same work said in words, in one JSON document, not at all, and in log lines.
    pub fn speaks(self, ready: fn() -> Scene) {
        // Warnings go to standard error in any case, and the same ones.
        let warnings = |text: &str| text.lines().all(|line| line.starts_with("warning: "));
        let scene = ready();
        let words = self.run(scene.root(), &[] as &[&str]).ends_with(0);
        let report = format!("{}{}", words.stdout, words.stderr);
        golden::compare(&format!("{}-report", self.name), &golden::stable(&report, scene.root()));
        assert!(!words.stdout.is_empty() && warnings(&words.stderr), "{words:#?}");
        let json = self.run(ready().root(), &["--json"]).ends_with(0);
        assert!(json.json().is_object() && json.stderr == words.stderr, "{json:#?}");
        let quiet = self.run(ready().root(), &["-q"]).ends_with(0);
        assert!(quiet.stdout.is_empty() && quiet.stderr == words.stderr, "{quiet:#?}");
        let logged = self.run(ready().root(), &["-qv", "--json"]).ends_with(0);
        assert_eq!(logged.stderr, words.stderr, "{logged:#?}");
        let arguments = ["-v", "--log-format", "json", "--json"];
        let logged = self.run(ready().root(), &arguments).ends_with(0);
        assert!(logged.json().is_object() && !logged.stderr.is_empty(), "{logged:#?}");
        for line in logged.stderr.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    }

    /// Whatever stands in files and their names: short lines, and nothing that a terminal obeys.
    pub fn survives_hostile_content(self, scene: &Scene, arguments: &[&str]) {
        for more in [&[][..], &["--json"], &["-v"], &["-v", "--log-format", "json"]] {
            let output = self.run(scene.root(), &[arguments, more].concat());
            assert!(matches!(output.code, Some(0 | 1 | 3)), "{output:#?}");
            let is_json = more.contains(&"--json");
            must_be_tame(&output.stderr, &format!("{} {more:?}, standard error", self.name));
            let place = format!("{} {more:?}, standard output", self.name);
            if is_json {
                assert!(output.json().is_object());
                must_be_plain(&output.stdout, &place);
            } else {
                must_be_tame(&output.stdout, &place);
            }
        }
        for name in ["ingestedfiles.txt", "test_files.txt", "quarantine.csv"] {
            if let Ok(text) = std::fs::read_to_string(scene.path("out").join(name)) {
                must_be_plain(&text, name);
            }
        }
        for log in std::fs::read_dir(scene.path("out/logs")).into_iter().flatten() {
            must_be_tame(&std::fs::read_to_string(log.unwrap().path()).unwrap(), "a log");
        }
        if let Ok(page) = std::fs::read_to_string(scene.path("model/report.html")) {
            must_be_plain(&page, "report.html");
            assert!(page.len() < 1 << 20, "a page of {} bytes", page.len());
        }
    }

    /// A reader of standard output that left early is no failure, a full disk is one; neither is
    /// a panic.
    #[cfg(target_os = "linux")]
    pub fn bears_a_broken_standard_output(self, ready: fn() -> Scene) {
        let scene = ready();
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = self.command(scene.root(), &["--json"]);
        let output = ended(command.stdout(full)).ends_with(1);
        assert!(output.stderr.contains("error: cannot write to standard output"), "{output:#?}");
        let scene = ready();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.command(scene.root(), &["--json"]);
        let output = ended(command.stdout(writer)).ends_with(0);
        let warnings = output.stderr.lines().all(|line| line.starts_with("warning: "));
        assert!(warnings, "{output:#?}");
    }

    /// Paths resolve from the configuration's folder, however it is named and from wherever.
    pub fn finds_its_configuration(self, ready: fn() -> Scene) {
        let elsewhere = Scene::empty();
        let named = ready();
        let path = named.path("config.json");
        self.run(elsewhere.root(), &[OsStr::new("--config"), path.as_os_str()]).ends_with(0);
        let by_variable = ready();
        let mut command = self.command(elsewhere.root(), &["--quiet"]);
        ended(command.env("MLOPS_CONFIG", by_variable.path("config.json"))).ends_with(0);
        let below = ready();
        self.run(&below.path("in"), &["--config", "../config.json"]).ends_with(0);
        assert!(elsewhere.files().is_empty(), "files in the working directory");
        for scene in [named, by_variable, below] {
            assert!(scene.path("out/ledger.sqlite").is_file());
            assert!(!scene.path("in/out").is_dir());
        }
    }
}

/// Checks that no character of `text` does anything.
fn must_be_plain(text: &str, place: &str) {
    let active = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let found = text.char_indices().find(|(_, c)| active(*c));
    let around = |at: usize| {
        let start = text.floor_char_boundary(at.saturating_sub(80));
        text[start..].chars().take(120).collect::<String>()
    };
    assert!(found.is_none(), "{place}: {found:?} in {:?}", around(found.unwrap().0));
}

/// Checks that besides `text` is short.
fn must_be_tame(text: &str, place: &str) {
    must_be_plain(text, place);
    let longest = text.lines().max_by_key(|line| line.len()).unwrap_or_default();
    assert!(longest.len() <= 2400, "{place}: a line of {} bytes: {longest}", longest.len());
    assert!(text.len() < 40_000, "{place}: {} bytes in all: {text}", text.len());
}

/// Runs a command to its end.
pub fn ended(command: &mut Command) -> Output {
    let child = {
        let _alone = scene::alone();
        command.spawn().unwrap()
    };
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let output = Output {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(!(output.stdout.clone() + &output.stderr).contains('\u{1b}'), "{output:#?}");
    output
}
