//! The composition of the lan half: which rooms exist, who gets which handle, start and stop order. Holds no rule of a room.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use house::{clock::Clock, health::Health, tasks::Tasks};
use tokio::{sync::watch, time::Instant};
use tracing::{debug, warn};

use crate::{
    api::{DeviceFacts, Devices, InterfaceFacts, Linked, Saved, Status, Survey, Top, Trouble},
    blocking::Blocking,
    control, devices, dhcp,
    dns::{self, Dns},
    frame::{Config, House},
    interfaces::Interfaces,
    mdns, neighbours, ra,
    settings::{Settings, parse_mac},
    survey, watchdog,
};

/// So long after the start nothing happens for the first time any more.
const SETTLED: Duration = Duration::from_secs(2);
/// Routers and DHCP servers that were asked have spoken after it.
const NEIGHBOURS_ANSWER: Duration = Duration::from_secs(2);

/// Split by what the person who starts us can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Listen(#[from] house::net::Error),
    #[error("another Granary answers on {0}")]
    InUse(PathBuf),
    #[error("open the control socket {path}: {reason}")]
    Control { path: PathBuf, reason: io::Error },
}

/// Every room's handle.
pub struct Rooms {
    pub house: House,
    blocking: Blocking,
    dhcp: dhcp::Handle,
    settings: watch::Sender<Arc<Settings>>,
    path: PathBuf,
    started: Instant,
    ra: ra::Handle,
    mdns: mdns::Handle,
    dns: Dns,
}

/// A running lan half.
pub struct Lan {
    rooms: Arc<Rooms>,
}

impl Lan {
    /// Sockets first, so that a taken port is known before anything else happens; then the rooms. `inherited`: sockets that
    /// systemd opened.
    pub async fn start(
        config: Config,
        inherited: Vec<(String, house::net::Inherited)>,
        clock: Clock,
        health: Health,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let path = config
            .settings
            .clone()
            .unwrap_or_else(|| config.state.join("lan.toml"));
        let settings = Settings::load(&path).unwrap_or_else(|(trouble, settings)| {
            health.set("settings", Some(trouble));
            *settings
        });
        let (sender, receiver) = watch::channel(Arc::new(settings));
        let house = House {
            interfaces: Interfaces::start(&config.interfaces, tasks),
            config: Arc::new(config),
            tasks: tasks.clone(),
            clock,
            health,
            settings: receiver,
        };
        let mut inherited = inherited;
        let blocking = Blocking::start(&house);
        let dns = Dns::start(&house, Arc::new(blocking.clone()), &mut inherited)?;
        for (name, _) in inherited {
            warn!(listen = name, "systemd gave a socket that we have no use for");
        }
        let rooms = Arc::new(Rooms {
            house: house.clone(),
            blocking,
            dhcp: dhcp::start(&house),
            settings: sender,
            path,
            started: Instant::now(),
            ra: ra::start(&house),
            mdns: mdns::start(&house),
            dns: dns.clone(),
        });
        watchdog::start(dns.probe_addr(), tasks);
        watch_devices(&house, dns, rooms.dhcp.clone());
        let socket = &house.config.control;
        control::start(socket, rooms.clone()).map_err(|reason| match reason.kind() {
            io::ErrorKind::AddrInUse => Error::InUse(socket.clone()),
            _ => Error::Control {
                path: socket.clone(),
                reason,
            },
        })?;
        Ok(Self { rooms })
    }

    pub fn status(&self) -> Status {
        self.rooms.status()
    }

    /// For a process that is the LAN half and nothing else: when all rooms have settled, what only starting needed leaves memory.
    pub fn settle(&self) {
        self.rooms.house.tasks.spawn("settle", async {
            tokio::time::sleep(SETTLED).await;
            if let Err(err) = mapped::forget_code() {
                debug!(%err, "the code of the start stays in memory");
            }
        });
    }

    /// SIGHUP: the settings are read again.
    pub fn reload(&self) {
        if let Err(faults) = self.rooms.reload() {
            warn!(
                reason = faults.join("; "),
                "settings not reloaded, the old ones stay"
            );
        }
    }

    /// Says goodbye on the LAN (router advertisements, mDNS), then ends. The tasks end with the group given at the start.
    pub async fn stop(self, deadline: Duration) {
        tokio::join!(self.rooms.ra.goodbye(deadline), self.rooms.mdns.goodbye(deadline));
        let _ = std::fs::remove_file(&self.rooms.house.config.control);
    }
}

