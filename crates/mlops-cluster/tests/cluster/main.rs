//! Real clusters of processes on this machine: the same data set as on one machine, whatever the number of executors
//! and partitions, and when processes are killed; and the same model, score and decisions.
//!
//! Not for what tasks do: core's tests have that, with thousands of random files.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::format_push_string, reason = "short before fast")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

/// Files side by side.
mod compare;
/// Clusters whose members have hosts of their own.
mod hosts;
/// Data sets.
mod ingestion;
/// Objects of an S3 server.
mod landing;
/// Predictions row by row.
mod predictions;
/// Whole runs of `fullprocess` and `first_run`.
mod process;
/// A scheduler and executors.
mod services;
/// Faults, one after the other.
mod soak;
/// Models and their scores.
mod training;
/// Folders with a configuration, and what is in them.
mod workspace;

use std::process::Command;

use services::PROGRAM;
use workspace::{Workspace, files, said};

#[test]
fn addresses_that_others_can_reach_and_configurations_without_a_cluster_are_refused() {
    for verb in ["scheduler", "executor"] {
        let output = Command::new(PROGRAM).args([verb, "--bind", "0.0.0.0"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("--any-address"), "{}", said(&output));
    }
    let local = Workspace::with(&files(1, 5, 1), "");
    let output = local.ingest();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("\"engine.kind\" is \"local\""), "{}", said(&output));
}
