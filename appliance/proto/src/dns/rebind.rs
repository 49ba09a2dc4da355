//! Which addresses a name of the Internet may not have: they lie in the home, and a page that got one for its own name
//! could reach what is there (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{message::Record, rtype};

pub fn is_inside(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => v4(addr),
        IpAddr::V6(addr) => v6(addr),
    }
}

fn v4(addr: Ipv4Addr) -> bool {
    addr.is_private()
        || addr.is_loopback()
        || addr.is_link_local()
        || addr.is_broadcast()
        // "This network" reaches this machine on many systems.
        || addr.octets()[0] == 0
}

fn v6(addr: Ipv6Addr) -> bool {
    let bits = addr.to_bits();
    let embedded = |shift: u32| v4(Ipv4Addr::from_bits((bits >> shift) as u32));
    let starts = |prefix: u128, len: u32| bits >> (128 - len) == prefix;
    addr.is_unspecified()
        || addr.is_loopback()
        || addr.is_unique_local()
        || addr.is_unicast_link_local()
        // Site-local, which RFC 3879 took back.
        || starts(0xfec0 >> 6, 10)
        // IPv4-mapped and IPv4-compatible (RFC 4291 §2.5.5); the first has no place in the DNS at all.
        || starts(0xffff, 96)
        || starts(0, 96) && embedded(0)
        // NAT64 (RFC 6052, RFC 8215)
        || starts(0x0064_ff9b_0000_0000_0000_0000, 96) && embedded(0)
        || starts(0x0064_ff9b_0001, 48)
        // 6to4 (RFC 3056)
        || starts(0x2002, 16) && embedded(80)
        // Teredo (RFC 4380 §4): the server, and the client's address with its bits turned
        || starts(0x2001_0000, 32) && (embedded(64) || v4(Ipv4Addr::from_bits(!(bits as u32))))
}

/// Does the record point into the home? Also the address hints of SVCB and HTTPS records (RFC 9460 §7.3).
pub fn points_inside(message: &[u8], record: &Record) -> bool {
    let Some(data) = message.get(record.data.clone()) else {
        return false;
    };
    match record.rtype {
        rtype::A => data.try_into().is_ok_and(|octets: [u8; 4]| v4(octets.into())),
        rtype::AAAA => data.try_into().is_ok_and(|octets: [u8; 16]| v6(octets.into())),
        rtype::SVCB | rtype::HTTPS => hints_inside(data).unwrap_or(false),
        _ => false,
    }
}

fn hints_inside(data: &[u8]) -> Option<bool> {
    const IPV4_HINT: u16 = 4;
    const IPV6_HINT: u16 = 6;
    // Priority, then the target, which is never compressed.
    let mut rest = data.get(2..)?;
    loop {
        let len = usize::from(*rest.first()?);
        rest = rest.get(1 + len..)?;
        if len == 0 {
            break;
        }
    }
    while let Some((&[k1, k2, l1, l2], after)) = rest.split_first_chunk::<4>() {
        let (value, left) = after.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
        rest = left;
        let inside = match u16::from_be_bytes([k1, k2]) {
            IPV4_HINT => value.as_chunks::<4>().0.iter().any(|octets| v4((*octets).into())),
            IPV6_HINT => value
                .as_chunks::<16>()
                .0
                .iter()
                .any(|octets| v6((*octets).into())),
            _ => false,
        };
        if inside {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_home_are_told_from_those_beside_them() {
        let inside = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.0",
            "10.255.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.1",
            "169.254.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::",
            "fd12:3456::1",
            "fdff:ffff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "feff::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:192.168.1.1",
            "::10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::192.168.1.1",
            "64:ff9b:1::1",
            "2002:0a00:0001::1",
            "2002:c0a8:0101::1",
            "2002:7f00:0001::",
            "2001:0:0a00:1::1",
            "2001::f5ff:fffe",
            "2001:0:5db8:d822::3f57:fefe",
        ];
        for text in inside {
            assert!(is_inside(text.parse().expect("an address")), "{text}");
        }
        let outside = [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "100.64.0.1",
            "198.19.66.84",
            "8.8.8.8",
            "255.255.255.254",
            "2000::",
            "2001:db8::1",
            "fbff::1",
            "fe00::1",
            "fe7f::1",
            "ff02::1",
            "64:ff9b::8.8.8.8",
            "2002:0808:0808::1",
            "2001:0:808:808::f7f7:f7f7",
            "2606:4700::1111",
            "::8.8.8.8",
        ];
        for text in outside {
            assert!(!is_inside(text.parse().expect("an address")), "{text}");
        }
    }
}
