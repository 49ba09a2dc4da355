//! Regular announces of everything we serve: one task reads due rows from the store, announces at a bounded rate, and
//! writes the next due times back in batches. A torrent costs its rows and nothing else.
//!
//! After a long sleep every row is due at once; the rate alone spreads them, and jitter keeps them apart from then on.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt, future::join_all, stream};
use proto::{id::InfoHash, tracker::INTERVAL_DEFAULT};
use store::{DueKind, SiteRow};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::warn;

use super::{Room, jittered, trackers::Moment};

/// How often the store is asked for due rows.
const TICK: Duration = Duration::from_secs(10);

/// Rows announced before their next due times are written: larger batches are fewer commits, and after a crash more
/// torrents are announced a second time.
const BATCH: usize = 500;

/// Announces on their way at once: one takes seconds, mostly waiting.
const AT_ONCE: usize = 20;

/// A DHT announce that has not ended by then is given up.
const DHT_MAX: Duration = Duration::from_secs(60);

/// Trackers told about one torrent.
const TRACKERS_MAX: usize = 20;

/// Pause after the store could not be read.
const TROUBLE_PAUSE: Duration = Duration::from_secs(60);

/// A row that has nothing to announce now (not complete, or not for this channel) is looked at again after this.
const IDLE_EVERY: Duration = Duration::from_secs(60 * 60);

pub(super) fn start(room: &Arc<Room>, soon: mpsc::Receiver<InfoHash>) {
    let schedule = Schedule {
        room: room.clone(),
        pace: Pace::new(room.config.announces_per_sec),
    };
    let token = room.tasks.token();
    let stopping = room.clone();
    room.tasks.spawn_graceful("find.announce", async move {
        tokio::select! {
            () = token.cancelled() => {}
            () = schedule.run(soon) => {}
        }
        // Trackers hear that we go, so that nobody dials a closed door for the next half hour.
        stopping
            .trackers
            .stop(None, &stopping.policy(), stopping.port())
            .await;
    });
}

struct Schedule {
    room: Arc<Room>,
    pace: Pace,
}

impl Schedule {
    async fn run(&self, mut soon: mpsc::Receiver<InfoHash>) {
        self.room.reachable().await;
        // New arrivals do not wait behind a batch of old ones; both keep to one pace.
        tokio::join!(self.regular(), async {
            let mut batch = Vec::new();
            while soon.recv_many(&mut batch, BATCH).await > 0 {
                self.room.reachable().await;
                let news: HashSet<InfoHash> = batch.drain(..).collect();
                for kind in [DueKind::DhtAnnounce, DueKind::TrackerAnnounce] {
                    self.announce_all(kind, news.iter().copied().collect()).await;
                }
            }
        });
    }

    async fn regular(&self) {
        loop {
            self.room.reachable().await;
            let anew = self.room.anew.swap(false, Ordering::Relaxed);
            if self.room.sweep.swap(false, Ordering::Relaxed) || anew {
                self.find_unscheduled(anew).await;
            }
            let mut full = false;
            for kind in [DueKind::DhtAnnounce, DueKind::TrackerAnnounce] {
                let now = self.room.clock.now_secs();
                match self.room.db.run(move |store| store.due(kind, now, BATCH)).await {
                    Ok(rows) => {
                        full |= rows.len() == BATCH;
                        self.announce_all(kind, rows.into_iter().map(|(ih, _)| ih).collect())
                            .await;
                    }
                    Err(err) => self.trouble(&err).await,
                }
            }
            if !full {
                tokio::select! {
                    () = sleep(TICK) => {}
                    () = self.room.wake.notified() => {}
                }
            }
        }
    }

