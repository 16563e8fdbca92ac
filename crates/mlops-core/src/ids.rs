//! Identifiers of data set versions, releases and runs.
//!
//! Not for identities of content: see [`crate::platform::digest`].

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::platform::digest::Digest;

/// The N of `finaldata{N}.csv`: the number of distinct contents with at least one data row ingested
/// so far.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct DatasetVersion(pub u32);

impl DatasetVersion {
    /// The file name of the data set: `finaldata{N}.csv`.
    pub fn file_name(self) -> String {
        format!("finaldata{}.csv", self.0)
    }

    /// The file name of the quarantine: `quarantine{N}.csv`.
    pub fn quarantine_name(self) -> String {
        format!("quarantine{}.csv", self.0)
    }
}

impl fmt::Display for DatasetVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// `r-{N}-{12 hex}`: the data version and a digest of the artifact and its score.
///
/// It contains no time, so that deploying the same model again is a no-op.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseId(String);

impl ReleaseId {
    /// The id of an artifact with its score.
    pub fn new(version: DatasetVersion, artifact: Digest, score: Digest) -> Self {
        let both = [artifact.bytes().as_slice(), score.bytes()].concat();
        Self(format!("r-{version}-{}", Digest::of(&both).short()))
    }

    /// The id as text, which is also the name of the release's folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The data version in the id.
    pub fn dataset(&self) -> DatasetVersion {
        let number = self.0.split('-').nth(1).and_then(|n| n.parse().ok());
        DatasetVersion(number.unwrap_or_default())
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ReleaseId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let valid = text.strip_prefix("r-").and_then(|rest| rest.split_once('-')).is_some_and(
            |(version, hash)| {
                version.parse::<u32>().is_ok()
                    && hash.len() == 12
                    && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            },
        );
        if valid { Ok(Self(text.to_owned())) } else { Err(format!("{text:?} is not a release id")) }
    }
}

/// The first characters of a release id, as people abbreviate it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasePrefix(String);

impl ReleasePrefix {
    /// Whether `id` begins with this prefix.
    pub fn is_of(&self, id: &ReleaseId) -> bool {
        id.0.starts_with(&self.0)
    }
}

impl fmt::Display for ReleasePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ReleasePrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("r-").unwrap_or_default();
        let (number, rest) = rest.split_once('-').unwrap_or((rest, ""));
        let whole = format!("r-{number}-{rest:0<12}").parse::<ReleaseId>();
        if whole.is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{text:?} does not begin a release id, such as r-4-0123456789ab"))
        }
    }
}

/// A random number for unique names; not suitable for secrets.
pub fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // Each state has its own keys, drawn by the operating system.
    std::hash::RandomState::new().build_hasher().finish()
}

/// Identifies one start of one binary: sortable by time, made unique by a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The id of a run that starts at `at`, with `number` to tell it from others.
    pub fn new(at: DateTime<Utc>, number: u64) -> Self {
        Self(format!("{}-{number:x}", at.format("%Y%m%dT%H%M%S%3fZ")))
    }

    /// A unique id for a run that starts at `at` in process `pid`. Neither is unique by itself:
    /// clocks are set back, and every container has a process 1.
    pub fn unique(at: DateTime<Utc>, pid: u32) -> Self {
        Self::new(at, u64::from(pid) << 32 | random() >> 32)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_the_same_moment_and_process_have_ids_of_their_own() {
        let ids: std::collections::BTreeSet<_> =
            (0..1000).map(|_| RunId::unique(DateTime::UNIX_EPOCH, 1).to_string()).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn a_release_may_be_named_by_its_beginning() {
        let id: ReleaseId = "r-14-0123456789ab".parse().unwrap();
        for text in ["r-14", "r-14-", "r-14-01", "r-14-0123456789ab", "r-1"] {
            assert!(text.parse::<ReleasePrefix>().unwrap().is_of(&id), "{text}");
        }
        assert!(!"r-4".parse::<ReleasePrefix>().unwrap().is_of(&id));
        for text in ["", "r", "r-", "14", "r-14-xyz", "r-14-0123456789abc"] {
            assert!(text.parse::<ReleasePrefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_release_id_reads_back_and_a_foreign_folder_does_not() {
        let id = ReleaseId::new(DatasetVersion(4), Digest::of(b"model"), Digest::of(b"score"));
        assert!(id.as_str().starts_with("r-4-"));
        assert_eq!(id.dataset(), DatasetVersion(4));
        assert_eq!(id.as_str().parse(), Ok(id));
        for foreign in ["", "r-", "r-x-0123456789ab", "r-4-0123456789AB", "r-4-01", "release"] {
            assert!(foreign.parse::<ReleaseId>().is_err(), "{foreign}");
        }
    }
}
