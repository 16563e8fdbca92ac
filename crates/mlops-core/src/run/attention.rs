//! What a report has to say to those who do not read it: how urgent it is, what somebody should
//! know, and the facts for a log.
//!
//! Not for exit codes, nor for where it is said: those are the runtime's.

use serde::{Deserialize, Serialize};

/// Whether somebody is needed, the most urgent last.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Attention {
    /// Nobody is.
    #[default]
    Fine,
    /// The work is done, but what it found needs a person.
    Person,
    /// A part of the work failed, and the rest was done.
    Failed,
}

/// One thing that somebody should know, even somebody who asked for quiet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether somebody is needed for it; a warning needs nobody at once.
    pub attention: Attention,
    /// What it is.
    pub text: String,
}

impl Finding {
    /// Something to know.
    pub fn warning(text: impl Into<String>) -> Self {
        Self { attention: Attention::Fine, text: text.into() }
    }

    /// Something that a person has to decide or to put right.
    pub fn person(text: impl Into<String>) -> Self {
        Self { attention: Attention::Person, text: text.into() }
    }

    /// A part of the work that failed.
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

/// The most urgent of them.
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
