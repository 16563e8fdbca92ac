//! What a distributed engine does for the core: it runs tasks elsewhere.
//!
//! A task is a text that [`crate::stage::elsewhere`] both writes and executes; to an engine it is opaque. A task
//! may be executed several times, on any machine, and concurrently, always with the same result. All machines
//! see the folders of the workspace under the same paths. An actual engine is in `mlops-cluster`.

use crate::Result;

/// A distributed engine.
pub trait Engine: Send + Sync {
    /// Has all `tasks` carried out, and returns their answers in the order of the tasks.
    ///
    /// # Errors
    /// If the engine cannot be reached, gave up, or took too long. The error of a task that fails for a reason
    /// of its own, such as data that are no good, is part of its answer.
    fn run(&self, tasks: Vec<String>) -> Result<Vec<String>>;

    /// About how many bytes of a file are one task.
    fn range_bytes(&self) -> u64;

    /// How many tasks are worth while at the same time.
    fn partitions(&self) -> usize;
}
