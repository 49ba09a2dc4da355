//! What the lan half tells and takes over its control socket (HTTP/1.1, JSON), as types that the web half reads too.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /v1/settings` | | [`Settings`](crate::settings::Settings) |
//! | `PUT /v1/settings` | the whole settings | [`Saved`], or 400 and [`Refused`] |
//! | `POST /v1/reload` | | [`Saved`] |
//! | `GET /v1/devices` | | [`Devices`] |
//! | `POST /v1/block/pause` | [`Pause`] | [`Status`] |
//! | `POST /v1/block/reload` | | [`Status`]: the compiled list is opened again |
//! | `GET /v1/block/top` | | [`Top`] |
//! | `PUT /v1/linked` | [`Linked`] | `{}`: linked domains that the web half knows |
//! | `POST /v1/survey` | | [`Survey`]: looks at the LAN now, takes up to 4 s |

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::DhcpMode;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LanStatus")]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub uptime_secs: u64,
    pub listen: Listening,
    pub troubles: Vec<Trouble>,
    pub interfaces: Vec<InterfaceFacts>,
    pub dns: DnsFacts,
    pub block: BlockFacts,
    pub dhcp: DhcpFacts,
    pub ra: RaFacts,
    pub mdns: MdnsFacts,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listening {
    pub dns: Vec<SocketAddr>,
    pub dot: Vec<SocketAddr>,
    pub doh: Vec<SocketAddr>,
}

/// What does not work, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LanTrouble")]
pub struct Trouble {
    pub room: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InterfaceFacts {
    pub name: String,
    pub up: bool,
    /// `aa:bb:cc:dd:ee:ff`
    pub mac: Option<String>,
    /// `192.168.1.2/24`
    pub addrs: Vec<String>,
    /// Its devices are answered.
    pub served: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DnsFacts {
    pub queries: u64,
    /// Answered from memory.
    pub cached: u64,
    /// Answered from memory although older than they should be, because no upstream answered (RFC 8767).
    pub stale: u64,
    pub blocked: u64,
    /// Own names and special names.
    pub own: u64,
    pub forwarded: u64,
    /// SERVFAIL given.
    pub failed: u64,
    /// Dropped or refused: outside the LAN, malformed, over a limit.
    pub dropped: u64,
    pub cache_entries: u64,
    pub upstreams: Vec<Upstream>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Upstream {
    /// As it stands in the settings, or as it was learned.
    pub address: String,
    /// Learned from the network, not chosen.
    pub learned: bool,
    pub healthy: bool,
    /// Smoothed time to an answer.
    pub millis: Option<f64>,
    pub queries: u64,
    pub failures: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockFacts {
    pub enabled: bool,
    /// Names in the compiled list.
    pub names: u64,
    /// Nothing is blocked for so long.
    pub paused_secs: Option<u64>,
    /// Where the compiled list is looked for.
    pub file: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DhcpState {
    #[default]
    Off,
    /// Looking for other servers before the first answer.
    Looking,
    Serving,
    /// Another server answers: we do not.
    Silent,
    /// It cannot work; `reason` says why.
    Broken,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DhcpFacts {
    pub mode: DhcpMode,
    pub state: DhcpState,
    /// Why it is so, in words for people.
    pub reason: Option<String>,
    pub pool: Option<crate::settings::Pool>,
    pub leases: Vec<Lease>,
    /// Other servers heard, the last one last; at most 8.
    pub rivals: Vec<DhcpServer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lease {
    pub addr: Ipv4Addr,
    pub mac: String,
    /// What the device calls itself, with nothing in it that could be more than text.
    pub name: Option<String>,
    /// Seconds until it ends; negative: it has ended.
    pub ends_in_secs: i64,
    pub reserved: bool,
}

/// What a DHCP server of the LAN offers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DhcpServer {
    pub server: Option<Ipv4Addr>,
    pub mac: Option<String>,
    pub offered: Option<Ipv4Addr>,
    pub mask: Option<Ipv4Addr>,
    pub router: Vec<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub domain: Option<String>,
    /// Option 252.
    pub wpad: Option<String>,
    pub lease_secs: Option<u32>,
    pub heard_secs_ago: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RaFacts {
    pub enabled: bool,
    pub sent: u64,
    /// What is announced as resolver.
    pub resolver: Option<std::net::Ipv6Addr>,
    /// Routers that announce themselves; at most 8.
    pub routers: Vec<Router6>,
    /// What does not work, also while nothing is announced: then only routers go unheard.
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Router6 {
    pub addr: std::net::Ipv6Addr,
    /// 0: it announces no default route.
    pub lifetime_secs: u16,
    pub dns: Vec<std::net::Ipv6Addr>,
    pub search: Vec<String>,
    pub prefixes: Vec<String>,
    pub heard_secs_ago: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MdnsFacts {
    pub enabled: bool,
    /// The name we have now, such as `granary.local`, or `granary-2.local` after a conflict.
    pub name: Option<String>,
    /// Why there is none, or not everywhere.
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Saved {
    /// In force, but not on disk: why.
    pub not_saved: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// Each as one sentence. Nothing was changed.
    pub faults: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Devices {
    pub devices: Vec<DeviceFacts>,
}

/// One device of the LAN, known by its hardware address where the kernel or a lease tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceFacts {
    pub mac: Option<String>,
    pub addrs: Vec<IpAddr>,
    /// What the household calls it, else what it calls itself.
    pub name: Option<String>,
    pub bypass: bool,
    pub lease_ends_in_secs: Option<i64>,
    /// It asked our resolver: seconds since the last query.
    pub dns_secs_ago: Option<u64>,
    pub dns_queries: u64,
    /// It asked over TLS.
    pub dns_encrypted: bool,
    /// It asked for option 252 in DHCP.
    pub asked_wpad: bool,
    /// It looked up `wpad.<domain>`.
    pub looked_up_wpad: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// 0 ends the pause; at most 86400.
    pub secs: u64,
}

/// Blocked names, most frequent first; only while the owner has asked for counting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Top {
    pub counting: bool,
    pub names: Vec<(String, u64)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Linked {
    /// Domains with a valid link record that the household follows; at most 4096.
    pub domains: Vec<String>,
}

/// What is seen on this LAN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Survey {
    pub interface: Option<String>,
    pub addr: Option<Ipv4Addr>,
    /// The box's own IPv6 addresses there.
    pub addrs6: Vec<std::net::Ipv6Addr>,
    pub gateway: Option<Ipv4Addr>,
    /// DHCP servers could be looked for.
    pub dhcp_looked: bool,
    /// Every DHCP server that answered a DISCOVER, ourselves left out.
    pub dhcp_servers: Vec<DhcpServer>,
    pub routers6: Vec<Router6>,
    /// The router answers DNS.
    pub router_resolves: bool,
    /// What the router's resolver calls itself, such as `dnsmasq-2.90`.
    pub router_software: Option<String>,
    /// The router's resolver sends `.btlink` to this box: conditional forwarding works.
    pub router_forwards: bool,
    /// The router's resolver drops answers that point into the home.
    pub router_drops_private: bool,
    /// The router's resolver, else that of the box's system, says `use-application-dns.net` does not exist: Firefox does not go around the home's resolver.
    pub doh_canary: bool,
    /// The LAN's DHCP hands out this box as resolver.
    pub handed_out_as_resolver: bool,
}

/// A hardware address as people write it.
pub fn spelled(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
