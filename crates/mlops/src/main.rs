//! One executable for all ten programs: `mlops ingestion …`, or a link to it that is called `ingestion`.
//!
//! It holds the ten as they are, so that a package has one file of their common parts instead of ten. Not for
//! logic: each program is its own `main`.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;

#[path = "../../../bins/apicalls/src/main.rs"]
mod apicalls;
#[path = "../../../bins/app/src/main.rs"]
mod app;
#[path = "../../../bins/deployment/src/main.rs"]
mod deployment;
#[path = "../../../bins/diagnostics/src/main.rs"]
mod diagnostics;
#[path = "../../../bins/first_run/src/main.rs"]
mod first_run;
#[path = "../../../bins/fullprocess/src/main.rs"]
mod fullprocess;
#[path = "../../../bins/ingestion/src/main.rs"]
mod ingestion;
#[path = "../../../bins/reporting/src/main.rs"]
mod reporting;
#[path = "../../../bins/scoring/src/main.rs"]
mod scoring;
#[path = "../../../bins/training/src/main.rs"]
mod training;

/// A program: its name, what it does, its entry.
type Program = (&'static str, &'static str, fn() -> ExitCode);

/// All, in the order in which data pass through them.
const PROGRAMS: [Program; 10] = [
    ("first_run", "From a folder of files to a live model with its reports", first_run::main),
    ("fullprocess", "What cron runs: decide, and act on it", fullprocess::main),
    ("ingestion", "New files become the next data set", ingestion::main),
    ("training", "The newest data set becomes a model", training::main),
    ("scoring", "The model on the test data", scoring::main),
    ("deployment", "The model with its score goes live", deployment::main),
    ("diagnostics", "Predictions, statistics, timings, versions", diagnostics::main),
    ("reporting", "Pictures, report.html and report.pdf", reporting::main),
    ("app", "Serve predictions over HTTP", app::main),
    ("apicalls", "Every endpoint of a running app, and its answers", apicalls::main),
];

/// What `first_run --doctor` is called here, since it is about all programs.
const DOCTOR: &str = "doctor";

/// The program called `name`.
fn program(name: &OsStr) -> Option<&'static Program> {
    PROGRAMS.iter().find(|(known, ..)| name == *known)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    let file_name = Path::new(&called).file_name().unwrap_or_default();
    if let Some((_, _, main)) = program(file_name) {
        return main();
    }
    let mut words: Vec<OsString> = arguments.collect();
    if words.first().is_some_and(|word| word == DOCTOR) {
        words.splice(..1, ["first_run".into(), "--doctor".into()]);
    }
    if let Some((name, ..)) = words.first().and_then(|name| program(name)) {
        // Under the program's name, every message and example is that of the program itself.
        // Where /proc is not mounted, the way by which this was started is all that is known of it.
        let path = std::env::current_exe().unwrap_or_else(|_| called.into());
        let error = std::process::Command::new(path).arg0(name).args(&words[1..]).exec();
        help().error(clap::error::ErrorKind::Io, format!("cannot start {name}: {error}")).exit();
    }
    // Only help, the version and mistakes are left.
    help().get_matches_from(std::iter::once("mlops".into()).chain(words));
    ExitCode::SUCCESS
}

fn help() -> clap::Command {
    let programs = PROGRAMS.map(|(name, about, _)| clap::Command::new(name).about(about));
    clap::Command::new("mlops")
        .version(mlops_runtime::VERSION)
        .about("Ten programs for the whole life of a classifier; `mlops PROGRAM --help` says more of each")
        .after_help("`mlops doctor` says whether everything around a workspace is in order: it is `first_run --doctor`")
        .subcommand_value_name("PROGRAM")
        .subcommand_help_heading("Programs")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(programs)
}
