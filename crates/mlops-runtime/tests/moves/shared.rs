//! Two users of a group at work in one workspace, each with a umask that lets the group write.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;

use crate::place::{Place, possible};
use mlops_testkit::binary::{Output, ended};

const USERS: [u32; 2] = [54_321, 54_322];
const GROUP: u32 = 54_400;

/// Gives all that is there to the group.
fn give_to_group(folder: &std::path::Path) {
    chown(folder, None, Some(GROUP)).unwrap();
    let mode = if folder.is_dir() { 0o2775 } else { 0o664 };
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    if folder.is_dir() {
        for entry in fs::read_dir(folder).unwrap() {
            give_to_group(&entry.unwrap().path());
        }
    }
}

/// What the group could not write to.
fn closed(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_symlink() {
            continue;
        }
        if metadata.gid() != GROUP || metadata.mode() & 0o020 == 0 {
            found.push(format!("{} {:o}", path.display(), metadata.mode()));
        }
        if metadata.is_dir() {
            found.extend(closed(&path));
        }
    }
    found
}

#[test]
fn two_users_of_a_group_take_turns() {
    if !possible(&["setpriv", "--reuid=54321", "--regid=54400", "--clear-groups", "true"]) {
        return;
    }
    let plain = Place::new();
    give_to_group(plain.parent());
    let place = Place::by(&plain.folder, &["sh", "-c", "umask 002; exec \"$0\" \"$@\""]);
    let start = |user: usize, program: &str, arguments: &[&str]| -> Output {
        let mut command = place.command(program, arguments);
        ended(command.uid(USERS[user]).gid(GROUP))
    };
    start(0, "first_run", &[]).ends_with(0);
    assert_eq!(closed(&plain.folder), [""; 0]);
    start(1, "ingestion", &[]).ends_with(0);
    let mut turned = true;
    for (turn, first) in [2000, 4000, 6000].into_iter().enumerate() {
        let mut rows = mlops_testkit::binary::scene::rows(first..first + 900);
        if turned {
            rows = rows.replace(",0\n", ",#\n").replace(",1\n", ",0\n").replace(",#\n", ",1\n");
        }
        turned = !turned;
        plain.file(&format!("source/{first}.csv"), &rows);
        give_to_group(&plain.path("source"));
        let run = start((turn + 1) % 2, "fullprocess", &[]).ends_with(0);
        assert!(run.stdout.contains("is live now"), "{run:#?}");
        assert_eq!(closed(&plain.folder), [""; 0]);
    }
    for (user, program, arguments) in [
        (0, "deployment", &["rollback", "--reason", "a test asks"][..]),
        (1, "training", &[]),
        (0, "scoring", &[]),
        (1, "diagnostics", &[]),
        (0, "reporting", &[]),
        (1, "deployment", &["verify", "--all"]),
        (1, "fullprocess", &["--dry-run"]),
        (0, "fullprocess", &[]),
    ] {
        // The release that the rollback made live is worse than a constant answer on the newest rows.
        let code = if program == "fullprocess" { 3 } else { 0 };
        start(user, program, arguments).ends_with(code);
        assert_eq!(closed(&plain.folder), [""; 0], "after {program}");
    }
}
