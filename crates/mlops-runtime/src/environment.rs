//! Secrets, which come from the environment: arguments can be seen by every user of the machine.
//!
//! Not for anything else: options come from arguments, the rest from the configuration.

/// The secret under `name`; nothing when it is empty or no text.
#[expect(clippy::disallowed_methods, reason = "this module owns the environment's secrets")]
pub fn secret(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}
