//! Programs: the promise of every place, and ends of all kinds. Not for what is
//! done with the bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use mlops_core::Result;
use mlops_core::source::{Fetched, Seen, Source};
use mlops_testkit::Folder;
use mlops_testkit::conformance::{self, Ground};
use serde_json::{Value, json};

use super::open;

/// A program that prints a file.
struct Cat(Folder);

impl Ground for Cat {
    fn open(&self) -> Box<dyn Source> {
        let entry = json!({"command": ["cat", "content"], "mode": "snapshot"});
        open(self.0.root(), &entry, &[]).unwrap()
    }

    fn put(&self, _: &str, bytes: &[u8]) {
        fs::write(self.0.path("content"), bytes).unwrap();
    }

    fn remove(&self, _: &str) {}

    fn names(&self) -> Vec<&'static str> {
        vec!["output"]
    }

    fn has_versions(&self) -> bool {
        false
    }
}

#[test]
fn a_program_conforms() {
    conformance::check(&Cat(Folder::on_disk()));
}

/// What `command` writes, run in a folder with the script `s.sh`.
fn run(script: &str, more: &Value) -> (Result<Fetched>, String, Duration) {
    let folder = Folder::on_disk();
    folder.file("s.sh", script);
    fs::set_permissions(folder.path("s.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut entry = json!({"command": ["./s.sh"], "mode": "snapshot", "timeout": "20s"});
    for (key, value) in more.as_object().unwrap() {
        entry[key] = value.clone();
    }
    let place = open(folder.root(), &entry, &[]).unwrap();
    let object = place.list(&Seen::default()).unwrap().remove(0);
    let mut bytes = Vec::new();
    let begun = Instant::now();
    let fetched = place.fetch(&object, &mut bytes);
    (fetched, String::from_utf8_lossy(&bytes).into_owned(), begun.elapsed())
}

fn words(script: &str, more: &Value) -> String {
    run(script, more).0.unwrap_err().to_string()
}

#[test]
fn a_failure_counts_whatever_was_written_and_repeats_the_last_words() {
    let script = "#!/bin/sh\necho id,x\nfor n in 1 2 3 4; do echo \"line $n\" >&2; done\nexit 3\n";
    assert_eq!(
        words(script, &json!({})),
        "\"./s.sh\" ended with exit code 3, so that its output does not count: line 2; line 3; line 4"
    );
    assert_eq!(words("#!/bin/sh\nkill -9 $$\n", &json!({})), "\"./s.sh\" was ended by signal 9");
    let missing = words("", &json!({"command": ["no-such-program-here"]}));
    assert!(missing.contains("cannot be started") && missing.contains("PATH"), "{missing}");
    let plain = words("", &json!({"command": ["./config.json/x"]}));
    assert!(plain.contains("cannot be started"), "{plain}");
}

#[test]
fn nothing_written_is_no_object() {
    assert_eq!(run("#!/bin/sh\nexit 0\n", &json!({})).0.unwrap(), Fetched::Empty);
}

#[test]
fn a_program_that_takes_too_long_is_ended_with_all_that_it_started() {
    let folder = Folder::on_disk();
    let mark = folder.path("mark").display().to_string();
    for script in [
        format!("#!/bin/sh\n(sleep 3; touch {mark}) &\nsleep 60\n"),
        format!("#!/bin/sh\necho a\nexec >&-\n(sleep 3; touch {mark}) 2>&- &\nsleep 60\n"),
        // In a session of its own, with the output still open.
        "#!/bin/sh\nsetsid sleep 30 &\nsleep 60\n".to_owned(),
    ] {
        let (fetched, _, took) = run(&script, &json!({"timeout": "1s"}));
        let error = fetched.unwrap_err().to_string();
        assert!(error.contains("was ended after 1s: raise \"timeout\""), "{error}");
        assert!(took < Duration::from_secs(15), "{took:?}");
    }
    std::thread::sleep(Duration::from_secs(3));
    assert!(!folder.path("mark").is_file(), "something was left running");
}

#[test]
fn a_program_that_leaves_another_one_running_is_not_waited_for() {
    let (fetched, bytes, took) = run("#!/bin/sh\nsleep 30 >&- &\necho done\n", &json!({}));
    assert_eq!(fetched.unwrap(), Fetched::Whole { cursor: None });
    assert!(bytes == "done\n" && took < Duration::from_secs(15), "{bytes:?} {took:?}");
}

#[test]
fn a_flood_of_complaints_does_not_stop_the_output() {
    let script = "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' e >&2\n\
                  seq 1 100000 >&2\nseq 1 300000\n";
    let (fetched, bytes, _) = run(script, &json!({}));
    assert!(fetched.is_ok() && bytes.ends_with("\n300000\n"));
}

#[test]
fn arguments_are_taken_as_they_are_and_since_is_the_last_extract() {
    let folder = Folder::on_disk();
    let entry = json!({
        "command": ["printf", "%s|", "a b", "$HOME; rm -rf x", "*", "--since={since}"],
        "mode": "cursor", "cursor": {"lag": "1h"},
    });
    let place = open(folder.root(), &entry, &[]).unwrap();
    let fetch = |seen: &Seen| {
        let object = place.list(seen).unwrap().remove(0);
        let mut bytes = Vec::new();
        let fetched = place.fetch(&object, &mut bytes).unwrap();
        let Fetched::Whole { cursor: Some(cursor) } = fetched else { panic!("{fetched:?}") };
        (object.name, String::from_utf8(bytes).unwrap(), cursor)
    };
    let (name, text, cursor) = fetch(&Seen::default());
    assert_eq!(name, "000000");
    assert_eq!(text, "a b|$HOME; rm -rf x|*|--since=1970-01-01T00:00:00Z|");
    assert!(cursor.starts_with("2023-11-14T22:13:"), "{cursor}");
    let seen = Seen { cursor: Some("2023-11-14T22:13:20Z".to_owned()), extracts: 7 };
    let (name, text, _) = fetch(&seen);
    assert!(
        name == "000007" && text.ends_with("--since=2023-11-14T21:13:20.000Z|"),
        "{name} {text}"
    );
}

#[test]
fn output_above_the_limit_ends_the_program() {
    let place =
        open(Folder::on_disk().root(), &json!({"command": ["yes"], "mode": "snapshot"}), &[]);
    let place = place.unwrap();
    let object = place.list(&Seen::default()).unwrap().remove(0);
    let mut little = [0_u8; 1000];
    assert!(place.fetch(&object, &mut little.as_mut_slice()).is_err());
}
