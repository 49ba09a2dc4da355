//! Finding peers and being found: merges the DHT, trackers and the home network into one stream of addresses per torrent,
//! and tells all three what we serve. Must not know pieces, sites or HTTP pages; never connects to a peer itself.
//!
//! Everything that comes out has passed `proto::guard`. A kept torrent costs no task and no timer here, only its two rows
//! of due work in the store; a search costs one task for as long as somebody holds its receiver.
//!
//! Reading order: `search` (one search), `trackers` (what trackers were told and when they may be asked again), `tracker`
//! (one announce), `schedule` (regular announces), `lsd` (BEP 14), `portmap` (opening the
//! router's port).

mod lsd;
mod portmap;
mod schedule;
mod search;
#[cfg(test)]
mod tests;
mod tracker;
mod trackers;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use proto::{guard::Policy, id::InfoHash};
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use self::trackers::Trackers;
pub use self::{lsd::Config as LsdConfig, portmap::Config as PortmapConfig};
use crate::{clock::Clock, db::Db, swarm::dht::Dht, tasks::Tasks};

/// How eagerly we look and tell.
#[derive(Debug, Clone)]
pub struct Config {
    /// The TCP and uTP port others reach us on; 0: we take no connections and announce nothing.
    pub port: u16,
    /// Which addresses strangers may name. Looser: torrents can make us knock on doors inside the home.
    pub policy: Policy,
    /// Local discovery; `None`: neither heard nor sent.
    pub lsd: Option<LsdConfig>,
    /// Opening of the router's port; `None`: left alone.
    pub portmap: Option<PortmapConfig>,
    /// Different addresses one search hands out in ten minutes. More: memory and dead connections. Fewer: rare peers missed.
    pub candidates_max: usize,
    /// Pause between DHT lookups of a search that has no peer yet. Longer: slow first page. Shorter: impolite to nodes.
    pub search_again: Duration,
    /// Searches at once; later ones wait. More: memory and packets. Fewer: pages queue behind each other.
    pub searches_max: usize,
    /// Regular announces started per second. More: bursts on the line. Fewer: with many sites, nodes forget some of them before
    /// their turn comes.
    pub announces_per_sec: u32,
    /// Shortest and longest pause between DHT announces of one torrent. Longer: nodes
    /// forget us (we and most others after 30 minutes, libtorrent after 45), and whoever looks meanwhile finds nobody.
    pub dht_every: (Duration, Duration),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 6881,
            policy: Policy::default(),
            lsd: None,
            portmap: None,
            candidates_max: 500,
            search_again: Duration::from_secs(30),
            searches_max: 256,
            announces_per_sec: 5,
            dht_every: (Duration::from_secs(20 * 60), Duration::from_secs(28 * 60)),
        }
    }
}

/// The sentence about a door nobody asked to open.
const OFF: &str = "off: peers outside reach us only if the router lets them in; `--upnp` asks it to";

/// What the status page shows.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The port others are told, after the router's translation.
    pub port: u16,
    /// Our address as the router sees it from outside.
    pub external: Option<IpAddr>,
    /// What became of opening the router's port, in a sentence.
    pub port_mapping: String,
    /// Network interfaces local discovery listens on.
    pub lsd_interfaces: usize,
    /// Machines of the home that local discovery heard lately.
    pub neighbours: usize,
    pub searches: usize,
    /// Trackers that are left alone for a while because they did not answer.
    pub trackers_resting: usize,
}

/// The part of the DHT node used here; tests give another one.
pub trait Nodes: Send + Sync {
    /// Batches of peers; ends with the lookup.
    fn get_peers(&self, ih: InfoHash) -> mpsc::Receiver<Vec<SocketAddr>>;
    /// How many nodes confirmed.
    fn announce(&self, ih: InfoHash, port: u16) -> BoxFuture<'_, usize>;
    /// Our address outside, from the router.
    fn external(&self, _ip: IpAddr) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Nodes for Dht {
    fn get_peers(&self, ih: InfoHash) -> mpsc::Receiver<Vec<SocketAddr>> {
        Dht::get_peers(self, ih)
    }

    fn announce(&self, ih: InfoHash, port: u16) -> BoxFuture<'_, usize> {
        Box::pin(Dht::announce(self, ih, port))
    }

    fn external(&self, ip: IpAddr) -> BoxFuture<'_, ()> {
        Box::pin(self.set_external(ip))
    }
}

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Finder {
    room: Arc<Room>,
}

/// What the tasks of this room share.
struct Room {
    config: Config,
    dht: Option<Arc<dyn Nodes>>,
    db: Db,
    clock: Clock,
    tasks: Tasks,
    trackers: Trackers,
    lsd: Option<lsd::Lsd>,
    searches: Arc<Semaphore>,
    soon: mpsc::Sender<InfoHash>,
    /// Set when `soon` was full: the schedule then looks for torrents without a due row.
    sweep: AtomicBool,
    /// Set when we take connections again: the schedule then announces everything, whatever is due.
    anew: AtomicBool,
    /// Wakes the schedule.
    wake: Notify,
    /// The listener's own port; 0 until it is known.
    port: watch::Sender<u16>,
    /// What port mapping has learned. Held for moments, never across an await.
    outside: Mutex<Outside>,
}

