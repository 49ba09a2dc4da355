//! What flows: limits that follow the household's week, the fetch engine's share of the line, and totals.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{fetch::Fetch, limits::Limits, listen::Listener};
use crate::{clock::Clock, tasks::Tasks};

/// Connections that end with the house write their last figures within this.
const LAST_FIGURES: Duration = Duration::from_secs(1);

/// Payload bytes since the start.
#[derive(Debug, Default)]
pub struct Totals {
    up: AtomicU64,
    down: AtomicU64,
}

impl Totals {
    pub fn add(&self, up: u64, down: u64) {
        self.up.fetch_add(up, Ordering::Relaxed);
        self.down.fetch_add(down, Ordering::Relaxed);
    }

    pub fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    pub fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }
}

/// Applies the schedule at the beginning of each minute: a laptop that slept catches up within one.
pub fn follow_week(limits: &Limits, clock: &Clock, tasks: &Tasks) {
    let (limits, clock) = (limits.clone(), clock.clone());
    limits.minute_begins(clock.minute_of_week().0);
    tasks.spawn("swarm.week", async move {
        loop {
            let (_, left) = clock.minute_of_week();
            sleep(Duration::from_secs(left)).await;
            limits.minute_begins(clock.minute_of_week().0);
        }
    });
}

/// The engine keeps buckets of its own: it is told of every change.
pub fn follow_rates(limits: &Limits, fetch: &Fetch, tasks: &Tasks) {
    let mut rates = limits.rates();
    let fetch = fetch.clone();
    tasks.spawn("swarm.rates", async move {
        loop {
            let now = *rates.borrow_and_update();
            let bps = |rate: u64| (rate > 0).then(|| u32::try_from(rate).unwrap_or(u32::MAX));
            fetch.limit(bps(Limits::engine_share(now.up)), bps(now.down));
            if rates.changed().await.is_err() {
                return;
            }
        }
    });
}

/// What the seeder gave is written to the store before the house ends.
pub fn write_totals_at_end(listener: &Listener, tasks: &Tasks) {
    let (seeder, token) = (listener.seeder().clone(), tasks.token());
    tasks.spawn_graceful("swarm.totals", async move {
        token.cancelled().await;
        // A connection counts its last bytes when it ends.
        let until = Instant::now() + LAST_FIGURES;
        while seeder.peers() > 0 && Instant::now() < until {
            sleep(Duration::from_millis(5)).await;
        }
        seeder.flush().await;
    });
}
