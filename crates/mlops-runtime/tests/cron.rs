//! `packaging/cron.sh` against a fake `crontab` and a fake `cargo`, and its entry run as cron
//! would run it.
//!
//! Not for fullprocess itself: a script that writes down its arguments stands in for it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A name with everything that sh or cron might take for something else.
const STRANGE: &str = r#"50% of 'a\% b' "$c" # é"#;

const OTHERS: &str = "# my own\nMAILTO=me\n\n@daily  backup --all \\%\n\
    */10 * * * * other # mlops fullprocess 1\n";

const CRONTAB: &str = r#"#!/bin/sh
case $1 in
    -l)
        if [ -n "${BROKEN-}" ]; then echo "crontab: disk on fire" >&2; exit 1; fi
        if [ -f "$TABLE" ]; then cat "$TABLE"; else echo "no crontab for you" >&2; exit 1; fi ;;
    -r) rm "$TABLE" ;;
    -) cat > "$TABLE" ;;
    *) exit 2 ;;
esac
"#;

const CARGO: &str = r#"#!/bin/sh
echo "$@" > "$CALLED"
echo '{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}'
printf '{"reason":"compiler-artifact","executable":"%s","fresh":true}\n' "$ESCAPED"
echo '{"reason":"build-finished","success":true}'
"#;

const FULLPROCESS: &str = "#!/bin/sh\nprintf '%s\\n' \"$PWD\" \"$@\" > \"${0%/*}/arguments\"\n\
    echo 'it failed' >&2\nexit 1\n";

/// A machine with a crontab, and a project in the folder `name`.
struct Scene {
    root: TempDir,
    project: PathBuf,
}

