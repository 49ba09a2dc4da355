//! The one task that talks to the engine: gives it torrents, watches them, takes them away.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use proto::id::InfoHash;
use store::Have;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{
    Search, Setup,
    engine::{Engine, Order},
    guarded, is_neighbour,
    jobs::{Jobs, WHOLE_MAX},
    live::{Live, Phase},
    plan::{self, READER_IDLE},
    relay,
    storage::{Shelf, pad_pieces},
    tracker::Tracker,
};
use crate::{
    swarm::{Error, Torrent, torrent_from_store},
    tasks::Tasks,
};

/// How often the engine is looked at when nothing happens.
const ROUND: Duration = Duration::from_millis(500);
/// How often while a torrent is being opened: readers wait for it.
const ROUND_OPENING: Duration = Duration::from_millis(20);
/// Nothing came in for this long: the torrent is given to the engine anew, which forgets its grudges against peers.
const STALLED: Duration = Duration::from_secs(180);
/// After the engine could not be opened anew.
const REOPEN_PAUSE: Duration = Duration::from_secs(10);
/// How often peers' error counts are noted.
const COUNTS: Duration = Duration::from_secs(5);

pub struct Supervisor {
    pub engine: Arc<Engine>,
    pub tracker: Tracker,
    pub jobs: Arc<Jobs>,
    pub tasks: Tasks,
    pub search: Arc<dyn Search>,
    pub setup: Setup,
    pub live: HashMap<InfoHash, Live>,
    pub counted: Instant,
}

/// Why a torrent leaves the engine.
enum Leave {
    Idle,
    Whole,
    Trouble(String),
}

impl Supervisor {
    pub async fn run(mut self) {
        let token = self.tasks.token();
        while !token.is_cancelled() {
            if self.follow_upload().await {
                self.round().await;
            }
            let opening = self.live.values().any(|live| live.phase() == Phase::Checking);
            let pause = if opening { ROUND_OPENING } else { ROUND };
            tokio::select! {
                () = token.cancelled() => {}
                () = self.jobs.nudge.notified() => {}
                Ok(()) = self.setup.upload.changed() => self.setup.upload.mark_changed(),
                () = tokio::time::sleep(pause) => {}
            }
        }
        let all: Vec<InfoHash> = self.live.keys().copied().collect();
        for ih in all {
            if let Some(live) = self.live.remove(&ih) {
                live.search.cancel();
                self.note_traffic(ih, &live).await;
            }
        }
        self.engine.stop().await;
    }

    /// Upload was switched off or on: all torrents leave the engine, and come back to one that behaves so. False: there is
    /// none yet, and nothing is fetched until there is.
    async fn follow_upload(&mut self) -> bool {
        if !self.setup.upload.has_changed().unwrap_or(false) {
            return true;
        }
        let all: Vec<InfoHash> = self.live.keys().copied().collect();
        for ih in all {
            self.take_out(ih, Leave::Idle).await;
        }
        let upload = *self.setup.upload.borrow_and_update();
        match self.engine.reopen(upload).await {
            Ok(()) => true,
            Err(err) => {
                warn!(%err, "fetching waits: the engine does not start anew");
                self.setup.upload.mark_changed();
                let token = self.tasks.token();
                tokio::select! {
                    () = token.cancelled() => {}
                    () = tokio::time::sleep(REOPEN_PAUSE) => {}
                }
                false
            }
        }
    }

    async fn round(&mut self) {
        let count = self.counted.elapsed() >= COUNTS;
        if count {
            self.counted = Instant::now();
        }
        let all: Vec<InfoHash> = self.live.keys().copied().collect();
        for ih in all {
            self.account(ih);
            if let Some(leave) = self.look(ih, count).await {
                self.take_out(ih, leave).await;
            }
        }
        let plan = plan::plan(Instant::now(), &self.jobs.candidates(), self.setup.places);
        for ih in plan.stop {
            self.take_out(ih, Leave::Idle).await;
        }
        for ih in plan.forget {
            self.jobs.remove(&ih);
        }
        for ih in plan.start {
            if let Err(err) = self.put_in(ih).await {
                self.put_off(ih, &err.to_string());
            }
        }
    }

    /// What the engine gave is missing from what the seeder may give.
    fn account(&mut self, ih: InfoHash) {
        let Some(live) = self.live.get_mut(&ih) else {
            return;
        };
        let (up, down) = live.news();
        self.setup.limits.owe(up);
        self.jobs.totals.add(up, down);
    }

