//! `diagnostics`: the command line of `mlops_core::stage::diagnose`. Nothing else happens here.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mlops_core::stage::diagnose;
use mlops_runtime::dependencies;

/// Predictions of the deployed model on a data set, statistics of its columns, timings of past
/// runs, versions of dependencies
#[derive(Parser)]
#[command(version, after_help = "Example:\n  diagnostics --data clients.csv --output risk.csv")]
struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// The CSV file to look at [default: the newest data set]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// Write the prediction for each row to this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Time N ingestions and trainings on a scratch copy
    #[arg(long, value_name = "N", default_value_t = 0)]
    measure: u32,

    /// Ask cargo for the latest version of each dependency
    #[arg(long)]
    check_latest: bool,
}

fn main() -> ExitCode {
    let Arguments { common, data, output, measure, check_latest } = Arguments::parse();
    mlops_runtime::run("diagnostics", &common, |context, workspace| {
        let mut dependencies = dependencies::built_in();
        if check_latest {
            dependencies::check_latest(context, &mut dependencies)?;
        }
        let options = diagnose::Options { data, output, measure, dependencies };
        diagnose::run(context, workspace, &options)
    })
}
