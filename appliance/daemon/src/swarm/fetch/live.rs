//! A torrent while it is in the engine: its readers' cursors, its peers, what it has received.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use librqbit::{ManagedTorrent, ManagedTorrentState};
use proto::metainfo::Info;
use store::Pieces;
use tokio::{io::AsyncSeek, time::Instant};

use super::{
    engine::{Cursor, Engine},
    plan::Reader,
    storage::Shelf,
    strikes::{Count, Strikes},
};
use crate::{
    swarm::{Error, Progress, Torrent},
    tasks::Tasks,
};

/// Owned by the supervisor alone.
pub struct Live {
    pub torrent: Arc<Torrent>,
    pub pieces: Pieces,
    pub shelf: Arc<Shelf>,
    pub handle: Arc<ManagedTorrent>,
    /// The search for peers; cancelled when the torrent leaves the engine.
    pub search: Tasks,
    pub strikes: Strikes,
    /// Neighbours we have joined to it.
    pub neighbours: HashSet<SocketAddr>,
    /// Files librqbit was told to fetch; `None`: all.
    pub files: Option<BTreeSet<usize>>,
    cursors: HashMap<(usize, u32), Cursor>,
    moved: (u64, Instant),
    /// Bytes up and down that were counted in the house's totals.
    told: (u64, u64),
    rate: Rate,
}

/// How the engine sees the torrent.
#[derive(Debug, PartialEq, Eq)]
pub enum Phase {
    Checking,
    Fetching,
    /// All selected files are there.
    Sated,
    Broken(String),
}

#[derive(Default)]
struct Rate {
    down: u64,
    up: u64,
    last: Option<(Instant, u64, u64)>,
}

impl Live {
    pub fn new(
        torrent: Arc<Torrent>,
        pieces: Pieces,
        shelf: Arc<Shelf>,
        handle: Arc<ManagedTorrent>,
        search: Tasks,
        files: Option<BTreeSet<usize>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            torrent,
            pieces,
            shelf,
            handle,
            search,
            strikes: Strikes::default(),
            neighbours: HashSet::new(),
            files,
            cursors: HashMap::new(),
            moved: (0, now),
            told: (0, 0),
            rate: Rate::default(),
        }
    }

    pub fn phase(&self) -> Phase {
        self.handle.with_state(|state| match state {
            ManagedTorrentState::Initializing(_) => Phase::Checking,
            ManagedTorrentState::Live(live) => match live.get_hns() {
                Some(hns) if hns.finished() => Phase::Sated,
                _ => Phase::Fetching,
            },
            ManagedTorrentState::Error(err) => Phase::Broken(format!("{err:#}")),
            ManagedTorrentState::Paused(_) | ManagedTorrentState::None => {
                Phase::Broken("the engine paused it".into())
            }
        })
    }

    /// Whether nothing came in for `patience` while it should have.
    pub fn stalled(&mut self, patience: Duration) -> bool {
        let received = self.shelf.received();
        if received != self.moved.0 {
            self.moved = (received, Instant::now());
        }
        self.moved.1.elapsed() > patience
    }

    /// Puts one cursor at each reader's first missing piece; takes away those of readers that are gone.
    pub async fn steer(&mut self, engine: &Engine, readers: &[Reader]) -> Result<(), Error> {
        let info = &self.torrent.info;
        let wanted: Vec<(usize, u32)> = readers
            .iter()
            .filter_map(|reader| {
                let pieces = info.pieces_of(reader.file);
                (reader.piece.max(pieces.start)..pieces.end)
                    .find(|piece| !self.pieces.readable(*piece))
                    .map(|piece| (reader.file, piece))
            })
            .collect();
        // A cursor of a reader that moved on within its file is moved instead of opened anew.
        let mut spare: Vec<((usize, u32), Cursor)> = Vec::new();
        let gone: Vec<_> = self
            .cursors
            .keys()
            .filter(|at| !wanted.contains(at))
            .copied()
            .collect();
        for at in gone {
            spare.extend(self.cursors.remove(&at).map(|cursor| (at, cursor)));
        }
        for at in wanted {
            if self.cursors.contains_key(&at) {
                continue;
            }
            let used = spare.iter().position(|((file, _), _)| *file == at.0);
            let mut cursor = match used {
                Some(used) => spare.swap_remove(used).1,
                None => engine.cursor(&self.handle, at.0).await?,
            };
            let position = offset_in_file(info, at.0, at.1);
            AsyncSeek::start_seek(cursor.as_mut(), std::io::SeekFrom::Start(position))
                .map_err(|err| Error::Engine(format!("move a reader: {err}")))?;
            self.cursors.insert(at, cursor);
        }
        Ok(())
    }

    /// Counts of all peers the engine knows of this torrent.
    pub fn counts(&self) -> Vec<Count> {
        let Some(live) = self.handle.live() else {
            return Vec::new();
        };
        // The filter's type has no public name; its text has.
        let Ok(all) = serde_json::from_str(r#"{"state":"all"}"#) else {
            return Vec::new();
        };
        let snapshot = live.per_peer_stats_snapshot(all);
        let counts = snapshot.peers.iter().filter_map(|(addr, stats)| {
            Some(Count {
                addr: addr.parse().ok()?,
                errors: stats.counters.errors,
                fetched: stats.counters.fetched_bytes,
            })
        });
        counts.collect()
    }

    /// Addresses that are connected now.
    pub fn connected(&self) -> Vec<SocketAddr> {
        let live = self.handle.live();
        let Some(live) = live else { return Vec::new() };
        let snapshot = live.per_peer_stats_snapshot(Default::default());
        snapshot
            .peers
            .keys()
            .filter_map(|addr| addr.parse().ok())
            .collect()
    }

    /// Payload bytes sent to peers by the engine.
    pub fn uploaded(&self) -> u64 {
        self.handle.live().map_or(0, |live| live.get_uploaded_bytes())
    }

    /// Payload bytes up and down since the last call.
    pub fn news(&mut self) -> (u64, u64) {
        let now = (self.uploaded().max(self.told.0), self.shelf.received());
        let before = std::mem::replace(&mut self.told, now);
        (now.0 - before.0, now.1.saturating_sub(before.1))
    }

    pub fn progress(&mut self, held: u32) -> Progress {
        let received = self.shelf.received();
        let (mut peers, mut sent) = (0, 0);
        if let Some(live) = self.handle.live() {
            let snapshot = live.stats_snapshot();
            peers = snapshot.peer_stats.live;
            sent = snapshot.uploaded_bytes;
        }
        self.rate.look(Instant::now(), received, sent);
        Progress {
            pieces: self.torrent.info.piece_count(),
            held,
            peers,
            down_bps: self.rate.down,
            up_bps: self.rate.up,
            downloaded: received,
        }
    }
}

impl Rate {
    fn look(&mut self, now: Instant, received: u64, sent: u64) {
        let Some((then, received_then, sent_then)) = self.last else {
            self.last = Some((now, received, sent));
            return;
        };
        let millis = now.duration_since(then).as_millis() as u64;
        // Shorter spans would show the burst of one chunk as a rate.
        if millis >= 1000 {
            self.down = received.saturating_sub(received_then) * 1000 / millis;
            self.up = sent.saturating_sub(sent_then) * 1000 / millis;
            self.last = Some((now, received, sent));
        }
    }
}

/// Where `piece` begins within `file`; 0 when it begins before it.
fn offset_in_file(info: &Info, file: usize, piece: u32) -> u64 {
    let start = u64::from(piece) * u64::from(info.piece_length);
    info.files.get(file).map_or(0, |f| start.saturating_sub(f.offset))
}
