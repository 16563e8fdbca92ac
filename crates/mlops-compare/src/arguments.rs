//! The options of a comparison on a command line, the same on one machine and on a cluster.
//!
//! Not for what they mean: see [`crate::command`].

use std::path::PathBuf;

use clap::Args;

use crate::Tolerance;
use crate::command::{Options, Rule};

/// The files to compare, and how.
#[derive(Debug, Args)]
pub struct Comparison {
    /// A CSV file, or a version of the data set by its number or name (a file comes first)
    left: String,

    /// The other CSV file or version
    right: String,

    /// Columns that together identify a row [default: all that both files have]
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    on: Vec<String>,

    /// Treat numbers as equal if they differ by at most this much
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0, requires = "on")]
    abs_tol: f64,

    /// Treat numbers as equal if they differ by at most this share of the larger one
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "on")]
    rel_tol: f64,

    /// Fail if keys are repeated: in either file (1:1), the left one (1:m), the right one (m:1)
    #[arg(long, value_name = "RULE", value_parser = |text: &str| text.parse::<Rule>())]
    validate: Option<Rule>,

    /// Write the joined rows to this CSV file, with a column `_merge`
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Exit with code 1 if anything differs
    #[arg(long)]
    exit_code: bool,
}

impl From<Comparison> for Options {
    fn from(arguments: Comparison) -> Self {
        let Comparison { left, right, on, abs_tol, rel_tol, validate, output, exit_code } =
            arguments;
        let tolerance = Tolerance { abs: abs_tol, rel: rel_tol };
        Self { left, right, on, tolerance, validate, output, exit_code }
    }
}
