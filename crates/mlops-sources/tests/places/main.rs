//! Real places: what each one must do, and what it does when its server or program fails.
//!
//! Each module holds one kind of place. Not for what becomes of the objects: `landing` in mlops-core
//! checks that.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![allow(
    clippy::print_stdout,
    clippy::needless_for_each,
    clippy::large_stack_arrays,
    clippy::too_many_lines,
    reason = "tests tell, and are read from top to bottom"
)]

/// One table from all places.
mod alike;
/// Programs whose output is the object.
mod command;
/// Encrypted connections.
mod encrypted;
/// Runs over all places, killed.
mod killed;
/// Texts that PostgreSQL does not have.
mod nul;
/// The table into which data sets are delivered.
mod output;
/// PostgreSQL, where it is installed.
mod postgres;
/// S3, by a server in this process.
mod s3;
/// SQLite.
mod sqlite;
/// Object stores of other makers, where they are installed.
mod stores;
/// All together, with faults at every step.
mod together;
/// Web servers.
mod web;

use std::path::Path;
use std::sync::Arc;

use mlops_core::config::Config;
use mlops_core::platform::clock::{Clock, SteppingClock};
use mlops_core::source::{Around, Places, Source};
use mlops_core::{Result, config};
use mlops_sources::Everywhere;
use serde_json::{Value, json};

/// The source that `entry` describes, called `far`.
fn described(base: &Path, entry: &Value) -> config::Source {
    let mut entry = entry.clone();
    entry["name"] = "far".into();
    let config = json!({
        "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
        "output_model_path": "model", "prod_deployment_path": "production", "sources": [entry],
    });
    let config = Config::parse(&config.to_string(), &base.join("config.json"));
    config.unwrap().sources.remove(0)
}

/// Opens it as a program does.
fn open(base: &Path, entry: &Value, environment: &[(&str, &str)]) -> Result<Box<dyn Source>> {
    let source = described(base, entry);
    let clock: Arc<dyn Clock> = Arc::new(SteppingClock::starting_at(1_700_000_000));
    Everywhere::with(environment).open(&source, &Around { base, clock: &clock })
}
