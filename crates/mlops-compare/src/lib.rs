//! Compares two CSV files: which rows and cells they have in common, and which only one of them
//! has.
//!
//! | step | file | what it guarantees |
//! |---|---|---|
//! | match | `columns` | columns are matched by name, in whatever order |
//! | read | `source`, `rows` | rows in file order, on several threads, keys first |
//! | spell | `cell` | cells are equal if their spellings are; a missing one equals a missing one |
//! | group | `groups` | rows by key; memory stays within its limit |
//! | join | `join` | no row is paired arbitrarily |
//! | keep | `memory` | one file is read once, the other one twice; neither is in memory more than
//! once |
//! | compare | `difference` | numbers may differ by the tolerance |
//! | spill | `partition`, `spool` | data beyond the memory limit goes through temporary files |
//! | spread | `there` | a distributed engine reads and joins the rows |
//! | write | `output` | the joined rows, in the order of the files |
//! | sum up | `findings`, `examples`, `outcome` | the same for any number of threads and any memory
//! limit |
//!
//! This file joins the steps; [`command`] is `diagnostics compare`, with its options in [`arguments`], and what is
//! said to the user. What reads and writes a CSV file (pieces on several threads, records, spellings, hashes, temporary
//! files) is core's. Not for building data sets: see `mlops_core::dataset`.

// The header of a file may link to private items: it is read in the sources.
#![allow(rustdoc::private_intra_doc_links)]

pub mod arguments;
mod cell;
mod columns;
pub mod command;
mod difference;
mod examples;
mod findings;
mod groups;
mod join;
mod memory;
mod outcome;
mod output;
mod partition;
mod rows;
mod source;
mod spool;
pub mod there;
mod words;

use std::cell::Cell;
use std::path::Path;

use mlops_core::Result;
use mlops_core::config::Ingestion;
use mlops_core::csv::row_hash::RowHasher;
use mlops_core::platform::digest::Digest;
use mlops_core::platform::disk::{Disk, NewFile};
use mlops_core::table::schema::Schema;

use cell::Spelling;
use columns::Fields;
use findings::Findings;
use join::Plan;
use output::JoinedFile;
use partition::{Partitioned, Parts};
use rows::Rows;
use source::{Making, Reading, Source};
use there::There;

pub use columns::Columns;
pub use difference::{CellDifference, Tolerance};
pub use examples::EXAMPLES;
pub use outcome::{ColumnDifference, Comparison, Differences, Repeated, RepeatedKey, Unreadable};
pub use output::MERGE;
pub use source::Side;

/// What to compare, and how.
pub struct Request<'a> {
    /// The left file.
    pub left: Side<'a>,
    /// The right file.
    pub right: Side<'a>,
    /// The columns that together identify a row; if empty, all that both have.
    pub on: &'a [String],
    /// The tolerance for numbers in the other columns.
    pub tolerance: Tolerance,
    /// The schema of some of the columns.
    pub schema: &'a Schema,
    /// How columns of the schema are read.
    pub options: &'a Ingestion,
    /// The file for the joined rows, if they are wanted.
    pub output: Option<&'a Path>,
    /// The machine's resources that may be used.
    pub means: Resources<'a>,
    /// A distributed engine that does the work instead, where it can.
    pub there: Option<There<'a>>,
    /// Receives progress: bytes read of both files, bytes to read, rows read.
    pub progress: &'a dyn Fn(u64, u64, u64),
}

/// The machine's resources that may be used. They do not affect the result.
#[derive(Debug, Clone, Copy)]
pub struct Resources<'a> {
    /// The way to write.
    pub disk: &'a Disk,
    /// A folder for temporary files.
    pub scratch: &'a Path,
    /// The number of threads that read rows at the same time.
    pub threads: usize,
    /// Memory limit for the rows of the right file and the keys of both, in bytes.
    pub memory: usize,
}

/// A finished comparison.
pub struct Found {
    /// The result.
    pub comparison: Comparison,
    /// The joined rows, not yet published, and their number.
    pub joined: Option<(NewFile, u64)>,
    /// The digests of those files that are data sets of ours: left, right.
    pub digests: [Option<Digest>; 2],
}

