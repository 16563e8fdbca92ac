//! Who sent a request: the address of a client, also behind trusted proxies.
//!
//! Not for what it may ask: see `access` and `rate`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, header};
use mlops_core::config::ProxyHeader;

use crate::state::Settings;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Peer {
    /// The other end of the connection on which `request` came.
    pub(crate) fn of(request: &Request) -> Self {
        let peer = request.extensions().get::<Self>().copied();
        peer.unwrap_or(Self(IpAddr::from([0, 0, 0, 0])))
    }

    /// Whether it is a proxy that may speak for others: one of `service.proxies`. As long as none is
    /// named, whoever has reached the service may say under which name and path it did so.
    pub(crate) fn may_speak_for_others(self, settings: &Settings) -> bool {
        settings.proxies.is_empty() || self.is_proxy(settings)
    }

    fn is_proxy(self, settings: &Settings) -> bool {
        settings.proxies.iter().any(|network| network.contains(self.0))
    }
}

/// The address from which a request comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client(IpAddr);

impl Client {
    /// Who has sent a request with `headers` by way of `peer`.
    ///
    /// Each proxy adds the address that it sees at the end. Those of our proxies are passed over; the
    /// first other one, seen from the end, is the client, who may have written what stands before.
    pub(crate) fn of(peer: Peer, headers: &HeaderMap, settings: &Settings) -> Self {
        let mut client = peer;
        if settings.proxies.is_empty() || !client.is_proxy(settings) {
            return Self::from(client);
        }
        let (name, address): (_, fn(&str) -> Option<IpAddr>) = match settings.proxy_header {
            ProxyHeader::XForwardedFor => (X_FORWARDED_FOR, address),
            ProxyHeader::Forwarded => (header::FORWARDED, forwarded),
        };
        let lines: Vec<_> = headers.get_all(name).iter().collect();
        for line in lines.iter().rev() {
            for hop in line.to_str().unwrap_or_default().rsplit(',') {
                // Whom the last proxy does not name cannot be known.
                let Some(address) = address(hop) else { return Self::from(client) };
                client = Peer(address);
                if !client.is_proxy(settings) {
                    return Self::from(client);
                }
            }
        }
        Self::from(client)
    }

    /// What counts as one client: an address, of IPv6 the first half.
    pub(crate) fn network(self) -> u128 {
        match self.0 {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits() >> 64 << 64,
        }
    }
}

impl From<Peer> for Client {
    fn from(peer: Peer) -> Self {
        Self(peer.0.to_canonical())
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(port)
}

/// The address in an element of the header `Forwarded`, such as `for="[2001:db8::1]:80";proto=https`.
fn forwarded(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then(|| address(value.trim_matches('"')))?
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::http::HeaderValue;
    use mlops_core::config::Config;

    use super::*;
    use crate::access::Tokens;

    fn settings(service: &str) -> Settings {
        let text = format!(
            r#"{{"input_folder_path":"in","output_folder_path":"out","test_data_path":"t",
            "output_model_path":"m","prod_deployment_path":"p","service":{service}}}"#
        );
        let config = Config::parse(&text, Path::new("/w/config.json")).unwrap();
        Settings { config, tokens: Tokens::default() }
    }

    fn client(settings: &Settings, peer: &str, name: &HeaderName, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        Client::of(Peer(peer.parse().unwrap()), &headers, settings).to_string()
    }

    #[test]
    fn only_named_proxies_are_believed() {
        let ours = settings(r#"{"proxies":["10.0.0.0/8","fd00::/8"]}"#);
        for (peer, lines, expected) in [
            ("203.0.113.5", &["1.2.3.4"][..], "203.0.113.5"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("::ffff:10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["1.2.3.4:555"], "1.2.3.4"),
            ("10.0.0.1", &["9.9.9.9, 1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["9.9.9.9, 1.2.3.4, 10.0.0.7"], "1.2.3.4"),
            ("10.0.0.1", &["9.9.9.9", "1.2.3.4", "10.0.0.7"], "1.2.3.4"),
            ("10.0.0.1", &["10.0.0.3,10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["1.2.3.4, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4, nonsense, 10.0.0.7"], "10.0.0.7"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("fd00::1", &["2001:db8::1"], "2001:db8::1"),
            ("fd00::1", &["[2001:db8::1]:80"], "2001:db8::1"),
            ("fd00::1", &["[2001:db8::1]"], "2001:db8::1"),
        ] {
            let found = client(&ours, peer, &X_FORWARDED_FOR, lines);
            assert_eq!(found, expected, "{peer} with {lines:?}");
        }
        assert_eq!(client(&ours, "10.0.0.1", &header::FORWARDED, &["for=1.2.3.4"]), "10.0.0.1");
        let nobody = settings("{}");
        assert_eq!(client(&nobody, "10.0.0.1", &X_FORWARDED_FOR, &["1.2.3.4"]), "10.0.0.1");
    }

    #[test]
    fn the_standard_header_is_read_where_it_is_named() {
        let ours = settings(r#"{"proxies":["10.0.0.0/8"],"proxy_header":"Forwarded"}"#);
        for (line, expected) in [
            ("for=1.2.3.4", "1.2.3.4"),
            ("For=\"1.2.3.4:80\";proto=https", "1.2.3.4"),
            ("proto=http;for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=9.9.9.9, for=1.2.3.4;by=10.0.0.7", "1.2.3.4"),
            ("for=1.2.3.4, for=10.0.0.9", "1.2.3.4"),
            ("for=unknown", "10.0.0.1"),
            ("for=_hidden", "10.0.0.1"),
            ("by=1.2.3.4", "10.0.0.1"),
        ] {
            let found = client(&ours, "10.0.0.1", &header::FORWARDED, &[line]);
            assert_eq!(found, expected, "{line}");
        }
        assert_eq!(client(&ours, "10.0.0.1", &X_FORWARDED_FOR, &["1.2.3.4"]), "10.0.0.1");
    }

    #[test]
    fn a_household_of_ipv6_is_one_client() {
        let network = |text: &str| Client::from(Peer(text.parse().unwrap())).network();
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1:2:3"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
    }
}
