//! The arguments that every binary takes.
//!
//! Not for those of a single binary.

use std::path::PathBuf;

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
}
