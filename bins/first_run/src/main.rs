//! The command line of `mlops_runtime::first_run` and `mlops_setup`.
//!
//! Not for logic: `main` makes one call.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use mlops_runtime::begin::{self, Manner};
use mlops_runtime::first_run;
use mlops_setup::{check, doctor, init};
use mlops_sources::Everywhere;

/// Ingests, trains, scores, deploys, diagnoses and reports: from a folder of files to a live
/// model. Run again, it changes nothing unless there is new data
#[derive(Parser)]
#[command(
    version = mlops_runtime::VERSION,
    after_help = "Examples:\n  first_run --config config.json\n  first_run --init customers.csv                    \
                  propose config.json for these rows, and run\n  first_run --init customers.csv --target churned   \
                  the same, with the label named\n  first_run --check                                 what would \
                  make a run fail"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// Make the model live even if it does no better than the best constant answer
    #[arg(long)]
    accept: bool,

    /// Propose a configuration for these rows, write it to the path of --config with the evidence beside it,
    /// and run: a file, a folder, an address such as s3://bucket/path/, or a database with --table. At a
    /// terminal it asks; existing files are never overwritten
    #[arg(long, value_name = "DATA", conflicts_with_all = ["check", "show"])]
    init: Option<OsString>,

    /// With --init: the column of the label
    #[arg(long, value_name = "COLUMN", requires = "init")]
    target: Option<String>,

    /// With --init: the value of that column that marks the rows to find
    #[arg(long, value_name = "VALUE", requires = "init")]
    positive: Option<String>,

    /// With --init: the table of a database
    #[arg(long, value_name = "NAME", requires = "init")]
    table: Option<String>,

    /// With --init: a column that identifies a row of a table without a primary key, or of a view; several
    /// identify it together
    #[arg(long, value_name = "COLUMN", requires = "table")]
    key: Vec<String>,

    /// With --init: ask nothing and accept the proposals
    #[arg(long, requires = "init")]
    yes: bool,

    /// With --init: only write the configuration
    #[arg(long, requires = "init")]
    no_run: bool,

    /// Check the configuration against the folders and the newest file of rows, and change nothing; exit code
    /// 1 if there is a problem
    #[arg(long, conflicts_with_all = ["accept", "show"])]
    check: bool,

    /// Show every key of the configuration with its effective value; secrets are masked
    #[arg(long, conflicts_with = "accept")]
    show: bool,

    /// Look at everything around the workspace, and change nothing: versions, folders, disk space, clock, lock,
    /// ledger, live release, service, cron or timer; exit code 1 if something is wrong, 3 if something needs
    /// attention
    #[arg(long, conflicts_with_all = ["accept", "check", "init", "show"])]
    doctor: bool,
}

pub(crate) fn main() -> ExitCode {
    let Arguments {
        common,
        accept,
        init,
        target,
        positive,
        table,
        key,
        yes,
        no_run,
        check,
        show,
        doctor,
    } = Arguments::parse();
    let common = common.reaching(Everywhere::new());
    if let Some(data) = init {
        let asked = init::Asked { data, table, key, target, positive };
        begin::start(&common, Manner { yes, no_run, accept }, |start| {
            init::run(
                &asked,
                start.config,
                &*start.places,
                start.person.map(|(tell, ask)| init::Person::at(tell, ask)),
            )
        })
    } else if check {
        mlops_runtime::look(&common, check::run)
    } else if doctor {
        mlops_runtime::look(&common, doctor::run)
    } else if show {
        mlops_runtime::print_settings(&common)
    } else {
        first_run::start(&common, accept)
    }
}
