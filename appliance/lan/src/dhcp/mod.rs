//! DHCP on the LAN, off unless the household chose a mode: the home's server, or answers to DHCPINFORM alone.
//!
//! What is said stands in `proto::dhcp`; here are sockets, the lease file, probes and the look-out for other servers. A lease is
//! on disk before its acknowledgement leaves. Must not know DNS, router advertisements or mDNS; names of devices are given out by
//! [`Handle::names`], and `lan` brings them to the zone.
//!
//! Reading order: this file (modes and interfaces), `handle` (what others may ask), `link` (one interface), `serving` (what it hands out), `commit`
//! (leases before words), `probes` (addresses in use), `rival` (other servers), `offers` (what they say), `ask` (a look around
//! for people), `wire` (sockets).

mod ask;
mod commit;
mod handle;
mod link;
mod offers;
mod probes;
mod rival;
mod serving;
mod wire;

use std::{
    collections::{BTreeMap, HashSet},
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use house::tasks::Tasks;
use proto::dhcp::{Kept, Lease as Row, Mac, Mode, Secs, Serving, Table};
use store::LeaseRow;
use tokio::time::Instant;
use tracing::info;

pub use ask::{Found, ask};
pub use handle::Handle;

use self::{
    commit::{Book, Entry},
    link::Link,
    rival::Rivals,
    wire::{Port, Wire},
};
use crate::{
    api::{DhcpServer, DhcpState},
    frame::House,
    interfaces::View,
    settings::{self, DhcpMode, Settings},
};

/// A clock that jumped must not make a lease longer than the longest there is.
const LEASE_MAX: Secs = 604_800;
/// What ended so long ago is forgotten at the next start.
const FORGET: Secs = 90 * 24 * 3600;
/// Devices known to have asked for option 252.
const WPAD_MAX: usize = 1024;
/// A port that is taken, a right that is missing: tried again.
const RETRY: Duration = Duration::from_secs(30);
const HEALTH: &str = "dhcp";

/// What one interface is doing.
#[derive(Debug, Clone, Default)]
struct Doing {
    state: DhcpState,
    reason: Option<String>,
    /// Something to know that keeps nothing from working.
    told: Option<String>,
    rivals: Vec<(DhcpServer, Instant)>,
}

/// What the tasks of all interfaces share. Locks are held for a decision and never across a wait; `tables` before `doing`.
struct Shared {
    house: House,
    tables: Mutex<BTreeMap<String, Table>>,
    doing: Mutex<BTreeMap<String, Doing>>,
    asked_wpad: Mutex<HashSet<Mac>>,
    start: Instant,
    base: Secs,
}

/// Starts the room. It serves nothing until the settings say so.
pub fn start(house: &House) -> Handle {
    let shared = Arc::new(Shared {
        house: house.clone(),
        tables: Mutex::default(),
        doing: Mutex::default(),
        asked_wpad: Mutex::default(),
        start: Instant::now(),
        base: house.clock.now_secs(),
    });
    let handle = Handle::new(shared.clone());
    house.tasks.spawn("dhcp", async move { watch(shared).await });
    handle
}

/// What a server on an interface of this address would hand out, and its pool: for looking at decisions without serving.
pub fn would_serve(
    settings: &Settings,
    mode: DhcpMode,
    (own, prefix): (Ipv4Addr, u8),
    http_port: u16,
) -> Result<(Serving, proto::dhcp::Pool), String> {
    let port = Port {
        name: "the interface".into(),
        mac: [2; 6],
        own,
        prefix,
    };
    let mode = serving::mode(mode).ok_or("this mode serves nothing")?;
    let around = serving::Around {
        gateway: None,
        advertise: None,
        http_port,
    };
    let (pool, _) = serving::pool(settings, &port)?;
    Ok((serving::serving(settings, mode, &port, &around), pool))
}

/// What has to be the same for a link to go on as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    port: Port,
    pool: settings::Pool,
    told: Option<String>,
}

