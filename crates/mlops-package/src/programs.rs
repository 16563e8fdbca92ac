//! The command lines of the ten programs, as they are in the programs' own sources. Not for running them.

#![allow(dead_code, reason = "of each program only its arguments are needed")]

use clap::{Args as _, Command, CommandFactory as _};

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

/// All words that `mlops` takes, in the order in which pages are listed: the ten programs and `doctor`.
pub(crate) fn all() -> Vec<Command> {
    let programs = [
        ("apicalls", apicalls::Arguments::command()),
        ("app", app::Arguments::command()),
        ("deployment", deployment::Arguments::command()),
        ("diagnostics", diagnostics::Arguments::command()),
        ("first_run", first_run::Arguments::command()),
        ("fullprocess", fullprocess::Arguments::command()),
        ("ingestion", ingestion::Arguments::command()),
        ("reporting", reporting::Arguments::command()),
        ("scoring", scoring::Arguments::command()),
        ("training", training::Arguments::command()),
    ];
    let mut all: Vec<Command> =
        programs.into_iter().map(|(name, command)| command.name(name)).collect();
    let at = all.partition_point(|program| program.get_name() < "doctor");
    all.insert(at, doctor());
    all
}

/// `mlops doctor`, which is `first_run --doctor`: the options that go with it.
fn doctor() -> Command {
    let doctor = mlops_runtime::Common::augment_args(Command::new("doctor"));
    doctor.version(mlops_runtime::VERSION).about(
        "Says whether everything around a workspace is in order, and what to do: first_run --doctor",
    )
}
