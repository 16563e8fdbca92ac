//! The section `lineage`: where the events of OpenLineage go.
//!
//! Not for the events: see `run::lineage`.

use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;

/// Where the events of the steps go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The folder in which each run leaves a file of its events.
    pub folder: Option<PathBuf>,
    /// The address to which each event is posted.
    pub url: Option<String>,
    /// How long one post may take.
    pub timeout: Duration,
    /// The namespace of the jobs.
    pub namespace: String,
}

impl Lineage {
    /// Whether anybody wants events.
    pub fn is_wanted(&self) -> bool {
        self.folder.is_some() || self.url.is_some()
    }
}

pub(super) fn lineage(mut section: Section, at: impl Fn(String) -> PathBuf) -> Lineage {
    let url = section.text("url");
    if let Some(url) = &url
        && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
    {
        section.problem("url", "must start with http:// or https://");
    }
    let lineage = Lineage {
        folder: section.text("folder").map(at),
        url,
        timeout: Duration::from_secs(section.integer("timeout_seconds", &(1..=60), 5)),
        namespace: section.text("namespace").unwrap_or_else(|| "mlops".to_owned()),
    };
    section.finish();
    lineage
}
