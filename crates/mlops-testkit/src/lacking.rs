//! What a test says that did not run, since this machine lacks something. Not for tests that are marked
//! `#[ignore]`: the harness names those.

use std::fs;
use std::io::Write as _;

use crate::variable;

/// Says that the running test proved nothing for `reason`: on standard error, and in the file `MLOPS_NOT_RUN`,
/// whose lines `.ci/test` shows and counts as ignored.
#[expect(clippy::print_stderr, reason = "that a test proved nothing must be seen")]
pub fn not_run(reason: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {reason}", thread.name().unwrap_or("a test"));
    eprintln!("not run: {line}");
    if let Some(notes) = variable("MLOPS_NOT_RUN") {
        let mut notes = fs::File::options().append(true).open(notes).unwrap();
        // In one piece, since other tests write too.
        notes.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
