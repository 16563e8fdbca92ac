//! `first_run`, `fullprocess` and an erasure under everything that can happen to a run: a kill or an error at
//! each step that changes the disk, a disk that is full, folders that cannot be written, records
//! and models that were damaged. Not for single stages: core's own tests strike those.
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

mod damage;
mod full_disk;
mod strike;
mod world;

/// `full` in a soak, `quick` otherwise.
fn soak<T>(quick: T, full: T) -> T {
    if std::env::var("MLOPS_SOAK").is_ok_and(|v| v == "1") { full } else { quick }
}
