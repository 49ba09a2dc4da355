//! The composition root: who exists, who gets which handle, start and stop order. Holds no rule of the domain.
//!
//! Start: store, swarm, sites, publish, then the doors, so that nobody is answered by half a house. Stop, in this order:
//! doors, requests under way (five seconds), background, store.

mod halves;

use proto::guard::Policy;
use std::{fs, net::IpAddr, path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, time::Instant};
use tracing::{info, warn};

use self::halves::{Askers, Beside};
use crate::{
    admin::Admin,
    api::{Addresses, Handles},
    arrangement::Arrangement,
    blocklists::{self, Blocklists},
    claim::{self, Claim},
    clock::Clock,
    config::Config,
    control,
    db::Db,
    fault::{Exit, Fault},
    feeds::{self, Feeds},
    gateway::{self, Network, Seen, Sockets},
    health::{self, Health},
    home::Home,
    journal::Journal,
    links::{self, Links},
    net,
    publish::{Publish, bundled},
    sharing::{self, Sharing},
    sites::Sites,
    swarm::{self, Swarm, SwarmConfig, limits::Caps},
    tasks::Tasks,
};

/// Requests under way get so long when we stop.
const REQUESTS_DEADLINE: Duration = Duration::from_secs(5);
/// Background work is over in moments; a task that is not is a defect, and must not keep the store open.
const BACKGROUND_DEADLINE: Duration = Duration::from_secs(5);
/// How often the store does its periodic work.
const STORE_TICK: Duration = Duration::from_secs(1);

/// A running Granary.
pub struct Daemon {
    handles: Handles,
    doors: Tasks,
    background: Tasks,
    lan: Option<Beside>,
}

impl Daemon {
    /// Everything: the household's Granary. `starter`: also seeds the starter site; a second start finds it in the store.
    /// `lan`: also starts the lan half in this process; without, it is expected to run beside us.
    pub async fn start(config: Config, starter: bool, lan: Option<lan::Config>) -> Result<Self, Fault> {
        let mut daemon = Self::alone(config.clone()).await?;
        let opened = async {
            if starter {
                daemon.seed_starter().await?;
            }
            daemon.open_doors(&config, lan).await
        };
        match opened.await {
            Ok(()) => {
                let addresses = &daemon.handles.addresses;
                info!(http = ?addresses.http, proxy = ?addresses.proxy, bt = ?addresses.bt, dht = ?addresses.dht, "listening");
                Ok(daemon)
            }
            Err(fault) => {
                daemon.stop().await;
                Err(fault)
            }
        }
    }

    /// Without doors for browsers and scripts: store, swarm, sites. For commands that work on their own, and the demo peer.
    pub async fn alone(config: Config) -> Result<Self, Fault> {
        let links = Links::new(&links_config(&config))
            .map_err(|err| Fault::usage(format!("{err}. Nothing was started.")))?;
        let tasks = Tasks::new();
        let clock = Clock::with_offset(config.clock_offset_secs);
        let health = Health::default();
        let db = open_store(&config, &clock).await?;
        let background = tasks.child();
        let shares = sharing_config(&config);
        let mut swarm_config = swarm_config(&config);
        (swarm_config.limits, swarm_config.upload) = sharing::first(&shares, &db, &clock);
        let swarm = match Swarm::start(swarm_config, db.clone(), clock.clone(), &background).await {
            Ok(swarm) => swarm,
            Err(err) => {
                background.cancel();
                let _ = db.run(|store| store.close()).await;
                return Err(explain(err, &config));
            }
        };
        keep_store(&db, &swarm, &clock, &health, &background);
        let sites = Sites::new(
            swarm.clone(),
            links.clone(),
            db.clone(),
            clock.clone(),
            &background,
        );
        let feeds = Feeds::start(
            feeds::Config::default(),
            sites.clone(),
            links.clone(),
            swarm.clone(),
            db.clone(),
            clock.clone(),
            &background,
        );
        let sharing = Sharing::start(
            shares,
            swarm.clone(),
            db.clone(),
            clock.clone(),
            health.clone(),
            &background,
        );
        let home = Home::new(config.lan_socket());
        let lists = blocklists_config(&config);
        let blocklists = Blocklists::start(lists, &db, &clock, &health, &home, &background);
        let claim = Claim::new(has_owner(&db)?);
        let publish = Publish::new(db.clone(), swarm.clone(), clock.clone());
        let addresses = swarm_addresses(&swarm);
        let arrangement = Arrangement::new(home.clone(), db.clone(), clock.clone(), background.clone());
        Ok(Self {
            handles: Handles {
                swarm,
                sites,
                feeds,
                publish,
                sharing,
                journal: Journal::global(),
                db,
                clock,
                claim,
                health,
                home,
                arrangement,
                seen: Seen::default(),
                blocklists,
                tasks: tasks.clone(),
                addresses: Arc::new(addresses),
                shelves: Arc::new(config.store()),
                started: Instant::now(),
            },
            doors: tasks.child(),
            background,
            lan: None,
        })
    }

