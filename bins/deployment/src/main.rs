//! `deployment`: the command line of `mlops_core::stage::deploy`. Nothing else happens here.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mlops_core::stage::deploy;

/// Seals the latest model with its score as a release, verifies it from disk and makes it live in
/// one atomic step
#[derive(Parser)]
#[command(version, after_help = "Example:\n  deployment --reason \"new data of July\"")]
struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// Why, for the record
    #[arg(long, default_value = "deployed by hand")]
    reason: String,

    #[command(subcommand)]
    command: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Move a real folder at prod_deployment_path into models_path, untouched
    Adopt,
}

fn main() -> ExitCode {
    let Arguments { common, reason, command } = Arguments::parse();
    match command {
        None => mlops_runtime::run("deployment", &common, |context, workspace| {
            deploy::run(context, workspace, "deployment", &reason)
        }),
        Some(Action::Adopt) => {
            mlops_runtime::run("deployment adopt", &common, |context, _| deploy::adopt(context))
        }
    }
}
