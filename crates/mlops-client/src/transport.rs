//! How a connection is made: which certificates, which proxies, how an error of it reads.
//!
//! Not for what is said over it: see [`crate::ping`] and [`crate::api`].

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::{Client, ClientBuilder};

use crate::resolver::Resolver;

/// Hosts that are this machine itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// A client for `url`, whose calls take at most `timeout` each, answers included.
pub(crate) fn client(url: &Url, timeout: Duration) -> ClientBuilder {
    // reqwest panics without a provider. One that is installed already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .timeout(timeout)
        .dns_resolver(Arc::new(Resolver))
        .user_agent(concat!("mlops/", env!("CARGO_PKG_VERSION")));
    // The machine's certificates are not needed, and on a bare machine not there.
    let plain = url.scheme() == "http";
    let builder = if plain { builder.tls_certs_only([]) } else { builder };
    // No proxy can reach this machine's own loopback.
    if is_loopback(url) { builder.no_proxy() } else { builder }
}

/// Whether what is sent to `url` stays on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| LOOPBACK.contains(&host))
}

/// An error with its causes, without the address: reqwest's own text says little.
pub(crate) fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

/// What is at the bottom of an error, in its own words: a refused connection, a certificate.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
