//! The swarm: finding peers, fetching, seeding, bandwidth. Knows infohashes and pieces; must not know URLs, HTTP or pages.
//!
//! Reading order: `start` (who gets which handle), `fetch` (downloading), `listen` and `seed` (uploading), `find` and `dht`
//! (peers), `records` (mutable addresses), `metadata` (what an unknown infohash is), `reuse` (a new version out of older
//! ones), `limits`, `flow` (who is told of them). The states of a torrent stand in `STATE.md`.

pub mod dht;
mod fetch;
pub mod find;
mod flow;
pub mod limits;
pub mod listen;
pub mod metadata;
mod opening;
pub mod records;
mod reuse;
pub mod seed;
mod start;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use proto::{
    id::InfoHash,
    metainfo::{Info, parse_info},
};
use store::Keep;
use tokio::time::Instant;

use crate::{clock::Clock, db::Db, tasks::Tasks};
use fetch::Search as _;
pub use reuse::Reused;
use start::Parts;
pub use start::{Status, SwarmConfig};

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
    /// A port is taken or not ours: choose another one.
    #[error("listen on {addr}: {reason}")]
    Listen {
        addr: SocketAddr,
        reason: std::io::Error,
    },
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
    pub raw_info: Bytes,
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
pub struct Swarm {
    parts: Arc<Parts>,
}

impl Swarm {
    /// Starts everything: sockets first, so that a port in use is found before anything runs. Ends with `tasks`.
    pub async fn start(config: SwarmConfig, db: Db, clock: Clock, tasks: &Tasks) -> Result<Swarm, Error> {
        let parts = Arc::new(start::start(config, db, clock, tasks).await?);
        let swarm = Swarm { parts };
        swarm.resume().await?;
        Ok(swarm)
    }

    /// Metadata from the store, else from peers (BEP 9), validated by `proto::metainfo`; then a row in the store exists.
    /// The search goes on for a while after `deadline`: whoever asks again finds it further.
    pub async fn open(&self, ih: InfoHash, hints: &Hints, deadline: Instant) -> Result<Arc<Torrent>, Error> {
        if let Some(torrent) = self.known(ih).await? {
            self.parts.fetch.add_peers(&ih, &hints.peers);
            return Ok(Arc::new(torrent));
        }
        self.parts.opening.open(&self.parts, ih, hints, deadline).await?;
        match self.known(ih).await? {
            Some(torrent) => Ok(Arc::new(torrent)),
            None => Err(Error::NoPeers(ih)),
        }
    }

    /// A torrent whose metadata came another way (a file): a row exists afterwards.
    #[cfg(test)]
    pub async fn adopt(
        &self,
        raw_info: Bytes,
        trackers: Vec<String>,
        keep: Keep,
    ) -> Result<Arc<Torrent>, Error> {
        let torrent = parse(raw_info)?;
        add_row(&self.parts, &torrent, trackers, keep).await?;
        if keep == Keep::Kept {
            self.keep(torrent.info.infohash).await?;
        }
        Ok(Arc::new(torrent))
    }

    /// Waits until piece `index` is verified and readable; asks for it first in line, with a bounded look-ahead behind it in
    /// this file.
    pub async fn piece_of_file(
        &self,
        torrent: &Arc<Torrent>,
        hints: &Hints,
        (file, index): (usize, u32),
        deadline: Instant,
    ) -> Result<(), Error> {
        let ih = torrent.info.infohash;
        let pieces = self.parts.db.store().pieces(&ih)?;
        let at = (file, index);
        self.parts
            .fetch
            .piece(torrent, hints, &pieces, at, deadline)
            .await
    }

    /// Someone reads pieces that are here: what is fetched of this torrent goes on.
    pub fn touch(&self, ih: &InfoHash) {
        self.parts.fetch.touch(ih);
    }

    /// Fetches everything in the background and keeps it. What others of its name hold is used first, when nothing was
    /// fetched of it yet.
    pub async fn keep(&self, ih: InfoHash) -> Result<(), Error> {
        let row = self.parts.db.run(move |store| {
            store.set_keep(&ih, Keep::Kept)?;
            store.site(&ih)
        });
        let row = row.await?.ok_or(store::Error::Unknown(ih))?;
        self.begin(&row).await
    }

