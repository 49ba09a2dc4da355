//! The peers others announced to us: bounded, and forgotten after half an hour (BEP 5), scraped as blooms (BEP 33) and
//! sampled (BEP 51).

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use super::{
    bloom::Bloom,
    id::{Family, Id},
    random::Random,
};

const EXPIRY: Duration = Duration::from_secs(30 * 60);
/// How long a sample stays the same, so that nobody learns more by asking oftener.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(600);
/// With two node lists this still fits one datagram.
pub const SAMPLE_MAX: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Larger: more memory strangers can fill (about 60 bytes per peer).
    pub infohashes_max: usize,
    pub peers_per_infohash_max: usize,
    pub peers_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            infohashes_max: 2_000,
            peers_per_infohash_max: 200,
            peers_max: 20_000,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Peer {
    addr: SocketAddr,
    seed: bool,
    announced: Duration,
}

/// All peers, of both networks.
pub struct Peers {
    config: Config,
    swarms: BTreeMap<Id, Vec<Peer>>,
    total: usize,
    sample: Vec<u8>,
    sampled: Option<Duration>,
}

impl Peers {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            swarms: BTreeMap::new(),
            total: 0,
            sample: Vec::new(),
            sampled: None,
        }
    }

    /// Stores or refreshes. When full, the oldest peer of the same swarm, else the stalest swarm, gives way.
    pub fn announce(&mut self, info_hash: Id, addr: SocketAddr, seed: bool, now: Duration) {
        let peer = Peer {
            addr,
            seed,
            announced: now,
        };
        if let Some(swarm) = self.swarms.get_mut(&info_hash) {
            if let Some(known) = swarm.iter_mut().find(|known| known.addr == addr) {
                *known = peer;
                return;
            }
            if swarm.len() >= self.config.peers_per_infohash_max {
                if let Some(oldest) = swarm.iter_mut().min_by_key(|known| known.announced) {
                    *oldest = peer;
                }
                return;
            }
        } else if self.swarms.len() >= self.config.infohashes_max {
            self.drop_stalest();
        }
        if self.total >= self.config.peers_max {
            self.drop_stalest();
        }
        self.swarms.entry(info_hash).or_default().push(peer);
        self.total += 1;
    }

    /// Up to `max` peers of one network, a random run of them; without seeds when `noseed`.
    pub fn get(
        &self,
        info_hash: &Id,
        family: Family,
        noseed: bool,
        max: usize,
        now: Duration,
        random: &mut Random,
    ) -> Vec<SocketAddr> {
        let swarm = self.swarms.get(info_hash).map(Vec::as_slice).unwrap_or_default();
        let fits =
            |peer: &&Peer| fresh(peer, now) && Family::of(&peer.addr) == family && !(noseed && peer.seed);
        let mut found: Vec<_> = swarm.iter().filter(fits).map(|peer| peer.addr).collect();
        let start = random.below(found.len());
        found.rotate_left(start);
        found.truncate(max);
        found
    }

    /// Seeds and other peers as filters (BEP 33); none when we know no peer.
    pub fn scrape(&self, info_hash: &Id, now: Duration) -> Option<(Bloom, Bloom)> {
        let mut filters = (Bloom::default(), Bloom::default());
        let swarm = self.swarms.get(info_hash)?;
        for peer in swarm.iter().filter(|peer| fresh(peer, now)) {
            let filter = if peer.seed { &mut filters.0 } else { &mut filters.1 };
            filter.insert(peer.addr.ip());
        }
        Some(filters)
    }

    /// Infohashes, 20 bytes each; the same ones for [`SAMPLE_INTERVAL`].
    pub fn sample(&mut self, now: Duration, random: &mut Random) -> &[u8] {
        let due = self
            .sampled
            .is_none_or(|at| now.saturating_sub(at) >= SAMPLE_INTERVAL);
        if due {
            let length = self.swarms.len();
            let start = random.below(length);
            let run = self
                .swarms
                .keys()
                .cycle()
                .skip(start)
                .take(length.min(SAMPLE_MAX));
            self.sample = run.flat_map(|id| id.0).collect();
            self.sampled = (length > 0).then_some(now);
        }
        &self.sample
    }

    pub fn infohashes(&self) -> usize {
        self.swarms.len()
    }

    pub fn len(&self) -> usize {
        self.total
    }

    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Forgets what is older than half an hour. Call every few minutes.
    pub fn expire(&mut self, now: Duration) {
        self.swarms.retain(|_, swarm| {
            swarm.retain(|peer| fresh(peer, now));
            !swarm.is_empty()
        });
        self.total = self.swarms.values().map(Vec::len).sum();
    }

    fn drop_stalest(&mut self) {
        let newest = |swarm: &Vec<Peer>| swarm.iter().map(|peer| peer.announced).max();
        let stalest = self
            .swarms
            .iter()
            .min_by_key(|(_, swarm)| newest(swarm))
            .map(|(id, _)| *id);
        if let Some(swarm) = stalest.and_then(|id| self.swarms.remove(&id)) {
            self.total -= swarm.len();
        }
    }
}

