//! The command line of `mlops_core::stage::train`.
//!
//! Not for logic: `main` makes one call.

use std::process::ExitCode;

use clap::Parser;
use mlops_core::ids::Step;
use mlops_core::stage::train;

/// Trains a scaler and a logistic regression on the newest data set, leaving out test rows
#[derive(Parser)]
#[command(version = mlops_runtime::VERSION, after_help = "Example:\n  training --json | jq .card.coefficients")]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,
}

pub(crate) fn main() -> ExitCode {
    mlops_runtime::run(Step::Training, &Arguments::parse().common, train::run)
}
