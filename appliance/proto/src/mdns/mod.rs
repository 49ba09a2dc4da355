//! The box's name without any server: multicast DNS (RFC 6762) and service discovery (RFC 6763). A responder as a state
//! machine: packets and time go in, packets come out.
//!
//! Must not know sockets, interfaces of the kernel, or clocks. Answers only for its own few records.
//!
//! Reading order: `wire` (the message), `zone` (which records we have and which of them answer a question), `responder` (probing,
//! announcing, conflicts, when an answer is sent), `link` (what it knows of one interface).

mod link;
mod responder;
#[cfg(test)]
mod tests;
pub mod wire;
mod zone;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

pub use responder::{Responder, Service};

pub const PORT: u16 = 5353;
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// Longest packet read (RFC 6762 17).
pub const PACKET_BYTES_MAX: usize = 9000;

/// Where a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Both groups of the interface.
    Group,
    One(SocketAddr),
}

/// A packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The interface's number.
    pub link: u32,
    pub to: To,
    pub packet: Vec<u8>,
}
