//! Sites: "the current version of this address, and the bytes of that path". Knows no status codes and not who asks.

use std::sync::Arc;

use bytes::Bytes;
use proto::id::InfoHash;
use tokio::time::Instant;

use crate::swarm::{self, Hints, Progress, Torrent};

/// Split by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing known and nobody answered in time.
    #[error("nobody answered for {0}")]
    Silent(InfoHash),
    /// Metadata is here, peers were found, but pieces are missing everywhere.
    #[error("the pieces of {0} are not to be had now")]
    Incomplete(InfoHash),
    /// The address holds something that is not a site.
    #[error("not a site: {0}")]
    NotASite(String),
    /// The disk or the engine is in trouble.
    #[error("cannot read now: {0}")]
    Unavailable(String),
}

/// An opened version of a site.
#[derive(Clone)]
pub struct Site {
    pub torrent: Arc<Torrent>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Sites {}

impl Sites {
    pub fn new(_swarm: swarm::Swarm, _db: crate::db::Db, _clock: crate::clock::Clock) -> Self {
        todo!()
    }
    /// Opens a torrent by infohash. `local_only`: never asks the network.
    pub async fn open(
        &self,
        _ih: InfoHash,
        _hints: &Hints,
        _local_only: bool,
        _deadline: Instant,
    ) -> Result<Site, Error> {
        todo!()
    }
    /// Up to `len` verified bytes of file `file` at `offset`; stops at a piece border, never empty before the end. What is
    /// held is answered without waiting and without a blocking thread; what is not is fetched first in line.
    pub async fn read(
        &self,
        _site: &Site,
        _file: usize,
        _offset: u64,
        _len: usize,
        _deadline: Instant,
    ) -> Result<Bytes, Error> {
        todo!()
    }
    /// Bytes of the file that can be read now without the network.
    pub fn held_bytes(&self, _site: &Site, _file: usize) -> u64 {
        todo!()
    }
    pub fn progress(&self, _ih: InfoHash) -> Option<Progress> {
        todo!()
    }
}
