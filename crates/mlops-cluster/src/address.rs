//! Which addresses a scheduler or an executor may listen on, since they have no authentication.
//!
//! Not for the addresses that they call.

use std::net::{IpAddr, Ipv6Addr};

/// Why nothing listens on `address`, if that is so: it can be reached by others, and nobody asked for that.
pub(crate) fn refusal(address: IpAddr, any_address: bool) -> Option<String> {
    if any_address || is_own_or_private(address) {
        return None;
    }
    Some(format!(
        "{address} is neither an address of this machine alone nor of a private network. Whoever can reach a \
         scheduler or an executor can run programs there, since Ballista asks nobody who they are: give a private \
         address with --bind, or allow this one with --any-address behind a firewall"
    ))
}

fn is_own_or_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_own_or_private(IpAddr::V4(v4)),
            None => v6 == Ipv6Addr::LOCALHOST || v6.is_unique_local() || v6.is_unicast_link_local(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_strangers_cannot_reach_are_taken_without_a_flag() {
        for (text, allowed) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.7.7", true),
            ("169.254.1.1", true),
            ("0.0.0.0", false),
            ("203.0.113.5", false),
            ("::1", true),
            ("::", false),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
            ("::ffff:10.0.0.1", true),
            ("::ffff:8.8.8.8", false),
        ] {
            let address = text.parse().unwrap();
            assert_eq!(refusal(address, false).is_none(), allowed, "{text}");
            assert_eq!(refusal(address, true), None, "{text}");
        }
    }
}
