//! The command line of `mlops_report::stage`.
//!
//! Not for logic: `main` makes one call.

use std::process::ExitCode;

use clap::Parser;
use mlops_core::ids::Step;

/// Draws the confusion matrix and seven more pictures, and writes report.html and report.pdf
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  reporting && xdg-open data/practicemodels/report.html"
)]
struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,
}

fn main() -> ExitCode {
    mlops_runtime::run(Step::Reporting, &Arguments::parse().common, mlops_report::stage::run)
}
