//! Addresses and ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Policy, Reason, Service};

/// Ports above 1023 where something else than BitTorrent listens and might take our bytes for a command: the Fetch
/// standard's "bad ports" and the usual databases. All lie below the ranges systems pick ports from.
const PORTS_OF_OTHERS: [u16; 37] = [
    1080, 1099, 1433, 1521, 1719, 1720, 1723, 1883, 2049, 2375, 2376, 2379, 3128, 3306, 3389, 3659, 4045,
    4190, 5060, 5061, 5432, 5672, 5900, 5984, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6697, 9200,
    10080, 11211, 27017,
];

/// Whether a stranger may send us to `addr`.
pub fn allowed(addr: SocketAddr, policy: &Policy) -> Result<(), Reason> {
    ip_allowed(addr.ip(), policy)?;
    port_allowed(addr.port(), policy.service)
}

/// The address part of [`allowed`]. An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64, Teredo, ISATAP) is judged as
/// the IPv4 address packets would end at.
pub fn ip_allowed(ip: IpAddr, policy: &Policy) -> Result<(), Reason> {
    let ip = ip.to_canonical();
    if policy.own.iter().any(|own| own.to_canonical() == ip) {
        return Err(Reason::Own);
    }
    match ip {
        IpAddr::V4(ip) => excuse(v4(ip), policy),
        IpAddr::V6(ip) => excuse(v6(ip), policy)?
            .into_iter()
            .try_for_each(|inner| ip_allowed(IpAddr::V4(inner), &strict(policy))),
    }
}

pub(super) fn port_allowed(port: u16, service: Service) -> Result<(), Reason> {
    // 451 is where tracker.torrent.eu.org, part of most public lists, answers over UDP.
    let web = service == Service::Web && matches!(port, 80 | 443 | 451);
    if !web && (port < 1024 || PORTS_OF_OTHERS.contains(&port)) {
        return Err(Reason::Port(port));
    }
    Ok(())
}

/// Turns the verdicts the policy makes exceptions for into their default "yes".
fn excuse<T: Default>(verdict: Result<T, Reason>, policy: &Policy) -> Result<T, Reason> {
    match verdict {
        Err(Reason::Loopback) if policy.allow_loopback => Ok(T::default()),
        Err(Reason::Private | Reason::LinkLocal | Reason::CarrierNat) if policy.allow_private => {
            Ok(T::default())
        }
        other => other,
    }
}

/// A tunnel never leads into the home network, whatever the policy allows directly.
fn strict(policy: &Policy) -> Policy {
    Policy {
        allow_loopback: false,
        allow_private: false,
        ..policy.clone()
    }
}

/// The IANA IPv4 special-purpose registry (RFC 6890 and successors).
fn v4(ip: Ipv4Addr) -> Result<(), Reason> {
    let reason = match ip.octets() {
        [169, 254, 169, 253 | 254] | [168, 63, 129, 16] | [100, 100, 100, 200] => Reason::Metadata,
        [0, ..] => Reason::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reason::Private,
        [100, 64..=127, ..] => Reason::CarrierNat,
        [127, ..] => Reason::Loopback,
        [169, 254, ..] => Reason::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reason::Documentation,
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => Reason::Reserved,
        [224..=239, ..] => Reason::Multicast,
        [255, 255, 255, 255] => Reason::Broadcast,
        [240..=255, ..] => Reason::Reserved,
        _ => return Ok(()),
    };
    Err(reason)
}

/// Only 2000::/3 is global unicast; the IPv4 addresses found inside are returned for the same judgement.
fn v6(ip: Ipv6Addr) -> Result<Vec<Ipv4Addr>, Reason> {
    let s = ip.segments();
    let pair = |at: usize| Ipv4Addr::from((u32::from(s[at]) << 16) | u32::from(s[at + 1]));
    let reason = match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reason::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Reason::Loopback,
        // NAT64 (RFC 6052): where the network has no IPv4, trackers' names resolve to these.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => return Ok(vec![pair(6)]),
        // Teredo (RFC 4380): the server, and the client with its bits flipped.
        [0x2001, 0, ..] => return Ok(vec![pair(2), Ipv4Addr::from(!u32::from(pair(6)))]),
        [0x2002, ..] => return Ok(vec![pair(1)]),
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Reason::Metadata,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Reason::Documentation,
        [0x2001, 0..=0x1ff, ..] => Reason::Reserved,
        [0xfc00..=0xfdff, ..] => Reason::Private,
        [0xfe80..=0xfebf, ..] => Reason::LinkLocal,
        // Site-local (RFC 3879) is gone, but routers may still know it.
        [0xfec0..=0xfeff, ..] => Reason::Private,
        [0xff00..=0xffff, ..] => Reason::Multicast,
        // ISATAP (RFC 5214) below any prefix.
        [0x2000..=0x3fff, _, _, _, 0 | 0x200, 0x5efe, ..] => return Ok(vec![pair(6)]),
        [0x2000..=0x3fff, ..] => return Ok(Vec::new()),
        _ => Reason::Reserved,
    };
    Err(reason)
}
