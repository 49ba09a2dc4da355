//! From a question to what happens with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    CLASS_IN, Rcode, Why,
    marker::Mark,
    name,
    query::Query,
    reply::{Reply, TTL_SECS, Way},
    rtype,
    special::{self, Arpa},
    zone::Zone,
};

/// What a question is answered with; [`write`] makes bytes of it. "Apex": where the zone's name begins in the question's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'z> {
    /// The addresses of the box.
    Box {
        apex: usize,
    },
    /// Addresses of a name that the owner gave or a device has.
    Addrs {
        addrs: &'z [IpAddr],
        apex: usize,
    },
    /// This very machine (RFC 6761 §6.3).
    Localhost {
        apex: usize,
    },
    /// The name of an address.
    Pointer {
        name: &'z [u8],
    },
    /// Does the domain, the first `len` bytes of the name, live in BitTorrent too? (`marker`)
    Marker {
        len: usize,
    },
    NoData {
        apex: usize,
    },
    NxDomain {
        apex: usize,
    },
    /// On the household's list.
    Blocked,
    /// Everything about a name is not told (RFC 8482).
    Any,
    /// The code alone.
    Plain(Rcode),
    /// None of ours: the cache or an upstream knows.
    Forward,
}

/// What the moment adds to the question.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts {
    /// The address of the box on the interface that the question came by.
    pub v4: Option<Ipv4Addr>,
    /// Its unique local address there.
    pub v6: Option<Ipv6Addr>,
}

/// `blocked` is asked last and only about names of the Internet.
pub fn decide<'z>(
    query: &Query<'_>,
    zone: &'z Zone,
    facts: &Facts,
    blocked: impl FnOnce(&[u8]) -> bool,
) -> Decision<'z> {
    if query.edns.as_ref().is_some_and(|edns| edns.version > 0) {
        return Decision::Plain(Rcode::BadVers);
    }
    // Nothing is told about the program (class CHAOS), and nobody has names of the other classes. Types from 128 to 254 are
    // no records but wishes (zone transfers, signatures of transactions).
    if query.qclass != CLASS_IN || (128..255).contains(&query.qtype) {
        return Decision::Plain(Rcode::Refused);
    }
    if let Some(decision) = ours(query, zone, facts) {
        return decision;
    }
    if !query.wants_recursion() {
        return Decision::Plain(Rcode::Refused);
    }
    if blocked(query.name.wire()) {
        return Decision::Blocked;
    }
    if query.qtype == rtype::ANY {
        return Decision::Any;
    }
    Decision::Forward
}

/// Names that never leave the home.
fn ours<'z>(query: &Query<'_>, zone: &'z Zone, facts: &Facts) -> Option<Decision<'z>> {
    let name = query.name.wire();
    let (top, labels) = (query.name.top(), query.name.labels());
    let zone_at = |zone: &[u8]| name.len() - zone.len();
    if top == &zone.top[1..zone.top.len().saturating_sub(1)] {
        return Some(top_level(query, zone));
    }
    if query.name.first() == b"wpad" {
        return Some(wpad(query, zone));
    }
    let in_domain = name::is_within(name, &zone.domain);
    if in_domain || labels == 1 || zone.names_elsewhere {
        let apex = if in_domain { zone_at(&zone.domain) } else { 0 };
        if name == &*zone.host || name == &*zone.bare_host {
            return Some(Decision::Box { apex });
        }
        if let Some(addrs) = zone.names.get(name) {
            return Some(Decision::Addrs { addrs, apex });
        }
    }
    if in_domain && zone.domain_is_ours {
        // Whether the domain is signed is its parent's to say (RFC 8375 §4).
        if query.qtype == rtype::DS && name.len() == zone.domain.len() {
            return None;
        }
        // A name with known names below it exists.
        let empty = name.len() == zone.domain.len()
            || zone
                .names
                .keys()
                .any(|known| known.len() > name.len() && name::is_within(known, name));
        return Some(there_is_none(empty, zone_at(&zone.domain)));
    }
    match top {
        b"localhost" => Some(Decision::Localhost {
            apex: query.name.offset(labels - 1),
        }),
        b"arpa" => arpa(query, zone, facts),
        b"net" if zone.canary_firefox && name::is_within(name, b"\x13use-application-dns\x03net\0") => {
            Some(Decision::NxDomain { apex: 0 })
        }
        b"com" if zone.canary_relay && is_relay(name) => Some(Decision::NxDomain { apex: 0 }),
        top if special::is_nobodys(top) => Some(there_is_none(labels == 1, query.name.offset(labels - 1))),
        // Names of one label are meant for the home; what validating clients ask of top-level domains is not.
        _ if labels == 1 && !matches!(query.qtype, rtype::NS | rtype::SOA | rtype::DS | rtype::DNSKEY) => {
            Some(Decision::NxDomain { apex: 0 })
        }
        _ => None,
    }
}

