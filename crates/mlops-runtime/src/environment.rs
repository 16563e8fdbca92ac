//! Secrets, which come from the environment and from nowhere else.
//!
//! Not for options: those of the command line have their variables in [`crate::Common`].

use mlops_client::api::TOKEN_VARIABLE;
use mlops_core::{Error, Result};

/// The token for the app, if there is one.
#[expect(clippy::disallowed_methods, reason = "this module owns the secrets of the environment")]
pub(crate) fn token() -> Result<Option<String>> {
    match std::env::var(TOKEN_VARIABLE) {
        Ok(token) => Ok(Some(token.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            let wrong = "must be one line of ASCII: it goes into a header".to_owned();
            Err(Error::config(TOKEN_VARIABLE, vec![wrong]))
        }
    }
}