impl Scene {
    fn new(name: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().canonicalize().unwrap().join(name);
        let scene = Self { root, project };
        for folder in [scene.project.join("target"), scene.at("bin")] {
            fs::create_dir_all(folder).unwrap();
        }
        script(&scene.at("bin/crontab"), CRONTAB);
        script(&scene.at("bin/cargo"), CARGO);
        script(&scene.binary(), FULLPROCESS);
        fs::write(scene.config(), "{}").unwrap();
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn binary(&self) -> PathBuf {
        self.project.join("target/fullprocess")
    }

    fn config(&self) -> PathBuf {
        self.project.join("config.json")
    }

    fn table(&self) -> Option<String> {
        fs::read_to_string(self.at("table")).ok()
    }

    fn set(&self, table: &str) {
        fs::write(self.at("table"), table).unwrap();
    }

    fn cron(&self, action: &str, config: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap().into_string().unwrap();
        let escaped = self.binary().to_str().unwrap().replace('\\', r"\\").replace('"', "\\\"");
        let mut command = Command::new("sh");
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/cron.sh"))
            .args([action, config])
            .current_dir(&self.project)
            .env("PATH", format!("{}:{path}", self.at("bin").display()))
            .env("TABLE", self.at("table"))
            .env("CALLED", self.at("called"))
            .env("ESCAPED", escaped);
        command
    }

    fn run(&self, action: &str) -> String {
        let output = self.cron(action, "config.json").output().unwrap();
        assert!(output.status.success(), "{action}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs what must fail; gives what it says.
    fn fails(&self, action: &str, broken: bool) -> String {
        let mut command = self.cron(action, "config.json");
        let command = if broken { command.env("BROKEN", "1") } else { &mut command };
        let output = command.output().unwrap();
        assert!(!output.status.success(), "{action}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The command of an entry after what cron does to it: a bare % ends it, and \% is a %.
fn command(entry: &str) -> String {
    let mut command = String::new();
    let mut escaped = false;
    for c in entry.strip_prefix("*/10 * * * * ").unwrap().trim_end().chars() {
        match c {
            '%' if escaped => {
                command.pop();
                command.push('%');
            }
            '%' => break,
            _ => command.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    command
}

#[test]
fn the_printed_entry_does_what_it_should_when_cron_runs_it() {
    for name in ["project", STRANGE] {
        let scene = Scene::new(name);
        let entry = scene.run("print");
        assert_eq!(entry.lines().count(), 1);
        assert_eq!(scene.table(), None);
        let build = fs::read_to_string(scene.at("called")).unwrap();
        assert!(build.starts_with("build --release --bin fullprocess --message-format"), "{build}");

        let status =
            Command::new("sh").arg("-c").arg(command(&entry)).current_dir("/").status().unwrap();
        assert_eq!(status.code(), Some(1), "{entry}");
        let told = fs::read_to_string(scene.project.join("target/arguments")).unwrap();
        let expected = format!("/\n--quiet\n--config\n{}\n", scene.config().display());
        assert_eq!(told, expected, "{entry}");
        let log = fs::read_to_string(scene.project.join("fullprocess.log")).unwrap();
        assert_eq!(log, "it failed\n");
    }
}

#[test]
fn installing_and_removing_touches_no_other_entry() {
    for name in ["project", STRANGE] {
        let scene = Scene::new(name);
        let entry = scene.run("print");
        scene.set(OTHERS);
        scene.run("install");
        let installed = scene.table().unwrap();
        assert_eq!(installed, format!("{OTHERS}{entry}"));

        scene.set(&format!("{installed}@reboot later\n"));
        assert!(scene.run("install").contains("nothing was changed"));
        assert_eq!(scene.table().unwrap(), format!("{installed}@reboot later\n"));

        scene.run("uninstall");
        assert_eq!(scene.table().unwrap(), format!("{OTHERS}@reboot later\n"));
        assert!(scene.run("uninstall").contains("nothing was changed"));
        assert_eq!(scene.table().unwrap(), format!("{OTHERS}@reboot later\n"));
    }
}

#[test]
fn a_crontab_that_was_not_there_is_gone_again() {
    let scene = Scene::new("project");
    scene.run("uninstall");
    assert_eq!(scene.table(), None);
    let entry = scene.run("print");
    scene.run("install");
    assert_eq!(scene.table(), Some(entry));
    scene.run("uninstall");
    assert_eq!(scene.table(), None);
}

#[test]
fn a_moved_binary_replaces_the_entry_and_a_second_project_has_its_own() {
    let scene = Scene::new("project");
    let entry = scene.run("print");
    scene.set(&format!("first\n{}last\n", entry.replace("target", "elsewhere")));
    scene.run("install");
    assert_eq!(scene.table().unwrap(), format!("first\nlast\n{entry}"));

    fs::write(scene.project.join("other.json"), "{}").unwrap();
    assert!(scene.cron("install", "other.json").output().unwrap().status.success());
    assert_eq!(scene.table().unwrap().lines().count(), 4);
    scene.run("uninstall");
    let left = scene.table().unwrap();
    assert!(left.contains("other.json") && !left.contains("/config.json"), "{left}");
}

#[test]
fn a_crontab_that_cannot_be_read_is_not_written() {
    let scene = Scene::new("project");
    scene.set(OTHERS);
    for action in ["install", "uninstall"] {
        let said = scene.fails(action, true);
        assert!(said.contains("nothing was changed: crontab: disk on fire"), "{said}");
        assert_eq!(scene.table().unwrap(), OTHERS);
    }
}

#[test]
fn what_cannot_run_is_not_installed() {
    let scene = Scene::new("project");
    scene.set(OTHERS);
    script(&scene.at("bin/cargo"), "#!/bin/sh\nexit 101\n");
    assert!(scene.fails("install", false).contains("could not be built"));
    fs::remove_file(scene.config()).unwrap();
    assert!(scene.fails("install", false).contains("config.json"));
    assert_eq!(scene.table().unwrap(), OTHERS);
    let long = Scene::new(&["x".repeat(200), "y".repeat(200)].join("/"));
    assert!(long.fails("print", false).contains("too long"));
}
