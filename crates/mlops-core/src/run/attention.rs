//! The essence of a report for people who do not read it: its urgency, findings, and facts for a
//! log.
//!
//! Not for exit codes or output: see the runtime crate.

use serde::{Deserialize, Serialize};

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

/// Something that a user should know, even with `--quiet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether it needs a person; a warning does not, at once.
    pub attention: Attention,
    /// The finding in words.
    pub text: String,
}

impl Finding {
    /// A finding for information.
    pub fn warning(text: impl Into<String>) -> Self {
        Self { attention: Attention::Fine, text: text.into() }
    }

    /// A finding that a person must decide or correct.
    pub fn person(text: impl Into<String>) -> Self {
        Self { attention: Attention::Person, text: text.into() }
    }

    /// A finding about a part of the work that failed.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { attention: Attention::Failed, text: text.into() }
    }
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
    findings.iter().map(|f| f.attention).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_finding_counts() {
        assert_eq!(most(&[]), Attention::Fine);
        let mut findings = vec![Finding::warning("w")];
        assert_eq!(most(&findings), Attention::Fine);
        findings.push(Finding::person("p"));
        assert_eq!(most(&findings), Attention::Person);
        findings.insert(0, Finding::failed("f"));
        assert_eq!(most(&findings), Attention::Failed);
    }
}
