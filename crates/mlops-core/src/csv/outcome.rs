//! How the reading of one file ended.
//!
//! Not for what was counted in it: see [`crate::dataset::counts`].

/// How the reading of one file ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Its rows are in.
    Taken,
    /// A header and no data rows: nothing to take.
    NoRows,
    /// Not even a header.
    Empty,
    /// Nothing of it was taken, for this reason.
    Failed(String),
    /// Its labels are not those of an earlier file of the first ingestion: neither can be believed.
    Contradicts(String),
    /// It changed while it was read; nothing of it was taken.
    Changing,
    /// Its content is in already; nothing of it was taken.
    Known,
}