impl Rooms {
    pub fn status(&self) -> Status {
        let view = self.house.interfaces.now();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_secs: self.started.elapsed().as_secs(),
            troubles: self
                .house
                .health
                .troubles()
                .into_iter()
                .map(|(room, reason)| Trouble {
                    room: room.into(),
                    reason,
                })
                .collect(),
            interfaces: view
                .all
                .iter()
                .map(|one| InterfaceFacts {
                    name: one.name.clone(),
                    up: one.up,
                    mac: one.mac.map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":")),
                    addrs: one
                        .v4
                        .iter()
                        .map(|(addr, len)| format!("{addr}/{len}"))
                        .chain(one.v6.iter().map(|(addr, len)| format!("{addr}/{len}")))
                        .collect(),
                    served: view.served.contains(&one.name),
                })
                .collect(),
            listen: self.dns.listening(),
            dns: self.dns.facts(),
            block: self.blocking.facts(),
            dhcp: self.dhcp.facts(),
            ra: self.ra.facts(),
            mdns: self.mdns.facts(),
        }
    }

    /// Checks, applies and saves. A disk that cannot be written does not keep the choice from taking effect.
    pub fn change(&self, settings: Settings) -> Result<Saved, Vec<String>> {
        let faults = settings.faults();
        if !faults.is_empty() {
            return Err(faults);
        }
        let saved = settings.save(&self.path);
        self.settings.send_replace(Arc::new(settings));
        let not_saved = saved.err().map(|err| {
            format!("the settings count now, but could not be written to {} ({err}): they are lost at the next start", self.path.display())
        });
        self.house.health.set("settings", not_saved.clone());
        Ok(Saved { not_saved })
    }

    /// Reads the file again; a broken one changes nothing.
    pub fn reload(&self) -> Result<Saved, Vec<String>> {
        let settings = Settings::load(&self.path).map_err(|(trouble, _)| vec![trouble])?;
        self.settings.send_replace(Arc::new(settings));
        self.house.health.set("settings", None);
        Ok(Saved::default())
    }

    pub fn devices(&self) -> Devices {
        let neighbours = neighbours::read().unwrap_or_default();
        let named = &self.house.settings().devices;
        let leased = self.dhcp.leases().into_iter().map(|lease| DeviceFacts {
            asked_wpad: parse_mac(&lease.mac).is_some_and(|mac| self.dhcp.asked_wpad(mac)),
            mac: Some(lease.mac),
            addrs: vec![lease.addr.into()],
            name: lease.name,
            lease_ends_in_secs: Some(lease.ends_in_secs),
            ..DeviceFacts::default()
        });
        Devices {
            devices: devices::join(named, &neighbours, &self.dns.seen(), leased.collect()),
        }
    }

    pub fn top(&self) -> Top {
        self.dns.top()
    }

    /// Blocks nothing for so long; 0 ends the pause.
    pub fn pause(&self, secs: u64) {
        self.blocking.pause(Duration::from_secs(secs));
    }

    pub fn reload_blocklist(&self) {
        self.blocking.reload();
    }

    pub fn linked(&self, linked: Linked) {
        self.dns.set_linked(&linked.domains);
    }

    pub async fn survey(&self) -> Survey {
        // Routers answer a solicitation within half a second.
        let routers6 = async {
            self.ra.solicit();
            tokio::time::sleep(NEIGHBOURS_ANSWER).await;
            self.ra.facts().routers
        };
        let dhcp = |interface: String| async move { self.dhcp.discover(&interface, NEIGHBOURS_ANSWER).await };
        survey::look(&self.house, dhcp, routers6).await
    }
}

impl dns::Blocking for Blocking {
    fn is_blocked(&self, name: &[u8]) -> bool {
        Self::is_blocked(self, name)
    }

    fn generation(&self) -> u64 {
        Self::generation(self)
    }

    fn names(&self) -> u64 {
        Self::names(self)
    }
}

/// Tells the resolver which names leased addresses have, and which addresses the devices have that are left alone. Both come
/// and go (leases, privacy extensions), so they are looked at again and again.
fn watch_devices(house: &House, dns: Dns, dhcp: dhcp::Handle) {
    const EVERY: Duration = Duration::from_secs(5);
    let (mut changes, house) = (house.watch_settings(), house.clone());
    let tasks = house.tasks.clone();
    tasks.spawn("devices.watch", async move {
        let mut told = Vec::new();
        loop {
            let settings = changes.borrow_and_update().clone();
            let names = dhcp.names().into_iter();
            dns.set_names(names.map(|(name, addr)| (name, addr.into())).collect());
            let mut addrs = match settings.devices.iter().any(|device| device.bypass) {
                true => devices::bypassed(&settings.devices, &neighbours::read().unwrap_or_default()),
                false => Vec::new(),
            };
            addrs.sort_unstable();
            if addrs != told {
                dns.set_bypass(addrs.clone());
                told = addrs;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    });
}
