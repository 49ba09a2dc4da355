//! Router advertisements (RFC 4861, RFC 8106): the ones by which the box offers itself as resolver and never as router, what
//! those of others say, and when ours are due.
//!
//! Must not know sockets or interfaces: the caller has checked hop limit and checksum.
//!
//! Reading order: this file (our bytes), `heard` (the bytes of others), `pace` (when we speak).

mod heard;
mod pace;
#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;

pub use heard::{Heard, heard, is_solicitation};
pub use pace::{INTERVAL_MAX_MS, Pace};

pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// ICMPv6 types.
pub const SOLICITATION: u8 = 133;
pub const ADVERTISEMENT: u8 = 134;

/// What we say counts for so long after we were last heard: three intervals (RFC 8106 5.1). Longer: an unplugged box is
/// asked in vain for longer. Shorter: three lost packets are enough to lose us.
pub const LIFETIME_SECS: u32 = 3 * (INTERVAL_MAX_MS / 1000) as u32;

/// An advertisement of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours<'a> {
    pub mac: Option<[u8; 6]>,
    pub resolver: Ipv6Addr,
    pub search: &'a [&'a str],
    /// The /64 that devices have no other route to because the box made it up. It is announced as on-link and not for
    /// autoconfiguration: devices learn the way to the box and take no address from us.
    pub on_link: Option<Ipv6Addr>,
    /// False: the last words, which take back all that was said (every lifetime 0).
    pub stays: bool,
}

impl Ours<'_> {
    /// The ICMPv6 message; the checksum is left to the kernel (RFC 3542 3.1). Router lifetime and preference are 0 (RFC 4191
    /// 2.2): whoever obeys this keeps its default route. The flags for DHCPv6 are 0 too: nobody is sent there by us.
    pub fn encode(&self) -> Vec<u8> {
        let lifetime = if self.stays { LIFETIME_SECS } else { 0 };
        let mut out = vec![ADVERTISEMENT, 0, 0, 0];
        // Hop limit unspecified, no flags, router lifetime 0, reachable time and retransmission timer unspecified.
        out.extend([0; 12]);
        if let Some(mac) = self.mac {
            out.extend([1, 1]);
            out.extend(mac);
        }
        if let Some(prefix) = self.on_link {
            const ON_LINK: u8 = 0x80;
            out.extend([3, 4, 64, ON_LINK]);
            // Valid and preferred (RFC 4861 4.6.2).
            out.extend(lifetime.to_be_bytes());
            out.extend(lifetime.to_be_bytes());
            out.extend([0; 4]);
            out.extend((prefix.to_bits() & !u128::from(u64::MAX)).to_be_bytes());
        }
        out.extend([25, 3, 0, 0]);
        out.extend(lifetime.to_be_bytes());
        out.extend(self.resolver.octets());
        let names: Vec<u8> = self
            .search
            .iter()
            .filter_map(|name| labels(name))
            .flatten()
            .collect();
        if !names.is_empty() {
            let units = (8 + names.len()).div_ceil(8);
            if let Ok(units) = u8::try_from(units) {
                out.extend([31, units, 0, 0]);
                out.extend(lifetime.to_be_bytes());
                out.extend(&names);
                // Padding is zeros, which read as empty names (RFC 8106 5.2).
                out.resize(out.len() + usize::from(units) * 8 - 8 - names.len(), 0);
            }
        }
        out
    }
}

/// A domain name as labels (RFC 1035 3.1); `None` when it is none.
pub(crate) fn labels(name: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len() + 2);
    for label in name.trim_end_matches('.').split('.') {
        if !(1..=63).contains(&label.len()) {
            return None;
        }
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.push(0);
    (out.len() <= 255).then_some(out)
}
