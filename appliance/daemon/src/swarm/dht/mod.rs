//! Our DHT node: finds and announces peers on IPv4 and IPv6 (BEP 5, 32, 42, 43). Decides nothing itself: the rules stand
//! in `proto::dht`; here are the two sockets, the timer and the way to the store. Must not know torrents, trackers or
//! sites: it is asked about an infohash and answers with addresses, or about a target and answers with an item, and
//! nothing is kept per torrent.
//!
//! Reading order: here (what other rooms see), `owner` (the one task that owns the node), `socket` (opening, sending,
//! receiving), `memory` (what outlives a restart), `bootstrap` (names to addresses), `bench` (64 nodes in one process).

pub mod bench;
mod bootstrap;
#[cfg(test)]
mod foreign_tests;
#[cfg(test)]
mod item_tests;
#[cfg(test)]
mod mainline_tests;
mod memory;
#[cfg(test)]
mod net_tests;
mod owner;
mod socket;
#[cfg(test)]
pub mod wire;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub use proto::dht::{
    item::{Got, Item, Stored},
    node::Stats,
};
use proto::{
    dht::limits,
    guard::Policy,
    id::{InfoHash, Target},
};
use tokio::sync::{mpsc, oneshot};

use self::{
    memory::Memory,
    owner::{Command, Inboxes, Owner},
    socket::Sockets,
};
use crate::{clock::Clock, db::Db, tasks::Tasks};

/// Commands that wait while [`owner::JOBS_MAX`] lookups are under way; a get_peers beyond that finds nobody.
const WAITING_MAX: usize = 256;
/// Batches of peers that wait for a slow reader; later ones are dropped.
const BATCHES_MAX: usize = 64;
/// A lookup or put of an item answers by then, its time in the queue included; the node itself ends either in half of it.
const ITEM_DEADLINE: Duration = Duration::from_secs(30);

/// Where the node listens and whom it knows at first.
#[derive(Debug, Clone)]
pub struct Config {
    /// IPv4 address; port 0 lets the system choose.
    pub listen_v4: Option<SocketAddr>,
    /// IPv6 address. When it cannot be opened the node goes on with IPv4 alone.
    pub listen_v6: Option<SocketAddr>,
    /// `HOST:PORT` of nodes asked when no remembered node answers. Empty: only remembered nodes and peers' PORT messages.
    pub bootstrap: Vec<String>,
    /// True when upload is switched off: we ask but do not answer (BEP 43).
    pub read_only: bool,
    /// Whom we may ask and name. A node that listens on loopback also takes loopback and private addresses, since it can
    /// reach nothing else. Looser elsewhere: strangers may send us into the home.
    pub policy: Policy,
    /// What we answer. Larger: we are a better reflector and cost more upload. Smaller: newcomers starve.
    pub limits: limits::Config,
    /// Instead of UDP: `listen_v4` is then an address of this network.
    #[cfg(test)]
    pub wire: Option<wire::Wire>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen_v4: Some(SocketAddr::from(([0, 0, 0, 0], 6881))),
            listen_v6: Some(SocketAddr::from(([0u16; 8], 6881))),
            bootstrap: Vec::new(),
            read_only: false,
            policy: Policy::default(),
            limits: limits::Config::default(),
            #[cfg(test)]
            wire: None,
        }
    }
}

/// What a caller can do: choose another port, or go on without the DHT.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("open the DHT port {addr}: {reason}")]
    Listen {
        addr: SocketAddr,
        reason: std::io::Error,
    },
    #[error("the DHT has neither an IPv4 nor an IPv6 address to listen on")]
    NoAddress,
}

/// Cheap to clone; the node ends with its task group.
#[derive(Clone)]
pub struct Dht {
    commands: mpsc::Sender<Command>,
    /// Apart from the others: records must not wait behind a thousand announces.
    item_commands: mpsc::Sender<Command>,
    stats: Arc<Mutex<Stats>>,
    read_only: Arc<AtomicBool>,
    local: Arc<[SocketAddr]>,
}

impl Dht {
    /// Opens the sockets and starts the node; it is useable at once and bootstraps behind. Its id, the nodes it knew and
    /// what others had stored with it come from the store.
    pub async fn start(config: Config, db: Db, clock: Clock, tasks: &Tasks) -> Result<Dht, Error> {
        Self::start_with(config, Some(Memory { db, clock }), tasks).await
    }

