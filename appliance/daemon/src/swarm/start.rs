//! Who exists in the swarm and who gets which handle. The order: what finds peers, what fetches, the door for peers.

use std::{
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use proto::{guard::Policy, id::InfoHash};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::{
    Error, Progress, dht,
    fetch::{Fetch, Search, Setup},
    find, flow, limits, listen,
    opening::Opening,
    records::Records,
    reuse::Lately,
    seed,
};
use crate::{clock::Clock, db::Db, tasks::Tasks};

/// Everything the swarm has to be told.
#[derive(Debug, Clone)]
pub struct SwarmConfig {
    /// Where peers reach us, TCP and uTP; port 0 lets the system choose.
    pub listen_bt: SocketAddr,
    /// The DHT's UDP addresses; the first of each family counts. Empty: no DHT.
    pub listen_dht: Vec<SocketAddr>,
    /// `HOST:PORT` of the first DHT nodes.
    pub dht_bootstrap: Vec<String>,
    /// Local discovery (BEP 14). Off: two Granarys of one home fetch everything twice.
    pub lsd: bool,
    /// Interfaces for local discovery; empty: all.
    pub interfaces: Vec<String>,
    /// Opening of the router's port. Off: fewer peers reach us.
    pub upnp: bool,
    /// Peers that every torrent is asked from.
    pub peers: Vec<SocketAddr>,
    /// Rates for all torrents together, and connection counts.
    pub limits: limits::Settings,
    /// Whether others get anything. Off: no seeding, no announces, and the DHT node is read-only (BEP 43).
    pub upload: bool,
    /// Which addresses may be connected to. Looser: torrents can make us knock on doors inside the home.
    pub policy: Policy,
    /// The fetch engine's own folder: emptied at start, small.
    pub engine_dir: PathBuf,
    /// Torrents fetched at once. More: memory and timers. Fewer: kept torrents wait longer for their turn.
    pub fetching_max: usize,
    /// Connections per fetched torrent. More: 50 KiB each. Fewer: slower swarms.
    pub peers_per_torrent: usize,
    /// Instead of UDP: `listen_dht` is then an address of this network.
    #[cfg(test)]
    pub dht_wire: Option<dht::wire::Wire>,
}

impl SwarmConfig {
    /// For an appliance whose data lie in `data`.
    pub fn new(data: &std::path::Path) -> Self {
        Self {
            listen_bt: (Ipv6Addr::UNSPECIFIED, 42069).into(),
            listen_dht: vec![
                ([0, 0, 0, 0], 42070).into(),
                (Ipv6Addr::UNSPECIFIED, 42070).into(),
            ],
            dht_bootstrap: Vec::new(),
            lsd: true,
            interfaces: Vec::new(),
            upnp: false,
            peers: Vec::new(),
            limits: limits::Settings::default(),
            upload: true,
            policy: Policy::default(),
            engine_dir: data.join("engine"),
            fetching_max: 8,
            peers_per_torrent: 60,
            #[cfg(test)]
            dht_wire: None,
        }
    }

    /// Everything stays on this machine.
    #[cfg(test)]
    pub fn loopback(data: &std::path::Path) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen_bt: loopback,
            listen_dht: Vec::new(),
            dht_bootstrap: Vec::new(),
            lsd: false,
            upnp: false,
            policy: Policy {
                allow_loopback: true,
                ..Policy::default()
            },
            ..Self::new(data)
        }
    }
}

/// What the status page and `granary status` show.
#[derive(Debug, Clone, Default)]
pub struct Status {
    pub listen_bt: Option<SocketAddr>,
    pub listen_dht: Vec<SocketAddr>,
    pub dht_nodes: usize,
    /// Of them, by family.
    pub dht_nodes_v4: usize,
    pub dht_nodes_v6: usize,
    /// Whether others get anything.
    pub upload: bool,
    /// How long ago a peer from outside the home came in by itself.
    pub met: Option<std::time::Duration>,
    /// Connected now: peers of torrents being fetched, and those that are served.
    pub peers: u32,
    pub down_bps: u64,
    pub up_bps: u64,
    /// Payload bytes since the start.
    pub downloaded: u64,
    pub uploaded: u64,
    /// The limits in force at this hour.
    pub rates: limits::Rates,
    /// Torrents in the engine.
    pub fetching: Vec<(InfoHash, Progress)>,
    /// What the search for peers knows: the port outside, the router's answer, neighbours, trackers.
    pub found: find::Status,
}

/// The rooms of the swarm, wired.
pub struct Parts {
    pub db: Db,
    pub clock: Clock,
    pub tasks: Tasks,
    pub policy: Policy,
    pub limits: limits::Limits,
    pub found: Found,
    pub fetch: Fetch,
    pub opening: Opening,
    pub dht: Option<dht::Dht>,
    pub records: Records,
    pub reused: Lately,
    pub listener: listen::Listener,
    /// Whether others get anything; the fetch engine follows it.
    pub giving: watch::Sender<bool>,
}

