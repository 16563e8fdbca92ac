//! What `make` asks of cargo, with a fake `cargo` that writes down its arguments.
//!
//! Not for what the programs then do.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Each call of cargo: its arguments, one a line.
fn calls(arguments: &[&str]) -> Vec<Vec<String>> {
    let place = tempfile::tempdir().unwrap();
    let cargo = place.path().join("cargo");
    let script = "#!/bin/sh\nprintf '%s\\n' \"$@\" '--end--' >> \"$CALLS\"\n";
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let makefile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Makefile");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", place.path().display());
    let told = place.path().join("calls");
    let output = Command::new("make")
        .arg("-f")
        .arg(makefile)
        .args(arguments)
        .current_dir(place.path())
        .env_remove("MAKEFLAGS")
        .env("PATH", path)
        .env("CALLS", &told)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(told).unwrap();
    let calls = text.split("--end--\n").filter(|call| !call.is_empty());
    calls.map(|call| call.lines().map(str::to_owned).collect()).collect()
}

#[test]
fn a_step_compiles_in_sight_and_passes_its_options_on() {
    for (target, program) in [("first-run", "first_run"), ("fullprocess", "fullprocess")] {
        let config = "CONFIG=my work/con fig.json";
        let calls = calls(&[target, config, "ARGS=--json --log-format 'json'"]);
        let [build, run] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!(build[..], ["build", "--release", "--bin", program], "progress is shown");
        let options = ["--config", "my work/con fig.json", "--json", "--log-format", "json"];
        let (own, given) = run.split_at(run.len() - options.len());
        assert_eq!(own, ["run", "--release", "--quiet", "--bin", program, "--"]);
        assert_eq!(given, options);
    }
}
