//! Signatures of releases, in a file beside the folder, since a sealed release never changes.
//!
//! The signed file is `manifest.json`, which has the digests of all others. There is one line for each
//! key: `ed25519 KEY SIGNATURE`, both in base 64. Which keys are trusted is in `run::trust`.

use std::io;
use std::path::PathBuf;

use super::{Release, Store};
use crate::ids::ReleaseId;
use crate::platform::files;
use crate::platform::signature::{PrivateKey, PublicKey, Signature};
use crate::{Error, Result, text};

/// How a line begins.
const KIND: &str = "ed25519";

/// A line of the file.
struct Line {
    key: PublicKey,
    signature: Signature,
}

impl Store<'_> {
    /// The file of the signatures of release `id`.
    pub fn signature_file(&self, id: &ReleaseId) -> PathBuf {
        self.models.join(format!("{id}.sig"))
    }

    /// The keys that signed `release` as it is.
    pub fn signers(&self, release: &Release) -> Result<Vec<PublicKey>> {
        Ok(self.fitting(release)?.into_iter().map(|line| line.key).collect())
    }

    /// Signs `release`, which must have been verified from disk; signatures of other keys stay, but
    /// not those that do not fit it. Returns false if this key had signed it already.
    pub fn sign(&self, release: &Release, key: &PrivateKey) -> Result<bool> {
        let public = key.public();
        let mut lines = self.fitting(release)?;
        if lines.iter().any(|line| line.key == public) {
            return Ok(false);
        }
        lines.push(Line { key: public, signature: key.sign(&release.sealed) });
        let written = |Line { key, signature }: &Line| {
            format!("{KIND} {} {}\n", key.encoded(), signature.encoded())
        };
        let text = lines.iter().map(written).collect::<Vec<_>>().concat();
        self.disk.write(&self.signature_file(&release.id), text.as_bytes())?;
        Ok(true)
    }

    /// Refuses `release` unless one of `trusted` signed it as it is; returns that key.
    pub fn signed_by(&self, release: &Release, trusted: &[PublicKey]) -> Result<PublicKey> {
        let lines = self.lines(&release.id)?;
        let fits = |line: &&Line| line.key.has_signed(&release.sealed, &line.signature);
        let ours = |line: &&Line| trusted.contains(&line.key);
        if let Some(line) = lines.iter().filter(ours).find(fits) {
            return Ok(line.key);
        }
        let id = &release.id;
        let then = format!(
            "if you know it to be good, sign it with a trusted key (`deployment sign {id} --key FILE`)"
        );
        let keys = |keys: &mut dyn Iterator<Item = PublicKey>| {
            text::names(keys.map(|key| key.to_string()).collect::<Vec<_>>())
        };
        let message = if lines.is_empty() {
            format!("it is not signed, and only signed releases are trusted: {then}")
        } else if let Some(line) = lines.iter().find(ours) {
            format!(
                "it is not what the key {} signed: it was changed or sealed again since; {then}",
                line.key
            )
        } else {
            format!(
                "it is signed by {}, which is not trusted (trusted: {}): {then}, or add the public \
                 key of its signer to \"signing.trusted\"",
                keys(&mut lines.iter().map(|line| line.key)),
                keys(&mut trusted.iter().copied()),
            )
        };
        Err(Error::artifact(release.folder.display().to_string(), message))
    }

    /// The lines whose signature is of `release` as it is.
    fn fitting(&self, release: &Release) -> Result<Vec<Line>> {
        let mut lines = self.lines(&release.id)?;
        lines.retain(|line| line.key.has_signed(&release.sealed, &line.signature));
        Ok(lines)
    }

    /// The lines of the file; none if there is no file. Other lines are ignored.
    fn lines(&self, id: &ReleaseId) -> Result<Vec<Line>> {
        let path = self.signature_file(id);
        let bytes = match files::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| Error::io("read", &path, e))?,
        };
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            let (KIND, key, signature) = (words.next()?, words.next()?, words.next()?) else {
                return None;
            };
            let (key, signature) = (PublicKey::decoded(key)?, Signature::decoded(signature)?);
            Some(Line { key, signature })
        };
        Ok(String::from_utf8_lossy(&bytes).lines().filter_map(line).collect())
    }
}
