//! `limits.memory_mib` is kept to: the system refuses more memory, and the program does without.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Rows whose table takes 50 MiB, all different.
const ROWS: usize = 5_000_000;
const LIMIT_MIB: usize = 32;

/// A workspace of `rows` rows in two files.
fn workspace(dir: &Path, rows: usize, limits: &str) {
    fs::create_dir_all(dir.join("in")).unwrap();
    let config = r#"{"input_folder_path": "in", "output_folder_path": "out",
        "test_data_path": "test", "output_model_path": "model", "prod_deployment_path": "live""#;
    fs::write(dir.join("config.json"), format!("{config}, \"limits\": {{{limits}}}}}")).unwrap();
    for (name, range) in [("a.csv", 0..rows / 2), ("b.csv", rows / 2..rows)] {
        let mut text =
            "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n"
                .to_owned();
        for row in range {
            writeln!(text, "{row},1,,,{}", row % 2).unwrap();
        }
        fs::write(dir.join("in").join(name), text).unwrap();
    }
}

/// `ingestion` in `dir`, for which the system maps no more than `mib` MiB.
fn run(dir: &Path, mib: usize) -> Output {
    let script = format!("ulimit -v {}; exec \"$0\" --quiet", mib * 1024);
    let program = env!("CARGO_BIN_EXE_ingestion");
    Command::new("sh").args(["-c", &script, program]).current_dir(dir).output().unwrap()
}

#[test]
fn five_million_rows_in_32_mib() {
    let dir = tempfile::tempdir().unwrap();
    // What the program needs for two rows, with its stacks and libraries.
    let small = dir.path().join("small");
    workspace(&small, 2, "\"threads\": 2");
    let least = (8..512).step_by(8).find(|mib| {
        let _ = fs::remove_dir_all(small.join("out"));
        run(&small, *mib).status.success()
    });
    let allowed = least.unwrap() + LIMIT_MIB;

    let (free, bounded) = (dir.path().join("free"), dir.path().join("bounded"));
    workspace(&free, ROWS, "\"threads\": 2");
    let refused = run(&free, allowed);
    let message = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "the test must ask for more than there is");
    assert!(message.contains("limits.memory_mib"), "{message}");

    workspace(&bounded, ROWS, &format!("\"threads\": 2, \"memory_mib\": {LIMIT_MIB}"));
    let done = run(&bounded, allowed);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(fs::read_dir(bounded.join("out")).unwrap().count(), 5, "no temporary file stays");
    let rows = fs::read_to_string(bounded.join("out/finaldata2.csv")).unwrap();
    assert_eq!(rows.lines().count(), ROWS + 1);
    assert!(rows.ends_with(&format!("\n{},1,,,1\n", ROWS - 1)), "in file order");
}