/// Peers from the config, then those the finder finds.
#[derive(Clone)]
pub struct Found {
    always: Vec<SocketAddr>,
    finder: find::Finder,
    tasks: Tasks,
}

impl Found {
    pub fn announce(&self, ih: InfoHash) {
        self.finder.announce_soon(ih);
    }

    /// The port others are told; 0: nothing is announced.
    #[cfg(test)]
    pub fn port(&self) -> u16 {
        self.finder.status().port
    }

    pub fn stopped(&self, ih: InfoHash) {
        self.finder.stopped(ih);
    }
}

impl Search for Found {
    fn find(&self, ih: InfoHash, private: bool, trackers: Vec<String>) -> mpsc::Receiver<Vec<SocketAddr>> {
        let mut found = self.finder.find(ih, private, trackers);
        if self.always.is_empty() {
            return found;
        }
        let (tell, merged) = mpsc::channel(16);
        let always = self.always.clone();
        self.tasks.spawn("swarm.find", async move {
            let mut batch = Some(always);
            while let Some(peers) = batch {
                if tell.send(peers).await.is_err() {
                    return;
                }
                batch = tokio::select! {
                    batch = found.recv() => batch,
                    () = tell.closed() => None,
                };
            }
        });
        merged
    }
}

/// What the door asks the rest of the swarm.
struct Hands {
    fetch: Fetch,
    dht: Option<dht::Dht>,
    damaged: mpsc::Sender<(InfoHash, u32)>,
}

impl listen::Handover for Hands {
    fn fetching(&self, infohash: &InfoHash) -> Option<SocketAddr> {
        self.fetch.handover(infohash)
    }

    fn door(&self) -> Option<std::net::IpAddr> {
        Some(self.fetch.door())
    }

    fn announced(&self, infohash: &InfoHash, peer: SocketAddr) {
        self.fetch.add_peers(infohash, &[peer]);
    }

    fn dht_node(&self, node: SocketAddr) {
        if let Some(dht) = &self.dht {
            dht.ping_node(node);
        }
    }

    fn damaged(&self, infohash: &InfoHash, piece: u32) {
        // When full, the scrub finds the rest later.
        let _ = self.damaged.try_send((*infohash, piece));
    }
}

pub async fn start(config: SwarmConfig, db: Db, clock: Clock, tasks: &Tasks) -> Result<Parts, Error> {
    let limits = limits::Limits::new(config.limits.clone());
    flow::follow_week(&limits, &clock, tasks);
    let dht = start_dht(&config, &db, &clock, tasks).await?;
    let found = Found {
        always: config.peers.clone(),
        finder: start_finder(&config, dht.clone(), &db, &clock, tasks),
        tasks: tasks.clone(),
    };
    let giving = watch::Sender::new(config.upload);
    let fetch = start_fetch(&config, &db, &limits, &found, giving.subscribe(), tasks).await?;
    flow::follow_rates(&limits, &fetch, tasks);
    let (damaged, reports) = mpsc::channel(256);
    let hands = Hands {
        fetch: fetch.clone(),
        dht: dht.clone(),
        damaged,
    };
    let door = listen::Config {
        addr: config.listen_bt,
        dht_port: dht
            .as_ref()
            .and_then(|dht| Some(dht.local_addrs().first()?.port())),
        seed: seed::Config {
            serve: config.upload,
            ..seed::Config::default()
        },
        ..listen::Config::default()
    };
    let listener = listen::Listener::start(door, db.clone(), limits.clone(), tasks, Arc::new(hands))
        .map_err(|listen::Error::Bind { addr, source: reason }| Error::Listen { addr, reason })?;
    // Without its port the finder announces nothing.
    if config.upload {
        found.finder.set_port(listener.local_addr().port());
    }
    flow::write_totals_at_end(&listener, tasks);
    fetch_damaged(reports, &db, &fetch, tasks);
    let records = Records::start(dht.clone(), db.clone(), clock.clone(), tasks);
    records.set_putting(config.upload);
    Ok(Parts {
        db,
        clock,
        tasks: tasks.clone(),
        policy: config.policy,
        limits,
        found,
        fetch,
        opening: Opening::default(),
        dht,
        records,
        reused: Lately::default(),
        listener,
        giving,
    })
}

