//! Sites: "the current version of this address, and the bytes of that path". Knows no status codes and not who asks.
//!
//! Reading order: this file (opening, reading, keeping), `current` (from an address to a version), `looks` (one look at the
//! network however many ask), `v2` (torrents by their longer infohash), `versions` (what came before), `held` (what can be
//! read without the network).

mod current;
mod held;
mod looks;
#[cfg(test)]
mod tests;
mod v2;
mod versions;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
pub use current::{Current, Item, domain_id};
use proto::id::{InfoHash, Target};
use store::Pieces;
use tokio::time::{Instant, timeout_at};
pub use versions::{Held, Version};

use looks::Looks;
use v2::V2;

use crate::{
    clock::Clock,
    db::Db,
    links::Links,
    swarm::{self, Hints, Progress, Swarm, Torrent},
    tasks::Tasks,
};

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
    /// Nobody has a record of this key, or nobody answered: the publisher was never heard of here.
    #[error("no record of this publisher was found ({0})")]
    NoRecord(Target),
    /// The record was still being looked for at the deadline; the look goes on behind.
    #[error("the newest record of this publisher is still being looked for ({0})")]
    Looking(Target),
    /// A name nobody gave, a domain without a link, a v2 infohash that is not here.
    #[error("{0}")]
    Unknown(String),
    /// The resolver did not answer.
    #[error("{0}")]
    Unresolved(String),
    /// The household has blocked this address.
    #[error("this address is blocked here")]
    Blocked,
    /// The disk or the engine is in trouble.
    #[error("cannot read now: {0}")]
    Unavailable(String),
}

/// An opened version of a site.
#[derive(Clone)]
pub struct Site {
    pub torrent: Arc<Torrent>,
    pieces: Pieces,
    hints: Arc<Hints>,
    local_only: bool,
}

/// Torrents kept open. More: parsed metadata of more sites in memory. Fewer: busy households parse again.
const OPEN_MAX: usize = 128;
/// Metadata of all open torrents together, bytes: one with 100,000 files weighs as much as many small ones.
const OPEN_BYTES_MAX: usize = 32 << 20;
/// A site's last use is noted at most this often.
const TOUCH: Duration = Duration::from_secs(60);

/// Cheap to clone.
#[derive(Clone)]
pub struct Sites {
    swarm: Swarm,
    links: Links,
    db: Db,
    clock: Clock,
    open: Arc<Mutex<Open>>,
    records: Looks<()>,
    items: Looks<Bytes>,
    v2: V2,
}

#[derive(Default)]
struct Open {
    sites: HashMap<InfoHash, Entry>,
    bytes: usize,
    turn: u64,
}

struct Entry {
    torrent: Arc<Torrent>,
    pieces: Pieces,
    turn: u64,
    touched: Instant,
}

impl Sites {
    pub fn new(swarm: Swarm, links: Links, db: Db, clock: Clock, tasks: &Tasks) -> Self {
        Self {
            records: Looks::new(tasks.clone()),
            items: Looks::new(tasks.clone()),
            v2: V2::default(),
            swarm,
            links,
            db,
            clock,
            open: Arc::default(),
        }
    }

    /// Opens a torrent by infohash. `local_only`: never asks the network, neither now nor when it is read.
    pub async fn open(
        &self,
        ih: InfoHash,
        hints: &Hints,
        local_only: bool,
        deadline: Instant,
    ) -> Result<Site, Error> {
        if let Some(site) = self.opened(&ih, hints, local_only) {
            self.tell_peers(ih, hints, local_only);
            return Ok(site);
        }
        let torrent = if local_only {
            let read = self.db.run(move |store| swarm::torrent_from_store(store, &ih));
            match read.await.map_err(unavailable)? {
                Some(torrent) => Arc::new(torrent),
                None => return Err(Error::Silent(ih)),
            }
        } else {
            self.swarm.open(ih, hints, deadline).await.map_err(explain)?
        };
        let now = self.clock.now_secs();
        let pieces = self.db.run(move |store| {
            store.touch(&ih, now)?;
            store.pieces(&ih)
        });
        let pieces = pieces.await.map_err(unavailable)?;
        self.lock().insert(ih, torrent.clone(), pieces.clone());
        Ok(Site {
            torrent,
            pieces,
            hints: Arc::new(hints.clone()),
            local_only,
        })
    }