/// Keeps one task per served interface, as the settings and the interfaces change.
async fn watch(shared: Arc<Shared>) {
    let mut settings = shared.house.watch_settings();
    let mut interfaces = shared.house.interfaces.clone();
    let mut running: BTreeMap<String, (Wanted, Mode, Tasks)> = BTreeMap::new();
    let mut book: Option<(Book, Vec<LeaseRow>, Tasks)> = None;
    loop {
        let now = settings.borrow_and_update().clone();
        let mode = serving::mode(shared.house.config.dhcp.unwrap_or(now.dhcp.mode));
        let mut wanted = match mode {
            Some(mode) => shared.wanted(&now, mode, &interfaces.now()),
            None => BTreeMap::new(),
        };
        shared.doing().retain(|name, _| wanted.contains_key(name));
        running.retain(|name, (what, as_mode, tasks)| {
            let stays =
                mode == Some(*as_mode) && wanted.get(name).is_some_and(|want| want.as_ref() == Ok(what));
            if !stays {
                tasks.cancel();
            }
            stays
        });
        if mode == Some(Mode::Lease) && book.is_none() {
            let tasks = shared.house.tasks.child();
            let (new, rows) = shared.open_book(&tasks);
            book = Some((new, rows, tasks));
        }
        let mut missing = false;
        wanted.retain(|name, _| !running.contains_key(name));
        for (name, want) in wanted {
            let begun = want.and_then(|want| match (mode, &book) {
                (Some(mode), book) => {
                    let book = book.as_ref().map(|(book, rows, _)| (book, rows));
                    shared
                        .begin(&now, mode, &want, book)
                        .map(|tasks| (want, mode, tasks))
                }
                (None, _) => Err("it is off".into()),
            });
            match begun {
                Ok(link) => {
                    info!(listen = name, mode = ?link.1, "DHCP");
                    running.insert(name, link);
                }
                Err(reason) => {
                    missing = true;
                    let doing = Doing {
                        state: DhcpState::Broken,
                        reason: Some(reason),
                        ..Doing::default()
                    };
                    shared.doing().insert(name, doing);
                }
            }
        }
        shared.tell();
        let retry = async {
            match missing {
                true => tokio::time::sleep(RETRY).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            Ok(()) = settings.changed() => {}
            () = interfaces.changed() => {}
            () = retry => {}
        }
    }
}

impl Shared {
    /// Interfaces to serve, or why one cannot be.
    fn wanted(
        &self,
        settings: &Settings,
        mode: Mode,
        view: &View,
    ) -> BTreeMap<String, Result<Wanted, String>> {
        let each = view.served().map(|one| {
            let port = || -> Result<Wanted, String> {
                let (own, prefix) = one
                    .v4_addr()
                    .ok_or_else(|| format!("{} has no IPv4 address; give the box a fixed one", one.name))?;
                let mac = one.mac.ok_or_else(|| format!("{} is no Ethernet", one.name))?;
                let port = Port {
                    name: one.name.clone(),
                    mac,
                    own,
                    prefix,
                };
                let (pool, told) = match mode {
                    Mode::Lease => serving::pool(settings, &port)?,
                    Mode::Inform => (
                        proto::dhcp::Pool {
                            first: own,
                            last: own,
                        },
                        None,
                    ),
                };
                let pool = settings::Pool {
                    first: pool.first,
                    last: pool.last,
                };
                Ok(Wanted { port, pool, told })
            };
            (one.name.clone(), port())
        });
        each.collect()
    }

    fn begin(
        self: &Arc<Self>,
        settings: &Settings,
        mode: Mode,
        want: &Wanted,
        book: Option<(&Book, &Vec<LeaseRow>)>,
    ) -> Result<Tasks, String> {
        let wire = Wire::open(&want.port, mode == Mode::Lease).map_err(|err| match err.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "no permission for port 67 and raw frames: grant CAP_NET_BIND_SERVICE and CAP_NET_RAW"
                    .to_owned()
            }
            std::io::ErrorKind::AddrInUse => "port 67 is taken by another program of this box".to_owned(),
            _ => format!("open port 67 on {}: {err}", want.port.name),
        })?;
        let pool = proto::dhcp::Pool {
            first: want.pool.first,
            last: want.pool.last,
        };
        let mut table = Table::new(pool);
        {
            // What this process gave out a moment ago is newer than what was read at the start.
            let mut tables = self.tables();
            match tables.remove(&want.port.name) {
                Some(old) => old.rows().cloned().for_each(|row| table.restore(row)),
                None => book.iter().flat_map(|(_, rows)| *rows).for_each(|row| {
                    if let Some(lease) = self.in_memory(row, &want.port) {
                        table.restore(lease);
                    }
                }),
            }
            tables.insert(want.port.name.clone(), table);
        }
        let serving = self.serving(settings, mode, &want.port);
        let doing = Doing {
            state: DhcpState::Looking,
            told: want.told.clone(),
            ..Doing::default()
        };
        self.doing().insert(want.port.name.clone(), doing);
        let tasks = self.house.tasks.child();
        let book = book.map_or_else(Book::closed, |(book, _)| book.clone());
        let (link, back) = Link::new(wire, serving, self.clone(), book);
        tasks.spawn("dhcp.link", link.run(back, self.house.watch_settings()));
        Ok(tasks)
    }

    fn open_book(self: &Arc<Self>, tasks: &Tasks) -> (Book, Vec<LeaseRow>) {
        let forget = self.house.clock.now_secs().saturating_sub(FORGET);
        Book::open(
            &self.house.config.state,
            forget,
            &self.house.health,
            tasks,
            self.clone(),
        )
    }

    pub fn serving(&self, settings: &Settings, mode: Mode, port: &Port) -> Serving {
        let around = serving::Around {
            gateway: self.house.interfaces.now().gateway,
            advertise: self.house.config.advertise,
            http_port: self.house.config.http_port,
        };
        serving::serving(settings, mode, port, &around)
    }

    /// Seconds that only go forward; they begin at the date of the start.
    pub fn now(&self) -> Secs {
        self.base + self.start.elapsed().as_secs()
    }

    /// On disk stand dates, because that is what outlives us.
    pub fn on_disk(&self, row: &Row) -> LeaseRow {
        let date = |at: Secs| (self.house.clock.now_secs() + at).saturating_sub(self.now());
        LeaseRow {
            addr: row.addr,
            client: row.key.as_bytes().to_vec(),
            mac: row.mac,
            since: date(row.since),
            ends: date(row.ends),
            name: row.name.clone(),
        }
    }

    fn in_memory(&self, row: &LeaseRow, port: &Port) -> Option<Row> {
        let mask = u32::MAX.checked_shl(32 - u32::from(port.prefix)).unwrap_or(0);
        if (row.addr.to_bits() ^ port.own.to_bits()) & mask != 0 {
            return None;
        }
        let (date, now) = (self.house.clock.now_secs(), self.now());
        // A date far ahead is one that a wrong clock wrote, or ours is wrong now.
        let left = row.ends.saturating_sub(date).min(LEASE_MAX);
        let ago = date.saturating_sub(row.ends);
        Some(Row {
            addr: row.addr,
            key: proto::dhcp::ClientKey::from_bytes(&row.client)?,
            mac: row.mac,
            since: now.saturating_sub(date.saturating_sub(row.since)),
            written: if left > 0 { now + left } else { 0 },
            ends: if left > 0 {
                now + left
            } else {
                now.saturating_sub(ago)
            },
            kept: Kept::Bound,
            name: row.name.clone(),
        })
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, Table>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doing(&self) -> MutexGuard<'_, BTreeMap<String, Doing>> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_own(&self, addr: Ipv4Addr) -> bool {
        self.house.interfaces.now().is_own(addr.into())
    }

    fn note_wpad(&self, mac: Mac) {
        let mut asked = self.asked_wpad.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < WPAD_MAX {
            asked.insert(mac);
        }
    }

    fn note_serving(&self, name: &str) {
        if let Some(doing) = self.doing().get_mut(name) {
            doing.state = DhcpState::Serving;
        }
    }

    fn note_rivals(&self, name: &str, rivals: &Rivals) {
        let changed = self.doing().get_mut(name).is_some_and(|doing| {
            let (state, known) = (rivals.state(), rivals.known());
            let changed = doing.state != state;
            if changed || doing.rivals.len() != known.len() || doing.rivals.last() != known.last() {
                doing.state = state;
                doing.reason = rivals.reason();
                doing.rivals = known.to_vec();
            }
            changed
        });
        if changed {
            self.tell();
        }
    }

    /// Troubles of all interfaces, for the pages.
    fn tell(&self) {
        let doing = self.doing();
        let bad = |one: &&Doing| matches!(one.state, DhcpState::Silent | DhcpState::Broken);
        let texts: Vec<_> = doing
            .values()
            .filter(bad)
            .filter_map(|one| one.reason.clone())
            .collect();
        self.house
            .health
            .set(HEALTH, (!texts.is_empty()).then(|| texts.join(" ")));
    }
}

impl commit::Tables for Shared {
    fn all(&self) -> Vec<Entry> {
        let tables = self.tables();
        let rows = tables
            .values()
            .flat_map(Table::rows)
            .filter(|row| row.kept == Kept::Bound);
        let entry = |row: &Row| Entry {
            row: self.on_disk(row),
            ends: row.ends,
            say: None,
        };
        rows.map(entry).collect()
    }

    fn written(&self, rows: &[(Ipv4Addr, Secs)]) {
        let mut tables = self.tables();
        for table in tables.values_mut() {
            for (addr, ends) in rows {
                table.written(*addr, *ends);
            }
        }
    }
}
