//! Questions under way to the upstreams: equal ones are asked once, and who waits is answered together. How many there are
//! is bounded.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use proto::dns::{
    Why,
    cache::{Found, Key, write_failure, write_new},
    digest::{self, Asked},
    query,
    reply::Way,
};
use tokio::{sync::mpsc, time::timeout};
use tracing::debug;

use super::{
    Shared,
    state::State,
    udp::Return,
    upstream::{self, Error},
};

/// Different questions under way.
const FLIGHTS_MAX: usize = 512;
/// Of them those that nobody waits for (renewals, markers).
const UNASKED_MAX: usize = 128;
/// Who waits for one answer.
const WAITERS_MAX: usize = 64;
/// Who has an old answer waits no longer for a new one (RFC 8767 §5, the client response timer).
const PATIENCE: Duration = Duration::from_millis(1_800);
/// The upstreams have their own, shorter deadlines; this one only keeps the promise.
const FLIGHT_MAX: Duration = Duration::from_secs(15);

/// Where an answer goes.
pub(super) enum To {
    Udp(Return),
    /// The connection takes it from there.
    Stream(mpsc::Sender<Vec<u8>>),
}

/// Who waits for an answer.
pub(super) struct Waiter {
    /// The question as it came.
    pub packet: Box<[u8]>,
    pub way: Way,
    pub addr: IpAddr,
    pub to: To,
}

struct Flight {
    query: Arc<upstream::Query>,
    waiters: Vec<Waiter>,
    /// It takes so long that old answers are given out meanwhile.
    late: bool,
    /// It began without anybody waiting.
    unasked: bool,
}

#[derive(Default)]
pub(super) struct Flights {
    by_hash: HashMap<u64, Flight>,
    unasked: usize,
}

impl Flights {
    pub fn is_late(&self, hash: u64) -> bool {
        self.by_hash.get(&hash).is_some_and(|flight| flight.late)
    }

    /// Waits for the answer under way, or asks. `stale`: there is an old answer. `false`: there is no room.
    pub fn join(
        &mut self,
        shared: &Arc<Shared>,
        key: &Key<'_>,
        hash: u64,
        stale: bool,
        waiter: impl FnOnce() -> Waiter,
    ) -> bool {
        if let Some(flight) = self.by_hash.get_mut(&hash) {
            let room = flight.waiters.len() < WAITERS_MAX && is_same(&flight.query, key);
            if room {
                flight.waiters.push(waiter());
            }
            return room;
        }
        if self.by_hash.len() >= FLIGHTS_MAX {
            return false;
        }
        self.begin(shared, key, hash, stale, vec![waiter()]);
        true
    }

    /// Asks, if there is room, with nobody waiting.
    pub fn begin_unasked(&mut self, shared: &Arc<Shared>, key: &Key<'_>, hash: u64) {
        if self.unasked < UNASKED_MAX && !self.by_hash.contains_key(&hash) {
            self.unasked += 1;
            self.begin(shared, key, hash, false, Vec::new());
        }
    }

    fn begin(&mut self, shared: &Arc<Shared>, key: &Key<'_>, hash: u64, stale: bool, waiters: Vec<Waiter>) {
        let query = Arc::new(upstream::Query {
            name: key.name.into(),
            qtype: key.qtype,
            qclass: key.qclass,
            dnssec_ok: key.dnssec_ok,
            checking_disabled: key.checking_disabled,
        });
        let flight = Flight {
            query: query.clone(),
            unasked: waiters.is_empty(),
            waiters,
            late: false,
        };
        self.by_hash.insert(hash, flight);
        let shared = shared.clone();
        let tasks = shared.house.tasks.clone();
        // In a box: a task is moved several times before it runs.
        let work = Box::pin(fly(shared, hash, query, stale));
        tasks.spawn("dns.flight", work);
    }

    fn end(&mut self, hash: u64) -> Vec<Waiter> {
        let Some(flight) = self.by_hash.remove(&hash) else {
            return Vec::new();
        };
        self.unasked -= usize::from(flight.unasked);
        flight.waiters
    }
}

fn is_same(query: &upstream::Query, key: &Key<'_>) -> bool {
    *query.name == *key.name
        && (query.qtype, query.qclass) == (key.qtype, key.qclass)
        && (query.dnssec_ok, query.checking_disabled) == (key.dnssec_ok, key.checking_disabled)
}

