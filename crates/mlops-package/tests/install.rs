//! `packaging/`: what is installed, and that it goes again without a trace; what a package of Debian has; what a build
//! says that lacks something. Not for the archive, which takes a build of its own: see `packaging/try.sh`.

#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mlops_testkit::not_run;
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A folder as `tree.sh` lays it out, whose executable is a script that says its words, and a place to install it to.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        let program = scene.path("mlops");
        fs::write(&program, "#!/bin/sh\necho \"${0##*/} $*\"\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let made = Command::new(Path::new(ROOT).join("packaging/tree.sh"))
            .arg(scene.path("tree"))
            .arg(&program)
            .args([env!("CARGO_BIN_EXE_mlops-package"), "2026-11-30"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        fs::create_dir(scene.path("root")).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Output {
        Command::new(self.path("tree/install.sh"))
            .args(words)
            .env("DESTDIR", self.path("root"))
            .output()
            .unwrap()
    }

    fn done(&self, words: &[&str]) {
        let told = self.run(words);
        assert!(told.status.success(), "{words:?}: {told:?}");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path("root").join(name)).unwrap()
    }
}

/// Everything below `folder`.
fn found(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let entry = entry.unwrap();
            found.insert(entry.path().strip_prefix(folder).unwrap().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn what_is_installed_works_and_goes_without_a_trace() {
    let scene = Scene::new();
    let root = scene.path("root");
    scene.done(&["install", "/opt/mlops"]);
    let links = fs::read_dir(root.join("opt/mlops/libexec/mlops")).unwrap().count();
    let programs = fs::read_dir(Path::new(ROOT).join("bins")).unwrap().count();
    assert_eq!(links, programs);
    let told =
        Command::new(root.join("opt/mlops/libexec/mlops/scoring")).arg("x").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&told.stdout), "scoring x\n");
    for unit in ["mlops-app.service", "mlops-fullprocess.service"] {
        let unit = scene.read(&format!("opt/mlops/lib/systemd/system/{unit}"));
        assert!(unit.contains("\nExecStart=/opt/mlops/bin/mlops "), "{unit}");
        assert!(!unit.contains("/usr/local/bin"), "{unit}");
    }
    assert!(scene.read("opt/mlops/share/man/man1/mlops-training.1").contains(".SH SYNOPSIS"));
    scene.done(&["uninstall", "/opt/mlops"]);
    assert_eq!(found(&root), BTreeSet::new());
    // Nothing is there to remove a second time.
    let told = scene.run(&["uninstall", "/opt/mlops"]);
    assert_eq!(told.status.code(), Some(2), "{told:?}");
}

#[test]
fn what_was_there_before_stays_and_what_a_new_version_lacks_goes() {
    let scene = Scene::new();
    let root = scene.path("root");
    fs::create_dir_all(root.join("usr/local/share/man/man1")).unwrap();
    fs::create_dir_all(root.join("usr/local/bin")).unwrap();
    fs::write(root.join("usr/local/bin/app"), "another's").unwrap();
    let before = found(&root);
    let old = scene.path("tree/man/mlops-old.1");
    fs::write(&old, ".TH OLD 1\n").unwrap();
    scene.done(&["install", "/usr/local/"]);
    assert!(found(&root).contains("usr/local/share/man/man1/mlops-old.1"));
    fs::remove_file(&old).unwrap();
    scene.done(&["install", "/usr/local"]);
    let second = found(&root);
    assert!(!second.contains("usr/local/share/man/man1/mlops-old.1"));
    scene.done(&["install", "/usr/local"]);
    assert_eq!(found(&root), second);
    scene.done(&["uninstall", "/usr/local"]);
    assert_eq!(found(&root), before);
    assert_eq!(scene.read("usr/local/bin/app"), "another's");
}

#[test]
fn a_place_that_cannot_be_is_refused_before_anything_is_written() {
    let scene = Scene::new();
    for wrong in ["local", "~/.local", "/opt/my mlops", "/opt/../etc", "/a|b"] {
        let told = scene.run(&["install", wrong]);
        assert_eq!(told.status.code(), Some(2), "{wrong}: {told:?}");
    }
    assert_eq!(found(&scene.path("root")), BTreeSet::new());
    // A list that says more than it may removes nothing of others.
    scene.done(&["install", "/usr"]);
    let kept = scene.path("root/kept");
    fs::write(&kept, "").unwrap();
    let list = scene.path("root/usr/share/mlops/installed");
    fs::write(&list, "f /kept\n").unwrap();
    let told = scene.run(&["uninstall", "/usr"]);
    assert!(told.status.code() == Some(2) && kept.try_exists().unwrap(), "{told:?}");
}

/// Words of `dpkg-deb` about `package`, or nothing where there is no dpkg-deb.
fn dpkg_deb(words: &[&str], package: &Path) -> Option<String> {
    let told = Command::new("dpkg-deb").args(words).arg(package).output().ok()?;
    assert!(told.status.success(), "{told:?}");
    Some(String::from_utf8(told.stdout).unwrap())
}

#[test]
fn a_package_of_debian_has_what_is_installed_and_is_made_the_same_twice() {
    let scene = Scene::new();
    let tree = scene.path("tree");
    for name in ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-MIT"] {
        fs::copy(Path::new(ROOT).join(name), tree.join(name)).unwrap();
    }
    for name in ["sbom.cdx.json", "LICENSES.txt", "docs", "example"] {
        fs::write(tree.join(name), name).unwrap();
    }
    let build = |place: &str| {
        let place = scene.path(place);
        fs::create_dir(&place).unwrap();
        let made = Command::new(Path::new(ROOT).join("packaging/deb.sh"))
            .arg(&tree)
            .args(["1.2.3", "x86_64", "1790000000"])
            .arg(&place)
            .output();
        (made.unwrap(), place.join("mlops_1.2.3-1_amd64.deb"))
    };
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        return not_run("no dpkg-deb");
    }
    let (made, package) = build("first");
    assert!(made.status.success(), "{made:?}");
    let list = dpkg_deb(&["--contents"], &package).unwrap();
    scene.done(&["install", "/usr"]);
    for path in found(&scene.path("root")) {
        // dpkg has a list of its own; pages are packed; zsh of Debian looks elsewhere.
        if path.starts_with("usr/share/mlops") {
            continue;
        }
        let path = path.replace("zsh/site-functions", "zsh/vendor-completions");
        assert!(list.contains(&format!(" ./{path}")), "{path} is not in\n{list}");
    }
    assert!(list.lines().all(|line| line.contains(" root/root ")), "{list}");
    for path in ["share/man/man1/mlops-doctor.1.gz", "share/doc/mlops/copyright"] {
        assert!(list.contains(path), "{path} is not in\n{list}");
    }
    let control = dpkg_deb(&["--field"], &package).unwrap();
    for line in ["Package: mlops", "Version: 1.2.3-1", "Architecture: amd64", "Depends: passwd"] {
        assert!(control.lines().any(|given| given == line), "{control}");
    }
    let (_, second) = build("second");
    assert!(fs::read(package).unwrap() == fs::read(second).unwrap());
}