#[derive(Debug, Clone, Default)]
struct Outside {
    ip: Option<IpAddr>,
    port: Option<u16>,
    words: String,
}

impl Finder {
    /// Starts local discovery, port mapping and the schedule; all stop with `tasks`.
    pub fn start(config: Config, dht: Option<Dht>, db: Db, clock: Clock, tasks: &Tasks) -> Self {
        let dht = dht.map(|dht| Arc::new(dht) as Arc<dyn Nodes>);
        Self::start_with(config, dht, db, clock, tasks)
    }

    fn start_with(config: Config, dht: Option<Arc<dyn Nodes>>, db: Db, clock: Clock, tasks: &Tasks) -> Self {
        let (soon, waiting) = mpsc::channel(1024);
        let room = Arc::new(Room {
            dht,
            db,
            clock,
            tasks: tasks.clone(),
            trackers: Trackers::new(),
            lsd: config.lsd.as_ref().map(|_| lsd::Lsd::new()),
            searches: Arc::new(Semaphore::new(config.searches_max)),
            soon,
            sweep: AtomicBool::new(true),
            anew: AtomicBool::new(false),
            wake: Notify::new(),
            port: watch::Sender::new(config.port),
            outside: Mutex::default(),
            config,
        });
        schedule::start(&room, waiting);
        lsd::start(&room);
        portmap::start(&room);
        Self { room }
    }

    /// Batches of addresses that may have `ih`, each address once in ten minutes, all judged by the guard. The search goes
    /// on at sensible intervals until the receiver is dropped. A private torrent is looked for on its trackers only (BEP 27).
    pub fn find(
        &self,
        ih: InfoHash,
        private: bool,
        trackers: Vec<String>,
    ) -> mpsc::Receiver<Vec<SocketAddr>> {
        let (found, receiver) = mpsc::channel(16);
        let search = search::Search::new(self.room.clone(), ih, private, trackers, found);
        self.room.tasks.spawn("find.search", search.run());
        receiver
    }

    /// Tells the DHT and the trackers about `ih` now and regularly from now on: it has become complete, or kept.
    pub fn announce_soon(&self, ih: InfoHash) {
        if self.room.soon.try_send(ih).is_err() {
            self.room.sweep.store(true, Ordering::Relaxed);
            self.room.wake.notify_one();
        }
    }

    /// Tells the trackers of a removed torrent that we no longer have it. Returns at once.
    pub fn stopped(&self, ih: InfoHash) {
        let room = self.room.clone();
        self.room.tasks.spawn("find.stopped", async move {
            room.trackers.stop(Some(ih), &room.policy(), room.port()).await;
        });
    }

    /// The listener's port, when it became known only after the start; 0: we take no connections any more, and whoever was
    /// told otherwise is told so. After a 0 everything is announced anew.
    pub fn set_port(&self, port: u16) {
        let room = self.room.clone();
        let (outside, before) = (room.port(), room.port.send_replace(port));
        if port != 0 && before == 0 {
            room.anew.store(true, Ordering::Relaxed);
            room.wake.notify_one();
        } else if port == 0 && before != 0 {
            self.room.tasks.spawn("find.stopped", async move {
                room.trackers.stop(None, &room.policy(), outside).await;
            });
        }
    }

    pub fn status(&self) -> Status {
        let outside = self.room.outside();
        Status {
            port: self.room.port(),
            external: outside.ip,
            port_mapping: match self.room.config.portmap {
                Some(_) => outside.words,
                None => OFF.into(),
            },
            lsd_interfaces: self.room.lsd.as_ref().map_or(0, lsd::Lsd::interfaces),
            neighbours: self.room.lsd.as_ref().map_or(0, lsd::Lsd::neighbours),
            searches: self.room.config.searches_max - self.room.searches.available_permits(),
            trackers_resting: self.room.trackers.resting(),
        }
    }
}

impl Room {
    /// The port others are told: the router's outside one when it differs.
    fn port(&self) -> u16 {
        match self.own_port() {
            0 => 0,
            port => self.outside().port.unwrap_or(port),
        }
    }

    fn own_port(&self) -> u16 {
        *self.port.borrow()
    }

    /// Waits until others can reach us at all; for ever when we take no connections.
    async fn reachable(&self) {
        // The sender lives as long as this room.
        let _ = self.port.subscribe().wait_for(|port| *port != 0).await;
    }

    fn outside(&self) -> Outside {
        self.outside
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The configured policy, and our outside address is our own.
    fn policy(&self) -> Policy {
        let mut policy = self.config.policy.clone();
        policy.own.extend(self.outside().ip);
        policy
    }
}

/// `base` and up to a quarter more, so that what started together drifts apart.
fn jittered(base: Duration) -> Duration {
    base.mul_f64(1.0 + rand::random::<f64>() / 4.0)
}