    async fn open_doors(&mut self, config: &Config, lan: Option<lan::Config>) -> Result<(), Fault> {
        let (sockets, inherited) = Sockets::open(config, lan.is_some())?;
        let gateway_config = gateway::Config {
            advertise: config.advertise.map(IpAddr::from),
            ..gateway::Config::default()
        };
        let first = |listeners: &[TcpListener]| listeners.first().and_then(|one| one.local_addr().ok());
        let mut addresses = self.handles.addresses.as_ref().clone();
        addresses.http = first(&sockets.http);
        addresses.proxy = first(&sockets.proxy);
        addresses.admin_url = addresses.http.map(|http| format!("http://{http}/"));
        addresses.pac_url = addresses.http.map(|http| format!("http://{http}/proxy.pac"));
        let expected = lan.is_none();
        if let Some(lan) = lan {
            let lan = lan::Config {
                http_port: addresses.http.map_or(lan.http_port, |http| http.port()),
                ..lan
            };
            let Handles { clock, health, .. } = &self.handles;
            self.lan = Beside::start(lan, inherited, clock, health, &self.handles.tasks).await;
        }
        let listening = self.lan.as_ref().map(Beside::listening).unwrap_or_default();
        addresses.dns = listening.dns.first().copied();
        addresses.dot = listening.dot.first().copied();
        let socket = config.control_socket();
        addresses.control = Some(socket.display().to_string());
        self.handles.addresses = Arc::new(addresses);
        let sites = Arc::new(self.handles.sites.clone());
        let pages = Arc::new(Admin::new(self.handles.clone()));
        let network = self.network(expected);
        gateway::start(&gateway_config, sockets, sites, pages, network, &self.doors)
            .map_err(|err| Fault::usage(err.to_string()))?;
        control::start(&socket, self.handles.clone(), &self.doors).map_err(|err| match err {
            control::Error::InUse(_) => Fault::new(
                Exit::InUse,
                format!("{err}. Nothing was started. Choose another one with --control SOCKET."),
            ),
            control::Error::Open { .. } => Fault::new(
                Exit::Denied,
                format!("{err}. Nothing was started. Choose another one with --control SOCKET."),
            ),
        })?;
        health::watch(&self.handles.db, &self.background);
        if !self.handles.claim.owned() {
            let pin = self.handles.claim.open(&self.background);
            let url = self.handles.addresses.admin_url.clone().unwrap_or_default();
            info!(%pin, minutes = claim::WINDOW.as_secs() / 60, "this box has no owner yet; become it at {url}claim");
        }
        Ok(())
    }

    /// What the gateway knows of the home's network. `expected`: the lan half is another process.
    fn network(&self, expected: bool) -> Network {
        let Handles {
            home,
            feeds,
            health,
            seen,
            ..
        } = &self.handles;
        let (rules, heard) = watch::channel(Arc::default());
        // One that did not start here has said why.
        let health = (expected || self.lan.is_some()).then_some(health);
        halves::keep(home, feeds, rules, health, &self.background);
        Network {
            rules: heard,
            resolver: Arc::new(Askers::new(home)),
            seen: seen.clone(),
        }
    }

    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    async fn seed_starter(&mut self) -> Result<(), Fault> {
        let seeded = self.handles.publish.bundled(&bundled::STARTER).await;
        let ih = seeded.map_err(|err| Fault::refused(format!("seed the starter site: {err}")))?;
        let mut addresses = self.handles.addresses.as_ref().clone();
        addresses.starter = Some(ih.to_string());
        self.handles.addresses = Arc::new(addresses);
        Ok(())
    }

