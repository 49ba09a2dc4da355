//! Which addresses strangers may send us to.
//!
//! Trackers, torrents, PEX, DHT nodes and magnets name addresses, and a home appliance stands inside the wall that those
//! addresses must not cross (server-side request forgery). Every address is judged **after** resolution and the connection
//! goes to exactly the address that was judged; every URL is judged before resolution and again on each redirect.
//!
//! `address` judges addresses and ports, `url` the spelling of URLs. Unusual spellings (`http://0x7f.1/`, `http://①.1.1.1/`)
//! are refused instead of decoded: parsers disagree about them, and no tracker is written that way.

mod address;
mod url;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

pub use address::{allowed, ip_allowed};
pub use url::{Host, Scheme, URL_BYTES_MAX, Url, allowed_url};

/// What may be reached. The default is the strictest: global unicast peers only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// 127.0.0.0/8, `::1` and the name `localhost`: tests and demos on one machine.
    pub allow_loopback: bool,
    /// RFC 1918, CGNAT, ULA and link-local addresses: peers that local discovery heard on the home network, or that the
    /// owner typed. Cloud metadata addresses stay refused.
    pub allow_private: bool,
    /// Addresses of this machine and of its router's outside; any port of theirs is refused.
    pub own: Vec<IpAddr>,
    /// Which ports are plausible.
    pub service: Service,
}

impl Policy {
    /// This policy, for the HTTP and UDP doors of trackers and web seeds.
    pub fn for_web(&self) -> Self {
        Self {
            service: Service::Web,
            ..self.clone()
        }
    }

    /// This policy, for peers heard on the local network.
    pub fn for_neighbours(&self) -> Self {
        Self {
            allow_private: true,
            ..self.clone()
        }
    }
}

/// What is expected to listen at an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Service {
    /// A BitTorrent peer or DHT node: no system port (below 1024) and no well-known port of another service.
    #[default]
    Peer,
    /// A tracker or web seed: as for peers, and 80, 443 and 451.
    Web,
}

/// Why an address or URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    #[error("the address means \"this host\" or nothing at all")]
    Unspecified,
    #[error("the address is this machine's loopback")]
    Loopback,
    #[error("the address is in a private network")]
    Private,
    #[error("the address is only valid on one link")]
    LinkLocal,
    #[error("the address belongs to a carrier's inside (RFC 6598)")]
    CarrierNat,
    #[error("the address is a multicast group")]
    Multicast,
    #[error("the address is a broadcast address")]
    Broadcast,
    #[error("the address is reserved for documentation")]
    Documentation,
    #[error("the address is reserved")]
    Reserved,
    #[error("the address is a cloud provider's metadata service")]
    Metadata,
    #[error("the address is one of our own")]
    Own,
    #[error("port {0} belongs to another service")]
    Port(u16),
    #[error("the URL is longer than {URL_BYTES_MAX} bytes")]
    Long,
    #[error("the URL's scheme is not http, https or udp")]
    Scheme,
    #[error("the URL carries a user name or password")]
    Userinfo,
    #[error("the URL contains a character that does not belong there")]
    Character,
    #[error("the URL's host is not a plain host name or address")]
    Host,
    #[error("the URL's host name is only known inside a home or machine")]
    LocalName,
    #[error("the URL's port is not a plain number from 1 to 65535")]
    BadPort,
}
