//! The one executable under each of its names. Not for the programs: they have tests of their own.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

fn one() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mlops"))
}

fn text(output: Output) -> (i32, String) {
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn each_program_answers_by_name_and_by_link() {
    let (code, help) = text(one().output().unwrap());
    assert_eq!(code, 2, "{help}");
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Programs:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names.len(), 10, "{help}");
    for name in names {
        let by_name = text(one().args([name, "--help"]).output().unwrap());
        let link = folder.path().join(name);
        symlink(env!("CARGO_BIN_EXE_mlops"), &link).unwrap();
        let by_link = text(Command::new(&link).arg("--help").output().unwrap());
        assert_eq!(by_name, by_link);
        assert!(by_link.0 == 0 && by_link.1.contains(&format!("Usage: {name} ")), "{}", by_link.1);
        let (code, _) = text(one().args([name, "--no-such-option"]).output().unwrap());
        assert_eq!(code, 2, "{name}");
    }
}

#[test]
fn a_name_that_is_none_is_answered_with_the_nearest() {
    let (code, said) = text(one().arg("ingestoin").output().unwrap());
    assert!(code == 2 && said.contains("'ingestion'"), "{said}");
    let (code, said) = text(one().arg0("renamed").arg("--version").output().unwrap());
    assert!(code == 0 && said.starts_with("mlops "), "{said}");
}

#[test]
fn the_doctor_has_a_name_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.json");
    let ask =
        |words: &[&str]| text(one().args(words).arg("--config").arg(&missing).output().unwrap());
    let (code, said) = ask(&["doctor"]);
    assert!(code == 2 && said.contains("none.json"), "{said}");
    assert_eq!(ask(&["first_run", "--doctor"]), (code, said));
}