    /// Without a store the node forgets everything when it ends: for tests and measurements.
    pub(crate) async fn start_with(
        config: Config,
        memory: Option<Memory>,
        tasks: &Tasks,
    ) -> Result<Dht, Error> {
        let sockets = open(&config)?;
        let local: Arc<[SocketAddr]> = sockets.local_addrs().into();
        let (commands, inbox) = mpsc::channel(WAITING_MAX);
        let (item_commands, item_inbox) = mpsc::channel(WAITING_MAX);
        let inboxes = Inboxes {
            commands: inbox,
            items: item_inbox,
        };
        let stats = Arc::new(Mutex::new(Stats::default()));
        let names = config.bootstrap.clone();
        let read_only = Arc::new(AtomicBool::new(config.read_only));
        let shared = (stats.clone(), read_only.clone());
        let owner = Owner::new(&config, sockets, memory, inboxes, shared, tasks).await;
        // It saves what it knows after the token is cancelled, so it must not be dropped half-way.
        tasks.spawn_graceful("dht.node", owner.run(tasks.token()));
        let dht = Dht {
            commands,
            item_commands,
            stats,
            read_only,
            local,
        };
        if !names.is_empty() {
            tasks.spawn("dht.bootstrap", bootstrap::keep_resolved(names, dht.clone()));
        }
        Ok(dht)
    }

    /// Batches of peers as nodes answer; ends when the lookup ends. Dropping the receiver ends the lookup.
    pub fn get_peers(&self, ih: InfoHash) -> mpsc::Receiver<Vec<SocketAddr>> {
        let (peers, found) = mpsc::channel(BATCHES_MAX);
        if self.commands.try_send(Command::GetPeers { ih, peers }).is_err() {
            tracing::debug!(site = %ih.short(), "too many DHT lookups wait; this one finds nobody");
        }
        found
    }

    /// Tells the nodes closest to `ih` that we serve it on `port`. Returns how many have confirmed; waits its turn while
    /// many lookups are under way.
    pub async fn announce(&self, ih: InfoHash, port: u16) -> usize {
        let (done, stored) = oneshot::channel();
        if self
            .commands
            .send(Command::Announce { ih, port, done })
            .await
            .is_err()
        {
            return 0;
        }
        stored.await.unwrap_or(0)
    }

    /// Looks for an item (BEP 44). Answers with everything that came in when enough of the closest nodes have answered;
    /// every mutable item in it has been checked and belongs to `target` with `salt`. Ends within half a minute.
    pub async fn get_item(&self, target: Target, salt: &[u8], seq: Option<i64>) -> Got {
        let salt = salt.to_vec();
        self.item_job(|done| Command::GetItem {
            target,
            salt,
            seq,
            done,
        })
        .await
    }

    /// The same with a wider net and for every node's value: how well an item is kept, also beyond the closest nodes.
    pub async fn survey_item(&self, target: Target, salt: &[u8]) -> Got {
        let salt = salt.to_vec();
        self.item_job(|done| Command::SurveyItem { target, salt, done })
            .await
    }

    /// Stores an item on the closest nodes (BEP 44). `cas` goes to nodes that hold an item only. Ends within half a minute.
    pub async fn put_item(&self, item: Item, cas: Option<i64>) -> Stored {
        self.item_job(|done| Command::PutItem { item, cas, done }).await
    }

    /// The default when the node has ended or is too busy.
    async fn item_job<T: Default>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> T {
        let (done, answer) = oneshot::channel();
        let job = async {
            self.item_commands.send(command(done)).await.ok()?;
            answer.await.ok()
        };
        let answer = tokio::time::timeout(ITEM_DEADLINE, job).await;
        answer.ok().flatten().unwrap_or_default()
    }

    /// A peer told us its DHT port (BEP 5 PORT message): ask whether a node answers there.
    pub fn ping_node(&self, addr: SocketAddr) {
        // A full queue means we are busy enough to find nodes by ourselves.
        let _ = self.commands.try_send(Command::Ping(addr));
    }

    /// The router told our address outside: the node takes an id that is valid there (BEP 42).
    pub async fn set_external(&self, ip: std::net::IpAddr) {
        // A node that has ended needs no id.
        let _ = self.commands.send(Command::External(ip)).await;
    }

    /// Where the node listens: IPv4 first.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.local.to_vec()
    }

    /// As of the last datagram or timer.
    pub fn stats(&self) -> Stats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Upload was switched off (BEP 43), or on again.
    pub fn set_read_only(&self, on: bool) {
        self.read_only.store(on, Ordering::Relaxed);
    }

    async fn set_routers(&self, routers: Vec<SocketAddr>) {
        let _ = self.commands.send(Command::Routers(routers)).await;
    }
}

fn open(config: &Config) -> Result<Sockets, Error> {
    #[cfg(test)]
    if let (Some(wire), Some(addr)) = (&config.wire, config.listen_v4) {
        return Sockets::on_wire(wire, addr);
    }
    Sockets::open(config.listen_v4, config.listen_v6)
}