fn there_is_none(exists: bool, apex: usize) -> Decision<'static> {
    if exists {
        Decision::NoData { apex }
    } else {
        Decision::NxDomain { apex }
    }
}

/// Every name under our top-level name is the box, but for the markers.
fn top_level(query: &Query<'_>, zone: &Zone) -> Decision<'static> {
    let name = query.name.wire();
    let apex = name.len() - zone.top.len();
    if name.len() > zone.marker.len() && name::is_within(name, &zone.marker) {
        return match query.qtype {
            rtype::A | rtype::ANY => Decision::Marker {
                len: name.len() - zone.marker.len(),
            },
            _ => Decision::NoData { apex },
        };
    }
    Decision::Box { apex }
}

/// Ours alone: what others answer to it would steer the browsers of the home.
fn wpad(query: &Query<'_>, zone: &Zone) -> Decision<'static> {
    let name = query.name.wire();
    if name == &*zone.wpad {
        return Decision::Box {
            apex: name.len() - zone.domain.len(),
        };
    }
    match query.name.labels() {
        1 => Decision::Box { apex: 0 },
        _ => Decision::NxDomain { apex: 0 },
    }
}

fn arpa<'z>(query: &Query<'_>, zone: &'z Zone, facts: &Facts) -> Option<Decision<'z>> {
    let name = query.name.wire();
    if let Some(addr) = special::reversed(&query.name) {
        let own = Some(addr) == facts.v4.map(IpAddr::V4) || Some(addr) == facts.v6.map(IpAddr::V6);
        let known = if own {
            Some(&zone.host)
        } else {
            zone.addrs.get(&addr)
        };
        match known {
            Some(known) if matches!(query.qtype, rtype::PTR | rtype::ANY) => {
                return Some(Decision::Pointer { name: known });
            }
            Some(_) => return Some(Decision::NoData { apex: 0 }),
            None if query.qtype == rtype::PTR && LOOPBACK.contains(&addr) => {
                return Some(Decision::Pointer {
                    name: b"\x09localhost\0",
                });
            }
            None => {}
        }
    }
    match special::arpa(&query.name) {
        Arpa::Resolver { apex } => Some(Decision::NoData { apex }),
        Arpa::Local { apex: 0 } if query.qtype == rtype::DS => None,
        Arpa::Local { apex } => Some(there_is_none(apex == 0, apex)),
        // RFC 8375, also when the home has another domain.
        Arpa::Other if name::is_within(name, HOME_ARPA) => match (name.len() == HOME_ARPA.len(), query.qtype)
        {
            (true, rtype::DS) => None,
            (exists, _) => Some(there_is_none(exists, name.len() - HOME_ARPA.len())),
        },
        Arpa::Other => None,
    }
}

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
const HOME_ARPA: &[u8] = b"\x04home\x04arpa\0";

/// The names Apple devices look for before they hide what they ask (iCloud Private Relay).
fn is_relay(name: &[u8]) -> bool {
    const RELAY: [&[u8]; 3] = [
        b"\x04mask\x06icloud\x03com\0",
        b"\x07mask-h2\x06icloud\x03com\0",
        b"\x08mask-api\x06icloud\x03com\0",
    ];
    RELAY.contains(&name)
}

/// What the caller knows of the things that the decision names.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub facts: Facts,
    /// For a marker.
    pub mark: Mark,
    /// A blocked name does not exist; else it has addresses that lead nowhere.
    pub blocked_is_nxdomain: bool,
}

/// Writes the answer; `false` for [`Decision::Forward`], which has none.
pub fn write(decision: Decision<'_>, query: &Query<'_>, known: &Known, way: &Way, out: &mut Vec<u8>) -> bool {
    let begin = |rcode, own, out| Reply::begin(query, rcode, own, out);
    let of_types = |v4: &[Ipv4Addr], v6: &[Ipv6Addr], apex, out| {
        let mut reply = begin(Rcode::NoError, true, out);
        if matches!(query.qtype, rtype::A | rtype::ANY) {
            v4.iter().for_each(|addr| reply.a(TTL_SECS, *addr));
        }
        if matches!(query.qtype, rtype::AAAA | rtype::ANY) {
            v6.iter().for_each(|addr| reply.aaaa(TTL_SECS, *addr));
        }
        if reply.is_empty() {
            reply.soa(apex);
        }
        reply.finish(query, Rcode::NoError, None, way);
    };
    match decision {
        Decision::Forward => return false,
        Decision::Box { apex } => of_types(known.facts.v4.as_slice(), known.facts.v6.as_slice(), apex, out),
        Decision::Localhost { apex } => of_types(&[Ipv4Addr::LOCALHOST], &[Ipv6Addr::LOCALHOST], apex, out),
        Decision::Addrs { addrs, apex } => {
            let mut reply = begin(Rcode::NoError, true, out);
            for addr in addrs {
                let rtype = if addr.is_ipv4() { rtype::A } else { rtype::AAAA };
                if query.qtype == rtype || query.qtype == rtype::ANY {
                    reply.addr(TTL_SECS, *addr);
                }
            }
            if reply.is_empty() {
                reply.soa(apex);
            }
            reply.finish(query, Rcode::NoError, None, way);
        }
        Decision::Pointer { name } => {
            let mut reply = begin(Rcode::NoError, true, out);
            reply.answer(rtype::PTR, TTL_SECS, name);
            reply.finish(query, Rcode::NoError, None, way);
        }
        Decision::Marker { .. } => {
            let (addr, ttl_secs) = known.mark.answer();
            let mut reply = begin(Rcode::NoError, true, out);
            reply.a(ttl_secs, addr);
            reply.finish(query, Rcode::NoError, None, way);
        }
        Decision::NoData { apex } | Decision::NxDomain { apex } => {
            let rcode = match decision {
                Decision::NxDomain { .. } => Rcode::NxDomain,
                _ => Rcode::NoError,
            };
            let mut reply = begin(rcode, true, out);
            reply.soa(apex);
            reply.finish(query, rcode, None, way);
        }
        Decision::Blocked => blocked(query, known, way, out),
        Decision::Any => {
            let mut reply = begin(Rcode::NoError, false, out);
            reply.answer(rtype::HINFO, 3600, b"\x07RFC8482\0");
            reply.finish(query, Rcode::NoError, None, way);
        }
        Decision::Plain(rcode) => begin(rcode, false, out).finish(query, rcode, None, way),
    }
    true
}

fn blocked(query: &Query<'_>, known: &Known, way: &Way, out: &mut Vec<u8>) {
    let rcode = match known.blocked_is_nxdomain {
        true => Rcode::NxDomain,
        false => Rcode::NoError,
    };
    let mut reply = Reply::begin(query, rcode, false, out);
    match query.qtype {
        rtype::A if rcode == Rcode::NoError => reply.a(TTL_SECS, Ipv4Addr::UNSPECIFIED),
        rtype::AAAA if rcode == Rcode::NoError => reply.aaaa(TTL_SECS, Ipv6Addr::UNSPECIFIED),
        _ => reply.soa(0),
    }
    reply.finish(query, rcode, Some(Why::Blocked), way);
}

#[cfg(test)]
#[path = "tests/decide.rs"]
mod tests;
