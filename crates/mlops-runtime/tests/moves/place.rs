//! A workspace with its programs: where it is seen, by whom, and within which limits.
//!
//! Not for expectations.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use mlops_testkit::binary::scene::rows;
use mlops_testkit::binary::{Output, ended};
use mlops_testkit::not_run;

const CONFIG: &str = r#"{
    "input_folder_path": "in", "source_folder_path": "source", "output_folder_path": "out",
    "test_data_path": "test", "output_model_path": "model", "prod_deployment_path": "live",
    "ingestion": {"settle_seconds": 0}, "apicalls": {"url": "http://127.0.0.1:9"}
}"#;

/// The built program `name`.
pub(crate) fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.ancestors().nth(2).unwrap().join(name);
    assert!(path.is_file(), "{} is not built: run `cargo build --workspace`", path.display());
    path
}

/// A workspace, and how its programs are started.
pub(crate) struct Place {
    /// Vanishes with the last test that needs it.
    _root: Option<TempDir>,
    /// Where it is seen.
    pub(crate) folder: PathBuf,
    /// What a program is started by: `unshare`, `prlimit` and the like, with their arguments.
    pub(crate) by: Vec<OsString>,
}

impl Place {
    /// A workspace in the folder `ws` of a new one, with source files and test rows, nothing done yet.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = Self { folder: root.path().join("ws"), _root: Some(root), by: Vec::new() };
        place.file("config.json", CONFIG);
        place.file("in/a.csv", &rows(0..160));
        place.file("in/b.csv", &rows(150..280));
        place.file("test/test.csv", &rows(1000..1140));
        fs::create_dir(place.path("source")).unwrap();
        place
    }

    /// Two releases, the newer one live by `fullprocess`.
    pub(crate) fn lived() -> Self {
        let place = Self::new();
        place.run("first_run", &[]).ends_with(0);
        place.promotes("c.csv", true, 2000);
        place
    }

    /// The same workspace seen elsewhere.
    pub(crate) fn at(folder: impl Into<PathBuf>) -> Self {
        Self { _root: None, folder: folder.into(), by: Vec::new() }
    }

    /// The same, its programs started by `words`, with the program and its arguments behind them.
    pub(crate) fn by<W: AsRef<OsStr>>(folder: impl Into<PathBuf>, words: &[W]) -> Self {
        let by = words.iter().map(|word| word.as_ref().to_owned()).collect();
        Self { by, ..Self::at(folder) }
    }

    /// The folder that the workspace is in.
    pub(crate) fn parent(&self) -> &Path {
        self.folder.parent().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        let path = self.path(name);
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    /// A program with its arguments, not yet started.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut words = self.by.clone();
        words.push(program(name).into_os_string());
        words.extend(arguments.iter().map(OsString::from));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(&self.folder).stdin(Stdio::null());
        for variable in ["MLOPS_CONFIG", "MLOPS_READ_TOKEN", "MLOPS_PREDICT_TOKEN"] {
            command.env_remove(variable);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Output {
        ended(&mut self.command(name, arguments))
    }

    /// The release that is live, by its name.
    pub(crate) fn live(&self) -> String {
        let target = fs::read_link(self.path("live")).unwrap();
        target.file_name().unwrap().to_string_lossy().into_owned()
    }

    /// New rows, of which the label is the opposite of before if `turned`, and `fullprocess`, which
    /// retrains on them and promotes the result.
    pub(crate) fn promotes(&self, name: &str, turned: bool, first: u32) {
        let before = self.live();
        let mut text = rows(first..first + 900);
        if turned {
            text = text.replace(",0\n", ",#\n").replace(",1\n", ",0\n").replace(",#\n", ",1\n");
        }
        self.file(&format!("source/{name}"), &text);
        let run = self.run("fullprocess", &[]);
        // Beside rows of both kinds no model need be better than a constant answer.
        assert!(matches!(run.code, Some(0 | 3)), "{run:#?}");
        assert!(run.stdout.contains("is live now"), "{run:#?}");
        assert_ne!(before, self.live());
    }

    /// All that a workspace must be able to do after whatever happened to it. The newest rows so far
    /// were turned, if `turned`.
    pub(crate) fn goes_on(&self, turned: bool) {
        let run = self.run("ingestion", &[]).ends_with(0);
        assert!(run.stdout.contains("Nothing new in in: 2 files as recorded"), "{run:#?}");
        let run = self.run("fullprocess", &[]).ends_with(0);
        assert!(run.stdout.contains("Nothing to do"), "{run:#?}");
        let run = self.run("deployment", &["verify", "--all"]).ends_with(0);
        assert!(run.stdout.contains("(live)"), "{run:#?}");
        let before = self.live();
        self.promotes("z.csv", !turned, 6000);
        self.run("deployment", &["rollback", "--reason", "a test asks"]).ends_with(0);
        assert_eq!(self.live(), before);
        let run = self.run("deployment", &["history"]).ends_with(0);
        assert!(run.stdout.contains("(rolled back)") && !run.stdout.contains("note:"), "{run:#?}");
        self.run("diagnostics", &[]).ends_with(0);
    }
}

/// Whether `words` can be started here; says so if not, in the file that `.ci/test` shows too.
pub(crate) fn possible(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    let possible = command.status().is_ok_and(|status| status.success());
    if !possible {
        not_run(&format!("this machine does not allow `{}`", words.join(" ")));
    }
    possible
}
