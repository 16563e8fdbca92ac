//! The command line of `mlops_core::stage::ingest`.
//!
//! Not for logic: `main` makes one call.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mlops_core::ids::Step;
use mlops_core::stage::{adopt, ingest, sources};
use mlops_sources::Everywhere;

/// Reads new CSV files of the input folder, cleans and de-duplicates their rows and writes the
/// next version of the data set, finaldata{N}.csv
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:\n  ingestion --config config.json\n  ingestion sources            what \
                  each source has\n  ingestion sources test NAME  read one of its objects on \
                  trial\n\nExit codes: 0 done or nothing new, \
                  1 a file or the run failed, 2 wrong usage or configuration, 75 another run is \
                  at work"
)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch")]
struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// Read files again that failed before, even if they have not changed
    #[arg(long)]
    retry: bool,

    /// Make a new version from all source files that are still there, under the current schema
    #[arg(long)]
    rebuild: bool,

    /// Rebuild even if some files of the data set can no longer be read
    #[arg(long, requires = "rebuild")]
    partial: bool,

    /// Take over finaldata.csv and ingestedfiles.txt of earlier scripts, untouched
    #[arg(long, conflicts_with_all = ["retry", "rebuild"])]
    adopt: bool,

    /// Print the JSON Schema of the whole configuration
    #[arg(long)]
    config_schema: bool,

    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Show each source: whether it answers, what it has, what the next run would read. Changes
    /// nothing
    Sources {
        #[command(subcommand)]
        task: Option<SourcesTask>,
    },
}

#[derive(Subcommand)]
enum SourcesTask {
    /// Read the newest object of a source on trial, and say what its rows would become
    Test {
        /// The source's name in the configuration
        name: String,
    },
}

fn main() -> ExitCode {
    let Arguments { common, retry, rebuild, partial, adopt, config_schema, task } =
        Arguments::parse();
    if config_schema {
        return mlops_runtime::print_config_schema(&common);
    }
    let common = common.reaching(Everywhere::new());
    match task {
        Some(Task::Sources { task: None }) => return mlops_runtime::look(&common, sources::list),
        Some(Task::Sources { task: Some(SourcesTask::Test { name }) }) => {
            return mlops_runtime::look(&common, |context| sources::test(context, &name));
        }
        None => {}
    }
    let options = ingest::Options { retry, rebuild, partial, ..Default::default() };
    if adopt {
        return mlops_runtime::run(Step::AdoptData, &common, adopt::run);
    }
    mlops_runtime::run(Step::Ingestion, &common, |context, workspace| {
        ingest::run(context, workspace, context.config.input(), options)
    })
}