    /// One look at a torrent in the engine: does it have to leave?
    async fn look(&mut self, ih: InfoHash, count: bool) -> Option<Leave> {
        let live = self.live.get_mut(&ih)?;
        let now = Instant::now();
        let state = self.jobs.with(&ih, |job| {
            let idle = |at: Instant| now.duration_since(at) < READER_IDLE;
            let waited: Vec<bool> = job.readers.iter().map(|r| job.waited_for(r.piece)).collect();
            let mut waited = waited.into_iter();
            job.readers
                .retain(|r| waited.next() == Some(true) || idle(r.seen));
            let spoiled = std::mem::take(&mut job.spoiled);
            (
                job.trouble.take(),
                job.readers.clone(),
                job.kept,
                job.files.clone(),
                spoiled,
            )
        });
        let Some((trouble, readers, kept, files, spoiled)) = state else {
            return Some(Leave::Idle);
        };
        if let Some(trouble) = trouble {
            return Some(Leave::Trouble(trouble));
        }
        match live.phase() {
            Phase::Broken(reason) => return Some(Leave::Trouble(reason)),
            Phase::Checking => return None,
            Phase::Sated if live.files.is_none() => return self.whole(ih).await,
            Phase::Sated | Phase::Fetching => {}
        }
        if let Err(err) = self.follow_readers(ih, kept, files, &readers).await {
            return Some(Leave::Trouble(err.to_string()));
        }
        self.watch(ih, count, spoiled).await
    }

    /// Peers, rates, stalls.
    async fn watch(&mut self, ih: InfoHash, count: bool, spoiled: u32) -> Option<Leave> {
        self.join_neighbours(ih);
        let live = self.live.get_mut(&ih)?;
        if count || spoiled > 0 {
            let counts = live.counts();
            let banned = live.strikes.look(&counts, spoiled > 0);
            if !banned.is_empty() {
                return self.ban(ih, &banned).await;
            }
        }
        if live.stalled(STALLED) && live.phase() == Phase::Fetching && self.tracker.known(&ih) > 0 {
            return Some(Leave::Trouble("nothing came in for minutes".into()));
        }
        let have = self.setup.db.store().have(&ih).map_or(0, |have| have.count);
        let progress = live.progress(have);
        if progress.downloaded > 0 {
            self.jobs.with(&ih, |job| job.tries = 0);
        }
        self.jobs.with(&ih, |job| job.progress = progress);
        None
    }

    async fn follow_readers(
        &mut self,
        ih: InfoHash,
        kept: bool,
        files: BTreeSet<usize>,
        readers: &[plan::Reader],
    ) -> Result<(), Error> {
        let Some(live) = self.live.get_mut(&ih) else {
            return Ok(());
        };
        let selected = selection(&live.torrent, kept, files);
        if selected != live.files {
            let all = 0..live.torrent.info.files.len();
            let list: Vec<usize> = selected
                .as_ref()
                .map_or_else(|| all.collect(), |s| s.iter().copied().collect());
            self.engine.select(&live.handle, list).await?;
            live.files = selected;
        }
        live.steer(&self.engine, readers).await
    }

    /// The engine says that all is there: true once the store holds it durably.
    async fn whole(&mut self, ih: InfoHash) -> Option<Leave> {
        let live = self.live.get(&ih)?;
        let flushed = self.setup.db.run(move |store| {
            store.flush()?;
            store.have(&ih)
        });
        match flushed.await {
            Ok(have) if have.count == live.torrent.info.piece_count() => Some(Leave::Whole),
            // The engine believes in a piece that the store does not hold: it is told the truth by being given the torrent anew.
            Ok(_) => Some(Leave::Trouble(
                "pieces were lost between the engine and the store".into(),
            )),
            Err(err) => Some(Leave::Trouble(err.to_string())),
        }
    }

    async fn ban(&mut self, ih: InfoHash, banned: &[SocketAddr]) -> Option<Leave> {
        for peer in banned {
            warn!(site = %ih.short(), %peer, "a peer sent wrong data three times; it is not asked again");
            self.tracker.ban(&ih, *peer);
            self.jobs
                .with(&ih, |job| job.hints.peers.retain(|hint| hint != peer));
        }
        // librqbit knows no way to forget a peer but to forget the torrent; what was fetched stays in the store.
        let live = self.live.remove(&ih)?;
        let strikes = live.strikes;
        if let Err(err) = self.engine.remove(&ih).await {
            return Some(Leave::Trouble(err.to_string()));
        }
        live.search.cancel();
        if let Err(err) = self.put_in(ih).await {
            return Some(Leave::Trouble(err.to_string()));
        }
        if let Some(live) = self.live.get_mut(&ih) {
            live.strikes = strikes;
        }
        None
    }

    async fn put_in(&mut self, ih: InfoHash) -> Result<(), Error> {
        let (torrent, pieces, have) = self
            .setup
            .db
            .run(move |store| {
                let torrent = torrent_from_store(store, &ih)?;
                let pieces = store.pieces(&ih)?;
                if let Some(torrent) = &torrent {
                    put_pads(torrent, &pieces)?;
                }
                Ok((torrent, pieces, store.have(&ih)?))
            })
            .await?;
        let Some(torrent) = torrent else {
            self.jobs.remove(&ih);
            return Ok(());
        };
        let torrent = Arc::new(torrent);
        let hints = self
            .jobs
            .with(&ih, |job| (job.hints.clone(), job.kept, job.files.clone()));
        let Some((hints, kept, files)) = hints else {
            return Ok(());
        };
        let have = bits(&torrent, &pieces, &have);
        let files = selection(&torrent, kept, files);
        let shelf = Shelf::new(torrent.clone(), pieces.clone(), self.jobs.clone());
        self.tracker.open(ih);
        self.tracker.renew(&ih);
        let order = Order {
            torrent: &torrent,
            shelf: &shelf,
            have,
            files: files.as_ref().map(|files| files.iter().copied().collect()),
            peers: guarded(&self.setup.policy, &hints.peers),
            peers_max: self.setup.peers_max,
        };
        let handle = self.engine.add(order).await?;
        let search = self.tasks.child();
        self.find_peers(&search, &torrent, hints.trackers);
        debug!(site = %ih.short(), "fetching");
        self.live
            .insert(ih, Live::new(torrent, pieces, shelf, handle, search, files));
        self.jobs.with(&ih, |job| job.active = Some(Instant::now()));
        Ok(())
    }

