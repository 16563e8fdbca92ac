//! A folder from which files are taken, with the key that names it: whoever finds it missing can say
//! what to change.
//!
//! Not for what is in it: see `dataset::discover`.

use std::path::Path;

use super::Config;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputFolder<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// The configuration's word for it.
    pub key: &'static str,
}

impl Config {
    /// What `ingestion` and `first_run` read.
    pub fn input(&self) -> InputFolder<'_> {
        InputFolder { path: &self.input_folder, key: "input_folder_path" }
    }

    /// What `fullprocess` reads.
    pub fn source(&self) -> InputFolder<'_> {
        InputFolder { path: &self.source_folder, key: "source_folder_path" }
    }

    /// Labelled rows that no model is trained on.
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
