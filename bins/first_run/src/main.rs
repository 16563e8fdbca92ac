//! The command line of `mlops_runtime::first_run` and `mlops_setup`.
//!
//! Not for logic: `main` makes one call.

use std::process::ExitCode;

use clap::Parser;
use mlops_runtime::first_run;
use mlops_setup::check;
use mlops_sources::Everywhere;

/// Ingests, trains, scores, deploys, diagnoses and reports: from a folder of files to a live
/// model. Run again, it changes nothing unless there is new data
#[derive(Parser)]
#[command(
    version = mlops_runtime::VERSION,
    after_help = "Examples:\n  first_run --config config.json\n  first_run --check    what would keep a run \
                  from ending well"
)]
struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// Make the model live even if it does no better than the best constant answer
    #[arg(long)]
    accept: bool,

    /// Check the configuration against the folders and the newest file of rows, and change nothing; exit code
    /// 1 if there is a problem
    #[arg(long, conflicts_with_all = ["accept", "show"])]
    check: bool,

    /// Show every key of the configuration with the value that counts; secrets are masked
    #[arg(long, conflicts_with = "accept")]
    show: bool,
}

pub(crate) fn main() -> ExitCode {
    let Arguments { common, accept, check, show } = Arguments::parse();
    let common = common.reaching(Everywhere::new());
    if check {
        mlops_runtime::look(&common, check::run)
    } else if show {
        mlops_runtime::print_settings(&common)
    } else {
        first_run::start(&common, accept)
    }
}