    async fn announce_all(&self, kind: DueKind, sites: Vec<InfoHash>) {
        if sites.is_empty() {
            return;
        }
        let next: Vec<(InfoHash, u64)> = stream::iter(sites)
            .map(|ih| async move {
                let pause = self.announce(kind, ih).await;
                let due = |pause: Duration| self.room.clock.now_secs() + pause.as_secs().max(1);
                (ih, pause.map_or(u64::MAX, due))
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        if let Err(err) = self.room.db.run(move |store| store.set_due(kind, &next)).await {
            self.trouble(&err).await;
        }
    }

    /// Announces one torrent on one channel; returns the pause until the next time, `None` when the torrent is
    /// gone or has nothing to say there.
    async fn announce(&self, kind: DueKind, ih: InfoHash) -> Option<Duration> {
        let row = match self.room.db.store().site(&ih) {
            Ok(row) => row?,
            Err(_) => return Some(jittered(IDLE_EVERY)),
        };
        if !wanted(kind, &row) {
            return None;
        }
        Some(match kind {
            _ if !row.complete() => jittered(IDLE_EVERY),
            DueKind::DhtAnnounce => self.tell_dht(&row).await,
            DueKind::TrackerAnnounce => self.tell_trackers(&row).await,
        })
    }

    async fn tell_dht(&self, row: &SiteRow) -> Duration {
        let (shortest, longest) = self.room.config.dht_every;
        let port = self.room.port();
        let Some(dht) = self.room.dht.as_ref().filter(|_| port != 0) else {
            return jittered(IDLE_EVERY);
        };
        self.pace.turn().await;
        // Nobody confirmed: the node may just have started without anyone to ask.
        match timeout(DHT_MAX, dht.announce(row.infohash, port)).await {
            Ok(nodes) if nodes > 0 => shortest + (longest.saturating_sub(shortest)).mul_f64(rand::random()),
            _ => jittered(shortest / 4),
        }
    }

    async fn tell_trackers(&self, row: &SiteRow) -> Duration {
        let port = self.room.port();
        if port == 0 {
            return jittered(IDLE_EVERY);
        }
        self.pace.turn().await;
        let moment = Moment::of(row, port);
        let policy = self.room.policy();
        let urls: Vec<String> = row.trackers.iter().take(TRACKERS_MAX).cloned().collect();
        let (moment, policy) = (&moment, &policy);
        let tell = |url: String| async move { self.room.trackers.announce(&url, moment, policy).await };
        let outcomes = join_all(urls.into_iter().map(tell)).await;
        let soonest = outcomes.iter().map(|o| o.interval).min();
        jittered(soonest.unwrap_or(INTERVAL_DEFAULT))
    }

    /// Gives due rows to sites that have none: after a crash between two writes, or when `announce_soon` overflowed.
    /// `anew`: everything is due now.
    async fn find_unscheduled(&self, anew: bool) {
        let now = self.room.clock.now_secs();
        let result = self.room.db.run(move |store| {
            for kind in [DueKind::DhtAnnounce, DueKind::TrackerAnnounce] {
                let known = if anew { 0 } else { usize::MAX };
                let known: HashSet<InfoHash> = store
                    .due(kind, u64::MAX, known)?
                    .into_iter()
                    .map(|(ih, _)| ih)
                    .collect();
                let mut after = None;
                loop {
                    let page = store.sites(after, BATCH)?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.infohash);
                    let missing: Vec<(InfoHash, u64)> = page
                        .iter()
                        .filter(|row| !known.contains(&row.infohash) && wanted(kind, row))
                        .map(|row| (row.infohash, now))
                        .collect();
                    if !missing.is_empty() {
                        store.set_due(kind, &missing)?;
                    }
                }
            }
            Ok(())
        });
        if let Err(err) = result.await {
            self.trouble(&err).await;
        }
    }

    /// The store has its own voice for what is wrong; here it only must not become a busy loop.
    async fn trouble(&self, err: &store::Error) {
        warn!(%err, "announces wait for the store");
        sleep(TROUBLE_PAUSE).await;
    }
}

/// Whether a site has anything to say on this channel at all.
fn wanted(kind: DueKind, row: &SiteRow) -> bool {
    match kind {
        DueKind::DhtAnnounce => !row.private,
        DueKind::TrackerAnnounce => !row.trackers.is_empty(),
    }
}

/// One turn after the other, evenly spaced.
struct Pace {
    gap: Duration,
    next: tokio::sync::Mutex<Instant>,
}

impl Pace {
    fn new(per_sec: u32) -> Self {
        Self {
            gap: Duration::from_secs(1) / per_sec.max(1),
            next: tokio::sync::Mutex::new(Instant::now()),
        }
    }

    /// Waits for the next free turn.
    async fn turn(&self) {
        let mut next = self.next.lock().await;
        let at = (*next).max(Instant::now());
        *next = at + self.gap;
        drop(next);
        sleep_until(at).await;
    }
}
