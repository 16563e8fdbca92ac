//! Every figure of model, score, card and predictions on public data, held against scikit-learn, statsmodels, scipy,
//! patsy and optbinning, as far as these are installed. `figures/cases.py` writes data and settings, the executable
//! works on them, and `figures/compare.py` computes everything again. Not for single functions, which have golden
//! figures (`mlops-core/tests/golden`).

use std::path::Path;
use std::process::{Command, Output};

use mlops_testkit::{not_run, variable};

fn python(script: &str, folder: &Path) -> Option<Output> {
    let python = variable("PYTHON").unwrap_or_else(|| "python3".to_owned());
    let script = format!("{}/tests/figures/{script}", env!("CARGO_MANIFEST_DIR"));
    Command::new(python)
        .args([script.as_ref(), folder.as_os_str()])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .ok()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn all_figures_are_those_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let Some(made) = python("cases.py", folder.path()) else {
        not_run("no Python");
        return;
    };
    let names = text(&made.stdout);
    assert!(made.status.success(), "{}", text(&made.stderr));
    if let Some(name) = names.trim().strip_prefix("missing: ") {
        not_run(&format!("no {name}"));
        return;
    }
    for name in names.lines() {
        let place = folder.path().join(name);
        let run = |words: &[&str]| {
            let mut program = Command::new(env!("CARGO_BIN_EXE_mlops"));
            let told = program.args(words).arg("--quiet").current_dir(&place).output().unwrap();
            assert!(told.status.success(), "{name} {words:?}: {}", text(&told.stderr));
        };
        run(&["ingestion"]);
        run(&["training"]);
        run(&["scoring"]);
        run(&["deployment", "--accept"]);
        let explain = ["diagnostics", "--explain", "99", "--output"];
        run(&[&explain[..], &["test.csv", "--data", "test/testdata.csv"]].concat());
        run(&[&explain[..], &["train.csv"]].concat());
    }
    let told = python("compare.py", folder.path()).unwrap();
    println!("{}", text(&told.stdout));
    assert!(told.status.success(), "{}{}", text(&told.stdout), text(&told.stderr));
}