    /// SIGHUP: what of sharing stands in the file takes effect at once, unless it was set on a page; what else changed needs
    /// a restart. Both are said in the log.
    pub fn reload(&self, config: &Config) {
        if let Some(lan) = &self.lan {
            lan.reload();
        }
        if self.handles.sharing.reload(sharing_config(config)) {
            info!(
                "config reloaded: upload, rates and their schedule took effect; other changes need a restart"
            );
        } else {
            info!(
                "config reloaded: what is shared was set on a page, which counts; other changes need a restart"
            );
        }
    }

    /// Ends everything in order. Never hangs: every step has its deadline.
    pub async fn stop(self) {
        self.doors.cancel();
        if let Some(lan) = self.lan {
            lan.stop().await;
        }
        let until = Instant::now() + REQUESTS_DEADLINE;
        let busy = |tasks: &Tasks| {
            tasks
                .list()
                .iter()
                .any(|row| row.name.starts_with("gateway.") || row.name.starts_with("control."))
        };
        while busy(&self.doors) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.background.cancel();
        let left = self.handles.tasks.stop(BACKGROUND_DEADLINE).await;
        if !left.is_empty() {
            warn!(tasks = ?left, "stopped with tasks still alive");
        }
        if let Err(err) = self.handles.db.run(|store| store.close()).await {
            warn!(%err, "the store was not closed cleanly; nothing committed is lost");
        }
    }
}

async fn open_store(config: &Config, clock: &Clock) -> Result<Db, Fault> {
    let denied = |dir: &Path, err: std::io::Error| {
        Fault::new(
            Exit::Denied,
            format!(
                "make the folder {}: {err}. Nothing was started. Choose another one with --data DIR.",
                dir.display()
            ),
        )
    };
    let store_config = config.store();
    for dir in [&store_config.state_dir, &store_config.content_dir] {
        fs::create_dir_all(dir).map_err(|err| denied(dir, err))?;
    }
    let now = clock.now_secs();
    Ok(Db::new(store::Store::open(store_config, now)?))
}

/// What is known before the doors open.
fn swarm_addresses(swarm: &Swarm) -> Addresses {
    let listening = swarm.status();
    Addresses {
        pid: std::process::id(),
        bt: listening.listen_bt,
        dht: listening.listen_dht.first().copied(),
        ..Addresses::default()
    }
}

/// Whether somebody manages this box.
fn has_owner(db: &Db) -> Result<bool, store::Error> {
    let accounts = db.store().accounts()?;
    Ok(accounts.iter().any(|account| account.role == store::Role::Owner))
}

/// Gives the store its time slices and passes on what it found.
fn keep_store(db: &Db, swarm: &Swarm, clock: &Clock, health: &Health, tasks: &Tasks) {
    let (db, swarm, clock, health) = (db.clone(), swarm.clone(), clock.clone(), health.clone());
    tasks.spawn("store.tick", async move {
        loop {
            tokio::time::sleep(STORE_TICK).await;
            let now = clock.now_secs();
            match db.run(move |store| store.tick(now)).await {
                Ok(report) => {
                    if !report.rotten.is_empty() {
                        warn!(
                            count = report.rotten.len(),
                            "pieces were rotten on disk and are fetched again"
                        );
                        swarm.rotten(&report.rotten).await;
                    }
                    if !report.evicted.is_empty() {
                        info!(
                            count = report.evicted.len(),
                            "visited sites gave way to newer ones"
                        );
                    }
                    health.set("store", report.trouble);
                }
                Err(err) => health.set("store", Some(err.to_string())),
            }
        }
    });
}

