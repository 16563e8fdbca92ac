//! The command line of `mlops_core::stage::ingest`.
//!
//! Not for logic: `main` makes one call.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Args, Parser, Subcommand};
use mlops_core::ids::Step;
use mlops_core::stage::forget::{self, Request};
use mlops_core::stage::quarantine::{self, Filter};
use mlops_core::stage::{adopt, ingest, sources};
use mlops_sources::Everywhere;

/// Reads new files of the input folder and of all other sources, cleans and de-duplicates their rows
/// and writes the next version of the data set, finaldata{N}.csv
#[derive(Parser)]
#[command(
    version = mlops_runtime::VERSION,
    after_help = "Examples:\n  ingestion --config config.json\n  ingestion sources            what \
                  each source has\n  ingestion sources test NAME  read one of its objects on \
                  trial\n  ingestion contract export    the contracts as an Open Data Contract \
                  Standard document\n\nExit codes: 0 done or nothing new, \
                  1 a file or the run failed, 2 wrong usage or configuration, 3 done, but the table \
                  of the database is behind, 75 another run is at work"
)]
#[command(group = ArgGroup::new("people").args(["forget", "forget_file"]).multiple(true))]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch")]
pub(crate) struct Arguments {
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

    /// Take over finaldata.csv and ingestedfiles.txt of earlier scripts, untouched
    #[arg(long, conflicts_with_all = ["retry", "rebuild"])]
    adopt: bool,

    /// Erase a person and never take rows of the person again: a CSV record with the values of the id
    /// columns, or several of them
    #[arg(long, value_name = "ID", num_args = 1.., conflicts_with_all = ["retry", "rebuild", "adopt"])]
    forget: Vec<String>,

    /// Erase the people in this file, one CSV record on each line, without a header; "-" reads standard
    /// input, so that no id stays in the history of the shell
    #[arg(long, value_name = "FILE", conflicts_with_all = ["retry", "rebuild", "adopt"])]
    forget_file: Option<PathBuf>,

    #[command(flatten)]
    erasure: Erasure,

    /// Print the JSON Schema of the whole configuration
    #[arg(long)]
    config_schema: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

/// How people are erased.
#[derive(Args)]
struct Erasure {
    /// The column that identifies a person, instead of all id columns; may be given several times
    #[arg(long, value_name = "COLUMN", requires = "people")]
    by: Vec<String>,

    /// Who asks for the erasure, for its record
    #[arg(long, value_name = "NAME", requires = "people")]
    who: Option<String>,

    /// Why, for its record; name nobody here
    #[arg(long, value_name = "TEXT", requires = "people")]
    reason: Option<String>,

    /// Also remove earlier data sets and releases that have the person, and lines of logs of predictions
    #[arg(long, requires = "people")]
    everywhere: bool,

    /// Say what would be erased, and change nothing
    #[arg(long, requires = "people")]
    dry_run: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Inspect rejected rows, ingest them after a correction, or discard them
    Quarantine {
        #[command(subcommand)]
        action: Quarantine,
    },

    /// Show each source: whether it answers, what it has, what the next run would read. Changes
    /// nothing
    Sources {
        #[command(subcommand)]
        action: Option<Sources>,
    },

    /// Write the contracts as an Open Data Contract Standard document, or compare one with the
    /// configuration. Changes nothing
    Contract {
        #[command(subcommand)]
        action: Contract,
    },
}

#[derive(Subcommand)]
enum Contract {
    /// Print the columns and rules of all sources as YAML
    Export {
        /// Only of this source; "input" is the input folder
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
    },

    /// List each difference between a document and the configuration; exit code 1 if there is one
    Check {
        /// The document
        file: PathBuf,

        /// Only of this source; "input" is the input folder
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
    },
}

#[derive(Subcommand)]
enum Sources {
    /// Read the newest object of a source on trial, and say what its rows would become
    Test {
        /// The source's name in the configuration
        name: String,
    },
}

#[derive(Subcommand)]
enum Quarantine {
    /// List the rows by file, reason and column, with examples
    Inspect {
        #[command(flatten)]
        rows: Rows,
    },

