//! What is handed out, as option bytes, and the reply around them. The bytes of option 252 are made here.

use std::net::Ipv4Addr;

use super::{
    Kind, Packet, Secs,
    packet::{FIXED, MAGIC, code},
};

/// BOOTP relays and some old clients drop anything shorter (RFC 1542, 2.1).
const BYTES_MIN: usize = 300;

/// A route for option 121.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub network: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Ipv4Addr,
}

/// Everything a device is told besides its address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HandOut {
    pub router: Option<Ipv4Addr>,
    /// The box, then the second resolver if the household chose one.
    pub resolvers: Vec<Ipv4Addr>,
    /// What a device that goes around us is told instead; empty: the router, then the second resolver.
    pub resolvers_beside: Vec<Ipv4Addr>,
    pub domain: String,
    pub ntp: Vec<Ipv4Addr>,
    pub mtu: Option<u16>,
    pub routes: Vec<Route>,
    /// Option 252: ASCII, without any terminator (a newline or NUL would become part of the address in some clients).
    pub wpad: Option<String>,
}

/// One reply being written.
pub(super) struct Draft<'a> {
    pub to: &'a Packet,
    pub kind: Kind,
    pub server: Ipv4Addr,
    pub ciaddr: Ipv4Addr,
    pub yiaddr: Ipv4Addr,
    options: Vec<(u8, Vec<u8>)>,
}

impl<'a> Draft<'a> {
    pub fn new(to: &'a Packet, kind: Kind, server: Ipv4Addr) -> Self {
        Self {
            to,
            kind,
            server,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            options: Vec::with_capacity(16),
        }
    }

    pub fn option(&mut self, code: u8, value: impl Into<Vec<u8>>) {
        let value = value.into();
        // An empty option or one that would need splitting is left out; the settings' bounds make the second impossible.
        if (1..=255).contains(&value.len()) {
            self.options.push((code, value));
        }
    }

    /// Options 51, 58 and 59: the lease, and when to renew it (RFC 2131, 4.4.5).
    pub fn lease(&mut self, secs: Secs) {
        let secs = u32::try_from(secs).unwrap_or(u32::MAX);
        self.option(code::LEASE, secs.to_be_bytes());
        self.option(code::RENEW, (secs / 2).to_be_bytes());
        self.option(code::REBIND, (secs / 8 * 7).to_be_bytes());
    }

    /// What the client asked for (option 55), in the order of importance; 252 also unasked. A client that names no options
    /// gets all. `beside`: the device goes around us.
    pub fn hand_out(&mut self, what: &HandOut, prefix: u8, beside: bool) {
        let to = self.to;
        let wanted = to.option(code::WANTED);
        let wants = |code: u8| wanted.is_none_or(|list| list.contains(&code));
        let mask = super::pool::mask(prefix);
        self.option(code::MASK, mask.to_be_bytes());
        if wants(code::ROUTER) {
            self.option(code::ROUTER, bytes(what.router.as_slice()));
        }
        if wants(code::RESOLVER) {
            let resolvers = if beside {
                &what.resolvers_beside
            } else {
                &what.resolvers
            };
            self.option(code::RESOLVER, bytes(resolvers));
        }
        if wants(code::DOMAIN) {
            self.option(code::DOMAIN, what.domain.as_bytes());
        }
        if let Some(url) = what.wpad.as_ref().filter(|_| !beside) {
            self.option(code::WPAD, url.as_bytes());
        }
        if wants(code::BROADCAST) {
            self.option(code::BROADCAST, (self.server.to_bits() | !mask).to_be_bytes());
        }
        if let Some(mtu) = what.mtu.filter(|_| wants(code::MTU)) {
            self.option(code::MTU, mtu.to_be_bytes());
        }
        if wants(code::NTP) {
            self.option(code::NTP, bytes(&what.ntp));
        }
        if wants(code::SEARCH) {
            self.option(code::SEARCH, labels(&what.domain));
        }
        for code in [code::ROUTES, code::ROUTES_MS] {
            // 249 is Windows' older number of 121; who lists neither 55 nor it has no use for it.
            if !what.routes.is_empty() && wants(code) && (code == code::ROUTES || wanted.is_some()) {
                self.option(code, routes(what));
            }
        }
    }

    /// The datagram. Options that do not fit into what the client takes are left out, the least important first.
    pub fn write(self) -> Vec<u8> {
        let to = self.to;
        let mut out = vec![0; FIXED];
        out[0] = 2;
        out[1] = to.htype;
        out[2] = 6;
        out[4..8].copy_from_slice(&to.xid);
        out[10..12].copy_from_slice(&to.flags.to_be_bytes());
        out[12..16].copy_from_slice(&self.ciaddr.octets());
        out[16..20].copy_from_slice(&self.yiaddr.octets());
        out[24..28].copy_from_slice(&to.giaddr.octets());
        out[28..34].copy_from_slice(&to.mac);
        out.extend(MAGIC);
        // RFC 6842: the identifier goes back as it came. RFC 3046, 2.2: so does what a relay added, as the last option.
        let client = to.option(code::CLIENT);
        let relay = to.option(code::RELAY).filter(|_| !to.giaddr.is_unspecified());
        let cost = |value: &[u8]| value.len() + 2;
        let tail = client.map_or(0, cost) + relay.map_or(0, cost) + 1;
        let size_max = to.size_max();
        let mut add = |code: u8, value: &[u8], room: usize| {
            if let Ok(len) = u8::try_from(value.len())
                && out.len() + cost(value) + room <= size_max
            {
                out.extend([code, len]);
                out.extend(value);
            }
        };
        add(code::KIND, &[self.kind as u8], tail);
        add(code::SERVER, &self.server.octets(), tail);
        for (code, value) in &self.options {
            add(*code, value, tail);
        }
        if let Some(id) = client {
            add(code::CLIENT, id, relay.map_or(0, cost) + 1);
        }
        if let Some(relay) = relay {
            add(code::RELAY, relay, 1);
        }
        out.push(255);
        out.resize(out.len().max(BYTES_MIN), 0);
        out
    }
}

fn bytes(addrs: &[Ipv4Addr]) -> Vec<u8> {
    addrs.iter().flat_map(Ipv4Addr::octets).collect()
}

/// A domain name as labels (RFC 1035, 3.1), as option 119 wants it (RFC 3397).
fn labels(domain: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(domain.len() + 2);
    for label in domain.split('.').filter(|label| !label.is_empty()) {
        let Ok(len @ 1..=63) = u8::try_from(label.len()) else {
            return Vec::new();
        };
        out.push(len);
        out.extend(label.as_bytes());
    }
    if !out.is_empty() {
        out.push(0);
    }
    out
}

/// RFC 3442: clients that take option 121 ignore option 3, so the default route stands in it too.
fn routes(what: &HandOut) -> Vec<u8> {
    let default = what.router.map(|gateway| Route {
        network: Ipv4Addr::UNSPECIFIED,
        prefix: 0,
        gateway,
    });
    let mut out = Vec::new();
    for route in what.routes.iter().chain(&default) {
        let prefix = route.prefix.min(32);
        out.push(prefix);
        out.extend(&route.network.octets()[..usize::from(prefix.div_ceil(8))]);
        out.extend(route.gateway.octets());
    }
    out
}
