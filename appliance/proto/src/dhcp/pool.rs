//! Which addresses of an interface's network are given to devices.

use std::net::Ipv4Addr;

/// Addresses of the largest pool; every one may cost a row.
const ADDRESSES_MAX: u32 = 65_536;
/// A pool we choose ourselves is not larger; nobody has more devices at home.
const CHOSEN_MAX: u32 = 4_096;

/// First and last address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    pub first: Ipv4Addr,
    pub last: Ipv4Addr,
}

impl Pool {
    /// From a network, away from its ends, where people put what has a fixed address: .100 to .199 of a network of 256.
    /// `None`: the network is too small to give anything away.
    pub fn chosen(own: Ipv4Addr, prefix: u8) -> Option<Self> {
        if !(8..=30).contains(&prefix) {
            return None;
        }
        let size = 1u64 << (32 - prefix);
        let network = own.to_bits() & mask(prefix);
        let first = (size * 100 / 256).max(1) as u32;
        let last = (size * 200 / 256 - 1) as u32;
        Some(Self {
            first: Ipv4Addr::from_bits(network + first),
            last: Ipv4Addr::from_bits(network + last.max(first).min(first + CHOSEN_MAX - 1)),
        })
    }

    /// A pool that a person chose: `None` when it is not inside the network, upside down or too large.
    pub fn inside(self, own: Ipv4Addr, prefix: u8) -> Option<Self> {
        let fits = |addr| on_link(addr, own, prefix) && !is_end(addr, prefix);
        (fits(self.first) && fits(self.last) && self.first <= self.last && self.size() <= ADDRESSES_MAX)
            .then_some(self)
    }

    pub fn size(&self) -> u32 {
        (self.last.to_bits() - self.first.to_bits()).saturating_add(1)
    }

    pub fn contains(&self, addr: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&addr)
    }
}

pub(super) fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(u32::from(32 - prefix.min(32))).unwrap_or(0)
}

pub(super) fn on_link(addr: Ipv4Addr, own: Ipv4Addr, prefix: u8) -> bool {
    (addr.to_bits() ^ own.to_bits()) & mask(prefix) == 0
}

/// The network's own address or its broadcast address.
pub(super) fn is_end(addr: Ipv4Addr, prefix: u8) -> bool {
    let host = addr.to_bits() & !mask(prefix);
    host == 0 || host == !mask(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_lies_in_the_middle_of_its_network() {
        let chosen = |text: &str, prefix| {
            let own: Ipv4Addr = text.parse().expect("an address");
            Pool::chosen(own, prefix).map(|pool| {
                assert_eq!(pool.inside(own, prefix), Some(pool), "{text}/{prefix}");
                (pool.first.to_string(), pool.last.to_string())
            })
        };
        let some = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
        assert_eq!(chosen("192.168.1.2", 24), some("192.168.1.100", "192.168.1.199"));
        assert_eq!(chosen("192.168.1.2", 25), some("192.168.1.50", "192.168.1.99"));
        assert_eq!(chosen("192.168.1.2", 30), some("192.168.1.1", "192.168.1.2"));
        assert_eq!(chosen("10.1.2.3", 8), some("10.100.0.0", "10.100.15.255"));
        assert_eq!(chosen("10.1.2.3", 31), None);
        assert_eq!(chosen("10.1.2.3", 0), None);
    }

    #[test]
    fn a_pool_outside_its_network_is_refused() {
        let own = Ipv4Addr::new(192, 168, 1, 2);
        for (first, last) in [
            ("192.168.2.1", "192.168.2.9"),
            ("192.168.1.9", "192.168.1.8"),
            ("192.168.1.0", "192.168.1.9"),
            ("192.168.1.9", "192.168.1.255"),
        ] {
            let pool = Pool {
                first: first.parse().expect("an address"),
                last: last.parse().expect("an address"),
            };
            assert_eq!(pool.inside(own, 24), None, "{first} to {last}");
        }
    }
}
