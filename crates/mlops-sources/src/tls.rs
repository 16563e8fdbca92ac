//! What encrypted connections need. Certificates are verified against those of the machine;
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` are respected. Not for connecting.

use mlops_core::{Error, Result};
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Installs the cryptography that all clients of the process use, unless another one is.
pub(crate) fn ready() {
    // An error says that one is installed already, which works too.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What encrypts a connection to PostgreSQL.
pub(crate) type Encryption = MakeRustlsConnect;

/// Encrypts connections to PostgreSQL.
pub(crate) fn postgres() -> Result<Encryption> {
    ready();
    let config = ClientConfig::with_platform_verifier();
    let config = config.map_err(|e| Error::backend("reading the machine's certificates", e))?;
    Ok(MakeRustlsConnect::new(config))
}