fn fresh(peer: &Peer, now: Duration) -> bool {
    now.saturating_sub(peer.announced) < EXPIRY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::from((0x0a00_0000 + n).to_be_bytes()), 6881)
    }

    fn id(n: u32) -> Id {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        Id(bytes)
    }

    #[test]
    fn a_peer_is_found_until_half_an_hour_has_passed() {
        let mut random = Random::new([4; 32]);
        let mut peers = Peers::new(Config::default());
        peers.announce(id(1), peer(1), true, Duration::ZERO);
        peers.announce(
            id(1),
            "[2001:db8::1]:5".parse().expect("address"),
            false,
            Duration::ZERO,
        );
        let at = |secs| Duration::from_secs(secs);
        assert_eq!(
            peers.get(&id(1), Family::V4, false, 9, at(1799), &mut random),
            [peer(1)]
        );
        assert!(
            peers
                .get(&id(1), Family::V4, true, 9, at(1799), &mut random)
                .is_empty(),
            "no seeds asked"
        );
        assert!(
            peers
                .get(&id(1), Family::V4, false, 9, at(1800), &mut random)
                .is_empty()
        );
        peers.announce(id(1), peer(1), true, at(1700));
        assert_eq!(peers.len(), 2, "a repeated announce is the same peer");
        peers.expire(at(1800));
        assert_eq!((peers.len(), peers.infohashes()), (1, 1));
        let (seeds, others) = peers.scrape(&id(1), at(1800)).expect("known");
        assert!(seeds.estimate() > 0.5 && others.estimate() < 0.5);
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut peers = Peers::new(Config {
            infohashes_max: 50,
            peers_per_infohash_max: 10,
            peers_max: 100,
        });
        for n in 0..5_000 {
            peers.announce(id(n % 200), peer(n), false, Duration::from_secs(u64::from(n)));
            assert!(peers.len() <= 100 && peers.infohashes() <= 50);
        }
        assert_eq!(peers.swarms.values().map(Vec::len).sum::<usize>(), peers.len());
        assert!(peers.swarms.contains_key(&id(4_999 % 200)), "the newest is there");
        for n in 0..100 {
            peers.announce(id(7), peer(n), false, Duration::from_secs(6_000 + u64::from(n)));
        }
        assert_eq!(peers.swarms[&id(7)].len(), 10);
    }

    #[test]
    fn a_sample_stays_the_same_for_its_interval() {
        let mut random = Random::new([5; 32]);
        let mut peers = Peers::new(Config::default());
        assert!(peers.sample(Duration::ZERO, &mut random).is_empty());
        (0..100).for_each(|n| peers.announce(id(n), peer(n), false, Duration::ZERO));
        let first = peers.sample(Duration::ZERO, &mut random).to_vec();
        assert_eq!(first.len(), SAMPLE_MAX * 20);
        assert_eq!(
            peers.sample(SAMPLE_INTERVAL - Duration::from_secs(1), &mut random),
            first
        );
        let other = (1..9).any(|n| peers.sample(SAMPLE_INTERVAL * n, &mut random) != first);
        assert!(other);
    }
}