    /// What is missing of a kept torrent is taken from others of its name, then fetched.
    async fn begin(&self, row: &store::SiteRow) -> Result<(), Error> {
        let ih = row.infohash;
        if row.complete() {
            self.parts.found.announce(ih);
        } else if row.downloaded == 0 && reuse::is_worth_it(&self.parts, ih).await? {
            let swarm = self.clone();
            self.parts.tasks.spawn("swarm.reuse", async move {
                if let Err(err) = swarm.reuse(ih, &[]).await {
                    tracing::debug!(%err, "all of a torrent is fetched");
                }
                swarm.go_on(ih).await;
            });
        } else {
            self.parts.fetch.keep(ih, &hints_of(row));
        }
        Ok(())
    }

    /// Fetches what is missing of a torrent that is still kept.
    async fn go_on(&self, ih: InfoHash) {
        match self.parts.db.run(move |store| store.site(&ih)).await {
            Ok(Some(row)) if row.keep == Keep::Kept && row.complete() => self.parts.found.announce(ih),
            Ok(Some(row)) if row.keep == Keep::Kept => self.parts.fetch.keep(ih, &hints_of(&row)),
            // Removed or given up meanwhile; or the store's trouble, after which kept torrents go on by themselves.
            _ => {}
        }
    }

    /// Puts together what it can of a torrent whose metadata is known from torrents that are here: `old` (likeliest first,
    /// at most eight count) and others of the same name. To be called before [`Swarm::keep`]: what an engine began to
    /// fetch, it fetches. May take as long as reading both; dropping the future ends it soon.
    pub async fn reuse(&self, new: InfoHash, old: &[InfoHash]) -> Result<Reused, Error> {
        reuse::run(&self.parts, new, old.to_vec()).await
    }

    /// No longer kept: fetching ends, and what is here gives way when space runs low.
    pub async fn release(&self, ih: InfoHash) -> Result<(), Error> {
        self.parts.fetch.drop_job(&ih);
        let released = self.parts.db.run(move |store| match store.site(&ih)? {
            Some(_) => store.set_keep(&ih, Keep::Visited),
            None => Ok(()),
        });
        Ok(released.await?)
    }

    /// How many addresses are named as peers until the deadline, at most 200. Nothing is fetched from them.
    pub async fn count_peers(&self, ih: InfoHash, trackers: &[String], deadline: Instant) -> u32 {
        let mut found = self.parts.found.find(ih, false, trackers.to_vec());
        let mut known = std::collections::BTreeSet::new();
        while let Ok(Some(batch)) = tokio::time::timeout_at(deadline, found.recv()).await {
            known.extend(batch);
            if known.len() >= PEERS_COUNTED_MAX {
                return PEERS_COUNTED_MAX as u32;
            }
        }
        known.len() as u32
    }

    /// Stops fetching and seeding, and removes the row and the bytes that no other site shares.
    pub async fn forget(&self, ih: InfoHash) -> Result<(), Error> {
        self.parts.fetch.drop_job(&ih);
        self.parts.db.run(move |store| store.remove_site(&ih)).await?;
        self.parts.found.stopped(ih);
        Ok(())
    }

    pub fn add_peers(&self, ih: InfoHash, peers: &[SocketAddr]) {
        self.parts.fetch.add_peers(&ih, peers);
    }

    /// `None` when nothing of it is being fetched.
    pub fn progress(&self, ih: InfoHash) -> Option<Progress> {
        self.parts.fetch.progress(&ih)
    }

    /// Pieces turned out to be rotten: they are fetched again when the torrent is kept, else when someone reads them.
    pub async fn rotten(&self, rows: &[(InfoHash, u32)]) {
        let torrents: std::collections::BTreeSet<InfoHash> = rows.iter().map(|(ih, _)| *ih).collect();
        for ih in torrents {
            let row = self.parts.db.run(move |store| store.site(&ih)).await;
            if let Ok(Some(row)) = row
                && row.keep == Keep::Kept
            {
                self.parts.fetch.keep(ih, &hints_of(&row));
            }
        }
    }

