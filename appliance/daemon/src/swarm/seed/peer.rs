//! One connected peer, from hello to goodbye: a single task that reads, writes, loads and waits.

use std::{
    collections::VecDeque,
    future::{Future, pending},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use proto::peer::{
    extension,
    handshake::Handshake,
    message::{Block, Bounds, Message},
    rc4::Rc4,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{Inner, extents::Key, outbox::Outbox, room::Room, serve::Run, slots, slots::Turn};
use crate::swarm::{limits::Seat, listen::wire::Wire};

/// Requests a peer may have waiting; told to it as `reqq`. When more come, we stop reading until some are answered.
pub const REQUESTS_MAX: usize = 512;

/// A peer that says nothing for this long is gone (BEP 3: "generally … two minutes").
const IDLE: Duration = Duration::from_secs(130);
/// We say something at least this often.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// A peer that takes nothing of what waits for it for this long is gone.
const STUCK: Duration = Duration::from_secs(60);
/// Peers that want nothing go after this long when the house is crowded.
const USELESS: Duration = Duration::from_secs(300);
/// How often peers hear about each other (BEP 11: "no more than once a minute").
const PEX: Duration = Duration::from_secs(60);
/// Above this many waiting bytes nothing more is read from the peer.
const OUTBOX_MAX: usize = 512 << 10;
/// Room for what a peer that may ask sends at once: 17 bytes a request. Others get what fits a message or two.
const INBOX: usize = 4 << 10;
const INBOX_LOW: usize = 1 << 10;
/// How much nuisance is forgiven per tick, and how much ends the connection.
const FORGIVEN: u32 = 200;
const NUISANCE_MAX: u32 = 2000;

type Loading = Pin<Box<dyn Future<Output = (Key, Result<Option<Bytes>, store::Error>)> + Send>>;

pub struct Peer {
    pub(super) inner: Arc<Inner>,
    pub(super) id: u64,
    pub(super) room: Arc<Room>,
    pub(super) seat: Seat,
    pub(super) addr: SocketAddr,
    pub(super) handshake: Handshake,
    pub(super) bounds: Bounds,
    pub(super) outbox: Outbox,
    pub(super) requests: VecDeque<Block>,
    pub(super) turn: Arc<Turn>,
    pub(super) choked: bool,
    pub(super) interested: bool,
    /// Pieces the peer says it has, duplicates counted; only to know a seed.
    pub(super) has: u32,
    /// BEP 21, or it has everything.
    pub(super) seed: bool,
    pub(super) ids: extension::Handshake,
    /// Grows with every message that serves nothing.
    pub(super) nuisance: u32,
    /// What was read for the requests at the front of the queue.
    pub(super) run: Option<Run>,
    /// The last two extents this peer was served from.
    pub(super) near: VecDeque<(Key, Bytes)>,
    pub(super) loading: Option<Loading>,
    pub(super) uploaded: u64,
    pub(super) served: Instant,
    /// It has said something.
    met: bool,
    inbox: BytesMut,
    decipher: Option<Rc4>,
    told: Vec<SocketAddr>,
    heard: Instant,
    said: Instant,
    moved: Instant,
    gossiped: Option<Instant>,
}

impl Peer {
    pub fn new(
        inner: Arc<Inner>,
        id: u64,
        room: Arc<Room>,
        handshake: Handshake,
        addr: SocketAddr,
        seat: Seat,
    ) -> Self {
        let now = Instant::now();
        inner.peers.fetch_add(1, Ordering::Relaxed);
        Self {
            bounds: Bounds {
                pieces: Some(room.row.pieces),
                block_max: 0,
            },
            inner,
            id,
            room,
            seat,
            addr,
            handshake,
            outbox: Outbox::default(),
            requests: VecDeque::new(),
            turn: Arc::default(),
            choked: true,
            interested: false,
            has: 0,
            seed: false,
            ids: extension::Handshake::default(),
            nuisance: 0,
            run: None,
            near: VecDeque::new(),
            loading: None,
            uploaded: 0,
            served: now,
            met: false,
            inbox: BytesMut::new(),
            decipher: None,
            told: Vec::new(),
            heard: now,
            said: now,
            moved: now,
            gossiped: None,
        }
    }

    /// Runs until the peer leaves or has to go.
    pub async fn run(mut self, wire: Wire) -> io::Result<()> {
        let (mut read, mut write) = (wire.read, wire.write);
        let (decipher, cipher) = wire
            .ciphers
            .map_or((None, None), |c| (Some(c.receive), Some(c.send)));
        self.decipher = decipher;
        self.outbox = Outbox::new(cipher);
        self.inbox.extend_from_slice(&wire.early);
        self.hello();
        self.consume()?;
        let leave = self.seat.leave().clone();
        let turn = self.turn.clone();
        let mut tick = interval(slots::ASK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wait = self.refill()?;
            if !self.choked && self.inbox.capacity() - self.inbox.len() < INBOX_LOW {
                self.inbox.reserve(INBOX);
            }
            let before = self.inbox.len();
            let (slices, count) = self.outbox.slices();
            tokio::select! {
                read = read.read_buf(&mut self.inbox), if self.requests.len() < REQUESTS_MAX && self.outbox.bytes() < OUTBOX_MAX => {
                    if read? == 0 {
                        return Ok(());
                    }
                    if let Some(cipher) = &mut self.decipher {
                        cipher.apply(&mut self.inbox[before..]);
                    }
                    self.consume()?;
                }
                written = write.write_vectored(&slices[..count]), if count > 0 => {
                    let written = written?;
                    if written == 0 {
                        return Ok(());
                    }
                    self.outbox.advance(written);
                    self.moved = Instant::now();
                    self.said = self.moved;
                }
                (key, loaded) = wait_for(&mut self.loading) => self.loaded(key, loaded)?,
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                () = turn.changed.notified() => self.turn_over(),
                () = leave.cancelled() => return Ok(()),
                _ = tick.tick() => if !self.tick() {
                    return Ok(());
                },
            }
        }
    }

    /// Handshake, what we have, what we can.
    fn hello(&mut self) {
        let dht = self.inner.ports.dht.filter(|_| !self.room.row.private);
        let ours = Handshake::ours(self.room.row.infohash, self.inner.peer_id, dht.is_some());
        self.outbox.push(Bytes::copy_from_slice(&ours.encode()));
        if self.handshake.fast() && self.room.whole() {
            self.outbox.message(Message::HaveAll);
        } else {
            let room = self.room.clone();
            self.outbox.message(Message::Bitfield(&room.have.bits));
        }
        if self.handshake.extended() {
            let payload = self.introduction().encode();
            self.outbox.message(Message::Extended {
                id: extension::HANDSHAKE,
                payload: &payload,
            });
        }
        if let Some(port) = dht.filter(|_| self.handshake.dht()) {
            self.outbox.message(Message::Port(port));
        }
    }

    fn introduction(&self) -> extension::Handshake {
        extension::Handshake {
            ut_metadata: Some(extension::OUR_METADATA),
            ut_pex: (!self.room.row.private).then_some(extension::OUR_PEX),
            lt_donthave: None,
            port: Some(self.inner.ports.peers),
            version: Some(concat!("Granary ", env!("CARGO_PKG_VERSION")).into()),
            reqq: Some(REQUESTS_MAX as u32),
            metadata_size: (!self.room.raw_info.is_empty()).then_some(self.room.raw_info.len() as u64),
            yourip: Some(self.addr.ip()),
            upload_only: true,
        }
    }

    /// Handles every whole message in the inbox.
    fn consume(&mut self) -> io::Result<()> {
        let inbox = std::mem::take(&mut self.inbox);
        let mut rest = &inbox[..];
        let mut eaten = 0;
        while let Some((message, used)) =
            proto::peer::message::decode(rest, &self.bounds).map_err(io::Error::other)?
        {
            self.message(message)?;
            rest = &rest[used..];
            eaten += used;
        }
        if self.nuisance > NUISANCE_MAX {
            return Err(io::Error::other("too many messages that ask for nothing"));
        }
        if eaten > 0 && !std::mem::replace(&mut self.met, true) {
            // transmission 3.00 over uTP does not look at what came in one packet with our handshake until the next packet
            // comes; this is the next packet.
            self.outbox.message(Message::KeepAlive);
        }
        if eaten > 0 {
            // Only whole messages count as a sign of life: a byte a minute does not keep a connection.
            self.heard = Instant::now();
        }
        self.inbox = inbox;
        // An idle peer keeps no buffer; a busy one keeps its.
        match eaten == self.inbox.len() && self.requests.is_empty() {
            true => self.inbox = BytesMut::new(),
            false => bytes::Buf::advance(&mut self.inbox, eaten),
        }
        Ok(())
    }

    /// Every few seconds; false: time to go.
    fn tick(&mut self) -> bool {
        let now = Instant::now();
        self.nuisance = self.nuisance.saturating_sub(FORGIVEN);
        self.inner
            .traffic
            .add(self.room.row.infohash, std::mem::take(&mut self.uploaded));
        if !self.outbox.is_empty() {
            return now - self.moved < STUCK;
        }
        // While we work for the peer, silence is ours, not its.
        if !self.requests.is_empty() {
            self.heard = now;
        }
        let wanted = if self.inner.limits.seats().crowded() {
            USELESS
        } else {
            Duration::MAX
        };
        if now - self.heard >= IDLE || now - self.served >= wanted || (self.seed && now - self.served >= PEX)
        {
            return false;
        }
        if self.interested && self.choked {
            self.ask();
        }
        if self.gossiped.is_none_or(|at| now - at >= PEX) {
            self.gossip(now);
        }
        if now - self.said >= KEEP_ALIVE {
            self.outbox.message(Message::KeepAlive);
        }
        true
    }

    fn gossip(&mut self, now: Instant) {
        let Some(id) = self.ids.ut_pex.filter(|_| !self.room.row.private) else {
            return;
        };
        let news = self.room.news(self.id, &mut self.told);
        if !news.is_empty() {
            self.gossiped = Some(now);
            let payload = news.encode();
            self.outbox.message(Message::Extended {
                id,
                payload: &payload,
            });
        }
    }
}

/// A dropped task, whatever dropped it, leaves no trace in the tables.
impl Drop for Peer {
    fn drop(&mut self) {
        self.inner.slots.release(self.id);
        self.room.leave(self.id);
        self.inner.traffic.add(self.room.row.infohash, self.uploaded);
        self.inner.peers.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn wait_for(loading: &mut Option<Loading>) -> (Key, Result<Option<Bytes>, store::Error>) {
    match loading {
        Some(future) => future.await,
        None => pending().await,
    }
}
