//! Parts of a workspace that somebody removed or exchanged: the words are right, nothing is harmed,
//! and the way on that is named leads on.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use mlops_testkit::binary::Output;
use mlops_testkit::folder::files;

use crate::place::Place;

fn says(run: &Output, parts: &[&str]) {
    let said = format!("{}{}", run.stdout, run.stderr);
    for part in parts {
        assert!(said.contains(part), "no {part:?} in {run:#?}");
    }
}

#[test]
fn a_lost_or_empty_ledger_is_said_and_the_live_model_stays() {
    for empty in [false, true] {
        let place = Place::lived();
        place.remove("out/ledger.sqlite");
        if empty {
            place.file("out/ledger.sqlite", "");
        }
        let (live, before) = (place.live(), files(&place.folder));
        let state = if empty { "is empty" } else { "is not there" };
        for program in
            ["fullprocess", "first_run", "ingestion", "training", "scoring", "deployment"]
        {
            let run = place.run(program, &[]).ends_with(1);
            says(&run, &[state, "Restore it from a backup", "move the folder"]);
        }
        let mut after = files(&place.folder);
        after.retain(|path, _| !path.starts_with("out/logs"));
        let mut before = before;
        before.retain(|path, _| !path.starts_with("out/logs"));
        // The lock says who held it last.
        let lock = std::path::PathBuf::from("out/run.lock");
        before.remove(&lock);
        after.remove(&lock);
        assert!(before == after, "something was changed");
        // The other way on.
        fs::rename(place.path("out"), place.path("out-damaged")).unwrap();
        let run = place.run("fullprocess", &[]).ends_with(0);
        says(&run, &[&live]);
        place.run("deployment", &["verify", "--all"]).ends_with(0);
        place.promotes("z.csv", false, 6000);
    }
}

#[test]
fn a_removed_pointer_is_set_again() {
    let place = Place::lived();
    let live = place.live();
    place.remove("live");
    let run = place.run("fullprocess", &[]).ends_with(0);
    says(&run, &["nothing was live", "was made live again", &live]);
    assert_eq!(place.live(), live);
    place.goes_on(true);
}

#[test]
fn without_its_releases_the_one_command_is_named_that_makes_one() {
    let place = Place::lived();
    place.remove("models");
    let run = place.run("fullprocess", &[]).ends_with(1);
    says(&run, &["damaged", "`fullprocess --force`"]);
    assert!(!run.stderr.contains("rollback"), "there is nothing to go back to: {run:#?}");
    says(&place.run("deployment", &["verify"]).ends_with(1), &["damaged", "`fullprocess --force`"]);
    says(&place.run("first_run", &[]).ends_with(1), &["damaged", "`fullprocess --force`"]);
    place.run("fullprocess", &["--force"]).ends_with(0);
    place.run("deployment", &["verify"]).ends_with(0);
    let run = place.run("fullprocess", &[]).ends_with(0);
    says(&run, &["Nothing to do"]);
    place.promotes("z.csv", false, 6000);
}

#[test]
fn without_pointer_and_releases_a_model_is_trained_again() {
    let place = Place::lived();
    place.remove("models");
    place.remove("live");
    let run = place.run("fullprocess", &[]).ends_with(0);
    says(&run, &["a new model is trained", "is live now"]);
    place.goes_on(true);
}

#[test]
fn after_a_reset_the_live_model_is_replaced_by_a_better_one_alone_and_the_way_back_stays() {
    let place = Place::lived();
    let live = place.live();
    place.remove("out");
    // Under these records only the turned rows are known, on which the live model was trained.
    let run = place.run("fullprocess", &[]).ends_with(0);
    says(&run, &[&live, "cannot be told from the others"]);
    let after = place.live();
    place.promotes("z.csv", false, 6000);
    place.run("deployment", &["rollback", "--reason", "back"]).ends_with(0);
    assert_eq!(place.live(), after);
    if after != live {
        // What was live before these records began is known, too.
        place.run("deployment", &["rollback", "--reason", "further back"]).ends_with(0);
        assert_eq!(place.live(), live);
    }
}

#[test]
fn a_lock_that_is_a_link_is_refused_and_its_target_stays() {
    for theirs in ["thesis.txt", "none.txt"] {
        let place = Place::lived();
        if theirs == "thesis.txt" {
            fs::write(place.parent().join(theirs), "years of work").unwrap();
        }
        place.remove("out/run.lock");
        symlink(place.parent().join(theirs), place.path("out/run.lock")).unwrap();
        for program in ["fullprocess", "first_run", "ingestion", "deployment", "reporting"] {
            says(&place.run(program, &[]).ends_with(1), &["run.lock", "is a link", "remove it"]);
        }
        if theirs == "thesis.txt" {
            let text = fs::read_to_string(place.parent().join(theirs)).unwrap();
            assert_eq!(text, "years of work");
        } else {
            assert!(!place.parent().join(theirs).is_file(), "a file was made outside");
        }
        place.remove("out/run.lock");
        place.goes_on(true);
    }
}

