//! `limits.memory_mib` from files to the report: many columns, with gaps. Not for long files: see `ingestion`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mlops_testkit::folder::Folder;
use mlops_testkit::random::Random;
use serde_json::json;

const COLUMNS: usize = 600;
const LIMIT_MIB: u64 = 64;
/// What is set aside of it for code.
const CODE_MIB: u64 = 16;

/// Rows that differ in every number, of which one in a hundred is missing.
fn table(rows: u64, seed: u64) -> String {
    let mut random = Random(seed);
    let mut text = "id".to_owned();
    for column in 0..COLUMNS {
        write!(text, ",x{column}").unwrap();
    }
    text.push_str(",y\n");
    for row in 0..rows {
        write!(text, "{seed}-{row}").unwrap();
        let mut sum = 0.0;
        for column in 0..COLUMNS {
            let value = random.unit() - 0.5;
            sum += if column % 2 == 0 { value } else { -value };
            match random.below(100) {
                0 => text.push(','),
                _ => write!(text, ",{value:.6}").unwrap(),
            }
        }
        text.push_str(if sum > 0.0 { ",yes\n" } else { ",no\n" });
    }
    text
}

/// What `child` has mapped of its own executable, in KiB. A test build has several times the code of a release
/// build, and the limit is one of data.
fn code(child: &Child) -> u64 {
    let program = env!("CARGO_BIN_EXE_first_run");
    let maps = fs::read_to_string(format!("/proc/{}/smaps", child.id())).unwrap_or_default();
    let mut own = false;
    let mut sum = 0;
    for line in maps.lines() {
        if let Some(size) = line.strip_prefix("Rss:") {
            let size: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
            sum += if own { size } else { 0 };
        } else if line.starts_with(|c: char| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()) {
            own = line.ends_with(program);
        }
    }
    sum
}

/// The largest memory that `child` had besides its code, in KiB, that code, and whether it succeeded.
fn watch(mut child: Child) -> (u64, u64, bool) {
    let (mut most, mut peak) = (0, (0, 0));
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        // A process that has ended has no such line any more.
        if let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            let all: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
            if all > most {
                let code = code(&child);
                (most, peak) = (all, (all.saturating_sub(code), code));
            }
        }
        if let Some(ended) = child.try_wait().unwrap() {
            return (peak.0, peak.1, ended.success());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn six_hundred_columns_become_a_live_model_within_the_limit() {
    let folder = Folder::on_disk();
    let names: Vec<String> = (0..COLUMNS).map(|column| format!("x{column}")).collect();
    let config = json!({
        "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
        "output_model_path": "model", "prod_deployment_path": "live",
        "schema": { "id": ["id"], "numeric": names, "target": "y", "positive_label": "yes" },
        "training": { "missing": "median" },
        "limits": { "memory_mib": LIMIT_MIB, "threads": 2 },
    });
    folder.file("config.json", config.to_string());
    folder.file("in/a.csv", table(4_000, 1));
    folder.file("test/t.csv", table(300, 2));
    let mut command = Command::new(env!("CARGO_BIN_EXE_first_run"));
    let command = command.current_dir(folder.root()).arg("--quiet").stderr(Stdio::null());
    let (peak, code, succeeded) = watch(command.spawn().unwrap());
    assert!(succeeded && folder.path("live/trainedmodel.bin").is_file());
    assert!(code > 1 << 10, "the code of the program was not found: {code} KiB");
    let (least, most) = (10 << 10, (LIMIT_MIB - CODE_MIB) << 10);
    assert!(
        (least..most).contains(&peak),
        "{peak} KiB, and {code} of code, where {most} are allowed"
    );
}
