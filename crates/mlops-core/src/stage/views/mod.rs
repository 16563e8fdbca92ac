//! What is on record, as people look at it: one value per page of the dashboard, which is also its JSON.
//!
//! A view opens the ledger read-only, reads at most a page of records, and changes nothing; nor does it ask a place
//! elsewhere. Where there is no ledger yet, a view is empty. Not for HTML: see the service.

pub mod asked;
pub mod decisions;
pub mod findings;
pub mod ingestions;
pub mod live;
pub mod missing;
pub mod release;
pub mod releases;
pub mod runs;
pub mod sources;
pub mod start;
pub mod to_do;
