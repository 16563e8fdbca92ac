//! `mlops-cluster`: the scheduler and the executors of a cluster, and the work of the other programs on it.
//!
//! Not for the work itself: that is the same code as on one machine. `main` makes one call.

mod address;
mod engine;
mod functions;
mod serve;
mod session;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use mlops_compare::arguments::Comparison;
use mlops_compare::command as compare;
use mlops_core::ids::Step;
use mlops_core::stage::{decide, diagnose, ingest, score, train};
use mlops_runtime::{dependencies, first_run, fullprocess};
use mlops_sources::Everywhere;

/// Runs the work of the other programs on a cluster of Apache DataFusion Ballista, with the same data sets, models,
/// scores and decisions to the byte as on one machine
#[derive(Parser)]
#[command(
    version = mlops_runtime::VERSION,
    after_help = "The section \"engine\" of the configuration names the scheduler. Scheduler, executors and this \
                  program must see the folders of the workspace under the same paths.\n\nExit codes: 0 done or \
                  nothing new, 1 a file or the run failed, 2 wrong usage or configuration, 3 done, but a person is \
                  needed or the table of the database is behind, 75 another run is at work"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a scheduler, which runs until it is told to stop
    Scheduler(serve::Scheduler),

    /// Start an executor, which runs until it is told to stop
    Executor(serve::Executor),

    /// New files become the next version of the data set, finaldata{N}.csv
    Ingestion(Ingestion),

    /// Train a scaler and a logistic regression on the newest data set, leaving out test rows
    Training(Alone),

    /// Score the latest model on the current test data: F1 with its interval, beside the best constant answer
    Scoring(Alone),

    /// Predictions of the deployed model on a data set, and statistics of its columns
    Diagnostics(Diagnostics),

    /// Compare two CSV files, or two versions of the data set, row by row, as `diagnostics compare` does: which rows
    /// are in both, which in one only; with --on, which cells differ
    Compare(Compare),

    /// Decide and act alone, started by cron: is there new data, has the live model drifted, may a retrained one go
    /// live? Records why
    Fullprocess(FullProcess),

    /// Ingest, train, score, deploy, diagnose and report: from a folder of files to a live model
    #[command(name = "first_run")]
    FirstRun(FirstRun),
}

/// The options of `ingestion` that there are on a cluster.
#[derive(Args)]
struct Ingestion {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// Read files again that failed before, even if they have not changed
    #[arg(long)]
    retry: bool,

    /// Make a new version from all source files that still exist, under the current schema
    #[arg(long)]
    rebuild: bool,

    /// Rebuild even if some files of the data set can no longer be read
    #[arg(long, requires = "rebuild")]
    partial: bool,
}

/// The options that every program has, alone.
#[derive(Args)]
struct Alone {
    #[command(flatten)]
    common: mlops_runtime::Common,
}

/// The options of `diagnostics`, but for `--measure`, which times one machine.
#[derive(Args)]
struct Diagnostics {
    #[command(flatten)]
    common: mlops_runtime::Common,

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

    /// Ask cargo for the latest version of each dependency
    #[arg(long)]
    check_latest: bool,
}

/// The options of `diagnostics compare`.
#[derive(Args)]
struct Compare {
    #[command(flatten)]
    common: mlops_runtime::Common,

    #[command(flatten)]
    comparison: Comparison,
}

/// The options of `fullprocess`; its decisions are explained by `fullprocess --explain` of one machine.
#[derive(Args)]
struct FullProcess {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// Decide and retrain even if nothing is new or nothing drifted
    #[arg(long)]
    force: bool,

    /// Let a model go live that does no better than the best constant answer
    #[arg(long)]
    accept: bool,

    /// Stop after the verdict on drift, and write nothing
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
}

/// The options of `first_run` that there are on a cluster.
#[derive(Args)]
struct FirstRun {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// Make the model live even if it does no better than the best constant answer
    #[arg(long)]
    accept: bool,
}

fn on_the_cluster(common: mlops_runtime::Common) -> mlops_runtime::Common {
    common.reaching(Everywhere::new()).on_an_engine(engine::connect)
}

fn diagnostics(arguments: Diagnostics) -> ExitCode {
    let Diagnostics { common, data, output, explain, record, check_latest } = arguments;
    mlops_runtime::run(Step::Diagnostics, &on_the_cluster(common), |context, workspace| {
        let mut dependencies = dependencies::built_in();
        if check_latest {
            dependencies::check_latest(context, &mut dependencies)?;
        }
        let options = diagnose::Options {
            data,
            output,
            explain,
            record,
            dependencies,
            ..diagnose::Options::default()
        };
        diagnose::run(context, workspace, &options)
    })
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Scheduler(scheduler) => serve::scheduler(&scheduler),
        Command::Executor(executor) => serve::executor(&executor),
        Command::Ingestion(Ingestion { common, retry, rebuild, partial }) => {
            let options = ingest::Options { retry, rebuild, partial, ..Default::default() };
            mlops_runtime::run(Step::Ingestion, &on_the_cluster(common), |context, workspace| {
                ingest::run(context, workspace, context.config.input(), options)
            })
        }
        Command::Training(Alone { common }) => {
            mlops_runtime::run(Step::Training, &on_the_cluster(common), train::run)
        }
        Command::Scoring(Alone { common }) => {
            mlops_runtime::run(Step::Scoring, &on_the_cluster(common), score::run)
        }
        Command::Diagnostics(arguments) => diagnostics(arguments),
        Command::Compare(Compare { common, comparison }) => {
            let (common, options) = (on_the_cluster(common), comparison.into());
            mlops_runtime::look(&common, |context| compare::run(context, &options))
        }
        Command::Fullprocess(FullProcess { common, force, accept, dry_run }) => {
            let common = on_the_cluster(common);
            let options = decide::Options { force, dry_run, accept };
            if dry_run {
                return mlops_runtime::look(&common, |context| decide::rehearse(context, options));
            }
            mlops_runtime::run_unattended(Step::FullProcess, &common, |context, workspace, _| {
                fullprocess::run(context, workspace, options)
            })
        }
        Command::FirstRun(FirstRun { common, accept }) => {
            first_run::start(&on_the_cluster(common), accept)
        }
    }
}
