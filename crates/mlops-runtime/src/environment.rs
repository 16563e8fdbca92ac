//! Secrets from the environment: arguments are visible to every user of the machine.
//!
//! Not for anything else: options are arguments or in the configuration.

/// The secret in the variable `name`; `None` if it is empty or not UTF-8.
#[expect(clippy::disallowed_methods, reason = "this module owns the environment's secrets")]
pub fn secret(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}

/// Who runs this program, for records: who called `sudo`, or the user's name.
pub fn user() -> Option<String> {
    ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| secret(name))
}