impl Sockets {
    /// The doors' sockets: those that systemd opened under the names `http` and `proxy`, else those of the config; and those
    /// of systemd that are the lan half's, when that runs here.
    fn open(config: &Config, with_lan: bool) -> Result<(Self, Vec<(String, net::Inherited)>), Fault> {
        let mut sockets = Self::default();
        let mut others = Vec::new();
        for (name, listener) in net::inherited() {
            match (name.as_str(), listener) {
                ("http", net::Inherited::Tcp(listener)) => sockets.http.push(net::adopt_tcp(listener)?),
                ("proxy", net::Inherited::Tcp(listener)) => sockets.proxy.push(net::adopt_tcp(listener)?),
                (_, socket) if with_lan => others.push((name, socket)),
                (other, _) => warn!(
                    listen = other,
                    "systemd gave a socket that we have no use for: use the names http or proxy, with TCP"
                ),
            }
        }
        let doors = [
            (&config.http, &mut sockets.http, "--listen-http"),
            (&config.proxy, &mut sockets.proxy, "--listen-proxy"),
        ];
        for (addrs, listeners, option) in doors {
            if listeners.is_empty() {
                for addr in addrs {
                    listeners.push(net::listen_tcp(*addr, option)?);
                }
            }
        }
        Ok((sockets, others))
    }
}

fn links_config(config: &Config) -> links::Config {
    links::Config {
        upstream: config.dns_upstream.clone(),
        doh: config.dns_doh.clone(),
        doh_ca: config.dns_doh_ca.clone(),
        trust_anchor: config.dns_trust_anchor.clone(),
    }
}

/// Lists come from public servers only. On a loopback port nobody but this machine is served: then it may serve lists too.
fn blocklists_config(config: &Config) -> blocklists::Config {
    blocklists::Config {
        folder: config.data.join("blocklists"),
        policy: Policy {
            allow_loopback: config.bt.ip().is_loopback(),
            ..Policy::default()
        },
    }
}

/// What the swarm has to be told.
fn swarm_config(config: &Config) -> SwarmConfig {
    let mut to = SwarmConfig::new(&config.data);
    // On a loopback port only this machine can be meant: then its other clients are peers like any other.
    to.policy.allow_loopback =
        config.bt.ip().is_loopback() || config.peers.iter().any(|peer| peer.ip().is_loopback());
    // A person who names a neighbour as a peer means it.
    to.policy.allow_private = config
        .peers
        .iter()
        .any(|peer| matches!(peer.ip(), IpAddr::V4(ip) if ip.is_private()));
    to.listen_bt = config.bt;
    to.listen_dht.clone_from(&config.dht);
    to.dht_bootstrap.clone_from(&config.dht_bootstrap);
    to.lsd = config.lsd;
    to.interfaces = config.interface.iter().cloned().collect();
    to.upnp = config.upnp;
    to.peers.clone_from(&config.peers);
    to
}

/// What of sharing stands in the configuration file.
fn sharing_config(config: &Config) -> sharing::Config {
    let mut schedule: Vec<sharing::Hours> = Vec::new();
    for hours in &config.schedule {
        let day = sharing::Day::ALL[usize::from(hours.from / 24 % 7)];
        let until = match hours.until % 24 {
            0 => 24,
            hour => hour,
        };
        let entry = sharing::Hours {
            days: Vec::new(),
            from: format!("{:02}:00", hours.from % 24),
            until: format!("{until:02}:00"),
            upload_bytes_per_sec: hours.up.unwrap_or(config.upload_bytes_per_sec),
            download_bytes_per_sec: hours.down.unwrap_or(config.download_bytes_per_sec),
        };
        // One line of the file was one entry per day.
        match schedule.last_mut() {
            Some(last)
                if sharing::Hours {
                    days: Vec::new(),
                    ..last.clone()
                } == entry
                    && !last.days.contains(&day) =>
            {
                last.days.push(day);
            }
            _ => schedule.push(sharing::Hours {
                days: vec![day],
                ..entry
            }),
        }
    }
    sharing::Config {
        settings: sharing::Settings {
            upload: config.upload,
            upload_bytes_per_sec: config.upload_bytes_per_sec,
            download_bytes_per_sec: config.download_bytes_per_sec,
            schedule,
            monthly_bytes: config.upload_bytes_per_month,
        },
        caps: Caps::default(),
        never: config.upload_never,
    }
}

/// A swarm that does not start has a port that is taken, or a folder that cannot be written.
fn explain(err: swarm::Error, config: &Config) -> Fault {
    match err {
        swarm::Error::Listen { addr, reason } => {
            let option = if addr == config.bt {
                "--listen-bt"
            } else {
                "--listen-dht"
            };
            net::explain(addr, option, reason).into()
        }
        swarm::Error::Store(err) => err.into(),
        err => Fault::refused(format!(
            "{err}. Nothing was started. `granary doctor` looks for the cause."
        )),
    }
}
