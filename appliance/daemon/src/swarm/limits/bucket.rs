//! A token bucket that fills when it is asked.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Seconds' worth of tokens that may gather: more makes bursts, less loses rate between wake-ups.
const BURST: f64 = 0.25;

/// Smallest burst, bytes: one block.
const BURST_MIN: f64 = 16384.0;

/// Longest advice to wait: a changed rate is noticed within it.
const WAIT_MAX: Duration = Duration::from_millis(500);

pub struct Bucket {
    /// Bytes per second; 0: unlimited. Read without the lock, so that an unlimited bucket costs nothing.
    rate: AtomicU64,
    level: Mutex<Level>,
}

struct Level {
    /// May be negative: debt.
    tokens: f64,
    filled: Option<Instant>,
}

impl Bucket {
    pub fn new(rate: u64) -> Self {
        Self {
            rate: AtomicU64::new(rate),
            level: Mutex::new(Level {
                tokens: BURST_MIN,
                filled: None,
            }),
        }
    }

    pub fn set_rate(&self, rate: u64) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// Whether anything may go now; takes nothing.
    pub fn ready(&self, now: Instant) -> Result<(), Duration> {
        self.with(now, |_| ())
    }

    pub fn take(&self, bytes: u64, now: Instant) -> Result<(), Duration> {
        self.with(now, |level| level.tokens -= bytes as f64)
    }

    /// Takes whatever the level is.
    pub fn owe(&self, bytes: u64, now: Instant) {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate != 0 {
            let mut level = super::lock(&self.level);
            level.fill(rate as f64, now);
            level.tokens -= bytes as f64;
        }
    }

    fn with(&self, now: Instant, deed: impl FnOnce(&mut Level)) -> Result<(), Duration> {
        let rate = self.rate.load(Ordering::Relaxed) as f64;
        if rate == 0.0 {
            return Ok(());
        }
        let mut level = super::lock(&self.level);
        level.fill(rate, now);
        if level.tokens > 0.0 {
            deed(&mut level);
            return Ok(());
        }
        let wait = Duration::from_secs_f64((1.0 - level.tokens) / rate);
        Err(wait.clamp(Duration::from_millis(2), WAIT_MAX))
    }
}

impl Level {
    fn fill(&mut self, rate: f64, now: Instant) {
        let elapsed = self
            .filled
            .map_or(Duration::ZERO, |filled| now.saturating_duration_since(filled));
        self.filled = Some(now);
        let full = (rate * BURST).max(BURST_MIN);
        self.tokens = (self.tokens + rate * elapsed.as_secs_f64()).min(full);
    }
}