#[test]
fn old_data_sets_that_are_gone_or_moved_do_not_stop_cron() {
    let place = Place::lived();
    place.promotes("y.csv", false, 4000);
    let mut sets: Vec<_> = fs::read_dir(place.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("finaldata"))
        .collect();
    sets.sort();
    assert!(sets.len() >= 3, "{sets:?}");
    let newest = fs::read(sets.last().unwrap()).unwrap();
    // An old one by hand; then another one elsewhere; then all of them.
    fs::remove_file(&sets[0]).unwrap();
    place.run("fullprocess", &[]).ends_with(0);
    fs::rename(&sets[1], place.parent().join("moved.csv")).unwrap();
    place.promotes("x.csv", true, 8000);
    for path in &sets[2..] {
        fs::remove_file(path).unwrap();
    }
    let newest_now = place.path("out/finaldata5.csv");
    assert!(fs::read(&newest_now).unwrap().starts_with(&newest));
    let bytes = fs::read(&newest_now).unwrap();
    fs::remove_file(&newest_now).unwrap();
    let run = place.run("fullprocess", &[]).ends_with(0);
    says(&run, &["byte for byte"]);
    assert!(fs::read(&newest_now).unwrap() == bytes);
    place.promotes("w.csv", false, 12_000);
}

#[test]
fn a_file_in_the_place_of_a_hold_out_does_not_stop_cron_and_moved_ones_are_known_by_content() {
    let place = Place::lived();
    // The next one would have this name.
    let theirs = mlops_testkit::binary::scene::rows(70_000..70_010);
    place.file("test/testdata_new4.csv", &theirs);
    let drawn = fs::read_to_string(place.path("test/testdata_new3.csv")).unwrap();
    fs::rename(place.path("test/testdata_new3.csv"), place.path("test/renamed.csv")).unwrap();
    place.file("source/d.csv", &mlops_testkit::binary::scene::rows(4000..4900));
    let run = place.run("fullprocess", &[]);
    assert!(matches!(run.code, Some(0 | 3)), "{run:#?}");
    let mine = fs::read_to_string(place.path("test/testdata_new4.csv")).unwrap();
    assert_eq!(mine, theirs);
    // No row of the renamed one is drawn again.
    let again = fs::read_dir(place.path("test")).unwrap().map(|entry| entry.unwrap().path());
    let again: Vec<_> = again
        .filter(|path| path.file_name().unwrap().to_string_lossy().contains("new4-"))
        .collect();
    assert_eq!(again.len(), 1, "{again:?}");
    let text = fs::read_to_string(&again[0]).unwrap();
    let known: std::collections::BTreeSet<&str> = drawn.lines().skip(1).collect();
    assert!(text.lines().skip(1).count() > 50 && !text.lines().skip(1).any(|l| known.contains(l)));
    let run = place.run("fullprocess", &[]);
    assert!(matches!(run.code, Some(0 | 3)), "{run:#?}");
}

#[test]
fn a_killed_dry_run_leaves_nothing_that_the_next_run_does_not_remove() {
    let place = Place::lived();
    place.file("source/d.csv", &mlops_testkit::binary::scene::rows(20_000..60_000));
    let tmp = place.parent().join("tmp");
    fs::create_dir(&tmp).unwrap();
    let left = || {
        let names = |folder: &std::path::Path| {
            let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
            entries.map(|n| n.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let mut all =
            [place.path("out"), place.folder.clone(), tmp.clone()].map(|f| names(&f)).concat();
        all.retain(|name| name.starts_with(".mlops-"));
        all
    };
    let mut seen = 0;
    for wait in [10, 30, 60, 100, 200] {
        let mut command = place.command("fullprocess", &["--dry-run"]);
        command.env("TMPDIR", &tmp).stdout(std::process::Stdio::null());
        let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        let _ = child.kill();
        child.wait().unwrap();
        seen += left().len();
    }
    assert!(seen > 0, "no kill came in time to leave anything");
    place.run("ingestion", &[]).ends_with(0);
    assert!(left().is_empty(), "{:?}", left());
}

#[test]
fn a_known_file_that_could_not_be_read_for_a_while_is_not_ingested_twice() {
    let place = Place::lived();
    let text = fs::read_to_string(place.path("source/c.csv")).unwrap();
    let rows = |place: &Place| {
        let newest = ["out/finaldata4.csv", "out/finaldata3.csv"];
        let newest = newest.iter().find(|name| place.path(name).is_file()).unwrap();
        fs::read(place.path(newest)).unwrap()
    };
    let before = rows(&place);
    // Reading it is an I/O error, as on a disk that fails.
    place.remove("source/c.csv");
    symlink("/proc/self/mem", place.path("source/c.csv")).unwrap();
    for _ in 0..2 {
        let run = place.run("fullprocess", &[]);
        says(&run, &["c.csv"]);
        assert!(matches!(run.code, Some(0 | 1 | 3)), "{run:#?}");
    }
    place.remove("source/c.csv");
    place.file("source/c.csv", &text);
    let run = place.run("fullprocess", &[]).ends_with(0);
    says(&run, &["Nothing to do"]);
    assert!(rows(&place) == before, "it was ingested again");
    place.promotes("z.csv", false, 6000);
}

#[test]
fn a_record_of_runs_without_news_stays_small() {
    let place = Place::lived();
    for i in 0..30 {
        place.file(&format!("source/ignored {i}.txt"), "none of ours");
    }
    place.file("source/bad.csv", "no,such,columns\n1,2,3\n");
    let size = |place: &Place| fs::metadata(place.path("out/ledger.sqlite")).unwrap().len();
    let run =
        |place: &Place| assert!(matches!(place.run("fullprocess", &[]).code, Some(0 | 1 | 3)));
    run(&place);
    let before = size(&place);
    (0..20).for_each(|_| run(&place));
    assert!(size(&place) - before < 20 * 8192, "{} bytes", size(&place) - before);
}
