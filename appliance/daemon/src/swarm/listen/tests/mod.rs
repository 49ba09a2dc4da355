//! The door and the seeder together, on loopback, with a real store: a house with one site, and a leecher of ours that
//! speaks the wire by hand.

mod foreign;
mod hostile;
mod serving;
mod splicing;

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_lc_rs::digest;
use bytes::Bytes;
use proto::{
    bencode::Value,
    id::InfoHash,
    metainfo::{Info, parse_info},
    peer::{
        handshake::Handshake,
        message::{self, BLOCK, Block, Bounds, Message},
    },
};
use store::{Keep, Store};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::timeout};

use super::{
    Config, Handover, Listener,
    wire::{self, Wire},
};
use crate::{
    db::Db,
    swarm::limits::{Caps, Limits, Settings},
    tasks::Tasks,
};

/// Longer than anything takes on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// What the door told the rest of the swarm.
#[derive(Default)]
pub struct Ears {
    pub engine: Mutex<Option<(InfoHash, SocketAddr)>>,
    pub announced: Mutex<Vec<SocketAddr>>,
    pub dht: Mutex<Vec<SocketAddr>>,
    pub damaged: Mutex<Vec<u32>>,
}

impl Handover for Ears {
    fn fetching(&self, infohash: &InfoHash) -> Option<SocketAddr> {
        let engine = *self.engine.lock().expect("test");
        engine.filter(|(ih, _)| ih == infohash).map(|(_, addr)| addr)
    }
    fn announced(&self, _infohash: &InfoHash, peer: SocketAddr) {
        self.announced.lock().expect("test").push(peer);
    }
    fn dht_node(&self, node: SocketAddr) {
        self.dht.lock().expect("test").push(node);
    }
    fn damaged(&self, _infohash: &InfoHash, piece: u32) {
        self.damaged.lock().expect("test").push(piece);
    }
}

/// A made-up torrent: one file.
pub struct Sample {
    pub content: Vec<u8>,
    pub info: Info,
    pub raw: Vec<u8>,
}

/// `padding` bytes of metadata that mean nothing.
pub fn sample(length: usize, piece_length: usize, private: bool, padding: usize) -> Sample {
    let content = harness::sample::bytes(7, length);
    let pieces: Vec<u8> = content
        .chunks(piece_length)
        .flat_map(|piece| {
            digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, piece)
                .as_ref()
                .to_vec()
        })
        .collect();
    let mut entries = vec![
        ("length", Value::Int(length as i64)),
        ("name", Value::text("sample.bin")),
        ("piece length", Value::Int(piece_length as i64)),
        ("pieces", Value::Bytes(pieces)),
    ];
    if padding > 0 {
        entries.push(("padding", Value::Bytes(vec![b'x'; padding])));
    }
    if private {
        entries.push(("private", Value::Int(1)));
    }
    let raw = Value::dict(entries).encode();
    let info = parse_info(&raw).expect("a valid torrent");
    Sample { content, info, raw }
}

/// A store with one site, and the door in front of it.
pub struct House {
    pub sample: Sample,
    pub db: Db,
    pub limits: Limits,
    pub tasks: Tasks,
    pub listener: Listener,
    pub ears: Arc<Ears>,
    _dir: TempDir,
}

/// What differs between tests.
pub struct Plan {
    pub length: usize,
    pub piece_length: usize,
    pub private: bool,
    pub settings: Settings,
    pub config: Config,
    pub padding: usize,
    /// Pieces the store gets.
    pub held: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            length: (1 << 20) + 12_345,
            piece_length: 64 << 10,
            private: false,
            padding: 0,
            settings: Settings {
                caps: Caps {
                    global: 200,
                    per_torrent: 200,
                    per_source: 200,
                },
                ..Settings::default()
            },
            config: Config {
                addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                dht_port: Some(4321),
                ..Config::default()
            },
            held: u32::MAX,
        }
    }
}

pub fn store_in(dir: &TempDir) -> Store {
    let config = store::Config {
        state_dir: dir.path().join("state"),
        content_dir: dir.path().join("content"),
        segment_bytes_max: 1 << 30,
        pending_bytes_max: 64 << 20,
        visited_bytes_max: 1 << 40,
        free_floor_bytes: 0,
    };
    for dir in [&config.state_dir, &config.content_dir] {
        std::fs::create_dir_all(dir).expect("the temporary folder is writable");
    }
    Store::open(config, 1).expect("a new store")
}

