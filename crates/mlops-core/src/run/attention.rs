//! The essence of a report for people who do not read it: its urgency, findings, and facts for a
//! log.
//!
//! Exit codes and output are in the runtime crate, the history of findings is in the ledger.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{FindingKind, Severity};

/// Whether a person is needed, the most urgent last.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Attention {
    /// No person is needed.
    #[default]
    Fine,
    /// The work is done, but a finding needs a person.
    Person,
    /// A part of the work failed; the rest was done.
    Failed,
}

impl From<Severity> for Attention {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warning => Self::Fine,
            Severity::Person => Self::Person,
            Severity::Failed => Self::Failed,
        }
    }
}

/// Something that a user should know, even with `--quiet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// Which ones of these: files, sources, columns, a release. Often there is only one of its kind, and
    /// the list is empty.
    pub subjects: Vec<String>,
    /// Whether it needs a person; a warning does not, at once.
    pub severity: Severity,
    /// The finding in words.
    pub text: String,
}

impl Finding {
    fn new(kind: FindingKind, severity: Severity, text: impl Into<String>) -> Self {
        Self { kind, subjects: Vec::new(), severity, text: text.into() }
    }

    /// A finding for information.
    pub fn warning(kind: FindingKind, text: impl Into<String>) -> Self {
        Self::new(kind, Severity::Warning, text)
    }

    /// A finding that a person must decide or correct.
    pub fn person(kind: FindingKind, text: impl Into<String>) -> Self {
        Self::new(kind, Severity::Person, text)
    }

    /// A finding about a part of the work that failed.
    pub fn failed(kind: FindingKind, text: impl Into<String>) -> Self {
        Self::new(kind, Severity::Failed, text)
    }

    /// The same finding about `subjects`.
    #[must_use]
    pub fn about<S: Into<String>>(mut self, subjects: impl IntoIterator<Item = S>) -> Self {
        self.subjects.extend(subjects.into_iter().map(Into::into));
        self
    }
}

/// A sentence of a report, and what it is about. Records have only the sentence, so that two are the same if they
/// say the same.
#[derive(Debug, Clone, Default, Eq)]
pub struct Remark {
    /// What it is about.
    pub kind: FindingKind,
    /// Which one of these; empty if there is only one.
    pub subject: String,
    /// The sentence.
    pub text: String,
}

impl Remark {
    /// A remark on something of which there is only one.
    pub fn new(kind: FindingKind, text: impl Into<String>) -> Self {
        Self::on(kind, "", text)
    }

    /// A remark on `subject`.
    pub fn on(kind: FindingKind, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind, subject: subject.into(), text: text.into() }
    }

    /// The remark as a finding.
    pub fn as_finding(&self, severity: Severity) -> Finding {
        let subjects = Some(&self.subject).filter(|subject| !subject.is_empty());
        Finding::new(self.kind, severity, &self.text).about(subjects)
    }
}

impl Deref for Remark {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl Borrow<str> for Remark {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Remark {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl PartialEq<str> for Remark {
    fn eq(&self, other: &str) -> bool {
        self.text == other
    }
}

impl PartialEq<&str> for Remark {
    fn eq(&self, other: &&str) -> bool {
        self.text == *other
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Remark {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Remark {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self::new(FindingKind::Data, text))
    }
}

/// The remarks as findings of one severity.
pub fn findings<'a>(
    remarks: impl IntoIterator<Item = &'a Remark>,
    severity: Severity,
) -> impl Iterator<Item = Finding> {
    remarks.into_iter().map(move |remark| remark.as_finding(severity))
}

/// A fact for logs and pings: a name that programs can look for, and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// `f1`.
    pub name: &'static str,
    /// `0.9131`.
    pub value: String,
}

impl Fact {
    /// The fact `name`.
    pub fn new(name: &'static str, value: impl std::fmt::Display) -> Self {
        Self { name, value: value.to_string() }
    }
}

/// The highest urgency among `findings`.
pub fn most(findings: &[Finding]) -> Attention {
    findings.iter().map(|f| f.severity.into()).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_finding_counts() {
        let kind = FindingKind::Data;
        assert_eq!(most(&[]), Attention::Fine);
        let mut findings = vec![Finding::warning(kind, "w")];
        assert_eq!(most(&findings), Attention::Fine);
        findings.push(Finding::person(kind, "p"));
        assert_eq!(most(&findings), Attention::Person);
        findings.insert(0, Finding::failed(kind, "f"));
        assert_eq!(most(&findings), Attention::Failed);
    }

    #[test]
    fn records_have_the_sentence_of_a_remark_only() {
        let remark = Remark::on(FindingKind::RefusedFile, "a.csv", "a.csv was refused");
        let json = serde_json::to_string(&remark).unwrap();
        assert_eq!(json, "\"a.csv was refused\"");
        assert_eq!(*serde_json::from_str::<Remark>(&json).unwrap(), *remark);
        let finding = remark.as_finding(Severity::Failed);
        assert_eq!(finding.subjects, ["a.csv"]);
        assert!(
            Remark::new(FindingKind::Data, "x").as_finding(Severity::Person).subjects.is_empty()
        );
    }
}
