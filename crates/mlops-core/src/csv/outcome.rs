//! How the reading of one file ended.
//!
//! Not for what was counted in it: see [`crate::dataset::counts`].

/// How the reading of one file ended.
#[derive(Debug, Clone)]
pub enum FileOutcome {
    /// Its rows were added.
    Taken,
    /// It has a header and no data rows.
    NoRows,
    /// It has not even a header.
    Empty,
    /// It was refused as a whole, for this reason.
    Failed(String),
    /// Its labels contradict those of another file of the first ingestion, so that neither can be
    /// trusted.
    Contradicts(String),
    /// It changed while it was read, so that nothing of it was added.
    Changing,
    /// Its content was ingested before, so that nothing of it was added.
    Known,
}
