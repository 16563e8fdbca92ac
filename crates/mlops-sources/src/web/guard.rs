//! Decides which addresses are called, before each request, after each redirect, and at the name
//! server: the addresses that it answers are checked and then used, so that a second answer cannot
//! differ from the checked one. Not for requests.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::hosts;

/// Part of every refusal.
pub(super) const REFUSED: &str = "name it in \"allow_hosts\" of the source";

/// Hosts that may be called wherever they are.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    allowed: Vec<String>,
}

impl Guard {
    pub(super) fn new(allowed: &[String], own: Option<&String>) -> Self {
        let names = allowed.iter().chain(own).map(|name| hosts::bare(name).to_ascii_lowercase());
        Self { allowed: names.collect() }
    }

    fn allows(&self, host: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(hosts::bare(host)))
    }

    /// Why an address is not called.
    pub(super) fn check(&self, url: &Url) -> Result<(), String> {
        let host = url.host_str().unwrap_or_default();
        match url.scheme() {
            _ if self.allows(host) => Ok(()),
            "https" => match hosts::bare(host).parse::<IpAddr>() {
                Ok(ip) if !hosts::is_public(ip) => Err(refusal(host)),
                _ => Ok(()),
            },
            "http" => Err(format!(
                "{host} would be called without encryption: use https://, or {REFUSED}"
            )),
            other => Err(format!("it leads to an address with {other}:")),
        }
    }
}

fn refusal(host: &str) -> String {
    format!("{host} is an address inside a network: if it is meant, {REFUSED}")
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            let inner = found.iter().any(|address| !hosts::is_public(address.ip()));
            if inner && !guard.allows(&host) {
                return Err(refusal(&host).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_hosts_are_called_by_name_only() {
        let guard = Guard::new(&["nas.lan".to_owned(), "10.0.0.5".to_owned()], None);
        let check = |url: &str| guard.check(&Url::parse(url).unwrap());
        for fine in [
            "https://example.com/x",
            "https://8.8.8.8/",
            "http://nas.lan/",
            "https://NAS.lan/",
            "http://10.0.0.5/",
            "https://[2606:4700::1]/",
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for refused in [
            "http://example.com/",
            "https://10.0.0.6/",
            "https://169.254.169.254/latest",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://[::ffff:127.0.0.1]/",
            "ftp://example.com/",
            "file:///etc/passwd",
        ] {
            assert!(check(refused).is_err(), "{refused}");
        }
        assert_eq!(
            Guard::new(&[], Some(&"127.0.0.1".to_owned()))
                .check(&Url::parse("http://127.0.0.1:1/").unwrap()),
            Ok(())
        );
    }
}
