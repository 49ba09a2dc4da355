//! Local service discovery (BEP 14): who in this home has the same torrent. One socket per network interface and address
//! family, so that an answer's way is known and a torrent never leaves by an interface the owner did not mean.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proto::{
    id::InfoHash,
    lsd::{self, GROUP_V4, GROUP_V6},
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    sync::{Notify, mpsc},
    time::{Instant, sleep},
};
use tracing::{debug, info};

use super::Room;

/// Which interfaces take part.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Names; empty: every interface that is up and can multicast, except loopback.
    pub interfaces: Vec<String>,
}

/// The pause between two announces of everything (BEP 14).
const CYCLE: Duration = Duration::from_secs(300);

/// No torrent is announced more often than this (BEP 14).
const AGAIN: Duration = Duration::from_secs(60);

/// Torrents announced in one cycle; when there are more, the next cycle goes on where this one ended.
const PER_CYCLE: usize = 500;

const INTERFACES_MAX: usize = 8;

/// Torrents whose last announce is remembered, and searches that can listen.
const REMEMBERED_MAX: usize = 4096;

/// Datagrams taken per second and socket; a flood beyond that is dropped by the system.
const HEARD_PER_SEC: u32 = 50;

/// What searches and sockets share.
pub(super) struct Lsd {
    /// Our own packets carry it, so that we know them when they come back.
    cookie: String,
    /// Held for moments, never across an await.
    state: Mutex<State>,
    /// Something waits to be announced before the cycle is over.
    wake: Notify,
    interfaces: AtomicUsize,
}

#[derive(Default)]
struct State {
    watchers: HashMap<InfoHash, mpsc::Sender<SocketAddr>>,
    last: HashMap<InfoHash, Instant>,
    /// To be announced at once: new searches, and torrents of ours a neighbour asked for.
    urgent: Vec<InfoHash>,
}

impl Lsd {
    pub(super) fn new() -> Self {
        Self {
            cookie: format!("{:016x}", rand::random::<u64>()),
            state: Mutex::default(),
            wake: Notify::new(),
            interfaces: AtomicUsize::new(0),
        }
    }

    /// Neighbours that have `ih`, as they are heard; a later watch of the same torrent takes over.
    pub(super) fn watch(&self, ih: InfoHash) -> mpsc::Receiver<SocketAddr> {
        let (sender, receiver) = mpsc::channel(32);
        let mut state = self.state();
        state.watchers.retain(|_, watcher| !watcher.is_closed());
        if state.watchers.len() < REMEMBERED_MAX {
            state.watchers.insert(ih, sender);
            state.urgent.push(ih);
            self.wake.notify_one();
        }
        receiver
    }

    pub(super) fn interfaces(&self) -> usize {
        self.interfaces.load(Ordering::Relaxed)
    }

    /// What of `wanted` was not announced within `pause`; from now on it counts as announced.
    fn take_due(&self, wanted: Vec<InfoHash>, pause: Duration) -> Vec<InfoHash> {
        let mut state = self.state();
        if state.last.len() >= REMEMBERED_MAX {
            state.last.retain(|_, at| at.elapsed() < AGAIN);
        }
        let now = Instant::now();
        let mut due = wanted;
        due.retain(|ih| match state.last.get(ih) {
            Some(at) if now - *at < pause => false,
            _ => {
                state.last.insert(*ih, now);
                true
            }
        });
        due
    }

    fn take_urgent(&self) -> Vec<InfoHash> {
        std::mem::take(&mut self.state().urgent)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the sockets and starts their tasks, when local discovery is switched on.
pub(super) fn start(room: &Arc<Room>) {
    let (Some(config), Some(lsd)) = (&room.config.lsd, &room.lsd) else {
        return;
    };
    let mut doors = Vec::new();
    for (name, index) in interfaces(config) {
        for group in [SocketAddr::from(GROUP_V4), SocketAddr::from(GROUP_V6)] {
            match open(&name, index, group) {
                Ok(socket) => doors.push((Arc::new(socket), scoped(group, index))),
                Err(err) => debug!(listen = name, %group, %err, "no local discovery here"),
            }
        }
    }
    lsd.interfaces.store(doors.len(), Ordering::Relaxed);
    info!(count = doors.len(), "local discovery listens");
    for (socket, _) in &doors {
        room.tasks
            .spawn("find.lsd.hear", hear(room.clone(), socket.clone()));
    }
    room.tasks.spawn("find.lsd.tell", tell(room.clone(), doors));
}

/// Multicast-capable interfaces that are up, from sysfs: name and index.
fn interfaces(config: &Config) -> Vec<(String, u32)> {
    const UP: u32 = 0x1;
    const LOOPBACK: u32 = 0x8;
    const MULTICAST: u32 = 0x1000;
    let read = |path: &Path, name: &str| std::fs::read_to_string(path.join(name)).ok();
    let Ok(folder) = std::fs::read_dir("/sys/class/net") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in folder.flatten().map(|entry| entry.path()) {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default()
            .to_owned();
        let flags =
            read(&path, "flags").and_then(|f| u32::from_str_radix(f.trim().strip_prefix("0x")?, 16).ok());
        let index = read(&path, "ifindex").and_then(|i| i.trim().parse().ok());
        let (Some(flags), Some(index)) = (flags, index) else {
            continue;
        };
        let usable = flags & UP != 0 && flags & MULTICAST != 0 && flags & LOOPBACK == 0;
        let meant = if config.interfaces.is_empty() {
            usable
        } else {
            config.interfaces.contains(&name)
        };
        if meant {
            found.push((name, index));
        }
    }
    found.sort();
    found.truncate(INTERFACES_MAX);
    found
}

/// A socket of one interface on the group's port, shared with other clients on this machine.
fn open(name: &str, index: u32, group: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind_device(Some(name.as_bytes()))?;
    match group {
        SocketAddr::V4(group) => {
            socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, group.port())).into())?;
            socket.join_multicast_v4_n(group.ip(), &InterfaceIndexOrAddress::Index(index))?;
            // Otherwise packets on loopback carry another interface's address.
            if name == "lo" {
                socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST)?;
            }
            socket.set_multicast_ttl_v4(1)?;
            socket.set_multicast_loop_v4(true)?;
        }
        SocketAddr::V6(group) => {
            socket.set_only_v6(true)?;
            socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, group.port())).into())?;
            socket.join_multicast_v6(group.ip(), index)?;
            socket.set_multicast_if_v6(index)?;
            socket.set_multicast_hops_v6(1)?;
            socket.set_multicast_loop_v6(true)?;
        }
    }
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

