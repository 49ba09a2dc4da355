//! A whole node without its sockets: datagrams and times go in, datagrams and events come out.
//!
//! Reading order: here (what the outside does with a node), `side` (one network's table and id), `lookups` (jobs of ours),
//! `items` (those about items), `traffic` (what comes in), `upkeep` (what time alone brings about), `memory` (what outlives a restart).

mod items;
mod lookups;
mod memory;
mod side;
mod stats;
mod traffic;
mod upkeep;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use lookups::{Job, Search, Wish};
use side::Side;
pub use stats::{Kinds, Stats};

use super::{
    id::{Contact, Family, Id},
    item::{Got, Stored},
    items::{self as stored_items, Items},
    krpc::{Ask, Body, Message, Query, Want},
    limits::{self, Limits},
    peers::{self, Peers},
    random::Random,
    server::Server,
    silence::Silence,
    token::Tokens,
};
use crate::guard::{self, Policy};

/// Queries waiting for their answer at once; more are not sent.
const PENDING_MAX: usize = 1_024;
/// Datagrams and events nobody has fetched yet; the caller fetches after every call, so this is never reached by it.
const QUEUE_MAX: usize = 4_096;
/// A `get` is at least so long: its answer may be an item of 1000 bytes with its signature and key.
const GET_LEN: usize = 128;
/// Peers told per job, so that hostile answers cannot fill the memory.
const FOUND_MAX: usize = 2_000;

#[derive(Debug, Clone)]
pub struct Config {
    /// We ask but do not answer (BEP 43).
    pub read_only: bool,
    /// Whom we may ask and name. With loopback allowed, many nodes may share an address.
    pub policy: Policy,
    pub limits: limits::Config,
    pub peers: peers::Config,
    pub items: stored_items::Config,
    /// Client and version as others see it.
    pub version: [u8; 4],
}

impl Default for Config {
    fn default() -> Self {
        Self {
            read_only: false,
            policy: Policy::default(),
            limits: limits::Config::default(),
            peers: peers::Config::default(),
            items: stored_items::Config::default(),
            version: *b"GY\x00\x01",
        }
    }
}

/// A lookup, announce or put somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

/// Something to tell the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Peers not told before in this job.
    Peers { job: JobId, peers: Vec<SocketAddr> },
    /// The lookup or announce has ended: so many nodes answered, so many store our announce.
    Done {
        job: JobId,
        answered: usize,
        stored: usize,
    },
    /// The lookup of an item has ended.
    Got { job: JobId, got: Box<Got> },
    /// The put of an item has ended.
    Stored { job: JobId, stored: Stored },
    /// Our id has changed with our address: worth remembering at once.
    Rekeyed,
}

/// Why we asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Ping,
    Lookup(u64),
    /// An announce or put that follows a lookup.
    Store(u64),
}

#[derive(Debug)]
struct Pending {
    to: SocketAddr,
    sent: Duration,
    gives_up: Duration,
    why: Why,
}

/// One DHT node in one or two networks.
pub struct Node {
    config: Config,
    random: Random,
    server: Server,
    sides: [Option<Side>; 2],
    pending: BTreeMap<[u8; 4], Pending>,
    silence: Silence,
    searches: BTreeMap<u64, Search>,
    jobs: BTreeMap<JobId, Job>,
    next_number: u64,
    outbox: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<Event>,
    routers: Vec<SocketAddr>,
    upkeep_due: Duration,
    cleared: Duration,
    stats: Stats,
}

impl Node {
    /// `seed` must come from the system's source of randomness. The node has no network until [`Node::enable`].
    pub fn new(config: Config, seed: [u8; 32], now: Duration) -> Self {
        let mut random = Random::new(seed);
        let server = Server {
            tokens: Tokens::new(now, &mut random),
            peers: Peers::new(config.peers.clone()),
            items: Items::new(config.items.clone()),
            limits: Limits::new(config.limits.clone(), now),
        };
        Self {
            config,
            random,
            server,
            sides: [None, None],
            pending: BTreeMap::new(),
            silence: Silence::default(),
            searches: BTreeMap::new(),
            jobs: BTreeMap::new(),
            next_number: 0,
            outbox: VecDeque::new(),
            events: VecDeque::new(),
            routers: Vec::new(),
            upkeep_due: now,
            cleared: now,
            stats: Stats::default(),
        }
    }

    /// Takes part in one network, under a new random id unless [`Node::restore`] finds an old one.
    pub fn enable(&mut self, family: Family) {
        let id = Id(self.random.bytes());
        self.sides[family as usize] = Some(Side::new(id, !self.config.policy.allow_loopback));
    }

    pub fn id(&self, family: Family) -> Option<Id> {
        self.side(family).map(|side| side.table.own())
    }

    /// Looks for peers in every network we have. Ends with [`Event::Done`], also when nobody is there.
    pub fn get_peers(&mut self, info_hash: Id, now: Duration) -> JobId {
        self.start_job(info_hash, Wish::Peers, now)
    }

    /// Finds the closest nodes and tells them that we serve `info_hash` on `port`.
    pub fn announce(&mut self, info_hash: Id, port: u16, now: Duration) -> JobId {
        self.start_job(info_hash, Wish::Announce(port), now)
    }

    /// Nobody waits for it any more.
    pub fn cancel(&mut self, job: JobId) {
        self.jobs.remove(&job);
        self.searches.retain(|_, search| search.job != Some(job));
    }

    /// A peer named its DHT port: ask whether a node answers there.
    pub fn ping(&mut self, addr: SocketAddr, now: Duration) {
        self.query(addr, Ask::Ping, Why::Ping, now);
    }

