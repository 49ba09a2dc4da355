//! Our DHT node: finds and announces peers on IPv4 and IPv6 (BEP 5, 32, 42, 43). Decides nothing itself: the rules stand
//! in `proto::dht`; here are the two sockets, the timer and the way to the store. Must not know torrents, trackers or
//! sites: it is asked about an infohash and answers with addresses, and nothing is kept per torrent.

use std::net::SocketAddr;

use proto::id::InfoHash;
use tokio::sync::mpsc;

use crate::{clock::Clock, db::Db, tasks::Tasks};

/// Where the node listens and whom it knows at first.
#[derive(Debug, Clone)]
pub struct Config {
    /// IPv4 address; port 0 lets the system choose. A loopback address also lets loopback and private nodes in.
    pub listen_v4: Option<SocketAddr>,
    /// IPv6 address. When it cannot be opened the node goes on with IPv4 alone.
    pub listen_v6: Option<SocketAddr>,
    /// `HOST:PORT` of nodes asked when no remembered node answers. Empty: only remembered nodes and peers' PORT messages.
    pub bootstrap: Vec<String>,
    /// True when upload is switched off: we ask but do not answer (BEP 43).
    pub read_only: bool,
    /// Replies to sources that have not proven their address. Larger: we are a better reflector. Smaller: newcomers starve.
    pub unverified_reply_bytes_per_sec: u32,
    /// Larger: one neighbour may occupy us. Smaller: busy honest nodes think us dead.
    pub queries_per_source_per_sec: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen_v4: Some(SocketAddr::from(([0, 0, 0, 0], 6881))),
            listen_v6: Some(SocketAddr::from(([0u16; 8], 6881))),
            bootstrap: Vec::new(),
            read_only: false,
            unverified_reply_bytes_per_sec: 8_000,
            queries_per_source_per_sec: 5,
        }
    }
}

/// What a caller can do: choose another port, or go on without the DHT.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("open the DHT port {addr}: {reason}")]
    Listen {
        addr: SocketAddr,
        reason: std::io::Error,
    },
    #[error("the DHT has neither an IPv4 nor an IPv6 address to listen on")]
    NoAddress,
}

/// What the status page shows.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    pub good_v4: usize,
    pub good_v6: usize,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Dht {}

impl Dht {
    /// Opens the sockets and starts the node; it is useable at once and bootstraps behind.
    pub async fn start(_config: Config, _db: Db, _clock: Clock, _tasks: &Tasks) -> Result<Dht, Error> {
        todo!()
    }

    /// Batches of peers as nodes answer; ends when the lookup ends. Dropping the receiver ends the lookup.
    pub fn get_peers(&self, _ih: InfoHash) -> mpsc::Receiver<Vec<SocketAddr>> {
        todo!()
    }

    /// Tells the nodes closest to `ih` that we serve it on `port`. Returns how many have confirmed.
    pub async fn announce(&self, _ih: InfoHash, _port: u16) -> usize {
        todo!()
    }

    /// A peer told us its DHT port (BEP 5 PORT message): ask it whether it is alive.
    pub fn ping_node(&self, _addr: SocketAddr) {
        todo!()
    }

    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        todo!()
    }

    pub fn stats(&self) -> Stats {
        todo!()
    }
}
