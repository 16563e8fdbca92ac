//! `mlops-cluster`: the scheduler and the executors of a cluster, and the work of the other programs on it.
//!
//! Not for the work itself: that is the same code as on one machine. `main` makes one call.

mod address;
mod engine;
mod functions;
mod hashes;
mod serve;
mod session;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use mlops_core::ids::Step;
use mlops_core::stage::{ingest, score, train};
use mlops_sources::Everywhere;

/// Runs ingestion, training and scoring on a cluster of Apache DataFusion Ballista, with the same data sets, models
/// and scores to the byte as on one machine
#[derive(Parser)]
#[command(
    version = mlops_runtime::VERSION,
    after_help = "The section \"engine\" of the configuration names the scheduler. Scheduler, executors and this \
                  program must see the folders of the workspace under the same paths.\n\nExit codes: 0 done or \
                  nothing new, 1 a file or the run failed, 2 wrong usage or configuration, 3 done, but the table \
                  of the database is behind, 75 another run is at work"
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

fn on_the_cluster(common: mlops_runtime::Common) -> mlops_runtime::Common {
    common.reaching(Everywhere::new()).on_an_engine(engine::connect)
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
    }
}
