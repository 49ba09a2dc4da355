//! Local service discovery (BEP 14): who in this home has the same torrent. One socket per network interface and address
//! family, so that an answer's way is known and a torrent never leaves by an interface the owner did not mean.

mod socket;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
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
use tokio::{
    net::UdpSocket,
    sync::{Notify, mpsc},
    time::{Instant, sleep},
};
use tracing::{debug, info};

use self::socket::Interface;
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

/// Sockets open at once, over all interfaces ever seen.
const DOORS_MAX: usize = 32;

/// Torrents whose last announce is remembered, and searches that can listen.
const REMEMBERED_MAX: usize = 4096;

/// Datagrams taken per second and socket; a flood beyond that is dropped by the system.
const HEARD_PER_SEC: u32 = 50;

/// A machine that was not heard for so long counts no more; BEP 14 announces every five minutes.
const NEIGHBOUR_LASTS: Duration = Duration::from_secs(1800);
/// A home has few.
const NEIGHBOURS_MAX: usize = 256;

/// A socket and where it writes to.
struct Door {
    interface: Interface,
    group: SocketAddr,
    socket: Arc<UdpSocket>,
}

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
    /// Machines of the home that were heard, and when.
    neighbours: HashMap<IpAddr, Instant>,
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

    /// Machines of the home that were heard in the last half hour.
    pub(super) fn neighbours(&self) -> usize {
        let state = self.state();
        let lately = |at: &&Instant| at.elapsed() < NEIGHBOUR_LASTS;
        state.neighbours.values().filter(lately).count()
    }

    fn greet(&self, from: IpAddr) {
        let neighbours = &mut self.state().neighbours;
        if neighbours.len() >= NEIGHBOURS_MAX && !neighbours.contains_key(&from) {
            neighbours.retain(|_, at| at.elapsed() < NEIGHBOUR_LASTS);
        }
        if neighbours.len() < NEIGHBOURS_MAX || neighbours.contains_key(&from) {
            neighbours.insert(from, Instant::now());
        }
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

/// Starts local discovery, when it is switched on.
pub(super) fn start(room: &Arc<Room>) {
    if let Some(config) = room.config.lsd.clone() {
        let mut doors = Vec::new();
        open_new(room, &config, &mut doors);
        info!(count = doors.len(), "local discovery listens");
        room.tasks
            .spawn("find.lsd.tell", tell(room.clone(), config, doors));
    }
}

/// Opens doors on interfaces that have none yet: a cable may be plugged in after the start.
fn open_new(room: &Arc<Room>, config: &Config, doors: &mut Vec<Door>) {
    for interface in socket::interfaces(config) {
        for group in [SocketAddr::from(GROUP_V4), SocketAddr::from(GROUP_V6)] {
            let group = socket::scoped(group, interface.index);
            if doors.len() >= DOORS_MAX || doors.iter().any(|d| d.group == group && d.interface == interface)
            {
                continue;
            }
            match socket::open(&interface, group) {
                Ok(socket) => {
                    let socket = Arc::new(socket);
                    room.tasks
                        .spawn("find.lsd.hear", hear(room.clone(), socket.clone()));
                    doors.push(Door {
                        interface: interface.clone(),
                        group,
                        socket,
                    });
                }
                Err(err) => debug!(listen = interface.name, %group, %err, "no local discovery here"),
            }
        }
    }
    if let Some(lsd) = &room.lsd {
        lsd.interfaces.store(doors.len(), Ordering::Relaxed);
    }
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
    lsd.greet(from.ip());
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
async fn tell(room: Arc<Room>, config: Config, mut doors: Vec<Door>) {
    let Some(lsd) = &room.lsd else { return };
    room.reachable().await;
    let mut after = None;
    let mut next_cycle = Instant::now() + Duration::from_secs(5);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next_cycle) => {
                next_cycle = Instant::now() + CYCLE;
                open_new(&room, &config, &mut doors);
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

async fn send(room: &Room, doors: &[Door], torrents: Vec<InfoHash>, cookie: &str) {
    // Neighbours dial the listener itself, not the router's outside port.
    let port = room.own_port();
    if torrents.is_empty() || port == 0 {
        return;
    }
    for Door { socket, group, .. } in doors {
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
