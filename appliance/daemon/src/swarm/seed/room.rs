//! A torrent while peers are connected to it: what to serve and who is here. Made for the first peer, gone with the last.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, Weak},
};

use bytes::Bytes;
use proto::{
    id::InfoHash,
    peer::{
        message::Block,
        pex::{FLAG_SEED, PEERS_MAX, Pex},
    },
};
use store::{Have, Pieces, SiteRow};

use super::{extents::EXTENT, lock};
use crate::db::Db;

pub struct Room {
    pub row: SiteRow,
    pub raw_info: Bytes,
    pub have: Have,
    pub pieces: Pieces,
    members: Mutex<HashMap<u64, Member>>,
}

/// A connected peer that told us where it listens.
#[derive(Clone, Copy)]
struct Member {
    addr: SocketAddr,
    flags: u8,
}

impl Room {
    async fn read(db: &Db, row: SiteRow) -> Result<Self, store::Error> {
        let infohash = row.infohash;
        let (raw_info, have, pieces) = db
            .run(move |store| {
                let raw_info = store.raw_info(&infohash)?.unwrap_or_default();
                Ok((raw_info, store.have(&infohash)?, store.pieces(&infohash)?))
            })
            .await?;
        Ok(Self {
            row,
            raw_info,
            have,
            pieces,
            members: Mutex::default(),
        })
    }

    /// Whether every piece was held when the room was made.
    pub fn whole(&self) -> bool {
        self.have.count == self.row.pieces
    }

    /// Bytes of piece `index`; `None` past the end.
    pub fn piece_len(&self, index: u32) -> Option<u32> {
        let start = u64::from(index) * u64::from(self.row.piece_length);
        (start < self.row.total)
            .then(|| (self.row.total - start).min(u64::from(self.row.piece_length)) as u32)
    }

    /// Bytes of extent `index` of `piece`.
    pub fn extent_len(&self, piece: u32, index: u32) -> u32 {
        let rest = self
            .piece_len(piece)
            .unwrap_or(0)
            .saturating_sub(index.saturating_mul(EXTENT));
        rest.min(EXTENT)
    }

    /// Whether a request lies inside a piece.
    pub fn contains(&self, block: &Block) -> bool {
        block.length > 0
            && self.piece_len(block.piece).is_some_and(|length| {
                block
                    .begin
                    .checked_add(block.length)
                    .is_some_and(|end| end <= length)
            })
    }

    pub fn enter(&self, id: u64, addr: SocketAddr, seed: bool) {
        let flags = if seed { FLAG_SEED } else { 0 };
        lock(&self.members).insert(id, Member { addr, flags });
    }

    pub fn leave(&self, id: u64) {
        lock(&self.members).remove(&id);
    }

    /// What peer `id` has not heard yet; `told` is brought up to date. Never more than 50 of each (BEP 11).
    pub fn news(&self, id: u64, told: &mut Vec<SocketAddr>) -> Pex {
        let members = lock(&self.members);
        let here = |addr: &SocketAddr| members.iter().any(|(m, row)| *m != id && row.addr == *addr);
        let dropped: Vec<SocketAddr> = told
            .iter()
            .filter(|addr| !here(addr))
            .take(PEERS_MAX)
            .copied()
            .collect();
        told.retain(|addr| !dropped.contains(addr));
        let added: Vec<(SocketAddr, u8)> = members
            .iter()
            .filter(|(member, row)| **member != id && !told.contains(&row.addr))
            .take(PEERS_MAX)
            .map(|(_, row)| (row.addr, row.flags))
            .collect();
        told.extend(added.iter().map(|(addr, _)| *addr));
        Pex { added, dropped }
    }
}

/// The rooms that have a peer in them.
#[derive(Clone)]
pub struct Rooms {
    db: Db,
    open: Arc<Mutex<HashMap<InfoHash, Weak<Room>>>>,
}

impl Rooms {
    pub fn new(db: Db) -> Self {
        Self {
            db,
            open: Arc::default(),
        }
    }

    /// The torrent's room; two peers that come at once may read the rows twice, and one result is kept.
    pub async fn enter(&self, row: SiteRow) -> Result<Arc<Room>, store::Error> {
        let infohash = row.infohash;
        let held = row.held;
        let known = lock(&self.open).get(&infohash).and_then(Weak::upgrade);
        // A room made while pieces were missing is not used once there are more.
        if let Some(room) = known.filter(|room| room.have.count >= held) {
            return Ok(room);
        }
        let room = Arc::new(Room::read(&self.db, row).await?);
        let mut open = lock(&self.open);
        open.retain(|_, room| room.strong_count() > 0);
        open.insert(infohash, Arc::downgrade(&room));
        Ok(room)
    }

    /// Rooms with a peer in them.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        lock(&self.open)
            .values()
            .filter(|room| room.strong_count() > 0)
            .count()
    }
}
