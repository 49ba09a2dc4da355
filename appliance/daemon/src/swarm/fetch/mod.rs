//! Fetching: an adapter over librqbit, which downloads; everything else is ours. A torrent is in the engine only while it
//! misses pieces; `swarm::seed` serves it afterwards. Must not know sites, HTTP or how peers are found.
//!
//! Reading order: `plan` (who is fetched next: pure), `jobs` (what is wanted and who waits), `supervisor` (the one task
//! that talks to the engine), `live` (a torrent in it), `storage` (librqbit's files are the store's pieces), `engine`
//! (librqbit fenced in), `tracker` (how it gets peers), `walls` (where it may not connect), `relay` (neighbours all the
//! same), `strikes` (who sends rubbish).
//!
//! What states a torrent has, and the order of locks, stand in `../STATE.md`.

mod engine;
mod jobs;
mod live;
mod plan;
pub(super) mod relay;
mod storage;
mod strikes;
mod supervisor;
mod tracker;
mod walls;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use proto::{
    guard::{self, Policy},
    id::InfoHash,
};
use store::Pieces;
use tokio::{
    sync::{mpsc, watch},
    time::{Duration, Instant},
};

pub use engine::refusal;

use super::{Error, Hints, Progress, Torrent, flow::Totals, limits::Limits};
use crate::{db::Db, tasks::Tasks};

/// A reader asks again this often while it waits: its place before others stays fresh.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Who finds peers: batches until the receiver is dropped.
pub trait Search: Send + Sync {
    fn find(&self, ih: InfoHash, private: bool, trackers: Vec<String>) -> mpsc::Receiver<Vec<SocketAddr>>;
}

/// What fetching needs from the house.
pub struct Setup {
    pub db: Db,
    /// The engine's own folder; emptied at start.
    pub folder: PathBuf,
    /// Torrents in the engine at once. More: memory and timers (28 KiB and ten wake-ups a second each). Fewer: kept
    /// torrents wait longer for their turn.
    pub places: usize,
    /// Connections per torrent. More: 50 KiB each. Fewer: slower swarms.
    pub peers_max: usize,
    /// Which addresses may be connected to.
    pub policy: Policy,
    /// Who is told what the engine used of the line.
    pub limits: Limits,
    /// Whether the engine gives anything to others, now and from each change on.
    pub upload: watch::Receiver<bool>,
    /// Told when a torrent is whole and durable.
    pub on_whole: Arc<dyn Fn(InfoHash) + Send + Sync>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Fetch {
    jobs: Arc<jobs::Jobs>,
    tracker: tracker::Tracker,
    engine: Arc<engine::Engine>,
    policy: Policy,
    tasks: Tasks,
}

/// Peers that a link, a person or a neighbour named: the home network is open to them, other walls stand.
fn guarded(policy: &Policy, peers: &[SocketAddr]) -> Vec<SocketAddr> {
    let policy = policy.for_neighbours();
    let allowed = |peer: &SocketAddr| guard::allowed(*peer, &policy).is_ok();
    peers.iter().copied().filter(allowed).collect()
}

/// Whether the engine's wall is closed to it, but we may dial it ourselves.
fn is_neighbour(policy: &Policy, peer: SocketAddr) -> bool {
    guard::allowed(peer, policy).is_err() && guard::allowed(peer, &policy.for_neighbours()).is_ok()
}

impl Fetch {
    /// Starts the engine, its tracker and the supervisor.
    pub async fn start(setup: Setup, search: Arc<dyn Search>, tasks: &Tasks) -> Result<Fetch, Error> {
        let (tracker, url) = tracker::Tracker::start(tasks)
            .await
            .map_err(|err| Error::Engine(format!("open the loopback tracker: {err}")))?;
        let engine = Arc::new(engine::Engine::start(&setup, &url).await?);
        let jobs = Arc::new(jobs::Jobs::default());
        let policy = setup.policy.clone();
        let supervisor = supervisor::Supervisor {
            engine: engine.clone(),
            tracker: tracker.clone(),
            jobs: jobs.clone(),
            tasks: tasks.clone(),
            search,
            setup,
            live: HashMap::new(),
            counted: Instant::now(),
        };
        tasks.spawn_graceful("swarm.fetch", supervisor.run());
        Ok(Fetch {
            jobs,
            tracker,
            engine,
            policy,
            tasks: tasks.clone(),
        })
    }

