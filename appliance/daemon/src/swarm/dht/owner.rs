//! The one task that owns the node: carries datagrams, timers and commands to it, and what it says back.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proto::{
    dht::{
        id::{Family, Id},
        item::{Got, Item, Stored},
        node::{self, Event, JobId, Node, Stats},
    },
    id::{InfoHash, Target},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::memory::{Memory, SAVE_ITEMS};
use super::{
    Config,
    socket::{DATAGRAM_MAX, Sockets, is_loopback},
};
use crate::tasks::Tasks;

/// Jobs under way at once; more commands wait. More: bursts of announces crowd the line. Fewer: a batch takes longer.
pub const JOBS_MAX: usize = 32;
/// The same for items, which have their own queue.
const ITEM_JOBS_MAX: usize = 16;
/// Datagrams taken before timers and commands get their turn.
const BURST: usize = 64;
/// What we know is saved so often. Shorter: more writes to an SD card. Longer: a power cut costs more nodes.
const SAVE: Duration = Duration::from_secs(600);

pub enum Command {
    GetPeers {
        ih: InfoHash,
        peers: mpsc::Sender<Vec<SocketAddr>>,
    },
    Announce {
        ih: InfoHash,
        port: u16,
        done: oneshot::Sender<usize>,
    },
    GetItem {
        target: Target,
        salt: Vec<u8>,
        seq: Option<i64>,
        done: oneshot::Sender<Got>,
    },
    SurveyItem {
        target: Target,
        salt: Vec<u8>,
        done: oneshot::Sender<Got>,
    },
    PutItem {
        item: Item,
        cas: Option<i64>,
        done: oneshot::Sender<Stored>,
    },
    Ping(SocketAddr),
    Routers(Vec<SocketAddr>),
    External(std::net::IpAddr),
}

/// Who waits for a job.
enum Waiting {
    Peers(mpsc::Sender<Vec<SocketAddr>>),
    Announce(oneshot::Sender<usize>),
}

/// Who waits for a job about an item.
enum WaitingItem {
    Get(oneshot::Sender<Got>),
    Put(oneshot::Sender<Stored>),
}

pub struct Inboxes {
    pub commands: mpsc::Receiver<Command>,
    pub items: mpsc::Receiver<Command>,
}

pub struct Owner {
    node: Node,
    sockets: Sockets,
    inboxes: Inboxes,
    waiting: BTreeMap<JobId, Waiting>,
    waiting_items: BTreeMap<JobId, WaitingItem>,
    stats: Arc<Mutex<Stats>>,
    /// Switched from outside; looked at before every datagram and timer.
    read_only: Arc<AtomicBool>,
    memory: Option<Memory>,
    tasks: Tasks,
    born: Instant,
    /// A socket error is not read again before this moment, or it would keep the loop busy.
    rest_until: Instant,
}

impl Owner {
    pub async fn new(
        config: &Config,
        sockets: Sockets,
        memory: Option<Memory>,
        inboxes: Inboxes,
        (stats, read_only): (Arc<Mutex<Stats>>, Arc<AtomicBool>),
        tasks: &Tasks,
    ) -> Self {
        let mut policy = config.policy.clone();
        if is_loopback(config.listen_v4) || is_loopback(config.listen_v6) {
            policy.allow_loopback = true;
            policy.allow_private = true;
        }
        let limits = config.limits.clone();
        let config = node::Config {
            read_only: config.read_only,
            policy,
            limits,
            ..node::Config::default()
        };
        let mut node = Node::new(config, rand::random(), Duration::ZERO);
        for family in Family::BOTH
            .into_iter()
            .filter(|family| sockets.get(*family).is_some())
        {
            node.enable(family);
        }
        if let Some(memory) = &memory {
            memory.recall(&mut node).await;
        }
        let born = Instant::now();
        Self {
            node,
            sockets,
            inboxes,
            waiting: BTreeMap::new(),
            waiting_items: BTreeMap::new(),
            stats,
            read_only,
            memory,
            tasks: tasks.clone(),
            born,
            rest_until: born,
        }
    }

