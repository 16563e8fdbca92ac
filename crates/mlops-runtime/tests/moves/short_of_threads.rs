//! Programs whose system gives them few threads or none: the same bits, or a clear word; no panic.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use mlops_core::ledger::Ledger;
use mlops_core::platform::disk::Disk;

use mlops_testkit::binary::scene::rows;
use mlops_testkit::binary::{Output, ended};
use mlops_testkit::folder::copy;

use crate::place::{Place, possible};

/// Nobody else's processes count.
const USER: u32 = 54_323;

/// What must not depend on threads.
const RESULTS: [&str; 8] = [
    "out/finaldata2.csv",
    "out/finaldata3.csv",
    "model/trainedmodel.bin",
    "model/latestscore.txt",
    "model/golden.json",
    "model/roc.svg",
    "model/roc.png",
    "model/calibration.svg",
];

fn open_to_all(folder: &Path) {
    let mode = if folder.is_dir() { 0o777 } else { 0o666 };
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    if folder.is_dir() {
        for entry in fs::read_dir(folder).unwrap() {
            open_to_all(&entry.unwrap().path());
        }
    }
}

/// Runs with at most `threads` threads, the first one included.
fn limited(place: &Place, threads: u32, program: &str, arguments: &[&str]) -> Output {
    let limit = format!("--nproc={threads}");
    let limited = Place::by(&place.folder, &["prlimit", &limit]);
    let output = ended(limited.command(program, arguments).uid(USER).gid(USER));
    assert!(!output.stderr.contains("panicked"), "{output:#?}");
    output
}

#[test]
fn with_few_threads_or_none_the_results_are_the_same_bits() {
    let user = format!("--reuid={USER}");
    if !possible(&["setpriv", &user, "--clear-groups", "prlimit", "--nproc=1", "true"]) {
        return;
    }
    let original = Place::new();
    let config = fs::read_to_string(original.path("config.json")).unwrap();
    // Medians, a table of 100,000 scores and more rows than one piece have threads of their own.
    let config = config.replacen('{', "{\"training\": {\"missing\": \"median\"}, ", 1);
    original.file("config.json", &config);
    original.file("in/b.csv", &rows(150..30_000).replace(",5,", ",,"));
    original.file("test/test.csv", &rows(200_000..301_000));
    // The secret decides which rows are drawn.
    fs::create_dir(original.path("out")).unwrap();
    let ledger = original.path("out/ledger.sqlite");
    Ledger::open(&ledger, &Disk::default()).unwrap().fix_holdout_key(42).unwrap();
    let made = |threads: u32| {
        let place = Place::at(original.parent().join(format!("with {threads}")));
        copy(&original.folder, &place.folder);
        open_to_all(original.parent());
        let run = |program: &str| match threads {
            0 => place.run(program, &[]),
            _ => limited(&place, threads, program, &[]),
        };
        run("first_run").ends_with(0);
        place.file("source/c.csv", &rows(40_000..40_900));
        let decided = run("fullprocess");
        let alone = decided.stderr.contains("error: the HTTP client failed");
        assert!(decided.code == Some(0) || alone && threads > 0, "{decided:#?}");
        assert!(decided.stdout.contains("new rows from c.csv"), "{decided:#?}");
        RESULTS.map(|name| (name, fs::read(place.path(name)).unwrap()))
    };
    let expected = made(0);
    for threads in [1, 2, 3, 4] {
        for ((name, expected), (_, found)) in expected.iter().zip(made(threads)) {
            assert!(*expected == found, "{name} with {threads} threads");
        }
    }
}

#[test]
fn a_service_without_threads_says_so() {
    let user = format!("--reuid={USER}");
    if !possible(&["setpriv", &user, "--clear-groups", "prlimit", "--nproc=1", "true"]) {
        return;
    }
    let place = Place::new();
    place.run("first_run", &[]).ends_with(0);
    open_to_all(place.parent());
    for threads in [1, 2] {
        let run = limited(&place, threads, "app", &["--port", "0"]).ends_with(1);
        assert!(run.stderr.contains("raise the limit"), "{run:#?}");
    }
    for (program, arguments) in
        [("apicalls", &[][..]), ("deployment", &["verify"]), ("fullprocess", &["--explain"])]
    {
        let run = limited(&place, 1, program, arguments);
        assert!(matches!(run.code, Some(0 | 1)), "{run:#?}");
    }
}
