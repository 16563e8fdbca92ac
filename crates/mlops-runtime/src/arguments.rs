//! The arguments that every binary takes.
//!
//! Not for those of a single binary.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use mlops_core::Result;
use mlops_core::config::Config;
use mlops_core::platform::engine::Engine;
use mlops_core::source::{OnlyFolders, Places};

/// Arguments of every binary.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// The configuration file; relative paths in it resolve from its folder
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "MLOPS_CONFIG",
        default_value = "config.json"
    )]
    pub config: PathBuf,

    /// Print one JSON document on standard output and nothing else
    #[arg(long, global = true)]
    pub json: bool,

    /// Print no report; errors and warnings still go to standard error
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Log what happens to standard error; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Format of the log lines
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        value_parser = ["text", "json"]
    )]
    pub log_format: String,

    /// Where the program can fetch rows; not an argument
    #[arg(skip)]
    pub(crate) reach: Reach,

    /// The distributed engine on which it works; not an argument
    #[arg(skip)]
    pub(crate) engine: Connect,
}

impl Common {
    /// For a program that can fetch rows from `places`.
    #[must_use]
    pub fn reaching(self, places: impl Places + 'static) -> Self {
        Self { reach: Reach(Arc::new(places)), ..self }
    }

    /// For a program that works on the engine to which `connect` connects.
    #[must_use]
    pub fn on_an_engine(self, connect: Connects) -> Self {
        Self { engine: Connect(Some(connect)), ..self }
    }
}

/// Connects to the distributed engine that a configuration names, if it names one.
pub type Connects = fn(&Config) -> Result<Option<Arc<dyn Engine>>>;

/// How a program gets its distributed engine, if it has one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Connect(pub(crate) Option<Connects>);

/// The places from which a program can fetch rows.
#[derive(Clone)]
pub(crate) struct Reach(pub(crate) Arc<dyn Places>);

impl Default for Reach {
    fn default() -> Self {
        Self(Arc::new(OnlyFolders))
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").finish_non_exhaustive()
    }
}
