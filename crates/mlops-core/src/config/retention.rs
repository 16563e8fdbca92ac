//! The section "retention": how much of the past stays.
//!
//! Not for what goes when: see `stage::retain` and `ledger`.

use serde::{Deserialize, Serialize};

use super::section::Section;

/// How much of the past stays on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Releases that went live, the last ones; nothing for all.
    pub keep_releases: Option<u64>,
    /// Data sets, the newest ones; nothing for all.
    pub keep_datasets: Option<u64>,
    /// Details of runs and decisions: those of the last so many days; nothing for all.
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
