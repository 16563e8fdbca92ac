//! A content that a new version of the data set takes in, and where its rows were read.
//!
//! Not for reading it: see [`crate::dataset::builder`]; not for recording it: see [`super::publish`].

use std::collections::BTreeSet;

use crate::config::Config;
use crate::dataset::counts::FileCounts;
use crate::dataset::discover::SourceFile;
use crate::ids::DatasetVersion;
use crate::ledger::FileRecord;
use crate::platform::digest::Digest;
use crate::platform::location::Location;

/// How the recorded counts of a content change.
pub(in crate::stage) enum Recount {
    /// They stay.
    No,
    /// All its rows were passed again.
    All,
    /// The rows that were kept were passed, of those that had these counts.
    Kept(Box<FileCounts>),
    /// They become these.
    To(Box<FileCounts>),
}

/// Where the rows of a part were read.
pub(in crate::stage) enum From {
    /// In a file, but for some rows, by part and line, that were given up.
    File(SourceFile, BTreeSet<(String, u64)>),
    /// In the last data set, from this row on, counted from 0: so many.
    LastDataSet(u64, u64),
}

/// A content that is in the new data set but not in its base.
pub(in crate::stage) struct Part {
    pub(in crate::stage) sha256: Digest,
    pub(in crate::stage) location: Location,
    pub(in crate::stage) replaces: Option<Digest>,
    pub(in crate::stage) counts: FileCounts,
    /// The index of its record among those of this run, if it has one.
    pub(in crate::stage) record: Option<usize>,
    /// Whether its recorded counts change.
    pub(in crate::stage) recount: Recount,
    /// Where its rows were read.
    pub(in crate::stage) from: From,
}

impl Part {
    /// The recorded counts of the content from now on, if they change.
    pub(super) fn recounted(&self, version: DatasetVersion) -> Option<FileCounts> {
        let now = &self.counts;
        Some(match &self.recount {
            Recount::No => return None,
            Recount::All => FileCounts { quarantine: Some(version), ..now.clone() },
            Recount::To(counts) => (**counts).clone(),
            Recount::Kept(before) => FileCounts {
                rows_kept: now.rows_kept,
                duplicates_across: before.duplicates_across + now.duplicates(),
                superseded: before.superseded + now.superseded,
                ..(**before).clone()
            },
        })
    }

    /// The last of `files`, if it added rows of its own.
    pub(in crate::stage) fn of_last(config: &Config, files: &[FileRecord]) -> Option<Self> {
        let last = files.last().filter(|f| f.status.is_in() && f.same_as.is_none())?;
        Some(Self {
            sha256: last.sha256?,
            location: last.location.clone(),
            replaces: last.replaces,
            counts: last.counts.clone(),
            record: Some(files.len() - 1),
            recount: Recount::No,
            from: From::File(
                SourceFile { name: last.name.clone(), path: last.location.path(&config.base) },
                BTreeSet::new(),
            ),
        })
    }
}
