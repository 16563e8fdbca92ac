//! A rule of a contract that a file breaks, in numbers and in words.
//!
//! Not for finding that out: see [`super::agreement`].

use serde::{Deserialize, Serialize};

use crate::config::contract::Severity;
use crate::platform::digest::Digest;
use crate::text;

/// How often a file breaks a rule of its contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleBroken {
    /// The column; `None` for a rule about the file as a whole.
    pub column: Option<String>,
    /// The rule in words.
    pub rule: String,
    /// The number of rows that break it; 0 if it is about the file as a whole.
    pub rows: u64,
    /// The line of the first of them, and how it breaks the rule.
    pub first: Option<(u64, String)>,
    /// What became of them.
    pub severity: Severity,
    /// The batch of files that breaks it together, by the digest of their contents; `None` if the file
    /// breaks it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Digest>,
}

impl std::fmt::Display for RuleBroken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(column) = &self.column {
            write!(f, "column {}: ", text::name(column))?;
        }
        f.write_str(&self.rule)?;
        if self.rows > 0 {
            write!(f, " ({}", text::plural(self.rows, "row"))?;
            if let Some((line, how)) = &self.first {
                write!(f, "; the first is line {line}: {how}")?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}