    /// Read the files of the rows again after the configuration was corrected, and take what is good now
    Replay {
        #[command(flatten)]
        rows: Rows,
    },

    /// Give the rows up: they stay out of the data set
    Discard {
        #[command(flatten)]
        rows: Rows,

        /// Who gives them up, for the record
        #[arg(long, value_name = "NAME")]
        who: String,

        /// Why, for the record
        #[arg(long)]
        why: String,
    },
}

/// Which rows; without any of these, all.
#[derive(Args)]
struct Rows {
    /// Those of this file
    #[arg(long, value_name = "NAME")]
    file: Option<String>,

    /// Those with this error type, such as CAST
    #[arg(long, value_name = "TYPE")]
    reason: Option<String>,

    /// Those with this column at fault
    #[arg(long, value_name = "NAME")]
    column: Option<String>,

    /// Those that this run rejected
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

impl From<Rows> for Filter {
    fn from(Rows { file, reason, column, run }: Rows) -> Self {
        Self { file, reason, column, run }
    }
}

/// `ingestion quarantine`.
fn of_the_quarantine(common: &mlops_runtime::Common, action: Quarantine) -> ExitCode {
    match action {
        Quarantine::Inspect { rows } => {
            mlops_runtime::look(common, |context| quarantine::inspect(context, &rows.into()))
        }
        Quarantine::Replay { rows } => {
            mlops_runtime::run(Step::Replay, common, |context, workspace| {
                ingest::replay::replay(context, workspace, &rows.into())
            })
        }
        Quarantine::Discard { rows, who, why } => {
            mlops_runtime::run(Step::Discard, common, |context, workspace| {
                quarantine::discard(context, workspace, &rows.into(), (&who, &why))
            })
        }
    }
}

/// `ingestion --forget`.
fn forgetting(common: &mlops_runtime::Common, request: &Request, dry_run: bool) -> ExitCode {
    if dry_run {
        return mlops_runtime::look(common, |context| forget::rehearse(context, request));
    }
    mlops_runtime::run(Step::Forget, common, |context, workspace| {
        forget::run(context, workspace, request)
    })
}

pub(crate) fn main() -> ExitCode {
    let Arguments {
        common,
        retry,
        rebuild,
        partial,
        adopt,
        forget,
        forget_file,
        erasure,
        config_schema,
        command,
    } = Arguments::parse();
    if config_schema {
        return mlops_runtime::print_config_schema(&common);
    }
    let common = common.reaching(Everywhere::new());
    match command {
        Some(Command::Quarantine { action }) => return of_the_quarantine(&common, action),
        Some(Command::Sources { action: None }) => {
            return mlops_runtime::look(&common, sources::list);
        }
        Some(Command::Sources { action: Some(Sources::Test { name }) }) => {
            return mlops_runtime::look(&common, |context| sources::test(context, &name));
        }
        Some(Command::Contract { action: Contract::Export { source } }) => {
            return mlops_runtime::look(&common, |context| {
                mlops_odcs::export(context, source.as_deref())
            });
        }
        Some(Command::Contract { action: Contract::Check { file, source } }) => {
            return mlops_runtime::look(&common, |context| {
                mlops_odcs::check(context, &file, source.as_deref())
            });
        }
        None => {}
    }
    if !forget.is_empty() || forget_file.is_some() {
        let Erasure { by, who, reason, everywhere, dry_run } = erasure;
        let (who, why) = (who.unwrap_or_default(), reason.unwrap_or_default());
        let request = Request { people: forget, file: forget_file, by, who, why, everywhere };
        return forgetting(&common, &request, dry_run);
    }
    let options = ingest::Options { retry, rebuild, partial, ..Default::default() };
    if adopt {
        return mlops_runtime::run(Step::AdoptData, &common, adopt::run);
    }
    mlops_runtime::run(Step::Ingestion, &common, |context, workspace| {
        ingest::run(context, workspace, context.config.input(), options)
    })
}
