//! Whole nets of nodes in simulated time: public addresses, latencies of 20 to 150 ms, dead and hostile nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    id::{Contact, Family, Id},
    item::{Got, Stored},
    krpc::{self, Body, Message, Reply},
    limits,
    node::{Config, Event, JobId, Node},
    random::Random,
};

mod item_tests;
mod peer_tests;

enum Kind {
    Honest(Box<Node>),
    Dead,
    /// Answers with bytes that are no message, or half a message.
    Garbage,
    /// Answers every query, under an id next to its target, with more such liars, a false peer and a forged item.
    Sybil,
}

struct World {
    now: Duration,
    kinds: BTreeMap<SocketAddr, Kind>,
    /// When each honest node wants its next tick, and the same in order.
    ticks: BTreeMap<SocketAddr, Duration>,
    queue: BTreeSet<(Duration, SocketAddr)>,
    /// By arrival: from, to, bytes.
    wire: BTreeMap<(Duration, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    number: u64,
    random: Random,
    liars: Vec<SocketAddr>,
    /// Of a datagram: at least, and at most so much more.
    latency: [Duration; 2],
    config: Config,
}

fn addr(n: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::from((0x2d00_0000 + n * 1_021).to_be_bytes()), 6881)
}

fn false_peer() -> SocketAddr {
    "66.66.66.66:26666".parse().expect("address")
}

impl World {
    /// `count` honest nodes that have found their valid ids; each knows twenty others, of whom some are about to die.
    fn new(count: u32, dead_percent: u32, seed: u8) -> Self {
        Self::with(Config::default(), count, dead_percent, seed)
    }

    fn with(config: Config, count: u32, dead_percent: u32, seed: u8) -> Self {
        let mut random = Random::new([seed; 32]);
        let mut world = World {
            now: Duration::ZERO,
            kinds: BTreeMap::new(),
            ticks: BTreeMap::new(),
            queue: BTreeSet::new(),
            wire: BTreeMap::new(),
            number: 0,
            random: Random::new([seed + 1; 32]),
            liars: Vec::new(),
            latency: [20, 130].map(Duration::from_millis),
            config,
        };
        let ids: Vec<_> = (0..count)
            .map(|n| super::id::secure(addr(n).ip(), &mut random))
            .collect();
        for n in 0..count {
            if random.below(100) < dead_percent as usize {
                world.kinds.insert(addr(n), Kind::Dead);
                continue;
            }
            let mut node = Node::new(world.config.clone(), random.bytes(), Duration::ZERO);
            node.enable(Family::V4);
            let known: Vec<_> = (0..20).map(|_| random.below(count as usize)).collect();
            let known: Vec<_> = known
                .into_iter()
                .map(|n| Contact {
                    id: ids[n],
                    addr: addr(n as u32),
                })
                .collect();
            node.restore(&snapshot(&ids[n as usize], &known), Duration::ZERO);
            world.kinds.insert(addr(n), Kind::Honest(Box::new(node)));
            world.wake(addr(n), Duration::ZERO);
        }
        world
    }

    fn latency(&mut self) -> Duration {
        let [least, more] = self.latency;
        least + Duration::from_micros(self.random.below(more.as_micros() as usize) as u64)
    }

    fn node(&mut self, at: SocketAddr) -> &mut Node {
        match self.kinds.get_mut(&at) {
            Some(Kind::Honest(node)) => node,
            _ => panic!("an honest node"),
        }
    }

    fn honest(&self) -> Vec<SocketAddr> {
        let honest = self
            .kinds
            .iter()
            .filter(|(_, kind)| matches!(kind, Kind::Honest(_)));
        honest.map(|(addr, _)| *addr).collect()
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let at = self.now + self.latency();
        self.number += 1;
        self.wire.insert((at, self.number), (from, to, bytes));
    }

    fn wake(&mut self, node: SocketAddr, at: Duration) {
        if let Some(old) = self.ticks.insert(node, at) {
            self.queue.remove(&(old, node));
        }
        self.queue.insert((at, node));
    }

    fn flush(&mut self, at: SocketAddr) {
        let node = self.node(at);
        let mut out = Vec::new();
        while let Some(datagram) = node.take_datagram() {
            out.push(datagram);
        }
        let tick = node.next_tick();
        self.wake(at, tick);
        out.into_iter().for_each(|(to, bytes)| self.send(at, to, bytes));
    }

