//! Whole nets of nodes in simulated time: public addresses, latencies of 20 to 150 ms, dead and hostile nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    K,
    id::{Contact, Family, Id},
    krpc::{self, Body, Message, Reply},
    node::{Config, Event, JobId, Node},
    random::Random,
};

enum Kind {
    Honest(Box<Node>),
    Dead,
    /// Answers with bytes that are no message, or half a message.
    Garbage,
    /// Answers every query, under an id next to its target, with more such liars and a false peer.
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
        };
        let ids: Vec<_> = (0..count)
            .map(|n| super::id::secure(addr(n).ip(), &mut random))
            .collect();
        for n in 0..count {
            if random.below(100) < dead_percent as usize {
                world.kinds.insert(addr(n), Kind::Dead);
                continue;
            }
            let mut node = Node::new(Config::default(), random.bytes(), Duration::ZERO);
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
        Duration::from_millis(20 + self.random.below(130) as u64)
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
                        outcome.stored = stored;
                        outcome.took = self.now - begun;
                        return outcome;
                    }
                    _ => {}
                }
            }
            assert!(self.now < begun + Duration::from_secs(60), "the job never ends");
            self.run(self.now + Duration::from_millis(10));
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
    stored: usize,
    took: Duration,
}

fn snapshot(id: &Id, known: &[Contact]) -> Vec<u8> {
    use crate::bencode::Value;
    let nodes = Value::bytes(krpc::compact_nodes(known));
    Value::dict([("v4", Value::dict([("id", Value::bytes(id.0)), ("nodes", nodes)]))]).encode()
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn peers_are_found_in_a_net_of_200_nodes_of_which_every_tenth_is_dead() {
    let mut world = World::new(200, 10, 10);
    world.run(secs(60));
    let (found, mean, worst) = world.promise(20);
    assert!(found >= 0.95, "{found}");
    assert!(
        mean < Duration::from_millis(1_200) && worst < secs(3),
        "{mean:?} {worst:?}"
    );
}

#[test]
fn peers_are_found_in_a_net_of_300_nodes_of_which_half_are_dead() {
    let mut world = World::new(300, 50, 20);
    world.run(secs(60));
    let (found, mean, worst) = world.promise(20);
    assert!(found >= 0.9, "{found}");
    assert!(mean < secs(2) && worst < secs(5), "{mean:?} {worst:?}");
}

#[test]
fn peers_are_found_in_a_net_of_1000_nodes() {
    let mut world = World::new(1_000, 20, 30);
    world.run(secs(20));
    let (found, mean, _) = world.promise(10);
    assert!(found >= 0.9, "{found}");
    assert!(mean < secs(2), "{mean:?}");
    let sizes: Vec<_> = world
        .honest()
        .into_iter()
        .map(|at| world.node(at).stats(secs(0)).nodes_v4)
        .collect();
    assert!(
        sizes.iter().all(|size| *size < 160 * K / 4),
        "tables stay small: {sizes:?}"
    );
}

#[test]
fn garbage_and_liars_near_the_target_do_not_hide_a_peer() {
    let mut world = World::new(200, 10, 40);
    world.run(secs(60));
    for n in 0..40 {
        let at = addr(10_000 + n);
        let kind = if n % 4 == 0 { Kind::Garbage } else { Kind::Sybil };
        world.kinds.insert(at, kind);
        world.liars.push(at);
    }
    // Everyone gets to know liars, as by their queries.
    for (n, at) in world.honest().into_iter().enumerate() {
        let (liar, now) = (world.liars[n % 40], world.now);
        world.node(at).ping(liar, now);
        world.flush(at);
    }
    world.run(secs(70));
    let sent = |world: &mut World| -> u64 {
        world
            .honest()
            .into_iter()
            .map(|at| world.node(at).stats(secs(0)).queries_out.total())
            .sum()
    };
    let before = sent(&mut world);
    let (found, _, worst) = world.promise(20);
    assert!(found >= 0.9, "{found}");
    assert!(worst < secs(10), "{worst:?}");
    let per_job = (sent(&mut world) - before) / 40;
    assert!(per_job < 150, "{per_job} queries per job");
}

#[test]
fn an_idle_net_is_quiet() {
    let mut world = World::new(60, 0, 50);
    world.run(secs(120));
    let total = |world: &mut World| -> u64 {
        world
            .honest()
            .into_iter()
            .map(|at| world.node(at).stats(secs(0)).queries_out.total())
            .sum()
    };
    let before = total(&mut world);
    world.run(secs(120 + 3_600));
    let per_node_and_minute = (total(&mut world) - before) as f64 / 60.0 / 60.0;
    assert!(
        per_node_and_minute < 20.0,
        "{per_node_and_minute} queries a minute"
    );
    let now = world.now;
    let good: Vec<_> = world
        .honest()
        .into_iter()
        .map(|at| world.node(at).stats(now).good_v4)
        .collect();
    assert!(
        good.iter().all(|good| *good >= K),
        "and nobody forgets the others: {good:?}"
    );
}

#[test]
fn an_announced_peer_is_forgotten_after_half_an_hour() {
    let mut world = World::new(60, 0, 60);
    world.run(secs(60));
    let honest = world.honest();
    let info_hash = Id([0x77; 20]);
    let outcome = world.job(honest[1], |node, now| node.announce(info_hash, 20_001, now));
    assert_eq!(outcome.stored, K);
    let found = world.job(honest[2], |node, now| node.get_peers(info_hash, now));
    assert_eq!(found.peers, [SocketAddr::new(honest[1].ip(), 20_001)]);
    world.run(world.now + secs(31 * 60));
    let found = world.job(honest[2], |node, now| node.get_peers(info_hash, now));
    assert!(found.peers.is_empty());
}

#[test]
fn a_node_with_an_unbound_id_learns_its_address_and_takes_one_that_is_bound() {
    let mut world = World::new(60, 0, 70);
    let at = addr(5_000);
    let mut node = Node::new(Config::default(), [9; 32], Duration::ZERO);
    node.enable(Family::V4);
    node.set_routers(vec![addr(1)], Duration::ZERO);
    let old = node.id(Family::V4).expect("enabled");
    assert!(!super::id::is_secure(&old, at.ip()), "the seed is chosen so");
    world.kinds.insert(at, Kind::Honest(Box::new(node)));
    world.wake(at, Duration::ZERO);
    world.run(secs(60));
    let new = world.node(at).id(Family::V4).expect("enabled");
    assert_ne!(new, old);
    assert!(super::id::is_secure(&new, at.ip()));
    let snapshot = world.node(at).snapshot();
    let mut again = Node::new(Config::default(), [10; 32], Duration::ZERO);
    again.enable(Family::V4);
    again.restore(&snapshot, Duration::ZERO);
    assert_eq!(again.id(Family::V4), Some(new), "the id survives a restart");
    again.tick(Duration::ZERO);
    assert!(again.take_datagram().is_some(), "and so do nodes to ask");
}

#[test]
fn forged_replies_and_addresses_of_the_home_are_ignored() {
    let mut node = Node::new(Config::default(), [11; 32], Duration::ZERO);
    node.enable(Family::V4);
    node.ping(addr(1), Duration::ZERO);
    let (_, ping) = node.take_datagram().expect("asked");
    let tid = krpc::decode(&ping).expect("a message").tid.to_vec();
    let reply = Reply {
        id: Id([1; 20]),
        ..Reply::default()
    };
    let forged = Message::new(&tid, Body::Reply(Box::new(reply))).encode();
    node.on_datagram(addr(2), &forged, secs(0));
    assert_eq!(
        (node.stats(secs(0)).nodes_v4, node.stats(secs(0)).ignored),
        (0, 1),
        "not who was asked"
    );
    node.on_datagram(addr(1), &forged, secs(0));
    assert_eq!(node.stats(secs(0)).nodes_v4, 1);

    let home: SocketAddr = "192.168.1.1:6881".parse().expect("address");
    let find =
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe";
    node.on_datagram(home, find, secs(0));
    node.ping(home, secs(0));
    node.ping("127.0.0.1:6881".parse().expect("address"), secs(0));
    node.ping("45.1.1.1:22".parse().expect("address"), secs(0));
    assert_eq!(node.take_datagram(), None);
}