impl House {
    pub fn new(plan: Plan) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = store_in(&dir);
        let sample = sample(plan.length, plan.piece_length, plan.private, plan.padding);
        store
            .add_site(&sample.info, &sample.raw, &[], Keep::Kept, 1)
            .expect("a new site");
        let pieces = store.pieces(&sample.info.infohash).expect("the site is there");
        for (index, piece) in sample.content.chunks(plan.piece_length).enumerate() {
            if (index as u32) < plan.held {
                assert!(
                    pieces
                        .put(index as u32, Bytes::copy_from_slice(piece))
                        .expect("room")
                );
            }
        }
        store.flush().expect("the disk is fine");
        let db = Db::new(store);
        let limits = Limits::new(plan.settings);
        let tasks = Tasks::new();
        let ears = Arc::new(Ears::default());
        let listener =
            Listener::start(plan.config, db.clone(), limits.clone(), &tasks, ears.clone()).expect("a port");
        Self {
            sample,
            db,
            limits,
            tasks,
            listener,
            ears,
            _dir: dir,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    pub fn infohash(&self) -> InfoHash {
        self.sample.info.infohash
    }

    pub async fn tcp(&self) -> Wire {
        let stream = timeout(SOON, TcpStream::connect(self.addr()));
        let stream = stream.await.expect("in time").expect("accepted");
        stream.set_nodelay(true).expect("an option of every socket");
        Wire::tcp(stream)
    }

    /// A leecher past the handshakes, plain.
    pub async fn leech(&self) -> Leech {
        let wire = self.tcp().await;
        self.greet(wire, true).await
    }

    pub async fn greet(&self, mut wire: Wire, fast: bool) -> Leech {
        let hello = hello(self.infohash(), fast);
        wire.send(hello.encode().to_vec()).await.expect("sent");
        self.greeted(wire).await
    }

    pub async fn greeted(&self, mut wire: Wire) -> Leech {
        let theirs = timeout(SOON, wire.handshake())
            .await
            .expect("in time")
            .expect("an answer");
        assert_eq!(theirs.infohash, self.infohash());
        assert!(theirs.fast() && theirs.extended());
        Leech {
            wire,
            bounds: Bounds {
                pieces: Some(self.sample.info.piece_count()),
                block_max: message::REQUEST_MAX,
            },
        }
    }

    /// All connections have ended and left nothing behind.
    pub async fn is_empty(&self) {
        let empty = || self.limits.seats().taken() == 0 && self.listener.seeder().active_torrents() == 0;
        until("every peer to be gone", empty).await;
    }
}

pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < SOON, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn hello(infohash: InfoHash, fast: bool) -> Handshake {
    let mut hello = Handshake::ours(infohash, wire::peer_id(), true);
    if !fast {
        hello.reserved[7] &= !0x04;
    }
    hello
}

/// An owned message, as tests want to look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Choke,
    Unchoke,
    Bitfield(Vec<u8>),
    HaveAll,
    Piece(u32, u32, Vec<u8>),
    Reject(Block),
    Port(u16),
    Extended(u8, Vec<u8>),
    Other(String),
}

/// A peer that speaks the wire by hand.
pub struct Leech {
    pub wire: Wire,
    bounds: Bounds,
}

impl Leech {
    pub async fn say(&mut self, message: Message<'_>) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        timeout(SOON, self.wire.send(bytes))
            .await
            .expect("in time")
            .expect("sent");
    }

    /// The next message that is no keep-alive; `None` when the connection was closed.
    pub async fn hear(&mut self) -> Option<Heard> {
        loop {
            let decoded = message::decode(&self.wire.early, &self.bounds).expect("our own side speaks well");
            if let Some((message, used)) = decoded {
                let heard = owned(&message);
                let idle = message == Message::KeepAlive;
                self.wire.early.drain(..used);
                if idle {
                    continue;
                }
                return Some(heard);
            }
            if timeout(SOON, self.wire.fill(1 << 20))
                .await
                .expect("in time")
                .is_err()
            {
                return None;
            }
        }
    }

    /// Skips messages until `wanted` picks one. Panics when the connection ends first.
    pub async fn expect<T>(&mut self, wanted: impl Fn(&Heard) -> Option<T>) -> T {
        loop {
            let heard = self.hear().await.expect("the connection stays open");
            if let Some(found) = wanted(&heard) {
                return found;
            }
        }
    }

    pub async fn unchoked(&mut self) {
        self.say(Message::Interested).await;
        self.expect(|heard| (*heard == Heard::Unchoke).then_some(()))
            .await;
    }

    /// Downloads the whole content with a full pipeline.
    pub async fn download(&mut self, info: &Info) -> Vec<u8> {
        let mut content = vec![0u8; info.total as usize];
        let mut wanted: VecDeque<Block> = (0..info.piece_count())
            .flat_map(|piece| {
                let length = info.piece_len(piece).expect("inside");
                (0..length).step_by(BLOCK as usize).map(move |begin| Block {
                    piece,
                    begin,
                    length: BLOCK.min(length - begin),
                })
            })
            .collect();
        let mut missing = wanted.len();
        let mut asked = 0;
        while missing > 0 {
            while asked < 64
                && let Some(block) = wanted.pop_front()
            {
                self.say(Message::Request(block)).await;
                asked += 1;
            }
            let (piece, begin, data) = self
                .expect(|heard| match heard {
                    Heard::Piece(piece, begin, data) => Some((*piece, *begin, data.clone())),
                    Heard::Reject(block) => panic!("refused {block:?}"),
                    _ => None,
                })
                .await;
            let start = piece as usize * info.piece_length as usize + begin as usize;
            content[start..start + data.len()].copy_from_slice(&data);
            missing -= 1;
            asked -= 1;
        }
        content
    }
}

fn owned(message: &Message<'_>) -> Heard {
    match *message {
        Message::Choke => Heard::Choke,
        Message::Unchoke => Heard::Unchoke,
        Message::Bitfield(bits) => Heard::Bitfield(bits.to_vec()),
        Message::HaveAll => Heard::HaveAll,
        Message::Piece { piece, begin, data } => Heard::Piece(piece, begin, data.to_vec()),
        Message::Reject(block) => Heard::Reject(block),
        Message::Port(port) => Heard::Port(port),
        Message::Extended { id, payload } => Heard::Extended(id, payload.to_vec()),
        ref other => Heard::Other(format!("{other:?}")),
    }
}
