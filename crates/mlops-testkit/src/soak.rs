//! How much a test does: a little, or with `MLOPS_SOAK=1` all of it. Not for which tests run.

/// `full` repetitions in a soak, `quick` ones otherwise.
pub fn repetitions(quick: u64, full: u64) -> u64 {
    if variable("MLOPS_SOAK").is_some_and(|v| v == "1") { full } else { quick }
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "the scene asks on behalf of all tests")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
