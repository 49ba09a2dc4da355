//! One search: asks all sources for one torrent until nobody listens any more.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::{join_all, join3};
use proto::{
    guard::{self, Policy},
    id::InfoHash,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tracing::debug;

use super::{Room, jittered, trackers::Moment};

/// Trackers asked for one torrent.
const TRACKERS_MAX: usize = 20;

/// After this, an address may be handed out again: peers come back.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Longest pauses between DHT lookups, without and with peers found.
const PAUSE_MAX_WITHOUT: Duration = Duration::from_secs(300);
const PAUSE_MAX_WITH: Duration = Duration::from_secs(900);

/// A lookup that has not ended by then is dropped.
const LOOKUP_MAX: Duration = Duration::from_secs(60);

pub(super) struct Search {
    room: Arc<Room>,
    ih: InfoHash,
    private: bool,
    trackers: Vec<String>,
    out: Out,
}

impl Search {
    pub(super) fn new(
        room: Arc<Room>,
        ih: InfoHash,
        private: bool,
        mut trackers: Vec<String>,
        found: mpsc::Sender<Vec<SocketAddr>>,
    ) -> Self {
        let mut seen = HashSet::new();
        trackers.retain(|t| seen.insert(t.clone()));
        trackers.truncate(TRACKERS_MAX);
        let out = Out {
            found,
            room: room.clone(),
            sieve: Mutex::new(Sieve::default()),
        };
        Self {
            room,
            ih,
            private,
            trackers,
            out,
        }
    }

    pub(super) async fn run(self) {
        let permits = self.room.searches.clone();
        let work = async {
            let _permit = permits.acquire_owned().await;
            join3(self.ask_dht(), self.ask_trackers(), self.hear_neighbours()).await;
            // Every source has ended (none is there, or the room stops): the receiver's owner still decides when it is over.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = self.out.found.closed() => {}
            () = work => {}
        }
        if !self.complete() {
            let policy = self.room.policy();
            self.room
                .trackers
                .stop(Some(self.ih), &policy, self.room.port())
                .await;
        }
    }

    /// Lookups, polite ones: often while there is nobody, seldom once there is.
    async fn ask_dht(&self) {
        let Some(dht) = self.room.dht.as_ref().filter(|_| !self.private) else {
            return;
        };
        let mut pause = self.room.config.search_again;
        let mut told: Option<Instant> = None;
        loop {
            let mut lookup = dht.get_peers(self.ih);
            let forward = async {
                while let Some(batch) = lookup.recv().await {
                    self.out.give(batch, Heard::Far).await;
                }
            };
            let _ = timeout(LOOKUP_MAX, forward).await;
            let port = self.room.port();
            if port != 0 && told.is_none_or(|at| at.elapsed() > self.room.config.dht_every.0) {
                told = Some(Instant::now());
                let _ = timeout(LOOKUP_MAX, dht.announce(self.ih, port)).await;
            }
            sleep(jittered(pause)).await;
            let longest = if self.out.any() {
                PAUSE_MAX_WITH
            } else {
                PAUSE_MAX_WITHOUT
            };
            pause = (pause * 3 / 2).min(longest);
        }
    }

    /// All trackers beside each other: lists come flattened, so there are no tiers to honour, and one dead tracker must not
    /// delay the others.
    async fn ask_trackers(&self) {
        join_all(self.trackers.iter().map(|tracker| async move {
            loop {
                let moment = self.moment();
                let policy = self.room.policy();
                let outcome = self.room.trackers.announce(tracker, &moment, &policy).await;
                self.out.give(outcome.peers, Heard::Far).await;
                let again = if self.out.any() {
                    outcome.interval
                } else {
                    outcome.min_interval
                };
                sleep(jittered(again)).await;
            }
        }))
        .await;
    }

    async fn hear_neighbours(&self) {
        let Some(lsd) = self.room.lsd.as_ref().filter(|_| !self.private) else {
            return;
        };
        let mut heard = lsd.watch(self.ih);
        while let Some(addr) = heard.recv().await {
            self.out.give(vec![addr], Heard::Near).await;
        }
    }

    /// The real counters when the torrent has a row; before its metadata is there, "something is left".
    fn moment(&self) -> Moment {
        let row = self.room.db.store().site(&self.ih).ok().flatten();
        row.map_or_else(
            || Moment::unknown(self.ih, self.room.port()),
            |row| Moment::of(&row, self.room.port()),
        )
    }

    fn complete(&self) -> bool {
        let row = self.room.db.store().site(&self.ih).ok().flatten();
        row.is_some_and(|row| row.complete())
    }
}

/// Where an address comes from decides which ones are plausible.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Far,
    Near,
}

/// The way out: judged, without repetitions, bounded.
struct Out {
    found: mpsc::Sender<Vec<SocketAddr>>,
    room: Arc<Room>,
    /// Held for moments, never across an await.
    sieve: Mutex<Sieve>,
}

#[derive(Default)]
struct Sieve {
    seen: HashSet<SocketAddr>,
    since: Option<Instant>,
    any: bool,
}

impl Out {
    async fn give(&self, batch: Vec<SocketAddr>, heard: Heard) {
        let policy = self.room.policy();
        let policy = if heard == Heard::Near {
            policy.for_neighbours()
        } else {
            policy
        };
        let fresh = self.sift(batch, &policy);
        if !fresh.is_empty() {
            // A closed channel ends the search elsewhere.
            let _ = self.found.send(fresh).await;
        }
    }

    fn sift(&self, batch: Vec<SocketAddr>, policy: &Policy) -> Vec<SocketAddr> {
        let mut sieve = self.sieve.lock().unwrap_or_else(PoisonError::into_inner);
        if sieve.since.is_none_or(|since| since.elapsed() > FORGET_AFTER) {
            sieve.seen.clear();
            sieve.since = Some(Instant::now());
        }
        let mut fresh = Vec::new();
        for addr in batch {
            if sieve.seen.len() >= self.room.config.candidates_max {
                break;
            }
            let ourselves = addr.ip().is_loopback() && addr.port() == self.room.port();
            match guard::allowed(addr, policy) {
                Ok(()) if !ourselves && sieve.seen.insert(addr) => fresh.push(addr),
                Ok(()) => {}
                Err(reason) => debug!(%addr, %reason, "peer address refused"),
            }
        }
        sieve.any |= !fresh.is_empty();
        fresh
    }

    /// Whether this search has handed out anybody.
    fn any(&self) -> bool {
        self.sieve.lock().unwrap_or_else(PoisonError::into_inner).any
    }
}
