//! The command line of `mlops_report::stage`.
//!
//! Not for logic: `main` makes one call.

use std::process::ExitCode;

use clap::Parser;
use mlops_core::ids::Step;
use mlops_report::stage::{self, Since};

/// Draws the confusion matrix and eight more pictures, and writes report.html and report.pdf
#[derive(Parser)]
#[command(
    version = mlops_runtime::VERSION,
    after_help = "Examples:\n  reporting && xdg-open data/practicemodels/report.html\n  reporting --since 3"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// Also compare the live release with an earlier one, in comparison.html and comparison.pdf: a
    /// release, a day when it was live (2026-03-02), or how many months ago it was live (3)
    #[arg(long, value_name = "RELEASE|DATE|MONTHS")]
    since: Option<Since>,
}

pub(crate) fn main() -> ExitCode {
    let Arguments { common, since } = Arguments::parse();
    mlops_runtime::run(Step::Reporting, &common, |context, workspace| match &since {
        Some(since) => stage::since(context, workspace, since),
        None => stage::run(context, workspace),
    })
}
