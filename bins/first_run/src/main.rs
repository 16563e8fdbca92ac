//! The command line of `mlops_runtime::first_run`.
//!
//! Not for logic: `main` makes one call.

use std::process::ExitCode;

use clap::Parser;
use mlops_runtime::first_run;
use mlops_sources::Everywhere;

/// Ingests, trains, scores, deploys, diagnoses and reports: from a folder of files to a live
/// model. Run again, it changes nothing unless there is new data
#[derive(Parser)]
#[command(version = mlops_runtime::VERSION, after_help = "Example:\n  first_run --config config.json")]
struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// Make the model live even if it does no better than the best constant answer
    #[arg(long)]
    accept: bool,
}

pub(crate) fn main() -> ExitCode {
    let Arguments { common, accept } = Arguments::parse();
    first_run::start(&common.reaching(Everywhere::new()), accept)
}
