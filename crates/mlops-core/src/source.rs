//! The contract for sources that rows are fetched from: a repeatable list of objects, and their bytes.
//!
//! Objects that are not in a folder on this machine are fetched into the workspace's landing folder and
//! ingested from there like any file. Fetching them is in `stage::land`. The sources themselves are in
//! a crate of their own; the program that links it passes them to the run.

use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::config;
use crate::config::OutputTable;
use crate::destination::Destination;
use crate::platform::clock::Clock;
use crate::{Error, Result};

/// Opens the places that a program can reach.
pub trait Places: Send + Sync {
    /// Prepares to read from `source`; connecting may be left to [`Source::list`].
    fn open(&self, source: &config::Source, around: &Around<'_>) -> Result<Box<dyn Source>>;

    /// Opens the database that receives the data set as a table.
    fn destination(
        &self,
        table: &OutputTable,
        _around: &Around<'_>,
    ) -> Result<Box<dyn Destination>> {
        Err(Error::data(format!(
            "the table \"{}\" is written by ingestion, first_run and fullprocess only",
            table.table
        )))
    }
}

/// What a place needs of the run that reads from it.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The folder from which relative paths resolve.
    pub base: &'a Path,
    /// The clock.
    pub clock: &'a Arc<dyn Clock>,
}

/// A place from which objects are fetched.
///
/// Names are relative to the place, so that another process that opened it finds the same objects.
/// `mlops_testkit::conformance` has the tests that every place passes.
pub trait Source: Send + Sync {
    /// The objects that are there, sorted by name; twice the same if nothing changed. An error says
    /// what to do about it.
    fn list(&self, seen: &Seen) -> Result<Vec<Object>>;

    /// Writes the bytes of `object` to `to`.
    ///
    /// What was written counts only if [`Fetched::Whole`] is returned: when `to` refuses bytes, the
    /// result is an error. Called on several threads.
    fn fetch(&self, object: &Object, to: &mut dyn Write) -> Result<Fetched>;

    /// Whether several machines may each fetch a range of `object`.
    fn has_ranges(&self, _object: &Object) -> bool {
        false
    }

    /// Like [`Source::fetch`] for a range of an object that [has ranges](Source::has_ranges).
    fn fetch_range(
        &self,
        object: &Object,
        _range: Range<u64>,
        _to: &mut dyn Write,
    ) -> Result<FetchedRange> {
        Err(Error::data(format!("{} cannot be fetched in ranges", object.name)))
    }
}

/// How far the extracts of a source have been ingested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Where the last extract ended, in words of the place that made it; `None` before the first one.
    pub cursor: Option<String>,
    /// The number of extracts so far.
    pub extracts: u64,
}

/// An object of a source, as a list has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Object {
    /// Its name within the source: a path without a leading slash.
    pub name: String,
    /// What differs whenever its bytes do, such as an ETag; `None` if only its bytes tell.
    pub version: Option<String>,
    /// Its size in bytes, if it is known.
    pub size: Option<u64>,
    /// When it last changed, if that is known.
    pub modified: Option<DateTime<Utc>>,
}

/// The result of fetching an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// All its bytes were written.
    Whole {
        /// For an extract by a cursor, where it ended, in words of the place.
        cursor: Option<String>,
    },
    /// It changed or vanished meanwhile, so that it is left to the next run.
    Changed,
    /// An extract without rows.
    Empty,
}

/// The result of fetching a range of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FetchedRange {
    /// All its bytes were written.
    Whole {
        /// The version of the object that was read, if the answer tells it. Ranges belong together if they are of the
        /// same version.
        version: Option<String>,
    },
    /// The object changed or vanished meanwhile.
    Changed,
}

/// No places but folders of this machine.
#[derive(Debug, Clone, Copy)]
pub struct OnlyFolders;

impl Places for OnlyFolders {
    fn open(&self, source: &config::Source, _: &Around<'_>) -> Result<Box<dyn Source>> {
        Err(Error::data(format!(
            "the source \"{}\" is read by ingestion, first_run and fullprocess only",
            source.name
        )))
    }
}
