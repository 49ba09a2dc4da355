//! How much of the home's line and memory the swarm may use: byte rates, connection counts, and when.
//!
//! Must not know sockets or torrents' contents. Reading order: `bucket` (a rate), `seats` (connection counts),
//! `schedule` (rates by the minute of the week). No task, no timer: a bucket fills when it is asked.

mod bucket;
mod schedule;
mod seats;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use proto::id::InfoHash;
use tokio::{sync::watch, time::Instant};

use bucket::Bucket;
pub use schedule::{Schedule, Span};
pub use seats::{Caps, Seat, Seats};

/// The lowest rate that is honoured, bytes per second: below it one 16 KiB block would block a peer for seconds.
pub const RATE_MIN: u64 = 32 << 10;

/// Bytes per second each way; 0: unlimited. Rates between 1 and [`RATE_MIN`] count as [`RATE_MIN`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    pub up: u64,
    pub down: u64,
}

impl Rates {
    fn effective(self) -> Self {
        let floor = |rate: u64| if rate == 0 { 0 } else { rate.max(RATE_MIN) };
        Self {
            up: floor(self.up),
            down: floor(self.down),
        }
    }
}

/// What the household set; changeable at run time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Rates outside every span of the schedule.
    pub rates: Rates,
    /// Larger caps: more memory (about 20 KiB each). Smaller: slower swarms.
    pub caps: Caps,
    pub schedule: Schedule,
}

/// Cheap to clone; all clones are one set of limits.
#[derive(Clone)]
pub struct Limits {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Mutex<Settings>,
    /// Uploads only: what is downloaded goes through the engine, which keeps a bucket of its own (`rates`).
    up: Bucket,
    /// Only torrents with a rate of their own: bounded by what the household typed in.
    torrents: Mutex<HashMap<InfoHash, Arc<Bucket>>>,
    /// The minute whose rates are in force; before it is known, the ordinary ones are.
    minute: Mutex<Option<u16>>,
    seats: Seats,
    rates: watch::Sender<Rates>,
}

impl Limits {
    pub fn new(settings: Settings) -> Self {
        let rates = settings.rates.effective();
        Self {
            inner: Arc::new(Inner {
                up: Bucket::new(rates.up),
                torrents: Mutex::default(),
                minute: Mutex::default(),
                seats: Seats::new(settings.caps),
                rates: watch::channel(rates).0,
                settings: Mutex::new(settings),
            }),
        }
    }

    /// Takes effect at once; connections over a lowered cap stay until they end.
    pub fn set(&self, settings: Settings) {
        self.inner.seats.set_caps(settings.caps);
        *lock(&self.inner.settings) = settings;
        self.follow();
    }

    /// Applies the schedule. Call it at start and once a minute with the minute of the household's week, 0 = Monday 00:00.
    pub fn minute_begins(&self, minute_of_week: u16) {
        *lock(&self.inner.minute) = Some(minute_of_week);
        self.follow();
    }

    fn follow(&self) {
        let minute = *lock(&self.inner.minute);
        let rates = {
            let settings = lock(&self.inner.settings);
            let scheduled = minute.and_then(|minute| settings.schedule.rates_at(minute));
            scheduled.unwrap_or(settings.rates)
        };
        self.apply(rates);
    }

    fn apply(&self, rates: Rates) {
        let rates = rates.effective();
        self.inner.up.set_rate(rates.up);
        self.inner.rates.send_if_modified(|old| {
            let changed = *old != rates;
            *old = rates;
            changed
        });
    }

    /// What an engine that keeps its own buckets may upload of `up`: the half, and what it used is [owed](Self::owe), so that
    /// the sum stays below the limit. 0: unlimited.
    pub fn engine_share(up: u64) -> u64 {
        match up {
            0 => 0,
            up => (up / 2).max(RATE_MIN),
        }
    }

    /// The rates in force, and every change: for an engine that keeps its own buckets.
    pub fn rates(&self) -> watch::Receiver<Rates> {
        self.inner.rates.subscribe()
    }

    /// A torrent's own upload rate in bytes per second, under the one of all; `None` lifts it.
    pub fn set_torrent(&self, infohash: InfoHash, up: Option<u64>) {
        let mut torrents = lock(&self.inner.torrents);
        match up {
            Some(up) => {
                let rates = Rates { up, down: 0 }.effective();
                torrents.insert(infohash, Arc::new(Bucket::new(rates.up)));
            }
            None => {
                torrents.remove(&infohash);
            }
        }
    }

    /// Takes `bytes` now, or says how long to wait before asking again. A bucket may go one block into debt, so that a
    /// large block never starves; the debt is paid before the next.
    pub fn take(&self, infohash: &InfoHash, bytes: u64) -> Result<(), Duration> {
        let own = lock(&self.inner.torrents).get(infohash).cloned();
        let now = Instant::now();
        let Some(own) = own else {
            return self.inner.up.take(bytes, now);
        };
        own.ready(now)?;
        self.inner.up.take(bytes, now)?;
        // Between the two lines another connection may have emptied it; then the debt grows by one block.
        own.owe(bytes, now);
        Ok(())
    }

    /// Bytes that went past the bucket, by an engine with buckets of its own: others wait the longer.
    pub fn owe(&self, bytes: u64) {
        self.inner.up.owe(bytes, Instant::now());
    }

    /// Connection counts.
    pub fn seats(&self) -> &Seats {
        &self.inner.seats
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

/// A panic elsewhere must not turn into one here: all states behind these locks are valid at every line.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