    /// Up to `len` verified bytes of file `file` at `offset`; stops at a piece border, never empty before the end. What is
    /// held is answered without waiting and without a blocking thread; what is not is fetched first in line.
    pub async fn read(
        &self,
        site: &Site,
        file: usize,
        offset: u64,
        len: usize,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        let info = &site.torrent.info;
        let end = offset.saturating_add(len as u64);
        let Some(span) = info.span(file, offset..end).next() else {
            return Ok(Bytes::new());
        };
        self.swarm.touch(&info.infohash);
        // A piece may vanish between "readable" and the read (rot, eviction): then it is fetched once more.
        for _ in 0..3 {
            if site.pieces.readable(span.piece) {
                let read = site.pieces.read(span.piece, span.offset, span.len);
                match read.map_err(unavailable)? {
                    Some(bytes) if !bytes.is_empty() => return Ok(bytes),
                    _ => {}
                }
            }
            if site.local_only {
                return Err(Error::Incomplete(info.infohash));
            }
            let at = (file, span.piece);
            let wait = self.swarm.piece_of_file(&site.torrent, &site.hints, at, deadline);
            match timeout_at(deadline + Duration::from_millis(100), wait).await {
                Ok(waited) => waited.map_err(explain)?,
                Err(_) => return Err(Error::Incomplete(info.infohash)),
            }
        }
        Err(Error::Unavailable(format!(
            "piece {} does not stay readable",
            span.piece
        )))
    }

    /// Bytes of the file that can be read now without the network.
    pub fn held_bytes(&self, site: &Site, file: usize) -> u64 {
        held::file(&site.torrent.info, file, |piece| site.pieces.readable(piece))
    }

    /// `None` when nothing of it is being fetched.
    pub fn progress(&self, ih: InfoHash) -> Option<Progress> {
        self.swarm.progress(ih)
    }

    /// Removes a site and the bytes no other site shares.
    pub async fn evict(&self, ih: InfoHash) -> Result<(), Error> {
        self.close(&ih);
        self.swarm.forget(ih).await.map_err(explain)
    }

    /// Forgets what is in memory of a site: its row has changed or gone.
    pub fn close(&self, ih: &InfoHash) {
        self.lock().remove(ih);
    }

    fn opened(&self, ih: &InfoHash, hints: &Hints, local_only: bool) -> Option<Site> {
        let now = Instant::now();
        let (site, stale) = {
            let mut open = self.lock();
            open.turn += 1;
            let turn = open.turn;
            let entry = open.sites.get_mut(ih)?;
            entry.turn = turn;
            let stale = now.duration_since(entry.touched) > TOUCH;
            if stale {
                entry.touched = now;
            }
            let site = Site {
                torrent: entry.torrent.clone(),
                pieces: entry.pieces.clone(),
                hints: Arc::new(hints.clone()),
                local_only,
            };
            (site, stale)
        };
        // The row tells whether the site is still there: evicted ones must not be served from memory.
        if stale && self.db.store().touch(ih, self.clock.now_secs()).is_err() {
            self.close(ih);
            return None;
        }
        Some(site)
    }

    fn tell_peers(&self, ih: InfoHash, hints: &Hints, local_only: bool) {
        if !local_only && !hints.peers.is_empty() {
            let peers: Vec<SocketAddr> = hints.peers.clone();
            self.swarm.add_peers(ih, &peers);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn insert(&mut self, ih: InfoHash, torrent: Arc<Torrent>, pieces: Pieces) {
        self.remove(&ih);
        self.turn += 1;
        self.bytes += weight(&torrent);
        let entry = Entry {
            torrent,
            pieces,
            turn: self.turn,
            touched: Instant::now(),
        };
        self.sites.insert(ih, entry);
        while self.sites.len() > 1 && (self.sites.len() > OPEN_MAX || self.bytes > OPEN_BYTES_MAX) {
            let oldest = self
                .sites
                .iter()
                .min_by_key(|(_, entry)| entry.turn)
                .map(|(ih, _)| *ih);
            match oldest {
                Some(oldest) => self.remove(&oldest),
                None => return,
            }
        }
    }

    fn remove(&mut self, ih: &InfoHash) {
        if let Some(entry) = self.sites.remove(ih) {
            self.bytes = self.bytes.saturating_sub(weight(&entry.torrent));
        }
    }
}

/// About what a parsed torrent occupies: its metadata twice, and a path per file.
fn weight(torrent: &Torrent) -> usize {
    torrent.raw_info.len() * 2 + torrent.info.files.len() * 128
}

fn unavailable(err: store::Error) -> Error {
    Error::Unavailable(err.to_string())
}

fn explain(err: swarm::Error) -> Error {
    match err {
        swarm::Error::NoPeers(ih) => Error::Silent(ih),
        swarm::Error::MissingPieces(ih) => Error::Incomplete(ih),
        swarm::Error::Refused { reason, .. } => Error::NotASite(reason),
        err => Error::Unavailable(err.to_string()),
    }
}
