//! The composition root that every binary is one call into: arguments to configuration to context
//! to stage to summary to exit code.
//!
//! ```no_run
//! use clap::Parser;
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
//!     mlops_runtime::run("training", &arguments.common, train::run)
//! }
//! ```
//!
//! Not for decisions about data or models: those are the stages'.

mod arguments;
mod console;
pub mod dependencies;
mod exit;
pub mod first_run;
pub mod fullprocess;
mod progress;

use std::process::ExitCode;
use std::sync::Arc;

use mlops_core::clock::SystemClock;
use mlops_core::config::Config;
use mlops_core::context::{Context, Report, Workspace};
use mlops_core::durable::Disk;
use mlops_core::ledger::Ledger;

pub use arguments::Common;

/// Runs one stage as the step `step`: the whole life of a binary.
pub fn run<R: Report>(
    step: &'static str,
    common: &Common,
    work: impl FnOnce(&Context, &mut Workspace) -> mlops_core::Result<R>,
) -> ExitCode {
    console::start_log(common);
    let result = context(common).and_then(|context| {
        let mut workspace = context.open(step)?;
        for note in &workspace.recovered {
            tracing::warn!(run = %context.run, "{note}");
        }
        tracing::info!(run = %context.run, step, "started");
        context.step(&mut workspace, step, |workspace| work(&context, workspace))
    });
    finish(common, result)
}

/// Runs what only looks: without the lock, so that it neither waits for a run nor stops one, and
/// without a record.
pub fn look<R: Report>(
    common: &Common,
    work: impl FnOnce(&Context) -> mlops_core::Result<R>,
) -> ExitCode {
    console::start_log(common);
    finish(common, context(common).and_then(|context| work(&context)))
}

/// The result as the user sees it.
fn finish<R: Report>(common: &Common, result: mlops_core::Result<R>) -> ExitCode {
    match result {
        Ok(report) => {
            let delivered = console::print(common, &report);
            if delivered { exit::of_report(&report) } else { ExitCode::FAILURE }
        }
        Err(error) => {
            console::print_error(common, &error);
            exit::of_error(&error)
        }
    }
}

/// Looks at the records without taking part: no lock, no record of its own.
pub fn inspect<R: Report>(
    common: &Common,
    look: impl FnOnce(&Context, &Ledger) -> mlops_core::Result<R>,
) -> ExitCode {
    console::start_log(common);
    let result = context(common).and_then(|context| {
        let ledger = Ledger::open(&context.config.ledger_path(), &context.disk)?;
        look(&context, &ledger)
    });
    finish(common, result)
}

/// The real world, under the configuration that the arguments name.
fn context(common: &Common) -> mlops_core::Result<Context> {
    let config = Config::load(&common.config)?;
    let clock = Arc::new(SystemClock::default());
    let mut context = Context::new(config, clock, Disk::default(), env!("CARGO_PKG_VERSION"));
    if let Some(progress) = progress::bar(common) {
        context.progress = progress;
    }
    Ok(context)
}
