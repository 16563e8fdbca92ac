//! What goes to the terminal: the report to standard output, the log and errors to standard error.
//!
//! The only file that prints. Not for what is said: reports and errors speak for themselves.
use std::error::Error as _;
use std::io::{IsTerminal, Write};

use mlops_core::context::Report;
use mlops_core::{Error, ErrorKind};
use tracing_subscriber::filter::LevelFilter;

use crate::Common;

/// Sends log lines to standard error.
pub(crate) fn start_log(common: &Common) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    // tracing-subscriber itself obeys NO_COLOR.
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second call in one process, as in tests, keeps the first log.
    let _ = if common.log_format == "json" { log.json().try_init() } else { log.try_init() };
}

/// Prints a report, for people or for programs; returns whether it could be delivered.
pub(crate) fn print(common: &Common, report: &impl Report) -> bool {
    if common.json {
        deliver(&(serde_json::to_string_pretty(report).unwrap_or_default() + "\n"))
    } else {
        common.quiet || deliver(&report.to_string())
    }
}

/// Prints an error with its causes.
pub(crate) fn print_error(common: &Common, error: &Error) {
    let mut text = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str("  because: ");
        text.push_str(&source.to_string());
        text.push('\n');
        cause = source.source();
    }
    complain(&text);
    if common.json {
        let document =
            serde_json::json!({ "error": { "kind": kind(error), "message": error.to_string() } });
        deliver(&format!("{document:#}\n"));
    }
}

/// Writes to standard output. A reader that left early, such as `head`, has had what it wanted;
/// anything else is said and is a failure.
fn deliver(text: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!(
                "error: cannot write to standard output\n  \
                 because: {e}\n"
            ));
            false
        }
        _ => true,
    }
}

fn complain(text: &str) {
    // Without standard error there is nobody left to tell.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn kind(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Config { .. } => "config",
        ErrorKind::Schema { .. } => "schema",
        ErrorKind::Data(_) => "data",
        ErrorKind::Missing(_) => "missing",
        ErrorKind::Conflict(_) => "conflict",
        ErrorKind::Locked(_) => "locked",
        ErrorKind::NotConverged(_) => "not_converged",
        ErrorKind::Artifact { .. } => "artifact",
        ErrorKind::Io { .. } => "io",
        _ => "backend",
    }
}
