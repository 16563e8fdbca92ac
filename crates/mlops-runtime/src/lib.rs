//! The composition root: every binary is one call into it, from arguments to configuration,
//! context, stage, report and exit code.
//!
//! ```no_run
//! use clap::Parser;
//! use mlops_core::ids::Step;
//! use mlops_core::stage::train;
//!
//! /// Trains a model.
//! #[derive(Parser)]
//! struct Arguments {
//!     #[command(flatten)]
//!     common: mlops_runtime::Common,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let arguments = Arguments::parse();
//!     mlops_runtime::run(Step::Training, &arguments.common, train::run)
//! }
//! ```
//!
//! Not for decisions about data or models: see the stages.

pub mod alerts;
pub mod apicalls;
mod arguments;
pub mod begin;
mod console;
pub mod dependencies;
mod environment;
mod exit;
pub mod first_run;
pub mod fullprocess;
mod progress;
pub mod renew;
mod run_log;
mod schema;
mod settings;
mod textfile;
mod unattended;
mod watchdog;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use mlops_client::lineage::Posts;
use mlops_core::config::Config;
use mlops_core::ids::Step;
use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::platform::lines::Lines;
use mlops_core::run::context::{Context, Rehearsal, Report, Workspace};
use mlops_core::stage::elsewhere;

pub use arguments::{Common, Connects};
pub use environment::{secret, user};
pub use unattended::run_unattended;
pub use watchdog::Watchdog;

/// What `--version` says: the version and, in a build for others (`make install`, `make dist`), the commit and its day, what
/// it was built for, and the compiler, as `packaging/version.sh` prints them. Other builds do not say a commit, since it
/// would be wrong after the next one unless each commit compiled everything again.
pub const VERSION: &str = match option_env!("MLOPS_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// Runs one stage as the step `step`: the whole life of an attended binary.
pub fn run<R: Report>(
    step: Step,
    common: &Common,
    work: impl FnOnce(&Context, &mut Workspace) -> mlops_core::Result<R>,
) -> ExitCode {
    ExitCode::from(tell(common, recorded(step, common, false, work)))
}

/// Runs a read-only command: without the lock, so that it neither waits for a run nor blocks one,
/// and without a record.
pub fn look<R: Report>(
    common: &Common,
    work: impl FnOnce(&Context) -> mlops_core::Result<R>,
) -> ExitCode {
    console::start_log(common, None, None);
    ExitCode::from(tell(common, context(common).and_then(|context| work(&context))))
}

/// Runs one stage like [`run`] or, if the user may not write to the workspace, on a temporary copy
/// of its records: for stages that mostly read.
pub fn run_or_look<R: Report>(
    step: Step,
    common: &Common,
    work: impl FnOnce(&Context, &mut Workspace) -> mlops_core::Result<R>,
) -> ExitCode {
    ExitCode::from(tell(common, recorded(step, common, true, work)))
}

/// One recorded stage; if the user may not write and `or_look`, on a temporary copy of the records.
fn recorded<R: Report>(
    step: Step,
    common: &Common,
    or_look: bool,
    work: impl FnOnce(&Context, &mut Workspace) -> mlops_core::Result<R>,
) -> mlops_core::Result<R> {
    let context = context(common)?;
    console::start_log(common, Some(&context.run), None);
    match open(&context, step) {
        Ok(mut workspace) => {
            context.step(&mut workspace, step, |workspace| work(&context, workspace))
        }
        Err(error) if or_look && error.is_about_permission() => {
            tracing::info!("this run is not recorded: {error}");
            let mut rehearsal = Rehearsal::of(&context)?;
            work(&rehearsal.context, &mut rehearsal.workspace)
        }
        Err(error) => Err(error),
    }
}

/// How long the last lines of a service may take if nobody reads them.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs a service: like [`look`], but logs from "info" on, since a service is otherwise invisible,
/// and a stalled reader of the log does not block it. `work` also receives the queue for access log
/// lines, unless only errors are to be printed.
pub fn attend<R: Report + Send + 'static>(
    common: &Common,
    work: impl FnOnce(&Context, Option<Arc<Lines>>) -> mlops_core::Result<R>,
) -> ExitCode {
    let talkative = Common { verbose: common.verbose.saturating_add(1), ..common.clone() };
    let lines = Arc::new(console::lines(common));
    let result = context(common).and_then(|context| {
        console::start_service_log(&talkative, &context.run, &lines);
        work(&context, (!common.quiet).then(|| Arc::clone(&lines)))
    });
    lines.flush();
    let expected = result.as_ref().map_or_else(exit::of_error, exit::of_report);
    let ((give, take), (said, heard)) = (channel(), channel());
    let speak =
        move || take.into_iter().try_for_each(|(common, result)| said.send(tell(&common, result)));
    let code = if std::thread::Builder::new().spawn(speak).is_ok() {
        // The thread is waiting for it.
        let _ = give.send((common.clone(), result));
        heard.recv_timeout(PATIENCE).unwrap_or(expected)
    } else {
        tell(common, result)
    };
    lines.flush();
    ExitCode::from(code)
}

