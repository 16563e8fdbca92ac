//! The section `decide`: which sources a decision of `fullprocess` waits for, and how long.
//!
//! Not for what is due from a source: see [`super::expect`].

use std::time::Duration;

use super::Source;
use super::section::Section;

/// The name of the input folder among the sources.
pub const INPUT: &str = "input";

/// What a decision waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decide {
    /// The names of the sources whose due data a decision waits for.
    pub wait_for: Vec<String>,
    /// How long it waits after new data came.
    pub limit: Duration,
}

/// Reads the section; `input` says whether something is expected of the input folder.
pub(super) fn decide(mut section: Section, input: bool, sources: &[Source]) -> Decide {
    let wait_for = section.texts_or_one("wait_for").unwrap_or_default();
    let expects = |name: &str| {
        let of = |source: &&Source| source.name == name && source.expect.is_some();
        (input && name == INPUT) || sources.iter().find(of).is_some()
    };
    for name in wait_for.iter().filter(|name| !expects(name)) {
        let problem = format!(
            "names {name:?}: name sources that have \"expect\", or \"input\" for the input folder if the \
             section \"expect\" is there"
        );
        section.problem("wait_for", &problem);
    }
    let limit = section.duration("wait_limit").unwrap_or(Duration::from_hours(6));
    section.finish();
    Decide { wait_for, limit }
}
