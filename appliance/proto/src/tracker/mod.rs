//! Tracker announces: HTTP (BEP 3, 7, 23) and UDP (BEP 15, 41), both directions as far as we speak them.
//!
//! `http` makes and reads query strings and bencoded replies, `udp` the binary packets. Scrape is not spoken. Nothing here
//! judges addresses: the caller passes every peer through [`crate::guard`].

pub mod http;
pub mod udp;

#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use crate::{bencode, id::InfoHash};

/// Most peers taken from one reply. More: one lying tracker fills the table. Fewer: large swarms are seen through a keyhole.
pub const PEERS_MAX: usize = 200;

/// Shortest and longest pause a tracker may ask for.
pub const INTERVAL_MIN: Duration = Duration::from_secs(60);
pub const INTERVAL_MAX: Duration = Duration::from_secs(2 * 3600);

/// What is taken for a missing interval: BEP 3's usual half hour.
pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(1800);

/// Longest text of a tracker that is kept, characters.
const TEXT_MAX: usize = 200;

/// Why we announce now (BEP 3 `event`; the numbers are BEP 15's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Event {
    /// One of the regular announces.
    #[default]
    None = 0,
    Completed = 1,
    Started = 2,
    Stopped = 3,
}

impl Event {
    /// The word of BEP 3; empty for a regular announce.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Completed => "completed",
            Self::Started => "started",
            Self::Stopped => "stopped",
        }
    }
}

/// What we tell a tracker. Byte counts are payload since the event `started`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    pub infohash: InfoHash,
    pub peer_id: [u8; 20],
    /// Where we take connections; 0 or 1 when we take none.
    pub port: u16,
    pub uploaded: u64,
    pub downloaded: u64,
    pub left: u64,
    pub event: Event,
    /// How many peers we would like; 0 for `stopped`.
    pub numwant: u16,
    /// Tells the tracker that we are the same client when our address changes; kept from other peers.
    pub key: u32,
    /// Our global IPv6 address, when the connection goes over IPv4 (BEP 7).
    pub ipv6: Option<Ipv6Addr>,
}

/// What a tracker told us; bounded, not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// When to come back; within [`INTERVAL_MIN`] and [`INTERVAL_MAX`].
    pub interval: Duration,
    /// No announce sooner than this, even when peers are missing; at most `interval`.
    pub min_interval: Duration,
    /// At most [`PEERS_MAX`], without duplicates and without port 0.
    pub peers: Vec<SocketAddr>,
    pub warning: Option<String>,
}

/// Split by what the caller can do: back off, or tell the owner what the tracker said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the tracker refuses: {0}")]
    Refused(String),
    #[error("the tracker's answer is not one: {0}")]
    Malformed(&'static str),
    #[error("the tracker's answer is not bencoding: {0}")]
    Bencode(#[from] bencode::Error),
}

impl Reply {
    /// Applies the bounds; `interval` and `min_interval` in seconds as the tracker sent them.
    fn bounded(
        interval: Option<i64>,
        min_interval: Option<i64>,
        peers: Vec<SocketAddr>,
        warning: Option<String>,
    ) -> Self {
        let secs = |n: i64| Duration::from_secs(n.max(0).unsigned_abs());
        let clamp = |d: Duration| d.clamp(INTERVAL_MIN, INTERVAL_MAX);
        let interval = clamp(interval.map_or(INTERVAL_DEFAULT, secs));
        let min_interval = clamp(min_interval.map_or(INTERVAL_MIN, secs)).min(interval);
        Self {
            interval,
            min_interval,
            peers,
            warning,
        }
    }
}

/// Collects peers up to the bound, each once, none with port 0.
#[derive(Default)]
struct Peers {
    list: Vec<SocketAddr>,
    seen: std::collections::HashSet<SocketAddr>,
}

impl Peers {
    fn add(&mut self, ip: IpAddr, port: u16) {
        let addr = SocketAddr::new(ip.to_canonical(), port);
        if port != 0 && self.list.len() < PEERS_MAX && self.seen.insert(addr) {
            self.list.push(addr);
        }
    }

    /// 6-byte entries (BEP 23). A ragged tail is ignored.
    fn add_compact_v4(&mut self, bytes: &[u8]) {
        for entry in bytes.chunks_exact(6) {
            let ip = Ipv4Addr::new(entry[0], entry[1], entry[2], entry[3]);
            self.add(IpAddr::V4(ip), u16::from_be_bytes([entry[4], entry[5]]));
        }
    }

    /// 18-byte entries (BEP 7). A ragged tail is ignored.
    fn add_compact_v6(&mut self, bytes: &[u8]) {
        for entry in bytes.chunks_exact(18) {
            let (ip, port) = entry.split_at(16);
            let ip: [u8; 16] = ip.try_into().expect("split at 16");
            self.add(IpAddr::V6(ip.into()), u16::from_be_bytes([port[0], port[1]]));
        }
    }
}

/// A tracker's text as one short, printable line.
fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * TEXT_MAX)]);
    text.chars()
        .map(|c| if c.is_control() || c == '\u{202e}' { ' ' } else { c })
        .take(TEXT_MAX)
        .collect()
}
