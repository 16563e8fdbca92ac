//! The command line of `mlops_core::stage::diagnose` and `mlops_compare::command`.
//!
//! Not for logic: `main` makes one call.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use mlops_compare::arguments::Comparison;
use mlops_compare::command as compare;
use mlops_core::ids::Step;
use mlops_core::stage::{alert, diagnose};
use mlops_runtime::{alerts, dependencies, renew};

/// Predictions of the deployed model on a data set, statistics of its columns, timings of past
/// runs, versions of dependencies; or two files side by side
#[derive(Parser)]
#[command(
    version = mlops_runtime::VERSION,
    after_help = "Examples:\n  diagnostics --data clients.csv --output risk.csv\n  \
                  diagnostics --data clients.csv --output risk.csv --explain 4\n  diagnostics \
                  compare 2 3"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,

    #[command(flatten)]
    diagnose: Diagnose,

    #[command(subcommand)]
    command: Option<Action>,
}

#[derive(Args, Default, PartialEq)]
struct Diagnose {
    /// The CSV file to look at [default: the newest data set]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// Write the prediction for each row to this file, with its line, and a line for each record that
    /// cannot be read; never overwrites any other file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// In that file, also name the N columns that moved each prediction most, each with its
    /// contribution to the log-odds against a reference row (the training means and the most frequent
    /// categories); more than there are columns means all
    #[arg(long, value_name = "N", default_value_t = 0, requires = "output")]
    explain: usize,

    /// Also add each of these predictions to the log of predictions, under the id of this run and its
    /// line, so that labels can be joined to it later; needs "service.prediction_log_path"
    #[arg(long, requires = "output")]
    record: bool,

    /// Time N ingestions and trainings on a scratch copy
    #[arg(long, value_name = "N", default_value_t = 0)]
    measure: u32,

    /// Ask cargo for the latest version of each dependency
    #[arg(long)]
    check_latest: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Compare two CSV files, or two versions of the data set, row by row: which rows are in both,
    /// which in one only; with --on, which cells differ. Changes neither file and takes no lock
    #[command(after_help = "Examples:\n  diagnostics compare 2 3\n  diagnostics compare \
                            finaldata2.csv export.csv --on customer\n  diagnostics compare old.csv \
                            new.csv --on customer,day --rel-tol 1e-9 --validate 1:1 --output \
                            joined.csv\n  diagnostics compare risk.csv risk_new.csv --exit-code \
                            --quiet\n\nColumns are matched by name. Missing equals missing; \
                            columns of the schema are read as ingestion reads them, so that 1,234.0 \
                            is 1234. Rows whose key is repeated in either file are counted and \
                            listed, and never paired.\n\nExit codes: 0 compared; 1 failed, --validate \
                            does not hold, a record cannot be read, a data set is not as recorded, or \
                            with --exit-code anything differs; 2 wrong usage or configuration")]
    Compare(Comparison),

    /// Join labels that arrived later to the logged predictions, and show how good these were, by
    /// release and window of time. `fullprocess` does it too. It fetches nothing from sources, but
    /// uses what was fetched before
    Outcomes,

    /// Show which alerts go to whom, and test their delivery
    Alerts {
        #[command(subcommand)]
        command: Alerts,
    },
}

#[derive(Subcommand)]
enum Alerts {
    /// List the rules of "alerts" with what they told, how the last messages fared and what waits
    List,

    /// Send a test message to a sink, or to every one
    Test {
        /// The sink
        name: Option<String>,
    },
}

pub(crate) fn main() -> ExitCode {
    let Arguments { common, diagnose: options, command } = Arguments::parse();
    if command.is_some() && options != Diagnose::default() {
        let message = "a command takes its own options, behind its name: see `diagnostics compare \
                       --help` and `diagnostics outcomes --help`";
        Arguments::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
    match command {
        None => mlops_runtime::run_or_look(Step::Diagnostics, &common, |context, workspace| {
            let Diagnose { data, output, explain, record, measure, check_latest } = options;
            let mut dependencies = dependencies::built_in();
            if check_latest {
                dependencies::check_latest(context, &mut dependencies)?;
            }
            let options = diagnose::Options {
                data,
                output,
                explain,
                record,
                measure,
                dependencies,
                identify: false,
            };
            diagnose::run(context, workspace, &options)
        }),
        Some(Action::Outcomes) => mlops_runtime::run(Step::Outcomes, &common, renew::outcomes),
        Some(Action::Alerts { command: Alerts::List }) => mlops_runtime::look(&common, alert::list),
        Some(Action::Alerts { command: Alerts::Test { name } }) => {
            mlops_runtime::look(&common, |context| alerts::test(context, name.as_deref()))
        }
        Some(Action::Compare(arguments)) => {
            let options = arguments.into();
            mlops_runtime::look(&common, |context| compare::run(context, &options))
        }
    }
}
