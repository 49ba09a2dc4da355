//! The door for peers: one port for TCP (IPv4 and IPv6) and uTP (BEP 29), plaintext or encrypted.
//!
//! The infohash in the handshake decides: what the store holds whole is served by `seed`, what is being fetched is handed
//! to the engine on loopback, what is held in part and dormant is served by `seed` as far as it goes; anything else is
//! closed. Counts are checked before a byte is read. Must not know how anything is fetched.
//!
//! Reading order: `accept` (the two sockets), `wire` (handshakes), `keys` (encrypted peers' torrents), `splice`, `utp`.

mod accept;
mod keys;
mod splice;
mod utp;
pub mod wire;

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use proto::{id::InfoHash, peer::PeerId};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    limits::Limits,
    seed::{self, Seeder},
};
use crate::{db::Db, tasks::Tasks};
use keys::KeyTable;
pub use splice::engine_stream;

/// What the door needs to know from the rest of the swarm.
pub trait Handover: Send + Sync + 'static {
    /// The engine's loopback listener, when it is fetching this torrent now.
    fn fetching(&self, infohash: &InfoHash) -> Option<SocketAddr>;
    /// The loopback address the engine's listener has to be reached from; `None`: any.
    fn door(&self) -> Option<IpAddr> {
        None
    }
    /// A peer of this torrent told us where it listens.
    fn announced(&self, infohash: &InfoHash, peer: SocketAddr);
    /// A peer told us where its DHT node listens (BEP 5 `port`).
    fn dht_node(&self, _node: SocketAddr) {}
    /// A piece we promised is not readable any more: it wants to be fetched again.
    fn damaged(&self, _infohash: &InfoHash, _piece: u32) {}
}

/// How the door is opened.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen. Port 0 lets the system choose; `[::]` is both families.
    pub addr: SocketAddr,
    /// uTP on the UDP port of the same number. Off: peers behind bad routers, and those that are polite to other traffic,
    /// are fewer.
    pub utp: bool,
    /// uTP connections. Larger: more peers over UDP, up to 512 KiB of unacknowledged data each. Smaller: they fall back to TCP.
    pub utp_connections_max: usize,
    /// Peers that may be in their handshake at once. Larger: a flood of strangers holds more memory (4 KiB each). Smaller:
    /// it keeps others out for longer.
    pub handshakes_max: usize,
    /// Our DHT node's UDP port, told to peers (BEP 5).
    pub dht_port: Option<u16>,
    pub seed: seed::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addr: SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 6881),
            utp: true,
            utp_connections_max: 64,
            handshakes_max: 64,
            dht_port: None,
            seed: seed::Config::default(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program holds the port, or we may not use it: give another one.
    #[error("listen for peers on {addr}: {source}")]
    Bind { addr: SocketAddr, source: io::Error },
}

/// Cheap to clone. Stops with the task group it was started in.
#[derive(Clone)]
pub struct Listener {
    door: Arc<Door>,
}

struct Door {
    addr: SocketAddr,
    peer_id: PeerId,
    db: Db,
    limits: Limits,
    handover: Arc<dyn Handover>,
    keys: KeyTable,
    handshakes: tokio::sync::Semaphore,
    /// When a peer from outside the home last came in by itself.
    met: Mutex<Option<Instant>>,
    seeder: Seeder,
    tasks: Tasks,
}

impl Listener {
    /// Binds, then accepts until `tasks` is cancelled. Must be called within the runtime.
    pub fn start(
        config: Config,
        db: Db,
        limits: Limits,
        tasks: &Tasks,
        handover: Arc<dyn Handover>,
    ) -> Result<Self, Error> {
        let (tcp, addr) = accept::bind(config.addr).map_err(|source| Error::Bind {
            addr: config.addr,
            source,
        })?;
        let udp = if config.utp {
            utp_socket(&config, addr, tasks)
        } else {
            None
        };
        let peer_id = wire::peer_id();
        let seeder = Seeder::new(
            config.seed.clone(),
            peer_id,
            seed::Ports {
                peers: addr.port(),
                dht: config.dht_port,
            },
            db.clone(),
            limits.clone(),
            handover.clone(),
            tasks,
        );
        let door = Arc::new(Door {
            addr,
            peer_id,
            keys: KeyTable::new(db.clone()),
            handshakes: tokio::sync::Semaphore::new(config.handshakes_max.max(1)),
            met: Mutex::default(),
            db,
            limits,
            handover,
            seeder,
            tasks: tasks.clone(),
        });
        info!(listen = %addr, utp = udp.is_some(), "waiting for peers");
        tasks.spawn("swarm.listen.tcp", accept::tcp(door.clone(), tcp));
        if let Some(udp) = udp {
            tasks.spawn("swarm.listen.utp", accept::utp(door.clone(), udp));
        }
        Ok(Self { door })
    }

    /// The bound address, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.door.addr
    }

    /// How long ago a peer from outside the home came in by itself: others can reach us.
    pub fn met(&self) -> Option<Duration> {
        let met = *self.door.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.map(|at| at.elapsed())
    }

    pub fn seeder(&self) -> &Seeder {
        &self.door.seeder
    }
}

/// Without uTP the door still works: fewer peers, not none.
fn utp_socket(config: &Config, addr: SocketAddr, tasks: &Tasks) -> Option<utp::Socket> {
    utp::bind(addr, config.utp_connections_max, tasks.token())
        .inspect_err(|err| warn!(listen = %addr, %err, "uTP is off, TCP works"))
        .ok()
}

#[cfg(test)]
mod tests;
