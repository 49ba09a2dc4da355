//! How much we answer: per source, in queries; towards sources that have not proven their address, in bytes for all of
//! them together, because such a reply may hit a victim whose address was forged.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// Sources remembered at once; when full, those with a full bucket are forgotten, which loses nothing.
const SOURCES_MAX: usize = 4_096;

/// Replies to all sources together, proven or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub queries_per_source_per_sec: u32,
    /// How many queries one source may send at once after silence.
    pub queries_burst: u32,
    pub unverified_bytes_per_sec: u32,
    pub bytes_per_sec: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            queries_per_source_per_sec: 5,
            queries_burst: 25,
            unverified_bytes_per_sec: 8_000,
            bytes_per_sec: 32_000,
        }
    }
}

/// Why a query stays unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    Source,
    Unverified,
    Total,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Millionths of a query or byte: many small steps of time must add up.
    level: u64,
    filled: Duration,
}

impl Bucket {
    fn full(burst: u32, now: Duration) -> Self {
        Self {
            level: u64::from(burst) * 1_000_000,
            filled: now,
        }
    }

    fn fill(&mut self, per_sec: u32, burst: u32, now: Duration) {
        let passed = now.saturating_sub(self.filled).as_micros() as u64;
        let more = passed.saturating_mul(u64::from(per_sec));
        self.level = self.level.saturating_add(more).min(u64::from(burst) * 1_000_000);
        self.filled = now;
    }

    fn take(&mut self, amount: usize) -> bool {
        let amount = amount as u64 * 1_000_000;
        let enough = self.level >= amount;
        if enough {
            self.level -= amount;
        }
        enough
    }
}

/// All buckets; bounded.
pub struct Limits {
    config: Config,
    sources: BTreeMap<IpAddr, Bucket>,
    forgotten: Duration,
    unverified: Bucket,
    total: Bucket,
}

impl Limits {
    pub fn new(config: Config, now: Duration) -> Self {
        let unverified = Bucket::full(config.unverified_bytes_per_sec, now);
        let total = Bucket::full(config.bytes_per_sec, now);
        Self {
            config,
            sources: BTreeMap::new(),
            forgotten: now,
            unverified,
            total,
        }
    }

    /// Counts one query. A home's IPv6 prefix is one source: it has more addresses than we have memory.
    pub fn query(&mut self, from: IpAddr, now: Duration) -> Result<(), Dropped> {
        let source = source_of(from);
        let (per_sec, burst) = (self.config.queries_per_source_per_sec, self.config.queries_burst);
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            // At most once a second, or a flood would cost a walk over all sources per datagram.
            if now.saturating_sub(self.forgotten) >= Duration::from_secs(1) {
                self.forget(now);
            }
            // A flood of forged sources must not shut out honest ones; the budgets for all still hold.
            if self.sources.len() >= SOURCES_MAX {
                return Ok(());
            }
        }
        let bucket = self
            .sources
            .entry(source)
            .or_insert_with(|| Bucket::full(burst, now));
        bucket.fill(per_sec, burst, now);
        bucket.take(1).then_some(()).ok_or(Dropped::Source)
    }

    /// Counts one reply of `bytes`.
    pub fn reply(&mut self, bytes: usize, verified: bool, now: Duration) -> Result<(), Dropped> {
        let (unverified, total) = (self.config.unverified_bytes_per_sec, self.config.bytes_per_sec);
        self.total.fill(total, total, now);
        if !verified {
            self.unverified.fill(unverified, unverified, now);
            if !self.unverified.take(bytes) {
                return Err(Dropped::Unverified);
            }
        }
        self.total.take(bytes).then_some(()).ok_or(Dropped::Total)
    }

    /// Drops sources whose bucket is full again. Call about once a minute.
    pub fn forget(&mut self, now: Duration) {
        self.forgotten = now;
        let (per_sec, burst) = (self.config.queries_per_source_per_sec, self.config.queries_burst);
        self.sources.retain(|_, bucket| {
            bucket.fill(per_sec, burst, now);
            bucket.level < u64::from(burst) * 1_000_000
        });
    }
}

/// What counts as one source.
pub fn source_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_gets_its_burst_and_then_its_rate() {
        let mut limits = Limits::new(Config::default(), Duration::ZERO);
        let greedy = IpAddr::from([192, 0, 2, 1]);
        let burst = (0..100)
            .filter(|_| limits.query(greedy, Duration::ZERO).is_ok())
            .count();
        assert_eq!(burst, 25);
        let later = Duration::from_secs(1);
        assert_eq!(
            (0..100).filter(|_| limits.query(greedy, later).is_ok()).count(),
            5
        );
        assert!(
            limits.query(IpAddr::from([192, 0, 2, 2]), later).is_ok(),
            "others are served"
        );
    }

    #[test]
    fn forged_sources_get_eight_kilobytes_a_second_together() {
        let mut limits = Limits::new(Config::default(), Duration::ZERO);
        let mut sent = 0;
        for n in 0..100_000u32 {
            let now = Duration::from_micros(u64::from(n) * 100);
            if limits.reply(300, false, now).is_ok() {
                sent += 300;
            }
        }
        assert!(
            (80_000..=88_000).contains(&sent),
            "{sent} in ten seconds, with one second of burst"
        );
        assert!(
            limits.reply(300, true, Duration::from_secs(10)).is_ok(),
            "proven sources are served"
        );
    }

    #[test]
    fn a_flood_of_sources_stays_within_the_bound_and_is_forgotten() {
        let mut limits = Limits::new(Config::default(), Duration::ZERO);
        for n in 0..20_000u32 {
            let _ = limits.query(IpAddr::from(n.to_be_bytes()), Duration::ZERO);
        }
        assert_eq!(limits.sources.len(), SOURCES_MAX);
        let late = IpAddr::from([9, 9, 9, 9]);
        assert!(limits.query(late, Duration::ZERO).is_ok(), "nobody is shut out");
        assert!(limits.query(late, Duration::from_secs(1)).is_ok());
        assert_eq!(limits.sources.len(), 1);
        let prefix = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, n, 0, 0, 1]);
        let mut limits = Limits::new(Config::default(), Duration::ZERO);
        assert_eq!(
            (0..1000)
                .filter(|n| limits.query(prefix(*n), Duration::ZERO).is_ok())
                .count(),
            25
        );
    }
}