    /// Nodes to ask when we know nobody; replaces those given before. Asked at the next tick.
    pub fn set_routers(&mut self, routers: Vec<SocketAddr>, now: Duration) {
        self.routers = routers;
        self.upkeep_due = now;
    }

    /// The next datagram to send.
    pub fn take_datagram(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.outbox.pop_front()
    }

    pub fn take_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Jobs under way.
    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }

    pub fn stats(&self, now: Duration) -> Stats {
        let count = |family| {
            self.side(family)
                .map_or((0, 0), |side| (side.table.len(), side.table.good(now)))
        };
        let ((nodes_v4, good_v4), (nodes_v6, good_v6)) = (count(Family::V4), count(Family::V6));
        Stats {
            nodes_v4,
            nodes_v6,
            good_v4,
            good_v6,
            stored_peers: self.server.peers.len(),
            stored_infohashes: self.server.peers.infohashes(),
            stored_items: self.server.items.len(),
            stored_item_bytes: self.server.items.bytes(),
            ..self.stats.clone()
        }
    }

    fn side(&self, family: Family) -> Option<&Side> {
        self.sides[family as usize].as_ref()
    }

    fn side_mut(&mut self, family: Family) -> Option<&mut Side> {
        self.sides[family as usize].as_mut()
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn allowed(&self, addr: &SocketAddr) -> bool {
        guard::allowed(*addr, &self.config.policy).is_ok()
    }

    /// Sends one query. False when it may not or cannot be sent now.
    fn query(&mut self, to: SocketAddr, ask: Ask<'_>, why: Why, now: Duration) -> bool {
        if !self.allowed(&to) || self.pending.len() >= PENDING_MAX || self.outbox.len() >= QUEUE_MAX {
            return false;
        }
        let family = Family::of(&to);
        let Some(side) = self.side(family) else {
            return false;
        };
        let (id, gives_up) = (side.table.own(), now + side.rtt.give_up());
        let want = self.want(family, &ask);
        // Four bytes, because some nodes answer no other length; unguessable, so that only who got it can answer.
        let mut tid: [u8; 4] = self.random.bytes();
        while self.pending.contains_key(&tid) {
            tid = self.random.bytes();
        }
        self.stats.queries_out.count(ask.method());
        let asks_item = matches!(ask, Ask::Get { .. });
        let target = match &ask {
            Ask::Put(put) => Some([&b"20:"[..], &put.target().0].concat()),
            _ => None,
        };
        // BEP 44 knows no target in a put, but nodes of the mainline library take no put without it.
        let extra = target.iter().map(|raw| (&b"target"[..], &raw[..])).collect();
        let mut message = Message::new(&tid, Body::Query(Query { id, ask, want, extra }));
        message.version = Some(&self.config.version);
        message.read_only = self.config.read_only;
        let mut datagram = message.encode();
        if asks_item && datagram.len() < GET_LEN {
            // As QUIC does it: who is careful answers at most ten times what was asked, and items are long.
            let zeros = vec![b'0'; GET_LEN - datagram.len()];
            let padding = [zeros.len().to_string().as_bytes(), b":", &zeros].concat();
            message.extra.push((b"pad", &padding));
            datagram = message.encode();
        }
        self.outbox.push_back((to, datagram));
        self.pending.insert(
            tid,
            Pending {
                to,
                sent: now,
                gives_up,
                why,
            },
        );
        true
    }

    /// Both node lists while the other network's table is still thin (BEP 32): replies are longer then.
    fn want(&self, family: Family, ask: &Ask<'_>) -> Want {
        let thin = self
            .side(family.other())
            .is_some_and(|side| side.table.len() < 2 * super::K);
        let lists = matches!(ask, Ask::FindNode { .. } | Ask::GetPeers { .. } | Ask::Get { .. });
        Want {
            v4: thin && lists,
            v6: thin && lists,
        }
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() < QUEUE_MAX {
            self.events.push_back(event);
        }
    }

    /// Nodes that keep us waiting for longer than others do: while it lasts, no other lookup needs to find that out.
    fn overdue(&self, family: Family, now: Duration) -> Vec<SocketAddr> {
        let slow = self.side(family).map_or(Duration::MAX, |side| side.rtt.slow());
        let overdue = |pending: &&Pending| now.saturating_sub(pending.sent) > slow;
        self.pending
            .values()
            .filter(overdue)
            .map(|pending| pending.to)
            .collect()
    }

    /// Nodes to start a lookup from, and bootstrap addresses when those are too few.
    fn seeds(&self, family: Family, target: &Id, now: Duration) -> (Vec<Contact>, Vec<SocketAddr>) {
        let Some(side) = self.side(family) else {
            return (Vec::new(), Vec::new());
        };
        let mut seeds = side.table.closest(target, 2 * super::K);
        let overdue = self.overdue(family, now);
        seeds.retain(|contact| !self.silence.lasts(&contact.addr, now) && !overdue.contains(&contact.addr));
        if seeds.len() >= super::K {
            return (seeds, Vec::new());
        }
        // Too few: the silent ones are better than none.
        seeds = side.table.closest(target, 2 * super::K);
        seeds.extend(side.remembered.iter().take(super::K));
        let routers = self.routers.iter().filter(|addr| Family::of(addr) == family);
        (seeds, routers.copied().collect())
    }
}

/// Peers of a job that were not told before.
fn news(found: &mut BTreeSet<SocketAddr>, peers: Vec<SocketAddr>) -> Vec<SocketAddr> {
    peers
        .into_iter()
        .filter(|peer| found.len() < FOUND_MAX && found.insert(*peer))
        .collect()
}