/// `None` when no address was given for it. A port that is taken is told, so that a person can choose another one.
async fn start_dht(
    config: &SwarmConfig,
    db: &Db,
    clock: &Clock,
    tasks: &Tasks,
) -> Result<Option<dht::Dht>, Error> {
    let listen_v4 = config.listen_dht.iter().copied().find(SocketAddr::is_ipv4);
    let listen_v6 = config.listen_dht.iter().copied().find(SocketAddr::is_ipv6);
    if listen_v4.is_none() && listen_v6.is_none() {
        return Ok(None);
    }
    let settings = dht::Config {
        listen_v4,
        listen_v6,
        bootstrap: config.dht_bootstrap.clone(),
        policy: config.policy.clone(),
        read_only: !config.upload,
        #[cfg(test)]
        wire: config.dht_wire.clone(),
        ..dht::Config::default()
    };
    dht::Dht::start(settings, db.clone(), clock.clone(), tasks)
        .await
        .map(Some)
        .map_err(|err| match err {
            dht::Error::Listen { addr, reason } => Error::Listen { addr, reason },
            err => Error::Engine(err.to_string()),
        })
}

fn start_finder(
    config: &SwarmConfig,
    dht: Option<dht::Dht>,
    db: &Db,
    clock: &Clock,
    tasks: &Tasks,
) -> find::Finder {
    let dht_port = config
        .listen_dht
        .iter()
        .map(SocketAddr::port)
        .find(|port| *port != 0);
    let settings = find::Config {
        port: 0,
        policy: config.policy.clone(),
        lsd: config.lsd.then(|| find::LsdConfig {
            interfaces: config.interfaces.clone(),
        }),
        portmap: config.upnp.then(|| find::PortmapConfig {
            udp_ports: dht_port.into_iter().collect(),
            ..find::PortmapConfig::default()
        }),
        ..find::Config::default()
    };
    find::Finder::start(settings, dht, db.clone(), clock.clone(), tasks)
}

async fn start_fetch(
    config: &SwarmConfig,
    db: &Db,
    limits: &limits::Limits,
    found: &Found,
    upload: watch::Receiver<bool>,
    tasks: &Tasks,
) -> Result<Fetch, Error> {
    let announce = found.clone();
    let setup = Setup {
        db: db.clone(),
        folder: config.engine_dir.clone(),
        places: config.fetching_max,
        peers_max: config.peers_per_torrent,
        policy: config.policy.clone(),
        limits: limits.clone(),
        upload,
        on_whole: Arc::new(move |ih| announce.announce(ih)),
    };
    Fetch::start(setup, Arc::new(found.clone()), tasks).await
}

/// A piece that the seeder found rotten is fetched again when its torrent is kept.
fn fetch_damaged(mut reports: mpsc::Receiver<(InfoHash, u32)>, db: &Db, fetch: &Fetch, tasks: &Tasks) {
    let (db, fetch) = (db.clone(), fetch.clone());
    tasks.spawn("swarm.damaged", async move {
        while let Some((ih, piece)) = reports.recv().await {
            warn!(site = %ih.short(), piece, "a held piece is rotten and is fetched again");
            if let Ok(Some(row)) = db.run(move |store| store.site(&ih)).await
                && row.keep == store::Keep::Kept
            {
                fetch.keep(ih, &super::hints_of(&row));
            }
        }
    });
}

impl Parts {
    /// Everybody who gives something to others is told. Returns at once; connections end within a second.
    pub fn set_upload(&self, on: bool) {
        let changed = self
            .giving
            .send_if_modified(|before| std::mem::replace(before, on) != on);
        if !changed {
            return;
        }
        info!(upload = on, "what others get from us has changed");
        self.listener.seeder().set_open(on);
        self.found
            .finder
            .set_port(if on { self.listener.local_addr().port() } else { 0 });
        self.records.set_putting(on);
        if let Some(dht) = &self.dht {
            dht.set_read_only(!on);
        }
    }

    pub fn status(&self) -> Status {
        let fetching = self.fetch.active();
        let found = self.found.finder.status();
        let sum = |part: fn(&Progress) -> u64| fetching.iter().map(|(_, p)| part(p)).sum::<u64>();
        let (seeder, fetched) = (self.listener.seeder(), self.fetch.totals());
        let dht = self.dht.as_ref().map(dht::Dht::stats).unwrap_or_default();
        Status {
            listen_bt: Some(self.listener.local_addr()),
            listen_dht: self.dht.as_ref().map(dht::Dht::local_addrs).unwrap_or_default(),
            dht_nodes: dht.good_v4 + dht.good_v6,
            dht_nodes_v4: dht.good_v4,
            dht_nodes_v6: dht.good_v6,
            upload: *self.giving.borrow(),
            met: self.listener.met(),
            peers: fetching.iter().map(|(_, p)| p.peers).sum::<u32>() + seeder.peers(),
            down_bps: sum(|p| p.down_bps),
            up_bps: sum(|p| p.up_bps) + seeder.up_bps(),
            downloaded: fetched.down(),
            uploaded: fetched.up() + seeder.uploaded(),
            rates: *self.limits.rates().borrow(),
            found,
            fetching,
        }
    }
}
