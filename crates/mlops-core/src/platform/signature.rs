//! Signatures by Ed25519 (RFC 8032), with keys in the files that OpenSSL writes and reads.
//!
//! Which files are signed is in `release::signatures`; which keys are trusted is in the section `signing` of
//! the configuration.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::digest::Digest;
use super::files;
use crate::{Error, Result};

/// What stands before the 32 bytes of a private key (RFC 8410, PKCS #8), and of a public one.
const PRIVATE: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
const PUBLIC: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// A public key, with which anyone can check what its private key signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// A private key.
pub struct PrivateKey(Ed25519KeyPair);

/// A signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl PublicKey {
    /// Reads the PEM file at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = files::read(path).map_err(|e| Error::io("read", path, e))?;
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("PRIVATE KEY") {
            let why = "it is a private key, which belongs to nobody but its owner: name the file of the \
                       public key, which `deployment keygen` writes beside it";
            return Err(Error::artifact(path.display().to_string(), why.to_owned()));
        }
        let der = from_pem(&text, "PUBLIC KEY");
        let key = der.as_deref().and_then(|der| der.strip_prefix(PUBLIC)?.try_into().ok());
        key.map(Self).ok_or_else(|| no_key(path, "public"))
    }

    /// The key as a PEM file has it.
    pub fn pem(&self) -> String {
        to_pem(&[PUBLIC, &self.0].concat(), "PUBLIC KEY")
    }

    /// The key in the letters of base 64.
    pub fn encoded(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The key that `text` encodes.
    pub fn decoded(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Whether this key's owner signed `message`.
    pub fn has_signed(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, &signature.0).is_ok()
    }
}

/// Its name among people: the beginning of its digest.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Digest::of(&self.0).short())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Signature {
    /// The signature in the letters of base 64.
    pub fn encoded(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The signature that `text` encodes.
    pub fn decoded(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl PrivateKey {
    /// A new key as a PEM file has it, and its public key.
    pub fn generate() -> Result<(String, PublicKey)> {
        let mut seed = [0; 32];
        let drawn = SystemRandom::new().fill(&mut seed);
        drawn.map_err(|_| Error::backend("the system's source of random numbers", "it failed"))?;
        let der = [PRIVATE, &seed].concat();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
            .map_err(|e| Error::backend("ring", e))?;
        Ok((to_pem(&der, "PRIVATE KEY"), Self(pair).public()))
    }

    /// Reads the PEM file at `path`; refuses one that others may read.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |e| Error::io("read", path, e);
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::conflict(format!(
                "{} is a private key that others than its owner may use (mode {mode:04o}): \
                 chmod 600 it, and make a new one if somebody else may have read it",
                path.display()
            )));
        }
        let bytes = files::read(path).map_err(failed)?;
        let der = from_pem(&String::from_utf8_lossy(&bytes), "PRIVATE KEY");
        let pair = der.and_then(|der| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok());
        pair.map(Self).ok_or_else(|| no_key(path, "private"))
    }

    /// Its public key.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.sign(message).as_ref());
        Signature(bytes)
    }
}

fn no_key(path: &Path, kind: &str) -> Error {
    let why = format!(
        "it has no {kind} key of Ed25519 (PEM): `deployment keygen` writes one, and so does `openssl \
         genpkey -algorithm ed25519`"
    );
    Error::artifact(path.display().to_string(), why)
}

fn to_pem(der: &[u8], what: &str) -> String {
    // Keys of this kind fit on one line.
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", STANDARD.encode(der))
}

fn from_pem(text: &str, what: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {what}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {what}-----"))?;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;

    fn file(name: &str, text: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn the_first_example_of_rfc_8032_is_signed_as_there() {
        let (_folder, path) = file("key", "", 0o600);
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        fs::write(&path, to_pem(&[PRIVATE, &seed].concat(), "PRIVATE KEY")).unwrap();
        let key = PrivateKey::read(&path).unwrap();
        let expected = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(key.public().0.to_vec(), expected);
        let signature = key.sign(b"");
        assert_eq!(
            signature.0.to_vec(),
            hex(
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39\
                 701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            )
        );
        assert!(key.public().has_signed(b"", &signature));
        assert!(!key.public().has_signed(b"x", &signature));
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(pair).collect()
    }

    #[test]
    fn keys_are_read_back_and_others_are_refused_by_name() {
        let (pem, public) = PrivateKey::generate().unwrap();
        let (_folder, path) = file("key", &pem, 0o600);
        assert_eq!(PrivateKey::read(&path).unwrap().public(), public);
        assert_ne!(PrivateKey::generate().unwrap().1, public);
        let (_public_folder, public_path) = file("key.pub", &public.pem(), 0o644);
        assert_eq!(PublicKey::read(&public_path).unwrap(), public);
        assert_eq!(PublicKey::decoded(&public.encoded()), Some(public));

        let error = PublicKey::read(&path).unwrap_err().to_string();
        assert!(error.contains("it is a private key"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = PrivateKey::read(&path).err().unwrap().to_string();
        assert!(error.contains("mode 0640") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&public_path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = PrivateKey::read(&public_path).err().unwrap().to_string();
        assert!(error.contains("no private key of Ed25519"), "{error}");
    }
}
