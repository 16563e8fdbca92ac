//! The section `retention`: how many releases, data sets and records are kept.
//!
//! Not for removing them: see `stage::retain` and `ledger`.

use serde::{Deserialize, Serialize};

use super::section::Section;

/// How many releases, data sets and records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// How many of the releases that went live last are kept; `None` for all.
    pub keep_releases: Option<u64>,
    /// How many of the newest data sets are kept; `None` for all.
    pub keep_datasets: Option<u64>,
    /// For how many days the details of runs and decisions are kept; `None` for ever.
    pub keep_days: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_releases: Some(10), keep_datasets: Some(5), keep_days: Some(90) }
    }
}

pub(super) fn retention(mut section: Section) -> Retention {
    let default = Retention::default();
    let range = 1..=1_000_000;
    let retention = Retention {
        keep_releases: section.limit("keep_releases", &range, default.keep_releases),
        keep_datasets: section.limit("keep_datasets", &range, default.keep_datasets),
        keep_days: section.limit("keep_days", &(1..=36_500), default.keep_days),
    };
    section.finish();
    retention
}
