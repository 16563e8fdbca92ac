//! Programs that only look, on a read-only mount and as a user who may not write; also where a run
//! that was killed has left its last commits in the log of the ledger.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use mlops_core::ledger::Ledger;

use mlops_testkit::binary::{Output, ended};
use mlops_testkit::dashboard::PAGES;
use mlops_testkit::folder::{copy, files};

use crate::place::{Place, possible};

/// Every command that only looks, with a part of what it says.
const LOOKS: [(&str, &[&str], &str); 13] = [
    ("deployment", &["history"], "rollback"),
    ("deployment", &["pending"], "waits"),
    ("ingestion", &["sources"], "in"),
    ("ingestion", &["quarantine", "inspect"], "quarantine"),
    (
        "ingestion",
        &["--forget", "nobody", "--dry-run", "--who", "the officer", "--reason", "a test"],
        "1 person would be erased",
    ),
    ("deployment", &["verify"], "Sound"),
    ("deployment", &["verify", "--all"], "Sound"),
    ("fullprocess", &["--explain"], "Decision"),
    ("fullprocess", &["--dry-run"], "Nothing to do"),
    ("diagnostics", &[], "out/finaldata3.csv"),
    ("diagnostics", &["--data", "test/test.csv"], "test/test.csv"),
    ("diagnostics", &["compare", "2", "3"], "finaldata3.csv"),
    ("diagnostics", &["compare", "in/a.csv", "in/b.csv"], "in/b.csv"),
];

/// Two releases, a rollback that the log of the ledger alone knows, and no other file of SQLite's.
fn scene() -> Place {
    let place = Place::lived();
    let ledger = Ledger::open_to_read(&place.path("out/ledger.sqlite")).unwrap().unwrap();
    ledger.deployments().unwrap();
    // Whoever closes it last would merge the log: we are still here.
    place.run("deployment", &["rollback", "--reason", "only in the log"]).ends_with(0);
    let copied = Place::at(place.parent().join("read only"));
    copy(&place.folder, &copied.folder);
    drop(ledger);
    fs::remove_file(copied.path("out/ledger.sqlite-shm")).unwrap();
    assert!(fs::metadata(copied.path("out/ledger.sqlite-wal")).unwrap().len() > 0);
    let root = place.parent().to_owned();
    fs::remove_dir_all(&place.folder).unwrap();
    fs::rename(&copied.folder, root.join("ws")).unwrap();
    place
}

/// Looks in every way; nothing may change.
fn looks(place: &Place, start: &dyn Fn(&str, &[&str]) -> Output) {
    let before = files(&place.folder);
    for (program, arguments, part) in LOOKS {
        let run = start(program, arguments);
        let different = arguments.first() == Some(&"compare");
        // The release that the rollback made live is worse than a constant answer on the newest rows.
        let worse = arguments == ["--dry-run"] && run.code == Some(3);
        let fine = run.code == Some(0) || different && run.code == Some(1) || worse;
        assert!(fine && run.stdout.contains(part), "{program} {arguments:?}: {run:#?}");
        if arguments == ["history"] {
            assert!(run.stdout.contains("only in the log"), "old data: {run:#?}");
            assert!(!run.stdout.contains("note:"), "{run:#?}");
        }
    }
    assert!(files(&place.folder) == before, "something was written");
}

fn merged(place: &Place) {
    drop(
        Ledger::open(
            &place.path("out/ledger.sqlite"),
            &mlops_core::platform::disk::Disk::default(),
        )
        .unwrap(),
    );
    assert!(!place.path("out/ledger.sqlite-wal").is_file());
}

#[test]
fn on_a_read_only_mount_everything_that_looks_works() {
    let place = scene();
    let script =
        "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && cd \"$0\" && exec \"$@\"";
    let folder = place.folder.to_str().unwrap();
    let words = ["unshare", "-rm", "sh", "-c", script, folder];
    if !possible(&[&words[..], &["true"]].concat()) {
        return;
    }
    let mounted = Place::by(&place.folder, &words);
    looks(&place, &|program, arguments| mounted.run(program, arguments));
    let run = mounted.run("ingestion", &[]).ends_with(1);
    assert!(run.stderr.contains("Read-only"), "{run:#?}");
    merged(&place);
    looks(&place, &|program, arguments| mounted.run(program, arguments));
    serves(&mut mounted.command("app", &["--port", "0"]));
}

#[test]
fn users_without_write_permission_may_look() {
    let place = scene();
    opened(place.parent());
    if !possible(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "true"]) {
        return;
    }
    let start = |program: &str, arguments: &[&str]| {
        let mut command = place.command(program, arguments);
        ended(command.uid(65_534).gid(65_534))
    };
    looks(&place, &start);
    let run = start("ingestion", &[]).ends_with(1);
    assert!(run.stderr.contains("Permission denied"), "{run:#?}");
    serves(place.command("app", &["--port", "0"]).uid(65_534).gid(65_534));
    merged(&place);
    looks(&place, &start);
    serves(place.command("app", &["--port", "0"]).uid(65_534).gid(65_534));
}

/// Others may come in, and read.
fn opened(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Records of the live release, and a row of the data looked up, besides all pages.
const RECORDS: [&str; 3] = ["/scoring", "/diagnostics", "/predictions?row.corporation=a1"];

/// The service starts, answers and stops.
fn serves(command: &mut Command) {
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines
        .find_map(|line| Some(line.unwrap().split_once("listening on http://")?.1.to_owned()))
        .unwrap();
    let ask = |path: &str, kind: &str| {
        let address = address.trim();
        let mut connection = TcpStream::connect(address).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {kind}\r\nConnection: close\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    };
    let paths = RECORDS.into_iter().chain(PAGES);
    let answers: Vec<_> =
        paths.map(|path| (path, ask(path, "application/json"), ask(path, "text/html"))).collect();
    let _ = child.kill();
    child.wait().unwrap();
    for (path, json, page) in answers {
        for answer in [&json, &page] {
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        }
        assert!(path != "/scoring" || json.contains("\"f1\""), "{json}");
        assert!(path != "/" || json.contains("\"live\":{\"release\""), "{json}");
    }
}
