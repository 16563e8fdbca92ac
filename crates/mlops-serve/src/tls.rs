//! The certificate for TLS: read, checked, and reread when its files change.
//!
//! Not for bytes on their way: see `stream`. Not for the connections: see `connection`.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use mlops_core::config::Tls;
use mlops_core::{Error, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::time::Time;

/// The key of the configuration that messages name.
const KEY: &str = "service.tls";
/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;
/// From this many seconds before its end on, a certificate that is still in use is told of.
const SOON: i64 = 14 * DAY;

/// The certificate in use.
pub(crate) struct Identity {
    presented: ArcSwap<Presented>,
    watched: Mutex<Watched>,
}

/// A certificate that was found to be sound.
struct Presented {
    acceptor: TlsAcceptor,
    /// The end of its validity, in seconds since 1970.
    until: i64,
}

/// What was last seen of the files.
struct Watched {
    /// The files as they were when they were last read.
    read: Stamps,
    /// The files as they were at the last look: they are read once they stay the same for one.
    seen: Stamps,
    /// When the end of the validity was last told of.
    told: Option<i64>,
}

/// Modification, size and inode of both files, of those that there are.
type Stamps = [Option<(i64, i64, u64, u64)>; 2];

impl Identity {
    /// Reads the `files`; `now` is in seconds since 1970.
    ///
    /// # Errors
    /// `Config` for files that are missing or hold something else, a key of another certificate, or
    /// a certificate that is not valid now.
    pub(crate) fn open(files: &Tls, now: i64) -> Result<Self> {
        // Before reading, so that what changes meanwhile is noticed.
        let read = stamps(files);
        warn_of_readers(&files.key);
        let presented = ArcSwap::from_pointee(Presented::read(files, now)?);
        Ok(Self { presented, watched: Mutex::new(Watched { read, seen: read, told: None }) })
    }

    /// What connections are accepted with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.presented.load().acceptor.clone()
    }

    /// The end of the validity, in seconds since 1970.
    pub(crate) fn until(&self) -> i64 {
        self.presented.load().until
    }

    /// Reads the `files` again; if they are not sound, the old certificate stays. Blocks.
    pub(crate) fn renew(&self, files: &Tls, now: i64) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.read = stamps(files);
        watched.seen = watched.read;
        match Presented::read(files, now) {
            Ok(presented) => {
                self.presented.store(Arc::new(presented));
                watched.told = None;
                tracing::info!("the certificate of service.tls was read again");
            }
            Err(error) => tracing::error!(
                "the certificate was not changed, since the new one cannot be used; the old one \
                 stays: {error}"
            ),
        }
    }

    /// Reads the `files` again if they have changed and are no longer being written, and tells once
    /// a day of a certificate that ends soon. Blocks.
    pub(crate) fn follow(&self, files: &Tls, now: i64) {
        let stamps = stamps(files);
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = stamps != watched.read;
        let settled = stamps == std::mem::replace(&mut watched.seen, stamps);
        let left = self.until() - now;
        if left < SOON && watched.told.is_none_or(|told| now - told >= DAY) {
            watched.told = Some(now);
            if left < 0 {
                tracing::error!("the certificate of service.tls has expired: clients refuse it");
            } else {
                let days = mlops_core::text::plural(left.unsigned_abs() / 86_400, "day");
                tracing::warn!("the certificate of service.tls expires in {days}: renew it");
            }
        }
        drop(watched);
        if changed && settled {
            self.renew(files, now);
        }
    }
}

impl Presented {
    fn read(files: &Tls, now: i64) -> Result<Self> {
        let bad = |message: String| Error::config(KEY, vec![message]);
        let show = |path: &Path| mlops_core::text::printed(path);
        let unread = |path: &Path, what: &str, error: PemError| match error {
            PemError::Io(e) => bad(format!("cannot read {}: {e}", show(path))),
            PemError::NoItemsFound => bad(format!("{} holds no {what} as PEM", show(path))),
            _ => bad(format!("{} is not a usable PEM file of a {what}", show(path))),
        };
        let (certificate, key) = (&files.certificate, &files.key);
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let chain: Vec<CertificateDer> =
            chain.map_err(|e| unread(certificate, "certificate", e))?;
        let first = chain.first().ok_or(PemError::NoItemsFound);
        let first = first.map_err(|e| unread(certificate, "certificate", e))?;
        let parsed = Certificate::from_der(first);
        let parsed = parsed.map_err(|_| {
            bad(format!("the first certificate in {} cannot be read", show(certificate)))
        })?;
        let validity = &parsed.tbs_certificate.validity;
        let (from, until) = (seconds(validity.not_before), seconds(validity.not_after));
        if now < from {
            let name = show(certificate);
            return Err(bad(format!("{name} is not valid before {}", validity.not_before)));
        }
        if until < now {
            let message = format!(
                "{} expired at {}: renew the certificate",
                show(certificate),
                validity.not_after
            );
            return Err(bad(message));
        }
        let private = PrivateKeyDer::from_pem_file(key);
        let private = private.map_err(|e| unread(key, "private key", e))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(chain.clone(), private)
            });
        let mut config = config.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => bad(format!(
                "the key in {} does not belong to the first certificate in {}: the certificate of \
                 the service itself comes first there, those that vouch for it after it",
                show(key),
                show(certificate)
            )),
            other => bad(format!("{} cannot be used: {other}", show(certificate))),
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), until })
    }
}

/// `time` in seconds since 1970.
fn seconds(time: Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

fn stamps(files: &Tls) -> Stamps {
    [&files.certificate, &files.key].map(|path| {
        // Links are followed, since that is how renewals are published.
        let data = std::fs::metadata(path).ok()?;
        Some((data.mtime(), data.mtime_nsec(), data.size(), data.ino()))
    })
}

/// A key that every user of the machine can read is told of, and used: some systems mount it so.
fn warn_of_readers(key: &Path) {
    if std::fs::metadata(key).is_ok_and(|data| data.mode() & 0o004 != 0) {
        let name = mlops_core::text::printed(key);
        tracing::warn!("every user of this machine can read the key {name}: chmod 600 it");
    }
}
