//! A folder from which files are taken, with its configuration key, so that an error about it can
//! say what to change.
//!
//! Not for its content: see `dataset::discover`.

use std::path::Path;

use super::Config;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputFolder<'a> {
    /// Its path.
    pub path: &'a Path,
    /// The configuration key that names it.
    pub key: &'static str,
}

impl Config {
    /// The folder that `ingestion` and `first_run` read.
    pub fn input(&self) -> InputFolder<'_> {
        InputFolder { path: &self.input_folder, key: "input_folder_path" }
    }

    /// The folder that `fullprocess` reads.
    pub fn source(&self) -> InputFolder<'_> {
        InputFolder { path: &self.source_folder, key: "source_folder_path" }
    }

    /// The folder of labelled rows that no model is trained on.
    pub fn tests(&self) -> InputFolder<'_> {
        InputFolder::of_tests(&self.test_data)
    }
}

impl<'a> InputFolder<'a> {
    /// The folder of test data at `path`.
    pub fn of_tests(path: &'a Path) -> Self {
        Self { path, key: "test_data_path" }
    }
}
