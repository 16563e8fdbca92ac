//! The report of an erasure: for programs, for the record, and for those responsible for it. It names nobody.
//!
//! Not for the work itself: see [`super`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{DatasetVersion, FindingKind, Severity};
use crate::ledger::ErasureCounts;
use crate::run::attention::{self, Fact, Finding, Remark};
use crate::run::context::Report;
use crate::text;

/// What holds rows of the people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// One of the user's source files.
    SourceFile,
    /// A test file of the user's.
    TestFile,
    /// The copy of an object that was fetched.
    FetchedObject,
    /// An earlier version of the data set.
    OldVersion,
    /// A release that is not live: a golden row of it has the values of one of theirs.
    Release,
    /// The live release, likewise.
    LiveRelease,
    /// The candidate, likewise.
    Candidate,
    /// A file of the log of predictions.
    PredictionLog,
    /// The file of that log to which a service is writing.
    PredictionLogInUse,
    /// The table of a database that has every version.
    Table,
    /// The output of cron.
    CronLog,
    /// A file of ours that was changed after the erasure had begun.
    Changed,
    /// The file of the ledger, which another program was reading.
    Ledger,
}

impl What {
    /// Whether `--everywhere` removes it.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::OldVersion | Self::Release | Self::Candidate | Self::PredictionLog)
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::SourceFile => "your own source files, which this program never changes",
            Self::TestFile => "your own test files, which this program never changes",
            Self::FetchedObject => "copies of fetched objects",
            Self::OldVersion => "earlier versions of the data set",
            Self::Release => "releases with a golden row that is one of their rows, or equals one",
            Self::LiveRelease => {
                "the live release, which has a golden row that is one of their rows, or equals one; it can \
                 only be removed when another release is live"
            }
            Self::Candidate => "the candidate, which has such a golden row",
            Self::PredictionLog => "logs of predictions",
            Self::PredictionLogInUse => {
                "logs of predictions to which a service is writing: stop it and repeat the command"
            }
            Self::Table => {
                "the table of the database, which has every version: delete the rows there yourself"
            }
            Self::CronLog => "the output of cron: delete the lines there yourself",
            Self::Changed => "files that were changed meanwhile: repeat the command",
            Self::Ledger => {
                "the file of the ledger, which another program is reading: the next run writes it anew"
            }
        }
    }
}

/// A place that still holds rows of the people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// What it is.
    pub what: What,
    /// Its name.
    pub name: String,
    /// The number of their rows, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

impl Left {
    pub(super) fn of(what: What, name: &str, rows: u64) -> Self {
        Self { what, name: name.to_owned(), rows: Some(rows).filter(|rows| *rows > 0) }
    }
}

/// What an erasure did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// What was taken away.
    pub counts: ErasureCounts,
    /// The version without their rows, if one was made.
    pub version: Option<DatasetVersion>,
    /// The name of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Files of ours that lost what they had of them.
    pub rewritten: Vec<String>,
    /// Files of ours, versions and releases that were removed.
    pub removed: Vec<String>,
    /// Places that still hold their rows.
    pub left: Vec<Left>,
    /// The live model was trained on their rows, and the next `fullprocess` trains another one.
    pub retrains: bool,
    /// Nothing was done.
    pub dry_run: bool,
    /// What somebody should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Remark>,
    /// Why the table of "output.table" does not have the version, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
}

impl Erased {
    /// Whether nothing was found of the people.
    fn is_nothing(&self) -> bool {
        let counts = &self.counts;
        let rows = counts.rows + counts.quarantined + counts.held_out + counts.outcomes.total();
        rows == 0 && self.rewritten.is_empty() && self.removed.is_empty() && self.left.is_empty()
    }
}

impl Report for Erased {
    fn changed(&self) -> bool {
        !self.dry_run
    }

    fn findings(&self) -> Vec<Finding> {
        let behind = self.behind.iter().map(|why| Finding::person(FindingKind::TableBehind, why));
        attention::findings(&self.warnings, Severity::Warning).chain(behind).collect()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![
            Fact::new("people", self.counts.people),
            Fact::new("rows", self.counts.rows),
            Fact::new("quarantined", self.counts.quarantined),
            Fact::new("held_out", self.counts.held_out),
            Fact::new("outcomes", self.counts.outcomes.total()),
            Fact::new("left", self.left.len()),
        ]
    }
}

impl fmt::Display for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErasureCounts {
            people, known, rows, quarantined, held_out, outcomes, everywhere, ..
        } = &self.counts;
        let persons =
            |n: u64| if n == 1 { "1 person".to_owned() } else { text::count(n) + " people" };
        let (would, is) = if self.dry_run { ("would be ", "would be") } else { ("", "is") };
        writeln!(f, "{} {would}erased.", persons(*people))?;
        if *known > 0 {
            writeln!(f, "{} of them had been erased before.", text::count(*known))?;
        }
        if self.is_nothing() {
            writeln!(
                f,
                "Nothing about them was found in any row, record or file. {}, so that their rows are left \
                 out if they arrive later.",
                if self.dry_run { "They would be remembered" } else { "They are remembered" }
            )?;
        }
        let table = [
            ("of the data set", *rows),
            ("of quarantines", *quarantined),
            ("of hold-outs", *held_out),
        ];
        for (what, n) in table.into_iter().filter(|(_, n)| *n > 0) {
            writeln!(f, "Left out: {} {what}", text::plural(n, "row"))?;
        }
        let parts = [
            (outcomes.predictions, "prediction", "of the store of outcomes"),
            (outcomes.labels, "label", "of the store of outcomes"),
            (outcomes.sent, "row", "of labels that were sent"),
        ];
        for (n, what, of) in parts.into_iter().filter(|(n, ..)| *n > 0) {
            writeln!(f, "Left out: {} {of}", text::plural(n, what))?;
        }
        if let Some(data) = &self.data {
            writeln!(f, "The data set {is} {data}.")?;
        }
        let lists = [
            ("Rewritten", "Would be rewritten", &self.rewritten),
            ("Removed", "Would be removed", &self.removed),
        ];
        for (done, would, names) in lists.into_iter().filter(|(.., names)| !names.is_empty()) {
            writeln!(f, "{}: {}", if self.dry_run { would } else { done }, text::names(names))?;
        }
        if self.retrains {
            writeln!(
                f,
                "The live model may have been trained on their rows: the next `fullprocess` trains a new one."
            )?;
        }
        let mut kinds: Vec<What> = self.left.iter().map(|left| left.what).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if !kinds.is_empty() {
            writeln!(
                f,
                "Their rows {} in:",
                if self.dry_run { "would stay" } else { "are still" }
            )?;
        }
        for kind in &kinds {
            let of_kind = self.left.iter().filter(|left| left.what == *kind);
            let names = of_kind.map(|left| match left.rows {
                Some(rows) => format!("{} ({})", left.name, text::plural(rows, "row")),
                None => left.name.clone(),
            });
            writeln!(f, "  {}: {}", kind.in_words(), text::names(names))?;
        }
        if kinds.iter().any(|kind| kind.is_ours()) && !everywhere {
            writeln!(f, "`--everywhere` removes those that belong to this program.")?;
        }
        Ok(())
    }
}