    pub async fn run(mut self, token: CancellationToken) {
        info!(listen = ?self.sockets.local_addrs(), "DHT node started");
        let mut save = tokio::time::interval_at(self.born + SAVE, SAVE);
        let mut save_items = tokio::time::interval_at(self.born + SAVE_ITEMS, SAVE_ITEMS);
        self.sockets.writable().await;
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            let now = self.now();
            self.node.set_read_only(self.read_only.load(Ordering::Relaxed));
            if now >= self.node.next_tick() {
                self.node.tick(now);
            }
            self.speak();
            let timer = self.born + self.node.next_tick();
            let room = self.waiting.len() < JOBS_MAX;
            let item_room = self.waiting_items.len() < ITEM_JOBS_MAX;
            let rested = Instant::now() >= self.rest_until;
            tokio::select! {
                () = token.cancelled() => break,
                () = self.sockets.readable(Family::V4), if rested => self.receive(Family::V4, &mut buffer),
                () = self.sockets.readable(Family::V6), if rested => self.receive(Family::V6, &mut buffer),
                Some(command) = self.inboxes.commands.recv(), if room => self.obey(command),
                Some(command) = self.inboxes.items.recv(), if item_room => self.obey(command),
                () = tokio::time::sleep_until(timer) => {}
                () = tokio::time::sleep_until(self.rest_until), if !rested => {}
                _ = save.tick() => self.save_behind(),
                _ = save_items.tick() => self.save_items_behind(),
            }
        }
        if let Some(memory) = self.memory.take() {
            memory.save_nodes(self.node.snapshot()).await;
            memory
                .save_items(self.node.changed_items(usize::MAX), self.now())
                .await;
        }
    }

    fn now(&self) -> Duration {
        self.born.elapsed()
    }

    fn receive(&mut self, family: Family, buffer: &mut [u8]) {
        self.node.set_read_only(self.read_only.load(Ordering::Relaxed));
        for _ in 0..BURST {
            let Some(socket) = self.sockets.get(family) else {
                return;
            };
            match socket.try_recv_from(buffer) {
                Ok((length, from)) => {
                    let now = self.now();
                    self.node.on_datagram(from, &buffer[..length], now);
                }
                Err(err) if err.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(err) => {
                    debug!(%err, "DHT socket cannot be read");
                    self.rest_until = Instant::now() + Duration::from_millis(50);
                    return;
                }
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::GetPeers { ih, peers } => {
                // Whoever waited in the queue may have given up meanwhile.
                if !peers.is_closed() {
                    let job = self.node.get_peers(Id::from(ih), now);
                    self.waiting.insert(job, Waiting::Peers(peers));
                }
            }
            Command::Announce { ih, port, done } => {
                let job = self.node.announce(Id::from(ih), port, now);
                self.waiting.insert(job, Waiting::Announce(done));
            }
            Command::GetItem {
                target,
                salt,
                seq,
                done,
            } if !done.is_closed() => {
                let job = self.node.get_item(target, &salt, seq, now);
                self.waiting_items.insert(job, WaitingItem::Get(done));
            }
            Command::SurveyItem { target, salt, done } if !done.is_closed() => {
                let job = self.node.survey_item(target, &salt, now);
                self.waiting_items.insert(job, WaitingItem::Get(done));
            }
            Command::PutItem { item, cas, done } => {
                let job = self.node.put_item(item, cas, now);
                self.waiting_items.insert(job, WaitingItem::Put(done));
            }
            Command::GetItem { .. } | Command::SurveyItem { .. } => {}
            Command::Ping(addr) => self.node.ping(addr, now),
            Command::Routers(addrs) => self.node.set_routers(addrs, now),
            Command::External(ip) => self.node.set_external(ip, now),
        }
    }

    /// Sends what the node wants sent and tells what it wants told.
    fn speak(&mut self) {
        while let Some((to, datagram)) = self.node.take_datagram() {
            self.sockets.send(to, &datagram);
        }
        while let Some(event) = self.node.take_event() {
            self.tell(event);
        }
        let stats = self.node.stats(self.now());
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }

    fn tell(&mut self, event: Event) {
        match event {
            Event::Peers { job, peers } => {
                if let Some(Waiting::Peers(out)) = self.waiting.get(&job)
                    && let Err(mpsc::error::TrySendError::Closed(_)) = out.try_send(peers)
                {
                    self.waiting.remove(&job);
                    self.node.cancel(job);
                }
            }
            Event::Done {
                job,
                answered,
                stored,
            } => {
                debug!(count = answered, stored, "DHT lookup ended");
                if let Some(Waiting::Announce(done)) = self.waiting.remove(&job) {
                    // Nobody may be waiting any more.
                    let _ = done.send(stored);
                }
            }
            // Whoever waited for these may have given up.
            Event::Got { job, got } => {
                debug!(count = got.answered, "DHT item looked for");
                if let Some(WaitingItem::Get(done)) = self.waiting_items.remove(&job) {
                    let _ = done.send(*got);
                }
            }
            Event::Stored { job, stored } => {
                debug!(count = stored.asked, stored = stored.stored, "DHT item put");
                if let Some(WaitingItem::Put(done)) = self.waiting_items.remove(&job) {
                    let _ = done.send(stored);
                }
            }
            Event::Rekeyed => {
                info!("our address has changed; the DHT node has a new id");
                self.save_behind();
            }
        }
    }

    /// Saves without making the node wait for the disk.
    fn save_behind(&self) {
        if let Some(memory) = self.memory.clone() {
            let snapshot = self.node.snapshot();
            self.tasks
                .spawn_graceful("dht.save", async move { memory.save_nodes(snapshot).await });
        }
    }

    fn save_items_behind(&mut self) {
        let now = self.now();
        if let Some(memory) = self.memory.clone() {
            let rows = self.node.changed_items(usize::MAX);
            self.tasks.spawn_graceful("dht.save.items", async move {
                memory.save_items(rows, now).await;
            });
        }
    }
}
