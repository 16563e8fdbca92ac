//! The tasks of a distributed engine: the single entry point through which executors run them.
//!
//! What tasks do is in `super::land_there`, [`crate::dataset::elsewhere`], [`super::training_tasks`], [`super::scoring_there`] and
//! [`super::diagnose_there`], and for comparisons in `mlops-compare`; scheduling is behind
//! [`crate::platform::engine`].

use crate::config::Engine;
use crate::dataset::elsewhere as rows;
pub use crate::dataset::task::{ConfigText, absolute, answer, next};
use crate::run::context::Context;
use crate::source::Places;
use crate::{Error, Result};

use super::diagnose_there as diagnostics;
use super::land_there as objects;
use super::scoring_there as scoring;
use super::training_tasks as training;

/// Carries out a task. Objects are fetched from `places`.
///
/// # Errors
/// If it may succeed another time or on another machine.
pub fn carry_out(task: &str, places: &dyn Places) -> Result<String> {
    if let Some(task) = task.strip_prefix(objects::PREFIX) {
        return objects::carry_out(task, places);
    }
    if let Some(task) = task.strip_prefix(rows::PREFIX) {
        return rows::carry_out(task);
    }
    if let Some(task) = task.strip_prefix(training::PREFIX) {
        return training::carry_out(task);
    }
    if let Some(task) = task.strip_prefix(scoring::PREFIX) {
        return scoring::carry_out(task);
    }
    if let Some(task) = task.strip_prefix(diagnostics::PREFIX) {
        return diagnostics::carry_out(task);
    }
    Err(Error::backend(
        "ballista",
        "this executor does not know such a task: run the same version of mlops-cluster on all machines",
    ))
}

/// Refuses to do on one machine what the configuration gives to a cluster.
pub(super) fn refuse_alone(context: &Context, verb: &str) -> Result<()> {
    if context.config.engine == Engine::Local || context.engine.is_some() {
        return Ok(());
    }
    let problem = format!(
        "\"engine.kind\" is \"ballista\", and this program works on one machine only: run `mlops-cluster {verb}` \
         instead, or its `fullprocess` or `first_run` (docs/growing.md says how to build it), or remove \"engine\""
    );
    Err(Error::config(context.config.file.display().to_string(), vec![problem]))
}

/// Refuses to go on without a cluster in a program that is there for one.
///
/// # Errors
/// `Config` if the configuration names none.
pub fn check(context: &Context) -> Result<()> {
    if context.engine.is_some() {
        return Ok(());
    }
    let problem = "\"engine.kind\" is \"local\": set it to \"ballista\" and name the scheduler as \
                   \"engine.scheduler\", or run the program without a cluster";
    Err(Error::config(context.config.file.display().to_string(), vec![problem.to_owned()]))
}
