//! What a test says that did not run, since this machine lacks something. Not for tests that are
//! marked as ignored: the harness names those.

use std::fs;
use std::io::Write as _;

use crate::variable;

/// Says that the running test proved nothing for `reason`: on standard error, and in the file `MLOPS_NOT_RUN`,
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
