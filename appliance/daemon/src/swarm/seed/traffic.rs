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
            })),
        }
    }

    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Adds `bytes`; when the last write is long ago, starts one.
    pub fn add(&self, infohash: InfoHash, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.total.fetch_add(bytes, Ordering::Relaxed);
        let due = {
            let mut pending = lock(&self.pending);
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
