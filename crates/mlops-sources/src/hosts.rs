//! Which hosts may be called: addresses inside a network are reached only if the configuration
//! names them, so that a redirect or a name server cannot lead there. Not for connecting.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is of this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = bare(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| canonical(ip).is_loopback())
}

/// A host without the brackets of an IPv6 address.
pub(crate) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The IPv4 address that an IPv6 one stands for, if it does.
fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => {
            // 64:ff9b::/96 is translated by the network; the last four bytes are the address.
            let [first, second, ..] = v6.segments();
            let translated = (first, second) == (0x64, 0xff9b);
            let octets = v6.octets();
            let last: [u8; 4] = std::array::from_fn(|at| octets[12 + at]);
            match v6.to_ipv4_mapped() {
                Some(v4) => v4.into(),
                None if translated => Ipv4Addr::from(last).into(),
                None => ip,
            }
        }
        IpAddr::V4(_) => ip,
    }
}

/// Whether an address is reachable from everywhere, and so nobody's inside.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match canonical(ip) {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarks = a == 198 && (b & 0xfe) == 18;
    let protocols = (a, b, c) == (192, 0, 0);
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        || a >= 224
        || shared
        || benchmarks
        || protocols)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // Only 2000::/3 is given out; 2001:db8::/32 is for documentation, 2002::/16 wraps IPv4.
    let [a, b, ..] = ip.segments();
    a & 0xe000 == 0x2000 && (a, b) != (0x2001, 0xdb8) && a != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_addresses_are_known() {
        for inner in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "::10.0.0.1",
        ] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
        for outer in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "64:ff9b::808:808"] {
            assert!(is_public(outer.parse().unwrap()), "{outer}");
        }
        assert!(is_loopback("[::1]") && is_loopback("localhost") && is_loopback("127.0.0.2"));
        assert!(!is_loopback("localhost.example.com") && !is_loopback("10.0.0.1"));
    }
}
