//! Why an index cannot be used: it is damaged, or the disk failed.
//!
//! Not for the consequence, which is that the index is rebuilt: see the parent module.

use crate::Error;

/// Why an index cannot be used.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// An older part is damaged or missing.
    Damaged,
    /// Writing the new part failed.
    Disk(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Disk(error)
    }
}
