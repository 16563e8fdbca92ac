//! Moves, copies, mounts and backups: everything goes on where it stood.

use std::fs;
use std::os::unix::fs::symlink;

use mlops_testkit::folder::{copy, files};

use crate::place::{Place, possible};

#[test]
fn a_copy_goes_on_and_the_original_stays_as_it_is() {
    let original = Place::lived();
    let before = files(&original.folder);
    let copied = Place::at(original.parent().join("copy"));
    copy(&original.folder, &copied.folder);
    copied.goes_on(true);
    assert!(files(&original.folder) == before);
    original.goes_on(true);
}

#[test]
fn a_moved_workspace_goes_on() {
    let here = Place::lived();
    let there = Place::at(here.parent().join("elsewhere/deeper"));
    fs::create_dir(here.parent().join("elsewhere")).unwrap();
    fs::rename(&here.folder, &there.folder).unwrap();
    there.goes_on(true);
}

#[test]
fn a_renamed_output_folder_goes_on() {
    let place = Place::lived();
    fs::rename(place.path("out"), place.path("renamed")).unwrap();
    let config = fs::read_to_string(place.path("config.json")).unwrap();
    place.file("config.json", &config.replace("\"out\"", "\"renamed\""));
    place.goes_on(true);
    assert!(!place.path("out").is_dir());
}

#[test]
fn a_workspace_behind_a_link_goes_on_and_back() {
    let place = Place::lived();
    symlink("ws", place.parent().join("link")).unwrap();
    Place::at(place.parent().join("link")).goes_on(true);
    // Named from elsewhere, as cron does.
    let config = place.path("config.json");
    let run = Place::at(place.parent())
        .run("ingestion", &["--config", config.to_str().unwrap()])
        .ends_with(0);
    assert!(run.stdout.contains("2 files as recorded"), "{run:#?}");
}

#[test]
fn a_mounted_workspace_goes_on() {
    let place = Place::lived();
    let mount = place.parent().join("mnt");
    fs::create_dir(&mount).unwrap();
    let script = "mount --bind \"$0\" \"$1\" && cd \"$1\" && shift && exec \"$@\"";
    let (from, to) = (place.folder.to_str().unwrap(), mount.to_str().unwrap());
    let words = ["unshare", "-rm", "sh", "-c", script, from, to];
    if !possible(&[&words[..], &["true"]].concat()) {
        return;
    }
    let mounted = Place::by(&place.folder, &words);
    mounted.goes_on(true);
    // Seen from outside again.
    let run = place.run("ingestion", &[]).ends_with(0);
    assert!(run.stdout.contains("2 files as recorded"), "{run:#?}");
}

#[test]
fn of_a_backup_of_ledger_and_source_files_alone_the_rest_is_made_again() {
    for (program, promoted) in [("fullprocess", true), ("first_run", false), ("fullprocess", false)]
    {
        let original = if promoted { Place::lived() } else { Place::new() };
        if !promoted {
            original.run("first_run", &[]).ends_with(0);
        }
        let restored = Place::at(original.parent().join("restored"));
        for name in ["in", "source"] {
            copy(&original.path(name), &restored.path(name));
        }
        fs::create_dir_all(restored.path("test")).unwrap();
        fs::create_dir_all(restored.path("out")).unwrap();
        for name in ["config.json", "test/test.csv", "out/ledger.sqlite"] {
            fs::copy(original.path(name), restored.path(name)).unwrap();
        }
        let run = restored.run(program, &[]).ends_with(0);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains("made again from its sources, byte for byte"), "{run:#?}");
        if program == "fullprocess" {
            assert!(said.contains("a new model is trained"), "{run:#?}");
        }
        restored.run("deployment", &["verify"]).ends_with(0);
        for name in ["out/finaldata2.csv", "out/finaldata3.csv"].into_iter().rev() {
            if original.path(name).is_file() {
                assert!(
                    fs::read(restored.path(name)).unwrap()
                        == fs::read(original.path(name)).unwrap()
                );
                break;
            }
        }
        let run = restored.run("fullprocess", &[]).ends_with(0);
        assert!(run.stdout.contains("Nothing to do"), "{run:#?}");
        restored.promotes("z.csv", !promoted, 6000);
        restored.run("deployment", &["rollback", "--reason", "a test asks"]).ends_with(0);
    }
}

#[test]
fn a_drawn_hold_out_is_made_again_where_no_test_data_are_left() {
    for ids in [true, false] {
        let original = Place::new();
        original.remove("test");
        if !ids {
            let config = fs::read_to_string(original.path("config.json")).unwrap();
            let schema = r#"{"schema": {"numeric": ["lastmonth_activity", "lastyear_activity",
                "number_of_employees"], "target": "exited"}, "#;
            original.file("config.json", &config.replacen('{', schema, 1));
        }
        original.run("first_run", &[]).ends_with(0);
        original.promotes("c.csv", true, 2000);
        let name = "test/testdata_new3.csv";
        let restored = Place::at(original.parent().join("restored"));
        for name in ["in", "source"] {
            copy(&original.path(name), &restored.path(name));
        }
        fs::create_dir_all(restored.path("out")).unwrap();
        for name in ["config.json", "out/ledger.sqlite"] {
            fs::copy(original.path(name), restored.path(name)).unwrap();
        }
        let run = restored.run("fullprocess", &[]).ends_with(0);
        assert!(
            run.stderr.contains("testdata_new3.csv was gone and has been made again"),
            "{run:#?}"
        );
        assert!(fs::read(restored.path(name)).unwrap() == fs::read(original.path(name)).unwrap());
        restored.promotes("z.csv", false, 6000);
    }
}