/// Refuses arguments, as wrong usage, or says why a program without a configuration failed.
pub fn refuse(message: &str) -> ExitCode {
    console::print_words(message);
    ExitCode::from(2)
}

/// Installs the decoders of all formats, for a program that reads files by the tasks of others.
pub fn install_formats() {
    mlops_formats::install();
}

/// Prints the JSON Schema of the configuration.
pub fn print_config_schema(common: &Common) -> ExitCode {
    ExitCode::from(tell(common, Ok(schema::Schema(Config::json_schema()))))
}

/// Prints every key of the configuration with the value that counts and where it is from.
pub fn print_settings(common: &Common) -> ExitCode {
    mlops_formats::install();
    let settings = Config::settings(&common.config);
    let shown =
        settings.map(|(config, all)| settings::Settings { file: config.file, settings: all });
    ExitCode::from(tell(common, shown))
}

/// Opens the workspace, and logs a line for each recovery from an interrupted run.
fn open(context: &Context, step: Step) -> mlops_core::Result<Workspace> {
    let workspace = context.open(step)?;
    for note in &workspace.recovered {
        tracing::warn!("{note}");
    }
    tracing::info!(step = step.as_str(), "started");
    Ok(workspace)
}

/// Prints the result and returns the exit status.
fn tell<R: Report>(common: &Common, result: mlops_core::Result<R>) -> u8 {
    progress::end();
    match result {
        Ok(report) => {
            let delivered = console::print(common, &report);
            console::print_findings(common, &report);
            if delivered { exit::of_report(&report) } else { 1 }
        }
        Err(error) => {
            // Without a context there is no log yet.
            console::start_log(common, None, None);
            console::print_error(common, &error);
            exit::of_error(&error)
        }
    }
}

/// The real environment, with the configuration that the arguments name.
fn context(common: &Common) -> mlops_core::Result<Context> {
    mlops_formats::install();
    let config = Config::load(&common.config)?;
    let clock = Arc::new(SystemClock::default());
    let mut context = Context::new(config, clock, Disk::default(), env!("CARGO_PKG_VERSION"));
    context.places = Arc::clone(&common.reach.0);
    if let Some(connect) = common.engine.0 {
        context.engine = connect(&context.config)?;
        elsewhere::check(&context)?;
    }
    let lineage = &context.config.lineage;
    if let Some(url) = &lineage.url {
        // Dropped with the context, when the run has ended.
        let posts = Posts::new(url, lineage.timeout);
        context.events.send = Some(Arc::new(move |event| posts.send(event)));
    }
    if let Some((bytes, begins)) = progress::line(common) {
        (context.progress, context.step_begins) = (bytes, begins);
    }
    Ok(context)
}
