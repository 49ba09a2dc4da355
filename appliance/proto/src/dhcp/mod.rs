//! DHCPv4 (RFC 2131 and 2132): what a server of a home says to which packet. Pure: a packet, the leases, what the interface
//! hands out and the time go in; a reply or silence, and a change of the leases, come out.
//!
//! Never knows sockets, disks or other servers. Reading order: `packet` (what came in), `decide` (what is said), `options`
//! (the bytes handed out; option 252 lives here), `table` (who has which address), `pool` (which addresses there are), `name`
//! (what devices call themselves), `frame` (Ethernet, for clients without an address).

mod decide;
mod frame;
mod name;
mod options;
mod packet;
mod pool;
mod table;

#[cfg(test)]
mod bad_tests;
#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod table_tests;

pub use decide::{Answer, Change, Decision, Mode, Serving, To, Why, decide};
pub use frame::{Arp, Datagram, arp_request, read_arp, read_udp, udp_frame};
pub use name::{label, shown};
pub use options::{HandOut, Route};
pub use packet::{Kind, MAGIC, Malformed, Packet, code};
pub use pool::Pool;
pub use table::{Kept, Lease, Table};

/// An Ethernet address; Wi-Fi has the same ones.
pub type Mac = [u8; 6];

/// Seconds on a clock that only goes forward. Which second is 0 does not matter.
pub type Secs = u64;

pub const SERVER_PORT: u16 = 67;
pub const CLIENT_PORT: u16 = 68;

/// What a lease belongs to: the client identifier (option 61), or the hardware address when none is sent (RFC 2131, 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(std::sync::Arc<[u8]>);

impl ClientKey {
    pub fn new(id: Option<&[u8]>, mac: Mac) -> Self {
        let (mark, bytes) = match id {
            Some(id) => (1, id),
            None => (0, &mac[..]),
        };
        Self([&[mark], bytes].concat().into())
    }

    /// As it lies on disk.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What [`ClientKey::as_bytes`] gave; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= 256 && matches!(bytes, [0, ..] if bytes.len() == 7) || matches!(bytes, [1, _, ..]))
            .then(|| Self(bytes.into()))
    }
}