    /// Fetches everything in the background.
    pub fn keep(&self, ih: InfoHash, hints: &Hints) {
        self.jobs.keep(ih, hints);
    }

    /// Stops fetching. The engine lets go within a second.
    pub fn drop_job(&self, ih: &InfoHash) {
        self.jobs.remove(ih);
        self.jobs.nudge.notify_one();
    }

    pub fn touch(&self, ih: &InfoHash) {
        self.jobs.touch(ih);
    }

    /// Remembers where a torrent's peers are, and tells the engine when it is being fetched.
    pub fn add_peers(&self, ih: &InfoHash, peers: &[SocketAddr]) {
        self.jobs.hint_peers(ih, peers);
        self.tracker.add(ih, guarded(&self.policy, peers));
    }

    /// Waits until `piece` of `file` can be read.
    pub async fn piece(
        &self,
        torrent: &Torrent,
        hints: &Hints,
        pieces: &Pieces,
        (file, piece): (usize, u32),
        deadline: Instant,
    ) -> Result<(), Error> {
        let ih = torrent.info.infohash;
        let token = self.tasks.token();
        loop {
            if pieces.readable(piece) {
                return Ok(());
            }
            let Some(waiter) = self.jobs.demand(torrent, hints, file, piece) else {
                return Err(Error::Engine("too many readers wait; try again soon".into()));
            };
            self.tracker.add(&ih, guarded(&self.policy, &hints.peers));
            let again = deadline.min(Instant::now() + ASK_AGAIN);
            {
                let mut news = std::pin::pin!(waiter.notified());
                news.as_mut().enable();
                if !pieces.readable(piece) {
                    tokio::select! {
                        () = token.cancelled() => return Err(Error::Stopping),
                        _ = tokio::time::timeout_at(again, news) => {}
                    }
                }
            }
            self.jobs.leave(&ih, piece, waiter);
            if !pieces.readable(piece) && Instant::now() >= deadline {
                let known = self.tracker.known(&ih) > 0 || self.progress(&ih).is_some_and(|p| p.peers > 0);
                return Err(if known {
                    Error::MissingPieces(ih)
                } else {
                    Error::NoPeers(ih)
                });
            }
        }
    }

    /// Whether a torrent had trouble and waits for its next try.
    #[cfg(test)]
    pub fn put_off(&self, ih: &InfoHash) -> bool {
        self.jobs.with(ih, |job| job.tries > 0) == Some(true)
    }

    /// What the engine has received and given since the start.
    pub fn totals(&self) -> &Totals {
        &self.jobs.totals
    }

    /// `None` when nothing of it is to be fetched.
    pub fn progress(&self, ih: &InfoHash) -> Option<Progress> {
        self.jobs.with(ih, |job| job.progress.clone())
    }

    /// All torrents in the engine, for the status page.
    pub fn active(&self) -> Vec<(InfoHash, Progress)> {
        let active = self.jobs.candidates().into_iter().filter(|c| c.active.is_some());
        active
            .filter_map(|c| Some((c.ih, self.progress(&c.ih)?)))
            .collect()
    }

    /// Where to hand a peer of this torrent over to, while it is being fetched.
    pub fn handover(&self, ih: &InfoHash) -> Option<SocketAddr> {
        let active = self.jobs.with(ih, |job| job.active.is_some())?;
        self.engine.listen_addr().filter(|_| active)
    }

    /// The loopback address the engine lets peers in from.
    pub fn door(&self) -> IpAddr {
        self.engine.door().into()
    }

    /// Bytes per second; `None`: unlimited.
    pub fn limit(&self, up: Option<u32>, down: Option<u32>) {
        self.engine.limit(up, down);
    }
}
