//! The command line of `mlops_runtime::apicalls`.
//!
//! Not for logic: `main` makes one call.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mlops_core::ids::Step;
use mlops_runtime::apicalls;

/// Calls every endpoint of a running app with the rows of a data file, keeps all answers in
/// apireturns.txt and apireturns.json, and says what changed since the last call
#[derive(Parser)]
#[command(
    version = mlops_runtime::VERSION,
    after_help = "Examples:\n  apicalls                                   the newest test data, to \
                  the configured app\n  apicalls --url https://app.example --data clients.csv\n\nTokens \
                  for the app come from the environment: MLOPS_READ_TOKEN and MLOPS_PREDICT_TOKEN, \
                  as for the app itself."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// The app's address [default: "apicalls.url" of the configuration]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The CSV file whose rows are sent [default: the newest test data]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
}

pub(crate) fn main() -> ExitCode {
    let Arguments { common, url, data } = Arguments::parse();
    let options = apicalls::Options { url, data };
    mlops_runtime::run(Step::ApiCalls, &common, |context, _| apicalls::run(context, &options))
}
