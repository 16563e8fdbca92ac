//! Reports tests skipped because this machine lacks something they need. The harness already lists tests
//! that are marked as ignored.

use std::fs;
use std::io::Write as _;

use crate::variable;

/// Reports that the running test was skipped for `reason`: on standard error, and in the file `MLOPS_NOT_RUN`,
/// whose lines `.ci/test` shows and counts as ignored.
pub fn not_run(reason: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {reason}", thread.name().unwrap_or("a test"));
    std::io::stderr().write_all(format!("not run: {line}\n").as_bytes()).unwrap();
    if let Some(notes) = variable("MLOPS_NOT_RUN") {
        let mut notes = fs::File::options().append(true).open(notes).unwrap();
        // In one piece, since other tests write too.
        notes.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
