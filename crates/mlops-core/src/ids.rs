//! Identifiers of data set versions, releases and runs; steps of a run; outcomes of steps and
//! decisions; kinds and severities of findings.
//!
//! Not for identities of content: see [`crate::platform::digest`].

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::platform::digest::Digest;

/// Defines an enum whose variants have one name each, in the ledger, in JSON and for people.
macro_rules! spelt {
    (
        $(#[$doc:meta])*
        pub enum $name:ident {
            $($(#[$of:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $name {
            /// All variants.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The variant's name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let known = Self::ALL.iter().find(|known| known.as_str() == text);
                known.copied().ok_or_else(|| {
                    format!("{text:?} is no {} that this program knows", stringify!($name))
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use spelt;

spelt! {
    /// A step of a run: the work of one binary, or of one part of `fullprocess`.
    pub enum Step {
        /// Ingests new files into the next data set.
        Ingestion = "ingestion",
        /// Takes over the data set of earlier scripts.
        AdoptData = "ingestion --adopt",
        /// Takes rows of the quarantine after a correction.
        Replay = "ingestion quarantine replay",
        /// Gives rows of the quarantine up.
        Discard = "ingestion quarantine discard",
        /// Erases people.
        Forget = "ingestion --forget",
        /// Trains a model on the newest data set.
        Training = "training",
        /// Scores the model on the test data.
        Scoring = "scoring",
        /// Deploys the model.
        Deployment = "deployment",
        /// Makes an earlier release live again.
        Rollback = "deployment rollback",
        /// Makes a challenger live that waits.
        Approve = "deployment approve",
        /// Gives up a challenger that waits.
        Reject = "deployment reject",
        /// Moves a folder away from the pointer's path.
        AdoptFolder = "deployment adopt",
        /// Examines the live release and its data.
        Diagnostics = "diagnostics",
        /// Joins labels to logged predictions.
        Outcomes = "diagnostics outcomes",
        /// Draws the charts and writes the page.
        Reporting = "reporting",
        /// Calls every endpoint of the app.
        ApiCalls = "apicalls",
        /// Runs all steps, the first time.
        FirstRun = "first_run",
        /// Decides which steps to run, and runs them.
        FullProcess = "fullprocess",
        /// Part of `fullprocess`: sets rows aside for testing.
        Holdout = "holdout",
        /// Part of `fullprocess`: judges the live model on new rows.
        Drift = "drift",
        /// Part of `fullprocess`: compares champion and challenger.
        Gate = "gate",
    }
}

spelt! {
    /// The outcome of a step.
    pub enum RunOutcome {
        /// It changed something.
        Done = "done",
        /// There was nothing to change.
        NothingToDo = "nothing to do",
        /// It stopped with an error.
        Failed = "failed",
    }
}

spelt! {
    /// The outcome of a decision of `fullprocess`.
    #[derive(Default)]
    pub enum DecisionOutcome {
        /// No data set is newer than the last decided one.
        #[default]
        NothingNew = "nothing_new",
        /// The live model does as well on the new rows.
        NoDrift = "no_drift",
        /// There are too few new rows to decide; they count again next time.
        Undecided = "undecided",
        /// A new model was trained but did not pass the gate.
        Refused = "refused",
        /// A new model was promoted.
        Promoted = "promoted",
        /// A new model passed the gate and waits for approval.
        Waits = "waits",
        /// A dry run stopped before training.
        DryRun = "dry_run",
    }
}

spelt! {
    /// The form of a data set's file.
    #[derive(Default)]
    pub enum Form {
        /// CSV, as all rows are spelt.
        #[default]
        Csv = "csv",
        /// Parquet with the same cells.
        Parquet = "parquet",
    }
}

impl Form {
    /// Whether it is CSV, which records need not say.
    pub fn is_csv(&self) -> bool {
        *self == Self::Csv
    }
}

spelt! {
    /// What a finding is about, for rules, alerts and figures. A name never changes its meaning.
    #[derive(Default)]
    pub enum FindingKind {
        /// A file or a batch was refused.
        RefusedFile = "refused_file",
        /// A file was refused since too many of its rows are bad.
        QuarantineShare = "quarantine_share",
        /// A file or a batch breaks its contract and was taken.
        BrokenContract = "broken_contract",
        /// Many rows of a file repeat others.
        RepeatedRows = "repeated_rows",
        /// A file waits: it is still written, or changed while it was read.
        UnfinishedFile = "unfinished_file",
        /// A file is gone, or its new content was not taken, so that its earlier rows stay.
        StaleRows = "stale_rows",
        /// A file has rows of people who were erased.
        ErasedRows = "erased_rows",
        /// A source cannot be reached, or an object of it cannot be fetched.
        SourceFailed = "source_failed",
        /// Data of a source are overdue.
        SourceOverdue = "source_overdue",
        /// No new rows came for longer than allowed.
        DataOverdue = "data_overdue",
        /// A decision was made without a source that it waited for.
        DecidedWithout = "decided_without",
        /// Something else about data that were taken.
        Data = "data",
        /// The table in a database lacks the newest data set.
        TableBehind = "table_behind",
        /// The distribution of a column of new rows differs.
        DataDrift = "data_drift",
        /// The distribution of a column of the rows that the live release is asked for differs.
        AskedDrift = "asked_drift",
        /// The live model drifted.
        ModelDrift = "model_drift",
        /// The live model drifted, and no better one was found.
        DriftWithoutBetterModel = "drift_without_better_model",
        /// The live model does no better than a constant answer.
        BelowConstant = "below_constant",
        /// A model that is not live does no better than a constant answer.
        CandidateBelowConstant = "candidate_below_constant",
        /// No release is live.
        NothingLive = "nothing_live",
        /// All new rows are of one class.
        OneClass = "one_class",
        /// The live model gives no prediction for most new rows.
        UnansweredRows = "unanswered_rows",
        /// The live model may know rows of people who were erased.
        ErasedPeople = "erased_people",
        /// The predicted probabilities are off.
        Calibration = "calibration",
        /// There are few rows to test or to train on.
        FewRows = "few_rows",
        /// One class is rare.
        UnbalancedClasses = "unbalanced_classes",
        /// A column may give the label away.
        Leak = "leak",
        /// The values of a column are missing or constant.
        EmptyColumn = "empty_column",
        /// Something else about a model, its release or its report.
        #[default]
        Model = "model",
        /// A challenger waits for somebody's approval.
        WaitsForApproval = "waits_for_approval",
        /// A release is damaged.
        DamagedRelease = "damaged_release",
        /// Old files were not removed.
        Retention = "retention",
        /// The service does not answer as it should.
        ServiceDegraded = "service_degraded",
        /// A step stopped with an error.
        RunFailed = "run_failed",
        /// Something else about the machine or our own files.
        Upkeep = "upkeep",
        /// Two files that should agree differ.
        Difference = "difference",
    }
}

spelt! {
    /// The severity of a finding, the most urgent last.
    pub enum Severity {
        /// Somebody should know.
        Warning = "warning",
        /// The work is done, but a person must decide or correct something.
        Person = "person",
        /// A part of the work failed.
        Failed = "failed",
    }
}

/// The N of `finaldata{N}.csv`: it rises by the number of files that an ingestion took, and by one if
/// an ingestion only removed the rows of files that were corrected.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct DatasetVersion(pub u32);

impl DatasetVersion {
    /// The version after `last`, for an ingestion that took `files` files.
    pub fn after(last: Option<Self>, files: usize) -> Self {
        let files = u32::try_from(files).unwrap_or(u32::MAX).max(1);
        Self(last.map_or(0, |last| last.0).saturating_add(files))
    }

    /// The file name of the data set as CSV: `finaldata{N}.csv`.
    pub fn file_name(self) -> String {
        self.name(Form::Csv)
    }

    /// The file name of the data set in a form.
    pub fn name(self, form: Form) -> String {
        match form {
            Form::Csv => format!("finaldata{}.csv", self.0),
            Form::Parquet => format!("finaldata{}.parquet", self.0),
        }
    }

    /// The key under which the ledger has the digest of a Parquet file that stands beside the data set.
    pub(crate) fn table_key(self) -> String {
        format!("table {}", self.0)
    }

    /// The key under which the ledger has the digest of the rows, if it is not that of the file.
    pub(crate) fn content_key(self) -> String {
        format!("content {}", self.0)
    }

    /// The file name of the changed cells: `changes{N}.parquet`.
    pub fn changes_name(self) -> String {
        format!("changes{}.parquet", self.0)
    }

    /// The key under which the ledger has the digest of that file.
    pub(crate) fn changes_key(self) -> String {
        format!("changes {}", self.0)
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
/// The empty one, the default, is that of no run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

    /// The id that a record or a user names.
    pub fn named(text: impl Into<String>) -> Self {
        Self(text.into())
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
    fn a_spelling_reads_back_and_another_one_is_refused() {
        for step in Step::ALL {
            assert_eq!(step.as_str().parse(), Ok(*step));
            let json = serde_json::to_string(step).unwrap();
            assert_eq!(json, format!("\"{step}\""));
            assert_eq!(serde_json::from_str::<Step>(&json).unwrap(), *step);
        }
        assert_eq!("nothing to do".parse(), Ok(RunOutcome::NothingToDo));
        assert_eq!("no_drift".parse(), Ok(DecisionOutcome::NoDrift));
        let error = "Training".parse::<Step>().unwrap_err();
        assert_eq!(error, "\"Training\" is no Step that this program knows");
        assert!(serde_json::from_str::<RunOutcome>("\"nothing_to_do\"").is_err());
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
