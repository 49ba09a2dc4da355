//! The swarm: finding peers, fetching, seeding, bandwidth. Knows infohashes and pieces; must not know URLs, HTTP or pages.

pub mod dht;
pub mod find;
pub mod limits;
pub mod listen;
pub mod metadata;
pub mod seed;

use std::{net::SocketAddr, sync::Arc};

use proto::{id::InfoHash, metainfo::Info};
use tokio::time::Instant;

/// Split by what a caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answered: the DHT, trackers and LAN were silent until the deadline.
    #[error("no peer for {0} was found in time")]
    NoPeers(InfoHash),
    /// Peers answered but none had what is missing.
    #[error("peers of {0} do not have what is missing")]
    MissingPieces(InfoHash),
    /// The metadata breaks a rule; it will never open.
    #[error("refused {infohash}: {reason}")]
    Refused { infohash: InfoHash, reason: String },
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the swarm is stopping")]
    Stopping,
    #[error("{0}")]
    Engine(String),
}

/// Where to look for a torrent's peers besides the DHT and the LAN.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    pub peers: Vec<SocketAddr>,
    pub trackers: Vec<String>,
}

/// A torrent whose metadata is known and validated.
#[derive(Debug)]
pub struct Torrent {
    pub info: Info,
    pub raw_info: bytes::Bytes,
}

/// A moment of one torrent's fetch.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    pub pieces: u32,
    pub held: u32,
    pub peers: u32,
    pub down_bps: u64,
    pub up_bps: u64,
    /// Torrent payload bytes received by this run, wrong ones included.
    pub downloaded: u64,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Swarm {}

impl Swarm {
    /// Metadata from the store, else from peers (BEP 9), validated by `proto::metainfo`; then a row in the store exists.
    pub async fn open(
        &self,
        _ih: InfoHash,
        _hints: &Hints,
        _deadline: Instant,
    ) -> Result<Arc<Torrent>, Error> {
        todo!()
    }
    /// Waits until piece `index` is verified and readable; asks for it first in line, with a bounded look-ahead behind it.
    pub async fn piece(&self, _torrent: &Arc<Torrent>, _index: u32, _deadline: Instant) -> Result<(), Error> {
        todo!()
    }
    /// Fetches everything in the background and keeps it.
    pub async fn keep(&self, _ih: InfoHash) -> Result<(), Error> {
        todo!()
    }
    /// Stops fetching and seeding, and removes the row and the bytes that no other site shares.
    pub async fn forget(&self, _ih: InfoHash) -> Result<(), Error> {
        todo!()
    }
    pub fn add_peers(&self, _ih: InfoHash, _peers: &[SocketAddr]) {
        todo!()
    }
    pub fn progress(&self, _ih: InfoHash) -> Option<Progress> {
        todo!()
    }
}
