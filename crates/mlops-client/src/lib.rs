//! HTTP clients: the only crate that uses reqwest and rustls.
//!
//! Not for serving, and not for deciding: an unreachable server never fails a run.
//!
//! Certificates are verified against those of the machine, not against a list linked into the
//! program: a run that nobody touches for years must not depend on roots that expire, and a
//! company's own authority works at once. `SSL_CERT_FILE` and `SSL_CERT_DIR` are respected.

pub mod alerts;
pub mod call;
pub mod changes;
pub mod data;
pub mod lineage;
pub mod ping;
pub mod predictions;
pub mod readable;
mod resolver;
pub mod returns;
pub mod round;
pub mod tracking;
mod transport;
