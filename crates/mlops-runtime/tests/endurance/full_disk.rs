//! A disk that really fills up, at every size between too small and large enough, and one that
//! really cannot be written: file systems in memory, mounted by a second process of this test's
//! own program, which may do so in a namespace of its own. Where a system forbids that, the test
//! says so and proves nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use mlops_core::platform::disk::Disk;
use tempfile::TempDir;

use crate::soak;
use crate::world::{Program, State, copy, live, must_be_sound};
use mlops_testkit::binary::scene::alone;
use mlops_testkit::not_run;

/// Set for the second process.
const TASK: &str = "MLOPS_TEST_MOUNTS";

/// Runs the test `name` again where it may mount.
fn in_a_namespace(name: &str) {
    let command = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]).stdin(Stdio::null());
        command
    };
    let _alone = alone();
    let probe = command().args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return not_run("this system lets nobody mount in a namespace of one's own");
    }
    let output = command()
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(TASK, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn is_second_process() -> bool {
    std::env::var(TASK).is_ok()
}

/// A mounted file system; gone with the second process.
struct Mount(TempDir);

impl Mount {
    fn new() -> Self {
        let mount = Self(tempfile::tempdir().unwrap());
        mount.mount("size=64m");
        mount
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn mount(&self, options: &str) {
        let mut command = Command::new("mount");
        let status =
            command.args(["-t", "tmpfs", "-o", options, "none"]).arg(self.folder()).status();
        assert!(status.unwrap().success(), "mount -o {options}");
    }

    /// Empty again, then as `fresh` is.
    fn fill(&self, fresh: &Path) {
        let status = Command::new("umount").arg(self.folder()).status();
        assert!(status.unwrap().success());
        self.mount("size=64m");
        copy(fresh, self.folder());
    }

    /// Room for `kibibytes` more than there are, or for everything.
    fn leave(&self, kibibytes: Option<u64>) {
        let size = kibibytes.map_or(64 << 10, |more| self.used() + more);
        self.mount(&format!("remount,size={size}k"));
    }

    /// Kibibytes in use.
    fn used(&self) -> u64 {
        let output = Command::new("df").arg("-Pk").arg(self.folder()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().nth(1).unwrap().split_whitespace().nth(2).unwrap().parse().unwrap()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder()).status();
    }
}

/// The stage that could not write, by the place that the error names.
fn stage(error: &str) -> &'static str {
    let places = [
        ("ledger.sqlite", "ledger"),
        ("/out/", "ingestion"),
        ("/test/", "hold-out"),
        ("trainedmodel", "training"),
        ("model.json", "training"),
        ("golden.json", "training"),
        ("score", "scoring"),
        ("/models/", "deployment"),
        ("/live", "deployment"),
        ("/model/", "reporting"),
    ];
    let found = places.iter().find(|(place, _)| error.contains(place));
    found.unwrap_or_else(|| panic!("{error} names no place")).1
}

#[test]
fn on_a_full_disk_the_old_state_stays_and_with_room_the_next_run_goes_on() {
    if !is_second_process() {
        let name =
            "full_disk::on_a_full_disk_the_old_state_stays_and_with_room_the_next_run_goes_on";
        return in_a_namespace(name);
    }
    for program in Program::ALL {
        let (mount, fresh) = (Mount::new(), Mount::new());
        let folder = mount.folder();
        program.fill(folder);
        copy(folder, fresh.folder());
        let old = live(folder);
        program.run(folder, Disk::default()).unwrap();
        let (expected, promoted) = (State::of(folder), live(folder));
        let mut stages = BTreeSet::new();
        // Until it succeeds; reporting writes the most, and is the same everywhere.
        for room in (0..).step_by(soak(8, 4)) {
            mount.fill(fresh.folder());
            mount.leave(Some(room));
            let what = format!("{} with {room} KiB", program.name());
            let Err(error) = program.run(folder, Disk::default()) else { break };
            let text = error.to_string();
            stages.insert(stage(&text));
            let present = live(folder);
            assert!(present == old || present == promoted, "{what}: {text}: {present:?}");
            mount.leave(None);
            must_be_sound(folder, &what);
            program.run(folder, Disk::default()).unwrap_or_else(|e| panic!("{what}: then {e}"));
            State::of(folder).must_be(&expected, &what);
            if soak(true, false) && stages.contains("reporting") {
                break;
            }
        }
        let all = ["ledger", "ingestion", "training", "deployment", "reporting"];
        for stage in if program == Program::Forget { &all[..1] } else { &all[..] } {
            assert!(stages.contains(stage), "{}: {stage} is not in {stages:?}", program.name());
        }
    }
}

#[test]
fn where_nothing_can_be_written_the_error_says_so_and_nothing_changes() {
    if !is_second_process() {
        let name = "full_disk::where_nothing_can_be_written_the_error_says_so_and_nothing_changes";
        return in_a_namespace(name);
    }
    for program in Program::ALL {
        let mount = Mount::new();
        let folder = mount.folder();
        program.fill(folder);
        mount.mount("remount,ro");
        let error = program.run(folder, Disk::default()).unwrap_err();
        let reason = std::error::Error::source(&error).map_or(String::new(), ToString::to_string);
        let text = format!("{error}: {reason}");
        assert!(text.contains("Read-only file system"), "{text}");
        assert!(text.contains(&folder.display().to_string()), "{text}");
        mount.mount("remount,rw");
        must_be_sound(folder, &text);
        program.run(folder, Disk::default()).unwrap();
    }
}
