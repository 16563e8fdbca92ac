//! What goes to the terminal: the report to standard output, the log and errors to standard error.
//!
//! The only file that prints. Not for what is said: reports and errors speak for themselves.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this module owns the terminal")]

use std::error::Error as _;
use std::io::IsTerminal;

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

/// Prints a report, for people or for programs.
pub(crate) fn print(common: &Common, report: &impl Report) {
    if common.json {
        println!("{}", serde_json::to_string_pretty(report).unwrap_or_default());
    } else if !common.quiet {
        print!("{report}");
    }
}

/// Prints an error with its causes.
pub(crate) fn print_error(common: &Common, error: &Error) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        eprintln!("  because: {source}");
        cause = source.source();
    }
    if common.json {
        let document =
            serde_json::json!({ "error": { "kind": kind(error), "message": error.to_string() } });
        println!("{document:#}");
    }
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
