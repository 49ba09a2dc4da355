//! Uploaded totals, written to the store in batches: one small commit for many peers.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use proto::id::InfoHash;
use tokio::time::Instant;
use tracing::debug;

use super::lock;
use crate::{db::Db, tasks::Tasks};

/// Totals are written at most this often. Larger: more of them is lost in a power cut. Smaller: more commits.
const EVERY: Duration = Duration::from_secs(60);

/// Cheap to clone.
#[derive(Clone)]
pub struct Traffic {
    db: Db,
    tasks: Tasks,
    total: Arc<AtomicU64>,
    pending: Arc<Mutex<Pending>>,
}

struct Pending {
    rows: HashMap<InfoHash, u64>,
    written: Instant,
    recent: Recent,
}

/// Connections report every five seconds: a shorter window would show their rhythm.
const WINDOW: Duration = Duration::from_secs(10);

/// Bytes of this window and of the one before.
struct Recent {
    began: Instant,
    bytes: u64,
    before: u64,
}

impl Recent {
    fn turn(&mut self, now: Instant) {
        let age = now.duration_since(self.began);
        if age >= WINDOW {
            self.before = if age < 2 * WINDOW { self.bytes } else { 0 };
            self.bytes = 0;
            self.began = now;
        }
    }

    /// Over this window and the one before.
    fn bps(&self, now: Instant) -> u64 {
        let millis = (now.duration_since(self.began) + WINDOW).as_millis() as u64;
        (self.before + self.bytes) * 1000 / millis
    }
}

impl Traffic {
    pub fn new(db: Db, tasks: Tasks) -> Self {
        Self {
            db,
            tasks,
            total: Arc::default(),
            pending: Arc::new(Mutex::new(Pending {
                rows: HashMap::new(),
                written: Instant::now(),
                recent: Recent {
                    began: Instant::now(),
                    bytes: 0,
                    before: 0,
                },
            })),
        }
    }

    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Counts bytes that go out now; [`Traffic::add`] notes later which torrent's they were.
    pub fn sent(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes per second of the last 10 to 20 seconds.
    pub fn bps(&self) -> u64 {
        let mut pending = lock(&self.pending);
        let now = Instant::now();
        pending.recent.turn(now);
        pending.recent.bps(now)
    }

    /// Adds `bytes` of a torrent; when the last write is long ago, starts one.
    pub fn add(&self, infohash: InfoHash, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let due = {
            let mut pending = lock(&self.pending);
            pending.recent.turn(Instant::now());
            pending.recent.bytes += bytes;
            *pending.rows.entry(infohash).or_default() += bytes;
            let due = pending.written.elapsed() >= EVERY;
            if due {
                pending.written = Instant::now();
            }
            due
        };
        if due {
            let traffic = self.clone();
            self.tasks
                .spawn("swarm.traffic", async move { traffic.flush().await });
        }
    }

    pub async fn flush(&self) {
        let rows: Vec<_> = lock(&self.pending)
            .rows
            .drain()
            .map(|(infohash, bytes)| (infohash, bytes, 0))
            .collect();
        if rows.is_empty() {
            return;
        }
        // Lost totals are a pity, not a fault: the disk may be full or gone.
        if let Err(err) = self.db.run(move |store| store.add_traffic(&rows)).await {
            debug!(%err, "cannot write uploaded totals");
        }
    }
}
