//! Connections: certificates, proxies, and readable errors.
//!
//! Not for requests: see [`crate::ping`] and [`crate::call`].

use std::sync::Arc;
use std::time::Duration;

use mlops_core::text;
use reqwest::Url;
use reqwest::blocking::{Client, ClientBuilder};

use crate::resolver::Resolver;

/// The host names of this machine.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// A client for `url` with a time-out per call, answers included.
pub(crate) fn client(url: &Url, timeout: Duration) -> ClientBuilder {
    // reqwest panics without a provider. One that is already installed works too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .timeout(timeout)
        .dns_resolver(Arc::new(Resolver))
        .user_agent(concat!("mlops/", env!("CARGO_PKG_VERSION")));
    // Certificates are not needed then, and a bare machine has none.
    let plain = url.scheme() == "http";
    let builder = if plain { builder.tls_certs_only([]) } else { builder };
    // No proxy can reach this machine's own loopback.
    if is_loopback(url) { builder.no_proxy() } else { builder }
}

/// Whether requests to `url` stay on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| LOOPBACK.contains(&host))
}

/// An error with its causes, without the address: reqwest's own text says little.
pub(crate) fn reason(error: reqwest::Error) -> String {
    text::causes(&error.without_url())
}

/// The root cause of an error in its own words: a refused connection, a certificate.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
