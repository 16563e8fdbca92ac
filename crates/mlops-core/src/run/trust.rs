//! Which signers are trusted, and signing new releases: the section `signing`.
//!
//! Keys are read whenever they are needed, so replacing the file is enough to change one. The format of
//! signatures is in `release::signatures`.

use std::path::PathBuf;

use super::context::Context;
use crate::Result;
use crate::ids::ReleaseId;
use crate::platform::signature::{PrivateKey, PublicKey};
use crate::release::Release;

impl Context {
    /// Refuses `release` if "signing.trusted" names keys and none of them signed it.
    pub fn refuse_untrusted(&self, release: &Release) -> Result<()> {
        let trusted = &self.config.signing.trusted;
        if trusted.is_empty() {
            return Ok(());
        }
        self.store().signed_by(release, &read_all(trusted)?).map(drop)
    }

    /// Release `id`, verified from disk and trusted.
    pub fn sound_and_trusted(&self, id: &ReleaseId) -> Result<Release> {
        let release = self.store().verify(id)?;
        self.refuse_untrusted(&release)?;
        Ok(release)
    }

    /// Signs `release`, which was made or sealed again here, if "signing.key_file" names a key.
    pub(crate) fn sign_own(&self, release: &Release) -> Result<()> {
        match &self.config.signing.key_file {
            Some(file) => self.store().sign(release, &PrivateKey::read(file)?).map(drop),
            None => Ok(()),
        }
    }

    /// Signs release `id`, which was sealed again here without the mark of a refusal.
    pub(crate) fn sign_again(&self, id: &ReleaseId) -> Result<()> {
        match &self.config.signing.key_file {
            Some(_) => self.sign_own(&self.store().verify(id)?),
            None => Ok(()),
        }
    }
}

/// The public keys in `files`.
pub fn read_all(files: &[PathBuf]) -> Result<Vec<PublicKey>> {
    files.iter().map(|file| PublicKey::read(file)).collect()
}
