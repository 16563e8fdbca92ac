//! The contract for databases that receive the data set as a table: each version is written whole or not
//! at all, and the same transaction changes the rows and the record of which version is there.
//!
//! When a version is delivered is decided in `stage::deliver`. The databases are in a crate of their own;
//! the program that links it passes them to the run.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::Result;
use crate::ids::DatasetVersion;
use crate::platform::digest::Digest;
use crate::table::schema::Schema;

/// A version of the data set, as recorded in the database.
#[derive(Debug, Clone, Copy)]
pub struct Version<'a> {
    /// The mark of the workspace. A table has the rows of one workspace only.
    pub workspace: &'a str,
    /// The number.
    pub version: DatasetVersion,
    /// The digest of its rows as CSV, whatever the form of its file.
    pub content: Digest,
    /// The number of rows.
    pub rows: u64,
    /// The columns.
    pub schema: &'a Schema,
    /// The time, RFC 3339, UTC.
    pub now: &'a str,
}

/// A database with a table into which data sets are delivered.
pub trait Destination {
    /// The versions that the workspace has delivered, with their digests; none if the table is gone.
    fn delivered(&mut self, workspace: &str) -> Result<BTreeMap<DatasetVersion, Digest>>;

    /// Begins the transaction that brings `version`, and takes away the rows that it replaces: all in
    /// mode `replace`, those of this and of later versions in mode `append`. Creates the table if there
    /// is none, and never touches one that has rows of somebody else.
    fn begin<'a>(&'a mut self, version: &Version) -> Result<Box<dyn Delivery + 'a>>;
}

/// A transaction that brings a version. Nothing of it stays if it is dropped before its end.
pub trait Delivery {
    /// Adds a row. Its cells are in canonical spelling, in the order of the schema; an empty one is a
    /// missing value.
    fn row(&mut self, cells: &[Cow<'_, str>]) -> Result<()>;

    /// Ends the transaction: from now on, everybody sees the version, and the record says so.
    fn commit(self: Box<Self>) -> Result<()>;
}