    /// Feeds the tracker from the finder for as long as the torrent is in the engine.
    fn find_peers(&self, search: &Tasks, torrent: &Torrent, trackers: Vec<String>) {
        let ih = torrent.info.infohash;
        let mut found = self.search.find(ih, torrent.info.private, trackers);
        let (tracker, jobs, policy) = (self.tracker.clone(), self.jobs.clone(), self.setup.policy.clone());
        search.spawn("swarm.fetch.find", async move {
            while let Some(peers) = found.recv().await {
                let (near, far): (Vec<_>, Vec<_>) =
                    peers.into_iter().partition(|peer| is_neighbour(&policy, *peer));
                jobs.hint_peers(&ih, &near);
                tracker.add(&ih, far);
            }
        });
    }

    /// Joins neighbours that are known by now.
    fn join_neighbours(&mut self, ih: InfoHash) {
        let Some((live, engine)) = self.live.get_mut(&ih).zip(self.engine.listen_addr()) else {
            return;
        };
        let door = self.engine.door().into();
        let policy = &self.setup.policy;
        let near = self.jobs.with(&ih, |job| {
            let peers = job.hints.peers.iter().copied();
            peers
                .filter(|peer| is_neighbour(policy, *peer))
                .collect::<Vec<_>>()
        });
        for peer in near.unwrap_or_default() {
            if live.neighbours.len() < relay::NEIGHBOURS_MAX && live.neighbours.insert(peer) {
                let joined = relay::keep_joined(ih, peer, engine, door);
                live.search.spawn("swarm.fetch.relay", joined);
            }
        }
    }

    async fn take_out(&mut self, ih: InfoHash, leave: Leave) {
        self.account(ih);
        if let Some(live) = self.live.remove(&ih) {
            live.search.cancel();
            let connected = live.connected();
            self.jobs.hint_peers(&ih, &connected);
            self.note_traffic(ih, &live).await;
            if let Err(err) = self.engine.remove(&ih).await {
                warn!(site = %ih.short(), %err, "the engine would not let a torrent go");
            }
        }
        match leave {
            Leave::Idle => {
                self.jobs.with(&ih, |job| {
                    job.active = None;
                    job.rested = Some(Instant::now());
                });
            }
            Leave::Whole => {
                info!(site = %ih.short(), "all pieces are here");
                self.tracker.close(&ih);
                self.jobs.remove(&ih);
                (self.setup.on_whole)(ih);
            }
            Leave::Trouble(reason) => self.put_off(ih, &reason),
        }
    }

    async fn note_traffic(&self, ih: InfoHash, live: &Live) {
        let (down, up) = (live.shelf.received(), live.uploaded());
        let noted = self
            .setup
            .db
            .run(move |store| store.add_traffic(&[(ih, up, down)]))
            .await;
        if let Err(err) = noted {
            debug!(site = %ih.short(), %err, "traffic not noted");
        }
    }

    fn put_off(&self, ih: InfoHash, reason: &str) {
        let tries = self.jobs.with(&ih, |job| {
            let now = Instant::now();
            job.active = None;
            job.rested = Some(now);
            job.not_before = Some(now + plan::back_off(job.tries));
            job.tries += 1;
            job.tries
        });
        warn!(site = %ih.short(), %reason, tries, "fetching is put off");
    }
}

/// All of what is kept or small; of a large visited torrent only the files that were read.
fn selection(torrent: &Torrent, kept: bool, files: BTreeSet<usize>) -> Option<BTreeSet<usize>> {
    (!kept && torrent.info.total > WHOLE_MAX && !files.is_empty()).then_some(files)
}

/// What librqbit is told we hold: durable pieces and those that wait for their commit.
fn bits(torrent: &Torrent, pieces: &store::Pieces, have: &Have) -> Vec<u8> {
    let count = torrent.info.piece_count();
    let mut bits = vec![0u8; count.div_ceil(8) as usize];
    for piece in (0..count).filter(|piece| have.has(*piece) || pieces.readable(*piece)) {
        bits[piece as usize / 8] |= 0x80 >> (piece % 8);
    }
    bits
}

fn put_pads(torrent: &Torrent, pieces: &store::Pieces) -> Result<(), store::Error> {
    for piece in pad_pieces(&torrent.info) {
        if !pieces.readable(piece) {
            let len = torrent.info.piece_len(piece).unwrap_or(0);
            pieces.put(piece, vec![0u8; len as usize].into())?;
        }
    }
    Ok(())
}
