//! IPv6 assist: the box as resolver by router advertisements of lifetime 0 and by stateless DHCPv6, only when the household
//! switched it on; and what the routers of the LAN say, all the time.
//!
//! Must not know DNS, DHCP leases or pages. Never offers the box as router: default routes are left alone.
//!
//! Reading order: this file (which interfaces, the handle), `link` (one interface), `socket`, `stateless`, `ula`.

mod link;
mod socket;
mod stateless;
mod ula;

use std::{
    collections::BTreeMap,
    net::Ipv6Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use house::tasks::Tasks;
use proto::ra::Heard;
use tokio::{sync::watch, time::Instant};

use crate::{
    api::{RaFacts, Router6},
    frame::House,
};

const LINKS_MAX: usize = 16;
/// Routers remembered; the one not heard for longest makes room.
const ROUTERS_MAX: usize = 8;
/// A router speaks at least every 30 minutes (RFC 4861 6.2.1): silent for twice that, it is gone.
const FORGET: Duration = Duration::from_secs(3600);

/// Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    ask: watch::Sender<u64>,
}

/// What the interfaces' tasks have in common.
struct Shared {
    house: House,
    prefix: ula::Prefix,
    sent: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    routers: BTreeMap<(u32, Ipv6Addr), (Heard, Instant)>,
    /// By interface: what is announced there, and what does not work there.
    resolvers: BTreeMap<String, Ipv6Addr>,
    reasons: BTreeMap<(String, Part), String>,
}

/// What may not work on an interface, each for a reason of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Advertisements,
    Address,
    Stateless,
}

const PARTS: [Part; 3] = [Part::Advertisements, Part::Address, Part::Stateless];

/// Starts listening on every served interface, now and later.
pub fn start(house: &House) -> Handle {
    let shared = Arc::new(Shared {
        prefix: ula::Prefix::load(&house.config.state),
        house: house.clone(),
        sent: AtomicU64::new(0),
        state: Mutex::default(),
    });
    let handle = Handle {
        shared: shared.clone(),
        stop: watch::Sender::new(false),
        ask: watch::Sender::new(0),
    };
    let (mut stop, ask) = (handle.stop.subscribe(), handle.ask.subscribe());
    let tasks = house.tasks.clone();
    let mut interfaces = house.interfaces.clone();
    house.tasks.spawn("ra", async move {
        let mut links: BTreeMap<(String, u32), Tasks> = BTreeMap::new();
        loop {
            let view = interfaces.now();
            let served: Vec<_> = view
                .served()
                .filter(|one| !one.loopback)
                .map(|one| (one.name.clone(), one.index))
                .take(LINKS_MAX)
                .collect();
            links.retain(|key, group| {
                let stays = served.contains(key);
                if !stays {
                    group.cancel();
                    shared.forget(&key.0);
                }
                stays
            });
            for key in served {
                links.entry(key).or_insert_with_key(|(name, index)| {
                    let group = tasks.child();
                    let link = link::Link::new(shared.clone(), name, *index);
                    group.spawn("ra.link", link.run(stop.clone(), ask.clone()));
                    group
                });
            }
            tokio::select! {
                () = interfaces.changed() => {}
                _ = stop.changed() => return,
            }
        }
    });
    handle
}

impl Handle {
    pub fn facts(&self) -> RaFacts {
        let enabled = self.shared.house.settings().ra.enabled;
        let state = self.shared.lock();
        RaFacts {
            enabled,
            sent: self.shared.sent.load(Ordering::Relaxed),
            resolver: state.resolvers.values().next().copied(),
            routers: state
                .routers
                .iter()
                .filter(|(_, (_, at))| at.elapsed() < FORGET)
                .map(|((_, addr), (heard, at))| Router6 {
                    addr: *addr,
                    lifetime_secs: heard.lifetime_secs,
                    dns: heard.dns.clone(),
                    search: heard.search.clone(),
                    prefixes: heard
                        .prefixes
                        .iter()
                        .map(|(addr, len)| format!("{addr}/{len}"))
                        .collect(),
                    heard_secs_ago: at.elapsed().as_secs(),
                })
                .collect(),
            reason: (!state.reasons.is_empty())
                .then(|| state.reasons.values().cloned().collect::<Vec<_>>().join("; ")),
        }
    }

    /// Asks all routers to speak; who answers stands in the facts a moment later.
    pub fn solicit(&self) {
        self.ask.send_modify(|count| *count += 1);
    }

    /// Takes back what was announced. Nothing is announced or heard afterwards.
    pub async fn goodbye(&self, deadline: Duration) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(deadline, self.stop.closed()).await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, index: u32, from: Ipv6Addr, heard: Heard) {
        let mut state = self.lock();
        state.routers.insert((index, from), (heard, Instant::now()));
        while state.routers.len() > ROUTERS_MAX {
            let oldest = state
                .routers
                .iter()
                .min_by_key(|(_, (_, at))| *at)
                .map(|(key, _)| *key);
            let Some(oldest) = oldest else { return };
            state.routers.remove(&oldest);
        }
    }

    fn announces(&self, interface: &str, resolver: Option<Ipv6Addr>) {
        let mut state = self.lock();
        match resolver {
            Some(addr) => state.resolvers.insert(interface.into(), addr),
            None => state.resolvers.remove(interface),
        };
    }

    /// Notes or clears what does not work on an interface. It is a trouble of the house only while somebody wants it to work.
    fn set_reason(&self, interface: &str, part: Part, reason: Option<String>) {
        let mut state = self.lock();
        let key = (interface.into(), part);
        match reason {
            Some(reason) => state.reasons.insert(key, format!("{interface}: {reason}")),
            None => state.reasons.remove(&key),
        };
        let enabled = self.house.settings().ra.enabled;
        let all = (enabled && !state.reasons.is_empty())
            .then(|| state.reasons.values().cloned().collect::<Vec<_>>().join("; "));
        self.house.health.set("ra", all);
    }

    fn forget(&self, interface: &str) {
        self.announces(interface, None);
        for part in PARTS {
            self.set_reason(interface, part, None);
        }
    }
}
