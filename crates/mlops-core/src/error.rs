//! The error type of the core, and which kind to use where.
//!
//! Not for bad rows: they are data, and go to the quarantine.
//!
//! | kind | when |
//! |---|---|
//! | `Config` | the configuration or an argument is wrong; all problems together |
//! | `Schema` | a file or a model does not have the columns that the schema asks for |
//! | `Data` | the rows are readable but cannot do what was asked (one class only, too few rows) |
//! | `Missing` | something that an earlier step makes is not there yet |
//! | `Conflict` | a file or record that is not ours is in the way |
//! | `Locked` | another run holds the workspace |
//! | `NotConverged` | a fit stopped before it met the gradient test |
//! | `Artifact` | a model file is damaged, foreign or of another version |
//! | `Io` | the operating system refused an operation on a path |
//! | `Remote` | a program called over the network did not answer, or answered with an error |
//! | `Backend` | a library that we call failed (SQLite, a solver) |
//!
//! Messages are lowercase, name the thing and the place, and say what to do.

use std::path::{Path, PathBuf};

use crate::text;

/// The error of every fallible function of this crate; boxed, so that a `Result` stays one word
/// wide.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<ErrorKind>);

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of failure, by what a caller can do about them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration is wrong; every problem is listed.
    #[error("{} in {place}:\n{}", count(.problems.len()), bullets(.problems))]
    Config {
        /// The file (or argument list) that holds the problems.
        place: String,
        /// One line per problem, naming the key and what it should be.
        problems: Vec<String>,
    },
    /// Columns do not match the schema.
    #[error("{place}: {message}")]
    Schema {
        /// The file or model at fault.
        place: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// The data is readable but unfit for the purpose.
    #[error("{0}")]
    Data(String),
    /// A result of an earlier step does not exist yet.
    #[error("{0}")]
    Missing(String),
    /// A file or record that is not ours is in the way.
    #[error("{0}")]
    Conflict(String),
    /// Another run holds the lock of this workspace.
    #[error("{0}")]
    Locked(String),
    /// The optimiser stopped before it converged.
    #[error("{0}")]
    NotConverged(String),
    /// A model file cannot be trusted.
    #[error("{place}: {message}")]
    Artifact {
        /// The model file.
        place: String,
        /// Why it cannot be trusted, and what to do.
        message: String,
    },
    /// The operating system refused.
    #[error("cannot {op} {}", text::printed(.path))]
    Io {
        /// The operation that failed: "read", "create", "rename"…
        op: &'static str,
        /// The path on which it failed.
        path: PathBuf,
        /// The reason that the operating system gave.
        source: std::io::Error,
    },
    /// A program called over the network did not answer, or answered with an error.
    #[error("{0}")]
    Remote(String),
    /// A library that we call failed.
    #[error("{name} failed: {message}")]
    Backend {
        /// The library.
        name: &'static str,
        /// Its message.
        message: String,
    },
}

fn count(n: usize) -> String {
    if n == 1 { "1 problem".to_owned() } else { format!("{n} problems") }
}

fn bullets(problems: &[String]) -> String {
    let mut problems = problems.to_vec();
    text::few(&mut problems, |more| format!("and {} more", text::count(more)));
    problems.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n")
}

impl Error {
    /// The kind of failure, for callers that act on it.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// Whether the operating system refused the operation for lack of permission, or because the
    /// file system is read-only.
    pub fn is_about_permission(&self) -> bool {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self.kind(), ErrorKind::Io { source, .. }
            if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
    }

    /// An error that lists configuration problems found in `place`.
    pub fn config(place: impl Into<String>, problems: Vec<String>) -> Self {
        ErrorKind::Config { place: place.into(), problems }.into()
    }

    /// An error about columns of `place` that do not match the schema.
    pub fn schema(place: impl Into<String>, message: impl Into<String>) -> Self {
        let place = text::one_line(&place.into());
        ErrorKind::Schema { place, message: message.into() }.into()
    }

    /// An error about data that is unfit for the purpose.
    pub fn data(message: impl Into<String>) -> Self {
        ErrorKind::Data(message.into()).into()
    }

    /// An error about an earlier step that has not run yet.
    pub fn missing(message: impl Into<String>) -> Self {
        ErrorKind::Missing(message.into()).into()
    }

    /// An error about a file that is not ours.
    pub fn conflict(message: impl Into<String>) -> Self {
        ErrorKind::Conflict(message.into()).into()
    }

    /// An error about a workspace that another run has locked.
    pub fn locked(message: impl Into<String>) -> Self {
        ErrorKind::Locked(message.into()).into()
    }

    /// An error about a fit that stopped early.
    pub fn not_converged(message: impl Into<String>) -> Self {
        ErrorKind::NotConverged(message.into()).into()
    }

    /// An error about a model file that cannot be trusted.
    pub fn artifact(place: impl Into<String>, message: impl Into<String>) -> Self {
        let place = text::one_line(&place.into());
        ErrorKind::Artifact { place, message: message.into() }.into()
    }

    /// An error about a failed operation on a path.
    pub fn io(op: &'static str, path: &Path, source: std::io::Error) -> Self {
        ErrorKind::Io { op, path: path.to_owned(), source }.into()
    }

    /// An error about a network call without a usable answer.
    pub fn remote(message: impl Into<String>) -> Self {
        ErrorKind::Remote(message.into()).into()
    }

    /// An error of a library that we call.
    pub fn backend(name: &'static str, message: impl std::fmt::Display) -> Self {
        ErrorKind::Backend { name, message: message.to_string() }.into()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self(Box::new(kind))
    }
}
