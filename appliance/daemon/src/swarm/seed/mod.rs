//! Our upload-only peer: serves what the store holds. Must not know how connections come about or how pieces got there.
//!
//! A torrent costs nothing here until a peer is connected to it. Reading order: `peer` (one connection, from hello to
//! goodbye), `messages` (what it does with each message), `serve` (requests to bytes), `outbox`, `slots` (choking), `room`
//! (a torrent with peers), `extents` (what was just read), `traffic` (totals).

mod extents;
mod messages;
mod outbox;
mod peer;
mod room;
mod serve;
mod slots;
mod traffic;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use proto::peer::{PeerId, handshake::Handshake};
use store::SiteRow;
use tokio_util::sync::CancellationToken;

use super::{
    limits::{Limits, Seat},
    listen::{Handover, wire::Wire},
};
use crate::{db::Db, tasks::Tasks};
use extents::Extents;
use room::Rooms;
use slots::Slots;
use traffic::Traffic;

/// How much the seeder may use.
#[derive(Debug, Clone)]
pub struct Config {
    /// Peers served at once. Larger: each gets less, and up to 1 MiB more memory each. Smaller: others wait longer.
    pub upload_slots: usize,
    /// Bytes just read from the store that stay in memory. Larger: several peers of one torrent cost one read. Smaller:
    /// less memory.
    pub cache_bytes: usize,
    /// Whether others get anything at first; changed by [`Seeder::set_open`].
    pub serve: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            upload_slots: 8,
            cache_bytes: 4 << 20,
            serve: true,
        }
    }
}

/// Ports we tell peers.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub peers: u16,
    pub dht: Option<u16>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Seeder {
    inner: Arc<Inner>,
}

struct Inner {
    peer_id: PeerId,
    ports: Ports,
    limits: Limits,
    handover: Arc<dyn Handover>,
    extents: Extents,
    rooms: Rooms,
    slots: Slots,
    traffic: Traffic,
    next_peer: AtomicU64,
    peers: AtomicU32,
    /// Cancelled when upload is switched off; peers of the next time have another one. `None`: it is off.
    open: Mutex<Option<CancellationToken>>,
}

impl Seeder {
    pub fn new(
        config: Config,
        peer_id: PeerId,
        ports: Ports,
        db: Db,
        limits: Limits,
        handover: Arc<dyn Handover>,
        tasks: &Tasks,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                peer_id,
                ports,
                limits,
                handover,
                extents: Extents::new(db.clone(), config.cache_bytes),
                rooms: Rooms::new(db.clone()),
                slots: Slots::new(config.upload_slots),
                traffic: Traffic::new(db, tasks.clone()),
                next_peer: AtomicU64::new(0),
                peers: AtomicU32::new(0),
                open: Mutex::new(config.serve.then(CancellationToken::new)),
            }),
        }
    }

    /// Serves a peer that sent `handshake` for the site of `row`, until it leaves, misbehaves or loses its seat.
    pub async fn serve(
        &self,
        wire: Wire,
        handshake: Handshake,
        addr: SocketAddr,
        row: SiteRow,
        seat: Seat,
    ) -> io::Result<()> {
        let Some(open) = lock(&self.inner.open).clone() else {
            return Ok(());
        };
        let room = self.inner.rooms.enter(row).await.map_err(io::Error::other)?;
        let id = self.inner.next_peer.fetch_add(1, Ordering::Relaxed);
        let peer = peer::Peer::new(self.inner.clone(), id, room, handshake, addr, seat);
        tokio::select! {
            ended = peer.run(wire) => ended,
            () = open.cancelled() => Ok(()),
        }
    }

    /// Off: everyone who is served now is sent away, and nobody comes in.
    pub fn set_open(&self, on: bool) {
        let mut open = lock(&self.inner.open);
        match (on, open.take()) {
            (true, before) => *open = before.or_else(|| Some(CancellationToken::new())),
            (false, Some(before)) => before.cancel(),
            (false, None) => {}
        }
    }

    pub fn is_open(&self) -> bool {
        lock(&self.inner.open).is_some()
    }

    /// Torrents with at least one connected peer.
    #[cfg(test)]
    pub fn active_torrents(&self) -> usize {
        self.inner.rooms.count()
    }

    /// Peers that are connected to us, those being fetched from not counted.
    pub fn peers(&self) -> u32 {
        self.inner.peers.load(Ordering::Relaxed)
    }

    /// Payload bytes per second, over the last seconds.
    pub fn up_bps(&self) -> u64 {
        self.inner.traffic.bps()
    }

    /// Payload bytes sent since start.
    pub fn uploaded(&self) -> u64 {
        self.inner.traffic.total()
    }

    /// Writes what was uploaded since the last time to the store. Call it before the store closes.
    pub async fn flush(&self) {
        self.inner.traffic.flush().await;
    }
}

/// A panic elsewhere must not turn into one here: all states behind these locks are valid at every line.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