/// The group as it is written to, with the interface's scope.
fn scoped(mut group: SocketAddr, index: u32) -> SocketAddr {
    if let SocketAddr::V6(group) = &mut group {
        group.set_scope_id(index);
    }
    group
}

/// Hears neighbours and tells the searches.
async fn hear(room: Arc<Room>, socket: Arc<UdpSocket>) {
    let Some(lsd) = &room.lsd else { return };
    let mut buf = vec![0; lsd::DATAGRAM_BYTES_MAX + 1];
    loop {
        match socket.recv_from(&mut buf).await {
            Ok((len, from)) => heard(&room, lsd, &buf[..len], from),
            Err(err) => {
                debug!(%err, "local discovery cannot hear");
                sleep(Duration::from_secs(1)).await;
            }
        }
        sleep(Duration::from_secs(1) / HEARD_PER_SEC).await;
    }
}

fn heard(room: &Room, lsd: &Lsd, datagram: &[u8], from: SocketAddr) {
    let Some(message) = lsd::parse(datagram) else {
        return;
    };
    if message.cookie.as_deref() == Some(&lsd.cookie) {
        return;
    }
    let mut peer = from;
    peer.set_port(message.port);
    for ih in message.infohashes {
        let watcher = lsd.state().watchers.get(&ih).cloned();
        if let Some(watcher) = watcher {
            // A search that is behind has enough to do.
            let _ = watcher.try_send(peer);
            continue;
        }
        // Somebody looks for what we serve: tell them now instead of in five minutes. Not sooner than the cycle, so that
        // two seeds do not answer each other for ever.
        let rested = lsd
            .state()
            .last
            .get(&ih)
            .is_none_or(|at| at.elapsed() > CYCLE - AGAIN);
        if rested && ours(room, &ih) {
            let mut state = lsd.state();
            if state.urgent.len() < PER_CYCLE && !state.urgent.contains(&ih) {
                state.urgent.push(ih);
                lsd.wake.notify_one();
            }
        }
    }
}

fn ours(room: &Room, ih: &InfoHash) -> bool {
    let row = room.db.store().site(ih).ok().flatten();
    row.is_some_and(|row| row.complete() && !row.private)
}

/// Announces: everything in a slow cycle, urgent ones at once.
async fn tell(room: Arc<Room>, doors: Vec<(Arc<UdpSocket>, SocketAddr)>) {
    let Some(lsd) = &room.lsd else { return };
    let mut after = None;
    let mut next_cycle = Instant::now() + Duration::from_secs(5);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next_cycle) => {
                next_cycle = Instant::now() + CYCLE;
                let mut wanted: Vec<InfoHash> = lsd.state().watchers.iter().filter(|(_, w)| !w.is_closed()).map(|(ih, _)| *ih).collect();
                wanted.extend(some_of_ours(&room, &mut after).await);
                send(&room, &doors, lsd.take_due(wanted, AGAIN), &lsd.cookie).await;
            }
            () = lsd.wake.notified() => {
                let urgent = lsd.take_urgent();
                send(&room, &doors, lsd.take_due(urgent, AGAIN), &lsd.cookie).await;
                sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

/// The next complete, public torrents of the store, going round.
async fn some_of_ours(room: &Room, after: &mut Option<InfoHash>) -> Vec<InfoHash> {
    let from = *after;
    let page = room
        .db
        .run(move |store| store.sites(from, PER_CYCLE))
        .await
        .unwrap_or_default();
    *after = if page.len() < PER_CYCLE {
        None
    } else {
        page.last().map(|row| row.infohash)
    };
    let ours = page.into_iter().filter(|row| row.complete() && !row.private);
    ours.map(|row| row.infohash).collect()
}

async fn send(room: &Room, doors: &[(Arc<UdpSocket>, SocketAddr)], torrents: Vec<InfoHash>, cookie: &str) {
    // Neighbours dial the listener itself, not the router's outside port.
    let port = room.own_port();
    if torrents.is_empty() || port == 0 {
        return;
    }
    for (socket, group) in doors {
        for packet in lsd::encode(unscoped(*group), port, &torrents, cookie) {
            if let Err(err) = socket.send_to(&packet, group).await {
                debug!(addr = %group, %err, "local discovery cannot tell");
                break;
            }
            // A burst would be dropped by the smallest buffer on the way.
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The group as BEP 14 writes it.
fn unscoped(group: SocketAddr) -> SocketAddr {
    if group.is_ipv4() {
        GROUP_V4.into()
    } else {
        GROUP_V6.into()
    }
}
