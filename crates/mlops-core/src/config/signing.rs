//! The section `signing`: the key with which releases are signed, and those whose signatures count.
//!
//! Not for reading keys: see `platform::signature`.

use std::path::PathBuf;

use super::section::Section;

/// Keys for releases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signing {
    /// The file of the private key with which each new release is signed.
    pub key_file: Option<PathBuf>,
    /// The files of the public keys one of which must have signed what goes live; none for all
    /// releases.
    pub trusted: Vec<PathBuf>,
}

pub(super) fn signing(mut section: Section, at: impl Fn(String) -> PathBuf) -> Signing {
    let key_file = section.text("key_file").map(&at);
    let trusted = section.texts("trusted");
    if trusted.as_ref().is_some_and(Vec::is_empty) {
        section.problem("trusted", "must name a file of a public key, or be left out");
    }
    let trusted = trusted.unwrap_or_default().into_iter().map(at).collect();
    section.finish();
    Signing { key_file, trusted }
}