/// Compares two files.
pub fn compare(request: &Request) -> Result<Found> {
    let open = |side| Source::open(side, request.options);
    let (left, right) = (open(request.left)?, open(request.right)?);
    let places = [request.left, request.right].map(|side| side.path.display().to_string());
    let columns = Columns::align(
        [&left.names, &right.names],
        [&places[0], &places[1]],
        request.on,
        request.schema,
    )?;
    let plan =
        Plan { columns: &columns, tolerance: request.tolerance, hasher: RowHasher::random() };
    let spelling = Spelling::new(request.schema, request.options);
    let run = Run {
        request,
        plan,
        making: Making {
            options: request.options,
            spelling: &spelling,
            hasher: plan.hasher,
            threads: request.means.threads,
        },
        left_fields: columns.fields(&left.names),
        right_fields: columns.fields(&right.names),
        total: left.size() + right.size() + if columns.keyed { left.size() } else { right.size() },
    };
    let done = match request.there {
        Some(there) if left.in_stretches() && right.in_stretches() => {
            run.there(there, &left, &right)?
        }
        _ => run.here(left, right)?,
    };
    (request.progress)(run.total, run.total, done.left.rows + done.right.rows);
    let digests = [done.left.digest, done.right.digest];
    let comparison = Comparison::new(columns.clone(), [&done.left, &done.right], &done.findings);
    let joined = done.file.map(JoinedFile::finish).transpose()?;
    Ok(Found { comparison, joined, digests })
}

/// The parameters of one comparison.
struct Run<'a> {
    request: &'a Request<'a>,
    plan: Plan<'a>,
    making: Making<'a>,
    left_fields: Fields,
    right_fields: Fields,
    /// The number of bytes to read.
    total: u64,
}

struct Done {
    findings: Findings,
    left: Reading,
    right: Reading,
    file: Option<JoinedFile>,
}

impl Run<'_> {
    /// Has an engine join the files.
    fn there(&self, there: There, left: &Source, right: &Source) -> Result<Done> {
        let sources = [
            (left, self.request.left, &self.left_fields),
            (right, self.request.right, &self.right_fields),
        ];
        let there::Joined { findings, readings: [left, right], file } =
            there::join(there, self.plan, sources, || self.file())?;
        Ok(Done { findings, left, right, file })
    }

    /// Joins the files in this process.
    fn here(&self, left: Source, right: Source) -> Result<Done> {
        let request = self.request;
        let again = left.regular && right.regular;
        let stamps = (left.stamp(), right.stamp());
        // With a key rows are stored; otherwise only hashes, whose number is estimated from the first
        // rows.
        let fits =
            again && (!self.plan.columns.keyed || right.size() <= request.means.memory as u64);
        if !fits {
            return self.partitioned(left, right);
        }
        if let Some(done) = memory::join(self, left, right)? {
            return Ok(done);
        }
        let open = |side| Source::open(side, request.options);
        let (left, right) = (open(request.left)?, open(request.right)?);
        left.same_as(stamps.0, request.left.path)?;
        right.same_as(stamps.1, request.right.path)?;
        self.partitioned(left, right)
    }

    /// The file for the joined rows, if they are wanted.
    fn file(&self) -> Result<Option<JoinedFile>> {
        let create = |path| JoinedFile::create(self.request.means.disk, path, self.plan.columns);
        self.request.output.map(create).transpose()
    }

    /// Reads the left file and passes its pieces to `take`. `done` has the bytes and rows before.
    fn read_left(
        &self,
        source: Source,
        done: &Cell<(u64, u64)>,
        mut take: impl FnMut(&[u8], &Rows) -> Result<()>,
    ) -> Result<Reading> {
        let path = self.request.left.path;
        source.read(path, &self.left_fields, self.making, |chunk, rows| {
            self.tell(done, chunk, rows);
            take(chunk, rows)
        })
    }

    /// Reads the right file in the same way.
    fn read_right(
        &self,
        source: Source,
        done: &Cell<(u64, u64)>,
        mut take: impl FnMut(&[u8], &Rows) -> Result<()>,
    ) -> Result<Reading> {
        let path = self.request.right.path;
        source.read(path, &self.right_fields, self.making, |chunk, rows| {
            self.tell(done, chunk, rows);
            take(chunk, rows)
        })
    }

    fn tell(&self, done: &Cell<(u64, u64)>, chunk: &[u8], rows: &Rows) {
        let (bytes, before) = done.get();
        done.set((bytes + chunk.len() as u64, before + rows.all.len() as u64));
        // The end is reported when everything is done.
        let bytes = done.get().0.min(self.total.saturating_sub(1));
        (self.request.progress)(bytes, self.total, done.get().1);
    }

    /// Joins through temporary files.
    fn partitioned(&self, left: Source, right: Source) -> Result<Done> {
        let Resources { disk, scratch, memory, .. } = self.request.means;
        let told = Cell::default();
        let mut rights = Parts::create(disk, scratch)?;
        let right = self.read_right(right, &told, |chunk, rows| rights.add(chunk, rows))?;
        let rights = rights.end()?;
        let mut lefts = Parts::create(disk, scratch)?;
        let left = self.read_left(left, &told, |chunk, rows| lefts.add(chunk, rows))?;
        let lefts = lefts.end()?;
        let mut file = self.file()?;
        let parts = Partitioned { plan: self.plan, left: lefts, right: rights, memory };
        let findings = parts.join((disk, scratch), file.as_mut())?;
        Ok(Done { findings, left, right, file })
    }
}