    /// Mutable addresses.
    pub fn records(&self) -> &records::Records {
        &self.parts.records
    }

    /// Bytes per second for all torrents together; 0: unlimited.
    pub fn limits(&self) -> &limits::Limits {
        &self.parts.limits
    }

    /// Whether others get anything from us, from now on. Off: no seeding, no announces, nothing put, and the DHT node only
    /// asks (BEP 43). What we fetch goes on.
    pub fn set_upload(&self, on: bool) {
        self.parts.set_upload(on);
    }

    /// Payload bytes given since the start, to the last block.
    pub fn uploaded(&self) -> u64 {
        self.parts.fetch.totals().up() + self.parts.listener.seeder().uploaded()
    }

    pub fn status(&self) -> Status {
        self.parts.status()
    }

    async fn known(&self, ih: InfoHash) -> Result<Option<Torrent>, Error> {
        Ok(self
            .parts
            .db
            .run(move |store| torrent_from_store(store, &ih))
            .await?)
    }

    /// Kept torrents that are not whole go on where they were.
    async fn resume(&self) -> Result<(), Error> {
        let (mut after, mut begun) = (None, 0);
        loop {
            let rows = self
                .parts
                .db
                .run(move |store| store.sites(after, ROWS_AT_ONCE))
                .await?;
            for row in rows
                .iter()
                .filter(|row| row.keep == Keep::Kept && !row.complete())
            {
                // Looking for others of its name reads all rows: not for thousands.
                if row.downloaded == 0 && begun < BEGUN_MAX {
                    begun += 1;
                    self.begin(row).await?;
                } else {
                    self.parts.fetch.keep(row.infohash, &hints_of(row));
                }
            }
            match rows.last() {
                Some(last) if rows.len() == ROWS_AT_ONCE => after = Some(last.infohash),
                _ => return Ok(()),
            }
        }
    }
}

/// More are as good as these for who wants to know whether anybody is there.
const PEERS_COUNTED_MAX: usize = 200;
/// Torrents that never began, for which older versions are looked at when the house starts.
const BEGUN_MAX: u32 = 32;

/// Rows read in one go at start.
const ROWS_AT_ONCE: usize = 500;

fn hints_of(row: &store::SiteRow) -> Hints {
    Hints {
        peers: Vec::new(),
        trackers: row.trackers.clone(),
    }
}

/// The metadata in the store, checked again: a damaged row is not a torrent.
pub(crate) fn torrent_from_store(
    store: &store::Store,
    ih: &InfoHash,
) -> Result<Option<Torrent>, store::Error> {
    let Some(raw_info) = store.raw_info(ih)? else {
        return Ok(None);
    };
    let damaged = |reason: String| store::Error::Damaged(format!("metadata of {}: {reason}", ih.short()));
    let info = parse_info(&raw_info).map_err(|err| damaged(err.to_string()))?;
    if info.infohash != *ih {
        return Err(damaged("another torrent's".into()));
    }
    Ok(Some(Torrent { info, raw_info }))
}

fn parse(raw_info: Bytes) -> Result<Torrent, Error> {
    let info = parse_info(&raw_info).map_err(|err| Error::Refused {
        infohash: InfoHash([0; 20]),
        reason: err.to_string(),
    })?;
    match fetch::refusal(&raw_info) {
        None => Ok(Torrent { info, raw_info }),
        Some(reason) => Err(Error::Refused {
            infohash: info.infohash,
            reason,
        }),
    }
}

async fn add_row(parts: &Parts, torrent: &Torrent, trackers: Vec<String>, keep: Keep) -> Result<(), Error> {
    let now = parts.clock.now_secs();
    let (info, raw) = (torrent.info.clone(), torrent.raw_info.clone());
    let added = parts
        .db
        .run(move |store| store.add_site(&info, &raw, &trackers, keep, now));
    added.await?;
    Ok(())
}