/// As the shells complete words: each that is installed here.
#[test]
fn shells_complete_words() {
    let scene = Scene::new();
    let folder = scene.path("tree/completions");
    let bash = "source mlops.bash; COMP_WORDS=(mlops deployment ve); COMP_CWORD=2; \
                _mlops mlops ve deployment; echo \"${COMPREPLY[@]}\"";
    // zsh has completions in its line editor only; whether it can read them is what a script can ask.
    let zsh = "autoload -Uz compinit && compinit -D -u; source ./_mlops && whence -w _mlops__deployment_commands \
               _mlops__subcmd__deployment_commands | grep -q function && echo verify";
    let fish = "source mlops.fish; complete --do-complete 'mlops deployment ve' | string split \\t | head -n 1";
    for (shell, script) in [("bash", bash), ("zsh", zsh), ("fish", fish)] {
        let told = Command::new(shell).args(["-c", script]).current_dir(&folder).output();
        let Ok(told) = told else {
            not_run(&format!("no {shell}"));
            continue;
        };
        assert_eq!(String::from_utf8_lossy(&told.stdout).trim(), "verify", "{shell}: {told:?}");
    }
}

/// As people see the pages.
#[test]
fn groff_has_nothing_to_say_of_the_pages() {
    let scene = Scene::new();
    for entry in fs::read_dir(scene.path("tree/man")).unwrap() {
        let page = entry.unwrap().path();
        let groff = Command::new("groff").args(["-man", "-Tutf8", "-ww"]).arg(&page).output();
        let Ok(shown) = groff else { return not_run("no groff") };
        let warnings = String::from_utf8_lossy(&shown.stderr);
        assert!(shown.status.success() && warnings.is_empty(), "{}: {warnings}", page.display());
        assert!(shown.stdout.len() > 500, "{} is empty", page.display());
    }
}

#[test]
fn what_a_build_lacks_is_named_together() {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path();
    for tool in ["bash", "sed", "sort", "head", "cut", "dirname", "printf"] {
        let found = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(tool));
        let found = found.into_iter().find(|path| path.try_exists().unwrap()).unwrap();
        symlink(found, bin.join(tool)).unwrap();
    }
    let needs = || {
        let needs = Path::new(ROOT).join("packaging/needs.sh");
        let told = Command::new(bin.join("bash"))
            .arg(needs)
            .env("PATH", bin)
            .env_remove("CC")
            .output()
            .unwrap();
        (told.status.code(), String::from_utf8(told.stderr).unwrap())
    };
    let rustc = |version: &str| {
        let path = bin.join("rustc");
        fs::write(&path, format!("#!/bin/sh\necho rustc {version} x\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let (code, said) = needs();
    let both = said.contains("with cargo") && said.contains("compiler of C");
    assert!(code == Some(1) && both, "{said}");
    symlink("/bin/true", bin.join("cargo")).unwrap();
    symlink("/bin/true", bin.join("cc")).unwrap();
    rustc("1.80.1");
    let (code, said) = needs();
    assert!(code == Some(1) && said.contains("since this is 1.80.1"), "{said}");
    assert!(!said.contains("compiler"), "{said}");
    rustc("1.100.0");
    assert_eq!(needs(), (Some(0), String::new()));
}
