//! The command line of `mlops_core::stage::score`.
//!
//! Not for logic: `main` makes one call.

use std::process::ExitCode;

use clap::Parser;
use mlops_core::ids::Step;
use mlops_core::stage::score;

/// Scores the latest model on the current test data: F1 with its interval, beside the best
/// constant answer
#[derive(Parser)]
#[command(version = mlops_runtime::VERSION, after_help = "Example:\n  scoring --json | jq .f1")]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,
}

pub(crate) fn main() -> ExitCode {
    mlops_runtime::run(Step::Scoring, &Arguments::parse().common, score::run)
}
