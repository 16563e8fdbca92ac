//! The command line of `mlops_runtime::fullprocess`.
//!
//! Not for logic: `main` makes one call.

use std::process::ExitCode;

use clap::Parser;
use mlops_core::ids::Step;
use mlops_core::stage::decide;
use mlops_runtime::fullprocess;
use mlops_sources::Everywhere;

/// Decides and acts by itself, started by cron: is there new data, has the live model drifted, may a
/// retrained one go live? Records why
#[derive(Parser)]
#[command(
    version = mlops_runtime::VERSION,
    after_help = "Examples:\n  fullprocess                  one run, as cron starts it\n  \
                  fullprocess --dry-run        what it would decide; writes nothing\n  \
                  fullprocess --explain        explain the most recent decision\n\nExit \
                  codes: 0 done or nothing to do, 1 failed or a file was refused, 2 wrong usage or \
                  configuration, 3 done but a person is needed, 75 another run is at work"
)]
pub(crate) struct Arguments {
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

    /// Print a recorded decision in sentences: that of RUN, or the most recent one
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "",
          conflicts_with_all = ["force", "dry_run"])]
    explain: Option<String>,
}

pub(crate) fn main() -> ExitCode {
    let Arguments { common, force, accept, dry_run, explain } = Arguments::parse();
    let common = common.reaching(Everywhere::new());
    if let Some(run) = explain {
        let run = Some(run).filter(|run| !run.is_empty());
        return mlops_runtime::look(&common, |context| {
            fullprocess::explain(context, run.as_deref())
        });
    }
    let options = decide::Options { force, dry_run, accept };
    if dry_run {
        return mlops_runtime::look(&common, |context| decide::rehearse(context, options));
    }
    mlops_runtime::run_unattended(Step::FullProcess, &common, |context, workspace, _| {
        fullprocess::run(context, workspace, options)
    })
}
