//! Why an index cannot be used: it is damaged, or the disk failed.
//!
//! Not for what follows from it: the index is made again, see the parent module.

use crate::Error;

/// Why the parts of an index are of no use.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// An older part is damaged, or gone.
    Damaged,
    /// The disk does not take the new one.
    Disk(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Disk(error)
    }
}
