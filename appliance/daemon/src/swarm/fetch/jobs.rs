//! What has to be fetched and who waits for it: the state readers and the supervisor share, under one lock that is never
//! held across an await.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proto::id::InfoHash;
use tokio::{sync::Notify, time::Instant};

use super::{
    plan::{self, Candidate, LOOK_AHEAD, Reader},
    storage::Events,
};
use crate::swarm::{Hints, Progress, Torrent, flow::Totals};

/// Pieces that may be waited for at once, in one torrent. More: memory. Fewer: busy pages see errors.
const WAITERS_MAX: usize = 1024;
/// Torrents with something to fetch: kept ones are bounded by the disk, visited ones by this.
const VISITED_MAX: usize = 256;
/// Peer addresses and trackers remembered from links.
const HINTS_MAX: usize = 64;
/// Visited torrents up to this size are fetched whole: the next page is then here already. Of larger ones only the files
/// that are read.
pub const WHOLE_MAX: u64 = 64 << 20;

#[derive(Default)]
pub struct Jobs {
    jobs: Mutex<HashMap<InfoHash, Job>>,
    /// Something changed that the supervisor should look at now.
    pub nudge: Notify,
    pub totals: Totals,
}

/// One torrent that misses pieces.
#[derive(Default)]
pub struct Job {
    pub kept: bool,
    pub hints: Hints,
    pub wanted: Option<Instant>,
    pub readers: Vec<Reader>,
    /// Files someone read, of a large visited torrent.
    pub files: BTreeSet<usize>,
    pub active: Option<Instant>,
    pub rested: Option<Instant>,
    pub not_before: Option<Instant>,
    pub tries: u32,
    /// The store's refusal, until the supervisor has acted on it.
    pub trouble: Option<String>,
    /// Pieces whose hash was wrong since the supervisor last looked.
    pub spoiled: u32,
    pub progress: Progress,
    waiters: HashMap<u32, Arc<Notify>>,
}

impl Job {
    pub fn waited_for(&self, piece: u32) -> bool {
        self.waiters.contains_key(&piece)
    }

    fn add_hints(&mut self, hints: &Hints) {
        extend(&mut self.hints.peers, &hints.peers);
        extend(&mut self.hints.trackers, &hints.trackers);
    }
}

fn extend<T: PartialEq + Clone>(list: &mut Vec<T>, more: &[T]) {
    for item in more {
        if list.len() < HINTS_MAX && !list.contains(item) {
            list.push(item.clone());
        }
    }
}

impl Jobs {
    /// Runs `deed` on the job, if there is one.
    pub fn with<T>(&self, ih: &InfoHash, deed: impl FnOnce(&mut Job) -> T) -> Option<T> {
        self.lock().get_mut(ih).map(deed)
    }

    /// The torrent is to be fetched whole, in the background.
    pub fn keep(&self, ih: InfoHash, hints: &Hints) {
        let mut jobs = self.lock();
        let job = jobs.entry(ih).or_default();
        job.kept = true;
        job.add_hints(hints);
        drop(jobs);
        self.nudge.notify_one();
    }

    /// A reader wants `piece` of `file` now. `None`: too many wait already.
    pub fn demand(&self, torrent: &Torrent, hints: &Hints, file: usize, piece: u32) -> Option<Arc<Notify>> {
        let now = Instant::now();
        let info = &torrent.info;
        let ahead = (LOOK_AHEAD / u64::from(info.piece_length)) as u32;
        let mut jobs = self.lock();
        if !jobs.contains_key(&info.infohash) && jobs.values().filter(|job| !job.kept).count() >= VISITED_MAX
        {
            return None;
        }
        let job = jobs.entry(info.infohash).or_default();
        if job.waiters.len() >= WAITERS_MAX && !job.waiters.contains_key(&piece) {
            return None;
        }
        job.add_hints(hints);
        job.wanted = Some(now);
        let reader = plan::follow(&mut job.readers, file, piece, ahead, now);
        job.readers[reader].piece = piece;
        if info.total > WHOLE_MAX {
            job.files.insert(file);
        }
        let waiter = job.waiters.entry(piece).or_default().clone();
        drop(jobs);
        self.nudge.notify_one();
        Some(waiter)
    }

    /// Someone reads held bytes of a torrent that is being fetched: it does not pause.
    pub fn touch(&self, ih: &InfoHash) {
        self.with(ih, |job| job.wanted = Some(Instant::now()));
    }

    /// Nobody waits for this piece any more, unless another reader does.
    pub fn leave(&self, ih: &InfoHash, piece: u32, waiter: Arc<Notify>) {
        self.with(ih, |job| {
            // Two are left when nobody else holds it: the one in the map and the one given here.
            let last = job
                .waiters
                .get(&piece)
                .is_some_and(|own| Arc::ptr_eq(own, &waiter))
                && Arc::strong_count(&waiter) <= 2;
            if last {
                job.waiters.remove(&piece);
            }
        });
    }

    pub fn hint_peers(&self, ih: &InfoHash, peers: &[SocketAddr]) {
        self.with(ih, |job| extend(&mut job.hints.peers, peers));
    }

    pub fn candidates(&self) -> Vec<Candidate> {
        let candidate = |(ih, job): (&InfoHash, &Job)| Candidate {
            ih: *ih,
            kept: job.kept,
            wanted: job.wanted,
            active: job.active,
            rested: job.rested,
            not_before: job.not_before,
        };
        self.lock().iter().map(candidate).collect()
    }

    /// Ends a job; whoever still waits looks again and finds the piece, or asks anew.
    pub fn remove(&self, ih: &InfoHash) {
        if let Some(job) = self.lock().remove(ih) {
            for waiter in job.waiters.values() {
                waiter.notify_waiters();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<InfoHash, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events for Jobs {
    fn completed(&self, ih: &InfoHash, piece: u32) {
        if let Some(waiter) = self.with(ih, |job| job.waiters.remove(&piece)).flatten() {
            waiter.notify_waiters();
            self.nudge.notify_one();
        }
    }

    fn spoiled(&self, ih: &InfoHash, _piece: u32) {
        self.with(ih, |job| job.spoiled += 1);
        self.nudge.notify_one();
    }

    fn trouble(&self, ih: &InfoHash, error: &store::Error) {
        self.with(ih, |job| job.trouble = Some(error.to_string()));
        self.nudge.notify_one();
    }
}