    /// Runs until `until`.
    fn run(&mut self, until: Duration) {
        loop {
            let datagram = self.wire.first_key_value().map(|(key, _)| *key);
            let (tick_time, tick_at) = *self.queue.first().expect("nodes");
            let next = datagram.map_or(tick_time, |(at, _)| at.min(tick_time));
            if next > until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            let now = self.now;
            match datagram.filter(|(at, _)| *at <= tick_time) {
                Some(key) => {
                    let (from, to, bytes) = self.wire.remove(&key).expect("just seen");
                    self.deliver(from, to, &bytes);
                }
                None => {
                    self.node(tick_at).tick(now);
                    self.flush(tick_at);
                }
            }
        }
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.now;
        match self.kinds.get_mut(&to) {
            Some(Kind::Honest(node)) => {
                node.on_datagram(from, bytes, now);
                self.flush(to);
            }
            Some(Kind::Garbage) => {
                let half = bytes[..bytes.len() / 2].to_vec();
                self.send(to, from, half);
            }
            Some(Kind::Sybil) => {
                if let Some(lie) = self.lie(bytes) {
                    self.send(to, from, lie);
                }
            }
            Some(Kind::Dead) | None => {}
        }
    }

    fn lie(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let message = krpc::decode(bytes).ok()?;
        let Body::Query(query) = &message.body else {
            return None;
        };
        let target = match &query.ask {
            krpc::Ask::FindNode { target } => *target,
            krpc::Ask::GetPeers { info_hash, .. } => *info_hash,
            krpc::Ask::Get { target, .. } => *target,
            _ => query.id,
        };
        let near = |random: &mut Random| {
            let mut id = target;
            id.0[18..].copy_from_slice(&random.bytes::<2>());
            id
        };
        let liars = self.liars.clone();
        let nodes = liars.iter().take(8).map(|addr| Contact {
            id: near(&mut self.random),
            addr: *addr,
        });
        let reply = Reply {
            nodes: Some(nodes.collect()),
            id: near(&mut self.random),
            token: Some(b"x"),
            values: Some(vec![false_peer()]),
            v: Some(b"4:lies"),
            key: Some(&[7; 32]),
            sig: Some(&[7; 64]),
            seq: Some(i64::MAX),
            ..Reply::default()
        };
        Some(Message::new(message.tid, Body::Reply(Box::new(reply))).encode())
    }

    /// Runs a job of the node at `at` to its end: what it found, how many stored, how long it took.
    fn job(&mut self, at: SocketAddr, start: impl FnOnce(&mut Node, Duration) -> JobId) -> Outcome {
        let begun = self.now;
        let job = start(self.node(at), begun);
        self.flush(at);
        let mut outcome = Outcome::default();
        loop {
            while let Some(event) = self.node(at).take_event() {
                match event {
                    Event::Peers { job: of, peers } if of == job => outcome.peers.extend(peers),
                    Event::Done { job: of, stored, .. } if of == job => {
                        outcome.stored.stored = stored;
                        outcome.ended = true;
                    }
                    Event::Got { job: of, got } if of == job => {
                        outcome.got = *got;
                        outcome.ended = true;
                    }
                    Event::Stored { job: of, stored } if of == job => {
                        outcome.stored = stored;
                        outcome.ended = true;
                    }
                    _ => {}
                }
            }
            if outcome.ended {
                outcome.took = self.now - begun;
                return outcome;
            }
            assert!(self.now < begun + Duration::from_secs(60), "the job never ends");
            self.run(self.now + self.latency[0] / 2);
        }
    }

    /// The node falls silent without a word.
    fn kill(&mut self, at: SocketAddr) {
        self.kinds.insert(at, Kind::Dead);
        if let Some(tick) = self.ticks.remove(&at) {
            self.queue.remove(&(tick, at));
        }
    }

    /// Share of announced peers that are found, and the longest lookup.
    fn promise(&mut self, jobs: usize) -> (f64, Duration, Duration) {
        let honest = self.honest();
        let (mut found, mut worst, mut total) = (0, Duration::ZERO, Duration::ZERO);
        for n in 0..jobs {
            let info_hash = Id(self.random.bytes());
            let writer = honest[self.random.below(honest.len())];
            let reader = honest[self.random.below(honest.len())];
            let port = 20_000 + n as u16;
            self.job(writer, |node, now| node.announce(info_hash, port, now));
            let outcome = self.job(reader, |node, now| node.get_peers(info_hash, now));
            let peer = SocketAddr::new(writer.ip(), port);
            found += usize::from(outcome.peers.contains(&peer));
            worst = worst.max(outcome.took);
            total += outcome.took;
        }
        (found as f64 / jobs as f64, total / jobs as u32, worst)
    }
}

#[derive(Debug, Default)]
struct Outcome {
    peers: Vec<SocketAddr>,
    got: Got,
    stored: Stored,
    took: Duration,
    ended: bool,
}

/// Nothing is refused for being too much: jobs follow each other faster than in life.
fn generous() -> Config {
    let many = 1_000_000_000;
    Config {
        limits: limits::Config {
            queries_per_source_per_sec: many,
            queries_burst: many,
            unverified_bytes_per_sec: many,
            bytes_per_sec: many,
        },
        ..Config::default()
    }
}

fn snapshot(id: &Id, known: &[Contact]) -> Vec<u8> {
    use crate::bencode::Value;
    let nodes = Value::bytes(krpc::compact_nodes(known));
    Value::dict([("v4", Value::dict([("id", Value::bytes(id.0)), ("nodes", nodes)]))]).encode()
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