fn key(query: &upstream::Query) -> Key<'_> {
    Key {
        name: &query.name,
        qtype: query.qtype,
        qclass: query.qclass,
        dnssec_ok: query.dnssec_ok,
        checking_disabled: query.checking_disabled,
    }
}

async fn fly(shared: Arc<Shared>, hash: u64, query: Arc<upstream::Query>, stale: bool) {
    let whole = timeout(FLIGHT_MAX, shared.upstreams.ask(&query));
    tokio::pin!(whole);
    let mut answer = None;
    if stale {
        match timeout(PATIENCE, &mut whole).await {
            Ok(soon) => answer = Some(soon),
            Err(_) => {
                let replies = late(&shared, hash, &query);
                deliver(replies);
            }
        }
    }
    let answer = match answer {
        Some(soon) => soon,
        None => whole.await,
    };
    let answer = answer.unwrap_or(Err(Error::Silent));
    deliver(land(&shared, hash, &query, answer));
}

type Replies = Vec<(To, Vec<u8>)>;

/// Gives out the old answer to all who wait, and to all who ask until the new one is there.
fn late(shared: &Shared, hash: u64, query: &upstream::Query) -> Replies {
    let now = shared.now();
    let mut state = shared.lock();
    let Some(flight) = state.flights.by_hash.get_mut(&hash) else {
        return Vec::new();
    };
    flight.late = true;
    let waiters = std::mem::take(&mut flight.waiters);
    state.counts.stale += waiters.len() as u64;
    from_cache(&mut state, &key(query), waiters, Why::Unreachable, now)
}

/// Keeps what came and answers who waits.
fn land(shared: &Shared, hash: u64, query: &upstream::Query, answer: Result<Vec<u8>, Error>) -> Replies {
    let now = shared.now();
    let key = key(query);
    let mut state = shared.lock();
    let waiters = state.flights.end(hash);
    let asked = Asked {
        name: &query.name,
        qtype: query.qtype,
        qclass: query.qclass,
        dnssec_ok: query.dnssec_ok,
        public: state.is_public(&query.name),
    };
    let why = match answer {
        Err(Error::Bogus) => Why::Bogus,
        _ => Why::Unreachable,
    };
    let digest = answer.ok().and_then(|bytes| {
        let digest = digest::digest(&bytes, &asked);
        digest
            .inspect_err(|err| debug!(%err, bytes = bytes.len(), "an upstream's answer is of no use"))
            .ok()
    });
    let Some(digest) = digest else {
        state.cache.fail(&key, why, now);
        state.counts.failed += waiters.len() as u64;
        return from_cache(&mut state, &key, waiters, why, now);
    };
    state.cache.insert(&key, &digest, now);
    let mut replies = Vec::with_capacity(waiters.len());
    for waiter in waiters {
        state.clients.waits_no_more(waiter.addr);
        if let Ok(query) = query::read(&waiter.packet) {
            let mut out = Vec::new();
            write_new(&digest, &query, &waiter.way, &mut out);
            replies.push((waiter.to, out));
        }
    }
    replies
}

/// `why`: told where nothing is kept, by choice of the owner.
fn from_cache(state: &mut State, key: &Key<'_>, waiters: Vec<Waiter>, why: Why, now: Duration) -> Replies {
    let hash = state.cache.hash(key);
    let found = state.cache.find(key, hash, now);
    let mut replies = Vec::with_capacity(waiters.len());
    for waiter in waiters {
        state.clients.waits_no_more(waiter.addr);
        let Ok(query) = query::read(&waiter.packet) else {
            continue;
        };
        let mut out = Vec::new();
        match found {
            Found::Fresh(at) | Found::Renew(at) | Found::Stale { at, .. } => {
                state.cache.write(at, &query, now, &waiter.way, &mut out);
            }
            Found::Nothing => write_failure(&query, why, &waiter.way, &mut out),
        }
        replies.push((waiter.to, out));
    }
    replies
}

/// A full queue or a closed door: who asked is gone, or asks again.
fn deliver(replies: Replies) {
    for (to, bytes) in replies {
        match to {
            To::Udp(back) => back.send(&bytes),
            To::Stream(sender) => drop(sender.try_send(bytes)),
        }
    }
}
