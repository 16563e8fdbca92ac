//! `deployment keygen` and `deployment sign`: a pair of keys, and the signature of a release.
//!
//! Not for asking for signatures: see `run::trust`, and [`super::verify`] for checking them.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::ids::ReleaseId;
use crate::platform::disk::parent_of;
use crate::platform::signature::PrivateKey;
use crate::run::context::{Context, Report};
use crate::{Error, Result};

/// The report of `deployment keygen`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Keys {
    /// The file of the private key.
    pub private: PathBuf,
    /// The file of the public key.
    pub public: PathBuf,
    /// The name of the key.
    pub key: String,
}

impl Report for Keys {}

/// Makes a pair of keys: the private one at `file`, by default where "signing.key_file" says, and the
/// public one beside it.
pub fn keygen(context: &Context, file: Option<&Path>) -> Result<Keys> {
    let private = file.or(context.config.signing.key_file.as_deref()).ok_or_else(|| {
        Error::missing(
            "there is no name for the file of the key: give one (`deployment keygen FILE`), or set \
             \"signing.key_file\"",
        )
    })?;
    let mut name = OsString::from(private);
    name.push(".pub");
    let public = PathBuf::from(name);
    for path in [private, &public] {
        if path.symlink_metadata().is_ok() {
            return Err(Error::conflict(format!(
                "{} is there already, and a key that is lost cannot be made again: name another file, or \
                 move this one",
                path.display()
            )));
        }
    }
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    context.disk.create_folder(parent_of(private))?;
    let folder = real(parent_of(private));
    if [&context.config.models, &context.config.deployment]
        .iter()
        .any(|releases| folder.starts_with(real(releases)))
    {
        return Err(Error::conflict(format!(
            "{} lies among the releases: who copies these would copy the key. Name another folder",
            private.display()
        )));
    }
    let (pem, key) = PrivateKey::generate()?;
    context.disk.write_private(private, pem.as_bytes())?;
    context.disk.write(&public, key.pem().as_bytes())?;
    Ok(Keys { private: private.to_owned(), public, key: key.to_string() })
}

/// The report of `deployment sign`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Signed {
    /// The release.
    pub release: ReleaseId,
    /// The name of the key.
    pub key: String,
    /// The file of its signatures.
    pub file: PathBuf,
    /// This key had not signed it before.
    pub new: bool,
}

impl Report for Signed {
    fn changed(&self) -> bool {
        self.new
    }
}

/// Signs release `id`, by default the live one, with the key at `file`, by default the configured
/// one. The release is verified first.
pub fn run(context: &Context, id: Option<&ReleaseId>, file: Option<&Path>) -> Result<Signed> {
    let file = file.or(context.config.signing.key_file.as_deref()).ok_or_else(|| {
        Error::missing(
            "there is no key to sign with: name its file with --key, or set \"signing.key_file\"; \
             `deployment keygen` makes one",
        )
    })?;
    let key = PrivateKey::read(file)?;
    let store = context.store();
    let _held = context.hold_releases()?;
    let release = match id {
        Some(id) => store.verify(id)?,
        None => store.live_release()?,
    };
    let new = store.sign(&release, &key)?;
    Ok(Signed {
        file: store.signature_file(&release.id),
        release: release.id,
        key: key.public().to_string(),
        new,
    })
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Private key {}: {}", self.key, self.private.display())?;
        writeln!(
            f,
            "  keep it from others; \"signing.key_file\" names it where releases are made"
        )?;
        writeln!(f, "Public key:  {}", self.public.display())?;
        writeln!(f, "  \"signing.trusted\" names it where only signed releases may go live")
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, key, file, new } = self;
        if *new {
            writeln!(f, "{release} is signed by {key}: {}", file.display())
        } else {
            writeln!(f, "{release} was signed by {key} already")
        }
    }
}
